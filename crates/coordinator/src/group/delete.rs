//! OffsetDelete, DeleteGroups, and the offsets of deleted topics.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use vltava_core::id::{TopicId, TopicName};
use vltava_core::machine::{Context, Decision, Reply, Timer};

use super::GroupCoordinator;
use super::answer::{GroupAnswer, TopicOutcomes};
use super::classic::{ClassicState, session_timer};
use super::command::{DeleteOffsets, DeletedTopic, GroupCommand};
use super::error::GroupError;
use super::event::{CommittedOffset, GroupEvent, GroupKey, OffsetKey};
use super::name::GroupId;
use super::settings::TOMBSTONES_BYTES_MAX;

impl GroupCoordinator {
    pub(super) fn delete_offsets(&self, delete: &DeleteOffsets) -> Decision<Self> {
        if let Err(error) = self.admit_delete_offsets(&delete.group) {
            return Decision::answer(GroupAnswer::DeleteOffsets(Err(error)));
        }
        let used = self.used_topics(&delete.group);
        let mut events = Vec::new();
        let mut outcomes = Vec::with_capacity(delete.topics.len());
        for (topic, partitions) in &delete.topics {
            let outcome = if used.contain(topic) { Err(GroupError::SubscribedToTopic) } else { Ok(()) };
            if outcome.is_ok() {
                let keys = partitions.iter().map(|partition| OffsetKey {
                    group: delete.group.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                });
                let known = keys.filter(|key| self.has_offset(key));
                events.extend(known.map(|key| GroupEvent::OffsetForgotten { key }));
            }
            let partitions = partitions.iter().map(|partition| (*partition, outcome)).collect();
            outcomes.push(TopicOutcomes { name: topic.clone(), id: TopicId::ZERO, partitions });
        }
        if self.is_last_of_simple_group(&delete.group, &events) {
            let (group, stored) = (delete.group.clone(), Arc::default());
            events.push(GroupEvent::GroupStored { group, stored });
        }
        Decision::with(events, Reply::Committed(GroupAnswer::DeleteOffsets(Ok(outcomes))))
    }

    /// Whether a group without metadata loses its last offset: it needs metadata to be there until it expires.
    fn is_last_of_simple_group(&self, group: &GroupId, events: &[GroupEvent]) -> bool {
        let forgotten: BTreeSet<&OffsetKey> = events
            .iter()
            .filter_map(|event| match event {
                GroupEvent::OffsetForgotten { key } => Some(key),
                _ => None,
            })
            .collect();
        let known = self.offset_keys(group);
        self.is_simple(group) && !events.is_empty() && known.iter().all(|key| forgotten.contains(key))
    }

    fn admit_delete_offsets(&self, group: &GroupId) -> Result<(), GroupError> {
        if group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        if self.consumers.contains_key(group) {
            return Ok(());
        }
        match self.classic(group) {
            // What the members of another protocol use is not known.
            Some(group) if group.state != ClassicState::Empty && !group.uses_consumer_protocol() => {
                Err(GroupError::NonEmptyGroup)
            }
            None if !self.offsets.has_group(group) => Err(GroupError::GroupNotFound),
            _ => Ok(()),
        }
    }

    fn has_offset(&self, key: &OffsetKey) -> bool {
        self.offsets.get(&key.group, &key.topic, key.partition).is_some() || self.offsets.is_pending(key)
    }

    /// The topics that members of a group use.
    pub(super) fn used_topics(&self, group: &GroupId) -> UsedTopics {
        if let Some(consumer) = self.consumers.get(group) {
            let topics = consumer.subscribed_topics();
            return UsedTopics::These(topics.iter().map(ToString::to_string).collect());
        }
        match self.classic(group) {
            None => UsedTopics::These(HashSet::new()),
            Some(group) => match group.subscribed_topics() {
                Some(topics) => UsedTopics::These(topics),
                None if group.uses_consumer_protocol() => UsedTopics::Unknown,
                None => UsedTopics::These(HashSet::new()),
            },
        }
    }

    /// Deletes a group that has no members, with its offsets.
    pub(super) fn delete_group(&self, context: &Context<'_>, group: &GroupId) -> Decision<Self> {
        let classic = self.classic(group);
        let consumer = self.consumers.get(group);
        if consumer.is_some_and(|consumer| !consumer.members().is_empty()) {
            return Decision::answer(GroupAnswer::DeleteGroup(Err(GroupError::NonEmptyGroup)));
        }
        match classic {
            None if consumer.is_none() && !self.offsets.has_group(group) => {
                return Decision::answer(GroupAnswer::DeleteGroup(Err(GroupError::GroupNotFound)));
            }
            Some(classic) if classic.state != ClassicState::Empty => {
                return Decision::answer(GroupAnswer::DeleteGroup(Err(GroupError::NonEmptyGroup)));
            }
            _ => {}
        }
        let mut events: Vec<GroupEvent> =
            self.offset_keys(group).into_iter().map(|key| GroupEvent::OffsetForgotten { key }).collect();
        if consumer.is_none() || classic.is_some() {
            events.push(GroupEvent::GroupForgotten { group: group.clone() });
        }
        let mut decision = Decision::with(events, Reply::Committed(GroupAnswer::DeleteGroup(Ok(()))));
        decision.timers = self.sessions_of_pending(group);
        self.end_consumer_group(context, group, &mut decision);
        decision
    }

    /// Cancels the timers of ids that were handed out.
    pub(super) fn sessions_of_pending(&self, group: &GroupId) -> Vec<Timer<Self>> {
        let pending = self.classic(group).into_iter().flat_map(|group| &group.pending_join);
        pending.map(|member| Timer::Cancel(session_timer(group, member).0)).collect()
    }

    fn offset_keys(&self, group: &GroupId) -> BTreeSet<OffsetKey> {
        let mut keys: BTreeSet<OffsetKey> = self.offsets.pending_of(group).cloned().collect();
        for (topic, offsets) in self.offsets.of_group(group) {
            let key = |partition| OffsetKey { group: group.clone(), topic: topic.clone(), partition };
            keys.extend(offsets.map(|(partition, _)| key(partition)));
        }
        keys
    }

    /// Forgets the offsets of deleted topics, so many at a time.
    pub(super) fn topics_deleted(
        &self,
        context: &Context<'_>,
        topics: &Arc<[DeletedTopic]>,
    ) -> Decision<Self> {
        let deleted = |topic: &TopicName, offset: &CommittedOffset| {
            let id = offset.topic_id;
            topics.iter().any(|deleted| deleted.name == *topic && (id == TopicId::ZERO || id == deleted.id))
        };
        let committed = self.offsets.committed();
        let committed = committed.iter().map(|(key, offset)| (key, *offset));
        let pending = self.offsets.pending().map(|(_, key, offset)| (key, offset));
        let lost = committed.chain(pending).filter(|(key, offset)| deleted(&key.topic, offset));
        let keys: BTreeSet<&OffsetKey> = lost.map(|(key, _)| key).collect();
        let mut tombstones = Tombstones::default();
        let taken: Vec<&OffsetKey> = keys.iter().copied().take_while(|key| tombstones.admit(key)).collect();
        let more = taken.len() < keys.len();
        let events = taken.into_iter().map(|key| GroupEvent::OffsetForgotten { key: key.clone() }).collect();
        let decision = Decision::with(events, Reply::Committed(GroupAnswer::TopicsDeleted));
        if !more {
            return decision;
        }
        let key = GroupKey::TopicsDeleted(topics.iter().map(|topic| topic.id).collect());
        decision.set_timer(key, context.now, GroupCommand::TopicsDeleted(topics.clone()))
    }
}

/// The topics that members of a group use.
pub(super) enum UsedTopics {
    /// These.
    These(HashSet<String>),
    /// Any, for all that is known.
    Unknown,
}

impl UsedTopics {
    /// Whether members use the topic, or may use it for all that is known.
    pub(super) fn contain(&self, topic: &TopicName) -> bool {
        match self {
            UsedTopics::These(topics) => topics.contains(&**topic),
            UsedTopics::Unknown => true,
        }
    }
}

/// Counts the tombstones of one decision.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    bytes: usize,
}

impl Tombstones {
    /// Whether the tombstone of this offset still belongs into the decision. The first always does.
    pub(super) fn admit(&mut self, key: &OffsetKey) -> bool {
        self.admit_names(key.group.len() + key.topic.len())
    }

    /// The same for the tombstone of a group.
    pub(super) fn admit_group(&mut self, group: &GroupId) -> bool {
        self.admit_names(group.len())
    }

    fn admit_names(&mut self, bytes: usize) -> bool {
        // Besides the names: lengths, partition and type in the key, and what a record has around it.
        const REST: usize = 48;
        let first = self.bytes == 0;
        self.bytes += bytes + REST;
        first || self.bytes <= TOMBSTONES_BYTES_MAX
    }

    /// Whether the decision is full.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > TOMBSTONES_BYTES_MAX
    }
}
