//! A topic with its partitions, offsets, sizes and settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, Offset, PartitionIndex, TopicId};
use vltava_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use vltava_protocol::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

use super::{DescribeArguments, name};
use crate::cli::config::{ResourceKind, describe_resource};
use crate::cli::error::CliError;
use crate::cli::offsets::{self, EARLIEST, LATEST, TopicPartition};
use crate::cli::output::{self, Table};
use crate::net::client::{Client, Route};

/// Prints topics.
pub async fn describe(arguments: &DescribeArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let answer = client.metadata(Some(&arguments.topics)).await?;
    let mut failed = Vec::new();
    let mut documents = Vec::new();
    for topic in &answer.topics {
        if topic.error_code != 0 {
            let code = ErrorCode::from_code(topic.error_code);
            failed.push(format!("{}: {}: {}", name(topic), code.name(), code.message()));
            continue;
        }
        let details = Details::fetch(&mut client, topic).await?;
        if arguments.cluster.json {
            documents.push(details.json(topic));
        } else {
            output::print(&details.text(topic))?;
        }
    }
    if arguments.cluster.json {
        output::print_json(&Value::Array(documents))?;
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::Failed(failed.join("\nvltava: "))) }
}

/// What a topic's description adds to its metadata.
struct Details {
    starts: BTreeMap<TopicPartition, Offset>,
    ends: BTreeMap<TopicPartition, Offset>,
    sizes: BTreeMap<i32, i64>,
    configs: Vec<(String, String)>,
}

impl Details {
    async fn fetch(client: &mut Client, topic: &MetadataResponseTopic) -> Result<Self, CliError> {
        let led = || topic.partitions.iter().filter(|partition| partition.leader_id >= 0);
        let key =
            |partition: &MetadataResponsePartition| (name(topic), PartitionIndex(partition.partition_index));
        let starts =
            offsets::list(client, &led().map(|partition| (key(partition), EARLIEST)).collect(), false)
                .await?;
        let ends =
            offsets::list(client, &led().map(|partition| (key(partition), LATEST)).collect(), false).await?;
        let sizes = sizes(client, topic).await.unwrap_or_default();
        let configs = describe_resource(client, ResourceKind::Topic, &name(topic)).await?;
        let own = configs.into_iter().filter(|config| config.config_source == TOPIC_SOURCE);
        let configs =
            own.map(|config| (config.name.to_string(), output::or_dash(config.value.as_deref()))).collect();
        Ok(Self { starts, ends, sizes, configs })
    }

    fn text(&self, topic: &MetadataResponseTopic) -> String {
        let mut text = format!(
            "Topic {}  id {}  {} partitions\n",
            name(topic),
            TopicId(topic.topic_id),
            topic.partitions.len()
        );
        for (key, value) in &self.configs {
            text.push_str(&format!("  {key}={value}\n"));
        }
        let mut table =
            Table::new(&["PARTITION", "LEADER", "REPLICAS", "IN-SYNC", "START", "END", "RECORDS", "SIZE"]);
        for partition in sorted(topic) {
            let (start, end) = self.bounds(topic, partition);
            let shown = |offset: Option<Offset>| offset.map_or("-".to_owned(), |offset| offset.to_string());
            table.row(vec![
                partition.partition_index.to_string(),
                if partition.leader_id < 0 { "none".to_owned() } else { partition.leader_id.to_string() },
                output::numbers(&partition.replica_nodes),
                output::numbers(&partition.isr_nodes),
                shown(start),
                shown(end),
                start.zip(end).map_or("-".to_owned(), |(start, end)| end.since(start).to_string()),
                self.sizes
                    .get(&partition.partition_index)
                    .map_or("-".to_owned(), |bytes| output::size(*bytes)),
            ]);
        }
        text.push_str(&table.render());
        text
    }

    fn json(&self, topic: &MetadataResponseTopic) -> Value {
        let partitions: Vec<Value> = sorted(topic)
            .into_iter()
            .map(|partition| {
                let (start, end) = self.bounds(topic, partition);
                json!({
                    "partition": partition.partition_index,
                    "leader": partition.leader_id,
                    "leader_epoch": partition.leader_epoch,
                    "replicas": partition.replica_nodes,
                    "in_sync": partition.isr_nodes,
                    "offline": partition.offline_replicas,
                    "start_offset": start.map(|offset| offset.0),
                    "end_offset": end.map(|offset| offset.0),
                    "bytes": self.sizes.get(&partition.partition_index),
                })
            })
            .collect();
        let configs: BTreeMap<_, _> = self.configs.iter().cloned().collect();
        json!({
            "topic": name(topic),
            "id": TopicId(topic.topic_id).to_string(),
            "internal": topic.is_internal,
            "configs": configs,
            "partitions": partitions,
        })
    }

    fn bounds(
        &self,
        topic: &MetadataResponseTopic,
        partition: &MetadataResponsePartition,
    ) -> (Option<Offset>, Option<Offset>) {
        let key = (name(topic), PartitionIndex(partition.partition_index));
        (self.starts.get(&key).copied(), self.ends.get(&key).copied())
    }
}

/// The config source id of a setting of the topic itself.
const TOPIC_SOURCE: i8 = 1;

fn sorted(topic: &MetadataResponseTopic) -> Vec<&MetadataResponsePartition> {
    let mut partitions: Vec<_> = topic.partitions.iter().collect();
    partitions.sort_by_key(|partition| partition.partition_index);
    partitions
}

/// The bytes of each partition on its leader; `None` when a broker does not tell, which leaves the column empty.
async fn sizes(client: &mut Client, topic: &MetadataResponseTopic) -> Option<BTreeMap<i32, i64>> {
    let mut sizes = BTreeMap::new();
    let mut leaders: Vec<i32> =
        topic.partitions.iter().map(|partition| partition.leader_id).filter(|id| *id >= 0).collect();
    leaders.sort_unstable();
    leaders.dedup();
    for leader in leaders {
        let led: Vec<i32> =
            topic.partitions.iter().filter(|p| p.leader_id == leader).map(|p| p.partition_index).collect();
        let request = DescribeLogDirsRequest {
            topics: Some(vec![vltava_protocol::describe_log_dirs_request::DescribableLogDirTopic {
                topic: topic.name.clone().unwrap_or_default(),
                partitions: led,
            }]),
        };
        let answer = client
            .call(&Route::Broker(BrokerId(leader)), |_| request.clone(), |_: &DescribeLogDirsResponse| 0)
            .await
            .ok()?;
        for found in answer.results.iter().flat_map(|dir| &dir.topics).flat_map(|topic| &topic.partitions) {
            if !found.is_future_key {
                sizes.insert(found.partition_index, found.partition_size);
            }
        }
    }
    Some(sizes)
}
