//! What is in objects: lines of JSON, Avro's object container files, or Parquet.
//!
//! The same records always give the same bytes.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
#[cfg(feature = "parquet")]
use parquet::basic::Compression;

use super::container::{self, Codec};
use crate::converters::{AvroSchema, json_line, of_json};
use crate::error::ConnectError;
use crate::notation::json::Json;
use crate::record::{ConnectSchema, Datum};
use crate::settings::{Importance, Kind, Setting, Values};
#[cfg(feature = "parquet")]
use crate::value::Value;

/// A format of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Avro(Codec),
    #[cfg(feature = "parquet")]
    Parquet(Compression),
}

/// A record, as objects hold it until they are written.
#[derive(Debug)]
pub(super) enum Item {
    Bytes(Bytes),
    #[cfg(feature = "parquet")]
    Value(Value),
}

/// The records of an object.
#[derive(Debug, Default)]
pub(super) struct Content {
    items: Vec<Item>,
    bytes: usize,
}

impl Format {
    #[cfg(feature = "parquet")]
    pub(super) const NAMES: [&'static str; 3] = ["json", "avro", "parquet"];
    #[cfg(not(feature = "parquet"))]
    pub(super) const NAMES: [&'static str; 2] = ["json", "avro"];

    /// The settings that say what objects are.
    pub(super) fn settings() -> Vec<Setting> {
        let one_of = |name: &str, default: &str, about: &str, names: &'static [&'static str]| {
            Setting::new(name, Kind::String, default, about)
                .recommended(names.iter().copied())
                .one_of(names.iter().copied())
        };
        let format = "What objects are: json (a line for each record) or one of the others.";
        vec![
            one_of("format", "json", format, &Self::NAMES).importance(Importance::High),
            one_of("avro.codec", "null", "How the blocks of objects of Avro are compressed.", &Codec::NAMES),
            #[cfg(feature = "parquet")]
            one_of(
                "parquet.codec",
                "snappy",
                "How the pages of objects of Parquet are compressed.",
                &super::parquet::CODECS,
            ),
        ]
    }

    /// What the settings say.
    pub(super) fn of(values: &Values) -> Result<Self, ConnectError> {
        let unknown = |name| ConnectError::config(format!("{name} is none of the names that are known"));
        match values.string("format")? {
            "json" => Ok(Self::Json),
            "avro" => {
                let name = values.string("avro.codec")?;
                Codec::named(name).map(Self::Avro).ok_or_else(|| unknown(name))
            }
            #[cfg(feature = "parquet")]
            "parquet" => {
                let name = values.string("parquet.codec")?;
                super::parquet::codec(name).map(Self::Parquet).ok_or_else(|| unknown(name))
            }
            name => Err(unknown(name)),
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro(_) => "avro",
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => "parquet",
        }
    }

    /// Whether all records of an object have one schema.
    pub(super) fn has_schema(self) -> bool {
        self != Self::Json
    }
}

/// Makes records into what objects hold.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) format: Format,
    /// The schema of the last record.
    avro: Option<(Arc<ConnectSchema>, AvroSchema)>,
}

impl Encoder {
    pub(super) fn new(format: Format) -> Self {
        Self { format, avro: None }
    }

    pub(super) fn item(&mut self, datum: &Datum) -> Result<Item, ConnectError> {
        if self.format == Format::Json {
            return Ok(Item::Bytes(Bytes::from(json_line(datum)?)));
        }
        let Some(schema) = &datum.schema else {
            return Err(ConnectError::data("data without a schema can be written as json only"));
        };
        #[cfg(feature = "parquet")]
        if matches!(self.format, Format::Parquet(_)) {
            super::parquet::check(schema, &datum.value)?;
            return Ok(Item::Value(datum.value.clone()));
        }
        let known =
            |(known, _): &(Arc<ConnectSchema>, AvroSchema)| Arc::ptr_eq(known, schema) || known == schema;
        if !self.avro.as_ref().is_some_and(known) {
            self.avro = Some((Arc::clone(schema), AvroSchema::of(schema)?));
        }
        match &self.avro {
            Some((_, avro)) => Ok(Item::Bytes(avro.encode(&datum.value)?)),
            None => Err(ConnectError::data("the schema cannot be written as Avro")),
        }
    }
}

impl Content {
    pub(super) fn add(&mut self, item: Item) {
        self.bytes += match &item {
            Item::Bytes(bytes) => bytes.len() + 1,
            #[cfg(feature = "parquet")]
            Item::Value(value) => size(value),
        };
        self.items.push(item);
    }

    /// About how many bytes there are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The object.
    pub(super) fn object(
        &self,
        format: Format,
        schema: Option<&Arc<ConnectSchema>>,
    ) -> Result<Bytes, ConnectError> {
        let texts = self.items.iter().filter_map(|item| match item {
            Item::Bytes(bytes) => Some(bytes),
            #[cfg(feature = "parquet")]
            Item::Value(_) => None,
        });
        let no_schema = || ConnectError::data("data without a schema can be written as json only");
        match format {
            Format::Json => {
                let mut text = BytesMut::with_capacity(self.bytes);
                texts.for_each(|line| {
                    text.put_slice(line);
                    text.put_u8(b'\n');
                });
                Ok(text.freeze())
            }
            Format::Avro(codec) => {
                container::of(AvroSchema::of(schema.ok_or_else(no_schema)?)?.text(), codec, texts)
            }
            #[cfg(feature = "parquet")]
            Format::Parquet(codec) => {
                let values = self.items.iter().filter_map(|item| match item {
                    Item::Value(value) => Some(value),
                    Item::Bytes(_) => None,
                });
                super::parquet::object(schema.ok_or_else(no_schema)?, codec, values)
            }
        }
    }
}

/// About how many bytes a value has.
#[cfg(feature = "parquet")]
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 4,
        Value::Bytes(bytes) => bytes.len() + 4,
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(key, item)| size(key) + size(item)).sum(),
        Value::Struct(fields) => fields.values().iter().map(size).sum(),
        _ => 8,
    }
}

/// The records of an object that were not read yet.
#[derive(Debug)]
pub(super) enum Records {
    All(Vec<Datum>),
    #[cfg(feature = "parquet")]
    Rows(Box<super::parquet::Rows>),
}

impl Records {
    /// Those of an object, by the end of its name: none when nobody knows it.
    pub(super) fn new(name: &str, bytes: Bytes) -> Result<Self, ConnectError> {
        Ok(match name.rsplit('.').next() {
            Some("json") => Self::All(lines(&bytes)?),
            Some("avro") => Self::All(container::records(bytes)?),
            #[cfg(feature = "parquet")]
            Some("parquet") => Self::Rows(Box::new(super::parquet::Rows::new(bytes)?)),
            _ => Self::All(Vec::new()),
        })
    }

    /// The next ones; none at the end.
    pub(super) fn next(&mut self) -> Result<Vec<Datum>, ConnectError> {
        match self {
            Self::All(data) => Ok(std::mem::take(data)),
            #[cfg(feature = "parquet")]
            Self::Rows(rows) => rows.next(),
        }
    }
}

fn lines(bytes: &Bytes) -> Result<Vec<Datum>, ConnectError> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let datum = |(number, line): (usize, &[u8])| {
        let json = Json::parse(&bytes.slice_ref(line));
        let refuse = |error| ConnectError::failed(format!("line {} is no JSON", number + 1)).because(error);
        Ok(Datum::schemaless(of_json(&json.map_err(refuse)?.unwrap_or(Json::Null))))
    };
    lines.map(datum).collect()
}
