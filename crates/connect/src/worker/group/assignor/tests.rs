use vltava_core::testing::{Random, replay, seeds};

use super::*;

/// The seeds of the random schedules.
const SEEDS: &str = "VLTAVA_CONNECT_SEEDS";

fn piece(text: &str) -> Piece {
    match text.split_once('-') {
        Some((name, task)) => Piece::Task(name.to_owned(), task.parse().unwrap()),
        None => Piece::Connector(text.to_owned()),
    }
}

/// `a a-0 a-1` is a connector and two tasks.
fn work(text: &str) -> Work {
    text.split_whitespace().map(piece).collect()
}

/// `x: a a-0; y: b` is what two members run.
fn members(text: &str) -> Members {
    let member = |part: &str| {
        let (name, pieces) = part.split_once(':').unwrap();
        (name.trim().to_owned(), work(pieces))
    };
    text.split(';').map(member).collect()
}

const DELAY: i64 = 1000;

/// What came before, then one row for each round: the time, all that should run, what members run; and what comes of it:
/// what they start, what they stop, and after how long they come again.
type Row = (i64, &'static str, &'static str, &'static str, &'static str, i64);

fn check(what: &str, delay_max_ms: i64, rows: &[Row]) {
    let mut assignor = Assignor::new(delay_max_ms);
    for (generation, (now_ms, configured, running, starts, stops, delay_ms)) in (0..).zip(rows) {
        let (configured, running) = (work(configured), members(running));
        let shares = assignor.assign(&Round {
            now_ms: *now_ms,
            completed: generation - 1,
            generation,
            configured: &configured,
            members: &running,
        });
        let row = format!("{what}, round {generation}");
        assert_eq!(shares.starts, members(starts), "starts: {row}");
        assert_eq!(shares.stops, members(stops), "stops: {row}");
        assert_eq!(shares.delay_ms, *delay_ms, "delay: {row}");
    }
}

#[test]
fn work_moves_as_little_as_it_can() {
    check("new work is spread", DELAY, &[(0, "a a-0 a-1 b", "x:; y:", "x: a a-0; y: b a-1", "x:; y:", 0)]);
    check(
        "a new member gets its share, once others have stopped it",
        DELAY,
        &[
            (0, "a a-0 a-1 b b-0 b-1", "x:", "x: a a-0 a-1 b b-0 b-1", "x:", 0),
            (1, "a a-0 a-1 b b-0 b-1", "x: a a-0 a-1 b b-0 b-1; y:", "x:; y:", "x: a a-0 a-1; y:", 0),
            (2, "a a-0 a-1 b b-0 b-1", "x: b b-0 b-1; y:", "x:; y: a a-0 a-1", "x:; y:", 0),
        ],
    );
    check(
        "what is deleted stops, also when the leader is new",
        DELAY,
        &[(0, "a", "x: a b b-0; y:", "x:; y:", "x: b b-0; y:", 0)],
    );
    check(
        "what runs twice stops everywhere, and starts once",
        DELAY,
        &[
            (0, "a a-0 a-1", "x: a a-0; y: a-0 a-1", "x:; y:", "x: a-0; y: a-0", 0),
            (1, "a a-0 a-1", "x: a; y: a-1", "x: a-0; y:", "x:; y:", 0),
        ],
    );
    check(
        "a stop that was not heard is said again",
        DELAY,
        &[
            (0, "a-0 a-1", "x: a-0 a-1; y:", "x:; y:", "x: a-0; y:", 0),
            (1, "a-0 a-1", "x: a-0 a-1; y:", "x:; y:", "x:; y:", 40),
            (50, "a-0 a-1", "x: a-0 a-1; y:", "x:; y:", "x: a-0; y:", 0),
            (51, "a-0 a-1", "x: a-1; y:", "x:; y: a-0", "x:; y:", 0),
        ],
    );
    check(
        "a start that was not heard is said again",
        DELAY,
        &[
            (0, "a-0 a-1", "x:; y:", "x: a-0; y: a-1", "x:; y:", 0),
            (1, "a-0 a-1", "x:; y: a-1", "x: a-0; y:", "x:; y:", 0),
        ],
    );
}

#[test]
fn work_of_a_lost_member_waits_for_it() {
    let begun: Row = (0, "a-0 a-1 a-2", "x:; y:; z:", "x: a-0; y: a-1; z: a-2", "x:; y:; z:", 0);
    check(
        "and is placed when nobody came",
        DELAY,
        &[
            begun,
            (100, "a-0 a-1 a-2", "x: a-0; y: a-1", "x:; y:", "x:; y:", 1000),
            (500, "a-0 a-1 a-2", "x: a-0; y: a-1", "x:; y:", "x:; y:", 600),
            (1100, "a-0 a-1 a-2", "x: a-0; y: a-1", "x: a-2; y:", "x:; y:", 0),
        ],
    );
    check(
        "and goes to who came meanwhile",
        DELAY,
        &[
            begun,
            (100, "a-0 a-1 a-2", "x: a-0; y: a-1", "x:; y:", "x:; y:", 1000),
            (200, "a-0 a-1 a-2", "x: a-0; y: a-1; z2:", "x:; y:; z2:", "x:; y:; z2:", 900),
            (1100, "a-0 a-1 a-2", "x: a-0; y: a-1; z2:", "x:; y:; z2: a-2", "x:; y:; z2:", 0),
        ],
    );
    check(
        "and new work does not",
        DELAY,
        &[begun, (100, "a-0 a-1 a-2 b", "x: a-0; y: a-1", "x: b; y:", "x:; y:", 1000)],
    );
    check(
        "unless nothing ever waits",
        0,
        &[begun, (100, "a-0 a-1 a-2", "x: a-0; y: a-1", "x: a-2; y:", "x:; y:", 0)],
    );
    check(
        "and is gone when it is deleted",
        DELAY,
        &[begun, (100, "a-0 a-1", "x: a-0; y: a-1", "x:; y:", "x:; y:", 0)],
    );
}

#[test]
fn eager_rounds_share_out_everything() {
    let shares = eager(&work("a a-0 a-1 b"), ["x", "y"].into_iter().map(str::to_owned));
    assert_eq!(shares, members("x: a a-0; y: b a-1"));
}

/// A worker, as far as its leader sees it.
struct Worker {
    running: Work,
    completed: i32,
    assignor: Assignor,
}

/// A group whose members come, go, crash, and miss what they are told.
struct Group {
    random: Random,
    workers: BTreeMap<String, Worker>,
    leader: String,
    generation: i32,
    now_ms: i64,
    configured: Work,
    seed: u64,
}

impl Group {
    fn join(&mut self) {
        let name = format!("w{}", self.random.below(1_000_000));
        let assignor = Assignor::new(DELAY);
        self.workers.insert(name, Worker { running: Work::new(), completed: -1, assignor });
    }

    fn disturb(&mut self) {
        match self.random.below(6) {
            0 if self.workers.len() < 7 => self.join(),
            1 if self.workers.len() > 1 => {
                let at = self.random.below(self.workers.len());
                let gone = self.workers.keys().nth(at).unwrap().clone();
                self.workers.remove(&gone);
            }
            2 => {
                let (name, tasks) = (self.random.below(9), self.random.below(12));
                self.configured.retain(|piece| piece.connector() != format!("c{name}"));
                self.configured.insert(Piece::Connector(format!("c{name}")));
                self.configured.extend((0..tasks).map(|task| Piece::Task(format!("c{name}"), task)));
            }
            3 => {
                let name = format!("c{}", self.random.below(9));
                self.configured.retain(|piece| piece.connector() != name);
            }
            _ => self.now_ms += i64::try_from(self.random.below(2000)).unwrap(),
        }
    }

    /// One round; whether another one has to follow, and after how long.
    fn round(&mut self, misses: bool) -> Option<i64> {
        self.generation += 1;
        if !self.workers.contains_key(&self.leader) {
            self.leader = self.workers.keys().next().unwrap().clone();
        }
        let members: Members =
            self.workers.iter().map(|(name, worker)| (name.clone(), worker.running.clone())).collect();
        let (now_ms, generation) = (self.now_ms, self.generation);
        let leader = self.workers.get_mut(&self.leader).unwrap();
        let round = Round {
            now_ms,
            completed: leader.completed,
            generation,
            configured: &self.configured,
            members: &members,
        };
        let shares = leader.assignor.assign(&round);
        self.least_moves(&members, &shares);
        let mut missed = false;
        for (name, running) in members {
            if misses && self.random.once_in(10) {
                missed = true;
                continue;
            }
            let worker = self.workers.get_mut(&name).unwrap();
            worker.running = &(&running - &shares.stops[&name]) | &shares.starts[&name];
            worker.completed = generation;
            self.at_most_once();
        }
        let stops = shares.stops.values().any(|work| !work.is_empty());
        (stops || missed || shares.delay_ms > 0).then_some(if stops { 0 } else { shares.delay_ms })
    }

    fn at_most_once(&self) {
        let mut seen = Work::new();
        for piece in self.workers.values().flat_map(|worker| &worker.running) {
            assert!(seen.insert(piece.clone()), "{piece:?} runs twice, {}", replay(SEEDS, self.seed));
        }
    }

    fn least_moves(&self, members: &Members, shares: &Shares) {
        for connectors in [true, false] {
            let of_kind = |piece: &&Piece| piece.is_connector() == connectors;
            let least = self.configured.iter().filter(of_kind).count() / members.len();
            for (name, stops) in &shares.stops {
                let stopped =
                    stops.iter().filter(of_kind).filter(|piece| self.configured.contains(piece)).count();
                let kept =
                    members[name].iter().filter(of_kind).filter(|piece| self.configured.contains(piece));
                assert!(
                    stopped == 0 || kept.count() - stopped >= least,
                    "stopped in vain, {}",
                    replay(SEEDS, self.seed)
                );
            }
        }
    }

    fn at_rest(&mut self) {
        for _ in 0..40 {
            match self.round(false) {
                Some(delay_ms) => self.now_ms += delay_ms,
                None => break,
            }
        }
        let running: Vec<&Work> = self.workers.values().map(|worker| &worker.running).collect();
        let all: Work = running.iter().copied().flatten().cloned().collect();
        assert_eq!(all, self.configured, "all that should run runs, {}", replay(SEEDS, self.seed));
        for connectors in [true, false] {
            let count = |work: &&Work| work.iter().filter(|piece| piece.is_connector() == connectors).count();
            let counts = || running.iter().map(count);
            let spread = counts().max().unwrap() - counts().min().unwrap();
            assert!(spread <= 1, "{spread} between the most and the least, {}", replay(SEEDS, self.seed));
        }
    }
}

#[test]
fn whatever_happens_nothing_runs_twice_and_all_runs_at_rest() {
    for seed in seeds(SEEDS, 0..300) {
        let mut group = Group {
            random: Random::new(seed),
            workers: BTreeMap::new(),
            leader: String::new(),
            generation: 0,
            now_ms: 0,
            configured: Work::new(),
            seed,
        };
        group.join();
        for _ in 0..60 {
            group.disturb();
            group.round(true);
            if group.random.once_in(10) {
                group.at_rest();
            }
        }
        group.at_rest();
    }
}
