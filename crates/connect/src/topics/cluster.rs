//! What copying from one cluster to another asks of both, beyond reading and writing.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Topics, TopicsError};
use crate::connector::TopicPartition;

/// A cluster whose topics and groups are copied, or copied to.
#[async_trait]
pub trait Cluster: Topics {
    /// How many partitions topics have; one that is not there is left out.
    async fn partition_counts(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, TopicsError>;

    /// Raises the number of a topic's partitions to `partitions`.
    async fn grow(&self, topic: &str, partitions: i32) -> Result<(), TopicsError>;

    /// The settings of topics, without those that are secret, cannot be changed, or stand in the file of a broker; a topic
    /// that is not there is left out.
    async fn topic_settings(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Vec<TopicSetting>>, TopicsError>;

    /// Changes settings of a topic; `None` takes one back to its default.
    async fn change_topic(
        &self,
        topic: &str,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), TopicsError>;

    /// The consumer groups.
    async fn groups(&self) -> Result<Vec<String>, TopicsError>;

    /// What a group has committed.
    async fn commits(&self, group: &str) -> Result<BTreeMap<TopicPartition, Commit>, TopicsError>;
}

/// A setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSetting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the value is Kafka's default, which nobody has set.
    pub is_default: bool,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The offset of the next record.
    pub offset: i64,
    /// What the consumer said beside it.
    pub metadata: String,
}
