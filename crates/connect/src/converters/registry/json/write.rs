//! From schemas and data of the data model to JSON Schema's.

use bytestring::ByteString;

use super::super::map_entry;
use super::{ENUM, Json, ONE_OF, OWN};
use crate::error::ConnectError;
use crate::notation::json::write_string;
use crate::notation::text::{Meaning, decimal};
use crate::record::{ConnectSchema, Type};
use crate::schema::json::written;
use crate::value::Value;

/// An object in the making: names, and values as text.
#[derive(Default)]
struct Members(String);

impl Members {
    fn raw(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        write_string(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn text(&mut self, name: &str, value: &str) {
        let mut quoted = String::new();
        write_string(&mut quoted, value);
        self.raw(name, &quoted);
    }

    fn done(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

impl Json {
    /// The text of a schema; `index` is its place among the members of an object.
    pub(super) fn text(&self, schema: &ConnectSchema, index: Option<usize>) -> Result<String, ConnectError> {
        let is_union = schema.name.as_deref() == Some(ONE_OF);
        if !schema.optional && !is_union {
            return self.required(schema, index);
        }
        let mut of = if schema.optional { vec!["{\"type\":\"null\"}".to_owned()] } else { Vec::new() };
        if is_union {
            for (place, field) in schema.fields().iter().enumerate() {
                of.push(self.required(&field.schema, Some(place))?);
            }
        } else {
            of.push(self.required(schema, None)?);
        }
        let mut members = Members::default();
        members.raw("oneOf", &format!("[{}]", of.join(",")));
        place(&mut members, index);
        Ok(members.done())
    }

    fn required(&self, schema: &ConnectSchema, index: Option<usize>) -> Result<String, ConnectError> {
        let (word, connect) = match &schema.kind {
            Type::Boolean => ("boolean", ""),
            Type::Int8 => ("integer", "int8"),
            Type::Int16 => ("integer", "int16"),
            Type::Int32 => ("integer", "int32"),
            Type::Int64 => ("integer", "int64"),
            Type::Float32 => ("number", "float32"),
            Type::Float64 => ("number", "float64"),
            Type::String if schema.parameter(ENUM).is_some() => ("", ""),
            Type::String => ("string", ""),
            Type::Bytes if self.numeric && Meaning::of(Some(schema)) == Meaning::Decimal => {
                ("number", "bytes")
            }
            Type::Bytes => ("string", "bytes"),
            Type::Array(_) => ("array", ""),
            Type::Map(keys, _) if is_text(keys) => ("object", "map"),
            Type::Map(..) => ("array", "map"),
            Type::Struct(_) => ("object", ""),
        };
        let mut members = Members::default();
        if !word.is_empty() {
            members.text("type", word);
        }
        if let Some(name) = &schema.name {
            members.text("title", name);
        }
        if let Some(doc) = &schema.doc {
            members.text("description", doc);
        }
        if let Some(default) = &schema.default {
            members.raw("default", &self.default(schema, default)?);
        }
        place(&mut members, index);
        if !connect.is_empty() {
            members.text("connect.type", connect);
        }
        if let Some(version) = schema.version {
            members.raw("connect.version", &version.to_string());
        }
        let mut parameters = Members::default();
        for (name, value) in schema.parameters.iter().filter(|(name, _)| !name.starts_with(OWN)) {
            parameters.text(name, value);
        }
        if !parameters.0.is_empty() {
            members.raw("connect.parameters", &parameters.done());
        }
        self.inside(&mut members, schema)?;
        Ok(members.done())
    }

    /// What a schema says of what is in its data.
    fn inside(&self, members: &mut Members, schema: &ConnectSchema) -> Result<(), ConnectError> {
        match &schema.kind {
            Type::String if schema.parameter(ENUM).is_some() => {
                let prefix = format!("{ENUM}.");
                let symbols = schema.parameters.iter().filter(|(name, _)| name.starts_with(prefix.as_str()));
                let quoted = symbols.map(|(_, symbol)| {
                    let mut quoted = String::new();
                    write_string(&mut quoted, symbol);
                    quoted
                });
                members.raw("enum", &format!("[{}]", quoted.collect::<Vec<_>>().join(",")));
            }
            Type::Array(items) => members.raw("items", &self.text(items, None)?),
            Type::Map(keys, values) if is_text(keys) => {
                members.raw("additionalProperties", &self.text(values, None)?);
            }
            Type::Map(keys, values) => {
                let mut properties = Members::default();
                properties.raw("key", &self.text(keys, Some(0))?);
                properties.raw("value", &self.text(values, Some(1))?);
                let mut entry = Members::default();
                entry.text("type", "object");
                entry.raw("properties", &properties.done());
                members.raw("items", &entry.done());
            }
            Type::Struct(fields) => {
                let mut properties = Members::default();
                for (index, field) in fields.iter().enumerate() {
                    properties.raw(&field.name, &self.text(&field.schema, Some(index))?);
                }
                members.raw("properties", &properties.done());
                let must = |field: &&crate::record::Field| {
                    self.required && !field.schema.optional && field.schema.default.is_none()
                };
                let names = fields.iter().filter(must).map(|field| Value::String(field.name.clone()));
                let names: Vec<Value> = names.collect();
                if !names.is_empty() {
                    members.raw("required", &in_json(&Value::Array(names))?);
                }
                if !self.additional {
                    members.raw("additionalProperties", "false");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn default(&self, schema: &ConnectSchema, default: &Value) -> Result<String, ConnectError> {
        in_json(&self.value(schema, default)?)
    }

    /// Whether data of a schema is the same in JSON.
    pub(super) fn is_plain(&self, schema: &ConnectSchema) -> bool {
        schema.default.is_none()
            && match &schema.kind {
                Type::Bytes => !self.numeric || Meaning::of(Some(schema)) != Meaning::Decimal,
                Type::Array(items) => self.is_plain(items),
                Type::Map(keys, values) => is_text(keys) && self.is_plain(values),
                Type::Struct(fields) => {
                    schema.name.as_deref() != Some(ONE_OF)
                        && fields.iter().all(|field| self.is_plain(&field.schema))
                }
                _ => true,
            }
    }

    /// Data as JSON has it: maps with other keys than text as lists, the one member of a union that is there, defaults in the
    /// place of what is missing.
    pub(super) fn value(&self, schema: &ConnectSchema, given: &Value) -> Result<Value, ConnectError> {
        Ok(match (&schema.kind, given) {
            (_, Value::Null) => match &schema.default {
                Some(default) if *default != Value::Null => self.value(schema, default)?,
                _ => Value::Null,
            },
            (Type::Bytes, _) if self.numeric && Meaning::of(Some(schema)) == Meaning::Decimal => {
                number(schema, given)?
            }
            (Type::Array(items), Value::Array(list)) => {
                Value::Array(list.iter().map(|item| self.value(items, item)).collect::<Result<_, _>>()?)
            }
            (Type::Map(keys, values), Value::Map(entries)) if is_text(keys) => {
                let entry = |(key, item): &(Value, Value)| Ok((key.clone(), self.value(values, item)?));
                Value::Map(entries.iter().map(entry).collect::<Result<_, ConnectError>>()?)
            }
            (Type::Map(keys, values), Value::Map(entries)) => {
                let written = |(key, item): &(Value, Value)| {
                    Ok(map_entry(self.value(keys, key)?, self.value(values, item)?))
                };
                Value::Array(entries.iter().map(written).collect::<Result<_, ConnectError>>()?)
            }
            (Type::Struct(fields), Value::Struct(values)) if schema.name.as_deref() == Some(ONE_OF) => {
                let mut given = fields.iter().zip(values).filter(|(_, (_, item))| **item != Value::Null);
                match given.next() {
                    Some((field, (_, item))) => self.value(&field.schema, item)?,
                    None => Value::Null,
                }
            }
            (Type::Struct(fields), Value::Struct(values)) => {
                let fields = fields.iter().zip(values);
                let field = |(field, (name, item)): (&crate::record::Field, (&ByteString, &Value))| {
                    Ok((name.clone(), self.value(&field.schema, item)?))
                };
                Value::Struct(fields.map(field).collect::<Result<_, ConnectError>>()?)
            }
            (_, other) => other.clone(),
        })
    }
}

/// A decimal as a number, when one holds it exactly.
fn number(schema: &ConnectSchema, given: &Value) -> Result<Value, ConnectError> {
    let decimal = decimal(schema, given).ok_or_else(|| ConnectError::data("A decimal has no scale"))?;
    if let Some(whole) = decimal.to_i64_exact() {
        return Ok(Value::Int64(whole));
    }
    let double = decimal.to_f64();
    let shown = crate::notation::Decimal::read(&format!("{double:?}"));
    match shown.and_then(|shown| shown.rescaled(decimal.scale())) {
        Some(shown) if shown == decimal => Ok(Value::Float64(double)),
        _ => Err(ConnectError::data(format!(
            "The decimal {decimal} has more digits than a number of JSON keeps; use decimal.format=BASE64"
        ))),
    }
}

/// Whether keys are those of JSON's objects.
pub(super) fn is_text(keys: &ConnectSchema) -> bool {
    keys.kind == Type::String && !keys.optional
}

fn place(members: &mut Members, index: Option<usize>) {
    if let Some(index) = index {
        members.raw("connect.index", &index.to_string());
    }
}

fn in_json(value: &Value) -> Result<String, ConnectError> {
    let refuse = |error| ConnectError::data("A default cannot be written as JSON").because(error);
    let bytes = written(value).map_err(refuse)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
