//! OffsetFetch.

use vltava_core::id::{PartitionIndex, TopicId, TopicName};
use vltava_core::machine::Decision;

use super::GroupCoordinator;
use super::answer::{FetchedOffsets, FetchedTopic, GroupAnswer};
use super::command::{FetchOffsets, FetchTopic};
use super::error::GroupError;
use super::event::{CommittedOffset, OffsetKey};
use super::name::GroupId;

type Fetched = Result<Option<CommittedOffset>, GroupError>;

impl GroupCoordinator {
    /// The offsets of a group; a group that does not exist has none.
    pub(super) fn fetch_offsets(&self, fetch: FetchOffsets) -> Decision<Self> {
        if let Some(Err(error)) = self.consumers.get(&fetch.group).map(|group| group.admit_fetch(&fetch)) {
            return Decision::answer(GroupAnswer::FetchOffsets(Err(error)));
        }
        let topics = match fetch.topics {
            Some(topics) => {
                let fetched = |topic| self.fetch_topic(&fetch.group, topic, fetch.require_stable);
                topics.into_iter().map(fetched).collect()
            }
            None => self.fetch_all(&fetch.group, fetch.require_stable),
        };
        Decision::answer(GroupAnswer::FetchOffsets(Ok(FetchedOffsets { group: fetch.group, topics })))
    }

    fn fetch_topic(&self, group: &GroupId, topic: FetchTopic, require_stable: bool) -> FetchedTopic {
        let fetched = |partition| {
            let committed = self.offsets.get(group, &topic.name, partition);
            let same = committed.filter(|committed| same_topic(committed.topic_id, topic.id));
            (partition, self.stable(group, &topic.name, partition, require_stable).map(|()| same.cloned()))
        };
        let partitions = topic.partitions.iter().copied().map(fetched).collect();
        FetchedTopic { name: topic.name, id: topic.id, partitions }
    }

    fn fetch_all(&self, group: &GroupId, require_stable: bool) -> Vec<FetchedTopic> {
        let mut topics = Vec::new();
        for (topic, offsets) in self.offsets.of_group(group) {
            let mut id = TopicId::ZERO;
            let fetched =
                |(partition, committed): (PartitionIndex, &CommittedOffset)| -> (PartitionIndex, Fetched) {
                    id = committed.topic_id;
                    (
                        partition,
                        self.stable(group, topic, partition, require_stable)
                            .map(|()| Some(committed.clone())),
                    )
                };
            let partitions = offsets.map(fetched).collect();
            topics.push(FetchedTopic { name: topic.clone(), id, partitions });
        }
        topics
    }

    /// Whether the offset may be told: an open transaction may yet change it.
    fn stable(
        &self,
        group: &GroupId,
        topic: &TopicName,
        partition: PartitionIndex,
        required: bool,
    ) -> Result<(), GroupError> {
        let key = || OffsetKey { group: group.clone(), topic: topic.clone(), partition };
        if required && self.offsets.is_pending(&key()) { Err(GroupError::UnstableOffset) } else { Ok(()) }
    }
}

/// Whether two identities may be of one topic: an unknown one may be of any.
fn same_topic(committed: TopicId, asked: TopicId) -> bool {
    committed == TopicId::ZERO || asked == TopicId::ZERO || committed == asked
}
