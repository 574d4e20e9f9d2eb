//! The suites that every connector runs, ours and a user's alike: `source_suite`, `sink_suite`.
//!
//! A harness makes the connector and stands for the system outside: it gives a source something to read, and reads what a sink
//! has written. A suite panics at the first rule that does not hold.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use vltava_core::testing::ManualClock;

use super::figures::Figures;
use super::{
    OffsetReader, SinkConnector, SinkContext, SinkRequest, Source, SourceConnector, SourceContext,
    TopicOffsets, TopicPartition,
};
use crate::error::ConnectError;
use crate::record::{Coordinates, Datum, Origin, Position, Record, SourceMap, TimestampType};
use crate::settings::{Config, Values};

/// Records of each round of a suite.
const ROUND: usize = 20;
/// Polls without a record after which a source counts as silent.
const POLLS_MAX: usize = 1000;
/// How long what a task has spawned may take to end, and how often it is looked at.
const END_PATIENCE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(10);

/// A source and what it reads.
#[async_trait]
pub trait SourceHarness: Send {
    /// The connector.
    fn connector(&self) -> Arc<dyn SourceConnector>;

    /// Its settings.
    fn config(&self) -> Config;

    /// Gives it so many more records to read.
    async fn feed(&mut self, records: usize);
}

/// A sink and what it writes to.
#[async_trait]
pub trait SinkHarness: Send {
    /// The connector.
    fn connector(&self) -> Arc<dyn SinkConnector>;

    /// Its settings.
    fn config(&self) -> Config;

    /// The texts that were written, in order; of a sink with several places, those of each after another.
    async fn written(&mut self) -> Vec<String>;

    /// Whether a record that is put again is written once.
    fn is_exactly_once(&self) -> bool;
}

/// Offsets in memory.
#[derive(Debug, Default)]
pub struct StoredOffsets(Mutex<Vec<(SourceMap, SourceMap)>>);

impl StoredOffsets {
    /// Keeps a position.
    pub fn store(&self, position: &Position) {
        let mut stored = self.0.lock();
        stored.retain(|(partition, _)| *partition != *position.partition);
        stored.push(((*position.partition).clone(), position.offset.to_map()));
    }

    /// What the first task of a connector is given that goes on from here.
    pub fn context(self: &Arc<Self>) -> SourceContext {
        let (connector, task, clock) = ("suite".to_owned(), 0, Arc::new(ManualClock::default()));
        let figures = Figures::new(&connector, task);
        SourceContext { connector, task, offsets: self.clone(), clock, transaction: None, figures }
    }
}

#[async_trait]
impl OffsetReader for StoredOffsets {
    async fn offsets(&self, partitions: &[SourceMap]) -> Result<Vec<Option<SourceMap>>, ConnectError> {
        let stored = self.0.lock();
        let offset = |partition: &SourceMap| {
            stored.iter().find(|(known, _)| known == partition).map(|(_, offset)| offset.clone())
        };
        Ok(partitions.iter().map(offset).collect())
    }
}

fn position(record: &Record) -> &Position {
    match &record.origin {
        Origin::Source(position) => position,
        Origin::Topic(_) => panic!("a record of a source has a position"),
    }
}

async fn values(connector: &dyn SourceConnector, config: &Config) -> Values {
    let values =
        connector.settings().parse(config).unwrap_or_else(|errors| panic!("the settings: {errors:?}"));
    let errors = connector.validate(&values).await;
    assert!(errors.is_empty(), "the settings: {errors:?}");
    values
}

/// A first task at the stored offsets.
async fn started(harness: &dyn SourceHarness, offsets: &Arc<StoredOffsets>) -> Box<dyn Source> {
    let connector = harness.connector();
    let values = values(&*connector, &harness.config()).await;
    for tasks_max in 1..4 {
        let configs = connector.task_configs(&values, tasks_max).await.expect("configs of tasks");
        assert!(
            !configs.is_empty() && configs.len() <= tasks_max,
            "{} configs of {tasks_max}",
            configs.len()
        );
    }
    let mut config = harness.config();
    config.extend(connector.task_configs(&values, 1).await.expect("configs of tasks").remove(0));
    let values = connector.settings().parse(&config).unwrap_or_else(|errors| panic!("a task: {errors:?}"));
    let mut task = connector.task(&values, offsets.context()).expect("a task");
    task.start().await.expect("a start");
    task
}

async fn polled(task: &mut dyn Source, records: usize) -> Vec<Record> {
    let mut all = Vec::new();
    for _ in 0..POLLS_MAX {
        all.extend(task.poll().await.expect("a poll"));
        if all.len() >= records {
            return all;
        }
    }
    panic!("{} of {records} records after {POLLS_MAX} polls", all.len());
}

/// A poll that is given up before it is done.
fn dropped_poll(task: &mut dyn Source) -> Vec<Record> {
    let mut poll = pin!(task.poll());
    match poll.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(records) => records.expect("a poll"),
        Poll::Pending => Vec::new(),
    }
}

/// What was spawned and goes on.
fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more goes on than before there was a task: what a task has spawned ends with it.
async fn ended(before: usize) {
    let begun = Instant::now();
    while alive() > before {
        let left = alive() - before;
        assert!(begun.elapsed() < END_PATIENCE, "{left} that a task has spawned go on without it");
        sleep(GLANCE).await;
    }
}

/// Checks the rules of sources.
pub async fn source_suite(mut harness: impl SourceHarness) {
    let before = alive();
    let offsets = Arc::new(StoredOffsets::default());
    let mut task = started(&harness, &offsets).await;
    harness.feed(ROUND).await;
    let mut first = dropped_poll(&mut *task);
    if first.len() < ROUND {
        first.extend(polled(&mut *task, ROUND - first.len()).await);
    }
    for record in &first {
        assert!(!record.topic.is_empty(), "a record has a topic");
        assert!(!position(record).offset.to_map().is_empty(), "a record has a position");
    }
    let texts =
        |records: &[Record]| -> Vec<Datum> { records.iter().map(|record| record.value.clone()).collect() };

    // Positions cover their records: a restart behind the half of them delivers the others, and only these.
    let half = first.len() / 2;
    first.iter().take(half).for_each(|record| offsets.store(position(record)));
    task.close().await;
    drop(task);
    let mut task = started(&harness, &offsets).await;
    let rest = polled(&mut *task, first.len() - half).await;
    let expected = texts(first.get(half..).unwrap_or_default());
    assert_eq!(texts(rest.get(..expected.len()).unwrap_or_default()), expected, "after a restart");

    // What was not stored comes again, also when the task was not closed.
    drop(task);
    let mut task = started(&harness, &offsets).await;
    let again = polled(&mut *task, expected.len()).await;
    assert_eq!(texts(again.get(..expected.len()).unwrap_or_default()), expected, "after a crash");

    // Commits, more records, polls that are given up.
    let last = again.last().map(|record| position(record).clone()).expect("records");
    task.commit(std::slice::from_ref(&last)).await.expect("a commit");
    offsets.store(&last);
    harness.feed(ROUND).await;
    let mut more = Vec::new();
    for _ in 0..3 {
        more.extend(dropped_poll(&mut *task));
    }
    if more.len() < ROUND {
        more.extend(polled(&mut *task, ROUND - more.len()).await);
    }
    let mut positions: Vec<String> =
        again.iter().chain(&more).map(|record| format!("{:?}", position(record))).collect();
    let count = positions.len();
    positions.dedup();
    assert_eq!(positions.len(), count, "each record has a position of its own");
    task.close().await;
    drop(task);
    let mut idle = started(&harness, &offsets).await;
    idle.close().await;
    drop(idle);
    ended(before).await;
}

fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: ByteString::from_static("suite"), partition }
}

/// A record of a partition of the topic `suite`.
pub fn record(of: i32, offset: i64) -> Record {
    let topic = ByteString::from_static("suite");
    let timestamp_type = TimestampType::CreateTime;
    Record {
        topic: topic.clone(),
        partition: Some(of),
        key: Datum::default(),
        value: Datum::text(text(of, offset)),
        timestamp: Some(1_795_187_045_006),
        headers: Vec::new(),
        origin: Origin::Topic(Coordinates { topic, partition: of, offset, timestamp_type }),
    }
}

fn text(of: i32, offset: i64) -> String {
    format!("record {offset} of partition {of}")
}

/// Two partitions, from an offset of each on.
fn batch(from: &TopicOffsets, to: i64) -> Vec<Record> {
    let mut records = Vec::new();
    for (partition, offset) in from {
        records.extend((*offset..to).map(|offset| record(partition.partition, offset)));
    }
    records
}

/// A life of a task: opens at the committed offsets, or where the sink says, takes records up to `to`, and commits or not.
async fn run(harness: &dyn SinkHarness, committed: &mut TopicOffsets, to: i64, commits: bool) {
    let connector = harness.connector();
    let settings = connector.settings();
    let values =
        settings.parse(&harness.config()).unwrap_or_else(|errors| panic!("the settings: {errors:?}"));
    let errors = connector.validate(&values).await;
    assert!(errors.is_empty(), "the settings: {errors:?}");
    let configs = connector.task_configs(&values, 2).await.expect("configs of tasks");
    let mut config = harness.config();
    config.extend(configs.first().expect("a task").clone());
    let values = settings.parse(&config).unwrap_or_else(|errors| panic!("a task: {errors:?}"));
    let context = SinkContext::new("suite", 0, false);
    let mut task = connector.task(&values, context.clone()).expect("a task");
    task.start().await.expect("a start");
    let partitions: Vec<TopicPartition> = committed.keys().cloned().collect();
    task.open(&partitions).await.expect("partitions");
    let mut from = committed.clone();
    for request in context.take_requests() {
        if let SinkRequest::Seek(offsets) = request {
            from.extend(offsets);
        }
    }
    let records = batch(&from, to);
    for part in records.chunks(7) {
        task.put(part).await.expect("records");
    }
    if commits {
        let taken: TopicOffsets = partitions.iter().map(|partition| (partition.clone(), to)).collect();
        let allowed = task.precommit(taken.clone()).await.expect("a commit");
        for (partition, offset) in allowed {
            assert!(taken.get(&partition).is_some_and(|most| offset <= *most), "{partition:?} at {offset}");
            committed.insert(partition, offset);
        }
        task.revoke(&partitions, false).await;
    }
    task.close().await;
}

/// Checks the rules of sinks.
pub async fn sink_suite(mut harness: impl SinkHarness) {
    let before = alive();
    let mut committed: TopicOffsets = [(partition(0), 0), (partition(1), 0)].into();
    run(&harness, &mut committed, 20, true).await;
    assert!(committed.values().all(|offset| *offset == 20), "everything that was written may be committed");
    // A task that ends without a commit, and one that takes its place.
    run(&harness, &mut committed, 40, false).await;
    run(&harness, &mut committed, 50, true).await;
    // The commit did not reach Kafka: the same records come again.
    let mut stale: TopicOffsets = [(partition(0), 40), (partition(1), 45)].into();
    run(&harness, &mut stale, 60, true).await;
    let written = harness.written().await;
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    written.iter().for_each(|text| *found.entry(text.as_str()).or_default() += 1);
    for of in 0..2 {
        for offset in 0..60 {
            let text = text(of, offset);
            let times = found.remove(text.as_str()).unwrap_or(0);
            assert!(times >= 1, "{text} is lost");
            assert!(times == 1 || !harness.is_exactly_once(), "{text} is written {times} times");
        }
    }
    assert!(found.is_empty(), "nobody put {found:?}");
    ended(before).await;
}
