//! Schemas as JSON.

use std::sync::Arc;

use super::{Style, read, write};
use crate::error::ConnectError;
use crate::notation::json::{Json, once_each, write_string};
use crate::notation::text::kind;
use crate::record::{ConnectSchema, Field, Type};
use crate::schema_check::require_valid;
use crate::value::Value;

fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

/// The schema that JSON says; none for `null`.
pub(super) fn read(json: &Json, style: &Style) -> Result<Option<Arc<ConnectSchema>>, ConnectError> {
    if *json == Json::Null {
        return Ok(None);
    }
    let Some(word) = json.get("type").and_then(Json::text) else {
        return refuse("Schema must contain 'type' field");
    };
    let mut schema = ConnectSchema::new(shape(word, json, style)?);
    schema.optional = json.get("optional") == Some(&Json::Boolean(true));
    schema.name = json.get("name").and_then(Json::text).cloned();
    if let Some(Json::Number(version)) = json.get("version")
        && version.is_integral()
    {
        schema.version = Some(version.to_i64() as i32);
    }
    schema.doc = json.get("doc").and_then(Json::text).cloned();
    if let Some(Json::Object(parameters)) = json.get("parameters") {
        for (name, value) in parameters {
            let Some(value) = value.text() else {
                return refuse("Schema parameters must have string values.");
            };
            schema.parameters.push((name.clone(), value.clone()));
        }
    }
    if let Some(default) = json.get("default") {
        let value = read::value(Some(&schema), default, style)?;
        require_valid(&schema, &value, "value")
            .map_err(|error| ConnectError::data("Invalid default value").because(error))?;
        schema.default = Some(value).filter(|value| *value != Value::Null);
    }
    Ok(Some(Arc::new(schema)))
}

fn shape(word: &str, json: &Json, style: &Style) -> Result<Type, ConnectError> {
    Ok(match word {
        "boolean" => Type::Boolean,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float" => Type::Float32,
        "double" => Type::Float64,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        "array" => match json.get("items").map(|items| read(items, style)).transpose()?.flatten() {
            Some(items) => Type::Array(items),
            None => return refuse("Array schema did not specify the element type"),
        },
        "map" => map(json, style)?,
        "struct" => fields(json, style)?,
        other => return refuse(format!("Unknown schema type: {other}")),
    })
}

fn map(json: &Json, style: &Style) -> Result<Type, ConnectError> {
    let Some(keys) = json.get("keys") else { return refuse("Map schema did not specify the key type") };
    let Some(values) = json.get("values") else { return refuse("Map schema did not specify the value type") };
    let (keys, values) = (read(keys, style)?, read(values, style)?);
    let Some(keys) = keys else { return refuse("keySchema cannot be null.") };
    let Some(values) = values else { return refuse("valueSchema cannot be null.") };
    Ok(Type::Map(keys, values))
}

fn fields(json: &Json, style: &Style) -> Result<Type, ConnectError> {
    let Some(Json::Array(list)) = json.get("fields") else {
        return refuse("Struct schema's \"fields\" argument is not an array.");
    };
    let mut fields = Vec::with_capacity(list.len());
    for item in list {
        let Some(name) = item.get("field").and_then(Json::text) else {
            return refuse("Struct schema's field name not specified properly");
        };
        let schema = read(item, style)?;
        if name.is_empty() {
            return refuse("fieldName cannot be null.");
        }
        let Some(schema) = schema else {
            return refuse(format!("fieldSchema for field {name} cannot be null."));
        };
        fields.push(Field { name: name.clone(), schema });
    }
    let mut names = std::collections::HashSet::new();
    match fields.iter().find(|field| !names.insert(field.name.clone())) {
        Some(field) => {
            refuse(format!("Cannot create field because of field name duplication {}", field.name))
        }
        None => Ok(Type::Struct(fields)),
    }
}

fn word(shape: &Type) -> &'static str {
    match shape {
        Type::Boolean => "boolean",
        Type::Int8 => "int8",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float32 => "float",
        Type::Float64 => "double",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Array(_) => "array",
        Type::Map(..) => "map",
        Type::Struct(_) => "struct",
    }
}

/// Writes a schema; of a field, with its name.
pub(super) fn write(
    text: &mut String,
    schema: &ConnectSchema,
    field: Option<&str>,
    style: &Style,
) -> Result<(), ConnectError> {
    text.push_str("{\"type\":\"");
    text.push_str(word(&schema.kind));
    text.push('"');
    match &schema.kind {
        Type::Array(items) => {
            text.push_str(",\"items\":");
            write(text, items, None, style)?;
        }
        Type::Map(keys, values) => {
            text.push_str(",\"keys\":");
            write(text, keys, None, style)?;
            text.push_str(",\"values\":");
            write(text, values, None, style)?;
        }
        Type::Struct(fields) => {
            let mut separator = ",\"fields\":[";
            for field in fields {
                text.push_str(separator);
                write(text, &field.schema, Some(&field.name), style)?;
                separator = ",";
            }
            text.push_str(if fields.is_empty() { ",\"fields\":[]" } else { "]" });
        }
        _ => {}
    }
    text.push_str(if schema.optional { ",\"optional\":true" } else { ",\"optional\":false" });
    member(text, "name", schema.name.as_deref());
    if let Some(version) = schema.version {
        text.push_str(&format!(",\"version\":{version}"));
    }
    member(text, "doc", schema.doc.as_deref());
    if !schema.parameters.is_empty() {
        let mut separator = ",\"parameters\":{";
        for (name, value) in once_each(schema.parameters.clone()) {
            text.push_str(separator);
            write_string(text, &name);
            text.push(':');
            write_string(text, &value);
            separator = ",";
        }
        text.push('}');
    }
    if let Some(default) = &schema.default {
        text.push_str(",\"default\":");
        write::value(text, Some(schema), default, style)?;
    }
    member(text, "field", field);
    text.push('}');
    Ok(())
}

fn member(text: &mut String, key: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    text.push_str(&format!(",\"{key}\":"));
    write_string(text, value);
}

/// The word for the shape of a schema in messages.
pub(super) fn shown(schema: &ConnectSchema) -> &'static str {
    kind(&schema.kind)
}
