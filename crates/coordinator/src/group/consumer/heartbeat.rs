//! ConsumerGroupHeartbeat: what is wrong with a request in itself, and who it is from.

use std::borrow::Cow;
use std::sync::Arc;

use vltava_core::id::{Generation, TopicId};
use vltava_core::machine::{Context, Decision};

use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::member::{Current, LEAVING, LEAVING_FOR_NOW, MemberMetadata};
use super::reconcile::OwnedByMember;
use crate::group::GroupCoordinator;
use crate::group::answer::GroupAnswer;
use crate::group::command::ConsumerHeartbeat;
use crate::group::error::GroupError;
use crate::group::name::{GroupId, InstanceId, MemberId};
use crate::group::settings::ConsumerSettings;

impl GroupCoordinator {
    pub(in crate::group) fn consumer_heartbeat(
        &self,
        context: &Context<'_>,
        heartbeat: &ConsumerHeartbeat,
    ) -> Decision<Self> {
        let outcome = heartbeat.check(&self.settings.consumer).and_then(|()| match heartbeat.epoch {
            LEAVING | LEAVING_FOR_NOW => self.consumer_leave(context, heartbeat),
            _ => self.beat(context, heartbeat),
        });
        outcome.unwrap_or_else(|error| Decision::answer(GroupAnswer::ConsumerHeartbeat(Err(error))))
    }

    /// The group, made for a member that joins: out of nothing, or out of a classic group.
    pub(super) fn consumer_draft<'a>(
        &'a self,
        context: &'a Context<'a>,
        id: &GroupId,
        joins: bool,
    ) -> Result<ConsumerDraft<'a>, GroupError> {
        if let Some(group) = self.consumers.get(id) {
            return Ok(ConsumerDraft::new(self, context, id, Cow::Borrowed(group)));
        }
        if !joins {
            return Err(GroupError::GroupNotFound);
        }
        match self.classic(id) {
            None => Ok(ConsumerDraft::new(self, context, id, Cow::Owned(super::ConsumerGroup::default()))),
            Some(classic) => self.upgrade(context, id, classic),
        }
    }
}

impl ConsumerHeartbeat {
    fn check(&self, settings: &ConsumerSettings) -> Result<(), GroupError> {
        let invalid = |why| Err(GroupError::InvalidRequest(why));
        let blank = |text: &str| text.trim().is_empty();
        let needs_id = self.makes_member_id || self.epoch > Generation(0) || self.epoch == LEAVING;
        if needs_id && blank(&self.member) {
            return invalid("a member id is needed");
        }
        if blank(&self.group) {
            return invalid("a group id is needed");
        }
        if self.instance.as_deref().is_some_and(blank) {
            return invalid("an instance id must not be empty");
        }
        if self.rack.as_deref().is_some_and(blank) {
            return invalid("a rack must not be empty");
        }
        match self.epoch {
            Generation(0) if self.rebalance_timeout.is_none() => {
                return invalid("a member that joins must name its rebalance timeout");
            }
            Generation(0) if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
                return invalid("a member that joins must own no partitions, and say so");
            }
            Generation(0) if self.topics.is_none() && self.regex.is_none() => {
                return invalid("a member that joins must name topics or a regular expression");
            }
            LEAVING_FOR_NOW if self.instance.is_none() => {
                return invalid("only a member with an instance id can leave for a while");
            }
            epoch if epoch < LEAVING_FOR_NOW => return invalid("there is no such member epoch"),
            _ => {}
        }
        match &self.assignor {
            Some(assignor) if settings.assignors.get(assignor).is_none() => {
                Err(GroupError::UnsupportedAssignor)
            }
            _ => Ok(()),
        }
    }

    /// What the member says of itself now, if that is something new.
    pub(super) fn updated(&self, before: &MemberMetadata) -> Option<MemberMetadata> {
        let mut now = before.clone();
        if let Some(instance) = &self.instance {
            now.instance = Some(instance.clone());
        }
        if let Some(rack) = &self.rack {
            now.rack = Some(rack.clone());
        }
        if let Some(timeout) = self.rebalance_timeout {
            now.rebalance_timeout = Some(timeout);
        }
        if let Some(assignor) = &self.assignor {
            now.assignor = Some(assignor.clone());
        }
        if let Some(topics) = &self.topics
            && *topics != now.topics
        {
            now.topics = topics.clone();
        }
        if let Some(regex) = &self.regex {
            now.regex = regex.clone();
        }
        now.client_id = self.client_id.clone();
        now.client_host = self.client_host.clone();
        now.classic = None;
        (now != *before).then_some(now)
    }
}

/// A member as it was before the request.
pub(super) struct Found {
    pub(super) metadata: Arc<MemberMetadata>,
    pub(super) current: Arc<Current>,
    pub(super) is_new: bool,
}

impl ConsumerDraft<'_> {
    /// The member that sends a heartbeat. A new one is there when it joins; a static member that has left takes the place
    /// of its former self.
    pub(super) fn find(&mut self, id: &MemberId, heartbeat: &ConsumerHeartbeat) -> Result<Found, GroupError> {
        let joins = heartbeat.epoch == Generation(0);
        let owned = heartbeat.owned.as_deref();
        let Some(instance) = &heartbeat.instance else {
            let found = self.known_or_new(id, joins)?;
            check_epoch(&found.current, heartbeat.epoch, owned)?;
            return Ok(found);
        };
        let holder = self.group.static_member(instance).cloned();
        match holder {
            None if joins => self.known_or_new(id, true),
            None => Err(GroupError::UnknownMember),
            Some(holder) if joins => {
                let classic = self.group.member(&holder)?.is_classic();
                if !classic && self.group.current(&holder).epoch != LEAVING_FOR_NOW {
                    return Err(GroupError::UnreleasedInstance);
                }
                self.replace(&holder, id)
            }
            Some(holder) if holder != *id => Err(GroupError::FencedInstance),
            Some(holder) => {
                let found = self.known_or_new(&holder, false)?;
                check_epoch(&found.current, heartbeat.epoch, owned)?;
                Ok(found)
            }
        }
    }

    pub(super) fn known_or_new(&self, id: &MemberId, may_be_new: bool) -> Result<Found, GroupError> {
        match self.group.members.get(id) {
            Some(metadata) => {
                Ok(Found { metadata: metadata.clone(), current: self.group.current(id), is_new: false })
            }
            None if may_be_new => {
                Ok(Found { metadata: Arc::default(), current: Arc::default(), is_new: true })
            }
            None => Err(GroupError::UnknownMember),
        }
    }

    /// Gives everything that a static member has to its new self.
    pub(super) fn replace(&mut self, old: &MemberId, new: &MemberId) -> Result<Found, GroupError> {
        let metadata = self.group.member(old)?.clone();
        let target = self.group.target(old);
        let current = self.group.current(old);
        let current = Current { epoch: Generation(0), previous_epoch: Generation(0), ..(*current).clone() };
        self.forget(old);
        if old != new {
            self.cancel_timers(old);
        }
        self.happen(ConsumerEvent::MemberStored { member: new.clone(), metadata: metadata.clone() });
        self.happen(ConsumerEvent::MemberTargetStored { member: new.clone(), target });
        self.happen(ConsumerEvent::CurrentStored { member: new.clone(), current: current.clone() });
        Ok(Found { metadata, current: Arc::new(current), is_new: false })
    }

    /// The member of this instance id, who must be `member`.
    pub(super) fn static_holder(
        &self,
        instance: &InstanceId,
        member: &MemberId,
    ) -> Result<MemberId, GroupError> {
        match self.group.static_member(instance) {
            None => Err(GroupError::UnknownMember),
            Some(holder) if holder != member => Err(GroupError::FencedInstance),
            Some(holder) => Ok(holder.clone()),
        }
    }
}

/// Whether a member may go on in the epoch that it names. It may also name the one before when it owns nothing that it
/// is not to have: then the answer with the newer epoch was lost.
fn check_epoch(
    current: &Current,
    epoch: Generation,
    owned: Option<&OwnedByMember>,
) -> Result<(), GroupError> {
    let lost_answer = || {
        let has = |(topic, partitions): &(TopicId, Vec<_>)| {
            let assigned = current.assigned.get(topic);
            partitions
                .iter()
                .all(|partition| assigned.is_some_and(|assigned| assigned.contains_key(partition)))
        };
        epoch == current.previous_epoch && owned.is_some_and(|owned| owned.iter().all(has))
    };
    if epoch == Generation(0) || epoch == current.epoch || (epoch < current.epoch && lost_answer()) {
        Ok(())
    } else {
        Err(GroupError::FencedMemberEpoch)
    }
}
