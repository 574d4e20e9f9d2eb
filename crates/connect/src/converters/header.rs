//! Headers as text, with types that are guessed when they are read.

use bytes::Bytes;

use crate::convert::HeaderConverter;
use crate::error::ConnectError;
use crate::notation::literal;
use crate::record::{Datum, Header};
use crate::value::Value;

/// The converter.
#[derive(Debug)]
pub(super) struct Simple;

impl HeaderConverter for Simple {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Bytes>, ConnectError> {
        Ok(match &header.value.value {
            Value::Null => None,
            Value::String(text) => Some(text.as_bytes().clone()),
            value => Some(literal::write(header.value.schema.as_deref(), value).into()),
        })
    }

    fn decode(&self, _topic: &str, _name: &str, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        Ok(bytes.map(|bytes| literal::parse(&String::from_utf8_lossy(bytes))).unwrap_or_default())
    }
}
