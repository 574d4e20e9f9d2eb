//! Whether data is what its schema says, in Kafka Connect's words when it is not.

use crate::error::ConnectError;
use crate::notation::text::{Meaning, class, kind};
use crate::record::{ConnectSchema, Type};
use crate::value::{Fields, Value};

/// Refuses data that a schema does not allow. `location` says in messages what it is.
pub(crate) fn require_valid(
    schema: &ConnectSchema,
    value: &Value,
    location: &str,
) -> Result<(), ConnectError> {
    if *value == Value::Null {
        if schema.optional {
            return Ok(());
        }
        let shape = kind(&schema.kind);
        let message = format!("Invalid value: null used for required {location}, schema type: {shape}");
        return Err(ConnectError::data(message));
    }
    if Meaning::of(Some(schema)) != Meaning::Plain && class(Some(schema), value) != class(None, value) {
        return Ok(());
    }
    match (&schema.kind, value) {
        (Type::Boolean, Value::Boolean(_))
        | (Type::Int8, Value::Int8(_))
        | (Type::Int16, Value::Int16(_))
        | (Type::Int32, Value::Int32(_))
        | (Type::Int64, Value::Int64(_))
        | (Type::Float32, Value::Float32(_))
        | (Type::Float64, Value::Float64(_))
        | (Type::String, Value::String(_))
        | (Type::Bytes, Value::Bytes(_))
            if Meaning::of(Some(schema)) == Meaning::Plain =>
        {
            Ok(())
        }
        (Type::Array(items), Value::Array(list)) => {
            let location = format!("element of array {location}");
            list.iter().try_for_each(|item| require_valid(items, item, &location))
        }
        (Type::Map(keys, values), Value::Map(entries)) => {
            let (of_key, of_value) = (format!("key of map {location}"), format!("value of map {location}"));
            entries.iter().try_for_each(|(key, value)| {
                require_valid(keys, key, &of_key)?;
                require_valid(values, value, &of_value)
            })
        }
        (Type::Struct(_), Value::Struct(fields)) => structure(schema, fields),
        _ => Err(mismatch(schema, value, location)),
    }
}

/// A struct has all the fields of its schema, in its order; missing ones may have a default.
fn structure(schema: &ConnectSchema, values: &Fields) -> Result<(), ConnectError> {
    let fields = schema.fields();
    if fields.len() != values.len() || fields.iter().zip(values).any(|(field, (name, _))| field.name != *name)
    {
        return Err(ConnectError::data("Struct schemas do not match."));
    }
    for (field, (name, value)) in fields.iter().zip(values) {
        if *value != Value::Null || field.schema.default.is_none() {
            require_valid(&field.schema, value, &format!("field: \"{name}\""))?;
        }
    }
    Ok(())
}

fn mismatch(schema: &ConnectSchema, value: &Value, location: &str) -> ConnectError {
    let name = schema.name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let (shape, class) = (kind(&schema.kind), class(None, value));
    ConnectError::data(format!(
        "Invalid Java object for schema{name} with type {shape}: class {class} for {location}"
    ))
}
