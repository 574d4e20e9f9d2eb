//! ListOffsets: offsets by time, and the ends of a log.

use std::collections::HashSet;

use tokio::task::spawn_blocking;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, PartitionIndex, Timestamp};
use vltava_core::replicated::Isolation;
use vltava_core::wire::WireStr;
use vltava_protocol::list_offsets_request::ListOffsetsPartition;
use vltava_protocol::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use vltava_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use vltava_replication::partition::OffsetQuery;

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

/// The response brings the leader epoch of the record (KIP-320).
const LEADER_EPOCH: Capability = Capability::since(4);
/// The first record of the largest timestamp may be asked for (KIP-734).
const LARGEST_TIMESTAMP: Capability = Capability::since(7);
/// The first offset that is stored locally may be asked for (KIP-405).
const EARLIEST_LOCAL: Capability = Capability::since(8);
/// The last offset that was tiered may be asked for (KIP-1005).
const LATEST_TIERED: Capability = Capability::since(9);
/// The first offset that waits for its upload may be asked for (KIP-1023).
const EARLIEST_PENDING_UPLOAD: Capability = Capability::since(11);

pub(crate) async fn handle(call: Call<ListOffsetsRequest>) -> ListOffsetsResponse {
    // Searching by time reads index and log.
    spawn_blocking(move || answer(&call)).await.unwrap_or_default()
}

fn answer(call: &Call<ListOffsetsRequest>) -> ListOffsetsResponse {
    let mut seen: HashSet<(WireStr, i32)> = HashSet::new();
    let named = call.request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.clone(), partition.partition_index))
    });
    let twice: HashSet<(WireStr, i32)> = named.filter(|partition| !seen.insert(partition.clone())).collect();
    let topics = call.request.topics.iter().map(|topic| {
        let allowed = call.authorize(Operation::Describe, Resource::Topic(&topic.name));
        let lookup = allowed.and_then(|()| call.node.lookup_name(&topic.name));
        let partitions = topic.partitions.iter().map(|asked| {
            let found = if twice.contains(&(topic.name.clone(), asked.partition_index)) {
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                lookup.as_ref().map_err(|code| *code).and_then(|lookup| find(call, lookup, asked))
            };
            let response = found.unwrap_or_else(|code| ListOffsetsPartitionResponse {
                error_code: code.code(),
                timestamp: -1,
                offset: -1,
                leader_epoch: -1,
                ..ListOffsetsPartitionResponse::default()
            });
            ListOffsetsPartitionResponse { partition_index: asked.partition_index, ..response }
        });
        ListOffsetsTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    ListOffsetsResponse { throttle_time_ms: 0, topics: topics.collect() }
}

fn find(
    call: &Call<ListOffsetsRequest>,
    lookup: &Lookup,
    asked: &ListOffsetsPartition,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let query = query(call, asked.timestamp)?;
    let hosted = lookup.partition(PartitionIndex(asked.partition_index))?;
    let isolation = match (call.request.replica_id, call.request.isolation_level) {
        (0.., _) => Isolation::LogEnd,
        (_, 0) => Isolation::Uncommitted,
        _ => Isolation::Committed,
    };
    let epoch = LeaderEpoch(asked.current_leader_epoch);
    let found = match query {
        Some(query) => hosted.partition.offset_for(query, isolation, epoch),
        None => hosted.partition.offset_for(OffsetQuery::Latest, isolation, epoch).map(|_| None),
    };
    let nothing = ListOffsetsPartitionResponse {
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
        ..ListOffsetsPartitionResponse::default()
    };
    Ok(found.map_err(|error| error.code())?.map_or(nothing, |found| ListOffsetsPartitionResponse {
        timestamp: found.timestamp.0,
        offset: found.offset.0,
        leader_epoch: if call.has(LEADER_EPOCH) { found.epoch.0 } else { -1 },
        ..ListOffsetsPartitionResponse::default()
    }))
}

/// What a timestamp asks for; nothing for what only a tiered log has.
fn query(call: &Call<ListOffsetsRequest>, timestamp: i64) -> Result<Option<OffsetQuery>, ErrorCode> {
    let since = |capability, query| {
        if call.has(capability) { Ok(query) } else { Err(ErrorCode::UNSUPPORTED_VERSION) }
    };
    match timestamp {
        0.. => Ok(Some(OffsetQuery::At(Timestamp(timestamp)))),
        -1 => Ok(Some(OffsetQuery::Latest)),
        -2 => Ok(Some(OffsetQuery::Earliest)),
        -3 => since(LARGEST_TIMESTAMP, Some(OffsetQuery::LargestTimestamp)),
        -4 => since(EARLIEST_LOCAL, Some(OffsetQuery::Earliest)),
        -5 => since(LATEST_TIERED, None),
        -6 => since(EARLIEST_PENDING_UPLOAD, None),
        _ => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}
