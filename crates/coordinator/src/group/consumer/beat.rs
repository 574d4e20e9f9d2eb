//! A heartbeat, from what the member says to what it is told.

use std::sync::Arc;

use vltava_core::id::{Generation, TopicId};
use vltava_core::machine::{Context, Decision};

use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::heartbeat::Found;
use super::member::{Current, MemberMetadata, MemberState};
use super::reconcile::{OwnedByMember, Reconciliation};
use super::regexes::RegexChange;
use super::target::Target;
use super::timers::MemberWait;
use crate::group::GroupCoordinator;
use crate::group::answer::{GroupAnswer, HeartbeatAnswer};
use crate::group::command::{ConsumerHeartbeat, TopicFilter};
use crate::group::error::GroupError;
use crate::group::name::MemberId;

impl GroupCoordinator {
    /// The three steps of a heartbeat: who the member is and what it wants, the target, and the member's way to it.
    pub(super) fn beat(
        &self,
        context: &Context<'_>,
        heartbeat: &ConsumerHeartbeat,
    ) -> Result<Decision<Self>, GroupError> {
        let joins = heartbeat.epoch == Generation(0);
        let mut draft = self.consumer_draft(context, &heartbeat.group, joins)?;
        let id = if heartbeat.member.is_empty() { new_member_id(context) } else { heartbeat.member.clone() };
        draft.check_room(&id)?;
        let before = draft.find(&id, heartbeat)?;
        let now = heartbeat.updated(&before.metadata);
        let changed = draft.subscribe(&id, &before, now, &heartbeat.visible)?;
        let target = draft.update_target(&id)?;
        let after = draft.reconcile(&id, &before, &target, changed, heartbeat.owned.as_deref())?;
        draft.hear(&id, draft.session_timeout());
        let is_full = heartbeat.rebalance_timeout.is_some()
            && (heartbeat.topics.is_some() || heartbeat.regex.is_some())
            && heartbeat.owned.is_some();
        let tells = joins || is_full || before.current.assigned != after.assigned;
        let answer = HeartbeatAnswer {
            epoch: after.epoch,
            interval: draft.heartbeat_interval(),
            assignment: tells.then(|| assignment(&after)),
            member: id,
        };
        let news = tells || answer.epoch != heartbeat.epoch;
        Ok(draft.answer_news(GroupAnswer::ConsumerHeartbeat(Ok(answer)), news))
    }
}

/// A new member's id, as Kafka makes them: 128 random bits in base 64. The first bit is zero, so that no id begins with a
/// dash, which command lines take for an option.
pub(super) fn new_member_id(context: &Context<'_>) -> MemberId {
    let bits = (context.entropy & !(1 << 127)).to_be_bytes();
    let uuid = uuid::Builder::from_random_bytes(bits).into_uuid();
    MemberId::from(TopicId(uuid).to_string())
}

/// What a member is told that it has.
fn assignment(current: &Current) -> Vec<(TopicId, Vec<vltava_core::id::PartitionIndex>)> {
    let partitions =
        current.assigned.iter().map(|(topic, partitions)| (*topic, partitions.keys().copied().collect()));
    partitions.collect()
}

impl ConsumerDraft<'_> {
    /// Takes over what the member says of itself, and raises the group epoch if the target may have to change. Returns
    /// whether the member's subscription is another one.
    pub(super) fn subscribe(
        &mut self,
        id: &MemberId,
        before: &Found,
        now: Option<MemberMetadata>,
        visible: &TopicFilter,
    ) -> Result<bool, GroupError> {
        let now = match now {
            Some(now) => Arc::new(now),
            None => before.metadata.clone(),
        };
        if before.is_new || now != before.metadata {
            self.happen(ConsumerEvent::MemberStored { member: id.clone(), metadata: now.clone() });
        }
        let names_changed = now.topics != before.metadata.topics;
        let regex = self.update_regexes(&before.metadata, &now, visible)?;
        // A classic member waits for nothing to be resolved: it can subscribe to names only.
        let raise = names_changed
            || regex == RegexChange::Resolved
            || (now.is_classic() && regex != RegexChange::None);
        if raise || self.metadata_is_old() {
            self.raise_epoch_if(raise);
        }
        Ok(names_changed || regex != RegexChange::None)
    }

    /// Moves the member on. The group of the draft does not show it, for nothing that follows asks.
    pub(super) fn reconcile(
        &mut self,
        id: &MemberId,
        before: &Found,
        target: &Target,
        subscription_changed: bool,
        owned: Option<&OwnedByMember>,
    ) -> Result<Arc<Current>, GroupError> {
        let current = before.current.clone();
        if !subscription_changed && current.is_reconciled_to(target.epoch) {
            return Ok(current);
        }
        let topics = self.topics_of(id);
        let reconciliation = Reconciliation {
            current: &current,
            target_epoch: target.epoch,
            target: &target.partitions,
            subscription_changed,
            owned,
            wants: &|topic| topics.contains(&topic),
            is_taken: &|topic, partition| self.group.owner(topic, partition).is_some(),
        };
        let next = reconciliation.next()?;
        if next == *current {
            return Ok(current);
        }
        if self.group.members.get(id).is_some_and(|metadata| !metadata.is_classic()) {
            self.await_revocation(id, &next);
        }
        let next = Arc::new(next);
        self.note(ConsumerEvent::CurrentStored { member: id.clone(), current: (*next).clone() });
        Ok(next)
    }

    /// A member that has to give up partitions must do so in time.
    fn await_revocation(&mut self, id: &MemberId, next: &Current) {
        if next.state == MemberState::UnrevokedPartitions {
            let timeout = self.group.members.get(id).and_then(|metadata| metadata.rebalance_timeout);
            self.await_member(id, MemberWait::Revoke(next.epoch), timeout.unwrap_or_default());
        } else {
            self.cancel_wait(id, MemberWait::Revoke(next.epoch));
        }
    }
}
