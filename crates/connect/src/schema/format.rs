//! The seam of formats: Avro, Protobuf and JSON Schema are implementations, and so may be a user's own.
//!
//! The contract, which `testing::format_suite` checks:
//!
//! 1. Nothing panics, overflows the stack, or takes time or memory without bound, whatever the text or the bytes are;
//!    every limit has a name.
//! 2. [`Schema::canonical`] is stable: parsing it yields it again, and texts that differ only in layout share it. It is
//!    what identity is computed on, so it must never change from one release to the next.
//! 3. [`Schema::normalized`] moreover removes every difference without a meaning.
//! 4. Nothing is ever fetched: what a text refers to is handed in.
//! 5. A schema is compatible with itself, in both directions and under every policy.
//! 6. Comparing reports every incompatibility, not the first.
//! 7. What a schema encodes it decodes to the same value.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::value::Value;

/// A language in which schemas are written.
pub trait SchemaFormat: fmt::Debug + Send + Sync {
    /// Its name as `schemaType` of the API has it, in capitals: `AVRO`.
    fn name(&self) -> &'static str;

    /// Parses and checks a schema.
    ///
    /// # Errors
    /// [`ParseError`], with the place in the text where there is one.
    fn parse(&self, text: SchemaText<'_>) -> Result<Arc<dyn Schema>, ParseError>;
}

/// A parsed schema.
pub trait Schema: Any + fmt::Debug + Send + Sync {
    /// The text that stands for the schema: without layout, and with attributes in the order in which the format's usual
    /// tools write them, so that a schema written by hand and the same one written by a tool are one. References stay
    /// references.
    fn canonical(&self) -> &str;

    /// The text without differences that mean nothing, as `normalize=true` asks for.
    fn normalized(&self) -> String;

    /// The text in a form that the format names itself (`format=` of the API), such as `resolved` of Avro. The empty form is
    /// the canonical text.
    ///
    /// # Errors
    /// [`RenderError`] for a form that the format does not know.
    fn render(&self, form: &str) -> Result<String, RenderError>;

    /// The full name of what the schema describes, for the subject name strategies; `None` when it has no name.
    fn record_name(&self) -> Option<&str>;

    /// Whether what the schema describes has a field of this name itself, for names that are reserved.
    fn has_field(&self, name: &str) -> bool;

    /// What the text itself tags (`confluent:tags`), in its order; nothing in formats without tags.
    fn tags(&self) -> Vec<EntityTags>;

    /// The text with these tags as well, or without them, in the form in which it can be parsed.
    ///
    /// # Errors
    /// [`TagError`] when the text has no such entity, or the format no tags.
    fn with_tags(&self, changes: &[TagChange]) -> Result<String, TagError>;

    /// Why data written with `writer` cannot be read with this schema: all the reasons, in the order of the text. A
    /// `writer` of another format is incompatible as a whole.
    fn incompatibilities(
        &self,
        writer: &dyn Schema,
        direction: Direction,
        policy: CompatibilityPolicy,
    ) -> Vec<Incompatibility>;

    /// Appends what names the type within the schema (Protobuf's message indexes; nothing in formats that need none), and then
    /// `value`. Returns the length of the former, in bytes. `type_name` is the full name of the type in schemas that have
    /// several (Protobuf's messages); `None` is the first one.
    ///
    /// # Errors
    /// [`DataError`] when the value does not fit; what was appended until then is worth nothing.
    fn encode(&self, type_name: Option<&str>, value: &Value, bytes: &mut Vec<u8>)
    -> Result<usize, DataError>;

    /// Reads what [`encode`](Schema::encode) of `writer` wrote, as this schema sees it. `bytes` hold the selector, when the
    /// format has one, and then the payload.
    ///
    /// # Errors
    /// [`DataError`] when the bytes are not what `writer` says, or this schema cannot read them.
    fn decode(&self, writer: &dyn Schema, bytes: Bytes) -> Result<Value, DataError>;
}

impl dyn Schema {
    /// What [`encode`](Schema::encode) appends, alone.
    ///
    /// # Errors
    /// [`DataError`] when the value does not fit.
    pub fn encoded(&self, type_name: Option<&str>, value: &Value) -> Result<Bytes, DataError> {
        let mut bytes = Vec::new();
        self.encode(type_name, value, &mut bytes)?;
        Ok(bytes.into())
    }
}

/// A part of a schema that can be tagged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    /// Names with dots between them: `shop.Order`, `shop.Order.card`. Those of Protobuf are without the package: `Order.card`.
    /// JSON Schema has `object` and `array` for types: `object.card`.
    pub entity_path: String,
    /// What stands there.
    pub entity_type: EntityType,
}

/// What can be tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntityType {
    /// A type with fields.
    #[serde(rename = "sr_record")]
    Record,
    /// A field.
    #[serde(rename = "sr_field")]
    Field,
}

/// An entity and its tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntityTags {
    /// Where they stand.
    pub schema_entity: Entity,
    /// In the order of the text.
    pub tags: Vec<String>,
}

/// How the tags of an entity change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChange {
    /// Where.
    pub entity: Entity,
    /// These are put behind those that are there.
    pub add: Vec<String>,
    /// These are taken away, also when they were added.
    pub remove: Vec<String>,
}

impl TagChange {
    /// The tags that an entity has after the change.
    #[must_use]
    pub fn apply(&self, mut tags: Vec<String>) -> Vec<String> {
        for tag in &self.add {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        tags.retain(|tag| !self.remove.contains(tag));
        tags
    }
}

/// Tags that cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The text has no such part.
    #[error("No matching path '{0:.200}' found in the schema")]
    NoEntity(String),
    /// The format has none.
    #[error("Tags are not written into schemas of the format {0}; put them into metadata.tags")]
    NoTags(&'static str),
}

/// A text to parse.
#[derive(Clone, Copy, Debug)]
pub struct SchemaText<'a> {
    /// The text.
    pub text: &'a str,
    /// What it refers to, also by way of others: each after those that it refers to itself.
    pub references: &'a [Referenced],
    /// How much is checked.
    pub validation: Validation,
}

/// How much of a schema is checked when it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// One that is to be registered: all that the format demands, such as names and defaults.
    New,
    /// One that is to be registered where everything is to be checked (`validateFields`): also what usual registries let pass,
    /// such as types of Protobuf that are not imported.
    Strict,
    /// One that a registry accepted before, or that its owner wants unchecked (`validateNewSchemas`): only what is needed to
    /// use it, so that schemas of older and other registries stay readable.
    Stored,
}

/// A schema that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referenced {
    /// As it is called there: an Avro name, a path of an import, the URL of a `$ref`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A text that is not a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// What is wrong and, where that helps, what would be right. Echoes a bounded part of the text.
    pub message: String,
    /// Where, when that is known.
    pub position: Option<Position>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => {
                write!(formatter, "line {line}, column {column}: {}", self.message)
            }
            None => formatter.write_str(&self.message),
        }
    }
}

/// A place in a text; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// The place of an offset, in bytes, of a text; one within a character is that of the text's end.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

/// A form that the format does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the format {form:?} is not known; use one of {known:?} or none")]
pub struct RenderError {
    /// What was asked for, cut to a bounded length.
    pub form: String,
    /// What there is.
    pub known: &'static [&'static str],
}

/// Which of the two schemas reads: only the words of messages depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The new schema reads what the old one wrote, as `BACKWARD` wants it.
    NewReadsOld,
    /// The old schema reads what the new one wrote, as `FORWARD` wants it.
    OldReadsNew,
}

/// How strict a comparison is (`compatibilityPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompatibilityPolicy {
    /// The format's rules.
    #[default]
    Strict,
    /// Avro: logical types count as well.
    Logical,
    /// JSON Schema: content models may change in more ways.
    Lenient,
}

/// A reason why one schema cannot read what another wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// Its kind, in the words of the registry's API: `READER_FIELD_MISSING_DEFAULT_VALUE`.
    pub kind: &'static str,
    /// Where: a JSON pointer, or `#/` followed by names for formats without JSON.
    pub path: String,
    /// What it means to a person, naming the old and the new schema.
    pub message: String,
    /// The detail that clients show beside it, such as the name of the field or the missing symbols; may be empty.
    pub detail: String,
}

impl Incompatibility {
    /// The one reason between schemas of different formats.
    pub fn other_format() -> Self {
        Self {
            kind: "FORMAT_MISMATCH",
            path: "/".to_owned(),
            message: "The new and the old schema are of different formats".to_owned(),
            detail: String::new(),
        }
    }
}

/// A value that does not fit a schema, or bytes that do not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", if path.is_empty() { String::new() } else { format!(" (at {path})") })]
pub struct DataError {
    /// What is wrong.
    pub message: String,
    /// Where in the value, as a JSON pointer; empty for the whole.
    pub path: String,
}
