//! From bytes to values, by a [`Plan`].

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::plan::{Number, Plan, RecordStep, Step, StepId, WrittenField};
use super::types::{Kind, TypeId, Types};
use super::{VALUE_NESTING_MAX, varint};
use crate::schema::DataError;
use crate::value::{Fields, Value};

/// Values that bytes may stand for beyond their number: items of no length, and fields that are defaults.
const FREE_VALUES_MAX: usize = 256 << 10;
/// Values that each byte may stand for beyond those.
const VALUES_PER_BYTE_MAX: usize = 4;

/// Errors are boxed: they are rare, and values are moved often.
type Outcome<T> = Result<T, Box<DataError>>;

/// Reads the whole of `bytes`.
pub(super) fn decode(plan: &Plan, bytes: Bytes) -> Result<Value, DataError> {
    let values = bytes.len().saturating_mul(VALUES_PER_BYTE_MAX).saturating_add(FREE_VALUES_MAX);
    let mut decoder = Decoder { plan, rest: &bytes, values, bytes: &bytes };
    let mut value = Value::Null;
    decoder.value(plan.root, VALUE_NESTING_MAX, &mut value).map_err(|error| *error)?;
    match decoder.rest.len() {
        0 => Ok(value),
        left => {
            Err(error(format!("{left} bytes are left behind the value; it was written with another schema")))
        }
    }
}

pub(super) fn error(message: impl Into<String>) -> DataError {
    DataError { message: message.into(), path: String::new() }
}

/// Puts a part in front of an error's path.
#[cold]
pub(super) fn within(mut error: Box<DataError>, part: impl std::fmt::Display) -> Box<DataError> {
    error.path = format!("/{part}{}", error.path);
    error
}

#[cold]
fn refuse<T>(message: impl Into<String>) -> Outcome<T> {
    Err(Box::new(error(message)))
}

struct Decoder<'p> {
    plan: &'p Plan,
    /// All that is read, of which texts and bytes are parts.
    bytes: &'p Bytes,
    /// What is left of it.
    rest: &'p [u8],
    /// How many more values may be made.
    values: usize,
}

impl<'p> Decoder<'p> {
    /// Reads a value into its place, where nothing was: values are large, and moving each out of an outcome costs more than
    /// reading it.
    fn value(&mut self, step: StepId, depth: usize, to: &mut Value) -> Outcome<()> {
        self.count(1)?;
        let value = match &self.plan.steps[step] {
            Step::Null => Value::Null,
            Step::Boolean => Value::Boolean(self.boolean()?),
            Step::Int(number) => of_int(self.int()?, *number),
            Step::Long(number) => of_long(self.long()?, *number),
            Step::Float(Number::Float) => Value::Float32(f32::from_le_bytes(self.array()?)),
            Step::Float(_) => Value::Float64(f32::from_le_bytes(self.array()?).into()),
            Step::Double => Value::Float64(f64::from_le_bytes(self.array()?)),
            Step::Bytes => Value::Bytes(self.block()?),
            Step::Text | Step::BytesAsText => Value::String(self.text()?),
            Step::TextAsBytes => Value::Bytes(self.text()?.into_bytes()),
            Step::Fixed(size) => Value::Bytes(self.slice(*size)?),
            Step::Symbols(symbols) => Value::String(self.symbol(symbols)?),
            Step::Branches(branches) => {
                let branch = self.branch(branches.len())?;
                return self.value(branches[branch], depth, to);
            }
            Step::Array(items) => Value::Array(self.items(*items, deeper(depth)?)?),
            Step::Map(values) => Value::Map(self.entries(*values, deeper(depth)?)?),
            Step::Record(record) => Value::Struct(self.record(record, deeper(depth)?)?),
            Step::Refuse(message) => return refuse(message.as_str()),
        };
        // Nothing was there: to look whether something must be dropped would cost as much as to read a number.
        std::mem::forget(std::mem::replace(to, value));
        Ok(())
    }

    fn record(&mut self, record: &'p RecordStep, depth: usize) -> Outcome<Fields> {
        self.count(record.defaults.iter().map(|(_, value)| size(value)).sum())?;
        let mut fields = Fields::new(Arc::clone(&record.names), Vec::with_capacity(record.names.len()));
        let values = fields.values_mut();
        for written in &record.written {
            match written.targets[..] {
                [target] => self.field(target, record, values, depth)?,
                _ => self.written(written, record, values, depth)?,
            }
        }
        for (place, value) in &record.defaults {
            values[*place] = value.clone();
        }
        Ok(fields)
    }

    #[inline]
    fn field(
        &mut self,
        (place, step): (usize, StepId),
        record: &RecordStep,
        values: &mut [Value],
        depth: usize,
    ) -> Outcome<()> {
        let read = self.value(step, depth, &mut values[place]);
        read.map_err(|error| within(error, &record.names[place]))
    }

    /// Reads one field of the writer as often as the reader has it.
    fn written(
        &mut self,
        written: &WrittenField,
        record: &RecordStep,
        values: &mut [Value],
        depth: usize,
    ) -> Outcome<()> {
        let start = self.rest;
        for target in &written.targets {
            self.rest = start;
            self.field(*target, record, values, depth)?;
        }
        if written.targets.is_empty() {
            let plan = self.plan;
            self.skip(&plan.writer, written.ty, depth)?;
        }
        Ok(())
    }

    fn items(&mut self, step: StepId, depth: usize) -> Outcome<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            let count = self.block_count()?;
            if count == 0 {
                return Ok(items);
            }
            items.reserve(self.likely(count));
            for _ in 0..count {
                let place = items.len();
                items.push(Value::Null);
                self.value(step, depth, &mut items[place]).map_err(|error| within(error, place))?;
            }
        }
    }

    fn entries(&mut self, step: StepId, depth: usize) -> Outcome<Vec<(Value, Value)>> {
        let mut entries = Vec::new();
        loop {
            let count = self.block_count()?;
            if count == 0 {
                return Ok(entries);
            }
            entries.reserve(self.likely(count));
            for _ in 0..count {
                let key = self.text()?;
                let mut value = Value::Null;
                self.value(step, depth, &mut value).map_err(|error| within(error, &key))?;
                entries.push((Value::String(key), value));
            }
        }
    }

    fn symbol(&mut self, symbols: &[Option<ByteString>]) -> Outcome<ByteString> {
        let place = usize::try_from(self.int()?).ok();
        match place.and_then(|place| symbols.get(place)) {
            Some(Some(symbol)) => Ok(symbol.clone()),
            Some(None) => refuse("the written symbol is not known to the reading enum, which has no default"),
            None => refuse("the written enum has no such symbol"),
        }
    }

    fn branch(&mut self, branches: usize) -> Outcome<usize> {
        let branch = usize::try_from(self.int()?).ok().filter(|branch| *branch < branches);
        branch.map_or_else(|| refuse("the written union has no such branch"), Ok)
    }

    fn boolean(&mut self) -> Outcome<bool> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => refuse(format!("a boolean is 0 or 1, not {other}")),
        }
    }

    #[inline]
    fn text(&mut self) -> Outcome<ByteString> {
        let bytes = self.block()?;
        ByteString::try_from(bytes).or_else(|_| refuse("a text is not UTF-8"))
    }

    /// Bytes with their length in front.
    #[inline]
    fn block(&mut self) -> Outcome<Bytes> {
        let length = self.length()?;
        self.slice(length)
    }

    /// The number of items in the next block of an array or map; 0 ends it.
    fn block_count(&mut self) -> Outcome<usize> {
        let count = self.long()?;
        if count < 0 {
            // The length of the block in bytes follows, for those who skip it.
            self.long()?;
        }
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        if count > self.values {
            return refuse(format!(
                "an array or map of {count} items is too large for {} bytes",
                self.bytes.len()
            ));
        }
        Ok(count)
    }

    /// How many items to make room for: no more than bytes can hold.
    fn likely(&self, count: usize) -> usize {
        count.min(self.rest.len())
    }

    #[inline]
    fn count(&mut self, values: usize) -> Outcome<()> {
        match self.values.checked_sub(values) {
            Some(left) => {
                self.values = left;
                Ok(())
            }
            None => refuse(format!("{} bytes stand for too many values", self.bytes.len())),
        }
    }

    #[inline]
    fn long(&mut self) -> Outcome<i64> {
        match varint::read(self.rest) {
            Some((number, rest)) => {
                self.rest = rest;
                Ok(number)
            }
            None => refuse("a number does not end where it must"),
        }
    }

    #[inline]
    fn int(&mut self) -> Outcome<i32> {
        let number = self.long()?;
        i32::try_from(number).or_else(|_| refuse(format!("{number} does not fit into 32 bits")))
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => refuse("the bytes end within a value"),
        }
    }

    #[inline]
    fn slice(&mut self, length: usize) -> Outcome<Bytes> {
        let start = self.bytes.len() - self.rest.len();
        self.pass(length)?;
        Ok(self.bytes.slice(start..start + length))
    }

    #[inline]
    fn pass(&mut self, length: usize) -> Outcome<()> {
        match self.rest.get(length..) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => refuse("the bytes end within a value"),
        }
    }

    /// How long what follows is.
    #[inline]
    fn length(&mut self) -> Outcome<usize> {
        let length = self.long()?;
        usize::try_from(length).or_else(|_| refuse(format!("a length is {length}")))
    }

    /// Passes over a value that the reader does not have.
    fn skip(&mut self, types: &Types, id: TypeId, depth: usize) -> Outcome<()> {
        self.count(1)?;
        match types.kind(id) {
            Kind::Null | Kind::Unresolved { .. } => Ok(()),
            Kind::Boolean => self.pass(1),
            Kind::Int | Kind::Long | Kind::Enum(_) => self.long().map(drop),
            Kind::Float => self.pass(4),
            Kind::Double => self.pass(8),
            Kind::Bytes | Kind::String => self.length().and_then(|length| self.pass(length)),
            Kind::Fixed { size } => self.pass(*size),
            Kind::Union(branches) => {
                let branch = self.branch(branches.len())?;
                self.skip(types, branches[branch].id, depth)
            }
            Kind::Record { fields, .. } => {
                let depth = deeper(depth)?;
                fields.iter().try_for_each(|field| self.skip(types, field.ty.id, depth))
            }
            Kind::Array(items) => self.skip_blocks(types, items.id, false, deeper(depth)?),
            Kind::Map(values) => self.skip_blocks(types, values.id, true, deeper(depth)?),
        }
    }

    fn skip_blocks(&mut self, types: &Types, item: TypeId, keys: bool, depth: usize) -> Outcome<()> {
        loop {
            let count = self.block_count()?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                if keys {
                    self.length().and_then(|length| self.pass(length))?;
                }
                self.skip(types, item, depth)?;
            }
        }
    }
}

#[inline]
fn deeper(depth: usize) -> Outcome<usize> {
    match depth.checked_sub(1) {
        Some(depth) => Ok(depth),
        None => refuse(format!("values are nested more than {VALUE_NESTING_MAX} deep")),
    }
}

#[allow(clippy::cast_precision_loss, reason = "the specification promotes so")]
fn of_int(number: i32, to: Number) -> Value {
    match to {
        Number::Int => Value::Int32(number),
        Number::Long => Value::Int64(number.into()),
        Number::Float => Value::Float32(number as f32),
        Number::Double => Value::Float64(number.into()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "the specification promotes so")]
fn of_long(number: i64, to: Number) -> Value {
    match to {
        Number::Int | Number::Long => Value::Int64(number),
        Number::Float => Value::Float32(number as f32),
        Number::Double => Value::Float64(number as f64),
    }
}

/// How many values one is, with those in it.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, value)| 1 + size(value)).sum(),
        Value::Struct(fields) => fields.values().iter().map(size).sum(),
        _ => 0,
    }
}
