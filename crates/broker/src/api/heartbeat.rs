//! Heartbeat: a member of a classic group lives.

use vltava_coordinator::group::command::Heartbeat;
use vltava_coordinator::group::{GroupAnswer, GroupCommand, InstanceId};
use vltava_core::error::ErrorCode;
use vltava_core::id::Generation;
use vltava_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::Call;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<HeartbeatRequest>) -> HeartbeatResponse {
    let code = beat(&call).await.err().unwrap_or(ErrorCode::NONE);
    HeartbeatResponse { throttle_time_ms: 0, error_code: code.code() }
}

async fn beat(call: &Call<HeartbeatRequest>) -> Result<(), ErrorCode> {
    let request = &call.request;
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    let command = GroupCommand::Heartbeat(Heartbeat {
        group: request.group_id.as_str().into(),
        member: request.member_id.as_str().into(),
        instance: request.group_instance_id.as_deref().map(InstanceId::from),
        generation: Generation(request.generation_id),
    });
    match call.node.ask_group(&request.group_id, command).await {
        Ok(GroupAnswer::Heartbeat(result)) => result.map_err(vltava_coordinator::group::GroupError::code),
        Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        // A member must not give up its generation because the coordinator is still loading.
        Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => Ok(()),
        Err(code) => Err(code),
    }
}
