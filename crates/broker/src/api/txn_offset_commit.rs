//! TxnOffsetCommit: where the consumers of a group are, once a transaction commits.

use vltava_coordinator::group::command::{CommitInTransaction, CommitOffsets, CommitPartition, CommitTopic};
use vltava_coordinator::group::{GroupAnswer, GroupCommand, InstanceId};
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    GROUP_OFFSETS_TOPIC, Generation, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId,
    Sequence, TopicId, TopicName, TopicPartition,
};
use vltava_core::replicated::Verification;
use vltava_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use vltava_protocol::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use vltava_protocol::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use vltava_replication::partition::Opening;

use super::commits::{Outcomes, has, in_order, of_topic, outcome, topic_by_id, topic_by_name};
use super::text::shared;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;
use crate::transactions::verification::{self, Ask, Question};

/// The client knows COORDINATOR_LOAD_IN_PROGRESS.
const LOAD_IN_PROGRESS: Capability = Capability::since(2);
/// The client knows TRANSACTION_ABORTABLE.
const ABORTABLE: Capability = Capability::since(4);
/// The client leaves it to the broker to add the group's offsets to the transaction.
const IMPLICIT_ADD: Capability = Capability::since(5);
/// Topics are named by their ids (KIP-1319), and the client knows STALE_MEMBER_EPOCH.
const TOPIC_IDS: Capability = Capability::since(6);

pub(crate) async fn handle(call: Call<TxnOffsetCommitRequest>) -> TxnOffsetCommitResponse {
    let topics: Vec<Result<Lookup, ErrorCode>> = match authorize(&call) {
        Ok(()) => call.request.topics.iter().map(|topic| known(&call, topic)).collect(),
        Err(code) => call.request.topics.iter().map(|_| Err(code)).collect(),
    };
    let mut outcomes = commit(&call, &topics).await;
    let mut code = |partition: &TxnOffsetCommitRequestPartition, known: &Result<Lookup, ErrorCode>| {
        let code = match (known, &mut outcomes) {
            (Err(code), _) => *code,
            (Ok(lookup), Err(code)) if has(lookup, PartitionIndex(partition.partition_index)) => *code,
            (Ok(lookup), Ok(outcomes)) => outcome(outcomes, lookup, partition.partition_index),
            (Ok(_), Err(_)) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        };
        match code {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS if !call.has(LOAD_IN_PROGRESS) => {
                ErrorCode::COORDINATOR_NOT_AVAILABLE
            }
            code => code,
        }
    };
    let responses = call.request.topics.iter().zip(&topics).map(|(topic, known)| {
        let partitions = topic.partitions.iter().map(|partition| TxnOffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: code(partition, known).code(),
        });
        TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: partitions.collect(),
        }
    });
    TxnOffsetCommitResponse { throttle_time_ms: 0, topics: responses.collect() }
}

fn authorize(call: &Call<TxnOffsetCommitRequest>) -> Result<(), ErrorCode> {
    call.authorize(Operation::Write, Resource::TransactionalId(&call.request.transactional_id))?;
    call.authorize(Operation::Read, Resource::Group(&call.request.group_id))
}

fn known(
    call: &Call<TxnOffsetCommitRequest>,
    topic: &TxnOffsetCommitRequestTopic,
) -> Result<Lookup, ErrorCode> {
    if call.has(TOPIC_IDS) { topic_by_id(call, topic.topic_id) } else { topic_by_name(call, &topic.name) }
}

/// Commits what is of known partitions.
async fn commit(
    call: &Call<TxnOffsetCommitRequest>,
    topics: &[Result<Lookup, ErrorCode>],
) -> Result<Outcomes, ErrorCode> {
    let request = &call.request;
    let topics: Vec<CommitTopic> = request
        .topics
        .iter()
        .zip(topics)
        .filter_map(|(topic, known)| Some(commit_topic(call, topic, known.as_ref().ok()?)))
        .filter(|topic| !topic.partitions.is_empty())
        .collect();
    if topics.is_empty() {
        return Ok(Outcomes::default());
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let verification = verify(call).await.map_err(for_committer)?;
    let command = GroupCommand::CommitInTransaction(CommitInTransaction {
        offsets: CommitOffsets {
            group: request.group_id.as_str().into(),
            member: request.member_id.as_str().into(),
            instance: request.group_instance_id.as_deref().map(InstanceId::from),
            generation: Generation(request.generation_id_or_member_epoch),
            retention: None,
            knows_group_not_found: false,
            topics,
        },
        producer: ProducerId(request.producer_id),
        epoch: ProducerEpoch(request.producer_epoch),
        verification,
        knows_stale_epoch: call.has(TOPIC_IDS),
    });
    match call.node.ask_group(&request.group_id, command).await.map_err(for_committer)? {
        GroupAnswer::CommitOffsets(topics) => Ok(in_order(topics)),
        _ => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

fn commit_topic(
    call: &Call<TxnOffsetCommitRequest>,
    topic: &TxnOffsetCommitRequestTopic,
    lookup: &Lookup,
) -> CommitTopic {
    let partitions = topic.partitions.iter().map(|partition| CommitPartition {
        partition: PartitionIndex(partition.partition_index),
        offset: Offset(partition.committed_offset),
        leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
        metadata: partition.committed_metadata.as_ref().map(shared),
    });
    let id = if call.has(TOPIC_IDS) { lookup.topic().id } else { TopicId::ZERO };
    of_topic(lookup, id, partitions)
}

/// Sees to it that the transaction coordinator knows of the group's offsets (KAFKA-15449).
async fn verify(call: &Call<TxnOffsetCommitRequest>) -> Result<Verification, ErrorCode> {
    let (node, request) = (&call.node, &call.request);
    let partition = node.group_partition(&request.group_id)?;
    let offsets = node.lookup_name(GROUP_OFFSETS_TOPIC).map_err(|_| ErrorCode::NOT_COORDINATOR)?;
    let hosted = offsets.partition(partition).map_err(|_| ErrorCode::NOT_COORDINATOR)?;
    let adds = call.has(IMPLICIT_ADD);
    if !adds && !hosted.partition.settings().verify_transactions {
        return Ok(Verification::Waived);
    }
    let opening = Opening {
        producer: ProducerId(request.producer_id),
        epoch: ProducerEpoch(request.producer_epoch),
        sequence: Sequence::NONE,
        own_epoch: adds,
    };
    let verification = hosted.partition.verify(&opening).map_err(|error| error.code())?;
    if verification == Verification::None {
        return Ok(verification);
    }
    let topic = TopicName::new(GROUP_OFFSETS_TOPIC).map_err(|error| error.code())?;
    let question = Question {
        id: request.transactional_id.as_str().into(),
        producer: opening.producer,
        epoch: opening.epoch,
        partitions: vec![TopicPartition { topic, partition }],
        ask: if adds { Ask::Add } else { Ask::Verify { knows_abortable: call.has(ABORTABLE) } },
    };
    match verification::ask(node, &question).await.into_values().next() {
        Some(code) => Err(code),
        None => Ok(verification),
    }
}

/// The code that clients of this API have for it, and retry where that helps.
fn for_committer(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NETWORK_EXCEPTION => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => ErrorCode::NOT_COORDINATOR,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::MESSAGE_TOO_LARGE => ErrorCode::INVALID_COMMIT_OFFSET_SIZE,
        code => code,
    }
}
