//! The coordinators of a node: of groups and of transactions, each on the real runtime over its partition; and who waits
//! for an answer of theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupCoordinator, GroupSettings};
use vltava_coordinator::transaction::{
    TransactionAnswer, TransactionCommand, TransactionCoordinator, TransactionSettings,
};
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, PartitionIndex, TopicIdPartition};
use vltava_core::log::LogData;
use vltava_core::machine::{StateMachine, TransactionWrite};
use vltava_core::record::Batch;
use vltava_core::replicated::{
    Admission, PlaceError, PlaceTerms, Placed, ReadError, ReadRecords, ReadTerms, ReplicatedLog, Watermarks,
};
use vltava_core::testing::Random;
use vltava_replication::partition::{Partition, load};
use vltava_replication::runtime::{AskError, Committed, Limits, Shard, ShardHandle, Surroundings};

use super::careless::Careless;
use super::node::Life;
use super::{Breach, World, markers};

/// How long a member of either kind of group may be silent.
pub const SESSION: Duration = Duration::from_millis(1500);

/// How often members of the consumer protocol send heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Markers that may wait to be written.
const EFFECTS_MAX: usize = 100;

/// How long an answer may take at most, when nothing fails: a rebalance, a commit, and the timers in between.
pub const RELEASE: Duration = Duration::from_secs(12);

/// The coordinators of one life of a node.
#[derive(Default)]
pub struct Coordinators {
    groups: Option<ShardHandle<Careless<GroupCoordinator>>>,
    transactions: Option<ShardHandle<Careless<TransactionCoordinator>>>,
}

/// Questions that were not answered yet.
#[derive(Default)]
pub struct Questions {
    asked: u64,
    open: BTreeMap<u64, (Moment, String)>,
}

impl Questions {
    /// One that waits for longer than it should, if nothing has failed since `healed`.
    pub fn forgotten(&self, healed: Moment, now: Moment) -> Option<&str> {
        let forgotten = |(asked, _): &&(Moment, String)| now.since(healed.max(*asked)) > RELEASE;
        self.open.values().find(forgotten).map(|(_, what)| what.as_str())
    }

    pub fn are_answered(&self) -> bool {
        self.open.is_empty()
    }
}

/// A node has taken its place in a partition: the coordinator over it, which watches by itself whether it leads, begins to.
pub fn follow(life: &Arc<Life>, id: TopicIdPartition, partition: &Arc<Partition>) {
    let world = &life.world;
    if id == world.groups && life.coordinators.lock().groups.is_none() {
        let handle = start(life, partition, mpsc::channel(1).0, || GroupCoordinator::new(group_settings()));
        life.coordinators.lock().groups = Some(handle);
    } else if id == world.transactions && life.coordinators.lock().transactions.is_none() {
        let (effects, prepared) = mpsc::channel(EFFECTS_MAX);
        let new = || TransactionCoordinator::new(TransactionSettings::default());
        let handle = start(life, partition, effects, new);
        life.coordinators.lock().transactions = Some(handle);
        life.spawn(markers::run(life.clone(), prepared));
    }
}

pub fn group_settings() -> GroupSettings {
    let mut settings = GroupSettings {
        session_timeout_min: Duration::from_millis(100),
        initial_rebalance_delay: Duration::from_millis(100),
        ..GroupSettings::default()
    };
    let consumer = &mut settings.consumer;
    (consumer.session_timeout.min, consumer.session_timeout.default) = (SESSION, SESSION);
    (consumer.heartbeat_interval.min, consumer.heartbeat_interval.default) = (HEARTBEAT, HEARTBEAT);
    (consumer.assignment_interval.min, consumer.assignment_interval.default) =
        (Duration::ZERO, Duration::ZERO);
    settings
}

fn start<M: StateMachine>(
    life: &Arc<Life>,
    partition: &Arc<Partition>,
    effects: mpsc::Sender<Committed<M::Effect>>,
    new: impl Fn() -> M + Send + Sync + 'static,
) -> ShardHandle<Careless<M>> {
    let random = Mutex::new(Random::new(life.number));
    let carelessness = match life.world.options.breach {
        Some(Breach::Coordinator(carelessness)) => Some(carelessness),
        _ => None,
    };
    let shard = Shard {
        partition: PartitionIndex(0),
        log: Arc::new(InMemory(partition.clone())),
        snapshots: None,
        new: Arc::new(move || Careless::new(new(), carelessness)),
        surroundings: Surroundings {
            clock: life.world.clock.clone(),
            image: life.images(),
            entropy: Arc::new(move || random.lock().entropy()),
        },
        limits: Limits { retry_delay: Duration::from_millis(50), ..Limits::default() },
        effects,
        witness: Arc::new(()),
    };
    let (handle, task) = shard.start();
    life.spawn(task);
    handle
}

impl World {
    /// Asks the coordinator of groups on a node. `None` when the node goes away.
    pub async fn ask_group(
        self: &Arc<World>,
        to: usize,
        command: GroupCommand,
    ) -> Option<Result<GroupAnswer, ErrorCode>> {
        let life = self.life(to)?;
        let handle = life.coordinators.lock().groups.clone();
        self.ask(&life, handle, self.groups, command).await
    }

    /// Asks the coordinator of transactions on a node. `None` when the node goes away.
    pub async fn ask_transaction(
        self: &Arc<World>,
        to: usize,
        command: TransactionCommand,
    ) -> Option<Result<TransactionAnswer, ErrorCode>> {
        let life = self.life(to)?;
        let handle = life.coordinators.lock().transactions.clone();
        self.ask(&life, handle, self.transactions, command).await
    }

    /// Asks, and sees to it that the question does not stay without an answer when who asked has gone. The word of who was
    /// replaced and has not heard of it is nothing: it may miss what came since.
    async fn ask<M: StateMachine>(
        self: &Arc<World>,
        life: &Life,
        handle: Option<ShardHandle<M>>,
        id: TopicIdPartition,
        command: M::Command,
    ) -> Option<Result<M::Answer, ErrorCode>> {
        let Some(handle) = handle else { return Some(Err(ErrorCode::NOT_COORDINATOR)) };
        self.tempt(life.index);
        let number = {
            let mut questions = self.questions.lock();
            questions.asked += 1;
            let number = questions.asked;
            questions.open.insert(number, (self.clock.now(), format!("{command:?}")));
            number
        };
        let world = self.clone();
        let asking = tokio::spawn(async move {
            let answer = handle.ask(command).await;
            world.questions.lock().open.remove(&number);
            answer
        });
        let answer = asking.await.unwrap_or(Err(AskError::Closed));
        self.check();
        if life.is_over() {
            return None;
        }
        let epoch = life.partition(id).map(|partition| partition.watermarks().epoch);
        if epoch.is_none_or(|epoch| epoch < self.replicas_of(id).leader_epoch) {
            return Some(Err(ErrorCode::NOT_COORDINATOR));
        }
        Some(answer.map_err(|error| error.code()))
    }
}

/// A partition whose records are read at once, so that no thread comes between a seed and its trace.
#[derive(Debug)]
struct InMemory(Arc<Partition>);

impl ReplicatedLog for InMemory {
    fn admit(&self) -> Result<Admission, PlaceError> {
        self.0.admit()
    }

    fn admit_transaction(&self, write: &TransactionWrite) -> Result<(), PlaceError> {
        self.0.admit_transaction(write)
    }

    fn place(&self, batch: Batch, terms: PlaceTerms) -> Result<Placed, PlaceError> {
        self.0.place(batch, terms)
    }

    fn read(&self, from: Offset, terms: ReadTerms) -> Result<ReadRecords, ReadError> {
        let read = self.0.read(from, terms)?;
        let data = LogData::Bytes([load(read.data)?].into_iter().collect());
        Ok(ReadRecords { data, ..read })
    }

    fn watch(&self) -> watch::Receiver<Watermarks> {
        self.0.watch()
    }

    fn watch_leadership(&self) -> watch::Receiver<Watermarks> {
        self.0.watch_leadership()
    }
}
