//! WriteTxnMarkers: end markers, from transaction coordinators, and from administrators who end hanging transactions.

use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, ProducerEpoch, ProducerId, TopicName, TopicPartition};
use vltava_core::machine::TransactionEnd;
use vltava_core::replicated::MarkerEpoch;
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use vltava_protocol::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use vltava_protocol::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::transactions::markers::write_marker;

/// From this transaction version on a marker must raise the epoch (KIP-1228).
const RAISING_VERSION: i8 = 2;

pub(crate) async fn handle(call: Call<WriteTxnMarkersRequest>) -> WriteTxnMarkersResponse {
    let allowed = call.allows(Operation::Alter, Resource::Cluster)
        || call.allows(Operation::ClusterAction, Resource::Cluster);
    let mut markers = Vec::with_capacity(call.request.markers.len());
    for marker in &call.request.markers {
        let mut topics = Vec::with_capacity(marker.topics.len());
        for topic in &marker.topics {
            topics.push(if allowed { write(&call, marker, topic).await } else { refuse(topic) });
        }
        markers.push(WritableTxnMarkerResult { producer_id: marker.producer_id, topics });
    }
    WriteTxnMarkersResponse { markers }
}

async fn write(
    call: &Call<WriteTxnMarkersRequest>,
    marker: &WritableTxnMarker,
    topic: &WritableTxnMarkerTopic,
) -> WritableTxnMarkerTopicResult {
    let end = TransactionEnd {
        producer: ProducerId(marker.producer_id),
        epoch: ProducerEpoch(marker.producer_epoch),
        commit: marker.transaction_result,
        coordinator_epoch: marker.coordinator_epoch,
    };
    let raises = marker.transaction_version >= RAISING_VERSION;
    let marker_epoch = if raises { MarkerEpoch::Above } else { MarkerEpoch::AtLeast };
    let name = TopicName::new(&topic.name).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
    for index in &topic.partition_indexes {
        let written = match &name {
            Ok(name) => {
                let partition = TopicPartition { topic: name.clone(), partition: PartitionIndex(*index) };
                write_marker(&call.node, &partition, end, marker_epoch).await
            }
            Err(code) => Err(*code),
        };
        let error_code = written.err().unwrap_or(ErrorCode::NONE).code();
        partitions.push(WritableTxnMarkerPartitionResult { partition_index: *index, error_code });
    }
    WritableTxnMarkerTopicResult { name: WireStr::copy_of(&topic.name), partitions }
}

fn refuse(topic: &WritableTxnMarkerTopic) -> WritableTxnMarkerTopicResult {
    let refused = |index: &i32| WritableTxnMarkerPartitionResult {
        partition_index: *index,
        error_code: ErrorCode::CLUSTER_AUTHORIZATION_FAILED.code(),
    };
    WritableTxnMarkerTopicResult {
        name: WireStr::copy_of(&topic.name),
        partitions: topic.partition_indexes.iter().map(refused).collect(),
    }
}
