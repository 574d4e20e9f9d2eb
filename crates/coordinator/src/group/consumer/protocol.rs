//! What consumers of the classic protocol say to each other, and the coordinator has to read when such members are in a
//! consumer group: their subscriptions, and the assignments it hands them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use vltava_core::id::{PartitionIndex, TopicId};
use vltava_core::image::Image;
use vltava_core::wire::{Message, Reader, WireError, WireStr, Writer};

use crate::assignor::Assignment;
use crate::generated::consumer_protocol::consumer_protocol_assignment::TopicPartition;
use crate::generated::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};

/// What a member says to the leader.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Subscription {
    /// The topics it subscribes to.
    pub(super) topics: Arc<BTreeSet<Arc<str>>>,
    /// What it owns, of topics that exist.
    pub(super) owned: Vec<(TopicId, Vec<PartitionIndex>)>,
    /// Where it runs.
    pub(super) rack: Option<Arc<str>>,
    /// The version it speaks, in which it wants its assignment as well.
    version: i16,
}

/// Reads a subscription. A version that is not known yet is read as the newest that is.
pub(super) fn subscription(metadata: &Bytes, image: &Image) -> Result<Subscription, WireError> {
    let mut reader = Reader::new(metadata.clone());
    let version = reader.i16()?.min(*ConsumerProtocolSubscription::VERSIONS.end());
    let read = ConsumerProtocolSubscription::decode(&mut reader, version)?;
    let owned = read.owned_partitions.iter().filter_map(|owned| {
        let topic = image.topics.by_name(&owned.topic)?;
        Some((topic.id, owned.partitions.iter().copied().map(PartitionIndex).collect()))
    });
    Ok(Subscription {
        topics: Arc::new(read.topics.iter().map(|topic| Arc::from(topic.as_str())).collect()),
        owned: owned.collect(),
        rack: read.rack_id.filter(|rack| !rack.is_empty()).map(|rack| Arc::from(rack.as_str())),
        version,
    })
}

/// Reads an assignment: partitions of topics that exist, and whether an assignor of the client's own has added something
/// that would be lost.
pub(super) fn assignment(bytes: &Bytes, image: &Image) -> Result<(Assignment, bool), WireError> {
    if bytes.is_empty() {
        return Ok((Assignment::new(), false));
    }
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16()?.min(*ConsumerProtocolAssignment::VERSIONS.end());
    let read = ConsumerProtocolAssignment::decode(&mut reader, version)?;
    let mut assignment = Assignment::new();
    for assigned in &read.assigned_partitions {
        let Some(topic) = image.topics.by_name(&assigned.topic) else { continue };
        let partitions = assigned.partitions.iter().copied().map(PartitionIndex);
        assignment.entry(topic.id).or_default().extend(partitions);
    }
    assignment.retain(|_, partitions| !partitions.is_empty());
    Ok((assignment, read.user_data.is_some_and(|data| !data.is_empty())))
}

/// Writes an assignment for a member with this subscription.
pub(super) fn to_assignment(
    partitions: impl Iterator<Item = (TopicId, PartitionIndex)>,
    subscription: &Subscription,
    image: &Image,
) -> Result<Bytes, WireError> {
    let mut named: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        if let Some(topic) = image.topics.by_id(topic) {
            named.entry(&topic.name).or_default().insert(partition.0);
        }
    }
    let assigned = named.into_iter().map(|(topic, partitions)| TopicPartition {
        topic: WireStr::copy_of(topic),
        partitions: partitions.into_iter().collect(),
    });
    let message = ConsumerProtocolAssignment { assigned_partitions: assigned.collect(), user_data: None };
    let mut writer = Writer::default();
    writer.i16(subscription.version);
    message.encode(&mut writer, subscription.version)?;
    writer.into_bytes()
}
