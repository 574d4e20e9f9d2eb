//! The data model that formats, converters, transforms and connectors share.
//!
//! It is the one of Kafka Connect, without a schema inside: what a value means beyond its shape (a decimal, a date) is
//! said by the schema that stands beside it. Numbers without a sign are carried in the next larger type with one.
//!
//! Why not each format's own tree: a record that crosses from Avro to JSON would need a conversion for each pair.

use bytes::Bytes;
use bytestring::ByteString;

/// Data, as formats decode and encode it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Boolean(bool),
    /// A number of 8 bits.
    Int8(i8),
    /// A number of 16 bits.
    Int16(i16),
    /// A number of 32 bits.
    Int32(i32),
    /// A number of 64 bits.
    Int64(i64),
    /// A floating-point number of 32 bits.
    Float32(f32),
    /// A floating-point number of 64 bits.
    Float64(f64),
    /// Text; also a symbol of an enumeration.
    String(ByteString),
    /// Bytes; also of a fixed length.
    Bytes(Bytes),
    /// Values in order.
    Array(Vec<Value>),
    /// Pairs, in the order in which they were written; the last one of a key counts.
    Map(Vec<(Value, Value)>),
    /// Named fields, in the order of the schema.
    Struct(Vec<(ByteString, Value)>),
}
