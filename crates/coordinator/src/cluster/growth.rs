//! Giving topics more partitions.

use vltava_core::id::BrokerId;
use vltava_core::image::{Partition, Topic};

use super::Cluster;
use super::command::{CreatePartitions, GrownTopic, MorePartitions};
use super::event::Event;
use super::placement::place;
use super::random::Random;
use super::topics::{PARTITIONS_PER_REQUEST_MAX, TopicError, numbered, once, refuse};

impl Cluster {
    /// Decides the growth of topics.
    pub(super) fn create_partitions(
        &self,
        request: CreatePartitions,
        random: &mut Random,
    ) -> (Vec<Event>, Vec<GrownTopic>) {
        let (topics, duplicates) = once(request.topics, |topic| &topic.name);
        let more = |topic: &MorePartitions| {
            let now = self.image.topics.by_name(&topic.name).map_or(0, |known| known.partitions.len());
            (i64::from(topic.count) - i64::try_from(now).unwrap_or(i64::MAX)).max(0)
        };
        let too_many = topics.iter().map(more).sum::<i64>() > PARTITIONS_PER_REQUEST_MAX;
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(topics.len());
        for topic in topics {
            let result = if too_many {
                Err(TopicError::TooManyMorePartitions)
            } else {
                self.grow_topic(&topic, random).map(|grown| events.extend(grown))
            };
            results.push((topic.name, result));
        }
        results.extend(duplicates.into_iter().map(|name| (name, Err(TopicError::DuplicateName))));
        if request.validate_only {
            events.clear();
        }
        (events, results)
    }

    fn grow_topic(&self, request: &MorePartitions, random: &mut Random) -> Result<Vec<Event>, TopicError> {
        let topic = self.image.topics.by_name(&request.name).ok_or(TopicError::UnknownToGrow)?;
        let now = topic.partitions.len();
        let wanted = usize::try_from(request.count).unwrap_or(0);
        if wanted == now && request.count >= 0 {
            return Err(TopicError::SamePartitions(now));
        }
        if wanted < now || request.count < 0 {
            return Err(TopicError::FewerPartitions {
                name: request.name.clone(),
                now,
                wanted: request.count,
            });
        }
        let replicas = topic.partitions.first().map_or(1, |first| first.replicas.len());
        let partitions = match &request.assignments {
            Some(assignments) => self.assigned_growth(topic, wanted - now, assignments, replicas)?,
            None => place(&self.candidates(), wanted - now, replicas, random)
                .map_err(TopicError::Growth)?
                .into_iter()
                .map(|set| self.new_partition(set).ok_or(TopicError::NoLeader(replicas)))
                .collect::<Result<_, _>>()?,
        };
        let created = |(index, partition)| Event::PartitionCreated { topic: topic.id, index, partition };
        Ok(numbered(now, partitions).map(created).collect())
    }

    fn assigned_growth(
        &self,
        topic: &Topic,
        additional: usize,
        assignments: &[Vec<BrokerId>],
        replicas: usize,
    ) -> Result<Vec<Partition>, TopicError> {
        if assignments.len() != additional {
            return refuse(format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            ));
        }
        numbered(topic.partitions.len(), assignments.iter())
            .map(|(index, brokers)| self.assigned_partition(index, brokers, Some(replicas)))
            .collect()
    }
}
