//! What is stored under a transactional id.

use std::collections::BTreeSet;
use std::fmt;

use vltava_core::id::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};
use vltava_core::image::Image;

use crate::name::names;

/// The feature that says how transactions end (KIP-890).
pub const TRANSACTION_VERSION: &str = "transaction.version";

names! {
    /// The name under which a producer keeps its identity over restarts, chosen by its application.
    TransactionalId;
}

/// A version of how transactions work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionVersion(pub i16);

impl TransactionVersion {
    /// As it was before there were versions.
    pub const ZERO: TransactionVersion = TransactionVersion(0);
    /// Records of `__transaction_state` may have tagged fields.
    pub const FLEXIBLE_RECORDS: TransactionVersion = TransactionVersion(1);
    /// Every end raises the epoch, and a partition is added by the first Produce to it.
    pub const EPOCH_FOR_EACH: TransactionVersion = TransactionVersion(2);

    /// The finalised level.
    #[must_use]
    pub fn of(image: &Image) -> TransactionVersion {
        TransactionVersion(image.feature(TRANSACTION_VERSION))
    }

    /// Whether every end raises the epoch.
    #[must_use]
    pub fn raises_epoch(self) -> bool {
        self >= Self::EPOCH_FOR_EACH
    }
}

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Its producer has an id, and has not begun a transaction since.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It will be committed, and markers are being written.
    PrepareCommit,
    /// It will be aborted, and markers are being written.
    PrepareAbort,
    /// It was committed, and all markers are written.
    CompleteCommit,
    /// It was aborted, and all markers are written.
    CompleteAbort,
}

impl Status {
    /// All of them, by their numbers in the log.
    pub const ALL: [Status; 6] = [
        Status::Empty,
        Status::Ongoing,
        Status::PrepareCommit,
        Status::PrepareAbort,
        Status::CompleteCommit,
        Status::CompleteAbort,
    ];

    /// Its number in the log.
    #[must_use]
    pub fn id(self) -> i8 {
        match self {
            Status::Empty => 0,
            Status::Ongoing => 1,
            Status::PrepareCommit => 2,
            Status::PrepareAbort => 3,
            Status::CompleteCommit => 4,
            Status::CompleteAbort => 5,
        }
    }

    /// As Kafka names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Empty => "Empty",
            Status::Ongoing => "Ongoing",
            Status::PrepareCommit => "PrepareCommit",
            Status::PrepareAbort => "PrepareAbort",
            Status::CompleteCommit => "CompleteCommit",
            Status::CompleteAbort => "CompleteAbort",
        }
    }

    /// Whether markers are being written.
    #[must_use]
    pub fn is_prepared(self) -> bool {
        matches!(self, Status::PrepareCommit | Status::PrepareAbort)
    }

    /// Whether no transaction is open or being ended.
    #[must_use]
    pub fn is_idle(self) -> bool {
        matches!(self, Status::Empty | Status::CompleteCommit | Status::CompleteAbort)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The state of a transactional id, as its record holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who writes.
    pub producer: ProducerId,
    /// Who wrote before the last change; from records of version 0 on −1.
    pub previous_producer: ProducerId,
    /// Who will write once the prepared transaction is complete, because the epochs of this one are used up; else −1.
    pub next_producer: ProducerId,
    /// In which epoch.
    pub epoch: ProducerEpoch,
    /// How long a transaction may be open, in milliseconds; the largest number is for ever (KIP-939).
    pub timeout_ms: i32,
    /// Where it stands.
    pub status: Status,
    /// The partitions of the transaction, offsets of groups among them.
    pub partitions: BTreeSet<TopicPartition>,
    /// When it last changed, by the wall clock.
    pub updated: Timestamp,
    /// When the transaction began, by the wall clock; −1 without one.
    pub started: Timestamp,
    /// The version that the producer used for the last change.
    pub version: TransactionVersion,
}

impl Transaction {
    /// The largest epoch that a producer is ever given. The one after it is left for fencing that producer.
    pub const EPOCH_MAX: ProducerEpoch = ProducerEpoch(i16::MAX - 1);

    /// Whether the epochs of this producer id are used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.epoch >= Self::EPOCH_MAX
    }

    /// The epoch after this one; the largest has none.
    #[must_use]
    pub fn next_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(self.epoch.0.saturating_add(1))
    }

    /// Whether the transaction will be, or was, committed.
    #[must_use]
    pub fn commits(&self) -> bool {
        matches!(self.status, Status::PrepareCommit | Status::CompleteCommit)
    }

    /// The state once all markers are written.
    #[must_use]
    pub fn completed(&self, at: Timestamp) -> Transaction {
        let status = if self.commits() { Status::CompleteCommit } else { Status::CompleteAbort };
        let (producer, epoch) = match self.next_producer {
            ProducerId::NONE => (self.producer, self.epoch),
            next => (next, ProducerEpoch(0)),
        };
        Transaction {
            producer,
            previous_producer: self.producer,
            next_producer: ProducerId::NONE,
            epoch,
            status,
            partitions: BTreeSet::new(),
            updated: at,
            ..self.clone()
        }
    }

    /// The same without what records of this version have no place for.
    #[must_use]
    pub fn at(mut self, version: TransactionVersion) -> Transaction {
        if version < TransactionVersion::FLEXIBLE_RECORDS {
            self.previous_producer = ProducerId::NONE;
            self.next_producer = ProducerId::NONE;
            self.version = TransactionVersion::ZERO;
        }
        self
    }
}
