//! What copying asks of a cluster in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{MemoryTopics, unknown};
use crate::connector::TopicPartition;
use crate::topics::TopicsError;
use crate::topics::cluster::{Cluster, Commit, TopicSetting};

/// What a setting of a topic is that nobody has set.
const DEFAULTS: [(&str, &str); 2] = [("cleanup.policy", "delete"), ("retention.ms", "604800000")];

#[async_trait]
impl Cluster for MemoryTopics {
    async fn partition_counts(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, TopicsError> {
        let state = self.cluster.state.lock();
        let count = |topic: &String| {
            let logs = state.topics.get(topic)?;
            Some((topic.clone(), i32::try_from(logs.len()).unwrap_or(i32::MAX)))
        };
        Ok(topics.iter().filter_map(count).collect())
    }

    async fn grow(&self, topic: &str, partitions: i32) -> Result<(), TopicsError> {
        let mut state = self.cluster.state.lock();
        let logs = state.topics.get_mut(topic).ok_or_else(|| unknown(topic))?;
        logs.resize(usize::try_from(partitions).unwrap_or(0).max(logs.len()), Vec::new());
        Ok(())
    }

    async fn topic_settings(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Vec<TopicSetting>>, TopicsError> {
        let state = self.cluster.state.lock();
        let settings = |topic: &String| {
            let own = state.settings.get(topic)?;
            let unset = DEFAULTS.iter().filter(|(name, _)| !own.contains_key(*name));
            let unset = unset.map(|(name, value)| ((*name).to_owned(), (*value).to_owned(), true));
            let set = own.iter().map(|(name, value)| (name.clone(), value.clone(), false));
            let setting = |(name, value, is_default)| TopicSetting { name, value, is_default };
            Some((topic.clone(), set.chain(unset).map(setting).collect()))
        };
        Ok(topics.iter().filter_map(settings).collect())
    }

    async fn change_topic(
        &self,
        topic: &str,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<(), TopicsError> {
        let mut state = self.cluster.state.lock();
        let settings = state.settings.get_mut(topic).ok_or_else(|| unknown(topic))?;
        for (name, value) in changes {
            match value {
                Some(value) => settings.insert(name.clone(), value.clone()),
                None => settings.remove(name),
            };
        }
        Ok(())
    }

    async fn groups(&self) -> Result<Vec<String>, TopicsError> {
        Ok(self.cluster.state.lock().groups.keys().cloned().collect())
    }

    async fn commits(&self, group: &str) -> Result<BTreeMap<TopicPartition, Commit>, TopicsError> {
        let state = self.cluster.state.lock();
        let commits = state.groups.get(group).into_iter().flatten();
        let commit = |(place, offset): (&TopicPartition, &i64)| {
            (place.clone(), Commit { offset: *offset, metadata: String::new() })
        };
        Ok(commits.map(commit).collect())
    }
}
