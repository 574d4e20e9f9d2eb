//! Fields without their content: zero, empty, or a text that stands for all.

use bytes::Bytes;

use super::side::{Side, entry, or_default, put, refuse, require_map, require_struct, set_entry};
use super::{list_setting, replace_null_setting};
use crate::error::ConnectError;
use crate::notation::Decimal;
use crate::notation::text::{Meaning, class};
use crate::record::{ConnectSchema, Record};
use crate::settings::{DefaultValue, Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "mask fields";

pub(super) fn settings() -> Settings {
    let replacement = "Custom value replacement, that will be applied to all 'fields' values (numeric or non-empty string \
        values only).";
    Settings::from([
        list_setting("fields", DefaultValue::Required, "Names of fields to mask.")
            .importance(Importance::High)
            .not_empty(),
        Setting::optional("replacement", Kind::String, replacement).importance(Importance::Low).not_empty(),
        replace_null_setting(),
    ])
}

/// The transform.
#[derive(Debug)]
pub(super) struct MaskField {
    side: Side,
    fields: Vec<String>,
    replacement: Option<String>,
    replace_null: bool,
}

impl MaskField {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let replacement = values.optional_string("replacement")?.map(str::to_owned);
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, fields: values.list("fields")?.to_vec(), replacement, replace_null })
    }

    fn masked(&self, schema: Option<&ConnectSchema>, value: &Value) -> Result<Value, ConnectError> {
        match &self.replacement {
            _ if *value == Value::Null => Ok(Value::Null),
            None => empty(schema, value),
            Some(replacement) => replaced(schema, value, replacement),
        }
    }
}

impl Transform for MaskField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let mut entries = require_map(datum.value, PURPOSE)?;
            for name in &self.fields {
                let value =
                    entry(&entries, name).map_or(Ok(Value::Null), |value| self.masked(None, value))?;
                set_entry(&mut entries, name, value);
            }
            return Ok(Some(self.side.put(record, None, Value::Map(entries))));
        };
        let values = require_struct(&schema, datum.value, PURPOSE)?;
        let mut fields = Vec::with_capacity(values.len());
        for (field, value) in schema.fields().iter().zip(values.into_values()) {
            let value = or_default(field, value, self.replace_null);
            let is_masked = self.fields.iter().any(|name| field.name == *name);
            let value = if is_masked { self.masked(Some(&field.schema), &value)? } else { value };
            fields.push(put(field, value)?);
        }
        Ok(Some(self.side.put(record, Some(schema), Value::record(fields))))
    }
}

fn empty(schema: Option<&ConnectSchema>, value: &Value) -> Result<Value, ConnectError> {
    Ok(match value {
        Value::Boolean(_) => Value::Boolean(false),
        Value::Int8(_) => Value::Int8(0),
        Value::Int16(_) => Value::Int16(0),
        Value::Int32(_) => Value::Int32(0),
        Value::Int64(_) => Value::Int64(0),
        Value::Float32(_) => Value::Float32(0.0),
        Value::Float64(_) => Value::Float64(0.0),
        Value::String(_) => Value::String(bytestring::ByteString::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Map(_) => Value::Map(Vec::new()),
        Value::Bytes(_) if Meaning::of(schema) == Meaning::Decimal => Value::Bytes(Bytes::from_static(&[0])),
        _ => return refuse(format!("Cannot mask value of type: class {}", class(schema, value))),
    })
}

fn replaced(schema: Option<&ConnectSchema>, value: &Value, text: &str) -> Result<Value, ConnectError> {
    let class = class(schema, value);
    let number = |what: &str| {
        let why = format!("Unable to convert {text} (class java.lang.String) to {what}");
        Decimal::read(text).ok_or_else(|| ConnectError::data(why))
    };
    Ok(match value {
        _ if class == "java.util.Date" => return unmaskable(class),
        Value::Int8(_) => Value::Int8(number("a number")?.to_i64_wrapped() as i8),
        Value::Int16(_) => Value::Int16(number("a number")?.to_i64_wrapped() as i16),
        Value::Int32(_) => Value::Int32(number("a number")?.to_i64_wrapped() as i32),
        Value::Int64(_) => Value::Int64(number("a number")?.to_i64_wrapped()),
        Value::Float32(_) => Value::Float32(number("a number")?.to_f64() as f32),
        Value::Float64(_) => Value::Float64(number("a number")?.to_f64()),
        Value::String(_) => Value::String(text.into()),
        Value::Bytes(_) if class == "java.math.BigDecimal" => {
            let scale = schema.and_then(|schema| schema.parameter("scale")?.parse().ok()).unwrap_or(0);
            let decimal = number("number")?;
            match decimal.rescaled(scale) {
                Some(decimal) => Value::Bytes(decimal.unscaled_bytes().into()),
                None => {
                    return refuse(format!(
                        "the replacement {text} has more digits than a decimal of scale {scale} holds"
                    ));
                }
            }
        }
        _ => return unmaskable(class),
    })
}

fn unmaskable<T>(class: &str) -> Result<T, ConnectError> {
    refuse(format!("Cannot mask value of type class {class} with custom replacement."))
}
