//! A state machine that breaks a law of state machines on purpose, to see that the breach is found.

use std::sync::atomic::{AtomicUsize, Ordering};

use vltava_core::image::Image;
use vltava_core::machine::{
    Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine, Timer,
};

/// One record in so many is lost by [`Carelessness::LosesRecords`].
const LOST_ONE_IN: usize = 5;

/// A law that a machine breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carelessness {
    /// Answers leave before what they depend on is committed.
    AnswersEarly,
    /// A replay does not bring back what is left to do.
    ForgetsEffects,
    /// A replay does not bring back timers.
    ForgetsTimers,
    /// Some of what has happened is not written down.
    LosesRecords,
}

/// A machine, careless or not.
pub struct Careless<M> {
    pub machine: M,
    carelessness: Option<Carelessness>,
    encoded: AtomicUsize,
}

impl<M: StateMachine> Careless<M> {
    pub fn new(machine: M, carelessness: Option<Carelessness>) -> Careless<M> {
        Careless { machine, carelessness, encoded: AtomicUsize::new(0) }
    }

    fn is(&self, carelessness: Carelessness) -> bool {
        self.carelessness == Some(carelessness)
    }

    /// The decision of the machine, as one of this machine.
    fn own(&self, decision: Decision<M>) -> Decision<Self> {
        let Decision { events, transaction, reply, releases, timers, effects } = decision;
        let reply = match reply {
            Reply::Committed(answer) if self.is(Carelessness::AnswersEarly) => Reply::AtOnce(answer),
            Reply::Committed(answer) => Reply::Committed(answer),
            Reply::AtOnce(answer) => Reply::AtOnce(answer),
            Reply::Parked(key) => Reply::Parked(key),
            Reply::Nobody => Reply::Nobody,
        };
        let timer = |timer| match timer {
            Timer::Set { key, at, command } => Timer::Set { key, at, command },
            Timer::Cancel(key) => Timer::Cancel(key),
        };
        let timers = timers.into_iter().map(timer).collect();
        Decision { events, transaction, reply, releases, timers, effects }
    }
}

impl<M: StateMachine> StateMachine for Careless<M> {
    type Command = M::Command;
    type Answer = M::Answer;
    type Event = M::Event;
    type Key = M::Key;
    type Effect = M::Effect;

    fn decide(&self, context: &Context<'_>, command: M::Command) -> Decision<Self> {
        self.own(self.machine.decide(context, command))
    }

    fn apply(&mut self, event: &M::Event, place: Place) {
        self.machine.apply(event, place);
    }

    fn encode(&self, event: &M::Event, image: &Image) -> Encoded {
        let encoded = self.machine.encode(event, image);
        let is_record = matches!(encoded, Encoded::Record { .. });
        let lost = self.is(Carelessness::LosesRecords)
            && is_record
            && self.encoded.fetch_add(1, Ordering::Relaxed) % LOST_ONE_IN == LOST_ONE_IN - 1;
        if lost { Encoded::Volatile } else { encoded }
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<M::Event>, DecodeError> {
        self.machine.decode(entry)
    }

    fn loaded(&self, context: &Context<'_>) -> Decision<Self> {
        let mut loaded = self.own(self.machine.loaded(context));
        if self.is(Carelessness::ForgetsEffects) {
            loaded.effects.clear();
        }
        if self.is(Carelessness::ForgetsTimers) {
            loaded.timers.clear();
        }
        loaded
    }

    fn snapshot(&self) -> Vec<M::Event> {
        self.machine.snapshot()
    }
}
