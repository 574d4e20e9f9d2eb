//! What the columns of a file are: a schema, and where in it the values of each column belong.

use std::ops::Range;
use std::sync::Arc;

use bytestring::ByteString;
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::schema::types::Type as Column;

use crate::error::ConnectError;
use crate::record::{ConnectSchema, DATE, DECIMAL, Field, TIME, TIMESTAMP, Type};

/// What the root is called that has no name.
const NO_NAME: &str = "schema";

/// A place in the schema, and the columns at it or below it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) form: Form,
    /// How many of the places that may be missing are there when this one is.
    pub(super) given: i16,
    pub(super) columns: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Form {
    Plain,
    Struct(Arc<[ByteString]>, Vec<Node>),
    /// At which list a further item goes on.
    List(i16, Box<Node>),
    Map(i16, Box<[Node; 2]>),
}

/// What the values of a column are made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// What the column has.
    Same,
    Int8,
    Int16,
    /// Numbers without a sign.
    Unsigned8,
    Unsigned16,
    Unsigned32,
    Unsigned64,
    Text,
    Decimal,
}

/// The schema of a file, its places, and what each column is made into.
pub(super) fn of(root: &Column) -> Result<(Arc<ConnectSchema>, Node, Vec<Plain>), ConnectError> {
    let mut reading = Reading { columns: Vec::new() };
    let (kind, form) = reading.fields(root, Levels::default())?;
    let columns = 0..reading.columns.len();
    let mut schema = ConnectSchema::new(kind);
    schema.name = Some(root.name()).filter(|name| *name != NO_NAME).map(ByteString::from);
    Ok((Arc::new(schema), Node { form, given: 0, columns }, reading.columns))
}

#[derive(Clone, Copy, Default)]
struct Levels {
    given: i16,
    again: i16,
}

impl Levels {
    fn within_list(self) -> Self {
        Self { given: self.given + 1, again: self.again + 1 }
    }
}

struct Reading {
    columns: Vec<Plain>,
}

fn refuse(column: &Column, why: &str) -> ConnectError {
    ConnectError::failed(format!("the column {} of the object {why}", column.name()))
}

/// The children of a group; none of a plain column.
fn children(column: &Column) -> &[Arc<Column>] {
    if column.is_group() { column.get_fields() } else { &[] }
}

impl Reading {
    /// A column with its own repetition.
    fn node(&mut self, column: &Column, around: Levels) -> Result<(Arc<ConnectSchema>, Node), ConnectError> {
        let start = self.columns.len();
        if is_repeated(column) {
            // A list that nothing marks as one.
            let (items, item) = self.item(column, around.within_list())?;
            let form = Form::List(around.again + 1, Box::new(item));
            let columns = start..self.columns.len();
            return Ok((ConnectSchema::of(Type::Array(items)), Node { form, given: around.given, columns }));
        }
        let levels = Levels { given: around.given + i16::from(column.is_optional()), ..around };
        self.value(column, levels)
    }

    /// What is repeated, each time.
    fn item(&mut self, column: &Column, levels: Levels) -> Result<(Arc<ConnectSchema>, Node), ConnectError> {
        let (schema, node) = self.value(column, levels)?;
        Ok((Arc::new(ConnectSchema { optional: false, ..(*schema).clone() }), node))
    }

    fn value(&mut self, column: &Column, levels: Levels) -> Result<(Arc<ConnectSchema>, Node), ConnectError> {
        let start = self.columns.len();
        let (mut schema, form) = match column.get_basic_info().converted_type() {
            _ if column.is_primitive() => {
                let (schema, plain) = plain(column);
                self.columns.push(plain);
                (schema, Form::Plain)
            }
            ConvertedType::LIST => {
                let (kind, form) = self.list(column, levels)?;
                (ConnectSchema::new(kind), form)
            }
            ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => {
                let (kind, form) = self.map(column, levels)?;
                (ConnectSchema::new(kind), form)
            }
            _ => {
                let (kind, form) = self.fields(column, levels)?;
                (ConnectSchema::new(kind), form)
            }
        };
        schema.optional = column.get_basic_info().has_repetition() && column.is_optional();
        let node = Node { form, given: levels.given, columns: start..self.columns.len() };
        Ok((Arc::new(schema), node))
    }

    fn fields(&mut self, column: &Column, levels: Levels) -> Result<(Type, Form), ConnectError> {
        if children(column).is_empty() {
            return Err(refuse(column, "has nothing in it"));
        }
        let (mut fields, mut nodes) = (Vec::new(), Vec::new());
        for child in children(column) {
            let (schema, node) = self.node(child, levels)?;
            fields.push(Field { name: child.name().into(), schema });
            nodes.push(node);
        }
        let names = fields.iter().map(|field| field.name.clone()).collect();
        Ok((Type::Struct(fields), Form::Struct(names, nodes)))
    }

    /// A group of one repeated column: a group of one that is the item, or the item itself, as older programs write it.
    fn list(&mut self, column: &Column, levels: Levels) -> Result<(Type, Form), ConnectError> {
        let repeated = only_repeated(column)?;
        let within = levels.within_list();
        let own = ["array".to_owned(), format!("{}_tuple", column.name())];
        let (items, item) = match children(repeated) {
            [item] if !own.iter().any(|name| name == repeated.name()) => self.node(item, within)?,
            _ => self.item(repeated, within)?,
        };
        Ok((Type::Array(items), Form::List(within.again, Box::new(item))))
    }

    fn map(&mut self, column: &Column, levels: Levels) -> Result<(Type, Form), ConnectError> {
        let repeated = only_repeated(column)?;
        let within = levels.within_list();
        let [key, value] = children(repeated) else {
            return Err(refuse(column, "is a map without keys and values"));
        };
        let ((keys, key), (values, value)) = (self.node(key, within)?, self.node(value, within)?);
        Ok((Type::Map(keys, values), Form::Map(within.again, Box::new([key, value]))))
    }
}

fn is_repeated(column: &Column) -> bool {
    let info = column.get_basic_info();
    info.has_repetition() && info.repetition() == Repetition::REPEATED
}

fn only_repeated(column: &Column) -> Result<&Column, ConnectError> {
    match children(column) {
        [one] if is_repeated(one) => Ok(one),
        _ => Err(refuse(column, "is no list or map as the format has them")),
    }
}

fn plain(column: &Column) -> (ConnectSchema, Plain) {
    use ConvertedType as Meaning;
    let named = |kind, name: &'static str| {
        let mut schema = ConnectSchema::new(kind).named(name);
        schema.version = Some(1);
        schema
    };
    let schema = ConnectSchema::new;
    match (column.get_physical_type(), column.get_basic_info().converted_type()) {
        (Physical::INT96 | Physical::FLOAT | Physical::DOUBLE | Physical::BOOLEAN, Meaning::DECIMAL) => {
            (schema(Type::Bytes), Plain::Same)
        }
        (_, Meaning::DECIMAL) => {
            let mut decimal = named(Type::Bytes, DECIMAL);
            decimal.parameters.push(("scale".into(), column.get_scale().to_string().into()));
            (decimal, Plain::Decimal)
        }
        (Physical::BOOLEAN, _) => (schema(Type::Boolean), Plain::Same),
        (Physical::INT32, Meaning::INT_8) => (schema(Type::Int8), Plain::Int8),
        (Physical::INT32, Meaning::INT_16) => (schema(Type::Int16), Plain::Int16),
        (Physical::INT32, Meaning::UINT_8) => (schema(Type::Int16), Plain::Unsigned8),
        (Physical::INT32, Meaning::UINT_16) => (schema(Type::Int32), Plain::Unsigned16),
        (Physical::INT32, Meaning::UINT_32) => (schema(Type::Int64), Plain::Unsigned32),
        (Physical::INT32, Meaning::DATE) => (named(Type::Int32, DATE), Plain::Same),
        (Physical::INT32, Meaning::TIME_MILLIS) => (named(Type::Int32, TIME), Plain::Same),
        (Physical::INT32, _) => (schema(Type::Int32), Plain::Same),
        (Physical::INT64, Meaning::UINT_64) => (schema(Type::Int64), Plain::Unsigned64),
        (Physical::INT64, Meaning::TIMESTAMP_MILLIS) | (Physical::INT96, _) => {
            (named(Type::Int64, TIMESTAMP), Plain::Same)
        }
        (Physical::INT64, _) => (schema(Type::Int64), Plain::Same),
        (Physical::FLOAT, _) => (schema(Type::Float32), Plain::Same),
        (Physical::DOUBLE, _) => (schema(Type::Float64), Plain::Same),
        (Physical::BYTE_ARRAY, Meaning::UTF8 | Meaning::ENUM | Meaning::JSON) => {
            (schema(Type::String), Plain::Text)
        }
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => (schema(Type::Bytes), Plain::Same),
    }
}
