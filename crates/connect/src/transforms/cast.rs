//! Fields, or the whole, in another type.

use super::side::{
    Changed, Entries, Side, entry, like, or_default, put, refuse, require_map, require_struct, set_entry,
    struct_of, with_default,
};
use super::{list_setting, replace_null_setting};
use crate::error::ConnectError;
use crate::notation::literal::moment;
use crate::notation::text::{Meaning, class, decimal, kind, millis, scalar};
use crate::record::{ConnectSchema, Field, Record, Type};
use crate::settings::{DefaultValue, Parsed, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "cast types";
const INPUTS: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]";
const OUTPUTS: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";

pub(super) fn settings() -> Settings {
    let doc = "List of fields and the type to cast them to of the form field1:type,field2:type to cast fields of Maps or \
        Structs. A single type to cast the entire value. Valid types are int8, int16, int32, int64, float32, float64, \
        boolean, and string. Note that binary fields can only be cast to string.";
    let spec = list_setting("spec", DefaultValue::Required, doc).checked(|value| match value {
        Parsed::List(list) if list.is_empty() => Err("Must specify at least one field to cast.".to_owned()),
        Parsed::List(list) => Spec::read(list).map(drop),
        _ => Ok(()),
    });
    Settings::from([
        Setting { importance: crate::settings::Importance::High, ..spec },
        replace_null_setting(),
    ])
}

/// What becomes what.
#[derive(Debug)]
enum Spec {
    Whole(Type),
    Fields(Vec<(String, Type)>),
}

impl Spec {
    fn read(list: &[String]) -> Result<Self, String> {
        let (mut whole, mut fields) = (None, Vec::<(String, Type)>::new());
        for item in list {
            let parts: Vec<&str> = item.trim_end_matches(':').split(':').collect();
            match parts.as_slice() {
                [shape] => whole = Some(output(shape)?),
                [field, shape] => {
                    // The last one of a field counts.
                    fields.retain(|(known, _)| known != field.trim());
                    fields.push((field.trim().to_owned(), output(shape)?));
                }
                _ => return Err(format!("Invalid rename mapping: {item}")),
            }
        }
        match whole {
            Some(_) if list.len() > 1 => {
                Err("Cast transformations that specify a type to cast the entire value to may \
                only specify a single cast in their spec"
                    .to_owned())
            }
            Some(shape) => Ok(Self::Whole(shape)),
            None => Ok(Self::Fields(fields)),
        }
    }
}

fn output(word: &str) -> Result<Type, String> {
    let word = word.trim();
    Ok(match word.to_ascii_uppercase().as_str() {
        "INT8" => Type::Int8,
        "INT16" => Type::Int16,
        "INT32" => Type::Int32,
        "INT64" => Type::Int64,
        "FLOAT32" => Type::Float32,
        "FLOAT64" => Type::Float64,
        "BOOLEAN" => Type::Boolean,
        "STRING" => Type::String,
        other @ ("BYTES" | "ARRAY" | "MAP" | "STRUCT") => {
            return Err(format!(
                "Cast transformation does not support casting to {other}; supported types are {OUTPUTS}"
            ));
        }
        _ => return Err(format!("Invalid type found in casting spec: {word}")),
    })
}

/// The transform.
#[derive(Debug)]
pub(super) struct Cast {
    side: Side,
    spec: Spec,
    replace_null: bool,
    changed: Changed,
}

impl Cast {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let spec = Spec::read(values.list("spec")?).map_err(ConnectError::config)?;
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, spec, replace_null, changed: Changed::default() })
    }

    fn target(&self, name: &str) -> Option<&Type> {
        match &self.spec {
            Spec::Whole(_) => None,
            Spec::Fields(fields) => {
                fields.iter().rev().find(|(field, _)| field == name).map(|(_, shape)| shape)
            }
        }
    }

    fn schemaless(&self, value: Value) -> Result<Value, ConnectError> {
        match &self.spec {
            Spec::Whole(shape) => cast(None, &value, shape),
            Spec::Fields(fields) => {
                let mut entries: Entries = require_map(value, PURPOSE)?;
                for (name, shape) in fields {
                    let value =
                        entry(&entries, name).map_or(Ok(Value::Null), |value| cast(None, value, shape))?;
                    set_entry(&mut entries, name, value);
                }
                Ok(Value::Map(entries))
            }
        }
    }
}

impl Transform for Cast {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        if self.side.of(&record).value == Value::Null {
            return Ok(Some(record));
        }
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let value = self.schemaless(datum.value)?;
            return Ok(Some(self.side.put(record, None, value)));
        };
        let spec = &self.spec;
        let updated = self.changed.of(&schema, |schema| change(spec, schema))?;
        let value = match &self.spec {
            Spec::Whole(shape) => cast(Some(&schema), &datum.value, shape)?,
            Spec::Fields(_) => {
                let mut fields = Vec::new();
                let values = require_struct(&schema, datum.value, PURPOSE)?;
                let fields_of_both = schema.fields().iter().zip(updated.fields());
                for ((field, new), value) in fields_of_both.zip(values.into_values()) {
                    let value = or_default(field, value, self.replace_null);
                    let value = match self.target(&field.name) {
                        Some(shape) => cast(Some(&field.schema), &value, shape)?,
                        None => value,
                    };
                    fields.push(put(new, value)?);
                }
                Value::record(fields)
            }
        };
        Ok(Some(self.side.put(record, Some(updated), value)))
    }
}

fn change(spec: &Spec, schema: &ConnectSchema) -> Result<ConnectSchema, ConnectError> {
    let mut changed = match spec {
        Spec::Whole(shape) => like(schema, shape.clone()),
        Spec::Fields(casts) => {
            let Type::Struct(fields) = &schema.kind else {
                return refuse("Cannot list fields on non-struct type");
            };
            let cast = |field: &Field| match casts.iter().rev().find(|(name, _)| field.name == *name) {
                Some((_, shape)) => change_field(field, shape),
                None => Ok(field.clone()),
            };
            like(schema, struct_of(fields.iter().map(cast).collect::<Result<_, _>>()?)?)
        }
    };
    changed.optional = schema.optional;
    match (&schema.default, spec) {
        (None, _) => Ok(changed),
        (Some(default), Spec::Whole(shape)) => with_default(changed, cast(Some(schema), default, shape)?),
        (Some(_), Spec::Fields(_)) => refuse(format!(
            "Cast transformation does not support casting from STRUCT; supported types are {INPUTS}"
        )),
    }
}

fn change_field(field: &Field, shape: &Type) -> Result<Field, ConnectError> {
    let mut schema = ConnectSchema::new(shape.clone());
    schema.optional = field.schema.optional;
    if let Some(default) = &field.schema.default {
        schema = with_default(schema, cast(Some(&field.schema), default, shape)?)?;
    }
    Ok(Field { name: field.name.clone(), schema: schema.into() })
}

/// A number of any kind, as casts see it.
enum Number {
    Whole(i64),
    Float(f64),
    Single(f32),
    Text(String),
}

fn cast(schema: Option<&ConnectSchema>, value: &Value, target: &Type) -> Result<Value, ConnectError> {
    if *value == Value::Null {
        return Ok(Value::Null);
    }
    let shape = schema.map_or_else(|| shape_of(value), |schema| kind(&schema.kind));
    if matches!(shape, "ARRAY" | "MAP" | "STRUCT") {
        return refuse(format!(
            "Cast transformation does not support casting from {shape}; supported types are {INPUTS}"
        ));
    }
    if *target == Type::String {
        return Ok(Value::String(text(schema, value).into()));
    }
    let number = match (Meaning::of(schema), value) {
        (Meaning::Decimal, Value::Bytes(_)) => return of_decimal(schema, value, target),
        (_, Value::Boolean(value)) => Number::Whole(i64::from(*value)),
        (_, Value::Int8(number)) => Number::Whole((*number).into()),
        (_, Value::Int16(number)) => Number::Whole((*number).into()),
        (_, Value::Int32(number)) => Number::Whole((*number).into()),
        (_, Value::Int64(number)) => Number::Whole(*number),
        (_, Value::Float32(number)) => Number::Single(*number),
        (_, Value::Float64(number)) => Number::Float(*number),
        (_, Value::String(text)) => Number::Text(text.to_string()),
        _ => {
            return refuse(format!("Unexpected type in Cast transformation: class {}", class(schema, value)));
        }
    };
    match number {
        Number::Text(text) => of_text(&text, target),
        Number::Whole(number) => Ok(of_whole(number, target)),
        Number::Single(number) if *target == Type::Float32 => Ok(Value::Float32(number)),
        Number::Single(number) => Ok(of_float(number.into(), target)),
        Number::Float(number) => Ok(of_float(number, target)),
    }
}

fn shape_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "ARRAY",
        Value::Map(_) => "MAP",
        Value::Struct(_) => "STRUCT",
        _ => "",
    }
}

fn text(schema: Option<&ConnectSchema>, value: &Value) -> String {
    millis(schema, value).map_or_else(|| scalar(schema, value), moment)
}

fn of_decimal(schema: Option<&ConnectSchema>, value: &Value, target: &Type) -> Result<Value, ConnectError> {
    let decimal = schema.and_then(|schema| decimal(schema, value));
    let Some(decimal) = decimal else { return refuse("Invalid Decimal schema: scale parameter not found.") };
    Ok(match target {
        Type::Float32 => Value::Float32(decimal.to_f32()),
        Type::Float64 => Value::Float64(decimal.to_f64()),
        _ => of_whole(decimal.to_i64_wrapped(), target),
    })
}

fn of_whole(number: i64, target: &Type) -> Value {
    match target {
        Type::Int8 => Value::Int8(number as i8),
        Type::Int16 => Value::Int16(number as i16),
        Type::Int32 => Value::Int32(number as i32),
        Type::Float32 => Value::Float32(number as f32),
        Type::Float64 => Value::Float64(number as f64),
        Type::Boolean => Value::Boolean(number != 0),
        _ => Value::Int64(number),
    }
}

/// Narrow types are reached by way of 32 bits.
fn of_float(number: f64, target: &Type) -> Value {
    match target {
        Type::Int8 => Value::Int8(number as i32 as i8),
        Type::Int16 => Value::Int16(number as i32 as i16),
        Type::Int32 => Value::Int32(number as i32),
        Type::Float32 => Value::Float32(number as f32),
        Type::Float64 => Value::Float64(number),
        Type::Boolean => Value::Boolean(number as i64 != 0),
        _ => Value::Int64(number as i64),
    }
}

fn of_text(text: &str, target: &Type) -> Result<Value, ConnectError> {
    let value = match target {
        Type::Int8 => text.parse().ok().map(Value::Int8),
        Type::Int16 => text.parse().ok().map(Value::Int16),
        Type::Int32 => text.parse().ok().map(Value::Int32),
        Type::Int64 => text.parse().ok().map(Value::Int64),
        Type::Float32 => float(text).and_then(|text| text.parse().ok()).map(Value::Float32),
        Type::Float64 => float(text).and_then(|text| text.parse().ok()).map(Value::Float64),
        _ => Some(Value::Boolean(text.eq_ignore_ascii_case("true"))),
    };
    value.map_or_else(|| refuse(format!("Value ({text}) was out of range for requested data type")), Ok)
}

/// A floating-point number as the JVM reads it: blanks around it and a letter behind it are allowed.
fn float(text: &str) -> Option<&str> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return Some(text);
    }
    let number = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    number.bytes().all(allowed).then_some(number)
}
