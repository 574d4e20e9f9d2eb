//! Values as bytes and back.
//!
//! A message is a struct of all its fields in the order of the text: an absent one is its zero, or nothing where the language
//! tells absence apart (messages, oneofs, `optional`, `proto2`). Enums are their names, numbers without a name are
//! numbers; 32 bits without a sign are carried in 64 with one, 64 bits in 64, so that the largest half is negative, as
//! Connect has it. Well-known types are the messages that they are. Fields that the schema does not have are skipped.
//!
//! Why not the dynamic messages of the library: their maps have no order, and everything would be built twice.

use bytes::{Buf, BufMut, Bytes};
use bytestring::ByteString;

use super::types::{Enum, Field, FieldLabel, Kind, Message, Types};
use super::{DATA_NESTING_MAX, NESTING_MAX, VALUES_MIN, VALUES_PER_BYTE_MAX};
use crate::schema::DataError;
use crate::value::Value;

mod read;
mod write;

/// Appends the selector of the message `type_name`, or of the first one, and `value` as that; returns the length of the former.
pub(super) fn encode(
    types: &Types,
    type_name: Option<&str>,
    value: &Value,
    bytes: &mut Vec<u8>,
) -> Result<usize, DataError> {
    let index = match type_name {
        Some(name) => {
            types.message(name).filter(|index| types.messages.get(*index).is_some_and(is_selectable))
        }
        None => types.roots.first().copied(),
    };
    let Some((index, message)) = index.and_then(|index| Some((index, types.messages.get(index)?))) else {
        return Err(match type_name {
            Some(name) => error(format!("the schema has no message {name:?} of its own")),
            None => error("the schema has no message"),
        });
    };
    let start = bytes.len();
    put_selector(&message.place, bytes);
    let length = bytes.len() - start;
    write::Writer::new(types).message(index, value, bytes)?;
    Ok(length)
}

fn is_selectable(message: &Message) -> bool {
    message.is_local && !message.is_map_entry
}

/// Decodes `bytes`, a selector of `writer` and a payload, as the message of that name in `reader`.
pub(super) fn decode(reader: &Types, writer: &Types, mut bytes: Bytes) -> Result<Value, DataError> {
    let place = read_selector(&mut bytes)?;
    let written = message_at(writer, &place)
        .ok_or_else(|| error(format!("the schema of the writer has no message at {place:?}")))?;
    let index = reader.message(&written.full_name).ok_or_else(|| {
        error(format!("the schema has no message {:?}, which was written", written.full_name))
    })?;
    let mut source = read::Reader::new(reader, bytes.len());
    source.root(index, bytes)
}

fn message_at<'a>(types: &'a Types, place: &[usize]) -> Option<&'a Message> {
    let (first, rest) = place.split_first()?;
    let mut message = types.messages.get(*types.roots.get(*first)?)?;
    for index in rest {
        message = types.messages.get(*message.messages.get(*index)?)?;
    }
    Some(message)
}

/// The indexes of a message: their number and they themselves as zigzag varints; `[0]`, the most frequent, is one byte.
fn put_selector(place: &[usize], out: &mut Vec<u8>) {
    if place == [0] {
        return out.put_u8(0);
    }
    let numbers = std::iter::once(place.len()).chain(place.iter().copied());
    for number in numbers {
        put_varint(out, (number as u64) << 1);
    }
}

pub(super) fn read_selector(bytes: &mut Bytes) -> Result<Vec<usize>, DataError> {
    let count = selector_number(bytes)?;
    if count == 0 {
        return Ok(vec![0]);
    }
    if count > NESTING_MAX {
        return Err(error(format!("{count} message indexes, of which there can be at most {NESTING_MAX}")));
    }
    (0..count).map(|_| selector_number(bytes)).collect()
}

fn selector_number(bytes: &mut Bytes) -> Result<usize, DataError> {
    let raw = get_varint(bytes).ok_or_else(|| error("the bytes end within the message indexes"))?;
    let number = unzigzag(raw);
    usize::try_from(number).map_err(|_| error(format!("message index {number} is negative")))
}

/// The number of a varint, or `None` when the bytes end or it has more than ten.
fn get_varint(bytes: &mut impl Buf) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        if !bytes.has_remaining() {
            return None;
        }
        let byte = bytes.get_u8();
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.put_u8(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.put_u8(number.to_le_bytes()[0]);
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn error(message: impl Into<String>) -> DataError {
    DataError { message: message.into(), path: String::new() }
}

/// Puts `step` before the place of an error.
fn within(step: &str, found: DataError) -> DataError {
    let step = step.replace('~', "~0").replace('/', "~1");
    DataError { path: format!("/{step}{}", found.path), ..found }
}

/// How a value stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Varint,
    Fixed64,
    Bytes,
    GroupStart,
    GroupEnd,
    Fixed32,
}

impl Wire {
    fn of(kind: Kind) -> Wire {
        match kind {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Wire::Fixed64,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Wire::Fixed32,
            Kind::String | Kind::Bytes | Kind::Message(_) => Wire::Bytes,
            Kind::Group(_) => Wire::GroupStart,
            _ => Wire::Varint,
        }
    }

    fn number(self) -> u64 {
        match self {
            Wire::Varint => 0,
            Wire::Fixed64 => 1,
            Wire::Bytes => 2,
            Wire::GroupStart => 3,
            Wire::GroupEnd => 4,
            Wire::Fixed32 => 5,
        }
    }

    fn from_number(number: u64) -> Option<Wire> {
        Some(match number {
            0 => Wire::Varint,
            1 => Wire::Fixed64,
            2 => Wire::Bytes,
            3 => Wire::GroupStart,
            4 => Wire::GroupEnd,
            5 => Wire::Fixed32,
            _ => return None,
        })
    }
}

/// The map entry of a field, if it is a map.
fn map_entry<'a>(types: &'a Types, field: &Field) -> Option<(usize, &'a Message)> {
    let Kind::Message(index) = field.kind else { return None };
    let entry = types.messages.get(index).filter(|message| message.is_map_entry)?;
    (field.label == FieldLabel::Repeated).then_some((index, entry))
}

/// What a scalar is when nothing was written.
fn zero(types: &Types, kind: Kind) -> Value {
    match kind {
        Kind::Double => Value::Float64(0.0),
        Kind::Float => Value::Float32(0.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::Int32(0),
        Kind::Int64
        | Kind::Uint64
        | Kind::Sint64
        | Kind::Fixed64
        | Kind::Sfixed64
        | Kind::Uint32
        | Kind::Fixed32 => Value::Int64(0),
        Kind::Bool => Value::Boolean(false),
        Kind::String => Value::String(ByteString::new()),
        Kind::Bytes => Value::Bytes(Bytes::new()),
        Kind::Enum(index) => match types.enums.get(index).and_then(|found| found.values.first()) {
            Some((name, _)) => Value::String(name.clone()),
            None => Value::Int32(0),
        },
        Kind::Message(_) | Kind::Group(_) => Value::Null,
    }
}

/// The value of an enum's number.
fn enum_value(found: &Enum, number: i32) -> Value {
    found.names.get(&number).map_or(Value::Int32(number), |name| Value::String(name.clone()))
}
