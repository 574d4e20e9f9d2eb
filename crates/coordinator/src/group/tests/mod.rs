//! The coordinator on a small runtime of its own: one log in memory, one clock that tests move.

mod consumers;
mod groups;
mod members;
mod migration;
mod offsets;
mod records;
mod schedules;
mod script;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use vltava_core::clock::Moment;
use vltava_core::id::{Offset, ProducerEpoch, ProducerId, Timestamp, TopicId, TopicName, Uuid};
use vltava_core::image::{Image, Partition, Topic};
use vltava_core::machine::{
    Context, Decision, Encoded, Entry, Place, Reply, StateMachine, Timer, TransactionEnd, TransactionWrite,
};

use super::{GroupAnswer, GroupCommand, GroupCoordinator, GroupEvent, GroupKey, GroupSettings};

/// Who asked, by number.
type Ticket = usize;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq)]
enum Logged {
    Record { key: Bytes, value: Option<Bytes>, producer: Option<ProducerId> },
    End(TransactionEnd),
}

/// Runs one coordinator as the real runtime does, and checks what that relies on.
struct Shard {
    machine: GroupCoordinator,
    settings: GroupSettings,
    image: Image,
    now: Duration,
    tickets: Ticket,
    log: Vec<Logged>,
    timers: HashMap<GroupKey, (Moment, u64, GroupCommand)>,
    timers_set: u64,
    parked: HashMap<GroupKey, Ticket>,
    answers: BTreeMap<Ticket, GroupAnswer>,
}

impl Shard {
    fn new(settings: GroupSettings) -> Shard {
        let mut shard = Shard {
            machine: GroupCoordinator::new(settings.clone()),
            settings,
            image: Image::default(),
            now: Duration::from_secs(1000),
            tickets: 0,
            log: Vec::new(),
            timers: HashMap::new(),
            timers_set: 0,
            parked: HashMap::new(),
            answers: BTreeMap::new(),
        };
        shard.lead();
        shard
    }

    /// Asks; returns the number of the asker and the events.
    fn ask(&mut self, command: GroupCommand) -> (Ticket, Vec<GroupEvent>) {
        self.tickets += 1;
        let ticket = self.tickets;
        let decision = self.decide(command);
        (ticket, self.carry_out(decision, Some(ticket)))
    }

    fn decide(&self, command: GroupCommand) -> Decision<GroupCoordinator> {
        self.machine.decide(&self.context(), command)
    }

    fn context(&self) -> Context<'_> {
        let wall = Timestamp(i64::try_from(self.now.as_millis()).unwrap());
        // Only requests make ids, and each its own.
        Context { now: Moment(self.now), wall, entropy: self.tickets as u128, image: &self.image }
    }

    fn carry_out(&mut self, decision: Decision<GroupCoordinator>, asker: Option<Ticket>) -> Vec<GroupEvent> {
        let producer = decision.transaction.and_then(|write| match write {
            TransactionWrite::Within { producer, .. } => Some(producer),
            TransactionWrite::End { .. } => None,
        });
        for event in &decision.events {
            self.append(event, producer);
        }
        for (key, answer) in decision.releases {
            let ticket = self.parked.remove(&key).unwrap_or_else(|| panic!("nobody waits under {key:?}"));
            self.answer(ticket, answer);
        }
        match (decision.reply, asker) {
            (Reply::Committed(answer) | Reply::AtOnce(answer), Some(ticket)) => self.answer(ticket, answer),
            (Reply::Parked(key), Some(ticket)) => {
                assert_eq!(self.parked.insert(key, ticket), None, "two wait under one key");
            }
            (Reply::Nobody, None) | (Reply::Committed(GroupAnswer::TopicsDeleted), None) => {}
            (reply, asker) => panic!("{asker:?} asked and got {reply:?}"),
        }
        for timer in decision.timers {
            self.timers_set += 1;
            match timer {
                Timer::Set { key, at, command } => {
                    self.timers.insert(key, (at, self.timers_set, command));
                }
                Timer::Cancel(key) => {
                    self.timers.remove(&key);
                }
            }
        }
        decision.events
    }

    fn answer(&mut self, ticket: Ticket, answer: GroupAnswer) {
        assert!(self.answers.insert(ticket, answer).is_none(), "{ticket} was answered twice");
    }

    /// Logs an event if it is a record, and applies it.
    fn append(&mut self, event: &GroupEvent, producer: Option<ProducerId>) {
        let offset = Offset(self.log.len() as i64);
        match self.machine.encode(event, &self.image) {
            Encoded::Volatile => {}
            Encoded::Record { key, value } => {
                self.log.push(Logged::Record { key: key.unwrap(), value, producer });
            }
            Encoded::End(end) => self.log.push(Logged::End(end)),
            Encoded::Unfit { why } => panic!("{event:?} fits into no record: {why}"),
        }
        self.machine.apply(event, place(offset, producer));
    }

    /// Moves the clock, and fires what is due on the way. Returns the events.
    fn wait(&mut self, time: Duration) -> Vec<GroupEvent> {
        let until = Moment(self.now + time);
        let mut events = Vec::new();
        for _ in 0..100_000 {
            let due = self.timers.iter().min_by_key(|(_, (at, order, _))| (*at, *order));
            let due = due.filter(|(_, (at, ..))| *at <= until).map(|(key, (at, ..))| (key.clone(), *at));
            let Some((key, at)) = due else {
                self.now = until.0;
                return events;
            };
            self.now = self.now.max(at.0);
            let (_, _, command) = self.timers.remove(&key).unwrap();
            let decision = self.decide(command);
            events.extend(self.carry_out(decision, None));
        }
        panic!("timers do not come to rest");
    }

    /// Another broker takes over: who waits is sent away, and the log is replayed.
    fn reload(&mut self) {
        self.parked.clear();
        self.timers.clear();
        self.machine = replay(&self.settings, self.log.iter().enumerate());
        self.lead();
    }

    fn lead(&mut self) {
        let decision = self.machine.loaded(&self.context());
        self.carry_out(decision, None);
    }

    /// Replay of the log, and of what compaction would leave of it, is what lives; it is returned.
    fn check_replay(&self) -> GroupCoordinator {
        let whole = replay(&self.settings, self.log.iter().enumerate());
        assert_eq!(whole.snapshot(), self.machine.snapshot(), "replay differs from live state");
        let mut last = HashMap::new();
        for (index, logged) in self.log.iter().enumerate() {
            if let Logged::Record { key, .. } = logged {
                last.insert(key, index);
            }
        }
        let kept = self.log.iter().enumerate().filter(
            |(index, logged)| matches!(logged, Logged::Record { key, .. } if last.get(key) == Some(index)),
        );
        assert_eq!(replay(&self.settings, kept), whole, "compaction changes what the log says");
        whole
    }
}

fn place(offset: Offset, producer: Option<ProducerId>) -> Place {
    let transaction = producer.map(|producer| (producer, ProducerEpoch(0)));
    Place { offset, timestamp: Timestamp(0), transaction }
}

/// What a log says.
fn replay<'a>(settings: &GroupSettings, log: impl Iterator<Item = (usize, &'a Logged)>) -> GroupCoordinator {
    let mut machine = GroupCoordinator::new(settings.clone());
    for (offset, logged) in log {
        let (entry, producer) = match logged {
            Logged::Record { key, value, producer } => {
                (Entry::Record { key: Some(key), value: value.as_ref() }, *producer)
            }
            Logged::End(end) => (Entry::End(*end), None),
        };
        let event = machine.decode(entry).unwrap();
        machine.apply(&event.unwrap(), place(Offset(offset as i64), producer));
    }
    machine
}

/// Gives the cluster a topic with so many partitions, or takes it away when there are none.
fn set_topic(image: &mut Image, name: &str, id: u128, partitions: usize) {
    let id = TopicId(Uuid::from_u128(id));
    image.offset = image.offset.plus(1);
    if partitions == 0 {
        image.topics.remove(id);
    } else {
        let name = TopicName::new(name).unwrap();
        image.topics.insert(Topic { name, id, partitions: vec![Partition::default(); partitions] });
    }
}

/// A subscription of a consumer, in version 0.
fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}
