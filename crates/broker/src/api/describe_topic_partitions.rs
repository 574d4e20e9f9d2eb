//! DescribeTopicPartitions: topics page by page (KIP-966).

use std::collections::BTreeSet;

use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, PartitionIndex, TopicName};
use vltava_core::image::{Image, Partition, Topic};
use vltava_protocol::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use vltava_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};

use super::Call;
use super::metadata::{offline_replicas, reachability};
use super::operations::topic_operations;
use super::text::wire;
use crate::authorizer::{Operation, Resource};

type Request = DescribeTopicPartitionsRequest;
type TopicResponse = DescribeTopicPartitionsResponseTopic;

pub(crate) async fn handle(call: Call<Request>) -> DescribeTopicPartitionsResponse {
    let image = call.node.view.load().image.clone();
    let start =
        call.request.cursor.as_ref().map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
    let first_topic = start.as_ref().map_or("", |(name, _)| name);
    let mut names = asked(&call, &image);
    names.retain(|name| name.as_str() >= first_topic);
    let mut page = Page::new(&call, &image);
    for name in names {
        let from = start.as_ref().filter(|(first, _)| *first == name).map_or(0, |(_, partition)| *partition);
        if page.next_cursor.is_some() {
            break;
        }
        page.add(&name, from.max(0));
    }
    DescribeTopicPartitionsResponse {
        throttle_time_ms: 0,
        topics: page.topics,
        next_cursor: page.next_cursor,
    }
}

/// The topics asked for, in order; all that the peer may see, when none is named.
fn asked(call: &Call<Request>, image: &Image) -> BTreeSet<String> {
    if call.request.topics.is_empty() {
        let visible =
            |topic: &&std::sync::Arc<Topic>| call.allows(Operation::Describe, Resource::Topic(&topic.name));
        return image.topics.iter().filter(visible).map(|topic| topic.name.to_string()).collect();
    }
    call.request.topics.iter().map(|topic| topic.name.to_string()).collect()
}

struct Page<'a> {
    call: &'a Call<Request>,
    image: &'a Image,
    left: usize,
    topics: Vec<TopicResponse>,
    next_cursor: Option<Cursor>,
}

impl<'a> Page<'a> {
    fn new(call: &'a Call<Request>, image: &'a Image) -> Page<'a> {
        let most = call.node.config.network.described_partitions_max;
        let left = usize::try_from(call.request.response_partition_limit.min(most)).unwrap_or(0).max(1);
        Page { call, image, left, topics: Vec::new(), next_cursor: None }
    }

    fn add(&mut self, name: &str, from: i32) {
        let failed = |code: ErrorCode| TopicResponse {
            error_code: code.code(),
            name: Some(wire(name)),
            is_internal: TopicName::new(name).is_ok_and(|name| name.is_internal()),
            topic_authorized_operations: topic_operations(self.call, name),
            ..TopicResponse::default()
        };
        if let Err(code) = self.call.authorize(Operation::Describe, Resource::Topic(name)) {
            self.topics.push(failed(code));
            return;
        }
        match self.image.topics.by_name(name) {
            None if TopicName::new(name).is_err() => {
                self.topics.push(failed(ErrorCode::INVALID_TOPIC_EXCEPTION));
            }
            None => self.topics.push(failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
            Some(topic) => self.add_topic(topic, from),
        }
    }

    fn add_topic(&mut self, topic: &Topic, from: i32) {
        if self.left == 0 {
            self.next_cursor = Some(Cursor { topic_name: wire(&topic.name), partition_index: from });
            return;
        }
        let mut partitions = Vec::new();
        for (index, partition) in topic.numbered().filter(|(index, _)| index.0 >= from) {
            if self.left == 0 {
                self.next_cursor = Some(Cursor { topic_name: wire(&topic.name), partition_index: index.0 });
                break;
            }
            self.left -= 1;
            partitions.push(self.partition(index, partition));
        }
        self.topics.push(TopicResponse {
            error_code: 0,
            name: Some(wire(&topic.name)),
            topic_id: topic.id.0,
            is_internal: topic.name.is_internal(),
            partitions,
            topic_authorized_operations: topic_operations(self.call, &topic.name),
        });
    }

    fn partition(
        &self,
        index: PartitionIndex,
        partition: &Partition,
    ) -> DescribeTopicPartitionsResponsePartition {
        let ids = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<i32>>();
        let code = reachability(self.image, partition, &self.call.peer.listener);
        DescribeTopicPartitionsResponsePartition {
            error_code: code.code(),
            partition_index: index.0,
            leader_id: partition.leader.0,
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            eligible_leader_replicas: Some(ids(&partition.eligible)),
            last_known_elr: Some(ids(&partition.last_known_eligible)),
            offline_replicas: offline_replicas(self.image, partition),
        }
    }
}
