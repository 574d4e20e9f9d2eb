//! Headers that come or go.

use super::list_setting;
use crate::error::ConnectError;
use crate::notation::literal;
use crate::record::{Header, Record};
use crate::settings::{DefaultValue, Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;

pub(super) fn drop_settings() -> Settings {
    let doc = "The name of the headers to be removed.";
    Settings::from([list_setting("headers", DefaultValue::Required, doc)
        .importance(Importance::High)
        .not_empty()])
}

/// Headers of these names go.
#[derive(Debug)]
pub(super) struct DropHeaders(Vec<String>);

impl DropHeaders {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self(values.list("headers")?.to_vec()))
    }
}

impl Transform for DropHeaders {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        record.headers.retain(|header| !self.0.iter().any(|name| header.name == *name));
        Ok(Some(record))
    }
}

pub(super) fn insert_settings() -> Settings {
    let literal = "The literal value that is to be set as the header value on all records.";
    Settings::from([
        Setting::required("header", Kind::String, "The name of the header."),
        Setting::required("value.literal", Kind::String, literal),
    ])
}

/// A header comes.
#[derive(Debug)]
pub(super) struct InsertHeader(Header);

impl InsertHeader {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let value = literal::parse(values.string("value.literal")?);
        Ok(Self(Header { name: values.string("header")?.into(), value }))
    }
}

impl Transform for InsertHeader {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        record.headers.push(self.0.clone());
        Ok(Some(record))
    }
}
