//! Workers of one group through random schedules: they come, leave, die and are cut off, whoever leads among them; connectors
//! are created, changed, paused, stopped, restarted and deleted meanwhile, and everything arrives late.
//!
//! The workers are whole, from their API to their tasks; what is not is the network, the coordinator, which has the times
//! and answers of Kafka's, and the topics, which are in memory. What must hold, whatever happens:
//!
//! 1. No connector and no task runs at two workers at a time, also where one of them does not know yet that it was given up.
//! 2. A member that joins says everything that it runs; nothing is given to one while another says that it runs it:
//!    revocations come before assignments. Only what was given is run, by one who has read the settings that the leader had.
//! 3. What does not move does not stop (KIP-415): a piece stops only when it is revoked, when its own settings change or its
//!    worker loses its membership; not when others come, go, or change, and not when it is paused.
//! 4. Generations rise: a piece starts elsewhere in a later one only.
//! 5. Some time after the last disturbance everything runs that the settings say, once, as they say it, evenly spread,
//!    under one leader, and stays so; and what a request was answered with is what they say.
//! 6. What a lost worker ran goes to the worker that comes in its place within `scheduled.rebalance.max.delay.ms`, if the
//!    leader stays and nobody else is without work.
//!
//! What happens comes from the seed, and time is paused. The order in which tokio looks at what is ready at the same moment
//! does not: a failure may need some runs of its seed to come again.

mod connector;
mod coordinator;
mod ledger;
mod link;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::id::Timestamp;
use vltava_core::testing::{Random, replay, seeds};

use self::connector::Witness;
use self::coordinator::{Coordinator, Way};
use self::ledger::Ledger;
use self::link::Link;
use self::topics::FarTopics;
use super::group::{PeerReply, PeerRequest, Peers, Piece};
use super::{Surroundings, Target, Worker, WorkerError, WorkerSettings};
use crate::plugins::{Implementation, Plugin, Plugins};
use crate::settings::Config;
use crate::testing::{MemoryLoggers, MemoryTopics};

/// The seeds of the schedules.
const SEEDS: &str = "VLTAVA_WORKER_SEEDS";

const SESSION_MS: u64 = 4000;
/// Longer than a session, as Kafka's is: who does not join a round in time is given up as well.
const REBALANCE_MS: u64 = 10_000;
const DELAY_MS: u64 = 8000;
/// How long everything may take to come to rest.
const REST: Duration = Duration::from_secs(90);
/// For how long it is looked at then: longer than any of the times above.
const STILL: Duration = Duration::from_secs(15);
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often a client asks one worker after the other.
const ASKED_MAX: usize = 6;

const WORKERS_MAX: usize = 5;
const NAMES: usize = 5;
const STEPS: usize = 14;

/// The time that is paused.
#[derive(Debug)]
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }

    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).plus(i64::try_from(self.0.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, moment: Moment) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(self.0 + moment.0))
    }
}

/// A worker that lives.
#[derive(Debug)]
struct Host {
    worker: Arc<Worker>,
    link: Arc<Link>,
}

/// The workers that live, by their addresses.
#[derive(Debug, Default)]
struct Hosts(Mutex<BTreeMap<String, Weak<Host>>>);

/// The way of a worker to the others.
#[derive(Debug)]
struct FarPeers {
    hosts: Arc<Hosts>,
    link: Arc<Link>,
}

#[async_trait]
impl Peers for FarPeers {
    async fn ask(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String> {
        let answered = timeout(PATIENCE, self.exchange(url, request)).await;
        answered.unwrap_or_else(|_| Err("nobody answers in time".to_owned()))
    }
}

impl FarPeers {
    async fn exchange(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String> {
        self.link.travel().await.ok_or("nobody answers")?;
        let host = self.hosts.0.lock().get(url).and_then(Weak::upgrade).ok_or("nobody is there")?;
        host.link.travel().await.ok_or("nobody answers")?;
        let header = |name: &str| {
            request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let path: Vec<&str> = request.path.split('/').collect();
        let outcome = match (&*request.method, &*path) {
            ("POST", ["", "connectors", name, "tasks"]) => {
                host.worker.put_tasks(name, header, &request.body).await
            }
            ("PUT", ["", "connectors", name, "fence"]) => {
                host.worker.fence(name, header, &request.body).await
            }
            other => return Err(format!("{other:?}")),
        };
        host.link.travel().await.ok_or("nobody answers")?;
        let status = outcome.as_ref().map_or_else(WorkerError::code, |()| 204);
        let body = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        Ok(PeerReply { status, location: None, body: body.into() })
    }
}

/// What a client wants of a connector.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Put { version: i64, tasks: usize },
    Delete,
    Target(Target),
    Restart,
}

/// What a connector may be, as far as clients know: nothing, or settings of a version, and whether it is stopped.
type Known = Option<i64>;

/// What clients were told of a connector.
#[derive(Debug)]
struct Promise {
    /// One of these it is.
    may: BTreeSet<Known>,
    /// What was asked for and not answered: it may come to be later.
    asked: BTreeSet<Known>,
    request: Option<JoinHandle<bool>>,
    wish: Wish,
}

/// The group, and all around it.
struct World {
    seed: u64,
    random: Random,
    topics: MemoryTopics,
    ledger: Arc<Ledger>,
    coordinator: Arc<Coordinator>,
    hosts: Arc<Hosts>,
    living: BTreeMap<usize, Arc<Host>>,
    begun: usize,
    versions: i64,
    promises: BTreeMap<usize, Promise>,
    protocol: &'static str,
    exactly_once: &'static str,
    start: Instant,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let protocol = *random.pick(&["sessioned", "sessioned", "sessioned", "compatible", "eager"]);
        let exactly_once = *random.pick(&["disabled", "disabled", "enabled"]);
        let topics = MemoryTopics::default();
        let ledger = Ledger::new(topics.clone(), protocol == "eager");
        let milliseconds = Duration::from_millis;
        let coordinator =
            Coordinator::new(ledger.clone(), milliseconds(SESSION_MS), milliseconds(REBALANCE_MS));
        Self {
            seed,
            random,
            topics,
            ledger,
            coordinator,
            hosts: Arc::default(),
            living: BTreeMap::new(),
            begun: 0,
            versions: 0,
            promises: BTreeMap::new(),
            protocol,
            exactly_once,
            start: Instant::now(),
        }
    }

    fn say(&self, what: impl Into<String>) {
        self.ledger.say(what.into());
    }

    fn settings(&self, id: &str) -> WorkerSettings {
        let settings = [
            ("group.id", "g".to_owned()),
            ("key.converter", "StringConverter".to_owned()),
            ("value.converter", "StringConverter".to_owned()),
            ("offset.storage.topic", "offsets".to_owned()),
            ("offset.storage.partitions", "1".to_owned()),
            ("config.storage.topic", "configs".to_owned()),
            ("status.storage.topic", "statuses".to_owned()),
            ("status.storage.partitions", "1".to_owned()),
            ("session.timeout.ms", SESSION_MS.to_string()),
            ("rebalance.timeout.ms", REBALANCE_MS.to_string()),
            ("heartbeat.interval.ms", "1000".to_owned()),
            ("worker.sync.timeout.ms", "1500".to_owned()),
            ("worker.unsync.backoff.ms", "4000".to_owned()),
            ("scheduled.rebalance.max.delay.ms", DELAY_MS.to_string()),
            ("task.shutdown.graceful.timeout.ms", "1000".to_owned()),
            ("offset.flush.timeout.ms", "500".to_owned()),
            ("connect.protocol", self.protocol.to_owned()),
            ("exactly.once.source.support", self.exactly_once.to_owned()),
        ];
        let settings: Config = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        WorkerSettings::new(&settings, id).expect("settings of a worker")
    }

    async fn join(&mut self) -> usize {
        let incarnation = self.begun;
        self.begun += 1;
        let link = Link::new(Random::new(self.random.bits()));
        let mut plugins = Plugins::default();
        crate::converters::plugins().into_iter().for_each(|row| plugins.add(row));
        let own = Arc::new(OnceLock::new());
        let witness = Witness {
            ledger: self.ledger.clone(),
            incarnation,
            worker: own.clone(),
            random: Arc::new(Mutex::new(Random::new(self.random.bits()))),
        };
        let implementation = Implementation::Source(Arc::new(witness));
        plugins.add(Plugin { class: "test.WitnessConnector", version: "1", implementation });
        self.ledger.begins(incarnation, link.clone());
        let surroundings = Surroundings {
            plugins: Arc::new(plugins),
            topics: Arc::new(FarTopics { near: self.topics.clone(), link: link.clone() }),
            membership: Arc::new(Way {
                coordinator: self.coordinator.clone(),
                link: link.clone(),
                incarnation,
            }),
            peers: Arc::new(FarPeers { hosts: self.hosts.clone(), link: link.clone() }),
            loggers: Arc::new(MemoryLoggers::default()),
            clock: Arc::new(PausedClock(self.start)),
        };
        let id = format!("w{incarnation}:1");
        let worker = Worker::start(self.settings(&id), surroundings).await.expect("a worker");
        let host = Arc::new(Host { worker: Arc::new(worker), link });
        let _ = own.set(Arc::downgrade(&host.worker));
        self.hosts.0.lock().insert(format!("http://{id}/"), Arc::downgrade(&host));
        self.living.insert(incarnation, host);
        self.say(format!("worker {incarnation} joins"));
        incarnation
    }

    /// A process is gone from one moment to the next.
    fn die(&mut self, incarnation: usize) {
        let Some(host) = self.living.remove(&incarnation) else { return };
        host.link.kill();
        self.ledger.dies(incarnation);
        // What a process does that is gone reaches nobody; this only frees it.
        tokio::spawn(async move { host.worker.shutdown().await });
        self.say(format!("worker {incarnation} dies"));
    }

    fn leave(&mut self, incarnation: usize) {
        let Some(host) = self.living.remove(&incarnation) else { return };
        self.ledger.leaves(incarnation);
        tokio::spawn(async move { host.worker.shutdown().await });
        self.say(format!("worker {incarnation} leaves"));
    }

    fn someone(&mut self) -> (usize, Arc<Host>) {
        let at = self.random.below(self.living.len());
        let (incarnation, host) = self.living.iter().nth(at).expect("a worker that lives");
        (*incarnation, host.clone())
    }

    fn leader(&self) -> Option<usize> {
        let leads = |host: &Arc<Host>| host.worker.shared.view.borrow().leads;
        self.living.iter().find(|(_, host)| leads(host)).map(|(incarnation, _)| *incarnation)
    }

    async fn act(&mut self) {
        match self.random.below(16) {
            0 | 1 if self.living.len() < WORKERS_MAX => drop(self.join().await),
            2 if self.living.len() > 1 => {
                let (one, _) = self.someone();
                self.leave(one);
            }
            3 if self.living.len() > 1 => {
                let (one, _) = self.someone();
                self.die(one);
            }
            4 if self.living.len() > 1 => {
                if let Some(leader) = self.leader() {
                    self.die(leader);
                }
            }
            5 => {
                let (one, host) = self.someone();
                host.link.cut_group();
                self.say(format!("worker {one} is cut off from the group"));
            }
            6 => {
                let (one, host) = self.someone();
                host.link.cut_topics();
                self.say(format!("worker {one} is cut off from the topics"));
            }
            7 => {
                let (one, host) = self.someone();
                let slow = 100 << self.random.below(5);
                host.link.slow(slow);
                self.say(format!("worker {one} is slow: {slow} ms"));
            }
            8 => {
                let (one, host) = self.someone();
                let late = 100 << self.random.below(6);
                host.link.be_late(late);
                self.say(format!("worker {one} reads late: {late} ms"));
            }
            9 => {
                let (one, host) = self.someone();
                host.link.heal();
                self.say(format!("worker {one} is well"));
            }
            _ => self.wish().await,
        }
    }

    /// A client asks for something of a connector, unless one does.
    async fn wish(&mut self) {
        let at = self.random.below(NAMES);
        self.hear(at).await;
        if self.promises.get(&at).is_some_and(|promise| promise.request.is_some()) {
            return;
        }
        self.versions += 1;
        let wish = match self.random.below(8) {
            0..4 => Wish::Put { version: self.versions, tasks: self.random.below(7) },
            4 => Wish::Delete,
            5 => Wish::Target(Target::Paused),
            6 => Wish::Target(*self.random.pick(&[Target::Started, Target::Stopped])),
            _ => Wish::Restart,
        };
        if matches!(wish, Wish::Restart) {
            self.ledger.restarts(&format!("c{at}"));
        }
        let mut hosts: Vec<Weak<Host>> = self.living.values().map(Arc::downgrade).collect();
        let first = self.random.below(hosts.len());
        hosts.rotate_left(first);
        let promise = self.promises.entry(at).or_insert_with(|| Promise {
            may: BTreeSet::from([None]),
            asked: BTreeSet::new(),
            request: None,
            wish,
        });
        promise.wish = wish;
        promise.request = Some(tokio::spawn(request(hosts, format!("c{at}"), wish)));
        self.say(format!("c{at}: {wish:?}"));
    }

    /// Hears what became of a request, if that is known.
    async fn hear(&mut self, at: usize) {
        let Some(promise) = self.promises.get_mut(&at) else { return };
        let Some(request) = promise.request.take_if(|request| request.is_finished()) else { return };
        let answered = request.await.expect("a request does not panic");
        let becomes = match promise.wish {
            Wish::Put { version, .. } => Some(version),
            Wish::Delete => None,
            _ => return,
        };
        if answered {
            promise.may = promise.asked.clone();
        } else {
            promise.asked.insert(becomes);
        }
        promise.may.insert(becomes);
        self.say(format!("c{at}: answered {answered}"));
    }

    fn check(&self, when: &str) {
        let objections = self.ledger.objections();
        assert!(objections.is_empty(), "{when}: {objections:#?}\n{}", self.story());
    }

    fn story(&self) -> String {
        let Self { protocol, exactly_once, seed, .. } = self;
        let said = self.ledger.story(self.start);
        format!("{said}protocol {protocol}, exactly once {exactly_once}, {}", replay(SEEDS, *seed))
    }

    /// Nothing is wrong any more: everything comes to rest.
    async fn settle(&mut self) {
        self.living.values().for_each(|host| host.link.heal());
        self.say("all is well");
        let until = Instant::now() + REST;
        loop {
            self.check("on the way to rest");
            let amiss = self.amiss();
            match amiss {
                None => break,
                Some(what) => assert!(Instant::now() < until, "never at rest: {what}\n{}", self.story()),
            }
            sleep(Duration::from_millis(500)).await;
        }
        // Rounds that only move work may be put off.
        let mut owners = self.ledger.running();
        let mut since = Instant::now();
        while since.elapsed() < STILL {
            sleep(Duration::from_millis(500)).await;
            self.check("at rest");
            let now = self.ledger.running();
            let same = owners.len() == now.len()
                && owners.iter().zip(&now).all(|((piece, before), (other, after))| {
                    piece == other && before.incarnation == after.incarnation
                });
            if !same || self.amiss().is_some() {
                assert!(Instant::now() < until, "it goes on and on\n{}", self.story());
                (owners, since) = (now, Instant::now());
            }
        }
        for at in 0..NAMES {
            self.hear(at).await;
        }
        self.kept();
        self.spread();
        self.say("at rest");
    }

    fn amiss(&self) -> Option<String> {
        let (generation, members) = self.coordinator.members();
        let living: BTreeSet<usize> = self.living.keys().copied().collect();
        if members != living {
            return Some(format!("the members are {members:?}, and {living:?} live"));
        }
        if self
            .promises
            .values()
            .any(|promise| promise.request.as_ref().is_some_and(|asked| !asked.is_finished()))
        {
            return Some("a request is under way".to_owned());
        }
        let views: Vec<_> =
            self.living.values().map(|host| host.worker.shared.view.borrow().clone()).collect();
        let leads = views.iter().filter(|view| view.leads).count();
        if leads != 1
            || views.iter().any(|view| view.generation != generation || view.leader != views[0].leader)
        {
            return Some(format!("{leads} lead in generation {generation}: {views:?}"));
        }
        self.ledger.amiss(&members)
    }

    /// What clients were told is so.
    fn kept(&mut self) {
        let configs = self.ledger.configs();
        let mut broken = Vec::new();
        for (at, promise) in &mut self.promises {
            let config = configs.connector(&format!("c{at}"));
            let version = config.and_then(|config| config.get("version")?.parse::<i64>().ok());
            if !promise.may.contains(&version) {
                broken.push(format!("c{at} is {version:?}, and was told to be one of {:?}", promise.may));
            }
            (promise.may, promise.asked) = (BTreeSet::from([version]), BTreeSet::new());
        }
        assert!(broken.is_empty(), "{broken:?}\n{}", self.story());
    }

    /// Nobody has two more than another.
    fn spread(&self) {
        let mut views = Vec::new();
        for host in self.living.values() {
            views.push(host.worker.shared.view.borrow().work.clone());
        }
        for connectors in [true, false] {
            let count = |work: &Arc<_>| -> usize {
                let work: &super::group::Work = work;
                work.iter().filter(|piece| piece.is_connector() == connectors).count()
            };
            let (most, least) = (views.iter().map(count).max(), views.iter().map(count).min());
            let (most, least) = (most.unwrap_or(0), least.unwrap_or(0));
            assert!(most - least <= 1, "one has {most}, another {least}\n{}", self.story());
        }
    }

    /// A worker is lost, and another comes in its place in time; the others notice nothing.
    async fn replace(&mut self) {
        let leader = self.leader();
        let lost = self.living.keys().copied().filter(|one| Some(*one) != leader).max();
        let Some(lost) = lost.filter(|_| self.protocol != "eager") else { return };
        // One without work counts as one that has come.
        let idle = |host: &Arc<Host>| host.worker.shared.view.borrow().work.is_empty();
        if self.living.values().any(idle) {
            return;
        }
        let before = self.ledger.running();
        self.die(lost);
        // What is left of the session, and then most of the delay.
        let pause = self.random.below(DELAY_MS as usize - 1000) as u64;
        sleep(Duration::from_millis(pause)).await;
        let new = self.join().await;
        self.settle().await;
        for (piece, life) in self.ledger.running() {
            let was = before.get(&piece).map(|life| life.incarnation);
            let should = if was == Some(lost) { Some(new) } else { was };
            assert_eq!(Some(life.incarnation), should, "{piece:?} was at {was:?}\n{}", self.story());
        }
    }
}

/// Asks one worker after another until one does what is asked; whether one did.
async fn request(hosts: Vec<Weak<Host>>, name: String, wish: Wish) -> bool {
    for host in hosts.iter().cycle().take(ASKED_MAX) {
        let Some(host) = host.upgrade() else { continue };
        if host.link.is_dead() {
            continue;
        }
        let worker = host.worker.clone();
        let asked = async {
            match wish {
                Wish::Put { version, tasks } => {
                    let config = [
                        ("connector.class", "test.WitnessConnector".to_owned()),
                        ("name", name.clone()),
                        ("tasks.max", "10".to_owned()),
                        ("tasks", tasks.to_string()),
                        ("version", version.to_string()),
                    ];
                    let config = config.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                    worker.put_config(&name, config).await.map(drop)
                }
                Wish::Delete => worker.delete(&name).await,
                Wish::Target(target) => worker.set_target(&name, target).await,
                Wish::Restart => worker.restart_all(&name, true, false).await.map(drop),
            }
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(())) => return true,
            Ok(Err(WorkerError::Elsewhere(_))) => {}
            // It may have been done, or is about to be.
            _ => return false,
        }
    }
    false
}

async fn schedule(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..=world.random.below(3) {
        world.join().await;
    }
    for _ in 0..STEPS {
        world.act().await;
        let pause = world.random.below(2500) as u64;
        sleep(Duration::from_millis(pause)).await;
        world.check("on the way");
        if world.random.once_in(12) {
            world.settle().await;
        }
    }
    world.settle().await;
    world.replace().await;
    let last: Vec<usize> = world.living.keys().copied().collect();
    last.into_iter().for_each(|one| world.leave(one));
    sleep(Duration::from_secs(3)).await;
    world.check("at the end");
    let left: Vec<Piece> = world.ledger.running().into_keys().collect();
    assert!(left.is_empty(), "still runs: {left:?}\n{}", world.story());
}

#[test]
fn any_schedule_keeps_the_promises() {
    for seed in seeds(SEEDS, 0..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(schedule(seed));
    }
}
