//! Events become records.

use bytes::Bytes;
use vltava_core::id::{BrokerId, DirectoryId, PartitionIndex, TopicId, Uuid};
use vltava_core::image::{Broker, Controller, Endpoint, FeatureRange, Partition};
use vltava_core::machine::Encoded;
use vltava_core::wire::{WireError, WireStr};

use super::{LEADER_STAYS, RECOVERY_STAYS};
use crate::cluster::event::{BrokerChange, Event, PartitionChange};
use crate::cluster::features::MetadataVersion;
use crate::generated::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use crate::generated::metadata::register_controller_record::{ControllerEndpoint, ControllerFeature};
use crate::generated::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, BrokerRegistrationChangeRecord, ClearElrRecord,
    ConfigRecord, EndTransactionRecord, FeatureLevelRecord, MetadataRecord, NoOpRecord,
    PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
    UnregisterControllerRecord,
};

/// The event as a record of this level. Metadata records have no key.
pub fn encode(event: &Event, level: MetadataVersion) -> Encoded {
    match value(event, level) {
        Ok(value) => Encoded::Record { key: None, value: Some(value) },
        Err(error) => Encoded::Unfit { why: error.to_string() },
    }
}

fn value(event: &Event, level: MetadataVersion) -> Result<Bytes, WireError> {
    let (record, version) = match event {
        Event::Kept(kept) => return Ok(kept.record.clone()),
        Event::BrokerRegistered(broker) => register_broker(broker, level),
        Event::BrokerChanged(change) => change_broker(change),
        Event::PartitionCreated { topic, index, partition } => {
            let version = partition_version(level);
            (MetadataRecord::Partition(partition_record(*topic, *index, partition, version)), version)
        }
        Event::PartitionChanged(change) => {
            let version = partition_version(level);
            (MetadataRecord::PartitionChange(partition_change_record(change, version)), version)
        }
        other => (first_version(other), 0),
    };
    record.encode(version)
}

/// Records that have one version only.
fn first_version(event: &Event) -> MetadataRecord {
    match event {
        Event::BrokerUnregistered { broker, epoch } => {
            MetadataRecord::UnregisterBroker(UnregisterBrokerRecord {
                broker_id: broker.0,
                broker_epoch: epoch.0,
            })
        }
        Event::ControllerRegistered(controller) => {
            MetadataRecord::RegisterController(register_controller(controller))
        }
        Event::ControllerUnregistered(id) => {
            MetadataRecord::UnregisterController(UnregisterControllerRecord { controller_id: id.0 })
        }
        Event::TopicCreated { name, id } => {
            MetadataRecord::Topic(TopicRecord { name: text(name), topic_id: id.0 })
        }
        Event::TopicRemoved(id) => MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id.0 }),
        Event::EligibleLeadersCleared { topic } => MetadataRecord::ClearElr(ClearElrRecord {
            topic_name: topic.as_ref().map_or_else(WireStr::new, |name| text(name)),
        }),
        Event::ConfigSet { resource, key, value } => MetadataRecord::Config(ConfigRecord {
            resource_type: resource.kind.id(),
            resource_name: text(&resource.name),
            name: text(key),
            value: value.as_deref().map(text),
        }),
        Event::FeatureSet { name, level } => {
            MetadataRecord::FeatureLevel(FeatureLevelRecord { name: text(name), feature_level: *level })
        }
        Event::ProducerIdsAllocated(ids) => MetadataRecord::ProducerIds(ProducerIdsRecord {
            broker_id: ids.broker.0,
            broker_epoch: ids.epoch.0,
            next_producer_id: ids.next.0,
        }),
        Event::TransactionBegun { name } => {
            MetadataRecord::BeginTransaction(BeginTransactionRecord { name: name.as_deref().map(text) })
        }
        Event::TransactionEnded => MetadataRecord::EndTransaction(EndTransactionRecord {}),
        Event::TransactionAborted { reason } => {
            MetadataRecord::AbortTransaction(AbortTransactionRecord { reason: reason.as_deref().map(text) })
        }
        Event::Nothing
        | Event::Kept(_)
        | Event::BrokerRegistered(_)
        | Event::BrokerChanged(_)
        | Event::PartitionCreated { .. }
        | Event::PartitionChanged(_) => MetadataRecord::NoOp(NoOpRecord {}),
    }
}

fn register_broker(broker: &Broker, level: MetadataVersion) -> (MetadataRecord, i16) {
    /// The level since which a registration can say that its broker migrates from ZooKeeper.
    const MIGRATION: MetadataVersion = MetadataVersion(8);
    let version = match level {
        level if level >= MetadataVersion::CORDONED_DIRECTORIES => 4,
        level if level >= MetadataVersion::DIRECTORIES => 3,
        level if level >= MIGRATION => 2,
        _ => 1,
    };
    let endpoint = |endpoint: &Endpoint| BrokerEndpoint {
        name: text(&endpoint.listener),
        host: text(&endpoint.host),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    };
    let feature = |(name, range): (&String, &FeatureRange)| BrokerFeature {
        name: text(name),
        min_supported_version: range.min,
        max_supported_version: range.max,
    };
    let record = RegisterBrokerRecord {
        broker_id: broker.id.0,
        is_migrating_zk_broker: false,
        incarnation_id: broker.incarnation,
        broker_epoch: broker.epoch.0,
        end_points: broker.endpoints.iter().map(endpoint).collect(),
        features: broker.features.iter().map(feature).collect(),
        rack: broker.rack.as_deref().map(text),
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        log_dirs: if version >= 3 { uuids(&broker.directories) } else { Vec::new() },
        cordoned_log_dirs: (version >= 4 && !broker.cordoned.is_empty()).then(|| uuids(&broker.cordoned)),
    };
    (MetadataRecord::RegisterBroker(record), version)
}

/// A change is written in the oldest version that can say it, as in Kafka.
fn change_broker(change: &BrokerChange) -> (MetadataRecord, i16) {
    let version = match change {
        BrokerChange { cordoned: Some(_), .. } => 3,
        BrokerChange { directories: Some(_), .. } => 2,
        BrokerChange { in_controlled_shutdown: true, .. } => 1,
        _ => 0,
    };
    let record = BrokerRegistrationChangeRecord {
        broker_id: change.broker.0,
        broker_epoch: change.epoch.0,
        fenced: change.fenced.map_or(0, |fenced| if fenced { 1 } else { -1 }),
        in_controlled_shutdown: i8::from(change.in_controlled_shutdown),
        log_dirs: change.directories.as_deref().map(uuids).unwrap_or_default(),
        cordoned_log_dirs: change.cordoned.as_deref().map(uuids),
    };
    (MetadataRecord::BrokerRegistrationChange(record), version)
}

fn register_controller(controller: &Controller) -> RegisterControllerRecord {
    let endpoint = |endpoint: &Endpoint| ControllerEndpoint {
        name: text(&endpoint.listener),
        host: text(&endpoint.host),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    };
    let feature = |(name, range): (&String, &FeatureRange)| ControllerFeature {
        name: text(name),
        min_supported_version: range.min,
        max_supported_version: range.max,
    };
    RegisterControllerRecord {
        controller_id: controller.id.0,
        incarnation_id: controller.incarnation,
        zk_migration_ready: false,
        end_points: controller.endpoints.iter().map(endpoint).collect(),
        features: controller.features.iter().map(feature).collect(),
    }
}

fn partition_version(level: MetadataVersion) -> i16 {
    match level {
        level if level >= MetadataVersion::ELIGIBLE_LEADERS => 2,
        level if level >= MetadataVersion::DIRECTORIES => 1,
        _ => 0,
    }
}

fn partition_record(
    topic: TopicId,
    index: PartitionIndex,
    partition: &Partition,
    version: i16,
) -> PartitionRecord {
    let unless_empty = |known: &[BrokerId]| (version >= 2 && !known.is_empty()).then(|| numbers(known));
    PartitionRecord {
        partition_id: index.0,
        topic_id: topic.0,
        replicas: numbers(&partition.replicas),
        isr: numbers(&partition.isr),
        removing_replicas: numbers(&partition.removing),
        adding_replicas: numbers(&partition.adding),
        leader: partition.leader.0,
        leader_recovery_state: i8::from(partition.recovering),
        leader_epoch: partition.leader_epoch.0,
        partition_epoch: partition.partition_epoch.0,
        directories: if version >= 1 { uuids(&partition.directories) } else { Vec::new() },
        eligible_leader_replicas: unless_empty(&partition.eligible),
        last_known_elr: unless_empty(&partition.last_known_eligible),
    }
}

fn partition_change_record(change: &PartitionChange, version: i16) -> PartitionChangeRecord {
    let some = |known: &Option<Vec<BrokerId>>| known.as_deref().map(numbers);
    let since_2 = |known: &Option<Vec<BrokerId>>| some(known).filter(|_| version >= 2);
    PartitionChangeRecord {
        partition_id: change.index.0,
        topic_id: change.topic.0,
        isr: some(&change.isr),
        leader: change.leader.map_or(LEADER_STAYS, |leader| leader.0),
        replicas: some(&change.replicas),
        removing_replicas: some(&change.removing),
        adding_replicas: some(&change.adding),
        leader_recovery_state: change.recovering.map_or(RECOVERY_STAYS, i8::from),
        directories: change.directories.as_deref().map(uuids).filter(|_| version >= 1),
        eligible_leader_replicas: since_2(&change.eligible),
        last_known_elr: since_2(&change.last_known_eligible),
    }
}

fn text(text: &str) -> WireStr {
    WireStr::copy_of(text)
}

fn numbers(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}

fn uuids(ids: &[DirectoryId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
