//! JoinGroup by members that the group knows.

use super::{Change, ClassicState, Draft, Member};
use crate::group::answer::{GroupAnswer, JoinAnswer};
use crate::group::command::Join;
use crate::group::error::GroupError;
use crate::group::name::MemberId;

impl Draft<'_> {
    pub(super) fn rejoin(&mut self, join: &Join, member: &Member) {
        let unchanged = member.protocols == join.protocols;
        match self.group.state {
            // The group has been emptied behind the member's back.
            ClassicState::Empty => self.refuse_join(member.id.clone(), GroupError::UnknownMember),
            ClassicState::PreparingRebalance => self.rejoin_and_rebalance(join, member),
            // It has missed the answer: it gets it again.
            ClassicState::CompletingRebalance if unchanged => self.answer_again(member),
            // A leader that joins again wants to assign anew, for example because a topic has grown.
            ClassicState::Stable if unchanged && !self.group.is_leader(&member.id) => {
                self.answer_again(member);
            }
            ClassicState::CompletingRebalance | ClassicState::Stable => {
                self.rejoin_and_rebalance(join, member);
            }
        }
    }

    fn rejoin_and_rebalance(&mut self, join: &Join, member: &Member) {
        self.park_rejoin(join, &member.id);
        self.rebalance_or_complete_join();
    }

    /// The member awaits the next generation, with what it says of itself now.
    pub(super) fn park_rejoin(&mut self, join: &Join, member: &MemberId) {
        self.park_join(member);
        self.change(Change::MemberRejoined {
            member: member.clone(),
            protocols: join.protocols.clone(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout.unwrap_or(join.session_timeout),
        });
    }

    fn answer_again(&mut self, member: &Member) {
        let outcome = Ok(self.joined(&member.id));
        self.answer(GroupAnswer::Join(JoinAnswer { member: member.id.clone(), outcome }));
    }
}
