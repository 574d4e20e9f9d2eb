//! Control records: what brokers write into a log for each other, invisible to consumers.
//!
//! The key of a control record is a version and a type; the value depends on the type. The end of a transaction is
//! written here; the quorum's records are generated from their tables.

use super::{Batch, BatchBuilder, Compression, RecordError};
use crate::generated::EndTxnMarker;
use crate::id::{LeaderEpoch, ProducerEpoch, ProducerId, Sequence, Timestamp};
use crate::wire::{Message, Reader, encode_contiguous};

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlRecordType {
    /// The transaction of the batch's producer was aborted.
    Abort,
    /// The transaction of the batch's producer was committed.
    Commit,
    /// The quorum has a new leader (KIP-595).
    LeaderChange,
    /// The first record of a metadata snapshot (KIP-630).
    SnapshotHeader,
    /// The last record of a metadata snapshot.
    SnapshotFooter,
    /// The finalised version of the quorum (KIP-853).
    KraftVersion,
    /// The voters of the quorum.
    KraftVoters,
}

impl ControlRecordType {
    const ALL: [Self; 7] = [
        Self::Abort,
        Self::Commit,
        Self::LeaderChange,
        Self::SnapshotHeader,
        Self::SnapshotFooter,
        Self::KraftVersion,
        Self::KraftVoters,
    ];

    /// The number in the key.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
        }
    }

    /// The key of a control record of this type.
    #[must_use]
    pub fn key(self) -> [u8; 4] {
        let [high, low] = self.id().to_be_bytes();
        [0, 0, high, low]
    }

    /// Reads a key. `None` for a type of a newer release: such a record is passed over.
    ///
    /// # Errors
    /// `Structure` for a key that is too short or has a negative version.
    pub fn from_key(key: &[u8]) -> Result<Option<Self>, RecordError> {
        let invalid = RecordError::Structure("a control record has no valid key");
        let Some((&version, rest)) = key.split_first_chunk() else { return Err(invalid) };
        let Some((&id, _)) = rest.split_first_chunk() else { return Err(invalid) };
        if i16::from_be_bytes(version) < 0 {
            return Err(invalid);
        }
        Ok(Self::ALL.into_iter().find(|known| known.id() == i16::from_be_bytes(id)))
    }
}

/// The version of the value of a transaction marker.
const MARKER_VERSION: i16 = 0;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionResult {
    /// Its records are to be skipped.
    Abort,
    /// Its records are visible.
    Commit,
}

/// The end of a transaction in one partition (KIP-98).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// How it ended.
    pub result: TransactionResult,
    /// The epoch of the transaction coordinator that decided it; a marker of an older one is refused.
    pub coordinator_epoch: LeaderEpoch,
}

impl EndTransactionMarker {
    /// The batch of one control record that ends the transaction of a producer.
    ///
    /// # Errors
    /// None in practice: the batch is small and uncompressed.
    pub fn batch(
        &self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        timestamp: Timestamp,
    ) -> Result<Batch, RecordError> {
        let mut builder = BatchBuilder::new(Compression::None)
            .producer(producer_id, producer_epoch, Sequence::NONE)
            .transactional()
            .control();
        let epoch =
            encode_contiguous(&EndTxnMarker { coordinator_epoch: self.coordinator_epoch.0 }, MARKER_VERSION);
        let epoch = epoch.map_err(|_| RecordError::Structure("a transaction marker cannot be written"))?;
        let value = [MARKER_VERSION.to_be_bytes().as_slice(), &epoch].concat();
        let kind = match self.result {
            TransactionResult::Abort => ControlRecordType::Abort,
            TransactionResult::Commit => ControlRecordType::Commit,
        };
        builder.append(timestamp, Some(&kind.key()), Some(&value), &[]);
        builder.build()
    }

    /// The marker in a batch; `None` when the batch is not the end of a transaction.
    ///
    /// # Errors
    /// Those of reading records, and `Structure` for a marker whose value is not one.
    pub fn read(batch: &Batch) -> Result<Option<Self>, RecordError> {
        if !batch.header.is_control() {
            return Ok(None);
        }
        let records = batch.records()?;
        let Some(record) = records.iter().next().transpose()? else { return Ok(None) };
        let result = match ControlRecordType::from_key(record.key.unwrap_or_default())? {
            Some(ControlRecordType::Abort) => TransactionResult::Abort,
            Some(ControlRecordType::Commit) => TransactionResult::Commit,
            _ => return Ok(None),
        };
        let invalid = RecordError::Structure("a transaction marker has no valid value");
        let mut value = Reader::new(records.body().slice_ref(record.value.unwrap_or_default()));
        if value.i16().map_err(|_| invalid.clone())? < 0 {
            return Err(invalid);
        }
        // A newer version only adds fields behind this one.
        let marker = EndTxnMarker::decode(&mut value, MARKER_VERSION).map_err(|_| invalid)?;
        Ok(Some(Self { result, coordinator_epoch: LeaderEpoch(marker.coordinator_epoch) }))
    }
}
