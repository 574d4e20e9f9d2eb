//! FindCoordinator: which broker coordinates a group or a transactional id.

use std::collections::BTreeSet;

use vltava_core::error::ErrorCode;
use vltava_core::id::{GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC, TopicName};
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
            // As Kafka has it: where one key is asked for, the message of success is its name.
            error_message: match found.error_code {
                0 => Some(WireStr::from(ErrorCode::NONE.name())),
                _ => found.error_message,
            },
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
    let code = match locate(call, key).await {
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
        Err(code) => code,
    };
    Coordinator {
        key: key.clone(),
        node_id: -1,
        port: -1,
        error_code: code.code(),
        error_message: Some(WireStr::from(code.message())),
        ..Coordinator::default()
    }
}

async fn locate(
    call: &Call<FindCoordinatorRequest>,
    key: &WireStr,
) -> Result<(i32, WireStr, i32), ErrorCode> {
    let topic = match call.request.key_type {
        GROUP => {
            call.authorize(Operation::Describe, Resource::Group(key))?;
            GROUP_OFFSETS_TOPIC
        }
        TRANSACTION => {
            call.authorize(Operation::Describe, Resource::TransactionalId(key))?;
            TRANSACTION_STATE_TOPIC
        }
        _ => return Err(ErrorCode::INVALID_REQUEST),
    };
    if call.node.lookup_name(topic).is_err() {
        let name = TopicName::new(topic).map_err(|error| error.code())?;
        auto_create::create(&call.node, &BTreeSet::from([name])).await;
    }
    let unavailable = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let lookup = call.node.lookup_name(topic).map_err(|_| unavailable)?;
    let partition = call.node.coordinator_partition(topic, key).map_err(|_| unavailable)?;
    let (leader, _) = lookup.leader(partition);
    let endpoint = call.node.endpoints(std::iter::once(leader.0), &call.peer.listener).pop();
    let (node_id, host, port, _) = endpoint.ok_or(unavailable)?;
    Ok((node_id, host, port))
}
