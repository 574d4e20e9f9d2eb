//! Protocol Buffers, `proto2` and `proto3`.
//!
//! Texts are parsed by `protox-parse` and their names resolved by `prost-reflect`, both without `protoc`; the canonical
//! text, the rules of compatibility and the coding of values are ours. A base64 `FileDescriptorProto` is taken as a text
//! too: it is printed first, and what is printed is the schema, so that there is one way in.
//!
//! Imports are references by their path; those of `google/protobuf`, `google/type` and `confluent` need none.
//! Editions are refused with a message that says so: the parser does not know them.

use std::any::Any;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{FileDescriptor, MessageDescriptor};

use super::{
    CompatibilityPolicy, DataError, Direction, EntityTags, Incompatibility, ParseError, RenderError, Schema,
    SchemaFormat, SchemaText, TagChange, TagError,
};
use crate::value::Value;

mod codec;
mod descriptor;
mod difference;
mod imports;
mod literal;
mod normal;
mod options;
mod parse;
mod position;
mod print;
mod tags;
mod types;
mod well_known;

#[cfg(test)]
pub(super) mod tests;

/// Bytes of a new text, and of its canonical text; those of all that it refers to are counted apart.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a text that a registry accepted before.
pub const STORED_BYTES_MAX: usize = 16 << 20;
/// Bytes of a name in full.
pub const NAME_BYTES_MAX: usize = 1_024;
/// Bytes of all texts that a text refers to.
pub const REFERENCED_BYTES_MAX: usize = 8 << 20;
/// Files that a text may refer to, also by way of others.
pub const IMPORTS_MAX: usize = 500;
/// Brackets that may be open at one place of a text.
pub const NESTING_MAX: usize = 64;
/// Reserved and extension ranges of one message, which every field of it is compared with.
pub const RANGES_MAX: usize = 2_000;
/// Reserved ranges times values of one enum, each of which is compared with each.
pub const RANGED_VALUES_MAX: usize = 1 << 25;
/// Messages within messages in data, as other implementations limit it too.
pub const DATA_NESTING_MAX: usize = 100;
/// Values that decoded data may always have; more only as the bytes do.
pub const VALUES_MIN: usize = 1 << 20;
/// Values that each byte of data may become: fields that are absent in the bytes are present in the value.
pub const VALUES_PER_BYTE_MAX: usize = 8;

/// What is said of a file with an edition.
const EDITIONS: &str = "editions are not supported: write syntax = \"proto3\" or syntax = \"proto2\"";

/// The file that declares the options of metadata.
const META_FILE: &str = "confluent/meta.proto";

/// The form of a base64 `FileDescriptorProto`.
const SERIALIZED: &str = "serialized";
/// The form without extensions and custom options, but for those that carry metadata.
const IGNORE_EXTENSIONS: &str = "ignore_extensions";
/// The form without the options that carry metadata (`confluent.field_meta` and the like).
const NO_METADATA: &str = "no-metadata";
/// Every form.
const FORMS: &[&str] = &[SERIALIZED, IGNORE_EXTENSIONS, NO_METADATA];

/// The format.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProtobufFormat;

impl SchemaFormat for ProtobufFormat {
    fn name(&self) -> &'static str {
        "PROTOBUF"
    }

    fn parse(&self, text: SchemaText<'_>) -> Result<Arc<dyn Schema>, ParseError> {
        Ok(Arc::new(ProtobufSchema::parse(text)?))
    }
}

/// A parsed file.
#[derive(Debug)]
pub struct ProtobufSchema {
    /// As it was written: names as they stand, options not interpreted.
    written: FileDescriptorProto,
    /// With every name resolved.
    file: FileDescriptor,
    /// Whether `file` has the custom options.
    options: parse::Options,
    types: types::Types,
    canonical: String,
}

impl ProtobufSchema {
    /// Parses a text or a base64 descriptor.
    fn parse(text: SchemaText<'_>) -> Result<Self, ParseError> {
        let parse::Parsed { written, file, options, canonical } = parse::parse(text)?;
        let types = types::Types::new(&file);
        Ok(ProtobufSchema { written, file, options, types, canonical })
    }

    /// The message that a selector means.
    pub(crate) fn message(&self, mut selector: Bytes) -> Option<MessageDescriptor> {
        let place = codec::read_selector(&mut selector).ok()?;
        let (first, rest) = place.split_first()?;
        let root = self.file.messages().nth(*first)?;
        rest.iter().try_fold(root, |message, index| message.child_messages().nth(*index))
    }
}

/// The part of `bytes` that says which message of a schema they are; nothing when they do not say it.
pub(crate) fn selector(bytes: &Bytes) -> Bytes {
    let mut rest = bytes.clone();
    let read = codec::read_selector(&mut rest);
    bytes.slice(..if read.is_ok() { bytes.len() - rest.len() } else { 0 })
}

impl Schema for ProtobufSchema {
    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        print::print(&normal::normalized(&self.file, &self.written, self.options), print::Kept::Everything)
    }

    fn render(&self, form: &str) -> Result<String, RenderError> {
        match form {
            "" => Ok(self.canonical.clone()),
            SERIALIZED => Ok(STANDARD.encode(options::serialized(&self.file, &self.written))),
            IGNORE_EXTENSIONS => Ok(print::print(&self.written, print::Kept::NoExtensions)),
            NO_METADATA => Ok(print::print(&self.written, print::Kept::NoMetadata)),
            other => Err(RenderError { form: other.chars().take(64).collect(), known: FORMS }),
        }
    }

    fn record_name(&self) -> Option<&str> {
        self.types.first_name()
    }

    fn has_field(&self, name: &str) -> bool {
        let messages = self.types.roots.iter().filter_map(|root| self.types.messages.get(*root));
        messages.flat_map(|message| &message.fields).any(|field| *field.name == *name)
    }

    fn tags(&self) -> Vec<EntityTags> {
        tags::all(&self.written)
    }

    fn with_tags(&self, changes: &[TagChange]) -> Result<String, TagError> {
        Ok(print::print(&tags::changed(&self.written, changes)?, print::Kept::Everything))
    }

    fn incompatibilities(
        &self,
        writer: &dyn Schema,
        direction: Direction,
        _policy: CompatibilityPolicy,
    ) -> Vec<Incompatibility> {
        let writer: &dyn Any = writer;
        match writer.downcast_ref::<ProtobufSchema>() {
            Some(writer) => difference::incompatibilities(&writer.types, &self.types, direction),
            None => vec![difference::other_format(direction)],
        }
    }

    fn encode(
        &self,
        type_name: Option<&str>,
        value: &Value,
        bytes: &mut Vec<u8>,
    ) -> Result<usize, DataError> {
        codec::encode(&self.types, type_name, value, bytes)
    }

    fn decode(&self, writer: &dyn Schema, bytes: Bytes) -> Result<Value, DataError> {
        let writer: &dyn Any = writer;
        match writer.downcast_ref::<ProtobufSchema>() {
            Some(writer) => codec::decode(&self.types, &writer.types, bytes),
            None => Err(DataError {
                message: "the data was written with a schema of another format".into(),
                path: String::new(),
            }),
        }
    }
}
