//! Random schedules of clients of both protocols in one group, while topics come, grow and go.
//!
//! Each client believes what it is told and nothing else: it gives up what it is not told to have, and forgets all when it
//! is fenced. Checked at every step: no two clients have the same partition, epochs rise, a target gives nobody what it does
//! not subscribe to, a stable group is what its target says, replay equals live state, also of the compacted log. In the
//! end, when nothing changes any more, everybody has its share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{Generation, PartitionIndex, TopicId};
use vltava_core::machine::StateMachine;
use vltava_core::testing::Random;
use vltava_core::wire::{Message, Reader, WireStr, Writer};

use super::super::answer::JoinedGroup;
use super::super::classic::ClassicState;
use super::super::command::*;
use super::super::consumer::{ConsumerEvent, ConsumerState};
use super::super::{
    GroupAnswer, GroupCommand, GroupCoordinator, GroupError, GroupEvent, GroupSettings, InstanceId, MemberId,
};
use super::{Shard, Ticket, set_topic};
use crate::generated::consumer_protocol::consumer_protocol_assignment::TopicPartition;
use crate::generated::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};

const SEEDS: &str = "VLTAVA_GROUP_SEEDS";
const STEPS: usize = 40;

/// How many rounds of heartbeats everybody has to come to rest, in the end.
const ROUNDS_MAX: usize = 30;

type Owned = BTreeSet<(TopicId, PartitionIndex)>;

#[test]
fn partitions_have_one_owner_whatever_happens() {
    check(vltava_core::testing::seeds(SEEDS, 0..1000));
}

fn check(seeds: Range<u64>) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
                world.check();
            }
            world.come_to_rest();
        });
        assert!(outcome.is_ok(), "a promise is broken: {}", vltava_core::testing::replay(SEEDS, seed));
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Speaks {
    Consumer,
    Classic,
}

/// A client: a process that lives and dies, with what it knows.
#[derive(Debug)]
struct Client {
    number: usize,
    lives: usize,
    speaks: Speaks,
    running: bool,
    instance: Option<InstanceId>,
    topics: BTreeSet<Arc<str>>,
    regex: Arc<str>,
    member: MemberId,
    /// Its member epoch or generation; 0 when it is to join.
    epoch: Generation,
    owned: Owned,
    /// What it says of itself has changed, or it is not sure that it was heard.
    tells_all: bool,
    asked: Option<Ticket>,
    joined: Option<JoinedGroup>,
    synced: bool,
}

struct World {
    random: Random,
    shard: Shard,
    clients: Vec<Client>,
    topics: BTreeMap<u128, usize>,
    /// The last group epoch or generation of a group with members.
    epoch: i32,
    /// No answer gets lost any more.
    calm: bool,
}

fn name(number: u128) -> Arc<str> {
    Arc::from(["tin", "tea", "urn"][number as usize % 3])
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let mut settings =
            GroupSettings { initial_rebalance_delay: Duration::ZERO, ..GroupSettings::default() };
        settings.consumer.assignment_interval.default = Duration::from_millis(*random.pick(&[0, 0, 1000]));
        settings.consumer.size_max = *random.pick(&[3, 100, 100]);
        let client = |number: usize, random: &mut Random| Client {
            number,
            lives: 0,
            speaks: *random.pick(&[Speaks::Consumer, Speaks::Consumer, Speaks::Classic]),
            running: false,
            instance: random.once_in(3).then(|| InstanceId::from(format!("i{number}"))),
            topics: BTreeSet::from([name(1)]),
            regex: Arc::from(""),
            member: MemberId::default(),
            epoch: Generation(0),
            owned: Owned::new(),
            tells_all: true,
            asked: None,
            joined: None,
            synced: false,
        };
        let clients = (0..2 + random.below(4)).map(|number| client(number, &mut random)).collect();
        let mut world = World {
            shard: Shard::new(settings),
            clients,
            random,
            topics: BTreeMap::new(),
            epoch: 0,
            calm: false,
        };
        world.set_topic(1, 4);
        world
    }

    fn set_topic(&mut self, number: u128, partitions: usize) {
        // A topic that is created again has another identity.
        set_topic(&mut self.shard.image, &name(number), number, partitions);
        if partitions == 0 {
            self.topics.remove(&number);
        } else {
            self.topics.insert(number, partitions);
        }
    }

    fn step(&mut self) {
        match self.random.below(24) {
            0 => self.take_over(),
            1 => self.change_topics(),
            2..=4 => {
                let time = *self.random.pick(&[1, 1000, 5000, 9000, 20_000, 70_000]);
                self.wait(time);
            }
            5 => {
                let index = self.random.below(self.clients.len());
                self.disturb(index);
            }
            _ => {
                let index = self.random.below(self.clients.len());
                self.hear(index);
                self.act(index);
            }
        }
    }

    fn change_topics(&mut self) {
        let number = 1 + self.random.below(6) as u128;
        let count = self.topics.get(&number).copied().unwrap_or(0);
        let others = self.topics.keys().any(|other| *other != number && name(*other) == name(number));
        if count == 0 && !others {
            let partitions = 1 + self.random.below(4);
            self.set_topic(number, partitions);
        } else if count > 0 && self.random.once_in(3) {
            self.set_topic(number, 0);
        } else if count > 0 {
            self.set_topic(number, count + 1);
        }
    }

    /// Time passes. Who was not heard of in time believes so itself, and what the coordinator fences is told at once.
    fn wait(&mut self, milliseconds: u64) {
        let events = self.shard.wait(Duration::from_millis(milliseconds));
        self.check_events(&events);
        self.forget_the_fenced();
    }

    fn forget_the_fenced(&mut self) {
        let group = "g".into();
        let machine = &self.shard.machine;
        for client in &mut self.clients {
            let consumer =
                machine.consumer(&group).is_some_and(|group| group.members().contains_key(&client.member));
            let classic =
                machine.classic(&group).is_some_and(|group| group.members.contains_key(&client.member));
            if !consumer && !classic && !client.member.is_empty() {
                client.owned.clear();
                // An answer from before that is still on its way comes too late.
                if client.asked.is_some_and(|ticket| self.shard.answers.contains_key(&ticket)) {
                    client.hear_nothing();
                }
            }
        }
    }

    /// A client dies, comes, changes its mind or its protocol.
    fn disturb(&mut self, index: usize) {
        let speaks = *self.random.pick(&[Speaks::Consumer, Speaks::Classic]);
        let topics: BTreeSet<Arc<str>> = (1..=3).filter(|_| self.random.once_in(2)).map(name).collect();
        let regex: Arc<str> = Arc::from(*self.random.pick(&["", "", "t.*", "t.*|urn", "tin"]));
        let polite = self.random.once_in(2);
        let client = &mut self.clients[index];
        if !client.running {
            client.speaks = speaks;
            client.start();
        } else if self.random.once_in(2) {
            client.topics = topics;
            client.regex = if client.speaks == Speaks::Consumer { regex } else { Arc::from("") };
            client.tells_all = true;
            client.joined = None;
        } else if polite && !client.member.is_empty() && client.asked.is_none() {
            self.leave(index);
        } else {
            client.die();
        }
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let (member, instance) = (client.member.clone(), client.instance.clone());
        let command = match client.speaks {
            Speaks::Classic => GroupCommand::Leave(Leave {
                group: "g".into(),
                members: vec![MemberIdentity { member, instance }],
            }),
            Speaks::Consumer => {
                let epoch = Generation(if instance.is_some() { -2 } else { -1 });
                let heartbeat = ConsumerHeartbeat { epoch, ..client.heartbeat() };
                GroupCommand::ConsumerHeartbeat(Box::new(heartbeat))
            }
        };
        client.die();
        let (_, events) = self.shard.ask(command);
        self.check_events(&events);
    }

    /// A client takes notice of its answer.
    fn hear(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(answer) = client.asked.and_then(|ticket| self.shard.answers.get(&ticket)).cloned() else {
            return;
        };
        client.asked = None;
        match answer {
            GroupAnswer::ConsumerHeartbeat(Ok(told)) => {
                client.member = told.member;
                client.epoch = told.epoch;
                client.tells_all = false;
                if let Some(assignment) = told.assignment {
                    let parts = assignment.iter().flat_map(|(topic, partitions)| {
                        partitions.iter().map(move |partition| (*topic, *partition))
                    });
                    client.owned = parts.collect();
                }
            }
            GroupAnswer::Join(joined) => match joined.outcome {
                Ok(generation) => {
                    client.member = joined.member;
                    client.epoch = generation.generation;
                    client.joined = Some(generation);
                    client.synced = false;
                }
                Err(GroupError::MemberIdRequired) => client.member = joined.member,
                Err(error) => client.suffer(error),
            },
            GroupAnswer::Sync(Ok(synced)) => {
                client.synced = true;
                client.owned = read(&synced.assignment, &self.shard);
            }
            GroupAnswer::Heartbeat(Err(error))
            | GroupAnswer::Sync(Err(error))
            | GroupAnswer::ConsumerHeartbeat(Err(error)) => client.suffer(error),
            _ => {}
        }
    }

    fn act(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !client.running || client.asked.is_some() {
            return;
        }
        let command = match (client.speaks, &client.joined) {
            (Speaks::Consumer, _) => {
                let heartbeat = client.heartbeat();
                // Now and then an answer gets lost.
                if !self.calm && self.random.once_in(12) {
                    client.tells_all = true;
                    let (_, events) = self.shard.ask(GroupCommand::ConsumerHeartbeat(Box::new(heartbeat)));
                    return self.check_events(&events);
                }
                GroupCommand::ConsumerHeartbeat(Box::new(heartbeat))
            }
            (Speaks::Classic, None) => {
                // An eager consumer gives up all before it joins.
                client.owned.clear();
                GroupCommand::Join(client.join())
            }
            (Speaks::Classic, Some(joined)) if !client.synced => {
                let assignments = assign(joined, client, &self.shard);
                GroupCommand::Sync(client.sync(assignments))
            }
            (Speaks::Classic, Some(_)) => GroupCommand::Heartbeat(Heartbeat {
                group: "g".into(),
                member: client.member.clone(),
                instance: client.instance.clone(),
                generation: client.epoch,
            }),
        };
        let (ticket, events) = self.shard.ask(command);
        self.clients[index].asked = Some(ticket);
        self.check_events(&events);
        self.forget_the_fenced();
    }

    /// A target gives nobody what is not there or not subscribed to.
    fn check_events(&mut self, events: &[GroupEvent]) {
        let targets = events.iter().any(|event| {
            matches!(
                event,
                GroupEvent::Consumer { event: ConsumerEvent::TargetStored { at: Some(_), .. }, .. }
            )
        });
        let Some(group) = self.shard.machine.consumer(&"g".into()).filter(|_| targets) else { return };
        let mut given = Owned::new();
        for (member, metadata) in group.members() {
            let regexes: HashMap<&str, &[u128]> =
                [("t.*", &[1u128, 3][..]), ("t.*|urn", &[1, 2, 3]), ("tin", &[3])].into();
            let matched = regexes.get(&*metadata.regex).copied().unwrap_or_default();
            let matched: BTreeSet<Arc<str>> = matched.iter().map(|number| name(*number)).collect();
            for (topic, partitions) in &*group.target(member) {
                let topic = self.shard.image.topics.by_id(*topic).expect("the topic exists");
                let wanted = metadata.topics.contains(&*topic.name) || matched.contains(&*topic.name);
                assert!(wanted, "{member} is to have {}", topic.name);
                for partition in partitions {
                    assert!(topic.partition(*partition).is_some(), "{}-{partition} is not there", topic.name);
                    assert!(
                        given.insert((topic.id, *partition)),
                        "{}-{partition} is given twice",
                        topic.name
                    );
                }
            }
        }
    }

    fn check(&mut self) {
        let mut owners: HashMap<(TopicId, PartitionIndex), usize> = HashMap::new();
        for client in self.clients.iter().filter(|client| client.running) {
            for partition in &client.owned {
                if let Some(other) = owners.insert(*partition, client.number) {
                    panic!("{other} and {} have {partition:?}: {:#?}", client.number, self.clients);
                }
            }
        }
        let id = "g".into();
        let machine = &self.shard.machine;
        let consumer = machine.consumer(&id).filter(|group| !group.members().is_empty());
        let classic = machine.classic(&id).filter(|group| !group.members.is_empty());
        assert!(machine.consumer(&id).is_none() || machine.classic(&id).is_none(), "a group of two types");
        let now = match (consumer, classic) {
            (Some(group), _) => {
                assert!(group.target_epoch() <= group.epoch());
                for member in group.members().keys() {
                    assert!(group.current(member).epoch <= group.target_epoch());
                }
                if group.state() == ConsumerState::Stable {
                    for member in group.members().keys() {
                        let current = group.current(member);
                        let has: Owned = current.partitions().collect();
                        let target = group.target(member);
                        let wants = target.iter().flat_map(|(topic, partitions)| {
                            partitions.iter().map(|partition| (*topic, *partition))
                        });
                        assert_eq!(has, wants.collect(), "{member} is not where it is to be");
                    }
                }
                group.epoch().0
            }
            (None, Some(group)) => group.generation.0,
            (None, None) => 0,
        };
        assert!(now == 0 || now >= self.epoch, "from epoch {} to {now}", self.epoch);
        self.epoch = now;
        if self.random.once_in(10) {
            self.check_replay();
        }
    }

    fn check_replay(&self) {
        let whole = self.shard.check_replay();
        let mut from_snapshot = GroupCoordinator::new(self.shard.settings.clone());
        for event in whole.snapshot() {
            from_snapshot.apply(&event, super::place(vltava_core::id::Offset(0), None));
        }
        assert_eq!(from_snapshot.snapshot(), whole.snapshot(), "a snapshot says something else");
    }

    fn take_over(&mut self) {
        self.check_replay();
        for client in &mut self.clients {
            // The connection is gone; what it was told, if anything, it does not know.
            if client.asked.is_some() {
                client.hear_nothing();
            }
        }
        self.shard.reload();
        // A generation that was not stored never was.
        self.epoch = 0;
        self.forget_the_fenced();
    }

    /// Nothing changes any more, and everybody goes on.
    fn come_to_rest(&mut self) {
        self.calm = true;
        for index in 0..self.clients.len() {
            if !self.clients[index].running && self.random.once_in(2) {
                self.clients[index].start();
            }
        }
        for _ in 0..ROUNDS_MAX {
            for index in 0..self.clients.len() {
                for _ in 0..3 {
                    self.hear(index);
                    self.act(index);
                }
                self.check();
            }
            self.wait(3000);
        }
        self.check_replay();
        self.check_shares();
    }

    /// Everybody that is in the group has its share: all partitions that somebody in it wants are somebody's.
    fn check_shares(&self) {
        let id = "g".into();
        let machine = &self.shard.machine;
        let inside: Vec<&Client> = self
            .clients
            .iter()
            .filter(|client| {
                machine.consumer(&id).is_some_and(|group| group.members().contains_key(&client.member))
                    || machine.classic(&id).is_some_and(|group| group.members.contains_key(&client.member))
            })
            .filter(|client| client.running)
            .collect();
        if let Some(group) = machine.consumer(&id) {
            let expected = if inside.is_empty() { ConsumerState::Empty } else { ConsumerState::Stable };
            assert_eq!(group.state(), expected, "{:#?} {group:#?}", self.clients);
            assert_eq!(group.members().len(), inside.len(), "{:#?} {group:#?}", self.clients);
            let wanted: Owned = group
                .subscribed_topics()
                .iter()
                .filter_map(|topic| self.shard.image.topics.by_name(topic))
                .flat_map(|topic| {
                    topic.numbered().map(|(partition, _)| (topic.id, partition)).collect::<Vec<_>>()
                })
                .collect();
            let had: Owned = inside.iter().flat_map(|client| client.owned.iter().copied()).collect();
            assert_eq!(had, wanted, "{:#?} {group:#?}", self.clients);
        } else if let Some(group) = machine.classic(&id) {
            assert!(matches!(group.state, ClassicState::Empty | ClassicState::Stable), "{group:#?}");
        }
    }
}

impl Client {
    fn start(&mut self) {
        self.lives += 1;
        self.running = true;
        self.tells_all = true;
        self.epoch = Generation(0);
        if self.speaks == Speaks::Consumer {
            self.member = MemberId::from(format!("c{}-{}", self.number, self.lives));
        } else {
            self.member = MemberId::default();
            self.regex = Arc::from("");
        }
    }

    fn die(&mut self) {
        self.running = false;
        self.owned.clear();
        self.asked = None;
        self.joined = None;
        self.synced = false;
    }

    /// An answer got lost.
    fn hear_nothing(&mut self) {
        self.asked = None;
        self.tells_all = true;
    }

    /// What an error means to a client.
    fn suffer(&mut self, error: GroupError) {
        match error {
            GroupError::RebalanceInProgress => {
                self.joined = None;
                self.synced = false;
            }
            GroupError::IllegalGeneration | GroupError::FencedMemberEpoch => {
                self.begin_anew();
            }
            GroupError::FencedInstance => self.die(),
            _ if self.speaks == Speaks::Classic => {
                self.begin_anew();
                self.member = MemberId::default();
            }
            _ => self.begin_anew(),
        }
    }

    fn begin_anew(&mut self) {
        self.owned.clear();
        self.epoch = Generation(0);
        self.tells_all = true;
        self.joined = None;
        self.synced = false;
    }

    fn heartbeat(&self) -> ConsumerHeartbeat {
        let full = self.tells_all || self.epoch == Generation(0);
        let mut owned: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
        for (topic, partition) in &self.owned {
            owned.entry(*topic).or_default().push(*partition);
        }
        ConsumerHeartbeat {
            group: "g".into(),
            member: self.member.clone(),
            epoch: self.epoch,
            instance: self.instance.clone(),
            rebalance_timeout: full.then(|| Duration::from_secs(30)),
            topics: full.then(|| Arc::new(self.topics.clone())),
            regex: full.then(|| self.regex.clone()),
            owned: Some(owned.into_iter().collect()),
            client_id: "c".into(),
            client_host: "/h".into(),
            makes_member_id: true,
            ..ConsumerHeartbeat::default()
        }
    }

    fn join(&self) -> Join {
        let subscription = ConsumerProtocolSubscription {
            topics: self.topics.iter().map(|topic| WireStr::copy_of(topic)).collect(),
            ..ConsumerProtocolSubscription::default()
        };
        Join {
            group: "g".into(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            client_id: "c".into(),
            client_host: "/h".into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Some(Duration::from_secs(30)),
            protocol_type: "consumer".into(),
            protocols: [Protocol { name: "range".into(), metadata: write(&subscription, 1) }].into(),
            takes_member_id: true,
            skips_assignment: true,
        }
    }

    fn sync(&self, assignments: Vec<(MemberId, Bytes)>) -> Sync {
        Sync {
            group: "g".into(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            generation: self.epoch,
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            assignments,
        }
    }
}

/// A leader assigns: each partition to one of those that subscribe to it.
fn assign(joined: &JoinedGroup, client: &Client, shard: &Shard) -> Vec<(MemberId, Bytes)> {
    if joined.leader != client.member || joined.members.is_empty() || joined.skip_assignment {
        return Vec::new();
    }
    let mut shares: BTreeMap<MemberId, BTreeMap<String, Vec<i32>>> =
        joined.members.iter().map(|member| (member.member.clone(), BTreeMap::new())).collect();
    for topic in shard.image.topics.iter() {
        let subscribers: Vec<&MemberId> = joined
            .members
            .iter()
            .filter(|member| {
                let mut reader = Reader::new(member.metadata.clone());
                let version = reader.i16().unwrap();
                let said = ConsumerProtocolSubscription::decode(&mut reader, version).unwrap();
                said.topics.iter().any(|name| name.as_str() == &*topic.name)
            })
            .map(|member| &member.member)
            .collect();
        for (partition, _) in topic.numbered().filter(|_| !subscribers.is_empty()) {
            let owner = subscribers[partition.0 as usize % subscribers.len()];
            let share = shares.get_mut(owner).unwrap();
            share.entry(topic.name.to_string()).or_default().push(partition.0);
        }
    }
    let written = |share: BTreeMap<String, Vec<i32>>| {
        let topics = share
            .into_iter()
            .map(|(topic, partitions)| TopicPartition { topic: WireStr::copy_of(&topic), partitions });
        write(&ConsumerProtocolAssignment { assigned_partitions: topics.collect(), user_data: None }, 1)
    };
    shares.into_iter().map(|(member, share)| (member, written(share))).collect()
}

fn write(message: &impl Message, version: i16) -> Bytes {
    let mut writer = Writer::default();
    writer.i16(version);
    message.encode(&mut writer, version).unwrap();
    writer.into_bytes().unwrap()
}

fn read(assignment: &Bytes, shard: &Shard) -> Owned {
    if assignment.is_empty() {
        return Owned::new();
    }
    let mut reader = Reader::new(assignment.clone());
    let version = reader.i16().unwrap();
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version).unwrap();
    let parts = assignment.assigned_partitions.iter().flat_map(|topic| {
        let id = shard.image.topics.by_name(&topic.topic).map(|topic| topic.id);
        topic.partitions.iter().filter_map(move |partition| Some((id?, PartitionIndex(*partition))))
    });
    parts.collect()
}
