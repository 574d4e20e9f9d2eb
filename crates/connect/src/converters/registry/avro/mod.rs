//! Avro: what it has no word for is kept in properties whose names begin with `connect.`, so that data comes back as it went.

#[cfg(feature = "object-store")]
mod file;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "object-store")]
pub(crate) use self::file::{AvroSchema, put_long};
use super::{Found, Mapping, Written};
use crate::error::ConnectError;
use crate::record::ConnectSchema;
use crate::schema::avro::AvroFormat;
use crate::schema::{Schema, SchemaFormat};
use crate::value::Value;

/// The mapping.
#[derive(Debug)]
pub(super) struct Avro;

impl Mapping for Avro {
    fn format(&self) -> Arc<dyn SchemaFormat> {
        Arc::new(AvroFormat)
    }

    fn encoding_failed(&self, topic: &str) -> String {
        format!("Failed to serialize Avro data from topic {topic} :")
    }

    fn decoding_failed(&self, topic: &str) -> String {
        format!("Failed to deserialize data for topic {topic} to Avro: ")
    }

    fn written(&self, schema: &ConnectSchema) -> Result<Written, ConnectError> {
        Ok(Written { text: write::text(schema)?, type_name: None, is_plain: write::is_plain(schema) })
    }

    fn write(&self, schema: &ConnectSchema, value: &Value) -> Result<Value, ConnectError> {
        Ok(write::value(schema, value))
    }

    fn selector(&self, _bytes: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn found(&self, schema: &dyn Schema, _selector: &Bytes) -> Result<Found, ConnectError> {
        let text = schema.render("resolved").map_err(|error| ConnectError::data(error.to_string()))?;
        read::schema(text)
    }

    fn read(&self, schema: &ConnectSchema, value: Value) -> Result<Value, ConnectError> {
        Ok(read::value(schema, value))
    }
}
