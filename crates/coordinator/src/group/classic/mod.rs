//! A group of the classic protocol: members that elect a leader, and the leader that assigns.
//!
//! [`ClassicGroup`] is the state and `ClassicGroup::apply` its only mutation. A decision works on a `Draft`: a copy
//! of the group to which it applies every event as it decides it, so that a cascade — a member leaves, so all others
//! have joined, so a generation starts — is written as one thing after the other, and so that what was decided upon is
//! exactly what is applied later. Members are shared, which makes the copy of a large group cheap; heartbeats need none.

mod draft;
mod heartbeat;
mod join;
mod leave;
mod member;
mod rebalance;
mod rejoin;
mod sync;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use vltava_core::clock::Moment;
use vltava_core::id::{Generation, Timestamp};

use super::command::Protocol;
use super::error::GroupError;
use super::event::{Change, StoredGroup};
use super::name::{InstanceId, MemberId};

pub(super) use draft::Draft;
pub(super) use heartbeat::{hear, session_timer};
pub use member::Member;

/// The protocol type of consumers, whose metadata the coordinator understands in part.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Where a classic group is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassicState {
    /// No members; perhaps offsets.
    #[default]
    Empty,
    /// Waits for members to join.
    PreparingRebalance,
    /// Has a generation, and waits for its leader to assign.
    CompletingRebalance,
    /// Has a generation with assignments.
    Stable,
}

impl ClassicState {
    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
        }
    }
}

/// A group of the classic protocol, as its coordinator sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassicGroup {
    /// Where it is.
    pub state: ClassicState,
    /// It was empty before it began to wait for members: then it waits for a time, and not for all it knows.
    pub initial_rebalance: bool,
    /// When it came there; unknown after a replay of old records.
    pub state_timestamp: Option<Timestamp>,
    /// The kind of protocol.
    pub protocol_type: Option<Arc<str>>,
    /// The selected protocol.
    pub protocol: Option<Arc<str>>,
    /// The generation.
    pub generation: Generation,
    /// The leader.
    pub leader: Option<MemberId>,
    /// The members, in the order they have joined.
    pub members: IndexMap<MemberId, Arc<Member>>,
    /// Ids that were handed out, whose members are expected.
    pub pending_join: BTreeSet<MemberId>,
    /// Members of this generation that have not synced.
    pub pending_sync: BTreeSet<MemberId>,
    /// A member was added since the wait of a formerly empty group began or was extended.
    pub member_added: bool,
}

impl ClassicGroup {
    /// Whether `member` exists and is who it claims to be.
    pub(super) fn validate(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<&Arc<Member>, GroupError> {
        let found = self.members.get(member);
        if let Some(instance) = instance
            && found.is_none_or(|found| found.instance.as_ref() != Some(instance))
        {
            let taken = self.static_member(instance).is_some();
            return Err(if taken { GroupError::FencedInstance } else { GroupError::UnknownMember });
        }
        found.ok_or(GroupError::UnknownMember)
    }

    /// The id of the static member of this instance id.
    pub(super) fn static_member(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.members
            .values()
            .find(|member| member.instance.as_ref() == Some(instance))
            .map(|member| &member.id)
    }

    pub(super) fn is_leader(&self, member: &MemberId) -> bool {
        self.leader.as_ref() == Some(member)
    }

    /// How many members have joined the coming generation.
    pub(super) fn awaiting_join(&self) -> usize {
        self.members.values().filter(|member| member.awaiting_join).count()
    }

    pub(super) fn all_have_joined(&self) -> bool {
        self.pending_join.is_empty() && self.members.values().all(|member| member.awaiting_join)
    }

    /// The longest rebalance timeout of the members.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// Whether a member with these protocols could be one of the group.
    pub(super) fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == ClassicState::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|protocol| self.all_support(&protocol.name))
    }

    /// The protocol that most members prefer among those that all support; the earliest vote breaks a tie.
    pub(super) fn select_protocol(&self) -> Option<Arc<str>> {
        let first = self.members.first()?.1;
        let candidates: HashSet<&str> = first
            .protocols
            .iter()
            .map(|protocol| &*protocol.name)
            .filter(|name| self.all_support(name))
            .collect();
        let mut votes: IndexMap<&Arc<str>, usize> = IndexMap::new();
        for member in self.members.values() {
            if let Some(vote) = member.protocols.iter().find(|protocol| candidates.contains(&*protocol.name))
            {
                *votes.entry(&vote.name).or_default() += 1;
            }
        }
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }

    fn all_support(&self, name: &str) -> bool {
        self.members.values().all(|member| member.metadata(name).is_some())
    }

    pub(super) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// The topics that the members subscribe to; none when the coordinator cannot know.
    pub(super) fn subscribed_topics(&self) -> Option<HashSet<String>> {
        if !self.uses_consumer_protocol() {
            return None;
        }
        if self.members.is_empty() {
            return Some(HashSet::new());
        }
        let protocol = self.protocol.as_deref()?;
        let mut topics = HashSet::new();
        for member in self.members.values() {
            topics.extend(member::subscription_topics(member.metadata(protocol)?)?);
        }
        Some(topics)
    }

    /// What is stored of the group now, with these assignments.
    pub(super) fn to_stored(&self, assignment: impl Fn(&Member) -> Bytes) -> StoredGroup {
        StoredGroup {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: self.state_timestamp,
            members: self
                .members
                .values()
                .map(|member| member.to_stored(self.protocol.as_deref(), assignment(member)))
                .collect(),
        }
    }

    /// Takes over a stored state. What only a leader knows of the members survives, for those that are the same.
    pub(super) fn restore(&mut self, stored: &StoredGroup) {
        let mut former = std::mem::take(&mut self.members);
        for member in &stored.members {
            let restored = match former.swap_remove(&member.id) {
                Some(live) => Arc::new(live.restored(member, stored.protocol.as_ref())),
                None => Arc::new(Member::from_stored(member, stored.protocol.as_ref())),
            };
            self.members.insert(member.id.clone(), restored);
        }
        self.move_to(
            if self.members.is_empty() { ClassicState::Empty } else { ClassicState::Stable },
            stored.state_timestamp,
        );
        self.protocol_type.clone_from(&stored.protocol_type);
        self.protocol.clone_from(&stored.protocol);
        self.generation = stored.generation;
        self.leader.clone_from(&stored.leader);
        self.pending_sync.retain(|member| self.members.contains_key(member));
    }

    /// Applies one change. A change that speaks of members that are not there changes nothing.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::PendingAdded(member) => {
                self.pending_join.insert(member.clone());
            }
            Change::MemberAdded { member, protocol_type } => self.add(member, protocol_type),
            Change::MemberRejoined { member, protocols, session_timeout, rebalance_timeout } => {
                self.edit(member, |member| {
                    member.protocols = protocols.clone();
                    member.session_timeout = *session_timeout;
                    member.rebalance_timeout = *rebalance_timeout;
                    member.awaiting_join = true;
                });
            }
            Change::ProtocolsKnown { member, protocols } => {
                self.edit(member, |member| member.protocols = protocols.clone());
            }
            Change::StaticReplaced { instance, old, new, deadline } => {
                self.replace(instance, old, new, *deadline);
            }
            Change::MembersRemoved(members) => self.remove(members),
            Change::LeaderElected(member) => self.leader = Some(member.clone()),
            Change::JoinAnswered(member) => self.edit(member, |member| member.awaiting_join = false),
            Change::RebalancePrepared { at, now } => self.prepare(*at, *now),
            Change::InitialDelayExtended => self.member_added = false,
            Change::GenerationStarted { protocol, at, now } => self.start(protocol, *at, *now),
            Change::SyncAwaited(member) => {
                self.pending_sync.remove(member);
                self.edit(member, |member| member.awaiting_sync = true);
            }
            Change::SyncReceived(member) => {
                self.pending_sync.remove(member);
            }
            Change::SyncsAnswered(now) => self.answer_syncs(*now),
            Change::Heard { member, deadline } => self.edit(member, |member| member.deadline = *deadline),
        }
    }

    fn edit(&mut self, member: &MemberId, edit: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(member) {
            edit(Arc::make_mut(member));
        }
    }

    fn edit_all(&mut self, mut edit: impl FnMut(&mut Member)) {
        for member in self.members.values_mut() {
            edit(Arc::make_mut(member));
        }
    }

    fn move_to(&mut self, state: ClassicState, at: Option<Timestamp>) {
        self.initial_rebalance =
            self.state == ClassicState::Empty && state == ClassicState::PreparingRebalance;
        self.state = state;
        self.state_timestamp = at;
    }

    fn add(&mut self, member: &Arc<Member>, protocol_type: &Arc<str>) {
        if self.members.is_empty() {
            self.protocol_type = Some(protocol_type.clone());
        }
        self.member_added |= self.initial_rebalance;
        self.leader.get_or_insert_with(|| member.id.clone());
        self.pending_join.remove(&member.id);
        self.members.insert(member.id.clone(), member.clone());
    }

    fn replace(&mut self, instance: &InstanceId, old: &MemberId, new: &MemberId, deadline: Moment) {
        let Some((index, _, member)) = self.members.shift_remove_full(old) else { return };
        let mut member = Arc::unwrap_or_clone(member);
        member.id = new.clone();
        member.instance = Some(instance.clone());
        member.is_new = false;
        member.awaiting_join = false;
        member.awaiting_sync = false;
        member.deadline = deadline;
        self.members.shift_insert(index.min(self.members.len()), new.clone(), Arc::new(member));
        if self.is_leader(old) {
            self.leader = Some(new.clone());
        }
    }

    fn remove(&mut self, members: &[MemberId]) {
        let gone: HashSet<&MemberId> = members.iter().collect();
        self.members.retain(|member, _| !gone.contains(member));
        for member in members {
            self.pending_join.remove(member);
            self.pending_sync.remove(member);
        }
        if self.leader.as_ref().is_some_and(|leader| gone.contains(leader)) {
            self.leader = self.members.first().map(|(member, _)| member.clone());
        }
    }

    fn prepare(&mut self, at: Timestamp, now: Moment) {
        if self.state == ClassicState::CompletingRebalance {
            self.edit_all(|member| member.assignment = Bytes::new());
            self.answer_syncs(now);
        }
        self.pending_sync.clear();
        self.member_added = false;
        self.move_to(ClassicState::PreparingRebalance, Some(at));
    }

    fn start(&mut self, protocol: &Arc<str>, at: Timestamp, now: Moment) {
        self.generation = Generation(self.generation.0.saturating_add(1));
        self.protocol = Some(protocol.clone());
        self.move_to(ClassicState::CompletingRebalance, Some(at));
        self.edit_all(|member| {
            member.is_new = false;
            member.awaiting_join = false;
            member.deadline = now + member.session_timeout;
        });
        self.pending_sync = self.members.keys().cloned().collect();
    }

    fn answer_syncs(&mut self, now: Moment) {
        for member in self.members.values_mut().filter(|member| member.awaiting_sync) {
            let member = Arc::make_mut(member);
            member.awaiting_sync = false;
            member.deadline = now + member.session_timeout;
        }
    }
}
