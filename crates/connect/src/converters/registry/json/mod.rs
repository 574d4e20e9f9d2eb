//! JSON Schema: shapes that JSON does not tell apart, versions and parameters are kept in properties whose names begin with
//! `connect.`; a value that may be missing is `oneOf` with null, and so are the members of a union.
//!
//! Data is checked against its schema when it is written and when it is read. So decimals are numbers in the schema when
//! they are numbers in the data (`decimal.format=NUMERIC`), and text otherwise; both are read.

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use super::{Found, Mapping, Written, flag};
use crate::error::ConnectError;
use crate::record::ConnectSchema;
use crate::schema::json::{JsonFormat, texts};
use crate::schema::{Schema, SchemaFormat};
use crate::settings::{Kind, Setting, Values};
use crate::value::Value;

/// The name of a union; behind `.field.` and a number, its members.
const ONE_OF: &str = "io.confluent.connect.json.OneOf";
/// The parameter of a text that is one of some; behind a dot, these.
const ENUM: &str = "io.confluent.connect.json.Enum";
/// What names of parameters begin with that a schema says in another way.
const OWN: &str = "io.confluent.connect.json";

/// What these converters have beyond others.
pub(super) fn settings() -> [Setting; 3] {
    let decimals = "How decimals are written: as numbers, or as text in base64 which loses nothing.";
    [
        Setting::new("decimal.format", Kind::String, "BASE64", decimals).one_of(["BASE64", "NUMERIC"]),
        Setting::new(
            "object.additional.properties",
            Kind::Boolean,
            "true",
            "Whether schemas that are written allow members that they do not name.",
        ),
        flag(
            "use.optional.for.nonrequired",
            "Whether members may be missing that a schema does not require.",
        ),
    ]
}

/// The mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json {
    /// Decimals are numbers.
    numeric: bool,
    /// Objects may have members that their schema does not name.
    additional: bool,
    /// Members that are not required may be missing.
    required: bool,
}

impl Json {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self {
            numeric: values.string("decimal.format")? == "NUMERIC",
            additional: values.boolean("object.additional.properties")?,
            required: values.boolean("use.optional.for.nonrequired")?,
        })
    }
}

impl Mapping for Json {
    fn format(&self) -> Arc<dyn SchemaFormat> {
        Arc::new(JsonFormat)
    }

    fn encoding_failed(&self, topic: &str) -> String {
        format!(
            "Converting Kafka Connect data to byte[] failed due to serialization error of topic {topic}: "
        )
    }

    fn decoding_failed(&self, topic: &str) -> String {
        format!(
            "Converting byte[] to Kafka Connect data failed due to serialization error of topic {topic}: "
        )
    }

    fn written(&self, schema: &ConnectSchema) -> Result<Written, ConnectError> {
        let text = self.text(schema, None)?;
        Ok(Written { text, type_name: None, is_plain: self.is_plain(schema) })
    }

    fn write(&self, schema: &ConnectSchema, value: &Value) -> Result<Value, ConnectError> {
        self.value(schema, value)
    }

    fn selector(&self, _bytes: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn found(&self, schema: &dyn Schema, _selector: &Bytes) -> Result<Found, ConnectError> {
        let texts = texts(schema).ok_or_else(|| ConnectError::data("The schema is no JSON Schema"))?;
        Ok(Found { schema: Arc::new(read::schema(self.required, texts.0, texts.1)?), is_plain: false })
    }

    fn read(&self, schema: &ConnectSchema, value: Value) -> Result<Value, ConnectError> {
        read::value(schema, value)
    }
}
