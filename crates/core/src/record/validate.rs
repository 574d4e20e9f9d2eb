//! What a leader does to a produced batch before it takes an offset.
//!
//! Owns the checks of Kafka's leader that need only the batch and the topic's settings; what needs the partition's
//! state (sequence numbers, epochs, offsets) comes later, under the partition's lock. Pure: time is an argument.
//!
//! One walk over the records finds timestamps, missing keys, and offsets that are not 0, 1, 2, …; the records stay where
//! they are. Only a batch that has to change inside is written anew: another codec asked for by the topic, or
//! inner offsets that a leader has always repaired rather than refused.

use bytes::Bytes;
use thiserror::Error;

use super::codec::{self, Codec, DECOMPRESSED_SIZE_MAX};
use super::records::{glance, record_timestamp};
use super::varint::{Slice, Source};
use super::{Batch, BatchBuilder, BatchHeader, Compression, RecordError, TimestampType};
use crate::error::ErrorCode;
use crate::id::{Offset, Sequence, Timestamp};
use crate::replicated::Origin;

/// The most record errors reported for one batch. Kafka has no limit; a client prints the first few.
pub const RECORD_ERRORS_MAX: usize = 1000;

/// The settings of a topic that decide about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationRules {
    /// `compression.type` with the level of that codec.
    pub compression: TopicCompression,
    /// Whether `cleanup.policy` has `compact`: then every record needs a key.
    pub compacted: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a record's time may lie in the past.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far it may lie in the future.
    pub timestamp_after_max_ms: i64,
    /// `max.message.bytes`: the largest batch, compressed, header included.
    pub batch_size_max: usize,
    /// `max.decompressed.message.bytes`: the largest record of a compressed batch, decompressed.
    pub record_size_max: usize,
    /// `segment.bytes`: no batch may be larger than a segment.
    pub segment_size_max: usize,
}

impl Default for ValidationRules {
    /// Kafka's defaults of the topic settings.
    fn default() -> Self {
        Self {
            compression: TopicCompression::Producer,
            compacted: false,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            batch_size_max: 1_048_588,
            record_size_max: 2_147_483_639,
            segment_size_max: 1 << 30,
        }
    }
}

/// How a topic wants its batches compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TopicCompression {
    /// As the producer did.
    #[default]
    Producer,
    /// With this codec, whatever the producer did.
    Codec(Codec),
}

impl TopicCompression {
    fn target(self, source: Compression) -> Codec {
        match self {
            Self::Codec(codec) if codec.compression != source => codec,
            _ => source.into(),
        }
    }
}

/// A batch that may be appended once offset and leader epoch are stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// The batch; its body is the received one unless the batch had to be written anew.
    pub batch: Batch,
    /// When the leader took it, if the topic stamps that; [`Timestamp::NONE`] otherwise, as the answer to a Produce has it.
    pub log_append_time: Timestamp,
    /// It had to be written anew, for another codec or for offsets that were wrong.
    pub converted: bool,
}

/// Why a batch was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are not a sound batch.
    #[error(transparent)]
    Bytes(#[from] RecordError),
    /// The batch as a whole breaks a rule.
    #[error("{0}")]
    Batch(String),
    /// Some records break a rule.
    #[error("{message}")]
    Records {
        /// Whether a timestamp is among the reasons.
        timestamp: bool,
        /// What is wrong in sum.
        message: String,
        /// The records, in order, at most [`RECORD_ERRORS_MAX`].
        records: Vec<RecordRefusal>,
    },
    /// Larger than the topic allows.
    #[error(
        "The record batch size in the append is {size} bytes which exceeds the maximum configured value of {size_max}."
    )]
    BatchSize {
        /// Bytes of the batch.
        size: usize,
        /// `max.message.bytes`.
        size_max: usize,
    },
    /// Larger than a segment.
    #[error(
        "Message batch size is {size} bytes in append, which exceeds the maximum configured segment size of {size_max}."
    )]
    SegmentSize {
        /// Bytes of the batch.
        size: usize,
        /// `segment.bytes`.
        size_max: usize,
    },
}

/// One refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRefusal {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// What is wrong with it.
    pub message: String,
}

impl Refusal {
    /// What the client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Bytes(error) => error.code(),
            Self::Batch(_) | Self::Records { timestamp: false, .. } => ErrorCode::INVALID_RECORD,
            Self::Records { timestamp: true, .. } => ErrorCode::INVALID_TIMESTAMP,
            Self::BatchSize { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::SegmentSize { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        }
    }

    /// The records to name in a Produce answer.
    #[must_use]
    pub fn records(&self) -> &[RecordRefusal] {
        match self {
            Self::Records { records, .. } => records,
            _ => &[],
        }
    }
}

/// The one batch of a Produce payload: since format version 2 there must be exactly one per partition.
///
/// # Errors
/// `Bytes` for what is no batch, `Batch` for none or several.
pub fn sole_batch(payload: Bytes) -> Result<Batch, Refusal> {
    let mut rest = payload;
    if rest.is_empty() {
        return Err(batch_refusal(
            "Produce requests must have exactly one record batch per partition, but there is none",
        ));
    }
    let batch = match Batch::take(&mut rest) {
        Err(RecordError::Truncated { needed, available }) => {
            return Err(Refusal::Batch(format!(
                "Produce requests must have exactly one record batch per partition, but {available} of its {needed} bytes are there"
            )));
        }
        batch => batch?,
    };
    // What follows and is no batch has always been ignored.
    if Batch::take(&mut rest).is_ok() {
        return Err(batch_refusal(
            "Produce requests must have exactly one record batch per partition, but another one follows the first",
        ));
    }
    Ok(batch)
}

/// Checks a batch and makes it what the log should hold; offset and leader epoch are still to be stamped.
///
/// # Errors
/// [`Refusal`], with Kafka's code and, where records are to blame, their places.
pub fn validate(
    batch: Batch,
    rules: &ValidationRules,
    origin: Origin,
    now: Timestamp,
) -> Result<Validated, Refusal> {
    check_size(&batch, rules)?;
    if origin == Origin::Client && batch.header.base_offset != Offset::ZERO {
        let found = batch.header.base_offset;
        return Err(Refusal::Batch(format!(
            "The baseOffset of the record batch in the append should be 0, but it is {found}"
        )));
    }
    batch.check_crc()?;
    if origin == Origin::Client {
        check_client_header(&batch.header)?;
    }
    let source = batch.header.compression().map_err(RecordError::Codec)?;
    let survey = survey(&batch, source, rules, now)?;
    let (batch, converted) = finish(batch, source, &survey, rules, now)?;
    check_size(&batch, rules)?;
    let log_append_time = match rules.timestamp_type {
        TimestampType::LogAppendTime => now,
        TimestampType::CreateTime => Timestamp::NONE,
    };
    Ok(Validated { batch, log_append_time, converted })
}

fn check_size(batch: &Batch, rules: &ValidationRules) -> Result<(), Refusal> {
    let size = batch.size();
    if size > rules.batch_size_max {
        return Err(Refusal::BatchSize { size, size_max: rules.batch_size_max });
    }
    if size > rules.segment_size_max {
        return Err(Refusal::SegmentSize { size, size_max: rules.segment_size_max });
    }
    Ok(())
}

fn check_client_header(header: &BatchHeader) -> Result<(), Refusal> {
    let count = i64::from(header.records_count);
    if header.last_offset_delta < 0 {
        let range = (header.base_offset, header.last_offset());
        return Err(Refusal::Batch(format!("Batch has an invalid offset range: [{}, {}]", range.0, range.1)));
    }
    if count <= 0 {
        return Err(Refusal::Batch(format!("Invalid reported count for record batch: {count}")));
    }
    if count != i64::from(header.last_offset_delta) + 1 {
        let (first, last) = (header.base_offset, header.last_offset());
        return Err(Refusal::Batch(format!(
            "Inconsistent batch offset range [{first}, {last}] and count of records {count}"
        )));
    }
    if header.is_control() {
        return Err(batch_refusal("Clients are not allowed to write control records"));
    }
    if header.has_producer_id() && header.base_sequence < Sequence(0) {
        let (sequence, id) = (header.base_sequence, header.producer_id);
        return Err(Refusal::Batch(format!(
            "Invalid sequence number {sequence} in record batch with producerId {id}"
        )));
    }
    Ok(())
}

fn batch_refusal(message: &str) -> Refusal {
    Refusal::Batch(message.to_owned())
}

/// What one walk over the records found.
struct Survey {
    max_timestamp: Timestamp,
    offsets_ascend: bool,
}

fn survey(
    batch: &Batch,
    source: Compression,
    rules: &ValidationRules,
    now: Timestamp,
) -> Result<Survey, Refusal> {
    let mut inspector = Inspector::new(&batch.header, rules, now);
    if source == Compression::None {
        let mut slice = Slice::new(&batch.body);
        inspector.inspect_all(&mut slice, usize::MAX)?;
        if !slice.is_empty() {
            return Err(LEFT_OVER.into());
        }
    } else {
        codec::stream(source, &batch.body, DECOMPRESSED_SIZE_MAX, |stream| {
            inspector.inspect_all(stream, rules.record_size_max)?;
            if stream.refill()? { Err(LEFT_OVER) } else { Ok(()) }
        })?;
    }
    inspector.finish()
}

const LEFT_OVER: RecordError = RecordError::Structure("bytes are left after the last record");

/// Looks at every record of a batch. Allocates only for records it refuses.
struct Inspector<'a> {
    header: &'a BatchHeader,
    rules: &'a ValidationRules,
    now: Timestamp,
    survey: Survey,
    refused: Vec<RecordRefusal>,
    refused_count: u64,
    refused_for_timestamp: bool,
}

impl<'a> Inspector<'a> {
    fn new(header: &'a BatchHeader, rules: &'a ValidationRules, now: Timestamp) -> Self {
        Self {
            header,
            rules,
            now,
            survey: Survey { max_timestamp: Timestamp::NONE, offsets_ascend: true },
            refused: Vec::new(),
            refused_count: 0,
            refused_for_timestamp: false,
        }
    }

    fn inspect_all(&mut self, source: &mut impl Source, size_max: usize) -> Result<(), RecordError> {
        for index in 0..self.header.records_count {
            let glance = glance(source, size_max)?;
            let timestamp = record_timestamp(self.header, glance.timestamp_delta);
            self.survey.max_timestamp = self.survey.max_timestamp.max(timestamp);
            self.survey.offsets_ascend &= glance.offset_delta == index;
            self.judge(index, glance.has_key, timestamp);
        }
        Ok(())
    }

    #[inline]
    fn judge(&mut self, index: i32, has_key: bool, timestamp: Timestamp) {
        if self.rules.compacted && !has_key {
            self.refuse(index, false, || "Compacted topic cannot accept message without key".to_owned());
        } else if self.rules.timestamp_type == TimestampType::CreateTime && timestamp != Timestamp::NONE {
            let age = self.now.0.saturating_sub(timestamp.0);
            if age > self.rules.timestamp_before_max_ms
                || age.saturating_neg() > self.rules.timestamp_after_max_ms
            {
                let (oldest, newest) = (
                    self.now.0.saturating_sub(self.rules.timestamp_before_max_ms),
                    self.now.plus(self.rules.timestamp_after_max_ms),
                );
                self.refuse(index, true, || {
                    format!(
                        "Timestamp {timestamp} of message with offset {index} is out of range. \
                         The timestamp should be within [{oldest}, {newest}]"
                    )
                });
            }
        } else if self.header.timestamp_type() == TimestampType::LogAppendTime {
            self.refuse(index, true, || {
                "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
                    .to_owned()
            });
        }
    }

    #[cold]
    fn refuse(&mut self, index: i32, timestamp: bool, message: impl FnOnce() -> String) {
        self.refused_count += 1;
        self.refused_for_timestamp |= timestamp;
        if self.refused.len() < RECORD_ERRORS_MAX {
            self.refused.push(RecordRefusal { index, message: message() });
        }
    }

    fn finish(self) -> Result<Survey, Refusal> {
        let Some(first) = self.refused.first() else { return Ok(self.survey) };
        let message = if self.refused_for_timestamp {
            "One or more records have been rejected due to invalid timestamp".to_owned()
        } else {
            let (count, index, first) = (self.refused_count, first.index, &first.message);
            format!(
                "One or more records have been rejected due to {count} record errors in total, \
                 the first at batch index {index}: {first}"
            )
        };
        Err(Refusal::Records { timestamp: self.refused_for_timestamp, message, records: self.refused })
    }
}

/// Overwrites timestamps and changes the codec, if the topic asks for it. Says whether the records were written anew.
fn finish(
    mut batch: Batch,
    source: Compression,
    survey: &Survey,
    rules: &ValidationRules,
    now: Timestamp,
) -> Result<(Batch, bool), Refusal> {
    let target = rules.compression.target(source);
    // Control records stay as they are, so that the few who read them need no codec.
    let keep_codec = target.compression == source || batch.header.is_control();
    let convert = !keep_codec || !survey.offsets_ascend;
    if convert {
        batch = rewrite(&batch, if keep_codec { source.into() } else { target })?;
    }
    let (attributes, max_timestamp) = match rules.timestamp_type {
        TimestampType::CreateTime => {
            (batch.header.attributes.with_timestamp_type(TimestampType::CreateTime), survey.max_timestamp)
        }
        TimestampType::LogAppendTime => {
            (batch.header.attributes.with_timestamp_type(TimestampType::LogAppendTime), now)
        }
    };
    if (attributes, max_timestamp) != (batch.header.attributes, batch.header.max_timestamp) {
        batch.header.attributes = attributes;
        batch.header.max_timestamp = max_timestamp;
        batch.seal();
    }
    Ok((batch, convert))
}

/// The same records at offsets 0, 1, 2, … in a batch of another codec.
fn rewrite(batch: &Batch, codec: Codec) -> Result<Batch, RecordError> {
    let header = &batch.header;
    let mut builder = BatchBuilder::new(codec);
    builder.attributes = header.attributes;
    builder.base_offset = header.base_offset;
    builder.leader_epoch = header.partition_leader_epoch;
    let mut builder = builder.producer(header.producer_id, header.producer_epoch, header.base_sequence);
    for (offset_delta, record) in (0..).zip(&batch.records()?) {
        let record = record?;
        let headers: smallvec::SmallVec<[_; 8]> = record.headers.iter().collect();
        builder.append_at(offset_delta, record.timestamp, record.key, record.value, headers.iter().copied());
    }
    builder.build()
}

#[cfg(test)]
mod tests;
