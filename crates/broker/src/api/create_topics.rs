//! CreateTopics.

use std::collections::HashSet;

use vltava_coordinator::cluster::command::{CreateTopics, CreatedTopic, NewTopic};
use vltava_coordinator::cluster::topics::TopicError;
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::config::describe::{Description, describe_topic};
use vltava_core::config::topic_keys;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, PartitionIndex};
use vltava_core::wire::WireStr;
use vltava_protocol::create_topics_request::CreatableTopic;
use vltava_protocol::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use vltava_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// The response brings the topic's settings (KIP-525).
const SETTINGS: Capability = Capability::since(5);

pub(crate) async fn handle(call: Call<CreateTopicsRequest>) -> CreateTopicsResponse {
    let cluster = call.allows(Operation::Create, Resource::Cluster);
    let allowed = |name: &str| cluster || call.allows(Operation::Create, Resource::Topic(name));
    let (topics, refused): (Vec<_>, Vec<_>) =
        call.request.topics.iter().partition(|topic| allowed(&topic.name));
    let mut responses: Vec<_> = refused
        .into_iter()
        .map(|topic| result(&topic.name, ErrorCode::TOPIC_AUTHORIZATION_FAILED, None))
        .collect();
    if !topics.is_empty() {
        responses.extend(create(&call, &topics).await);
    }
    CreateTopicsResponse { throttle_time_ms: 0, topics: responses }
}

async fn create(call: &Call<CreateTopicsRequest>, topics: &[&CreatableTopic]) -> Vec<CreatableTopicResult> {
    let command = Command::CreateTopics(CreateTopics {
        topics: topics.iter().map(|topic| new_topic(topic)).collect(),
        validate_only: call.request.validate_only,
    });
    match call.node.ask_controller(command).await {
        Ok(Answer::CreateTopics(results)) => {
            call.node.caught_up().await;
            results.into_iter().map(|(name, created)| response(call, &name, created)).collect()
        }
        answer => {
            let code = answer.err().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
            let mut seen = HashSet::new();
            let once = topics.iter().filter(|topic| seen.insert(&topic.name));
            once.map(|topic| result(&topic.name, code, None)).collect()
        }
    }
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| {
        let brokers = assignment.broker_ids.iter().copied().map(BrokerId).collect();
        (PartitionIndex(assignment.partition_index), brokers)
    });
    let configs = topic
        .configs
        .iter()
        .map(|config| (config.name.to_string(), config.value.as_deref().map(str::to_owned)));
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
    }
}

fn result(name: &str, code: ErrorCode, message: Option<String>) -> CreatableTopicResult {
    CreatableTopicResult {
        name: wire(name),
        error_code: code.code(),
        error_message: message.map(WireStr::from),
        num_partitions: -1,
        replication_factor: -1,
        configs: None,
        ..CreatableTopicResult::default()
    }
}

fn response(
    call: &Call<CreateTopicsRequest>,
    name: &str,
    created: Result<CreatedTopic, TopicError>,
) -> CreatableTopicResult {
    let created = match created {
        Ok(created) => created,
        Err(error) => {
            let failed = result(name, error.code(), error.message());
            return CreatableTopicResult { configs: call.has(SETTINGS).then(Vec::new), ..failed };
        }
    };
    let visible = call.allows(Operation::DescribeConfigs, Resource::Topic(name));
    let base = CreatableTopicResult { topic_id: created.id.0, ..result(name, ErrorCode::NONE, None) };
    if !call.has(SETTINGS) {
        return base;
    }
    if !visible {
        return CreatableTopicResult {
            topic_config_error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED.code(),
            ..base
        };
    }
    CreatableTopicResult {
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        configs: Some(settings(call, &created)),
        ..base
    }
}

fn settings(call: &Call<CreateTopicsRequest>, created: &CreatedTopic) -> Vec<CreatableTopicConfigs> {
    let layers = call.node.layers(&call.node.view.load().image);
    let described = describe_topic(&created.configs, &layers).unwrap_or_default();
    // Kafka repeats a value here as it was given, blanks and all, and tells of a default where the broker has it from under
    // any name; DescribeConfigs tells how a value was understood, and the place of its first name.
    let given = |name: &str| created.configs.get(name).cloned();
    let source = |setting: &Description| match topic_keys().get(&setting.name) {
        Some(key) if !created.configs.contains_key(key.name) => layers.source_of(key),
        _ => setting.source,
    };
    described
        .into_iter()
        .map(|setting| CreatableTopicConfigs {
            config_source: source(&setting).id(),
            value: given(&setting.name).or(setting.value).map(WireStr::from),
            name: WireStr::from(setting.name),
            read_only: setting.read_only,
            is_sensitive: setting.sensitive,
        })
        .collect()
}
