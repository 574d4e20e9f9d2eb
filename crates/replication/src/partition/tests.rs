use std::time::Duration;

use proptest::prelude::*;
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicName};
use vltava_core::log::SidecarKind;
use vltava_core::record::{
    BatchBuilder, Compression, EndTransactionMarker, TimestampType, TransactionResult,
};
use vltava_core::replicated::{CommitError, Isolation, Origin, committed};
use vltava_core::testing::{Led, ManualClock, leadership_suite, replicated_suite};

use super::fake::FakeLog;
use super::*;

const NOW: Timestamp = Timestamp(1_000_000);

/// A partition on a fake log whose background jobs run when told.
struct Bench {
    partition: Arc<Partition>,
    log: Arc<FakeLog>,
    clock: Arc<ManualClock>,
    jobs: Arc<Mutex<Vec<Job>>>,
}

impl Bench {
    fn new(settings: PartitionSettings) -> Self {
        let bench = Self::on(Arc::new(FakeLog::default()), settings);
        bench.partition.lead(LeaderEpoch(0)).unwrap();
        bench
    }

    fn on(log: Arc<FakeLog>, settings: PartitionSettings) -> Self {
        let jobs: Arc<Mutex<Vec<Job>>> = Arc::default();
        let queue = jobs.clone();
        let clock = Arc::new(ManualClock::new(NOW));
        let partition = Partition::open(PartitionParts {
            id: id(),
            log: log.clone(),
            high_watermark: Offset::ZERO,
            settings,
            clock: clock.clone(),
            background: Arc::new(move |job| queue.lock().push(job)),
        });
        Self { partition: partition.unwrap(), log, clock, jobs }
    }

    fn run_jobs(&self) {
        let jobs = std::mem::take(&mut *self.jobs.lock());
        jobs.into_iter().for_each(|job| job());
    }

    fn place(&self, batch: Batch) -> Result<Placed, PlaceError> {
        self.partition.place(batch, terms(Origin::Client))
    }

    /// Places the first batch of a transaction, as it stands once the transaction coordinator knows of it.
    fn open_transaction(&self, builder: BatchBuilder) {
        let batch = builder.transactional().build().unwrap();
        self.partition.place(batch, terms(Origin::Coordinator)).unwrap();
    }

    fn check_code(&self, batch: Batch, terms: PlaceTerms, code: ErrorCode) {
        let error = self.partition.place(batch, terms).expect_err("refused");
        assert_eq!(error.code(), code, "{error}");
    }

    /// The offsets and values a reader of this isolation sees from `from` on.
    fn read(&self, from: i64, isolation: Isolation) -> Vec<(i64, String)> {
        let read = self.partition.read(Offset(from), read_terms(isolation)).unwrap();
        let region = load(read.data).unwrap();
        let mut seen = Vec::new();
        for batch in Batch::split(region).map(Result::unwrap).filter(|batch| !batch.header.is_control()) {
            assert!(batch.crc_matches());
            for record in &batch.records().unwrap() {
                let record = record.unwrap();
                seen.push((record.offset.0, String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
            }
        }
        seen
    }
}

fn id() -> TopicPartition {
    TopicPartition { topic: TopicName::new("orders").unwrap(), partition: PartitionIndex(3) }
}

fn terms(origin: Origin) -> PlaceTerms {
    PlaceTerms::by(origin)
}

fn read_terms(isolation: Isolation) -> ReadTerms {
    ReadTerms { isolation, bytes: 1 << 20, whole_first_batch: true, current_epoch: LeaderEpoch::NONE }
}

fn builder(values: &[&str], timestamp: i64) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(Timestamp(timestamp), None, Some(value.as_bytes()), &[]);
    }
    builder
}

fn plain(values: &[&str]) -> Batch {
    builder(values, NOW.0).build().unwrap()
}

fn idempotent(producer: i64, epoch: i16, sequence: i32, values: &[&str]) -> BatchBuilder {
    builder(values, NOW.0).producer(ProducerId(producer), ProducerEpoch(epoch), Sequence(sequence))
}

fn end_marker(producer: i64, epoch: i16, result: TransactionResult) -> Batch {
    let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(0) };
    marker.batch(ProducerId(producer), ProducerEpoch(epoch), NOW).unwrap()
}

#[test]
fn placed_batches_are_stamped_committed_and_read_back() {
    let bench = Bench::new(PartitionSettings::default());
    let first = bench.place(plain(&["a", "b"])).unwrap();
    let second = bench.place(plain(&["c"])).unwrap();
    assert_eq!(
        (first.base, first.end, second.base, second.end),
        (Offset(0), Offset(2), Offset(2), Offset(3))
    );
    assert_eq!((first.append_time, first.sync, first.epoch), (Timestamp::NONE, false, LeaderEpoch(0)));
    let expected = [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
    for isolation in [Isolation::Uncommitted, Isolation::Committed, Isolation::LogEnd] {
        assert_eq!(bench.read(0, isolation), expected);
    }
    assert_eq!(bench.partition.watch().borrow().verdict(second), Some(Ok(())));
}

#[test]
fn what_may_not_be_placed_is_refused_with_kafkas_code() {
    let bench = Bench::new(PartitionSettings::default());
    bench.place(plain(&["a"])).unwrap();
    let batch = || plain(&["b"]);
    let client = terms(Origin::Client);
    let expected_end = Some(Offset(0));
    bench.check_code(batch(), PlaceTerms { expected_end, ..client }, ErrorCode::INVALID_UPDATE_VERSION);
    let expected_epoch = Some(LeaderEpoch(1));
    bench.check_code(batch(), PlaceTerms { expected_epoch, ..client }, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    bench.check_code(end_marker(1, 0, TransactionResult::Abort), client, ErrorCode::INVALID_RECORD);
    let mut broken = batch();
    broken.header.crc ^= 1;
    bench.check_code(broken, client, ErrorCode::CORRUPT_MESSAGE);
    bench.place(idempotent(1, 0, 0, &["c"]).build().unwrap()).unwrap();
    bench.check_code(
        idempotent(1, 0, 2, &["d"]).build().unwrap(),
        client,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
    );
    // A topic asks for no more replicas in sync than it has.
    bench.partition.configure(PartitionSettings { min_insync_replicas: 2, ..PartitionSettings::default() });
    bench.partition.place(batch(), client).unwrap();
    assert!(bench.partition.resign(LeaderEpoch(1)));
    bench.check_code(batch(), client, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(bench.partition.admit().unwrap_err().code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}

#[test]
fn refused_records_are_named() {
    let mut settings = PartitionSettings::default();
    settings.rules.compacted = true;
    let bench = Bench::new(settings);
    match bench.place(plain(&["a", "b"])) {
        Err(PlaceError::Refused { code, records, .. }) => {
            assert_eq!(code, ErrorCode::INVALID_RECORD);
            assert_eq!(records.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeated_batch_is_answered_with_its_first_place() {
    let mut settings = PartitionSettings::default();
    settings.rules.timestamp_type = TimestampType::LogAppendTime;
    let bench = Bench::new(settings);
    let batch = || idempotent(9, 0, 0, &["a", "b"]).build().unwrap();
    let placed = bench.place(batch()).unwrap();
    assert_eq!(placed.append_time, NOW);
    bench.clock.advance(Duration::from_secs(5));
    match bench.place(batch()) {
        Err(PlaceError::Duplicate(again)) => assert_eq!(again, placed),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.partition.watermarks().end, Offset(2));
}

#[test]
fn readers_are_fenced_and_kept_in_range() {
    let bench = Bench::new(PartitionSettings::default());
    bench.partition.lead(LeaderEpoch(4)).unwrap();
    bench.place(plain(&["a", "b", "c"])).unwrap();
    bench.partition.delete_records(Some(Offset(1))).unwrap();
    let terms = |epoch| ReadTerms { current_epoch: LeaderEpoch(epoch), ..read_terms(Isolation::Uncommitted) };
    for (from, epoch, code) in [
        (1, -1, None),
        (3, 4, None),
        (1, 3, Some(ErrorCode::FENCED_LEADER_EPOCH)),
        (1, 5, Some(ErrorCode::UNKNOWN_LEADER_EPOCH)),
        (0, 4, Some(ErrorCode::OFFSET_OUT_OF_RANGE)),
        (4, 4, Some(ErrorCode::OFFSET_OUT_OF_RANGE)),
        (-1, -1, Some(ErrorCode::OFFSET_OUT_OF_RANGE)),
    ] {
        let found = bench.partition.read(Offset(from), terms(epoch)).err().map(|error| error.code());
        assert_eq!(found, code, "from {from} in epoch {epoch}");
    }
}

#[test]
fn readers_of_committed_records_stop_at_open_transactions() {
    let bench = Bench::new(PartitionSettings::default());
    let coordinator = terms(Origin::Coordinator);
    bench.place(plain(&["before"])).unwrap();
    bench.open_transaction(idempotent(5, 0, 0, &["x"]));
    bench.place(plain(&["after"])).unwrap();
    assert_eq!(bench.read(0, Isolation::Committed).len(), 1);
    assert_eq!(bench.read(0, Isolation::Uncommitted).len(), 3);
    assert_eq!(bench.partition.watermarks().stable, Offset(1));
    bench.partition.place(end_marker(5, 0, TransactionResult::Abort), coordinator).unwrap();
    assert_eq!(bench.partition.watermarks().stable, Offset(4));
    let read = bench.partition.read(Offset(0), read_terms(Isolation::Committed)).unwrap();
    assert_eq!(read.aborted.iter().map(|a| (a.producer.0, a.first.0)).collect::<Vec<_>>(), [(5, 1)]);
    bench.partition.write_sidecars().unwrap();
    assert_eq!(bench.log.sidecar(SidecarKind::AbortedTransactions, 0).unwrap().len(), 34);
}

#[test]
fn offsets_are_found_by_time() {
    let bench = Bench::new(PartitionSettings::default());
    let mut batch = BatchBuilder::new(Compression::Lz4);
    for timestamp in [100, 300, 200] {
        batch.append(Timestamp(timestamp), None, Some(b"v"), &[]);
    }
    bench.place(batch.build().unwrap()).unwrap();
    bench.partition.lead(LeaderEpoch(2)).unwrap();
    bench.place(builder(&["d"], 250).build().unwrap()).unwrap();
    bench.open_transaction(idempotent(5, 0, 0, &["x"]));
    let at = |time| OffsetQuery::At(Timestamp(time));
    for (query, isolation, expected) in [
        (OffsetQuery::Earliest, Isolation::Uncommitted, Some((0, -1, 0))),
        (OffsetQuery::Latest, Isolation::Uncommitted, Some((5, -1, 2))),
        (OffsetQuery::Latest, Isolation::Committed, Some((4, -1, 2))),
        (at(0), Isolation::Uncommitted, Some((0, 100, 0))),
        (at(150), Isolation::Uncommitted, Some((1, 300, 0))),
        (at(300), Isolation::Uncommitted, Some((1, 300, 0))),
        (at(301), Isolation::Uncommitted, Some((4, NOW.0, 2))),
        (at(301), Isolation::Committed, None),
        (at(NOW.0 + 1), Isolation::Uncommitted, None),
        (OffsetQuery::LargestTimestamp, Isolation::Uncommitted, Some((4, NOW.0, 2))),
    ] {
        let found = bench.partition.offset_for(query, isolation, LeaderEpoch::NONE).unwrap();
        let found = found.map(|found| (found.offset.0, found.timestamp.0, found.epoch.0));
        assert_eq!(found, expected, "{query:?} {isolation:?}");
    }
    let end = bench.partition.epoch_end(LeaderEpoch(0), LeaderEpoch::NONE).unwrap();
    assert_eq!(end, Some(EpochEnd { epoch: LeaderEpoch(0), end: Offset(3) }));
}

#[test]
fn records_are_deleted_up_to_the_high_watermark() {
    let bench = Bench::new(PartitionSettings::default());
    bench.place(plain(&["a", "b", "c"])).unwrap();
    for (before, expected) in [
        (Some(2), Ok(2)),
        (Some(1), Ok(2)),
        (Some(4), Err(ErrorCode::OFFSET_OUT_OF_RANGE)),
        (Some(-2), Err(ErrorCode::OFFSET_OUT_OF_RANGE)),
        (None, Ok(3)),
    ] {
        let result = bench.partition.delete_records(before.map(Offset));
        assert_eq!(result.map(|start| start.0).map_err(|error| error.code()), expected, "{before:?}");
    }
    assert_eq!(bench.place(plain(&["d"])).unwrap().base, Offset(3));
    let mut settings = PartitionSettings::default();
    settings.retention.delete = false;
    bench.partition.configure(settings);
    assert_eq!(bench.partition.delete_records(None).unwrap_err().code(), ErrorCode::POLICY_VIOLATION);
}

#[test]
fn old_spans_go_and_the_last_one_is_rolled_first() {
    let bench = Bench::new(PartitionSettings::default());
    for _ in 0..6 {
        bench.place(plain(&["a"])).unwrap();
    }
    assert_eq!(bench.partition.apply_retention().unwrap(), Offset(0));
    bench.clock.set_wall(NOW.plus(8 * 24 * 3_600_000));
    assert_eq!(bench.partition.apply_retention().unwrap(), Offset(6));
    assert_eq!(bench.place(plain(&["b"])).unwrap().base, Offset(6));
}

#[test]
fn batches_are_placed_while_the_log_is_cut() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let bench = Bench::new(PartitionSettings::default());
    for _ in 0..6 {
        bench.place(plain(&["a"])).unwrap();
    }
    let partition = bench.partition.clone();
    bench.log.beside_cuts(move || {
        let partition = partition.clone();
        let (done, placed) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let _ = done.send(partition.place(plain(&["b"]), terms(Origin::Client)).is_ok());
        });
        assert_eq!(placed.recv_timeout(PATIENCE), Ok(true), "a batch waited for the cut");
    });
    assert_eq!(bench.partition.delete_records(Some(Offset(5))).unwrap(), Offset(5));
    assert_eq!(bench.partition.watermarks().end, Offset(7));
    bench.clock.set_wall(NOW.plus(8 * 24 * 3_600_000));
    let kept = bench.partition.apply_retention().unwrap();
    assert_eq!(kept, Offset(5), "what was placed beside the roll stays with its span");
    assert_eq!(bench.partition.watermarks().end, Offset(8));
    assert_eq!(bench.partition.apply_retention().unwrap(), Offset(8), "and goes with it");
}

#[tokio::test]
async fn with_flush_messages_a_batch_waits_until_it_is_durable() {
    let bench = Bench::new(PartitionSettings { flush_records: 2, ..PartitionSettings::default() });
    let first = bench.place(plain(&["a"])).unwrap();
    assert!(!first.sync);
    let second = bench.place(plain(&["b"])).unwrap();
    let third = bench.place(plain(&["c"])).unwrap();
    assert!(second.sync && third.sync);
    assert_eq!(bench.partition.watch().borrow().verdict(third), None);
    assert_eq!(bench.jobs.lock().len(), 1);
    bench.run_jobs();
    assert_eq!(committed(bench.partition.watch(), third).await, Ok(()));
    let fourth = bench.place(plain(&["d", "e"])).unwrap();
    let waiting = bench.partition.watch();
    bench.log.fail_next();
    bench.run_jobs();
    assert_eq!(committed(waiting, fourth).await, Err(CommitError::Closed));
    assert_eq!(committed(bench.partition.watch(), fourth).await, Err(CommitError::LeadershipLost));
    bench.check_code(plain(&["f"]), terms(Origin::Client), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(bench.partition.admit().unwrap_err().code(), ErrorCode::KAFKA_STORAGE_ERROR);
}

#[test]
fn a_failed_append_leaves_nothing_and_reading_goes_on() {
    let bench = Bench::new(PartitionSettings::default());
    bench.place(idempotent(1, 0, 0, &["a"]).build().unwrap()).unwrap();
    bench.log.fail_next();
    let next = || idempotent(1, 0, 1, &["b"]).build().unwrap();
    bench.check_code(next(), terms(Origin::Client), ErrorCode::KAFKA_STORAGE_ERROR);
    bench.check_code(next(), terms(Origin::Client), ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(bench.read(0, Isolation::Uncommitted), [(0, "a".to_owned())]);
    assert_eq!(bench.partition.producers()[0].1.last_sequence(), Sequence(0));
}

#[test]
fn damaged_sidecars_are_replaced_by_the_log() {
    let bench = Bench::new(PartitionSettings::default());
    for sequence in 0..9 {
        bench.place(idempotent(1, 0, sequence, &["a"]).build().unwrap()).unwrap();
    }
    bench.run_jobs();
    bench.partition.close().unwrap();
    let before = bench.partition.producers();
    assert_eq!(bench.log.sidecars().list(SidecarKind::ProducerSnapshot), [Offset(4), Offset(8), Offset(9)]);
    assert_eq!(bench.log.sidecar(SidecarKind::LeaderEpochs, 0).unwrap(), "0\n1\n0 0\n");
    bench.log.damage(SidecarKind::ProducerSnapshot, 9);
    bench.log.damage(SidecarKind::LeaderEpochs, 0);
    let reopened = Bench::on(bench.log.clone(), PartitionSettings::default());
    assert_eq!(reopened.partition.producers(), before);
    assert_eq!(reopened.partition.watermarks().epoch, LeaderEpoch(0));
    bench.log.damage(SidecarKind::ProducerSnapshot, 8);
    let reopened = Bench::on(bench.log.clone(), PartitionSettings::default());
    assert_eq!(reopened.partition.producers()[0].1.last_sequence(), Sequence(8));
}

fn led() -> Led {
    Led { log: Bench::new(PartitionSettings::default()).partition, settle: Box::new(drop) }
}

#[test]
fn a_partition_keeps_the_contract_of_replicated_logs() {
    replicated_suite(&mut led);
    leadership_suite(&mut || {
        let partition = Bench::new(PartitionSettings::default()).partition;
        let led = Led { log: partition.clone(), settle: Box::new(drop) };
        (led, Box::new(move || assert!(partition.resign(LeaderEpoch(1)))))
    });
}

/// One act of a schedule.
#[derive(Debug, Clone)]
enum Act {
    Plain(usize),
    /// The producer's next batch, in a transaction or not.
    Next {
        producer: usize,
        records: usize,
        transactional: bool,
    },
    /// The batch of so many batches ago once more.
    Repeat {
        producer: usize,
        ago: usize,
    },
    Gap {
        producer: usize,
    },
    NewEpoch {
        producer: usize,
    },
    End {
        producer: usize,
        commit: bool,
    },
    Flush,
    Lead,
    Delete {
        percent: i64,
    },
    Reopen,
    Crash {
        kept_percent: i64,
        sidecars_lost: bool,
    },
}

fn any_act() -> impl Strategy<Value = Act> {
    let producer = 0usize..3;
    prop_oneof![
        3 => (1usize..4).prop_map(Act::Plain),
        9 => (producer.clone(), 1usize..4, any::<bool>())
            .prop_map(|(producer, records, transactional)| Act::Next { producer, records, transactional }),
        3 => (producer.clone(), 1usize..7).prop_map(|(producer, ago)| Act::Repeat { producer, ago }),
        1 => producer.clone().prop_map(|producer| Act::Gap { producer }),
        1 => producer.clone().prop_map(|producer| Act::NewEpoch { producer }),
        4 => (producer, any::<bool>()).prop_map(|(producer, commit)| Act::End { producer, commit }),
        2 => Just(Act::Flush),
        1 => Just(Act::Lead),
        1 => (0i64..=100).prop_map(|percent| Act::Delete { percent }),
        1 => Just(Act::Reopen),
        1 => (0i64..=100, any::<bool>())
            .prop_map(|(kept_percent, sidecars_lost)| Act::Crash { kept_percent, sidecars_lost }),
    ]
}

/// What a simple mind expects of the partition: the list of batches, and everything else worked out from it.
struct Model {
    batches: Vec<ModelBatch>,
    start: i64,
    leader_epoch: i32,
    /// How many of a producer's batches may be known as duplicates: all since the last reopening, and one before.
    reopened_at: i64,
}

#[derive(Debug, Clone, Copy)]
struct ModelBatch {
    base: i64,
    records: i64,
    leader_epoch: i32,
    producer: i64,
    epoch: i16,
    sequence: i32,
    transactional: bool,
    marker: Option<TransactionResult>,
}

impl Model {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.base + batch.records)
    }

    fn of(&self, producer: i64) -> impl DoubleEndedIterator<Item = &ModelBatch> {
        self.batches.iter().filter(move |batch| batch.producer == producer)
    }

    fn epoch(&self, producer: i64) -> i16 {
        self.of(producer).next_back().map_or(0, |batch| batch.epoch)
    }

    fn next_sequence(&self, producer: i64) -> i32 {
        let epoch = self.epoch(producer);
        let last = self.of(producer).rfind(|batch| batch.epoch == epoch && batch.marker.is_none());
        last.map_or(0, |batch| batch.sequence + i32::try_from(batch.records).unwrap())
    }

    fn open_since(&self, producer: i64) -> Option<i64> {
        let mut open = None;
        for batch in self.of(producer) {
            match batch.marker {
                Some(_) => open = None,
                None if batch.transactional => open = open.or(Some(batch.base)),
                None => {}
            }
        }
        open
    }

    fn stable(&self) -> i64 {
        let open = (0..3).filter_map(|producer| self.open_since(producer)).min();
        open.unwrap_or(self.end()).max(self.start)
    }
}

struct Run {
    bench: Bench,
    model: Model,
}

impl Run {
    fn new() -> Self {
        let model = Model { batches: Vec::new(), start: 0, leader_epoch: 0, reopened_at: 0 };
        Self { bench: Bench::new(PartitionSettings::default()), model }
    }

    fn append(&mut self, batch: Batch, origin: Origin, expected: ModelBatch) {
        let placed = self.bench.partition.place(batch, terms(origin)).unwrap();
        assert_eq!((placed.base.0, placed.end.0), (expected.base, expected.base + expected.records));
        self.model.batches.push(expected);
    }

    fn next(&self, producer: i64, records: usize) -> ModelBatch {
        ModelBatch {
            base: self.model.end(),
            records: records as i64,
            leader_epoch: self.model.leader_epoch,
            producer,
            epoch: self.model.epoch(producer),
            sequence: self.model.next_sequence(producer),
            transactional: false,
            marker: None,
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Plain(records) => {
                let expected = self.next(-1, records);
                self.append(batch_of(&expected), Origin::Client, expected);
            }
            Act::Next { producer, records, transactional } => {
                let mut expected = self.next(producer as i64, records);
                let open = self.model.open_since(producer as i64).is_some();
                expected.transactional = transactional || open;
                let opens = transactional && !open;
                let origin = if opens { Origin::Coordinator } else { Origin::Client };
                self.append(batch_of(&expected), origin, expected);
            }
            Act::NewEpoch { producer } if self.model.open_since(producer as i64).is_none() => {
                let mut expected = self.next(producer as i64, 1);
                (expected.epoch, expected.sequence) = (expected.epoch + 1, 0);
                self.append(batch_of(&expected), Origin::Client, expected);
            }
            Act::End { producer, commit } => {
                let result = if commit { TransactionResult::Commit } else { TransactionResult::Abort };
                let mut expected = self.next(producer as i64, 1);
                expected.marker = Some(result);
                let marker = end_marker(producer as i64, expected.epoch, result);
                self.append(marker, Origin::Coordinator, expected);
            }
            Act::Repeat { producer, ago } => self.repeat(producer as i64, ago),
            Act::Gap { producer } => self.gap(producer as i64),
            Act::NewEpoch { .. } => {}
            Act::Flush => {
                self.bench.partition.flush().unwrap();
                self.bench.run_jobs();
            }
            Act::Lead => {
                self.model.leader_epoch += 1;
                assert!(self.bench.partition.lead(LeaderEpoch(self.model.leader_epoch)).unwrap());
            }
            Act::Delete { percent } => {
                let (start, end) = (self.model.start, self.model.end());
                self.model.start = start + (end - start) * percent / 100;
                let deleted = self.bench.partition.delete_records(Some(Offset(self.model.start))).unwrap();
                assert_eq!(deleted.0, self.model.start);
            }
            Act::Reopen => {
                self.bench.run_jobs();
                self.bench.partition.close().unwrap();
                self.reopen();
            }
            // What a crash leaves of producers below the start of the log depends on the last snapshot.
            Act::Crash { .. } if self.model.start > 0 => {}
            Act::Crash { kept_percent, sidecars_lost } => {
                let kept = self.model.end() * kept_percent / 100;
                let end = self.bench.log.crash(Offset(kept)).0;
                self.model.batches.retain(|batch| batch.base + batch.records <= end);
                if sidecars_lost {
                    self.bench.log.lose_sidecars();
                }
                self.reopen();
            }
        }
    }

    fn reopen(&mut self) {
        let log = self.bench.log.clone();
        self.bench = Bench::on(log, PartitionSettings::default());
        self.model.leader_epoch += 1;
        self.model.reopened_at = self.model.end();
        self.bench.partition.lead(LeaderEpoch(self.model.leader_epoch)).unwrap();
    }

    fn repeat(&mut self, producer: i64, ago: usize) {
        let data: Vec<_> = self.model.of(producer).filter(|batch| batch.marker.is_none()).copied().collect();
        let Some(old) = data.len().checked_sub(ago).and_then(|at| data.get(at)) else { return };
        let since_reopening = old.base >= self.model.reopened_at;
        let remembered = ago <= BATCHES_REMEMBERED && old.epoch == self.model.epoch(producer);
        match self.bench.partition.place(batch_of(old), terms(Origin::Client)) {
            Err(PlaceError::Duplicate(placed)) => {
                assert!(remembered);
                assert_eq!((placed.base.0, placed.end.0), (old.base, old.base + old.records));
            }
            Err(PlaceError::Refused { .. }) => {
                assert!(!(remembered && since_reopening), "{old:?} is forgotten");
            }
            other => panic!("{old:?} was placed again: {other:?}"),
        }
    }

    fn gap(&mut self, producer: i64) {
        if self.model.of(producer).next().is_none() {
            return;
        }
        let mut wrong = self.next(producer, 1);
        wrong.sequence += 7;
        wrong.transactional = self.model.open_since(producer).is_some();
        self.bench.check_code(
            batch_of(&wrong),
            terms(Origin::Client),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        );
    }

    fn check(&self) {
        let model = &self.model;
        let watermarks = self.bench.partition.watermarks();
        assert_eq!((watermarks.start.0, watermarks.end.0), (model.start, model.end()));
        assert_eq!((watermarks.high.0, watermarks.stable.0), (model.end(), model.stable()));
        assert!(watermarks.flushed <= watermarks.end);
        self.check_records();
        self.check_producers();
        self.check_aborted();
    }

    fn check_records(&self) {
        let from = Offset(self.model.start);
        let terms = ReadTerms { bytes: usize::MAX, ..read_terms(Isolation::LogEnd) };
        let region = load(self.bench.partition.read(from, terms).unwrap().data).unwrap();
        let headers: Vec<_> = Batch::split(region).map(|batch| batch.unwrap().header).collect();
        let read: Vec<_> = headers.iter().map(|h| (h.base_offset.0, h.partition_leader_epoch.0)).collect();
        let retained = self.model.batches.iter().filter(|batch| batch.base + batch.records > from.0);
        let expected: Vec<_> = retained.clone().map(|batch| (batch.base, batch.leader_epoch)).collect();
        assert_eq!(read, expected);
        let shared = self.bench.partition.shared.lock();
        for batch in retained {
            let at = Offset(batch.base.max(from.0));
            assert_eq!(shared.state.epochs.at(at), Some(LeaderEpoch(batch.leader_epoch)));
        }
    }

    fn check_producers(&self) {
        for (id, state) in self.bench.partition.producers() {
            let model = &self.model;
            assert_eq!(state.epoch.0, model.epoch(id.0));
            assert_eq!(state.transaction_start.map(|start| start.0), model.open_since(id.0));
            let next = state.last_sequence().0 + 1;
            assert_eq!(next, model.next_sequence(id.0), "next sequence of {id}");
        }
        let known = self.bench.partition.producers().len();
        assert_eq!(known, (0..3).filter(|producer| self.model.of(*producer).next().is_some()).count());
    }

    fn check_aborted(&self) {
        let terms = read_terms(Isolation::Committed);
        let read = self.bench.partition.read(Offset(self.model.start), terms).unwrap();
        let mut found: Vec<_> =
            read.aborted.iter().map(|aborted| (aborted.producer.0, aborted.first.0)).collect();
        found.sort_unstable();
        let mut expected = Vec::new();
        for producer in 0..3 {
            let mut open = None;
            for batch in self.model.of(producer) {
                match batch.marker {
                    None if batch.transactional => open = open.or(Some(batch.base)),
                    None => {}
                    Some(result) => {
                        let first = open.take();
                        let visible =
                            batch.base >= self.model.start && first.is_some_and(|f| f < self.model.stable());
                        if result == TransactionResult::Abort && visible {
                            expected.push((producer, first.unwrap()));
                        }
                    }
                }
            }
        }
        if self.model.start < self.model.stable() {
            assert_eq!(found, expected);
        }
    }
}

fn batch_of(batch: &ModelBatch) -> Batch {
    let values = vec!["v"; batch.records as usize];
    if batch.producer < 0 {
        return plain(&values);
    }
    let builder = idempotent(batch.producer, batch.epoch, batch.sequence, &values);
    if batch.transactional { builder.transactional().build().unwrap() } else { builder.build().unwrap() }
}

proptest! {
    #[test]
    fn any_schedule_keeps_what_was_placed(acts in prop::collection::vec(any_act(), 1..60)) {
        let mut run = Run::new();
        for act in &acts {
            run.act(act);
            run.check();
        }
    }
}
