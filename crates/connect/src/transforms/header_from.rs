//! Fields as headers.

use super::side::{
    Changed, Side, entry, like, or_default, put, refuse, require_map, require_struct, struct_of,
};
use super::{list_setting, replace_null_setting};
use crate::error::ConnectError;
use crate::record::{Datum, Field, Header, Record};
use crate::settings::{DefaultValue, Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

pub(super) fn settings() -> Settings {
    let fields = "Field names in the record whose values are to be copied or moved to headers.";
    let headers =
        "Header names, in the same order as the field names listed in the fields configuration property.";
    let operation = "Either <code>move</code> if the fields are to be moved to the headers (removed from the key/value), or \
        <code>copy</code> if the fields are to be copied to the headers (retained in the key/value).";
    Settings::from([
        list_setting("fields", DefaultValue::Required, fields).importance(Importance::High).not_empty(),
        list_setting("headers", DefaultValue::Required, headers).importance(Importance::High).not_empty(),
        Setting::required("operation", Kind::String, operation).one_of(["move", "copy"]),
        replace_null_setting(),
    ])
}

/// The transform.
#[derive(Debug)]
pub(super) struct HeaderFrom {
    side: Side,
    fields: Vec<String>,
    headers: Vec<String>,
    is_move: bool,
    replace_null: bool,
    changed: Changed,
}

impl HeaderFrom {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let (fields, headers) = (values.list("fields")?.to_vec(), values.list("headers")?.to_vec());
        if fields.len() != headers.len() {
            let message = "'fields' config must have the same number of elements as 'headers' config.";
            return Err(ConnectError::config(message));
        }
        let is_move = values.string("operation")? == "move";
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, fields, headers, is_move, replace_null, changed: Changed::default() })
    }

    fn purpose(&self) -> &'static str {
        if self.is_move { "header move" } else { "header copy" }
    }

    fn is_moved(&self, name: &str) -> bool {
        self.is_move && self.fields.iter().any(|field| field == name)
    }

    fn schemaless(&self, mut record: Record, value: Value) -> Result<Record, ConnectError> {
        let mut entries = require_map(value, self.purpose())?;
        for (field, header) in self.fields.iter().zip(&self.headers) {
            let value = entry(&entries, field).cloned().unwrap_or_default();
            record.headers.push(Header { name: header.as_str().into(), value: Datum::schemaless(value) });
        }
        entries.retain(|(key, _)| !matches!(key, Value::String(key) if self.is_moved(key)));
        Ok(self.side.put(record, None, Value::Map(entries)))
    }
}

impl Transform for HeaderFrom {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else { return self.schemaless(record, datum.value).map(Some) };
        let values = require_struct(&schema, datum.value, self.purpose())?;
        for (name, header) in self.fields.iter().zip(&self.headers) {
            let found = schema.fields().iter().zip(&values).find(|(field, _)| field.name == *name);
            let Some((field, (_, value))) = found else {
                return refuse(format!("Field does not exist: {name}"));
            };
            let value = or_default(field, value.clone(), self.replace_null);
            let value = Datum { schema: Some(std::sync::Arc::clone(&field.schema)), value };
            record.headers.push(Header { name: header.as_str().into(), value });
        }
        if !self.is_move {
            return Ok(Some(self.side.put(record, Some(schema), Value::Struct(values))));
        }
        let moved = &self.fields;
        let changed = self.changed.of(&schema, |schema| {
            let stays = |field: &&Field| !moved.iter().any(|name| field.name == *name);
            Ok(like(schema, struct_of(schema.fields().iter().filter(stays).cloned().collect())?))
        })?;
        let fields = schema.fields().iter().zip(values.into_values());
        let stays = fields.filter(|(field, _)| !self.is_moved(&field.name));
        let fields: Result<_, _> =
            stays.map(|(field, value)| put(field, or_default(field, value, self.replace_null))).collect();
        Ok(Some(self.side.put(record, Some(changed), Value::Struct(fields?))))
    }
}
