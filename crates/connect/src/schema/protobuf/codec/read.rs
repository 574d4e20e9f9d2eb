//! From bytes to values.

use std::sync::Arc;

use super::{
    Buf, ByteString, Bytes, DATA_NESTING_MAX, DataError, Field, FieldLabel, Kind, Message, Types, VALUES_MIN,
    VALUES_PER_BYTE_MAX, Value, Wire, enum_value, error, get_varint, map_entry, unzigzag, within, zero,
};
use crate::value::Fields;

/// Reads messages of one schema.
pub(super) struct Reader<'a> {
    types: &'a Types,
    /// Values that may still be made: absent fields become values too, so a few bytes could ask for very many.
    values_left: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(types: &'a Types, bytes: usize) -> Self {
        let values_left = VALUES_MIN.max(bytes.saturating_mul(VALUES_PER_BYTE_MAX));
        Reader { types, values_left, depth: 0 }
    }

    pub(super) fn root(&mut self, index: usize, mut bytes: Bytes) -> Result<Value, DataError> {
        let message = self.find(index)?;
        self.message(message, None, &mut bytes, None)
    }

    fn find(&self, index: usize) -> Result<&'a Message, DataError> {
        self.types.messages.get(index).ok_or_else(|| error("the schema lacks the message"))
    }

    /// Reads a message up to the end of `bytes`, or of the group `group`, into what was read of it before.
    fn message(
        &mut self,
        message: &'a Message,
        before: Option<Value>,
        bytes: &mut Bytes,
        group: Option<u32>,
    ) -> Result<Value, DataError> {
        self.depth += 1;
        if self.depth > DATA_NESTING_MAX {
            return Err(error(format!("more than {DATA_NESTING_MAX} messages within each other")));
        }
        let mut values = match before {
            Some(Value::Struct(values)) => values,
            _ => self.absent(message)?,
        };
        self.fields(message, values.values_mut(), bytes, group)?;
        self.depth -= 1;
        for (field, value) in message.fields.iter().zip(values.values()) {
            if field.label == FieldLabel::Required && *value == Value::Null {
                return Err(error(format!("the required field {} is missing", field.name)));
            }
        }
        Ok(Value::Struct(values))
    }

    fn absent(&mut self, message: &Message) -> Result<Fields, DataError> {
        self.take(message.fields.len())?;
        let values = message.fields.iter().map(|field| self.absent_field(field)).collect();
        Ok(Fields::new(Arc::clone(&message.names), values))
    }

    fn absent_field(&self, field: &Field) -> Value {
        match field {
            field if field.label == FieldLabel::Repeated && map_entry(self.types, field).is_some() => {
                Value::Map(Vec::new())
            }
            field if field.label == FieldLabel::Repeated => Value::Array(Vec::new()),
            field if field.has_presence => Value::Null,
            field => zero(self.types, field.kind),
        }
    }

    fn take(&mut self, values: usize) -> Result<(), DataError> {
        match self.values_left.checked_sub(values) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => Err(error(format!(
                "the data stands for more values than {VALUES_MIN} or {VALUES_PER_BYTE_MAX} for each byte"
            ))),
        }
    }

    fn fields(
        &mut self,
        message: &'a Message,
        values: &mut [Value],
        bytes: &mut Bytes,
        group: Option<u32>,
    ) -> Result<(), DataError> {
        while bytes.has_remaining() {
            let (number, wire) = key(bytes)?;
            if wire == Wire::GroupEnd {
                return match group {
                    Some(group) if group == number => Ok(()),
                    _ => Err(error(format!("group {number} ends, but did not start"))),
                };
            }
            match message.by_number.get(&number) {
                Some(index) => self.field(message, *index, values, wire, bytes)?,
                None => skip(wire, number, bytes, DATA_NESTING_MAX.saturating_sub(self.depth))?,
            }
        }
        match group {
            Some(group) => Err(error(format!("the bytes end within group {group}"))),
            None => Ok(()),
        }
    }

    fn field(
        &mut self,
        message: &'a Message,
        index: usize,
        values: &mut [Value],
        wire: Wire,
        bytes: &mut Bytes,
    ) -> Result<(), DataError> {
        let Some(field) = message.fields.get(index) else { return Ok(()) };
        if let Some(oneof) = field.oneof {
            // The last one that was written counts.
            for (other, value) in message.fields.iter().zip(values.iter_mut()) {
                if other.oneof == Some(oneof) && other.number != field.number {
                    *value = Value::Null;
                }
            }
        }
        let Some(slot) = values.get_mut(index) else { return Ok(()) };
        self.occurrence(field, slot, wire, bytes).map_err(|found| within(&field.name, found))
    }

    fn occurrence(
        &mut self,
        field: &'a Field,
        slot: &mut Value,
        wire: Wire,
        bytes: &mut Bytes,
    ) -> Result<(), DataError> {
        match slot {
            Value::Map(entries) => {
                self.take(2)?;
                entries.push(self.entry(field, wire, bytes)?);
            }
            Value::Array(values) if wire == Wire::Bytes && Wire::of(field.kind) != Wire::Bytes => {
                let mut packed = delimited(bytes)?;
                let start = values.len();
                while packed.has_remaining() {
                    self.take(1)?;
                    let step = values.len() - start;
                    let value = self.value(field, None, Wire::of(field.kind), &mut packed);
                    values.push(value.map_err(|found| within(&step.to_string(), found))?);
                }
            }
            Value::Array(values) => {
                self.take(1)?;
                let step = values.len();
                let value = self.value(field, None, wire, bytes);
                values.push(value.map_err(|found| within(&step.to_string(), found))?);
            }
            slot => *slot = self.value(field, Some(std::mem::take(slot)), wire, bytes)?,
        }
        Ok(())
    }

    fn entry(&mut self, field: &Field, wire: Wire, bytes: &mut Bytes) -> Result<(Value, Value), DataError> {
        let Some((_, entry)) = map_entry(self.types, field) else {
            return Err(error("the field is not a map"));
        };
        expect(wire, Wire::Bytes)?;
        let mut inside = delimited(bytes)?;
        let Value::Struct(mut fields) = self.message(entry, None, &mut inside, None)? else {
            return Err(error("the entry is not a message"));
        };
        let [key, value] = fields.values_mut() else {
            return Err(error("the entry is not a map's"));
        };
        // A message that is not written in an entry is an empty one.
        if let (Value::Null, Some(field)) = (&value, entry.fields.get(1)) {
            *value = match field.kind {
                Kind::Message(index) => self.root(index, Bytes::new())?,
                kind => zero(self.types, kind),
            };
        }
        Ok((std::mem::take(key), std::mem::take(value)))
    }

    fn value(
        &mut self,
        field: &Field,
        before: Option<Value>,
        wire: Wire,
        bytes: &mut Bytes,
    ) -> Result<Value, DataError> {
        expect(wire, Wire::of(field.kind))?;
        match field.kind {
            Kind::Message(index) => {
                let mut inside = delimited(bytes)?;
                self.message(self.find(index)?, before, &mut inside, None)
            }
            Kind::Group(index) => self.message(self.find(index)?, before, bytes, Some(field.number)),
            Kind::Enum(index) => {
                let number = low_half(varint(bytes)?).cast_signed();
                let found = self.types.enums.get(index).ok_or_else(|| error("the schema lacks the enum"))?;
                Ok(enum_value(found, number))
            }
            kind => scalar(kind, bytes),
        }
    }
}

fn scalar(kind: Kind, bytes: &mut Bytes) -> Result<Value, DataError> {
    Ok(match kind {
        Kind::Int32 => Value::Int32(low_half(varint(bytes)?).cast_signed()),
        Kind::Uint32 => Value::Int64(i64::from(low_half(varint(bytes)?))),
        Kind::Int64 | Kind::Uint64 => Value::Int64(varint(bytes)?.cast_signed()),
        Kind::Sint32 => Value::Int32(low_half(unzigzag(varint(bytes)?).cast_unsigned()).cast_signed()),
        Kind::Sint64 => Value::Int64(unzigzag(varint(bytes)?)),
        Kind::Bool => Value::Boolean(varint(bytes)? != 0),
        Kind::Fixed32 => Value::Int64(i64::from(fixed32(bytes)?)),
        Kind::Sfixed32 => Value::Int32(fixed32(bytes)?.cast_signed()),
        Kind::Float => Value::Float32(f32::from_bits(fixed32(bytes)?)),
        Kind::Fixed64 | Kind::Sfixed64 => Value::Int64(fixed64(bytes)?.cast_signed()),
        Kind::Double => Value::Float64(f64::from_bits(fixed64(bytes)?)),
        Kind::String => {
            let text = ByteString::try_from(delimited(bytes)?);
            Value::String(text.map_err(|_| error("the text is not UTF-8"))?)
        }
        Kind::Bytes => Value::Bytes(delimited(bytes)?),
        Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => Value::Null,
    })
}

/// The number in the lower 32 bits, as every implementation narrows.
fn low_half(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn expect(found: Wire, wanted: Wire) -> Result<(), DataError> {
    if found == wanted {
        return Ok(());
    }
    Err(error(format!("the field is written as {found:?}, but the schema reads it as {wanted:?}")))
}

fn key(bytes: &mut Bytes) -> Result<(u32, Wire), DataError> {
    let key = varint(bytes)?;
    let wire =
        Wire::from_number(key & 7).ok_or_else(|| error(format!("wire type {} does not exist", key & 7)))?;
    match u32::try_from(key >> 3) {
        Ok(number) if number > 0 => Ok((number, wire)),
        _ => Err(error(format!("field number {} does not exist", key >> 3))),
    }
}

fn varint(bytes: &mut Bytes) -> Result<u64, DataError> {
    get_varint(bytes).ok_or_else(|| error("the bytes end within a number, or it is too long"))
}

fn fixed32(bytes: &mut Bytes) -> Result<u32, DataError> {
    bytes.try_get_u32_le().map_err(|_| error("the bytes end within a number of 4 bytes"))
}

fn fixed64(bytes: &mut Bytes) -> Result<u64, DataError> {
    bytes.try_get_u64_le().map_err(|_| error("the bytes end within a number of 8 bytes"))
}

fn delimited(bytes: &mut Bytes) -> Result<Bytes, DataError> {
    let claimed = varint(bytes)?;
    match usize::try_from(claimed) {
        Ok(length) if length <= bytes.len() => Ok(bytes.split_to(length)),
        _ => Err(error(format!("{claimed} bytes are announced, but {} are left", bytes.len()))),
    }
}

/// Skips a field that the schema does not have; groups within each other at most `depth_left` deep.
fn skip(wire: Wire, number: u32, bytes: &mut Bytes, depth_left: usize) -> Result<(), DataError> {
    match wire {
        Wire::Varint => varint(bytes).map(drop),
        Wire::Fixed32 => fixed32(bytes).map(drop),
        Wire::Fixed64 => fixed64(bytes).map(drop),
        Wire::Bytes => delimited(bytes).map(drop),
        Wire::GroupEnd => Err(error(format!("group {number} ends, but did not start"))),
        Wire::GroupStart => {
            let left = depth_left
                .checked_sub(1)
                .ok_or_else(|| error(format!("more than {DATA_NESTING_MAX} messages within each other")))?;
            loop {
                match key(bytes)? {
                    (end, Wire::GroupEnd) if end == number => return Ok(()),
                    (inner, wire) => skip(wire, inner, bytes, left)?,
                }
            }
        }
    }
}
