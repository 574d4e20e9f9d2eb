//! JoinGroup: a member joins the next generation of a classic group, and waits for the others.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_coordinator::group::answer::{JoinAnswer, JoinedMember};
use vltava_coordinator::group::command::{Join, Protocol};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, InstanceId};
use vltava_core::error::ErrorCode;
use vltava_core::wire::WireStr;
use vltava_protocol::join_group_response::JoinGroupResponseMember;
use vltava_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::text::{shared, wire};
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// The client says how long it takes to join again.
const REBALANCE_TIMEOUT: Capability = Capability::since(1);
/// The client handles MEMBER_ID_REQUIRED (KIP-394).
const MEMBER_ID_REQUIRED: Capability = Capability::since(4);
/// The client knows that there may be no protocol (KIP-559).
const NULL_PROTOCOL: Capability = Capability::since(7);
/// The leader can be told not to assign (KIP-814).
const SKIP_ASSIGNMENT: Capability = Capability::since(9);

pub(crate) async fn handle(call: Call<JoinGroupRequest>) -> JoinGroupResponse {
    match join(&call).await {
        Ok(answer) => response(&call, answer),
        Err(code) => refusal(&call, code, call.request.member_id.clone()),
    }
}

async fn join(call: &Call<JoinGroupRequest>) -> Result<JoinAnswer, ErrorCode> {
    let request = &call.request;
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    let protocols = request
        .protocols
        .iter()
        // A copy: what the group remembers of a member must not keep the request's buffer in memory.
        .map(|protocol| Protocol {
            name: shared(&protocol.name),
            metadata: Bytes::copy_from_slice(&protocol.metadata),
        });
    let command = GroupCommand::Join(Join {
        group: request.group_id.as_str().into(),
        member: request.member_id.as_str().into(),
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        client_id: call.client_id.as_ref().map_or_else(|| Arc::from(""), shared),
        client_host: format!("/{}", call.peer.address.ip()).into(),
        session_timeout: timeout(request.session_timeout_ms),
        rebalance_timeout: call.has(REBALANCE_TIMEOUT).then(|| timeout(request.rebalance_timeout_ms)),
        protocol_type: shared(&request.protocol_type),
        protocols: protocols.collect(),
        takes_member_id: call.has(MEMBER_ID_REQUIRED),
        skips_assignment: call.has(SKIP_ASSIGNMENT),
    });
    match call.node.ask_group(&request.group_id, command).await? {
        GroupAnswer::Join(answer) => Ok(answer),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

fn timeout(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

fn response(call: &Call<JoinGroupRequest>, answer: JoinAnswer) -> JoinGroupResponse {
    let joined = match answer.outcome {
        Ok(joined) => joined,
        Err(error) => return refusal(call, error.code(), wire(&answer.member)),
    };
    JoinGroupResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::NONE.code(),
        generation_id: joined.generation.0,
        protocol_type: joined.protocol_type.as_deref().map(wire),
        protocol_name: protocol_name(call, joined.protocol.as_deref()),
        leader: wire(&joined.leader),
        skip_assignment: joined.skip_assignment,
        member_id: wire(&answer.member),
        members: joined.members.into_iter().map(member).collect(),
    }
}

fn refusal(call: &Call<JoinGroupRequest>, code: ErrorCode, member_id: WireStr) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.code(),
        generation_id: -1,
        protocol_name: protocol_name(call, None),
        member_id,
        ..JoinGroupResponse::default()
    }
}

fn protocol_name(call: &Call<JoinGroupRequest>, name: Option<&str>) -> Option<WireStr> {
    match name {
        None if !call.has(NULL_PROTOCOL) => Some(wire("")),
        name => name.map(wire),
    }
}

fn member(member: JoinedMember) -> JoinGroupResponseMember {
    JoinGroupResponseMember {
        member_id: wire(&member.member),
        group_instance_id: member.instance.as_deref().map(wire),
        metadata: member.metadata,
    }
}
