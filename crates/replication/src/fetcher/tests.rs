use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicId, TopicName, TopicPartition, Uuid,
};
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::replicated::{Origin, PlaceTerms, ReplicatedLog};
use vltava_core::testing::{ManualClock, VolatileLog};

use super::*;
use crate::in_sync::{InSync, InSyncLimits};
use crate::partition::{Assignment, IsrProposal, IsrVerdict, Job, PartitionParts, PartitionSettings};
use crate::peers::{FetchFromLeader, PartitionAnswer, PeerError, answer};

/// Other nodes in the same process: node 1 leads, and everybody who asks is broker 2. It answers what the test lets it.
#[derive(Debug)]
struct FakePeers {
    leaders: Mutex<BTreeMap<TopicIdPartition, Arc<Partition>>>,
    /// No answer comes.
    silent: Mutex<bool>,
    /// What is answered instead of records, by partition.
    refusals: Mutex<BTreeMap<TopicIdPartition, ErrorCode>>,
    verdicts: Mutex<Vec<IsrVerdict>>,
    fetches: AtomicUsize,
    proposals: Mutex<Vec<IsrProposal>>,
    clock: ManualClock,
}

#[async_trait]
impl Peers for FakePeers {
    async fn fetch(&self, _: BrokerId, request: FetchFromLeader) -> Result<Vec<PartitionAnswer>, PeerError> {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        if *self.silent.lock() {
            return Err(PeerError("silent".to_owned()));
        }
        let mut answers = Vec::new();
        for (id, position) in &request.partitions {
            let refusal = self.refusals.lock().get(id).copied();
            let found = self.leaders.lock()[id].clone();
            let answered = answer(&found, &request, *position).map(|(fetched, _)| fetched);
            answers.push((*id, refusal.map_or(answered, Err)));
        }
        let news = |(_, answer): &PartitionAnswer| match answer {
            Ok(fetched) => !fetched.records.is_empty(),
            Err(_) => true,
        };
        if !answers.iter().any(news) {
            self.clock.sleep_until(self.clock.now() + request.wait).await;
        }
        Ok(answers)
    }

    async fn bounds(
        &self,
        _: BrokerId,
        partition: TopicIdPartition,
        _: LeaderEpoch,
    ) -> Result<Result<(Offset, Offset), ErrorCode>, PeerError> {
        self.refusals.lock().remove(&partition);
        let marks = self.leaders.lock()[&partition].watermarks();
        Ok(Ok((marks.start, marks.end)))
    }

    async fn alter_isr(
        &self,
        proposals: Vec<(TopicIdPartition, IsrProposal)>,
    ) -> Result<Vec<IsrVerdict>, PeerError> {
        self.proposals.lock().extend(proposals.into_iter().map(|(_, proposal)| proposal));
        self.verdicts.lock().pop().map(|verdict| vec![verdict]).ok_or_else(|| PeerError("none".to_owned()))
    }
}

struct World {
    peers: Arc<FakePeers>,
    fetchers: Fetchers,
    followers: BTreeMap<TopicIdPartition, Arc<Partition>>,
    clock: ManualClock,
}

impl World {
    /// Broker 2 follows so many partitions of broker 1.
    fn new(count: i32) -> World {
        let clock = ManualClock::default();
        let peers = Arc::new(FakePeers {
            leaders: Mutex::default(),
            silent: Mutex::new(false),
            refusals: Mutex::default(),
            verdicts: Mutex::default(),
            fetches: AtomicUsize::new(0),
            proposals: Mutex::default(),
            clock: clock.clone(),
        });
        let fetchers = Fetchers::new(FetcherParts {
            local: BrokerId(2),
            peers: peers.clone(),
            clock: Arc::new(clock.clone()),
            background: Arc::new(|job: Job| job()),
            limits: FetcherLimits { partitions_max: 2, ..FetcherLimits::default() },
            runtime: tokio::runtime::Handle::current(),
        });
        fetchers.registered(BrokerEpoch(20));
        let mut followers = BTreeMap::new();
        for number in 0..count {
            let id =
                TopicIdPartition { topic: TopicId(Uuid::from_u128(7)), partition: PartitionIndex(number) };
            let leader = open(number, &clock);
            leader.assume(BrokerId(1), &assignment(1)).unwrap();
            peers.leaders.lock().insert(id, leader);
            let follower = open(number, &clock);
            follower.assume(BrokerId(2), &assignment(1)).unwrap();
            fetchers.follow(id, &follower);
            followers.insert(id, follower);
        }
        World { peers, fetchers, followers, clock }
    }

    fn id(&self, number: usize) -> TopicIdPartition {
        *self.followers.keys().nth(number).unwrap()
    }

    fn place(&self, number: usize) {
        self.peers.leaders.lock()[&self.id(number)].place(batch(), PlaceTerms::by(Origin::Client)).unwrap();
    }

    fn end(&self, number: usize) -> i64 {
        self.followers[&self.id(number)].watermarks().end.0
    }

    fn fetches(&self) -> usize {
        self.peers.fetches.load(Ordering::Relaxed)
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        quiet().await;
    }
}

fn open(number: i32, clock: &ManualClock) -> Arc<Partition> {
    let topic = TopicName::new("orders").unwrap();
    Partition::open(PartitionParts {
        id: TopicPartition { topic, partition: PartitionIndex(number) },
        log: VolatileLog::new(),
        high_watermark: Offset::ZERO,
        settings: PartitionSettings::default(),
        clock: Arc::new(clock.clone()),
        background: Arc::new(drop),
    })
    .unwrap()
}

fn assignment(leader: i32) -> Assignment {
    Assignment {
        leader: BrokerId(leader),
        leader_epoch: LeaderEpoch(leader),
        partition_epoch: PartitionEpoch(leader),
        replicas: vec![BrokerId(1), BrokerId(2)],
        isr: vec![BrokerId(1)],
        active: vec![(BrokerId(1), BrokerEpoch(10)), (BrokerId(2), BrokerEpoch(20))],
    }
}

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(vltava_core::id::Timestamp(1_700_000_000_000), None, Some(b"value"), &[]);
    builder.build().unwrap()
}

/// Lets every task run until none has anything to do.
async fn quiet() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn all_partitions_of_a_leader_are_fetched_by_one_task_a_few_at_a_time() {
    let world = World::new(3);
    (0..3).for_each(|number| world.place(number));
    quiet().await;
    world.pass(FetcherLimits::default().wait).await;
    assert_eq!([world.end(0), world.end(1), world.end(2)], [1, 1, 1]);
    assert_eq!(world.fetchers.leaders.lock().len(), 1);
    let before = world.fetches();
    quiet().await;
    assert_eq!(world.fetches(), before, "the leader waits, and nobody asks again");
}

#[tokio::test]
async fn a_leader_that_does_not_answer_is_asked_once_in_a_pause() {
    let world = World::new(1);
    *world.peers.silent.lock() = true;
    world.place(0);
    quiet().await;
    let first = world.fetches();
    quiet().await;
    assert_eq!(world.fetches(), first);
    for pause in 1..=3 {
        world.pass(FetcherLimits::default().backoff).await;
        assert_eq!(world.fetches(), first + pause);
    }
    *world.peers.silent.lock() = false;
    world.pass(FetcherLimits::default().backoff).await;
    assert_eq!(world.end(0), 1);
}

#[tokio::test]
async fn a_partition_that_is_refused_holds_up_no_other() {
    let world = World::new(2);
    world.peers.refusals.lock().insert(world.id(0), ErrorCode::FENCED_LEADER_EPOCH);
    (0..2).for_each(|number| world.place(number));
    quiet().await;
    assert_eq!([world.end(0), world.end(1)], [0, 1]);
    let before = world.fetches();
    quiet().await;
    assert_eq!(world.fetches(), before);
    world.peers.refusals.lock().clear();
    world.pass(FetcherLimits::default().backoff).await;
    assert_eq!([world.end(0), world.end(1)], [1, 1]);
}

#[tokio::test]
async fn an_offset_out_of_range_is_looked_up_and_the_log_begins_again() {
    let world = World::new(1);
    let leader = world.peers.leaders.lock()[&world.id(0)].clone();
    for _ in 0..3 {
        leader.place(batch(), PlaceTerms::by(Origin::Client)).unwrap();
    }
    leader.delete_records(Some(Offset(2))).unwrap();
    quiet().await;
    world.pass(FetcherLimits::default().wait).await;
    let marks = world.followers[&world.id(0)].watermarks();
    assert_eq!((marks.start, marks.end), (Offset(2), Offset(3)));
}

#[tokio::test]
async fn what_is_led_here_or_gone_is_fetched_no_more() {
    let world = World::new(2);
    quiet().await;
    let (first, second) = (world.id(0), world.id(1));
    world.followers[&first].assume(BrokerId(2), &assignment(2)).unwrap();
    world.fetchers.follow(first, &world.followers[&first]);
    assert_eq!(world.fetchers.leaders.lock().len(), 1);
    world.fetchers.forget(second);
    assert!(world.fetchers.leaders.lock().is_empty());
    let before = world.fetches();
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.fetches(), before);
}

#[tokio::test]
async fn who_is_in_sync_is_asked_for_until_there_is_a_verdict() {
    let world = World::new(1);
    let limits = InSyncLimits::default();
    let in_sync = Arc::new(InSync::new(world.peers.clone(), Arc::new(world.clock.clone()), limits));
    let leader = world.peers.leaders.lock()[&world.id(0)].clone();
    in_sync.lead(world.id(0), leader.clone());
    let keeper = in_sync.clone();
    tokio::spawn(async move { keeper.run().await });
    quiet().await;
    in_sync.look();
    quiet().await;
    assert_eq!(world.peers.proposals.lock().len(), 1, "nobody answers");
    world.pass(limits.backoff / 2).await;
    assert_eq!(world.peers.proposals.lock().len(), 1);
    let accepted = IsrVerdict::Accepted {
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(2),
        isr: vec![BrokerId(1), BrokerId(2)],
    };
    world.peers.verdicts.lock().push(accepted);
    world.pass(limits.backoff).await;
    let proposals = world.peers.proposals.lock().clone();
    assert_eq!((proposals.len(), &proposals[0]), (2, &proposals[1]), "the same once more");
    assert_eq!(proposals[0].isr, [(BrokerId(1), BrokerEpoch(10)), (BrokerId(2), BrokerEpoch(20))]);
    assert_eq!(leader.isr(), Some(vec![BrokerId(1), BrokerId(2)]));
    // Nothing is asked without a reason, and a follower that falls silent is found late by the interval alone.
    world.fetchers.forget(world.id(0));
    leader.place(batch(), PlaceTerms::by(Origin::Client)).unwrap();
    world.pass(limits.interval).await;
    assert_eq!(world.peers.proposals.lock().len(), 2);
    world.pass(limits.interval).await;
    world.pass(limits.interval).await;
    assert_eq!(world.peers.proposals.lock().last().unwrap().isr, [(BrokerId(1), BrokerEpoch(10))]);
    in_sync.resign(world.id(0));
}
