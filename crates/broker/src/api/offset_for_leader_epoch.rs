//! OffsetForLeaderEpoch: where a leader epoch ended, for clients and replicas that check for truncation (KIP-320).

use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, PartitionIndex};
use vltava_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use vltava_protocol::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use vltava_protocol::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

pub(crate) async fn handle(call: Call<OffsetForLeaderEpochRequest>) -> OffsetForLeaderEpochResponse {
    let everything = call.request.replica_id >= 0 && call.allows(Operation::ClusterAction, Resource::Cluster);
    let topics = call.request.topics.iter().map(|topic| {
        let allowed = if everything {
            Ok(())
        } else {
            call.authorize(Operation::Describe, Resource::Topic(&topic.topic))
        };
        let lookup = allowed.and_then(|()| call.node.lookup_name(&topic.topic));
        let partitions = topic.partitions.iter().map(|asked| {
            let found = lookup.as_ref().map_err(|code| *code).and_then(|lookup| end(lookup, asked));
            let response = found.unwrap_or_else(|code| EpochEndOffset {
                error_code: code.code(),
                leader_epoch: -1,
                end_offset: -1,
                ..EpochEndOffset::default()
            });
            EpochEndOffset { partition: asked.partition, ..response }
        });
        OffsetForLeaderTopicResult { topic: topic.topic.clone(), partitions: partitions.collect() }
    });
    OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics: topics.collect() }
}

fn end(lookup: &Lookup, asked: &OffsetForLeaderPartition) -> Result<EpochEndOffset, ErrorCode> {
    let hosted = lookup.partition(PartitionIndex(asked.partition))?;
    let end = hosted
        .partition
        .epoch_end(LeaderEpoch(asked.leader_epoch), LeaderEpoch(asked.current_leader_epoch))
        .map_err(|error| error.code())?;
    Ok(EpochEndOffset {
        leader_epoch: end.map_or(-1, |end| end.epoch.0),
        end_offset: end.map_or(-1, |end| end.end.0),
        ..EpochEndOffset::default()
    })
}
