//! Makes batches: records in, one sealed batch out.

use super::varint::{put_varint, put_varlong, size_of_varint, size_of_varlong};
use super::{Attributes, Batch, BatchHeader, Codec, RecordError, RecordHeader, TimestampType, codec};
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// Collects records and seals them into a batch.
///
/// The public fields are what the header will say; they may be set at any time before [`BatchBuilder::build`].
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    /// How the records are compressed.
    pub codec: Codec,
    /// The timestamp type, transactional, control and delete-horizon bits; the codec's bits are overwritten.
    pub attributes: Attributes,
    /// Offset of the first record; the leader assigns it again.
    pub base_offset: Offset,
    /// Epoch of the appending leader.
    pub leader_epoch: LeaderEpoch,
    /// The idempotent producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record.
    pub base_sequence: Sequence,
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    last_offset_delta: i32,
    count: i32,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// A builder of a plain batch at offset 0, without a producer.
    #[must_use]
    pub fn new(codec: impl Into<Codec>) -> Self {
        Self {
            codec: codec.into(),
            attributes: Attributes::default(),
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            base_timestamp: None,
            max_timestamp: Timestamp::NONE,
            last_offset_delta: -1,
            count: 0,
            records: Vec::new(),
        }
    }

    /// The same builder for an idempotent producer's batch.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// The same builder for a batch of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.transactional();
        self
    }

    /// The same builder for control records.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes = self.attributes.control();
        self
    }

    /// The same builder for a batch whose tombstones or marker may go at `horizon`, which takes the place of the base
    /// timestamp (KIP-534). Call it before the first record.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: Timestamp) -> Self {
        self.attributes = self.attributes.delete_horizon();
        self.base_timestamp = Some(horizon);
        self
    }

    /// Appends a record at the next offset.
    pub fn append(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[RecordHeader<'_>],
    ) {
        let headers = headers.iter().copied();
        self.append_at(self.last_offset_delta.saturating_add(1), timestamp, key, value, headers);
    }

    /// Appends a record at `offset_delta` after the base offset, as compaction needs it. Deltas must ascend.
    pub fn append_at<'h>(
        &mut self,
        offset_delta: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = RecordHeader<'h>> + Clone,
    ) {
        let base = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.0.wrapping_sub(base.0);
        let size = record_size(offset_delta, timestamp_delta, key, value, headers.clone());
        let out = &mut self.records;
        out.reserve(size + 5);
        put_varint(out, saturated(size));
        out.push(0);
        put_varlong(out, timestamp_delta);
        put_varint(out, offset_delta);
        put_nullable(out, key);
        put_nullable(out, value);
        put_varint(out, saturated(headers.len()));
        for header in headers {
            put_nullable(out, Some(header.key));
            put_nullable(out, header.value);
        }
        self.last_offset_delta = offset_delta;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count = self.count.saturating_add(1);
    }

    /// Records so far.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Whether nothing was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch before compression.
    #[must_use]
    pub fn uncompressed_size(&self) -> usize {
        BatchHeader::SIZE + self.records.len()
    }

    /// Bytes of the batch, before compression, if this record were appended too; never less than it will be.
    #[must_use]
    pub fn uncompressed_size_with(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let no_headers = std::iter::empty::<RecordHeader<'_>>();
        self.uncompressed_size() + 5 + record_size(i32::MAX, i64::MAX, key, value, no_headers)
    }

    /// Compresses and seals the batch.
    ///
    /// # Errors
    /// `TooLarge` when the batch would be longer than its length field can say (2 GiB), `Compressed` when the codec
    /// refuses its level.
    pub fn build(self) -> Result<Batch, RecordError> {
        let last_offset_delta = self.last_offset_delta;
        self.build_spanning(last_offset_delta)
    }

    /// As [`BatchBuilder::build`], with the last offset given: compaction keeps it when it removes the last record.
    ///
    /// # Errors
    /// As [`BatchBuilder::build`].
    pub fn build_spanning(self, last_offset_delta: i32) -> Result<Batch, RecordError> {
        let body = match self.codec.compression {
            super::Compression::None => self.records,
            _ => codec::compress(self.codec, &self.records)?,
        };
        let too_large = RecordError::TooLarge { size_max: i32::MAX as usize };
        let length = i32::try_from(BatchHeader::SIZE - BatchHeader::LENGTH_OVERHEAD + body.len());
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: length.map_err(|_| too_large)?,
            partition_leader_epoch: self.leader_epoch,
            magic: BatchHeader::MAGIC,
            crc: 0,
            attributes: self.attributes.with_compression(self.codec.compression),
            last_offset_delta,
            base_timestamp: self.base_timestamp.unwrap_or(Timestamp::NONE),
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            records_count: self.count,
        };
        let mut batch = Batch { header, body: body.into() };
        batch.seal();
        Ok(batch)
    }

    /// As [`BatchBuilder::build`], with every record's timestamp replaced by the time of the append.
    ///
    /// # Errors
    /// As [`BatchBuilder::build`].
    pub fn build_appended_at(mut self, now: Timestamp) -> Result<Batch, RecordError> {
        self.attributes = self.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        self.max_timestamp = now;
        self.build()
    }
}

fn record_size<'h>(
    offset_delta: i32,
    timestamp_delta: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = RecordHeader<'h>>,
) -> usize {
    let fixed = 1 + size_of_varlong(timestamp_delta) + size_of_varint(offset_delta);
    let headers_count = size_of_varint(saturated(headers.len()));
    let headers: usize =
        headers.map(|header| nullable_size(Some(header.key)) + nullable_size(header.value)).sum();
    fixed + nullable_size(key) + nullable_size(value) + headers_count + headers
}

fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| size_of_varint(saturated(bytes.len())) + bytes.len())
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varint(out, bytes.map_or(-1, |bytes| saturated(bytes.len())));
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// A length as records write it. What is longer makes the batch too large, which `build` refuses.
fn saturated(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
