use std::collections::BTreeSet;

use bytes::Bytes;
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicName, TopicPartition,
};
use vltava_core::testing::{Random, machine_suite, seeds};

use super::command::{AddPartitions, End, InitProducer, ListFilter, VerifyPartitions};
use super::*;

const LARGEST: i16 = i16::MAX;

fn image(level: i16) -> Image {
    let features = [(TRANSACTION_VERSION.to_owned(), level)];
    Image { features: Arc::new(features.into_iter().collect()), ..Image::default() }
}

fn partition(index: i32) -> TopicPartition {
    TopicPartition { topic: TopicName::new("orders").unwrap(), partition: PartitionIndex(index) }
}

/// A transactional id with a producer of id 7.
fn stored(status: Status, epoch: i16) -> Transaction {
    let open = !status.is_idle();
    Transaction {
        producer: ProducerId(7),
        previous_producer: ProducerId(7),
        next_producer: ProducerId::NONE,
        epoch: ProducerEpoch(epoch),
        timeout_ms: 60_000,
        status,
        partitions: if open { BTreeSet::from([partition(0)]) } else { BTreeSet::new() },
        updated: Timestamp(500),
        started: if status == Status::Empty { Timestamp::NONE } else { Timestamp(400) },
        version: TransactionVersion::EPOCH_FOR_EACH,
    }
}

/// One coordinator at one moment.
struct Bench {
    machine: TransactionCoordinator,
    image: Image,
    now: Duration,
}

impl Bench {
    fn new(level: i16, known: Option<Transaction>) -> Bench {
        let mut bench = Bench {
            machine: TransactionCoordinator::new(TransactionSettings::default()),
            image: image(level),
            now: Duration::from_secs(1),
        };
        if let Some(known) = known {
            bench.apply(&TransactionEvent::Stored { id: id(), stored: Arc::new(known) });
        }
        bench
    }

    fn apply(&mut self, event: &TransactionEvent) {
        let place = Place { offset: Offset(0), timestamp: Timestamp(0), transaction: None };
        self.machine.apply(event, place);
    }

    fn context(&self) -> Context<'_> {
        let wall = Timestamp(i64::try_from(self.now.as_millis()).unwrap());
        Context { now: Moment(self.now), wall, entropy: 0, image: &self.image }
    }

    /// Decides and applies.
    fn ask(&mut self, command: TransactionCommand) -> Decision<TransactionCoordinator> {
        let decision = self.machine.decide(&self.context(), command);
        for event in &decision.events {
            self.apply(event);
        }
        decision
    }

    fn known(&self) -> &Transaction {
        self.machine.transaction(&id()).unwrap()
    }
}

fn id() -> TransactionalId {
    "till".into()
}

fn init(expected: Option<(i64, i16)>) -> InitProducer {
    InitProducer {
        id: id(),
        timeout_ms: 60_000,
        expected: expected.map(|(producer, epoch)| (ProducerId(producer), ProducerEpoch(epoch))),
        two_phase: false,
        keep_prepared: false,
        fresh: Some(ProducerId(99)),
    }
}

fn add(epoch: i16, partitions: &[i32]) -> AddPartitions {
    AddPartitions {
        id: id(),
        producer: ProducerId(7),
        epoch: ProducerEpoch(epoch),
        partitions: partitions.iter().map(|index| partition(*index)).collect(),
        version: TransactionVersion::EPOCH_FOR_EACH,
        waits: false,
    }
}

fn end(producer: i64, epoch: i16, commit: bool, version: i16) -> End {
    End {
        id: id(),
        producer: ProducerId(producer),
        epoch: ProducerEpoch(epoch),
        commit,
        version: TransactionVersion(version),
        fresh: Some(ProducerId(99)),
    }
}

fn answered(decision: Decision<TransactionCoordinator>) -> TransactionAnswer {
    match decision.reply {
        Reply::Committed(answer) | Reply::AtOnce(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// `(producer, epoch)` that the producer has after an InitProducerId, or the code it was refused with.
fn check_init(
    known: Option<Transaction>,
    expected: Option<(i64, i16)>,
    outcome: Result<(i64, i16), ErrorCode>,
) {
    let mut bench = Bench::new(2, known.clone());
    let answer = answered(bench.ask(TransactionCommand::InitProducer(init(expected))));
    let TransactionAnswer::InitProducer(answer) = answer else { panic!("{answer:?}") };
    let answer = answer.map(|(producer, epoch)| (producer.0, epoch.0)).map_err(TransactionError::code);
    assert_eq!(answer, outcome, "{known:?} and {expected:?}");
    if let Ok((producer, epoch)) = outcome {
        let known = bench.known();
        assert_eq!((known.producer.0, known.epoch.0, known.status), (producer, epoch, Status::Empty));
    }
}

#[test]
fn an_identity_is_new_raised_or_refused() {
    let fenced = Err(ErrorCode::PRODUCER_FENCED);
    let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    for status in [Status::Empty, Status::CompleteCommit, Status::CompleteAbort] {
        for (epoch, expected, outcome) in [
            (3, None, Ok((7, 4))),
            (3, Some((7, 3)), Ok((7, 4))),
            (3, Some((7, 2)), fenced),
            (3, Some((8, 3)), fenced),
            // The last epoch but one is the last that a producer gets.
            (LARGEST - 2, None, Ok((7, LARGEST - 1))),
            (LARGEST - 1, None, Ok((99, 0))),
            (LARGEST, None, Ok((99, 0))),
            (LARGEST - 1, Some((7, LARGEST - 1)), Ok((99, 0))),
            (LARGEST - 1, Some((7, 5)), fenced),
            (0, Some((7, LARGEST - 1)), fenced),
        ] {
            check_init(Some(stored(status, epoch)), expected, outcome);
        }
    }
    check_init(None, None, Ok((99, 0)));
    check_init(None, Some((5, 5)), Ok((99, 0)));
    for status in [Status::Ongoing, Status::PrepareCommit, Status::PrepareAbort] {
        check_init(Some(stored(status, 3)), None, concurrent);
        check_init(Some(stored(status, 3)), Some((8, 3)), fenced);
    }
}

#[test]
fn a_repeated_request_for_a_higher_epoch_gets_the_same_one() {
    let mut bench = Bench::new(2, Some(stored(Status::Empty, 3)));
    for _ in 0..2 {
        let answer = answered(bench.ask(TransactionCommand::InitProducer(init(Some((7, 3))))));
        assert_eq!(answer, TransactionAnswer::InitProducer(Ok((ProducerId(7), ProducerEpoch(4)))));
    }
    // Another producer has come in between.
    bench.ask(TransactionCommand::InitProducer(init(None)));
    let answer = answered(bench.ask(TransactionCommand::InitProducer(init(Some((7, 4))))));
    assert_eq!(answer, TransactionAnswer::InitProducer(Err(TransactionError::Fenced)));
}

#[test]
fn what_an_identity_may_not_ask_for_is_refused() {
    let ask = |change: fn(&mut InitProducer)| {
        let mut init = init(None);
        change(&mut init);
        match answered(Bench::new(2, None).ask(TransactionCommand::InitProducer(init))) {
            TransactionAnswer::InitProducer(Err(error)) => error.code(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(|init| init.timeout_ms = 0), ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    assert_eq!(ask(|init| init.timeout_ms = 900_001), ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    assert_eq!(ask(|init| init.two_phase = true), ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(ask(|init| init.keep_prepared = true), ErrorCode::UNSUPPORTED_VERSION);
    let mut without = init(None);
    without.fresh = None;
    let answer = answered(Bench::new(2, None).ask(TransactionCommand::InitProducer(without)));
    assert_eq!(answer, TransactionAnswer::NeedsProducerId);
}

#[test]
fn a_new_producer_aborts_the_open_transaction_and_comes_again() {
    for (level, version) in [(0, 0), (1, 0), (2, 2)] {
        let mut bench = Bench::new(level, Some(stored(Status::Ongoing, 3)));
        let decision = bench.ask(TransactionCommand::InitProducer(init(None)));
        assert_eq!(decision.effects.len(), 1);
        assert_eq!(
            (bench.known().status, bench.known().epoch, bench.known().version),
            (Status::PrepareAbort, ProducerEpoch(4), TransactionVersion(version)),
            "level {level}"
        );
        let (id, producer, epoch) = (id(), ProducerId(7), ProducerEpoch(4));
        bench.ask(TransactionCommand::MarkersWritten { id, producer, epoch });
        let answer = answered(bench.ask(TransactionCommand::InitProducer(init(None))));
        assert_eq!(answer, TransactionAnswer::InitProducer(Ok((ProducerId(7), ProducerEpoch(5)))));
    }
}

/// Status and epoch after an EndTxn, and the producer and epoch that the client is told.
type Ended = (Status, i16, Option<(i64, i16)>);

/// What becomes of an EndTxn with this producer, epoch and outcome: the status and epoch afterwards with the identity that
/// was told, or the code.
fn check_end(
    (known, version): (Transaction, i16),
    (producer, epoch, commit): (i64, i16, bool),
    outcome: Result<Ended, ErrorCode>,
) {
    let mut bench = Bench::new(2, Some(known.clone()));
    let answer = answered(bench.ask(TransactionCommand::End(end(producer, epoch, commit, version))));
    let TransactionAnswer::End(answer) = answer else { panic!("{answer:?}") };
    let found = answer.map_err(TransactionError::code).map(|told| {
        let told = told.map(|(producer, epoch)| (producer.0, epoch.0));
        (bench.known().status, bench.known().epoch.0, told)
    });
    assert_eq!(found, outcome, "{known:?} and {producer}, {epoch}, {commit} in version {version}");
}

#[test]
fn ends_before_version_2_are_judged_as_kafka_does() {
    use Status::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
    let state = Err(ErrorCode::INVALID_TXN_STATE);
    let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    let fenced = Err(ErrorCode::PRODUCER_FENCED);
    for (status, commit, outcome) in [
        (Ongoing, true, Ok((PrepareCommit, 3, None))),
        (Ongoing, false, Ok((PrepareAbort, 3, None))),
        (PrepareCommit, true, concurrent),
        (PrepareAbort, false, concurrent),
        (CompleteCommit, true, Ok((CompleteCommit, 3, None))),
        (CompleteCommit, false, state),
        (CompleteAbort, true, state),
        (CompleteAbort, false, Ok((CompleteAbort, 3, None))),
        (Empty, true, state),
        (Empty, false, state),
    ] {
        check_end((stored(status, 3), 0), (7, 3, commit), outcome);
        check_end((stored(status, 3), 0), (7, 2, commit), fenced);
        check_end((stored(status, 3), 0), (7, 4, commit), fenced);
        check_end((stored(status, 3), 0), (8, 3, commit), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    }
}

#[test]
fn ends_of_version_2_are_judged_as_kafka_does() {
    use Status::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
    let state = Err(ErrorCode::INVALID_TXN_STATE);
    let concurrent = Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    let fenced = Err(ErrorCode::PRODUCER_FENCED);
    // (status, commit), then what a request with the current epoch and one with the epoch before come to.
    for (status, commit, current, repeated) in [
        (Ongoing, true, Ok((PrepareCommit, 4, Some((7, 4)))), fenced),
        (Ongoing, false, Ok((PrepareAbort, 4, Some((7, 4)))), fenced),
        (PrepareCommit, true, concurrent, concurrent),
        (PrepareCommit, false, concurrent, concurrent),
        (PrepareAbort, false, concurrent, concurrent),
        (Empty, false, Ok((CompleteAbort, 4, Some((7, 4)))), fenced),
        (Empty, true, state, fenced),
        (CompleteAbort, false, Ok((CompleteAbort, 4, Some((7, 4)))), Ok((CompleteAbort, 3, Some((7, 3))))),
        (CompleteAbort, true, state, state),
        (CompleteCommit, false, Ok((CompleteAbort, 4, Some((7, 4)))), state),
        (CompleteCommit, true, state, Ok((CompleteCommit, 3, Some((7, 3))))),
    ] {
        check_end((stored(status, 3), 2), (7, 3, commit), current);
        check_end((stored(status, 3), 2), (7, 2, commit), repeated);
        if !status.is_prepared() {
            check_end((stored(status, 3), 2), (7, 1, commit), fenced);
            check_end((stored(status, 3), 2), (8, 3, commit), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
        }
    }
}

#[test]
fn used_up_epochs_go_on_with_another_producer_id() {
    let mut bench = Bench::new(2, Some(stored(Status::Ongoing, LARGEST - 1)));
    let answer = answered(bench.ask(TransactionCommand::End(end(7, LARGEST - 1, true, 2))));
    let identity = (ProducerId(99), ProducerEpoch(0));
    assert_eq!(answer, TransactionAnswer::End(Ok(Some(identity))));
    // The markers have the old id and the epoch that no producer gets.
    assert_eq!((bench.known().producer, bench.known().epoch), (ProducerId(7), ProducerEpoch(LARGEST)));
    let (producer, epoch) = (ProducerId(7), ProducerEpoch(LARGEST));
    bench.ask(TransactionCommand::MarkersWritten { id: id(), producer, epoch });
    assert_eq!((bench.known().producer, bench.known().epoch), identity);
    // The producer has not heard of it and asks again, with its old identity.
    let answer = answered(bench.ask(TransactionCommand::End(end(7, LARGEST - 1, true, 2))));
    assert_eq!(answer, TransactionAnswer::End(Ok(Some(identity))));
    let mut without = end(99, 0, false, 2);
    without.fresh = None;
    let answer = answered(bench.ask(TransactionCommand::End(without)));
    assert_eq!(answer, TransactionAnswer::End(Ok(Some((ProducerId(99), ProducerEpoch(1))))));
}

#[test]
fn partitions_are_added_to_the_transaction_of_the_current_producer() {
    let concurrent = Some(ErrorCode::CONCURRENT_TRANSACTIONS);
    for (status, epoch, expected) in [
        (Status::Empty, 3, None),
        (Status::Ongoing, 3, None),
        (Status::CompleteCommit, 3, None),
        (Status::PrepareCommit, 3, concurrent),
        (Status::PrepareAbort, 2, concurrent),
        (Status::Ongoing, 2, Some(ErrorCode::PRODUCER_FENCED)),
        (Status::Empty, 4, Some(ErrorCode::PRODUCER_FENCED)),
    ] {
        let mut bench = Bench::new(2, Some(stored(status, 3)));
        let answer = answered(bench.ask(TransactionCommand::AddPartitions(add(epoch, &[0, 1]))));
        let TransactionAnswer::AddPartitions(answer) = answer else { panic!("{answer:?}") };
        assert_eq!(answer.err().map(TransactionError::code), expected, "{status} {epoch}");
        if expected.is_none() {
            let known = bench.known();
            assert_eq!((known.status, known.partitions.len()), (Status::Ongoing, 2));
            let again = bench.ask(TransactionCommand::AddPartitions(add(epoch, &[1])));
            assert!(again.events.is_empty(), "what is there already is not written again");
        }
    }
}

#[test]
fn a_broker_is_told_which_partitions_are_in_the_transaction() {
    let verify = |epoch| {
        TransactionCommand::VerifyPartitions(VerifyPartitions {
            id: id(),
            producer: ProducerId(7),
            epoch: ProducerEpoch(epoch),
            partitions: vec![partition(0), partition(1)],
        })
    };
    let mut bench = Bench::new(2, Some(stored(Status::Ongoing, 3)));
    let expected = Ok(vec![(partition(0), true), (partition(1), false)]);
    assert_eq!(answered(bench.ask(verify(3))), TransactionAnswer::VerifyPartitions(expected));
    let fenced = Err(TransactionError::Fenced);
    assert_eq!(answered(bench.ask(verify(2))), TransactionAnswer::VerifyPartitions(fenced));
}

#[test]
fn who_adds_partitions_may_wait_for_the_end_of_the_last_transaction() {
    let mut bench = Bench::new(2, Some(stored(Status::PrepareCommit, 3)));
    let wait = || TransactionCommand::AddPartitions(AddPartitions { waits: true, ..add(3, &[0]) });
    let key = TransactionKey::Completed(id());
    let first = bench.ask(wait());
    assert!(matches!(first.reply, Reply::Parked(parked) if parked == key));
    let refused = TransactionAnswer::AddPartitions(Err(TransactionError::Concurrent));
    assert_eq!(bench.ask(wait()).releases, [(key.clone(), refused)], "the newest one waits");
    let (producer, epoch) = (ProducerId(7), ProducerEpoch(3));
    let completed = bench.ask(TransactionCommand::MarkersWritten { id: id(), producer, epoch });
    assert_eq!(completed.releases, [(key, TransactionAnswer::AskAgain)]);
}

#[test]
fn an_open_transaction_is_aborted_when_its_time_is_over() {
    let mut bench = Bench::new(2, Some(stored(Status::Empty, 3)));
    let opened = bench.ask(TransactionCommand::AddPartitions(add(3, &[0])));
    let Some(Timer::Set { key, at, command }) = opened.timers.into_iter().next() else { panic!("no timer") };
    assert_eq!((key, at), (TransactionKey::Timeout(id()), Moment(bench.now + Duration::from_secs(60))));
    bench.now += Duration::from_secs(60);
    bench.ask(command);
    assert_eq!((bench.known().status, bench.known().epoch), (Status::PrepareAbort, ProducerEpoch(4)));
    let answer = answered(bench.ask(TransactionCommand::End(end(7, 3, true, 2))));
    assert_eq!(answer, TransactionAnswer::End(Err(TransactionError::Concurrent)));
}

#[test]
fn a_replay_brings_back_timers_and_markers() {
    for (status, timers, effects) in [
        (Status::Ongoing, 2, 0),
        (Status::PrepareCommit, 1, 1),
        (Status::PrepareAbort, 1, 1),
        (Status::Empty, 1, 0),
    ] {
        let mut bench = Bench::new(2, Some(stored(status, 3)));
        bench.now = Duration::from_secs(30);
        let loaded = bench.machine.loaded(&bench.context());
        assert_eq!((loaded.timers.len(), loaded.effects.len()), (timers, effects), "{status}");
        if status == Status::Ongoing {
            // 60 s from when it began, at 0.4 s.
            let Some(Timer::Set { at, .. }) = loaded.timers.first() else { panic!("no timer") };
            assert_eq!(*at, Moment(Duration::from_millis(60_400)));
        }
    }
}

#[test]
fn unused_transactional_ids_expire() {
    let week = TransactionSettings::default().id_expiration;
    for (status, after, expires) in [
        (Status::Empty, week, true),
        (Status::CompleteAbort, week, true),
        (Status::Empty, week - Duration::from_secs(1), false),
        (Status::Ongoing, week * 2, false),
        (Status::PrepareCommit, week * 2, false),
    ] {
        let mut bench = Bench::new(2, Some(stored(status, 3)));
        bench.now = Duration::from_millis(500) + after;
        bench.ask(TransactionCommand::TimerFired(TransactionTimer::Expiry));
        assert_eq!(bench.machine.transaction(&id()).is_none(), expires, "{status} after {after:?}");
    }
}

#[test]
fn a_listing_is_filtered() {
    let mut bench = Bench::new(2, Some(stored(Status::Ongoing, 3)));
    bench.now = Duration::from_millis(1400);
    for (filter, found) in [
        (ListFilter::default(), true),
        (ListFilter { producers: BTreeSet::from([ProducerId(7)]), ..ListFilter::default() }, true),
        (ListFilter { producers: BTreeSet::from([ProducerId(8)]), ..ListFilter::default() }, false),
        (ListFilter { statuses: Some(BTreeSet::from([Status::Ongoing])), ..ListFilter::default() }, true),
        (ListFilter { statuses: Some(BTreeSet::new()), ..ListFilter::default() }, false),
        (ListFilter { longer_than_ms: Some(999), ..ListFilter::default() }, true),
        (ListFilter { longer_than_ms: Some(1000), ..ListFilter::default() }, false),
    ] {
        let answer = answered(bench.ask(TransactionCommand::List(filter.clone())));
        let TransactionAnswer::List(listed) = answer else { panic!("{answer:?}") };
        assert_eq!(listed.len(), usize::from(found), "{filter:?}");
    }
}

#[test]
fn records_have_the_version_that_the_level_allows_and_read_back() {
    for (level, version) in [(0, 0), (1, 1), (2, 1)] {
        for status in Status::ALL {
            let state = stored(status, 3).at(TransactionVersion(level));
            let event = TransactionEvent::Stored { id: id(), stored: Arc::new(state) };
            let Encoded::Record { key: Some(key), value: Some(value) } =
                record::encode(&event, TransactionVersion(level))
            else {
                panic!("not a record");
            };
            assert_eq!((&key[..], &value[..2]), (&b"\0\0\0\x04till"[..], &[0, version][..]));
            let read = record::decode(Entry::Record { key: Some(&key), value: Some(&value) });
            assert_eq!(read, Ok(Some(event)));
            for length in 0..value.len() {
                let cut = value.slice(..length);
                let read = record::decode(Entry::Record { key: Some(&key), value: Some(&cut) });
                assert!(read.is_err(), "cut to {length}");
            }
        }
    }
    let unknown = Bytes::from_static(b"\0\x09what");
    assert_eq!(record::decode(Entry::Record { key: Some(&unknown), value: None }), Ok(None));
}

/// A command that knows enough of the machine to be right every other time.
fn random_command(machine: &TransactionCoordinator, random: &mut Random) -> TransactionCommand {
    let id = TransactionalId::from(["a", "b", "c"][random.below(3)]);
    let known = machine.transaction(&id);
    let producer = known.map_or(ProducerId(1), |known| known.producer);
    let epoch = known.map_or(0, |known| known.epoch.0);
    let epoch = ProducerEpoch(if random.once_in(4) { epoch.saturating_sub(1) } else { epoch });
    let fresh = random.once_in(2).then(|| ProducerId(i64::try_from(random.below(1 << 30)).unwrap_or(0)));
    let version = TransactionVersion(if random.once_in(3) { 0 } else { 2 });
    let partitions = BTreeSet::from([partition(i32::try_from(random.below(3)).unwrap_or(0))]);
    match random.below(8) {
        0 | 1 => TransactionCommand::InitProducer(InitProducer {
            id,
            timeout_ms: 60_000,
            expected: random.once_in(2).then_some((producer, epoch)),
            two_phase: false,
            keep_prepared: false,
            fresh,
        }),
        2 | 3 => {
            let waits = random.once_in(8);
            let add = AddPartitions { id, producer, epoch, partitions, version, waits };
            TransactionCommand::AddPartitions(add)
        }
        4 | 5 => {
            let commit = random.once_in(2);
            TransactionCommand::End(End { id, producer, epoch, commit, version, fresh })
        }
        _ => TransactionCommand::MarkersWritten { id, producer, epoch },
    }
}

#[test]
fn the_laws_of_state_machines_hold() {
    for level in [0, 1, 2] {
        let new = || TransactionCoordinator::new(TransactionSettings::default());
        // Who waits is released by markers, which this test writes only by chance: so nobody waits here.
        let command =
            |machine: &TransactionCoordinator, random: &mut Random| match random_command(machine, random) {
                TransactionCommand::AddPartitions(add) => {
                    TransactionCommand::AddPartitions(AddPartitions { waits: false, ..add })
                }
                other => other,
            };
        machine_suite(seeds("VLTAVA_TRANSACTION_SEEDS", 0..20), 300, &image(level), new, command);
    }
}

/// Invariants 1, 2, 5 and 6 of the module, over random schedules.
#[test]
fn epochs_rise_and_outcomes_stay() {
    for seed in seeds("VLTAVA_TRANSACTION_SEEDS", 0..200) {
        let mut random = Random::new(seed);
        let mut bench = Bench::new(2, None);
        let mut used: BTreeSet<(i64, i16)> = BTreeSet::new();
        for step in 0..300 {
            let command = random_command(&bench.machine, &mut random);
            let (new_end, before) = match &command {
                TransactionCommand::End(end) => {
                    (end.version.raises_epoch(), bench.machine.transaction(&end.id).cloned())
                }
                _ => (false, None),
            };
            let all_before: Vec<_> = ["a", "b", "c"]
                .map(|name| bench.machine.transaction(&name.into()).cloned())
                .into_iter()
                .collect();
            let decision = bench.ask(command);
            for (name, before) in ["a", "b", "c"].into_iter().zip(all_before) {
                let (Some(before), Some(after)) = (before, bench.machine.transaction(&name.into())) else {
                    continue;
                };
                if before.producer == after.producer {
                    assert!(after.epoch >= before.epoch, "seed {seed} step {step}: an epoch went back");
                }
                if before.status.is_prepared() && after.status != before.status {
                    assert_eq!(
                        after.commits(),
                        before.commits(),
                        "seed {seed} step {step}: an outcome changed"
                    );
                    assert!(after.status.is_idle(), "seed {seed} step {step}");
                }
            }
            if let (true, Some(before), [TransactionEvent::Stored { stored, .. }, ..]) =
                (new_end, before, &decision.events[..])
            {
                let epoch = (before.producer.0, before.epoch.0);
                assert!(used.insert(epoch), "seed {seed} step {step}: two transactions in epoch {epoch:?}");
                assert_eq!(stored.epoch.0, before.epoch.0 + 1, "seed {seed} step {step}");
            }
        }
    }
}
