//! DeleteGroups: forgets groups without members.

use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_core::error::ErrorCode;
use vltava_protocol::delete_groups_response::DeletableGroupResult;
use vltava_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::Call;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<DeleteGroupsRequest>) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(call.request.groups_names.len());
    for group in &call.request.groups_names {
        let code = delete(&call, group).await.err().unwrap_or(ErrorCode::NONE);
        results.push(DeletableGroupResult {
            group_id: group.clone(),
            error_code: code.code(),
            ..DeletableGroupResult::default()
        });
    }
    DeleteGroupsResponse { throttle_time_ms: 0, results }
}

async fn delete(call: &Call<DeleteGroupsRequest>, group: &str) -> Result<(), ErrorCode> {
    call.authorize(Operation::Delete, Resource::Group(group))?;
    match call.node.ask_group(group, GroupCommand::DeleteGroup(group.into())).await? {
        GroupAnswer::DeleteGroup(deleted) => deleted.map_err(vltava_coordinator::group::GroupError::code),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
