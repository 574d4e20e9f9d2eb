//! Tables of what the controller decides, and the laws of its state machine.

mod adoption;
mod brokers;
mod configs;
mod eligible;
mod features;
mod in_sync;
mod kafka_log;
mod laws;
mod topics;

use std::collections::BTreeMap;

use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerEpoch, BrokerId, DirectoryId, Offset, Timestamp, Uuid};
use vltava_core::image::{Endpoint, FeatureRange, Image};
use vltava_core::machine::{Context, Encoded, Entry, Place, Reply, StateMachine};

use super::command::{BrokerState, RegisterBroker};
use super::*;

pub(super) const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// A controller that leads, and beside it one that only replays what the first has written.
pub(super) struct Pair {
    pub(super) leader: Cluster,
    pub(super) follower: Cluster,
    next: Offset,
    entropy: u128,
}

impl Pair {
    /// A new log, with its first records.
    pub(super) fn new() -> Pair {
        let options = ClusterOptions::new(BrokerId(1), CLUSTER);
        let mut pair = Pair {
            leader: Cluster::new(options.clone()),
            follower: Cluster::new(options),
            next: Offset(1),
            entropy: 0,
        };
        let image = Image::default();
        let first = pair.leader.loaded(&context(&image, 0));
        pair.write(&first.events);
        pair
    }

    /// A cluster of these brokers: `1 2a 3!` are broker 1, broker 2 in rack a, and broker 3, fenced.
    pub(super) fn of(brokers: &str) -> Pair {
        let mut pair = Pair::new();
        for word in brokers.split_whitespace() {
            let id: i32 = word.trim_end_matches('!').trim_end_matches(char::is_alphabetic).parse().unwrap();
            let rack: String = word.chars().filter(|letter| letter.is_alphabetic()).collect();
            let mut request = registration(id, 1);
            request.rack = (!rack.is_empty()).then_some(rack);
            let answer = pair.ask(Command::RegisterBroker(request));
            let Answer::RegisterBroker(Ok(epoch)) = answer else { panic!("{answer:?}") };
            if !word.ends_with('!') {
                pair.ask(Command::MoveBroker { broker: BrokerId(id), epoch, state: BrokerState::Active });
            }
        }
        pair
    }

    /// Asks, and writes what was decided.
    pub(super) fn ask(&mut self, command: Command) -> Answer {
        self.decide(command).1
    }

    /// Asks, writes what was decided, and returns it too.
    pub(super) fn decide(&mut self, command: Command) -> (Vec<Event>, Answer) {
        self.entropy += 1;
        let image = self.leader.image().clone();
        let decision = self.leader.decide(&context(&image, self.entropy), command);
        let Reply::Committed(answer) = decision.reply else { panic!("{:?}", decision.reply) };
        self.write(&decision.events);
        (decision.events, answer)
    }

    /// Writes a batch: it is encoded before it is applied, as the runtime does it.
    pub(super) fn write(&mut self, events: &[Event]) {
        let image = self.leader.image().clone();
        let records: Vec<Encoded> = events.iter().map(|event| self.leader.encode(event, &image)).collect();
        for (event, record) in events.iter().zip(records) {
            let Encoded::Record { key: None, value: Some(value) } = record else { panic!("{event:?}") };
            let entry = Entry::Record { key: None, value: Some(&value) };
            let read = self.follower.decode(entry).unwrap().unwrap();
            assert_eq!(read, *event, "as written and read again");
            let place = Place { offset: self.next, timestamp: Timestamp(0), transaction: None };
            self.next = self.next.next();
            self.leader.apply(event, place);
            self.follower.apply(&read, place);
        }
    }

    pub(super) fn epoch_of(&self, broker: i32) -> BrokerEpoch {
        self.leader.image().brokers[&BrokerId(broker)].epoch
    }

    pub(super) fn move_broker(&mut self, broker: i32, state: BrokerState) -> Vec<Event> {
        let epoch = self.epoch_of(broker);
        self.decide(Command::MoveBroker { broker: BrokerId(broker), epoch, state }).0
    }
}

pub(super) fn context(image: &Image, entropy: u128) -> Context<'_> {
    Context {
        now: Moment::default(),
        wall: Timestamp(0),
        entropy: entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        image,
    }
}

pub(super) fn registration(id: i32, incarnation: u128) -> RegisterBroker {
    RegisterBroker {
        id: BrokerId(id),
        cluster: CLUSTER.to_owned(),
        incarnation: Uuid::from_u128(incarnation << 32 | u128::from(id.unsigned_abs())),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 9092,
            security_protocol: 0,
        }],
        rack: None,
        features: crate::cluster::supported_features(),
        directories: vec![DirectoryId(Uuid::from_u128(1000 + u128::from(id.unsigned_abs())))],
        cordoned: Vec::new(),
        previous_epoch: BrokerEpoch(-1),
    }
}

/// `ok`, or the code and the message.
pub(super) fn outcome<T, E: std::fmt::Display>(
    result: &Result<T, E>,
    code: impl Fn(&E) -> ErrorCode,
) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{}: {error}", code(error).name()),
    }
}
