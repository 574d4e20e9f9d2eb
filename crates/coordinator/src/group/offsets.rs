//! The committed offsets of all groups, and those that open transactions would commit.
//!
//! Offsets are kept apart from the groups, as their records are: a group without members and metadata exists as long as
//! it has an offset, and which of the two records comes first in a compacted log does not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use vltava_core::id::{Offset, PartitionIndex, ProducerId, TopicName};
use vltava_core::machine::{Place, TransactionEnd};

use super::event::{CommittedOffset, OffsetKey};
use super::name::GroupId;

/// An offset, and where in the log it was committed. The later one wins, whichever transaction ends first.
#[derive(Clone, Debug, PartialEq)]
struct Placed {
    offset: CommittedOffset,
    at: Offset,
}

type Partitions = BTreeMap<PartitionIndex, Placed>;

/// The offsets of one partition of `__consumer_offsets`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Offsets {
    committed: HashMap<GroupId, BTreeMap<TopicName, Partitions>>,
    pending: BTreeMap<OffsetKey, BTreeMap<ProducerId, Placed>>,
    // The same, by producer.
    open: BTreeMap<ProducerId, BTreeSet<OffsetKey>>,
}

impl Offsets {
    /// The offset of one partition.
    pub(super) fn get(
        &self,
        group: &GroupId,
        topic: &str,
        partition: PartitionIndex,
    ) -> Option<&CommittedOffset> {
        self.committed.get(group)?.get(topic)?.get(&partition).map(|placed| &placed.offset)
    }

    /// Every offset of a group, by topic.
    pub(super) fn of_group(
        &self,
        group: &GroupId,
    ) -> impl Iterator<Item = (&TopicName, impl Iterator<Item = (PartitionIndex, &CommittedOffset)>)> {
        let topics = self.committed.get(group).into_iter().flatten();
        topics.map(|(topic, partitions)| {
            (topic, partitions.iter().map(|(index, placed)| (*index, &placed.offset)))
        })
    }

    /// How many offsets a group has.
    pub(super) fn count_of(&self, group: &GroupId) -> usize {
        self.committed.get(group).into_iter().flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }

    /// The groups that have an offset, or would have one if an open transaction committed.
    pub(super) fn groups(&self) -> BTreeSet<&GroupId> {
        self.committed.keys().chain(self.pending.keys().map(|key| &key.group)).collect()
    }

    /// Whether a group has an offset, or would have one if an open transaction committed.
    pub(super) fn has_group(&self, group: &GroupId) -> bool {
        self.committed.contains_key(group) || self.is_pending_in(group)
    }

    /// Whether an open transaction would change this offset.
    pub(super) fn is_pending(&self, key: &OffsetKey) -> bool {
        self.pending.contains_key(key)
    }

    /// Whether an open transaction would change an offset of the group.
    pub(super) fn is_pending_in(&self, group: &GroupId) -> bool {
        self.pending_of(group).next().is_some()
    }

    /// The offsets of a group that open transactions would change.
    pub(super) fn pending_of(&self, group: &GroupId) -> impl Iterator<Item = &OffsetKey> {
        // No topic name is smaller than this one.
        let first = TopicName::new("-").ok().map(|topic| OffsetKey {
            group: group.clone(),
            topic,
            partition: PartitionIndex(i32::MIN),
        });
        let from = first.into_iter().flat_map(|first| self.pending.range(first..));
        from.map(|(key, _)| key).take_while(move |key| key.group == *group)
    }

    /// Every offset that open transactions would change, with the topic's identity.
    pub(super) fn pending(&self) -> impl Iterator<Item = (ProducerId, &OffsetKey, &CommittedOffset)> {
        self.pending.iter().flat_map(|(key, producers)| {
            producers.iter().map(move |(producer, placed)| (*producer, key, &placed.offset))
        })
    }

    /// Every committed offset, in order.
    pub(super) fn committed(&self) -> Vec<(OffsetKey, &CommittedOffset)> {
        let mut all = Vec::new();
        for (group, topics) in &self.committed {
            for (topic, partitions) in topics {
                for (partition, placed) in partitions {
                    let key = OffsetKey { group: group.clone(), topic: topic.clone(), partition: *partition };
                    all.push((key, &placed.offset));
                }
            }
        }
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// An offset was written: at once, or as part of a transaction.
    pub(super) fn commit(&mut self, key: &OffsetKey, offset: &CommittedOffset, place: Place) {
        let placed = Placed { offset: offset.clone(), at: place.offset };
        match place.transaction {
            None => self.put(key, placed),
            Some((producer, _)) => {
                self.pending.entry(key.clone()).or_default().insert(producer, placed);
                self.open.entry(producer).or_default().insert(key.clone());
            }
        }
    }

    /// An offset was deleted, and whatever open transactions would commit for it.
    pub(super) fn forget(&mut self, key: &OffsetKey) {
        if let Some(topics) = self.committed.get_mut(&key.group) {
            if let Some(partitions) = topics.get_mut(&key.topic) {
                partitions.remove(&key.partition);
                if partitions.is_empty() {
                    topics.remove(&key.topic);
                }
            }
            if topics.is_empty() {
                self.committed.remove(&key.group);
            }
        }
        for producer in self.pending.remove(key).unwrap_or_default().into_keys() {
            if let Some(keys) = self.open.get_mut(&producer) {
                keys.remove(key);
                if keys.is_empty() {
                    self.open.remove(&producer);
                }
            }
        }
    }

    /// A transaction has ended: its offsets count, unless a later one was committed since, or never were.
    pub(super) fn end(&mut self, end: TransactionEnd) {
        for key in self.open.remove(&end.producer).unwrap_or_default() {
            let Some(producers) = self.pending.get_mut(&key) else { continue };
            let placed = producers.remove(&end.producer);
            if producers.is_empty() {
                self.pending.remove(&key);
            }
            if let Some(placed) = placed.filter(|_| end.commit)
                && self.placed(&key).is_none_or(|committed| placed.at > committed.at)
            {
                self.put(&key, placed);
            }
        }
    }

    fn placed(&self, key: &OffsetKey) -> Option<&Placed> {
        self.committed.get(&key.group)?.get(&key.topic)?.get(&key.partition)
    }

    fn put(&mut self, key: &OffsetKey, placed: Placed) {
        let topics = self.committed.entry(key.group.clone()).or_default();
        topics.entry(key.topic.clone()).or_default().insert(key.partition, placed);
    }
}
