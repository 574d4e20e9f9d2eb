//! InitProducerId: an identity for an idempotent producer.

use vltava_core::error::ErrorCode;
use vltava_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::Call;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<InitProducerIdRequest>) -> InitProducerIdResponse {
    match assign(&call).await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, ..InitProducerIdResponse::default() },
        Err(code) => InitProducerIdResponse {
            error_code: code.code(),
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}

async fn assign(call: &Call<InitProducerIdRequest>) -> Result<i64, ErrorCode> {
    match call.request.transactional_id.as_deref() {
        Some("") => Err(ErrorCode::INVALID_REQUEST),
        Some(id) => {
            call.authorize(Operation::Write, Resource::TransactionalId(id))?;
            // `transaction.version` is 0 in this cluster: there is no coordinator that could answer.
            Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        }
        None if (call.request.producer_id == -1) != (call.request.producer_epoch == -1) => {
            Err(ErrorCode::INVALID_REQUEST)
        }
        None => {
            if !call.may_write_somewhere() {
                call.authorize(Operation::IdempotentWrite, Resource::Cluster)?;
            }
            call.node.producer_ids.next(&call.node).await.map(|id| id.0)
        }
    }
}
