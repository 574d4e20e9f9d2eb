//! A partition on segment files: what clients were promised survives closing, crashes and lost power.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vltava_core::clock::Clock;
use vltava_core::id::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicName, TopicPartition,
};
use vltava_core::log::{LogError, LogId, LogSettings, LogStore};
use vltava_core::record::{
    Batch, BatchBuilder, Compression, EndTransactionMarker, RecordHeader, TransactionResult,
};
use vltava_core::replicated::{Isolation, Origin, PlaceError, PlaceTerms, Placed, ReadTerms, ReplicatedLog};
use vltava_core::testing::{ManualClock, replay, seeds};
use vltava_replication::partition::{Job, OffsetQuery, Partition, PartitionParts, PartitionSettings, load};
use vltava_storage::files::{Files, SeededDisk, SystemFiles};
use vltava_storage::segments::{SegmentStore, SegmentStoreOptions};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Which seeds lose their power: a number or a range.
const SEEDS: &str = "VLTAVA_CRASH_SEEDS";

/// A partition, its store, and the jobs that wait for a thread.
struct Node {
    store: SegmentStore,
    partition: Arc<Partition>,
    jobs: Arc<Mutex<Vec<Job>>>,
}

impl Node {
    fn start(
        files: Arc<dyn Files>,
        folder: &Path,
        settings: PartitionSettings,
        epoch: i32,
    ) -> Result<Self, LogError> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
        let options = SegmentStoreOptions::new(vec![folder.to_path_buf()], BrokerId(1), 7);
        let store = SegmentStore::open(options, files, clock.clone())
            .map_err(|error| LogError::Offline(error.to_string()))?;
        let topic = TopicName::new("orders").unwrap();
        let id = TopicPartition { topic, partition: PartitionIndex(0) };
        let log_id = LogId { topic: TopicId::METADATA, partition: id.clone() };
        let log = store.open(&log_id, settings.log, None)?;
        let jobs: Arc<Mutex<Vec<Job>>> = Arc::default();
        let queue = jobs.clone();
        let background = Arc::new(move |job| queue.lock().push(job));
        let high_watermark = Offset::ZERO;
        let partition =
            Partition::open(PartitionParts { id, log, high_watermark, settings, clock, background })?;
        partition.lead(LeaderEpoch(epoch))?;
        Ok(Self { store, partition, jobs })
    }

    fn run_jobs(&self) {
        let jobs = std::mem::take(&mut *self.jobs.lock());
        jobs.into_iter().for_each(|job| job());
    }

    fn place(&self, batch: Batch, origin: Origin) -> Result<Placed, PlaceError> {
        let terms = PlaceTerms::by(origin);
        self.partition.place(batch, terms)
    }

    fn stop(self) {
        self.run_jobs();
        self.partition.close().unwrap();
        self.store.close().unwrap();
    }

    /// Offset, producer and value of every record that is no control record.
    fn records(&self) -> Vec<(i64, i64, String)> {
        let mut records = Vec::new();
        let mut next = self.partition.watermarks().start;
        loop {
            let terms = ReadTerms {
                isolation: Isolation::Uncommitted,
                bytes: 10_000,
                whole_first_batch: true,
                current_epoch: LeaderEpoch::NONE,
            };
            let region = load(self.partition.read(next, terms).unwrap().data).unwrap();
            if region.is_empty() {
                return records;
            }
            for batch in Batch::split(region).map_while(Result::ok) {
                assert!(batch.crc_matches());
                next = batch.header.next_offset();
                if batch.header.is_control() {
                    continue;
                }
                for record in &batch.records().unwrap() {
                    let record = record.unwrap();
                    let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                    records.push((record.offset.0, batch.header.producer_id.0, value));
                }
            }
        }
    }
}

fn settings(flush_records: i64) -> PartitionSettings {
    let log = LogSettings { span_bytes_max: 2000, index_interval_bytes: 300, ..LogSettings::default() };
    PartitionSettings { log, flush_records, ..PartitionSettings::default() }
}

fn batch(codec: Compression, producer: i64, sequence: i32, values: &[String], transactional: bool) -> Batch {
    let mut builder =
        BatchBuilder::new(codec).producer(ProducerId(producer), ProducerEpoch(0), Sequence(sequence));
    for value in values {
        let header = RecordHeader { key: b"trace", value: Some(b"1") };
        builder.append(NOW, Some(b"key"), Some(value.as_bytes()), &[header]);
    }
    if transactional {
        builder = builder.transactional();
    }
    builder.build().unwrap()
}

fn marker(producer: i64, result: TransactionResult) -> Batch {
    let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(0) };
    marker.batch(ProducerId(producer), ProducerEpoch(0), NOW).unwrap()
}

/// Every codec, two producers, transactions of both ends, many segments.
fn fill(node: &Node) {
    for round in 0..12 {
        for (index, codec) in Compression::ALL.into_iter().enumerate() {
            let round_values: Vec<_> = (0..3).map(|i| format!("{round}-{}-{i}", codec.name())).collect();
            let sequence = (round * 5 + i32::try_from(index).unwrap()) * 3;
            node.place(batch(codec, 1, sequence, &round_values, false), Origin::Client).unwrap();
        }
        let transactional = batch(Compression::Zstd, 2, round, &[format!("{round}-open")], true);
        node.place(transactional, Origin::Coordinator).unwrap();
        let result = if round % 3 == 0 { TransactionResult::Abort } else { TransactionResult::Commit };
        if round < 11 {
            node.place(marker(2, result), Origin::Coordinator).unwrap();
        }
        node.run_jobs();
    }
}

#[test]
fn a_partition_comes_back_as_it_was() {
    // Set to look at the files with Kafka's kafka-dump-log.
    let kept = std::env::var_os("VLTAVA_TEST_LOG_DIR").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let start = |epoch| Node::start(Arc::new(SystemFiles), folder, settings(i64::MAX), epoch).unwrap();
    let node = start(0);
    fill(&node);
    let (records, watermarks) = (node.records(), node.partition.watermarks());
    let largest = node.partition.offset_for(OffsetQuery::At(NOW), Isolation::Uncommitted, LeaderEpoch::NONE);
    assert_eq!(largest.unwrap().unwrap().offset, Offset(0));
    assert!(node.partition.spans().len() > 3);
    assert_eq!(records.len(), 12 * 16);
    node.stop();
    for epoch in 1..4 {
        let node = start(epoch);
        assert_eq!(node.records(), records);
        let again = node.partition.watermarks();
        assert_eq!(
            (again.stable, again.high, again.end),
            (watermarks.stable, watermarks.high, watermarks.end)
        );
        assert!(again.stable < again.high, "a transaction is open");
        let producers = node.partition.producers();
        assert_eq!(producers.len(), 2);
        assert_eq!(producers[0].1.last_sequence(), Sequence(179));
        // All that the producer may have had in flight: Kafka knows only the last one again.
        for (index, codec) in Compression::ALL.into_iter().enumerate() {
            let values: Vec<_> = (0..3).map(|i| format!("11-{}-{i}", codec.name())).collect();
            let sequence = (55 + i32::try_from(index).unwrap()) * 3;
            let repeated = node.place(batch(codec, 1, sequence, &values, false), Origin::Client);
            assert!(matches!(repeated, Err(PlaceError::Duplicate(_))), "{repeated:?}");
        }
        let terms = ReadTerms {
            isolation: Isolation::Committed,
            bytes: 1 << 20,
            whole_first_batch: true,
            current_epoch: LeaderEpoch::NONE,
        };
        // Each read tells of the transactions in its own range.
        let spans = node.partition.spans().into_iter().filter(|span| span.base < again.stable);
        let aborted: Vec<_> =
            spans.map(|span| node.partition.read(span.base, terms).unwrap().aborted).collect();
        assert!(aborted.iter().all(|aborted| aborted.len() < 4), "{aborted:?}");
        let all: BTreeSet<_> = aborted.iter().flatten().map(|aborted| aborted.first).collect();
        assert_eq!(all.len(), 4);
        // After a clean stop, and after none.
        if epoch == 1 {
            node.stop();
        }
    }
}

/// What a producer has sent: batches of one record, in order, one in flight.
struct Producer {
    id: i64,
    sent: i32,
    acknowledged: i32,
}

impl Producer {
    fn value(&self, sequence: i32) -> String {
        format!("{}-{sequence}", self.id)
    }

    fn resend(&self, node: &Node, sequence: i32) -> Result<Placed, PlaceError> {
        let batch = batch(Compression::None, self.id, sequence, &[self.value(sequence)], false);
        match node.place(batch, Origin::Client) {
            Err(PlaceError::Duplicate(placed)) => Ok(placed),
            other => other,
        }
    }

    /// Sends the next batch; it is acknowledged when the watermarks say so.
    fn send(&mut self, node: &Node) -> Result<(), PlaceError> {
        self.sent += 1;
        let placed = self.resend(node, self.sent - 1)?;
        assert!(placed.sync);
        node.run_jobs();
        match node.partition.watermarks().verdict(placed) {
            Some(Ok(())) => {
                self.acknowledged = self.sent;
                Ok(())
            }
            _ => Err(PlaceError::Log(LogError::Offline("not flushed".to_owned()))),
        }
    }
}

/// Loses power at a seeded point of a run, starts again, and goes on. Returns how many changes a run makes.
fn check_crash(seed: u64, crash_after: Option<u64>) -> u64 {
    let disk = SeededDisk::new(seed);
    let folder = Path::new("/data");
    let files = || -> Arc<dyn Files> { Arc::new(disk.clone()) };
    let node = Node::start(files(), folder, settings(1), 0).unwrap();
    let before = disk.steps();
    if let Some(after) = crash_after {
        disk.crash_at(before + after);
    }
    let mut producers = [1, 2].map(|id| Producer { id, sent: 0, acknowledged: 0 });
    let mut failed = false;
    for round in 0..30 {
        failed = failed || producers[round % 2].send(&node).is_err();
    }
    let steps = disk.steps() - before;
    drop(node);
    disk.lose_power();
    let node = Node::start(files(), folder, settings(1), 1)
        .unwrap_or_else(|error| panic!("{error}, crash after {crash_after:?}: {}", replay(SEEDS, seed)));
    for producer in &mut producers {
        // What was not acknowledged is sent again, as an idempotent producer does.
        for sequence in producer.acknowledged..producer.sent {
            producer.resend(&node, sequence).unwrap_or_else(|error| {
                panic!("{error}, crash after {crash_after:?}: {}", replay(SEEDS, seed))
            });
        }
        let records = node.records();
        let found: Vec<_> =
            records.iter().filter(|record| record.1 == producer.id).map(|record| &record.2).collect();
        let expected: Vec<_> = (0..producer.sent).map(|sequence| producer.value(sequence)).collect();
        assert_eq!(
            found,
            expected.iter().collect::<Vec<_>>(),
            "crash after {crash_after:?}: {}",
            replay(SEEDS, seed)
        );
    }
    steps
}

#[test]
fn a_producer_is_known_when_power_is_lost_after_all_its_records_were_deleted() {
    for seed in 0..20 {
        let disk = SeededDisk::new(seed);
        let start =
            |epoch| Node::start(Arc::new(disk.clone()), Path::new("/data"), settings(1), epoch).unwrap();
        let node = start(0);
        let mut producer = Producer { id: 1, sent: 0, acknowledged: 0 };
        for _ in 0..30 {
            producer.send(&node).unwrap();
        }
        assert_eq!(node.partition.delete_records(None).unwrap(), Offset(30));
        drop(node);
        disk.lose_power();
        let node = start(1);
        assert_eq!(node.partition.watermarks().end, Offset(30), "seed {seed}");
        let again = batch(Compression::None, 1, 29, &[producer.value(29)], false);
        let again = node.place(again, Origin::Client);
        assert!(matches!(again, Err(PlaceError::Duplicate(_))), "seed {seed}: {again:?}");
        producer.send(&node).unwrap();
    }
}

#[test]
fn nothing_acknowledged_under_flush_messages_is_lost_with_the_power() {
    let steps = check_crash(0, None);
    for seed in seeds(SEEDS, 0..200) {
        // Spread over the run, every point once before any comes again.
        check_crash(seed, Some(seed.wrapping_mul(31) % steps));
    }
}
