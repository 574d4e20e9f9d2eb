//! Another name or version for a schema.

use super::replace_null_setting;
use super::side::{Changed, Side, or_default, put, refuse};
use crate::error::ConnectError;
use crate::record::Record;
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

pub(super) fn settings() -> Settings {
    let high =
        |name: &str, kind: Kind, doc: &str| Setting::optional(name, kind, doc).importance(Importance::High);
    Settings::from([
        high("schema.name", Kind::String, "Schema name to set."),
        high("schema.version", Kind::Int, "Schema version to set."),
        replace_null_setting(),
    ])
}

/// The transform.
#[derive(Debug)]
pub(super) struct SetSchemaMetadata {
    side: Side,
    name: Option<String>,
    version: Option<i32>,
    replace_null: bool,
    changed: Changed,
}

impl SetSchemaMetadata {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let name = values.optional_string("schema.name")?.map(str::to_owned);
        let version = values.optional_number("schema.version")?.and_then(|version| version.try_into().ok());
        if name.is_none() && version.is_none() {
            return Err(ConnectError::config("Neither schema name nor version configured"));
        }
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, name, version, replace_null, changed: Changed::default() })
    }
}

impl Transform for SetSchemaMetadata {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            if datum.value == Value::Null {
                return Ok(Some(record));
            }
            return refuse("Schema required for [updating schema metadata]");
        };
        let (name, version) = (&self.name, self.version);
        let changed = self.changed.of(&schema, |schema| {
            let mut changed = schema.clone();
            changed.name = name.as_deref().map(Into::into).or(changed.name);
            changed.version = version.or(changed.version);
            Ok(changed)
        })?;
        let value = match datum.value {
            Value::Struct(values) => {
                let fields = schema.fields().iter().zip(values.into_values());
                let fields: Result<_, _> = fields
                    .map(|(field, value)| put(field, or_default(field, value, self.replace_null)))
                    .collect();
                Value::Struct(fields?)
            }
            other => other,
        };
        Ok(Some(self.side.put(record, Some(changed), value)))
    }
}
