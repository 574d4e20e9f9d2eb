//! One run, from an empty server to the history of everything that happened.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::time::{ClockId, clock_gettime};

use super::faults::{self, Fault};
use super::programs::{Ear, Program};
use super::proxy::Proxy;
use super::random::Random;
use super::wire;
use crate::bench::load::create_topic;
use crate::conformance::Options;
use crate::conformance::cache::Cache;
use crate::conformance::server::{Server, port};
use crate::history::{Act, History, Outcome, Place, Reader};

/// The topics; the names that the programs use.
pub const IN: &str = "eos-in";
pub const OUT: &str = "eos-out";
const GROUP: &str = "eos-group";
const PARTITIONS: i32 = 8;
/// Worker processes, and the threads of each: as many as there are partitions, so that each has one to move.
const WORKERS: usize = 2;
const SLOTS: usize = 4;
/// The most records of a transaction.
const RECORDS_OF_TRANSACTION_MAX: usize = 2;
/// How often the observer looks.
const OBSERVED_EVERY: Duration = Duration::from_millis(100);
/// How long a zombie is stalled: longer than its session and less than its transaction.
const STALL: Duration = Duration::from_millis(2_500);
/// Nothing may stand still for longer than this; restarts, sessions and transactions that time out pass in less.
const STANDSTILL_MAX: Duration = Duration::from_secs(90);
/// When the work is done, the last open transaction is aborted within its timeout of 10 s and 10 s more. Twice that is
/// waited for, for the sake of machines that have other work.
const REST_MAX: Duration = Duration::from_secs(40);
/// Lines that are no history, kept for the report of a failure.
const CHATTER_MAX: usize = 30;

/// What a run has shown.
pub struct Done {
    pub history: History,
    /// What happened, in numbers.
    pub told: String,
    /// What did not happen and should have.
    pub missing: Vec<String>,
}

/// The commands of the roles: `work` may be another client's.
pub struct Roles {
    pub work: Box<dyn Fn() -> anyhow::Result<Command>>,
    pub others: Box<dyn Fn() -> anyhow::Result<Command>>,
    /// Whether the client's transactions let late copies be made.
    pub late_copies: bool,
}

pub struct Run {
    roles: Roles,
    transactions: usize,
    random: Random,
    server: Server,
    proxy: Proxy,
    proxy_address: String,
    ear: Ear,
    reader: Reader,
    log: File,
    chatter: VecDeque<String>,
    workers: Vec<Program>,
    /// Stalled, with the moment when they go on.
    stalled: Vec<(Instant, Program)>,
    zombies: Vec<Program>,
    generation: usize,
    observer: Option<TcpStream>,
    observed: Instant,
    inputs: usize,
    committed: usize,
    aborted: usize,
    kills: [usize; 3],
    moved_at: Instant,
}

impl Run {
    /// Starts server, proxy and programs.
    pub fn start(
        roles: Roles,
        (seed, transactions): (u64, usize),
        options: &Options,
        cache: &Cache,
        folder: &Path,
    ) -> anyhow::Result<Run> {
        let mut random = Random::new(seed);
        let [port] = port::free()?;
        let server = Server::start_behind(
            port,
            options.against,
            options.binary.as_deref(),
            cache,
            &folder.join("server"),
        )?;
        let proxy = Proxy::start(port, server.address(), Random::new(random.next()))?;
        for topic in [IN, OUT] {
            create_topic(server.address(), topic, PARTITIONS)?;
        }
        let now = Instant::now();
        Ok(Run {
            roles,
            transactions,
            random,
            server,
            proxy,
            proxy_address: format!("127.0.0.1:{port}"),
            ear: Ear::new(),
            reader: Reader::default(),
            log: File::create(folder.join("history.jsonl"))?,
            chatter: VecDeque::new(),
            workers: Vec::new(),
            stalled: Vec::new(),
            zombies: Vec::new(),
            generation: 0,
            observer: None,
            observed: now,
            inputs: transactions * RECORDS_OF_TRANSACTION_MAX,
            committed: 0,
            aborted: 0,
            kills: [0; 3],
            moved_at: now,
        })
    }

    /// Lets everything happen, and tells what did.
    pub fn finish(mut self) -> anyhow::Result<Done> {
        let mut plan: VecDeque<_> = faults::plan(self.transactions, &mut self.random).into();
        let inputs = self.inputs.to_string();
        let mut feeder = self.program(false, &["feed", &inputs])?;
        let _reader = self.program(false, &["read"])?;
        for _ in 0..WORKERS {
            let worker = self.worker(self.workers.len())?;
            self.workers.push(worker);
        }
        while !self.all_moved() {
            self.listen(Instant::now() + OBSERVED_EVERY)?;
            if let Some((_, fault)) = plan.pop_front_if(|(after, _)| *after <= self.committed) {
                self.strike(fault)?;
            }
            self.tend()?;
            self.observe();
            ensure!(
                self.moved_at.elapsed() < STANDSTILL_MAX,
                "nothing was committed for {} s, after {} transactions; {}",
                STANDSTILL_MAX.as_secs(),
                self.committed,
                self.chatter()
            );
        }
        ensure!(feeder.wait()?, "the feeder failed: {}", self.chatter());
        self.rest()?;
        self.drain()?;
        let (told, missing) = self.tell(plan.len());
        Ok(Done { history: std::mem::take(&mut self.reader).finish(), told, missing })
    }

    fn program(&self, work: bool, arguments: &[&str]) -> anyhow::Result<Program> {
        let mut command = if work { (self.roles.work)()? } else { (self.roles.others)()? };
        command.args(arguments).env("BOOTSTRAP", &self.proxy_address);
        Program::start(command, &self.ear)
    }

    /// The next process in the place of a worker, with the same transactional ids.
    fn worker(&mut self, place: usize) -> anyhow::Result<Program> {
        self.generation += 1;
        let (name, seed) = (format!("w{place}.{}", self.generation), self.random.below(1 << 32).to_string());
        self.program(true, &["work", &name, &seed, &SLOTS.to_string()])
    }

    /// Takes in what the programs tell, until a moment.
    fn listen(&mut self, until: Instant) -> anyhow::Result<()> {
        loop {
            match self.ear.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.line(&line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => bail!("nobody tells anything"),
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        if !line.starts_with("[\"") {
            if self.chatter.len() == CHATTER_MAX {
                self.chatter.pop_front();
            }
            self.chatter.push_back(line.to_owned());
            return Ok(());
        }
        writeln!(self.log, "{line}")?;
        self.reader.line(line)?;
        if line.starts_with("[\"end\"") {
            let ok = line.contains(",\"ok\",");
            self.committed += usize::from(ok);
            self.aborted += usize::from(!ok);
            self.moved_at = Instant::now();
        }
        Ok(())
    }

    fn chatter(&self) -> String {
        self.chatter.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }

    fn strike(&mut self, fault: Fault) -> anyhow::Result<()> {
        let place = self.random.below(WORKERS as u64) as usize;
        match fault {
            Fault::KillBroker => {
                self.server.control("kill")?;
                self.observer = None;
                self.server.control("start")?;
            }
            Fault::KillWorker => {
                let next = self.worker(place)?;
                *self.workers.get_mut(place).context("no such worker")? = next;
            }
            Fault::StallWorker => {
                let next = self.worker(place)?;
                let worker = self.workers.get_mut(place).context("no such worker")?;
                worker.stall();
                self.stalled.push((Instant::now() + STALL, std::mem::replace(worker, next)));
            }
        }
        self.kills[fault as usize] += 1;
        Ok(())
    }

    /// Lets zombies go on, and replaces workers that gave up.
    fn tend(&mut self) -> anyhow::Result<()> {
        let (due, waiting) = std::mem::take(&mut self.stalled)
            .into_iter()
            .partition::<Vec<_>, _>(|(when, _)| *when <= Instant::now());
        self.stalled = waiting;
        for (_, zombie) in due {
            zombie.resume();
            self.zombies.push(zombie);
        }
        for place in 0..self.workers.len() {
            if self.workers.get_mut(place).is_some_and(|worker| worker.has_ended().unwrap_or(true)) {
                let next = self.worker(place)?;
                if let Some(worker) = self.workers.get_mut(place) {
                    *worker = next;
                }
            }
        }
        Ok(())
    }

    /// Looks at ends and committed offsets. A server that is down, or not ready, is looked at later.
    fn observe(&mut self) {
        if self.observed.elapsed() < OBSERVED_EVERY {
            return;
        }
        self.observed = Instant::now();
        if self.try_observe().is_err() {
            self.observer = None;
        }
    }

    fn try_observe(&mut self) -> anyhow::Result<()> {
        let mut stream = match self.observer.take() {
            Some(stream) => stream,
            None => wire::open(self.server.address())?,
        };
        let begun = now();
        for ends in wire::both_ends(&mut stream, OUT, PARTITIONS)? {
            self.saw(begun, Act::Ends(ends));
        }
        let begun = now();
        for at in wire::committed(&mut stream, GROUP, IN, PARTITIONS)? {
            self.saw(begun, Act::Committed { group: GROUP.to_owned(), at });
        }
        self.observer = Some(stream);
        Ok(())
    }

    fn saw(&mut self, begun: u64, act: Act) {
        self.reader.push("observer".to_owned(), begun, now(), Outcome::Ok, act);
    }

    /// Whether the group has committed the last input.
    fn all_moved(&mut self) -> bool {
        let Some(mut stream) = self.observer.take() else { return false };
        let moved = wire::committed(&mut stream, GROUP, IN, PARTITIONS).map(|places| {
            places.iter().map(|place| usize::try_from(place.offset).unwrap_or(0)).sum::<usize>()
        });
        self.observer = moved.is_ok().then_some(stream);
        moved.is_ok_and(|moved| moved >= self.inputs)
    }

    /// Ends the workers, and waits until every transaction is decided.
    fn rest(&mut self) -> anyhow::Result<()> {
        self.stalled.clear();
        self.zombies.clear();
        self.workers.clear();
        let begun = Instant::now();
        let mut stream = wire::open(self.server.address())?;
        loop {
            let ends = wire::both_ends(&mut stream, OUT, PARTITIONS)?;
            if ends.iter().all(|ends| ends.last_stable == ends.high_watermark) {
                break;
            }
            ensure!(begun.elapsed() < REST_MAX, "transactions hang: {ends:?}");
            self.listen(Instant::now() + OBSERVED_EVERY)?;
        }
        self.observer = Some(stream);
        self.try_observe()
    }

    /// Reads everything once more, by a client and batch by batch.
    fn drain(&mut self) -> anyhow::Result<()> {
        let mut drain = self.program(false, &["drain"])?;
        while !drain.has_ended()? {
            self.listen(Instant::now() + OBSERVED_EVERY)?;
        }
        ensure!(drain.wait()?, "the last reading failed: {}", self.chatter());
        // What is still on its way from the pipe.
        self.listen(Instant::now() + OBSERVED_EVERY * 10)?;
        let mut stream = wire::open(self.server.address())?;
        for topic in [IN, OUT] {
            for (partition, (end, _)) in (0..).zip(wire::ends(&mut stream, topic, PARTITIONS, false)?) {
                let begun = now();
                let scan = wire::scan(&mut stream, topic, partition, end)?;
                self.saw(begun, Act::Scan(scan));
            }
        }
        let ends = wire::ends(&mut stream, IN, PARTITIONS, false)?;
        for Place { key, offset } in wire::committed(&mut stream, GROUP, IN, PARTITIONS)? {
            let partition: usize = key.rsplit('-').next().context("a key has a number")?.parse()?;
            let end = ends.get(partition).context("no such partition")?.0;
            self.saw(now(), Act::Rest { group: GROUP.to_owned(), key, committed: offset, end });
        }
        Ok(())
    }

    /// What happened in numbers, and what should have happened and did not.
    fn tell(&self, left: usize) -> (String, Vec<String>) {
        let counts = self.proxy.counts();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as usize;
        let [brokers, killed, stalled] = self.kills;
        let late = usize::from(self.roles.late_copies) * (self.transactions / 200).max(1);
        let told = [
            ("committed", self.committed, self.transactions * 9 / 10),
            ("aborted", self.aborted, self.transactions / 100),
            ("brokers killed", brokers, 1),
            ("workers killed", killed, 1),
            ("workers stalled", stalled, 1),
            ("requests", count(&counts.requests), self.transactions),
            ("delayed", count(&counts.delayed), self.transactions / 100),
            ("connections cut", count(&counts.cut), 1),
            ("late EndTxn", count(&counts.late_end_txns), late),
            ("late EndTxn refused", count(&counts.late_end_txns_refused), late.min(1)),
            ("late Produce", count(&counts.late_produces), late),
            ("late TxnOffsetCommit", count(&counts.late_commits), late),
        ];
        let mut missing: Vec<String> = told
            .iter()
            .filter(|(_, happened, least)| happened < least)
            .map(|(what, happened, least)| format!("{what}: {happened}, at least {least} were expected"))
            .collect();
        if left > 0 {
            missing.push(format!("{left} faults did not come about"));
        }
        let told: Vec<String> = told.iter().map(|(what, happened, _)| format!("{happened} {what}")).collect();
        (told.join(", "), missing)
    }
}

/// The machine's clock that never goes back, which all programs read.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
