//! The cluster as a node knows it: an immutable [`Image`], one for each committed change.
//!
//! The image is what the records of `__cluster_metadata` add up to. Handlers and coordinators read it; the controller
//! and the followers of its log build the next one. Maps are shared between images until one of them changes, so an
//! image is cheap to publish, and [`ImageDelta`] finds what differs by comparing pointers first.

mod delta;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use delta::{ImageDelta, PartitionDelta};

use crate::id::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, ProducerId,
    TopicId, TopicName, Uuid,
};

/// The state of the cluster at one offset of its metadata log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// The last offset of the metadata log that is in it; [`Offset::NONE`] before the first.
    pub offset: Offset,
    /// The leader epoch of that record.
    pub epoch: LeaderEpoch,
    /// The leader of the controller quorum, as far as this node knows.
    pub controller: BrokerId,
    /// The registered brokers.
    pub brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    /// The registered controllers.
    pub controllers: Arc<BTreeMap<BrokerId, Arc<Controller>>>,
    /// The topics.
    pub topics: Topics,
    /// The dynamic configuration, by what it configures.
    pub configs: Arc<HashMap<ConfigResource, Arc<BTreeMap<String, String>>>>,
    /// The finalised feature levels; a feature that is not here has level 0.
    pub features: Arc<BTreeMap<String, i16>>,
    /// The first producer id that is not handed out yet.
    pub next_producer_id: ProducerId,
}

impl Image {
    /// The finalised level of a feature.
    #[must_use]
    pub fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// A partition by the name of its topic.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: PartitionIndex) -> Option<&Partition> {
        self.topics.by_name(topic)?.partition(partition)
    }

    /// Sets a dynamic configuration value, or removes it. A resource without values is not there.
    pub fn set_config(&mut self, resource: &ConfigResource, key: &str, value: Option<&str>) {
        let configs = Arc::make_mut(&mut self.configs);
        match value {
            Some(value) => {
                let values = Arc::make_mut(configs.entry(resource.clone()).or_default());
                values.insert(key.to_owned(), value.to_owned());
            }
            None => {
                if let Some(values) = configs.get_mut(resource) {
                    Arc::make_mut(values).remove(key);
                    if values.is_empty() {
                        configs.remove(resource);
                    }
                }
            }
        }
    }

    /// The dynamic configuration of one resource; `None` when nothing is set.
    #[must_use]
    pub fn config(&self, resource: &ConfigResource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.configs.get(resource)
    }
}

/// The topics, by identity and by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topics {
    by_id: Arc<HashMap<TopicId, Arc<Topic>>>,
    ids: Arc<BTreeMap<TopicName, TopicId>>,
}

impl Topics {
    /// The topic of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_id.get(self.ids.get(name)?)
    }

    /// The topic of this identity.
    #[must_use]
    pub fn by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// Every topic, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.ids.values().filter_map(|id| self.by_id.get(id))
    }

    /// Every topic whose name comes after `name` or is `name`, ordered by name.
    pub fn from(&self, name: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.ids
            .range::<str, _>((std::ops::Bound::Included(name), std::ops::Bound::Unbounded))
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Adds a topic. It replaces the one of the same identity and the one of the same name.
    pub fn insert(&mut self, topic: Topic) {
        let by_id = Arc::make_mut(&mut self.by_id);
        let ids = Arc::make_mut(&mut self.ids);
        if let Some(namesake) = ids.insert(topic.name.clone(), topic.id).filter(|id| *id != topic.id) {
            by_id.remove(&namesake);
        }
        let name = topic.name.clone();
        if let Some(renamed) = by_id.insert(topic.id, Arc::new(topic)).filter(|old| old.name != name) {
            ids.remove(&renamed.name);
        }
    }

    /// The topic of this identity, to change its partitions. Copies the topic when another image shares it.
    pub fn partitions_mut(&mut self, id: TopicId) -> Option<&mut Vec<Partition>> {
        let topic = Arc::make_mut(&mut self.by_id).get_mut(&id)?;
        Some(&mut Arc::make_mut(topic).partitions)
    }

    /// Removes a topic and returns it.
    pub fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let topic = Arc::make_mut(&mut self.by_id).remove(&id)?;
        Arc::make_mut(&mut self.ids).remove(&topic.name);
        Some(topic)
    }

    /// True when both certainly hold the same topics because they share their memory.
    fn shares_with(&self, other: &Topics) -> bool {
        Arc::ptr_eq(&self.by_id, &other.by_id)
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Its identity.
    pub id: TopicId,
    /// Its partitions, by number.
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// One of its partitions.
    #[must_use]
    pub fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }

    /// Its partitions with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (PartitionIndex, &Partition)> {
        (0..).map(PartitionIndex).zip(&self.partitions)
    }
}

/// The replicas of a partition and who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// The brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica, in the same order.
    pub directories: Vec<DirectoryId>,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Replicas that a reassignment adds.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment removes.
    pub removing: Vec<BrokerId>,
    /// The eligible leader replicas (KIP-966).
    pub eligible: Vec<BrokerId>,
    /// The last known eligible leader replicas (KIP-966).
    pub last_known_eligible: Vec<BrokerId>,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// How often leadership has changed.
    pub leader_epoch: LeaderEpoch,
    /// How often anything of this has changed.
    pub partition_epoch: PartitionEpoch,
    /// The leader was elected uncleanly and is still recovering.
    pub recovering: bool,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: BrokerId,
    /// The offset of its registration.
    pub epoch: BrokerEpoch,
    /// Differs for every process.
    pub incarnation: Uuid,
    /// Where clients and brokers reach it.
    pub endpoints: Vec<Endpoint>,
    /// Its rack.
    pub rack: Option<String>,
    /// The levels of each feature it supports.
    pub features: BTreeMap<String, FeatureRange>,
    /// Its online log directories.
    pub directories: Vec<DirectoryId>,
    /// Those of its log directories that take no new replicas (KIP-1066).
    pub cordoned: Vec<DirectoryId>,
    /// It takes no part: it does not lead, and clients do not see it.
    pub fenced: bool,
    /// It is shutting down in an orderly way.
    pub in_controlled_shutdown: bool,
}

impl Broker {
    /// Where the broker listens under this listener name.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }

    /// True when it may lead and be in sync: neither fenced nor shutting down.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

/// A registered controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Its node id.
    pub id: BrokerId,
    /// Differs for every process.
    pub incarnation: Uuid,
    /// Where others reach it.
    pub endpoints: Vec<Endpoint>,
    /// The levels of each feature it supports.
    pub features: BTreeMap<String, FeatureRange>,
}

/// An advertised address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    /// The host name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Kafka's number of the security protocol: 0 `PLAINTEXT`, 1 `SSL`, 2 `SASL_PLAINTEXT`, 3 `SASL_SSL`.
    pub security_protocol: i16,
}

/// The levels of a feature that a node supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

/// What a dynamic configuration configures. The cluster-wide default of a kind has the empty name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// The kind.
    pub kind: ConfigKind,
    /// Its name: a topic, a node id as decimal, a group; empty is the default of all.
    pub name: String,
}

/// A kind of configured resource; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ConfigKind {
    /// A topic.
    Topic = 2,
    /// A broker, or all of them.
    Broker = 4,
    /// The log levels of a broker.
    BrokerLogger = 8,
    /// A subscription of client metrics (KIP-714).
    ClientMetrics = 16,
    /// A group (KIP-848).
    Group = 32,
}

impl ConfigKind {
    /// The kind of this number; `None` for a number that is none.
    #[must_use]
    pub fn from_id(id: i8) -> Option<ConfigKind> {
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group]
            .into_iter()
            .find(|kind| kind.id() == id)
    }

    /// Its number.
    #[must_use]
    pub const fn id(self) -> i8 {
        self as i8
    }
}

impl ConfigResource {
    /// The resource of this kind and name.
    #[must_use]
    pub fn new(kind: ConfigKind, name: &str) -> ConfigResource {
        ConfigResource { kind, name: name.to_owned() }
    }

    /// A topic.
    #[must_use]
    pub fn topic(name: &str) -> ConfigResource {
        ConfigResource::new(ConfigKind::Topic, name)
    }

    /// One broker.
    #[must_use]
    pub fn broker(id: BrokerId) -> ConfigResource {
        ConfigResource { kind: ConfigKind::Broker, name: id.to_string() }
    }

    /// All brokers.
    #[must_use]
    pub fn brokers() -> ConfigResource {
        ConfigResource::new(ConfigKind::Broker, "")
    }
}
