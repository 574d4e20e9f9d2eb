//! Topics that records go to instead.

use crate::error::ConnectError;
use crate::notation::pattern::{self, Pattern};
use crate::notation::time;
use crate::record::Record;
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;

pub(super) fn regex_settings() -> Settings {
    let regex = Setting::required("regex", Kind::String, "Regular expression to use for matching.");
    Settings::from([
        regex.checked(|value| value.text().map_or(Ok(()), pattern::check)),
        Setting::required("replacement", Kind::String, "Replacement string."),
    ])
}

/// A topic that matches a pattern is rewritten.
#[derive(Debug)]
pub(super) struct RegexRouter {
    pattern: Pattern,
    replacement: String,
}

impl RegexRouter {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let pattern = Pattern::new(values.string("regex")?)?;
        Ok(Self { pattern, replacement: values.string("replacement")?.to_owned() })
    }
}

impl Transform for RegexRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        if self.pattern.matches(&record.topic)? {
            record.topic = self.pattern.replace_first(&record.topic, &self.replacement)?.into();
        }
        Ok(Some(record))
    }
}

pub(super) fn timestamp_settings() -> Settings {
    let topic = "Format string which can contain <code>${topic}</code> and <code>${timestamp}</code> as placeholders for the \
        topic and timestamp, respectively.";
    let timestamp =
        "Format string for the timestamp that is compatible with <code>java.text.SimpleDateFormat</code>.";
    Settings::from([
        Setting::new("topic.format", Kind::String, "${topic}-${timestamp}", topic)
            .importance(Importance::High),
        Setting::new("timestamp.format", Kind::String, "yyyyMMdd", timestamp).importance(Importance::High),
    ])
}

/// The topic's name with the time of the record.
#[derive(Debug)]
pub(super) struct TimestampRouter {
    topic: String,
    timestamp: time::Pattern,
}

impl TimestampRouter {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let timestamp = time::Pattern::new(values.string("timestamp.format")?);
        let timestamp = timestamp.map_err(|error| ConnectError::config(error.to_string()))?;
        Ok(Self { topic: values.string("topic.format")?.to_owned(), timestamp })
    }
}

impl Transform for TimestampRouter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let Some(timestamp) = record.timestamp else {
            return Err(ConnectError::data(format!(
                "Timestamp missing on record of the topic {}",
                record.topic
            )));
        };
        let topic = self.topic.replace("${topic}", &record.topic);
        record.topic = topic.replace("${timestamp}", &self.timestamp.write(timestamp)).into();
        Ok(Some(record))
    }
}
