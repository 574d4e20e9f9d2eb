//! Compaction over any [`Log`]: of each key only the last record stays.
//!
//! One round has two passes. The first reads the dirty part, from where the last round ended, into a map from keys to
//! their last offsets; the second writes the log anew from its start to the end of what the map knows, span by span,
//! without the records that the map knows a later one of. Everything is a stream: the map has a bound in bytes, and
//! beside it there are one buffer and one batch at a time.
//!
//! What a round keeps, as Kafka does:
//!
//! 1. Offsets, timestamps, headers, leader epochs, codecs. A batch that loses records is written anew, with the offsets
//!    of its first and last record as they were; one that loses none stays byte for byte.
//! 2. A record without value (a tombstone) until the delete horizon of its batch, which the first round that meets it
//!    sets to `delete.retention.ms` from then (KIP-534).
//! 3. Of an aborted transaction nothing but its marker. A marker stays as long as its transaction has batches, and after
//!    that until its delete horizon.
//! 4. The last batch of each producer that is remembered, without its records if need be: it holds the last sequence.
//! 5. The last batch of what is written at a time, without its records if need be: from it a crash tells which spans
//!    were replaced, and a reader where the log goes on. (Kafka keeps it only at the end of a round.)
//! 6. Everything from the first uncleanable span on: the active span, what is not stable, what is younger than
//!    `min.compaction.lag.ms`.
//!
//! A record without key has no place in a compacted topic; it is dropped and counted.
//!
//! Checksums are verified in both passes: what is damaged must neither hide a sound record nor get a new checksum.

mod dirt;
mod filter;
mod groups;
mod map;
mod round;
mod source;
mod transactions;

use std::collections::HashMap;
use std::ops::ControlFlow;

use thiserror::Error;
use vltava_core::id::{Offset, ProducerEpoch, ProducerId};
use vltava_core::log::{Log, LogError, Rewrite};
use vltava_core::record::RecordError;

pub use dirt::{CompactionRules, Dirt, survey};
pub use round::compact;

#[cfg(test)]
mod tests;

/// What a round may use, of `log.cleaner.*`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionBudget {
    /// The most bytes of the map of keys: a thread's share of `log.cleaner.dedupe.buffer.size`. An entry takes 24.
    pub map_bytes_max: u64,
    /// `log.cleaner.io.buffer.load.factor`: the share of the map that is filled before a round is cut short, 0 to 1.
    pub map_load_max: f64,
    /// Bytes read at once, unless a batch is larger: a thread's share of `log.cleaner.io.buffer.size`.
    pub buffer_bytes: usize,
}

impl Default for CompactionBudget {
    /// Kafka's defaults for its one thread.
    fn default() -> Self {
        Self { map_bytes_max: 128 << 20, map_load_max: 0.9, buffer_bytes: 256 << 10 }
    }
}

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compacted {
    /// Up to where the log is compacted now: where the next round begins.
    pub end: Offset,
    /// Bytes read into the map.
    pub bytes_mapped: u64,
    /// Bytes read to be written anew.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Records met in the second pass.
    pub records_read: u64,
    /// Those of them that stayed.
    pub records_kept: u64,
    /// Those of them that had no key, and went for that.
    pub records_without_key: u64,
    /// The filled share of the map, 0 to 1.
    pub map_filled: f64,
}

/// What compaction asks of, and tells, whoever knows the producers of a log.
pub trait Producers {
    /// What must stay of each producer that is remembered.
    fn last_of_producers(&self) -> HashMap<ProducerId, LastOfProducer>;

    /// The aborted transactions with batches from `from` on and below `below`.
    fn aborted(&self, from: Offset, below: Offset) -> Vec<AbortedRange>;

    /// Commits the rewrite of the spans from `from` to `to`. Of the aborted transactions with a marker in there only
    /// those stay known whose marker is among `markers`: of the others nothing is left.
    ///
    /// # Errors
    /// Those of [`Rewrite::commit`].
    fn replace(
        &self,
        rewrite: Box<dyn Rewrite + '_>,
        from: Offset,
        to: Offset,
        markers: &[Offset],
    ) -> Result<(), LogError>;
}

/// What has to stay of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastOfProducer {
    /// The last offset of its last batch of records, when one is known.
    pub offset: Option<Offset>,
    /// Its epoch: without a batch of records, its markers of this epoch stay.
    pub epoch: ProducerEpoch,
}

/// An aborted transaction and the offsets between which it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedRange {
    /// Whose.
    pub producer: ProducerId,
    /// Its first offset.
    pub first: Offset,
    /// The offset of its marker.
    pub marker: Offset,
}

/// Nobody has written with a producer id.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProducers;

impl Producers for NoProducers {
    fn last_of_producers(&self) -> HashMap<ProducerId, LastOfProducer> {
        HashMap::new()
    }

    fn aborted(&self, _: Offset, _: Offset) -> Vec<AbortedRange> {
        Vec::new()
    }

    fn replace(
        &self,
        rewrite: Box<dyn Rewrite + '_>,
        _: Offset,
        _: Offset,
        _: &[Offset],
    ) -> Result<(), LogError> {
        rewrite.commit(&[])
    }
}

/// Told how many bytes were just read or written; waits, if there is a limit of how many a second. Breaks to end the round.
pub type Pace<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// Why a round ended early. The log is whole in any case: spans were replaced or not.
#[derive(Debug, Error)]
pub enum CompactionError {
    /// The log was trimmed, truncated or removed meanwhile, or its pace has ended the round. Try again later.
    #[error("the round was ended, or the log has changed beside it")]
    Interrupted,
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(LogError),
    /// A batch is damaged.
    #[error("the batch at offset {at} cannot be compacted: {source}")]
    Batch {
        /// The batch's first offset.
        at: Offset,
        /// What is wrong with it.
        source: RecordError,
    },
}

impl From<LogError> for CompactionError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Changed { .. } | LogError::OutOfRange { .. } => Self::Interrupted,
            error => Self::Log(error),
        }
    }
}

/// Passes a batch's error on with its place.
fn in_batch<T>(at: Offset, result: Result<T, RecordError>) -> Result<T, CompactionError> {
    result.map_err(|source| CompactionError::Batch { at, source })
}

/// Calls the pace.
fn keep_pace(pace: &mut Pace<'_>, bytes: u64) -> Result<(), CompactionError> {
    match pace(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CompactionError::Interrupted),
    }
}

/// What a round works on.
struct Work<'a> {
    log: &'a dyn Log,
    producers: &'a dyn Producers,
    budget: CompactionBudget,
}
