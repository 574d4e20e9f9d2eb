//! Bytes as they are, text, truth values and numbers.

use std::sync::Arc;

use bytes::Bytes;

use super::each::Format;
use crate::error::ConnectError;
use crate::notation::text::{class, display, kind};
use crate::record::{ConnectSchema, Datum, Type};
use crate::value::Value;

fn optional(kind: Type) -> Arc<ConnectSchema> {
    Arc::new(ConnectSchema::new(kind).optional())
}

fn class_of(datum: &Datum) -> &'static str {
    class(datum.schema.as_deref(), &datum.value)
}

/// Refuses a schema of another shape.
fn require(converter: &str, expected: &Type, datum: &Datum) -> Result<(), ConnectError> {
    match &datum.schema {
        Some(schema) if schema.kind != *expected => {
            let message = format!("Invalid schema type for {converter}: {}", kind(&schema.kind));
            Err(ConnectError::data(message))
        }
        _ => Ok(()),
    }
}

/// Bytes as they are.
#[derive(Debug)]
pub(super) struct ByteArray(Arc<ConnectSchema>);

impl Default for ByteArray {
    fn default() -> Self {
        Self(optional(Type::Bytes))
    }
}

impl Format for ByteArray {
    fn encode(&self, datum: &Datum) -> Result<Option<Bytes>, ConnectError> {
        require("ByteArrayConverter", &Type::Bytes, datum)?;
        match &datum.value {
            Value::Null => Ok(None),
            Value::Bytes(bytes) if class_of(datum) == "[B" => Ok(Some(bytes.clone())),
            _ => {
                let class = class_of(datum);
                let message =
                    format!("ByteArrayConverter is not compatible with objects of type class {class}");
                Err(ConnectError::data(message))
            }
        }
    }

    fn decode(&self, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        let value = bytes.cloned().map_or(Value::Null, Value::Bytes);
        Ok(Datum { schema: Some(Arc::clone(&self.0)), value })
    }
}

/// How text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    Utf16,
    Utf16BigEndian,
    Utf16LittleEndian,
}

impl Encoding {
    /// The encoding that the JVM knows by that name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" | "UNICODE-1-1-UTF-8" => Self::Utf8,
            "ISO-8859-1" | "ISO8859_1" | "ISO8859-1" | "LATIN1" | "L1" | "ISO_8859-1" => Self::Latin1,
            "US-ASCII" | "ASCII" | "ISO646-US" => Self::Ascii,
            "UTF-16" | "UTF16" | "UTF_16" => Self::Utf16,
            "UTF-16BE" | "UTF_16BE" => Self::Utf16BigEndian,
            "UTF-16LE" | "UTF_16LE" => Self::Utf16LittleEndian,
            _ => return None,
        })
    }

    fn encode(self, text: &str) -> Bytes {
        let narrow = |most: char| {
            text.chars().map(|letter| if letter <= most { letter as u8 } else { b'?' }).collect()
        };
        match self {
            Self::Utf8 => text.to_owned().into(),
            Self::Latin1 => narrow('\u{ff}'),
            Self::Ascii => narrow('\u{7f}'),
            Self::Utf16 if text.is_empty() => Bytes::new(),
            Self::Utf16 => {
                [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
            }
            Self::Utf16BigEndian => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf16LittleEndian => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }

    /// What cannot be read becomes the replacement character.
    fn decode(self, bytes: &Bytes) -> bytestring::ByteString {
        match self {
            Self::Utf8 => match bytestring::ByteString::try_from(bytes.clone()) {
                Ok(text) => text,
                Err(_) => String::from_utf8_lossy(bytes).into_owned().into(),
            },
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
            Self::Ascii => {
                let letter = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' };
                bytes.iter().map(letter).collect::<String>().into()
            }
            Self::Utf16 => match bytes.get(..2) {
                Some([0xff, 0xfe]) => utf16(&bytes[2..], u16::from_le_bytes),
                Some([0xfe, 0xff]) => utf16(&bytes[2..], u16::from_be_bytes),
                _ => utf16(bytes, u16::from_be_bytes),
            },
            Self::Utf16BigEndian => utf16(bytes, u16::from_be_bytes),
            Self::Utf16LittleEndian => utf16(bytes, u16::from_le_bytes),
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> bytestring::ByteString {
    let pairs = bytes.chunks(2).map(|pair| match pair {
        [first, second] => unit([*first, *second]),
        _ => 0xfffd,
    });
    char::decode_utf16(pairs)
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into()
}

/// Text: whatever it is, as the JVM writes it.
#[derive(Debug)]
pub(super) struct Text {
    schema: Arc<ConnectSchema>,
    encoding: Encoding,
}

impl Text {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { schema: optional(Type::String), encoding }
    }
}

impl Format for Text {
    fn encode(&self, datum: &Datum) -> Result<Option<Bytes>, ConnectError> {
        Ok(match &datum.value {
            Value::Null => None,
            Value::String(text) if self.encoding == Encoding::Utf8 => Some(text.as_bytes().clone()),
            value => Some(self.encoding.encode(&display(datum.schema.as_deref(), value))),
        })
    }

    fn decode(&self, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        let value = bytes.map_or(Value::Null, |bytes| Value::String(self.encoding.decode(bytes)));
        Ok(Datum { schema: Some(Arc::clone(&self.schema)), value })
    }
}

/// Truth values, as a byte.
#[derive(Debug)]
pub(super) struct Boolean(Arc<ConnectSchema>);

impl Default for Boolean {
    fn default() -> Self {
        Self(optional(Type::Boolean))
    }
}

impl Format for Boolean {
    fn encode(&self, datum: &Datum) -> Result<Option<Bytes>, ConnectError> {
        require("BooleanConverter", &Type::Boolean, datum)?;
        match &datum.value {
            Value::Null => Ok(None),
            Value::Boolean(value) => Ok(Some(Bytes::from_static(if *value { &[1] } else { &[0] }))),
            _ => {
                let class = class_of(datum);
                Err(ConnectError::data(format!(
                    "BooleanConverter is not compatible with objects of type class {class}"
                )))
            }
        }
    }

    fn decode(&self, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        let value = match bytes.map(|bytes| &**bytes) {
            None => Value::Null,
            Some([0]) => Value::Boolean(false),
            Some([1]) => Value::Boolean(true),
            Some(_) => return Err(ConnectError::data("Failed to deserialize boolean: ")),
        };
        Ok(Datum { schema: Some(Arc::clone(&self.0)), value })
    }
}

/// Numbers of one width, their highest byte first.
#[derive(Debug)]
pub(super) struct Number {
    word: &'static str,
    schema: Arc<ConnectSchema>,
    decode: fn(&[u8]) -> Option<Value>,
}

impl Number {
    pub(super) fn short() -> Self {
        Self::new("short", Type::Int16, |bytes| {
            Some(Value::Int16(i16::from_be_bytes(bytes.try_into().ok()?)))
        })
    }

    pub(super) fn integer() -> Self {
        Self::new("integer", Type::Int32, |bytes| {
            Some(Value::Int32(i32::from_be_bytes(bytes.try_into().ok()?)))
        })
    }

    pub(super) fn long() -> Self {
        Self::new("long", Type::Int64, |bytes| Some(Value::Int64(i64::from_be_bytes(bytes.try_into().ok()?))))
    }

    pub(super) fn float() -> Self {
        Self::new("float", Type::Float32, |bytes| {
            Some(Value::Float32(f32::from_be_bytes(bytes.try_into().ok()?)))
        })
    }

    pub(super) fn double() -> Self {
        Self::new("double", Type::Float64, |bytes| {
            Some(Value::Float64(f64::from_be_bytes(bytes.try_into().ok()?)))
        })
    }

    fn new(word: &'static str, kind: Type, decode: fn(&[u8]) -> Option<Value>) -> Self {
        Self { word, schema: optional(kind), decode }
    }
}

impl Format for Number {
    fn encode(&self, datum: &Datum) -> Result<Option<Bytes>, ConnectError> {
        let is_time = class_of(datum) == "java.util.Date";
        let bytes = match (&self.schema.kind, &datum.value) {
            (_, Value::Null) => return Ok(None),
            (Type::Int16, Value::Int16(number)) => Bytes::copy_from_slice(&number.to_be_bytes()),
            (Type::Int32, Value::Int32(number)) if !is_time => Bytes::copy_from_slice(&number.to_be_bytes()),
            (Type::Int64, Value::Int64(number)) if !is_time => Bytes::copy_from_slice(&number.to_be_bytes()),
            (Type::Float32, Value::Float32(number)) => Bytes::copy_from_slice(&number.to_be_bytes()),
            (Type::Float64, Value::Float64(number)) => Bytes::copy_from_slice(&number.to_be_bytes()),
            _ => {
                let (word, class) = (self.word, class_of(datum));
                return Err(ConnectError::data(format!(
                    "Failed to serialize to {word} (was class {class}): "
                )));
            }
        };
        Ok(Some(bytes))
    }

    fn decode(&self, bytes: Option<&Bytes>) -> Result<Datum, ConnectError> {
        let value = match bytes {
            None => Value::Null,
            Some(bytes) => (self.decode)(bytes)
                .ok_or_else(|| ConnectError::data(format!("Failed to deserialize {}: ", self.word)))?,
        };
        Ok(Datum { schema: Some(Arc::clone(&self.schema)), value })
    }
}
