//! Projects what the quorum has committed into the metadata log, in Kafka's format.

use std::sync::Arc;

use bytes::Bytes;
use openraft::entry::EntryPayload;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::{AnyError, OptionalSend, SnapshotMeta, StorageIOError};
use parking_lot::Mutex;
use tokio::sync::watch;
use vltava_core::id::{LeaderEpoch, Offset};
use vltava_core::log::{Log, LogError, Sidecar, SidecarKind};
use vltava_core::record::Batch;
use vltava_core::replicated::Watermarks;

use super::checkpoints::{Checkpoint, Checkpoints};
use super::progress::Progress;
use super::raft_log::blocking;
use super::types::{LogId, Proposal, RaftEntry, StorageError, StoredMembership, Types, VoterId, VoterNode};
use crate::partition::LeaderEpochs;

/// The metadata log and how far it is.
#[derive(Debug)]
pub(super) struct Projected {
    pub(super) log: Arc<dyn Log>,
    pub(super) checkpoints: Checkpoints,
    pub(super) progress: Mutex<Progress>,
    pub(super) watch: watch::Sender<Watermarks>,
    /// Appends and trims of the log come one after another.
    changing: Mutex<()>,
    epochs: Mutex<LeaderEpochs>,
}

impl Projected {
    pub(super) fn new(
        log: Arc<dyn Log>,
        checkpoints: Checkpoints,
        progress: Progress,
        epochs: LeaderEpochs,
    ) -> Projected {
        let bounds = log.bounds();
        let watermarks = Watermarks {
            epoch: epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch),
            leading: false,
            start: bounds.start,
            stable: bounds.end,
            high: bounds.end,
            end: bounds.end,
            flushed: bounds.end,
            insync: true,
        };
        Projected {
            log,
            checkpoints,
            progress: Mutex::new(progress),
            watch: watch::Sender::new(watermarks),
            changing: Mutex::new(()),
            epochs: Mutex::new(epochs),
        }
    }

    pub(super) fn end(&self) -> Offset {
        self.log.bounds().end
    }

    /// Says that this node leads in an epoch, or that it does not.
    pub(super) fn lead(&self, epoch: LeaderEpoch, leading: bool) {
        self.watch.send_if_modified(|marks| {
            let before = *marks;
            (marks.epoch, marks.leading) = (epoch, leading);
            *marks != before
        });
    }

    pub(super) fn flush(&self) -> Result<(), LogError> {
        self.log.flush().map(drop)
    }

    /// Removes what a snapshot makes superfluous. Blocks.
    pub(super) fn trim(&self, start: Offset) -> Result<(), LogError> {
        let _changing = self.changing.lock();
        self.log.trim(start)?;
        self.publish();
        Ok(())
    }

    /// Appends what of a proposal is not in the log. Returns whether an epoch began with it.
    fn append(&self, proposal: &Proposal) -> Result<bool, AnyError> {
        let _changing = self.changing.lock();
        let end = self.end();
        let fresh: Vec<Batch> =
            proposal.batches.iter().filter(|batch| batch.header.base_offset >= end).cloned().collect();
        let Some(first) = fresh.first() else { return Ok(false) };
        if first.header.base_offset != end {
            let at = first.header.base_offset;
            return Err(AnyError::error(format!(
                "the metadata log ends at {end}, and the next batch is at {at}"
            )));
        }
        self.log.append(&fresh).map_err(|error| AnyError::new(&error))?;
        Ok(self.epochs.lock().assign(first.header.partition_leader_epoch, end))
    }

    /// Writes where each leader epoch starts, for Kafka's tools and for whoever adopts the folder. Blocks.
    fn write_epochs(&self) -> Result<(), LogError> {
        let content = self.epochs.lock().to_checkpoint();
        self.log.sidecars().write(EPOCHS, &content)
    }

    /// Everything that is projected is committed, and durable in the raft log.
    fn publish(&self) {
        let bounds = self.log.bounds();
        self.watch.send_if_modified(|marks| {
            let before = *marks;
            marks.start = bounds.start;
            (marks.stable, marks.high, marks.end, marks.flushed) =
                (bounds.end, bounds.end, bounds.end, bounds.end);
            *marks != before
        });
    }

    /// The newest snapshot that the raft log reaches back to.
    fn snapshot(&self) -> Option<(Checkpoint, LogId, StoredMembership)> {
        let checkpoint = self.checkpoints.newest()?;
        let progress = self.progress.lock();
        let (_, last) = progress.entry_below(checkpoint.end)?;
        Some((checkpoint, last, progress.membership_at(last)))
    }
}

const EPOCHS: Sidecar = Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO };

/// The epochs that the log's checkpoint names; those that begin at or beyond its end never came about. A checkpoint that
/// is damaged costs nothing but the epochs before this start: the log has them, and nobody asks this node for them.
pub(super) fn read_epochs(log: &dyn Log) -> Result<LeaderEpochs, LogError> {
    let Some(content) = log.sidecars().read(EPOCHS)? else { return Ok(LeaderEpochs::default()) };
    let mut epochs = LeaderEpochs::from_checkpoint(&content).unwrap_or_else(|error| {
        tracing::warn!(error, "the leader epochs of the metadata log cannot be read; they start anew");
        LeaderEpochs::default()
    });
    epochs.truncate_end(log.bounds().end);
    Ok(epochs)
}

/// openraft's view of the projection.
#[derive(Clone)]
pub(super) struct Projection(pub(super) Arc<Projected>);

impl RaftStateMachine<Types> for Projection {
    type SnapshotBuilder = Projection;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let progress = self.0.progress.lock();
        Ok((progress.applied(), progress.membership()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        for entry in entries {
            if let EntryPayload::Normal(proposal) = &entry.payload {
                let applied = self.0.append(proposal);
                if applied.map_err(|error| StorageIOError::apply(entry.log_id, error))? {
                    let projected = self.0.clone();
                    let written = blocking(move || projected.write_epochs()).await;
                    written.map_err(|error| StorageIOError::apply(entry.log_id, error))?;
                }
            }
            self.0.progress.lock().apply(&entry);
            replies.push(());
        }
        self.0.publish();
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Projection {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Bytes>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<VoterId, VoterNode>,
        snapshot: Box<Bytes>,
    ) -> Result<(), StorageError> {
        let failed =
            |error| StorageError::from(StorageIOError::write_snapshot(Some(meta.signature()), error));
        let (projected, name) = (self.0.clone(), meta.snapshot_id.clone());
        let installed = blocking(move || {
            let checkpoint = projected.checkpoints.install(&name, &snapshot)?;
            projected.trim(checkpoint.end)?;
            Ok(checkpoint)
        });
        let checkpoint = installed.await.map_err(failed)?;
        self.0.progress.lock().restart(checkpoint.end, meta.last_log_id, meta.last_membership.clone());
        self.0.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let Some((checkpoint, last, membership)) = self.0.snapshot() else { return Ok(None) };
        let projected = self.0.clone();
        let name = checkpoint.name();
        let content = blocking(move || projected.checkpoints.read(checkpoint)).await;
        let content = content.map_err(|error| StorageIOError::read_snapshot(None, error))?;
        let meta = SnapshotMeta { last_log_id: Some(last), last_membership: membership, snapshot_id: name };
        Ok(Some(Snapshot { meta, snapshot: Box::new(content) }))
    }
}

impl RaftSnapshotBuilder<Types> for Projection {
    /// Hands over the newest checkpoint: snapshots are made by whoever follows the log, from what is committed.
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        self.get_current_snapshot().await?.ok_or_else(|| {
            let missing =
                AnyError::error("there is no snapshot of the metadata log that the raft log reaches back to");
            StorageIOError::read_snapshot(None, missing).into()
        })
    }
}
