//! From Avro's schemas to those of the data model.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::super::{Found, NESTING_MAX};
use super::write::{ENUM, MAP_ENTRY};
use crate::error::ConnectError;
use crate::notation::json::Json;
use crate::record::{ConnectSchema, DATE, DECIMAL, Field, TIME, TIMESTAMP, Type};
use crate::value::Value;

/// Reads the text of Avro's schema, with all that it refers to.
pub(super) fn schema(text: String) -> Result<Found, ConnectError> {
    let json = Json::parse(&Bytes::from(text));
    let json = json.map_err(|error| ConnectError::data("The schema cannot be read").because(error))?;
    let mut reader = Reader { named: HashMap::new() };
    let schema = reader.schema(&json.unwrap_or(Json::Null), "", 0)?;
    Ok(Found { is_plain: is_plain(&schema), schema: Arc::new(schema) })
}

fn is_plain(schema: &ConnectSchema) -> bool {
    match &schema.kind {
        Type::Int8 | Type::Int16 => false,
        Type::Array(items) => is_plain(items),
        Type::Map(keys, values) => keys.kind == Type::String && !keys.optional && is_plain(values),
        Type::Struct(fields) => fields.iter().all(|field| is_plain(&field.schema)),
        _ => true,
    }
}

/// Data as the data model has it: numbers of the narrow types, maps out of lists of entries.
pub(super) fn value(schema: &ConnectSchema, given: Value) -> Value {
    match (&schema.kind, given) {
        (Type::Int8, Value::Int32(number)) => Value::Int8(number as i8),
        (Type::Int16, Value::Int32(number)) => Value::Int16(number as i16),
        (Type::Array(items), Value::Array(list)) => {
            Value::Array(list.into_iter().map(|item| value(items, item)).collect())
        }
        (Type::Map(keys, values), Value::Map(entries)) => Value::Map(
            entries.into_iter().map(|(key, item)| (value(keys, key), value(values, item))).collect(),
        ),
        (Type::Map(keys, values), Value::Array(entries)) => {
            let entry = |mut entry: Value| {
                let parts = if let Value::Struct(parts) = &mut entry { parts.values_mut() } else { &mut [] };
                let mut parts = parts.iter_mut().map(std::mem::take);
                let (key, item) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                (value(keys, key), value(values, item))
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
        (Type::Struct(fields), Value::Struct(mut values)) => {
            for (field, item) in fields.iter().zip(values.values_mut()) {
                *item = value(&field.schema, std::mem::take(item));
            }
            Value::Struct(values)
        }
        (_, other) => other,
    }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

struct Reader {
    /// What names stand for; nothing while it is read.
    named: HashMap<String, Option<ConnectSchema>>,
}

impl Reader {
    fn schema(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<ConnectSchema, ConnectError> {
        if depth > NESTING_MAX {
            return refuse("The schema nests too deep");
        }
        match json {
            Json::String(word) => self.word(word, namespace),
            Json::Array(branches) => self.union(branches, namespace, depth),
            Json::Object(_) => self.object(json, namespace, depth),
            _ => refuse("The schema is none of Avro"),
        }
    }

    fn word(&self, word: &str, namespace: &str) -> Result<ConnectSchema, ConnectError> {
        if let Some(kind) = primitive(word) {
            return Ok(ConnectSchema::new(kind));
        }
        match self.named.get(word).or_else(|| self.named.get(&full(word, namespace))) {
            Some(Some(schema)) => Ok(schema.clone()),
            Some(None) => refuse(format!("The schema {word} contains itself, which data of Connect cannot")),
            None => refuse(format!("The schema {word} is not known")),
        }
    }

    fn union(
        &mut self,
        branches: &[Json],
        namespace: &str,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let is_null = |json: &&Json| json.text().is_some_and(|word| *word == "null");
        let mut others = branches.iter().filter(|branch| !is_null(branch));
        match (others.next(), others.next()) {
            (Some(only), None) => {
                let schema = self.schema(only, namespace, depth + 1)?;
                let optional = schema.optional || branches.len() > 1;
                Ok(ConnectSchema { optional, ..schema })
            }
            _ => refuse("Unions of several types have no schema of Connect"),
        }
    }

    fn object(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<ConnectSchema, ConnectError> {
        let mut schema = match json.get("type") {
            Some(Json::String(word)) => match &**word {
                "array" => self.array(json, namespace, depth)?,
                "map" => {
                    let values = self.inner(json, "values", namespace, depth)?;
                    ConnectSchema::new(Type::Map(ConnectSchema::of(Type::String), Arc::new(values)))
                }
                "record" | "error" => return self.record(json, namespace, depth),
                "enum" => return Ok(self.symbols(json, namespace)),
                "fixed" => return Ok(self.fixed(json, namespace)),
                word => self.word(word, namespace)?,
            },
            Some(inner) => self.schema(inner, namespace, depth + 1)?,
            None => return refuse("The schema has no type"),
        };
        decorate(&mut schema, json);
        Ok(schema)
    }

    fn inner(
        &mut self,
        json: &Json,
        key: &str,
        namespace: &str,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        self.schema(json.get(key).unwrap_or(&Json::Null), namespace, depth + 1)
    }

    fn array(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<ConnectSchema, ConnectError> {
        let items = self.inner(json, "items", namespace, depth)?;
        let is_entry =
            json.get("items").and_then(|items| items.get("connect.internal.type")).and_then(Json::text);
        match (is_entry, items.fields()) {
            (Some(entry), [key, value]) if *entry == MAP_ENTRY => {
                Ok(ConnectSchema::new(Type::Map(Arc::clone(&key.schema), Arc::clone(&value.schema))))
            }
            _ => Ok(ConnectSchema::new(Type::Array(Arc::new(items)))),
        }
    }

    fn record(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<ConnectSchema, ConnectError> {
        let name = name(json, namespace);
        let within = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        self.named.insert(name.clone(), None);
        let mut fields = Vec::new();
        if let Some(Json::Array(list)) = json.get("fields") {
            for item in list {
                let Some(name) = item.get("name").and_then(Json::text) else {
                    return refuse("A field has no name");
                };
                let mut schema = self.inner(item, "type", &within, depth)?;
                if let Some(doc) = item.get("doc").and_then(Json::text) {
                    schema.doc.get_or_insert(doc.clone());
                }
                let default =
                    item.get("default").map(|default| default_value(&schema, default)).unwrap_or_default();
                schema.default = Some(default).filter(|default| *default != Value::Null);
                fields.push(Field { name: name.clone(), schema: Arc::new(schema) });
            }
        }
        let mut schema = ConnectSchema::new(Type::Struct(fields)).named(name.as_str());
        decorate(&mut schema, json);
        self.named.insert(name, Some(schema.clone()));
        Ok(schema)
    }

    fn symbols(&mut self, json: &Json, namespace: &str) -> ConnectSchema {
        let name = name(json, namespace);
        let mut schema = ConnectSchema::new(Type::String);
        decorate(&mut schema, json);
        if schema.parameter(ENUM).is_none() {
            schema.parameters.push((ENUM.into(), name.as_str().into()));
            if let Some(Json::Array(symbols)) = json.get("symbols") {
                let parameter = |symbol: &ByteString| (format!("{ENUM}.{symbol}").into(), symbol.clone());
                schema.parameters.extend(symbols.iter().filter_map(Json::text).map(parameter));
            }
        }
        self.named.insert(name, Some(schema.clone()));
        schema
    }

    fn fixed(&mut self, json: &Json, namespace: &str) -> ConnectSchema {
        let name = name(json, namespace);
        let mut schema = ConnectSchema::new(Type::Bytes).named(name.as_str());
        if let Some(Json::Number(size)) = json.get("size") {
            schema.parameters.push(("connect.fixed.size".into(), size.to_i64().to_string().into()));
        }
        decorate(&mut schema, json);
        self.named.insert(name, Some(schema.clone()));
        schema
    }
}

fn primitive(word: &str) -> Option<Type> {
    Some(match word {
        "boolean" => Type::Boolean,
        "int" => Type::Int32,
        "long" => Type::Int64,
        "float" => Type::Float32,
        "double" => Type::Float64,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        _ => return None,
    })
}

fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn name(json: &Json, namespace: &str) -> String {
    let own = json.get("namespace").and_then(Json::text).map(ToString::to_string);
    full(json.get("name").and_then(Json::text).map_or("", |name| name), own.as_deref().unwrap_or(namespace))
}

/// What the properties of a schema say.
fn decorate(schema: &mut ConnectSchema, json: &Json) {
    let text = |key: &str| json.get(key).and_then(Json::text);
    match text("connect.type").map(|word| &**word) {
        Some("int8") => schema.kind = Type::Int8,
        Some("int16") => schema.kind = Type::Int16,
        _ => {}
    }
    if let Some(doc) = text("connect.doc").or_else(|| text("doc")) {
        schema.doc = Some(doc.clone());
    }
    if let Some(Json::Number(version)) = json.get("connect.version") {
        schema.version = version.int();
    }
    if let Some(Json::Object(parameters)) = json.get("connect.parameters") {
        let given = parameters.iter().filter_map(|(name, value)| Some((name.clone(), value.text()?.clone())));
        schema.parameters = given.collect();
    }
    let logical = match (text("logicalType").map(|word| &**word), &schema.kind) {
        (Some("decimal"), Type::Bytes) => Some(DECIMAL),
        (Some("date"), Type::Int32) => Some(DATE),
        (Some("time-millis"), Type::Int32) => Some(TIME),
        (Some("timestamp-millis"), Type::Int64) => Some(TIMESTAMP),
        _ => None,
    };
    if let Some(logical) = logical {
        schema.name = Some(ByteString::from_static(logical));
        schema.version.get_or_insert(1);
        if logical == DECIMAL && schema.parameter("scale").is_none() {
            let scale = if let Some(Json::Number(scale)) = json.get("scale") { scale.to_i64() } else { 0 };
            schema.parameters.push(("scale".into(), scale.to_string().into()));
        }
    }
    if let Some(name) = text("connect.name") {
        schema.name = Some(name.clone());
    }
}

fn default_value(schema: &ConnectSchema, json: &Json) -> Value {
    match (&schema.kind, json) {
        (Type::Boolean, Json::Boolean(value)) => Value::Boolean(*value),
        (Type::Int8, Json::Number(number)) => Value::Int8(number.to_i64() as i8),
        (Type::Int16, Json::Number(number)) => Value::Int16(number.to_i64() as i16),
        (Type::Int32, Json::Number(number)) => Value::Int32(number.to_i64() as i32),
        (Type::Int64, Json::Number(number)) => Value::Int64(number.to_i64()),
        (Type::Float32, Json::Number(number)) => Value::Float32(number.to_f32()),
        (Type::Float64, Json::Number(number)) => Value::Float64(number.to_f64()),
        (Type::String, Json::String(text)) => Value::String(text.clone()),
        (Type::Bytes, Json::String(text)) => Value::Bytes(text.chars().map(|letter| letter as u8).collect()),
        (Type::Array(items), Json::Array(list)) => {
            Value::Array(list.iter().map(|item| default_value(items, item)).collect())
        }
        (Type::Map(_, values), Json::Object(members)) => {
            let entry =
                |(key, item): &(ByteString, Json)| (Value::String(key.clone()), default_value(values, item));
            Value::Map(members.iter().map(entry).collect())
        }
        (Type::Struct(fields), Json::Object(_)) => {
            let field = |field: &Field| {
                let given = json.get(&field.name).map(|item| default_value(&field.schema, item));
                let value = given.or_else(|| field.schema.default.clone()).unwrap_or_default();
                (field.name.clone(), value)
            };
            Value::Struct(fields.iter().map(field).collect())
        }
        _ => Value::Null,
    }
}
