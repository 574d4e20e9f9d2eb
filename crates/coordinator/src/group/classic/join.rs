//! JoinGroup by members that are new, or new under this id.

use std::sync::Arc;

use vltava_core::id::Timestamp;
use vltava_core::machine::{Context, Decision};
use vltava_core::wire::STRING_BYTES_MAX;

use super::{Change, ClassicState, Draft, Member};
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, JoinAnswer};
use crate::group::command::Join;
use crate::group::consumer::ConsumerGroup;
use crate::group::error::GroupError;
use crate::group::event::StoredGroup;
use crate::group::name::{InstanceId, MemberId};
use crate::group::settings::NEW_MEMBER_JOIN_TIMEOUT;

impl GroupCoordinator {
    pub(in crate::group) fn join(&self, context: &Context<'_>, join: &Join) -> Decision<Self> {
        if let Err(error) = self.admit(join) {
            let answer = JoinAnswer { member: join.member.clone(), outcome: Err(error) };
            return Decision::answer(GroupAnswer::Join(answer));
        }
        if let Some(consumer) = self.consumers.get(&join.group)
            && !consumer.members().is_empty()
        {
            return self.join_consumer(context, consumer, join);
        }
        let known = self.classic(&join.group);
        let group = known.cloned().unwrap_or_default();
        let mut draft = Draft::new(context, &self.settings, &join.group, group);
        if known.is_none() {
            draft.store(empty_group(context.wall));
        }
        draft.join(join);
        let mut decision = draft.decide();
        self.end_consumer_group(context, &join.group, &mut decision);
        decision
    }

    /// What is wrong with the request itself, or with a member id of a group that does not exist.
    fn admit(&self, join: &Join) -> Result<(), GroupError> {
        let allowed = self.settings.session_timeout_min..=self.settings.session_timeout_max;
        if join.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        if !allowed.contains(&join.session_timeout) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        let lives = |group: &ConsumerGroup| !group.members().is_empty();
        let exists =
            self.classic(&join.group).is_some() || self.consumers.get(&join.group).is_some_and(lives);
        if !exists && !join.member.is_empty() {
            return Err(GroupError::UnknownMember);
        }
        Ok(())
    }
}

/// A group of which nothing is known yet. It is stored when the first member asks, so that the group survives a
/// failover in which its members do not.
fn empty_group(at: Timestamp) -> StoredGroup {
    StoredGroup { state_timestamp: Some(at), ..StoredGroup::default() }
}

impl Draft<'_> {
    fn join(&mut self, join: &Join) {
        if !self.accepts(&join.member) {
            self.remove_if_known(&join.member);
            self.refuse_join(MemberId::default(), GroupError::GroupMaxSize);
        } else if !self.group.supports(&join.protocol_type, &join.protocols) {
            self.refuse_join(join.member.clone(), GroupError::InconsistentProtocol);
        } else if join.member.is_empty() {
            self.join_as_stranger(join);
        } else if join.instance.is_none() && self.group.pending_join.contains(&join.member) {
            self.add_member(join, &join.member);
        } else {
            match self.group.validate(&join.member, join.instance.as_ref()).cloned() {
                Ok(member) => self.rejoin(join, &member),
                Err(error) => self.refuse_join(join.member.clone(), error),
            }
        }
    }

    /// Whether there is room. While the group rebalances, those count who have joined: so a group whose largest size
    /// was lowered loses the last to join again.
    fn accepts(&self, member: &MemberId) -> bool {
        let known = self.group.members.get(member);
        match self.group.state {
            ClassicState::Empty => true,
            ClassicState::PreparingRebalance => {
                known.is_some_and(|member| member.awaiting_join)
                    || self.group.awaiting_join() < self.settings.group_size_max
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                known.is_some() || self.group.members.len() < self.settings.group_size_max
            }
        }
    }

    fn remove_if_known(&mut self, member: &MemberId) {
        if self.group.members.contains_key(member) || self.group.pending_join.contains(member) {
            self.remove(vec![member.clone()]);
        }
    }

    fn join_as_stranger(&mut self, join: &Join) {
        match &join.instance {
            Some(instance) => {
                let new = self.new_member_id(instance);
                match self.group.static_member(instance).cloned() {
                    Some(old) => self.replace_static(join, instance, &old, &new),
                    None => self.add_member(join, &new),
                }
            }
            None => {
                let new = self.new_member_id(&join.client_id);
                if join.takes_member_id {
                    self.require_member_id(join, new);
                } else {
                    self.add_member(join, &new);
                }
            }
        }
    }

    fn new_member_id(&self, prefix: &str) -> MemberId {
        let uuid = uuid::Builder::from_random_bytes(self.context.entropy.to_be_bytes()).into_uuid();
        // Clients and the log hold strings of at most so many bytes.
        let longest = STRING_BYTES_MAX - 1 - uuid::fmt::Hyphenated::LENGTH;
        let prefix = prefix.get(..prefix.floor_char_boundary(longest)).unwrap_or_default();
        MemberId::from(format!("{prefix}-{uuid}"))
    }

    /// Hands out an id first, so that a member whose first request times out does not leave a ghost behind (KIP-394).
    fn require_member_id(&mut self, join: &Join, member: MemberId) {
        self.change(Change::PendingAdded(member.clone()));
        self.set_session(&member, self.context.now + join.session_timeout);
        self.refuse_join(member, GroupError::MemberIdRequired);
    }

    fn add_member(&mut self, join: &Join, id: &MemberId) {
        let deadline = self.context.now + NEW_MEMBER_JOIN_TIMEOUT;
        let member = Member {
            id: id.clone(),
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            rebalance_timeout: join.rebalance_timeout.unwrap_or(join.session_timeout),
            session_timeout: join.session_timeout,
            protocols: join.protocols.clone(),
            assignment: bytes::Bytes::new(),
            is_new: true,
            awaiting_join: true,
            awaiting_sync: false,
            deadline,
        };
        self.park_join(id);
        let protocol_type = join.protocol_type.clone();
        self.change(Change::MemberAdded { member: Arc::new(member), protocol_type });
        self.set_session(id, deadline);
        self.rebalance_or_complete_join();
    }

    /// A static member has come back without its id: it takes the place of its former self, which is fenced. While the
    /// group is stable and the selected protocol stays, nobody else needs to notice (KIP-345).
    fn replace_static(&mut self, join: &Join, instance: &InstanceId, old: &MemberId, new: &MemberId) {
        let former_leader = self.group.leader.clone().unwrap_or_default();
        self.fence(old);
        let deadline = self.context.now + join.session_timeout;
        let (old, new) = (old.clone(), new.clone());
        self.change(Change::StaticReplaced {
            instance: instance.clone(),
            old: old.clone(),
            new: new.clone(),
            deadline,
        });
        self.cancel_session(&old);
        self.set_session(&new, deadline);
        self.park_rejoin(join, &new);
        match self.group.state {
            ClassicState::Stable if self.group.select_protocol() == self.group.protocol => {
                self.answer_replaced(join, &new, former_leader);
            }
            // The leader may be assigning to the old id, so the group has to begin anew.
            ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare_rebalance(),
            ClassicState::Empty | ClassicState::PreparingRebalance => self.complete_join_if_all_joined(),
        }
    }

    fn fence(&mut self, member: &MemberId) {
        let Some(former) = self.group.members.get(member).cloned() else { return };
        if former.awaiting_join {
            self.answer_join(member, Err(GroupError::FencedInstance));
        }
        if former.awaiting_sync {
            self.answer_sync(member, Err(GroupError::FencedInstance));
        }
    }

    /// Stores the group under its member's new id and lets the member go on in the current generation. A leader must
    /// not assign again; a client that cannot be told so is told that its former self leads.
    fn answer_replaced(&mut self, join: &Join, member: &MemberId, former_leader: MemberId) {
        let mut joined = self.joined(member);
        if join.skips_assignment {
            joined.skip_assignment = self.group.is_leader(member);
        } else {
            joined.leader = former_leader;
            joined.members.clear();
        }
        self.answer_join(member, Ok(joined));
        self.change(Change::JoinAnswered(member.clone()));
        let stored = self.group.to_stored(|member| member.assignment.clone());
        self.store(stored);
    }
}
