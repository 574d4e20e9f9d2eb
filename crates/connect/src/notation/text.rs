//! Data as text for people, and the words that Kafka Connect has for shapes and classes in its messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::time::{DAY, Pattern};
use super::{Decimal, double, single};
use crate::record::{ConnectSchema, DATE, DECIMAL, TIME, TIMESTAMP, Type};
use crate::value::Value;

/// What data without a meaning of its own stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing beyond its shape.
    Plain,
    /// A decimal.
    Decimal,
    /// A day.
    Date,
    /// A time of a day.
    Time,
    /// A moment.
    Timestamp,
}

impl Meaning {
    /// What the name of a schema says.
    #[must_use]
    pub fn of(schema: Option<&ConnectSchema>) -> Self {
        match schema.and_then(|schema| schema.name.as_deref()) {
            Some(DECIMAL) => Self::Decimal,
            Some(DATE) => Self::Date,
            Some(TIME) => Self::Time,
            Some(TIMESTAMP) => Self::Timestamp,
            _ => Self::Plain,
        }
    }
}

/// The decimal that bytes with this schema are.
#[must_use]
pub fn decimal(schema: &ConnectSchema, value: &Value) -> Option<Decimal> {
    match value {
        Value::Bytes(bytes) => Decimal::of_bytes(bytes, schema.parameter("scale")?.parse().ok()?),
        _ => None,
    }
}

/// The moment that a number with this schema is, in milliseconds since 1970.
#[must_use]
pub fn millis(schema: Option<&ConnectSchema>, value: &Value) -> Option<i64> {
    match (Meaning::of(schema), value) {
        (Meaning::Date, Value::Int32(days)) => Some(i64::from(*days) * DAY),
        (Meaning::Time, Value::Int32(millis)) => Some(i64::from(*millis)),
        (Meaning::Timestamp, Value::Int64(millis)) => Some(*millis),
        _ => None,
    }
}

/// The word for a shape.
#[must_use]
pub fn kind(kind: &Type) -> &'static str {
    match kind {
        Type::Boolean => "BOOLEAN",
        Type::Int8 => "INT8",
        Type::Int16 => "INT16",
        Type::Int32 => "INT32",
        Type::Int64 => "INT64",
        Type::Float32 => "FLOAT32",
        Type::Float64 => "FLOAT64",
        Type::String => "STRING",
        Type::Bytes => "BYTES",
        Type::Array(_) => "ARRAY",
        Type::Map(..) => "MAP",
        Type::Struct(_) => "STRUCT",
    }
}

/// The class that data has in the JVM.
#[must_use]
pub fn class(schema: Option<&ConnectSchema>, value: &Value) -> &'static str {
    if millis(schema, value).is_some() {
        return "java.util.Date";
    }
    if Meaning::of(schema) == Meaning::Decimal && matches!(value, Value::Bytes(_)) {
        return "java.math.BigDecimal";
    }
    match value {
        Value::Null => "null",
        Value::Boolean(_) => "java.lang.Boolean",
        Value::Int8(_) => "java.lang.Byte",
        Value::Int16(_) => "java.lang.Short",
        Value::Int32(_) => "java.lang.Integer",
        Value::Int64(_) => "java.lang.Long",
        Value::Float32(_) => "java.lang.Float",
        Value::Float64(_) => "java.lang.Double",
        Value::String(_) => "java.lang.String",
        Value::Bytes(_) => "[B",
        Value::Array(_) => "java.util.ArrayList",
        Value::Map(_) => "java.util.HashMap",
        Value::Struct(_) => "org.apache.kafka.connect.data.Struct",
    }
}

/// The schemas of what is inside a value.
pub(crate) fn inside(schema: Option<&ConnectSchema>) -> (Option<&ConnectSchema>, Option<&ConnectSchema>) {
    match schema.map(|schema| &schema.kind) {
        Some(Type::Array(items)) => (None, Some(items)),
        Some(Type::Map(keys, values)) => (Some(keys), Some(values)),
        _ => (None, None),
    }
}

/// The schema of a field of a struct.
pub(crate) fn of_field<'s>(schema: Option<&'s ConnectSchema>, name: &str) -> Option<&'s ConnectSchema> {
    schema?.field(name).map(|field| &*field.schema)
}

/// Data as the JVM's `toString` writes it: `[1, 2]`, `{key=value}`, `Struct{field=value}`. Bytes, for which it has no text,
/// are written in base 64.
#[must_use]
pub fn display(schema: Option<&ConnectSchema>, value: &Value) -> String {
    let mut text = String::new();
    write_display(&mut text, schema, value);
    text
}

fn write_display(text: &mut String, schema: Option<&ConnectSchema>, value: &Value) {
    if let Some(millis) = millis(schema, value) {
        let pattern = Pattern::new("EEE MMM dd HH:mm:ss z yyyy");
        return text.push_str(&pattern.map(|pattern| pattern.write(millis)).unwrap_or_default());
    }
    let (keys, values) = inside(schema);
    match value {
        Value::Array(items) => {
            text.push('[');
            separated(text, ", ", items, |text, item| write_display(text, values, item));
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            separated(text, ", ", entries, |text, (key, value)| {
                write_display(text, keys, key);
                text.push('=');
                write_display(text, values, value);
            });
            text.push('}');
        }
        Value::Struct(fields) => {
            text.push_str("Struct{");
            let given = fields.iter().filter(|(_, value)| **value != Value::Null);
            separated(text, ",", given, |text, (name, value)| {
                text.push_str(name);
                text.push('=');
                write_display(text, of_field(schema, name), value);
            });
            text.push('}');
        }
        simple => text.push_str(&scalar(schema, simple)),
    }
}

pub(crate) fn separated<T>(
    text: &mut String,
    separator: &str,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            text.push_str(separator);
        }
        write(text, item);
    }
}

/// What is neither time nor a container.
pub(crate) fn scalar(schema: Option<&ConnectSchema>, value: &Value) -> String {
    if let (Meaning::Decimal, Some(schema)) = (Meaning::of(schema), schema)
        && let Some(decimal) = decimal(schema, value)
    {
        return decimal.to_string();
    }
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::Int8(number) => number.to_string(),
        Value::Int16(number) => number.to_string(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float32(number) => single(*number),
        Value::Float64(number) => double(*number),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::Null | Value::Array(_) | Value::Map(_) | Value::Struct(_) => "null".to_owned(),
    }
}
