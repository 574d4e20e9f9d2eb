//! ListPartitionReassignments: the partitions whose replicas are being moved (KIP-455).

use vltava_core::id::{BrokerId, PartitionIndex};
use vltava_core::image::{Partition, Topic};
use vltava_protocol::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use vltava_protocol::messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(
    call: Call<ListPartitionReassignmentsRequest>,
) -> ListPartitionReassignmentsResponse {
    if let Err(code) = call.authorize(Operation::Describe, Resource::Cluster) {
        return ListPartitionReassignmentsResponse {
            error_code: code.code(),
            error_message: None,
            ..Default::default()
        };
    }
    let image = call.node.view.load().image.clone();
    let topics = match &call.request.topics {
        None => image.topics.iter().filter_map(|topic| moving(topic, topic.numbered())).collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|asked| {
                let topic = image.topics.by_name(&asked.name)?;
                let indexes = asked.partition_indexes.iter().copied().map(PartitionIndex);
                moving(topic, indexes.filter_map(|index| Some((index, topic.partition(index)?))))
            })
            .collect(),
    };
    ListPartitionReassignmentsResponse { throttle_time_ms: 0, error_code: 0, error_message: None, topics }
}

/// Those of a topic's partitions that are being moved, if any.
fn moving<'a>(
    topic: &Topic,
    partitions: impl Iterator<Item = (PartitionIndex, &'a Partition)>,
) -> Option<OngoingTopicReassignment> {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect();
    let partitions: Vec<_> = partitions
        .filter(|(_, partition)| !partition.adding.is_empty() || !partition.removing.is_empty())
        .map(|(index, partition)| OngoingPartitionReassignment {
            partition_index: index.0,
            replicas: ids(&partition.replicas),
            adding_replicas: ids(&partition.adding),
            removing_replicas: ids(&partition.removing),
        })
        .collect();
    (!partitions.is_empty()).then(|| OngoingTopicReassignment { name: wire(&topic.name), partitions })
}
