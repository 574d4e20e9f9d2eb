//! Three replicas by hand: who holds what after which fetch. The tests carry the ids of the bugs that they keep away.

use std::time::Duration;

use vltava_core::error::ErrorCode;
use vltava_core::id::{
    BrokerEpoch, BrokerId, PartitionEpoch, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp,
    TopicName,
};
use vltava_core::log::SidecarKind;
use vltava_core::record::{BatchBuilder, Compression};
use vltava_core::replicated::{CommitError, Isolation, Origin};
use vltava_core::testing::{Led, ManualClock, leadership_suite, replicated_suite};

use super::fake::FakeLog;
use super::*;

/// Brokers 1, 2 and 3, each with a replica on a log that loses what was not flushed.
struct Trio {
    nodes: Vec<Arc<Partition>>,
    logs: Vec<Arc<FakeLog>>,
    clock: Arc<ManualClock>,
    assignment: Assignment,
}

fn open(log: &Arc<FakeLog>, clock: &Arc<ManualClock>, min_insync: u32, high: Offset) -> Arc<Partition> {
    let settings = PartitionSettings { min_insync_replicas: min_insync, ..PartitionSettings::default() };
    let topic = TopicName::new("orders").unwrap();
    let parts = PartitionParts {
        id: TopicPartition { topic, partition: PartitionIndex(0) },
        log: log.clone(),
        high_watermark: high,
        settings,
        clock: clock.clone(),
        // Sidecars are written by hand, when a role or a fetch is taken in.
        background: Arc::new(drop),
    };
    Partition::open(parts).unwrap()
}

fn brokers(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

impl Trio {
    /// Nobody leads yet.
    fn new(min_insync: u32) -> Trio {
        let clock = Arc::new(ManualClock::default());
        let logs: Vec<_> = (0..3).map(|_| Arc::new(FakeLog::default())).collect();
        let nodes = logs.iter().map(|log| open(log, &clock, min_insync, Offset::ZERO)).collect();
        let assignment = Assignment {
            leader: BrokerId::NONE,
            leader_epoch: LeaderEpoch(-1),
            partition_epoch: PartitionEpoch(0),
            replicas: brokers(&[1, 2, 3]),
            isr: brokers(&[1, 2, 3]),
            active: (1..=3).map(|id| (BrokerId(id), BrokerEpoch(i64::from(id)))).collect(),
        };
        Trio { nodes, logs, clock, assignment }
    }

    /// Broker 1 leads, and everybody is in sync.
    fn led(min_insync: u32) -> Trio {
        let mut trio = Trio::new(min_insync);
        trio.elect(1, &[1, 2, 3]);
        trio
    }

    fn node(&self, id: i32) -> &Arc<Partition> {
        &self.nodes[usize::try_from(id - 1).unwrap()]
    }

    /// A new leader epoch, which all know.
    fn elect(&mut self, leader: i32, isr: &[i32]) {
        self.decide(leader, isr);
        for id in 1..=3 {
            self.tell(id);
        }
    }

    /// A new leader epoch, which nobody knows yet.
    fn decide(&mut self, leader: i32, isr: &[i32]) {
        let assignment = &mut self.assignment;
        (assignment.leader, assignment.isr) = (BrokerId(leader), brokers(isr));
        assignment.leader_epoch.0 += 1;
        assignment.partition_epoch.0 += 1;
    }

    fn tell(&self, id: i32) -> Role {
        self.node(id).assume(BrokerId(id), &self.assignment).unwrap()
    }

    fn place(&self, id: i32, value: &str) -> Placed {
        self.node(id).place(plain(value), terms(true)).unwrap()
    }

    /// One fetch of `follower` from `leader`; returns what came of it.
    fn fetch(&self, follower: i32, leader: i32) -> Result<Followed, ErrorCode> {
        let (asked, answer) = self.ask(follower, leader)?;
        self.node(follower).take_fetched(&asked, &answer).map_err(|error| match error {
            FollowError::Log(error) => error.code(),
            _ => ErrorCode::CORRUPT_MESSAGE,
        })
    }

    fn ask(&self, follower: i32, leader: i32) -> Result<(FetchPosition, FetchedRecords), ErrorCode> {
        let (_, position) = self.node(follower).fetch_position().unwrap();
        let (replica, broker_epoch) = (BrokerId(follower), BrokerEpoch(i64::from(follower)));
        let fetch = ReplicaFetch { replica, broker_epoch, position, bytes: 1000 };
        let found = self.node(leader).fetch_as_replica(&fetch).map_err(|error| error.code())?;
        let answer = FetchedRecords {
            records: load(found.data).unwrap(),
            diverging: found.diverging,
            high: found.watermarks.high,
            log_start: found.watermarks.start,
        };
        Ok((position, answer))
    }

    /// Fetches until nothing changes any more.
    fn settle(&self, leader: i32) {
        for _ in 0..6 {
            for follower in (1..=3).filter(|id| *id != leader) {
                self.fetch(follower, leader).unwrap();
            }
        }
    }

    /// The values in the log of a replica, committed or not, with their epochs.
    fn log(&self, id: i32) -> Vec<String> {
        let log = self.node(id).log();
        let bounds = log.bounds();
        let limit =
            vltava_core::log::ReadLimit { below: bounds.end, bytes: 1 << 20, whole_first_batch: true };
        let region = load(log.read(bounds.start, limit).unwrap()).unwrap();
        let text = |batch: Batch| {
            let epoch = batch.header.partition_leader_epoch;
            let records = batch.records().unwrap();
            let values = records.iter().map(|record| {
                String::from_utf8_lossy(record.unwrap().value.unwrap_or_default()).into_owned()
            });
            format!("{epoch}:{}", values.collect::<Vec<_>>().join("+"))
        };
        Batch::split(region).map(|batch| text(batch.unwrap())).collect()
    }

    /// The broker loses its power: what was not flushed is gone, and the high watermark is that of its last checkpoint.
    fn crash(&mut self, id: i32, kept: i64, high: i64) {
        let index = usize::try_from(id - 1).unwrap();
        self.logs[index].crash(Offset(kept));
        let min_insync = self.nodes[index].settings().min_insync_replicas;
        self.nodes[index] = open(&self.logs[index], &self.clock, min_insync, Offset(high));
    }

    fn high(&self, id: i32) -> i64 {
        self.node(id).watermarks().high.0
    }
}

fn terms(require_min_insync: bool) -> PlaceTerms {
    let origin = Origin::Client;
    PlaceTerms { require_min_insync, ..PlaceTerms::by(origin) }
}

fn plain(value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
    builder.build().unwrap()
}

fn idempotent(sequence: i32) -> Batch {
    let mut builder =
        BatchBuilder::new(Compression::None).producer(ProducerId(9), ProducerEpoch(0), Sequence(sequence));
    builder.append(Timestamp(1_700_000_000_000), None, Some(sequence.to_string().as_bytes()), &[]);
    builder.build().unwrap()
}

#[test]
fn followers_become_what_their_leader_is() {
    let trio = Trio::led(2);
    for value in ["a", "b", "c"] {
        trio.place(1, value);
    }
    assert_eq!(trio.high(1), 0, "nobody else has it");
    assert_eq!(trio.fetch(2, 1), Ok(Followed::Appended(Offset(3))));
    assert_eq!(trio.high(1), 0, "2 has not said that it has it");
    trio.settle(1);
    for id in 1..=3 {
        assert_eq!((trio.log(id), trio.high(id)), (vec!["0:a".into(), "0:b".into(), "0:c".into()], 3));
        assert_eq!(trio.node(id).watermarks().epoch, LeaderEpoch(0));
    }
    let refused = trio.node(2).place(plain("x"), terms(true)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NOT_LEADER_OR_FOLLOWER);
}

#[test]
fn the_contract_of_a_replicated_log_holds_for_three_replicas() {
    fn fresh() -> (Led, Box<dyn Fn()>) {
        let trio = Arc::new(Mutex::new(Trio::led(2)));
        let log = trio.lock().node(1).clone();
        let settling = trio.clone();
        let led = Led { log, settle: Box::new(move |_| settling.lock().settle(1)) };
        (led, Box::new(move || trio.lock().elect(2, &[1, 2, 3])))
    }
    replicated_suite(&mut || fresh().0);
    leadership_suite(&mut fresh);
}

#[test]
fn too_few_in_sync_refuse_before_and_after() {
    let mut trio = Trio::led(2);
    let early = trio.place(1, "a");
    trio.settle(1);
    assert_eq!(trio.node(1).watermarks().verdict(early), Some(Ok(())));
    trio.assignment.partition_epoch.0 += 1;
    trio.assignment.isr = brokers(&[1]);
    trio.tell(1);
    let verdict = trio.node(1).watermarks().verdict(early);
    assert_eq!(verdict, Some(Err(CommitError::NotEnoughReplicas)));
    assert_eq!(CommitError::NotEnoughReplicas.code(), ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    let refused = trio.node(1).place(plain("b"), terms(true)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NOT_ENOUGH_REPLICAS);
    assert_eq!(trio.node(1).admit().unwrap_err().code(), ErrorCode::NOT_ENOUGH_REPLICAS);
    let late = trio.node(1).place(plain("c"), terms(false)).unwrap();
    trio.settle(1);
    assert_eq!((trio.high(1), trio.node(1).watermarks().verdict(late)), (1, None), "it waits");
    let proposal = trio.node(1).propose_isr().unwrap();
    let (leader_epoch, partition_epoch) =
        (proposal.leader_epoch, PartitionEpoch(proposal.partition_epoch.0 + 1));
    let isr = proposal.brokers().collect();
    trio.node(1).isr_answered(&proposal, &IsrVerdict::Accepted { leader_epoch, partition_epoch, isr });
    assert_eq!(trio.node(1).watermarks().verdict(late), Some(Ok(())));
}

#[test]
fn kafka_1211_kip_101_nothing_acknowledged_is_lost_by_cutting_to_the_high_watermark() {
    let mut trio = Trio::led(2);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    // Everybody has b, and 1 has acknowledged it, but 2 and 3 have not been told that it is committed.
    for follower in [2, 3, 2, 3] {
        let (asked, mut answer) = trio.ask(follower, 1).unwrap();
        answer.high = Offset(1);
        trio.node(follower).take_fetched(&asked, &answer).unwrap();
    }
    assert_eq!((trio.high(1), trio.high(2)), (2, 1));
    // 2 restarts with its disk, and follows; it keeps b, and leads when 1 is lost.
    trio.crash(2, 2, 1);
    trio.elect(3, &[2, 3]);
    trio.settle(3);
    trio.elect(2, &[2]);
    assert_eq!(trio.log(2), ["0:a", "0:b"]);
}

#[test]
fn kafka_6361_kip_279_logs_are_equal_after_failing_over_twice() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    // 1 and 2 lead in turn, alone, each with a record of its own at offset 1 and 2.
    trio.decide(2, &[2]);
    trio.tell(2);
    trio.place(2, "b");
    trio.place(2, "c");
    trio.decide(1, &[1]);
    trio.tell(1);
    trio.place(1, "d");
    trio.elect(3, &[3]);
    trio.place(3, "e");
    trio.settle(3);
    for id in 1..=3 {
        assert_eq!(trio.log(id), ["0:a", "3:e"], "replica {id}");
    }
}

#[test]
fn kip_207_a_new_leader_tells_no_latest_offset_before_it_knows_it() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    // 2 and 3 have b, but not the news that it is committed.
    for follower in [2, 3] {
        trio.fetch(follower, 1).unwrap();
    }
    trio.elect(2, &[2, 3]);
    let ask = |trio: &Trio, query, isolation| {
        let found = trio.node(2).offset_for(query, isolation, LeaderEpoch::NONE);
        found.map(|found| found.map(|found| found.offset.0)).map_err(|error| error.code())
    };
    let late = OffsetQuery::At(Timestamp(1_700_000_000_001));
    for (query, isolation, expected) in [
        (OffsetQuery::Earliest, Isolation::Uncommitted, Ok(Some(0))),
        (OffsetQuery::Latest, Isolation::Uncommitted, Err(ErrorCode::OFFSET_NOT_AVAILABLE)),
        (OffsetQuery::Latest, Isolation::Committed, Err(ErrorCode::OFFSET_NOT_AVAILABLE)),
        (OffsetQuery::Latest, Isolation::LogEnd, Ok(Some(2))),
        (OffsetQuery::At(Timestamp(0)), Isolation::Uncommitted, Ok(Some(0))),
        (late, Isolation::Uncommitted, Err(ErrorCode::OFFSET_NOT_AVAILABLE)),
    ] {
        assert_eq!(ask(&trio, query, isolation), expected, "{query:?} {isolation:?}");
    }
    trio.settle(2);
    assert_eq!(ask(&trio, OffsetQuery::Latest, Isolation::Uncommitted), Ok(Some(2)));
    assert_eq!(ask(&trio, late, Isolation::Uncommitted), Ok(None));
}

#[test]
fn kafka_7164_a_follower_that_has_missed_epochs_still_cuts_its_log() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    trio.place(1, "c");
    // 1 hears of no epoch between 0 and 3.
    for leader in [2, 3, 2] {
        trio.decide(leader, &[leader]);
        trio.tell(2);
        trio.tell(3);
        trio.place(leader, "x");
        let other = if leader == 2 { 3 } else { 2 };
        for _ in 0..4 {
            trio.fetch(other, leader).unwrap();
        }
    }
    trio.tell(1);
    assert_eq!(trio.fetch(1, 2), Ok(Followed::Truncated(Offset(1))));
    trio.settle(2);
    assert_eq!(trio.log(1), ["0:a", "1:x", "2:x", "3:x"]);
    assert_eq!(trio.log(1), trio.log(2));
}

#[test]
fn kafka_10554_10487_the_answer_to_a_fetch_tells_where_logs_part() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    trio.elect(2, &[2, 3]);
    let (_, answer) = trio.ask(1, 2).unwrap();
    assert_eq!(answer.diverging, Some(EpochEnd { epoch: LeaderEpoch(0), end: Offset(1) }));
    assert!(answer.records.is_empty());
    assert_eq!(trio.fetch(1, 2), Ok(Followed::Truncated(Offset(1))));
    // An epoch without records is no reason to ask again and again.
    assert_eq!(trio.fetch(1, 2), Ok(Followed::Appended(Offset(1))));
}

#[test]
fn kafka_13141_a_follower_whose_log_parts_moves_nothing_at_its_leader() {
    let mut trio = Trio::led(1);
    for value in ["a", "b", "c"] {
        trio.place(1, value);
    }
    trio.elect(2, &[1, 2]);
    for value in ["x", "y", "z"] {
        trio.place(2, value);
    }
    let (_, answer) = trio.ask(1, 2).unwrap();
    assert!(answer.diverging.is_some());
    assert_eq!(trio.high(2), 0, "1 holds three records, but not these");
    trio.settle(2);
    assert_eq!((trio.high(2), trio.log(1)), (3, vec!["1:x".into(), "1:y".into(), "1:z".into()]));
}

#[test]
fn kafka_13207_an_answer_of_a_former_leader_cuts_nothing() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    trio.elect(2, &[1, 2, 3]);
    let (asked, answer) = trio.ask(1, 2).unwrap();
    assert!(answer.diverging.is_some());
    trio.elect(1, &[1, 2, 3]);
    assert_eq!(trio.node(1).take_fetched(&asked, &answer).unwrap(), Followed::Outdated);
    trio.elect(3, &[1, 2, 3]);
    assert_eq!(trio.node(1).take_fetched(&asked, &answer).unwrap(), Followed::Outdated);
    assert_eq!(trio.log(1), ["0:a", "0:b"]);
}

#[test]
fn kafka_14704_a_log_that_has_to_be_cut_is_cut_before_the_high_watermark_moves() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    trio.elect(2, &[2, 3]);
    for value in ["x", "y"] {
        trio.place(2, value);
    }
    trio.fetch(3, 2).unwrap();
    trio.fetch(3, 2).unwrap();
    assert_eq!(trio.high(2), 3);
    assert_eq!(trio.fetch(1, 2), Ok(Followed::Truncated(Offset(1))));
    assert_eq!(trio.high(1), 1);
    trio.settle(2);
    assert_eq!((trio.high(1), trio.log(1)), (3, trio.log(2)));
}

#[test]
fn kafka_12996_an_offset_below_the_start_is_out_of_range_whatever_its_epoch() {
    let mut trio = Trio::led(1);
    for value in ["a", "b", "c", "d", "e", "f"] {
        trio.place(1, value);
    }
    trio.fetch(2, 1).unwrap();
    trio.fetch(2, 1).unwrap();
    trio.assignment.partition_epoch.0 += 1;
    trio.assignment.isr = brokers(&[1, 2]);
    trio.tell(1);
    assert_eq!(trio.high(1), 6);
    trio.node(1).delete_records(Some(Offset(6))).unwrap();
    // 3 has nothing, and 1 nothing left to give.
    assert_eq!(trio.fetch(3, 1), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    let (_, position) = trio.node(3).fetch_position().unwrap();
    let reset = trio.node(3).reset(&position, Offset(6), Offset(6)).unwrap();
    assert_eq!(reset, Followed::Truncated(Offset(6)));
    // One that has records of an epoch that parts, and lies below the start, starts again as well.
    trio.place(1, "g");
    trio.settle(1);
    assert_eq!((trio.log(3), trio.high(3)), (vec!["0:g".to_owned()], 7));
}

#[test]
fn kafka_9491_after_starting_again_the_high_watermark_is_within_the_log() {
    let trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    let (_, position) = trio.node(3).fetch_position().unwrap();
    trio.node(3).reset(&position, Offset(50), Offset(60)).unwrap();
    let marks = trio.node(3).watermarks();
    assert_eq!((marks.start, marks.high, marks.end), (Offset(50), Offset(50), Offset(50)));
    let (_, position) = trio.node(3).fetch_position().unwrap();
    assert_eq!(position.last_epoch, LeaderEpoch::NONE);
    // And a leader that has lost its records makes its followers lose them.
    let (_, position) = trio.node(2).fetch_position().unwrap();
    trio.node(2).reset(&position, Offset(0), Offset(0)).unwrap();
    let marks = trio.node(2).watermarks();
    assert_eq!((marks.start, marks.high, marks.end), (Offset(0), Offset(0), Offset(0)));
}

#[test]
fn kafka_10706_epochs_of_what_was_cut_are_forgotten_for_good() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.decide(1, &[1]);
    trio.tell(1);
    trio.place(1, "b");
    trio.elect(2, &[2, 3]);
    trio.place(2, "c");
    trio.settle(2);
    let checkpoint = trio.logs[0].sidecar(SidecarKind::LeaderEpochs, 0).unwrap();
    assert_eq!(checkpoint, "0\n2\n0 0\n2 1\n");
    trio.crash(1, 2, 1);
    trio.tell(1);
    let (_, position) = trio.node(1).fetch_position().unwrap();
    assert_eq!((position.from, position.last_epoch), (Offset(2), LeaderEpoch(2)));
}

#[test]
fn kafka_12153_what_is_known_of_producers_is_cut_with_the_log() {
    let mut trio = Trio::led(1);
    let place = |trio: &Trio, id, sequence| trio.node(id).place(idempotent(sequence), terms(true)).map(drop);
    for sequence in 0..6 {
        place(&trio, 1, sequence).unwrap();
    }
    trio.settle(1);
    for sequence in 6..9 {
        place(&trio, 1, sequence).unwrap();
    }
    trio.elect(2, &[2, 3]);
    trio.settle(2);
    assert_eq!(trio.log(1).len(), 6);
    // 6 to 8 never were: 6 comes next, wherever the producer sends it.
    trio.elect(1, &[1, 2, 3]);
    assert_eq!(place(&trio, 1, 7).unwrap_err().code(), ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(place(&trio, 1, 5).unwrap_err().code(), ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    place(&trio, 1, 6).unwrap();
    trio.settle(1);
    trio.elect(3, &[1, 2, 3]);
    assert_eq!(place(&trio, 3, 6).unwrap_err().code(), ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    place(&trio, 3, 7).unwrap();
}

#[test]
fn kafka_10778_a_follower_whose_log_has_failed_takes_nothing_more() {
    let trio = Trio::led(1);
    trio.place(1, "a");
    trio.logs[1].fail_next();
    assert_eq!(trio.fetch(2, 1), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(trio.node(2).fetch_position(), None);
    assert_eq!(trio.log(2), [""; 0]);
}

#[test]
fn kafka_7747_kip_320_who_has_read_what_was_cut_learns_it_from_the_epoch() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    trio.settle(1);
    trio.place(1, "b");
    trio.elect(2, &[2]);
    trio.place(2, "c");
    let asked = trio.node(2).epoch_end(LeaderEpoch(0), LeaderEpoch(1)).unwrap();
    assert_eq!(asked, Some(EpochEnd { epoch: LeaderEpoch(0), end: Offset(1) }));
    let stale = trio.node(2).epoch_end(LeaderEpoch(0), LeaderEpoch(0)).unwrap_err();
    assert_eq!(stale.code(), ErrorCode::FENCED_LEADER_EPOCH);
}

#[test]
fn strangers_former_lives_and_other_epochs_are_refused() {
    let mut trio = Trio::led(1);
    trio.place(1, "a");
    let (_, position) = trio.node(2).fetch_position().unwrap();
    let ask = |trio: &Trio, replica, broker_epoch, epoch| {
        let position = FetchPosition { epoch: LeaderEpoch(epoch), ..position };
        let (replica, broker_epoch) = (BrokerId(replica), BrokerEpoch(broker_epoch));
        let fetch = ReplicaFetch { replica, broker_epoch, position, bytes: 1000 };
        trio.node(1).fetch_as_replica(&fetch).map(drop).map_err(|error| error.code())
    };
    assert_eq!(ask(&trio, 4, 4, 0), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
    assert_eq!(ask(&trio, 2, 1, 0), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(ask(&trio, 2, 2, 1), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
    assert_eq!(ask(&trio, 2, 2, 0), Ok(()));
    trio.elect(1, &[1, 2, 3]);
    assert_eq!(ask(&trio, 2, 2, 0), Err(ErrorCode::FENCED_LEADER_EPOCH));
    trio.elect(2, &[1, 2, 3]);
    assert_eq!(ask(&trio, 2, 2, 2), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    // What the cluster said before changes nothing any more.
    let older = Assignment { leader: BrokerId(1), leader_epoch: LeaderEpoch(1), ..trio.assignment.clone() };
    assert_eq!(trio.node(1).assume(BrokerId(1), &older).unwrap(), Role::Outdated);
    let older = Assignment { partition_epoch: PartitionEpoch(1), ..trio.assignment.clone() };
    assert_eq!(trio.node(1).assume(BrokerId(1), &older).unwrap(), Role::Outdated);
}

#[test]
fn damaged_records_are_not_taken() {
    let trio = Trio::led(1);
    trio.place(1, "a");
    let (asked, mut answer) = trio.ask(2, 1).unwrap();
    let mut bytes = answer.records.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    answer.records = bytes.into();
    assert!(matches!(trio.node(2).take_fetched(&asked, &answer), Err(FollowError::Records { .. })));
    let (asked, answer) = trio.ask(2, 1).unwrap();
    let whole = answer.records.clone();
    for length in 0..whole.len() {
        let cut = FetchedRecords { records: whole.slice(..length), ..answer.clone() };
        assert_eq!(
            trio.node(2).take_fetched(&asked, &cut).unwrap(),
            Followed::Appended(Offset(0)),
            "{length}"
        );
    }
    assert_eq!(trio.fetch(2, 1), Ok(Followed::Appended(Offset(1))));
    // The same answer again is an answer to another question by now.
    assert_eq!(trio.node(2).take_fetched(&asked, &answer).unwrap(), Followed::Outdated);
}

#[test]
fn a_follower_starts_in_the_middle_of_a_batch_where_its_leader_does() {
    let trio = Trio::led(1);
    let mut builder = BatchBuilder::new(Compression::None);
    for value in ["a", "b", "c"] {
        builder.append(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
    }
    trio.node(1).place(builder.build().unwrap(), terms(true)).unwrap();
    let (_, position) = trio.node(3).fetch_position().unwrap();
    trio.node(3).reset(&position, Offset(2), Offset(3)).unwrap();
    assert_eq!(trio.fetch(3, 1), Ok(Followed::Appended(Offset(3))));
    assert_eq!(trio.log(3), ["0:a+b+c"]);
}

#[test]
fn a_late_follower_leaves_and_comes_back() {
    let trio = Trio::led(2);
    trio.settle(1);
    trio.place(1, "a");
    trio.clock.advance(Duration::from_secs(31));
    trio.fetch(2, 1).unwrap();
    trio.fetch(2, 1).unwrap();
    let accept = |proposal: IsrProposal| {
        let verdict = IsrVerdict::Accepted {
            leader_epoch: proposal.leader_epoch,
            partition_epoch: PartitionEpoch(proposal.partition_epoch.0 + 1),
            isr: proposal.brokers().collect(),
        };
        trio.node(1).isr_answered(&proposal, &verdict);
    };
    accept(trio.node(1).propose_isr().unwrap());
    assert_eq!((trio.node(1).isr(), trio.high(1)), (Some(brokers(&[1, 2])), 1));
    trio.settle(1);
    accept(trio.node(1).propose_isr().unwrap());
    assert_eq!(trio.node(1).isr(), Some(brokers(&[1, 2, 3])));
    assert_eq!(trio.node(1).propose_isr(), None);
    let watch = trio.node(1).watch();
    assert!(watch.borrow().leading);
    assert_eq!(trio.node(1).read(Offset(0), read_all()).unwrap().watermarks.high, Offset(1));
}

fn read_all() -> ReadTerms {
    ReadTerms {
        isolation: Isolation::Uncommitted,
        bytes: 1000,
        whole_first_batch: true,
        current_epoch: LeaderEpoch::NONE,
    }
}
