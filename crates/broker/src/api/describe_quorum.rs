//! DescribeQuorum: who votes on the metadata, and how far everybody is (KIP-595, KIP-836, KIP-853).

use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, CLUSTER_METADATA_TOPIC, Uuid};
use vltava_core::wire::WireStr;
use vltava_protocol::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use vltava_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use vltava_replication::quorum::{QuorumReplica, QuorumStatus};

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// Answers name the directories of replicas and the addresses of voters (KIP-853).
const DIRECTORIES: Capability = Capability::since(2);

pub(crate) async fn handle(call: Call<DescribeQuorumRequest>) -> DescribeQuorumResponse {
    if let Err(code) = call.authorize(Operation::Describe, Resource::Cluster) {
        return DescribeQuorumResponse {
            error_code: code.code(),
            error_message: Some(WireStr::from(code.message())),
            ..DescribeQuorumResponse::default()
        };
    }
    let status = call.node.quorum.status();
    if asks_for_metadata(&call.request) { described(&call, &status) } else { unknown(&call) }
}

/// Exactly one partition has a quorum.
fn asks_for_metadata(request: &DescribeQuorumRequest) -> bool {
    let [topic] = &request.topics[..] else { return false };
    let [partition] = &topic.partitions[..] else { return false };
    &*topic.topic_name == CLUSTER_METADATA_TOPIC && partition.partition_index == 0
}

fn unknown(call: &Call<DescribeQuorumRequest>) -> DescribeQuorumResponse {
    let partition = |index| failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let topics = call.request.topics.iter().map(|topic| TopicData {
        topic_name: topic.topic_name.clone(),
        partitions: topic.partitions.iter().map(|asked| partition(asked.partition_index)).collect(),
    });
    DescribeQuorumResponse { topics: topics.collect(), ..DescribeQuorumResponse::default() }
}

fn described(call: &Call<DescribeQuorumRequest>, status: &QuorumStatus) -> DescribeQuorumResponse {
    let partition = if status.leader == BrokerId::NONE {
        failed(0, ErrorCode::NOT_LEADER_OR_FOLLOWER)
    } else {
        let replica = |replica| state(call, replica);
        PartitionData {
            leader_id: status.leader.0,
            leader_epoch: status.epoch.0,
            high_watermark: status.high_watermark.0,
            current_voters: status.voters.iter().map(replica).collect(),
            observers: status.observers.iter().map(replica).collect(),
            ..PartitionData::default()
        }
    };
    let topic = TopicData { topic_name: CLUSTER_METADATA_TOPIC.into(), partitions: vec![partition] };
    let nodes = if call.has(DIRECTORIES) { status.voters.iter().map(node).collect() } else { Vec::new() };
    DescribeQuorumResponse { topics: vec![topic], nodes, ..DescribeQuorumResponse::default() }
}

fn failed(index: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: index,
        error_code: code.code(),
        error_message: Some(WireStr::from(code.message())),
        ..PartitionData::default()
    }
}

fn state(call: &Call<DescribeQuorumRequest>, replica: &QuorumReplica) -> ReplicaState {
    ReplicaState {
        replica_id: replica.id.0,
        replica_directory_id: if call.has(DIRECTORIES) { replica.directory.0 } else { Uuid::nil() },
        log_end_offset: replica.log_end.0,
        last_fetch_timestamp: replica.last_fetch.0,
        last_caught_up_timestamp: replica.last_caught_up.0,
    }
}

fn node(replica: &QuorumReplica) -> Node {
    let listeners = replica.endpoints.iter().map(|endpoint| Listener {
        name: endpoint.listener.clone().into(),
        host: endpoint.host.clone().into(),
        port: endpoint.port,
    });
    Node { node_id: replica.id.0, listeners: listeners.collect() }
}
