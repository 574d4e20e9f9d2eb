//! ElectLeaders: gives partitions the leader that they should have, or any at all (KIP-183, KIP-460).

use vltava_coordinator::cluster::command::{ElectLeaders, Election, ElectionResult};
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::id::PartitionIndex;
use vltava_core::wire::WireStr;
use vltava_protocol::elect_leaders_request::TopicPartitions;
use vltava_protocol::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use vltava_protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<ElectLeadersRequest>) -> ElectLeadersResponse {
    let request = &call.request;
    let election = match request.election_type {
        0 => Election::Preferred,
        1 => Election::Unclean,
        other => {
            let message = format!("Unknown election type {other}");
            return refused(request, ErrorCode::INVALID_REQUEST, Some(message));
        }
    };
    if let Err(code) = call.authorize(Operation::Alter, Resource::Cluster) {
        return refused(request, code, None);
    }
    let partitions =
        request.topic_partitions.as_ref().map(|topics| topics.iter().flat_map(numbered).collect());
    match call.node.ask_controller(Command::ElectLeaders(ElectLeaders { election, partitions })).await {
        Ok(Answer::ElectLeaders(results)) => {
            call.node.caught_up().await;
            elected(request, &results)
        }
        answer => refused(request, answer.err().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR), None),
    }
}

fn numbered(topic: &TopicPartitions) -> impl Iterator<Item = (String, PartitionIndex)> + '_ {
    topic.partitions.iter().map(|index| (topic.topic.to_string(), PartitionIndex(*index)))
}

/// The results of each topic that was asked for, in its order; of all topics, those with results.
fn elected(request: &ElectLeadersRequest, results: &[ElectionResult]) -> ElectLeadersResponse {
    let topics = match &request.topic_partitions {
        Some(asked) => {
            let mut results = results.iter();
            let topic = |asked: &TopicPartitions| ReplicaElectionResult {
                topic: asked.topic.clone(),
                partition_result: results.by_ref().take(asked.partitions.len()).map(of_partition).collect(),
            };
            asked.iter().map(topic).collect()
        }
        None => {
            let topic = |results: &[ElectionResult]| ReplicaElectionResult {
                topic: results.first().map_or_else(WireStr::default, |first| wire(&first.topic)),
                partition_result: results.iter().map(of_partition).collect(),
            };
            results.chunk_by(|one, next| one.topic == next.topic).map(topic).collect()
        }
    };
    ElectLeadersResponse { replica_election_results: topics, ..ElectLeadersResponse::default() }
}

fn of_partition(election: &ElectionResult) -> PartitionResult {
    match &election.result {
        Ok(()) => partition_result(election.partition.0, ErrorCode::NONE, None),
        Err(error) => partition_result(election.partition.0, error.code(), Some(error.to_string())),
    }
}

/// The code for the whole, and for each partition that was asked for: version 0 has no other place.
fn refused(request: &ElectLeadersRequest, code: ErrorCode, message: Option<String>) -> ElectLeadersResponse {
    let topic = |asked: &TopicPartitions| ReplicaElectionResult {
        topic: asked.topic.clone(),
        partition_result: asked
            .partitions
            .iter()
            .map(|index| partition_result(*index, code, message.clone()))
            .collect(),
    };
    ElectLeadersResponse {
        throttle_time_ms: 0,
        error_code: code.code(),
        replica_election_results: request.topic_partitions.iter().flatten().map(topic).collect(),
    }
}

fn partition_result(index: i32, code: ErrorCode, message: Option<String>) -> PartitionResult {
    PartitionResult {
        partition_id: index,
        error_code: code.code(),
        error_message: message.map(WireStr::from),
    }
}
