//! The way of one member from what it has to what it is to have.
//!
//! | it is | and | then it is |
//! | --- | --- | --- |
//! | anywhere | has what it is not to have, and says or may be thought to own it | `UnrevokedPartitions`, in its epoch |
//! | anywhere else | some of its target is still another's | `UnreleasedPartitions`, in the target's epoch |
//! | anywhere else | all of its target is its own | `Stable`, in the target's epoch |
//!
//! A member in `UnrevokedPartitions` stays there until it names what it owns and nothing of it is to be given up.

use std::sync::Arc;

use vltava_core::id::{Generation, PartitionIndex, TopicId};

use super::member::{Current, MemberState, Owned};
use crate::assignor::Assignment;
use crate::group::error::GroupError;

/// What a member says it owns.
pub type OwnedByMember = [(TopicId, Vec<PartitionIndex>)];

/// A member and where it is to go.
pub(super) struct Reconciliation<'a> {
    /// Where it is.
    pub(super) current: &'a Current,
    pub(super) target_epoch: Generation,
    pub(super) target: &'a Assignment,
    /// Its subscription has just changed: what it does not want any more must go, even if the target is old.
    pub(super) subscription_changed: bool,
    /// What it says it owns; none when it says nothing.
    pub(super) owned: Option<&'a OwnedByMember>,
    /// Whether it subscribes to a topic.
    pub(super) wants: &'a dyn Fn(TopicId) -> bool,
    /// Whether a partition is somebody's.
    pub(super) is_taken: &'a dyn Fn(TopicId, PartitionIndex) -> bool,
}

impl Reconciliation<'_> {
    /// Where the member is now; the same when it cannot go on.
    pub(super) fn next(&self) -> Result<Current, GroupError> {
        let current = self.current;
        match current.state {
            MemberState::Stable if current.epoch != self.target_epoch => Ok(self.walk(current.epoch)),
            MemberState::Stable if self.subscription_changed => Ok(self.drop_unwanted()),
            MemberState::Stable => Ok(current.clone()),
            MemberState::UnrevokedPartitions if self.owns_any(&current.revoking) => {
                Ok(if self.subscription_changed { self.drop_unwanted() } else { current.clone() })
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                Ok(self.walk(current.epoch))
            }
            // Nobody knows what it has: it has to begin anew, and is believed once it owns nothing.
            MemberState::Unknown if self.owned.is_none_or(|owned| !owned.is_empty()) => {
                Err(GroupError::FencedMemberEpoch)
            }
            MemberState::Unknown => Ok(self.walk(self.target_epoch)),
        }
    }

    /// Whether the member owns any of these, or has not said.
    fn owns_any(&self, partitions: &Owned) -> bool {
        let Some(owned) = self.owned else { return true };
        owned.iter().any(|(topic, owned)| {
            partitions
                .get(topic)
                .is_some_and(|partitions| owned.iter().any(|partition| partitions.contains_key(partition)))
        })
    }

    /// Takes from the member what it no longer subscribes to, and nothing else.
    fn drop_unwanted(&self) -> Current {
        let current = self.current;
        if current.assigned.keys().all(|topic| (self.wants)(*topic)) {
            return current.clone();
        }
        let mut assigned = (*current.assigned).clone();
        let mut revoking = (*current.revoking).clone();
        assigned.retain(|topic, partitions| {
            let wanted = (self.wants)(*topic);
            if !wanted {
                revoking.entry(*topic).or_default().append(partitions);
            }
            wanted
        });
        let assigned = Arc::new(assigned);
        if self.owns_any(&revoking) {
            let revoking = Arc::new(revoking);
            self.moved(current.epoch, MemberState::UnrevokedPartitions, assigned, revoking)
        } else {
            self.moved(current.epoch, current.state, assigned, current.revoking.clone())
        }
    }

    /// One step towards the target.
    fn walk(&self, epoch: Generation) -> Current {
        let wanted = |topic: &TopicId| self.target.get(topic).filter(|_| (self.wants)(*topic));
        let mut kept = Owned::new();
        let mut revoking = Owned::new();
        for (topic, partitions) in &*self.current.assigned {
            let target = wanted(topic);
            for (partition, since) in partitions {
                let stays = target.is_some_and(|target| target.contains(partition));
                let into = if stays { &mut kept } else { &mut revoking };
                into.entry(*topic).or_default().insert(*partition, *since);
            }
        }
        if !revoking.is_empty() && self.owns_any(&revoking) {
            return self.moved(epoch, MemberState::UnrevokedPartitions, Arc::new(kept), Arc::new(revoking));
        }
        let mut waits = false;
        for (topic, partitions) in self.target {
            if wanted(topic).is_none() {
                continue;
            }
            for partition in partitions {
                if kept.get(topic).is_some_and(|kept| kept.contains_key(partition)) {
                    continue;
                }
                // What it has yet to give up itself, it may as well keep.
                let own = self.current.revoking.get(topic).is_some_and(|own| own.contains_key(partition));
                if !own && (self.is_taken)(*topic, *partition) {
                    waits = true;
                } else {
                    kept.entry(*topic).or_default().insert(*partition, self.target_epoch);
                }
            }
        }
        let state = if waits { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        self.moved(self.target_epoch, state, Arc::new(kept), Arc::default())
    }

    fn moved(
        &self,
        epoch: Generation,
        state: MemberState,
        assigned: Arc<Owned>,
        revoking: Arc<Owned>,
    ) -> Current {
        Current { epoch, previous_epoch: self.current.epoch, state, assigned, revoking }
    }
}
