//! From JSON Schema and JSON to schemas and data of the data model.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;

use super::super::NESTING_MAX;
use super::{ENUM, ONE_OF};
use crate::error::ConnectError;
use crate::notation::Decimal;
use crate::notation::json::Json;
use crate::notation::text::{Meaning, kind};
use crate::record::{ConnectSchema, Field, Type};
use crate::schema::Referenced;
use crate::value::Value;

/// The most schemas that one text may stand for, since what is referred to counts wherever it is used.
const SCHEMAS_MAX: usize = 100_000;

/// Reads the text of a schema, with what it refers to. With `required`, members that are not required may be missing.
pub(super) fn schema(
    required: bool,
    text: &str,
    references: &[Referenced],
) -> Result<ConnectSchema, ConnectError> {
    let mut documents = vec![(String::new(), parsed(text)?)];
    for reference in references {
        documents.push((reference.name.clone(), parsed(&reference.text)?));
    }
    let mut reader = Reader { required, documents: &documents, open: Vec::new(), left: SCHEMAS_MAX };
    match documents.first() {
        Some((_, root)) => reader.schema(0, root, 0),
        None => refuse("There is no schema"),
    }
}

fn parsed(text: &str) -> Result<Json, ConnectError> {
    let json = Json::parse(&Bytes::copy_from_slice(text.as_bytes()));
    let json = json.map_err(|error| ConnectError::data("The schema cannot be read").because(error))?;
    Ok(json.unwrap_or(Json::Null))
}

fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

struct Reader<'a> {
    required: bool,
    /// The text, and those that it refers to, with their names.
    documents: &'a [(String, Json)],
    /// What is referred to and being read: documents and places in them.
    open: Vec<(usize, String)>,
    /// How many schemas may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    fn schema(
        &mut self,
        document: usize,
        json: &'a Json,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let Some(left) = self.left.checked_sub(1) else {
            return refuse(format!("The schema stands for more than {SCHEMAS_MAX} schemas"));
        };
        self.left = left;
        if depth > NESTING_MAX {
            return refuse("The schema nests too deep");
        }
        let list = |key: &str| match json.get(key) {
            Some(Json::Array(list)) => Some(list),
            _ => None,
        };
        let of = list("oneOf").or_else(|| list("anyOf")).filter(|_| json.get("properties").is_none());
        let mut schema = if let Some(target) = json.get("$ref").and_then(Json::text) {
            return self.referred(document, target, depth);
        } else if let Some(of) = of {
            self.union(document, of, depth)?
        } else if let Some(parts) = list("allOf").filter(|_| json.get("properties").is_none()) {
            self.all(document, parts, depth)?
        } else if let Some(symbols) = list("enum") {
            symbols_of(symbols)
        } else {
            self.typed(document, json, depth)?
        };
        decorate(&mut schema, json)?;
        Ok(schema)
    }

    fn referred(
        &mut self,
        document: usize,
        target: &str,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let (base, pointer) = target.split_once('#').unwrap_or((target, ""));
        let is_meant = |(name, _): &(String, Json)| *name == base;
        let place = match base {
            "" => Some(document),
            _ => self.documents.iter().position(is_meant).or_else(|| {
                // A relative address: of two documents beside each other, say.
                self.documents.iter().position(|(name, json)| {
                    let id = json.get("$id").and_then(Json::text).map_or("", |id| id);
                    id == base || name.rsplit('/').next() == base.rsplit('/').next()
                })
            }),
        };
        let root = place.and_then(|place| Some((place, &self.documents.get(place)?.1)));
        let found = root.and_then(|(place, root)| Some((place, root.pointer(pointer)?)));
        let Some((place, json)) = found else { return refuse(format!("The schema {target:?} is not known")) };
        let open = (place, pointer.to_owned());
        let is_root_again = pointer.is_empty() && place == 0 && depth > 0;
        if is_root_again || self.open.contains(&open) {
            return refuse(format!("The schema {target:?} contains itself, which data of Connect cannot"));
        }
        self.open.push(open);
        let schema = self.schema(place, json, depth + 1);
        self.open.pop();
        schema
    }

    /// One of several: null and another is that one, which may be missing.
    fn union(
        &mut self,
        document: usize,
        of: &'a [Json],
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let is_null =
            |json: &&Json| json.get("type").and_then(Json::text).is_some_and(|word| *word == "null");
        let others: Vec<&'a Json> = of.iter().filter(|json| !is_null(json)).collect();
        let optional = others.len() < of.len();
        if let ([only], true) = (others.as_slice(), of.len() == 2) {
            return Ok(self.schema(document, only, depth + 1)?.optional());
        }
        let members = others.into_iter().map(|json| self.schema(document, json, depth + 1));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        Ok(ConnectSchema { optional, ..one_of(members) })
    }

    /// All of several: objects are one with the members of all; of others the one counts that says most.
    fn all(
        &mut self,
        document: usize,
        parts: &'a [Json],
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let says = |key: &str| parts.iter().find(|part| part.get(key).is_some());
        if let Some(symbols) = says("enum") {
            return self.schema(document, symbols, depth + 1);
        }
        let mut fields: Vec<Field> = Vec::new();
        let mut other = None;
        for part in parts {
            let is_whole = ["type", "properties", "$ref", "oneOf", "anyOf", "allOf"];
            if !is_whole.iter().any(|key| part.get(key).is_some()) {
                continue;
            }
            let schema = self.schema(document, part, depth + 1)?;
            match &schema.kind {
                Type::Struct(own) => {
                    fields.extend(own.iter().cloned());
                    other.get_or_insert(schema);
                }
                _ => return Ok(schema),
            }
        }
        match other {
            Some(schema) => Ok(ConnectSchema { kind: Type::Struct(once_each(fields)), ..schema }),
            None => refuse("None of the schemas of allOf has a type"),
        }
    }

    fn typed(
        &mut self,
        document: usize,
        json: &'a Json,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let words: Vec<&str> = match json.get("type") {
            Some(Json::String(word)) => vec![word],
            Some(Json::Array(list)) => list.iter().filter_map(Json::text).map(|word| &**word).collect(),
            _ => match json.get("const") {
                Some(Json::String(_)) => vec!["string"],
                Some(Json::Boolean(_)) => vec!["boolean"],
                Some(Json::Number(number)) if number.is_integral() => vec!["integer"],
                Some(Json::Number(_)) => vec!["number"],
                _ if json.get("properties").is_some() => vec!["object"],
                _ if json.get("items").is_some() => vec!["array"],
                _ => return refuse("The schema says no type, so that data of Connect can have none"),
            },
        };
        let others: Vec<&str> = words.iter().copied().filter(|word| *word != "null").collect();
        let optional = others.len() < words.len();
        let schema = match others.as_slice() {
            [] => return refuse("The schema allows nothing but null"),
            [only] => self.of_type(document, json, only, depth)?,
            several => {
                let members = several.iter().map(|word| self.of_type(document, json, word, depth));
                one_of(members.collect::<Result<Vec<_>, _>>()?)
            }
        };
        Ok(ConnectSchema { optional, ..schema })
    }

    fn of_type(
        &mut self,
        document: usize,
        json: &'a Json,
        word: &str,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let connect = json.get("connect.type").and_then(Json::text).map_or("", |word| word);
        Ok(ConnectSchema::new(match (word, connect) {
            ("boolean", _) => Type::Boolean,
            ("integer" | "number", "int8") => Type::Int8,
            ("integer" | "number", "int16") => Type::Int16,
            ("integer" | "number", "int32") => Type::Int32,
            ("integer" | "number", "float32") => Type::Float32,
            ("integer" | "number", "float64") => Type::Float64,
            ("integer" | "number" | "string", "bytes") => Type::Bytes,
            ("integer", _) | ("number", "int64") => Type::Int64,
            ("number", _) => Type::Float64,
            ("string", _) => Type::String,
            ("array", _) => return self.array(document, json, connect == "map", depth),
            ("object", _) => return self.object(document, json, connect == "map", depth),
            (other, _) => return refuse(format!("The type {other:?} is none of JSON Schema")),
        }))
    }

    fn array(
        &mut self,
        document: usize,
        json: &'a Json,
        is_map: bool,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let Some(items @ Json::Object(_)) = json.get("items") else {
            return refuse("Array schema did not specify the items type");
        };
        let entry = items.get("properties").filter(|_| is_map);
        if let Some((key, value)) = entry.and_then(|entry| Some((entry.get("key")?, entry.get("value")?))) {
            let key = self.schema(document, key, depth + 1)?;
            let value = self.schema(document, value, depth + 1)?;
            return Ok(ConnectSchema::new(Type::Map(Arc::new(key), Arc::new(value))));
        }
        Ok(ConnectSchema::new(Type::Array(Arc::new(self.schema(document, items, depth + 1)?))))
    }

    /// An object with members of its own, or one that is a map.
    fn object(
        &mut self,
        document: usize,
        json: &'a Json,
        is_map: bool,
        depth: usize,
    ) -> Result<ConnectSchema, ConnectError> {
        let properties = match json.get("properties") {
            Some(Json::Object(properties)) if !is_map => properties.as_slice(),
            _ => &[],
        };
        if properties.is_empty()
            && let Some(values @ Json::Object(_)) = json.get("additionalProperties")
        {
            let values = self.schema(document, values, depth + 1)?;
            return Ok(ConnectSchema::new(Type::Map(ConnectSchema::of(Type::String), Arc::new(values))));
        }
        let required = match json.get("required") {
            Some(Json::Array(names)) => names.as_slice(),
            _ => &[],
        };
        let mut fields = Vec::with_capacity(properties.len());
        for (place, (name, property)) in properties.iter().enumerate() {
            let mut schema = self.schema(document, property, depth + 1)?;
            let is_required = required.iter().any(|known| known.text() == Some(name));
            schema.optional |= self.required && !is_required;
            let index = match property.get("connect.index") {
                Some(Json::Number(index)) => index.to_i64(),
                _ => i64::try_from(place).unwrap_or(i64::MAX),
            };
            fields.push((index, Field { name: name.clone(), schema: Arc::new(schema) }));
        }
        fields.sort_by_key(|(index, _)| *index);
        Ok(ConnectSchema::new(Type::Struct(fields.into_iter().map(|(_, field)| field).collect())))
    }
}

fn once_each(fields: Vec<Field>) -> Vec<Field> {
    let named = fields.into_iter().map(|field| (field.name, field.schema)).collect();
    let named = crate::notation::json::once_each(named);
    named.into_iter().map(|(name, schema)| Field { name, schema }).collect()
}

fn one_of(members: Vec<ConnectSchema>) -> ConnectSchema {
    let field = |(index, schema): (usize, ConnectSchema)| Field {
        name: format!("{ONE_OF}.field.{index}").into(),
        schema: Arc::new(schema.optional()),
    };
    ConnectSchema::new(Type::Struct(members.into_iter().enumerate().map(field).collect())).named(ONE_OF)
}

fn symbols_of(symbols: &[Json]) -> ConnectSchema {
    let is_null = |json: &&Json| **json == Json::Null;
    let mut schema = ConnectSchema::new(Type::String);
    schema.optional = symbols.contains(&Json::Null);
    schema.parameters.push((ENUM.into(), ByteString::new()));
    for symbol in symbols.iter().filter(|json| !is_null(json)) {
        let text = match symbol {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.digits().clone(),
            other => format!("{other:?}").into(),
        };
        schema.parameters.push((format!("{ENUM}.{text}").into(), text));
    }
    schema
}

/// What the properties of a schema say.
fn decorate(schema: &mut ConnectSchema, json: &Json) -> Result<(), ConnectError> {
    let text = |key: &str| json.get(key).and_then(Json::text).cloned();
    if let Some(title) = text("title") {
        schema.name = Some(title);
    }
    if let Some(doc) = text("description") {
        schema.doc = Some(doc);
    }
    if let Some(Json::Number(version)) = json.get("connect.version") {
        schema.version = version.int();
    }
    if let Some(Json::Object(parameters)) = json.get("connect.parameters") {
        let given = parameters.iter().filter_map(|(name, value)| Some((name.clone(), value.text()?.clone())));
        schema.parameters.extend(given);
    }
    if let Some(default) = json.get("default").filter(|default| **default != Json::Null) {
        let given = plain(default);
        schema.default = Some(value(schema, given)?);
    }
    Ok(())
}

/// A value of JSON as data without a schema.
fn plain(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Boolean(truth) => Value::Boolean(*truth),
        Json::Number(number) if number.is_integral() => Value::Int64(number.to_i64()),
        Json::Number(number) => Value::Float64(number.to_f64()),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(list) => Value::Array(list.iter().map(plain).collect()),
        Json::Object(members) => {
            Value::Struct(members.iter().map(|(name, item)| (name.clone(), plain(item))).collect())
        }
    }
}

/// Data as a schema has it, out of the widest types that JSON has.
pub(super) fn value(schema: &ConnectSchema, given: Value) -> Result<Value, ConnectError> {
    let wrong = |given: &Value| {
        let found = crate::notation::text::class(None, given);
        refuse(format!("Invalid type for {}: {found}", kind(&schema.kind)))
    };
    let outside = |_| ConnectError::data(format!("A number is beyond the range of {}", kind(&schema.kind)));
    Ok(match (&schema.kind, given) {
        (_, Value::Null) => match &schema.default {
            Some(default) => default.clone(),
            None if schema.optional => Value::Null,
            None => return refuse(format!("Invalid null value for required {} field", kind(&schema.kind))),
        },
        (Type::Struct(members), given) if schema.name.as_deref() == Some(ONE_OF) => member(members, given)?,
        (Type::Bytes, given) if Meaning::of(Some(schema)) == Meaning::Decimal => decimal(schema, given)?,
        (Type::Bytes, Value::String(text)) => {
            let bytes = STANDARD.decode(&*text);
            Value::Bytes(
                bytes.map_err(|error| ConnectError::data("Invalid bytes field").because(error))?.into(),
            )
        }
        (Type::Boolean, given @ Value::Boolean(_))
        | (Type::String, given @ Value::String(_))
        | (Type::Float64, given @ Value::Float64(_)) => given,
        (Type::String, given @ (Value::Int64(_) | Value::Float64(_) | Value::Boolean(_)))
            if schema.parameter(ENUM).is_some() =>
        {
            Value::String(crate::notation::text::scalar(None, &given).into())
        }
        (Type::Float32, Value::Int64(number)) => Value::Float32(number as f32),
        (Type::Float32, Value::Float64(number)) => Value::Float32(number as f32),
        (Type::Float64, Value::Int64(number)) => Value::Float64(number as f64),
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, given) => {
            let Some(number) = whole(&given) else { return wrong(&given) };
            match schema.kind {
                Type::Int8 => Value::Int8(number.try_into().map_err(outside)?),
                Type::Int16 => Value::Int16(number.try_into().map_err(outside)?),
                Type::Int32 => Value::Int32(number.try_into().map_err(outside)?),
                _ => Value::Int64(number),
            }
        }
        (Type::Array(items), Value::Array(list)) => {
            Value::Array(list.into_iter().map(|item| value(items, item)).collect::<Result<_, _>>()?)
        }
        (Type::Map(keys, values), Value::Struct(members)) => {
            let entry = |(name, item): (&ByteString, &Value)| {
                Ok((value(keys, Value::String(name.clone()))?, value(values, item.clone())?))
            };
            Value::Map(members.iter().map(entry).collect::<Result<_, ConnectError>>()?)
        }
        (Type::Map(keys, values), Value::Array(entries)) => {
            let entry = |entry: Value| -> Result<(Value, Value), ConnectError> {
                let Value::Struct(mut parts) = entry else { return refuse("An entry of a map is no object") };
                Ok((value(keys, parts.take("key"))?, value(values, parts.take("value"))?))
            };
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, ConnectError>>()?)
        }
        (Type::Struct(fields), Value::Struct(mut members)) => {
            let mut read = Vec::with_capacity(fields.len());
            for field in fields {
                let item = members.take(&field.name);
                let item = value(&field.schema, item).map_err(|error| within(&field.name, error))?;
                read.push((field.name.clone(), item));
            }
            Value::record(read)
        }
        (_, given) => return wrong(&given),
    })
}

fn within(name: &str, error: ConnectError) -> ConnectError {
    ConnectError { message: format!("{name}: {}", error.message), ..error }
}

fn whole(given: &Value) -> Option<i64> {
    match given {
        Value::Int64(number) => Some(*number),
        Value::Float64(number) => Decimal::read(&format!("{number:?}"))?.to_i64_exact(),
        _ => None,
    }
}

fn decimal(schema: &ConnectSchema, given: Value) -> Result<Value, ConnectError> {
    let number = match &given {
        Value::String(text) => {
            let bytes = STANDARD.decode(&**text);
            let refuse = |error| ConnectError::data("Invalid bytes for Decimal field").because(error);
            return Ok(Value::Bytes(bytes.map_err(refuse)?.into()));
        }
        Value::Int64(number) => Some(Decimal::of_integer(*number)),
        Value::Float64(number) => Decimal::read(&format!("{number:?}")),
        _ => None,
    };
    let scale = schema.parameter("scale").and_then(|scale| scale.parse().ok()).unwrap_or(0);
    match number.and_then(|number| number.rescaled(scale)) {
        Some(number) => Ok(Value::Bytes(number.unscaled_bytes().into())),
        None => refuse(format!("A decimal of scale {scale} cannot be {given:?}")),
    }
}

/// The member of a union that data is, by its shape.
fn member(members: &[Field], given: Value) -> Result<Value, ConnectError> {
    let Some(meant) = members.iter().position(|member| fits(&member.schema, &given)) else {
        return refuse("Did not find matching oneof field for data");
    };
    let mut given = Some(given);
    let field = |(place, member): (usize, &Field)| {
        let read = match given.take_if(|_| place == meant) {
            Some(given) => value(&member.schema, given)?,
            None => Value::Null,
        };
        Ok((member.name.clone(), read))
    };
    Ok(Value::Struct(members.iter().enumerate().map(field).collect::<Result<_, ConnectError>>()?))
}

fn fits(schema: &ConnectSchema, given: &Value) -> bool {
    match (&schema.kind, given) {
        (Type::Boolean, Value::Boolean(_))
        | (Type::String | Type::Bytes, Value::String(_))
        | (Type::Float32 | Type::Float64, Value::Int64(_) | Value::Float64(_))
        | (Type::Array(_), Value::Array(_))
        | (Type::Map(..), Value::Struct(_) | Value::Array(_)) => true,
        (Type::Bytes, Value::Int64(_) | Value::Float64(_)) => Meaning::of(Some(schema)) == Meaning::Decimal,
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, given) => whole(given).is_some(),
        (Type::Struct(members), given) if schema.name.as_deref() == Some(ONE_OF) => {
            members.iter().any(|member| fits(&member.schema, given))
        }
        (Type::Struct(_), Value::Struct(given)) => given.iter().all(|(name, _)| schema.field(name).is_some()),
        _ => false,
    }
}
