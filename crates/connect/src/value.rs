//! The data model that formats, converters, transforms and connectors share.
//!
//! It is the one of Kafka Connect, without a schema inside: what a value means beyond its shape (a decimal, a date) is
//! said by the schema that stands beside it. Numbers without a sign are carried in the next larger type with one.
//!
//! Why not each format's own tree: a record that crosses from Avro to JSON would need a conversion for each pair.

use std::sync::Arc;

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
    Struct(Fields),
}

impl Value {
    /// A struct of these fields.
    pub fn record(fields: impl IntoIterator<Item = (ByteString, Value)>) -> Self {
        Value::Struct(fields.into_iter().collect())
    }
}

/// The fields of a struct, in the order of its schema.
///
/// Names are shared by all that is read with one schema: a record costs no name, only its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    names: Arc<[ByteString]>,
    /// One for each name.
    values: Box<[Value]>,
}

impl Fields {
    /// The fields of these names; those beyond the values are null, values beyond the names are none.
    pub fn new(names: Arc<[ByteString]>, mut values: Vec<Value>) -> Self {
        values.resize_with(names.len(), Value::default);
        Self { names, values: values.into() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The names, in order.
    pub fn names(&self) -> &[ByteString] {
        &self.names
    }

    /// Whether the names are these, and not only equal to them.
    pub(crate) fn share(&self, names: &Arc<[ByteString]>) -> bool {
        Arc::ptr_eq(&self.names, names)
    }

    /// The values, in order.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> &mut [Value] {
        &mut self.values
    }

    /// The values alone.
    pub fn into_values(self) -> Box<[Value]> {
        self.values
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Takes the first value of that name, which is null then.
    pub fn take(&mut self, name: &str) -> Value {
        let place = self.names.iter().position(|known| *known == name);
        place.and_then(|place| self.values.get_mut(place)).map(std::mem::take).unwrap_or_default()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> Pairs<'_> {
        self.names.iter().zip(&self.values)
    }
}

/// Names and values of a struct, in order.
pub type Pairs<'f> = std::iter::Zip<std::slice::Iter<'f, ByteString>, std::slice::Iter<'f, Value>>;

impl<'f> IntoIterator for &'f Fields {
    type Item = (&'f ByteString, &'f Value);
    type IntoIter = Pairs<'f>;

    fn into_iter(self) -> Pairs<'f> {
        self.iter()
    }
}

impl FromIterator<(ByteString, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (ByteString, Value)>>(fields: I) -> Self {
        let (names, values): (Vec<ByteString>, Vec<Value>) = fields.into_iter().unzip();
        Self { names: names.into(), values: values.into() }
    }
}
