//! Groups of the consumer protocol whose coordinator moves from node to node: members join, live by their heartbeats, give
//! up and take over partitions, commit offsets, leave and die. In one of them ([`MOVERS`]) each life of a member speaks
//! either protocol ([`classic`]), so that the group becomes a classic one and a consumer group again, with live members.
//!
//! A member believes what it is told, and gives up at once what it is not told to have. What must hold: a member is given a
//! partition only when whoever had it has said that it has not, has left, or was not heard of for the time of a session;
//! member epochs rise; an offset whose commit was acknowledged is there for whoever has the partition next; and in the end
//! every partition belongs to one member.

mod classic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use vltava_coordinator::group::answer::{HeartbeatAnswer, JoinedGroup};
use vltava_coordinator::group::command::ConsumerHeartbeat;
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError, MemberId};
use vltava_core::clock::Moment;
use vltava_core::id::{Generation, Offset, PartitionIndex};
use vltava_core::testing::Random;

use super::coordinators::SESSION;
use super::members::{Committed, Offsets};
use super::{SHARES, SHARES_PARTITIONS, World};

/// A group whose members speak the consumer protocol, and one whose members speak both.
pub const SHARERS: &str = "sharers";
pub const MOVERS: &str = "movers";
pub const GROUPS: [&str; 2] = [SHARERS, MOVERS];

/// The members of each, and the commits that each has to have acknowledged before it is done.
const MEMBERS: usize = 3;
const COMMITS: usize = 10;

/// How long a member may take to give up partitions: longer than it can be silent.
const REBALANCE: Duration = Duration::from_secs(4);

/// What members believe.
#[derive(Default)]
pub struct Beliefs {
    owned: BTreeMap<Who, Belief>,
    /// How often a member was given something.
    pub given: usize,
    /// How often a member was fenced.
    pub fenced: usize,
    /// How often a member of each protocol was given something in a group of both.
    pub given_by: BTreeMap<Speaks, usize>,
    done: AtomicUsize,
}

/// A member: its group and its number.
type Who = (&'static str, usize);

/// The protocol of a member's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaks {
    Consumer,
    Classic,
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
        self.done.load(Ordering::Relaxed) >= MEMBERS * GROUPS.len()
    }

    /// Every partition has one owner in each group.
    pub fn are_settled(&self) -> bool {
        GROUPS.iter().all(|group| {
            let theirs = self.owned.iter().filter(|((of, _), _)| of == group);
            let owned: Vec<_> = theirs.flat_map(|(_, belief)| &belief.partitions).collect();
            let distinct: BTreeSet<_> = owned.iter().collect();
            owned.len() == SHARES_PARTITIONS && distinct.len() == SHARES_PARTITIONS
        })
    }

    /// A member has what it is told, as of the heartbeat that it sent at `sent`.
    fn take(
        &mut self,
        who: Who,
        told: BTreeSet<PartitionIndex>,
        sent: Moment,
        now: Moment,
    ) -> Result<(), String> {
        let live = |belief: &Belief| now.since(belief.heard) < SESSION;
        let others = self.owned.iter().filter(|(other, _)| other.0 == who.0 && **other != who);
        for (other, belief) in others.filter(|(_, belief)| live(belief)) {
            if let Some(both) = belief.partitions.intersection(&told).next() {
                return Err(format!("{who:?} is given {both}, which {other:?} has"));
            }
        }
        let belief = self.owned.entry(who).or_default();
        self.given += usize::from(!told.is_subset(&belief.partitions));
        *belief = Belief { partitions: told, heard: sent };
        Ok(())
    }
}

/// Starts the members.
pub fn start(world: &Arc<World>, random: &mut Random) {
    for who in GROUPS.iter().flat_map(|group| (0..MEMBERS).map(|number| (*group, number))) {
        let sharer = Sharer {
            world: world.clone(),
            who,
            speaks: Speaks::Consumer,
            joined: None,
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
    who: Who,
    speaks: Speaks,
    /// The generation that it has joined, as a member of the classic protocol.
    joined: Option<JoinedGroup>,
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
            match self.speaks {
                Speaks::Consumer => self.beat().await,
                Speaks::Classic => self.beat_classic().await,
            }
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
        let (group, number) = self.who;
        if group == MOVERS {
            self.speaks = *self.random.pick(&[Speaks::Consumer, Speaks::Classic]);
        }
        self.member = match self.speaks {
            Speaks::Consumer => MemberId::from(format!("{group}-{number}-{}", self.lives)),
            Speaks::Classic => MemberId::default(),
        };
        self.rejoin();
    }

    /// It has nothing any more, and joins.
    fn rejoin(&mut self) {
        self.epoch = Generation(0);
        self.tells_all = true;
        self.joined = None;
        self.offsets.clear();
        self.world.beliefs.lock().owned.remove(&self.who);
    }

    fn heartbeat(&self) -> ConsumerHeartbeat {
        let all = self.tells_all || self.epoch == Generation(0);
        let topic = self.world.shares();
        let owned = (!self.offsets.is_empty()).then(|| (topic, self.offsets.keys().copied().collect()));
        ConsumerHeartbeat {
            group: self.who.0.into(),
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
            Some(GroupAnswer::ConsumerHeartbeat(Ok(answer))) => self.hear(answer, sent),
            Some(GroupAnswer::ConsumerHeartbeat(Err(error))) if self.is_fenced_by(error) => {
                self.world.note(&self.name(), &format!("is fenced: {error}"));
                self.world.beliefs.lock().fenced += 1;
                self.rejoin();
            }
            Some(other) => self.world.is_broken(format!("{} is told {other:?}", self.name())),
            // It does not know whether it was heard, and says everything again.
            None => self.tells_all = true,
        }
    }

    /// A group of both protocols may be none of the consumer protocol for a while.
    fn is_fenced_by(&self, error: GroupError) -> bool {
        let fenced = matches!(error, GroupError::UnknownMember | GroupError::FencedMemberEpoch);
        fenced || (error == GroupError::GroupNotFound && self.who.0 == MOVERS)
    }

    fn name(&self) -> String {
        format!("{}-{}", self.who.0, self.who.1)
    }

    fn hear(&mut self, answer: HeartbeatAnswer, sent: Moment) {
        self.tells_all = false;
        let told: BTreeSet<PartitionIndex> = match answer.assignment {
            Some(assignment) => assignment.into_iter().flat_map(|(_, partitions)| partitions).collect(),
            None => self.offsets.keys().copied().collect(),
        };
        self.take(answer.epoch, told, sent);
    }

    /// It is told that it has these partitions, in this epoch.
    fn take(&mut self, epoch: Generation, told: BTreeSet<PartitionIndex>, sent: Moment) {
        let name = self.name();
        if epoch < self.epoch {
            let before = self.epoch;
            return self.world.is_broken(format!("{name} is in epoch {epoch} after {before}"));
        }
        self.epoch = epoch;
        if told != self.offsets.keys().copied().collect() {
            let owned: Vec<_> = told.iter().map(|index| index.0).collect();
            self.world.note(&name, &format!("has {owned:?} in epoch {epoch}, {:?}", self.speaks));
        }
        let mut beliefs = self.world.beliefs.lock();
        let taken = beliefs.take(self.who, told.clone(), sent, self.world.clock.now());
        if self.who.0 == MOVERS && !told.is_empty() {
            *beliefs.given_by.entry(self.speaks).or_default() += 1;
        }
        drop(beliefs);
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
        Offsets { group: self.who.0, topic: SHARES, member: self.member.clone(), generation: self.epoch }
    }

    /// Leaves, or dies without a word; and comes back.
    async fn go_away(&mut self) {
        let leaves = self.random.once_in(2);
        self.world.note(&self.name(), if leaves { "leaves" } else { "dies" });
        self.world.beliefs.lock().owned.remove(&self.who);
        if leaves {
            let command = match self.speaks {
                Speaks::Consumer => {
                    let heartbeat = ConsumerHeartbeat { epoch: Generation(-1), ..self.heartbeat() };
                    GroupCommand::ConsumerHeartbeat(Box::new(heartbeat))
                }
                Speaks::Classic => self.leave_classic(),
            };
            self.world.ask_as_member(&mut self.random, command).await;
        }
        self.begin_anew();
    }
}
