//! Records that are dropped.

use super::expression::Condition;
use crate::error::ConnectError;
use crate::record::Record;
use crate::settings::{Kind, Setting, Settings, Values};
use crate::transform::Transform;

/// Drops all records; a predicate says which of them it sees.
#[derive(Debug)]
pub(super) struct Filter;

impl Transform for Filter {
    fn apply(&mut self, _record: Record) -> Result<Option<Record>, ConnectError> {
        Ok(None)
    }
}

pub(super) fn condition_settings() -> Settings {
    let doc = "The condition of records that stay, over key, value, headers, topic, partition and timestamp: \
        <code>value.total > 100 and headers.region in ('eu', 'us')</code>.";
    let condition = Setting::required("condition", Kind::String, doc);
    Settings::from([
        condition.checked(|value| value.text().map_or(Ok(()), |text| Condition::read(text).map(drop)))
    ])
}

/// Drops the records that a condition does not hold for.
#[derive(Debug)]
pub(super) struct FilterByExpression(Condition);

impl FilterByExpression {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Condition::read(values.string("condition")?).map(Self).map_err(ConnectError::config)
    }
}

impl Transform for FilterByExpression {
    fn apply(&mut self, record: Record) -> Result<Option<Record>, ConnectError> {
        Ok(self.0.holds(&record).then_some(record))
    }
}
