//! What is counted of connectors and tasks, for whoever shows it: Kafka Connect's figures.
//!
//! Recording is an atomic add. The figures of a task begin anew with each of its lives, as Kafka Connect's do.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::time::Instant;
use vltava_core::id::Timestamp;
use vltava_core::meter::{Counter, Members, Meter, Population, Tally};

use crate::connector::figures::Figures;

/// What is counted of a worker.
#[derive(Debug, Default)]
pub struct WorkerMeters {
    /// How often connectors were started.
    pub connector_starts: Counter,
    /// How often tasks were started.
    pub task_starts: Counter,
    tasks: Mutex<BTreeMap<(String, usize), Arc<TaskMeters>>>,
}

impl WorkerMeters {
    /// A task begins a life.
    pub(super) fn begin(&self, connector: &str, task: usize) -> Arc<TaskMeters> {
        self.task_starts.add(1);
        let meters = Arc::new(TaskMeters::new(connector, task));
        self.tasks.lock().insert((connector.to_owned(), task), meters.clone());
        meters
    }

    /// A task is no longer this worker's.
    pub(super) fn end(&self, connector: &str, task: usize) {
        self.tasks.lock().remove(&(connector.to_owned(), task));
    }

    /// The tasks of this worker, in the order of their names.
    pub fn tasks(&self) -> Vec<((String, usize), Arc<TaskMeters>)> {
        self.tasks.lock().iter().map(|(id, meters)| (id.clone(), meters.clone())).collect()
    }
}

/// What is counted of a task. Durations are in microseconds.
#[derive(Debug)]
pub struct TaskMeters {
    /// Records of each batch that was polled.
    pub batches: Tally,
    /// How long offsets took that were committed.
    pub commits: Tally,
    /// Commits of offsets that failed.
    pub commit_failures: Counter,
    /// What went wrong.
    pub errors: ErrorMeters,
    /// Records that were polled and not acknowledged, or not taken by the sink.
    pub active: Population,
    /// Records that came in: out of a source's polls, or out of topics.
    pub taken: Meter,
    /// Records that went out: acknowledged by the cluster, or handed to the sink.
    pub given: Meter,
    /// How long each poll of a source took, or each put of a sink.
    pub calls: Tally,
    /// Records of each transaction of a source.
    pub transactions: Tally,
    /// Partitions that a sink task reads.
    pub partitions: AtomicUsize,
    /// What its connector counts beside all this.
    pub figures: Figures,
}

impl TaskMeters {
    fn new(connector: &str, task: usize) -> Self {
        Self {
            batches: Tally::default(),
            commits: Tally::default(),
            commit_failures: Counter::default(),
            errors: ErrorMeters::default(),
            active: Population::default(),
            taken: Meter::default(),
            given: Meter::default(),
            calls: Tally::default(),
            transactions: Tally::default(),
            partitions: AtomicUsize::default(),
            figures: Figures::new(connector, task),
        }
    }

    /// A batch of so many records came in; they are on their way for as long as what this returns lives.
    pub(super) fn took(&self, records: usize) -> Members {
        self.taken.add(records as u64);
        self.batches.record(records as u64);
        self.active.join(records)
    }

    /// Commits offsets, and counts how that went.
    pub(super) async fn committing<T, E>(&self, commit: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let start = Instant::now();
        let outcome = commit.await;
        match outcome {
            Ok(_) => self.commits.record_time(start.elapsed()),
            Err(_) => self.commit_failures.add(1),
        }
        outcome
    }

    /// Polls or puts, and counts how long that took.
    pub(super) async fn calling<T>(&self, call: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let outcome = call.await;
        self.calls.record_time(start.elapsed());
        outcome
    }
}

/// What is counted of errors of records.
#[derive(Debug, Default)]
pub struct ErrorMeters {
    /// Steps, polls and puts that failed, each try of them.
    pub errors: Counter,
    /// Records that could not be handled.
    pub failures: Counter,
    /// Those of them that were skipped.
    pub skipped: Counter,
    /// Steps, polls and puts that were tried again.
    pub retries: Counter,
    /// Errors that were logged.
    pub logged: Counter,
    /// Records that were sent to the dead-letter topic.
    pub dead_letters: Counter,
    /// Those that did not arrive there.
    pub dead_letter_failures: Counter,
    last_ms: AtomicI64,
}

impl ErrorMeters {
    /// A record could not be handled.
    pub(super) fn failed(&self, now: Timestamp) {
        self.errors.add(1);
        self.failures.add(1);
        self.last_ms.store(now.0, Ordering::Relaxed);
    }

    /// Something failed and is tried again: a step with a record, or a whole poll or put.
    pub(super) fn again(&self, now: Timestamp) {
        self.errors.add(1);
        self.retries.add(1);
        self.last_ms.store(now.0, Ordering::Relaxed);
    }

    /// When something failed last, in milliseconds since 1970; 0 when never.
    pub fn last_ms(&self) -> i64 {
        self.last_ms.load(Ordering::Relaxed)
    }
}
