//! From schemas of the data model to Avro's.

use std::collections::HashMap;

use super::super::map_entry;
use crate::error::ConnectError;
use crate::notation::json::write_string;
use crate::notation::text::{Meaning, decimal, separated};
use crate::notation::{double, single};
use crate::record::{ConnectSchema, Type};
use crate::value::Value;

/// The namespace of what has no name.
pub(super) const NAMESPACE: &str = "io.confluent.connect.avro";
/// The record that an entry of a map becomes when its keys are not text.
pub(super) const MAP_ENTRY: &str = "MapEntry";
/// The parameter that a text has which is a symbol of an enum; behind a dot, its symbols.
pub(super) const ENUM: &str = "io.confluent.connect.avro.Enum";
/// How many digits decimals may have, since their schemas do not say it.
const PRECISION: &str = "64";

/// The text of Avro's schema.
pub(super) fn text(schema: &ConnectSchema) -> Result<String, ConnectError> {
    let mut writer = Writer { named: HashMap::new(), nameless: 0 };
    let mut text = String::new();
    writer.schema(&mut text, schema)?;
    Ok(text)
}

/// Whether data of a schema is the same in Avro.
pub(super) fn is_plain(schema: &ConnectSchema) -> bool {
    schema.default.is_none()
        && match &schema.kind {
            Type::Array(items) => is_plain(items),
            Type::Map(keys, values) => is_text(keys) && is_plain(values),
            Type::Struct(fields) => fields.iter().all(|field| is_plain(&field.schema)),
            _ => true,
        }
}

/// Whether keys are those of Avro's maps.
fn is_text(keys: &ConnectSchema) -> bool {
    keys.kind == Type::String && !keys.optional
}

/// Data as Avro has it: maps with other keys than text as lists, defaults in the place of what is missing.
pub(super) fn value(schema: &ConnectSchema, given: &Value) -> Value {
    match (&schema.kind, given) {
        (_, Value::Null) => {
            schema.default.as_ref().map(|default| undefaulted(schema, default)).unwrap_or_default()
        }
        (Type::Array(items), Value::Array(list)) => {
            Value::Array(list.iter().map(|item| value(items, item)).collect())
        }
        (Type::Map(keys, values), Value::Map(entries)) if is_text(keys) => {
            Value::Map(entries.iter().map(|(key, item)| (key.clone(), value(values, item))).collect())
        }
        (Type::Map(keys, values), Value::Map(entries)) => {
            let written = |(key, item): &(Value, Value)| map_entry(value(keys, key), value(values, item));
            Value::Array(entries.iter().map(written).collect())
        }
        (Type::Struct(fields), Value::Struct(values)) => {
            let fields = fields.iter().zip(values);
            Value::Struct(
                fields.map(|(field, (name, item))| (name.clone(), value(&field.schema, item))).collect(),
            )
        }
        (_, other) => other.clone(),
    }
}

fn undefaulted(schema: &ConnectSchema, default: &Value) -> Value {
    if *default == Value::Null { Value::Null } else { value(schema, default) }
}

struct Writer {
    /// What was written under a name.
    named: HashMap<String, ConnectSchema>,
    /// Structs without a name.
    nameless: usize,
}

impl Writer {
    fn schema(&mut self, text: &mut String, schema: &ConnectSchema) -> Result<(), ConnectError> {
        if !schema.optional {
            return self.required(text, schema);
        }
        // The type of a default comes first.
        let has_default = schema.default.is_some();
        text.push_str(if has_default { "[" } else { "[\"null\"," });
        self.required(text, schema)?;
        text.push_str(if has_default { ",\"null\"]" } else { "]" });
        Ok(())
    }

    fn required(&mut self, text: &mut String, schema: &ConnectSchema) -> Result<(), ConnectError> {
        let properties = properties(schema);
        let primitive = match &schema.kind {
            Type::Boolean => "boolean",
            Type::Int8 | Type::Int16 | Type::Int32 => "int",
            Type::Int64 => "long",
            Type::Float32 => "float",
            Type::Float64 => "double",
            Type::String if schema.parameter(ENUM).is_some() => {
                return self.symbols(text, schema, &properties);
            }
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Array(items) => {
                text.push_str("{\"type\":\"array\",\"items\":");
                self.schema(text, items)?;
                return finish(text, &properties);
            }
            Type::Map(keys, values) => return self.map(text, keys, values, &properties),
            Type::Struct(_) => return self.record(text, schema, &properties),
        };
        if properties.is_empty() {
            write_string(text, primitive);
            return Ok(());
        }
        text.push_str("{\"type\":");
        write_string(text, primitive);
        finish(text, &properties)
    }

    fn map(
        &mut self,
        text: &mut String,
        keys: &ConnectSchema,
        values: &ConnectSchema,
        properties: &str,
    ) -> Result<(), ConnectError> {
        if is_text(keys) {
            text.push_str("{\"type\":\"map\",\"values\":");
            self.schema(text, values)?;
            return finish(text, properties);
        }
        self.nameless += 1;
        let name = numbered(MAP_ENTRY, self.nameless);
        text.push_str(&format!(
            "{{\"type\":\"array\",\"items\":{{\"type\":\"record\",\"name\":\"{name}\",\"namespace\":\"{NAMESPACE}\",\"fields\":[{{\"name\":\"key\",\"type\":"
        ));
        self.schema(text, keys)?;
        text.push_str("},{\"name\":\"value\",\"type\":");
        self.schema(text, values)?;
        text.push_str("}],\"connect.internal.type\":\"MapEntry\"}");
        finish(text, properties)
    }

    /// Says a name that was written before, or remembers it.
    fn is_known(
        &mut self,
        text: &mut String,
        name: &str,
        schema: &ConnectSchema,
    ) -> Result<bool, ConnectError> {
        let plain = ConnectSchema { optional: false, default: None, ..schema.clone() };
        match self.named.get(name) {
            Some(known) if *known == plain => {
                write_string(text, name);
                Ok(true)
            }
            Some(_) => Err(ConnectError::data(format!(
                "The name {name} stands for two schemas, which Avro does not allow"
            ))),
            None => {
                self.named.insert(name.to_owned(), plain);
                Ok(false)
            }
        }
    }

    fn record(
        &mut self,
        text: &mut String,
        schema: &ConnectSchema,
        properties: &str,
    ) -> Result<(), ConnectError> {
        let name = match &schema.name {
            Some(name) => name.to_string(),
            None => {
                self.nameless += 1;
                format!("{NAMESPACE}.{}", numbered("ConnectDefault", self.nameless))
            }
        };
        if self.is_known(text, &name, schema)? {
            return Ok(());
        }
        text.push_str("{\"type\":\"record\"");
        write_name(text, &name);
        text.push_str(",\"fields\":[");
        for (index, field) in schema.fields().iter().enumerate() {
            text.push_str(if index > 0 { ",{\"name\":" } else { "{\"name\":" });
            write_string(text, &field.name);
            text.push_str(",\"type\":");
            self.schema(text, &field.schema)?;
            if let Some(doc) = &field.schema.doc {
                text.push_str(",\"doc\":");
                write_string(text, doc);
            }
            match &field.schema.default {
                Some(default) => {
                    text.push_str(",\"default\":");
                    write_default(text, &field.schema, default)?;
                }
                None if field.schema.optional => text.push_str(",\"default\":null"),
                None => {}
            }
            text.push('}');
        }
        text.push(']');
        finish(text, properties)
    }

    fn symbols(
        &mut self,
        text: &mut String,
        schema: &ConnectSchema,
        properties: &str,
    ) -> Result<(), ConnectError> {
        let name = schema.parameter(ENUM).unwrap_or_default().to_owned();
        if self.is_known(text, &name, schema)? {
            return Ok(());
        }
        text.push_str("{\"type\":\"enum\"");
        write_name(text, &name);
        text.push_str(",\"symbols\":[");
        let prefix = format!("{ENUM}.");
        let symbols = schema.parameters.iter().filter_map(|(name, _)| name.strip_prefix(prefix.as_str()));
        separated(text, ",", symbols, write_string);
        text.push(']');
        finish(text, properties)
    }
}

fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}{number}") }
}

fn write_name(text: &mut String, name: &str) {
    let (namespace, simple) =
        name.rsplit_once('.').map_or((None, name), |(space, simple)| (Some(space), simple));
    text.push_str(",\"name\":");
    write_string(text, simple);
    if let Some(namespace) = namespace {
        text.push_str(",\"namespace\":");
        write_string(text, namespace);
    }
}

fn finish(text: &mut String, properties: &str) -> Result<(), ConnectError> {
    text.push_str(properties);
    text.push('}');
    Ok(())
}

/// What Avro has no word for, each with a comma before it.
fn properties(schema: &ConnectSchema) -> String {
    let mut text = String::new();
    let mut add = |key: &str, value: &str| {
        text.push_str(&format!(",\"{key}\":"));
        write_string(&mut text, value);
    };
    match schema.kind {
        Type::Int8 => add("connect.type", "int8"),
        Type::Int16 => add("connect.type", "int16"),
        _ => {}
    }
    if Meaning::of(Some(schema)) == Meaning::Decimal
        && let Some(scale) = schema.parameter("scale").and_then(|scale| scale.parse::<i32>().ok())
    {
        text.push_str(&format!(",\"scale\":{scale},\"precision\":{PRECISION}"));
    }
    if let Some(doc) = &schema.doc {
        text.push_str(",\"connect.doc\":");
        write_string(&mut text, doc);
    }
    if let Some(version) = schema.version {
        text.push_str(&format!(",\"connect.version\":{version}"));
    }
    if !schema.parameters.is_empty() {
        text.push_str(",\"connect.parameters\":{");
        separated(&mut text, ",", &schema.parameters, |text, (name, value)| {
            write_string(text, name);
            text.push(':');
            write_string(text, value);
        });
        text.push('}');
    }
    if let Some(name) = &schema.name {
        text.push_str(",\"connect.name\":");
        write_string(&mut text, name);
    }
    let logical = match Meaning::of(Some(schema)) {
        Meaning::Plain => return text,
        Meaning::Decimal => "decimal",
        Meaning::Date => "date",
        Meaning::Time => "time-millis",
        Meaning::Timestamp => "timestamp-millis",
    };
    text.push_str(&format!(",\"logicalType\":\"{logical}\""));
    text
}

/// A default, as Avro's schemas write it: bytes are text of their code points.
fn write_default(text: &mut String, schema: &ConnectSchema, given: &Value) -> Result<(), ConnectError> {
    match (&schema.kind, given) {
        (_, Value::Null) => text.push_str("null"),
        (_, Value::Boolean(value)) => text.push_str(if *value { "true" } else { "false" }),
        (_, Value::Int8(number)) => text.push_str(&number.to_string()),
        (_, Value::Int16(number)) => text.push_str(&number.to_string()),
        (_, Value::Int32(number)) => text.push_str(&number.to_string()),
        (_, Value::Int64(number)) => text.push_str(&number.to_string()),
        (_, Value::Float32(number)) if number.is_finite() => text.push_str(&single(*number)),
        (_, Value::Float64(number)) if number.is_finite() => text.push_str(&double(*number)),
        (_, Value::String(string)) => write_string(text, string),
        (_, Value::Bytes(bytes)) if decimal(schema, given).is_some() || schema.kind == Type::Bytes => {
            write_string(text, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
        }
        (Type::Array(items), Value::Array(list)) => {
            text.push('[');
            for (index, item) in list.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                write_default(text, items, item)?;
            }
            text.push(']');
        }
        (Type::Map(keys, values), Value::Map(entries)) if is_text(keys) => {
            let mut separator = "{";
            for (key, item) in entries {
                let Value::String(key) = key else { continue };
                text.push_str(separator);
                write_string(text, key);
                text.push(':');
                write_default(text, values, item)?;
                separator = ",";
            }
            text.push_str(if entries.is_empty() { "{}" } else { "}" });
        }
        (Type::Struct(fields), Value::Struct(values)) => {
            let mut separator = "{";
            for (field, (name, item)) in fields.iter().zip(values) {
                text.push_str(separator);
                write_string(text, name);
                text.push(':');
                write_default(text, &field.schema, item)?;
                separator = ",";
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
        _ => return Err(ConnectError::data("A default cannot be written as Avro")),
    }
    Ok(())
}
