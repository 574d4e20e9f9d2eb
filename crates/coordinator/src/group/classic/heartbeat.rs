//! Heartbeats, and what happens when they stay away.
//!
//! A heartbeat moves the member's deadline in the state and touches no timer: the session's timer, set for an earlier
//! moment, sees the later deadline when it fires and is set for that. So a member costs one timer for each session
//! timeout, not for each heartbeat, and a heartbeat costs two look-ups and one small event that is never encoded.

use vltava_core::machine::{Context, Decision, Timer};

use super::{Change, ClassicGroup, ClassicState, Draft, Member};
use crate::group::GroupCoordinator;
use crate::group::answer::GroupAnswer;
use crate::group::command::{GroupCommand, GroupTimer, Heartbeat};
use crate::group::error::GroupError;
use crate::group::event::{GroupEvent, GroupKey};
use crate::group::name::{GroupId, MemberId};

impl GroupCoordinator {
    pub(in crate::group) fn heartbeat(&self, context: &Context<'_>, heartbeat: &Heartbeat) -> Decision<Self> {
        if let Some(consumer) = self.consumers.get(&heartbeat.group) {
            return self.heartbeat_consumer(context, consumer, heartbeat);
        }
        let (group, member) = match self.admit_heartbeat(heartbeat) {
            Ok(found) => found,
            Err(error) => return Decision::at_once(GroupAnswer::Heartbeat(Err(error))),
        };
        let outcome = match group.state {
            ClassicState::Empty => {
                return Decision::at_once(GroupAnswer::Heartbeat(Err(GroupError::UnknownMember)));
            }
            ClassicState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            ClassicState::CompletingRebalance | ClassicState::Stable => Ok(()),
        };
        let mut decision = Decision::at_once(GroupAnswer::Heartbeat(outcome));
        hear(&mut decision, context, &heartbeat.group, member);
        decision
    }

    fn admit_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(&ClassicGroup, &Member), GroupError> {
        if heartbeat.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let group = self.classic(&heartbeat.group).ok_or(GroupError::UnknownMember)?;
        let member = group.validate(&heartbeat.member, heartbeat.instance.as_ref())?;
        if heartbeat.generation != group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok((group, member))
    }

    /// The timer of a session has fired. The member is removed unless it was heard of since, or waits for an answer of
    /// ours; then its timer is set when it is answered.
    pub(in crate::group) fn session_timed_out(
        &self,
        context: &Context<'_>,
        group: &GroupId,
        member: &MemberId,
    ) -> Decision<Self> {
        if let Some(consumer) = self.consumers.get(group) {
            return self.consumer_session_timed_out(context, group, consumer, member);
        }
        let Some(classic) = self.classic(group) else { return Decision::nothing() };
        match classic.members.get(member) {
            Some(found) if found.is_waiting() => Decision::nothing(),
            Some(found) if context.now < found.deadline => {
                let (key, command) = session_timer(group, member);
                Decision::nothing().set_timer(key, found.deadline, command)
            }
            None if !classic.pending_join.contains(member) => Decision::nothing(),
            _ => {
                let mut draft = Draft::new(context, &self.settings, group, classic.clone());
                draft.give_up(member);
                draft.decide()
            }
        }
    }
}

impl Draft<'_> {
    /// Removes a member that was not heard of. The others begin anew, or need to wait no longer; an id that was handed
    /// out and never used bothers nobody.
    fn give_up(&mut self, member: &MemberId) {
        let joined = self.group.members.contains_key(member);
        self.remove(vec![member.clone()]);
        match self.group.state {
            ClassicState::PreparingRebalance if self.group.all_have_joined() => self.complete_join(),
            ClassicState::CompletingRebalance | ClassicState::Stable if joined => self.prepare_rebalance(),
            _ => {}
        }
    }
}

/// Adds to a decision that a member was heard of.
pub(in crate::group) fn hear(
    decision: &mut Decision<GroupCoordinator>,
    context: &Context<'_>,
    group: &GroupId,
    member: &Member,
) {
    let deadline = context.now + member.session_timeout;
    if deadline < member.deadline {
        let (key, command) = session_timer(group, &member.id);
        decision.timers.push(Timer::Set { key, at: deadline, command });
    }
    let change = Change::Heard { member: member.id.clone(), deadline };
    decision.events.push(GroupEvent::Volatile { group: group.clone(), change });
}

/// The key of a session's timer and what it delivers.
pub(in crate::group) fn session_timer(group: &GroupId, member: &MemberId) -> (GroupKey, GroupCommand) {
    let (group, member) = (group.clone(), member.clone());
    let timer = GroupTimer::Session { group: group.clone(), member: member.clone() };
    (GroupKey::Session { group, member }, GroupCommand::TimerFired(timer))
}
