//! The 61 bytes before the records of a batch.

use super::RecordError;
use crate::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

/// The header of a record batch v2, decoded. Plain data: stamping an offset or epoch is an assignment.
///
/// Decoding accepts every value; [`BatchHeader::checked`] and the batch iterators check those that
/// decide how many bytes belong to the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record. A producer sends 0; the leader assigns it. Outside the checksum.
    pub base_offset: Offset,
    /// Bytes after this field: the rest of the header (49) and the records.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 from a producer. Outside the checksum.
    pub partition_leader_epoch: LeaderEpoch,
    /// Format version, 2 for everything this type describes. Outside the checksum.
    pub magic: i8,
    /// CRC-32C of everything from the attributes to the end of the batch.
    pub crc: u32,
    /// Codec, timestamp type and the transactional, control and delete-horizon bits.
    pub attributes: Attributes,
    /// Offset of the last record minus the base offset. Stays when compaction removes records.
    pub last_offset_delta: i32,
    /// What record timestamps are relative to; the delete horizon when that bit is set.
    pub base_timestamp: Timestamp,
    /// The largest record timestamp, or the append time when the topic says so.
    pub max_timestamp: Timestamp,
    /// The idempotent producer, -1 without one (KIP-98).
    pub producer_id: ProducerId,
    /// The producer's epoch, -1 without one.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record.
    pub base_sequence: Sequence,
    /// Records in the batch. Below `last_offset_delta + 1` only after compaction.
    pub records_count: i32,
}

impl BatchHeader {
    /// Bytes of an encoded header.
    pub const SIZE: usize = 61;
    /// Bytes of base offset and length, which `batch_length` does not count.
    pub const LENGTH_OVERHEAD: usize = 12;
    /// Where the checksummed part starts, within the header.
    pub const CHECKSUM_START: usize = 21;
    /// The only format version written and read.
    pub const MAGIC: i8 = 2;

    /// Decodes exactly one header without judging it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            base_offset: Offset(i64::from_be_bytes(fields.take())),
            batch_length: i32::from_be_bytes(fields.take()),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(fields.take())),
            magic: i8::from_be_bytes(fields.take()),
            crc: u32::from_be_bytes(fields.take()),
            attributes: Attributes(i16::from_be_bytes(fields.take())),
            last_offset_delta: i32::from_be_bytes(fields.take()),
            base_timestamp: Timestamp(i64::from_be_bytes(fields.take())),
            max_timestamp: Timestamp(i64::from_be_bytes(fields.take())),
            producer_id: ProducerId(i64::from_be_bytes(fields.take())),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(fields.take())),
            base_sequence: Sequence(i32::from_be_bytes(fields.take())),
            records_count: i32::from_be_bytes(fields.take()),
        }
    }

    /// Decodes and checks the header at the start of `bytes`: format version and batch length.
    ///
    /// The batch itself may be longer than `bytes`; compare with [`BatchHeader::size`].
    ///
    /// # Errors
    /// `OldMagic` or `Magic` for a format that is not version 2, `Truncated` for fewer than 61 bytes,
    /// `BatchLength` for a length that leaves no room for the header.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        // An old message set may be shorter than 61 bytes, so its version is looked at first.
        if let Some(&magic) = bytes.get(MAGIC_POSITION) {
            check_magic(magic.cast_signed())?;
        }
        match bytes.first_chunk() {
            Some(chunk) => Self::from_bytes(chunk).checked(),
            None => Err(RecordError::Truncated { needed: Self::SIZE as u64, available: bytes.len() as u64 }),
        }
    }

    /// This header, if its format version is 2 and its length has room for a header.
    ///
    /// # Errors
    /// `OldMagic`, `Magic` or `BatchLength`.
    pub fn checked(self) -> Result<Self, RecordError> {
        check_magic(self.magic)?;
        match usize::try_from(self.batch_length) {
            Ok(length) if length >= Self::SIZE - Self::LENGTH_OVERHEAD => Ok(self),
            _ => Err(RecordError::BatchLength(self.batch_length)),
        }
    }

    /// Encodes the header as it stands on disk and on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, &self.base_offset.0.to_be_bytes());
        put(&mut rest, &self.batch_length.to_be_bytes());
        put(&mut rest, &self.partition_leader_epoch.0.to_be_bytes());
        put(&mut rest, &self.magic.to_be_bytes());
        put(&mut rest, &self.crc.to_be_bytes());
        put(&mut rest, &self.attributes.0.to_be_bytes());
        put(&mut rest, &self.last_offset_delta.to_be_bytes());
        put(&mut rest, &self.base_timestamp.0.to_be_bytes());
        put(&mut rest, &self.max_timestamp.0.to_be_bytes());
        put(&mut rest, &self.producer_id.0.to_be_bytes());
        put(&mut rest, &self.producer_epoch.0.to_be_bytes());
        put(&mut rest, &self.base_sequence.0.to_be_bytes());
        put(&mut rest, &self.records_count.to_be_bytes());
        bytes
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.wrapping_add(i64::from(self.last_offset_delta)))
    }

    /// Offset of the first record after this batch.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.wrapping_add(1))
    }

    /// Sequence number of the last record; [`Sequence::NONE`] without a producer id or sequence.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence == Sequence::NONE {
            return Sequence::NONE;
        }
        self.base_sequence.plus(self.last_offset_delta)
    }

    /// Bytes of the whole batch, header included. Zero for a negative, unchecked length below -12.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(i64::from(self.batch_length) + Self::LENGTH_OVERHEAD as i64).unwrap_or(0)
    }

    /// Whether an idempotent or transactional producer wrote the batch.
    #[must_use]
    pub fn has_producer_id(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// The codec's number when nobody has defined it.
    pub fn compression(&self) -> Result<Compression, i8> {
        self.attributes.compression()
    }

    /// What the timestamps mean.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// Whether the batch belongs to a transaction (KIP-98); its end marker does, too.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether the records are for brokers, not for consumers: transaction markers and quorum records.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// When tombstones and markers of this batch may be removed by compaction, if that was decided (KIP-534).
    /// The base timestamp field carries it then.
    #[must_use]
    pub fn delete_horizon(&self) -> Option<Timestamp> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }
}

/// The attribute bits of a batch. Bits nobody has defined are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The codec of the records.
    ///
    /// # Errors
    /// The codec's number when nobody has defined it.
    pub fn compression(self) -> Result<Compression, i8> {
        match self.0 & Self::COMPRESSION {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            5 => Err(5),
            6 => Err(6),
            _ => Err(7),
        }
    }

    /// What the timestamps mean.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.has(Self::LOG_APPEND_TIME) { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    /// Whether the transactional bit is set.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.has(Self::TRANSACTIONAL)
    }

    /// Whether the control bit is set.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.has(Self::CONTROL)
    }

    /// Whether the base timestamp field carries a delete horizon.
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.has(Self::DELETE_HORIZON)
    }

    /// The same bits with another codec.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self((self.0 & !Self::COMPRESSION) | compression.id())
    }

    /// The same bits with another timestamp type.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    /// The same bits, marked as part of a transaction.
    #[must_use]
    pub fn transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// The same bits, marked as control records.
    #[must_use]
    pub fn control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }

    /// The same bits, saying that the base timestamp field is a delete horizon.
    #[must_use]
    pub fn delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// The same bits, saying that the base timestamp field is none.
    #[must_use]
    pub fn without_delete_horizon(self) -> Self {
        Self(self.0 & !Self::DELETE_HORIZON)
    }

    fn has(self, bit: i16) -> bool {
        self.0 & bit != 0
    }
}

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the framing of snappy-java (xerial), as the Java clients write it.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// Zstandard (RFC 8878, KIP-110).
    Zstd,
}

impl Compression {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The number in the attributes of a batch.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name in configurations: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

/// What the timestamps of a batch mean (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer set them.
    #[default]
    CreateTime,
    /// The leader set one for the whole batch.
    LogAppendTime,
}

const MAGIC_POSITION: usize = 16;

fn check_magic(magic: i8) -> Result<(), RecordError> {
    match magic {
        BatchHeader::MAGIC => Ok(()),
        0 | 1 => Err(RecordError::OldMagic(magic)),
        _ => Err(RecordError::Magic(magic)),
    }
}

/// Reads fields one after another from bytes whose length the caller's type has fixed.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk::<N>().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *field
    }
}

fn put(rest: &mut &mut [u8], field: &[u8]) {
    let (target, after) = std::mem::take(rest).split_at_mut(field.len());
    target.copy_from_slice(field);
    *rest = after;
}
