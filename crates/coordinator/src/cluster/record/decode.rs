//! Records become events.

use std::collections::BTreeMap;

use bytes::Bytes;
use vltava_core::id::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId, TopicId,
    TopicName, Uuid,
};
use vltava_core::image::{Broker, ConfigKind, ConfigResource, Controller, Endpoint, FeatureRange, Partition};
use vltava_core::machine::DecodeError;
use vltava_core::wire::WireStr;

use super::LEADER_STAYS;
use crate::cluster::event::{BrokerChange, Event, Kept, KeptKey, PartitionChange, ProducerIds};
use crate::generated::metadata::register_broker_record::BrokerEndpoint;
use crate::generated::metadata::register_controller_record::ControllerEndpoint;
use crate::generated::metadata::{
    BrokerRegistrationChangeRecord, ConfigRecord, MetadataRecord, PartitionChangeRecord, PartitionRecord,
    RegisterBrokerRecord, RegisterControllerRecord,
};

/// The event that a record tells.
pub fn decode(bytes: &Bytes) -> Result<Event, DecodeError> {
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

fn owned(text: &WireStr) -> String {
    text.as_str().to_owned()
}

fn brokers(ids: Vec<i32>) -> Vec<BrokerId> {
    ids.into_iter().map(BrokerId).collect()
}

fn directories(ids: Vec<Uuid>) -> Vec<DirectoryId> {
    ids.into_iter().map(DirectoryId).collect()
}
