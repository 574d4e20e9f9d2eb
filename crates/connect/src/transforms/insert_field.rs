//! Fields with what is known about the record, or with a fixed text.

use std::sync::Arc;

use super::replace_null_setting;
use super::side::{
    Changed, Side, like, or_default, put, refuse, require_map, require_struct, set_entry, struct_of,
};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Field, Origin, Record, TIMESTAMP, Type};
use crate::settings::{Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "field insertion";

pub(super) fn settings() -> Settings {
    let suffix = "Suffix with <code>!</code> to make this a required field, or <code>?</code> to keep it optional (the \
        default).";
    let field = |name: &str, what: &str| Setting::optional(name, Kind::String, format!("{what}{suffix}"));
    Settings::from([
        field("topic.field", "Field name for Kafka topic. "),
        field("partition.field", "Field name for Kafka partition. "),
        field("offset.field", "Field name for Kafka offset - only applicable to sink connectors.<br/>"),
        field("timestamp.field", "Field name for record timestamp. "),
        field("static.field", "Field name for static data field. "),
        Setting::optional("static.value", Kind::String, "Static field value, if field name configured."),
        replace_null_setting(),
    ])
}

/// What is inserted.
#[derive(Clone, Debug)]
enum Content {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Static(String),
}

impl Content {
    /// The value in a record; `None` when it is not known.
    fn of(&self, record: &Record) -> Result<Option<Value>, ConnectError> {
        Ok(match self {
            Self::Topic => Some(Value::String(record.topic.clone())),
            Self::Partition => record.partition.map(Value::Int32),
            Self::Offset => match &record.origin {
                Origin::Topic(coordinates) => Some(Value::Int64(coordinates.offset)),
                Origin::Source(_) => {
                    let class = "org.apache.kafka.connect.source.SourceRecord";
                    return refuse(format!("Only SinkRecord supported for [{PURPOSE}], found: {class}"));
                }
            },
            Self::Timestamp => record.timestamp.map(Value::Int64),
            Self::Static(text) => Some(Value::String(text.as_str().into())),
        })
    }

    fn schema(&self) -> ConnectSchema {
        match self {
            Self::Topic | Self::Static(_) => ConnectSchema::new(Type::String),
            Self::Partition => ConnectSchema::new(Type::Int32),
            Self::Offset => ConnectSchema::new(Type::Int64),
            Self::Timestamp => {
                let mut schema = ConnectSchema::new(Type::Int64).named(TIMESTAMP);
                schema.version = Some(1);
                schema
            }
        }
    }
}

/// The transform.
#[derive(Debug)]
pub(super) struct InsertField {
    side: Side,
    inserted: Vec<(Field, Content)>,
    replace_null: bool,
    changed: Changed,
}

impl InsertField {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let mut all = vec![
            ("topic.field", Content::Topic),
            ("partition.field", Content::Partition),
            ("offset.field", Content::Offset),
            ("timestamp.field", Content::Timestamp),
        ];
        match (values.optional_string("static.field")?, values.optional_string("static.value")?) {
            (Some(_), Some(text)) => all.push(("static.field", Content::Static(text.to_owned()))),
            (Some(field), None) => {
                return Err(ConnectError::config(format!(
                    "Invalid value null for configuration static.value: No value specified for static field: {field}"
                )));
            }
            (None, _) => {}
        }
        let mut inserted = Vec::new();
        for (setting, content) in all {
            if let Some(given) = values.optional_string(setting)? {
                inserted.push((field(given, &content), content));
            }
        }
        if inserted.is_empty() {
            return Err(ConnectError::config("No field insertion configured"));
        }
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, inserted, replace_null, changed: Changed::default() })
    }
}

/// A name, and by its last letter whether the value may be missing.
fn field(given: &str, content: &Content) -> Field {
    let mut schema = content.schema();
    schema.optional = !given.ends_with('!');
    let name = given.strip_suffix(['!', '?']).unwrap_or(given);
    Field { name: name.into(), schema: Arc::new(schema) }
}

impl Transform for InsertField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        if self.side.of(&record).value == Value::Null {
            return Ok(Some(record));
        }
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let mut entries = require_map(datum.value, PURPOSE)?;
            for (field, content) in &self.inserted {
                if let Some(value) = content.of(&record)? {
                    set_entry(&mut entries, &field.name, value);
                }
            }
            return Ok(Some(self.side.put(record, None, Value::Map(entries))));
        };
        let values = require_struct(&schema, datum.value, PURPOSE)?;
        let inserted = &self.inserted;
        let changed = self.changed.of(&schema, |schema| {
            let new = inserted.iter().map(|(field, _)| field.clone());
            Ok(like(schema, struct_of(schema.fields().iter().cloned().chain(new).collect())?))
        })?;
        let mut fields = Vec::with_capacity(changed.fields().len());
        for (field, value) in schema.fields().iter().zip(values.into_values()) {
            fields.push(put(field, or_default(field, value, self.replace_null))?);
        }
        for (field, content) in &self.inserted {
            fields.push((field.name.clone(), content.of(&record)?.unwrap_or_default()));
        }
        Ok(Some(self.side.put(record, Some(changed), Value::record(fields))))
    }
}
