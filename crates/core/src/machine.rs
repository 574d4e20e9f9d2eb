//! The state-machine seam: topics, groups, transactions and schemas are state machines over a replicated log.
//!
//! A [`StateMachine`] decides and applies; it never waits, spawns, or asks what time it is. The runtime does the rest,
//! the same for every machine: it runs a command through [`decide`](StateMachine::decide), encodes the events, asks the
//! log to admit them, applies them, and releases the answers once the log has committed them.
//!
//! Laws, checked for every machine by `testing::machine_suite`:
//!
//! 1. Replay equals live state: the machine that decided an event and the one that decoded it are equal.
//! 2. Replaying the compacted log (the last record of each key) equals replaying the whole log.
//! 3. A record of a foreign writer passes [`apply`](StateMachine::apply) like our own: `apply` never panics.
//! 4. Every parked answer is released, or fails with the machine.
//!
//! Why events and not state are replicated: the leader alone decides, with its clock and its randomness; followers and
//! replays only apply what was decided. Why no rollback: losing leadership drops the machine, and becoming leader
//! replays the log.

use std::fmt::Debug;
use std::hash::Hash;

use bytes::Bytes;

use crate::clock::Moment;
use crate::id::{Offset, ProducerEpoch, ProducerId, Timestamp};
use crate::image::Image;
use crate::replicated::{MarkerEpoch, Verification};

/// A deterministic state machine over a log of records.
pub trait StateMachine: Sized + Send + 'static {
    /// What it is asked. One that a timer brings is kept until the log has taken what comes of it.
    type Command: Clone + Debug + Send + 'static;
    /// What it answers.
    type Answer: Debug + Send + 'static;
    /// What has happened: one event is one record with one key, or changes only volatile state.
    type Event: Clone + PartialEq + Debug + Send + 'static;
    /// Names a timer or a parked answer.
    type Key: Clone + Eq + Hash + Debug + Send + 'static;
    /// What the broker has to do because of a decision, once it is committed.
    type Effect: Debug + Send + 'static;

    /// Others write to its log as well, at any time. A decision is then placed before it is applied, each in a batch of its
    /// own and only where the machine has seen the log end; what others have written first is applied, and the command
    /// decided again. Such a machine takes no part in transactions.
    const SHARED_LOG: bool = false;

    /// Reads the state and decides; changes nothing.
    fn decide(&self, context: &Context<'_>, command: Self::Command) -> Decision<Self>;

    /// The only mutation. Must accept whatever a log may hold, in any order, without panicking.
    fn apply(&mut self, event: &Self::Event, place: Place);

    /// The event as Kafka's record, in no newer format than the finalised features of `image` allow.
    fn encode(&self, event: &Self::Event, image: &Image) -> Encoded;

    /// The event that an entry of the log records; `None` for an entry that this machine may skip, such as a record
    /// type it does not know.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not what their type says: the log is damaged, and the machine cannot load.
    fn decode(&self, entry: Entry<'_>) -> Result<Option<Self::Event>, DecodeError>;

    /// Called once after a replay, when this node leads: brings back timers and unfinished effects.
    fn loaded(&self, context: &Context<'_>) -> Decision<Self>;

    /// The events that build this state from nothing.
    fn snapshot(&self) -> Vec<Self::Event>;
}

/// What a decision may know besides the state.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The monotonic clock: for timeouts.
    pub now: Moment,
    /// The wall clock: for timestamps that are stored.
    pub wall: Timestamp,
    /// 128 random bits, fresh for every command: enough for one UUID.
    pub entropy: u128,
    /// The cluster as this node knows it, with the finalised feature levels.
    pub image: &'a Image,
}

/// What a machine has decided.
///
/// The events of one decision are one atomic batch: all of them are in the log, or none.
#[derive(Debug)]
pub struct Decision<M: StateMachine> {
    /// What has happened, in order.
    pub events: Vec<M::Event>,
    /// How the events take part in a producer's transaction. The log is asked whether it takes them so before they are
    /// applied.
    pub transaction: Option<TransactionWrite>,
    /// What to say to who asked.
    pub reply: Reply<M>,
    /// Answers for those who wait, by the key they wait under.
    pub releases: Vec<(M::Key, M::Answer)>,
    /// Timers to set or cancel.
    pub timers: Vec<Timer<M>>,
    /// What the broker has to do once this is committed.
    pub effects: Vec<M::Effect>,
}

/// When and what is answered.
#[derive(Debug)]
pub enum Reply<M: StateMachine> {
    /// This, once everything placed so far is committed: also for reads, which else could show what is lost later.
    Committed(M::Answer),
    /// This, at once: only for commands that touch volatile state alone, such as a heartbeat.
    AtOnce(M::Answer),
    /// Later, when a decision releases this key. At most one answer waits under a key: a decision that parks under a
    /// key already waited for must release that key first, in the same decision.
    Parked(M::Key),
    /// Nothing: nobody asked. For timers and [`StateMachine::loaded`].
    Nobody,
}

/// Sets or cancels a timer. There is one timer under a key: setting it again moves it.
#[derive(Debug)]
pub enum Timer<M: StateMachine> {
    /// Deliver `command` at `at`.
    Set {
        /// The timer's name.
        key: M::Key,
        /// When.
        at: Moment,
        /// What.
        command: M::Command,
    },
    /// Forget the timer; nothing happens when there is none.
    Cancel(M::Key),
}

impl<M: StateMachine> Decision<M> {
    /// Answers once everything before is committed, and changes nothing.
    pub fn answer(answer: M::Answer) -> Self {
        Decision::with(Vec::new(), Reply::Committed(answer))
    }

    /// Answers at once, and changes nothing.
    pub fn at_once(answer: M::Answer) -> Self {
        Decision::with(Vec::new(), Reply::AtOnce(answer))
    }

    /// Does nothing, for nobody.
    #[must_use]
    pub fn nothing() -> Self {
        Decision::with(Vec::new(), Reply::Nobody)
    }

    /// Changes the state and replies.
    pub fn with(events: Vec<M::Event>, reply: Reply<M>) -> Self {
        Decision {
            events,
            transaction: None,
            reply,
            releases: Vec::new(),
            timers: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// Also sets a timer.
    #[must_use]
    pub fn set_timer(mut self, key: M::Key, at: Moment, command: M::Command) -> Self {
        self.timers.push(Timer::Set { key, at, command });
        self
    }

    /// Also cancels a timer.
    #[must_use]
    pub fn cancel_timer(mut self, key: M::Key) -> Self {
        self.timers.push(Timer::Cancel(key));
        self
    }

    /// Also releases a parked answer.
    #[must_use]
    pub fn release(mut self, key: M::Key, answer: M::Answer) -> Self {
        self.releases.push((key, answer));
        self
    }
}

/// Where an applied event stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its offset. An event that is not logged carries the end of the log.
    pub offset: Offset,
    /// The timestamp of its record.
    pub timestamp: Timestamp,
    /// The open transaction it belongs to.
    pub transaction: Option<(ProducerId, ProducerEpoch)>,
}

/// An event as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// Not at all: it changes only volatile state, which a failover forgets.
    Volatile,
    /// As a record; a tombstone when there is no value.
    Record {
        /// The key.
        key: Option<Bytes>,
        /// The value.
        value: Option<Bytes>,
    },
    /// As the end marker of a transaction.
    End(TransactionEnd),
    /// No record can hold it: the runtime refuses the whole decision, and nothing changes.
    Unfit {
        /// Why not.
        why: String,
    },
}

impl Encoded {
    /// Why no record can hold it, when that is so.
    #[must_use]
    pub fn unfit(&self) -> Option<&str> {
        match self {
            Encoded::Unfit { why } => Some(why),
            Encoded::Volatile | Encoded::Record { .. } | Encoded::End(_) => None,
        }
    }
}

/// The end of a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionEnd {
    /// Whose transaction.
    pub producer: ProducerId,
    /// In which epoch.
    pub epoch: ProducerEpoch,
    /// It counts; otherwise it is as if it never was.
    pub commit: bool,
    /// The epoch of the transaction coordinator that ended it.
    pub coordinator_epoch: i32,
}

/// How a decision takes part in a producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionWrite {
    /// Its events belong to the open transaction of this producer, or open it, and count only once it commits.
    Within {
        /// Whose transaction.
        producer: ProducerId,
        /// In which epoch.
        epoch: ProducerEpoch,
        /// What shows that it may be opened.
        verification: Verification,
    },
    /// It ends a transaction.
    End {
        /// Which, and how.
        end: TransactionEnd,
        /// Which epoch the marker must have.
        marker_epoch: MarkerEpoch,
    },
}

impl TransactionWrite {
    /// The transaction that the events belong to.
    #[must_use]
    pub fn within(&self) -> Option<(ProducerId, ProducerEpoch)> {
        match *self {
            TransactionWrite::Within { producer, epoch, .. } => Some((producer, epoch)),
            TransactionWrite::End { .. } => None,
        }
    }
}

/// An entry of a log, as a machine sees it on replay.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// A record.
    Record {
        /// The key.
        key: Option<&'a Bytes>,
        /// The value; none in a tombstone.
        value: Option<&'a Bytes>,
    },
    /// The end marker of a transaction.
    End(TransactionEnd),
}

/// A record of a log does not hold what its type says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct DecodeError {
    /// Which kind of record.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}
