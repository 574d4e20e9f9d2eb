//! DescribeGroups: classic groups with their members.

use vltava_coordinator::group::answer::DescribedMember;
use vltava_coordinator::group::{GroupAnswer, GroupCommand, GroupError};
use vltava_core::error::ErrorCode;
use vltava_core::wire::WireStr;
use vltava_protocol::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use vltava_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse};

use super::operations::group_operations;
use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// A group that is not there is GROUP_ID_NOT_FOUND (KIP-1043); before, it is in the state `Dead`.
const GROUP_ID_NOT_FOUND: Capability = Capability::since(6);

pub(crate) async fn handle(call: Call<DescribeGroupsRequest>) -> DescribeGroupsResponse {
    let mut groups = Vec::with_capacity(call.request.groups.len());
    for group in &call.request.groups {
        let described = describe(&call, group).await.unwrap_or_else(|code| DescribedGroup {
            error_code: code.code(),
            group_id: group.clone(),
            authorized_operations: i32::MIN,
            ..DescribedGroup::default()
        });
        groups.push(described);
    }
    DescribeGroupsResponse { throttle_time_ms: 0, groups }
}

async fn describe(call: &Call<DescribeGroupsRequest>, group: &WireStr) -> Result<DescribedGroup, ErrorCode> {
    call.authorize(Operation::Describe, Resource::Group(group))?;
    let answer = call.node.ask_group(group, GroupCommand::DescribeGroup(group.as_str().into())).await?;
    let GroupAnswer::DescribeGroup(described) = answer else { return Err(ErrorCode::UNKNOWN_SERVER_ERROR) };
    let operations =
        if call.request.include_authorized_operations { group_operations(call, group) } else { i32::MIN };
    let base = DescribedGroup {
        group_id: group.clone(),
        authorized_operations: operations,
        ..DescribedGroup::default()
    };
    match described {
        Ok(described) => Ok(DescribedGroup {
            group_state: wire(described.state),
            protocol_type: wire(&described.protocol_type),
            protocol_data: wire(&described.protocol),
            members: described.members.into_iter().map(member).collect(),
            ..base
        }),
        Err(GroupError::GroupNotFound) if !call.has(GROUP_ID_NOT_FOUND) => {
            Ok(DescribedGroup { group_state: wire("Dead"), ..base })
        }
        Err(GroupError::GroupNotFound) => Ok(DescribedGroup {
            error_code: ErrorCode::GROUP_ID_NOT_FOUND.code(),
            error_message: Some(wire(&format!("Group {group} not found."))),
            group_state: wire("Dead"),
            ..base
        }),
        Err(error) => Err(error.code()),
    }
}

fn member(member: DescribedMember) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: wire(&member.member),
        group_instance_id: member.instance.as_deref().map(wire),
        client_id: wire(&member.client_id),
        client_host: wire(&member.client_host),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    }
}
