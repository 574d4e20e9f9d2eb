//! The seams of connectors.
//!
//! A connector is known by its settings and by how it cuts its work into tasks; a task reads ([`Source`]) or writes
//! ([`Sink`]). The worker owns everything else: transforms, converters, topics, offsets, retries, dead letters, states.
//!
//! The contract, which the exported suites check:
//!
//! 1. A connector is a value without state of its own: the worker asks it from any thread, also for connectors of
//!    different names at a time.
//! 2. Every future of a task may be dropped at any `await`, and the task used on: a `poll` that is dropped loses nothing
//!    that it has not returned. [`Source::close`] and [`Sink::close`] come last, also after an error, unless the process dies.
//! 3. A source resumes from the offsets of its context, and from nowhere else. A record's position covers that record and
//!    all before it of the same partition.
//! 4. A sink may be handed a record again, after an error or a restart: from the offsets that [`Sink::precommit`] allowed.
//! 5. Nothing panics on data; a panic fails the task, with its trace in the status.

mod context;
pub mod figures;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytestring::ByteString;

pub use self::context::{
    Errant, OffsetReader, Report, SinkContext, SinkRequest, SourceContext, TransactionContext,
    TransactionMark,
};
use crate::error::ConnectError;
use crate::record::{Position, Record, SourceMap};
use crate::settings::{Config, FieldError, Settings, Values};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: ByteString,
    /// The partition.
    pub partition: i32,
}

/// Offsets of topic partitions: of the next record to read.
pub type TopicOffsets = BTreeMap<TopicPartition, i64>;

/// What sources and sinks have in common.
#[async_trait]
pub trait Connector: fmt::Debug + Send + Sync {
    /// Its own settings, beyond those that every connector has.
    fn settings(&self) -> Settings;

    /// What is wrong with settings that are right one by one: every error, by field; nothing unless told otherwise. May look
    /// at the world outside, within the time of a request.
    async fn validate(&self, _values: &Values) -> Vec<FieldError> {
        Vec::new()
    }

    /// The settings of each task, at most `tasks_max` of them: beside the connector's, which every task has. One task with
    /// no more than those unless told otherwise.
    ///
    /// # Errors
    /// When the work cannot be seen: after a retriable error it is asked again, after any other the connector is FAILED.
    async fn task_configs(&self, _values: &Values, _tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![Config::new()])
    }

    /// Resolves when the tasks should be made anew, because there is more or less to do than when `planned` was made by
    /// [`Connector::task_configs`]. Never, unless told otherwise.
    ///
    /// # Errors
    /// As [`Connector::task_configs`], which is asked again first.
    async fn changed(&self, _values: &Values, _planned: &[Config]) -> Result<(), ConnectError> {
        std::future::pending().await
    }
}

/// A connector that reads from somewhere into topics.
#[async_trait]
pub trait SourceConnector: Connector {
    /// A task. `values` are the task's settings, with this connector's declarations.
    ///
    /// # Errors
    /// When it cannot be made of these settings.
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError>;

    /// Whether records arrive exactly once, given that offsets and records are written in one transaction (KIP-618).
    /// Unknown unless told otherwise.
    fn exactly_once(&self, _values: &Values) -> ExactlyOnce {
        ExactlyOnce::Unknown
    }

    /// Whether its tasks can say where transactions end (`transaction.boundary=connector`). They cannot unless told
    /// otherwise.
    fn defines_transactions(&self, _values: &Values) -> bool {
        false
    }

    /// Refuses offsets that an operator wants to set, or takes them (KIP-875). No offset is a reset. It cannot say, unless
    /// told otherwise.
    ///
    /// # Errors
    /// Why the offsets cannot be used.
    async fn alter_offsets(
        &self,
        _values: &Values,
        _offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Unknown)
    }
}

/// A connector that writes from topics to somewhere.
#[async_trait]
pub trait SinkConnector: Connector {
    /// A task. `values` are the task's settings, with this connector's declarations.
    ///
    /// # Errors
    /// When it cannot be made of these settings.
    fn task(&self, values: &Values, context: SinkContext) -> Result<Box<dyn Sink>, ConnectError>;

    /// Refuses offsets that an operator wants to set, or takes them (KIP-875). No offset is a reset. It cannot say, unless
    /// told otherwise.
    ///
    /// # Errors
    /// Why the offsets cannot be used.
    async fn alter_offsets(
        &self,
        _values: &Values,
        _offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Unknown)
    }
}

/// Whether a source delivers exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactlyOnce {
    /// It does.
    Supported,
    /// It does not.
    Unsupported,
    /// It does not say.
    Unknown,
}

/// What a connector says to offsets that an operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Altered {
    /// It knows such offsets, and keeps none elsewhere that contradict them.
    Supported,
    /// It cannot say.
    Unknown,
}

/// A task of a source connector. [`SourceConnector::task`] makes it without waiting; it connects in [`Source::start`].
///
/// Its calls run in a thread of its own, unless the worker has a runtime of one thread: one that blocks holds nobody else up. A
/// call that blocks, or one other than [`Source::poll`] that waits, for longer than `task.call.timeout.ms` fails the task.
#[async_trait]
pub trait Source: fmt::Debug + Send {
    /// Opens what it reads, and finds its place by the offsets of its context.
    ///
    /// # Errors
    /// The task is FAILED.
    async fn start(&mut self) -> Result<(), ConnectError>;

    /// The next records, at most a few thousand; waits for the first of them. An empty list is allowed, and asks to be
    /// polled again at once. Dropped when the worker has something else to do.
    ///
    /// # Errors
    /// A retriable one is tried again within `errors.retry.timeout`; any other fails the task.
    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError>;

    /// These records are in their topics, each at an offset there; exactly once, when their transaction is committed. Those
    /// are left out that a transform dropped, that were skipped, or whose offset the broker does not tell. Comes before
    /// [`Source::commit`] for the same records.
    async fn written(&mut self, _records: Vec<(Position, i64)>) {}

    /// Records up to these positions are in their topics, and the positions are stored: what the source keeps for
    /// them may go. The last position of each partition only.
    ///
    /// # Errors
    /// Is logged; the records are safe.
    async fn commit(&mut self, _positions: &[Position]) -> Result<(), ConnectError> {
        Ok(())
    }

    /// Lets go of everything. What it has spawned ends no later than when it is dropped.
    async fn close(&mut self) {}
}

/// A task of a sink connector. [`SinkConnector::task`] makes it without waiting; it connects in [`Sink::start`].
///
/// Its calls run in a thread of its own, unless the worker has a runtime of one thread: one that blocks holds nobody else up. A
/// call that takes longer than `task.call.timeout.ms`, and than the `max.poll.interval.ms` of the consumer, fails the task.
#[async_trait]
pub trait Sink: fmt::Debug + Send {
    /// Opens what it writes to, apart from what belongs to a partition.
    ///
    /// # Errors
    /// The task is FAILED.
    async fn start(&mut self) -> Result<(), ConnectError>;

    /// These partitions are the task's from now on. A sink that keeps offsets with its data names them in
    /// [`SinkContext::seek`].
    ///
    /// # Errors
    /// The task is FAILED.
    async fn open(&mut self, _partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        Ok(())
    }

    /// Takes records; it may keep them until [`Sink::precommit`]. Never an empty batch.
    ///
    /// # Errors
    /// After a retriable one the same records come again, and no others before; any other fails the task. A record that is
    /// to blame itself goes to [`SinkContext::report`] instead.
    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError>;

    /// Writes what must not be lost (flush), and says what may be committed: `taken` are the offsets after all that
    /// [`Sink::put`] has taken; the answer may be lower, or leave out partitions. Called every
    /// `offset.flush.interval.ms`, when the sink asks for it, and before partitions are given up.
    ///
    /// # Errors
    /// Nothing is committed, and reading goes on from the last committed offsets.
    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError>;

    /// These partitions are no longer the task's. [`Sink::precommit`] came before, unless they were `lost` to another owner
    /// already: then nothing may be written for them any more.
    async fn revoke(&mut self, _partitions: &[TopicPartition], _lost: bool) {}

    /// Lets go of everything. What it has spawned ends no later than when it is dropped.
    async fn close(&mut self) {}
}
