//! The seams of converters: between data and the bytes in a topic.
//!
//! Converters take batches, since one that asks a schema registry may have to wait; what it learnt it should remember. A
//! converter belongs to one task, and to keys or values: its settings say which under `converter.type`, as `key`, `value`
//! or `header`.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::ConnectError;
use crate::record::{Datum, Header};

/// The setting that says what a converter converts; the worker sets it.
pub const CONVERTER_TYPE: &str = "converter.type";

/// A header in a topic: a name and bytes.
pub type RawHeader = (bytestring::ByteString, Option<Bytes>);

/// Keys or values, as bytes and back.
#[async_trait]
pub trait Converter: fmt::Debug + Send + Sync {
    /// The bytes of each datum, in order: exactly one result for each item. `None` is no key, or a tombstone.
    async fn encode(&self, items: &mut [Encoding<'_>]) -> Vec<Result<Option<Bytes>, ConnectError>>;

    /// The data of each item's bytes, in order: exactly one result for each item.
    async fn decode(&self, items: &[Decoding<'_>]) -> Vec<Result<Datum, ConnectError>>;
}

/// A datum that becomes bytes.
#[derive(Debug)]
pub struct Encoding<'a> {
    /// The topic that the record goes to.
    pub topic: &'a str,
    /// The headers of the record, as they will be written; a converter may add its own.
    pub headers: &'a mut Vec<RawHeader>,
    /// The datum.
    pub datum: &'a Datum,
}

/// Bytes that become a datum.
#[derive(Debug)]
pub struct Decoding<'a> {
    /// The topic that the record was read from.
    pub topic: &'a str,
    /// The headers of the record, as they were read.
    pub headers: &'a [RawHeader],
    /// The bytes.
    pub bytes: Option<&'a Bytes>,
}

/// Headers, as bytes and back.
pub trait HeaderConverter: fmt::Debug + Send + Sync {
    /// The bytes of a header.
    ///
    /// # Errors
    /// When the value has none.
    fn encode(&self, topic: &str, header: &Header) -> Result<Option<Bytes>, ConnectError>;

    /// The value of a header.
    ///
    /// # Errors
    /// When the bytes are not what the converter writes.
    fn decode(&self, topic: &str, name: &str, bytes: Option<&Bytes>) -> Result<Datum, ConnectError>;
}
