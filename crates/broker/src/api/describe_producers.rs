//! DescribeProducers: what partitions remember of their producers (KIP-664).

use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, TopicName};
use vltava_core::wire::WireStr;
use vltava_protocol::describe_producers_response::{PartitionResponse, ProducerState, TopicResponse};
use vltava_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse};

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::partitions::Lookup;

pub(crate) async fn handle(call: Call<DescribeProducersRequest>) -> DescribeProducersResponse {
    let topics = call.request.topics.iter().map(|topic| {
        let allowed = call.authorize(Operation::Read, Resource::Topic(&topic.name));
        let valid = allowed.and_then(|()| TopicName::new(&topic.name).map_err(|error| error.code()));
        let lookup = valid.and_then(|_| call.node.lookup_name(&topic.name));
        let partitions = topic.partition_indexes.iter().map(|index| {
            let found = lookup.as_ref().map_err(|code| *code).and_then(|lookup| producers(lookup, *index));
            match found {
                Ok(active_producers) => PartitionResponse {
                    partition_index: *index,
                    active_producers,
                    ..PartitionResponse::default()
                },
                Err(code) => PartitionResponse {
                    partition_index: *index,
                    error_code: code.code(),
                    error_message: Some(WireStr::from(code.message())),
                    ..PartitionResponse::default()
                },
            }
        });
        TopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    DescribeProducersResponse { throttle_time_ms: 0, topics: topics.collect() }
}

fn producers(lookup: &Lookup, index: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let hosted = lookup.partition(PartitionIndex(index))?;
    let states = hosted.partition.producers().into_iter().map(|(id, state)| ProducerState {
        producer_id: id.0,
        producer_epoch: i32::from(state.epoch.0),
        last_sequence: state.last_sequence().0,
        last_timestamp: state.last_timestamp.0,
        coordinator_epoch: state.coordinator_epoch.0,
        current_txn_start_offset: state.transaction_start.map_or(-1, |start| start.0),
    });
    Ok(states.collect())
}
