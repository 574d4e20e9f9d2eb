//! Kafka's primitive encodings, read with distrust and written without copies.
//!
//! A [`Reader`] walks a frame. It owns a reference to it, so that strings and payloads come out as slices of the frame
//! and never as copies, and it believes nothing: a length is compared with the bytes that are left before anything is
//! allocated for it. A [`Writer`] builds a frame as one growing envelope in which large payloads are only *placed*; the
//! result is a list of segments for one vectored write.
//!
//! What is refused: text that is not UTF-8, lengths beyond the frame, varints beyond their width, null where the
//! protocol knows none. Unknown tagged fields are skipped, as the protocol asks (KIP-482); they are not kept, because
//! nobody here forwards a decoded message.
//!
//! All messages and records are generated on top of this (`cargo xtask codegen`) and implement [`Message`].

mod message;
mod payload;
mod reader;
mod string;
#[cfg(test)]
mod tests;
mod writer;

pub use message::{Message, MessageRow, decode_exactly, encode_contiguous};
pub use payload::{Payload, Segment};
pub use reader::{ITEMS_RESERVED_MAX, Reader};
pub use string::WireStr;
pub use writer::{PAYLOAD_SEGMENT_BYTES_MIN, Writer};

use crate::error::ErrorCode;

/// The longest string the protocol can carry, in bytes of UTF-8.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Why bytes are not a message, or a message cannot become bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A value reaches beyond the end of the frame.
    #[error("{needed} bytes are needed at position {position}, but only {left} are left")]
    Truncated {
        /// Where the value begins, in bytes from the start of the frame.
        position: usize,
        /// How many bytes the value claims.
        needed: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// An array claims more elements than the rest of the frame can hold.
    #[error("an array at position {position} claims {count} elements, but only {left} bytes are left")]
    CountTooLarge {
        /// Where the elements would begin.
        position: usize,
        /// The claimed number of elements.
        count: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// The elements of an array would take more memory than its message may.
    #[error(
        "the {count} elements of an array at position {position} take too much memory; send fewer at a time"
    )]
    ElementsTooLarge {
        /// Where the elements begin.
        position: usize,
        /// How many there are.
        count: usize,
    },
    /// A length is negative, or beyond what its type may have.
    #[error("invalid length {length} at position {position}")]
    InvalidLength {
        /// Where the value would begin.
        position: usize,
        /// The claimed length.
        length: i64,
    },
    /// A value is null in a place where the protocol knows no null.
    #[error("null at position {position}, where a value is required")]
    UnexpectedNull {
        /// Where the value would begin.
        position: usize,
    },
    /// A variable-length integer is longer than its type.
    #[error("variable-length integer at position {position} is too long")]
    VarintTooLong {
        /// Where the integer begins.
        position: usize,
    },
    /// Text is not UTF-8.
    #[error("text at position {position} is not UTF-8")]
    InvalidUtf8 {
        /// Where the text begins.
        position: usize,
    },
    /// The marker before a nullable structure is neither -1 nor positive.
    #[error("invalid presence marker {marker} at position {position}")]
    InvalidMarker {
        /// Where the marker stands.
        position: usize,
        /// Its value.
        marker: i8,
    },
    /// A tagged field does not have the size it claims.
    #[error("tagged field {tag} claims {claimed} bytes, but has {actual}")]
    TaggedFieldSize {
        /// The tag's number.
        tag: u32,
        /// The size that stands before the field.
        claimed: usize,
        /// The size that its content has.
        actual: usize,
    },
    /// Bytes are left after the end of a message that should fill its buffer.
    #[error("{left} bytes are left after the end of {message}")]
    TrailingBytes {
        /// The message's name.
        message: &'static str,
        /// How many bytes are left.
        left: usize,
    },
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message's name.
        message: &'static str,
        /// The version that was asked for.
        version: i16,
    },
    /// A log holds a record of a type this release does not know.
    #[error("{family} has no record type {record_type}")]
    UnknownRecordType {
        /// The family of records.
        family: &'static str,
        /// The number of the type.
        record_type: i64,
    },
    /// A field that may not be dropped is set, but the version that is written does not have it.
    #[error("{field} cannot be expressed in version {version}; leave it at its default")]
    FieldNotInVersion {
        /// Message and field.
        field: &'static str,
        /// The version that is written.
        version: i16,
    },
    /// A field is null, but the version that is written requires a value.
    #[error("{field} must not be null in version {version}")]
    NullNotInVersion {
        /// Message and field.
        field: &'static str,
        /// The version that is written.
        version: i16,
    },
    /// A value is longer than its length field can say.
    #[error("a {what} of {length} bytes or elements is too long for the protocol")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        length: usize,
    },
    /// A part of a payload is in a file, and one buffer of everything was asked for.
    #[error("a part of the payload is in a file; read it first")]
    NotInMemory,
}

impl WireError {
    /// Kafka's code for it: UNSUPPORTED_VERSION if a version is at fault, else INVALID_REQUEST.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnsupportedVersion { .. }
            | Self::FieldNotInVersion { .. }
            | Self::NullNotInVersion { .. } => ErrorCode::UNSUPPORTED_VERSION,
            _ => ErrorCode::INVALID_REQUEST,
        }
    }
}
