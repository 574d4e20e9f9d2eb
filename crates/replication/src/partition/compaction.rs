//! What compaction asks a partition for, and tells it. *What replaces spans blocks.*

use vltava_core::id::{Offset, ProducerEpoch, ProducerId};
use vltava_core::log::{LogError, Rewrite, SidecarKind};

use super::Partition;
use super::aborted::Aborted;
use super::reading::corrupt;

/// How a topic's log is compacted, from its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompactionSettings {
    /// `delete.retention.ms`: how long tombstones and markers stay.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: younger records are left alone.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`: an older dirty record makes a round due.
    pub max_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: the dirty share of the bytes above which a round is due, 0 to 1.
    pub min_dirty_ratio: f64,
}

/// The last that a remembered producer has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWritten {
    /// Who.
    pub producer: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The last offset of its last batch of records, when one is known.
    pub offset: Option<Offset>,
}

impl Partition {
    /// What must stay of each producer, so that a restart that reads the batches knows as much of it.
    #[must_use]
    pub fn last_written(&self) -> Vec<LastWritten> {
        let shared = self.shared.lock();
        let last = |(producer, state): (ProducerId, &super::ProducerState)| LastWritten {
            producer,
            epoch: state.epoch,
            offset: state.batches.last().map(|batch| batch.last_offset),
        };
        shared.state.producers.iter().map(last).collect()
    }

    /// The aborted transactions that have batches from `from` on and below `below`.
    #[must_use]
    pub fn aborted(&self, from: Offset, below: Offset) -> Vec<Aborted> {
        self.shared.lock().state.aborted.overlapping(from, below).copied().collect()
    }

    /// Puts the rewritten spans from `from` to `to` in place. Of the aborted transactions whose marker lies in there, only
    /// those with a marker among `markers` have anything left.
    ///
    /// # Errors
    /// Those of [`Rewrite::commit`]; the partition then knows what it knew before.
    pub fn replace(
        &self,
        rewrite: Box<dyn Rewrite + '_>,
        from: Offset,
        to: Offset,
        markers: &[Offset],
    ) -> Result<(), LogError> {
        // No index of the old spans may be written over that of the new one.
        let _order = self.sidecars.lock();
        let mut aborted = self.shared.lock().state.aborted.clone();
        aborted.keep_markers(from, to, markers);
        let index = aborted.to_index(from, to).map_err(|error| corrupt(from, &error))?;
        rewrite.commit(&index)?;
        let state = &mut self.shared.lock().state;
        state.aborted.keep_markers(from, to, markers);
        state.pending.retain(|sidecar, _| {
            sidecar.kind != SidecarKind::AbortedTransactions || sidecar.at < from || sidecar.at >= to
        });
        Ok(())
    }
}
