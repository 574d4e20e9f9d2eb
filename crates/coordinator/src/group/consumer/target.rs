//! The target of a group: who is to have what.
//!
//! Why the target of a big group rests for a moment even where its members may have a new one at once: it takes a time that
//! grows with the group, and each of a thousand members that come together would otherwise hold up whoever else the
//! coordinator serves. Whoever comes meanwhile is served by the next target, as with Kafka, which computes it beside.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::{Generation, TopicId};

use super::draft::ConsumerDraft;
use super::event::ConsumerEvent;
use super::member::MemberMetadata;
use crate::assignor::{Assignment, Assignor, GroupSpec, MemberSpec};
use crate::group::error::GroupError;
use crate::group::name::MemberId;

/// For how long a target rests, for each member and for each partition of the group: ten times what it takes to compute, so
/// that a coordinator has nine tenths of its time for others. Groups of less than a millisecond in all have no rest.
const REST_OF_MEMBER: Duration = Duration::from_micros(5);
const REST_OF_PARTITION: Duration = Duration::from_nanos(300);

/// What a member is to have.
pub(super) struct Target {
    pub(super) epoch: Generation,
    pub(super) partitions: Arc<Assignment>,
}

impl ConsumerDraft<'_> {
    /// What a member is to have now. A target that is older than the group is computed anew, unless the one there is has
    /// not been there for `consumer.assignment.interval.ms`: then members that come together are served together.
    pub(super) fn update_target(&mut self, member: &MemberId) -> Result<Target, GroupError> {
        let old = self.group.target_epoch() < self.group.epoch();
        let partitions =
            if old && self.may_compute() { self.compute_target(member)? } else { self.group.target(member) };
        Ok(Target { epoch: self.group.target_epoch(), partitions })
    }

    fn may_compute(&self) -> bool {
        let least = self.assignment_interval().max(self.rest());
        let interval = i64::try_from(least.as_millis()).unwrap_or(i64::MAX);
        match self.group.stored_target.and_then(|(_, at)| at) {
            Some(at) => interval == 0 || self.context.wall >= at.plus(interval),
            None => true,
        }
    }

    /// For how long a target rests at least, whatever is set.
    fn rest(&self) -> Duration {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let topics = self.group.live.checked.iter().flat_map(|checked| checked.names.iter());
        let found = topics.filter_map(|name| self.context.image.topics.by_name(name));
        let partitions = found.map(|topic| topic.partitions.len()).sum();
        REST_OF_MEMBER.saturating_mul(count(self.group.members.len()))
            + REST_OF_PARTITION.saturating_mul(count(partitions))
    }

    /// Returns what this member is to have. The group of the draft does not show what others are to have, for nothing that
    /// follows asks.
    fn compute_target(&mut self, of: &MemberId) -> Result<Arc<Assignment>, GroupError> {
        let members = self.member_specs();
        let spec = GroupSpec { members: &members, image: self.context.image };
        let assigned = self.assignor().assign(&spec).map_err(|_| GroupError::AssignmentFailed)?;
        let mut assigned = assigned.into_iter().peekable();
        let mut own = Arc::default();
        for member in members {
            // Both are in the order of ids. Who is not of the group gets nothing.
            while assigned.next_if(|(id, _)| *id < member.id).is_some() {}
            let target = assigned.next_if(|(id, _)| *id == member.id);
            let target = target.map(|(_, target)| target).unwrap_or_default();
            if member.id == *of {
                own = target.clone();
            }
            let is_stored = || !target.is_empty() || self.group.targets.contains_key(&member.id);
            if target != member.assigned || !is_stored() {
                self.note(ConsumerEvent::MemberTargetStored { member: member.id, target });
            }
        }
        let (epoch, at) = (self.group.epoch(), Some(self.context.wall));
        self.happen(ConsumerEvent::TargetStored { epoch, at });
        Ok(own)
    }

    fn member_specs(&self) -> Vec<MemberSpec> {
        let mut subscriptions = Subscriptions::default();
        let spec = |(id, metadata): (&MemberId, &Arc<MemberMetadata>)| MemberSpec {
            id: id.clone(),
            instance: metadata.instance.clone(),
            rack: metadata.rack.clone(),
            topics: subscriptions.of(self, metadata),
            assigned: self.group.target(id),
        };
        self.group.members.iter().map(spec).collect()
    }

    /// The assignor that most members ask for; the default one when nobody asks.
    fn assignor(&self) -> &dyn Assignor {
        let assignors = &self.settings().assignors;
        let name = self.group.preferred_assignor();
        let preferred = name.as_deref().and_then(|name| assignors.get(name));
        let chosen = preferred.or_else(|| assignors.get(assignors.default_name()));
        chosen.map_or(&crate::assignor::UniformAssignor, |assignor| &**assignor)
    }
}

impl super::ConsumerGroup {
    /// The assignor that most members ask for, the first by name of several.
    pub(super) fn preferred_assignor(&self) -> Option<Arc<str>> {
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|metadata| metadata.assignor.as_ref()) {
            *votes.entry(assignor).or_default() += 1;
        }
        votes.into_iter().rev().max_by_key(|(_, count)| *count).map(|(name, _)| name.clone())
    }
}

/// A subscription: names, and a regular expression.
type Names = (Arc<BTreeSet<Arc<str>>>, Arc<str>);

/// The topics of subscriptions, each looked up once: members mostly subscribe to the same, as the one before them does.
#[derive(Default)]
struct Subscriptions {
    known: HashMap<Names, Arc<BTreeSet<TopicId>>>,
    last: Option<(Names, Arc<BTreeSet<TopicId>>)>,
}

impl Subscriptions {
    fn of(&mut self, draft: &ConsumerDraft<'_>, metadata: &MemberMetadata) -> Arc<BTreeSet<TopicId>> {
        if let Some(((names, regex), topics)) = &self.last
            && (names, regex) == (&metadata.topics, &metadata.regex)
        {
            return topics.clone();
        }
        let key = (metadata.topics.clone(), metadata.regex.clone());
        let find = || Arc::new(draft.group.topics_of(metadata, draft.context.image));
        let topics = self.known.entry(key.clone()).or_insert_with(find).clone();
        self.last = Some((key, topics.clone()));
        topics
    }
}
