//! What the controller is asked, and what it answers. Each pair is one API of Kafka; handlers only translate.
//!
//! Numbers that may be out of range stay as they were sent, because saying what is wrong with them is the controller's
//! part of the answer.

use std::collections::BTreeMap;

use vltava_core::id::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId, TopicId,
    TopicIdPartition, Uuid,
};
use vltava_core::image::{ConfigResource, Controller, Endpoint, FeatureRange};

use super::brokers::BrokerError;
use super::configs::ConfigChangeError;
use super::features::FeatureError;
use super::in_sync::AlteredPartition;
use super::partitions::ElectionError;
use super::topics::TopicError;

/// What the controller is asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// A broker wants to be part of the cluster.
    RegisterBroker(RegisterBroker),
    /// A broker is ready, goes down in an orderly way, or was lost.
    MoveBroker {
        /// Which.
        broker: BrokerId,
        /// The epoch of its registration.
        epoch: BrokerEpoch,
        /// What it is to be.
        state: BrokerState,
    },
    /// A broker takes new replicas in other directories than before (KIP-1066).
    CordonDirectories {
        /// Which.
        broker: BrokerId,
        /// The epoch of its registration.
        epoch: BrokerEpoch,
        /// Those that take none.
        cordoned: Vec<DirectoryId>,
    },
    /// A broker is to be forgotten.
    UnregisterBroker(BrokerId),
    /// A controller makes itself known.
    RegisterController(Controller),
    /// A controller is to be forgotten (KIP-1312).
    UnregisterController(BrokerId),
    /// Topics are to be created.
    CreateTopics(CreateTopics),
    /// Topics are to be deleted.
    DeleteTopics(Vec<TopicReference>),
    /// Topics are to get more partitions.
    CreatePartitions(CreatePartitions),
    /// The whole dynamic configuration of resources is to be replaced.
    ReplaceConfigs(ReplaceConfigs),
    /// Single values of dynamic configurations are to be changed (KIP-339).
    ChangeConfigs(ChangeConfigs),
    /// Feature levels are to be finalised (KIP-584).
    UpdateFeatures(UpdateFeatures),
    /// A broker needs producer ids (KIP-730).
    AllocateProducerIds {
        /// Which.
        broker: BrokerId,
        /// The epoch of its registration.
        epoch: BrokerEpoch,
    },
    /// Leaders are to be elected.
    ElectLeaders(ElectLeaders),
    /// A broker tells in which log directories its replicas are (KIP-858).
    AssignDirectories {
        /// Which broker.
        broker: BrokerId,
        /// The epoch of its registration.
        epoch: BrokerEpoch,
        /// Where each replica is.
        directories: Vec<(TopicIdPartition, DirectoryId)>,
    },
    /// A leader asks for other in-sync replicas (KIP-497).
    AlterIsr {
        /// Which broker leads.
        broker: BrokerId,
        /// The epoch of its registration.
        epoch: BrokerEpoch,
        /// The change of each partition.
        partitions: Vec<(TopicIdPartition, AlterIsr)>,
    },
}

/// What the controller answers: the variant of the command's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The epoch of the registration.
    RegisterBroker(Result<BrokerEpoch, BrokerError>),
    /// Whether it is now.
    MoveBroker(Result<(), BrokerError>),
    /// Whether it does now.
    CordonDirectories(Result<(), BrokerError>),
    /// Whether it was forgotten.
    UnregisterBroker(Result<(), BrokerError>),
    /// Whether it is known now.
    RegisterController(Result<(), BrokerError>),
    /// Whether it was forgotten.
    UnregisterController(Result<(), BrokerError>),
    /// For each name of the request, once.
    CreateTopics(Vec<(String, Result<CreatedTopic, TopicError>)>),
    /// For each topic of the request, once.
    DeleteTopics(Vec<DeletedTopic>),
    /// For each name of the request, once.
    CreatePartitions(Vec<GrownTopic>),
    /// For each resource of the request, once.
    ReplaceConfigs(Vec<AlteredConfig>),
    /// For each resource of the request, once.
    ChangeConfigs(Vec<AlteredConfig>),
    /// All levels were changed, or none was.
    UpdateFeatures(Result<(), FeatureError>),
    /// The block.
    AllocateProducerIds(Result<ProducerIdBlock, BrokerError>),
    /// For each partition that was asked for; without a list, for each one that needed an election.
    ElectLeaders(Vec<ElectionResult>),
    /// For each partition, in the order of the request.
    AssignDirectories(Result<Vec<AssignedDirectory>, BrokerError>),
    /// For each partition, in the order of the request.
    AlterIsr(Result<Vec<AlteredPartition>, BrokerError>),
}

/// What became of a replica's directory.
pub type AssignedDirectory = (TopicIdPartition, Result<(), TopicError>);

/// What became of the growth of a topic, by its name.
pub type GrownTopic = (String, Result<(), TopicError>);

/// What became of the configuration of a resource.
pub type AlteredConfig = (ConfigResource, Result<(), ConfigChangeError>);

/// Configuration values by key.
pub type NullableValues = Vec<(String, Option<String>)>;

/// A broker's wish to be part of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBroker {
    /// The broker.
    pub id: BrokerId,
    /// The cluster it believes to be part of.
    pub cluster: String,
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
    /// Those of them that take no new replicas.
    pub cordoned: Vec<DirectoryId>,
    /// The epoch of the registration of its last process, when that has stopped cleanly; else −1 (KIP-966).
    pub previous_epoch: BrokerEpoch,
}

/// How far a broker takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerState {
    /// It leads, is in sync, and clients see it.
    Active,
    /// It hands its leaderships over, because it goes down.
    ShuttingDown,
    /// It takes no part.
    Fenced,
}

/// Topics to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateTopics {
    /// Which.
    pub topics: Vec<NewTopic>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; −1 is the default, and the only value beside an assignment.
    pub partitions: i32,
    /// How many replicas each; −1 is the default, and the only value beside an assignment.
    pub replication_factor: i16,
    /// Which brokers hold which partition, the preferred leader first; empty leaves it to the controller.
    pub assignments: Vec<(PartitionIndex, Vec<BrokerId>)>,
    /// Its own configuration. A key without a value is refused.
    pub configs: NullableValues,
}

impl NewTopic {
    /// A topic that takes every default.
    #[must_use]
    pub fn named(name: &str) -> NewTopic {
        NewTopic {
            name: name.to_owned(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that was, or could be, created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many replicas each has.
    pub replication_factor: i16,
    /// What of its configuration is its own; the rest follows the broker.
    pub configs: BTreeMap<String, String>,
}

/// A topic by name or by identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicReference {
    /// Its name, unless it is given by identity.
    pub name: Option<String>,
    /// Its identity; [`TopicId::ZERO`] when it is given by name.
    pub id: TopicId,
}

impl TopicReference {
    /// A topic by name.
    #[must_use]
    pub fn named(name: &str) -> TopicReference {
        TopicReference { name: Some(name.to_owned()), id: TopicId::ZERO }
    }

    /// A topic by identity.
    #[must_use]
    pub fn identified(id: TopicId) -> TopicReference {
        TopicReference { name: None, id }
    }
}

/// What became of a topic to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name, as far as it is known.
    pub name: Option<String>,
    /// Its identity; [`TopicId::ZERO`] when it is not known.
    pub id: TopicId,
    /// Whether it is gone.
    pub result: Result<(), TopicError>,
}

/// Topics to grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreatePartitions {
    /// Which.
    pub topics: Vec<MorePartitions>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A topic to grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MorePartitions {
    /// Its name.
    pub name: String,
    /// How many partitions it is to have.
    pub count: i32,
    /// Which brokers hold each new partition; `None` leaves it to the controller.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Configurations to replace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplaceConfigs {
    /// All values each resource is to have. A key without a value is refused.
    pub resources: Vec<(ConfigResource, NullableValues)>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// Configurations to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangeConfigs {
    /// The changes of each resource.
    pub resources: Vec<(ConfigResource, Vec<ConfigChange>)>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A change of one configuration value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The key.
    pub key: String,
    /// What to do.
    pub operation: AlterOperation,
    /// With what; removing needs nothing.
    pub value: Option<String>,
}

pub use vltava_core::config::alter::AlterOperation;

/// Feature levels to finalise: all, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateFeatures {
    /// Which.
    pub updates: Vec<FeatureUpdate>,
    /// Only say whether it could be done.
    pub validate_only: bool,
}

/// A feature level to finalise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// Its level; 0 disables it.
    pub level: i16,
    /// In which direction it may go.
    pub upgrade: UpgradeType,
}

/// In which direction a feature level may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    /// Only up.
    Upgrade,
    /// Down, when nothing is lost.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
    /// A number that means nothing.
    Unknown,
}

impl UpgradeType {
    /// The meaning of Kafka's number.
    #[must_use]
    pub const fn from_id(id: i8) -> UpgradeType {
        match id {
            1 => Self::Upgrade,
            2 => Self::SafeDowngrade,
            3 => Self::UnsafeDowngrade,
            _ => Self::Unknown,
        }
    }
}

/// Consecutive producer ids for one broker to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: ProducerId,
    /// How many.
    pub length: i32,
}

/// Leaders to elect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectLeaders {
    /// Of which kind.
    pub election: Election,
    /// For which partitions, by topic name; `None` is all.
    pub partitions: Option<Vec<(String, PartitionIndex)>>,
}

/// A kind of election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The first replica leads, when it is in sync.
    Preferred,
    /// Any replica that is there leads, when nobody else does: what it has not, is lost.
    Unclean,
}

/// The in-sync replicas that a leader wants its partition to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterIsr {
    /// The leader epoch of the proposer.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change is made to.
    pub partition_epoch: PartitionEpoch,
    /// The replicas to be in sync, each with the epoch of its registration in which it fetched; −1 is not checked.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
    /// The leader was elected uncleanly and is still recovering.
    pub recovering: bool,
}

/// How a partition is after its in-sync replicas were changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlteredIsr {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The new partition epoch; the old one when nothing had to be changed.
    pub partition_epoch: PartitionEpoch,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// The leader was elected uncleanly and is still recovering.
    pub recovering: bool,
}

/// What became of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionResult {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
    /// Whether it has a new leader.
    pub result: Result<(), ElectionError>,
}
