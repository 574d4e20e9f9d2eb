//! ListGroups: the groups that this broker coordinates.

use vltava_coordinator::group::command::ListGroups;
use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_core::error::ErrorCode;
use vltava_protocol::list_groups_response::ListedGroup;
use vltava_protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<ListGroupsRequest>) -> ListGroupsResponse {
    let all = call.allows(Operation::Describe, Resource::Cluster);
    match list(&call).await {
        Ok(mut groups) => {
            groups.retain(|group| all || call.allows(Operation::Describe, Resource::Group(&group.group_id)));
            ListGroupsResponse { groups, ..ListGroupsResponse::default() }
        }
        Err(code) => ListGroupsResponse { error_code: code.code(), ..ListGroupsResponse::default() },
    }
}

async fn list(call: &Call<ListGroupsRequest>) -> Result<Vec<ListedGroup>, ErrorCode> {
    let filter = ListGroups {
        states: call.request.states_filter.iter().map(ToString::to_string).collect(),
        types: call.request.types_filter.iter().map(ToString::to_string).collect(),
    };
    let mut groups = Vec::new();
    for partition in call.node.groups.partitions() {
        let command = GroupCommand::ListGroups(filter.clone());
        let answer = call.node.groups.ask(partition, command).await.map_err(|error| error.code())?;
        let GroupAnswer::ListGroups(listed) = answer else { return Err(ErrorCode::UNKNOWN_SERVER_ERROR) };
        groups.extend(listed.into_iter().map(|group| ListedGroup {
            group_id: wire(&group.group),
            protocol_type: wire(&group.protocol_type),
            group_state: wire(group.state),
            group_type: wire(group.group_type),
        }));
    }
    Ok(groups)
}
