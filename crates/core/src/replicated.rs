//! The replication seam: a [`ReplicatedLog`] is a log whose end is agreed.
//!
//! A partition with its in-sync replicas and the controller quorum both are one. Whoever writes *places* a batch, which
//! gives it an offset at once, and then waits for it to be committed; whoever reads asks below an isolation bound; and
//! everybody else watches the [`Watermarks`].
//!
//! Contract of every implementation, checked by `testing::replicated_suite`:
//!
//! 1. Placed offsets are consecutive within one leadership; what is placed first is committed first.
//! 2. The high watermark never goes back within a leader epoch, and never passes the end.
//! 3. Once [`Watermarks::high`] has passed a placed batch in the epoch that placed it, the batch is never lost.
//! 4. When leadership is lost, the watch says so before another epoch's batches can be read.
//! 5. `place` touches only memory and page cache and never waits.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

use crate::error::ErrorCode;
use crate::id::{LeaderEpoch, Offset, ProducerId, Timestamp, TopicPartition};
use crate::log::{LogData, LogError};
use crate::machine::TransactionWrite;
use crate::record::Batch;

/// A log whose end is agreed among replicas.
pub trait ReplicatedLog: Send + Sync + fmt::Debug {
    /// What a [`Origin::Coordinator`] may count on now: asked before it decides, so that what it then applies will also
    /// be placed. It reserves against everything but the loss of leadership or of the log: who was admitted places with
    /// `require_min_insync: false`, for the replicas that were in sync when it was asked.
    ///
    /// # Errors
    /// [`PlaceError::NotLeader`]; [`PlaceError::Refused`] when fewer than `min.insync.replicas` are in sync;
    /// [`PlaceError::Log`] when the log is offline.
    fn admit(&self) -> Result<Admission, PlaceError>;

    /// Whether a write of a [`Origin::Coordinator`] that belongs to a transaction, or ends one, would be taken now. Asked
    /// before it is decided, for the same reason; nobody else may write to the log in between.
    ///
    /// # Errors
    /// [`PlaceError::Refused`] for a producer or a coordinator that was replaced, and for a transaction that is not open
    /// and was not verified; logs that take no transactions refuse all.
    fn admit_transaction(&self, write: &TransactionWrite) -> Result<(), PlaceError>;

    /// Validates, stamps and appends one batch, as leader.
    ///
    /// # Errors
    /// [`PlaceError`]; nothing was appended then.
    fn place(&self, batch: Batch, terms: PlaceTerms) -> Result<Placed, PlaceError>;

    /// Reads from `from` on, as far as `terms` allow.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(&self, from: Offset, terms: ReadTerms) -> Result<ReadRecords, ReadError>;

    /// The watermarks and leadership as they change.
    fn watch(&self) -> watch::Receiver<Watermarks>;

    /// The same for who waits for leadership to be lost and would only be disturbed by every batch: need not be told of
    /// anything but another epoch, another leader, and the end of the log.
    fn watch_leadership(&self) -> watch::Receiver<Watermarks>;
}

/// See [`ReplicatedLog::admit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The leader epoch to place in.
    pub epoch: LeaderEpoch,
    /// The offset that the next record gets.
    pub end: Offset,
    /// `max.message.bytes`: the most bytes of a batch, header included.
    pub batch_bytes_max: usize,
}

/// Under which terms a batch is placed.
#[derive(Clone, Copy, Debug)]
pub struct PlaceTerms {
    /// Who writes.
    pub origin: Origin,
    /// Only when this is the end of the log: for writers that share a log and must have seen everything in it.
    pub expected_end: Option<Offset>,
    /// Only in this leader epoch: for writers that have replayed the log up to its leadership.
    pub expected_epoch: Option<LeaderEpoch>,
    /// Refuse when fewer than `min.insync.replicas` are in sync.
    pub require_min_insync: bool,
    /// For a client's batch that may open a transaction: what shows that it may.
    pub verification: Verification,
    /// For an end marker: which epoch it must have.
    pub marker_epoch: MarkerEpoch,
}

impl PlaceTerms {
    /// The terms of most writers: anywhere, when enough replicas are in sync, without opening a transaction.
    #[must_use]
    pub const fn by(origin: Origin) -> PlaceTerms {
        PlaceTerms {
            origin,
            expected_end: None,
            expected_epoch: None,
            require_min_insync: true,
            verification: Verification::None,
            marker_epoch: MarkerEpoch::AtLeast,
        }
    }
}

/// What shows that the transaction coordinator knows a partition to take part in a producer's transaction (KIP-890).
/// Without such knowledge nobody would ever end the transaction there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing does: the batch must go on with a transaction that is open in the partition.
    None,
    /// The coordinator was asked after this guard was handed out, and has agreed. The guard is void once the transaction
    /// is open, and once a marker was written, so that an answer that comes late opens nothing.
    Guard(VerificationGuard),
    /// It need not be shown (`transaction.partition.verification.enable=false`).
    Waived,
}

/// Names one verification of one producer in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(pub u64);

/// Which epoch an end marker must have, beside the last one that its producer has used in the partition (KIP-1228).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerEpoch {
    /// The same or a higher one: before version 2 an end does not raise the epoch.
    AtLeast,
    /// A higher one: from version 2 on the coordinator raises the epoch with every end, so that a marker of the same
    /// epoch has come late, and must not end the next transaction.
    Above,
}

/// Who writes a batch; decides what it may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client: everything is validated, and control batches are refused.
    Client,
    /// A coordinator of this broker: its batches are trusted, and may be control batches.
    Coordinator,
}

/// A batch that has its place in the log, but is perhaps not yet agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The leader epoch it was placed in.
    pub epoch: LeaderEpoch,
    /// The offset of its first record.
    pub base: Offset,
    /// The offset after its last record.
    pub end: Offset,
    /// The largest timestamp where the log stamped it (`LogAppendTime`), else [`Timestamp::NONE`].
    pub append_time: Timestamp,
    /// The log's start when it was placed.
    pub log_start: Offset,
    /// `flush.messages` or `flush.ms` ask for a sync before this batch may be acknowledged.
    pub sync: bool,
    /// How long it took to check its records and write them anew, if they had to be: for the topic's codec, or because their
    /// offsets were wrong.
    pub converted: Option<Duration>,
}

/// Where a replicated log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The leader epoch.
    pub epoch: LeaderEpoch,
    /// This node leads in that epoch.
    pub leading: bool,
    /// The first offset that may be read.
    pub start: Offset,
    /// The last stable offset: everything below belongs to no open transaction.
    pub stable: Offset,
    /// The high watermark: everything below is committed.
    pub high: Offset,
    /// The end of this replica's log.
    pub end: Offset,
    /// Everything below is durable on this replica.
    pub flushed: Offset,
    /// At least `min.insync.replicas` are in sync.
    pub insync: bool,
}

/// Below which bound a reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// A client that reads uncommitted: below the high watermark.
    Uncommitted,
    /// A client that reads committed: below the last stable offset.
    Committed,
    /// A replica: up to the end of the log.
    LogEnd,
}

/// Under which terms a log is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadTerms {
    /// Which records may be seen.
    pub isolation: Isolation,
    /// The most bytes.
    pub bytes: usize,
    /// Return the first batch whole even when it is larger than that.
    pub whole_first_batch: bool,
    /// The leader epoch that the reader believes in, to be fenced when it is wrong; unknown is [`LeaderEpoch::NONE`].
    pub current_epoch: LeaderEpoch,
}

/// What a read returned.
#[derive(Debug)]
pub struct ReadRecords {
    /// The records.
    pub data: LogData,
    /// Where the log stood.
    pub watermarks: Watermarks,
    /// The aborted transactions that a reader of committed records must leave out.
    pub aborted: Vec<AbortedTransaction>,
}

/// A transaction that was aborted: its producer, and where its records start in the range that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer: ProducerId,
    /// Its first offset.
    pub first: Offset,
}

/// Waits until `placed` is committed, and durable when its topic asks for that.
///
/// # Errors
/// [`CommitError::LeadershipLost`] when that did not happen in the epoch that placed it;
/// [`CommitError::NotEnoughReplicas`] when it did, and too few replicas are in sync now; [`CommitError::Closed`] when
/// the log was closed, failed or deleted. The batch may or may not survive then.
pub async fn committed(mut watch: watch::Receiver<Watermarks>, placed: Placed) -> Result<(), CommitError> {
    let seen = watch.wait_for(|now| now.verdict(placed).is_some()).await.map_err(|_| CommitError::Closed)?;
    seen.verdict(placed).unwrap_or(Err(CommitError::Closed))
}

impl Watermarks {
    /// What these watermarks say of a placed batch: `None` while it is undecided.
    #[must_use]
    pub fn verdict(&self, placed: Placed) -> Option<Result<(), CommitError>> {
        if self.epoch != placed.epoch || !self.leading {
            return Some(Err(CommitError::LeadershipLost));
        }
        let durable = !placed.sync || self.flushed >= placed.end;
        let verdict = if self.insync { Ok(()) } else { Err(CommitError::NotEnoughReplicas) };
        (self.high >= placed.end && durable).then_some(verdict)
    }
}

/// Why a placed batch was not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another leader took over before the batch was committed.
    #[error("leadership was lost before the record was committed; find the new leader and retry")]
    LeadershipLost,
    /// The batch is committed, but since then fewer than `min.insync.replicas` are in sync.
    #[error("the record was written, but too few replicas are in sync; retry")]
    NotEnoughReplicas,
    /// The log was closed, failed or deleted.
    #[error("the log was closed before the record was committed")]
    Closed,
}

impl CommitError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            CommitError::LeadershipLost => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            CommitError::NotEnoughReplicas => ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            CommitError::Closed => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}

/// Why a batch was not placed. Nothing was appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlaceError {
    /// This node does not lead, or not in the epoch expected.
    #[error("this broker does not lead {0}; refresh the metadata and retry")]
    NotLeader(TopicPartition),
    /// The log has grown since the writer looked.
    #[error("the log ends at {actual}, not at {expected}; catch up and decide again")]
    EndMoved {
        /// What the writer expected.
        expected: Offset,
        /// Where the log ends.
        actual: Offset,
    },
    /// The batch breaks a rule. The code says which, the message how to mend it.
    #[error("{message}")]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// What is wrong and what to do.
        message: String,
        /// Which records of the batch are to blame, by index, with a message each (KIP-467).
        records: Vec<(i32, String)>,
    },
    /// The batch is one of the last five of its producer: it stands in the log already, as [`Placed`] says.
    #[error("the batch was appended before, at offset {}", .0.base)]
    Duplicate(Placed),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl PlaceError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            PlaceError::NotLeader(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            PlaceError::EndMoved { .. } => ErrorCode::INVALID_UPDATE_VERSION,
            PlaceError::Refused { code, .. } => *code,
            PlaceError::Duplicate(_) => ErrorCode::DUPLICATE_SEQUENCE_NUMBER,
            PlaceError::Log(error) => error.code(),
        }
    }
}

/// Why a read was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// This node does not lead.
    #[error("this broker does not lead {0}; refresh the metadata and retry")]
    NotLeader(TopicPartition),
    /// The reader's leader epoch is older than the log's.
    #[error("leader epoch {given} is older than the current epoch {current}")]
    FencedEpoch {
        /// What the reader believes.
        given: LeaderEpoch,
        /// The log's epoch.
        current: LeaderEpoch,
    },
    /// The reader's leader epoch is newer than the log's.
    #[error("leader epoch {given} is newer than the current epoch {current}")]
    UnknownEpoch {
        /// What the reader believes.
        given: LeaderEpoch,
        /// The log's epoch.
        current: LeaderEpoch,
    },
    /// The leader is new, and does not know yet what is committed of what it has (KIP-207).
    #[error("the high watermark {high} has not reached the start of the leader epoch, {epoch_start}; retry")]
    NotAvailable {
        /// The high watermark.
        high: Offset,
        /// Where the log ended when the leader epoch began.
        epoch_start: Offset,
    },
    /// The offset is below the start of the log or above what the reader may see.
    #[error("offset {from} is outside {start} to {end}")]
    OutOfRange {
        /// What was asked for.
        from: Offset,
        /// The first offset of the log.
        start: Offset,
        /// The end of the log.
        end: Offset,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ReadError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            ReadError::NotLeader(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ReadError::FencedEpoch { .. } => ErrorCode::FENCED_LEADER_EPOCH,
            ReadError::UnknownEpoch { .. } => ErrorCode::UNKNOWN_LEADER_EPOCH,
            ReadError::NotAvailable { .. } => ErrorCode::OFFSET_NOT_AVAILABLE,
            ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            ReadError::Log(error) => error.code(),
        }
    }
}
