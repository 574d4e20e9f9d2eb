//! Members that leave a consumer group, or are made to.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use vltava_core::id::Generation;
use vltava_core::machine::{Context, Decision};

use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::member::{Current, LEAVING_FOR_NOW, Owned};
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, HeartbeatAnswer};
use crate::group::command::ConsumerHeartbeat;
use crate::group::error::GroupError;
use crate::group::name::{GroupId, MemberId};

impl GroupCoordinator {
    /// A heartbeat with which the member leaves: for good, or as a static member that may come back.
    pub(super) fn consumer_leave(
        &self,
        context: &Context<'_>,
        heartbeat: &ConsumerHeartbeat,
    ) -> Result<Decision<Self>, GroupError> {
        let mut draft = self.consumer_draft(context, &heartbeat.group, false)?;
        let left = |member: &MemberId| {
            GroupAnswer::ConsumerHeartbeat(Ok(HeartbeatAnswer {
                member: member.clone(),
                epoch: heartbeat.epoch,
                interval: std::time::Duration::ZERO,
                assignment: None,
            }))
        };
        let member = match &heartbeat.instance {
            None => {
                draft.group.member(&heartbeat.member)?;
                heartbeat.member.clone()
            }
            Some(instance) => draft.static_holder(instance, &heartbeat.member)?,
        };
        if heartbeat.instance.is_some() && heartbeat.epoch == LEAVING_FOR_NOW {
            draft.leave_for_now(&member);
            return Ok(draft.answer(left(&member)));
        }
        let mut decision = draft.fence(vec![member.clone()]);
        decision.reply = vltava_core::machine::Reply::Committed(left(&member));
        Ok(decision)
    }
}

impl GroupCoordinator {
    /// Adds to a decision that a consumer group without members ends, if there is one.
    pub(in crate::group) fn end_consumer_group(
        &self,
        context: &Context<'_>,
        id: &GroupId,
        decision: &mut Decision<Self>,
    ) {
        let Some(group) = self.consumers.get(id) else { return };
        let mut draft = ConsumerDraft::new(self, context, id, Cow::Borrowed(group));
        draft.forget_group();
        decision.events.append(&mut draft.decision.events);
        decision.timers.append(&mut draft.decision.timers);
    }
}

impl ConsumerDraft<'_> {
    /// A static member goes and keeps what it has for whoever comes with its instance id, until its session ends.
    fn leave_for_now(&mut self, member: &MemberId) {
        let current = self.group.current(member);
        let fresh = |owned: &Owned| -> Owned {
            let zero = |partitions: &std::collections::BTreeMap<_, Generation>| {
                partitions.keys().map(|partition| (*partition, Generation(0))).collect()
            };
            owned.iter().map(|(topic, partitions)| (*topic, zero(partitions))).collect()
        };
        let current = Current {
            epoch: LEAVING_FOR_NOW,
            assigned: Arc::new(fresh(&current.assigned)),
            revoking: Arc::default(),
            ..(*current).clone()
        };
        self.note(ConsumerEvent::CurrentStored { member: member.clone(), current });
    }

    /// Removes members. If those that stay all speak the classic protocol, the group becomes a classic one.
    pub(super) fn fence(mut self, members: Vec<MemberId>) -> Decision<GroupCoordinator> {
        if members.is_empty() {
            return self.decision;
        }
        if self.becomes_classic(&members)
            && let Ok(stored) = self.classic_group(&members)
        {
            return self.downgrade(stored, true);
        }
        let regexes: BTreeSet<Arc<str>> =
            members.iter().filter_map(|member| self.group.members.get(member)?.regex().cloned()).collect();
        for member in &members {
            // Nothing that follows asks what it had.
            self.note(ConsumerEvent::CurrentForgotten(member.clone()));
            self.note(ConsumerEvent::MemberTargetForgotten(member.clone()));
            self.happen(ConsumerEvent::MemberForgotten(member.clone()));
            self.cancel_timers(member);
        }
        for regex in regexes {
            if self.group.regex_members(&regex) == 0 && self.group.regexes.contains_key(&regex) {
                self.happen(ConsumerEvent::RegexForgotten(regex));
            }
        }
        self.raise_epoch();
        if self.group.members.is_empty() {
            // Nobody is to have anything, and whoever comes next need not wait for the next target.
            self.happen(ConsumerEvent::TargetStored { epoch: self.group.epoch(), at: None });
        }
        self.decision
    }

    /// Forgets everything about a member.
    pub(super) fn forget(&mut self, member: &MemberId) {
        self.happen(ConsumerEvent::CurrentForgotten(member.clone()));
        self.happen(ConsumerEvent::MemberTargetForgotten(member.clone()));
        self.happen(ConsumerEvent::MemberForgotten(member.clone()));
    }

    /// Forgets everything about the group.
    pub(super) fn forget_group(&mut self) {
        let group = self.group.clone();
        for member in group.currents.keys().collect::<BTreeSet<_>>() {
            self.happen(ConsumerEvent::CurrentForgotten(member.clone()));
        }
        for member in group.targets.keys().collect::<BTreeSet<_>>() {
            self.happen(ConsumerEvent::MemberTargetForgotten(member.clone()));
        }
        self.happen(ConsumerEvent::TargetForgotten);
        for member in group.members.keys() {
            self.cancel_timers(member);
            self.happen(ConsumerEvent::MemberForgotten(member.clone()));
        }
        for regex in group.regexes.keys() {
            self.happen(ConsumerEvent::RegexForgotten(regex.clone()));
        }
        self.happen(ConsumerEvent::TopicsForgotten);
        self.happen(ConsumerEvent::EpochForgotten);
    }
}
