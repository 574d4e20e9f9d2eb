//! What copying asks of a cluster, through the administration of `krafka`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use krafka::admin::{ConfigOp, ConfigResource, GroupType};
use krafka::error::ErrorCode;

use super::{KafkaTopics, failed, is, ours};
use crate::connector::TopicPartition;
use crate::topics::TopicsError;
use crate::topics::cluster::{Cluster, Commit, TopicSetting};

/// The source of a setting that nobody has set, and of one that stands in the file of a broker.
const DEFAULT: i8 = 5;
const FILE: i8 = 4;

#[async_trait]
impl Cluster for KafkaTopics {
    async fn partition_counts(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, TopicsError> {
        let described = self.admin().describe_topics(topics, Default::default()).await.map_err(failed)?;
        let mut counts = BTreeMap::new();
        for (name, topic) in described {
            match topic {
                Ok(topic) => {
                    counts.insert(name, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
                }
                Err(error) if is(&error, ErrorCode::UnknownTopicOrPartition) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(counts)
    }

    async fn grow(&self, topic: &str, partitions: i32) -> Result<(), TopicsError> {
        let grown = self.admin().create_partitions([(topic, partitions)], Default::default()).await;
        grown.map_err(failed)?.into_values().try_for_each(|outcome| outcome.map_err(failed))
    }

    async fn topic_settings(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Vec<TopicSetting>>, TopicsError> {
        let resources = topics.iter().map(ConfigResource::topic);
        let described = self.admin().describe_configs(resources, Default::default()).await.map_err(failed)?;
        let mut all = BTreeMap::new();
        for (resource, entries) in described {
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) if is(&error, ErrorCode::UnknownTopicOrPartition) => continue,
                Err(error) => return Err(failed(error)),
            };
            let settable = entries
                .into_iter()
                .filter(|entry| !entry.read_only && !entry.is_sensitive && entry.config_source != FILE);
            let setting = settable.filter_map(|entry| {
                let is_default = entry.config_source == DEFAULT;
                Some(TopicSetting { name: entry.name, value: entry.value?, is_default })
            });
            all.insert(resource.name, setting.collect());
        }
        Ok(all)
    }

    async fn change_topic(
        &self,
        topic: &str,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), TopicsError> {
        let change = |(name, value): (&String, &Option<String>)| match value {
            Some(value) => ConfigOp::set(name, value),
            None => ConfigOp::delete(name),
        };
        let changes = (ConfigResource::topic(topic), changes.iter().map(change).collect());
        let changed = self.admin().incremental_alter_configs([changes], Default::default()).await;
        changed.map_err(failed)?.into_values().try_for_each(|outcome| outcome.map_err(failed))
    }

    async fn groups(&self) -> Result<Vec<String>, TopicsError> {
        let listed = self.admin().list_consumer_groups(Default::default()).await.map_err(failed)?;
        let mut groups = Vec::new();
        for of_broker in listed.into_values() {
            let of_consumers = of_broker.map_err(failed)?.into_iter().filter(|group| {
                let consumes = matches!(group.protocol_type.as_str(), "consumer" | "");
                consumes && !matches!(group.group_type, Some(GroupType::Unknown(_)))
            });
            groups.extend(of_consumers.map(|group| group.group_id));
        }
        groups.sort();
        Ok(groups)
    }

    async fn commits(&self, group: &str) -> Result<BTreeMap<TopicPartition, Commit>, TopicsError> {
        let offsets = self.admin().list_consumer_group_offsets(group, Default::default()).await;
        let offsets = match offsets {
            Err(error) if is(&error, ErrorCode::GroupIdNotFound) => return Ok(BTreeMap::new()),
            offsets => offsets.map_err(failed)?,
        };
        let mut commits = BTreeMap::new();
        for (place, committed) in offsets {
            let committed = committed.map_err(failed)?;
            if let Some(offset) = committed.offset {
                let metadata = committed.metadata.unwrap_or_default();
                commits.insert(ours(&place), Commit { offset, metadata });
            }
        }
        Ok(commits)
    }
}
