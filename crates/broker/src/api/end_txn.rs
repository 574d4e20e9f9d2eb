//! EndTxn: commits or aborts a transaction. The answer says that the outcome is decided; markers follow.

use vltava_coordinator::transaction::command::End;
use vltava_coordinator::transaction::{TransactionAnswer, TransactionCommand, TransactionVersion};
use vltava_core::error::ErrorCode;
use vltava_core::id::{ProducerEpoch, ProducerId};
use vltava_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::transactions::fencing_code;

/// The client knows PRODUCER_FENCED.
const PRODUCER_FENCED: Capability = Capability::since(2);
/// Every end raises the producer's epoch (KIP-890).
const EPOCH_FOR_EACH: Capability = Capability::since(5);

pub(crate) async fn handle(call: Call<EndTxnRequest>) -> EndTxnResponse {
    match end(&call).await {
        Ok(Some((producer, epoch))) => {
            EndTxnResponse { producer_id: producer.0, producer_epoch: epoch.0, ..EndTxnResponse::default() }
        }
        Ok(None) => EndTxnResponse::default(),
        Err(code) => EndTxnResponse { error_code: code.code(), ..EndTxnResponse::default() },
    }
}

async fn end(call: &Call<EndTxnRequest>) -> Result<Option<(ProducerId, ProducerEpoch)>, ErrorCode> {
    let request = &call.request;
    call.authorize(Operation::Write, Resource::TransactionalId(&request.transactional_id))?;
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let version =
        if call.has(EPOCH_FOR_EACH) { TransactionVersion::EPOCH_FOR_EACH } else { TransactionVersion::ZERO };
    let command = |fresh| {
        TransactionCommand::End(End {
            id: request.transactional_id.as_str().into(),
            producer: ProducerId(request.producer_id),
            epoch: ProducerEpoch(request.producer_epoch),
            commit: request.committed,
            version,
            fresh,
        })
    };
    match call.node.ask_transaction_with_producer_id(&request.transactional_id, command).await? {
        TransactionAnswer::End(ended) => {
            ended.map_err(|error| fencing_code(error, call.has(PRODUCER_FENCED)))
        }
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
