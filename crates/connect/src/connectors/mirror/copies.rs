//! Which topics are copied, and the topics of the copies: created, grown and set like those of the source.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::{SettingFilter, TopicFilter};
use super::policy::Policy;
use crate::error::ConnectError;
use crate::settings::Values;
use crate::topics::NewTopic;
use crate::topics::cluster::{Cluster, TopicSetting};

/// The copies that a source makes.
#[derive(Debug)]
pub(super) struct Copies {
    policy: Policy,
    alias: String,
    topics: TopicFilter,
    settings: SettingFilter,
    replication_factor: i16,
}

/// Numbers of partitions, by the names of topics at the source.
pub(super) type Counts = BTreeMap<String, i32>;

impl Copies {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(Self {
            policy: Policy::new(values)?,
            alias: values.string("source.cluster.alias")?.to_owned(),
            topics: TopicFilter::new(values)?,
            settings: SettingFilter::new(values)?,
            replication_factor: i16::try_from(values.number("replication.factor")?).unwrap_or(-1),
        })
    }

    /// Creates what is missing at the target, and answers what has a copy then.
    ///
    /// # Errors
    /// When a cluster cannot be asked, or the target refuses so much that nothing is left to copy.
    pub(super) async fn complete(
        &self,
        source: &dyn Cluster,
        target: &dyn Cluster,
    ) -> Result<Counts, ConnectError> {
        let there = self.at_target(target, &self.at_source(source).await?).await?;
        let new = there.iter().filter(|(_, (_, have))| have.is_none()).map(|(topic, _)| topic.clone());
        let settings = source.topic_settings(&new.collect::<Vec<_>>()).await?;
        let (mut copied, mut refused) = (Counts::new(), None);
        for (topic, (wanted, have)) in there {
            let name = self.policy.remote(&self.alias, &topic);
            let outcome = match have {
                None => {
                    let settings = settings.get(&topic).map_or(&[][..], Vec::as_slice);
                    let settings = self.settings.of_new(settings)?;
                    let replication_factor = self.replication_factor;
                    let copy =
                        NewTopic { name: name.clone(), partitions: wanted, replication_factor, settings };
                    target.create(&copy).await
                }
                Some(have) if have < wanted => target.grow(&name, wanted).await,
                Some(_) => Ok(()),
            };
            match (outcome, have) {
                (Ok(()), _) => drop(copied.insert(topic, wanted)),
                (Err(error), have) => {
                    tracing::warn!(topic = name, %error, "a topic of copies cannot be created or grown");
                    refused = Some(error);
                    copied.extend(have.map(|have| (topic, have)));
                }
            }
        }
        match refused {
            Some(error) if copied.is_empty() => Err(error.into()),
            _ => Ok(copied),
        }
    }

    /// Sets the settings of copies as those of their topics are.
    pub(super) async fn set(&self, source: &dyn Cluster, target: &dyn Cluster) -> Result<(), ConnectError> {
        let there = self.at_target(target, &self.at_source(source).await?).await?;
        let copied = there.into_iter().filter(|(_, (_, have))| have.is_some());
        let topics: Vec<String> = copied.map(|(topic, _)| topic).collect();
        let names: Vec<String> = topics.iter().map(|topic| self.policy.remote(&self.alias, topic)).collect();
        let (theirs, ours) = (source.topic_settings(&topics).await?, target.topic_settings(&names).await?);
        for (topic, name) in topics.iter().zip(&names) {
            let (Some(wanted), Some(have)) = (theirs.get(topic), ours.get(name)) else { continue };
            let changes = self.settings.changes(wanted, have)?;
            if changes.is_empty() {
                continue;
            }
            if let Err(error) = target.change_topic(name, &changes).await {
                tracing::warn!(topic = name, %error, "settings of a topic of copies cannot be changed");
            }
        }
        Ok(())
    }

    async fn at_source(&self, source: &dyn Cluster) -> Result<Counts, ConnectError> {
        let mut topics = Vec::new();
        for topic in source.list().await? {
            if self.topics.takes(&topic)? {
                topics.push(topic);
            }
        }
        Ok(source.partition_counts(&topics).await?)
    }

    /// Each topic with how many partitions it has, and how many its copy has.
    async fn at_target(
        &self,
        target: &dyn Cluster,
        wanted: &Counts,
    ) -> Result<BTreeMap<String, (i32, Option<i32>)>, ConnectError> {
        let remote = |topic: &String| self.policy.remote(&self.alias, topic);
        let listed: BTreeSet<String> = target.list().await?.into_iter().collect();
        let names: Vec<String> = wanted.keys().map(remote).filter(|name| listed.contains(name)).collect();
        let there = target.partition_counts(&names).await?;
        let both =
            |(topic, count): (&String, &i32)| (topic.clone(), (*count, there.get(&remote(topic)).copied()));
        Ok(wanted.iter().map(both).collect())
    }
}

impl SettingFilter {
    /// The settings of a new copy.
    fn of_new(&self, wanted: &[TopicSetting]) -> Result<BTreeMap<String, String>, ConnectError> {
        let mut settings = BTreeMap::new();
        for setting in wanted {
            if (!setting.is_default || self.defaults_of_source) && self.takes(&setting.name)? {
                settings.insert(setting.name.clone(), setting.value.clone());
            }
        }
        Ok(settings)
    }

    /// What is to be changed of a copy that has the settings `have`.
    fn changes(
        &self,
        wanted: &[TopicSetting],
        have: &[TopicSetting],
    ) -> Result<BTreeMap<String, Option<String>>, ConnectError> {
        let mut changes = BTreeMap::new();
        for setting in wanted {
            if !self.takes(&setting.name)? {
                continue;
            }
            let known = have.iter().find(|known| known.name == setting.name);
            let value = (!setting.is_default || self.defaults_of_source).then(|| setting.value.clone());
            let is_so = match &value {
                Some(value) => known.is_some_and(|known| known.value == *value && !known.is_default),
                None => known.is_none_or(|known| known.is_default),
            };
            if !is_so {
                changes.insert(setting.name.clone(), value);
            }
        }
        Ok(changes)
    }
}
