//! A group of the consumer protocol whose coordinator moves from node to node: members join, live by their heartbeats, give
//! up and take over partitions, commit offsets, leave and die.
//!
//! A member believes what it is told, and gives up at once what it is not told to have. What must hold: a member is given a
//! partition only when whoever had it has said that it has not, has left, or was not heard of for the time of a session;
//! member epochs rise; an offset whose commit was acknowledged is there for whoever has the partition next; and in the end
//! every partition belongs to one member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use vltava_coordinator::group::answer::HeartbeatAnswer;
use vltava_coordinator::group::command::ConsumerHeartbeat;
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError, MemberId};
use vltava_core::clock::Moment;
use vltava_core::id::{Generation, Offset, PartitionIndex};
use vltava_core::testing::Random;

use super::coordinators::SESSION;
use super::members::{Committed, Offsets};
use super::{SHARES, SHARES_PARTITIONS, World};

/// The group, its members, and the commits that each has to have acknowledged before it is done.
pub const GROUP: &str = "sharers";
const MEMBERS: usize = 3;
const COMMITS: usize = 10;

/// How long a member may take to give up partitions: longer than it can be silent.
const REBALANCE: Duration = Duration::from_secs(4);

/// What members believe.
#[derive(Default)]
pub struct Beliefs {
    owned: BTreeMap<usize, Belief>,
    /// How often a member was given something.
    pub given: usize,
    /// How often a member was fenced.
    pub fenced: usize,
    done: AtomicUsize,
}

#[derive(Default)]
struct Belief {
    partitions: BTreeSet<PartitionIndex>,
    /// When it last sent the heartbeat that was answered.
    heard: Moment,
}

impl Beliefs {
    /// Every member has committed what it wanted to.
    pub fn are_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) >= MEMBERS
    }

    /// Every partition has one owner.
    pub fn are_settled(&self) -> bool {
        let owned: Vec<_> = self.owned.values().flat_map(|belief| &belief.partitions).collect();
        let distinct: BTreeSet<_> = owned.iter().collect();
        owned.len() == SHARES_PARTITIONS && distinct.len() == SHARES_PARTITIONS
    }

    /// A member has what it is told, as of the heartbeat that it sent at `sent`.
    fn take(
        &mut self,
        number: usize,
        told: BTreeSet<PartitionIndex>,
        sent: Moment,
        now: Moment,
    ) -> Result<(), String> {
        let live = |belief: &Belief| now.since(belief.heard) < SESSION;
        for (other, belief) in self.owned.iter().filter(|(other, belief)| **other != number && live(belief)) {
            if let Some(both) = belief.partitions.intersection(&told).next() {
                return Err(format!("sharer-{number} is given {both}, which sharer-{other} has"));
            }
        }
        let belief = self.owned.entry(number).or_default();
        self.given += usize::from(!told.is_subset(&belief.partitions));
        *belief = Belief { partitions: told, heard: sent };
        Ok(())
    }
}

/// Starts the members.
pub fn start(world: &Arc<World>, random: &mut Random) {
    for number in 0..MEMBERS {
        let sharer = Sharer {
            world: world.clone(),
            number,
            lives: 0,
            member: MemberId::default(),
            epoch: Generation(0),
            tells_all: true,
            offsets: BTreeMap::new(),
            commits: 0,
            random: Random::new(random.bits()),
        };
        tokio::spawn(sharer.run());
    }
}

struct Sharer {
    world: Arc<World>,
    number: usize,
    lives: usize,
    member: MemberId,
    epoch: Generation,
    tells_all: bool,
    /// What it has, and the last offset of each.
    offsets: BTreeMap<PartitionIndex, Offset>,
    commits: usize,
    random: Random,
}

impl Sharer {
    /// Takes part until the world closes.
    async fn run(mut self) {
        self.begin_anew();
        while !self.world.is_over() && !self.world.is_closing() {
            self.beat().await;
            if self.epoch > Generation(0) && self.random.once_in(3) {
                self.commit().await;
            }
            if !self.world.is_healed() && self.random.once_in(60) {
                self.go_away().await;
            }
            sleep(Duration::from_micros(40_000 + self.random.bits() % 120_000)).await;
        }
    }

    /// Another life, which is another member.
    fn begin_anew(&mut self) {
        self.lives += 1;
        self.member = MemberId::from(format!("sharer-{}-{}", self.number, self.lives));
        self.rejoin();
    }

    /// It has nothing any more, and joins.
    fn rejoin(&mut self) {
        self.epoch = Generation(0);
        self.tells_all = true;
        self.offsets.clear();
        self.world.beliefs.lock().owned.remove(&self.number);
    }

    fn heartbeat(&self) -> ConsumerHeartbeat {
        let all = self.tells_all || self.epoch == Generation(0);
        let topic = self.world.shares();
        let owned = (!self.offsets.is_empty()).then(|| (topic, self.offsets.keys().copied().collect()));
        ConsumerHeartbeat {
            group: GROUP.into(),
            member: self.member.clone(),
            epoch: self.epoch,
            rebalance_timeout: all.then_some(REBALANCE),
            topics: all.then(|| Arc::new(BTreeSet::from([Arc::from(SHARES)]))),
            owned: Some(owned.into_iter().collect()),
            client_id: "sharer".into(),
            client_host: "/127.0.0.1".into(),
            makes_member_id: true,
            ..ConsumerHeartbeat::default()
        }
    }

    async fn beat(&mut self) {
        let sent = self.world.clock.now();
        let command = GroupCommand::ConsumerHeartbeat(Box::new(self.heartbeat()));
        match self.world.ask_as_member(&mut self.random, command).await {
            Some(GroupAnswer::ConsumerHeartbeat(Ok(answer))) => self.hear(answer, sent).await,
            Some(GroupAnswer::ConsumerHeartbeat(Err(
                GroupError::UnknownMember | GroupError::FencedMemberEpoch,
            ))) => {
                self.world.note(&format!("sharer-{}", self.number), "is fenced");
                self.world.beliefs.lock().fenced += 1;
                self.rejoin();
            }
            Some(other) => self.world.is_broken(format!("sharer-{} is told {other:?}", self.number)),
            // It does not know whether it was heard, and says everything again.
            None => self.tells_all = true,
        }
    }

    async fn hear(&mut self, answer: HeartbeatAnswer, sent: Moment) {
        let name = format!("sharer-{}", self.number);
        if answer.epoch < self.epoch {
            let (now, before) = (answer.epoch, self.epoch);
            return self.world.is_broken(format!("{name} is in epoch {now} after {before}"));
        }
        self.epoch = answer.epoch;
        self.tells_all = false;
        let told: BTreeSet<PartitionIndex> = match answer.assignment {
            Some(assignment) => assignment.into_iter().flat_map(|(_, partitions)| partitions).collect(),
            None => self.offsets.keys().copied().collect(),
        };
        if told != self.offsets.keys().copied().collect() {
            let owned: Vec<_> = told.iter().map(|index| index.0).collect();
            self.world.note(&name, &format!("has {owned:?} in epoch {}", self.epoch));
        }
        let taken = self.world.beliefs.lock().take(self.number, told.clone(), sent, self.world.clock.now());
        if let Err(broken) = taken {
            return self.world.is_broken(broken);
        }
        self.offsets.retain(|index, _| told.contains(index));
        let new: Vec<_> = told.into_iter().filter(|index| !self.offsets.contains_key(index)).collect();
        self.offsets.extend(new.iter().map(|index| (*index, Offset(-1))));
    }

    /// Commits the next offset of each partition whose offset it knows, and asks for those of the others.
    async fn commit(&mut self) {
        let unknown: Vec<_> =
            self.offsets.iter().filter(|(_, at)| at.0 < 0).map(|(index, _)| *index).collect();
        let offsets = self.group_offsets();
        if !unknown.is_empty() {
            if let Some(found) = offsets.fetch(&self.world, &unknown, &mut self.random).await {
                self.offsets.extend(found);
            }
            return;
        }
        let known: Vec<_> = self.offsets.iter().map(|(index, at)| (*index, *at)).collect();
        for (index, at) in known {
            let next = Offset(at.0 + 1);
            match offsets.commit(&self.world, index, next, &mut self.random).await {
                Committed::Yes => {
                    self.offsets.insert(index, next);
                    self.commits += 1;
                    if self.commits == COMMITS {
                        self.world.beliefs.lock().done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // It may count all the same.
                Committed::Perhaps => drop(self.offsets.insert(index, Offset(-1))),
                Committed::No => return,
            }
        }
    }

    fn group_offsets(&self) -> Offsets {
        Offsets { group: GROUP, topic: SHARES, member: self.member.clone(), generation: self.epoch }
    }

    /// Leaves, or dies without a word; and comes back.
    async fn go_away(&mut self) {
        let leaves = self.random.once_in(2);
        self.world.note(&format!("sharer-{}", self.number), if leaves { "leaves" } else { "dies" });
        self.world.beliefs.lock().owned.remove(&self.number);
        if leaves {
            let heartbeat = ConsumerHeartbeat { epoch: Generation(-1), ..self.heartbeat() };
            let command = GroupCommand::ConsumerHeartbeat(Box::new(heartbeat));
            self.world.ask_as_member(&mut self.random, command).await;
        }
        self.begin_anew();
    }
}
