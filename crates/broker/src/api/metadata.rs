//! Metadata: the brokers, and the topics with their leaders; creates topics that clients ask for when that is allowed.

use std::collections::BTreeSet;
use std::sync::Arc;

use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, TopicId, TopicName};
use vltava_core::image::{Broker, Image, Partition, Topic};
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{MetadataRequest, MetadataResponse};
use vltava_protocol::metadata_request::MetadataRequestTopic;
use vltava_protocol::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use super::operations::{cluster_operations, topic_operations};
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};
use crate::auto_create;

/// All topics are asked for by null; before, by an empty list.
const NULL_IS_ALL: Capability = Capability::since(1);

pub(crate) async fn handle(call: Call<MetadataRequest>) -> MetadataResponse {
    let topics = match &call.request.topics {
        Some(topics) if !topics.is_empty() || call.has(NULL_IS_ALL) => named(&call, topics).await,
        _ => all(&call),
    };
    let image = call.node.view.load().image.clone();
    let brokers = image.brokers.values().filter(|broker| broker.is_active());
    let cluster_operations =
        if call.request.include_cluster_authorized_operations { cluster_operations(&call) } else { i32::MIN };
    MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.filter_map(|broker| broker_response(broker, &call.peer.listener)).collect(),
        cluster_id: Some(WireStr::from(call.node.cluster_id.to_string())),
        controller_id: call.node.id.0,
        topics,
        cluster_authorized_operations: cluster_operations,
        error_code: ErrorCode::NONE.code(),
    }
}

fn broker_response(broker: &Arc<Broker>, listener: &str) -> Option<MetadataResponseBroker> {
    let endpoint = broker.endpoint(listener)?;
    Some(MetadataResponseBroker {
        node_id: broker.id.0,
        host: endpoint.host.clone().into(),
        port: i32::from(endpoint.port),
        rack: broker.rack.clone().map(WireStr::from),
    })
}

fn all(call: &Call<MetadataRequest>) -> Vec<MetadataResponseTopic> {
    let image = call.node.view.load().image.clone();
    let visible = |topic: &&Arc<Topic>| call.allows(Operation::Describe, Resource::Topic(&topic.name));
    image.topics.iter().filter(visible).map(|topic| topic_response(call, &image, topic)).collect()
}

async fn named(call: &Call<MetadataRequest>, topics: &[MetadataRequestTopic]) -> Vec<MetadataResponseTopic> {
    create_missing(call, topics).await;
    let image = call.node.view.load().image.clone();
    let mut seen = BTreeSet::new();
    topics
        .iter()
        .filter(|topic| seen.insert((topic.name.clone(), topic.topic_id)))
        .map(|topic| one(call, &image, topic))
        .collect()
}

/// Creates the topics that do not exist yet, when broker, request and authorizer allow it.
async fn create_missing(call: &Call<MetadataRequest>, topics: &[MetadataRequestTopic]) {
    if !call.request.allow_auto_topic_creation || !call.node.config.topics.auto_create {
        return;
    }
    let image = call.node.view.load().image.clone();
    let may_create = |name: &str| {
        call.allows(Operation::Describe, Resource::Topic(name))
            && (call.allows(Operation::Create, Resource::Cluster)
                || call.allows(Operation::Create, Resource::Topic(name)))
    };
    let missing: BTreeSet<TopicName> = topics
        .iter()
        .filter(|topic| topic.topic_id.is_nil())
        .filter_map(|topic| TopicName::new(topic.name.as_deref()?).ok())
        .filter(|name| image.topics.by_name(name).is_none() && may_create(name))
        .collect();
    if !missing.is_empty() {
        auto_create::create(&call.node, &missing).await;
    }
}

fn one(call: &Call<MetadataRequest>, image: &Image, asked: &MetadataRequestTopic) -> MetadataResponseTopic {
    let failed = |code: ErrorCode| MetadataResponseTopic {
        error_code: code.code(),
        name: asked.name.clone(),
        topic_id: asked.topic_id,
        topic_authorized_operations: i32::MIN,
        ..MetadataResponseTopic::default()
    };
    // An id wins over a name: the Java client sends an empty name beside it.
    let by_name = asked.name.as_ref().filter(|_| asked.topic_id.is_nil());
    let found = match by_name {
        Some(name) => {
            if let Err(code) = call.authorize(Operation::Describe, Resource::Topic(name)) {
                return failed(code);
            }
            if let Err(error) = TopicName::new(name) {
                return failed(error.code());
            }
            image.topics.by_name(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        }
        None => image
            .topics
            .by_id(TopicId(asked.topic_id))
            .filter(|topic| call.allows(Operation::Describe, Resource::Topic(&topic.name)))
            .ok_or(ErrorCode::UNKNOWN_TOPIC_ID),
    };
    match found {
        Ok(topic) => topic_response(call, image, topic),
        Err(code) => {
            MetadataResponseTopic { is_internal: is_internal(asked.name.as_deref()), ..failed(code) }
        }
    }
}

fn is_internal(name: Option<&str>) -> bool {
    name.and_then(|name| TopicName::new(name).ok()).is_some_and(|name| name.is_internal())
}

fn topic_response(call: &Call<MetadataRequest>, image: &Image, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic.numbered().map(|(index, partition)| {
        let response = partition_response(image, partition, &call.peer.listener);
        MetadataResponsePartition { partition_index: index.0, ..response }
    });
    let operations = if call.request.include_topic_authorized_operations {
        topic_operations(call, &topic.name)
    } else {
        i32::MIN
    };
    MetadataResponseTopic {
        error_code: ErrorCode::NONE.code(),
        name: Some(WireStr::from(topic.name.to_string())),
        topic_id: topic.id.0,
        is_internal: topic.name.is_internal(),
        partitions: partitions.collect(),
        topic_authorized_operations: operations,
    }
}

fn partition_response(image: &Image, partition: &Partition, listener: &str) -> MetadataResponsePartition {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect();
    MetadataResponsePartition {
        error_code: reachability(image, partition, listener).code(),
        leader_id: partition.leader.0,
        leader_epoch: partition.leader_epoch.0,
        replica_nodes: ids(&partition.replicas),
        isr_nodes: ids(&partition.isr),
        offline_replicas: offline_replicas(image, partition),
        ..MetadataResponsePartition::default()
    }
}

/// Whether clients of a listener can reach the leader of a partition.
pub(super) fn reachability(image: &Image, partition: &Partition, listener: &str) -> ErrorCode {
    match image.active_broker(partition.leader) {
        None => ErrorCode::LEADER_NOT_AVAILABLE,
        Some(leader) if leader.endpoint(listener).is_none() => ErrorCode::LISTENER_NOT_FOUND,
        Some(_) => ErrorCode::NONE,
    }
}

/// The replicas of a partition on brokers that are not there.
pub(super) fn offline_replicas(image: &Image, partition: &Partition) -> Vec<i32> {
    let offline = partition.replicas.iter().filter(|replica| image.active_broker(**replica).is_none());
    offline.map(|replica| replica.0).collect()
}
