//! The record that travels between connectors and topics, and the schema that may stand beside its data.
//!
//! One type serves both directions, so that a transform works on either: where the record comes from is in its
//! [`Origin`]. Data without a schema is as good as data with one; what a value means beyond its shape (a decimal, a date)
//! is said by the name of its schema, in Kafka Connect's words:
//!
//! | name | carried as |
//! | --- | --- |
//! | [`DECIMAL`] | bytes: the unscaled number, two's complement, big end first; parameter `scale` |
//! | [`DATE`] | `Int32`, days since the Unix epoch |
//! | [`TIME`] | `Int32`, milliseconds since midnight |
//! | [`TIMESTAMP`] | `Int64`, milliseconds since the Unix epoch |

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::value::Value;

/// The name of schemas of decimal numbers.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// The name of schemas of days.
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
/// The name of schemas of times of a day.
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
/// The name of schemas of moments.
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// A partition or an offset of a source, as the source defines it: an object of JSON, kept in the offsets topic.
pub type SourceMap = serde_json::Map<String, serde_json::Value>;

/// A record on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The topic that it goes to, or comes from; transforms may change it.
    pub topic: ByteString,
    /// The partition; `None` lets the producer choose, by the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Datum,
    /// The value.
    pub value: Datum,
    /// Milliseconds since the Unix epoch; `None` lets the producer set it.
    pub timestamp: Option<i64>,
    /// The headers, in order; names may repeat.
    pub headers: Vec<Header>,
    /// Where it comes from. Transforms leave it alone.
    pub origin: Origin,
}

impl Record {
    /// A record of a source, without a key, for a topic.
    pub fn new(topic: impl Into<ByteString>, value: Datum, position: Position) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: Datum::default(),
            value,
            timestamp: None,
            headers: Vec::new(),
            origin: Origin::Source(position),
        }
    }
}

/// Where a record comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// From a source connector.
    Source(Position),
    /// From a topic, for a sink connector.
    Topic(Coordinates),
}

/// How far a source is when a record was sent: from here it goes on after a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// What is read: a file, a table. Shared by the records that have it.
    pub partition: Arc<SourceMap>,
    /// How far it is read, this record included.
    pub offset: SourceOffset,
}

/// How far a partition of a source is read.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceOffset {
    /// An object of one number, as most sources have it: it is made only of the offsets that are stored.
    Number(&'static str, serde_json::Number),
    /// Any object.
    Map(SourceMap),
}

impl SourceOffset {
    /// The object, as it is stored.
    pub fn to_map(&self) -> SourceMap {
        match self {
            Self::Number(name, number) => SourceMap::from_iter([((*name).to_owned(), number.clone().into())]),
            Self::Map(map) => map.clone(),
        }
    }
}

impl From<SourceMap> for SourceOffset {
    fn from(map: SourceMap) -> Self {
        Self::Map(map)
    }
}

impl FromIterator<(String, serde_json::Value)> for SourceOffset {
    fn from_iter<I: IntoIterator<Item = (String, serde_json::Value)>>(fields: I) -> Self {
        Self::Map(fields.into_iter().collect())
    }
}

/// Where a record lies in Kafka, whatever transforms made of its topic and partition (KIP-793).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// The topic that it was read from.
    pub topic: ByteString,
    /// The partition that it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
}

/// Who set the timestamp of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The broker, when it appended the record.
    LogAppendTime,
}

/// Data and, if there is one, its schema.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Datum {
    /// What the data means.
    pub schema: Option<Arc<ConnectSchema>>,
    /// The data.
    pub value: Value,
}

impl Datum {
    /// Data without a schema.
    pub fn schemaless(value: Value) -> Self {
        Self { schema: None, value }
    }

    /// Text with the schema of text.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self { schema: Some(ConnectSchema::of(Type::String)), value: Value::String(text.into()) }
    }

    /// Bytes with the schema of bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { schema: Some(ConnectSchema::of(Type::Bytes)), value: Value::Bytes(bytes.into()) }
    }

    /// Whether there is neither schema nor value, which makes a tombstone of a record's value.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

/// A header: a name, and data as in keys and values.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Its name.
    pub name: ByteString,
    /// Its value.
    pub value: Datum,
}

/// What data looks like, and what it means. Built once and shared.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectSchema {
    /// The shape.
    pub kind: Type,
    /// Whether the value may be missing.
    pub optional: bool,
    /// A name: of a struct, or of a meaning such as [`TIMESTAMP`].
    pub name: Option<ByteString>,
    /// The version of what the name names.
    pub version: Option<i32>,
    /// Parameters of the meaning, in order.
    pub parameters: Vec<(ByteString, ByteString)>,
    /// What a missing value stands for.
    pub default: Option<Value>,
    /// What it is, for people.
    pub doc: Option<ByteString>,
}

impl ConnectSchema {
    /// The schema of a shape that may not be missing, without a name.
    pub fn new(kind: Type) -> Self {
        let (optional, name, version, default, doc) = (false, None, None, None, None);
        Self { kind, optional, name, version, parameters: Vec::new(), default, doc }
    }

    /// [`ConnectSchema::new`], to be shared.
    pub fn of(kind: Type) -> Arc<Self> {
        Arc::new(Self::new(kind))
    }

    /// The same for values that may be missing.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The same with a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<ByteString>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }

    /// The fields of a struct; none for other shapes.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Type::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().iter().find(|field| field.name == name)
    }
}

/// The shape of data.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// [`Value::Boolean`].
    Boolean,
    /// [`Value::Int8`].
    Int8,
    /// [`Value::Int16`].
    Int16,
    /// [`Value::Int32`].
    Int32,
    /// [`Value::Int64`].
    Int64,
    /// [`Value::Float32`].
    Float32,
    /// [`Value::Float64`].
    Float64,
    /// [`Value::String`].
    String,
    /// [`Value::Bytes`].
    Bytes,
    /// [`Value::Array`] of one schema.
    Array(Arc<ConnectSchema>),
    /// [`Value::Map`] of a schema of keys and one of values.
    Map(Arc<ConnectSchema>, Arc<ConnectSchema>),
    /// [`Value::Struct`].
    Struct(Vec<Field>),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: ByteString,
    /// Its schema.
    pub schema: Arc<ConnectSchema>,
}
