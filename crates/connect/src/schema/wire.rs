//! What stands before the payload of a record, or in a header beside it: which schema it was written with.
//!
//! | form | bytes |
//! | --- | --- |
//! | V0 | `00`, the id in 4 bytes with the highest first, the selector of the format, the payload |
//! | V1 | `01`, the GUID in 16 bytes, the selector, the payload |
//! | header | `__key_schema_id` or `__value_schema_id` holds all of V1 but the payload, which is the record's |
//!
//! The selector (Protobuf's message indexes) belongs to the format: [`Schema::encode`](super::Schema::encode) writes it, and
//! [`Schema::decode`](super::Schema::decode) reads it. These are the forms that the serializers of the common registry
//! write and read.

use bytes::{Buf, BufMut, Bytes};

/// The form with an id.
const MAGIC_ID: u8 = 0;
/// The form with a GUID.
const MAGIC_GUID: u8 = 1;

/// 128 bits that stand for a schema with all that belongs to it, the same in every context and every registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// Reads a GUID, with or without hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Guid> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|byte| *byte != b'-')
            .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
        if digits.len() == 32 { bytes.try_into().ok().map(Guid) } else { None }
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(formatter)
    }
}

/// Which schema bytes were written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaId {
    /// Its id within the context.
    Id(i32),
    /// The same everywhere.
    Guid(Guid),
}

/// Which part of a record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Part {
    /// The header that may say which schema the part was written with.
    pub fn header(self) -> &'static str {
        match self {
            Part::Key => "__key_schema_id",
            Part::Value => "__value_schema_id",
        }
    }

    /// `key` or `value`, as subjects and settings have it.
    pub fn word(self) -> &'static str {
        match self {
            Part::Key => "key",
            Part::Value => "value",
        }
    }
}

/// Bytes that do not say which schema they were written with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There are too few.
    #[error(
        "{0} bytes are too few to hold the id of a schema; was the record written with a serializer for schemas?"
    )]
    Short(usize),
    /// They start with a byte that no form starts with.
    #[error("the first byte is {0}, but 0 (an id) or 1 (a GUID) comes before data with a schema")]
    Magic(u8),
    /// The id is zero or negative.
    #[error("{0} is no id of a schema; ids are positive")]
    Id(i32),
}

impl SchemaId {
    /// Appends the form that names the schema.
    pub fn write(self, bytes: &mut Vec<u8>) {
        match self {
            SchemaId::Id(id) => {
                bytes.put_u8(MAGIC_ID);
                bytes.put_i32(id);
            }
            SchemaId::Guid(guid) => {
                bytes.put_u8(MAGIC_GUID);
                bytes.put_slice(&guid.0);
            }
        }
    }

    /// Takes the form from the front of `bytes`; what is left are the selector and the payload.
    ///
    /// # Errors
    /// [`FrameError`] when they start with no form, or end within it.
    pub fn take(bytes: &mut Bytes) -> Result<SchemaId, FrameError> {
        let short = FrameError::Short(bytes.len());
        match bytes.first() {
            Some(&MAGIC_ID) => {
                let id = bytes.get(1..5).and_then(|id| id.try_into().ok()).ok_or(short)?;
                let id = i32::from_be_bytes(id);
                if id <= 0 {
                    return Err(FrameError::Id(id));
                }
                bytes.advance(5);
                Ok(SchemaId::Id(id))
            }
            Some(&MAGIC_GUID) => {
                let guid = bytes.get(1..17).and_then(|guid| guid.try_into().ok()).ok_or(short)?;
                bytes.advance(17);
                Ok(SchemaId::Guid(Guid(guid)))
            }
            Some(other) => Err(FrameError::Magic(*other)),
            None => Err(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_are_written() {
        for (id, form) in [
            (SchemaId::Id(1), vec![0, 0, 0, 0, 1]),
            (SchemaId::Id(i32::MAX), vec![0, 0x7f, 0xff, 0xff, 0xff]),
            (SchemaId::Guid(Guid([7; 16])), [vec![1], vec![7; 16]].concat()),
        ] {
            let mut written = Vec::new();
            id.write(&mut written);
            assert_eq!(written, form);
            written.put_slice(b"rest");
            let mut bytes = Bytes::from(written);
            assert_eq!(SchemaId::take(&mut bytes), Ok(id));
            assert_eq!(bytes, "rest");
        }
    }

    #[test]
    fn bytes_without_a_form_are_refused() {
        for (bytes, error) in [
            (vec![], FrameError::Short(0)),
            (vec![0, 0, 0, 1], FrameError::Short(4)),
            (vec![1; 16], FrameError::Short(16)),
            (vec![2, 0, 0, 0, 1], FrameError::Magic(2)),
            (b"{\"a\":1}".to_vec(), FrameError::Magic(b'{')),
            (vec![0, 0, 0, 0, 0], FrameError::Id(0)),
            (vec![0, 0xff, 0xff, 0xff, 0xff], FrameError::Id(-1)),
        ] {
            assert_eq!(SchemaId::take(&mut Bytes::from(bytes)), Err(error));
        }
    }
}
