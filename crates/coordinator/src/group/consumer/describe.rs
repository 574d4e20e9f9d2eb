//! ConsumerGroupDescribe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vltava_core::id::{PartitionIndex, TopicId};
use vltava_core::image::Image;
use vltava_core::machine::{Context, Decision};

use super::ConsumerGroup;
use super::member::MemberMetadata;
use crate::group::GroupCoordinator;
use crate::group::answer::{DescribedConsumer, DescribedConsumerGroup, GroupAnswer, NamedPartitions};
use crate::group::error::GroupError;
use crate::group::name::{GroupId, MemberId};

impl GroupCoordinator {
    pub(in crate::group) fn describe_consumer(&self, context: &Context<'_>, id: &GroupId) -> Decision<Self> {
        let described = self.consumers.get(id).map(|group| {
            let default = || Arc::from(self.settings.consumer.assignors.default_name());
            DescribedConsumerGroup {
                group: id.clone(),
                state: group.state().name(),
                epoch: group.epoch(),
                target_epoch: group.target_epoch(),
                assignor: group.preferred_assignor().unwrap_or_else(default),
                members: group
                    .members
                    .iter()
                    .map(|(id, metadata)| group.describe_member(id, metadata, context.image))
                    .collect(),
            }
        });
        Decision::answer(GroupAnswer::DescribeConsumerGroup(described.ok_or(GroupError::GroupNotFound)))
    }
}

impl ConsumerGroup {
    fn describe_member(&self, id: &MemberId, metadata: &MemberMetadata, image: &Image) -> DescribedConsumer {
        let current = self.current(id);
        let mut assigned: BTreeMap<TopicId, BTreeSet<PartitionIndex>> = BTreeMap::new();
        for (topic, partition) in current.partitions() {
            assigned.entry(topic).or_default().insert(partition);
        }
        DescribedConsumer {
            member: id.clone(),
            epoch: current.epoch,
            instance: metadata.instance.clone(),
            rack: metadata.rack.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            topics: metadata.topics.iter().cloned().collect(),
            regex: metadata.regex.clone(),
            assigned: named(&assigned, image),
            target: named(&self.target(id), image),
            is_classic: metadata.is_classic(),
        }
    }
}

fn named(partitions: &BTreeMap<TopicId, BTreeSet<PartitionIndex>>, image: &Image) -> Vec<NamedPartitions> {
    let named = |(id, partitions): (&TopicId, &BTreeSet<PartitionIndex>)| {
        let topic = image.topics.by_id(*id)?;
        let partitions = partitions.iter().copied().collect();
        Some(NamedPartitions { name: topic.name.clone(), id: *id, partitions })
    };
    partitions.iter().filter_map(named).collect()
}
