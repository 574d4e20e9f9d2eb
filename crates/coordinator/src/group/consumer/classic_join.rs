//! JoinGroup and SyncGroup by members of the classic protocol in a consumer group.
//!
//! They are members like the others: joining is their heartbeat with a subscription, the generation they are told is their
//! member epoch, and no leader among them assigns. They cannot be told between heartbeats what to give up, so they are
//! sent through another join whenever there is something to do.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::machine::{Context, Decision};

use super::ConsumerGroup;
use super::beat::new_member_id;
use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::heartbeat::Found;
use super::member::{ClassicMetadata, Current, MemberMetadata, MemberState};
use super::protocol::{self, Subscription};
use super::timers::MemberWait;
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, JoinAnswer, JoinedGroup, SyncedGroup};
use crate::group::classic::CONSUMER_PROTOCOL_TYPE;
use crate::group::command::{Join, Sync, TopicFilter};
use crate::group::error::GroupError;
use crate::group::name::MemberId;

impl GroupCoordinator {
    /// A member of the classic protocol joins a consumer group that has members.
    pub(in crate::group) fn join_consumer(
        &self,
        context: &Context<'_>,
        group: &ConsumerGroup,
        join: &Join,
    ) -> Decision<Self> {
        let id = if join.member.is_empty() { new_member_id(context) } else { join.member.clone() };
        self.try_join_consumer(context, group, join, &id).unwrap_or_else(|error| {
            let member = match error {
                GroupError::MemberIdRequired => id,
                _ => join.member.clone(),
            };
            Decision::answer(GroupAnswer::Join(JoinAnswer { member, outcome: Err(error) }))
        })
    }

    fn try_join_consumer(
        &self,
        context: &Context<'_>,
        group: &ConsumerGroup,
        join: &Join,
        id: &MemberId,
    ) -> Result<Decision<Self>, GroupError> {
        if !self.settings.consumer.migration.admits_classic_members() {
            return Err(GroupError::InconsistentProtocol);
        }
        let mut draft = ConsumerDraft::new(self, context, &join.group, Cow::Borrowed(group));
        draft.check_room(id)?;
        if !group.supports(&join.protocol_type, join.protocols.iter().map(|protocol| &*protocol.name)) {
            return Err(GroupError::InconsistentProtocol);
        }
        if join.member.is_empty() && join.instance.is_none() && join.takes_member_id {
            return Err(GroupError::MemberIdRequired);
        }
        let subscription = first_subscription(join, context)?;
        let replaced = join.instance.as_ref().and_then(|instance| group.static_member(instance)).cloned();
        let before = draft.find_classic(join, id, replaced.as_ref())?;
        let now = join.metadata(&before.metadata, &subscription);
        let changed = draft.subscribe(id, &before, Some(now), &TopicFilter::default())?;
        if replaced.is_some_and(|replaced| draft.becomes_classic_by(group, &replaced)) {
            return draft.downgrade_by(join, id, &before, &subscription, changed);
        }
        let target = draft.update_target(id)?;
        let after = draft.reconcile(id, &before, &target, changed, Some(&subscription.owned))?;
        draft.note(ConsumerEvent::Joined(id.clone()));
        draft.cancel_wait(id, MemberWait::Join);
        draft.hear(id, join.session_timeout);
        let timeout = join.rebalance_timeout.unwrap_or(join.session_timeout);
        draft.await_member(id, MemberWait::Sync, timeout);
        Ok(draft.answer(joined(id, &after, join)))
    }

    /// A member of the classic protocol asks for its assignment.
    pub(in crate::group) fn sync_consumer(
        &self,
        context: &Context<'_>,
        group: &ConsumerGroup,
        sync: &Sync,
    ) -> Decision<Self> {
        self.try_sync_consumer(context, group, sync).unwrap_or_else(|error| {
            self.refuse_classic(context, &sync.group, group, &sync.member, error, |error| {
                GroupAnswer::Sync(Err(error))
            })
        })
    }

    fn try_sync_consumer(
        &self,
        context: &Context<'_>,
        group: &ConsumerGroup,
        sync: &Sync,
    ) -> Result<Decision<Self>, GroupError> {
        let (metadata, classic) = group.classic_member(&sync.member, sync.instance.as_ref())?;
        let current = group.current(&sync.member);
        if sync.generation != current.epoch {
            return Err(GroupError::IllegalGeneration);
        }
        let first = classic.protocols.first();
        let named = |name: &Arc<str>| first.is_some_and(|protocol| protocol.name == *name);
        let other_type = sync.protocol_type.as_deref().is_some_and(|kind| kind != CONSUMER_PROTOCOL_TYPE);
        if other_type || sync.protocol.as_ref().is_some_and(|name| !named(name)) {
            return Err(GroupError::InconsistentProtocol);
        }
        if group.target_epoch() > current.epoch && current.state != MemberState::UnrevokedPartitions {
            return Err(GroupError::RebalanceInProgress);
        }
        let assignment = classic_assignment(classic, &current, context)?;
        let mut draft = ConsumerDraft::new(self, context, &sync.group, Cow::Borrowed(group));
        draft.cancel_wait(&sync.member, MemberWait::Sync);
        draft.hear(&sync.member, metadata.classic.as_ref().map_or(Duration::ZERO, |c| c.session_timeout));
        Ok(draft.answer(GroupAnswer::Sync(Ok(SyncedGroup {
            protocol_type: sync.protocol_type.clone(),
            protocol: sync.protocol.clone(),
            assignment,
        }))))
    }
}

fn first_subscription(join: &Join, context: &Context<'_>) -> Result<Subscription, GroupError> {
    let first = join.protocols.first().ok_or(GroupError::InconsistentProtocol)?;
    protocol::subscription(&first.metadata, context.image).map_err(|_| GroupError::InconsistentProtocol)
}

/// What the member has, in the words of its protocol.
fn classic_assignment(
    classic: &ClassicMetadata,
    current: &Current,
    context: &Context<'_>,
) -> Result<Bytes, GroupError> {
    let metadata = classic.protocols.first().map(|protocol| &protocol.metadata);
    let metadata = metadata.ok_or(GroupError::InconsistentProtocol)?;
    let subscription = protocol::subscription(metadata, context.image);
    let subscription = subscription.map_err(|_| GroupError::InconsistentProtocol)?;
    let partitions = current
        .assigned
        .iter()
        .flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)));
    protocol::to_assignment(partitions, &subscription, context.image)
        .map_err(|_| GroupError::InconsistentProtocol)
}

pub(super) fn joined(id: &MemberId, current: &Current, join: &Join) -> GroupAnswer {
    let joined = JoinedGroup {
        generation: current.epoch,
        protocol_type: Some(Arc::from(CONSUMER_PROTOCOL_TYPE)),
        protocol: join.protocols.first().map(|protocol| protocol.name.clone()),
        leader: MemberId::default(),
        skip_assignment: false,
        members: Vec::new(),
    };
    GroupAnswer::Join(JoinAnswer { member: id.clone(), outcome: Ok(joined) })
}

impl Join {
    /// What the member says of itself.
    fn metadata(&self, before: &MemberMetadata, subscription: &Subscription) -> MemberMetadata {
        MemberMetadata {
            instance: self.instance.clone().or_else(|| before.instance.clone()),
            rack: subscription.rack.clone().or_else(|| before.rack.clone()),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            topics: if subscription.topics == before.topics {
                before.topics.clone()
            } else {
                subscription.topics.clone()
            },
            regex: Arc::from(""),
            rebalance_timeout: Some(self.rebalance_timeout.unwrap_or(self.session_timeout)),
            assignor: before.assignor.clone(),
            classic: Some(ClassicMetadata {
                session_timeout: self.session_timeout,
                protocols: self.protocols.clone(),
            }),
        }
    }
}

impl ConsumerGroup {
    /// Whether a member of the classic protocol with these protocols could be one of the group.
    fn supports<'a>(&self, protocol_type: &str, mut protocols: impl Iterator<Item = &'a str>) -> bool {
        let all_support = |name: &str| {
            self.members
                .values()
                .filter_map(|metadata| metadata.classic.as_ref())
                .all(|classic| classic.protocols.iter().any(|protocol| &*protocol.name == name))
        };
        protocol_type == CONSUMER_PROTOCOL_TYPE && protocols.any(all_support)
    }
}

impl ConsumerDraft<'_> {
    /// The member that joins: a static one in the place of its former self, if it comes without an id.
    fn find_classic(
        &mut self,
        join: &Join,
        id: &MemberId,
        holder: Option<&MemberId>,
    ) -> Result<Found, GroupError> {
        match holder {
            None if join.instance.is_some() && !join.member.is_empty() => Err(GroupError::UnknownMember),
            None => self.known_or_new(id, true),
            Some(holder) if join.member.is_empty() => self.replace(holder, id),
            Some(holder) if holder != id => Err(GroupError::FencedInstance),
            Some(holder) => self.known_or_new(holder, false),
        }
    }
}
