//! A key out of fields of the value.

use super::side::{Changed, entry, or_default, put, refuse, require_map, require_struct, struct_of};
use super::{list_setting, replace_null_setting};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Datum, Record};
use crate::settings::{DefaultValue, Importance, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "copying fields from value to key";

pub(super) fn settings() -> Settings {
    let doc = "Field names on the record value to extract as the record key.";
    let fields = list_setting("fields", DefaultValue::Required, doc).importance(Importance::High).not_empty();
    Settings::from([fields, replace_null_setting()])
}

/// The transform.
#[derive(Debug)]
pub(super) struct ValueToKey {
    fields: Vec<String>,
    replace_null: bool,
    changed: Changed,
}

impl ValueToKey {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let replace_null = values.boolean("replace.null.with.default")?;
        let mut fields: Vec<String> = Vec::new();
        for field in values.list("fields")? {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        Ok(Self { fields, replace_null, changed: Changed::default() })
    }
}

impl Transform for ValueToKey {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let Some(schema) = record.value.schema.clone() else {
            let entries = require_map(record.value.value.clone(), PURPOSE)?;
            let key = |name: &String| {
                (Value::String(name.as_str().into()), entry(&entries, name).cloned().unwrap_or_default())
            };
            record.key = Datum::schemaless(Value::Map(self.fields.iter().map(key).collect()));
            return Ok(Some(record));
        };
        let values = require_struct(&schema, record.value.value.clone(), PURPOSE)?;
        let names = &self.fields;
        let key = self.changed.of(&schema, |schema| {
            let field = |name: &String| match schema.field(name) {
                Some(field) => Ok(field.clone()),
                None => refuse(format!("Field does not exist: {name}")),
            };
            Ok(ConnectSchema::new(struct_of(names.iter().map(field).collect::<Result<_, _>>()?)?))
        })?;
        let mut fields = Vec::with_capacity(names.len());
        for field in key.fields() {
            let value = values.get(&field.name).cloned();
            fields.push(put(field, or_default(field, value.unwrap_or_default(), self.replace_null))?);
        }
        record.key = Datum { schema: Some(key), value: Value::record(fields) };
        Ok(Some(record))
    }
}
