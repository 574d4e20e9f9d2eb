//! What OffsetCommit and TxnOffsetCommit share: which topics offsets are committed for, and what became of each partition.

use vltava_coordinator::group::GroupError;
use vltava_coordinator::group::answer::TopicOutcomes;
use vltava_coordinator::group::command::{CommitPartition, CommitTopic};
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, TopicId, Uuid};
use vltava_core::wire::WireStr;

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

/// What became of each partition that is there, in the order of the request.
pub(super) type Outcomes = std::vec::IntoIter<ErrorCode>;

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

/// The answer of the group coordinator, which keeps the order of what it was asked.
pub(super) fn in_order(topics: Vec<TopicOutcomes>) -> Outcomes {
    let results = topics.into_iter().flat_map(|topic| topic.partitions);
    let codes = results.map(|(_, result)| result.err().map_or(ErrorCode::NONE, GroupError::code));
    codes.collect::<Vec<_>>().into_iter()
}

/// What became of the next partition of the request; one that is not there was not asked about.
pub(super) fn outcome(outcomes: &mut Outcomes, lookup: &Lookup, partition: i32) -> ErrorCode {
    if !has(lookup, PartitionIndex(partition)) {
        return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    }
    outcomes.next().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)
}
