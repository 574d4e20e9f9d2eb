//! LeaveGroup: members that go of their own accord, or are removed by an administrator.

use vltava_core::machine::{Context, Decision};

use super::{ClassicState, Draft};
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, LeftMember};
use crate::group::command::{Leave, MemberIdentity};
use crate::group::error::GroupError;
use crate::group::name::MemberId;

impl GroupCoordinator {
    pub(in crate::group) fn leave(&self, context: &Context<'_>, leave: Leave) -> Decision<Self> {
        if leave.group.is_empty() {
            return Decision::answer(GroupAnswer::Leave(Err(GroupError::InvalidGroupId)));
        }
        if let Some(consumer) = self.consumers.get(&leave.group) {
            return self.leave_consumer(context, consumer, leave);
        }
        let Some(classic) = self.classic(&leave.group) else {
            let unknown = |identity| left(identity, Err(GroupError::UnknownMember));
            return Decision::answer(GroupAnswer::Leave(Ok(leave
                .members
                .into_iter()
                .map(unknown)
                .collect())));
        };
        let mut draft = Draft::new(context, &self.settings, &leave.group, classic.clone());
        let members: Vec<LeftMember> =
            leave.members.into_iter().map(|identity| draft.leave(identity)).collect();
        if members.iter().any(|member| member.outcome.is_ok()) {
            draft.go_on_without_leavers();
        }
        draft.answer(GroupAnswer::Leave(Ok(members)));
        draft.decide()
    }
}

fn left(identity: MemberIdentity, outcome: Result<(), GroupError>) -> LeftMember {
    LeftMember { member: identity.member, instance: identity.instance, outcome }
}

impl Draft<'_> {
    fn leave(&mut self, identity: MemberIdentity) -> LeftMember {
        let found = self.find_leaver(&identity);
        let outcome = found.map(|member| self.remove(vec![member]));
        left(identity, outcome)
    }

    fn find_leaver(&self, identity: &MemberIdentity) -> Result<MemberId, GroupError> {
        if identity.member.is_empty() {
            let named = identity.instance.as_ref().and_then(|instance| self.group.static_member(instance));
            return named.cloned().ok_or(GroupError::UnknownMember);
        }
        if self.group.pending_join.contains(&identity.member) {
            return Ok(identity.member.clone());
        }
        self.group.validate(&identity.member, identity.instance.as_ref()).map(|member| member.id.clone())
    }

    fn go_on_without_leavers(&mut self) {
        match self.group.state {
            ClassicState::Empty => {}
            ClassicState::PreparingRebalance => self.complete_join_if_all_joined(),
            ClassicState::CompletingRebalance | ClassicState::Stable => self.prepare_rebalance(),
        }
    }
}
