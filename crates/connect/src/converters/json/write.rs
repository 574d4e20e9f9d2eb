//! From data to JSON.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Style, schema};
use crate::error::ConnectError;
use crate::notation::json::{once_each, write_string};
use crate::notation::text::{Meaning, class, decimal, display, separated};
use crate::notation::time::DAY;
use crate::notation::{double, single};
use crate::record::{ConnectSchema, Type};
use crate::value::Value;

fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

/// Writes the value of a schema.
pub(super) fn value(
    text: &mut String,
    schema: Option<&ConnectSchema>,
    value: &Value,
    style: &Style,
) -> Result<(), ConnectError> {
    if *value == Value::Null {
        return null(text, schema, style);
    }
    let Some(schema) = schema else { return schemaless(text, value, style) };
    match Meaning::of(Some(schema)) {
        Meaning::Plain => shaped(text, schema, value, style),
        Meaning::Decimal => write_decimal(text, schema, value, style),
        meaning => time(text, meaning, value),
    }
}

fn null(text: &mut String, schema: Option<&ConnectSchema>, style: &Style) -> Result<(), ConnectError> {
    let default = schema.and_then(|schema| schema.default.as_ref());
    if let Some(default) = default.filter(|_| style.replace_null_with_default) {
        return value(text, schema, default, style);
    }
    if schema.is_some_and(|schema| !schema.optional) {
        return refuse("Conversion error: null value for field that is required and has no default value");
    }
    text.push_str("null");
    Ok(())
}

fn write_decimal(
    text: &mut String,
    schema: &ConnectSchema,
    value: &Value,
    style: &Style,
) -> Result<(), ConnectError> {
    match (decimal(schema, value), value) {
        (Some(decimal), _) if style.numeric_decimals => text.push_str(&decimal.to_string()),
        (Some(_), Value::Bytes(bytes)) => base64(text, bytes),
        (None, Value::Bytes(_)) => return refuse("Invalid Decimal schema: scale parameter not found."),
        _ => {
            let class = class(None, value);
            return refuse(format!("Invalid type for Decimal, expected BigDecimal but was class {class}"));
        }
    }
    Ok(())
}

fn time(text: &mut String, meaning: Meaning, value: &Value) -> Result<(), ConnectError> {
    let number = match (meaning, value) {
        (Meaning::Timestamp, Value::Int64(millis)) => *millis,
        (Meaning::Date | Meaning::Time, Value::Int32(number)) => i64::from(*number),
        _ => {
            let (word, class) = (format!("{meaning:?}"), class(None, value));
            return refuse(format!("Invalid type for {word}, expected Date but was class {class}"));
        }
    };
    if meaning == Meaning::Time && !(0..=DAY).contains(&number) {
        return refuse("Kafka Connect Time type should not have any date fields set to non-zero values.");
    }
    write_number(text, number);
    Ok(())
}

fn base64(text: &mut String, bytes: &[u8]) {
    text.push('"');
    STANDARD.encode_string(bytes, text);
    text.push('"');
}

fn write_number(text: &mut String, number: impl std::fmt::Display) {
    let _infallible = write!(text, "{number}");
}

/// What JSON has no number for is text.
fn float(text: &mut String, is_finite: bool, number: &str) {
    if is_finite {
        text.push_str(number);
    } else {
        write_string(text, number);
    }
}

/// Whether it was a value that has neither items nor fields.
fn simple(text: &mut String, value: &Value) -> bool {
    match value {
        Value::Boolean(value) => write_number(text, value),
        Value::Int8(number) => write_number(text, number),
        Value::Int16(number) => write_number(text, number),
        Value::Int32(number) => write_number(text, number),
        Value::Int64(number) => write_number(text, number),
        Value::Float32(number) => float(text, number.is_finite(), &single(*number)),
        Value::Float64(number) => float(text, number.is_finite(), &double(*number)),
        Value::String(string) => write_string(text, string),
        Value::Bytes(bytes) => base64(text, bytes),
        Value::Null | Value::Array(_) | Value::Map(_) | Value::Struct(_) => return false,
    }
    true
}

fn schemaless(text: &mut String, given: &Value, style: &Style) -> Result<(), ConnectError> {
    match given {
        Value::Array(items) => array(text, None, items, style),
        Value::Map(entries) => {
            let is_object = entries.iter().all(|(key, _)| matches!(key, Value::String(_)));
            map(text, is_object, (None, None), entries, style)
        }
        Value::Struct(fields) => {
            object(text, fields.iter().map(|(name, given)| (&**name, None, given)), style)
        }
        other => {
            if !simple(text, other) {
                text.push_str("null");
            }
            Ok(())
        }
    }
}

fn shaped(
    text: &mut String,
    schema: &ConnectSchema,
    given: &Value,
    style: &Style,
) -> Result<(), ConnectError> {
    match (&schema.kind, given) {
        (Type::Boolean, Value::Boolean(_))
        | (Type::Int8, Value::Int8(_))
        | (Type::Int16, Value::Int16(_))
        | (Type::Int32, Value::Int32(_))
        | (Type::Int64, Value::Int64(_))
        | (Type::Float32, Value::Float32(_))
        | (Type::Float64, Value::Float64(_))
        | (Type::String, Value::String(_))
        | (Type::Bytes, Value::Bytes(_)) => {
            simple(text, given);
            Ok(())
        }
        (Type::Array(schema), Value::Array(items)) => array(text, Some(schema), items, style),
        (Type::Map(keys, values), Value::Map(entries)) => {
            map(text, keys.kind == Type::String, (Some(keys), Some(values)), entries, style)
        }
        (Type::Struct(fields), Value::Struct(values)) => {
            if values.len() != fields.len()
                || fields.iter().zip(values).any(|(field, (name, _))| field.name != *name)
            {
                return refuse("Mismatching schema.");
            }
            let members = fields.iter().zip(values);
            object(text, members.map(|(field, (name, given))| (&**name, Some(&*field.schema), given)), style)
        }
        (shape, _) => {
            let class = class(None, given);
            let shape = if *shape == Type::Bytes { "bytes type" } else { schema::shown(schema) };
            refuse(format!("Invalid type for {shape}: class {class}"))
        }
    }
}

fn array(
    text: &mut String,
    schema: Option<&ConnectSchema>,
    items: &[Value],
    style: &Style,
) -> Result<(), ConnectError> {
    let mut result = Ok(());
    text.push('[');
    separated(text, ",", items, |text, item| {
        if result.is_ok() {
            result = value(text, schema, item, style);
        }
    });
    text.push(']');
    result
}

fn object<'v>(
    text: &mut String,
    members: impl Iterator<Item = (&'v str, Option<&'v ConnectSchema>, &'v Value)>,
    style: &Style,
) -> Result<(), ConnectError> {
    text.push('{');
    for (index, (name, schema, given)) in members.enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(text, name);
        text.push(':');
        value(text, schema, given, style)?;
    }
    text.push('}');
    Ok(())
}

fn map(
    text: &mut String,
    is_object: bool,
    (keys, values): (Option<&ConnectSchema>, Option<&ConnectSchema>),
    entries: &[(Value, Value)],
    style: &Style,
) -> Result<(), ConnectError> {
    if is_object {
        let members = entries.iter().map(|(key, given)| (display(keys, key), given)).collect();
        let members = once_each(members);
        return object(text, members.iter().map(|(key, given)| (key.as_str(), values, *given)), style);
    }
    text.push('[');
    for (index, (key, given)) in entries.iter().enumerate() {
        text.push_str(if index > 0 { ",[" } else { "[" });
        value(text, keys, key, style)?;
        text.push(',');
        value(text, values, given, style)?;
        text.push(']');
    }
    text.push(']');
    Ok(())
}
