//! What can be wrong with the bytes of a batch.

use thiserror::Error;

use super::Compression;
use crate::error::ErrorCode;

/// Why bytes are not record batches. Every variant names what was found, so that whoever sent them can look.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes end inside a batch. At the end of a fetched or recovered region this is an ordinary cut.
    #[error("the batch needs {needed} bytes, but only {available} are left")]
    Truncated {
        /// Bytes the batch (or its header) occupies, counted from its first byte.
        needed: u64,
        /// Bytes from its first byte to the end of the region.
        available: u64,
    },
    /// The length field is too small for a header.
    #[error("the batch length {0} is below the 49 bytes a batch header takes after its length field")]
    BatchLength(i32),
    /// A message set of format version 0 or 1.
    #[error("message format version {0} is no longer supported; produce with version 2 (clients since 0.11)")]
    OldMagic(i8),
    /// A format version nobody has defined.
    #[error("unknown message format version {0}")]
    Magic(i8),
    /// The stored CRC-32C is not that of the bytes.
    #[error("the batch checksum is {stored:#010x}, but its bytes give {computed:#010x}")]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The records do not have the shape of records.
    #[error("the records are malformed: {0}")]
    Structure(&'static str),
    /// The attributes name a codec nobody has defined.
    #[error("unknown compression codec {0}; use none, gzip, snappy, lz4 or zstd")]
    Codec(i8),
    /// The compressed bytes are not what their codec can read.
    #[error("the {} compressed records cannot be read: {reason}", codec.name())]
    Compressed {
        /// The codec in the attributes.
        codec: Compression,
        /// What the codec says.
        reason: String,
    },
    /// A compressed record is larger than the topic allows.
    #[error(
        "a record is {size} bytes when decompressed, more than the {size_max} of max.decompressed.message.bytes"
    )]
    RecordSize {
        /// Bytes that the record claims.
        size: usize,
        /// `max.decompressed.message.bytes`.
        size_max: usize,
    },
    /// More came out of the compressed records than is allowed.
    #[error("the records decompress to more than {size_max} bytes; send smaller batches")]
    TooLarge {
        /// The limit in bytes.
        size_max: usize,
    },
}

impl RecordError {
    /// What a client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OldMagic(_) | Self::Structure(_) | Self::Compressed { .. } | Self::RecordSize { .. } => {
                ErrorCode::INVALID_RECORD
            }
            Self::Codec(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Self::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::Magic(_) | Self::Truncated { .. } | Self::BatchLength(_) | Self::Checksum { .. } => {
                ErrorCode::CORRUPT_MESSAGE
            }
        }
    }
}
