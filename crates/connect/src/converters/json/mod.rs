//! JSON, with the schema beside the data (`{"schema": …, "payload": …}`) or without one.

mod read;
mod schema;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::each::Format;
use crate::error::ConnectError;
use crate::notation::json::{Json, JsonError, Reader};
use crate::record::{ConnectSchema, Datum};
use crate::settings::{Importance, Kind, Setting, Settings, Values, Width};
use crate::value::Value;

/// How many schemas of records are remembered at most, whatever `schemas.cache.size` says.
const REMEMBERED_MAX: usize = 1000;

/// The bytes of the schemas that are remembered, together.
const REMEMBERED_BYTES_MAX: usize = 16 * 1024 * 1024;

const UNREADABLE: &str = "Converting byte[] to Kafka Connect data failed due to serialization error: ";

const NO_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not \
    contain additional fields. If you are trying to deserialize plain JSON data, set schemas.enable=false in your \
    converter configuration.";

/// How JSON is written and read.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// Decimals are numbers, not base 64.
    pub(super) numeric_decimals: bool,
    /// A missing value is the default of its schema.
    pub(super) replace_null_with_default: bool,
}

/// Data as JSON without its schema, decimals as numbers.
#[cfg(any(feature = "http", feature = "object-store"))]
pub(crate) fn json_line(datum: &Datum) -> Result<String, ConnectError> {
    let mut text = String::new();
    let style = Style { numeric_decimals: true, replace_null_with_default: true };
    write::value(&mut text, datum.schema.as_deref(), &datum.value, &style)?;
    Ok(text)
}

/// JSON as data without a schema.
#[cfg(any(feature = "http", feature = "object-store"))]
pub(crate) fn of_json(json: &Json) -> Value {
    read::schemaless(json)
}

/// The settings.
pub(super) fn settings() -> Settings {
    let enable = "Include schemas within each of the serialized values and keys.";
    let cache = "The maximum number of schemas that can be cached in this converter instance.";
    let content = "When set, this is used as the schema for all messages. Otherwise, the schema should be in the \
        contents of each message.";
    let decimal = "Controls which format this converter will serialize decimals in. This value is case insensitive and \
        can be either 'BASE64' (default) or 'NUMERIC'";
    let replace = "Whether to replace fields that have a default value and that are null to the default value. When set \
        to true, the default value is used, otherwise null is used.";
    let (schemas, serialization) = ("Schemas", "Serialization");
    Settings::from([
        Setting::new("schemas.enable", Kind::Boolean, "true", enable).importance(Importance::High).shown(
            schemas,
            0,
            Width::Medium,
            "Enable Schemas",
        ),
        Setting::new("schemas.cache.size", Kind::Int, "1000", cache).importance(Importance::High).shown(
            schemas,
            1,
            Width::Medium,
            "Schema Cache Size",
        ),
        Setting::optional("schema.content", Kind::String, content).importance(Importance::High).shown(
            schemas,
            2,
            Width::Medium,
            "Schema Content",
        ),
        Setting::new("decimal.format", Kind::String, "BASE64", decimal)
            .importance(Importance::Low)
            .shown(serialization, 0, Width::Medium, "Decimal Format")
            .checked(|value| match value.text() {
                Some(text) if !["BASE64", "NUMERIC"].iter().any(|known| known.eq_ignore_ascii_case(text)) => {
                    Err("String must be one of (case insensitive): NUMERIC, BASE64".to_owned())
                }
                _ => Ok(()),
            }),
        Setting::new("replace.null.with.default", Kind::Boolean, "true", replace)
            .importance(Importance::Low)
            .shown(serialization, 1, Width::Medium, "Replace null with default"),
    ])
}

/// The converter.
#[derive(Debug)]
pub(super) struct JsonFormat {
    with_schemas: bool,
    fixed: Option<Arc<ConnectSchema>>,
    style: Style,
    read: Mutex<Remembered>,
    written: Mutex<Vec<(Arc<ConnectSchema>, Arc<str>)>>,
    remembered_max: usize,
}

/// Schemas as they stand in records, and what they say; the latest one last.
#[derive(Debug, Default)]
struct Remembered {
    schemas: Vec<(Bytes, Option<Arc<ConnectSchema>>)>,
    bytes: usize,
}

impl JsonFormat {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let style = Style {
            numeric_decimals: values.string("decimal.format")?.eq_ignore_ascii_case("NUMERIC"),
            replace_null_with_default: values.boolean("replace.null.with.default")?,
        };
        let fixed = match values.optional_string("schema.content")? {
            Some(content) if !content.is_empty() => {
                let broken = "Failed to parse schema in converter config due to serialization error: ";
                let parsed = Json::parse(&Bytes::from(content.to_owned()));
                let json = parsed.map_err(|error| ConnectError::config(broken).because(error))?;
                let json = json.unwrap_or(Json::Null);
                schema::read(&json, &style).map_err(|error| ConnectError::config(error.message))?
            }
            _ => None,
        };
        let size = usize::try_from(values.number("schemas.cache.size")?).unwrap_or(0);
        Ok(Self {
            with_schemas: values.boolean("schemas.enable")?,
            fixed,
            style,
            read: Mutex::default(),
            written: Mutex::default(),
            remembered_max: size.min(REMEMBERED_MAX),
        })
    }

    /// The text of a schema, which repeats in every record.
    fn schema_text(&self, schema: &Arc<ConnectSchema>) -> Result<Arc<str>, ConnectError> {
        let known = |(known, _): &&(Arc<ConnectSchema>, Arc<str>)| Arc::ptr_eq(known, schema);
        if let Some((_, text)) = self.written.lock().iter().rev().find(known) {
            return Ok(Arc::clone(text));
        }
        let mut text = String::new();
        schema::write(&mut text, schema, None, &self.style)?;
        let text: Arc<str> = text.into();
        let mut written = self.written.lock();
        if written.len() >= self.remembered_max.min(16) {
            written.clear();
        }
        written.push((Arc::clone(schema), Arc::clone(&text)));
        Ok(text)
    }

    fn unwrapped(&self, bytes: &Bytes) -> Result<Datum, ConnectError> {
        let envelope = self.envelope(bytes)?;
        let Some(Envelope { schema, payload }) = envelope else {
            return Err(ConnectError::data(NO_ENVELOPE));
        };
        let value = read::value(schema.as_deref(), &payload, &self.style)?;
        Ok(Datum { schema, value })
    }

    /// The schema and the payload; `None` when the bytes are anything else.
    fn envelope(&self, bytes: &Bytes) -> Result<Option<Envelope>, ConnectError> {
        let mut reader = Reader::new(bytes).map_err(unreadable)?;
        if !reader.take(b'{') {
            if reader.peek().is_some() {
                let value = reader.value(0).map_err(unreadable)?;
                reader.end_of_root(&value).map_err(unreadable)?;
            }
            return Ok(None);
        }
        let (mut schema, mut payload, mut others) = (None, None, 0);
        if reader.closed(b'}') {
            return Ok(None);
        }
        loop {
            let key = reader.key().map_err(unreadable)?;
            match &*key {
                "schema" => schema = Some(self.schema(&mut reader)?),
                "payload" => payload = Some(reader.value(1).map_err(unreadable)?),
                _ => {
                    reader.value(1).map_err(unreadable)?;
                    others += 1;
                }
            }
            reader.skip_blank();
            if reader.closed(b'}') {
                break;
            }
            if !reader.take(b',') {
                let fault = JsonError { message: "a comma is expected", at: reader.at() };
                return Err(unreadable(fault));
            }
        }
        let (Some(schema), Some(payload), 0) = (schema, payload, others) else { return Ok(None) };
        let schema = match schema {
            Found::Known(schema) => schema,
            Found::New(text, json) => self.remember(text, &json)?,
        };
        Ok(Some(Envelope { schema, payload }))
    }

    fn schema(&self, reader: &mut Reader) -> Result<Found, ConnectError> {
        let known = self.read.lock();
        for (text, schema) in known.schemas.iter().rev() {
            if reader.take_known(text) {
                return Ok(Found::Known(schema.clone()));
            }
        }
        drop(known);
        let start = reader.at();
        let json = reader.value(1).map_err(unreadable)?;
        Ok(Found::New(reader.since(start), json))
    }

    fn remember(&self, text: Bytes, json: &Json) -> Result<Option<Arc<ConnectSchema>>, ConnectError> {
        let schema = schema::read(json, &self.style)?;
        // Text that others could begin with would hide them.
        if !matches!(json, Json::Object(_)) || self.remembered_max == 0 {
            return Ok(schema);
        }
        let mut known = self.read.lock();
        let is_full = known.schemas.len() >= self.remembered_max;
        if is_full || known.bytes + text.len() > REMEMBERED_BYTES_MAX {
            *known = Remembered::default();
        }
        known.bytes += text.len();
        known.schemas.push((Bytes::copy_from_slice(&text), schema.clone()));
        Ok(schema)
    }
}

/// A schema and data for it.
struct Envelope {
    schema: Option<Arc<ConnectSchema>>,
    payload: Json,
}

/// A schema in a record.
enum Found {
    Known(Option<Arc<ConnectSchema>>),
    New(Bytes, Json),
}

fn unreadable(error: JsonError) -> ConnectError {
    ConnectError::data(UNREADABLE).because(error)
}

impl Format for JsonFormat {
    fn encode(&self, datum: &Datum) -> Result<Option<Bytes>, ConnectError> {
        if datum.schema.is_none() && datum.value == Value::Null {
            return Ok(None);
        }
        let schema = datum.schema.as_ref();
        let mut text = String::new();
        if self.with_schemas {
            text.push_str("{\"schema\":");
            match schema {
                Some(schema) => text.push_str(&self.schema_text(schema)?),
                None => text.push_str("null"),
            }
            text.push_str(",\"payload\":");
        }
        write::value(&mut text, schema.map(|schema| &**schema), &datum.value, &self.style)?;
        if self.with_schemas {
            text.push('}');
        }
        Ok(Some(text.into()))
    }

    fn decode(&self, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        let Some(bytes) = bytes else { return Ok(Datum::default()) };
        let schema = match (self.with_schemas, &self.fixed) {
            (true, None) => return self.unwrapped(bytes),
            (true, Some(fixed)) => Some(fixed),
            (false, _) => None,
        };
        let json = Json::parse(bytes).map_err(unreadable)?.unwrap_or(Json::Null);
        let value = read::value(schema.map(|schema| &**schema), &json, &self.style)?;
        Ok(Datum { schema: schema.cloned(), value })
    }
}

#[cfg(test)]
mod tests;
