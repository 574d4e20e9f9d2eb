//! What members of a consumer group have to do in time: be heard of, give up partitions, join and sync.

use std::borrow::Cow;
use std::time::Duration;

use vltava_core::clock::Moment;
use vltava_core::id::Generation;
use vltava_core::machine::{Context, Decision, Reply, Timer};

use super::ConsumerGroup;
use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::member::MemberState;
use crate::group::GroupCoordinator;
use crate::group::classic::session_timer;
use crate::group::command::{GroupCommand, GroupTimer};
use crate::group::event::GroupKey;
use crate::group::name::{GroupId, MemberId};

/// What is awaited of a member besides its heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberWait {
    /// It gives up partitions and leaves this epoch.
    Revoke(Generation),
    /// A member of the classic protocol joins again.
    Join,
    /// A member of the classic protocol syncs.
    Sync,
}

impl MemberWait {
    /// A key for it: a member has one timer of each kind.
    fn key(self, group: &GroupId, member: &MemberId) -> GroupKey {
        let (group, member) = (group.clone(), member.clone());
        match self {
            MemberWait::Revoke(_) => GroupKey::Revoke { group, member },
            MemberWait::Join => GroupKey::ClassicJoin { group, member },
            MemberWait::Sync => GroupKey::ClassicSync { group, member },
        }
    }
}

impl ConsumerDraft<'_> {
    /// The member was heard of, and must be again in time. As with classic groups a heartbeat moves the deadline and
    /// leaves the timer alone, unless the deadline has come nearer.
    pub(super) fn hear(&mut self, member: &MemberId, timeout: Duration) {
        let deadline = self.context.now + timeout;
        let before = self.group.live.deadlines.get(member);
        if before.is_none_or(|before| deadline < *before) {
            let (key, command) = session_timer(&self.id, member);
            self.decision.timers.push(Timer::Set { key, at: deadline, command });
        }
        self.note(ConsumerEvent::Heard { member: member.clone(), deadline });
    }

    /// The member has so long for something.
    pub(super) fn await_member(&mut self, member: &MemberId, wait: MemberWait, timeout: Duration) {
        let timer = GroupTimer::Member { group: self.id.clone(), member: member.clone(), wait };
        self.set_timer(wait.key(&self.id, member), self.context.now + timeout, timer);
    }

    pub(super) fn cancel_wait(&mut self, member: &MemberId, wait: MemberWait) {
        self.decision.timers.push(Timer::Cancel(wait.key(&self.id, member)));
    }

    /// Nothing is awaited of the member any more.
    pub(super) fn cancel_timers(&mut self, member: &MemberId) {
        self.decision.timers.push(Timer::Cancel(session_timer(&self.id, member).0));
        for wait in [MemberWait::Revoke(Generation(0)), MemberWait::Join, MemberWait::Sync] {
            self.cancel_wait(member, wait);
        }
    }

    pub(super) fn set_timer(&mut self, key: GroupKey, at: Moment, timer: GroupTimer) {
        self.decision.timers.push(Timer::Set { key, at, command: GroupCommand::TimerFired(timer) });
    }
}

impl GroupCoordinator {
    /// The timer of a member's session has fired.
    pub(in crate::group) fn consumer_session_timed_out(
        &self,
        context: &Context<'_>,
        id: &GroupId,
        group: &ConsumerGroup,
        member: &MemberId,
    ) -> Decision<Self> {
        if !group.members.contains_key(member) {
            return Decision::nothing();
        }
        match group.live.deadlines.get(member) {
            Some(deadline) if context.now < *deadline => {
                let (key, command) = session_timer(id, member);
                Decision::nothing().set_timer(key, *deadline, command)
            }
            _ => self.fence_late(context, id, group, member),
        }
    }

    /// A member had time for something.
    pub(in crate::group) fn member_timed_out(
        &self,
        context: &Context<'_>,
        id: &GroupId,
        member: &MemberId,
        wait: MemberWait,
    ) -> Decision<Self> {
        let Some(group) = self.consumers.get(id) else { return Decision::nothing() };
        let still = match wait {
            MemberWait::Revoke(epoch) => group.current(member).epoch == epoch,
            MemberWait::Join | MemberWait::Sync => true,
        };
        if !still || !group.members.contains_key(member) {
            return Decision::nothing();
        }
        self.fence_late(context, id, group, member)
    }

    fn fence_late(
        &self,
        context: &Context<'_>,
        id: &GroupId,
        group: &ConsumerGroup,
        member: &MemberId,
    ) -> Decision<Self> {
        let draft = ConsumerDraft::new(self, context, id, Cow::Borrowed(group));
        let mut decision = draft.fence(vec![member.clone()]);
        decision.reply = Reply::Nobody;
        decision
    }

    /// Brings back the timers of consumer groups after a replay.
    pub(in crate::group) fn await_consumers(&self, context: &Context<'_>, loaded: &mut Decision<Self>) {
        for (id, group) in &self.consumers {
            let mut draft = ConsumerDraft::new(self, context, id, Cow::Borrowed(group));
            let timeout = draft.session_timeout();
            for (member, metadata) in group.members.iter() {
                draft.hear(member, timeout);
                let current = group.current(member);
                if current.state == MemberState::UnrevokedPartitions {
                    let timeout = metadata.rebalance_timeout.unwrap_or_default();
                    draft.await_member(member, MemberWait::Revoke(current.epoch), timeout);
                }
            }
            loaded.events.append(&mut draft.decision.events);
            loaded.timers.append(&mut draft.decision.timers);
        }
    }
}
