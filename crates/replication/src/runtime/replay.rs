//! Replays a log into a machine.

use std::sync::Arc;

use bytes::Bytes;
use vltava_core::id::{LeaderEpoch, Offset, Timestamp};
use vltava_core::log::{LogData, LogError};
use vltava_core::machine::{DecodeError, Entry, Place, StateMachine, TransactionEnd};
use vltava_core::record::{Batch, EndTransactionMarker, Record, RecordError, Records, TransactionResult};
use vltava_core::replicated::{Isolation, ReadError, ReadTerms, ReplicatedLog, Watermarks};

use super::Snapshots;
use crate::partition::load;

/// Why a log could not be replayed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log refused to be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bytes could not be fetched.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A batch is damaged.
    #[error("the batch at offset {at} is damaged: {error}")]
    Batch {
        /// Its base offset, or where it should be.
        at: Offset,
        /// What is wrong.
        error: RecordError,
    },
    /// A record does not hold what it should.
    #[error("the record at offset {at} cannot be read: {error}")]
    Record {
        /// Its offset.
        at: Offset,
        /// What is wrong.
        error: DecodeError,
    },
    /// The machine has panicked.
    #[error("the state machine has panicked: {0}")]
    Panicked(String),
    /// The thread that read the log died.
    #[error("the read was cancelled")]
    Cancelled,
}

/// Where a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The offset after the last record applied.
    pub(super) next: Offset,
    /// The leader epoch of that record.
    pub(super) epoch: LeaderEpoch,
    /// Its timestamp.
    pub(super) timestamp: Timestamp,
    /// The bytes of the batches applied so far.
    pub(super) bytes: u64,
}

impl Position {
    /// Nothing is applied: the next record is this one.
    pub(super) fn at(next: Offset) -> Position {
        Position { next, epoch: LeaderEpoch::NONE, timestamp: Timestamp::NONE, bytes: 0 }
    }
}

/// Replays the newest snapshot and then the log, as a leader does, up to `end`.
pub(super) async fn replay_whole<M: StateMachine>(
    log: Arc<dyn ReplicatedLog>,
    snapshots: Option<Arc<dyn Snapshots>>,
    mut machine: M,
    end: Offset,
    bytes: usize,
) -> Result<(M, Position), ReplayError> {
    let mut position = Position::at(log.watch().borrow().start);
    if let Some(snapshots) = snapshots {
        start_from_snapshot(snapshots, &mut machine, &mut position).await?;
    }
    replay_to(&*log, &mut machine, &mut position, end, bytes).await?;
    Ok((machine, position))
}

/// Applies the newest snapshot, when there is one.
pub(super) async fn start_from_snapshot<M: StateMachine>(
    snapshots: Arc<dyn Snapshots>,
    machine: &mut M,
    position: &mut Position,
) -> Result<(), ReplayError> {
    let newest = tokio::task::spawn_blocking(move || snapshots.newest());
    let Some(snapshot) = newest.await.map_err(|_| ReplayError::Cancelled)?? else { return Ok(()) };
    let mut inside = Position::at(Offset::ZERO);
    if let Some(error) = apply_region(machine, snapshot.batches, &mut inside)? {
        return Err(ReplayError::Batch { at: inside.next, error });
    }
    *position = Position::at(snapshot.end);
    position.epoch = snapshot.epoch;
    Ok(())
}

/// Replays the log as a leader does, whether it is committed or not, up to `end`.
pub(super) async fn replay_to<M: StateMachine>(
    log: &dyn ReplicatedLog,
    machine: &mut M,
    position: &mut Position,
    end: Offset,
    bytes: usize,
) -> Result<(), ReplayError> {
    while position.next < end {
        let before = position.next;
        replay_some(log, machine, position, Isolation::LogEnd, bytes).await?;
        if position.next == before {
            // Nothing from here on: the last records were compacted away.
            position.next = end;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// One read from `position` on, applied. Returns where the log stood; the position has not moved when there is nothing
/// to read.
pub(super) async fn replay_some<M: StateMachine>(
    log: &dyn ReplicatedLog,
    machine: &mut M,
    position: &mut Position,
    isolation: Isolation,
    bytes: usize,
) -> Result<Watermarks, ReplayError> {
    let current_epoch = LeaderEpoch::NONE;
    let terms = ReadTerms { isolation, bytes, whole_first_batch: true, current_epoch };
    let read = log.read(position.next, terms)?;
    let region = gather(read.data).await?;
    let before = position.next;
    let cut = apply_region(machine, region, position)?;
    if let Some(error) = cut.filter(|_| position.next == before) {
        // A log returns its first batch whole, so this one was never whole.
        return Err(ReplayError::Batch { at: before, error });
    }
    Ok(read.watermarks)
}

/// The records in one piece, wherever they are.
pub(crate) async fn gather(data: LogData) -> Result<Bytes, ReplayError> {
    match data {
        LogData::Bytes(_) => Ok(load(data)?),
        waits => on_blocking_thread(move || load(waits)).await,
    }
}

async fn on_blocking_thread(
    read: impl FnOnce() -> Result<Bytes, LogError> + Send + 'static,
) -> Result<Bytes, ReplayError> {
    let read = tokio::task::spawn_blocking(read).await.map_err(|_| ReplayError::Cancelled)?;
    Ok(read?)
}

/// Applies the whole batches of a region from the position on. Returns what is missing of the last one, when that is cut.
pub(super) fn apply_region<M: StateMachine>(
    machine: &mut M,
    region: Bytes,
    position: &mut Position,
) -> Result<Option<RecordError>, ReplayError> {
    for batch in Batch::split(region) {
        match batch {
            Ok(batch) if batch.header.next_offset() <= position.next => {}
            Ok(batch) => apply_batch(machine, &batch, position)?,
            Err(cut @ RecordError::Truncated { .. }) => return Ok(Some(cut)),
            Err(error) => return Err(ReplayError::Batch { at: position.next, error }),
        }
    }
    Ok(None)
}

fn apply_batch<M: StateMachine>(
    machine: &mut M,
    batch: &Batch,
    position: &mut Position,
) -> Result<(), ReplayError> {
    let header = &batch.header;
    let damaged = |error| ReplayError::Batch { at: header.base_offset, error };
    batch.check_crc().map_err(damaged)?;
    if header.is_control() {
        apply_control(machine, batch)?;
    } else {
        let records = batch.records().map_err(damaged)?;
        let transaction = header.is_transactional().then_some((header.producer_id, header.producer_epoch));
        for record in &records {
            let record = record.map_err(damaged)?;
            if record.offset >= position.next {
                let place = Place { offset: record.offset, timestamp: record.timestamp, transaction };
                apply_record(machine, &records, &record, place)?;
            }
        }
    }
    position.next = header.next_offset();
    position.epoch = header.partition_leader_epoch;
    position.timestamp = header.max_timestamp;
    position.bytes = position.bytes.saturating_add(batch.size() as u64);
    Ok(())
}

fn apply_record<M: StateMachine>(
    machine: &mut M,
    records: &Records,
    record: &Record<'_>,
    place: Place,
) -> Result<(), ReplayError> {
    let key = record.key.map(|key| records.body().slice_ref(key));
    let value = record.value.map(|value| records.body().slice_ref(value));
    apply_entry(machine, Entry::Record { key: key.as_ref(), value: value.as_ref() }, place)
}

fn apply_control<M: StateMachine>(machine: &mut M, batch: &Batch) -> Result<(), ReplayError> {
    let header = &batch.header;
    let marker = EndTransactionMarker::read(batch);
    let Some(marker) = marker.map_err(|error| ReplayError::Batch { at: header.base_offset, error })? else {
        return Ok(());
    };
    let end = TransactionEnd {
        producer: header.producer_id,
        epoch: header.producer_epoch,
        commit: marker.result == TransactionResult::Commit,
        coordinator_epoch: marker.coordinator_epoch.0,
    };
    let place = Place { offset: header.base_offset, timestamp: header.max_timestamp, transaction: None };
    apply_entry(machine, Entry::End(end), place)
}

fn apply_entry<M: StateMachine>(machine: &mut M, entry: Entry<'_>, place: Place) -> Result<(), ReplayError> {
    let decoded = machine.decode(entry).map_err(|error| ReplayError::Record { at: place.offset, error })?;
    if let Some(event) = decoded {
        machine.apply(&event, place);
    }
    Ok(())
}
