//! Schemas and data in files of Avro, where no registry is.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::{read, write};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Datum};
use crate::schema::avro::AvroFormat;
use crate::schema::{Schema, SchemaFormat, SchemaText, Validation};
use crate::value::Value;

/// A schema of a file, and the one of the data model that it stands for.
#[derive(Debug)]
pub(crate) struct AvroSchema {
    text: String,
    parsed: Arc<dyn Schema>,
    connect: Arc<ConnectSchema>,
    is_plain: bool,
}

fn parsed(text: &str) -> Result<Arc<dyn Schema>, ConnectError> {
    let text = SchemaText { text, references: &[], validation: Validation::Stored };
    let refuse = |error| ConnectError::data("The schema is none of Avro").because(error);
    AvroFormat.parse(text).map_err(refuse)
}

impl AvroSchema {
    /// What a schema of the data model is in a file.
    pub(crate) fn of(schema: &Arc<ConnectSchema>) -> Result<Self, ConnectError> {
        let text = write::text(schema)?;
        let is_plain = write::is_plain(schema);
        Ok(Self { parsed: parsed(&text)?, text, connect: Arc::clone(schema), is_plain })
    }

    /// The schema that a file says.
    pub(crate) fn parse(text: &str) -> Result<Self, ConnectError> {
        let schema = parsed(text)?;
        let found = schema.render("resolved").map_err(|error| ConnectError::data(error.to_string()))?;
        let found = read::schema(found)?;
        Ok(Self { text: text.to_owned(), parsed: schema, connect: found.schema, is_plain: found.is_plain })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of data of the schema that this was made of.
    pub(crate) fn encode(&self, value: &Value) -> Result<Bytes, ConnectError> {
        let changed;
        let value = if self.is_plain {
            value
        } else {
            changed = write::value(&self.connect, value);
            &changed
        };
        let refuse = |error| ConnectError::data("The data is not what its schema says").because(error);
        self.parsed.encoded(None, value).map_err(refuse)
    }

    /// So many data of a schema that a file says, one after another.
    pub(crate) fn decode_all(&self, count: i64, bytes: &[u8]) -> Result<Vec<Datum>, ConnectError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        if count < 0 {
            return Err(ConnectError::failed("a block has less than no data"));
        }
        // Data one after another are a block of a list.
        let list = parsed(&format!("{{\"type\":\"array\",\"items\":{}}}", self.text))?;
        let mut block = BytesMut::with_capacity(bytes.len() + 11);
        put_long(&mut block, count);
        block.put_slice(bytes);
        block.put_u8(0);
        let refuse = |error| ConnectError::failed("a block is not what its schema says").because(error);
        let Value::Array(values) = list.decode(&*list, block.freeze()).map_err(refuse)? else {
            return Err(ConnectError::failed("a block is not what its schema says"));
        };
        let datum = |given: Value| Datum {
            schema: Some(Arc::clone(&self.connect)),
            value: if self.is_plain { given } else { read::value(&self.connect, given) },
        };
        Ok(values.into_iter().map(datum).collect())
    }
}

/// Writes a number as Avro does.
pub(crate) fn put_long(out: &mut BytesMut, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}
