//! Creating topics, and what can be wrong with one.
//!
//! Each topic of a request succeeds or fails by itself; what succeeds is one atomic batch.

use std::collections::{BTreeMap, BTreeSet};

use vltava_core::config::alter::check_topic;
use vltava_core::config::{BrokerLayers, ConfigError, Properties};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, CLUSTER_METADATA_TOPIC, NameError, PartitionIndex, TopicId, TopicName};
use vltava_core::image::{ConfigResource, Partition};

use super::command::{CreateTopics, CreatedTopic, NewTopic};
use super::event::Event;
use super::placement::{Candidate, PlacementError, place};
use super::random::Random;
use super::{Cluster, EVENTS_PER_REQUEST_MAX};

/// The most partitions that one request may create.
pub const PARTITIONS_PER_REQUEST_MAX: i64 = 10_000;

/// Why a topic stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The name breaks the rules.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The request names it twice.
    #[error("Duplicate topic name.")]
    DuplicateName,
    /// The request names its identity twice.
    #[error("Duplicate topic id.")]
    DuplicateId,
    /// The request gives name and identity.
    #[error("You may not specify both topic name and topic id.")]
    NameAndId,
    /// The request gives neither name nor identity.
    #[error("Neither topic name nor id were specified.")]
    NeitherNameNorId,
    /// The request gives the name and, elsewhere, the identity of one topic.
    #[error("The provided topic name maps to an ID that was already supplied.")]
    NameOfSuppliedId,
    /// Nobody creates the metadata log.
    #[error("Creation of internal topic {CLUSTER_METADATA_TOPIC} is prohibited.")]
    Metadata,
    /// It exists.
    #[error("Topic '{0}' already exists.")]
    AlreadyExists(String),
    /// Its metrics could not be told from those of another.
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collision {
        /// The new name.
        name: String,
        /// The name that exists.
        existing: TopicName,
    },
    /// No topic of this name.
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    /// No topic of this name, when it is to grow.
    #[error("This server does not host this topic-partition.")]
    UnknownToGrow,
    /// No topic of this identity.
    #[error("This server does not host this topic ID.")]
    UnknownId,
    /// Topics are not deleted in this cluster.
    #[error("Topic deletion is disabled.")]
    DeletionDisabled,
    /// A key without a value.
    #[error("Null value not supported for topic configs: {0}")]
    NullConfigs(String),
    /// A key or value that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An assignment leaves nothing to count.
    #[error("A manual partition assignment was specified, but replication factor was not set to -1.")]
    AssignmentAndReplicationFactor,
    /// An assignment leaves nothing to count.
    #[error("A manual partition assignment was specified, but numPartitions was not set to -1.")]
    AssignmentAndPartitions,
    /// The replication factor is 0 or less.
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    ReplicationFactor,
    /// The partition count is 0 or less.
    #[error("Number of partitions was set to an invalid non-positive value.")]
    Partitions,
    /// Replicas cannot be placed.
    #[error("Unable to replicate the partition {replicas} time(s): {why}")]
    Placement {
        /// How many replicas were wanted.
        replicas: usize,
        /// Why not.
        why: PlacementError,
    },
    /// Replicas cannot be placed.
    #[error(transparent)]
    Growth(PlacementError),
    /// No broker that would hold a replica can lead.
    #[error(
        "Unable to replicate the partition {0} time(s): All brokers are currently fenced or in controlled shutdown."
    )]
    NoLeader(usize),
    /// The assignment cannot be used.
    #[error("{0}")]
    Assignment(String),
    /// It has as many partitions already.
    #[error("Topic already has {0} partition(s).")]
    SamePartitions(usize),
    /// It has more partitions already.
    #[error("The topic {name} currently has {now} partition(s); {wanted} would not be an increase.")]
    FewerPartitions {
        /// The topic.
        name: String,
        /// How many it has.
        now: usize,
        /// How many were wanted.
        wanted: i32,
    },
    /// The request wants too many partitions; all of it is refused.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// The request wants too many more partitions; all of it is refused.
    #[error("Excessively large number of additional partitions per request.")]
    TooManyMorePartitions,
    /// The request would take too many records; all of it is refused.
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
    /// The broker holds no replica of it.
    #[error("Broker {0} holds no replica of this partition.")]
    NotAReplica(BrokerId),
}

impl TopicError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Name(name) => name.code(),
            Self::DuplicateName
            | Self::DuplicateId
            | Self::NameAndId
            | Self::NeitherNameNorId
            | Self::NameOfSuppliedId
            | Self::Metadata
            | Self::AssignmentAndReplicationFactor
            | Self::AssignmentAndPartitions => ErrorCode::INVALID_REQUEST,
            Self::AlreadyExists(_) => ErrorCode::TOPIC_ALREADY_EXISTS,
            Self::Collision { .. } => ErrorCode::INVALID_TOPIC_EXCEPTION,
            Self::UnknownName | Self::UnknownToGrow => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::UnknownId => ErrorCode::UNKNOWN_TOPIC_ID,
            Self::DeletionDisabled => ErrorCode::TOPIC_DELETION_DISABLED,
            Self::NullConfigs(_) => ErrorCode::INVALID_CONFIG,
            Self::Config(config) => config.code(),
            Self::ReplicationFactor | Self::Placement { .. } | Self::Growth(_) | Self::NoLeader(_) => {
                ErrorCode::INVALID_REPLICATION_FACTOR
            }
            Self::Partitions | Self::SamePartitions(_) | Self::FewerPartitions { .. } => {
                ErrorCode::INVALID_PARTITIONS
            }
            Self::Assignment(_) => ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            Self::TooManyPartitions | Self::TooManyMorePartitions | Self::TooLarge => {
                ErrorCode::POLICY_VIOLATION
            }
            Self::NotAReplica(_) => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        }
    }

    /// What Kafka says besides the code, where it says anything.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        match self {
            Self::UnknownToGrow | Self::NotAReplica(_) => None,
            _ => Some(self.to_string()),
        }
    }
}

type CreateResults = Vec<(String, Result<CreatedTopic, TopicError>)>;

impl Cluster {
    /// Decides the creation of topics.
    pub(super) fn create_topics(
        &self,
        request: CreateTopics,
        random: &mut Random,
    ) -> (Vec<Event>, CreateResults) {
        let (topics, duplicates) = once(request.topics, |topic| &topic.name);
        let wanted = topics.iter().map(|topic| self.partitions_wanted(topic)).sum::<i64>();
        let layers = self.broker_layers();
        let mut events = Vec::new();
        let mut results: CreateResults = Vec::with_capacity(topics.len());
        for topic in topics {
            let result = if wanted > PARTITIONS_PER_REQUEST_MAX {
                Err(TopicError::TooManyPartitions)
            } else {
                self.create_topic(&topic, &layers, random, &mut events)
            };
            results.push((topic.name, result));
        }
        if events.len() > EVENTS_PER_REQUEST_MAX {
            results.iter_mut().for_each(|(_, result)| *result = Err(TopicError::TooLarge));
            events.clear();
        }
        results.extend(duplicates.into_iter().map(|name| (name, Err(TopicError::DuplicateName))));
        if request.validate_only {
            events.clear();
        }
        (events, results)
    }

    fn partitions_wanted(&self, topic: &NewTopic) -> i64 {
        match (topic.assignments.len(), topic.partitions) {
            (0, -1) => i64::from(self.options.default_partitions),
            (0, partitions) => i64::from(partitions.max(0)),
            (assigned, _) => i64::try_from(assigned).unwrap_or(i64::MAX),
        }
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        layers: &BrokerLayers,
        random: &mut Random,
        events: &mut Vec<Event>,
    ) -> Result<CreatedTopic, TopicError> {
        let name = self.new_name(&topic.name)?;
        let configs = new_configs(topic, layers)?;
        let partitions = self.new_partitions(topic, random)?;
        let id = TopicId(random.uuid());
        let created = CreatedTopic {
            id,
            partitions: i32::try_from(partitions.len()).map_err(|_| TopicError::TooManyPartitions)?,
            replication_factor: replication_factor(&partitions),
            configs,
        };
        events.push(Event::TopicCreated { name: name.clone(), id });
        let resource = ConfigResource::topic(&name);
        events.extend(created.configs.iter().map(|(key, value)| Event::ConfigSet {
            resource: resource.clone(),
            key: key.clone(),
            value: Some(value.clone()),
        }));
        events.extend(numbered(0, partitions).map(|(index, partition)| Event::PartitionCreated {
            topic: id,
            index,
            partition,
        }));
        Ok(created)
    }

    fn new_name(&self, name: &str) -> Result<TopicName, TopicError> {
        if name == CLUSTER_METADATA_TOPIC {
            return Err(TopicError::Metadata);
        }
        let valid = TopicName::new(name)?;
        if self.image.topics.by_name(name).is_some() {
            return Err(TopicError::AlreadyExists(name.to_owned()));
        }
        match self.namesakes.get(&valid.metric_name()).and_then(BTreeSet::first) {
            Some(existing) => {
                Err(TopicError::Collision { name: name.to_owned(), existing: existing.clone() })
            }
            None => Ok(valid),
        }
    }

    fn new_partitions(&self, topic: &NewTopic, random: &mut Random) -> Result<Vec<Partition>, TopicError> {
        if !topic.assignments.is_empty() {
            return self.assigned_partitions(topic);
        }
        let count = match topic.partitions {
            -1 => self.options.default_partitions,
            count => count,
        };
        let factor = match topic.replication_factor {
            -1 => self.options.default_replication_factor,
            factor => factor,
        };
        let replicas = usize::try_from(factor).ok().filter(|replicas| *replicas > 0);
        let replicas = replicas.ok_or(TopicError::ReplicationFactor)?;
        let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(TopicError::Partitions)?;
        let placed = place(&self.candidates(), count, replicas, random)
            .map_err(|why| TopicError::Placement { replicas, why })?;
        placed.into_iter().map(|set| self.new_partition(set).ok_or(TopicError::NoLeader(replicas))).collect()
    }

    fn assigned_partitions(&self, topic: &NewTopic) -> Result<Vec<Partition>, TopicError> {
        if topic.replication_factor != -1 {
            return Err(TopicError::AssignmentAndReplicationFactor);
        }
        if topic.partitions != -1 {
            return Err(TopicError::AssignmentAndPartitions);
        }
        let mut partitions = BTreeMap::new();
        let mut replicas = None;
        for (index, brokers) in &topic.assignments {
            if partitions.contains_key(index) {
                return refuse(format!("Found multiple manual partition assignments for partition {index}"));
            }
            partitions.insert(*index, self.assigned_partition(*index, brokers, replicas)?);
            replicas = Some(brokers.len());
        }
        if (0..).zip(partitions.keys()).any(|(expected, index)| index.0 != expected) {
            return refuse("partitions should be a consecutive 0-based integer sequence".to_owned());
        }
        Ok(partitions.into_values().collect())
    }

    pub(super) fn assigned_partition(
        &self,
        index: PartitionIndex,
        brokers: &[BrokerId],
        replicas: Option<usize>,
    ) -> Result<Partition, TopicError> {
        self.check_assignment(brokers, replicas)?;
        self.new_partition(brokers.to_vec()).ok_or_else(|| {
            TopicError::Assignment(format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in controlled shutdown."
            ))
        })
    }

    fn check_assignment(&self, brokers: &[BrokerId], replicas: Option<usize>) -> Result<(), TopicError> {
        const SUBJECT: &str = "The manual partition assignment includes";
        if brokers.is_empty() {
            return refuse(format!("{SUBJECT} an empty replica list."));
        }
        let mut sorted = brokers.to_vec();
        sorted.sort();
        let mut previous = None;
        for id in sorted {
            match self.image.brokers.get(&id) {
                None => return refuse(format!("{SUBJECT} broker {id}, but no such broker is registered.")),
                Some(broker) if is_cordoned(broker) => {
                    return refuse(format!(
                        "{SUBJECT} broker {id}, but all its log directories are cordoned."
                    ));
                }
                Some(_) if previous == Some(id) => {
                    return refuse(format!("{SUBJECT} the broker {id} more than once."));
                }
                Some(_) => previous = Some(id),
            }
        }
        match replicas {
            Some(replicas) if replicas != brokers.len() => refuse(format!(
                "{SUBJECT} a partition with {} replica(s), but this is not consistent with previous partitions, which have {replicas} replica(s).",
                brokers.len()
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let brokers = self.image.brokers.values().filter(|broker| !is_cordoned(broker));
        brokers
            .map(|broker| Candidate { id: broker.id, rack: broker.rack.clone(), fenced: broker.fenced })
            .collect()
    }
}

fn new_configs(topic: &NewTopic, layers: &BrokerLayers) -> Result<Properties, TopicError> {
    let without: Vec<&str> =
        topic.configs.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str()).collect();
    if !without.is_empty() {
        return Err(TopicError::NullConfigs(without.join(",")));
    }
    let configs: Properties =
        topic.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    check_topic(&Properties::new(), &configs, layers)?;
    Ok(configs)
}

fn is_cordoned(broker: &vltava_core::image::Broker) -> bool {
    !broker.directories.is_empty() && broker.directories.iter().all(|id| broker.cordoned.contains(id))
}

fn replication_factor(partitions: &[Partition]) -> i16 {
    partitions.first().map_or(0, |first| i16::try_from(first.replicas.len()).unwrap_or(i16::MAX))
}

pub(super) fn refuse<T>(why: String) -> Result<T, TopicError> {
    Err(TopicError::Assignment(why))
}

/// The items with the numbers of partitions, from `first` on.
pub(super) fn numbered<T>(
    first: usize,
    items: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (PartitionIndex, T)> {
    // No topic comes near 2³¹ partitions: a request adds at most PARTITIONS_PER_REQUEST_MAX.
    let first = i32::try_from(first).unwrap_or(i32::MAX);
    items.into_iter().scan(first, |next, item| {
        let index = PartitionIndex(*next);
        *next = next.checked_add(1)?;
        Some((index, item))
    })
}

/// The items whose name is there once, and the names that are there more often.
pub(super) fn once<T>(items: Vec<T>, name: impl Fn(&T) -> &String) -> (Vec<T>, BTreeSet<String>) {
    let duplicates = repeated(items.iter().map(&name));
    (items.into_iter().filter(|item| !duplicates.contains(name(item))).collect(), duplicates)
}

pub(super) fn repeated<'a, T: Ord + Clone + 'a>(items: impl Iterator<Item = &'a T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    items.filter(|item| !seen.insert(*item)).cloned().collect()
}
