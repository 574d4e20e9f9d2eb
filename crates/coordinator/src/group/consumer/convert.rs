//! From one protocol to the other with live members (KIP-848).
//!
//! A classic group becomes a consumer group when the first member of the consumer protocol joins: its last assignment
//! becomes target and assignment of its members, whose epoch is the generation. A consumer group becomes a classic one
//! when the last member of the consumer protocol is gone and members of the classic one are left; they rebalance once.
//! Either way the records of one kind end in the very batch in which those of the other begin.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use vltava_core::id::{Generation, PartitionIndex};
use vltava_core::machine::{Context, Decision, Reply, Timer};

use super::classic_join::joined;
use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::heartbeat::Found;
use super::member::{ClassicMetadata, Current, MemberMetadata, MemberState, Owned};
use super::protocol::{self, Subscription};
use super::target::Target;
use super::{ConsumerGroup, hash};
use crate::assignor::Assignment;
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, JoinAnswer};
use crate::group::classic::{CONSUMER_PROTOCOL_TYPE, ClassicGroup, ClassicState, Draft, Member};
use crate::group::command::Join;
use crate::group::error::GroupError;
use crate::group::event::{GroupEvent, GroupKey, StoredGroup, StoredMember};
use crate::group::name::{GroupId, MemberId};

impl GroupCoordinator {
    /// A classic group as a consumer group. An empty one ends, and an empty consumer group begins.
    pub(super) fn upgrade<'a>(
        &'a self,
        context: &'a Context<'a>,
        id: &GroupId,
        classic: &ClassicGroup,
    ) -> Result<ConsumerDraft<'a>, GroupError> {
        let empty = std::borrow::Cow::Owned(ConsumerGroup::default());
        let mut draft = ConsumerDraft::new(self, context, id, empty);
        draft.decision.events.push(GroupEvent::GroupForgotten { group: id.clone() });
        draft.decision.timers.extend(self.sessions_of_pending(id));
        if classic.state == ClassicState::Empty {
            return Ok(draft);
        }
        let settings = &self.settings.consumer;
        let allowed = settings.migration.upgrades()
            && classic.uses_consumer_protocol()
            && classic.members.len() <= settings.size_max;
        if !allowed {
            return Err(GroupError::GroupNotFound);
        }
        draft.take_over(classic)?;
        Ok(draft)
    }
}

/// A member of a classic group, read.
struct Convert {
    id: MemberId,
    metadata: Arc<MemberMetadata>,
    target: Arc<Assignment>,
    current: Current,
}

impl ConsumerDraft<'_> {
    /// Whoever waits for the classic generation is sent to join again; then it joins this group.
    fn take_over(&mut self, classic: &ClassicGroup) -> Result<(), GroupError> {
        let protocol = classic.protocol.clone().or_else(|| classic.select_protocol());
        let protocol = protocol.ok_or(GroupError::GroupNotFound)?;
        let converts =
            classic.members.values().map(|member| self.convert(member, &protocol, classic.generation));
        let converts = converts.collect::<Result<Vec<Convert>, _>>()?;
        for member in classic.members.values() {
            self.send_back(member);
        }
        for key in [GroupKey::Rebalance(self.id.clone()), GroupKey::PendingSync(self.id.clone())] {
            self.decision.timers.push(Timer::Cancel(key));
        }
        for convert in &converts {
            let (member, metadata) = (convert.id.clone(), convert.metadata.clone());
            self.happen(ConsumerEvent::MemberStored { member, metadata });
        }
        // A leader may have assigned before the topics changed, or not yet: the hash is not theirs, which raises the epoch.
        let metadata_hash = !hash::of_topics(&self.group.subscribed_topics(), self.context.image);
        self.happen(ConsumerEvent::EpochStored { epoch: classic.generation, metadata_hash });
        for convert in &converts {
            let (member, target) = (convert.id.clone(), convert.target.clone());
            self.happen(ConsumerEvent::MemberTargetStored { member, target });
        }
        self.happen(ConsumerEvent::TargetStored { epoch: classic.generation, at: None });
        for convert in converts {
            let timeout = convert.metadata.classic.as_ref().map(|classic| classic.session_timeout);
            self.hear(&convert.id, timeout.unwrap_or_default());
            self.happen(ConsumerEvent::CurrentStored { member: convert.id, current: convert.current });
        }
        Ok(())
    }

    fn convert(
        &self,
        member: &Member,
        protocol: &str,
        generation: Generation,
    ) -> Result<Convert, GroupError> {
        let image = self.context.image;
        let unreadable = |_| GroupError::GroupNotFound;
        let (target, loses) = protocol::assignment(&member.assignment, image).map_err(unreadable)?;
        if loses {
            return Err(GroupError::GroupNotFound);
        }
        let metadata = member.metadata(protocol).cloned().unwrap_or_default();
        let subscription = protocol::subscription(&metadata, image).map_err(unreadable)?;
        let since = |partitions: &BTreeSet<PartitionIndex>| {
            partitions.iter().map(|partition| (*partition, generation)).collect()
        };
        let assigned: Owned = target.iter().map(|(topic, partitions)| (*topic, since(partitions))).collect();
        let metadata = MemberMetadata {
            instance: member.instance.clone(),
            rack: subscription.rack,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            topics: subscription.topics,
            regex: Arc::from(""),
            rebalance_timeout: Some(member.rebalance_timeout),
            assignor: None,
            classic: Some(ClassicMetadata {
                session_timeout: member.session_timeout,
                protocols: member.protocols.clone(),
            }),
        };
        let current = Current {
            epoch: generation,
            previous_epoch: generation,
            state: MemberState::Stable,
            assigned: Arc::new(assigned),
            revoking: Arc::default(),
        };
        Ok(Convert { id: member.id.clone(), metadata: Arc::new(metadata), target: Arc::new(target), current })
    }

    fn send_back(&mut self, member: &Member) {
        let (group, id) = (self.id.clone(), member.id.clone());
        let error = GroupError::RebalanceInProgress;
        if member.awaiting_join {
            let answer = GroupAnswer::Join(JoinAnswer { member: id.clone(), outcome: Err(error) });
            self.decision
                .releases
                .push((GroupKey::Join { group: group.clone(), member: id.clone() }, answer));
        }
        if member.awaiting_sync {
            self.decision
                .releases
                .push((GroupKey::Sync { group, member: id }, GroupAnswer::Sync(Err(error))));
        }
    }

    /// Whether the group becomes a classic one when these members are gone.
    pub(super) fn becomes_classic(&self, leavers: &[MemberId]) -> bool {
        let group = &*self.group;
        let classic_leavers = leavers
            .iter()
            .filter(|leaver| group.members.get(*leaver).is_some_and(|leaver| leaver.is_classic()));
        let left = group.members.len().saturating_sub(leavers.len());
        group.derived.classic_members - classic_leavers.count() == left
            && left > 0
            && self.may_be_classic(left)
    }

    /// Whether `before`, the group as it was, becomes a classic one because a member of the classic protocol has taken the
    /// place of this static member.
    pub(super) fn becomes_classic_by(&self, before: &ConsumerGroup, replaced: &MemberId) -> bool {
        let count = before.members.len();
        before.derived.classic_members + 1 == count
            && before.members.get(replaced).is_some_and(|replaced| !replaced.is_classic())
            && self.may_be_classic(count)
    }

    fn may_be_classic(&self, members: usize) -> bool {
        self.settings().migration.downgrades() && members <= self.coordinator.settings.group_size_max
    }

    /// The same because a static member has come back with the classic protocol. A new generation begins only if the
    /// target is not the group's newest, or others are still on their way to it.
    pub(super) fn downgrade_by(
        mut self,
        join: &Join,
        id: &MemberId,
        before: &Found,
        subscription: &Subscription,
        changed: bool,
    ) -> Result<Decision<GroupCoordinator>, GroupError> {
        let newest = self.group.epoch();
        let mut others = self.group.members.keys().filter(|other| *other != id);
        let stale = self.group.target_epoch() < newest
            || others.any(|other| !self.group.current(other).is_reconciled_to(newest));
        let after = if stale {
            before.current.clone()
        } else {
            let target = Target { epoch: self.group.target_epoch(), partitions: self.group.target(id) };
            self.reconcile(id, before, &target, changed, Some(&subscription.owned))?
        };
        let stored = self.classic_group(&[])?;
        let mut decision = self.downgrade(stored, stale);
        decision.reply = Reply::Committed(joined(id, &after, join));
        Ok(decision)
    }

    /// Goes on as a classic group, with a new generation or with the one that is told here.
    pub(super) fn downgrade(mut self, stored: StoredGroup, rebalance: bool) -> Decision<GroupCoordinator> {
        let classic = |(id, metadata): (&MemberId, &Arc<MemberMetadata>)| {
            Some((id.clone(), metadata.classic.as_ref()?.protocols.clone()))
        };
        let protocols: Vec<_> = self.group.members.iter().filter_map(classic).collect();
        self.forget_group();
        let settings = &self.coordinator.settings;
        let mut draft = Draft::new(self.context, settings, &self.id, ClassicGroup::default());
        draft.begin(stored, protocols);
        if rebalance {
            draft.prepare_rebalance();
        }
        let mut classic = draft.decide();
        self.decision.events.append(&mut classic.events);
        self.decision.timers.append(&mut classic.timers);
        self.decision.releases.append(&mut classic.releases);
        self.decision
    }

    /// The group's members and what they have as a generation of a classic group.
    pub(super) fn classic_group(&self, leavers: &[MemberId]) -> Result<StoredGroup, GroupError> {
        let stay: Vec<(&MemberId, &Arc<MemberMetadata>)> =
            self.group.members.iter().filter(|(member, _)| !leavers.contains(member)).collect();
        let protocol = common_protocol(&stay).ok_or(GroupError::GroupNotFound)?;
        let members = stay.iter().map(|(id, metadata)| self.stored_member(id, metadata, &protocol));
        Ok(StoredGroup {
            protocol_type: Some(Arc::from(CONSUMER_PROTOCOL_TYPE)),
            generation: self.group.epoch(),
            leader: stay.first().map(|(id, _)| (*id).clone()),
            state_timestamp: Some(self.context.wall),
            members: members.collect::<Result<_, _>>()?,
            protocol: Some(protocol),
        })
    }

    fn stored_member(
        &self,
        id: &MemberId,
        metadata: &MemberMetadata,
        protocol: &str,
    ) -> Result<StoredMember, GroupError> {
        let classic = metadata.classic.as_ref().ok_or(GroupError::GroupNotFound)?;
        let said = classic.protocols.iter().find(|known| &*known.name == protocol);
        let said = said.map_or_else(Bytes::new, |known| known.metadata.clone());
        let image = self.context.image;
        let subscription = protocol::subscription(&said, image).map_err(|_| GroupError::GroupNotFound)?;
        // Not its target: until it has joined again it has what it had, also for a consumer group that comes in between.
        let current = self.group.current(id);
        let assignment = protocol::to_assignment(current.partitions(), &subscription, image);
        Ok(StoredMember {
            id: id.clone(),
            instance: metadata.instance.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            rebalance_timeout: metadata.rebalance_timeout.unwrap_or(classic.session_timeout),
            session_timeout: classic.session_timeout,
            subscription: said,
            assignment: assignment.map_err(|_| GroupError::GroupNotFound)?,
        })
    }
}

/// The first of the first member's protocols that all support.
fn common_protocol(members: &[(&MemberId, &Arc<MemberMetadata>)]) -> Option<Arc<str>> {
    let protocols =
        |metadata: &Arc<MemberMetadata>| metadata.classic.as_ref().map(|classic| classic.protocols.clone());
    let first = protocols(members.first()?.1)?;
    let all_support = |name: &Arc<str>| {
        members.iter().all(|(_, metadata)| {
            protocols(metadata).is_some_and(|protocols| protocols.iter().any(|known| known.name == *name))
        })
    };
    first.iter().map(|protocol| &protocol.name).find(|name| all_support(name)).cloned()
}
