//! Schemas: what the bytes of a record mean, and how that may change.
//!
//! A [`SchemaFormat`] parses texts into [`Schema`]s; a schema tells its canonical text, compares itself with another,
//! and turns values into bytes and back.

mod format;
pub mod registry;

pub mod avro;
pub mod json;
pub mod protobuf;

#[cfg(feature = "http")]
pub mod remote;
pub mod serializer;
pub mod subject;
pub mod wire;

mod tags;
mod tree;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use format::{
    CompatibilityPolicy, DataError, Direction, Entity, EntityTags, EntityType, Incompatibility, ParseError,
    Position, Referenced, RenderError, Schema, SchemaFormat, SchemaText, TagChange, TagError, Validation,
};
