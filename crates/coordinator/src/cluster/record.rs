//! Events as Kafka's metadata records, and back.
//!
//! A record is written in the newest version that the finalised metadata version allows, as Kafka's controller does.

use std::collections::BTreeMap;

use bytes::Bytes;
use vltava_core::id::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId, TopicId,
    TopicName, Uuid,
};
use vltava_core::image::{Broker, ConfigKind, ConfigResource, Controller, Endpoint, FeatureRange, Partition};
use vltava_core::machine::{DecodeError, Encoded};
use vltava_core::wire::{WireError, WireStr};

use super::event::{BrokerChange, Event, Kept, KeptKey, PartitionChange, ProducerIds};
use super::features::MetadataVersion;
use crate::generated::metadata::register_broker_record::{BrokerEndpoint, BrokerFeature};
use crate::generated::metadata::register_controller_record::{ControllerEndpoint, ControllerFeature};
use crate::generated::metadata::{
    AbortTransactionRecord, BeginTransactionRecord, BrokerRegistrationChangeRecord, ClearElrRecord,
    ConfigRecord, EndTransactionRecord, FeatureLevelRecord, MetadataRecord, NoOpRecord,
    PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
    RegisterControllerRecord, RemoveTopicRecord, TopicRecord, UnregisterBrokerRecord,
    UnregisterControllerRecord,
};

/// Kafka's number for "the leader stays".
const LEADER_STAYS: i32 = -2;
/// Kafka's number for "the recovery state stays".
const RECOVERY_STAYS: i8 = -1;

/// The event as a record of this level. Metadata records have no key.
pub(super) fn encode(event: &Event, level: MetadataVersion) -> Encoded {
    match value(event, level) {
        Ok(value) => Encoded::Record { key: None, value: Some(value) },
        Err(error) => {
            // Every text in an event came through a reader with the same limits, or was checked against them.
            debug_assert!(false, "an event that no record can hold: {error}");
            Encoded::Volatile
        }
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

/// The event that a record tells.
pub(super) fn decode(bytes: &Bytes) -> Result<Event, DecodeError> {
    let (record, _) = MetadataRecord::decode(bytes.clone())
        .map_err(|error| DecodeError { what: "metadata record".to_owned(), why: error.to_string() })?;
    if let Some((about, removes)) = kept(&record) {
        // A copy, because the bytes may be a small part of a large read.
        return Ok(Event::Kept(Kept { about, removes, record: Bytes::copy_from_slice(bytes) }));
    }
    event(record)
}

/// What a record is about that is kept as it stands; `None` for records that are understood.
fn kept(record: &MetadataRecord) -> Option<(KeptKey, bool)> {
    let credential = |name: &WireStr, mechanism: i8| KeptKey::Credential { user: owned(name), mechanism };
    Some(match record {
        MetadataRecord::AccessControlEntry(entry) => (KeptKey::AccessControl(entry.id), false),
        MetadataRecord::RemoveAccessControlEntry(entry) => (KeptKey::AccessControl(entry.id), true),
        MetadataRecord::UserScramCredential(user) => (credential(&user.name, user.mechanism), false),
        MetadataRecord::RemoveUserScramCredential(user) => (credential(&user.name, user.mechanism), true),
        MetadataRecord::DelegationToken(token) => (KeptKey::Token(owned(&token.token_id)), false),
        MetadataRecord::RemoveDelegationToken(token) => (KeptKey::Token(owned(&token.token_id)), true),
        MetadataRecord::ZkMigrationState(_) => (KeptKey::Migration, false),
        MetadataRecord::ClientQuota(quota) => {
            let mut entity: Vec<_> = quota
                .entity
                .iter()
                .map(|part| (owned(&part.entity_type), part.entity_name.as_ref().map(owned)))
                .collect();
            entity.sort();
            (KeptKey::Quota { entity, key: owned(&quota.key) }, quota.remove)
        }
        _ => return None,
    })
}

fn event(record: MetadataRecord) -> Result<Event, DecodeError> {
    Ok(match record {
        MetadataRecord::RegisterBroker(broker) => Event::BrokerRegistered(registered_broker(broker)),
        MetadataRecord::UnregisterBroker(broker) => Event::BrokerUnregistered {
            broker: BrokerId(broker.broker_id),
            epoch: BrokerEpoch(broker.broker_epoch),
        },
        MetadataRecord::BrokerRegistrationChange(change) => Event::BrokerChanged(broker_change(change)),
        MetadataRecord::FenceBroker(broker) => {
            Event::BrokerChanged(BrokerChange::fenced(BrokerId(broker.id), BrokerEpoch(broker.epoch), true))
        }
        MetadataRecord::UnfenceBroker(broker) => {
            Event::BrokerChanged(BrokerChange::fenced(BrokerId(broker.id), BrokerEpoch(broker.epoch), false))
        }
        MetadataRecord::RegisterController(controller) => {
            Event::ControllerRegistered(registered_controller(controller))
        }
        MetadataRecord::UnregisterController(controller) => {
            Event::ControllerUnregistered(BrokerId(controller.controller_id))
        }
        MetadataRecord::Topic(topic) => {
            Event::TopicCreated { name: topic_name(&topic.name)?, id: TopicId(topic.topic_id) }
        }
        MetadataRecord::RemoveTopic(topic) => Event::TopicRemoved(TopicId(topic.topic_id)),
        MetadataRecord::Partition(partition) => created_partition(partition),
        MetadataRecord::PartitionChange(change) => Event::PartitionChanged(partition_change(change)),
        MetadataRecord::ClearElr(clear) => Event::EligibleLeadersCleared {
            topic: if clear.topic_name.is_empty() { None } else { Some(topic_name(&clear.topic_name)?) },
        },
        MetadataRecord::Config(config) => config_set(&config)?,
        MetadataRecord::FeatureLevel(feature) => {
            Event::FeatureSet { name: owned(&feature.name), level: feature.feature_level }
        }
        MetadataRecord::ProducerIds(ids) => Event::ProducerIdsAllocated(ProducerIds {
            broker: BrokerId(ids.broker_id),
            epoch: BrokerEpoch(ids.broker_epoch),
            next: ProducerId(ids.next_producer_id),
        }),
        MetadataRecord::BeginTransaction(begin) => {
            Event::TransactionBegun { name: begin.name.as_ref().map(owned) }
        }
        MetadataRecord::EndTransaction(_) => Event::TransactionEnded,
        MetadataRecord::AbortTransaction(abort) => {
            Event::TransactionAborted { reason: abort.reason.as_ref().map(owned) }
        }
        MetadataRecord::NoOp(_)
        | MetadataRecord::AccessControlEntry(_)
        | MetadataRecord::RemoveAccessControlEntry(_)
        | MetadataRecord::UserScramCredential(_)
        | MetadataRecord::RemoveUserScramCredential(_)
        | MetadataRecord::DelegationToken(_)
        | MetadataRecord::RemoveDelegationToken(_)
        | MetadataRecord::ZkMigrationState(_)
        | MetadataRecord::ClientQuota(_) => Event::Nothing,
    })
}

fn registered_broker(record: RegisterBrokerRecord) -> Broker {
    let endpoint = |endpoint: BrokerEndpoint| Endpoint {
        listener: owned(&endpoint.name),
        host: owned(&endpoint.host),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    };
    let ranges = record.features.iter().map(|feature| {
        let range = FeatureRange { min: feature.min_supported_version, max: feature.max_supported_version };
        (owned(&feature.name), range)
    });
    Broker {
        id: BrokerId(record.broker_id),
        epoch: BrokerEpoch(record.broker_epoch),
        incarnation: record.incarnation_id,
        features: ranges.collect::<BTreeMap<_, _>>(),
        endpoints: record.end_points.into_iter().map(endpoint).collect(),
        rack: record.rack.as_ref().map(owned),
        directories: directories(record.log_dirs),
        cordoned: directories(record.cordoned_log_dirs.unwrap_or_default()),
        fenced: record.fenced,
        in_controlled_shutdown: record.in_controlled_shutdown,
    }
}

fn broker_change(record: BrokerRegistrationChangeRecord) -> BrokerChange {
    BrokerChange {
        broker: BrokerId(record.broker_id),
        epoch: BrokerEpoch(record.broker_epoch),
        fenced: match record.fenced {
            1 => Some(true),
            -1 => Some(false),
            _ => None,
        },
        in_controlled_shutdown: record.in_controlled_shutdown == 1,
        directories: (!record.log_dirs.is_empty()).then(|| directories(record.log_dirs)),
        cordoned: record.cordoned_log_dirs.map(directories),
    }
}

fn registered_controller(record: RegisterControllerRecord) -> Controller {
    let endpoint = |endpoint: ControllerEndpoint| Endpoint {
        listener: owned(&endpoint.name),
        host: owned(&endpoint.host),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    };
    let ranges = record.features.iter().map(|feature| {
        let range = FeatureRange { min: feature.min_supported_version, max: feature.max_supported_version };
        (owned(&feature.name), range)
    });
    Controller {
        id: BrokerId(record.controller_id),
        incarnation: record.incarnation_id,
        features: ranges.collect(),
        endpoints: record.end_points.into_iter().map(endpoint).collect(),
    }
}

fn created_partition(record: PartitionRecord) -> Event {
    Event::PartitionCreated {
        topic: TopicId(record.topic_id),
        index: PartitionIndex(record.partition_id),
        partition: Partition {
            directories: if record.directories.is_empty() {
                vec![DirectoryId::MIGRATING; record.replicas.len()]
            } else {
                directories(record.directories)
            },
            replicas: brokers(record.replicas),
            isr: brokers(record.isr),
            adding: brokers(record.adding_replicas),
            removing: brokers(record.removing_replicas),
            eligible: brokers(record.eligible_leader_replicas.unwrap_or_default()),
            last_known_eligible: brokers(record.last_known_elr.unwrap_or_default()),
            leader: BrokerId(record.leader),
            leader_epoch: LeaderEpoch(record.leader_epoch),
            partition_epoch: PartitionEpoch(record.partition_epoch),
            recovering: record.leader_recovery_state == 1,
        },
    }
}

fn partition_change(record: PartitionChangeRecord) -> PartitionChange {
    PartitionChange {
        topic: TopicId(record.topic_id),
        index: PartitionIndex(record.partition_id),
        isr: record.isr.map(brokers),
        leader: (record.leader != LEADER_STAYS).then_some(BrokerId(record.leader)),
        replicas: record.replicas.map(brokers),
        removing: record.removing_replicas.map(brokers),
        adding: record.adding_replicas.map(brokers),
        recovering: match record.leader_recovery_state {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        directories: record.directories.map(directories),
        eligible: record.eligible_leader_replicas.map(brokers),
        last_known_eligible: record.last_known_elr.map(brokers),
    }
}

fn config_set(record: &ConfigRecord) -> Result<Event, DecodeError> {
    let kind = ConfigKind::from_id(record.resource_type).ok_or_else(|| DecodeError {
        what: "config record".to_owned(),
        why: format!("{} is no kind of resource", record.resource_type),
    })?;
    Ok(Event::ConfigSet {
        resource: ConfigResource { kind, name: owned(&record.resource_name) },
        key: owned(&record.name),
        value: record.value.as_ref().map(owned),
    })
}

fn topic_name(name: &WireStr) -> Result<TopicName, DecodeError> {
    TopicName::new(name)
        .map_err(|error| DecodeError { what: "topic record".to_owned(), why: error.to_string() })
}

fn text(text: &str) -> WireStr {
    WireStr::copy_of(text)
}

fn owned(text: &WireStr) -> String {
    text.as_str().to_owned()
}

fn numbers(ids: &[BrokerId]) -> Vec<i32> {
    ids.iter().map(|id| id.0).collect()
}

fn brokers(ids: Vec<i32>) -> Vec<BrokerId> {
    ids.into_iter().map(BrokerId).collect()
}

fn uuids(ids: &[DirectoryId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}

fn directories(ids: Vec<Uuid>) -> Vec<DirectoryId> {
    ids.into_iter().map(DirectoryId).collect()
}
