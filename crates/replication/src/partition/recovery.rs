//! Brings a partition's state back from its log: sidecars first, then the batches they do not cover. *Blocks.*

use vltava_core::id::{Offset, Timestamp, TopicPartition};
use vltava_core::log::{Log, LogError, Sidecar, SidecarKind};
use vltava_core::record::{Batch, EndTransactionMarker};

use super::epochs::LeaderEpochs;
use super::producers::Producers;
use super::reading::{corrupt, walk};
use super::snapshot;
use super::state::State;

/// The state of the partition whose batches `log` holds; `high` is the last high watermark known of it.
///
/// # Errors
/// [`LogError`] when the log cannot be read. A damaged sidecar is no error: what it held is taken from the batches.
pub(super) fn recover(
    id: TopicPartition,
    log: &dyn Log,
    high: Offset,
    now: Timestamp,
    producer_expiry_ms: i64,
) -> Result<State, LogError> {
    let bounds = log.bounds();
    let mut state = State::new(id, bounds);
    state.high = high.clamp(bounds.start, bounds.end);
    let sidecars_sound = read_epochs(&mut state, log)? && read_aborted(&mut state, log)?;
    let from = if sidecars_sound { read_producers(&mut state, log)? } else { bounds.start };
    replay(&mut state, log, from)?;
    state.producers.committed(state.high);
    state.producers.expire(now, producer_expiry_ms);
    state.epoch = state.epochs.latest().map_or(state.epoch, |latest| latest.epoch);
    Ok(state)
}

/// Whether the checkpoint told where every epoch starts up to the newest snapshot.
fn read_epochs(state: &mut State, log: &dyn Log) -> Result<bool, LogError> {
    let checkpoint = Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO };
    let Some(content) = log.sidecars().read(checkpoint)? else { return Ok(state.start == state.end) };
    match LeaderEpochs::from_checkpoint(&content) {
        Ok(mut epochs) => {
            let lost = epochs.truncate_end(state.end);
            epochs.truncate_start(state.start);
            state.epochs = epochs;
            if lost {
                // The log will grow past these starts again, in other epochs.
                state.save_epochs();
            }
            Ok(true)
        }
        Err(error) => {
            tracing::warn!(partition = %state.id, error, "leader epochs are taken from the log");
            Ok(false)
        }
    }
}

/// Whether the transaction indexes could be read.
fn read_aborted(state: &mut State, log: &dyn Log) -> Result<bool, LogError> {
    for at in log.sidecars().list(SidecarKind::AbortedTransactions) {
        let index = Sidecar { kind: SidecarKind::AbortedTransactions, at };
        if !log.spans().iter().any(|span| span.base == at) {
            log.sidecars().remove(index)?;
            continue;
        }
        let Some(content) = log.sidecars().read(index)? else { continue };
        if let Err(error) = state.aborted.read_index(&content) {
            tracing::warn!(partition = %state.id, %at, %error, "aborted transactions are taken from the log");
            return Ok(false);
        }
    }
    state.aborted.truncate_start(state.start);
    if state.aborted.truncate_end(state.end) {
        // The log will grow past these markers again, with other batches.
        state.save_aborted(&log.spans(), state.end);
    }
    Ok(true)
}

/// Loads the newest sound snapshot, removes those that are no use, and returns the offset it stands at.
fn read_producers(state: &mut State, log: &dyn Log) -> Result<Offset, LogError> {
    let spans = log.spans();
    let mut loaded = None;
    for at in log.sidecars().list(SidecarKind::ProducerSnapshot).into_iter().rev() {
        let sidecar = Sidecar { kind: SidecarKind::ProducerSnapshot, at };
        let at_span = spans.iter().any(|span| span.base == at);
        if at > state.end || at < state.start || (loaded.is_some() && !at_span) {
            log.sidecars().remove(sidecar)?;
            continue;
        }
        if loaded.is_some() {
            continue;
        }
        let Some(content) = log.sidecars().read(sidecar)? else { continue };
        match snapshot::decode(&content) {
            Ok(producers) => {
                state.producers = producers;
                loaded = Some(at);
            }
            Err(error) => {
                tracing::warn!(partition = %state.id, %at, error, "a producer snapshot is removed");
                log.sidecars().remove(sidecar)?;
            }
        }
    }
    state.snapshot_at = loaded;
    Ok(loaded.unwrap_or(state.start))
}

/// Brings back what is known of producers after the log was cut.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub(super) fn recover_producers(state: &mut State, log: &dyn Log) -> Result<(), LogError> {
    state.producers = Producers::default();
    let from = read_producers(state, log)?;
    replay(state, log, from)?;
    state.producers.committed(state.high);
    Ok(())
}

/// Takes in the batches from `from` on.
fn replay(state: &mut State, log: &dyn Log, from: Offset) -> Result<(), LogError> {
    let spans = log.spans();
    walk(log, from, state.end, |batch| {
        let epoch = batch.header.partition_leader_epoch;
        if state.epochs.latest().is_none_or(|latest| latest.epoch < epoch) {
            state.epochs.assign(epoch, batch.header.base_offset);
        }
        if state.replay(&batch.header, marker(batch)?.as_ref()) {
            // The index was lost with whoever wrote the marker.
            state.save_aborted(&spans, batch.header.base_offset);
        }
        Ok(true)
    })
}

/// What a control batch says of its transaction.
///
/// # Errors
/// [`LogError::Corrupt`] for a marker that is not one.
pub(super) fn marker(batch: &Batch) -> Result<Option<EndTransactionMarker>, LogError> {
    EndTransactionMarker::read(batch).map_err(|error| corrupt(batch.header.base_offset, &error))
}
