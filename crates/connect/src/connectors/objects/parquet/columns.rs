//! The values of a column, some rows at a time.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use bytestring::ByteString;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;

use super::shape::Plain;
use crate::error::ConnectError;
use crate::value::Value;

/// A column of a row group, and what was read of it and not used yet.
pub(super) struct Values {
    reader: ColumnReader,
    plain: Plain,
    given_max: i16,
    again_max: i16,
    places: VecDeque<(i16, i16)>,
    values: VecDeque<Value>,
}

impl Values {
    pub(super) fn new(reader: ColumnReader, plain: Plain, given_max: i16, again_max: i16) -> Self {
        Self { reader, plain, given_max, again_max, places: VecDeque::new(), values: VecDeque::new() }
    }

    /// Where the next value belongs: how many places are there, and at which list it goes on.
    pub(super) fn place(&self) -> Option<(i16, i16)> {
        self.places.front().copied()
    }

    /// The next value; null where it is missing.
    pub(super) fn take(&mut self) -> Option<Value> {
        let (given, _) = self.places.pop_front()?;
        if given == self.given_max { self.values.pop_front() } else { Some(Value::Null) }
    }

    /// Reads the values of the next rows. How many rows there were.
    pub(super) fn fill(&mut self, rows: usize) -> Result<usize, ConnectError> {
        let (plain, levels) = (self.plain, (self.given_max, self.again_max));
        let (into, values) = (&mut self.places, &mut self.values);
        match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                values.extend(read.into_iter().map(Value::Boolean));
                Ok(count)
            }
            ColumnReader::Int32ColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                values.extend(read.into_iter().map(|number| of_32_bits(plain, number)));
                Ok(count)
            }
            ColumnReader::Int64ColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                for number in read {
                    values.push_back(of_64_bits(plain, number)?);
                }
                Ok(count)
            }
            ColumnReader::Int96ColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                values.extend(read.into_iter().map(|time| Value::Int64(time.to_millis())));
                Ok(count)
            }
            ColumnReader::FloatColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                values.extend(read.into_iter().map(Value::Float32));
                Ok(count)
            }
            ColumnReader::DoubleColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                values.extend(read.into_iter().map(Value::Float64));
                Ok(count)
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                of_bytes(plain, read.iter().map(ByteArray::data), values)?;
                Ok(count)
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                let (count, read) = next(reader, rows, levels, into)?;
                of_bytes(plain, read.iter().map(|bytes| bytes.data()), values)?;
                Ok(count)
            }
        }
    }
}

pub(super) fn damaged(error: ParquetError) -> ConnectError {
    ConnectError::failed("the object is no file of Parquet that is read").because(error)
}

fn next<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    (given_max, again_max): (i16, i16),
    places: &mut VecDeque<(i16, i16)>,
) -> Result<(usize, Vec<T::T>), ConnectError> {
    let (mut given, mut again, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let read = reader.read_records(rows, Some(&mut given), Some(&mut again), &mut values);
    let (count, _, levels) = read.map_err(damaged)?;
    // What cannot be missing, or is in no list, has no numbers.
    let given = (given_max > 0).then_some(given).into_iter().flatten().chain(std::iter::repeat(0));
    let again = (again_max > 0).then_some(again).into_iter().flatten().chain(std::iter::repeat(0));
    places.extend(given.zip(again).take(levels));
    Ok((count, values))
}

fn of_32_bits(plain: Plain, number: i32) -> Value {
    // The bits beyond the type are the sign, or nothing.
    match plain {
        Plain::Int8 => Value::Int8(number as i8),
        Plain::Int16 => Value::Int16(number as i16),
        Plain::Unsigned8 => Value::Int16(i16::from(number as u8)),
        Plain::Unsigned16 => Value::Int32(i32::from(number as u16)),
        Plain::Unsigned32 => Value::Int64(i64::from(number.cast_unsigned())),
        Plain::Decimal => Value::Bytes(shortest(&number.to_be_bytes())),
        _ => Value::Int32(number),
    }
}

fn of_64_bits(plain: Plain, number: i64) -> Result<Value, ConnectError> {
    match plain {
        Plain::Unsigned64 if number < 0 => Err(ConnectError::failed(format!(
            "the object has the number {}, which is too large",
            number.cast_unsigned()
        ))),
        Plain::Decimal => Ok(Value::Bytes(shortest(&number.to_be_bytes()))),
        _ => Ok(Value::Int64(number)),
    }
}

/// A number in two's complement without bytes that repeat its sign.
fn shortest(bytes: &[u8]) -> Bytes {
    let is_spare = |pair: &[u8]| match pair {
        [first, second] => (*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80),
        _ => false,
    };
    let spare = bytes.windows(2).take_while(|pair| is_spare(pair)).count();
    Bytes::copy_from_slice(bytes.get(spare..).unwrap_or_default())
}

/// Texts and bytes. What repeats itself by a dictionary is there once.
fn of_bytes<'b>(
    plain: Plain,
    read: impl Iterator<Item = &'b [u8]>,
    values: &mut VecDeque<Value>,
) -> Result<(), ConnectError> {
    let mut known: HashMap<(*const u8, usize), Value> = HashMap::new();
    for bytes in read {
        let value = match known.get(&(bytes.as_ptr(), bytes.len())) {
            Some(value) => value.clone(),
            None => {
                let value = match plain {
                    Plain::Text => {
                        let text = ByteString::try_from(bytes);
                        Value::String(text.map_err(|error| {
                            ConnectError::failed("the object has a text that is none").because(error)
                        })?)
                    }
                    Plain::Decimal => Value::Bytes(shortest(bytes)),
                    _ => Value::Bytes(Bytes::copy_from_slice(bytes)),
                };
                known.insert((bytes.as_ptr(), bytes.len()), value.clone());
                value
            }
        };
        values.push_back(value);
    }
    Ok(())
}
