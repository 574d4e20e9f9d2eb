//! Which records a transform is for.

use crate::error::ConnectError;
use crate::notation::pattern::{self, Pattern};
use crate::record::Record;
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Predicate;
use crate::value::Value;

pub(super) fn header_settings() -> Settings {
    let name = Setting::required("name", Kind::String, "The header name.");
    Settings::from([name.importance(Importance::Medium).not_empty()])
}

/// Records with a header of a name.
#[derive(Debug)]
pub(super) struct HasHeaderKey(String);

impl HasHeaderKey {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self(values.string("name")?.to_owned()))
    }
}

impl Predicate for HasHeaderKey {
    fn test(&mut self, record: &Record) -> Result<bool, ConnectError> {
        Ok(record.headers.iter().any(|header| header.name == self.0))
    }
}

/// Records without a value.
#[derive(Debug)]
pub(super) struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn test(&mut self, record: &Record) -> Result<bool, ConnectError> {
        Ok(record.value.value == Value::Null)
    }
}

pub(super) fn topic_settings() -> Settings {
    let doc = "A Java regular expression for matching against the name of a record's topic.";
    let pattern = Setting::required("pattern", Kind::String, doc).importance(Importance::Medium);
    Settings::from([pattern.checked(|value| match value.text() {
        Some("") => Err("String must be non-empty".to_owned()),
        Some(text) => pattern::check(text),
        None => Ok(()),
    })])
}

/// Records of topics whose whole name matches a pattern.
#[derive(Debug)]
pub(super) struct TopicNameMatches(Pattern);

impl TopicNameMatches {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Pattern::new(values.string("pattern")?).map(Self)
    }
}

impl Predicate for TopicNameMatches {
    fn test(&mut self, record: &Record) -> Result<bool, ConnectError> {
        self.0.matches(&record.topic)
    }
}
