//! Columns of records: one row group, a column for each plain value within the schema.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type as Column, TypePtr};

use crate::error::ConnectError;
use crate::notation::text::Meaning;
use crate::record::{ConnectSchema, Type};
use crate::schema_check::require_valid;
use crate::value::Value;

/// The most digits of decimals, whose schemas do not say it.
const PRECISION: i32 = 38;
/// The name of the one column of records that are no structs.
const ROOT: &str = "value";

fn failed(error: ParquetError) -> ConnectError {
    ConnectError::failed("the object cannot be made").because(error)
}

/// Refuses a record that a file cannot hold.
pub(in super::super) fn check(schema: &ConnectSchema, value: &Value) -> Result<(), ConnectError> {
    has_columns(schema)?;
    require_valid(schema, value, "value")
}

fn has_columns(schema: &ConnectSchema) -> Result<(), ConnectError> {
    match &schema.kind {
        Type::Struct(fields) if fields.is_empty() => {
            Err(ConnectError::data("a struct without fields cannot be written as Parquet"))
        }
        Type::Struct(fields) => fields.iter().try_for_each(|field| has_columns(&field.schema)),
        Type::Array(items) => has_columns(items),
        Type::Map(keys, values) => has_columns(keys).and_then(|()| has_columns(values)),
        _ => Ok(()),
    }
}

/// The file of records of a schema.
pub(in super::super) fn object<'v>(
    schema: &Arc<ConnectSchema>,
    codec: Compression,
    values: impl Iterator<Item = &'v Value>,
) -> Result<Bytes, ConnectError> {
    let fields = match &schema.kind {
        Type::Struct(fields) if !schema.optional => {
            fields.iter().map(|field| column(&field.name, &field.schema)).collect::<Result<Vec<_>, _>>()
        }
        _ => column(ROOT, schema).map(|one| vec![one]),
    };
    let name = schema.name.as_deref().unwrap_or("schema");
    let root =
        Column::group_type_builder(name).with_fields(fields.map_err(failed)?).build().map_err(failed)?;
    let mut columns = Vec::new();
    leaves(schema, &mut columns);
    for value in values {
        cut(schema, Some(value), Levels::default(), &mut columns, 0);
    }
    written(Arc::new(root), codec, columns).map_err(failed)
}

fn written(root: TypePtr, codec: Compression, columns: Vec<Cut>) -> Result<Bytes, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(concat!("vltava ", env!("CARGO_PKG_VERSION")).to_owned());
    let mut file = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties.build()))?;
    let mut group = file.next_row_group()?;
    let mut columns = columns.into_iter();
    while let (Some(mut writer), Some(Cut { data, given, again })) = (group.next_column()?, columns.next()) {
        let levels = (Some(given.as_slice()), Some(again.as_slice()));
        match (writer.untyped(), data) {
            (ColumnWriter::BoolColumnWriter(writer), Data::Boolean(data)) => {
                writer.write_batch(&data, levels.0, levels.1)?
            }
            (ColumnWriter::Int32ColumnWriter(writer), Data::Int32(data)) => {
                writer.write_batch(&data, levels.0, levels.1)?
            }
            (ColumnWriter::Int64ColumnWriter(writer), Data::Int64(data)) => {
                writer.write_batch(&data, levels.0, levels.1)?
            }
            (ColumnWriter::FloatColumnWriter(writer), Data::Float32(data)) => {
                writer.write_batch(&data, levels.0, levels.1)?
            }
            (ColumnWriter::DoubleColumnWriter(writer), Data::Float64(data)) => {
                writer.write_batch(&data, levels.0, levels.1)?
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Data::Bytes(data)) => {
                writer.write_batch(&data, levels.0, levels.1)?
            }
            _ => return Err(ParquetError::General("a column is not of its type".to_owned())),
        };
        writer.close()?;
    }
    group.close()?;
    Ok(Bytes::from(file.into_inner()?))
}

/// The column, or the group of columns, of a schema.
fn column(name: &str, schema: &ConnectSchema) -> Result<TypePtr, ParquetError> {
    let repetition = if schema.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let group = |logical, fields| {
        let group = Column::group_type_builder(name).with_repetition(repetition);
        group.with_logical_type(logical).with_fields(fields).build().map(Arc::new)
    };
    let repeated = |name: &str, fields| {
        let group = Column::group_type_builder(name).with_repetition(Repetition::REPEATED);
        group.with_fields(fields).build().map(Arc::new)
    };
    let (physical, logical) = match (&schema.kind, Meaning::of(Some(schema))) {
        (Type::Struct(fields), _) => {
            let fields = fields.iter().map(|field| column(&field.name, &field.schema));
            return group(None, fields.collect::<Result<Vec<_>, _>>()?);
        }
        (Type::Array(items), _) => {
            let list = repeated("list", vec![column("element", items)?])?;
            return group(Some(LogicalType::List), vec![list]);
        }
        (Type::Map(keys, values), _) => {
            let keys = ConnectSchema { optional: false, ..(**keys).clone() };
            let entries = repeated("key_value", vec![column("key", &keys)?, column("value", values)?])?;
            return group(Some(LogicalType::Map), vec![entries]);
        }
        (Type::Bytes, Meaning::Decimal) => {
            let scale = schema.parameter("scale").and_then(|scale| scale.parse().ok()).unwrap_or(0);
            let column =
                Column::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(repetition);
            // Decimals of other scales are bytes.
            if !(0..=PRECISION).contains(&scale) {
                return column.build().map(Arc::new);
            }
            let column = column.with_logical_type(Some(LogicalType::decimal(scale, PRECISION)));
            return column.with_precision(PRECISION).with_scale(scale).build().map(Arc::new);
        }
        (Type::Int32, Meaning::Date) => (Physical::INT32, Some(LogicalType::Date)),
        (Type::Int32, Meaning::Time) => (Physical::INT32, Some(LogicalType::time(true, TimeUnit::MILLIS))),
        (Type::Int64, Meaning::Timestamp) => {
            (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS)))
        }
        (Type::Boolean, _) => (Physical::BOOLEAN, None),
        (Type::Int8, _) => (Physical::INT32, Some(LogicalType::integer(8, true))),
        (Type::Int16, _) => (Physical::INT32, Some(LogicalType::integer(16, true))),
        (Type::Int32, _) => (Physical::INT32, None),
        (Type::Int64, _) => (Physical::INT64, None),
        (Type::Float32, _) => (Physical::FLOAT, None),
        (Type::Float64, _) => (Physical::DOUBLE, None),
        (Type::String, _) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        (Type::Bytes, _) => (Physical::BYTE_ARRAY, None),
    };
    let column = Column::primitive_type_builder(name, physical).with_repetition(repetition);
    column.with_logical_type(logical).build().map(Arc::new)
}

/// A column of all records.
struct Cut {
    data: Data,
    /// How many of the places that may be missing are there, for each value.
    given: Vec<i16>,
    /// At which list each value goes on.
    again: Vec<i16>,
}

enum Data {
    Boolean(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

/// Columns without values, in the order of the schema.
fn leaves(schema: &ConnectSchema, columns: &mut Vec<Cut>) {
    let data = match &schema.kind {
        Type::Struct(fields) => return fields.iter().for_each(|field| leaves(&field.schema, columns)),
        Type::Array(items) => return leaves(items, columns),
        Type::Map(keys, values) => {
            leaves(keys, columns);
            return leaves(values, columns);
        }
        Type::Boolean => Data::Boolean(Vec::new()),
        Type::Int8 | Type::Int16 | Type::Int32 => Data::Int32(Vec::new()),
        Type::Int64 => Data::Int64(Vec::new()),
        Type::Float32 => Data::Float32(Vec::new()),
        Type::Float64 => Data::Float64(Vec::new()),
        Type::String | Type::Bytes => Data::Bytes(Vec::new()),
    };
    columns.push(Cut { data, given: Vec::new(), again: Vec::new() });
}

/// Where a value stands.
#[derive(Clone, Copy, Default)]
struct Levels {
    given: i16,
    again: i16,
    /// Lists around it.
    lists: i16,
}

/// Cuts a value into its columns, from `at` on; without one, all of them have nothing there. The column behind them.
fn cut(
    schema: &ConnectSchema,
    value: Option<&Value>,
    mut levels: Levels,
    columns: &mut [Cut],
    at: usize,
) -> usize {
    let value = value.filter(|value| **value != Value::Null);
    if value.is_some() && schema.optional {
        levels.given += 1;
    }
    let item = |index: usize| Levels {
        given: levels.given + 1,
        again: if index == 0 { levels.again } else { levels.lists + 1 },
        lists: levels.lists + 1,
    };
    match (&schema.kind, value) {
        (Type::Struct(fields), given) => {
            let given = if let Some(Value::Struct(given)) = given { given.values() } else { &[] };
            let given = given.iter().map(Some).chain(std::iter::repeat(None));
            fields
                .iter()
                .zip(given)
                .fold(at, |at, (field, item)| cut(&field.schema, item, levels, columns, at))
        }
        (Type::Array(items), Some(Value::Array(list))) if !list.is_empty() => {
            let each = list.iter().enumerate();
            each.fold(at, |_, (index, one)| cut(items, Some(one), item(index), columns, at))
        }
        (Type::Array(items), _) => cut(items, None, levels, columns, at),
        (Type::Map(keys, values), Some(Value::Map(entries))) if !entries.is_empty() => {
            let keys = ConnectSchema { optional: false, ..(**keys).clone() };
            let each = entries.iter().enumerate();
            each.fold(at, |_, (index, (key, one))| {
                let at = cut(&keys, Some(key), item(index), columns, at);
                cut(values, Some(one), item(index), columns, at)
            })
        }
        (Type::Map(keys, values), _) => {
            let at = cut(keys, None, levels, columns, at);
            cut(values, None, levels, columns, at)
        }
        (_, given) => {
            if let Some(column) = columns.get_mut(at) {
                column.given.push(levels.given);
                column.again.push(levels.again);
                if let Some(given) = given {
                    column.data.push(given);
                }
            }
            at + 1
        }
    }
}

impl Data {
    fn push(&mut self, value: &Value) {
        match (self, value) {
            (Self::Boolean(data), Value::Boolean(truth)) => data.push(*truth),
            (Self::Int32(data), Value::Int8(number)) => data.push((*number).into()),
            (Self::Int32(data), Value::Int16(number)) => data.push((*number).into()),
            (Self::Int32(data), Value::Int32(number)) => data.push(*number),
            (Self::Int64(data), Value::Int64(number)) => data.push(*number),
            (Self::Float32(data), Value::Float32(number)) => data.push(*number),
            (Self::Float64(data), Value::Float64(number)) => data.push(*number),
            (Self::Bytes(data), Value::String(text)) => data.push(text.as_bytes().to_vec().into()),
            (Self::Bytes(data), Value::Bytes(bytes)) => data.push(bytes.to_vec().into()),
            // Records are checked before they are taken.
            _ => {}
        }
    }
}
