//! ConsumerGroupDescribe: consumer groups with their epochs, members and assignments (KIP-848).

use vltava_coordinator::group::answer::{DescribedConsumer, DescribedConsumerGroup, NamedPartitions};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError};
use vltava_core::error::ErrorCode;
use vltava_core::wire::WireStr;
use vltava_protocol::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use vltava_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use super::Call;
use super::operations::group_operations;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

/// Kafka's number for a member of the classic protocol.
const CLASSIC_MEMBER: i8 = 0;
/// The same for one of the consumer protocol.
const CONSUMER_MEMBER: i8 = 1;

pub(crate) async fn handle(call: Call<ConsumerGroupDescribeRequest>) -> ConsumerGroupDescribeResponse {
    let mut groups = Vec::with_capacity(call.request.group_ids.len());
    for group in &call.request.group_ids {
        let described = describe(&call, group).await;
        groups.push(described.unwrap_or_else(|code| refusal(group, code, None)));
    }
    ConsumerGroupDescribeResponse { throttle_time_ms: 0, groups }
}

async fn describe(
    call: &Call<ConsumerGroupDescribeRequest>,
    group: &WireStr,
) -> Result<DescribedGroup, ErrorCode> {
    if !call.node.serves_consumer_groups() {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    call.authorize(Operation::Describe, Resource::Group(group))?;
    if group.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let answer =
        call.node.ask_group(group, GroupCommand::DescribeConsumerGroup(group.as_str().into())).await?;
    let described = match answer {
        GroupAnswer::DescribeConsumerGroup(Ok(described)) => described,
        GroupAnswer::DescribeConsumerGroup(Err(GroupError::GroupNotFound)) => {
            let message = format!("Group {group} not found.");
            return Ok(refusal(group, ErrorCode::GROUP_ID_NOT_FOUND, Some(wire(&message))));
        }
        GroupAnswer::DescribeConsumerGroup(Err(error)) => return Err(error.code()),
        _ => return Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    };
    if !topics(&described).all(|topic| call.allows(Operation::Describe, Resource::Topic(topic))) {
        let message = "The group has topics that the client may not describe.";
        return Ok(refusal(group, ErrorCode::TOPIC_AUTHORIZATION_FAILED, Some(wire(message))));
    }
    let operations =
        if call.request.include_authorized_operations { group_operations(call, group) } else { i32::MIN };
    Ok(DescribedGroup {
        error_code: 0,
        error_message: None,
        group_id: group.clone(),
        group_state: wire(described.state),
        group_epoch: described.epoch.0,
        assignment_epoch: described.target_epoch.0,
        assignor_name: wire(&described.assignor),
        members: described.members.into_iter().map(member).collect(),
        authorized_operations: operations,
    })
}

/// The topics that the description would show.
fn topics(group: &DescribedConsumerGroup) -> impl Iterator<Item = &str> {
    group.members.iter().flat_map(|member| {
        let assigned = member.assigned.iter().chain(&member.target).map(|topic| &*topic.name);
        member.topics.iter().map(|topic| &**topic).chain(assigned)
    })
}

fn refusal(group: &WireStr, code: ErrorCode, message: Option<WireStr>) -> DescribedGroup {
    DescribedGroup {
        error_code: code.code(),
        error_message: message,
        group_id: group.clone(),
        authorized_operations: i32::MIN,
        ..DescribedGroup::default()
    }
}

fn member(member: DescribedConsumer) -> Member {
    Member {
        member_id: wire(&member.member),
        instance_id: member.instance.as_deref().map(wire),
        rack_id: member.rack.as_deref().map(wire),
        member_epoch: member.epoch.0,
        client_id: wire(&member.client_id),
        client_host: wire(&member.client_host),
        subscribed_topic_names: member.topics.iter().map(|topic| wire(topic)).collect(),
        subscribed_topic_regex: Some(wire(&member.regex)),
        assignment: assignment(&member.assigned),
        target_assignment: assignment(&member.target),
        member_type: if member.is_classic { CLASSIC_MEMBER } else { CONSUMER_MEMBER },
    }
}

fn assignment(topics: &[NamedPartitions]) -> Assignment {
    let topic = |topic: &NamedPartitions| TopicPartitions {
        topic_id: topic.id.0,
        topic_name: wire(&topic.name),
        partitions: topic.partitions.iter().map(|partition| partition.0).collect(),
    };
    Assignment { topic_partitions: topics.iter().map(topic).collect() }
}
