//! From values to bytes.

use super::{
    BufMut, DATA_NESTING_MAX, DataError, Field, FieldLabel, Kind, Message, Types, Value, Wire, error,
    map_entry, put_varint, within, zero, zigzag,
};

/// Writes messages of one schema.
pub(super) struct Writer<'a> {
    types: &'a Types,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(types: &'a Types) -> Self {
        Writer { types, depth: 0 }
    }

    /// Writes the fields of a message.
    pub(super) fn message(
        &mut self,
        index: usize,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        let message = self.types.messages.get(index).ok_or_else(|| error("the schema lacks the message"))?;
        self.depth += 1;
        if self.depth > DATA_NESTING_MAX {
            return Err(error(format!("more than {DATA_NESTING_MAX} messages within each other")));
        }
        let given = given(message, value)?;
        check_oneofs(message, &given)?;
        for (field, value) in message.fields.iter().zip(given) {
            self.field(field, value, out).map_err(|found| within(&field.name, found))?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn field(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
        match (value, field.label) {
            (Value::Null, FieldLabel::Required) => Err(error("the field is required, but null")),
            (Value::Null, _) => Ok(()),
            (value, FieldLabel::Repeated) if map_entry(self.types, field).is_some() => {
                self.map(field, value, out)
            }
            (Value::Array(values), FieldLabel::Repeated) => self.array(field, values, out),
            (other, FieldLabel::Repeated) => Err(does_not_fit(other, "an array")),
            (value, _)
                if !field.has_presence
                    && *value == zero(self.types, field.kind)
                    && !is_negative_zero(value) =>
            {
                Ok(())
            }
            (value, _) => self.keyed(field, value, out),
        }
    }

    fn array(&mut self, field: &Field, values: &[Value], out: &mut Vec<u8>) -> Result<(), DataError> {
        let each = |writer: &mut Self, value: (usize, &Value), out: &mut Vec<u8>| {
            let written = if field.is_packed {
                writer.value(field, value.1, out)
            } else {
                writer.keyed(field, value.1, out)
            };
            written.map_err(|found| within(&value.0.to_string(), found))
        };
        if !field.is_packed {
            return values.iter().enumerate().try_for_each(|value| each(self, value, out));
        }
        if values.is_empty() {
            return Ok(());
        }
        put_key(field.number, Wire::Bytes, out);
        self.delimited(out, |writer, out| {
            values.iter().enumerate().try_for_each(|value| each(writer, value, out))
        })
    }

    fn map(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
        let Value::Map(entries) = value else { return Err(does_not_fit(value, "a map")) };
        let Some((_, entry)) = map_entry(self.types, field) else {
            return Err(error("the field is not a map"));
        };
        let [key_field, value_field] = entry.fields.as_slice() else {
            return Err(error("the entry is not a map's"));
        };
        for (index, (key, value)) in entries.iter().enumerate() {
            put_key(field.number, Wire::Bytes, out);
            let written = self.delimited(out, |writer, out| {
                writer.keyed(key_field, key, out)?;
                writer.keyed(value_field, value, out)
            });
            written.map_err(|found| within(&index.to_string(), found))?;
        }
        Ok(())
    }

    fn keyed(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
        put_key(field.number, Wire::of(field.kind), out);
        self.value(field, value, out)
    }

    fn value(&mut self, field: &Field, value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
        match field.kind {
            Kind::Message(index) => self.delimited(out, |writer, out| writer.message(index, value, out)),
            Kind::Group(index) => {
                self.message(index, value, out)?;
                put_key(field.number, Wire::GroupEnd, out);
                Ok(())
            }
            Kind::Enum(index) => {
                let number = self.enum_number(index, value)?;
                put_varint(out, i64::from(number).cast_unsigned());
                Ok(())
            }
            kind => scalar(kind, value, out),
        }
    }

    fn enum_number(&self, index: usize, value: &Value) -> Result<i32, DataError> {
        let found = self.types.enums.get(index).ok_or_else(|| error("the schema lacks the enum"))?;
        match value {
            Value::String(name) => {
                let number = found.numbers.get(name).copied();
                number.ok_or_else(|| {
                    let name: String = name.chars().take(100).collect();
                    error(format!("enum {} has no constant {name:?}", found.name))
                })
            }
            other => narrow(other, "a name or a number of 32 bits"),
        }
    }

    /// Writes what `each` writes, with its length before it.
    fn delimited(
        &mut self,
        out: &mut Vec<u8>,
        each: impl FnOnce(&mut Self, &mut Vec<u8>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let start = out.len();
        each(self, out)?;
        let length = out.len() - start;
        // The length comes before the bytes, but is known only now: what has been written moves behind it.
        put_varint(out, length as u64);
        if let Some(written) = out.get_mut(start..) {
            written.rotate_left(length);
        }
        Ok(())
    }
}

/// The values of the fields of `message`, in its order; nothing for those that are not given.
fn given<'v>(message: &Message, value: &'v Value) -> Result<Vec<&'v Value>, DataError> {
    const ABSENT: &Value = &Value::Null;
    let Value::Struct(fields) = value else {
        return Err(does_not_fit(value, &format!("a struct, of message {}", message.full_name)));
    };
    let mut given = vec![ABSENT; message.fields.len()];
    for (at, (name, value)) in fields.iter().enumerate() {
        // Most structs have the order of the schema.
        let index = match message.fields.get(at) {
            Some(field) if field.name == *name => Some(at),
            _ => message.fields.iter().position(|field| field.name == *name),
        };
        match index.and_then(|index| given.get_mut(index)) {
            Some(slot) => *slot = value,
            None => {
                let name: String = name.chars().take(100).collect();
                return Err(error(format!("message {} has no field {name:?}", message.full_name)));
            }
        }
    }
    Ok(given)
}

fn check_oneofs(message: &Message, given: &[&Value]) -> Result<(), DataError> {
    let mut set: Vec<Option<&Field>> = vec![None; message.oneofs.len()];
    for (field, value) in message.fields.iter().zip(given) {
        let slot = field.oneof.filter(|_| **value != Value::Null).and_then(|oneof| set.get_mut(oneof));
        if let Some(other) = slot.and_then(|slot| slot.replace(field)) {
            return Err(error(format!(
                "of {} and {}, which are in one oneof, only one can be set",
                other.name, field.name
            )));
        }
    }
    Ok(())
}

fn scalar(kind: Kind, value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
    match kind {
        Kind::Int32 => put_varint(out, i64::from(narrow(value, "a number of 32 bits")?).cast_unsigned()),
        Kind::Sint32 => put_varint(out, zigzag(i64::from(narrow(value, "a number of 32 bits")?))),
        Kind::Sfixed32 => out.put_i32_le(narrow(value, "a number of 32 bits")?),
        Kind::Uint32 => put_varint(out, u64::from(unsigned(value)?)),
        Kind::Fixed32 => out.put_u32_le(unsigned(value)?),
        Kind::Int64 | Kind::Uint64 => put_varint(out, integer(value, "a number of 64 bits")?.cast_unsigned()),
        Kind::Sint64 => put_varint(out, zigzag(integer(value, "a number of 64 bits")?)),
        Kind::Fixed64 | Kind::Sfixed64 => out.put_i64_le(integer(value, "a number of 64 bits")?),
        Kind::Bool => match value {
            Value::Boolean(truth) => out.put_u8(u8::from(*truth)),
            other => return Err(does_not_fit(other, "true or false")),
        },
        Kind::Float => match value {
            Value::Float32(number) => out.put_f32_le(*number),
            other => return Err(does_not_fit(other, "a floating-point number of 32 bits")),
        },
        Kind::Double => match value {
            Value::Float64(number) => out.put_f64_le(*number),
            Value::Float32(number) => out.put_f64_le(f64::from(*number)),
            other => return Err(does_not_fit(other, "a floating-point number")),
        },
        Kind::String => match value {
            Value::String(text) => put_bytes(out, text.as_bytes()),
            other => return Err(does_not_fit(other, "text")),
        },
        Kind::Bytes => match value {
            Value::Bytes(bytes) => put_bytes(out, bytes),
            other => return Err(does_not_fit(other, "bytes")),
        },
        Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => {}
    }
    Ok(())
}

fn integer(value: &Value, wanted: &str) -> Result<i64, DataError> {
    match value {
        Value::Int8(number) => Ok(i64::from(*number)),
        Value::Int16(number) => Ok(i64::from(*number)),
        Value::Int32(number) => Ok(i64::from(*number)),
        Value::Int64(number) => Ok(*number),
        other => Err(does_not_fit(other, wanted)),
    }
}

fn narrow(value: &Value, wanted: &str) -> Result<i32, DataError> {
    let number = integer(value, wanted)?;
    i32::try_from(number).map_err(|_| error(format!("{number} is not {wanted}")))
}

fn unsigned(value: &Value) -> Result<u32, DataError> {
    let number = integer(value, "a number of 32 bits without a sign")?;
    u32::try_from(number).map_err(|_| error(format!("{number} is not a number of 32 bits without a sign")))
}

fn is_negative_zero(value: &Value) -> bool {
    match value {
        Value::Float32(number) => number.is_sign_negative(),
        Value::Float64(number) => number.is_sign_negative(),
        _ => false,
    }
}

fn put_key(number: u32, wire: Wire, out: &mut Vec<u8>) {
    put_varint(out, u64::from(number) << 3 | wire.number());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn does_not_fit(value: &Value, wanted: &str) -> DataError {
    let found = match value {
        Value::Null => "null",
        Value::Boolean(_) => "a boolean",
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_) => "an integer",
        Value::Float32(_) | Value::Float64(_) => "a floating-point number",
        Value::String(_) => "text",
        Value::Bytes(_) => "bytes",
        Value::Array(_) => "an array",
        Value::Map(_) => "a map",
        Value::Struct(_) => "a struct",
    };
    error(format!("{found} is not {wanted}"))
}
