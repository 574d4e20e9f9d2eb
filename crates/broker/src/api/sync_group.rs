//! SyncGroup: the leader hands out assignments, everybody gets theirs.

use vltava_coordinator::group::answer::SyncedGroup;
use vltava_coordinator::group::command::Sync;
use vltava_coordinator::group::{GroupAnswer, GroupCommand, InstanceId, MemberId};
use vltava_core::error::ErrorCode;
use vltava_core::id::Generation;
use vltava_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::text::{shared, wire};
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// Both sides name the protocol, which the request must (KIP-559).
const PROTOCOL_NAMES: Capability = Capability::since(5);

pub(crate) async fn handle(call: Call<SyncGroupRequest>) -> SyncGroupResponse {
    match sync(&call).await {
        Ok(synced) => SyncGroupResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE.code(),
            protocol_type: synced.protocol_type.as_deref().map(wire),
            protocol_name: synced.protocol.as_deref().map(wire),
            assignment: synced.assignment,
        },
        Err(code) => SyncGroupResponse { error_code: code.code(), ..SyncGroupResponse::default() },
    }
}

async fn sync(call: &Call<SyncGroupRequest>) -> Result<SyncedGroup, ErrorCode> {
    let request = &call.request;
    if call.has(PROTOCOL_NAMES) && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    let assignments = request
        .assignments
        .iter()
        .map(|given| (MemberId::from(given.member_id.as_str()), given.assignment.clone()));
    let command = GroupCommand::Sync(Sync {
        group: request.group_id.as_str().into(),
        member: request.member_id.as_str().into(),
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        generation: Generation(request.generation_id),
        protocol_type: request.protocol_type.as_ref().map(shared),
        protocol: request.protocol_name.as_ref().map(shared),
        assignments: assignments.collect(),
    });
    match call.node.ask_group(&request.group_id, command).await? {
        GroupAnswer::Sync(synced) => synced.map_err(vltava_coordinator::group::GroupError::code),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
