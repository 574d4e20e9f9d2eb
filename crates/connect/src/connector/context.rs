//! What the worker hands to tasks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use vltava_core::clock::Clock;

use super::figures::Figures;
use super::{TopicOffsets, TopicPartition};
use crate::error::ConnectError;
use crate::record::{Record, SourceMap};

/// The most records that a sink can report before the worker looks at them.
pub const ERRANT_RECORDS_MAX: usize = 10_000;

/// Reads stored offsets of a source connector.
#[async_trait]
pub trait OffsetReader: fmt::Debug + Send + Sync {
    /// The offset of each partition, in order; `None` when there is none yet.
    ///
    /// # Errors
    /// When the offsets cannot be read.
    async fn offsets(&self, partitions: &[SourceMap]) -> Result<Vec<Option<SourceMap>>, ConnectError>;
}

/// What a source task may ask for.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The connector's name.
    pub connector: String,
    /// The number of the task, from 0.
    pub task: usize,
    /// Where it was.
    pub offsets: Arc<dyn OffsetReader>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where its transactions end, when it is the task that decides.
    pub transaction: Option<TransactionContext>,
    /// Takes figures that it has beside the worker's.
    pub figures: Figures,
}

/// The ends of transactions, as the task decides them (`transaction.boundary=connector`).
#[derive(Clone, Debug, Default)]
pub struct TransactionContext {
    marks: Arc<Mutex<Vec<TransactionMark>>>,
}

/// An end of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionMark {
    /// Commit after the batch that is polled now.
    CommitBatch,
    /// Commit after this record.
    CommitAfter(Record),
    /// Abort after the batch that is polled now.
    AbortBatch,
    /// Abort after this record.
    AbortAfter(Record),
}

impl TransactionContext {
    /// Ends the transaction as `mark` says; to be called before `poll` returns.
    pub fn mark(&self, mark: TransactionMark) {
        self.marks.lock().push(mark);
    }

    /// What was asked for since the last call; for the worker.
    pub fn take(&self) -> Vec<TransactionMark> {
        std::mem::take(&mut self.marks.lock())
    }
}

/// What a sink task may ask for. Requests take effect after the call in which they were made.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The connector's name.
    pub connector: String,
    /// The number of the task, from 0.
    pub task: usize,
    /// Takes figures that it has beside the worker's.
    pub figures: Figures,
    requests: Arc<Mutex<Vec<SinkRequest>>>,
    errant: Option<Arc<Mutex<Vec<Errant>>>>,
}

/// What a sink asks the worker for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkRequest {
    /// Deliver nothing of these partitions, until they are resumed.
    Pause(Vec<TopicPartition>),
    /// Deliver again.
    Resume(Vec<TopicPartition>),
    /// Go on reading at these offsets.
    Seek(TopicOffsets),
    /// Commit soon, not only when the time has come.
    Commit,
    /// Wait that long before the next try, after a retriable error.
    RetryAfter(Duration),
}

/// A record that the sink could not take, and why.
#[derive(Debug)]
pub struct Errant {
    /// The record.
    pub record: Record,
    /// What is wrong with it.
    pub error: ConnectError,
}

/// What became of a report.
#[derive(Debug)]
pub enum Report {
    /// The worker takes care of the record: the sink goes on without it.
    Taken,
    /// Nobody takes errant records here, or there are too many: the sink should fail with this error.
    Refused(ConnectError),
}

impl SinkContext {
    /// A context; with `reporting`, errant records may be reported.
    pub fn new(connector: impl Into<String>, task: usize, reporting: bool) -> Self {
        let (connector, errant) = (connector.into(), reporting.then(Arc::default));
        let figures = Figures::new(&connector, task);
        Self { connector, task, figures, requests: Arc::default(), errant }
    }

    /// Asks for something.
    pub fn request(&self, request: SinkRequest) {
        self.requests.lock().push(request);
    }

    /// Goes on reading at these offsets.
    pub fn seek(&self, offsets: TopicOffsets) {
        self.request(SinkRequest::Seek(offsets));
    }

    /// Hands in a record that cannot be taken (KIP-610). Offsets beyond it are committed only after it is safe.
    pub fn report(&self, record: &Record, error: ConnectError) -> Report {
        let Some(errant) = &self.errant else { return Report::Refused(error) };
        let mut errant = errant.lock();
        if errant.len() >= ERRANT_RECORDS_MAX {
            return Report::Refused(error);
        }
        errant.push(Errant { record: record.clone(), error });
        Report::Taken
    }

    /// What was asked for since the last call; for the worker.
    pub fn take_requests(&self) -> Vec<SinkRequest> {
        std::mem::take(&mut self.requests.lock())
    }

    /// What was reported since the last call; for the worker.
    pub fn take_errant(&self) -> Vec<Errant> {
        self.errant.as_ref().map(|errant| std::mem::take(&mut *errant.lock())).unwrap_or_default()
    }
}
