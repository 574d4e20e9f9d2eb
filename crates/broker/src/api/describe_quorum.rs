//! DescribeQuorum: the controllers and how far each is.

use vltava_core::error::ErrorCode;
use vltava_core::id::{CLUSTER_METADATA_TOPIC, Uuid};
use vltava_core::wire::WireStr;
use vltava_protocol::describe_quorum_request::TopicData as AskedTopic;
use vltava_protocol::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use vltava_protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse};
use vltava_replication::quorum::{QuorumReplica, QuorumStatus};

use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// The response tells when replicas have fetched.
const FETCH_TIMES: Capability = Capability::since(1);
/// The response brings the nodes, their directories and messages (KIP-853).
const NODES: Capability = Capability::since(2);

pub(crate) async fn handle(call: Call<DescribeQuorumRequest>) -> DescribeQuorumResponse {
    if let Err(code) = call.authorize(Operation::Describe, Resource::Cluster) {
        return DescribeQuorumResponse {
            error_code: code.code(),
            error_message: call.has(NODES).then(|| WireStr::from(code.message())),
            ..DescribeQuorumResponse::default()
        };
    }
    let status = call.node.quorum.status();
    let topics: Vec<TopicData> =
        call.request.topics.iter().map(|topic| describe(&call, topic, &status)).collect();
    let known = topics.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.error_code == 0);
    let nodes = if call.has(NODES) && known { status.voters.iter().map(node).collect() } else { Vec::new() };
    DescribeQuorumResponse { topics, nodes, ..DescribeQuorumResponse::default() }
}

fn describe(call: &Call<DescribeQuorumRequest>, topic: &AskedTopic, status: &QuorumStatus) -> TopicData {
    let partitions = topic.partitions.iter().map(|partition| {
        if &*topic.topic_name == CLUSTER_METADATA_TOPIC && partition.partition_index == 0 {
            return quorum(call, status);
        }
        PartitionData {
            partition_index: partition.partition_index,
            error_code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.code(),
            error_message: call
                .has(NODES)
                .then(|| WireStr::from(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.message())),
            ..PartitionData::default()
        }
    });
    TopicData { topic_name: topic.topic_name.clone(), partitions: partitions.collect() }
}

fn quorum(call: &Call<DescribeQuorumRequest>, status: &QuorumStatus) -> PartitionData {
    let states = |replicas: &[QuorumReplica]| replicas.iter().map(|replica| state(call, replica)).collect();
    PartitionData {
        partition_index: 0,
        leader_id: status.leader.0,
        leader_epoch: status.epoch.0,
        high_watermark: status.high_watermark.0,
        current_voters: states(&status.voters),
        observers: states(&status.observers),
        ..PartitionData::default()
    }
}

fn state(call: &Call<DescribeQuorumRequest>, replica: &QuorumReplica) -> ReplicaState {
    let times = call.has(FETCH_TIMES);
    ReplicaState {
        replica_id: replica.id.0,
        replica_directory_id: if call.has(NODES) { replica.directory.0 } else { Uuid::nil() },
        log_end_offset: replica.log_end.0,
        last_fetch_timestamp: if times { replica.last_fetch.0 } else { -1 },
        last_caught_up_timestamp: if times { replica.last_caught_up.0 } else { -1 },
    }
}

fn node(replica: &QuorumReplica) -> Node {
    let listeners = replica.endpoints.iter().map(|endpoint| Listener {
        name: wire(&endpoint.listener),
        host: wire(&endpoint.host),
        port: endpoint.port,
    });
    Node { node_id: replica.id.0, listeners: listeners.collect() }
}
