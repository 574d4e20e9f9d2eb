//! DescribeTransactions: what is known under transactional ids (KIP-664).

use std::collections::BTreeMap;
use std::sync::Arc;

use vltava_coordinator::transaction::{Transaction, TransactionAnswer, TransactionCommand, TransactionError};
use vltava_core::error::ErrorCode;
use vltava_core::wire::WireStr;
use vltava_protocol::describe_transactions_response::{TopicData, TransactionState};
use vltava_protocol::messages::{DescribeTransactionsRequest, DescribeTransactionsResponse};

use super::Call;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

pub(crate) async fn handle(call: Call<DescribeTransactionsRequest>) -> DescribeTransactionsResponse {
    let mut transaction_states = Vec::with_capacity(call.request.transactional_ids.len());
    for id in &call.request.transactional_ids {
        let described = match describe(&call, id).await {
            Ok(known) => to_state(&call, &known),
            Err(code) => TransactionState { error_code: code.code(), ..TransactionState::default() },
        };
        transaction_states.push(TransactionState { transactional_id: id.clone(), ..described });
    }
    DescribeTransactionsResponse { throttle_time_ms: 0, transaction_states }
}

async fn describe(
    call: &Call<DescribeTransactionsRequest>,
    id: &WireStr,
) -> Result<Arc<Transaction>, ErrorCode> {
    call.authorize(Operation::Describe, Resource::TransactionalId(id))?;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    match call.node.ask_transaction(id, TransactionCommand::Describe(id.as_str().into())).await? {
        TransactionAnswer::Describe(known) => known.map_err(TransactionError::code),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

fn to_state(call: &Call<DescribeTransactionsRequest>, known: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<_, Vec<i32>> = BTreeMap::new();
    for partition in &known.partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition.0);
    }
    topics.retain(|topic, _| call.allows(Operation::Describe, Resource::Topic(topic)));
    TransactionState {
        transaction_state: WireStr::from(known.status.name()),
        transaction_timeout_ms: known.timeout_ms,
        transaction_start_time_ms: known.started.0,
        producer_id: known.producer.0,
        producer_epoch: known.epoch.0,
        topics: topics
            .into_iter()
            .map(|(topic, partitions)| TopicData { topic: wire(topic), partitions })
            .collect(),
        ..TransactionState::default()
    }
}
