//! The laws of [`crate::machine`], checked for a machine by commands that its test makes up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;

use super::Random;
use crate::clock::Moment;
use crate::id::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::image::Image;
use crate::machine::{Context, Decision, Encoded, Entry, Place, Reply, StateMachine, Timer, TransactionEnd};

/// How many timers fire after the last command, at most, before parked answers count as lost.
const CLOSING_TIMERS_MAX: usize = 10_000;

/// Drives a machine with `steps` commands for each seed, fires its timers in between, and checks the four laws of
/// [`crate::machine`]. A panic names the seed and the step.
///
/// `command` makes up the next command from the machine as it stands.
pub fn machine_suite<M>(
    seeds: std::ops::Range<u64>,
    steps: usize,
    image: &Image,
    new: impl Fn() -> M,
    mut command: impl FnMut(&M, &mut Random) -> M::Command,
) where
    M: StateMachine + PartialEq + Debug,
{
    for seed in seeds {
        let mut run = Run::new(seed, image, &new);
        for step in 0..steps {
            run.step = step;
            run.let_time_pass();
            let command = command(&run.live, &mut run.random);
            run.deliver(command);
        }
        run.check_nothing_stays_parked();
        run.check_replay(&new);
        run.check_snapshot(&new);
        run.check_foreign_records(&new);
    }
}

/// One entry of the log that a run writes.
#[derive(Clone)]
struct Written {
    encoded: Encoded,
    place: Place,
}

struct Run<'a, M: StateMachine> {
    seed: u64,
    step: usize,
    random: Random,
    image: &'a Image,
    /// What a leader holds: volatile state as well.
    live: M,
    /// What the events that were logged add up to, as they were decided.
    decided: M,
    log: Vec<Written>,
    end: Offset,
    now: Moment,
    wall: Timestamp,
    timers: HashMap<M::Key, (Moment, u64, M::Command)>,
    timers_set: u64,
    parked: HashSet<M::Key>,
}

impl<'a, M: StateMachine + PartialEq + Debug> Run<'a, M> {
    fn new(seed: u64, image: &'a Image, new: impl Fn() -> M) -> Run<'a, M> {
        let mut run = Run {
            seed,
            step: 0,
            random: Random::new(seed),
            image,
            live: new(),
            decided: new(),
            log: Vec::new(),
            end: Offset::ZERO,
            now: Moment::default(),
            wall: Timestamp(1_700_000_000_000),
            timers: HashMap::new(),
            timers_set: 0,
            parked: HashSet::new(),
        };
        let loaded = run.decide(M::loaded);
        run.carry_out(loaded);
        run
    }

    fn fail(&self, why: &str) -> ! {
        panic!("seed {} step {}: {why}", self.seed, self.step)
    }

    fn decide(&mut self, decide: impl FnOnce(&M, &Context<'_>) -> Decision<M>) -> Decision<M> {
        let entropy = self.random.entropy();
        let context = Context { now: self.now, wall: self.wall, entropy, image: self.image };
        decide(&self.live, &context)
    }

    fn deliver(&mut self, command: M::Command) {
        let decision = self.decide(|machine, context| machine.decide(context, command));
        self.carry_out(decision);
    }

    fn carry_out(&mut self, decision: Decision<M>) {
        // As the runtime does it: everything is encoded before anything is applied.
        let encoded: Vec<_> =
            decision.events.iter().map(|event| self.live.encode(event, self.image)).collect();
        for (event, encoded) in decision.events.iter().zip(encoded) {
            self.apply(event, encoded, decision.transaction.and_then(|write| write.within()));
        }
        for (key, _) in &decision.releases {
            self.parked.remove(key);
        }
        if let Reply::Parked(key) = decision.reply
            && !self.parked.insert(key.clone())
        {
            self.fail(&format!("an answer waits under {key:?} already, and was not released"));
        }
        for timer in decision.timers {
            self.timers_set += 1;
            match timer {
                Timer::Set { key, at, command } => self.timers.insert(key, (at, self.timers_set, command)),
                Timer::Cancel(key) => self.timers.remove(&key),
            };
        }
    }

    fn apply(
        &mut self,
        event: &M::Event,
        encoded: Encoded,
        transaction: Option<(ProducerId, ProducerEpoch)>,
    ) {
        let place = Place { offset: self.end, timestamp: self.wall, transaction };
        self.live.apply(event, place);
        if encoded == Encoded::Volatile {
            return;
        }
        match decode(&self.live, &encoded) {
            Ok(Some(read)) if read == *event => {}
            other => self.fail(&format!("{event:?} was read back as {other:?}")),
        }
        self.decided.apply(event, place);
        self.log.push(Written { encoded, place });
        self.end = self.end.next();
    }

    fn let_time_pass(&mut self) {
        let milliseconds = [0, 0, 1, 100, 3_000, 60_000][self.random.below(6)];
        self.now = self.now + Duration::from_millis(milliseconds);
        self.wall = self.wall.plus(i64::try_from(milliseconds).unwrap_or(0));
        while self.fire_earliest(self.now) {}
    }

    fn fire_earliest(&mut self, until: Moment) -> bool {
        let due = self.timers.iter().min_by_key(|(_, (at, order, _))| (*at, *order));
        let Some(key) = due.filter(|(_, (at, ..))| *at <= until).map(|(key, _)| key.clone()) else {
            return false;
        };
        let Some((at, _, command)) = self.timers.remove(&key) else { return false };
        let passed = at.since(self.now);
        self.now = self.now.max(at);
        self.wall = self.wall.plus(i64::try_from(passed.as_millis()).unwrap_or(0));
        self.deliver(command);
        true
    }

    fn check_nothing_stays_parked(&mut self) {
        for _ in 0..CLOSING_TIMERS_MAX {
            if self.parked.is_empty() || !self.fire_earliest(Moment(Duration::MAX)) {
                break;
            }
        }
        if !self.parked.is_empty() {
            self.fail(&format!("answers were never released: {:?}", self.parked));
        }
    }

    fn check_replay(&self, new: impl Fn() -> M) {
        let replayed = replay(new(), &self.log);
        if replayed != self.decided {
            self.fail(&format!("the replay is\n{replayed:#?}\nthe live state was\n{:#?}", self.decided));
        }
        let compacted = replay(new(), &compacted(&self.log));
        if compacted != self.decided {
            self.fail(&format!(
                "the compacted log is\n{compacted:#?}\nthe whole log was\n{:#?}",
                self.decided
            ));
        }
    }

    fn check_snapshot(&self, new: impl Fn() -> M) {
        let mut restored = new();
        let place = Place { offset: self.end, timestamp: self.wall, transaction: None };
        for event in self.decided.snapshot() {
            restored.apply(&event, place);
        }
        if sorted(&restored) != sorted(&self.decided) {
            self.fail(&format!("the snapshot builds\n{restored:#?}\nfrom\n{:#?}", self.decided));
        }
    }

    /// Our own records in a wrong order, doubled, torn and with bits turned over.
    fn check_foreign_records(&mut self, new: impl Fn() -> M) {
        let mut machine = new();
        for _ in 0..self.log.len() {
            let chosen = self.random.below(self.log.len());
            let mut written = self.log[chosen].clone();
            if self.random.once_in(2) {
                damage(&mut written.encoded, &mut self.random);
            }
            if let Ok(Some(event)) = decode(&machine, &written.encoded) {
                machine.apply(&event, written.place);
            }
        }
    }
}

/// A snapshot's events in an order of their own: machines may list them as their maps do.
fn sorted<M: StateMachine>(machine: &M) -> Vec<String> {
    let mut events: Vec<_> = machine.snapshot().iter().map(|event| format!("{event:?}")).collect();
    events.sort_unstable();
    events
}

fn decode<M: StateMachine>(machine: &M, encoded: &Encoded) -> Result<Option<M::Event>, String> {
    let entry = match encoded {
        Encoded::Volatile => return Ok(None),
        Encoded::Record { key, value } => Entry::Record { key: key.as_ref(), value: value.as_ref() },
        Encoded::End(end) => Entry::End(*end),
        Encoded::Unfit { why } => return Err(format!("an event that no record can hold: {why}")),
    };
    machine.decode(entry).map_err(|error| error.to_string())
}

fn replay<M: StateMachine>(mut machine: M, log: &[Written]) -> M {
    for written in log {
        match decode(&machine, &written.encoded) {
            Ok(Some(event)) => machine.apply(&event, written.place),
            Ok(None) => {}
            Err(error) => panic!("what was written cannot be read: {error}"),
        }
    }
    machine
}

/// What compaction leaves: of each key the last record; of records without a key, of transactions and of markers
/// everything, because it may not look into those before they end.
fn compacted(log: &[Written]) -> Vec<Written> {
    let mut last: BTreeMap<Bytes, usize> = BTreeMap::new();
    let key_of = |written: &Written| match &written.encoded {
        Encoded::Record { key: Some(key), .. } if written.place.transaction.is_none() => Some(key.clone()),
        _ => None,
    };
    for (index, written) in log.iter().enumerate() {
        if let Some(key) = key_of(written) {
            last.insert(key, index);
        }
    }
    let kept =
        |index: usize, written: &Written| key_of(written).is_none_or(|key| last.get(&key) == Some(&index));
    log.iter()
        .enumerate()
        .filter(|(index, written)| kept(*index, written))
        .map(|(_, written)| written.clone())
        .collect()
}

fn damage(encoded: &mut Encoded, random: &mut Random) {
    match encoded {
        Encoded::Record { key, value } => {
            let part = if random.once_in(3) { key } else { value };
            *part = part.as_ref().and_then(|bytes| damaged(bytes, random));
        }
        Encoded::End(end) => *end = TransactionEnd { commit: !end.commit, ..*end },
        Encoded::Volatile | Encoded::Unfit { .. } => {}
    }
}

fn damaged(bytes: &Bytes, random: &mut Random) -> Option<Bytes> {
    let mut bytes = bytes.to_vec();
    match random.below(4) {
        0 => return None,
        1 => bytes.truncate(random.below(bytes.len() + 1)),
        2 => bytes.push(0xff),
        _ => {
            let at = random.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
    Some(bytes.into())
}
