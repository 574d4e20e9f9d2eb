//! CreatePartitions: more partitions for topics.

use std::collections::HashMap;

use vltava_coordinator::cluster::command::{CreatePartitions, MorePartitions};
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::id::BrokerId;
use vltava_core::wire::WireStr;
use vltava_protocol::create_partitions_request::CreatePartitionsTopic;
use vltava_protocol::create_partitions_response::CreatePartitionsTopicResult;
use vltava_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<CreatePartitionsRequest>) -> CreatePartitionsResponse {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for topic in &call.request.topics {
        *counts.entry(&topic.name).or_default() += 1;
    }
    let mut results = Vec::new();
    let mut topics = Vec::new();
    for topic in &call.request.topics {
        match counts.get(&*topic.name) {
            Some(1) => {}
            Some(_) => {
                counts.remove(&*topic.name);
                results.push(result(
                    &topic.name,
                    ErrorCode::INVALID_REQUEST,
                    Some("Duplicate topic in request.".to_owned()),
                ));
                continue;
            }
            None => continue,
        }
        match call.authorize(Operation::Alter, Resource::Topic(&topic.name)) {
            Ok(()) => topics.push(more(topic)),
            Err(code) => results.push(result(&topic.name, code, None)),
        }
    }
    if !topics.is_empty() {
        results.extend(create(&call, topics).await);
    }
    CreatePartitionsResponse { throttle_time_ms: 0, results }
}

fn more(topic: &CreatePartitionsTopic) -> MorePartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        assignments
            .iter()
            .map(|assignment| assignment.broker_ids.iter().copied().map(BrokerId).collect())
            .collect()
    });
    MorePartitions { name: topic.name.to_string(), count: topic.count, assignments }
}

async fn create(
    call: &Call<CreatePartitionsRequest>,
    topics: Vec<MorePartitions>,
) -> Vec<CreatePartitionsTopicResult> {
    let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
    let command =
        Command::CreatePartitions(CreatePartitions { topics, validate_only: call.request.validate_only });
    match call.node.ask_controller(command).await {
        Ok(Answer::CreatePartitions(results)) => {
            call.node.caught_up().await;
            let response = |(name, grown): (String, Result<(), _>)| match grown {
                Ok(()) => result(&name, ErrorCode::NONE, None),
                Err(error) => {
                    let error: vltava_coordinator::cluster::topics::TopicError = error;
                    result(&name, error.code(), error.message())
                }
            };
            results.into_iter().map(response).collect()
        }
        answer => {
            let code = answer.err().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            names.iter().map(|name| result(name, code, None)).collect()
        }
    }
}

fn result(name: &str, code: ErrorCode, message: Option<String>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name: wire(name),
        error_code: code.code(),
        error_message: message.map(WireStr::from),
    }
}
