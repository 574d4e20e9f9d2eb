//! Random schedules: clients that join, die, come back and pipeline; timers that fire; brokers that take over.
//!
//! Beside the laws of every machine it is checked that a generation has one leader, that generations rise, that no two
//! members of a generation are given the same work, that offsets are what was last committed, and that in the end nobody
//! waits any more.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{Generation, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use vltava_core::image::Image;
use vltava_core::testing::{Random, machine_suite, replay, seeds};

use super::super::answer::{JoinAnswer, JoinedGroup};
use super::super::command::*;
use super::super::{
    GroupAnswer, GroupCommand, GroupCoordinator, GroupError, GroupSettings, InstanceId, MemberId,
};
use super::{Shard, Ticket, subscription};

const SEEDS: &str = "VLTAVA_CLASSIC_GROUP_SEEDS";
const STEPS: usize = 20;

#[test]
fn any_schedule_keeps_the_promises() {
    check(seeds(SEEDS, 0..20_000));
}

/// The suite that every machine passes, with commands that know nothing of each other.
#[test]
fn the_laws_of_machines_hold() {
    let settings = || GroupSettings { group_size_max: 3, ..GroupSettings::default() };
    machine_suite(0..500, 40, &Image::default(), || GroupCoordinator::new(settings()), any_command);
}

fn check(seeds: Range<u64>) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
            world.finish();
        });
        assert!(outcome.is_ok(), "a promise is broken: {}", replay(SEEDS, seed));
    }
}

#[derive(Default)]
struct Client {
    instance: Option<InstanceId>,
    member: MemberId,
    asked: Option<Ticket>,
    /// The generation it has joined, with the members if it is to assign.
    joined: Option<JoinedGroup>,
    /// It has its assignment.
    synced: bool,
}

struct World {
    random: Random,
    shard: Shard,
    clients: Vec<Client>,
    leaders: BTreeMap<Generation, MemberId>,
    assigned: HashMap<(Generation, Bytes), MemberId>,
    committed: BTreeMap<PartitionIndex, Offset>,
    next_offset: i64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(seed);
        let settings = GroupSettings {
            initial_rebalance_delay: Duration::from_secs(*random.pick(&[0, 3])),
            group_size_max: *random.pick(&[2, 3, 100]),
            ..GroupSettings::default()
        };
        let client = |index: usize| Client {
            instance: (index % 2 == 1).then(|| InstanceId::from(format!("i{index}"))),
            ..Client::default()
        };
        let mut world = World {
            shard: Shard::new(settings),
            clients: (0..1 + random.below(4)).map(client).collect(),
            random,
            leaders: BTreeMap::new(),
            assigned: HashMap::new(),
            committed: BTreeMap::new(),
            next_offset: 0,
        };
        // A group that has an offset is not forgotten when it is empty, so its generations go on.
        world.commit(0);
        world
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 => self.take_over(),
            1..=4 => {
                let time = *self.random.pick(&[0, 1, 1000, 3000, 10_000, 60_000, 700_000]);
                self.shard.wait(Duration::from_millis(time));
            }
            5 => self.check_offsets(),
            _ => {
                let client = self.random.below(self.clients.len());
                self.hear(client);
                self.act(client);
            }
        }
    }

    /// A client takes notice of its answer.
    fn hear(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(ticket) = client.asked else { return };
        let Some(answer) = self.shard.answers.get(&ticket).cloned() else { return };
        client.asked = None;
        match answer {
            GroupAnswer::Join(JoinAnswer { member, outcome: Ok(joined) }) => {
                client.member = member;
                client.joined = Some(joined.clone());
                client.synced = false;
                self.note_leader(index, &joined);
            }
            GroupAnswer::Join(JoinAnswer { member, outcome: Err(GroupError::MemberIdRequired) }) => {
                client.member = member;
            }
            GroupAnswer::Sync(Ok(synced)) => {
                client.synced = true;
                let generation = client.joined.as_ref().unwrap().generation;
                self.note_assignment(index, generation, &synced.assignment);
            }
            GroupAnswer::Join(JoinAnswer { outcome: Err(error), .. })
            | GroupAnswer::Sync(Err(error))
            | GroupAnswer::Heartbeat(Err(error)) => client.suffer(error),
            GroupAnswer::Leave(Ok(_)) => {
                *client = Client { instance: client.instance.clone(), ..Client::default() }
            }
            _ => {}
        }
    }

    fn note_leader(&mut self, index: usize, joined: &JoinedGroup) {
        let member = &self.clients[index].member;
        assert!(joined.generation > Generation(0));
        if joined.leader == *member && !joined.skip_assignment {
            let leader = self.leaders.entry(joined.generation).or_insert_with(|| member.clone());
            assert_eq!(leader, member, "generation {} has two leaders", joined.generation);
            let this = joined.members.iter().filter(|other| other.member == *member).count();
            assert_eq!(this, 1, "a leader is one of the members");
        } else {
            assert!(joined.members.is_empty() || joined.skip_assignment);
        }
    }

    /// Work is named by its generation and the place of a member; nobody else is given the same.
    fn note_assignment(&mut self, index: usize, generation: Generation, work: &Bytes) {
        let client = &self.clients[index];
        if work.is_empty() {
            return;
        }
        let holder = self.assigned.entry((generation, work.clone())).or_insert_with(|| client.member.clone());
        // A static member comes back under a new id, and goes on with its work.
        let same = *holder == client.member
            || client.instance.as_ref().is_some_and(|instance| holder.starts_with(&**instance));
        assert!(same, "{holder:?} and {:?} have the same work {work:?}", client.member);
    }

    fn act(&mut self, index: usize) {
        let client = &self.clients[index];
        let impatient = self.random.once_in(8);
        if client.asked.is_some() && !impatient {
            return;
        }
        let command = match self.random.below(24) {
            0 => {
                self.clients[index].die();
                return;
            }
            1 => GroupCommand::Leave(Leave {
                group: "g".into(),
                members: vec![MemberIdentity {
                    member: client.member.clone(),
                    instance: client.instance.clone(),
                }],
            }),
            2 => GroupCommand::Join(client.join(&mut self.random)),
            3..=5 => GroupCommand::Heartbeat(client.heartbeat()),
            6..=9 => return self.commit(index),
            _ if client.joined.is_none() => GroupCommand::Join(client.join(&mut self.random)),
            _ if !client.synced => GroupCommand::Sync(client.sync()),
            _ => GroupCommand::Heartbeat(client.heartbeat()),
        };
        if matches!(command, GroupCommand::Join(_)) {
            self.clients[index].joined = None;
        }
        let (ticket, _) = self.shard.ask(command);
        self.clients[index].asked = Some(ticket);
    }

    fn commit(&mut self, index: usize) {
        let client = &self.clients[index];
        self.next_offset += 1;
        let partition = PartitionIndex(self.random.below(3) as i32);
        let offset = Offset(self.next_offset);
        let commit = CommitOffsets {
            group: "g".into(),
            member: client.member.clone(),
            instance: client.instance.clone(),
            generation: client.joined.as_ref().map_or(Generation(-1), |joined| joined.generation),
            topics: vec![CommitTopic {
                name: topic(),
                id: TopicId::ZERO,
                partitions: vec![CommitPartition {
                    partition,
                    offset,
                    leader_epoch: LeaderEpoch::NONE,
                    metadata: None,
                }],
            }],
            ..CommitOffsets::default()
        };
        let (ticket, _) = self.shard.ask(GroupCommand::CommitOffsets(commit));
        let Some(GroupAnswer::CommitOffsets(outcomes)) = self.shard.answers.get(&ticket) else { panic!() };
        if outcomes[0].partitions[0].1.is_ok() {
            self.committed.insert(partition, offset);
        }
    }

    fn check_offsets(&mut self) {
        let fetch = FetchOffsets { group: "g".into(), ..FetchOffsets::default() };
        let (ticket, _) = self.shard.ask(GroupCommand::FetchOffsets(fetch));
        let Some(GroupAnswer::FetchOffsets(fetched)) = self.shard.answers.get(&ticket) else { panic!() };
        let told = fetched.as_ref().unwrap().topics.iter().flat_map(|topic| &topic.partitions);
        let told: BTreeMap<PartitionIndex, Offset> =
            told.map(|(partition, offset)| (*partition, offset.clone().unwrap().unwrap().offset)).collect();
        assert_eq!(told, self.committed);
    }

    fn take_over(&mut self) {
        self.shard.check_replay();
        for client in &mut self.clients {
            client.asked = None;
        }
        self.shard.reload();
        // A generation that was not stored never was, and its number is given again.
        let stored = self.shard.machine.classic(&"g".into()).map_or(Generation(0), |group| group.generation);
        self.leaders.retain(|generation, _| *generation <= stored);
        self.assigned.retain(|(generation, _), _| *generation <= stored);
    }

    /// Everybody is gone. Whoever still waits is told in the end, and the group is empty.
    fn finish(mut self) {
        self.shard.wait(Duration::from_secs(20 * 60));
        assert!(self.shard.parked.is_empty(), "{:?} wait for ever", self.shard.parked);
        assert_eq!(self.shard.timers.len(), 1, "only the search for expired offsets goes on");
        if let Some(group) = self.shard.machine.classic(&"g".into()) {
            assert_eq!(group.state.name(), "Empty");
            assert!(group.members.is_empty() && group.pending_join.is_empty());
        }
        self.check_offsets();
        self.shard.check_replay();
    }
}

impl Client {
    fn die(&mut self) {
        *self = Client { instance: self.instance.clone(), ..Client::default() };
    }

    fn suffer(&mut self, error: GroupError) {
        match error {
            GroupError::RebalanceInProgress | GroupError::InconsistentProtocol => self.joined = None,
            _ => self.die(),
        }
    }

    fn join(&self, random: &mut Random) -> Join {
        let topics: &[&str] = if random.once_in(4) { &["t", "u"] } else { &["t"] };
        let mut protocols = vec![Protocol { name: "range".into(), metadata: subscription(topics) }];
        if random.once_in(3) {
            protocols.insert(0, Protocol { name: "sticky".into(), metadata: subscription(&["t"]) });
        }
        Join {
            group: "g".into(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            client_id: "c".into(),
            client_host: "/h".into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Some(Duration::from_secs(60)),
            protocol_type: "consumer".into(),
            protocols: protocols.into(),
            takes_member_id: random.once_in(2),
            skips_assignment: true,
        }
    }

    fn sync(&self) -> Sync {
        let joined = self.joined.as_ref().unwrap();
        let work = |(index, member): (usize, &MemberId)| {
            (member.clone(), Bytes::from(format!("{}:{index}", joined.generation)))
        };
        let members = if joined.skip_assignment {
            Vec::new()
        } else {
            joined.members.iter().map(|member| &member.member).collect()
        };
        Sync {
            group: "g".into(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            generation: joined.generation,
            protocol_type: joined.protocol_type.clone(),
            protocol: joined.protocol.clone(),
            assignments: members.into_iter().enumerate().map(work).collect(),
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            group: "g".into(),
            member: self.member.clone(),
            instance: self.instance.clone(),
            generation: self.joined.as_ref().map_or(Generation(-1), |joined| joined.generation),
        }
    }
}

fn topic() -> TopicName {
    TopicName::new("t").unwrap()
}

/// A command that may or may not fit the machine's state.
fn any_command(machine: &GroupCoordinator, random: &mut Random) -> GroupCommand {
    let group = super::super::GroupId::from(*random.pick(&["g", "h", ""]));
    let known = machine.classic(&group);
    let members: Vec<MemberId> = known
        .iter()
        .flat_map(|known| known.members.keys().chain(&known.pending_join).cloned())
        .chain([MemberId::default(), "stranger".into()])
        .collect();
    let member = random.pick(&members).clone();
    let static_member =
        known.and_then(|known| known.members.get(&member)).and_then(|member| member.instance.clone());
    let instance = if random.once_in(5) { Some("i".into()) } else { static_member };
    let generation = known.map_or(Generation(-1), |known| known.generation);
    let client = Client { instance: instance.clone(), member: member.clone(), ..Client::default() };
    let partition = PartitionIndex(random.below(2) as i32);
    match random.below(14) {
        0..=3 => GroupCommand::Join(Join { group, ..client.join(random) }),
        4..=6 => {
            let assignments =
                members.iter().map(|member| (member.clone(), Bytes::from_static(b"w"))).collect();
            GroupCommand::Sync(Sync { group, member, instance, generation, assignments, ..Sync::default() })
        }
        7 => GroupCommand::Heartbeat(Heartbeat { group, member, instance, generation }),
        8 => GroupCommand::Leave(Leave { group, members: vec![MemberIdentity { member, instance }] }),
        9 => GroupCommand::DeleteGroup(group),
        10 => GroupCommand::DeleteOffsets(DeleteOffsets { group, topics: vec![(topic(), vec![partition])] }),
        11 => GroupCommand::TopicsDeleted([DeletedTopic { name: topic(), id: TopicId::ZERO }].into()),
        _ => {
            let anonymous = random.once_in(2);
            let offset = CommitPartition {
                partition,
                offset: Offset(random.below(1000) as i64),
                leader_epoch: LeaderEpoch(random.below(3) as i32),
                metadata: Some("note".into()),
            };
            GroupCommand::CommitOffsets(CommitOffsets {
                group,
                member: if anonymous { MemberId::default() } else { member },
                instance: if anonymous { None } else { instance },
                generation: if anonymous { Generation(-1) } else { generation },
                retention: random.once_in(5).then(|| Duration::from_secs(100)),
                topics: vec![CommitTopic { name: topic(), id: TopicId::ZERO, partitions: vec![offset] }],
                ..CommitOffsets::default()
            })
        }
    }
}
