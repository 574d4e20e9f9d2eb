//! OffsetCommit: where the consumers of a group are.

use std::time::Duration;

use vltava_coordinator::group::command::{CommitOffsets, CommitPartition, CommitTopic};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, InstanceId};
use vltava_core::error::ErrorCode;
use vltava_core::id::{Generation, LeaderEpoch, Offset, PartitionIndex, TopicId};
use vltava_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use vltava_protocol::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};

use super::commits::{Outcomes, in_order, of_topic, outcome, topic_by_id, topic_by_name};
use super::text::shared;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

/// The client knows GROUP_ID_NOT_FOUND and the next generation of groups (KIP-848).
const GROUP_ID_NOT_FOUND: Capability = Capability::since(9);
/// Topics are named by their ids.
const TOPIC_IDS: Capability = Capability::since(10);

pub(crate) async fn handle(call: Call<OffsetCommitRequest>) -> OffsetCommitResponse {
    let group = &call.request.group_id;
    if let Err(code) = call.authorize(Operation::Read, Resource::Group(group)) {
        return OffsetCommitResponse { throttle_time_ms: 0, topics: same_for_all(&call.request, code) };
    }
    let topics: Vec<Result<Lookup, ErrorCode>> =
        call.request.topics.iter().map(|topic| known(&call, topic)).collect();
    let mut outcomes = commit(&call, &topics).await;
    let responses = call.request.topics.iter().zip(&topics).map(|(topic, known)| {
        let mut code = |partition: &OffsetCommitRequestPartition| match (known, &mut outcomes) {
            (Err(code), _) => *code,
            (Ok(_), Err(code)) => *code,
            (Ok(lookup), Ok(outcomes)) => outcome(outcomes, lookup, partition.partition_index),
        };
        let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: code(partition).code(),
        });
        OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    });
    OffsetCommitResponse { throttle_time_ms: 0, topics: responses.collect() }
}

fn same_for_all(request: &OffsetCommitRequest, code: ErrorCode) -> Vec<OffsetCommitResponseTopic> {
    let partition = |partition: &OffsetCommitRequestPartition| OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: code.code(),
    };
    request
        .topics
        .iter()
        .map(|topic| OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(partition).collect(),
        })
        .collect()
}

fn known(call: &Call<OffsetCommitRequest>, topic: &OffsetCommitRequestTopic) -> Result<Lookup, ErrorCode> {
    if call.has(TOPIC_IDS) { topic_by_id(call, topic.topic_id) } else { topic_by_name(call, &topic.name) }
}

/// Commits what is of known partitions.
async fn commit(
    call: &Call<OffsetCommitRequest>,
    topics: &[Result<Lookup, ErrorCode>],
) -> Result<Outcomes, ErrorCode> {
    let request = &call.request;
    let topics: Vec<CommitTopic> = request
        .topics
        .iter()
        .zip(topics)
        .filter_map(|(topic, known)| Some(commit_topic(call, topic, known.as_ref().ok()?)))
        .filter(|topic| !topic.partitions.is_empty())
        .collect();
    if topics.is_empty() {
        return Ok(Outcomes::default());
    }
    let command = GroupCommand::CommitOffsets(CommitOffsets {
        group: request.group_id.as_str().into(),
        member: request.member_id.as_str().into(),
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        generation: Generation(request.generation_id_or_member_epoch),
        retention: u64::try_from(request.retention_time_ms).ok().map(Duration::from_millis),
        knows_group_not_found: call.has(GROUP_ID_NOT_FOUND),
        topics,
    });
    match call.node.ask_group(&request.group_id, command).await {
        Ok(GroupAnswer::CommitOffsets(topics)) => Ok(in_order(topics)),
        Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(ErrorCode::MESSAGE_TOO_LARGE) => Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE),
        Err(code) => Err(code),
    }
}

fn commit_topic(
    call: &Call<OffsetCommitRequest>,
    topic: &OffsetCommitRequestTopic,
    lookup: &Lookup,
) -> CommitTopic {
    let partitions = topic.partitions.iter().map(|partition| CommitPartition {
        partition: PartitionIndex(partition.partition_index),
        offset: Offset(partition.committed_offset),
        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.as_ref().map(shared),
    });
    let id = if call.has(TOPIC_IDS) { lookup.topic().id } else { TopicId::ZERO };
    of_topic(lookup, id, partitions)
}
