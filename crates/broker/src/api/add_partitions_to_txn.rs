//! AddPartitionsToTxn: partitions of a transaction, from its producer, or from brokers for many producers (KIP-890).

use std::collections::{BTreeSet, HashMap};

use vltava_coordinator::transaction::command::{AddPartitions, VerifyPartitions};
use vltava_coordinator::transaction::{TransactionAnswer, TransactionCommand, TransactionVersion};
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, ProducerEpoch, ProducerId, TopicName, TopicPartition};
use vltava_protocol::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use vltava_protocol::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use vltava_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::transactions::fencing_code;

/// The client knows PRODUCER_FENCED.
const PRODUCER_FENCED: Capability = Capability::since(2);
/// The request comes from a broker, for many transactions.
const FROM_BROKERS: Capability = Capability::since(4);

pub(crate) async fn handle(mut call: Call<AddPartitionsToTxnRequest>) -> AddPartitionsToTxnResponse {
    if !call.has(FROM_BROKERS) {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: call.request.v3_and_below_transactional_id.clone(),
            producer_id: call.request.v3_and_below_producer_id,
            producer_epoch: call.request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: std::mem::take(&mut call.request.v3_and_below_topics),
        };
        let results_by_topic_v3_and_below = results(&call, &transaction).await;
        return AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below,
            ..AddPartitionsToTxnResponse::default()
        };
    }
    if let Err(code) = call.authorize(Operation::ClusterAction, Resource::Cluster) {
        return AddPartitionsToTxnResponse {
            error_code: code.code(),
            ..AddPartitionsToTxnResponse::default()
        };
    }
    let transactions = std::mem::take(&mut call.request.transactions);
    let mut results_by_transaction = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        results_by_transaction.push(AddPartitionsToTxnResult {
            topic_results: results(&call, &transaction).await,
            transactional_id: transaction.transactional_id,
        });
    }
    AddPartitionsToTxnResponse { results_by_transaction, ..AddPartitionsToTxnResponse::default() }
}

async fn results(
    call: &Call<AddPartitionsToTxnRequest>,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    if !call.has(FROM_BROKERS) {
        let resource = Resource::TransactionalId(&transaction.transactional_id);
        if let Err(code) = call.authorize(Operation::Write, resource) {
            return each(transaction, |_, _| code);
        }
    }
    let topics: Vec<Result<TopicName, ErrorCode>> =
        transaction.topics.iter().map(|topic| allowed(call, topic)).collect();
    let mut problems: HashMap<(&str, i32), ErrorCode> = HashMap::new();
    let mut partitions = BTreeSet::new();
    for (topic, name) in transaction.topics.iter().zip(&topics) {
        for index in &topic.partitions {
            match existing(call, name, PartitionIndex(*index)) {
                Ok(partition) => drop(partitions.insert(partition)),
                Err(code) => drop(problems.insert((topic.name.as_str(), *index), code)),
            }
        }
    }
    if !problems.is_empty() {
        // All or nothing.
        return each(transaction, |topic, index| {
            problems.get(&(topic, index)).copied().unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED)
        });
    }
    if transaction.transactional_id.is_empty() {
        return each(transaction, |_, _| ErrorCode::INVALID_REQUEST);
    }
    if transaction.verify_only {
        return verify(call, transaction, partitions).await;
    }
    let code = add(call, transaction, partitions).await.err().unwrap_or(ErrorCode::NONE);
    each(transaction, |_, _| code)
}

fn existing(
    call: &Call<AddPartitionsToTxnRequest>,
    topic: &Result<TopicName, ErrorCode>,
    partition: PartitionIndex,
) -> Result<TopicPartition, ErrorCode> {
    let topic = topic.as_ref().map_err(|code| *code)?;
    let lookup = call.node.lookup_name(topic)?;
    lookup.topic().partition(partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    Ok(TopicPartition { topic: topic.clone(), partition })
}

/// The topic, when the producer may write to it. Brokers have asked that before.
fn allowed(
    call: &Call<AddPartitionsToTxnRequest>,
    topic: &AddPartitionsToTxnTopic,
) -> Result<TopicName, ErrorCode> {
    if !call.has(FROM_BROKERS) {
        call.authorize(Operation::Write, Resource::Topic(&topic.name))?;
    }
    let name = TopicName::new(&topic.name).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if name.is_internal() && !call.has(FROM_BROKERS) {
        return Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    Ok(name)
}

async fn add(
    call: &Call<AddPartitionsToTxnRequest>,
    transaction: &AddPartitionsToTxnTransaction,
    partitions: BTreeSet<TopicPartition>,
) -> Result<(), ErrorCode> {
    let version =
        if call.has(FROM_BROKERS) { TransactionVersion::EPOCH_FOR_EACH } else { TransactionVersion::ZERO };
    let command = TransactionCommand::AddPartitions(AddPartitions {
        id: transaction.transactional_id.as_str().into(),
        producer: ProducerId(transaction.producer_id),
        epoch: ProducerEpoch(transaction.producer_epoch),
        partitions,
        version,
        waits: false,
    });
    match call.node.ask_transaction(&transaction.transactional_id, command).await? {
        TransactionAnswer::AddPartitions(added) => {
            added.map_err(|error| fencing_code(error, call.has(PRODUCER_FENCED)))
        }
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

async fn verify(
    call: &Call<AddPartitionsToTxnRequest>,
    transaction: &AddPartitionsToTxnTransaction,
    partitions: BTreeSet<TopicPartition>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let command = TransactionCommand::VerifyPartitions(VerifyPartitions {
        id: transaction.transactional_id.as_str().into(),
        producer: ProducerId(transaction.producer_id),
        epoch: ProducerEpoch(transaction.producer_epoch),
        partitions: partitions.into_iter().collect(),
    });
    let code = match call.node.ask_transaction(&transaction.transactional_id, command).await {
        Ok(TransactionAnswer::VerifyPartitions(Ok(verified))) => {
            let known: BTreeSet<(&str, i32)> = verified
                .iter()
                .filter(|(_, known)| *known)
                .map(|(partition, _)| (partition.topic.as_str(), partition.partition.0))
                .collect();
            return each(transaction, |topic, index| {
                if known.contains(&(topic, index)) {
                    ErrorCode::NONE
                } else {
                    ErrorCode::TRANSACTION_ABORTABLE
                }
            });
        }
        Ok(TransactionAnswer::VerifyPartitions(Err(error))) => error.code(),
        Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        Err(code) => code,
    };
    each(transaction, |_, _| code)
}

fn each(
    transaction: &AddPartitionsToTxnTransaction,
    code: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topic = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|index| AddPartitionsToTxnPartitionResult {
                partition_index: *index,
                partition_error_code: code(&topic.name, *index).code(),
            })
            .collect(),
    };
    transaction.topics.iter().map(topic).collect()
}
