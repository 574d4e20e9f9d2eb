//! What is in objects: lines of JSON, Avro's object container files, or Parquet.
//!
//! The same records always give the same bytes: the marker of a container file follows from its schema.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use md5::{Digest, Md5};

use crate::converters::{AvroSchema, json_line, of_json};
use crate::error::ConnectError;
use crate::notation::json::Json;
use crate::record::{ConnectSchema, Datum};
#[cfg(feature = "parquet")]
use crate::value::Value;

/// How container files begin.
const MAGIC: &[u8] = b"Obj\x01";
/// The bytes of a marker.
const MARKER_BYTES: usize = 16;
/// The bytes that end a block of a container file.
const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// A format of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Avro,
    #[cfg(feature = "parquet")]
    Parquet,
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

    pub(super) fn named(name: &str) -> Result<Self, ConnectError> {
        match name {
            "json" => Ok(Self::Json),
            "avro" => Ok(Self::Avro),
            #[cfg(feature = "parquet")]
            "parquet" => Ok(Self::Parquet),
            _ => Err(ConnectError::config(format!("{name} is none of {}", Self::NAMES.join(", ")))),
        }
    }

    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
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
        if self.format == Format::Parquet {
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
        let Some(schema) = schema.filter(|_| format.has_schema()) else {
            let mut text = BytesMut::with_capacity(self.bytes);
            texts.for_each(|line| {
                text.put_slice(line);
                text.put_u8(b'\n');
            });
            return Ok(text.freeze());
        };
        match format {
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                let values = self.items.iter().filter_map(|item| match item {
                    Item::Value(value) => Some(value),
                    Item::Bytes(_) => None,
                });
                super::parquet::object(schema, values)
            }
            _ => Ok(container(AvroSchema::of(schema)?.text(), texts)),
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

/// A container file of records.
fn container<'b>(schema: &str, records: impl Iterator<Item = &'b Bytes>) -> Bytes {
    let marker = Md5::digest(schema);
    let mut file = BytesMut::new();
    file.put_slice(MAGIC);
    put_long(&mut file, 2);
    for (name, value) in [("avro.codec", "null"), ("avro.schema", schema)] {
        for text in [name, value] {
            put_long(&mut file, text.len() as i64);
            file.put_slice(text.as_bytes());
        }
    }
    put_long(&mut file, 0);
    file.put_slice(&marker);
    let (mut count, mut block) = (0, BytesMut::new());
    let mut records = records.peekable();
    while let Some(record) = records.next() {
        block.put_slice(record);
        count += 1;
        if block.len() >= BLOCK_BYTES_MAX || records.peek().is_none() {
            put_long(&mut file, std::mem::take(&mut count));
            put_long(&mut file, block.len() as i64);
            file.put_slice(&std::mem::take(&mut block));
            file.put_slice(&marker);
        }
    }
    file.freeze()
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
            Some("avro") => Self::All(contained(bytes)?),
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

fn contained(mut rest: Bytes) -> Result<Vec<Datum>, ConnectError> {
    let cut = || ConnectError::failed("the object ends within a container file of Avro");
    if !rest.starts_with(MAGIC) {
        return Err(ConnectError::failed("the object is no container file of Avro"));
    }
    rest.advance(MAGIC.len());
    let (mut schema, mut codec) = (None, Bytes::new());
    loop {
        let count = long(&mut rest).ok_or_else(cut)?;
        if count < 0 {
            // The bytes of the block follow.
            long(&mut rest).ok_or_else(cut)?;
        }
        for _ in 0..count.unsigned_abs() {
            let name = text(&mut rest).ok_or_else(cut)?;
            let value = text(&mut rest).ok_or_else(cut)?;
            match &name[..] {
                b"avro.schema" => schema = Some(value),
                b"avro.codec" => codec = value,
                _ => {}
            }
        }
        if count == 0 {
            break;
        }
    }
    if !codec.is_empty() && codec != "null" {
        let codec = String::from_utf8_lossy(&codec).into_owned();
        return Err(ConnectError::failed(format!(
            "the object is compressed with {codec}, which is not read"
        )));
    }
    let schema = schema.and_then(|schema| String::from_utf8(schema.into()).ok());
    let schema = AvroSchema::parse(&schema.ok_or_else(|| ConnectError::failed("the object has no schema"))?)?;
    let marker = taken(&mut rest, MARKER_BYTES).ok_or_else(cut)?;
    let mut records = Vec::new();
    while rest.has_remaining() {
        let count = long(&mut rest).ok_or_else(cut)?;
        let length = long(&mut rest).and_then(|length| usize::try_from(length).ok()).ok_or_else(cut)?;
        let block = taken(&mut rest, length).ok_or_else(cut)?;
        records.extend(schema.decode_all(count, &block)?);
        if taken(&mut rest, MARKER_BYTES).ok_or_else(cut)? != marker {
            return Err(ConnectError::failed("a block of the object does not end where it should"));
        }
    }
    Ok(records)
}

fn taken(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn text(rest: &mut Bytes) -> Option<Bytes> {
    let length = long(rest)?;
    taken(rest, usize::try_from(length).ok()?)
}

/// Writes a number as Avro does.
fn put_long(out: &mut BytesMut, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

fn long(rest: &mut Bytes) -> Option<i64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = rest.has_remaining().then(|| rest.get_u8())?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    None
}
