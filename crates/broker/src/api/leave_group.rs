//! LeaveGroup: members of a classic group leave, or an administrator removes them.

use vltava_coordinator::group::answer::LeftMember;
use vltava_coordinator::group::command::{Leave, MemberIdentity};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, InstanceId};
use vltava_core::error::ErrorCode;
use vltava_protocol::leave_group_response::MemberResponse;
use vltava_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// One request names many members (KIP-345).
const MANY_MEMBERS: Capability = Capability::since(3);

pub(crate) async fn handle(call: Call<LeaveGroupRequest>) -> LeaveGroupResponse {
    match leave(&call).await {
        Ok(left) if call.has(MANY_MEMBERS) => LeaveGroupResponse {
            members: left.into_iter().map(member).collect(),
            ..LeaveGroupResponse::default()
        },
        Ok(left) => {
            let failed = left.into_iter().find_map(|member| member.outcome.err());
            refusal(failed.map_or(ErrorCode::NONE, vltava_coordinator::group::GroupError::code))
        }
        Err(code) => refusal(code),
    }
}

fn refusal(code: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: code.code(), ..LeaveGroupResponse::default() }
}

async fn leave(call: &Call<LeaveGroupRequest>) -> Result<Vec<LeftMember>, ErrorCode> {
    let request = &call.request;
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    let members = if call.has(MANY_MEMBERS) {
        let identity = |member: &vltava_protocol::leave_group_request::MemberIdentity| MemberIdentity {
            member: member.member_id.as_str().into(),
            instance: member.group_instance_id.as_deref().map(InstanceId::from),
        };
        request.members.iter().map(identity).collect()
    } else {
        vec![MemberIdentity { member: request.member_id.as_str().into(), instance: None }]
    };
    let command = GroupCommand::Leave(Leave { group: request.group_id.as_str().into(), members });
    match call.node.ask_group(&request.group_id, command).await? {
        GroupAnswer::Leave(left) => left.map_err(vltava_coordinator::group::GroupError::code),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

fn member(left: LeftMember) -> MemberResponse {
    MemberResponse {
        member_id: wire(&left.member),
        group_instance_id: left.instance.as_deref().map(wire),
        error_code: left
            .outcome
            .err()
            .map_or(ErrorCode::NONE, vltava_coordinator::group::GroupError::code)
            .code(),
    }
}
