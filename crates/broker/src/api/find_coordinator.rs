//! FindCoordinator: which broker coordinates a group.

use std::collections::BTreeSet;

use vltava_coordinator::group::partition_for;
use vltava_core::error::ErrorCode;
use vltava_core::id::{GROUP_OFFSETS_TOPIC, TopicName};
use vltava_core::wire::WireStr;
use vltava_protocol::find_coordinator_response::Coordinator;
use vltava_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::auto_create;

/// One request asks for many keys (KIP-699).
const MANY_KEYS: Capability = Capability::since(4);

/// The kinds of keys.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(crate) async fn handle(call: Call<FindCoordinatorRequest>) -> FindCoordinatorResponse {
    if !call.has(MANY_KEYS) {
        let found = find(&call, &call.request.key).await;
        return FindCoordinatorResponse {
            throttle_time_ms: 0,
            error_code: found.error_code,
            error_message: found.error_message,
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            coordinators: Vec::new(),
        };
    }
    let mut coordinators = Vec::with_capacity(call.request.coordinator_keys.len());
    for key in &call.request.coordinator_keys {
        coordinators.push(find(&call, key).await);
    }
    FindCoordinatorResponse { coordinators, ..FindCoordinatorResponse::default() }
}

async fn find(call: &Call<FindCoordinatorRequest>, key: &WireStr) -> Coordinator {
    let (code, message) = match locate(call, key).await {
        Ok((node_id, host, port)) => {
            return Coordinator {
                key: key.clone(),
                node_id,
                host,
                port,
                error_message: Some(WireStr::default()),
                ..Coordinator::default()
            };
        }
        Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) => (
            ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            "not allowed, or transactions are off: transaction.version is 0 in this cluster",
        ),
        Err(code) => (code, code.message()),
    };
    Coordinator {
        key: key.clone(),
        node_id: -1,
        port: -1,
        error_code: code.code(),
        error_message: Some(WireStr::from(message)),
        ..Coordinator::default()
    }
}

async fn locate(
    call: &Call<FindCoordinatorRequest>,
    key: &WireStr,
) -> Result<(i32, WireStr, i32), ErrorCode> {
    match call.request.key_type {
        GROUP => call.authorize(Operation::Describe, Resource::Group(key))?,
        TRANSACTION => {
            call.authorize(Operation::Describe, Resource::TransactionalId(key))?;
            // Every client takes this for final; other codes make some of them ask again until they time out.
            return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        _ => return Err(ErrorCode::INVALID_REQUEST),
    }
    if call.node.lookup_name(GROUP_OFFSETS_TOPIC).is_err() {
        let name = TopicName::new(GROUP_OFFSETS_TOPIC).map_err(|error| error.code())?;
        auto_create::create(&call.node, &BTreeSet::from([name])).await;
    }
    let lookup =
        call.node.lookup_name(GROUP_OFFSETS_TOPIC).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let count = i32::try_from(lookup.topic().partitions.len()).unwrap_or(i32::MAX);
    let partition = partition_for(key, count);
    let (leader, _) = lookup.leader(partition);
    let endpoint = call.node.endpoints(std::iter::once(leader.0), &call.peer.listener).pop();
    let (node_id, host, port, _) = endpoint.ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    Ok((node_id, host, port))
}
