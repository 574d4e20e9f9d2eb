//! Snapshots of machines whose log is trimmed behind them, as the metadata log is.

use std::fmt;

use bytes::Bytes;
use vltava_core::id::{LeaderEpoch, Offset, Timestamp};
use vltava_core::log::LogError;
use vltava_core::machine::Encoded;

use super::Applied;

/// Keeps the snapshots of one log. *All blocking* but [`Snapshots::due`].
///
/// Implemented by [`crate::quorum::Quorum`]. A replay starts from the newest snapshot, and goes on with the log.
pub trait Snapshots: Send + Sync + fmt::Debug {
    /// The newest snapshot; `None` when the log reaches back to its beginning.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be read.
    fn newest(&self) -> Result<Option<MachineSnapshot>, LogError>;

    /// Whether another snapshot should be taken now, from how much was applied since the last one.
    fn due(&self, applied: Applied) -> bool;

    /// Keeps a snapshot; the log below it may go then.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be written; the older ones still stand.
    fn write(&self, snapshot: NewSnapshot) -> Result<(), LogError>;
}

/// A snapshot as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSnapshot {
    /// It holds everything below this offset.
    pub end: Offset,
    /// The leader epoch of the record before that.
    pub epoch: LeaderEpoch,
    /// Its records, as batches at offsets of their own.
    pub batches: Bytes,
}

/// A snapshot that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Everything below this offset is in it.
    pub end: Offset,
    /// The leader epoch of the record before that.
    pub epoch: LeaderEpoch,
    /// The timestamp of that record.
    pub timestamp: Timestamp,
    /// The records that build the state from nothing.
    pub records: Vec<Encoded>,
}
