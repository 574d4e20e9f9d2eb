//! Before a transaction is opened in a partition its coordinator is asked (KIP-890): older clients have told the
//! coordinator of the partition, newer ones leave that to the broker.
//!
//! The coordinator may be here or at another broker.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use vltava_coordinator::transaction::command::{AddPartitions, VerifyPartitions};
use vltava_coordinator::transaction::{
    TransactionAnswer, TransactionCommand, TransactionError, TransactionVersion, TransactionalId,
};
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    BrokerId, PartitionIndex, ProducerEpoch, ProducerId, TRANSACTION_STATE_TOPIC, TopicName, TopicPartition,
};
use vltava_core::wire::WireStr;
use vltava_protocol::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use vltava_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use crate::metrics::requests::microseconds;
use crate::node::Node;

/// What a client's protocol expects of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The client has added the partition; verify it.
    Verify {
        /// It knows TRANSACTION_ABORTABLE.
        knows_abortable: bool,
    },
    /// The client leaves it to the broker to add the partition.
    Add,
}

/// Partitions that a producer's transaction wants to be opened in.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) id: TransactionalId,
    pub(crate) producer: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) ask: Ask,
}

/// Asks the coordinator. Returns why it does not agree, for each partition where it does not.
pub(crate) async fn ask(node: &Node, question: &Question) -> HashMap<TopicPartition, ErrorCode> {
    let begun = node.clock.now();
    let refused = match coordinator(node, &question.id) {
        Err(code) => all(question, code),
        Ok(broker) if broker == node.id => ask_here(node, question).await,
        Ok(broker) => ask_there(node, broker, question).await,
    };
    let meters = &node.metrics.transactions;
    meters.verification_us.record(microseconds(node.clock.now().since(begun)));
    meters.verification_failures.add(refused.len() as u64);
    refused.into_iter().map(|(partition, code)| (partition, for_producer(code, question.ask))).collect()
}

/// Who coordinates a transactional id.
fn coordinator(node: &Node, id: &str) -> Result<BrokerId, ErrorCode> {
    let unavailable = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    let lookup = node.lookup_name(TRANSACTION_STATE_TOPIC).map_err(|_| unavailable)?;
    let partition = node.coordinator_partition(TRANSACTION_STATE_TOPIC, id).map_err(|_| unavailable)?;
    let (leader, _) = lookup.leader(partition);
    if leader == BrokerId::NONE { Err(unavailable) } else { Ok(leader) }
}

fn all(question: &Question, code: ErrorCode) -> HashMap<TopicPartition, ErrorCode> {
    question.partitions.iter().map(|partition| (partition.clone(), code)).collect()
}

async fn ask_here(node: &Node, question: &Question) -> HashMap<TopicPartition, ErrorCode> {
    match question.ask {
        Ask::Verify { .. } => verify_here(node, question).await,
        Ask::Add => match add_here(node, question).await {
            Ok(()) => HashMap::new(),
            Err(code) => all(question, code),
        },
    }
}

async fn verify_here(node: &Node, question: &Question) -> HashMap<TopicPartition, ErrorCode> {
    let command = TransactionCommand::VerifyPartitions(VerifyPartitions {
        id: question.id.clone(),
        producer: question.producer,
        epoch: question.epoch,
        partitions: question.partitions.clone(),
    });
    match node.ask_transaction(&question.id, command).await {
        Ok(TransactionAnswer::VerifyPartitions(Ok(verified))) => verified
            .into_iter()
            .filter(|(_, known)| !known)
            .map(|(partition, _)| (partition, ErrorCode::TRANSACTION_ABORTABLE))
            .collect(),
        Ok(TransactionAnswer::VerifyPartitions(Err(error))) => all(question, error.code()),
        Ok(_) => all(question, ErrorCode::UNKNOWN_SERVER_ERROR),
        Err(code) => all(question, code),
    }
}

/// Adds the partitions. While the last transaction of the producer is being ended this waits for a moment: that is shorter
/// than the pause that a client would make, and its records need not be sent again
/// (`add.partitions.to.txn.retry.backoff.max.ms`).
async fn add_here(node: &Node, question: &Question) -> Result<(), ErrorCode> {
    let wait = node.config.transactions.add_partitions_wait_ms_max;
    let deadline = node.clock.now() + Duration::from_millis(u64::try_from(wait).unwrap_or(0));
    let command = |waits| {
        TransactionCommand::AddPartitions(AddPartitions {
            id: question.id.clone(),
            producer: question.producer,
            epoch: question.epoch,
            partitions: question.partitions.iter().cloned().collect(),
            version: TransactionVersion::EPOCH_FOR_EACH,
            waits,
        })
    };
    loop {
        let waits = node.clock.now() < deadline;
        let answer = tokio::select! {
            biased;
            answer = node.ask_transaction(&question.id, command(waits)) => answer?,
            () = node.clock.sleep_until(deadline), if waits => continue,
        };
        match answer {
            TransactionAnswer::AskAgain => {}
            TransactionAnswer::AddPartitions(added) => return added.map_err(TransactionError::code),
            _ => return Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        }
    }
}

async fn ask_there(node: &Node, broker: BrokerId, question: &Question) -> HashMap<TopicPartition, ErrorCode> {
    match node.ask_broker(broker, &to_request(question)).await {
        Ok(response) => from_response(question, &response),
        Err(code) => all(question, code),
    }
}

fn to_request(question: &Question) -> AddPartitionsToTxnRequest {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for partition in &question.partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition.0);
    }
    let topic = |(name, partitions): (&TopicName, Vec<i32>)| AddPartitionsToTxnTopic {
        name: WireStr::copy_of(name.as_str()),
        partitions,
    };
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: WireStr::copy_of(&question.id),
        producer_id: question.producer.0,
        producer_epoch: question.epoch.0,
        verify_only: question.ask != Ask::Add,
        topics: topics.into_iter().map(topic).collect(),
    };
    AddPartitionsToTxnRequest { transactions: vec![transaction], ..AddPartitionsToTxnRequest::default() }
}

/// A partition that the response does not speak of was not verified.
fn from_response(
    question: &Question,
    response: &AddPartitionsToTxnResponse,
) -> HashMap<TopicPartition, ErrorCode> {
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::NONE => {}
        // The client can do nothing about the rights of brokers.
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => return all(question, ErrorCode::INVALID_TXN_STATE),
        code => return all(question, code),
    }
    let mut refused = all(question, ErrorCode::INVALID_TXN_STATE);
    for topic in response.results_by_transaction.iter().flat_map(|result| &result.topic_results) {
        let Ok(name) = TopicName::new(&topic.name) else { continue };
        for result in &topic.results_by_partition {
            let partition =
                TopicPartition { topic: name.clone(), partition: PartitionIndex(result.partition_index) };
            match ErrorCode::from_code(result.partition_error_code) {
                ErrorCode::NONE => drop(refused.remove(&partition)),
                code => drop(refused.insert(partition, code)),
            }
        }
    }
    refused
}

/// The code that the producer's protocol has for it.
fn for_producer(code: ErrorCode, ask: Ask) -> ErrorCode {
    match code {
        ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::TRANSACTION_ABORTABLE if ask == (Ask::Verify { knows_abortable: false }) => {
            ErrorCode::INVALID_TXN_STATE
        }
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use vltava_protocol::add_partitions_to_txn_response::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
    };

    use super::*;

    fn question(ask: Ask) -> Question {
        let partition = |index| TopicPartition {
            topic: TopicName::new("orders").unwrap(),
            partition: PartitionIndex(index),
        };
        Question {
            id: "till".into(),
            producer: ProducerId(7),
            epoch: ProducerEpoch(3),
            partitions: vec![partition(0), partition(1), partition(2)],
            ask,
        }
    }

    #[test]
    fn a_question_to_another_broker_names_everything() {
        for (ask, verify_only) in [(Ask::Add, false), (Ask::Verify { knows_abortable: true }, true)] {
            let request = to_request(&question(ask));
            let [transaction] = &request.transactions[..] else { panic!("{request:?}") };
            assert_eq!((transaction.producer_id, transaction.producer_epoch), (7, 3));
            assert_eq!((&*transaction.transactional_id, transaction.verify_only), ("till", verify_only));
            assert_eq!(transaction.topics[0].partitions, [0, 1, 2]);
        }
    }

    #[test]
    fn what_an_answer_does_not_allow_is_refused() {
        let question = question(Ask::Add);
        let result = |partition_index, partition_error_code| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code,
        };
        let topic = AddPartitionsToTxnTopicResult {
            name: "orders".into(),
            results_by_partition: vec![result(0, 0), result(1, ErrorCode::CONCURRENT_TRANSACTIONS.code())],
        };
        let answer = AddPartitionsToTxnResult { transactional_id: "till".into(), topic_results: vec![topic] };
        let mut response = AddPartitionsToTxnResponse {
            results_by_transaction: vec![answer],
            ..AddPartitionsToTxnResponse::default()
        };
        let codes = |response: &AddPartitionsToTxnResponse| {
            let mut refused: Vec<_> = from_response(&question, response)
                .into_iter()
                .map(|(partition, code)| (partition.partition.0, code))
                .collect();
            refused.sort_unstable_by_key(|(index, _)| *index);
            refused
        };
        let (concurrent, state) = (ErrorCode::CONCURRENT_TRANSACTIONS, ErrorCode::INVALID_TXN_STATE);
        assert_eq!(codes(&response), [(1, concurrent), (2, state)]);
        response.error_code = ErrorCode::CLUSTER_AUTHORIZATION_FAILED.code();
        assert_eq!(codes(&response), [(0, state), (1, state), (2, state)]);
    }
}
