//! DeleteRecords: moves the start of logs.

use tokio::task::spawn_blocking;
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, PartitionIndex};
use vltava_protocol::delete_records_request::DeleteRecordsPartition;
use vltava_protocol::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use vltava_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

pub(crate) async fn handle(call: Call<DeleteRecordsRequest>) -> DeleteRecordsResponse {
    spawn_blocking(move || answer(&call)).await.unwrap_or_default()
}

fn answer(call: &Call<DeleteRecordsRequest>) -> DeleteRecordsResponse {
    let topics = call.request.topics.iter().map(|topic| {
        let allowed = call.authorize(Operation::Delete, Resource::Topic(&topic.name));
        let lookup = allowed.and_then(|()| call.node.lookup_name(&topic.name)).and_then(|lookup| {
            if lookup.is_internal() { Err(ErrorCode::INVALID_TOPIC_EXCEPTION) } else { Ok(lookup) }
        });
        let partitions = topic.partitions.iter().map(|asked| {
            let start = lookup.as_ref().map_err(|code| *code).and_then(|lookup| delete(lookup, asked));
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: start.map_or(-1, |start| start.0),
                error_code: start.err().unwrap_or(ErrorCode::NONE).code(),
            }
        });
        DeleteRecordsTopicResult { name: topic.name.clone(), partitions: partitions.collect() }
    });
    DeleteRecordsResponse { throttle_time_ms: 0, topics: topics.collect() }
}

fn delete(lookup: &Lookup, asked: &DeleteRecordsPartition) -> Result<Offset, ErrorCode> {
    let hosted = lookup.partition(PartitionIndex(asked.partition_index))?;
    let before = (asked.offset != -1).then_some(Offset(asked.offset));
    hosted.partition.delete_records(before).map_err(|error| error.code())
}
