//! Rust's types and methods for the types of the tables.

use anyhow::bail;

use super::super::table::{Field, Type, Versions};

pub fn plain_type(kind: &Type) -> String {
    match kind {
        Type::Bool => "bool".to_owned(),
        Type::Int8 => "i8".to_owned(),
        Type::Int16 => "i16".to_owned(),
        Type::Uint16 => "u16".to_owned(),
        Type::Int32 => "i32".to_owned(),
        Type::Uint32 => "u32".to_owned(),
        Type::Int64 => "i64".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Uuid => "Uuid".to_owned(),
        Type::String => "WireStr".to_owned(),
        Type::Bytes => "Bytes".to_owned(),
        Type::Records => "Payload".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(item) => format!("Vec<{}>", plain_type(item)),
    }
}

/// The reader's and writer's method of a type of fixed size.
pub fn scalar_method(kind: &Type) -> anyhow::Result<String> {
    Ok(match kind {
        Type::Uuid => "uuid".to_owned(),
        Type::String | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_) => {
            bail!("{kind:?} has no fixed size")
        }
        scalar => plain_type(scalar),
    })
}

pub fn integer_default(text: &str) -> anyhow::Result<Option<String>> {
    let value = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16)?,
        None if text.is_empty() => 0,
        None => text.parse()?,
    };
    Ok((value != 0).then(|| value.to_string()))
}

/// The method for what stands before a nullable structure in `versions`.
pub fn presence(field: &Field, versions: Versions) -> &'static str {
    let tagged = versions.0.is_some_and(|(first, _)| field.tagged_versions.contains(first));
    if tagged { "tagged_presence" } else { "presence" }
}
