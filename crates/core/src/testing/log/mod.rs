//! The suite of the storage seam: run it on a [`LogStore`] of your own to know that it keeps the contract of
//! [`crate::log`].
//!
//! [`log_suite`] is for every store. [`durable_log_suite`] is for those whose logs outlive the store, too. Both panic
//! with what was expected and, where something was drawn, with the seed that draws it again.

use std::sync::Arc;

use crate::id::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName, TopicPartition, Uuid};
use crate::log::{Log, LogData, LogError, LogId, LogSettings, LogStore, ReadLimit};
use crate::record::{Batch, BatchBuilder, Compression, HeaderWalk};

mod cases;
mod model;
mod reopening;
mod rewriting;

/// Opens a store on the same place again and again. Whatever was opened before has been dropped.
pub type Reopen = Box<dyn FnMut() -> Arc<dyn LogStore>>;

/// Checks a kind of store; `fresh` makes an empty one.
///
/// # Panics
/// When the store breaks the contract.
pub fn log_suite(fresh: &mut dyn FnMut() -> Arc<dyn LogStore>) {
    cases::run(fresh);
    rewriting::run(fresh);
    for seed in 0..MODEL_SEEDS {
        model::run(seed, &*fresh());
    }
}

/// Checks that logs outlive their store; `fresh` makes an empty place and opens stores on it.
///
/// # Panics
/// When a log comes back as something else than it was.
pub fn durable_log_suite(fresh: &mut dyn FnMut() -> Reopen) {
    reopening::run(fresh);
    rewriting::run_reopening(fresh);
    for seed in 0..MODEL_SEEDS {
        model::run_reopening(seed, &mut fresh());
    }
}

/// How many random histories each suite runs.
const MODEL_SEEDS: u64 = 24;

/// A batch of `count` records of which each has a value of `bytes` bytes, and the last one this timestamp.
#[must_use]
pub fn plain_batch(base: i64, count: i32, timestamp: i64, bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.base_offset = Offset(base);
    builder.leader_epoch = LeaderEpoch(0);
    let value = vec![b'a' + u8::try_from(base.rem_euclid(26)).unwrap_or(0); bytes];
    for number in 0..count {
        let earlier = i64::from(count - 1 - number);
        builder.append(Timestamp(timestamp - earlier.min(timestamp)), None, Some(&value), &[]);
    }
    builder.build().unwrap_or_else(|error| panic!("a plain batch: {error}"))
}

/// The bytes of a read, wherever they are.
///
/// # Panics
/// When they cannot be read.
#[must_use]
pub fn bytes_of(data: LogData) -> Vec<u8> {
    match data {
        LogData::Bytes(slices) => slices.concat(),
        LogData::File(range) => {
            let mut bytes = vec![0; range.length];
            std::os::unix::fs::FileExt::read_exact_at(&*range.file, &mut bytes, range.position)
                .unwrap_or_else(|error| panic!("the file range of a read cannot be read: {error}"));
            bytes
        }
        LogData::Later(later) => {
            let data = (later.read)().unwrap_or_else(|error| panic!("a later read failed: {error}"));
            assert!(!matches!(data, LogData::Later(_)), "a later read returns what is at hand");
            bytes_of(data)
        }
    }
}

/// All batches from the start to the end of a log, in as many reads as it takes.
///
/// # Panics
/// When a read fails or makes no progress.
#[must_use]
pub fn all_batches(log: &dyn Log) -> Vec<Batch> {
    let bounds = log.bounds();
    let mut batches: Vec<Batch> = Vec::new();
    let mut from = bounds.start;
    while from < bounds.end {
        let bytes = bytes_of(read(log, from, bounds.end, 1 << 20));
        let mut walk = HeaderWalk::new(&bytes);
        while let Some(Ok((_, header))) = walk.next() {
            from = header.next_offset();
        }
        let whole = walk.position();
        if whole == 0 {
            // Compaction, or a cut inside a batch, can leave a gap at the end.
            break;
        }
        let region = bytes::Bytes::from(bytes).slice(..whole);
        batches.extend(Batch::split(region).map(|batch| batch.unwrap_or_else(|error| panic!("{error}"))));
    }
    batches
}

/// A read that must work and returns at least one batch.
fn read(log: &dyn Log, from: Offset, below: Offset, bytes: usize) -> LogData {
    log.read(from, ReadLimit { below, bytes, whole_first_batch: true })
        .unwrap_or_else(|error| panic!("a read at {from} below {below} failed: {error}"))
}

/// The log of a topic, named after its number.
fn log_id(topic: &str, number: u128) -> LogId {
    let name = TopicName::new(topic).unwrap_or_else(|error| panic!("{error}"));
    LogId {
        topic: TopicId(Uuid::from_u128(number)),
        partition: TopicPartition { topic: name, partition: PartitionIndex(0) },
    }
}

/// Opens the log that most cases use.
fn open(store: &dyn LogStore, settings: LogSettings) -> Arc<dyn Log> {
    works("open", store.open(&log_id("suite", 7), settings, None))
}

fn works<T>(what: &str, result: Result<T, LogError>) -> T {
    result.unwrap_or_else(|error| panic!("{what} failed: {error}"))
}

/// Settings under which logs roll after a few kilobytes.
fn small_spans() -> LogSettings {
    LogSettings {
        span_bytes_max: 4096,
        index_interval_bytes: 256,
        delete_delay_ms: 0,
        ..LogSettings::default()
    }
}
