//! Descriptors that somebody else made: what must hold before they are printed.
//!
//! A text cannot say what a descriptor can: names with spaces, values of defaults with quotes in them, recursion without
//! end. Printed, they would be another file.

use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::Type;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto,
};

use super::position::error;
use crate::schema::ParseError;

/// Decodes a descriptor and gives it its name.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<FileDescriptorProto, ParseError> {
    let mut file = FileDescriptorProto::decode(bytes)
        .map_err(|found| error(format!("the text is base64, but not of a FileDescriptorProto: {found}")))?;
    file.name = Some(name.to_owned());
    file.source_code_info = None;
    check(&file)?;
    Ok(file)
}

fn check(file: &FileDescriptorProto) -> Result<(), ParseError> {
    match file.syntax() {
        "" | "proto2" | "proto3" => {}
        "editions" => return Err(error(super::EDITIONS)),
        other => return Err(error(format!("syntax {other:?} is not proto2 or proto3"))),
    }
    if !file.package().is_empty() {
        dotted(file.package())?;
    }
    file.message_type.iter().try_for_each(message)?;
    file.enum_type.iter().try_for_each(enumeration)?;
    file.extension.iter().try_for_each(field)?;
    for service in &file.service {
        word(service.name())?;
        service.method.iter().try_for_each(method)?;
    }
    Ok(())
}

fn message(found: &DescriptorProto) -> Result<(), ParseError> {
    word(found.name())?;
    found.field.iter().try_for_each(field)?;
    found.extension.iter().try_for_each(field)?;
    found.oneof_decl.iter().try_for_each(|oneof| word(oneof.name()))?;
    found.enum_type.iter().try_for_each(enumeration)?;
    found.nested_type.iter().try_for_each(message)
}

fn field(found: &FieldDescriptorProto) -> Result<(), ParseError> {
    word(found.name())?;
    for name in [&found.type_name, &found.extendee].into_iter().flatten() {
        dotted(name.strip_prefix('.').unwrap_or(name))?;
    }
    match (&found.default_value, found.r#type()) {
        (None, _) | (Some(_), Type::String) => Ok(()),
        (Some(default), Type::Bytes) => escaped(default),
        (Some(default), _) => {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
            if !default.is_empty() && default.bytes().all(is_word) {
                Ok(())
            } else {
                Err(bad(default, "a default"))
            }
        }
    }
}

fn enumeration(found: &EnumDescriptorProto) -> Result<(), ParseError> {
    word(found.name())?;
    found.value.iter().try_for_each(|value| word(value.name()))
}

fn method(found: &MethodDescriptorProto) -> Result<(), ParseError> {
    word(found.name())?;
    for name in [found.input_type(), found.output_type()] {
        dotted(name.strip_prefix('.').unwrap_or(name))?;
    }
    Ok(())
}

/// Words with dots between them.
fn dotted(name: &str) -> Result<(), ParseError> {
    name.split('.').try_for_each(word)
}

fn word(name: &str) -> Result<(), ParseError> {
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if starts && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(());
    }
    Err(bad(name, "a name"))
}

/// The inside of a quoted text: every quote, backslash and control character is escaped.
fn escaped(text: &str) -> Result<(), ParseError> {
    let mut escape = false;
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if escape => escape = false,
            b'\\' => escape = true,
            b'"' => return Err(bad(text, "a default of bytes")),
            b' '..=b'~' => {}
            _ => return Err(bad(text, "a default of bytes")),
        }
    }
    if escape { Err(bad(text, "a default of bytes")) } else { Ok(()) }
}

fn bad(text: &str, wanted: &str) -> ParseError {
    let text: String = text.chars().take(100).collect();
    error(format!("the descriptor has {text:?} where {wanted} must be"))
}
