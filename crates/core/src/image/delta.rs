//! What differs between two images: what a broker has to open, lead, follow, reconfigure or close.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Broker, ConfigResource, Image, Partition, Topic, Topics};
use crate::id::{BrokerId, PartitionIndex, TopicId};

/// The way from one image to a later one.
///
/// A topic that was deleted and created again under its name is in both [`topics_deleted`](Self::topics_deleted) and
/// [`topics_created`](Self::topics_created), with its two identities.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageDelta {
    /// Topics that are new, ordered by name.
    pub topics_created: Vec<Arc<Topic>>,
    /// Topics that are gone, ordered by name.
    pub topics_deleted: Vec<Arc<Topic>>,
    /// Partitions that are new or differ, those of new topics included, ordered by topic name and number.
    pub partitions: Vec<PartitionDelta>,
    /// Resources whose dynamic configuration differs, in order.
    pub configs: Vec<ConfigResource>,
    /// Brokers that have come, gone or changed, in order.
    pub brokers: Vec<BrokerId>,
    /// Controllers that have come, gone or changed, in order.
    pub controllers: Vec<BrokerId>,
    /// Features whose finalised level differs, in order.
    pub features: Vec<String>,
}

/// A partition that is new or differs.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionDelta {
    /// Its topic, as it is now.
    pub topic: Arc<Topic>,
    /// Its number.
    pub index: PartitionIndex,
    /// What it was; `None` when it is new.
    pub before: Option<Partition>,
    /// What it is now.
    pub after: Partition,
}

impl ImageDelta {
    /// What leads from `before` to `after`. Costs one pointer comparison a map that did not change, and one a topic in
    /// maps that did.
    #[must_use]
    pub fn between(before: &Image, after: &Image) -> ImageDelta {
        let mut delta = ImageDelta {
            configs: changed_keys(
                before.configs.iter(),
                after.configs.iter(),
                Arc::ptr_eq(&before.configs, &after.configs),
            ),
            brokers: changed_keys(
                before.brokers.iter(),
                after.brokers.iter(),
                Arc::ptr_eq(&before.brokers, &after.brokers),
            ),
            controllers: changed_keys(
                before.controllers.iter(),
                after.controllers.iter(),
                Arc::ptr_eq(&before.controllers, &after.controllers),
            ),
            features: changed_keys(
                before.features.iter(),
                after.features.iter(),
                Arc::ptr_eq(&before.features, &after.features),
            ),
            ..ImageDelta::default()
        };
        if !before.topics.shares_with(&after.topics) {
            delta.compare_topics(&before.topics, &after.topics);
        }
        delta
    }

    /// True when the two images say the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == ImageDelta::default()
    }

    /// The changed partitions of which this broker holds a replica now.
    pub fn replicas_of(&self, broker: BrokerId) -> impl Iterator<Item = &PartitionDelta> {
        self.partitions.iter().filter(move |partition| partition.after.replicas.contains(&broker))
    }

    /// The partitions of which this broker held a replica, and holds none any more: deleted or reassigned.
    pub fn replicas_lost(&self, broker: BrokerId) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        let reassigned = self.partitions.iter().filter(move |partition| {
            let held = partition.before.as_ref().is_some_and(|before| before.replicas.contains(&broker));
            held && !partition.after.replicas.contains(&broker)
        });
        let deleted = self.topics_deleted.iter().flat_map(move |topic| {
            topic
                .numbered()
                .filter(move |(_, partition)| partition.replicas.contains(&broker))
                .map(|(index, _)| (topic.id, index))
        });
        deleted.chain(reassigned.map(|partition| (partition.topic.id, partition.index)))
    }

    fn compare_topics(&mut self, before: &Topics, after: &Topics) {
        self.topics_deleted =
            before.iter().filter(|topic| after.by_id(topic.id).is_none()).cloned().collect();
        for topic in after.iter() {
            match before.by_id(topic.id) {
                None => {
                    self.topics_created.push(topic.clone());
                    self.compare_partitions(topic, &[]);
                }
                Some(old) if Arc::ptr_eq(old, topic) => {}
                Some(old) => self.compare_partitions(topic, &old.partitions),
            }
        }
    }

    fn compare_partitions(&mut self, topic: &Arc<Topic>, before: &[Partition]) {
        let old = before.iter().map(Some).chain(std::iter::repeat(None));
        for ((index, after), before) in topic.numbered().zip(old) {
            if before != Some(after) {
                self.partitions.push(PartitionDelta {
                    topic: topic.clone(),
                    index,
                    before: before.cloned(),
                    after: after.clone(),
                });
            }
        }
    }
}

impl PartitionDelta {
    /// True when this broker leads now.
    #[must_use]
    pub fn is_led_by(&self, broker: BrokerId) -> bool {
        self.after.leader == broker
    }

    /// True when the leader or its epoch differs.
    #[must_use]
    pub fn leadership_changed(&self) -> bool {
        self.before.as_ref().is_none_or(|before| {
            (before.leader, before.leader_epoch) != (self.after.leader, self.after.leader_epoch)
        })
    }
}

impl Image {
    /// A broker that takes part.
    #[must_use]
    pub fn active_broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id).map(AsRef::as_ref).filter(|broker| broker.is_active())
    }
}

/// The keys whose values differ, in order.
fn changed_keys<'a, K: Ord + Clone + 'a, V: PartialEq + 'a>(
    before: impl Iterator<Item = (&'a K, &'a V)> + Clone,
    after: impl Iterator<Item = (&'a K, &'a V)> + Clone,
    shared: bool,
) -> Vec<K> {
    if shared {
        return Vec::new();
    }
    let before: std::collections::BTreeMap<&K, &V> = before.collect();
    let after: std::collections::BTreeMap<&K, &V> = after.collect();
    let keys: BTreeSet<&&K> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| before.get(*key) != after.get(*key)).map(|key| (*key).clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{LeaderEpoch, TopicName, Uuid};

    fn topic(name: &str, id: u128, leaders: &[i32]) -> Topic {
        let partition = |leader: &i32| Partition {
            replicas: vec![BrokerId(1), BrokerId(2)],
            leader: BrokerId(*leader),
            leader_epoch: LeaderEpoch(0),
            ..Partition::default()
        };
        Topic {
            name: TopicName::new(name).unwrap(),
            id: TopicId(Uuid::from_u128(id)),
            partitions: leaders.iter().map(partition).collect(),
        }
    }

    fn image(topics: &[Topic]) -> Image {
        let mut image = Image::default();
        for topic in topics {
            image.topics.insert(topic.clone());
        }
        image
    }

    fn check(before: &[Topic], after: &[Topic], expected: &str) {
        let (before, after) = (image(before), image(after));
        let delta = ImageDelta::between(&before, &after);
        let names = |topics: &[Arc<Topic>]| {
            topics.iter().map(|topic| topic.name.to_string()).collect::<Vec<_>>().join(" ")
        };
        let partitions: Vec<String> = delta
            .partitions
            .iter()
            .map(|partition| {
                let sign = if partition.before.is_some() { '~' } else { '+' };
                format!("{sign}{}-{}", partition.topic.name, partition.index)
            })
            .collect();
        let lost: Vec<String> = delta
            .replicas_lost(BrokerId(1))
            .map(|(id, index)| format!("{}-{index}", id.0.as_u128()))
            .collect();
        let found = format!(
            "+[{}] -[{}] {} lost {}",
            names(&delta.topics_created),
            names(&delta.topics_deleted),
            partitions.join(" "),
            lost.join(" ")
        );
        assert_eq!(found.trim(), expected);
    }

    #[test]
    fn topics_and_partitions_that_differ_are_found() {
        let a = || topic("a", 1, &[1, 1]);
        check(&[], &[], "+[] -[]  lost");
        check(&[], &[a()], "+[a] -[] +a-0 +a-1 lost");
        check(&[a()], &[], "+[] -[a]  lost 1-0 1-1");
        check(&[a()], &[topic("a", 1, &[1, 2])], "+[] -[] ~a-1 lost");
        check(&[a()], &[topic("a", 1, &[1, 1, 1])], "+[] -[] +a-2 lost");
        check(&[a()], &[topic("a", 2, &[1])], "+[a] -[a] +a-0 lost 1-0 1-1");
    }

    #[test]
    fn images_that_share_memory_do_not_differ() {
        let before = image(&[topic("a", 1, &[1])]);
        assert!(ImageDelta::between(&before, &before.clone()).is_empty());
    }

    #[test]
    fn settings_that_differ_are_found() {
        let before = Image::default();
        let mut after = before.clone();
        after.set_config(&ConfigResource::topic("a"), "retention.ms", Some("1"));
        Arc::make_mut(&mut after.features).insert("group.version".to_owned(), 1);
        let delta = ImageDelta::between(&before, &after);
        assert_eq!(delta.configs, [ConfigResource::topic("a")]);
        assert_eq!(delta.features, ["group.version"]);
        after.set_config(&ConfigResource::topic("a"), "retention.ms", None);
        assert!(ImageDelta::between(&before, &after).configs.is_empty());
    }
}
