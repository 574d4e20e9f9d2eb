//! Three nodes, their replicas and their controller in one simulated world: one seed decides who crashes, which messages are
//! late or lost, and who asks for what.
//!
//! The nodes are made of the real parts: partitions on the segment store on seeded disks, the fetchers, the keeper of the
//! in-sync replicas, the runtime with the coordinators of groups and of transactions, and the controller's state machine.
//! Between them lies the seam `Peers`. Producers write, a consumer reads, members of a classic group, of one of the consumer
//! protocol and of one that changes between the two join and commit, tills write transactions, while nodes are killed, lose their power and are cut off: at any time,
//! and just when a coordinator is asked or markers are being written. After every step [`checker`] asks for the invariants
//! that `replication::partition` writes down; in the end, once everything is healed, everybody has to get done, no question
//! may stay without an answer, the replicas are compared byte by byte, and the coordinators with what their logs say, also
//! after compaction.
//!
//! `VLTAVA_TRIO_SEEDS=7..8` replays a seed; the trace of one that breaks a promise is printed.
//!
//! # Why not turmoil
//!
//! It simulates hosts with sockets. Replicas talk through a seam, not through sockets yet, so that its hosts would carry
//! nothing but a protocol made up for the test, encoded and decoded for each of ten thousand seeds. What is left of what it
//! gives, a clock that stands still and one thread, is in tokio: the same seed gives the same trace as long as nothing waits
//! for one watch twice, every `select!` is biased, and what blocks is a task that takes its seeded time.
//!
//! # Why a power loss needs the others
//!
//! Records are acknowledged from page caches. A replica that loses its power may lose some, which is made good by the others
//! in sync (P1 of the promises: one of them lives *with its disk*). So power is lost only where another replica in sync is up,
//! connected and was heard of lately, and nothing else goes wrong until the controller has heard of it; everything else may
//! fail at any time.

mod careless;
mod checker;
mod clients;
mod consumers;
mod controller;
mod coordinators;
mod faults;
mod markers;
mod members;
mod network;
mod node;
mod replays;
mod tills;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::id::{
    GROUP_OFFSETS_TOPIC, Offset, TRANSACTION_STATE_TOPIC, Timestamp, TopicId, TopicIdPartition,
    TopicPartition,
};
use vltava_core::image::{Image, Partition as Replicas};
use vltava_core::log::ReadLimit;
use vltava_core::record::Batch;
use vltava_core::replicated::Watermarks;
use vltava_core::testing::{Random, bytes_of};
use vltava_replication::partition::{Mistake, Partition};
use vltava_storage::files::SeededDisk;

use super::trace::Trace;
pub use careless::Carelessness;
use checker::Checker;
use clients::Promises;
use consumers::Beliefs;
use controller::Controller;
use coordinators::{Questions, RELEASE};
use members::Memberships;
use network::Network;
use node::Life;
use tills::{Ledger, TRANSACTION_TIMEOUT};

/// The topic of records.
pub const ORDERS: &str = "orders";

/// The topic of transactions.
pub const PAYMENTS: &str = "payments";
pub const PAYMENTS_PARTITIONS: usize = 2;

/// The topic that members of the consumer protocol share out. Nobody writes there, and no node opens it.
pub const SHARES: &str = "shares";
pub const SHARES_PARTITIONS: usize = 5;

/// Every topic, and its partitions.
pub const TOPICS: [(&str, i32); 5] = [
    (ORDERS, 1),
    (GROUP_OFFSETS_TOPIC, 1),
    (TRANSACTION_STATE_TOPIC, 1),
    (PAYMENTS, PAYMENTS_PARTITIONS as i32),
    (SHARES, SHARES_PARTITIONS as i32),
];

/// How many nodes there are.
pub const NODES: usize = 3;

/// How long clients have to get done once everything is healed.
const PROGRESS: Duration = Duration::from_secs(30);

/// How much longer than its timeout a transaction may hold back readers, once everything is healed.
const HANGING: Duration = Duration::from_secs(10);

/// One step of a coordinator in so many tempts fate.
const TEMPTATION: usize = 100;

/// What a run is about.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `min.insync.replicas`.
    pub min_insync: usize,
    /// The level of `transaction.version`.
    pub transaction_version: i16,
    /// `unclean.leader.election.enable` of the topic of records: what is committed there may get lost, and is then known to be.
    pub unclean: bool,
    /// A rule that everybody breaks.
    pub breach: Option<Breach>,
}

/// A rule that is broken on purpose, to see that the breach is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// One of replication.
    Replication(Mistake),
    /// One of coordinators.
    Coordinator(Carelessness),
    /// A marker counts as written after one attempt, whatever came of it.
    MarkersOnce,
    /// Transactions are opened in partitions without asking their coordinator.
    NoVerification,
    /// A reader of committed records is not told what was aborted.
    ReadsAborted,
    /// Whoever lives is elected, though nothing may get lost.
    UncleanElections,
}

/// What a simulation came to.
pub struct Outcome {
    /// Everything that happened.
    pub trace: String,
    /// What was promised and not kept.
    pub broken: Option<String>,
    /// How often nodes were killed, lost their power, and were cut off or slowed down.
    pub faults: faults::Counts,
    /// Batches of records that were committed, and offsets of the group.
    pub committed: (usize, usize),
    /// Transactions that were committed, and that were not.
    pub transactions: (usize, usize),
    /// How often a producer was refused because the time of its transaction was over.
    pub fenced: usize,
    /// How often a member of the consumer protocol was given partitions, and was fenced.
    pub shares: (usize, usize),
    /// How often somebody has led who may have lacked something, and how many committed batches are lost.
    pub losses: (usize, usize),
    /// How often members of the rarer protocol were given something in a group of both.
    pub migrations: usize,
    /// Bytes that compaction has removed in the end.
    pub compacted: usize,
    /// Leader epochs of all partitions.
    pub epochs: i32,
    /// How often a follower has cut its log.
    pub truncations: usize,
    /// How often a producer was refused because too few replicas were in sync.
    pub refusals: usize,
    /// How many generations of the group have begun.
    pub generations: usize,
}

/// The world.
pub struct World {
    pub options: Options,
    pub clock: Arc<dyn Clock>,
    pub network: Network,
    pub controller: Mutex<Controller>,
    pub promises: Mutex<Promises>,
    pub memberships: Mutex<Memberships>,
    pub beliefs: Mutex<Beliefs>,
    pub ledger: Mutex<Ledger>,
    pub questions: Mutex<Questions>,
    /// The node that is killed next, because something is in full swing there.
    tempted: Mutex<(Option<usize>, Random)>,
    pub struck: Notify,
    healed: AtomicBool,
    closing: AtomicBool,
    checker: Mutex<Checker>,
    trace: Trace,
    disks: Vec<SeededDisk>,
    lives: Mutex<Vec<Option<Arc<Life>>>>,
    lives_begun: Mutex<(u64, Random)>,
    broken: Mutex<Option<String>>,
    /// The cluster as the controller has decided it, as of the last check.
    truth: Mutex<Arc<Truth>>,
    /// The partition of records.
    pub orders: TopicIdPartition,
    /// The partition of groups.
    pub groups: TopicIdPartition,
    /// The partition of transactional ids.
    pub transactions: TopicIdPartition,
    /// The partitions of transactions.
    pub payments: Vec<TopicIdPartition>,
    names: BTreeMap<TopicIdPartition, TopicPartition>,
}

/// An image of the controller, and the partitions with replicas.
struct Truth {
    image: Image,
    partitions: Vec<(TopicIdPartition, Replicas)>,
}

/// The clock of a runtime whose time stands still until everybody waits.
#[derive(Debug)]
struct StandingClock {
    started: Instant,
}

impl Clock for StandingClock {
    fn now(&self) -> Moment {
        Moment(self.started.elapsed())
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).plus(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(0))
    }

    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(self.started + moment.0))
    }
}

/// Runs the simulation of a seed.
pub fn simulate(seed: u64, breach: Option<Breach>) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut random = Random::new(seed);
        let transaction_version = i16::try_from([2, 2, 1, 0][random.below(4)]).unwrap();
        let (min_insync, unclean) = (1 + random.below(2), random.once_in(4) && breach.is_none());
        let options = Options { min_insync, transaction_version, unclean, breach };
        let world = World::new(options, &mut random);
        let (faults, compacted) = world.clone().run(&mut random).await;
        let partitions = world.controller.lock().partitions();
        let committed = |id| world.checker.lock().committed(id);
        let losses = world.checker.lock().losses(world.orders);
        let (shares, ledger) = (world.beliefs.lock(), world.ledger.lock());
        let outcome = Outcome {
            trace: world.trace.text(),
            broken: world.broken.lock().clone(),
            faults,
            committed: (committed(world.orders), committed(world.groups)),
            transactions: ledger.counts(),
            fenced: ledger.fenced,
            shares: (shares.given, shares.fenced),
            migrations: shares
                .given_by
                .values()
                .copied()
                .min()
                .filter(|_| shares.given_by.len() > 1)
                .unwrap_or(0),
            compacted,
            losses,
            truncations: world.checker.lock().truncations,
            refusals: world.promises.lock().refusals,
            generations: world.memberships.lock().generations(),
            epochs: partitions.iter().map(|(_, partition)| partition.leader_epoch.0).sum(),
        };
        drop((shares, ledger));
        (0..NODES).for_each(|index| world.end(index));
        outcome
    })
}

impl World {
    fn new(options: Options, random: &mut Random) -> Arc<World> {
        let controller = Controller::new(Random::new(random.bits()), &options);
        let truth = Truth { image: controller.image().clone(), partitions: controller.partitions() };
        let ids: Vec<TopicIdPartition> = truth.partitions.iter().map(|(id, _)| *id).collect();
        let name = |id: &TopicIdPartition| {
            let topic = truth.image.topics.by_id(id.topic).unwrap().name.clone();
            (*id, TopicPartition { topic, partition: id.partition })
        };
        let names = ids.iter().map(name).collect();
        Arc::new(World {
            options,
            clock: Arc::new(StandingClock { started: Instant::now() }),
            network: Network::new(Random::new(random.bits())),
            controller: Mutex::new(controller),
            promises: Mutex::default(),
            memberships: Mutex::default(),
            beliefs: Mutex::default(),
            ledger: Mutex::default(),
            questions: Mutex::default(),
            tempted: Mutex::new((None, Random::new(random.bits()))),
            struck: Notify::new(),
            healed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            checker: Mutex::default(),
            trace: Trace::default(),
            disks: (0..NODES).map(|_| SeededDisk::new(random.bits())).collect(),
            lives: Mutex::new(vec![None; NODES]),
            lives_begun: Mutex::new((0, Random::new(random.bits()))),
            broken: Mutex::default(),
            truth: Mutex::new(Arc::new(truth)),
            orders: ids[0],
            groups: ids[1],
            transactions: ids[2],
            payments: ids[3..].to_vec(),
            names,
        })
    }

    async fn run(self: Arc<World>, random: &mut Random) -> (faults::Counts, usize) {
        (0..NODES).for_each(|index| self.start(index));
        tokio::spawn(self.clone().watch_sessions());
        let mut clients = clients::start(&self, random);
        clients.extend(tills::start(&self, random));
        let members = members::start(&self, random);
        consumers::start(&self, random);
        let counts = faults::run(&self, random).await;
        self.note("world", "is healed");
        self.healed.store(true, Ordering::Relaxed);
        let healed = self.clock.now();
        let done =
            || clients.iter().all(JoinHandle::is_finished) && members.are_done() && self.shares_are_done();
        self.wait_until("everybody is done", done, healed).await;
        self.closing.store(true, Ordering::Relaxed);
        let settled = || self.questions.lock().are_answered() && self.is_settled();
        self.wait_until("nobody waits and the replicas are the same", settled, healed).await;
        if self.is_over() {
            return (counts, 0);
        }
        let judged = match self.judge() {
            Ok(()) => replays::judge(&self).await,
            Err(broken) => Err(broken),
        };
        let compacted = judged.unwrap_or_else(|broken| {
            self.is_broken(broken);
            0
        });
        (counts, compacted)
    }

    /// It comes true in time, and nothing hangs meanwhile.
    async fn wait_until(&self, what: &str, is_true: impl Fn() -> bool, healed: Moment) {
        let until = self.clock.now() + PROGRESS;
        let mut stable = BTreeMap::new();
        while !self.is_over() && !is_true() {
            let now = self.clock.now();
            if now >= until {
                self.is_broken(format!("it does not come about that {what}"));
            }
            if let Some(hanging) = self.hanging(&mut stable, now) {
                self.is_broken(format!("a transaction hangs in {}", self.name(hanging)));
            }
            let forgotten = self.questions.lock().forgotten(healed, now).map(str::to_owned);
            if let Some(forgotten) = forgotten {
                self.is_broken(format!("no answer within {RELEASE:?}: {forgotten}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn shares_are_done(&self) -> bool {
        let beliefs = self.beliefs.lock();
        beliefs.are_done() && beliefs.are_settled()
    }

    /// A partition whose last stable offset has stayed behind for too long.
    fn hanging(
        &self,
        seen: &mut BTreeMap<TopicIdPartition, (Offset, Moment)>,
        now: Moment,
    ) -> Option<TopicIdPartition> {
        for (id, _) in &self.truth().partitions {
            let leader = self.leader(*id).and_then(|index| self.life(index)?.partition(*id));
            let Some(marks) = leader.map(|leader| leader.watermarks()) else { continue };
            let (stable, since) = seen.entry(*id).or_insert((marks.stable, now));
            if *stable != marks.stable || marks.stable == marks.high {
                (*stable, *since) = (marks.stable, now);
            }
            if now.since(*since) > TRANSACTION_TIMEOUT + HANGING {
                return Some(*id);
            }
        }
        None
    }

    /// Something is in full swing on a node: now and then it is killed just then.
    pub fn tempt(&self, index: usize) {
        let mut tempted = self.tempted.lock();
        if tempted.1.once_in(TEMPTATION) {
            tempted.0 = Some(index);
            self.struck.notify_one();
        }
    }

    /// The node that is to be killed now.
    pub fn take_tempted(&self) -> Option<usize> {
        self.tempted.lock().0.take()
    }

    /// Nothing fails any more.
    pub fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    /// Clients stop.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Starts a node.
    pub fn start(self: &Arc<World>, index: usize) {
        let (number, random) = {
            let mut begun = self.lives_begun.lock();
            begun.0 += 1;
            (begun.0, Random::new(begun.1.bits()))
        };
        self.note(&format!("node {}", index + 1), "starts");
        let life = Life::start(self, index, number, &self.disks[index], random);
        self.lives.lock()[index] = Some(life);
    }

    /// Ends what runs on a node.
    pub fn end(&self, index: usize) {
        let life = self.lives.lock()[index].take();
        if let Some(life) = life {
            life.end();
        }
    }

    pub fn disk(&self, index: usize) -> &SeededDisk {
        &self.disks[index]
    }

    /// The present life of a node.
    pub fn life(&self, index: usize) -> Option<Arc<Life>> {
        self.lives.lock()[index].clone()
    }

    /// What the controller has decided.
    fn truth(&self) -> Arc<Truth> {
        let controller = self.controller.lock();
        let mut truth = self.truth.lock();
        if truth.image.offset != controller.image().offset {
            *truth =
                Arc::new(Truth { image: controller.image().clone(), partitions: controller.partitions() });
        }
        truth.clone()
    }

    /// A partition as the controller has decided it.
    pub fn replicas_of(&self, id: TopicIdPartition) -> Replicas {
        let truth = self.truth();
        let found = truth.partitions.iter().find(|(known, _)| *known == id);
        found.map(|(_, replicas)| replicas.clone()).unwrap_or_default()
    }

    /// The node that leads a partition, as the controller says.
    pub fn leader(&self, id: TopicIdPartition) -> Option<usize> {
        usize::try_from(self.replicas_of(id).leader.0 - 1).ok()
    }

    /// The name of a partition.
    pub fn name(&self, id: TopicIdPartition) -> String {
        self.partition_of(id).to_string()
    }

    pub fn partition_of(&self, id: TopicIdPartition) -> TopicPartition {
        self.names[&id].clone()
    }

    pub fn id_of(&self, partition: &TopicPartition) -> TopicIdPartition {
        *self.names.iter().find(|(_, name)| *name == partition).unwrap().0
    }

    /// The identity of the topic that members of the consumer protocol share out.
    pub fn shares(&self) -> TopicId {
        self.truth().image.topics.by_name(SHARES).unwrap().id
    }

    pub fn note(&self, who: &str, what: &str) {
        self.trace.note_at(self.clock.now().0, who, what);
    }

    /// Says that a promise was broken; the first one counts.
    pub fn is_broken(&self, what: String) {
        self.note("world", &format!("BROKEN: {what}"));
        self.broken.lock().get_or_insert(what);
    }

    /// Nothing that follows counts any more.
    pub fn is_over(&self) -> bool {
        self.broken.lock().is_some()
    }

    /// Checks everything, after a step.
    pub fn check(&self) {
        if self.is_over() {
            return;
        }
        let truth = self.truth();
        let illegal = self.controller.lock().illegal();
        if let Some(illegal) = illegal {
            return self.is_broken(illegal);
        }
        let lives: Vec<_> = self.lives.lock().iter().flatten().cloned().collect();
        let lives: Vec<&Life> = lives.iter().map(|life| &**life).collect();
        for (id, replicas) in &truth.partitions {
            let unclean = self.controller.lock().unclean(*id).to_vec();
            if !(unclean.is_empty() || self.options.unclean && *id == self.orders) {
                self.is_broken(format!("{} is led by who may lack something", self.name(*id)));
                return;
            }
            let checked = self.checker.lock().check(*id, &truth.image, replicas, &unclean, &lives);
            if let Err(broken) = checked {
                self.is_broken(format!("{}: {broken}", self.name(*id)));
                return;
            }
        }
    }

    /// Whether what was committed at an offset is lost, which is allowed to happen.
    pub fn is_lost(&self, id: TopicIdPartition, offset: Offset) -> bool {
        self.checker.lock().is_lost(id, offset)
    }

    /// Whether everything below `end` is committed.
    pub fn is_committed(&self, id: TopicIdPartition, end: Offset) -> bool {
        self.checker.lock().is_committed(id, end)
    }

    async fn watch_sessions(self: Arc<World>) {
        loop {
            sleep(Duration::from_millis(50)).await;
            let fenced = self.controller.lock().fence_silent(self.clock.now());
            for id in fenced {
                self.note("controller", &format!("fences {id}"));
                self.check();
            }
        }
    }

    /// Whether all replicas are in sync, and hold the same.
    fn is_settled(&self) -> bool {
        let partitions = self.controller.lock().partitions();
        let settled = |id: TopicIdPartition| {
            let marks: Vec<_> = self.replicas(id).iter().map(|replica| replica.watermarks()).collect();
            let stable = |mark: &&Watermarks| !mark.leading || mark.stable == mark.end;
            marks.len() == NODES
                && marks.iter().all(|mark| mark.high == mark.end && mark.end == marks[0].end)
                && marks.iter().all(|mark| stable(&mark))
        };
        partitions.iter().all(|(id, partition)| partition.isr.len() == NODES && settled(*id))
    }

    fn replicas(&self, id: TopicIdPartition) -> Vec<Arc<Partition>> {
        (0..NODES).filter_map(|index| self.life(index)?.partition(id)).collect()
    }

    /// Compares what is there with what was promised.
    fn judge(&self) -> Result<(), String> {
        let mut payments = Vec::new();
        for (id, _) in self.truth().partitions.clone() {
            let bytes: Vec<_> = self.replicas(id).iter().map(|replica| content(replica)).collect();
            if bytes.iter().any(|other| *other != bytes[0]) {
                return Err(format!("the replicas of {} differ", self.name(id)));
            }
            if id == self.orders {
                let is_lost = |offset| self.is_lost(id, offset);
                self.promises.lock().judge(&records(&bytes[0])?, self.options.unclean, is_lost)?;
            }
            if self.payments.contains(&id) {
                let found = tills::committed(&bytes[0]);
                if tills::read_all(self, id) != found {
                    return Err(format!("a reader of {} finds something else than {found:?}", self.name(id)));
                }
                payments.push(found);
            }
        }
        self.ledger.lock().judge(&payments)
    }
}

/// All bytes of a replica.
fn content(replica: &Partition) -> Vec<u8> {
    let bounds = replica.log().bounds();
    let limit = ReadLimit { below: bounds.end, bytes: usize::MAX >> 1, whole_first_batch: true };
    let mut bytes = Vec::new();
    let mut next = bounds.start;
    while next < bounds.end {
        let read = bytes_of(replica.log().read(next, limit).unwrap());
        next = Batch::split(read.clone().into())
            .map(|batch| batch.unwrap().header.next_offset())
            .last()
            .unwrap();
        bytes.extend_from_slice(&read);
    }
    bytes
}

/// The records of some batches: their offsets and values.
pub fn records(bytes: &[u8]) -> Result<Vec<(Offset, String)>, String> {
    let mut records = Vec::new();
    for batch in Batch::split(bytes.to_vec().into()) {
        let batch = batch.map_err(|error| error.to_string())?;
        batch.check_crc().map_err(|error| error.to_string())?;
        for record in &batch.records().map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            records.push((record.offset, value));
        }
    }
    Ok(records)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}
