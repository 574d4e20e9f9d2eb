//! AddOffsetsToTxn: the offsets of a group become part of a transaction.

use std::collections::BTreeSet;

use vltava_coordinator::transaction::command::AddPartitions;
use vltava_coordinator::transaction::{TransactionAnswer, TransactionCommand, TransactionVersion};
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    GROUP_OFFSETS_TOPIC, ProducerEpoch, ProducerId, TRANSACTION_STATE_TOPIC, TopicName, TopicPartition,
};
use vltava_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::auto_create;
use crate::transactions::fencing_code;

/// The client knows PRODUCER_FENCED.
const PRODUCER_FENCED: Capability = Capability::since(2);

pub(crate) async fn handle(call: Call<AddOffsetsToTxnRequest>) -> AddOffsetsToTxnResponse {
    let code = add(&call).await.err().unwrap_or(ErrorCode::NONE);
    AddOffsetsToTxnResponse { throttle_time_ms: 0, error_code: code.code() }
}

async fn add(call: &Call<AddOffsetsToTxnRequest>) -> Result<(), ErrorCode> {
    let request = &call.request;
    call.authorize(Operation::Write, Resource::TransactionalId(&request.transactional_id))?;
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    call.node.coordinator_partition(TRANSACTION_STATE_TOPIC, &request.transactional_id)?;
    // A client looks for the coordinator of the group only when this has been answered.
    let topic = TopicName::new(GROUP_OFFSETS_TOPIC).map_err(|error| error.code())?;
    if call.node.lookup_name(&topic).is_err() {
        auto_create::create(&call.node, &BTreeSet::from([topic.clone()])).await;
    }
    let partition = call
        .node
        .coordinator_partition(&topic, &request.group_id)
        .map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let command = TransactionCommand::AddPartitions(AddPartitions {
        id: request.transactional_id.as_str().into(),
        producer: ProducerId(request.producer_id),
        epoch: ProducerEpoch(request.producer_epoch),
        partitions: BTreeSet::from([TopicPartition { topic, partition }]),
        version: TransactionVersion::ZERO,
        waits: false,
    });
    match call.node.ask_transaction(&request.transactional_id, command).await? {
        TransactionAnswer::AddPartitions(added) => {
            added.map_err(|error| fencing_code(error, call.has(PRODUCER_FENCED)))
        }
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}
