//! InitProducerId: an identity for an idempotent or transactional producer.

use vltava_coordinator::transaction::command::InitProducer;
use vltava_coordinator::transaction::{TransactionAnswer, TransactionCommand};
use vltava_core::error::ErrorCode;
use vltava_core::id::{ProducerEpoch, ProducerId};
use vltava_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::transactions::fencing_code;

/// The client knows PRODUCER_FENCED.
const PRODUCER_FENCED: Capability = Capability::since(4);

pub(crate) async fn handle(call: Call<InitProducerIdRequest>) -> InitProducerIdResponse {
    match assign(&call).await {
        Ok((producer, epoch)) => InitProducerIdResponse {
            producer_id: producer.0,
            producer_epoch: epoch.0,
            ..InitProducerIdResponse::default()
        },
        Err(code) => InitProducerIdResponse {
            error_code: code.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}

async fn assign(call: &Call<InitProducerIdRequest>) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
    let request = &call.request;
    match request.transactional_id.as_deref() {
        Some(id) => call.authorize(Operation::Write, Resource::TransactionalId(id))?,
        None if call.may_write_somewhere() => {}
        None => call.authorize(Operation::IdempotentWrite, Resource::Cluster)?,
    }
    let expected = match (ProducerId(request.producer_id), ProducerEpoch(request.producer_epoch)) {
        (ProducerId::NONE, ProducerEpoch::NONE) => None,
        (ProducerId::NONE, _) | (_, ProducerEpoch::NONE) => return Err(ErrorCode::INVALID_REQUEST),
        identity => Some(identity),
    };
    match request.transactional_id.as_deref() {
        None => call.node.producer_ids.next(&call.node).await.map(|id| (id, ProducerEpoch(0))),
        Some("") => Err(ErrorCode::INVALID_REQUEST),
        Some(id) => assign_transactional(call, id, expected).await,
    }
}

async fn assign_transactional(
    call: &Call<InitProducerIdRequest>,
    id: &str,
    expected: Option<(ProducerId, ProducerEpoch)>,
) -> Result<(ProducerId, ProducerEpoch), ErrorCode> {
    let request = &call.request;
    let command = |fresh| {
        TransactionCommand::InitProducer(InitProducer {
            id: id.into(),
            timeout_ms: request.transaction_timeout_ms,
            expected,
            two_phase: request.enable2_pc,
            keep_prepared: request.keep_prepared_txn,
            fresh,
        })
    };
    match call.node.ask_transaction_with_producer_id(id, command).await? {
        TransactionAnswer::InitProducer(identity) => {
            identity.map_err(|error| fencing_code(error, call.has(PRODUCER_FENCED)))
        }
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
