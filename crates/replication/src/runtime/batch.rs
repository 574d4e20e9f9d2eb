//! Events as batches: what a turn writes.

use vltava_core::id::LeaderEpoch;
use vltava_core::id::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::machine::{Encoded, TransactionEnd};
use vltava_core::record::{
    Batch, BatchBuilder, BatchHeader, Compression, EndTransactionMarker, RecordError, TransactionResult,
};

/// The most bytes that a record takes besides its key and value: size, attributes, timestamp, offset, two lengths and
/// the count of headers.
const RECORD_OVERHEAD_MAX: usize = 5 + 1 + 10 + 5 + 5 + 5 + 1;

/// The bytes that these records take in a batch, at most.
pub(super) fn size_max(encoded: &[Encoded]) -> usize {
    encoded
        .iter()
        .map(|encoded| match encoded {
            Encoded::Volatile | Encoded::Unfit { .. } => 0,
            Encoded::Record { key, value } => {
                let length = |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
                RECORD_OVERHEAD_MAX + length(key) + length(value)
            }
            Encoded::End(_) => BatchHeader::SIZE + RECORD_OVERHEAD_MAX + 10,
        })
        .sum()
}

/// The offset that each of these events gets, when the first logged one gets `end`; a volatile one takes none.
pub(super) fn offsets(encoded: &[Encoded], end: Offset) -> impl Iterator<Item = Offset> {
    encoded.iter().scan(end, |next, encoded| {
        let offset = *next;
        if !matches!(encoded, Encoded::Volatile) {
            *next = next.next();
        }
        Some(offset)
    })
}

/// A batch that records are being added to.
pub(super) fn open() -> BatchBuilder {
    BatchBuilder::new(Compression::None)
}

/// A batch that belongs to the open transaction of a producer.
pub(super) fn open_transactional((id, epoch): (ProducerId, ProducerEpoch)) -> BatchBuilder {
    open().producer(id, epoch, Sequence::NONE).transactional()
}

/// The batch of an end marker.
pub(super) fn end_marker(end: TransactionEnd, timestamp: Timestamp) -> Result<Batch, RecordError> {
    let result = if end.commit { TransactionResult::Commit } else { TransactionResult::Abort };
    let coordinator_epoch = LeaderEpoch(end.coordinator_epoch);
    EndTransactionMarker { result, coordinator_epoch }.batch(end.producer, end.epoch, timestamp)
}
