//! ConsumerGroupHeartbeat: a member of a consumer group joins, lives, moves on and leaves (KIP-848).

use std::sync::Arc;
use std::time::Duration;

use vltava_coordinator::group::answer::HeartbeatAnswer;
use vltava_coordinator::group::command::{ConsumerHeartbeat, TopicFilter};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError, InstanceId};
use vltava_core::error::ErrorCode;
use vltava_core::id::{Generation, PartitionIndex, TopicId};
use vltava_core::wire::WireStr;
use vltava_protocol::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use vltava_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::text::{shared, wire};
use super::{Call, Capability};
use crate::authorizer::{Action, Operation, Resource};

/// Members make their own ids (KIP-1082).
const MEMBER_MAKES_ID: Capability = Capability::since(1);

pub(crate) async fn handle(call: Call<ConsumerGroupHeartbeatRequest>) -> ConsumerGroupHeartbeatResponse {
    match beat(&call).await {
        Ok(Ok(answer)) => response(answer),
        Ok(Err(error)) => refusal(error.code(), Some(wire(&error.to_string()))),
        Err(code) => refusal(code, None),
    }
}

async fn beat(
    call: &Call<ConsumerGroupHeartbeatRequest>,
) -> Result<Result<HeartbeatAnswer, GroupError>, ErrorCode> {
    let request = &call.request;
    if !call.node.serves_consumer_groups() {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    for topic in request.subscribed_topic_names.iter().flatten() {
        if !call.allows(Operation::Describe, Resource::Topic(topic)) {
            return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
        }
    }
    let names = request.subscribed_topic_names.as_ref();
    let owned = request.topic_partitions.as_ref().map(|topics| {
        let topic = |topic: &vltava_protocol::consumer_group_heartbeat_request::TopicPartitions| {
            (TopicId(topic.topic_id), topic.partitions.iter().copied().map(PartitionIndex).collect())
        };
        topics.iter().map(topic).collect()
    });
    let command = GroupCommand::ConsumerHeartbeat(Box::new(ConsumerHeartbeat {
        group: request.group_id.as_str().into(),
        member: request.member_id.as_str().into(),
        epoch: Generation(request.member_epoch),
        instance: request.instance_id.as_deref().map(InstanceId::from),
        rack: request.rack_id.as_ref().map(shared),
        rebalance_timeout: Some(request.rebalance_timeout_ms).filter(|timeout| *timeout != -1).map(timeout),
        topics: names.map(|names| Arc::new(names.iter().map(shared).collect())),
        regex: request.subscribed_topic_regex.as_ref().map(shared),
        assignor: request.server_assignor.as_ref().map(shared),
        owned,
        client_id: call.client_id.as_ref().map_or_else(|| Arc::from(""), shared),
        client_host: format!("/{}", call.peer.address.ip()).into(),
        visible: visible(call),
        makes_member_id: call.has(MEMBER_MAKES_ID),
    }));
    match call.node.ask_group(&request.group_id, command).await? {
        GroupAnswer::ConsumerHeartbeat(outcome) => Ok(outcome),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

fn timeout(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

/// Which topics regular expressions may match that are resolved because of this member: those that it may see.
fn visible(call: &Call<ConsumerGroupHeartbeatRequest>) -> TopicFilter {
    let Some(authorizer) = call.node.authorizer.clone() else { return TopicFilter::default() };
    let peer = call.peer.clone();
    TopicFilter::new(move |topic| {
        let action = Action { operation: Operation::Describe, resource: Resource::Topic(topic) };
        authorizer.allows(&peer.principal, peer.address.ip(), action)
    })
}

fn response(answer: HeartbeatAnswer) -> ConsumerGroupHeartbeatResponse {
    let assignment = answer.assignment.map(|topics| {
        let topic = |(topic, partitions): (TopicId, Vec<PartitionIndex>)| TopicPartitions {
            topic_id: topic.0,
            partitions: partitions.iter().map(|partition| partition.0).collect(),
        };
        Assignment { topic_partitions: topics.into_iter().map(topic).collect() }
    });
    ConsumerGroupHeartbeatResponse {
        member_id: Some(wire(&answer.member)),
        member_epoch: answer.epoch.0,
        heartbeat_interval_ms: i32::try_from(answer.interval.as_millis()).unwrap_or(i32::MAX),
        assignment,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

fn refusal(code: ErrorCode, message: Option<WireStr>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: code.code(),
        error_message: message,
        ..ConsumerGroupHeartbeatResponse::default()
    }
}
