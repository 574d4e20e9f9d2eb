//! Converters that need nothing but the datum or the bytes.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::convert::{Converter, Decoding, Encoding, HeaderConverter};
use crate::error::ConnectError;
use crate::record::{Datum, Header};

/// A converter of single data.
pub(super) trait Format: fmt::Debug + Send + Sync {
    /// The bytes of a datum.
    fn encode(&self, datum: &Datum) -> Result<Option<Bytes>, ConnectError>;

    /// The datum of bytes.
    fn decode(&self, bytes: Option<&Bytes>) -> Result<Datum, ConnectError>;
}

/// Keys, values and headers in a format.
#[derive(Debug)]
pub(super) struct Each<F>(pub(super) F);

#[async_trait]
impl<F: Format> Converter for Each<F> {
    async fn encode(&self, items: &mut [Encoding<'_>]) -> Vec<Result<Option<Bytes>, ConnectError>> {
        items.iter().map(|item| self.0.encode(item.datum)).collect()
    }

    async fn decode(&self, items: &[Decoding<'_>]) -> Vec<Result<Datum, ConnectError>> {
        items.iter().map(|item| self.0.decode(item.bytes)).collect()
    }
}

impl<F: Format> HeaderConverter for Each<F> {
    fn encode(&self, _topic: &str, header: &Header) -> Result<Option<Bytes>, ConnectError> {
        self.0.encode(&header.value)
    }

    fn decode(&self, _topic: &str, _name: &str, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        self.0.decode(bytes)
    }
}
