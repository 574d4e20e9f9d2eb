//! What a partition answers: records, offsets by time, epoch ends, producers; and the deletion of records.

use thiserror::Error;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, ProducerId, Timestamp};
use vltava_core::log::{LogData, LogError, ReadLimit};
use vltava_core::record::{Batch, BatchHeader};
use vltava_core::replicated::{AbortedTransaction, Isolation, ReadError, ReadRecords, ReadTerms, Watermarks};

use super::Partition;
use super::epochs::EpochEnd;
use super::producers::ProducerState;
use super::reading::{corrupt, walk};

/// Which offset ListOffsets asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// The first offset that may be read; also the first that is stored locally.
    Earliest,
    /// The first offset that the reader may not see yet.
    Latest,
    /// The first record of the largest timestamp (KIP-734).
    LargestTimestamp,
    /// The first record at or after this time.
    At(Timestamp),
}

/// An answer to an [`OffsetQuery`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: Offset,
    /// The timestamp of the record there; [`Timestamp::NONE`] for the ends of the log.
    pub timestamp: Timestamp,
    /// The leader epoch that wrote it; [`LeaderEpoch::NONE`] when that is not known.
    pub epoch: LeaderEpoch,
}

/// Why records were not deleted.
#[derive(Debug, Clone, Error)]
pub enum DeleteRecordsError {
    /// The reader's view of the leader is wrong, or this node does not lead.
    #[error(transparent)]
    Leadership(#[from] ReadError),
    /// The topic is compacted without deletion.
    #[error("records can only be deleted where cleanup.policy has delete")]
    Policy,
    /// The offset is negative or above the high watermark.
    #[error("records can be deleted up to the high watermark {high}, not to {given}")]
    OutOfRange {
        /// What was asked for.
        given: Offset,
        /// The high watermark.
        high: Offset,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl DeleteRecordsError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Leadership(error) => error.code(),
            Self::Policy => ErrorCode::POLICY_VIOLATION,
            Self::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            Self::Log(error) => error.code(),
        }
    }
}

impl Partition {
    pub(super) fn read_records(&self, from: Offset, terms: &ReadTerms) -> Result<ReadRecords, ReadError> {
        let watermarks = {
            let shared = self.shared.lock();
            shared.state.check_reader(terms.current_epoch)?;
            shared.state.watermarks()
        };
        let Watermarks { start, end, .. } = watermarks;
        if from < start || from > end {
            return Err(ReadError::OutOfRange { from, start, end });
        }
        let below = bound(&watermarks, terms.isolation);
        if from >= below {
            return Ok(ReadRecords { data: LogData::empty(), watermarks, aborted: Vec::new() });
        }
        let limit = ReadLimit { below, bytes: terms.bytes, whole_first_batch: terms.whole_first_batch };
        let data = self.log.read(from, limit).map_err(|error| match error {
            LogError::OutOfRange { from, start, end } => ReadError::OutOfRange { from, start, end },
            error => ReadError::Log(error),
        })?;
        let aborted = match terms.isolation {
            Isolation::Committed => self.aborted_in(&data, from, watermarks.stable)?,
            Isolation::Uncommitted | Isolation::LogEnd => Vec::new(),
        };
        Ok(ReadRecords { data, watermarks, aborted })
    }

    /// The aborted transactions of the records that were read from `from` on: not all those up to the last stable offset,
    /// which may be many.
    fn aborted_in(
        &self,
        data: &LogData,
        from: Offset,
        stable: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        if !self.shared.lock().state.aborted.any_from(from) {
            return Ok(Vec::new());
        }
        let end = match data {
            LogData::Bytes(_) => end_of(data),
            // A file holds one span.
            LogData::File(_) => self.log.spans().iter().find(|span| span.end > from).map(|span| span.end),
            LogData::Later(_) => None,
        };
        let below = end.map_or(stable, |end| end.min(stable));
        let shared = self.shared.lock();
        let Watermarks { start, end, .. } = shared.state.watermarks();
        if from < start {
            // The start has moved on meanwhile, and what was known of transactions below it is gone.
            return Err(ReadError::OutOfRange { from, start, end });
        }
        Ok(shared.state.aborted.within(from, below))
    }

    /// The offset that `query` asks for, as a reader of this isolation may see it; `None` when there is none. *Blocks.*
    ///
    /// # Errors
    /// [`ReadError`] for a wrong idea of the leader, or a log that cannot be read; [`ReadError::NotAvailable`] for a client
    /// whose answer depends on what a new leader does not know to be committed yet (KIP-207).
    pub fn offset_for(
        &self,
        query: OffsetQuery,
        isolation: Isolation,
        current_epoch: LeaderEpoch,
    ) -> Result<Option<FoundOffset>, ReadError> {
        let (watermarks, earliest_epoch, behind) = {
            let shared = self.shared.lock();
            let state = &shared.state;
            state.check_reader(current_epoch)?;
            let behind = state.behind_epoch_start().filter(|_| isolation != Isolation::LogEnd);
            (state.watermarks(), state.epochs.at(state.start), behind)
        };
        let below = bound(&watermarks, isolation);
        let available = |found: Option<FoundOffset>| match behind {
            Some(epoch_start) if found.is_none() => {
                Err(ReadError::NotAvailable { high: watermarks.high, epoch_start })
            }
            _ => Ok(found),
        };
        let edge = |offset, epoch| FoundOffset { offset, timestamp: Timestamp::NONE, epoch };
        match query {
            OffsetQuery::Earliest => {
                Ok(Some(edge(watermarks.start, earliest_epoch.unwrap_or(LeaderEpoch::NONE))))
            }
            OffsetQuery::Latest => available(behind.is_none().then(|| edge(below, watermarks.epoch))),
            OffsetQuery::At(timestamp) => available(self.first_at(timestamp, &watermarks, below)?),
            OffsetQuery::LargestTimestamp => {
                let largest = self.log.spans().iter().map(|span| span.largest_timestamp).max();
                match largest.filter(|largest| largest.0 >= 0) {
                    Some(largest) => available(self.first_at(largest, &watermarks, below)?),
                    None => available(None),
                }
            }
        }
    }

    /// The first record at or after `timestamp` in the readable part of the log.
    fn first_at(
        &self,
        timestamp: Timestamp,
        watermarks: &Watermarks,
        below: Offset,
    ) -> Result<Option<FoundOffset>, LogError> {
        let Some(base) = self.log.find(timestamp)? else { return Ok(None) };
        let mut found = None;
        walk(&*self.log, base.max(watermarks.start), below, |batch| {
            if batch.header.max_timestamp >= timestamp {
                found = first_in(batch, timestamp, watermarks.start)?;
            }
            Ok(found.is_none())
        })?;
        Ok(found.filter(|found| found.offset < below))
    }

    /// Where leader epoch `epoch` ended (OffsetForLeaderEpoch); `None` when the epoch is not known.
    ///
    /// # Errors
    /// [`ReadError`] for a wrong idea of the leader.
    pub fn epoch_end(
        &self,
        epoch: LeaderEpoch,
        current_epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, ReadError> {
        let shared = self.shared.lock();
        shared.state.check_reader(current_epoch)?;
        Ok(shared.state.epochs.end_of(epoch, shared.state.end))
    }

    /// Deletes the records below `before`, or all committed ones without it. Returns where the log starts now. *Blocks.*
    ///
    /// # Errors
    /// [`DeleteRecordsError`].
    pub fn delete_records(&self, before: Option<Offset>) -> Result<Offset, DeleteRecordsError> {
        let settings = self.settings();
        let _turn = self.cutting.lock();
        let (start, high) = {
            let state = &self.shared.lock().state;
            state.check_reader(LeaderEpoch::NONE)?;
            (state.start, state.high)
        };
        if !settings.retention.delete {
            return Err(DeleteRecordsError::Policy);
        }
        let given = before.unwrap_or(high);
        if given.0 < 0 || given > high {
            return Err(DeleteRecordsError::OutOfRange { given, high });
        }
        if given > start { Ok(self.trim(given)?) } else { Ok(start) }
    }

    /// How many producers are remembered.
    #[must_use]
    pub fn producer_count(&self) -> usize {
        self.shared.lock().state.producers.iter().count()
    }

    /// Every producer that is remembered, in the order of their ids (DescribeProducers).
    #[must_use]
    pub fn producers(&self) -> Vec<(ProducerId, ProducerState)> {
        let shared = self.shared.lock();
        let mut all: Vec<_> = shared.state.producers.iter().map(|(id, state)| (id, state.clone())).collect();
        drop(shared);
        all.sort_by_key(|(id, _)| *id);
        all
    }
}

/// The offset after the last batch of records in memory; `None` when that cannot be told without reading a file.
fn end_of(data: &LogData) -> Option<Offset> {
    let LogData::Bytes(slices) = data else { return None };
    let mut end = None;
    for (index, slice) in slices.iter().enumerate() {
        let mut rest = &slice[..];
        while !rest.is_empty() {
            let header = BatchHeader::parse(rest).ok()?;
            end = Some(header.next_offset());
            let size = header.size().max(BatchHeader::SIZE);
            if size > rest.len() && index + 1 < slices.len() {
                // The next slice does not begin with a header.
                return None;
            }
            rest = rest.get(size..).unwrap_or_default();
        }
    }
    end
}

/// The offset below which a reader of this isolation reads.
fn bound(watermarks: &Watermarks, isolation: Isolation) -> Offset {
    match isolation {
        Isolation::Uncommitted => watermarks.high,
        Isolation::Committed => watermarks.stable,
        Isolation::LogEnd => watermarks.end,
    }
}

fn first_in(batch: &Batch, timestamp: Timestamp, start: Offset) -> Result<Option<FoundOffset>, LogError> {
    let failed = |error: &dyn std::fmt::Display| corrupt(batch.header.base_offset, error);
    let records = batch.records().map_err(|error| failed(&error))?;
    for record in &records {
        let record = record.map_err(|error| failed(&error))?;
        if record.timestamp >= timestamp && record.offset >= start {
            let epoch = batch.header.partition_leader_epoch;
            return Ok(Some(FoundOffset { offset: record.offset, timestamp: record.timestamp, epoch }));
        }
    }
    Ok(None)
}
