use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use vltava_core::clock::Clock;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, PartitionIndex, ProducerId, Timestamp};
use vltava_core::image::Image;
use vltava_core::log::LogError;
use vltava_core::record::{BatchBuilder, Compression};
use vltava_core::replicated::ReplicatedLog;
use vltava_core::testing::{FakeCluster, ManualClock, REPLICAS, Random, machine_suite, replay, seeds};

use super::*;
use ledger::{Answer, Command, EXPIRED, LOADED, Ledger, WAIT};

pub(crate) mod ledger;
mod shared;

type Asked = JoinHandle<Result<Answer, AskError>>;

/// A shard for each replica of a fake log, on a clock that stands still.
struct World {
    cluster: FakeCluster,
    clock: ManualClock,
    handles: Vec<ShardHandle<Ledger>>,
    effects: mpsc::Receiver<Committed<String>>,
}

impl World {
    fn new(cluster: FakeCluster, limits: Limits, effects_max: usize) -> World {
        World::of(Ledger::default, cluster, limits, effects_max, |_| Arc::new(()))
    }

    fn of(
        new: fn() -> Ledger,
        cluster: FakeCluster,
        limits: Limits,
        effects_max: usize,
        witness: impl Fn(&ManualClock) -> Arc<dyn Witness<Ledger>>,
    ) -> World {
        let clock = ManualClock::default();
        let (sender, effects) = mpsc::channel(effects_max);
        let handles = (0..REPLICAS)
            .map(|index| {
                let shard = Shard {
                    partition: PartitionIndex(0),
                    log: cluster.replica(index),
                    snapshots: None,
                    new: Arc::new(new),
                    surroundings: surroundings(&clock),
                    limits,
                    effects: sender.clone(),
                    witness: witness(&clock),
                };
                let (handle, task) = shard.start();
                tokio::spawn(task);
                handle
            })
            .collect();
        World { cluster, clock, handles, effects }
    }

    fn prompt() -> World {
        World::new(FakeCluster::prompt(), Limits::default(), 100)
    }

    /// A log that is led by replica 0 and commits when it is told to.
    async fn slow() -> World {
        let world = World::new(FakeCluster::new(1), Limits::default(), 100);
        assert!(world.cluster.elect(0));
        world.until_leading(0).await;
        world
    }

    async fn until_leading(&self, index: usize) {
        let leads = |phase: &Phase| matches!(phase, Phase::Leading(_));
        self.handles[index].phase().wait_for(leads).await.unwrap();
    }

    fn ask(&self, index: usize, command: Command) -> Asked {
        let handle = self.handles[index].clone();
        tokio::spawn(async move { handle.ask(command).await })
    }

    async fn get(&self, index: usize, key: &str) -> Option<String> {
        match self.handles[index].ask(Command::Get(key.to_owned())).await {
            Ok(Answer::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }
}

fn surroundings(clock: &ManualClock) -> Surroundings {
    let random = Mutex::new(Random::new(7));
    let (_, image) = watch::channel(Arc::new(Image::default()));
    Surroundings { clock: Arc::new(clock.clone()), image, entropy: Arc::new(move || random.lock().entropy()) }
}

fn put(key: &str, text: &str) -> Command {
    Command::Put(key.to_owned(), text.to_owned())
}

/// Lets every task on this thread run until none has anything to do.
async fn quiet() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_put_is_got_and_survives_another_leader() {
    let world = World::prompt();
    world.until_leading(0).await;
    for number in 0..50 {
        assert_eq!(world.ask(0, put(&format!("k{number}"), "v")).await.unwrap().unwrap(), Answer::Done);
    }
    world.cluster.read_from_disk();
    world.cluster.elect(1);
    world.until_leading(1).await;
    for number in 0..50 {
        assert_eq!(world.get(1, &format!("k{number}")).await.as_deref(), Some("v"));
    }
    let refused = world.ask(0, put("k", "v")).await.unwrap();
    assert_eq!(refused.unwrap_err().code(), ErrorCode::NOT_COORDINATOR);
}

#[tokio::test]
async fn commands_are_decided_where_they_are_asked_when_nothing_comes_before() {
    let world = World::prompt();
    world.until_leading(0).await;
    quiet().await;
    for number in 0..3 {
        let answered = world.handles[0].ask(put(&format!("k{number}"), "v")).now_or_never();
        assert_eq!(answered.unwrap().unwrap(), Answer::Done);
    }
    let waiting = world.ask(0, Command::Wait("a".to_owned()));
    quiet().await;
    world.clock.advance(WAIT);
    assert_eq!(waiting.await.unwrap().unwrap(), Answer::Text(None), "the task learns of timers");
    world.handles[0].tell(put("k0", "queued")).unwrap();
    let behind = world.handles[0].ask(Command::Get("k0".to_owned()));
    tokio::pin!(behind);
    assert!(behind.as_mut().now_or_never().is_none(), "a command is queued before it");
    assert_eq!(behind.await.unwrap(), Answer::Text(Some("queued".to_owned())));
}

/// Time passes whenever something is applied.
struct Slow(ManualClock);

impl Witness<Ledger> for Slow {
    fn loaded(&self, _: Duration) {}

    fn applied(&self, _: &ledger::Event) {
        self.0.advance(Limits::default().on_the_spot_max * 2);
    }

    fn timed(&self, _: Step, _: Duration) {}
}

#[tokio::test]
async fn a_command_that_takes_long_sends_the_next_ones_to_the_queue_for_a_while() {
    let limits = Limits::default();
    let slow = |clock: &ManualClock| Arc::new(Slow(clock.clone())) as Arc<dyn Witness<Ledger>>;
    let world = World::of(Ledger::default, FakeCluster::prompt(), limits, 100, slow);
    world.until_leading(0).await;
    quiet().await;
    let handle = &world.handles[0];
    assert_eq!(handle.ask(put("k", "v")).now_or_never().unwrap().unwrap(), Answer::Done);
    assert!(handle.ask(put("k", "w")).now_or_never().is_none(), "its thread is the shard's");
    quiet().await;
    assert_eq!(world.get(0, "k").await.as_deref(), Some("w"));
    world.clock.advance(limits.on_the_spot_max * 2 * limits.queued_for_times);
    quiet().await;
    let answered = handle.ask(Command::Get("k".to_owned())).now_or_never();
    assert_eq!(answered.unwrap().unwrap(), Answer::Text(Some("w".to_owned())));
}

/// Notes how long each step took; a millisecond passes whenever something is applied.
struct Steps(ManualClock, Arc<Mutex<Vec<(Step, u128)>>>);

impl Witness<Ledger> for Steps {
    fn loaded(&self, _: Duration) {}

    fn applied(&self, _: &ledger::Event) {
        self.0.advance(Duration::from_millis(1));
    }

    fn timed(&self, step: Step, took: Duration) {
        self.1.lock().push((step, took.as_millis()));
    }
}

#[tokio::test]
async fn where_the_time_of_commands_goes_is_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let witness =
        |clock: &ManualClock| Arc::new(Steps(clock.clone(), told.clone())) as Arc<dyn Witness<Ledger>>;
    let world = World::of(Ledger::default, FakeCluster::new(1), Limits::default(), 100, witness);
    assert!(world.cluster.elect(0));
    world.until_leading(0).await;
    quiet().await;
    world.cluster.settle();
    quiet().await;
    told.lock().clear();
    world.handles[0].tell(put("a", "queued")).unwrap();
    world.clock.advance(Duration::from_secs(1));
    quiet().await;
    let asked = world.ask(0, put("a", "at once"));
    quiet().await;
    world.clock.advance(Duration::from_secs(2));
    world.cluster.settle();
    assert_eq!(asked.await.unwrap().unwrap(), Answer::Done);
    let decided = [(Step::Processed, 1), (Step::Lingered, 0), (Step::Flushed, 0)];
    let wanted =
        [&[(Step::Queued, 1000)], &decided[..], &[(Step::Queued, 0)], &decided, &[(Step::Committed, 2000)]];
    assert_eq!(*told.lock(), wanted.concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_from_many_threads_are_all_answered_and_all_there() {
    let world = World::prompt();
    world.until_leading(0).await;
    let asking = (0..8).map(|asker| {
        let handle = world.handles[0].clone();
        tokio::spawn(async move {
            for number in 0..200 {
                let key = format!("{asker} {number}");
                if number % 10 == 0 {
                    handle.tell(put(&format!("told {key}"), "v")).unwrap();
                }
                assert_eq!(handle.ask(put(&key, "v")).await.unwrap(), Answer::Done);
                let read = handle.ask(Command::Get(key)).await.unwrap();
                assert_eq!(read, Answer::Text(Some("v".to_owned())));
                tokio::task::yield_now().await;
            }
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap();
    }
    let end = world.cluster.committed().last().map(|batch| batch.header.next_offset());
    assert_eq!(end, Some(Offset(8 * 220)));
}

#[tokio::test]
async fn many_commands_are_one_append_and_answers_wait_for_its_commit() {
    let world = World::slow().await;
    let first = world.ask(0, put("first", "v"));
    quiet().await;
    assert_eq!(world.cluster.batches(0).len(), 1);
    let asked: Vec<_> = (0..20).map(|number| world.ask(0, put(&format!("k{number}"), "v"))).collect();
    let read = world.ask(0, Command::Get("k3".to_owned()));
    quiet().await;
    assert_eq!(world.cluster.batches(0).len(), 2, "what comes while a commit is waited for shares an append");
    assert!(!first.is_finished() && !asked[0].is_finished() && !read.is_finished(), "nothing is committed");
    assert_eq!(world.ask(0, Command::Touch).await.unwrap().unwrap(), Answer::Touched(1));
    world.cluster.settle();
    for answer in [first].into_iter().chain(asked) {
        assert_eq!(answer.await.unwrap().unwrap(), Answer::Done);
    }
    assert_eq!(read.await.unwrap().unwrap(), Answer::Text(Some("v".to_owned())));
}

#[tokio::test]
async fn parked_answers_are_released_replaced_or_run_out() {
    let world = World::prompt();
    world.until_leading(0).await;
    let first = world.ask(0, Command::Wait("a".to_owned()));
    quiet().await;
    let second = world.ask(0, Command::Wait("a".to_owned()));
    assert_eq!(first.await.unwrap().unwrap(), Answer::Text(None));
    world.ask(0, put("a", "text")).await.unwrap().unwrap();
    assert_eq!(second.await.unwrap().unwrap(), Answer::Text(Some("text".to_owned())));
    let third = world.ask(0, Command::Wait("b".to_owned()));
    quiet().await;
    world.clock.advance(WAIT / 2);
    quiet().await;
    assert!(!third.is_finished());
    world.clock.advance(WAIT / 2);
    assert_eq!(third.await.unwrap().unwrap(), Answer::Text(None));
}

#[tokio::test]
async fn losing_leadership_fails_whoever_waits() {
    let world = World::slow().await;
    let parked = world.ask(0, Command::Wait("a".to_owned()));
    let uncommitted = world.ask(0, put("b", "v"));
    quiet().await;
    world.cluster.resign();
    for waiting in [parked, uncommitted] {
        assert!(matches!(waiting.await.unwrap(), Err(AskError::NotLeader)));
    }
    world.cluster.elect(2);
    world.cluster.settle();
    world.until_leading(2).await;
    assert_eq!(world.get(2, "b").await, None, "only replica 0 had it");
}

#[tokio::test]
async fn a_refusal_answers_and_changes_nothing() {
    let world = World::prompt();
    world.until_leading(0).await;
    world.cluster.refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    let waiting = world.ask(0, Command::Wait("b".to_owned()));
    let refused = world.ask(0, put("a", "v")).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(world.get(0, "a").await, None);
    world.clock.advance(WAIT);
    quiet().await;
    assert!(!waiting.is_finished(), "its timer is held back while the log refuses");
    world.cluster.accept();
    world.clock.advance(Limits::default().retry_delay);
    assert_eq!(waiting.await.unwrap().unwrap(), Answer::Text(None));
    world.cluster.limit_batches(300);
    let refused = world.ask(0, put("a", &"x".repeat(300))).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::MESSAGE_TOO_LARGE);
    let asked: Vec<_> =
        (0..8).map(|number| world.ask(0, put(&format!("{number}"), &"x".repeat(100)))).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap(), Answer::Done);
    }
    assert_eq!(world.cluster.committed().len(), 8, "a batch takes one of these");
}

#[tokio::test]
async fn a_refusal_waits_for_what_it_was_decided_upon() {
    let world = World::slow().await;
    let written = world.ask(0, put("a", "1"));
    let refused = world.ask(0, put("b", &"x".repeat(2 << 20)));
    quiet().await;
    assert!(!written.is_finished() && !refused.is_finished(), "nothing is committed");
    world.cluster.settle();
    assert_eq!(written.await.unwrap().unwrap(), Answer::Done);
    assert_eq!(refused.await.unwrap().unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
}

#[tokio::test]
async fn what_no_record_can_hold_changes_nothing() {
    let world = World::prompt();
    world.until_leading(0).await;
    let refused = world.ask(0, Command::Unfit).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UNKNOWN_SERVER_ERROR);
    assert!(refused.to_string().contains("too odd"), "{refused}");
    assert_eq!(world.get(0, "before").await, None);
    assert!(world.cluster.committed().is_empty());
}

#[tokio::test]
async fn a_timer_that_the_log_refuses_stays_due_and_tells_who_waits() {
    let world =
        World::of(Ledger::noting_expiry, FakeCluster::prompt(), Limits::default(), 100, |_| Arc::new(()));
    world.until_leading(0).await;
    let waiting = world.ask(0, Command::Wait("b".to_owned()));
    quiet().await;
    world.cluster.limit_batches(62);
    world.clock.advance(WAIT);
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), ErrorCode::MESSAGE_TOO_LARGE);
    assert_eq!(world.get(0, "b").await, None);
    world.cluster.limit_batches(1000);
    world.clock.advance(Limits::default().retry_delay);
    quiet().await;
    assert_eq!(world.get(0, "b").await.as_deref(), Some(EXPIRED));
}

#[tokio::test]
async fn a_machine_that_panics_is_loaded_again() {
    let world = World::prompt();
    world.until_leading(0).await;
    world.ask(0, put("a", "1")).await.unwrap().unwrap();
    for applying in [false, true] {
        world.ask(0, Command::Touch).await.unwrap().unwrap();
        let parked = world.ask(0, Command::Wait("b".to_owned()));
        quiet().await;
        let broken = world.ask(0, Command::Break { applying });
        for asked in [broken, parked] {
            assert_eq!(asked.await.unwrap().unwrap_err().code(), ErrorCode::NOT_COORDINATOR);
        }
        let refused = world.ask(0, put("a", "2")).await.unwrap().unwrap_err();
        assert_eq!(refused.code(), ErrorCode::COORDINATOR_NOT_AVAILABLE);
        assert!(refused.to_string().contains("it panicked: broken while"), "{refused}");
        assert_eq!(*world.handles[0].phase().borrow(), Phase::Failed);
        world.clock.advance(Limits::default().retry_delay);
        world.until_leading(0).await;
        assert_eq!(world.get(0, "a").await.as_deref(), Some("1"));
        assert_eq!(world.ask(0, Command::Touch).await.unwrap().unwrap(), Answer::Touched(1), "a fresh one");
    }
}

#[tokio::test]
async fn a_log_that_breaks_its_word_costs_the_machine_and_nothing_else() {
    let world = World::prompt();
    world.until_leading(0).await;
    world.ask(0, put("a", "1")).await.unwrap().unwrap();
    world.cluster.fail(ErrorCode::KAFKA_STORAGE_ERROR);
    assert!(matches!(world.ask(0, put("a", "2")).await.unwrap(), Err(AskError::NotLeader)));
    assert!(matches!(world.ask(0, put("a", "3")).await.unwrap(), Err(AskError::Loading)));
    world.cluster.accept();
    world.clock.advance(Limits::default().retry_delay);
    quiet().await;
    assert_eq!(world.get(0, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn records_of_others_are_applied_before_the_next_decision() {
    use vltava_core::record::{BatchBuilder, Compression};
    use vltava_core::replicated::{Origin, PlaceTerms};
    let world = World::prompt();
    world.until_leading(0).await;
    world.ask(0, put("a", "mine")).await.unwrap().unwrap();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(world.clock.wall(), Some(b"b"), Some(b"theirs"), &[]);
    let terms = PlaceTerms::by(Origin::Client);
    world.cluster.replica(0).place(builder.build().unwrap(), terms).unwrap();
    assert_eq!(world.get(0, "b").await.as_deref(), Some("theirs"));
    assert_eq!(world.ask(0, put("c", "mine")).await.unwrap().unwrap(), Answer::Done);
}

#[tokio::test]
async fn transactions_count_once_their_marker_is_there_live_and_after_a_replay() {
    let world = World::prompt();
    world.until_leading(0).await;
    for (producer, commit) in [(1, true), (2, false)] {
        let key = format!("of {producer}");
        let command = Command::PutIn(ProducerId(producer), key.clone(), "v".to_owned());
        world.ask(0, command).await.unwrap().unwrap();
        assert_eq!(world.get(0, &key).await, None);
        world.ask(0, Command::End(ProducerId(producer), commit)).await.unwrap().unwrap();
    }
    let batches = world.cluster.committed();
    let kinds: Vec<_> =
        batches.iter().map(|b| (b.header.is_transactional(), b.header.is_control())).collect();
    assert_eq!(kinds, [(true, false), (true, true), (true, false), (true, true)]);
    world.cluster.elect(1);
    world.until_leading(1).await;
    for index in [1, 2] {
        assert_eq!(world.get(1, &format!("of {index}")).await.is_some(), index == 1);
    }
}

#[tokio::test]
async fn effects_come_once_committed_and_a_slow_taker_holds_back_but_loses_none() {
    let limits = Limits { uncommitted_max: 4, ..Limits::default() };
    let mut world = World::new(FakeCluster::new(5), limits, 2);
    world.cluster.elect(0);
    world.until_leading(0).await;
    let asked: Vec<_> = (0..12).map(|number| world.ask(0, Command::Announce(format!("{number}")))).collect();
    quiet().await;
    assert!(world.effects.try_recv().is_err(), "nothing is committed");
    let mut seen = Vec::new();
    while seen.len() < 12 {
        world.cluster.settle();
        quiet().await;
        while let Ok(Committed { effect, .. }) = world.effects.try_recv() {
            seen.push(effect);
        }
    }
    assert_eq!(seen, (0..12).map(|number| number.to_string()).collect::<Vec<_>>());
    for answer in asked {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn more_commands_than_fit_are_refused_and_late_commits_time_out() {
    let limits = Limits { commands_waiting_max: 8, uncommitted_max: 1, ..Limits::default() };
    let world = World::new(FakeCluster::new(5), limits, 2);
    world.cluster.elect(0);
    world.until_leading(0).await;
    let blocking = world.ask(0, put("a", "v"));
    quiet().await;
    let waiting: Vec<_> = (0..9).map(|_| world.ask(0, Command::Touch)).collect();
    quiet().await;
    let overloaded = waiting.iter().filter(|asked| asked.is_finished()).count();
    assert_eq!(overloaded, 1);
    world.clock.advance(limits.commit_timeout);
    assert!(matches!(blocking.await.unwrap(), Err(AskError::Timeout)));
    let answers = futures(waiting).await;
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Err(AskError::Overloaded))).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 8);
}

async fn futures(asked: Vec<Asked>) -> Vec<Result<Answer, AskError>> {
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_replica_sees_what_is_committed_and_nothing_else() {
    let world = World::slow().await;
    let replica = Replica {
        log: world.cluster.replica(1),
        snapshots: None,
        new: Box::new(Ledger::default),
        surroundings: surroundings(&world.clock),
        load_bytes: 64,
    };
    let (sender, mut seen) = watch::channel((0, false));
    tokio::spawn(replica.follow(move |ledger, applied| {
        sender.send_replace((vltava_core::machine::StateMachine::snapshot(ledger).len(), applied.caught_up));
    }));
    seen.wait_for(|seen| seen.1).await.unwrap();
    let asked: Vec<_> = (0..10).map(|number| world.ask(0, put(&format!("k{number}"), "v"))).collect();
    quiet().await;
    assert_eq!(seen.borrow().0, 0);
    world.cluster.settle();
    seen.wait_for(|seen| *seen == (10, true)).await.unwrap();
    futures(asked).await;
}

#[tokio::test]
async fn what_loading_has_left_to_do_waits_until_the_log_takes_it() {
    let cluster = FakeCluster::prompt();
    cluster.refuse(ErrorCode::NOT_ENOUGH_REPLICAS);
    let world = World::of(Ledger::noting_loading, cluster, Limits::default(), 1, |_| Arc::new(()));
    world.until_leading(0).await;
    assert_eq!(world.get(0, LOADED).await, None);
    world.cluster.accept();
    world.clock.advance(Limits::default().retry_delay);
    quiet().await;
    assert_eq!(world.get(0, LOADED).await.as_deref(), Some(""));
}

/// A snapshot whose last byte is missing.
#[derive(Debug)]
struct CutSnapshot;

impl Snapshots for CutSnapshot {
    fn newest(&self) -> Result<Option<MachineSnapshot>, LogError> {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.append(Timestamp(0), Some(b"a"), Some(b"v"), &[]);
        let mut batches = builder.build().unwrap().to_bytes();
        batches.truncate(batches.len() - 1);
        Ok(Some(MachineSnapshot { end: Offset(1), epoch: LeaderEpoch(0), batches }))
    }

    fn due(&self, _: Applied) -> bool {
        false
    }

    fn write(&self, _: NewSnapshot) -> Result<(), LogError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_snapshot_that_is_cut_off_is_not_believed() {
    let replica = Replica {
        log: FakeCluster::prompt().replica(0),
        snapshots: Some(Arc::new(CutSnapshot)),
        new: Box::new(Ledger::default),
        surroundings: surroundings(&ManualClock::default()),
        load_bytes: 64,
    };
    let loaded = replica.follow(|ledger, _| panic!("loaded {ledger:?}")).await;
    assert!(matches!(loaded, Err(ReplayError::Batch { .. })), "{loaded:?}");
}

#[tokio::test]
async fn a_replica_that_panics_says_so() {
    let replica = Replica {
        log: FakeCluster::prompt().replica(0),
        snapshots: None,
        new: Box::new(Ledger::default),
        surroundings: surroundings(&ManualClock::default()),
        load_bytes: 64,
    };
    let ended = replica.follow(|_, _| panic!("broken")).await.unwrap_err();
    assert_eq!(ended.to_string(), "the state machine has panicked: broken");
}

#[tokio::test]
async fn shards_open_and_close_with_leadership() {
    let cluster = FakeCluster::prompt();
    let clock = ManualClock::default();
    let (effects, _taker) = mpsc::channel(1);
    let shards = Shards::new(Start {
        new: Arc::new(|_| Ledger::default()),
        surroundings: surroundings(&clock),
        limits: Limits::default(),
        effects,
        witness: Arc::new(()),
        runtime: tokio::runtime::Handle::current(),
    });
    let three = PartitionIndex(3);
    assert!(matches!(shards.ask(three, Command::Touch).await, Err(AskError::NotLeader)));
    let log = cluster.replica(0);
    shards.lead(three, log.clone());
    shards.lead(three, log);
    shards.get(three).unwrap().phase().wait_for(|phase| matches!(phase, Phase::Leading(_))).await.unwrap();
    assert_eq!(shards.ask(three, put("a", "v")).await.unwrap(), Answer::Done);
    let handle = shards.get(three).unwrap();
    let parked = tokio::spawn(async move { handle.ask(Command::Wait("b".to_owned())).await });
    quiet().await;
    shards.resign(three);
    assert!(matches!(parked.await.unwrap(), Err(AskError::Closed)));
    assert_eq!(shards.partitions(), []);
    for cluster in [&cluster, &FakeCluster::prompt()] {
        shards.lead(three, cluster.replica(0));
        shards
            .get(three)
            .unwrap()
            .phase()
            .wait_for(|phase| matches!(phase, Phase::Leading(_)))
            .await
            .unwrap();
    }
    let got = shards.ask(three, Command::Get("a".to_owned())).await.unwrap();
    assert_eq!(got, Answer::Text(None), "the log of a re-created topic is another one");
}

/// Which clusters live: a number of seeds or a range.
const SEEDS: &str = "VLTAVA_RUNTIME_SEEDS";

/// One life of a cluster with elections, lost leaders, refusals and time passing. Returns what was answered, in order.
fn live(seed: u64, steps: usize) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async move {
        let mut random = Random::new(seed);
        let world = World::new(FakeCluster::new(seed), Limits::default(), 1000);
        let trace = Arc::new(Mutex::new(Vec::new()));
        let mut asked = Vec::new();
        for step in 0..steps {
            match random.below(12) {
                0 if random.once_in(8) => drop(world.cluster.elect_any()),
                1 if random.once_in(24) => world.cluster.resign(),
                2 if random.once_in(6) => world.cluster.refuse(ErrorCode::NOT_ENOUGH_REPLICAS),
                2 => world.cluster.accept(),
                3 => world.clock.advance(Duration::from_millis(random.bits() % 3000)),
                0 | 1 | 4..=6 => drop(world.cluster.step()),
                _ => {
                    let command = match random.below(4) {
                        0 => Command::Wait(format!("k{}", random.below(steps))),
                        1 => {
                            Command::PutIn(ProducerId(random.below(3) as i64), format!("t{step}"), "v".into())
                        }
                        2 => Command::End(ProducerId(random.below(3) as i64), random.once_in(2)),
                        _ => put(&format!("k{step}"), "v"),
                    };
                    let name = format!("{command:?}");
                    let (answer, trace) = (world.ask(random.below(REPLICAS), command), trace.clone());
                    asked.push(tokio::spawn(async move {
                        let answer = answer.await.unwrap();
                        trace.lock().push(format!("{name} {answer:?}"));
                    }));
                }
            }
            for _ in 0..random.below(20) {
                tokio::task::yield_now().await;
            }
        }
        world.cluster.accept();
        let leader = world.cluster.elect_any();
        world.cluster.settle();
        world.until_leading(leader).await;
        world.clock.advance(WAIT);
        quiet().await;
        assert!(asked.iter().all(JoinHandle::is_finished), "an answer was lost: {}", replay(SEEDS, seed));
        let trace = std::mem::take(&mut *trace.lock());
        for line in trace.iter().filter(|line| line.starts_with("Put(") && line.ends_with("Ok(Done)")) {
            let key = line.split('"').nth(1).unwrap();
            let found = world.get(leader, key).await;
            assert!(found.is_some(), "{key} was acknowledged and lost: {}", replay(SEEDS, seed));
        }
        trace
    })
}

#[test]
fn the_same_seed_gives_the_same_trace_and_no_seed_loses_anything() {
    let mut acknowledged = 0;
    let chosen = seeds(SEEDS, 0..40);
    let acknowledged_min = if chosen.clone().count() >= 40 { 300 } else { 0 };
    for seed in chosen {
        let trace = live(seed, 300);
        acknowledged += trace.iter().filter(|line| line.ends_with("Ok(Done)")).count();
        let again = live(seed, 300);
        let differing = trace.iter().zip(&again).find(|(first, second)| first != second);
        assert_eq!((differing, trace.len()), (None, again.len()), "{}", replay(SEEDS, seed));
    }
    assert!(acknowledged >= acknowledged_min, "only {acknowledged} commands got through");
}

#[test]
fn the_ledger_keeps_the_laws_of_machines() {
    machine_suite(0..50, 100, &Image::default(), Ledger::default, |_, random| {
        let key = format!("k{}", random.below(10));
        match random.below(6) {
            0 => Command::Wait(key),
            1 => Command::PutIn(ProducerId(random.below(3) as i64), format!("t{key}"), "v".to_owned()),
            2 => Command::End(ProducerId(random.below(3) as i64), random.once_in(2)),
            3 => Command::Touch,
            _ => Command::Put(key, random.bits().to_string()),
        }
    });
}
