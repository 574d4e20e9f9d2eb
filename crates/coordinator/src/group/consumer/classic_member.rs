//! Heartbeat and LeaveGroup by members of the classic protocol in a consumer group.

use std::borrow::Cow;
use std::sync::Arc;

use vltava_core::machine::{Context, Decision, Reply};

use super::ConsumerGroup;
use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::member::{ClassicMetadata, MemberMetadata, MemberState};
use super::timers::MemberWait;
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, LeftMember};
use crate::group::command::{Heartbeat, Leave, MemberIdentity};
use crate::group::error::GroupError;
use crate::group::name::{GroupId, InstanceId, MemberId};

impl GroupCoordinator {
    /// A member of the classic protocol lives. It is told to join again when there is a newer target, when it has to give
    /// something up, or when what it waits for is free.
    pub(in crate::group) fn heartbeat_consumer(
        &self,
        context: &Context<'_>,
        group: &ConsumerGroup,
        heartbeat: &Heartbeat,
    ) -> Decision<Self> {
        let member = &heartbeat.member;
        let timeout = match group.classic_member(member, heartbeat.instance.as_ref()) {
            Err(error) => return Decision::at_once(GroupAnswer::Heartbeat(Err(error))),
            Ok(_) if heartbeat.generation != group.current(member).epoch => {
                return Decision::at_once(GroupAnswer::Heartbeat(Err(GroupError::IllegalGeneration)));
            }
            Ok((_, classic)) => classic.session_timeout,
        };
        let mut draft = ConsumerDraft::new(self, context, &heartbeat.group, Cow::Borrowed(group));
        draft.hear(member, timeout);
        let outcome = if group.must_join_again(member) {
            draft.await_join(member);
            Err(GroupError::RebalanceInProgress)
        } else {
            Ok(())
        };
        draft.answer_news(GroupAnswer::Heartbeat(outcome), false)
    }

    /// Members leave by the classic protocol, or are removed by an administrator; also those of the consumer protocol.
    pub(in crate::group) fn leave_consumer(
        &self,
        context: &Context<'_>,
        group: &ConsumerGroup,
        leave: Leave,
    ) -> Decision<Self> {
        let mut leavers: Vec<MemberId> = Vec::new();
        let mut members = Vec::with_capacity(leave.members.len());
        for identity in leave.members {
            let found = group.leaver(&identity);
            let outcome = found.map(|member| {
                if !leavers.contains(&member) {
                    leavers.push(member);
                }
            });
            members.push(LeftMember { member: identity.member, instance: identity.instance, outcome });
        }
        let draft = ConsumerDraft::new(self, context, &leave.group, Cow::Borrowed(group));
        let mut decision = draft.fence(leavers);
        decision.reply = Reply::Committed(GroupAnswer::Leave(Ok(members)));
        decision
    }

    /// Refuses a member of the classic protocol. If it is to join again, it has to do so in time.
    pub(super) fn refuse_classic(
        &self,
        context: &Context<'_>,
        id: &GroupId,
        group: &ConsumerGroup,
        member: &MemberId,
        error: GroupError,
        answer: impl FnOnce(GroupError) -> GroupAnswer,
    ) -> Decision<Self> {
        let mut draft = ConsumerDraft::new(self, context, id, Cow::Borrowed(group));
        if error == GroupError::RebalanceInProgress {
            draft.await_join(member);
        }
        draft.answer(answer(error))
    }
}

impl ConsumerDraft<'_> {
    /// Gives a member of the classic protocol its time to join again, once.
    fn await_join(&mut self, member: &MemberId) {
        if self.group.live.joins_awaited.contains(member) {
            return;
        }
        let timeout = self.group.members.get(member).and_then(|metadata| metadata.rebalance_timeout);
        self.await_member(member, MemberWait::Join, timeout.unwrap_or_default());
        self.note(ConsumerEvent::JoinAwaited(member.clone()));
    }
}

impl ConsumerGroup {
    /// A member of the classic protocol, who must be who it claims to be.
    pub(super) fn classic_member(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(&Arc<MemberMetadata>, &ClassicMetadata), GroupError> {
        if let Some(instance) = instance {
            match self.static_member(instance) {
                None => return Err(GroupError::UnknownMember),
                Some(holder) if holder != member => return Err(GroupError::FencedInstance),
                Some(_) => {}
            }
        }
        let metadata = self.member(member)?;
        let classic = metadata.classic.as_ref().ok_or(GroupError::UnknownMember)?;
        Ok((metadata, classic))
    }

    fn must_join_again(&self, member: &MemberId) -> bool {
        let current = self.current(member);
        current.epoch < self.target_epoch()
            || match current.state {
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(member),
                MemberState::Stable | MemberState::Unknown => false,
            }
    }

    /// Whether some of a member's target is still another's.
    fn waits_for_others(&self, member: &MemberId) -> bool {
        let current = self.current(member);
        self.target(member).iter().any(|(topic, partitions)| {
            let assigned = current.assigned.get(topic);
            partitions.iter().any(|partition| {
                !assigned.is_some_and(|assigned| assigned.contains_key(partition))
                    && self.owner(*topic, *partition).is_some()
            })
        })
    }

    fn leaver(&self, identity: &MemberIdentity) -> Result<MemberId, GroupError> {
        let Some(instance) = &identity.instance else {
            return self.member(&identity.member).map(|_| identity.member.clone());
        };
        match self.static_member(instance) {
            None => Err(GroupError::UnknownMember),
            Some(holder) if !identity.member.is_empty() && *holder != identity.member => {
                Err(GroupError::FencedInstance)
            }
            Some(holder) => Ok(holder.clone()),
        }
    }
}
