//! From JSON to data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Style, schema};
use crate::error::ConnectError;
use crate::notation::Decimal;
use crate::notation::json::{Json, Number};
use crate::notation::text::Meaning;
use crate::notation::time::DAY;
use crate::record::{ConnectSchema, Field, Type};
use crate::schema_check::require_valid;
use crate::value::Value;

fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

/// The value of a schema that JSON stands for. What is no number counts as 0 where one is expected, as in Kafka.
pub(super) fn value(
    schema: Option<&ConnectSchema>,
    json: &Json,
    style: &Style,
) -> Result<Value, ConnectError> {
    let Some(schema) = schema else { return Ok(schemaless(json)) };
    if *json == Json::Null {
        return match &schema.default {
            Some(default) if style.replace_null_with_default => Ok(default.clone()),
            _ if schema.optional => Ok(Value::Null),
            _ => refuse(format!("Invalid null value for required {} field", schema::shown(schema))),
        };
    }
    match Meaning::of(Some(schema)) {
        Meaning::Plain => shaped(schema, json, style),
        Meaning::Decimal => decimal(schema, json),
        Meaning::Date => Ok(Value::Int32(int("Date", json)?)),
        Meaning::Time => {
            let millis = int("Time", json)?;
            if !(0..=DAY).contains(&i64::from(millis)) {
                return refuse(
                    "Time values must use number of milliseconds greater than 0 and less than 86400000",
                );
            }
            Ok(Value::Int32(millis))
        }
        Meaning::Timestamp => match json {
            Json::Number(number) if number.is_integral() => Ok(Value::Int64(number.to_i64())),
            other => refuse(format!(
                "Invalid type for Timestamp, underlying representation should be integral but was {}",
                other.kind()
            )),
        },
    }
}

/// Data without a schema.
pub(super) fn schemaless(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Boolean(value) => Value::Boolean(*value),
        Json::Number(number) if number.is_integral() => Value::Int64(number.to_i64()),
        Json::Number(number) => Value::Float64(number.to_f64()),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(schemaless).collect()),
        Json::Object(members) => {
            let entry = |(key, value): &(bytestring::ByteString, Json)| {
                (Value::String(key.clone()), schemaless(value))
            };
            Value::Map(members.iter().map(entry).collect())
        }
    }
}

fn int(word: &str, json: &Json) -> Result<i32, ConnectError> {
    let number = if let Json::Number(number) = json { number.int() } else { None };
    number.map_or_else(
        || {
            let kind = json.kind();
            refuse(format!(
                "Invalid type for {word}, underlying representation should be integer but was {kind}"
            ))
        },
        Ok,
    )
}

fn decimal(schema: &ConnectSchema, json: &Json) -> Result<Value, ConnectError> {
    let broken = || ConnectError::data("Invalid bytes for Decimal field");
    let scale = schema.parameter("scale").and_then(|scale| scale.parse::<i32>().ok());
    match json {
        Json::Number(number) => {
            let scale = scale.ok_or_else(broken)?;
            let decimal = number.decimal().ok_or_else(broken)?;
            rescaled(&decimal, scale)
        }
        Json::String(text) => {
            let bytes = base64(text).filter(|bytes| !bytes.is_empty());
            scale.and(bytes).map(Value::Bytes).ok_or_else(broken)
        }
        other => refuse(format!(
            "Invalid type for Decimal, underlying representation should be numeric or bytes but was {}",
            other.kind()
        )),
    }
}

fn rescaled(decimal: &Decimal, scale: i32) -> Result<Value, ConnectError> {
    match decimal.rescaled(scale) {
        Some(decimal) => Ok(Value::Bytes(decimal.unscaled_bytes().into())),
        None => refuse(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has scale {}.",
            decimal.scale()
        )),
    }
}

fn base64(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}

fn shaped(schema: &ConnectSchema, json: &Json, style: &Style) -> Result<Value, ConnectError> {
    let number = if let Json::Number(number) = json { Some(number) } else { None };
    let whole = || number.map_or(0, Number::to_i64);
    Ok(match &schema.kind {
        Type::Boolean => Value::Boolean(*json == Json::Boolean(true)),
        Type::Int8 => Value::Int8(whole() as i8),
        Type::Int16 => Value::Int16(whole() as i16),
        Type::Int32 => Value::Int32(whole() as i32),
        Type::Int64 => Value::Int64(whole()),
        Type::Float32 => Value::Float32(number.map_or(0.0, Number::to_f32)),
        Type::Float64 => Value::Float64(number.map_or(0.0, Number::to_f64)),
        Type::String => json.text().cloned().map_or(Value::Null, Value::String),
        Type::Bytes => match json.text() {
            Some(text) => {
                Value::Bytes(base64(text).ok_or_else(|| ConnectError::data("Invalid bytes field"))?)
            }
            None => Value::Null,
        },
        Type::Array(items) => array(items, json, style)?,
        Type::Map(keys, values) => map(keys, values, json, style)?,
        Type::Struct(fields) => structure(fields, json, style)?,
    })
}

fn array(items: &ConnectSchema, json: &Json, style: &Style) -> Result<Value, ConnectError> {
    let item = |json| value(Some(items), json, style);
    let list: Result<Vec<Value>, ConnectError> = match json {
        Json::Array(list) => list.iter().map(item).collect(),
        Json::Object(members) => members.iter().map(|(_, json)| item(json)).collect(),
        _ => Ok(Vec::new()),
    };
    Ok(Value::Array(list?))
}

fn map(
    keys: &ConnectSchema,
    values: &ConnectSchema,
    json: &Json,
    style: &Style,
) -> Result<Value, ConnectError> {
    let mut entries = Vec::new();
    if keys.kind == Type::String {
        let Json::Object(members) = json else {
            let kind = json.kind();
            return refuse(format!(
                "Maps with string fields should be encoded as JSON objects, but found {kind}"
            ));
        };
        for (key, json) in members {
            entries.push((Value::String(key.clone()), value(Some(values), json, style)?));
        }
        return Ok(Value::Map(entries));
    }
    let Json::Array(list) = json else {
        let kind = json.kind();
        return refuse(format!(
            "Maps with non-string fields should be encoded as JSON array of tuples, but found {kind}"
        ));
    };
    for entry in list {
        match entry {
            Json::Array(pair) => match pair.as_slice() {
                [key, json] => {
                    let key = value(Some(keys), key, style)?;
                    entries.push((key, value(Some(values), json, style)?));
                }
                other => {
                    let length = other.len();
                    return refuse(format!("Found invalid map entry, expected length 2 but found :{length}"));
                }
            },
            other => {
                let kind = other.kind();
                return refuse(format!("Found invalid map entry instead of array tuple: {kind}"));
            }
        }
    }
    Ok(Value::Map(entries))
}

fn structure(fields: &[Field], json: &Json, style: &Style) -> Result<Value, ConnectError> {
    let Json::Object(members) = json else {
        return refuse(format!("Structs should be encoded as JSON objects, but found {}", json.kind()));
    };
    let mut values = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        // Members mostly come in the order of the schema.
        let member = match members.get(index) {
            Some((key, json)) if *key == field.name => Some(json),
            _ => json.get(&field.name),
        };
        let value = value(Some(&field.schema), member.unwrap_or(&Json::Null), style)?;
        require_valid(&field.schema, &value, &format!("field: \"{}\"", field.name))?;
        values.push((field.name.clone(), value));
    }
    Ok(Value::record(values))
}
