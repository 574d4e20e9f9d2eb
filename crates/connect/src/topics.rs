//! The seam to a Kafka cluster: produce and transact; poll, seek, pause, commit; list, create, describe.
//!
//! [`kafka`] is an ordinary client, also against the broker of the same process; the tests have one in memory. Exactly once
//! needs no more than what is here: a transactional id fences the producer that had it before, and the records of a
//! transaction, positions of sources among them, become visible together. Offsets of consumer groups do not travel in
//! transactions, since a source has no group and a sink's writes are not in Kafka.
//!
//! The contract:
//!
//! 1. Messages reach a partition in the order of the calls to [`Producer::send`]; a message is in its partition when
//!    its acknowledgement says so, or its transaction is committed.
//! 2. [`Producer::send`] waits while too much is on its way: the memory for that has a limit.
//! 3. Once another producer has opened a transactional id, every verb of the older one fails with [`TopicsErrorKind::Fenced`].
//! 4. [`Consumer::poll`] may be dropped at any time, and nothing is lost.
//! 5. A consumer learns what it owns from [`Polled`], and its partitions move on only after [`Polled::Revoked`] is released.

pub mod cluster;
pub mod kafka;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::oneshot;
use vltava_core::clock::BoxFuture;

use crate::connector::{TopicOffsets, TopicPartition};
use crate::convert::RawHeader;
use crate::error::{ConnectError, ErrorKind};
use crate::record::TimestampType;
use crate::settings::Config;

/// A cluster.
#[async_trait]
pub trait Topics: fmt::Debug + Send + Sync {
    /// The cluster's id, when it tells one.
    async fn cluster_id(&self) -> Result<Option<String>, TopicsError>;

    /// The names of all topics.
    async fn list(&self) -> Result<Vec<String>, TopicsError>;

    /// The number of a topic's partitions; `None` when there is no such topic.
    async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicsError>;

    /// Creates a topic, unless it is there.
    async fn create(&self, topic: &NewTopic) -> Result<(), TopicsError>;

    /// A producer. `settings` are those of Kafka's producer; one with a transactional id fences its predecessor.
    async fn producer(
        &self,
        transactional_id: Option<&str>,
        settings: &Config,
    ) -> Result<Box<dyn Producer>, TopicsError>;

    /// A consumer. `settings` are those of Kafka's consumer.
    async fn consumer(&self, reads: Reads, settings: &Config) -> Result<Box<dyn Consumer>, TopicsError>;

    /// The committed offsets of a group.
    async fn group_offsets(&self, group: &str) -> Result<TopicOffsets, TopicsError>;

    /// Sets committed offsets of a group without members; `None` removes one.
    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<(), TopicsError>;

    /// Removes a group without members; one that is not there is as good as removed.
    async fn delete_group(&self, group: &str) -> Result<(), TopicsError>;
}

/// Writes messages.
#[async_trait]
pub trait Producer: fmt::Debug + Send + Sync {
    /// Queues messages; the result resolves to one outcome for each, in order. Not awaiting it changes nothing.
    async fn send(&self, messages: Vec<Message>) -> Acknowledgement;

    /// Sends what is queued, and waits for what becomes of it.
    async fn flush(&self);

    /// Begins a transaction. This and the next two are for producers with a transactional id.
    async fn begin(&self) -> Result<(), TopicsError>;

    /// Commits it, after all that was sent in it.
    async fn commit(&self) -> Result<(), TopicsError>;

    /// Aborts it.
    async fn abort(&self) -> Result<(), TopicsError>;

    /// Sends what is queued, for so long, and lets go.
    async fn close(&self, timeout: Duration);
}

/// Where each message of a call came to lie, or why it did not.
pub type Acknowledgement = BoxFuture<'static, Vec<Result<Placed, TopicsError>>>;

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: i32,
    /// The offset; `None` when a retry was found to be there already.
    pub offset: Option<i64>,
}

/// Reads messages. Dropping it leaves the group late; [`Consumer::close`] at once.
#[async_trait]
pub trait Consumer: fmt::Debug + Send {
    /// What comes next; waits for at most `timeout`, and then tells of no records.
    async fn poll(&mut self, timeout: Duration) -> Result<Polled, TopicsError>;

    /// Goes on at these offsets; partitions that are not assigned are left out.
    async fn seek(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError>;

    /// Reads nothing of these partitions.
    async fn pause(&mut self, partitions: &[TopicPartition]);

    /// Reads them again.
    async fn resume(&mut self, partitions: &[TopicPartition]);

    /// Commits offsets for the group.
    async fn commit(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError>;

    /// The offset of the next message of each assigned partition, as far as it is known.
    async fn positions(&mut self) -> TopicOffsets;

    /// The ends of assigned partitions now.
    async fn ends(&mut self) -> Result<TopicOffsets, TopicsError>;

    /// Leaves the group.
    async fn close(&mut self);
}

/// What a consumer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Topics, sharing their partitions with others of a group. What comes later, topics that were not there and partitions
    /// that are added, is read by consumers that are made later.
    Subscribed {
        /// The group.
        group: String,
        /// The topics.
        topics: Vec<String>,
    },
    /// All partitions of a topic from its beginning, alone.
    All {
        /// The topic.
        topic: String,
    },
    /// These partitions, alone: each from an offset, or from where `auto.offset.reset` says.
    Places(BTreeMap<TopicPartition, Option<i64>>),
}

/// What a poll told.
#[derive(Debug)]
pub enum Polled {
    /// Messages, at most as many as `max.poll.records`; none when the time was up.
    Records(Vec<Received>),
    /// These partitions are the consumer's now, beside those it has.
    Assigned(Vec<TopicPartition>),
    /// These are about to go, or `lost` already.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Whether they went without asking: nothing can be committed for them any more.
        lost: bool,
        /// Dropped when they may go.
        release: Release,
    },
}

/// Lets revoked partitions go when it is dropped.
#[derive(Debug)]
pub struct Release(
    #[allow(dead_code, reason = "dropping it is the message")] pub Option<oneshot::Sender<()>>,
);

/// A message to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: ByteString,
    /// The partition; `None` is chosen by the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Milliseconds since the Unix epoch; `None` is now.
    pub timestamp: Option<i64>,
    /// The headers, in order.
    pub headers: Vec<RawHeader>,
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The topic.
    pub topic: ByteString,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<RawHeader>,
}

impl Received {
    /// Where it lies.
    pub fn place(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: self.partition }
    }

    /// Whether another lies in the same partition.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.partition == other.partition && self.topic == other.topic
    }
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions; -1 is the broker's default.
    pub partitions: i32,
    /// Its replicas; -1 is the broker's default.
    pub replication_factor: i16,
    /// Its settings.
    pub settings: Config,
}

/// What a cluster refuses, or that it cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TopicsError {
    /// What may be done about it.
    pub kind: TopicsErrorKind,
    /// What is wrong.
    pub message: String,
}

/// What may be done about an error of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicsErrorKind {
    /// It may pass.
    Retriable,
    /// Another one has taken the transactional id.
    Fenced,
    /// This message is refused, as it would be again: too large, or not valid.
    Message,
    /// The topic is not there.
    UnknownTopic,
    /// The group has members.
    GroupInUse,
    /// The transaction must be aborted; the producer lives on.
    Abort,
    /// Anything else.
    Failed,
}

impl TopicsError {
    /// An error of a kind.
    pub fn new(kind: TopicsErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<TopicsError> for ConnectError {
    fn from(error: TopicsError) -> Self {
        let kind = match error.kind {
            TopicsErrorKind::Retriable => ErrorKind::Retriable,
            TopicsErrorKind::Message => ErrorKind::Data,
            _ => ErrorKind::Failed,
        };
        Self { kind, message: error.message, source: None }
    }
}
