//! What OffsetCommit and TxnOffsetCommit share: which topics offsets are committed for, and what became of each partition.

use std::collections::HashMap;

use vltava_coordinator::group::GroupError;
use vltava_coordinator::group::answer::TopicOutcomes;
use vltava_coordinator::group::command::{CommitPartition, CommitTopic};
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, TopicId, Uuid};
use vltava_core::wire::WireStr;

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

/// What became of each partition that was there.
pub(super) type Outcomes = HashMap<(TopicId, PartitionIndex), ErrorCode>;

/// The topic with this id, when the peer may read it.
pub(super) fn topic_by_id<R>(call: &Call<R>, id: Uuid) -> Result<Lookup, ErrorCode> {
    let lookup = call.node.lookup_id(TopicId(id))?;
    call.authorize(Operation::Read, Resource::Topic(lookup.name()))?;
    Ok(lookup)
}

/// The topic with this name, when the peer may read it.
pub(super) fn topic_by_name<R>(call: &Call<R>, name: &WireStr) -> Result<Lookup, ErrorCode> {
    call.authorize(Operation::Read, Resource::Topic(name))?;
    call.node.lookup_name(name)
}

/// Whether the topic has this partition.
pub(super) fn has(lookup: &Lookup, partition: PartitionIndex) -> bool {
    lookup.topic().partition(partition).is_some()
}

/// What is committed for the partitions that the topic has. The client knows the topic by `id`, which is zero for one that
/// names it.
pub(super) fn of_topic(
    lookup: &Lookup,
    id: TopicId,
    partitions: impl Iterator<Item = CommitPartition>,
) -> CommitTopic {
    let partitions = partitions.filter(|commit| has(lookup, commit.partition)).collect();
    CommitTopic { name: lookup.name().clone(), id, partitions }
}

/// The answer of the group coordinator, for look-ups by partition.
pub(super) fn by_partition<R>(call: &Call<R>, topics: Vec<TopicOutcomes>) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for topic in topics {
        let Ok(lookup) = call.node.lookup_name(&topic.name) else { continue };
        for (partition, result) in topic.partitions {
            let code = result.err().map_or(ErrorCode::NONE, GroupError::code);
            outcomes.insert((lookup.topic().id, partition), code);
        }
    }
    outcomes
}

/// What became of a partition; one that was not asked about is not there.
pub(super) fn outcome(outcomes: &Outcomes, lookup: &Lookup, partition: i32) -> ErrorCode {
    let key = (lookup.topic().id, PartitionIndex(partition));
    outcomes.get(&key).copied().unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}
