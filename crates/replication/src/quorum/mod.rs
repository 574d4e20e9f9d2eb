//! The controller quorum: a [`ReplicatedLog`] that is agreed among controllers by openraft.
//!
//! It owns the raft log, the vote, the metadata log `__cluster_metadata-0` that the raft log is projected into, and its
//! snapshots. It knows no record of the cluster but the quorum's own control records. openraft's types stay inside.
//!
//! What is placed gets its offset at once, is proposed with everything else that was placed meanwhile as one entry, is
//! synced in the raft log, and is then projected into the metadata log in Kafka's format. The end of the projection is
//! the high watermark. Control records and snapshots are Kafka's, so that its tools read the folder.
//!
//! Why two logs: only proposals take offsets, while openraft also numbers its own entries (the blank one that opens a
//! term, changes of membership), and an uncommitted entry may have to go again. So the metadata log holds what is
//! committed and nothing else, and needs no sync of its own: what a crash takes from it is projected again. How far it
//! was is never stored, but follows from its end (`progress`).
//!
//! Why one proposal at a time: openraft 0.9 syncs each proposal before it takes the next. What is placed during a sync
//! shares the following one, which groups commits by itself.
//!
//! Why a restart begins a new term even with one voter: a leader that goes on in its old term could be asked for batches
//! that it placed and has forgotten. A vote is therefore read back as not granted, and the election of one voter costs
//! a sync.
//!
//! Tried with one voter over a log in memory (`tests.rs`): a fresh node leads after four syncs, without a timer.

mod checkpoints;
mod control;
mod files;
mod found;
mod network;
mod progress;
mod projection;
mod raft_log;
mod state;
mod status;
mod steward;
mod types;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openraft::{Raft, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::sync::watch;
use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    BrokerId, CLUSTER_METADATA_TOPIC, DirectoryId, LeaderEpoch, NameError, Offset, PartitionIndex, Timestamp,
    TopicId, TopicName, TopicPartition, Uuid,
};
use vltava_core::image::Endpoint;
use vltava_core::log::{Log, LogError, LogId as StoredLogId, ReadLimit};
use vltava_core::machine::TransactionWrite;
use vltava_core::record::Batch;
use vltava_core::replicated::{
    Admission, Isolation, PlaceError, PlaceTerms, Placed, ReadError, ReadRecords, ReadTerms, ReplicatedLog,
    Watermarks,
};

use crate::runtime::{Applied, MachineSnapshot, NewSnapshot, Snapshots};
use found::Found;
use projection::{Projected, Projection};
use raft_log::RaftLog;
use steward::{Placing, Steward, Term};
use types::{Types, VoterId};

pub use control::KRAFT_VERSION;
pub use files::{MemoryFiles, QuorumFiles};
pub use status::{Latency, QuorumReplica, QuorumStatus};

/// How often a leader says that it lives. A lone voter says it to nobody.
const HEARTBEAT_MS: u64 = 500;
/// How long a follower waits for that, at least and at most.
const ELECTION_TIMEOUT_MS: std::ops::Range<u64> = 1_000..2_000;

/// Where a quorum keeps its things.
#[derive(Clone, Debug)]
pub struct QuorumStorage {
    /// The log called [`Quorum::metadata_log`].
    pub metadata: Arc<dyn Log>,
    /// The log called [`Quorum::raft_log`].
    pub raft: Arc<dyn Log>,
    /// The folder of the metadata log.
    pub files: Arc<dyn QuorumFiles>,
}

/// How a quorum runs.
#[derive(Clone, Debug)]
pub struct QuorumSettings {
    /// This node.
    pub node: BrokerId,
    /// Its metadata directory.
    pub directory: DirectoryId,
    /// Where other controllers and tools reach it.
    pub endpoints: Vec<Endpoint>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// The most bytes of a batch.
    pub batch_bytes_max: usize,
    /// `metadata.log.max.record.bytes.between.snapshots`: take a snapshot after so many bytes.
    pub snapshot_bytes: u64,
    /// `metadata.log.max.snapshot.interval.ms`: take a snapshot after so long, when there is anything new; 0 is never.
    pub snapshot_interval: Duration,
    /// `metadata.max.retention.bytes`: remove old snapshots and the log below the next one beyond so many bytes;
    /// negative is never.
    pub retention_bytes: i64,
    /// `metadata.max.retention.ms`: remove them after so long; negative is never.
    pub retention_ms: i64,
}

impl QuorumSettings {
    /// Kafka's defaults.
    #[must_use]
    pub fn new(node: BrokerId, directory: DirectoryId, clock: Arc<dyn Clock>) -> QuorumSettings {
        QuorumSettings {
            node,
            directory,
            endpoints: Vec::new(),
            clock,
            batch_bytes_max: 8 << 20,
            snapshot_bytes: 20 << 20,
            snapshot_interval: Duration::from_secs(3600),
            retention_bytes: 100 << 20,
            retention_ms: 7 * 24 * 3_600_000,
        }
    }
}

/// Why a quorum could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// A log or a file cannot be read or written.
    #[error("the metadata cannot be opened: {0}")]
    Log(#[from] LogError),
    /// The raft log cannot be used.
    #[error("the raft log cannot be opened: {0}; restore the metadata directory from a backup")]
    Raft(String),
}

/// The controller quorum, seen from one controller.
pub struct Quorum {
    raft: Raft<Types>,
    id: VoterId,
    settings: QuorumSettings,
    name: TopicPartition,
    projected: Arc<Projected>,
    placing: Arc<Placing>,
    failure: watch::Receiver<Option<String>>,
    runtime: tokio::runtime::Handle,
    last_snapshot: Mutex<Moment>,
}

impl Quorum {
    /// The log that is projected into.
    ///
    /// # Errors
    /// None in practice: the name is valid.
    pub fn metadata_log() -> Result<StoredLogId, NameError> {
        Ok(StoredLogId { topic: TopicId::METADATA, partition: metadata_partition()? })
    }

    /// The log of raft entries, in a folder of its own beside that of the metadata. Kafka does not know it and takes it
    /// for a stray.
    ///
    /// # Errors
    /// None in practice: the name is valid.
    pub fn raft_log() -> Result<StoredLogId, NameError> {
        let topic = TopicName::new("__cluster_raft")?;
        Ok(StoredLogId {
            topic: TopicId(Uuid::from_u128(0x766c_7461_7661_4000_8000_0000_0000_0001)),
            partition: TopicPartition { topic, partition: PartitionIndex(0) },
        })
    }

    /// Opens the quorum of one voter, on the threads of the runtime that this is called on, and stands for election.
    /// [`ReplicatedLog::watch`] says when this node leads. A folder that Kafka has written is taken over: the first term
    /// is above its last epoch.
    ///
    /// # Errors
    /// [`QuorumError`].
    pub fn open(
        storage: QuorumStorage,
        settings: QuorumSettings,
    ) -> BoxFuture<'static, Result<Arc<Quorum>, QuorumError>> {
        // Boxed here, so that the library is compiled into this crate and not into every one that opens a quorum.
        Box::pin(async move {
            let id = VoterId { node: settings.node, directory: settings.directory };
            let found = Found::read(&storage, id, &settings).await?;
            let config = openraft::Config {
                cluster_name: CLUSTER_METADATA_TOPIC.to_owned(),
                heartbeat_interval: HEARTBEAT_MS,
                election_timeout_min: ELECTION_TIMEOUT_MS.start,
                election_timeout_max: ELECTION_TIMEOUT_MS.end,
                snapshot_policy: SnapshotPolicy::Never,
                max_in_snapshot_log_to_keep: 0,
                ..openraft::Config::default()
            };
            let config = Arc::new(config.validate().map_err(|error| QuorumError::Raft(error.to_string()))?);
            let log = RaftLog::new(
                storage.raft,
                storage.files,
                found.projected.clone(),
                found.vote,
                found.purged.as_ref(),
                found.last,
            );
            let raft = Raft::new(id, config, network::Alone, log, Projection(found.projected.clone()));
            let raft = raft.await.map_err(|error| QuorumError::Raft(error.to_string()))?;
            raft.trigger().elect().await.map_err(|error| QuorumError::Raft(error.to_string()))?;
            Quorum::start(raft, id, settings, found.projected)
        })
    }

    fn start(
        raft: Raft<Types>,
        id: VoterId,
        settings: QuorumSettings,
        projected: Arc<Projected>,
    ) -> Result<Arc<Quorum>, QuorumError> {
        let (placing, placed) = Placing::new();
        let placing = Arc::new(placing);
        let (failed, failure) = watch::channel(None);
        let steward = Steward {
            raft: raft.clone(),
            id,
            endpoints: settings.endpoints.clone(),
            projected: projected.clone(),
            placing: placing.clone(),
            placed,
            clock: settings.clock.clone(),
            failure: failed,
        };
        let runtime = tokio::runtime::Handle::current();
        runtime.spawn(steward.run());
        let last_snapshot = Mutex::new(settings.clock.now());
        let name = metadata_partition().map_err(|error| QuorumError::Raft(error.to_string()))?;
        Ok(Arc::new(Quorum { raft, id, settings, name, projected, placing, failure, runtime, last_snapshot }))
    }

    /// Stops: no longer leads, and answers nobody. The logs are the caller's to close.
    pub async fn close(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the controller quorum did not stop in an orderly way");
        }
    }

    /// Why the quorum has stopped for good, once it has: a controller that cannot write its metadata is of no use, and
    /// its process should end.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.clone()
    }

    /// What the quorum says of itself.
    #[must_use]
    pub fn status(&self) -> QuorumStatus {
        let marks = *self.projected.watch.borrow();
        let leader = self.raft.metrics().borrow().current_leader;
        let snapshot = self.projected.checkpoints.newest();
        let now = self.settings.clock.wall();
        let myself = QuorumReplica {
            id: self.id.node,
            directory: self.id.directory,
            endpoints: self.settings.endpoints.clone(),
            log_end: marks.end,
            last_fetch: now,
            last_caught_up: now,
        };
        QuorumStatus {
            leader: leader.map_or(BrokerId::NONE, |leader| leader.node),
            epoch: marks.epoch,
            high_watermark: marks.high,
            voters: vec![myself],
            observers: Vec::new(),
            commits: *self.placing.commits.lock(),
            elections: *self.placing.elections.lock(),
            snapshot: snapshot.map(|checkpoint| (checkpoint.timestamp, checkpoint.bytes)),
        }
    }

    fn not_leader(&self) -> PlaceError {
        PlaceError::NotLeader(self.name.clone())
    }
}

fn metadata_partition() -> Result<TopicPartition, NameError> {
    Ok(TopicPartition { topic: TopicName::new(CLUSTER_METADATA_TOPIC)?, partition: PartitionIndex(0) })
}

impl ReplicatedLog for Quorum {
    fn admit(&self) -> Result<Admission, PlaceError> {
        let Term { epoch, next } = self.placing.admit().ok_or_else(|| self.not_leader())??;
        Ok(Admission { epoch, end: next, batch_bytes_max: self.settings.batch_bytes_max })
    }

    fn admit_transaction(&self, _write: &TransactionWrite) -> Result<(), PlaceError> {
        Err(PlaceError::Refused {
            code: ErrorCode::INVALID_TXN_STATE,
            message: "the metadata log takes part in no producer's transaction".to_owned(),
            records: Vec::new(),
        })
    }

    fn place(&self, batch: Batch, terms: PlaceTerms) -> Result<Placed, PlaceError> {
        let stamp = |batch: &mut Batch, term: Term| {
            if terms.expected_epoch.is_some_and(|expected| expected != term.epoch) {
                return Err(self.not_leader());
            }
            if let Some(expected) = terms.expected_end.filter(|expected| *expected != term.next) {
                return Err(PlaceError::EndMoved { expected, actual: term.next });
            }
            if batch.size() > self.settings.batch_bytes_max {
                return Err(PlaceError::Refused {
                    code: ErrorCode::MESSAGE_TOO_LARGE,
                    message: format!("a batch of metadata may have {} bytes", self.settings.batch_bytes_max),
                    records: Vec::new(),
                });
            }
            batch.header.base_offset = term.next;
            batch.header.partition_leader_epoch = term.epoch;
            Ok(Placed {
                epoch: term.epoch,
                base: term.next,
                end: batch.header.next_offset(),
                append_time: Timestamp::NONE,
                log_start: self.projected.log.bounds().start,
                sync: false,
                converted: None,
            })
        };
        self.placing.place(batch, stamp, || self.not_leader())
    }

    fn read(&self, from: Offset, terms: ReadTerms) -> Result<ReadRecords, ReadError> {
        let watermarks = *self.projected.watch.borrow();
        let (given, current) = (terms.current_epoch, watermarks.epoch);
        if given != LeaderEpoch::NONE && given < current {
            return Err(ReadError::FencedEpoch { given, current });
        }
        if given > current {
            return Err(ReadError::UnknownEpoch { given, current });
        }
        let below = match terms.isolation {
            Isolation::Uncommitted | Isolation::Committed | Isolation::LogEnd => watermarks.high,
        };
        let limit = ReadLimit { below, bytes: terms.bytes, whole_first_batch: terms.whole_first_batch };
        match self.projected.log.read(from, limit) {
            Ok(data) => Ok(ReadRecords { data, watermarks, aborted: Vec::new() }),
            Err(LogError::OutOfRange { from, start, end }) => Err(ReadError::OutOfRange { from, start, end }),
            Err(error) => Err(error.into()),
        }
    }

    fn watch(&self) -> watch::Receiver<Watermarks> {
        self.projected.watch.subscribe()
    }

    fn watch_leadership(&self) -> watch::Receiver<Watermarks> {
        self.watch()
    }
}

impl Snapshots for Quorum {
    fn newest(&self) -> Result<Option<MachineSnapshot>, LogError> {
        let Some(checkpoint) = self.projected.checkpoints.newest() else { return Ok(None) };
        let batches = self.projected.checkpoints.read(checkpoint)?;
        Ok(Some(MachineSnapshot { end: checkpoint.end, epoch: checkpoint.epoch, batches }))
    }

    fn due(&self, applied: Applied) -> bool {
        if applied.bytes == 0
            || self.projected.checkpoints.newest().is_some_and(|last| last.end >= applied.end)
        {
            return false;
        }
        let interval = self.settings.snapshot_interval;
        let waited = self.settings.clock.now().since(*self.last_snapshot.lock());
        applied.bytes >= self.settings.snapshot_bytes || (!interval.is_zero() && waited >= interval)
    }

    fn write(&self, snapshot: NewSnapshot) -> Result<(), LogError> {
        *self.last_snapshot.lock() = self.settings.clock.now();
        let voters = [(&self.id, &self.settings.endpoints[..])];
        let checkpoint = self.projected.checkpoints.write(&snapshot, &voters, self.settings.clock.wall())?;
        tracing::info!(%checkpoint, bytes = checkpoint.bytes, "a snapshot of the metadata was written");
        self.retain()?;
        // openraft learns of the snapshot and lets the raft log below it go.
        let raft = self.raft.clone();
        self.runtime.spawn(async move {
            if let Err(error) = raft.trigger().snapshot().await {
                tracing::debug!(%error, "the quorum has stopped before it heard of a snapshot");
            }
        });
        Ok(())
    }
}

impl Quorum {
    /// Removes old snapshots and the log below the next one, as far as retention asks for it. The newest snapshot stays.
    fn retain(&self) -> Result<(), LogError> {
        let now = self.settings.clock.wall();
        loop {
            let checkpoints = self.projected.checkpoints.all();
            let [oldest, next, ..] = &checkpoints[..] else { return Ok(()) };
            let log_bytes: u64 = self.projected.log.spans().iter().map(|span| span.bytes).sum();
            let bytes = checkpoints.iter().map(|checkpoint| checkpoint.bytes).sum::<u64>() + log_bytes;
            let too_many = u64::try_from(self.settings.retention_bytes).is_ok_and(|most| bytes > most);
            let age = now.since(oldest.timestamp);
            let too_old = self.settings.retention_ms >= 0 && age > self.settings.retention_ms;
            if !too_many && !too_old {
                return Ok(());
            }
            self.projected.trim(next.end)?;
            self.projected.checkpoints.remove_oldest()?;
        }
    }
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quorum").field("id", &self.id).field("projected", &self.projected.end()).finish()
    }
}

#[cfg(test)]
mod tests;
