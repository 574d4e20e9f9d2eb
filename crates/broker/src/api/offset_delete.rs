//! OffsetDelete: forgets committed offsets of topics that no member is subscribed to (KIP-496).

use std::collections::HashMap;

use vltava_coordinator::group::command::DeleteOffsets;
use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, TopicName};
use vltava_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use vltava_protocol::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

pub(crate) async fn handle(call: Call<OffsetDeleteRequest>) -> OffsetDeleteResponse {
    let known: Vec<Result<Lookup, ErrorCode>> = call
        .request
        .topics
        .iter()
        .map(|topic| {
            call.authorize(Operation::Read, Resource::Topic(&topic.name))?;
            call.node.lookup_name(&topic.name)
        })
        .collect();
    let outcomes = match delete(&call, &known).await {
        Ok(outcomes) => outcomes,
        Err(code) => {
            return OffsetDeleteResponse { error_code: code.code(), ..OffsetDeleteResponse::default() };
        }
    };
    let topics = call.request.topics.iter().zip(&known).map(|(topic, known)| {
        let code = |partition: i32| match known {
            Err(code) => *code,
            Ok(lookup) => outcomes
                .get(&(lookup.name().clone(), PartitionIndex(partition)))
                .copied()
                .unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        };
        let partitions = topic.partitions.iter().map(|partition| OffsetDeleteResponsePartition {
            partition_index: partition.partition_index,
            error_code: code(partition.partition_index).code(),
        });
        OffsetDeleteResponseTopic { name: topic.name.clone(), partitions: partitions.collect() }
    });
    OffsetDeleteResponse { error_code: 0, throttle_time_ms: 0, topics: topics.collect() }
}

async fn delete(
    call: &Call<OffsetDeleteRequest>,
    known: &[Result<Lookup, ErrorCode>],
) -> Result<HashMap<(TopicName, PartitionIndex), ErrorCode>, ErrorCode> {
    let request = &call.request;
    call.authorize(Operation::Delete, Resource::Group(&request.group_id))?;
    let topics = request.topics.iter().zip(known).filter_map(|(topic, known)| {
        let lookup = known.as_ref().ok()?;
        let exists = |index: &PartitionIndex| lookup.topic().partition(*index).is_some();
        let partitions =
            topic.partitions.iter().map(|partition| PartitionIndex(partition.partition_index)).filter(exists);
        Some((lookup.name().clone(), partitions.collect()))
    });
    let command = GroupCommand::DeleteOffsets(DeleteOffsets {
        group: request.group_id.as_str().into(),
        topics: topics.collect(),
    });
    let outcomes = match call.node.ask_group(&request.group_id, command).await? {
        GroupAnswer::DeleteOffsets(outcomes) => {
            outcomes.map_err(vltava_coordinator::group::GroupError::code)?
        }
        _ => return Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    };
    let mut codes = HashMap::new();
    for topic in outcomes {
        for (partition, result) in topic.partitions {
            let code = result.err().map_or(ErrorCode::NONE, vltava_coordinator::group::GroupError::code);
            codes.insert((topic.name.clone(), partition), code);
        }
    }
    Ok(codes)
}
