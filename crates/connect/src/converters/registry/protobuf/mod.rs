//! Protobuf: a struct is a message, a union of the name [`UNION`] a oneof, a map a list of entries; decimals, days, times and
//! moments are the messages that everybody has for them. The narrow numbers and the scales of decimals are kept in the option
//! `confluent.field_meta`. Numbers of fields travel in the parameter [`TAG`]; a field without one gets the next.
//!
//! A plain value at the root is one of Google's wrappers. As in the language a value may always be missing, unless
//! `optional.for.nullables` or `wrapper.for.nullables` tell them apart.

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;

use super::{Found, Mapping, Written, flag};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Type};
use crate::schema::protobuf::{ProtobufFormat, ProtobufSchema, selector};
use crate::schema::{Schema, SchemaFormat};
use crate::settings::{Kind, Setting, Values};
use crate::value::Value;

/// What names of structs begin with that are oneofs.
const UNION: &str = "io.confluent.connect.protobuf.Union";
/// The parameter with the number of a field.
const TAG: &str = "io.confluent.connect.protobuf.Tag";
/// The parameter that a symbol of an enum has; behind a dot, the symbols and their numbers.
const ENUM: &str = "io.confluent.connect.protobuf.Enum";
/// The same in the words that all formats share.
const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
/// The parameter with the most digits of a decimal.
const PRECISION: &str = "connect.decimal.precision";
/// What names of messages end with that are entries of maps.
const ENTRY: &str = "Entry";
/// Google's messages for plain values, in the order of their file.
const WRAPPERS: [(&str, &str, Type); 9] = [
    ("DoubleValue", "double", Type::Float64),
    ("FloatValue", "float", Type::Float32),
    ("Int64Value", "int64", Type::Int64),
    ("UInt64Value", "uint64", Type::Int64),
    ("Int32Value", "int32", Type::Int32),
    ("UInt32Value", "uint32", Type::Int64),
    ("BoolValue", "bool", Type::Boolean),
    ("StringValue", "string", Type::String),
    ("BytesValue", "bytes", Type::Bytes),
];

/// What these converters have beyond others.
pub(super) fn settings() -> [Setting; 6] {
    let index = "Whether fields that stand for oneofs end with the number of the oneof.";
    [
        flag("enhanced.protobuf.schema.support", "Whether structs have the full names of their messages."),
        flag("scrub.invalid.names", "Whether names are changed that Protobuf does not allow."),
        flag("int.for.enums", "Whether enums are read as numbers."),
        flag("optional.for.nullables", "Whether only fields with the word `optional` may be missing."),
        flag("wrapper.for.nullables", "Whether plain values that may be missing are Google's wrappers."),
        Setting::new("generate.index.for.unions", Kind::Boolean, "true", index),
    ]
}

/// The mapping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protobuf {
    full_names: bool,
    scrub: bool,
    numbers_for_enums: bool,
    optional_for_nullables: bool,
    wrapper_for_nullables: bool,
    index_for_unions: bool,
}

impl Protobuf {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self {
            full_names: values.boolean("enhanced.protobuf.schema.support")?,
            scrub: values.boolean("scrub.invalid.names")?,
            numbers_for_enums: values.boolean("int.for.enums")?,
            optional_for_nullables: values.boolean("optional.for.nullables")?,
            wrapper_for_nullables: values.boolean("wrapper.for.nullables")?,
            index_for_unions: values.boolean("generate.index.for.unions")?,
        })
    }

    /// The wrapper that a value becomes which may be missing.
    fn wrapper(&self, schema: &ConnectSchema) -> Option<&'static str> {
        (self.wrapper_for_nullables && schema.optional).then(|| wrapper_of(schema)).flatten()
    }
}

/// The wrapper of a plain value.
fn wrapper_of(schema: &ConnectSchema) -> Option<&'static str> {
    let kind = match schema.kind {
        Type::Int8 | Type::Int16 => &Type::Int32,
        ref other => other,
    };
    let is_plain = schema.name.is_none() && enumeration(schema).is_none();
    WRAPPERS.iter().find(|(_, _, of)| is_plain && of == kind).map(|(name, _, _)| *name)
}

/// The enum that a text or a number is a symbol of: its name, and what names of parameters begin with.
fn enumeration(schema: &ConnectSchema) -> Option<(&str, &'static str)> {
    [ENUM, GENERAL_ENUM].into_iter().find_map(|key| Some((schema.parameter(key)?, key)))
}

/// The name of the oneof that a struct stands for.
fn union(schema: &ConnectSchema) -> Option<&str> {
    let rest = schema.name.as_deref()?.strip_prefix(UNION)?;
    Some(rest.rsplit('.').next().unwrap_or(rest))
}

impl Mapping for Protobuf {
    fn format(&self) -> Arc<dyn SchemaFormat> {
        Arc::new(ProtobufFormat)
    }

    fn encoding_failed(&self, topic: &str) -> String {
        format!("Failed to serialize Protobuf data from topic {topic} :")
    }

    fn decoding_failed(&self, topic: &str) -> String {
        format!("Failed to deserialize data for topic {topic} to Protobuf: ")
    }

    fn written(&self, schema: &ConnectSchema) -> Result<Written, ConnectError> {
        let is_message = matches!(schema.kind, Type::Struct(_));
        let wrapper = if is_message { None } else { wrapper_of(schema) };
        let (text, type_name) = match wrapper {
            Some(name) => (write::wrappers(), Some(format!("google.protobuf.{name}"))),
            None => (self.text(schema)?, None),
        };
        Ok(Written { text, type_name, is_plain: false })
    }

    fn write(&self, schema: &ConnectSchema, value: &Value) -> Result<Value, ConnectError> {
        match &schema.kind {
            Type::Struct(_) => self.value(schema, value),
            _ => Ok(write::wrapped(value.clone())),
        }
    }

    fn selector(&self, bytes: &Bytes) -> Bytes {
        selector(bytes)
    }

    fn found(&self, schema: &dyn Schema, selector: &Bytes) -> Result<Found, ConnectError> {
        let schema: &dyn Any = schema;
        let message =
            schema.downcast_ref::<ProtobufSchema>().and_then(|schema| schema.message(selector.clone()));
        let message = message.ok_or_else(|| ConnectError::data("The schema has no such message"))?;
        Ok(Found { schema: Arc::new(self.schema(&message)?), is_plain: false })
    }

    fn read(&self, schema: &ConnectSchema, value: Value) -> Result<Value, ConnectError> {
        read::value(schema, value)
    }
}
