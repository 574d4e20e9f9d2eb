//! A decision in the making: a copy of the group, and what is to happen because of it.

use std::sync::Arc;

use bytes::Bytes;
use vltava_core::clock::Moment;
use vltava_core::machine::{Context, Decision, Reply, Timer};

use super::{ClassicGroup, Member};
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, JoinAnswer, JoinedGroup, JoinedMember, SyncedGroup};
use crate::group::command::{GroupCommand, GroupTimer, Protocol};
use crate::group::error::GroupError;
use crate::group::event::{Change, GroupEvent, GroupKey, StoredGroup};
use crate::group::name::{GroupId, MemberId};
use crate::group::settings::GroupSettings;

/// A decision in the making.
///
/// Every change goes through [`Draft::change`] or [`Draft::store`], which apply it to the copy and note it; so the copy
/// is always what the group will be.
pub(in crate::group) struct Draft<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) settings: &'a GroupSettings,
    pub(super) id: GroupId,
    pub(in crate::group) group: ClassicGroup,
    /// The key under which whoever asked is to wait, unless it is answered in this very decision.
    asker: Option<GroupKey>,
    reply: Option<GroupAnswer>,
    decision: Decision<GroupCoordinator>,
}

impl<'a> Draft<'a> {
    /// Begins with `group` as it is.
    pub(in crate::group) fn new(
        context: &'a Context<'a>,
        settings: &'a GroupSettings,
        id: &GroupId,
        group: ClassicGroup,
    ) -> Self {
        Draft {
            context,
            settings,
            id: id.clone(),
            group,
            asker: None,
            reply: None,
            decision: Decision::nothing(),
        }
    }

    /// The decision. Who asked is answered if an answer was found, waits if it was parked, else is nobody.
    pub(in crate::group) fn decide(self) -> Decision<GroupCoordinator> {
        let mut decision = self.decision;
        decision.reply = match (self.reply, self.asker) {
            (Some(answer), _) => Reply::Committed(answer),
            (None, Some(key)) => Reply::Parked(key),
            (None, None) => Reply::Nobody,
        };
        decision
    }

    /// Answers whoever asked.
    pub(super) fn answer(&mut self, answer: GroupAnswer) {
        self.reply = Some(answer);
    }

    /// Answers whoever asked to join.
    pub(super) fn refuse_join(&mut self, member: MemberId, error: GroupError) {
        self.answer(GroupAnswer::Join(JoinAnswer { member, outcome: Err(error) }));
    }

    /// A change that is not logged.
    pub(super) fn change(&mut self, change: Change) {
        self.group.apply(&change);
        self.decision.events.push(GroupEvent::Volatile { group: self.id.clone(), change });
    }

    /// Stores the group's state.
    pub(super) fn store(&mut self, stored: StoredGroup) {
        self.group.restore(&stored);
        self.decision
            .events
            .push(GroupEvent::GroupStored { group: self.id.clone(), stored: Arc::new(stored) });
    }

    /// Begins a group with a generation that was another kind of group's, whose members support these protocols.
    pub(in crate::group) fn begin(
        &mut self,
        stored: StoredGroup,
        protocols: Vec<(MemberId, Arc<[Protocol]>)>,
    ) {
        self.store(stored);
        for (member, protocols) in protocols {
            self.change(Change::ProtocolsKnown { member, protocols });
        }
        let now = self.context.now;
        let sessions: Vec<_> = self
            .group
            .members
            .values()
            .map(|member| (member.id.clone(), now + member.session_timeout))
            .collect();
        for (member, deadline) in sessions {
            self.set_session(&member, deadline);
            self.change(Change::Heard { member, deadline });
        }
    }

    /// Whoever asked waits for the next generation as `member`. A former request of the same member is sent away: its
    /// connection is most likely gone.
    pub(super) fn park_join(&mut self, member: &MemberId) {
        if self.group.members.get(member).is_some_and(|member| member.awaiting_join) {
            self.answer_join(member, Err(GroupError::RebalanceInProgress));
        }
        self.asker = Some(self.join_key(member));
    }

    /// Whoever asked waits for its assignment as `member`; a former request of the same member is sent away.
    pub(super) fn park_sync(&mut self, member: &MemberId) {
        if self.group.members.get(member).is_some_and(|member| member.awaiting_sync) {
            self.answer_sync(member, Err(GroupError::RebalanceInProgress));
        }
        self.asker = Some(self.sync_key(member));
    }

    /// Answers the member that awaits a generation. The caller changes its state.
    pub(super) fn answer_join(&mut self, member: &MemberId, outcome: Result<JoinedGroup, GroupError>) {
        // A member that has to begin anew is not told its former id.
        let unknown = matches!(outcome, Err(GroupError::UnknownMember));
        let known = if unknown { MemberId::default() } else { member.clone() };
        self.release(self.join_key(member), GroupAnswer::Join(JoinAnswer { member: known, outcome }));
    }

    /// Answers the member that awaits an assignment. The caller changes its state.
    pub(super) fn answer_sync(&mut self, member: &MemberId, outcome: Result<Bytes, GroupError>) {
        let outcome = outcome.map(|assignment| self.synced(assignment));
        self.release(self.sync_key(member), GroupAnswer::Sync(outcome));
    }

    fn release(&mut self, key: GroupKey, answer: GroupAnswer) {
        if self.asker.as_ref() == Some(&key) && self.reply.is_none() {
            self.reply = Some(answer);
        } else {
            self.decision.releases.push((key, answer));
        }
    }

    /// The current generation, for one of its members. Only the leader sees them all.
    pub(super) fn joined(&self, member: &MemberId) -> JoinedGroup {
        let members = if self.group.is_leader(member) { self.joined_members() } else { Vec::new() };
        JoinedGroup {
            generation: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            leader: self.group.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            members,
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.group.protocol.as_deref().unwrap_or_default();
        let joined = |member: &Arc<Member>| JoinedMember {
            member: member.id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol).cloned().unwrap_or_default(),
        };
        self.group.members.values().map(joined).collect()
    }

    /// An assignment of the current generation.
    pub(super) fn synced(&self, assignment: Bytes) -> SyncedGroup {
        SyncedGroup {
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            assignment,
        }
    }

    /// Removes members, or ids that were handed out. Whoever waits is told to begin anew.
    pub(super) fn remove(&mut self, members: Vec<MemberId>) {
        for member in &members {
            let waits =
                self.group.members.get(member).map(|member| (member.awaiting_join, member.awaiting_sync));
            let (awaits_join, awaits_sync) = waits.unwrap_or_default();
            if awaits_join {
                self.answer_join(member, Err(GroupError::UnknownMember));
            }
            if awaits_sync {
                self.answer_sync(member, Err(GroupError::UnknownMember));
            }
            self.cancel_session(member);
        }
        if !members.is_empty() {
            self.change(Change::MembersRemoved(members));
        }
    }

    /// Sets the timer of a member's session.
    pub(super) fn set_session(&mut self, member: &MemberId, at: Moment) {
        let (group, member) = (self.id.clone(), member.clone());
        let key = GroupKey::Session { group: group.clone(), member: member.clone() };
        self.set(key, at, GroupTimer::Session { group, member });
    }

    pub(super) fn cancel_session(&mut self, member: &MemberId) {
        self.cancel(GroupKey::Session { group: self.id.clone(), member: member.clone() });
    }

    pub(super) fn set(&mut self, key: GroupKey, at: Moment, timer: GroupTimer) {
        self.decision.timers.push(Timer::Set { key, at, command: GroupCommand::TimerFired(timer) });
    }

    pub(super) fn cancel(&mut self, key: GroupKey) {
        self.decision.timers.push(Timer::Cancel(key));
    }

    fn join_key(&self, member: &MemberId) -> GroupKey {
        GroupKey::Join { group: self.id.clone(), member: member.clone() }
    }

    fn sync_key(&self, member: &MemberId) -> GroupKey {
        GroupKey::Sync { group: self.id.clone(), member: member.clone() }
    }
}
