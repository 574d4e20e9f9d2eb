//! Who runs what at each moment, and what was wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::group::{Piece, Work};
use super::super::tables::{ConfigState, TableState, Target};
use super::link::Link;
use crate::testing::MemoryTopics;

/// How long a lost membership may come after what it was lost for.
const AFTERMATH: Duration = Duration::from_secs(20);

/// How long a restart may come after it was asked for.
const ASKED: Duration = Duration::from_secs(60);

/// What a member was told last.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub(super) generation: i32,
    /// How far the settings were read by whoever decided.
    pub(super) offset: i64,
    /// What it ran, and what it is to start.
    pub(super) may: Work,
    /// What of it is to stop.
    pub(super) stops: Work,
}

/// Something that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) incarnation: usize,
    /// The version of its settings.
    pub(super) version: i64,
    number: u64,
    /// How many records of settings the worker had read.
    configured: usize,
}

/// A worker, from its start to its end.
#[derive(Debug)]
struct Process {
    link: Arc<Link>,
    assigned: Option<Assigned>,
    /// What it was told to stop since it started it.
    revoked: Work,
    leaves: bool,
    /// The coordinator gave it up.
    given_up: bool,
}

#[derive(Debug, Default)]
struct State {
    processes: BTreeMap<usize, Process>,
    running: BTreeMap<Piece, Life>,
    /// Who ran a piece last, and in which generation.
    last: BTreeMap<Piece, (usize, i32)>,
    numbers: u64,
    objections: Vec<String>,
    /// When connectors were asked to restart last.
    restarts: BTreeMap<String, Instant>,
    /// What happened, and when.
    said: Vec<(Instant, String)>,
}

impl State {
    fn say(&mut self, what: String) {
        self.said.push((Instant::now(), what));
    }
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    state: Mutex<State>,
    topics: MemoryTopics,
    /// Whether members stop everything before each round.
    eager: bool,
}

impl Ledger {
    pub(super) fn new(topics: MemoryTopics, eager: bool) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), topics, eager })
    }

    pub(super) fn object(&self, what: String) {
        self.state.lock().objections.push(what);
    }

    pub(super) fn objections(&self) -> Vec<String> {
        self.state.lock().objections.clone()
    }

    pub(super) fn say(&self, what: String) {
        self.state.lock().say(what);
    }

    /// What happened until now, with seconds since `start`.
    pub(super) fn story(&self, start: Instant) -> String {
        let line = |(at, what): &(Instant, String)| format!("{:7.3} {what}\n", (*at - start).as_secs_f64());
        self.state.lock().said.iter().map(line).collect()
    }

    pub(super) fn begins(&self, incarnation: usize, link: Arc<Link>) {
        let process = Process { link, assigned: None, revoked: Work::new(), leaves: false, given_up: false };
        self.state.lock().processes.insert(incarnation, process);
    }

    /// All of a connector is to restart.
    pub(super) fn restarts(&self, connector: &str) {
        self.state.lock().restarts.insert(connector.to_owned(), Instant::now());
    }

    /// A worker is told to end in peace.
    pub(super) fn leaves(&self, incarnation: usize) {
        if let Some(process) = self.state.lock().processes.get_mut(&incarnation) {
            process.leaves = true;
        }
    }

    /// A process is gone, with all that ran in it.
    pub(super) fn dies(&self, incarnation: usize) {
        let mut state = self.state.lock();
        state.running.retain(|_, life| life.incarnation != incarnation);
    }

    pub(super) fn given_up(&self, incarnation: usize) {
        let mut state = self.state.lock();
        if let Some(process) = state.processes.get_mut(&incarnation) {
            process.given_up = true;
        }
        state.say(format!("  worker {incarnation} is no member any more"));
    }

    /// A worker joins a round, and says what it runs.
    pub(super) fn joins(&self, incarnation: usize, said: &Work) {
        let mut state = self.state.lock();
        let runs = state.running.iter().filter(|(_, life)| life.incarnation == incarnation);
        let runs: Work = runs.map(|(piece, _)| piece.clone()).collect();
        let unsaid = if self.eager { runs } else { &runs - said };
        if !unsaid.is_empty() {
            state
                .objections
                .push(format!("worker {incarnation} joins, and does not say that it runs {unsaid:?}"));
        }
    }

    /// A worker learns what it is to run.
    pub(super) fn assigned(&self, incarnation: usize, assigned: Assigned) {
        let mut state = self.state.lock();
        state.say(format!("  worker {incarnation} is told {assigned:?}"));
        let Some(process) = state.processes.get_mut(&incarnation) else { return };
        let before = process.assigned.as_ref().map_or(-1, |known| known.generation);
        process.revoked.extend(assigned.stops.iter().cloned());
        process.given_up = false;
        let generation = assigned.generation;
        process.assigned = Some(assigned);
        if generation <= before {
            state
                .objections
                .push(format!("worker {incarnation} is in generation {generation} after {before}"));
        }
    }

    /// Something starts to run at a worker, which has read `read` records of settings and is of a generation; the number of
    /// its life.
    pub(super) fn starts(
        &self,
        piece: &Piece,
        incarnation: usize,
        version: i64,
        (read, generation): (i64, i32),
    ) -> u64 {
        // A worker may lag behind, and has to stop what it started by settings that had changed already.
        let configured = usize::try_from(read).unwrap_or(0);
        let mut state = self.state.lock();
        state.say(format!(
            "  worker {incarnation} starts {piece:?} of version {version} in {generation}, at {read}"
        ));
        state.numbers += 1;
        let number = state.numbers;
        let Some(process) = state.processes.get_mut(&incarnation).filter(|process| !process.link.is_dead())
        else {
            return number;
        };
        // What starts as before while its revocation arrives is still to stop.
        if process.assigned.as_ref().is_none_or(|assigned| generation >= assigned.generation) {
            process.revoked.remove(piece);
        }
        let mut wrong = Vec::new();
        match &process.assigned {
            Some(assigned) if !assigned.may.contains(piece) => {
                wrong.push(format!("worker {incarnation} starts {piece:?}, which it was not given"));
            }
            Some(assigned) if read < assigned.offset && generation == assigned.generation => {
                let offset = assigned.offset;
                wrong.push(format!("worker {incarnation} starts {piece:?} at {read}, and was told {offset}"));
            }
            Some(_) => {}
            None => wrong.push(format!("worker {incarnation} starts {piece:?}, and is no member")),
        }
        let life = Life { incarnation, version, number, configured };
        if let Some(other) = state.running.insert(piece.clone(), life) {
            wrong
                .push(format!("{piece:?} starts at worker {incarnation}, and runs at {}", other.incarnation));
        }
        // One that has lost its membership meanwhile has no generation, and is stopping.
        if generation >= 0
            && let Some((before, earlier)) = state.last.insert(piece.clone(), (incarnation, generation))
            && (earlier > generation || (earlier == generation && before != incarnation))
        {
            wrong.push(format!("{piece:?} starts in generation {generation}, after {earlier} at {before}"));
        }
        state.objections.extend(wrong);
        number
    }

    /// Something has stopped.
    pub(super) fn stops(&self, piece: &Piece, number: u64) {
        let mut state = self.state.lock();
        let Some(life) = state.running.get(piece).copied().filter(|life| life.number == number) else {
            return;
        };
        state.running.remove(piece);
        state.say(format!("  worker {} has stopped {piece:?}", life.incarnation));
        let Some(process) = state.processes.get(&life.incarnation) else { return };
        let lost = process.leaves || process.given_up || process.link.was_disturbed(AFTERMATH);
        let asked = state.restarts.get(piece.connector()).is_some_and(|at| at.elapsed() < ASKED);
        let told = process.revoked.contains(piece) || self.eager || asked;
        if !lost && !told && !self.changed(piece, life.configured) {
            state.objections.push(format!("{piece:?} stops at worker {} for nothing", life.incarnation));
        }
    }

    /// Whether the settings of a piece changed since there were so many records of settings.
    fn changed(&self, piece: &Piece, since: usize) -> bool {
        let name = piece.connector();
        let own =
            [format!("connector-{name}"), format!("commit-{name}"), format!("restart-connector-{name}")];
        let target = format!("target-state-{name}");
        self.topics.read("configs").iter().skip(since).any(|record| {
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
            let stops = || {
                record.value.as_deref().is_none_or(|value| value.windows(7).any(|part| part == b"STOPPED"))
            };
            own.iter().any(|known| known == key) || (key == target && stops())
        })
    }

    pub(super) fn running(&self) -> BTreeMap<Piece, Life> {
        self.state.lock().running.clone()
    }

    /// What the topic of settings says.
    pub(super) fn configs(&self) -> ConfigState {
        let mut configs = ConfigState::default();
        for record in self.topics.read("configs") {
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default();
            configs.apply(key, record.value.as_deref());
        }
        configs
    }

    /// What is amiss with what runs, given that all should by now.
    pub(super) fn amiss(&self, members: &BTreeSet<usize>) -> Option<String> {
        let (configs, running) = (self.configs(), self.running());
        let stopped =
            |piece: &&Piece| piece.is_connector() && configs.target(piece.connector()) == Target::Stopped;
        let should = configs.work();
        for name in configs.names() {
            let wanted = |key: &str| configs.connector(name)?.get(key)?.parse::<i64>().ok();
            let count = if configs.target(name) == Target::Stopped { Some(0) } else { wanted("tasks") };
            let planned = configs.planned(name);
            if i64::try_from(planned.len()).ok() != count {
                return Some(format!("{name} has {} tasks, not {count:?}", planned.len()));
            }
        }
        let should: Work = should.iter().filter(|piece| !stopped(piece)).cloned().collect();
        let does: Work = running.keys().cloned().collect();
        if should != does {
            return Some(format!("missing: {:?}, too much: {:?}", &should - &does, &does - &should));
        }
        for (piece, life) in &running {
            let config = configs.connector(piece.connector());
            let version = config.and_then(|config| config.get("version")?.parse::<i64>().ok());
            if version != Some(life.version) {
                return Some(format!("{piece:?} has version {}, not {version:?}", life.version));
            }
            if !members.contains(&life.incarnation) {
                return Some(format!("{piece:?} runs at {}, which is no member", life.incarnation));
            }
        }
        None
    }
}
