//! One simulation from its seed to its verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use turmoil::Sim;
use vltava_core::id::{Offset, ProducerId};
use vltava_core::testing::Random;
use vltava_storage::files::SeededDisk;

use super::client::{Acknowledged, Producer, read_everything};
use super::server::Machine;
use super::trace::Trace;

/// Idempotent producers, and the batches that each producer sends.
const IDEMPOTENT: usize = 2;
const BATCHES: usize = 25;

/// The most crashes while producers produce; one more comes before the log is read.
const CRASHES_MAX: usize = 6;

const SERVER: &str = "server";

/// What a simulation came to.
pub struct Outcome {
    /// Everything that happened.
    pub trace: String,
    /// How many times the server lost its power or was killed.
    pub crashes: usize,
    /// What was promised and not kept.
    pub broken: Option<String>,
}

/// Runs the simulation of a seed, with `flush.messages` as given.
pub fn simulate(seed: u64, flush_records: i64) -> Outcome {
    let mut world = World::new(seed, flush_records);
    let broken = world.run().err();
    Outcome { trace: world.machine.trace.text(), crashes: world.crashes, broken }
}

struct World {
    sim: Sim<'static>,
    random: Random,
    machine: Machine,
    crashes: usize,
    /// What each producer sends, and whether it must be there exactly once.
    expected: Vec<(Vec<String>, bool)>,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
}

impl World {
    fn new(seed: u64, flush_records: i64) -> World {
        let mut random = Random::new(seed);
        let mut sim = turmoil::Builder::new()
            .rng_seed(random.bits())
            .epoch(UNIX_EPOCH)
            .simulation_duration(Duration::from_secs(600))
            .min_message_latency(Duration::from_micros(200))
            .max_message_latency(Duration::from_millis(8))
            .fail_rate(0.004)
            .repair_rate(0.2)
            .build();
        let machine = Machine {
            disk: SeededDisk::new(random.bits()),
            trace: Trace::default(),
            random: Arc::new(Mutex::new(Random::new(random.bits()))),
            flush_records,
            epoch: Arc::new(AtomicI32::new(0)),
        };
        let host = machine.clone();
        sim.host(SERVER, move || host.clone().run());
        let mut world =
            World { sim, random, machine, crashes: 0, expected: Vec::new(), acknowledged: Arc::default() };
        (0..=IDEMPOTENT).for_each(|number| world.add_producer(number));
        world
    }

    /// The last one is not idempotent.
    fn add_producer(&mut self, number: usize) {
        let idempotent = number < IDEMPOTENT;
        let id = if idempotent { ProducerId(i64::try_from(number).unwrap()) } else { ProducerId::NONE };
        let name = format!("producer-{number}");
        let random = Random::new(self.random.bits());
        let trace = self.machine.trace.clone();
        let producer = Producer::new(id, name.clone(), BATCHES, random, trace, self.acknowledged.clone());
        self.expected.push((producer.values(), idempotent));
        self.sim.client(name, producer.run());
    }

    fn run(&mut self) -> Result<(), String> {
        let failed = |error: Box<dyn std::error::Error>| error.to_string();
        self.plan_crash();
        let mut crash_at = self.later(500);
        while !self.sim.step().map_err(failed)? {
            let due = self.sim.elapsed() >= crash_at && self.crashes < CRASHES_MAX;
            if self.machine.disk.crashed() || due {
                self.crash();
                let up_at = self.later(150);
                while self.sim.elapsed() < up_at {
                    self.sim.step().map_err(failed)?;
                }
                self.sim.bounce(SERVER);
                self.plan_crash();
                crash_at = self.later(500);
            }
        }
        self.crash();
        self.sim.bounce(SERVER);
        let found = Arc::new(Mutex::new(Vec::new()));
        self.sim.client("reader", read_everything(self.machine.trace.clone(), found.clone()));
        while !self.sim.step().map_err(failed)? {}
        self.judge(&found.lock())
    }

    fn later(&mut self, milliseconds: u64) -> Duration {
        self.sim.elapsed() + Duration::from_millis(1 + self.random.bits() % milliseconds)
    }

    /// Half of the crashes come in the middle of a change on the disk, be it of the recovery.
    fn plan_crash(&mut self) {
        if self.crashes < CRASHES_MAX && self.random.once_in(2) {
            self.machine.disk.crash_at(self.machine.disk.steps() + 1 + self.random.bits() % 60);
        }
    }

    /// The power goes, or once in four times only the process ends and the disk keeps what was written.
    fn crash(&mut self) {
        let disk = &self.machine.disk;
        let steps = disk.steps();
        let power = disk.crashed() || !self.random.once_in(4);
        self.sim.crash(SERVER);
        if power {
            disk.lose_power();
        } else {
            disk.kill_process();
        }
        self.crashes += 1;
        let what = if power { "loses its power" } else { "is killed" };
        let trace = &self.machine.trace;
        trace.note_at(self.sim.elapsed(), SERVER, &format!("{what} after {steps} changes on disk"));
    }

    /// Compares what is there with what was promised.
    fn judge(&self, found: &[Acknowledged]) -> Result<(), String> {
        let there: BTreeMap<Offset, &String> = found.iter().map(|(offset, value)| (*offset, value)).collect();
        for (offset, value) in self.acknowledged.lock().iter() {
            if there.get(offset) != Some(&value) {
                let now = there.get(offset);
                return Err(format!("{value} was acknowledged at {}, where {now:?} is now", offset.0));
            }
        }
        for (number, (values, exactly_once)) in self.expected.iter().enumerate() {
            let prefix = format!("producer-{number}/");
            let theirs: Vec<&String> =
                found.iter().map(|(_, value)| value).filter(|value| value.starts_with(&prefix)).collect();
            if *exactly_once && theirs != values.iter().collect::<Vec<_>>() {
                return Err(format!("producer-{number} sent {values:?}, and {theirs:?} is there"));
            }
        }
        Ok(())
    }
}
