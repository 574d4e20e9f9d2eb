//! OffsetFetch: the committed offsets of groups.

use vltava_coordinator::group::answer::{FetchedOffsets, FetchedTopic};
use vltava_coordinator::group::command::{FetchOffsets, FetchTopic};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError, MemberId};
use vltava_core::error::ErrorCode;
use vltava_core::id::{Generation, PartitionIndex, TopicId, TopicName, Uuid};
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use vltava_protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use vltava_protocol::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// One request asks for many groups (KIP-709).
const MANY_GROUPS: Capability = Capability::since(8);
/// The response has an error for the whole group.
const GROUP_ERROR: Capability = Capability::since(2);
/// Topics are named by their ids.
const TOPIC_IDS: Capability = Capability::since(10);

pub(crate) async fn handle(call: Call<OffsetFetchRequest>) -> OffsetFetchResponse {
    if call.has(MANY_GROUPS) {
        let mut groups = Vec::with_capacity(call.request.groups.len());
        for group in &call.request.groups {
            groups.push(fetch(&call, group).await);
        }
        return OffsetFetchResponse { groups, ..OffsetFetchResponse::default() };
    }
    let asked = single_group(&call.request);
    single_response(&call, &asked, fetch(&call, &asked).await)
}

/// What an older request asks, in the words of the newer ones.
fn single_group(request: &OffsetFetchRequest) -> OffsetFetchRequestGroup {
    let topics = request.topics.as_ref().map(|topics| {
        let topic = |topic: &vltava_protocol::offset_fetch_request::OffsetFetchRequestTopic| {
            OffsetFetchRequestTopics {
                name: topic.name.clone(),
                topic_id: Uuid::nil(),
                partition_indexes: topic.partition_indexes.clone(),
            }
        };
        topics.iter().map(topic).collect()
    });
    OffsetFetchRequestGroup {
        group_id: request.group_id.clone(),
        topics,
        member_epoch: -1,
        ..OffsetFetchRequestGroup::default()
    }
}

fn single_response(
    call: &Call<OffsetFetchRequest>,
    asked: &OffsetFetchRequestGroup,
    group: OffsetFetchResponseGroup,
) -> OffsetFetchResponse {
    let failed = ErrorCode::from_code(group.error_code);
    let topics = if group.error_code != 0 && !call.has(GROUP_ERROR) {
        // Without a place for it, the error of the group is that of every partition.
        asked.topics.iter().flatten().map(|topic| failed_topic(topic, failed)).collect()
    } else {
        group.topics
    };
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    OffsetFetchResponse {
        throttle_time_ms: 0,
        topics: topics
            .into_iter()
            .map(|topic| OffsetFetchResponseTopic {
                name: topic.name,
                partitions: topic.partitions.into_iter().map(partition).collect(),
            })
            .collect(),
        error_code: if call.has(GROUP_ERROR) { group.error_code } else { 0 },
        groups: Vec::new(),
    }
}

async fn fetch(call: &Call<OffsetFetchRequest>, asked: &OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    match offsets(call, asked).await {
        Ok(topics) => OffsetFetchResponseGroup { group_id: asked.group_id.clone(), topics, error_code: 0 },
        Err(code) => OffsetFetchResponseGroup {
            group_id: asked.group_id.clone(),
            topics: Vec::new(),
            error_code: code.code(),
        },
    }
}

async fn offsets(
    call: &Call<OffsetFetchRequest>,
    asked: &OffsetFetchRequestGroup,
) -> Result<Vec<OffsetFetchResponseTopics>, ErrorCode> {
    call.authorize(Operation::Describe, Resource::Group(&asked.group_id))?;
    let mut failed = Vec::new();
    let mut wanted = Vec::new();
    for topic in asked.topics.iter().flatten() {
        match readable(call, topic) {
            Ok(topic) => wanted.push(topic),
            Err(code) => failed.push(failed_topic(topic, code)),
        }
    }
    let command = GroupCommand::FetchOffsets(FetchOffsets {
        group: asked.group_id.as_str().into(),
        member: asked.member_id.as_deref().map(MemberId::from),
        member_epoch: Generation(asked.member_epoch),
        topics: asked.topics.as_ref().map(|_| wanted),
        require_stable: call.request.require_stable,
    });
    let answer = call.node.ask_group(&asked.group_id, command).await?;
    let topics = match answer {
        GroupAnswer::FetchOffsets(Ok(FetchedOffsets { topics, .. })) => topics,
        GroupAnswer::FetchOffsets(Err(error)) => return Err(error.code()),
        _ => return Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    };
    let all = asked.topics.is_none();
    let mut responses: Vec<_> =
        topics.into_iter().filter_map(|topic| topic_response(call, topic, all)).collect();
    responses.extend(failed);
    Ok(responses)
}

/// The topic, when the peer may read it.
fn readable(
    call: &Call<OffsetFetchRequest>,
    topic: &OffsetFetchRequestTopics,
) -> Result<FetchTopic, ErrorCode> {
    let partitions = topic.partition_indexes.iter().copied().map(PartitionIndex).collect();
    if call.has(TOPIC_IDS) {
        let lookup = call.node.lookup_id(TopicId(topic.topic_id))?;
        call.authorize(Operation::Describe, Resource::Topic(lookup.name()))?;
        return Ok(FetchTopic { name: lookup.name().clone(), id: TopicId(topic.topic_id), partitions });
    }
    call.authorize(Operation::Describe, Resource::Topic(&topic.name))?;
    let name = TopicName::new(&topic.name).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok(FetchTopic { name, id: TopicId::ZERO, partitions })
}

fn failed_topic(topic: &OffsetFetchRequestTopics, code: ErrorCode) -> OffsetFetchResponseTopics {
    let partition = |index: &i32| OffsetFetchResponsePartitions {
        partition_index: *index,
        error_code: code.code(),
        ..no_offset()
    };
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    }
}

fn no_offset() -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(WireStr::default()),
        ..OffsetFetchResponsePartitions::default()
    }
}

/// The response of one topic. When all topics were asked for, those that the peer may not see, or that can no longer be
/// named by an id, are left out.
fn topic_response(
    call: &Call<OffsetFetchRequest>,
    topic: FetchedTopic,
    all: bool,
) -> Option<OffsetFetchResponseTopics> {
    if all && !call.allows(Operation::Describe, Resource::Topic(&topic.name)) {
        return None;
    }
    let id = match (call.has(TOPIC_IDS), all) {
        (false, _) => Uuid::nil(),
        (true, false) => topic.id.0,
        (true, true) => call.node.lookup_name(&topic.name).ok()?.topic().id.0,
    };
    let partitions = topic.partitions.into_iter().map(|(index, found)| match found {
        Ok(Some(committed)) => OffsetFetchResponsePartitions {
            partition_index: index.0,
            committed_offset: committed.offset.0,
            committed_leader_epoch: committed.leader_epoch.0,
            metadata: Some(wire(&committed.metadata)),
            error_code: 0,
        },
        Ok(None) => OffsetFetchResponsePartitions { partition_index: index.0, ..no_offset() },
        Err(error) => OffsetFetchResponsePartitions {
            partition_index: index.0,
            error_code: GroupError::code(error).code(),
            ..no_offset()
        },
    });
    Some(OffsetFetchResponseTopics {
        name: wire(&topic.name),
        topic_id: id,
        partitions: partitions.collect(),
    })
}
