//! SyncGroup: the leader hands out assignments, the others wait for theirs.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use vltava_core::machine::{Context, Decision};

use super::{Change, ClassicGroup, ClassicState, Draft, Member};
use crate::group::GroupCoordinator;
use crate::group::answer::GroupAnswer;
use crate::group::command::Sync;
use crate::group::error::GroupError;
use crate::group::event::GroupKey;
use crate::group::name::MemberId;

impl GroupCoordinator {
    pub(in crate::group) fn sync(&self, context: &Context<'_>, sync: Sync) -> Decision<Self> {
        if let Some(consumer) = self.consumers.get(&sync.group) {
            return self.sync_consumer(context, consumer, &sync);
        }
        let group = match self.admit_sync(&sync) {
            Ok(group) => group,
            Err(error) => return Decision::answer(GroupAnswer::Sync(Err(error))),
        };
        let mut draft = Draft::new(context, &self.settings, &sync.group, group.clone());
        match group.state {
            ClassicState::CompletingRebalance if group.is_leader(&sync.member) => draft.assign(sync),
            ClassicState::CompletingRebalance => draft.await_assignment(&sync.member),
            _ => draft.sync_again(&sync.member),
        }
        draft.decide()
    }

    fn admit_sync(&self, sync: &Sync) -> Result<&ClassicGroup, GroupError> {
        if sync.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let group = self.classic(&sync.group).ok_or(GroupError::UnknownMember)?;
        group.validate(&sync.member, sync.instance.as_ref())?;
        if sync.generation != group.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if differ(sync.protocol_type.as_ref(), group.protocol_type.as_ref())
            || differ(sync.protocol.as_ref(), group.protocol.as_ref())
        {
            return Err(GroupError::InconsistentProtocol);
        }
        match group.state {
            ClassicState::Empty => Err(GroupError::UnknownMember),
            ClassicState::PreparingRebalance => Err(GroupError::RebalanceInProgress),
            ClassicState::CompletingRebalance | ClassicState::Stable => Ok(group),
        }
    }
}

/// Whether both are known and differ.
fn differ(claimed: Option<&Arc<str>>, actual: Option<&Arc<str>>) -> bool {
    claimed.zip(actual).is_some_and(|(claimed, actual)| claimed != actual)
}

impl Draft<'_> {
    fn await_assignment(&mut self, member: &MemberId) {
        self.park_sync(member);
        self.change(Change::SyncAwaited(member.clone()));
        self.cancel_pending_sync_if_done();
    }

    /// The generation is stored with its assignments, and whoever waits has its own. A member that the leader has
    /// forgotten gets an empty one.
    fn assign(&mut self, sync: Sync) {
        self.await_assignment(&sync.member);
        // Copies, so that a member does not keep the leader's whole request in memory.
        let assignments =
            sync.assignments.into_iter().map(|(member, bytes)| (member, Bytes::copy_from_slice(&bytes)));
        let assignments: HashMap<MemberId, Bytes> = assignments.collect();
        let assignment = |member: &MemberId| assignments.get(member).cloned().unwrap_or_default();
        for (member, session_timeout) in self.awaiting_sync() {
            self.answer_sync(&member, Ok(assignment(&member)));
            self.set_session(&member, self.context.now + session_timeout);
        }
        self.change(Change::SyncsAnswered(self.context.now));
        let mut stored = self.group.to_stored(|member: &Member| assignment(&member.id));
        stored.state_timestamp = Some(self.context.wall);
        self.store(stored);
    }

    fn sync_again(&mut self, member: &MemberId) {
        self.change(Change::SyncReceived(member.clone()));
        self.cancel_pending_sync_if_done();
        let assignment = self.group.members.get(member).map(|member| member.assignment.clone());
        let synced = self.synced(assignment.unwrap_or_default());
        self.answer(GroupAnswer::Sync(Ok(synced)));
    }

    fn cancel_pending_sync_if_done(&mut self) {
        if self.group.pending_sync.is_empty() {
            self.cancel(GroupKey::PendingSync(self.id.clone()));
        }
    }
}
