//! A node: the segment store on its disk, its replicas, and what keeps them going. A crash ends its life; the disk stays.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicIdPartition, TopicPartition, Uuid};
use vltava_core::image::{Image, Partition as Replicas};
use vltava_core::log::{LogError, LogId, LogSettings, LogStore};
use vltava_core::replicated::Isolation;
use vltava_core::testing::Random;
use vltava_replication::fetcher::{FetcherLimits, FetcherParts, Fetchers};
use vltava_replication::in_sync::{InSync, InSyncLimits};
use vltava_replication::partition::{
    Assignment, IsrProposal, IsrVerdict, Job, OffsetQuery, Partition, PartitionParts, PartitionSettings, Role,
};
use vltava_replication::peers::{
    Answered, FetchFromLeader, PartitionAnswer, PeerError, Peers, answer, is_urgent,
};
use vltava_storage::files::SeededDisk;
use vltava_storage::segments::{SegmentStore, SegmentStoreOptions};

use super::coordinators::{self, Coordinators};
use super::network::Place;
use super::{Breach, SHARES, World};

/// `replica.lag.time.max.ms`.
const LAG: Duration = Duration::from_millis(500);

/// How often a leader that has nothing for a follower looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(15);

/// One life of a node: from a start to a crash.
pub struct Life {
    pub world: Arc<World>,
    pub index: usize,
    pub id: BrokerId,
    /// Counts the lives of all nodes.
    pub number: u64,
    store: SegmentStore,
    epoch: AtomicI64,
    image: Mutex<Arc<Image>>,
    partitions: Mutex<BTreeMap<TopicIdPartition, Arc<Partition>>>,
    fetchers: Fetchers,
    in_sync: Arc<InSync>,
    jobs: Arc<Jobs>,
    random: Mutex<Random>,
    tasks: Mutex<Vec<AbortHandle>>,
    over: AtomicBool,
    pub coordinators: Mutex<Coordinators>,
    /// Tells the coordinators of new images.
    images: watch::Sender<Arc<Image>>,
}

/// What blocks, done one after the other by a task that takes its time.
#[derive(Default)]
struct Jobs {
    queue: Mutex<VecDeque<Job>>,
    arrived: Notify,
}

/// The way from a node to the others.
struct Ways {
    world: Arc<World>,
    index: usize,
    life: Arc<Mutex<Option<std::sync::Weak<Life>>>>,
}

impl Life {
    /// Starts a node on its disk.
    pub fn start(
        world: &Arc<World>,
        index: usize,
        number: u64,
        disk: &SeededDisk,
        mut random: Random,
    ) -> Arc<Life> {
        let id = BrokerId(i32::try_from(index).unwrap() + 1);
        let options = SegmentStoreOptions::new(vec!["/data".into()], id, 7);
        let store = SegmentStore::open(options, Arc::new(disk.clone()), world.clock.clone()).unwrap();
        let myself = Arc::new(Mutex::new(None));
        let ways = Ways { world: world.clone(), index, life: myself.clone() };
        let peers: Arc<dyn Peers> = Arc::new(ways);
        let jobs = Arc::new(Jobs::default());
        let queue = jobs.clone();
        let limits =
            FetcherLimits { wait: LAG / 4, backoff: Duration::from_millis(50), ..FetcherLimits::default() };
        let fetchers = Fetchers::new(FetcherParts {
            local: id,
            peers: peers.clone(),
            clock: world.clock.clone(),
            background: Arc::new(move |job| queue.push(job)),
            limits,
            runtime: tokio::runtime::Handle::current(),
        });
        let limits = InSyncLimits { interval: LAG / 2, ..InSyncLimits::default() };
        let in_sync = Arc::new(InSync::new(peers, world.clock.clone(), limits));
        let life = Arc::new(Life {
            world: world.clone(),
            index,
            id,
            number,
            store,
            epoch: AtomicI64::new(-1),
            image: Mutex::default(),
            partitions: Mutex::default(),
            fetchers,
            in_sync,
            jobs,
            random: Mutex::new(Random::new(random.bits())),
            tasks: Mutex::default(),
            over: AtomicBool::new(false),
            coordinators: Mutex::default(),
            images: watch::Sender::default(),
        });
        *myself.lock() = Some(Arc::downgrade(&life));
        life.spawn(life.clone().attend(Uuid::from_u128(1000 + u128::from(number))));
        life.spawn(life.clone().work());
        life.spawn(life.clone().keep_house());
        let in_sync = life.in_sync.clone();
        life.spawn(async move { in_sync.run().await });
        life
    }

    /// Runs a task until this life ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().push(tokio::spawn(task).abort_handle());
    }

    /// Ends all that runs. The disk is the caller's.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.tasks.lock().drain(..).for_each(|task| task.abort());
        self.fetchers.close();
        self.jobs.queue.lock().clear();
        self.partitions.lock().clear();
        *self.coordinators.lock() = Coordinators::default();
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The epoch of its registration; −1 before it.
    pub fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::Relaxed))
    }

    /// The cluster as this node knows it.
    pub fn image(&self) -> Arc<Image> {
        self.image.lock().clone()
    }

    /// The cluster as this node knows it from now on.
    pub fn images(&self) -> watch::Receiver<Arc<Image>> {
        self.images.subscribe()
    }

    pub fn partition(&self, id: TopicIdPartition) -> Option<Arc<Partition>> {
        self.partitions.lock().get(&id).cloned()
    }

    fn pause(&self, from: u64, spread: u64) -> Duration {
        Duration::from_micros(from + self.random.lock().bits() % spread)
    }

    pub fn note(&self, what: &str) {
        self.world.note(&format!("node {}", self.id), what);
    }

    /// Registers, then says that it lives and learns what there is to know, for ever.
    async fn attend(self: Arc<Life>, incarnation: Uuid) {
        let (world, here) = (&self.world, Place::Node(self.index));
        let epoch = loop {
            let register = async { Some(world.controller.lock().register(self.id, incarnation)) };
            match world.network.call(here, Place::Controller, register).await {
                Ok(epoch) => break epoch,
                Err(_) => sleep(self.pause(5000, 20_000)).await,
            }
        };
        self.note(&format!("is registered in epoch {epoch}"));
        self.epoch.store(epoch.0, Ordering::Relaxed);
        self.fetchers.registered(epoch);
        loop {
            let seen = self.image().offset;
            let hear = async {
                let mut controller = world.controller.lock();
                controller.hear(self.id, epoch, seen, world.clock.now());
                Some(Arc::new(controller.image().clone()))
            };
            if let Ok(image) = world.network.call(here, Place::Controller, hear).await {
                self.apply(image);
            }
            let pause = self.pause(10_000, 60_000);
            sleep(pause).await;
        }
    }

    /// Takes in an image, unless it does not know this life yet.
    fn apply(self: &Arc<Life>, image: Arc<Image>) {
        let mine = image.brokers.get(&self.id).is_some_and(|broker| broker.epoch == self.epoch());
        if image.offset <= self.image().offset || !mine {
            return;
        }
        *self.image.lock() = image.clone();
        self.images.send_replace(image.clone());
        for topic in image.topics.iter().filter(|topic| &*topic.name != SHARES) {
            for (index, replicas) in topic.numbered() {
                let id = TopicIdPartition { topic: topic.id, partition: index };
                let name = TopicPartition { topic: topic.name.clone(), partition: index };
                let log = LogId { topic: topic.id, partition: name };
                if let Err(error) = self.take_place(id, &log, &image, replicas) {
                    return self.halt(&error);
                }
            }
        }
        self.world.check();
    }

    fn take_place(
        self: &Arc<Life>,
        id: TopicIdPartition,
        log: &LogId,
        image: &Image,
        replicas: &Replicas,
    ) -> Result<(), LogError> {
        let partition = match self.partition(id) {
            Some(known) => known,
            None => {
                let partition = self.open(log)?;
                self.partitions.lock().insert(id, partition.clone());
                partition
            }
        };
        let before = partition.watermarks();
        let role = partition.assume(self.id, &Assignment::of(image, replicas))?;
        let after = partition.watermarks();
        if (before.epoch, before.leading) != (after.epoch, after.leading) {
            let what = if after.leading { "leads" } else { "follows" };
            let (name, epoch, high, end) = (&log.partition, after.epoch, after.high, after.end);
            self.note(&format!("{what} {name} in epoch {epoch}, high watermark {high}, end {end}"));
        }
        match role {
            Role::Leads => self.in_sync.lead(id, partition.clone()),
            Role::Follows => self.in_sync.resign(id),
            Role::Outdated => return Ok(()),
        }
        self.fetchers.follow(id, &partition);
        coordinators::follow(self, id, &partition);
        Ok(())
    }

    fn open(&self, id: &LogId) -> Result<Arc<Partition>, LogError> {
        let stored = self.store.list()?.into_iter().find(|stored| stored.id == *id);
        let log = LogSettings { span_bytes_max: 4000, index_interval_bytes: 300, ..LogSettings::default() };
        let settings = PartitionSettings {
            log,
            min_insync_replicas: u32::try_from(self.world.options.min_insync).unwrap(),
            replica_lag_max: LAG,
            ..PartitionSettings::default()
        };
        let jobs = self.jobs.clone();
        let partition = Partition::open(PartitionParts {
            id: id.partition.clone(),
            log: self.store.open(id, log, None)?,
            high_watermark: stored.map_or(Offset::ZERO, |stored| stored.high_watermark),
            settings,
            clock: self.world.clock.clone(),
            background: Arc::new(move |job| jobs.push(job)),
        })?;
        if let Some(Breach::Replication(mistake)) = self.world.options.breach {
            partition.make(mistake);
        }
        let marks = partition.watermarks();
        self.note(&format!("opens {} with {}..{}", id.partition, marks.start, marks.end));
        Ok(partition)
    }

    /// The process ends, as one does whose only log directory has failed.
    fn halt(&self, error: &LogError) {
        self.note(&format!("halts: {error}"));
        self.world.end(self.index);
    }

    /// Does what blocks.
    async fn work(self: Arc<Life>) {
        loop {
            let job = self.jobs.queue.lock().pop_front();
            match job {
                None => self.jobs.arrived.notified().await,
                Some(job) => {
                    sleep(self.pause(50, 2000)).await;
                    job();
                    self.world.check();
                }
            }
        }
    }

    async fn keep_house(self: Arc<Life>) {
        loop {
            sleep(self.pause(150_000, 100_000)).await;
            let open: Vec<_> =
                self.partitions.lock().iter().map(|(id, partition)| (*id, partition.clone())).collect();
            let mut high_watermarks = Vec::new();
            for (id, partition) in open {
                if let Err(error) = partition.maintain() {
                    return self.halt(&error);
                }
                let log = LogId { topic: id.topic, partition: partition.id().clone() };
                high_watermarks.push((log, partition.watermarks().high));
            }
            if let Err(error) = self.store.maintain(&high_watermarks) {
                return self.halt(&error);
            }
        }
    }

    /// What this node answers to a follower now.
    fn answer(&self, request: &FetchFromLeader) -> Vec<(TopicIdPartition, Answered)> {
        let one = |(id, position): &(TopicIdPartition, _)| {
            let partition = self.partition(*id).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            (*id, partition.and_then(|partition| answer(&partition, request, *position)))
        };
        let answers: Vec<_> = request.partitions.iter().map(one).collect();
        if answers.iter().any(|(_, answer)| matches!(answer, Ok((_, true)))) {
            self.in_sync.look();
        }
        answers
    }
}

impl Jobs {
    fn push(&self, job: Job) {
        self.queue.lock().push_back(job);
        self.arrived.notify_one();
    }
}

impl World {
    /// Answers a follower's fetch at a node, after a while if there is nothing new. `None` when the node goes away.
    async fn serve_fetch(&self, to: usize, request: &FetchFromLeader) -> Option<Vec<PartitionAnswer>> {
        let life = self.life(to)?;
        let until = self.clock.now() + request.wait;
        let mut first: Option<Vec<Offset>> = None;
        loop {
            if life.is_over() {
                return None;
            }
            let answers = life.answer(request);
            let high = |(_, answer): &(TopicIdPartition, Answered)| {
                answer.as_ref().map_or(Offset::NONE, |(fetched, _)| fetched.high)
            };
            let highs: Vec<Offset> = answers.iter().map(high).collect();
            if first.as_ref() != Some(&highs) {
                self.check();
            }
            let moved = first.get_or_insert_with(|| highs.clone()) != &highs;
            let urgent = answers.iter().any(|(_, answer)| is_urgent(answer));
            if urgent || moved || self.clock.now() >= until {
                let plain = |(id, answer): (_, Answered)| (id, answer.map(|(fetched, _)| fetched));
                return Some(answers.into_iter().map(plain).collect());
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

#[async_trait]
impl Peers for Ways {
    async fn fetch(
        &self,
        leader: BrokerId,
        request: FetchFromLeader,
    ) -> Result<Vec<PartitionAnswer>, PeerError> {
        let (world, to) = (&self.world, index_of(leader));
        if let Some(later) = world.network.echo() {
            // The same question arrives once more, when nobody waits for its answer any more.
            let (world, request) = (world.clone(), request.clone());
            tokio::spawn(async move {
                sleep(later).await;
                if let Some(life) = world.life(to) {
                    life.answer(&request);
                    world.check();
                }
            });
        }
        let answer = world.serve_fetch(to, &request);
        world.network.call(Place::Node(self.index), Place::Node(to), answer).await
    }

    async fn bounds(
        &self,
        leader: BrokerId,
        partition: TopicIdPartition,
        epoch: LeaderEpoch,
    ) -> Result<Result<(Offset, Offset), ErrorCode>, PeerError> {
        let to = index_of(leader);
        let answer = async {
            let life = self.world.life(to)?;
            let Some(partition) = life.partition(partition) else {
                return Some(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
            };
            let find = |query| match partition.offset_for(query, Isolation::LogEnd, epoch) {
                Ok(found) => found.map(|found| found.offset).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR),
                Err(error) => Err(error.code()),
            };
            Some(find(OffsetQuery::Earliest).and_then(|start| Ok((start, find(OffsetQuery::Latest)?))))
        };
        self.world.network.call(Place::Node(self.index), Place::Node(to), answer).await
    }

    async fn alter_isr(
        &self,
        proposals: Vec<(TopicIdPartition, IsrProposal)>,
    ) -> Result<Vec<IsrVerdict>, PeerError> {
        let life = self.life.lock().as_ref().and_then(std::sync::Weak::upgrade);
        let life = life.ok_or_else(|| PeerError("the node is gone".to_owned()))?;
        let (world, epoch) = (&self.world, life.epoch());
        let answer = async {
            let altered = world.controller.lock().alter(life.id, epoch, &proposals, world.clock.now());
            for ((id, proposal), verdict) in proposals.iter().zip(altered.iter().flatten()) {
                let isr: Vec<_> = proposal.brokers().map(|broker| broker.0).collect();
                let verdict = match verdict {
                    IsrVerdict::Accepted { .. } => "is accepted",
                    IsrVerdict::Ineligible => "is refused",
                    IsrVerdict::Outdated | IsrVerdict::Unknown => "is outdated",
                };
                let name = world.name(*id);
                world.note("controller", &format!("{isr:?} in sync for {name}, by {}, {verdict}", life.id));
            }
            world.check();
            match altered {
                Ok(verdicts) => Some(verdicts),
                Err(broken) => {
                    world.is_broken(broken);
                    None
                }
            }
        };
        world.network.call(Place::Node(self.index), Place::Controller, answer).await
    }
}

/// The index of a node.
pub fn index_of(broker: BrokerId) -> usize {
    usize::try_from(broker.0 - 1).unwrap()
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ways({})", self.index)
    }
}
