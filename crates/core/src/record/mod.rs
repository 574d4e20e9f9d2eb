//! Kafka's record batch, format version 2: how records look on disk, in Produce and in Fetch.
//!
//! Owns the 61-byte batch header, the records inside with their varints, the compression codecs and
//! what a leader checks before it accepts a produced batch. Refuses the message sets of magic 0 and 1
//! (KIP-724 ended them) and anything that claims more bytes than there are.
//!
//! Why a header struct beside an untouched body: a leader changes only the offset and the leader epoch
//! of a batch, and both lie outside its checksum. So a produced payload stays the slice of the frame it
//! came in, and a stamped batch goes to the log as two pieces: 61 fresh bytes and the old body.

mod batch;
mod builder;
mod codec;
mod control;
mod error;
mod header;
mod records;
mod validate;
mod varint;

pub use batch::{Batch, Batches, HeaderWalk, crc32c};
pub use builder::BatchBuilder;
pub use codec::{Codec, DECOMPRESSED_SIZE_MAX, compress, decompress};
pub use control::{ControlRecordType, EndTransactionMarker, TransactionResult};
pub use error::RecordError;
pub use header::{Attributes, BatchHeader, Compression, TimestampType};
pub use records::{Headers, Record, RecordHeader, RecordIter, Records};
pub use validate::{
    RECORD_ERRORS_MAX, RecordRefusal, Refusal, TopicCompression, Validated, ValidationRules, sole_batch,
    validate,
};

#[cfg(test)]
mod tests;
