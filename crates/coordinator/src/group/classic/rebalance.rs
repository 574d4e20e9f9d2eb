//! The way from one generation to the next: members are awaited, then a leader and a protocol are chosen.

use std::time::Duration;

use vltava_core::id::Generation;
use vltava_core::machine::{Context, Decision};

use super::{Change, ClassicState, Draft};
use crate::group::GroupCoordinator;
use crate::group::command::GroupTimer;
use crate::group::error::GroupError;
use crate::group::event::GroupKey;
use crate::group::name::{GroupId, MemberId};

impl GroupCoordinator {
    /// The members had time to join again.
    pub(in crate::group) fn rebalance_timed_out(
        &self,
        context: &Context<'_>,
        group: &GroupId,
    ) -> Decision<Self> {
        let Some(mut draft) = self.rebalancing(context, group) else { return Decision::nothing() };
        draft.complete_join();
        draft.decide()
    }

    /// A formerly empty group has waited. If members have come meanwhile, more may follow.
    pub(in crate::group) fn initial_delay_over(
        &self,
        context: &Context<'_>,
        group: &GroupId,
        delay: Duration,
        remaining: Duration,
    ) -> Decision<Self> {
        let Some(mut draft) = self.rebalancing(context, group) else { return Decision::nothing() };
        if draft.group.member_added && !remaining.is_zero() {
            draft.change(Change::InitialDelayExtended);
            let next = remaining.min(draft.settings.initial_rebalance_delay);
            draft.await_more(next, remaining.saturating_sub(delay));
        } else {
            draft.complete_join();
        }
        draft.decide()
    }

    /// Members of a generation have not synced in time: they are removed, and the others begin anew.
    pub(in crate::group) fn pending_sync_timed_out(
        &self,
        context: &Context<'_>,
        group: &GroupId,
        generation: Generation,
    ) -> Decision<Self> {
        let Some(classic) = self.classic(group) else { return Decision::nothing() };
        let awaits = matches!(classic.state, ClassicState::CompletingRebalance | ClassicState::Stable);
        if !awaits || classic.generation != generation || classic.pending_sync.is_empty() {
            return Decision::nothing();
        }
        let mut draft = Draft::new(context, &self.settings, group, classic.clone());
        let missing = draft.group.pending_sync.iter().cloned().collect();
        draft.remove(missing);
        draft.prepare_rebalance();
        draft.decide()
    }

    fn rebalancing<'a>(&'a self, context: &'a Context<'a>, group: &GroupId) -> Option<Draft<'a>> {
        let classic =
            self.classic(group).filter(|classic| classic.state == ClassicState::PreparingRebalance)?;
        Some(Draft::new(context, &self.settings, group, classic.clone()))
    }
}

impl Draft<'_> {
    /// Something has changed that the other members have to know.
    pub(super) fn rebalance_or_complete_join(&mut self) {
        if self.group.state == ClassicState::PreparingRebalance {
            self.complete_join_if_all_joined();
        } else {
            self.prepare_rebalance();
        }
    }

    /// Goes on when nobody else is awaited. A formerly empty group waits for its time instead.
    pub(super) fn complete_join_if_all_joined(&mut self) {
        let waits = self.group.state == ClassicState::PreparingRebalance && !self.group.initial_rebalance;
        if waits && self.group.all_have_joined() {
            self.complete_join();
        }
    }

    /// Begins to wait for the members to join.
    pub(in crate::group) fn prepare_rebalance(&mut self) {
        self.send_back_syncs();
        self.cancel(GroupKey::PendingSync(self.id.clone()));
        let initial = self.group.state == ClassicState::Empty;
        self.change(Change::RebalancePrepared { at: self.context.wall, now: self.context.now });
        if initial {
            let delay = self.settings.initial_rebalance_delay;
            self.await_more(delay, self.group.rebalance_timeout().saturating_sub(delay));
        } else if self.group.all_have_joined() {
            self.complete_join();
        } else {
            self.await_rejoins();
        }
    }

    fn send_back_syncs(&mut self) {
        let now = self.context.now;
        for (member, session_timeout) in self.awaiting_sync() {
            self.answer_sync(&member, Err(GroupError::RebalanceInProgress));
            self.set_session(&member, now + session_timeout);
        }
    }

    /// The members that have synced and await their assignment, with their session timeouts.
    pub(super) fn awaiting_sync(&self) -> Vec<(MemberId, Duration)> {
        let awaiting = self.group.members.values().filter(|member| member.awaiting_sync);
        awaiting.map(|member| (member.id.clone(), member.session_timeout)).collect()
    }

    fn await_more(&mut self, delay: Duration, remaining: Duration) {
        let timer = GroupTimer::InitialDelay { group: self.id.clone(), delay, remaining };
        self.set(GroupKey::Rebalance(self.id.clone()), self.context.now + delay, timer);
    }

    fn await_rejoins(&mut self) {
        let at = self.context.now + self.group.rebalance_timeout();
        self.set(GroupKey::Rebalance(self.id.clone()), at, GroupTimer::Rebalance(self.id.clone()));
    }

    /// Ends the wait for members: who has not joined is removed, unless it is a static member, which may be away as
    /// long as its session lasts.
    pub(super) fn complete_join(&mut self) {
        self.cancel(GroupKey::Rebalance(self.id.clone()));
        let late =
            self.group.members.values().filter(|member| !member.awaiting_join && member.instance.is_none());
        self.remove(late.map(|member| member.id.clone()).collect());
        if self.group.members.is_empty() {
            self.empty();
        } else if self.elect_leader() {
            self.start_generation();
        } else {
            // Nobody has joined: the static members' sessions will end the wait.
            self.await_rejoins();
        }
    }

    /// Makes sure that a member leads that has joined; false when there is none.
    fn elect_leader(&mut self) -> bool {
        let joined =
            |member: &MemberId| self.group.members.get(member).is_some_and(|member| member.awaiting_join);
        if self.group.leader.as_ref().is_some_and(joined) {
            return true;
        }
        let Some(next) = self.group.members.values().find(|member| member.awaiting_join) else {
            return false;
        };
        let next = next.id.clone();
        self.change(Change::LeaderElected(next));
        true
    }

    fn empty(&mut self) {
        let mut stored = self.group.to_stored(|member| member.assignment.clone());
        stored.generation = Generation(stored.generation.0.saturating_add(1));
        stored.protocol = None;
        stored.leader = None;
        stored.state_timestamp = Some(self.context.wall);
        self.store(stored);
    }

    fn start_generation(&mut self) {
        // Every member was admitted because it shares a protocol with all others, so there is one.
        let Some(protocol) = self.group.select_protocol() else { return self.await_rejoins() };
        let (at, now) = (self.context.wall, self.context.now);
        let members = self
            .group
            .members
            .values()
            .map(|member| (member.id.clone(), member.awaiting_join, now + member.session_timeout));
        let members: Vec<_> = members.collect();
        self.change(Change::GenerationStarted { protocol, at, now });
        for (member, awaits_join, deadline) in members {
            if awaits_join {
                let joined = self.joined(&member);
                self.answer_join(&member, Ok(joined));
            }
            self.set_session(&member, deadline);
        }
        let timer = GroupTimer::PendingSync { group: self.id.clone(), generation: self.group.generation };
        let at = now + self.group.rebalance_timeout();
        self.set(GroupKey::PendingSync(self.id.clone()), at, timer);
    }
}
