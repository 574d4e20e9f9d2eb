//! What can happen to the cluster: one event is one record of `__cluster_metadata`.

use bytes::Bytes;
use vltava_core::id::{
    BrokerEpoch, BrokerId, DirectoryId, PartitionIndex, ProducerId, TopicId, TopicName, Uuid,
};
use vltava_core::image::{Broker, ConfigResource, Controller, Partition};

/// A change of the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A broker registered, again or for the first time.
    BrokerRegistered(Broker),
    /// A broker was forgotten.
    BrokerUnregistered {
        /// Which.
        broker: BrokerId,
        /// The epoch of its last registration.
        epoch: BrokerEpoch,
    },
    /// Something about a registered broker changed.
    BrokerChanged(BrokerChange),
    /// A controller registered.
    ControllerRegistered(Controller),
    /// A controller was forgotten (KIP-1312).
    ControllerUnregistered(BrokerId),
    /// A topic came to be, as yet without partitions.
    TopicCreated {
        /// Its name.
        name: TopicName,
        /// Its identity.
        id: TopicId,
    },
    /// A topic, its partitions and its configuration are gone.
    TopicRemoved(TopicId),
    /// A partition came to be.
    PartitionCreated {
        /// Of which topic.
        topic: TopicId,
        /// Its number.
        index: PartitionIndex,
        /// What it is.
        partition: Partition,
    },
    /// A partition changed.
    PartitionChanged(PartitionChange),
    /// The eligible leader replicas of a topic, or of all, were forgotten (KIP-966).
    EligibleLeadersCleared {
        /// The topic; `None` is all.
        topic: Option<TopicName>,
    },
    /// A dynamic configuration value was set, or removed.
    ConfigSet {
        /// Of what.
        resource: ConfigResource,
        /// The key.
        key: String,
        /// The value; `None` removes it.
        value: Option<String>,
    },
    /// A feature level was finalised; 0 disables the feature.
    FeatureSet {
        /// Which feature.
        name: String,
        /// Its level.
        level: i16,
    },
    /// A broker got a block of producer ids.
    ProducerIdsAllocated(ProducerIds),
    /// Nothing: a sign of life of the controller.
    Nothing,
    /// What follows counts only once [`Event::TransactionEnded`] does (KIP-868).
    TransactionBegun {
        /// What it is for.
        name: Option<String>,
    },
    /// What was held back since [`Event::TransactionBegun`] counts.
    TransactionEnded,
    /// What was held back since [`Event::TransactionBegun`] never was.
    TransactionAborted {
        /// Why.
        reason: Option<String>,
    },
    /// A record that is kept as it stands.
    Kept(Kept),
}

/// A change of a registered broker; what is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerChange {
    /// Which broker.
    pub broker: BrokerId,
    /// The epoch of its registration.
    pub epoch: BrokerEpoch,
    /// It was fenced, or unfenced.
    pub fenced: Option<bool>,
    /// It began to shut down in an orderly way.
    pub in_controlled_shutdown: bool,
    /// Its online log directories.
    pub directories: Option<Vec<DirectoryId>>,
    /// Those of them that take no new replicas.
    pub cordoned: Option<Vec<DirectoryId>>,
}

impl BrokerChange {
    /// Changes nothing as yet.
    #[must_use]
    pub fn of(broker: BrokerId, epoch: BrokerEpoch) -> BrokerChange {
        BrokerChange {
            broker,
            epoch,
            fenced: None,
            in_controlled_shutdown: false,
            directories: None,
            cordoned: None,
        }
    }

    /// Fences or unfences the broker.
    #[must_use]
    pub fn fenced(broker: BrokerId, epoch: BrokerEpoch, fenced: bool) -> BrokerChange {
        BrokerChange { fenced: Some(fenced), ..BrokerChange::of(broker, epoch) }
    }
}

/// A change of a partition; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    /// Of which topic.
    pub topic: TopicId,
    /// Its number.
    pub index: PartitionIndex,
    /// The in-sync replicas.
    pub isr: Option<Vec<BrokerId>>,
    /// The leader, or [`BrokerId::NONE`]. Setting it begins a leader epoch, even when it is the same.
    pub leader: Option<BrokerId>,
    /// The replicas, the preferred leader first.
    pub replicas: Option<Vec<BrokerId>>,
    /// Replicas that a reassignment removes.
    pub removing: Option<Vec<BrokerId>>,
    /// Replicas that a reassignment adds.
    pub adding: Option<Vec<BrokerId>>,
    /// Whether the leader is recovering from an unclean election.
    pub recovering: Option<bool>,
    /// The log directory of each replica.
    pub directories: Option<Vec<DirectoryId>>,
    /// The eligible leader replicas.
    pub eligible: Option<Vec<BrokerId>>,
    /// The last known eligible leader replicas.
    pub last_known_eligible: Option<Vec<BrokerId>>,
}

impl PartitionChange {
    /// Changes nothing as yet.
    #[must_use]
    pub fn of(topic: TopicId, index: PartitionIndex) -> PartitionChange {
        PartitionChange { topic, index, ..PartitionChange::default() }
    }

    /// True when it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == PartitionChange::of(self.topic, self.index)
    }
}

/// The last block of producer ids that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIds {
    /// Who got it.
    pub broker: BrokerId,
    /// In which registration.
    pub epoch: BrokerEpoch,
    /// The first id behind it.
    pub next: ProducerId,
}

/// A record that the controller keeps byte by byte because nobody here reads it: access control, quotas, credentials,
/// tokens. So a directory of Kafka's can be adopted and loses nothing, not even in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is about: a later record about the same takes its place.
    pub about: KeptKey,
    /// It takes away what earlier records about the same said.
    pub removes: bool,
    /// The value of the record.
    pub record: Bytes,
}

/// What a kept record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKey {
    /// A rule of access control, by its id.
    AccessControl(Uuid),
    /// One limit of a quota.
    Quota {
        /// For whom: kind and name of each part; `None` is the default of its kind.
        entity: Vec<(String, Option<String>)>,
        /// Which limit.
        key: String,
    },
    /// A SCRAM credential.
    Credential {
        /// Whose.
        user: String,
        /// Kafka's number of the mechanism.
        mechanism: i8,
    },
    /// A delegation token, by its id.
    Token(String),
    /// How far a migration from ZooKeeper went.
    Migration,
}
