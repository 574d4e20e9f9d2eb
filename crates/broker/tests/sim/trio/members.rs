//! A group whose coordinator moves from node to node: members join, sync, send heartbeats, commit offsets and leave, while the
//! log of their coordinator changes its leader.
//!
//! What must hold: in one generation no partition belongs to two members; the generations that a member sees rise; an offset
//! whose commit was acknowledged is there for whoever owns the partition next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use vltava_coordinator::group::answer::{JoinAnswer, JoinedGroup};
use vltava_coordinator::group::command::{
    CommitOffsets, CommitPartition, CommitTopic, FetchOffsets, FetchTopic, Heartbeat, Join, Leave,
    MemberIdentity, Protocol, Sync,
};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError, MemberId};
use vltava_core::id::{Generation, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName};
use vltava_core::testing::Random;

use super::coordinators::SESSION;
use super::network::Place;
use super::{NODES, ORDERS, World};

/// The group, its members, and the partitions that they share out.
pub const GROUP: &str = "readers";
const MEMBERS: usize = 3;
const PARTITIONS: i32 = 5;

/// Commits that each member has to have acknowledged before it is done.
const COMMITS: usize = 12;

const REBALANCE: Duration = Duration::from_millis(1500);

/// How long a member waits for a coordinator: longer than a rebalance takes.
const PATIENCE: Duration = Duration::from_secs(3);

/// What members were told.
#[derive(Default)]
pub struct Memberships {
    /// Who owns each partition in each generation.
    owners: BTreeMap<(Generation, PartitionIndex), MemberId>,
    /// The highest offset of each partition of a group whose commit was acknowledged.
    committed: BTreeMap<(&'static str, PartitionIndex), Offset>,
}

impl Memberships {
    /// How many generations have had an owner of something.
    pub fn generations(&self) -> usize {
        let generations: BTreeSet<_> = self.owners.keys().map(|(generation, _)| generation).collect();
        generations.len()
    }

    /// The offsets of a group that were acknowledged.
    pub fn committed(&self, group: &str) -> BTreeMap<PartitionIndex, Offset> {
        let of_group = self.committed.iter().filter(|((of, _), _)| *of == group);
        of_group.map(|((_, partition), offset)| (*partition, *offset)).collect()
    }
}

/// The tasks of the members.
pub struct Members {
    done: Arc<AtomicUsize>,
}

impl Members {
    /// Every member has committed what it wanted to.
    pub fn are_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= MEMBERS
    }
}

/// Starts the members.
pub fn start(world: &Arc<World>, random: &mut Random) -> Members {
    let done = Arc::new(AtomicUsize::new(0));
    for number in 0..MEMBERS {
        let member = Member {
            world: world.clone(),
            name: format!("member-{number}"),
            id: MemberId::default(),
            generation: Generation(-1),
            commits: 0,
            random: Random::new(random.bits()),
            done: done.clone(),
        };
        tokio::spawn(member.run());
    }
    Members { done }
}

impl World {
    /// Asks the coordinator of groups as its members do: with patience, and not who was replaced. `None` without an answer.
    pub async fn ask_as_member(
        self: &Arc<World>,
        random: &mut Random,
        command: GroupCommand,
    ) -> Option<GroupAnswer> {
        let anybody = random.below(NODES);
        let to = self.leader(self.groups).unwrap_or(anybody);
        let answer = self.ask_group(to, command);
        let asked = self.network.call_within(PATIENCE, Place::Client, Place::Node(to), answer).await;
        asked.ok()?.ok()
    }
}

/// Who commits and fetches the offsets of a group.
pub struct Offsets {
    pub group: &'static str,
    pub topic: &'static str,
    pub member: MemberId,
    pub generation: Generation,
}

/// What became of a commit.
pub enum Committed {
    Yes,
    No,
    /// Nobody knows.
    Perhaps,
}

impl Offsets {
    /// The offsets of some partitions, 0 where there is none. `None` without an answer.
    pub async fn fetch(
        &self,
        world: &Arc<World>,
        partitions: &[PartitionIndex],
        random: &mut Random,
    ) -> Option<BTreeMap<PartitionIndex, Offset>> {
        let known = world.memberships.lock().committed(self.group);
        let topic =
            FetchTopic { name: topic(self.topic), id: TopicId::ZERO, partitions: partitions.to_vec() };
        let fetch = FetchOffsets {
            group: self.group.into(),
            topics: Some(vec![topic]),
            member_epoch: Generation(-1),
            ..FetchOffsets::default()
        };
        let Some(GroupAnswer::FetchOffsets(Ok(fetched))) =
            world.ask_as_member(random, GroupCommand::FetchOffsets(fetch)).await
        else {
            return None;
        };
        let mut offsets = BTreeMap::new();
        for (partition, offset) in fetched.topics.into_iter().flat_map(|topic| topic.partitions) {
            let offset = offset.ok()?.map_or(Offset(0), |committed| committed.offset);
            if let Some(known) = known.get(&partition).filter(|known| offset < **known) {
                let group = self.group;
                world.is_broken(format!(
                    "{group}: the offset of {partition} went back from {known} to {offset}"
                ));
                return None;
            }
            offsets.insert(partition, offset);
        }
        Some(offsets)
    }

    pub async fn commit(
        &self,
        world: &Arc<World>,
        partition: PartitionIndex,
        offset: Offset,
        random: &mut Random,
    ) -> Committed {
        let commit = CommitPartition { partition, offset, leader_epoch: LeaderEpoch::NONE, metadata: None };
        let commit = CommitOffsets {
            group: self.group.into(),
            member: self.member.clone(),
            generation: self.generation,
            knows_group_not_found: true,
            topics: vec![CommitTopic {
                name: topic(self.topic),
                id: TopicId::ZERO,
                partitions: vec![commit],
            }],
            ..CommitOffsets::default()
        };
        match world.ask_as_member(random, GroupCommand::CommitOffsets(commit)).await {
            Some(GroupAnswer::CommitOffsets(topics)) => {
                let fine =
                    topics.iter().flat_map(|topic| &topic.partitions).all(|(_, result)| result.is_ok());
                if !fine {
                    return Committed::No;
                }
                let mut memberships = world.memberships.lock();
                let known = memberships.committed.entry((self.group, partition)).or_insert(offset);
                *known = (*known).max(offset);
                Committed::Yes
            }
            _ => Committed::Perhaps,
        }
    }
}

struct Member {
    world: Arc<World>,
    name: String,
    id: MemberId,
    generation: Generation,
    commits: usize,
    random: Random,
    done: Arc<AtomicUsize>,
}

impl Member {
    /// Takes part until the world ends; joins again whenever it has to.
    async fn run(mut self) {
        while !self.world.is_over() && !self.world.is_closing() {
            if let Some(owned) = self.join().await {
                self.work(owned).await;
            }
            let pause = 10_000 + self.random.bits() % 40_000;
            sleep(Duration::from_micros(pause)).await;
        }
    }

    async fn ask(&mut self, command: GroupCommand) -> Option<GroupAnswer> {
        self.world.ask_as_member(&mut self.random, command).await
    }

    /// Joins and syncs; returns the partitions that it owns now.
    async fn join(&mut self) -> Option<Vec<PartitionIndex>> {
        let joined = self.join_once().await?;
        let generation = joined.generation;
        if generation < self.generation {
            let before = self.generation;
            self.world.is_broken(format!("{} is in generation {generation} after {before}", self.name));
            return None;
        }
        let sync = Sync {
            group: GROUP.into(),
            member: self.id.clone(),
            generation,
            assignments: if joined.leader == self.id { assign(&joined) } else { Vec::new() },
            ..Sync::default()
        };
        let Some(GroupAnswer::Sync(Ok(synced))) = self.ask(GroupCommand::Sync(sync)).await else {
            return None;
        };
        self.generation = generation;
        let owned: Vec<_> = synced.assignment.iter().map(|index| PartitionIndex(i32::from(*index))).collect();
        self.world.note(&self.name, &format!("owns {owned:?} in generation {generation}"));
        let mut memberships = self.world.memberships.lock();
        for partition in &owned {
            let owner = memberships.owners.entry((generation, *partition)).or_insert_with(|| self.id.clone());
            if *owner != self.id {
                let what = format!("{owner} and {} both own {partition} in generation {generation}", self.id);
                drop(memberships);
                self.world.is_broken(what);
                return None;
            }
        }
        Some(owned)
    }

    async fn join_once(&mut self) -> Option<JoinedGroup> {
        let protocol = Protocol { name: "any".into(), metadata: Bytes::from_static(b"any") };
        let join = Join {
            group: GROUP.into(),
            member: self.id.clone(),
            client_id: self.name.as_str().into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: SESSION,
            rebalance_timeout: Some(REBALANCE),
            protocol_type: "consumer".into(),
            protocols: Arc::from([protocol]),
            takes_member_id: true,
            ..Join::default()
        };
        let Some(GroupAnswer::Join(JoinAnswer { member, outcome })) =
            self.ask(GroupCommand::Join(join)).await
        else {
            return None;
        };
        match outcome {
            Ok(joined) => {
                self.id = member;
                Some(joined)
            }
            Err(GroupError::MemberIdRequired) => {
                self.id = member;
                None
            }
            Err(_) => {
                self.id = MemberId::default();
                None
            }
        }
    }

    /// Commits for what it owns, until it has to join again.
    async fn work(&mut self, owned: Vec<PartitionIndex>) {
        let Some(mut offsets) = self.fetch(&owned).await else { return };
        loop {
            let pause = 30_000 + self.random.bits() % 150_000;
            sleep(Duration::from_micros(pause)).await;
            if self.world.is_over() || self.world.is_closing() {
                return;
            }
            let heartbeat = Heartbeat {
                group: GROUP.into(),
                member: self.id.clone(),
                generation: self.generation,
                ..Heartbeat::default()
            };
            let asked = self.ask(GroupCommand::Heartbeat(heartbeat)).await;
            match asked {
                Some(GroupAnswer::Heartbeat(Ok(()))) => {}
                Some(GroupAnswer::Heartbeat(Err(GroupError::UnknownMember))) => {
                    self.id = MemberId::default();
                    return;
                }
                Some(_) => return,
                None => continue,
            }
            for (partition, offset) in &mut offsets {
                offset.0 += 1;
                if !self.commit(*partition, *offset).await {
                    return;
                }
            }
            if self.random.once_in(25) {
                return self.leave().await;
            }
        }
    }

    fn offsets(&self) -> Offsets {
        Offsets { group: GROUP, topic: ORDERS, member: self.id.clone(), generation: self.generation }
    }

    async fn fetch(&mut self, owned: &[PartitionIndex]) -> Option<BTreeMap<PartitionIndex, Offset>> {
        self.offsets().fetch(&self.world, owned, &mut self.random).await
    }

    /// Whether this member may go on: a commit of which nobody knows what became of it is no reason to stop.
    async fn commit(&mut self, partition: PartitionIndex, offset: Offset) -> bool {
        match self.offsets().commit(&self.world, partition, offset, &mut self.random).await {
            Committed::Yes => {
                self.commits += 1;
                if self.commits == COMMITS {
                    self.done.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            Committed::Perhaps => true,
            Committed::No => false,
        }
    }

    async fn leave(&mut self) {
        let members = vec![MemberIdentity { member: self.id.clone(), instance: None }];
        self.world.note(&self.name, "leaves");
        self.ask(GroupCommand::Leave(Leave { group: GROUP.into(), members })).await;
        self.id = MemberId::default();
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

/// Gives each partition to one of the members, in turn.
fn assign(joined: &JoinedGroup) -> Vec<(MemberId, Bytes)> {
    let members: Vec<MemberId> = joined.members.iter().map(|member| member.member.clone()).collect();
    let of = |(at, member): (usize, &MemberId)| {
        let share = (0..PARTITIONS).filter(|index| usize::try_from(*index).unwrap() % members.len() == at);
        (member.clone(), share.map(|index| u8::try_from(index).unwrap()).collect::<Vec<u8>>().into())
    };
    members.iter().enumerate().map(of).collect()
}
