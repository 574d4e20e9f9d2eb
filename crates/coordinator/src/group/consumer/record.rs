//! The records of consumer groups, as Kafka 4 writes and reads them. Each has one version.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{Generation, PartitionIndex, Timestamp, TopicId};
use vltava_core::wire::{WireError, WireStr};

use super::event::ConsumerEvent;
use super::member::{ClassicMetadata, Current, MemberMetadata, MemberState, Owned, ResolvedRegex};
use crate::assignor::Assignment;
use crate::generated::group::consumer_group_current_member_assignment_value::TopicPartitions;
use crate::generated::group::consumer_group_member_metadata_value::{ClassicMemberMetadata, ClassicProtocol};
use crate::generated::group::consumer_group_target_assignment_member_value::TopicPartition;
use crate::generated::group::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey, ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupRecordKey as Key, GroupRecordValue as Value,
};
use crate::group::command::Protocol;
use crate::group::name::{GroupId, InstanceId, MemberId};

const VERSION: i16 = 0;

/// A key, and a value unless the record is a tombstone.
pub(in crate::group) type Encoded = (Bytes, Option<Bytes>);

/// The event as a record; none when it is not logged.
pub(in crate::group) fn encode(group: &GroupId, event: &ConsumerEvent) -> Result<Option<Encoded>, WireError> {
    let Some((key, value)) = to_record(WireStr::copy_of(group), event) else { return Ok(None) };
    let value = value.map(|value| value.encode(VERSION)).transpose()?;
    Ok(Some((key.encode()?, value)))
}

fn to_record(group_id: WireStr, event: &ConsumerEvent) -> Option<(Key, Option<Value>)> {
    let member_id = |member: &MemberId| WireStr::copy_of(member);
    Some(match event {
        ConsumerEvent::EpochStored { epoch, metadata_hash } => {
            let value = ConsumerGroupMetadataValue { epoch: epoch.0, metadata_hash: *metadata_hash };
            (epoch_key(group_id), Some(Value::ConsumerGroupMetadata(value)))
        }
        ConsumerEvent::EpochForgotten => (epoch_key(group_id), None),
        ConsumerEvent::TopicsForgotten => {
            (Key::ConsumerGroupPartitionMetadata(ConsumerGroupPartitionMetadataKey { group_id }), None)
        }
        ConsumerEvent::MemberStored { member, metadata } => {
            let value = Value::ConsumerGroupMemberMetadata(from_metadata(metadata));
            (member_key(group_id, member_id(member)), Some(value))
        }
        ConsumerEvent::MemberForgotten(member) => (member_key(group_id, member_id(member)), None),
        ConsumerEvent::TargetStored { epoch, at } => {
            let value = ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch: epoch.0,
                assignment_timestamp: at.map_or(0, |at| at.0),
            };
            (target_key(group_id), Some(Value::ConsumerGroupTargetAssignmentMetadata(value)))
        }
        ConsumerEvent::TargetForgotten => (target_key(group_id), None),
        ConsumerEvent::MemberTargetStored { member, target } => {
            let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions: from_target(target) };
            let value = Value::ConsumerGroupTargetAssignmentMember(value);
            (member_target_key(group_id, member_id(member)), Some(value))
        }
        ConsumerEvent::MemberTargetForgotten(member) => {
            (member_target_key(group_id, member_id(member)), None)
        }
        ConsumerEvent::CurrentStored { member, current } => {
            let value = Value::ConsumerGroupCurrentMemberAssignment(from_current(current));
            (current_key(group_id, member_id(member)), Some(value))
        }
        ConsumerEvent::CurrentForgotten(member) => (current_key(group_id, member_id(member)), None),
        ConsumerEvent::RegexStored { regex, resolved } => {
            let value = Value::ConsumerGroupRegularExpression(from_regex(resolved));
            (regex_key(group_id, regex), Some(value))
        }
        ConsumerEvent::RegexForgotten(regex) => (regex_key(group_id, regex), None),
        // Only brokers before 4.1 wrote metadata of topics.
        ConsumerEvent::TopicsStored
        | ConsumerEvent::Heard { .. }
        | ConsumerEvent::MetadataChecked(_)
        | ConsumerEvent::RegexesAwaited(_)
        | ConsumerEvent::RegexesChecked { .. }
        | ConsumerEvent::JoinAwaited(_)
        | ConsumerEvent::Joined(_) => return None,
    })
}

fn epoch_key(group_id: WireStr) -> Key {
    Key::ConsumerGroupMetadata(ConsumerGroupMetadataKey { group_id })
}

fn member_key(group_id: WireStr, member_id: WireStr) -> Key {
    Key::ConsumerGroupMemberMetadata(ConsumerGroupMemberMetadataKey { group_id, member_id })
}

fn target_key(group_id: WireStr) -> Key {
    Key::ConsumerGroupTargetAssignmentMetadata(ConsumerGroupTargetAssignmentMetadataKey { group_id })
}

fn member_target_key(group_id: WireStr, member_id: WireStr) -> Key {
    let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id };
    Key::ConsumerGroupTargetAssignmentMember(key)
}

fn current_key(group_id: WireStr, member_id: WireStr) -> Key {
    let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id };
    Key::ConsumerGroupCurrentMemberAssignment(key)
}

fn regex_key(group_id: WireStr, regex: &str) -> Key {
    let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression: WireStr::copy_of(regex) };
    Key::ConsumerGroupRegularExpression(key)
}

/// The group and the event of a record; none when it is of another kind of group.
pub(in crate::group) fn decode(key: &Key, value: Option<Value>) -> Option<(GroupId, ConsumerEvent)> {
    let (group, event) = match (key, value) {
        (Key::ConsumerGroupMetadata(key), Some(Value::ConsumerGroupMetadata(value))) => {
            let (epoch, metadata_hash) = (Generation(value.epoch), value.metadata_hash);
            (&key.group_id, ConsumerEvent::EpochStored { epoch, metadata_hash })
        }
        (Key::ConsumerGroupMetadata(key), _) => (&key.group_id, ConsumerEvent::EpochForgotten),
        (Key::ConsumerGroupPartitionMetadata(key), value) => {
            let stored = value.is_some();
            let event = if stored { ConsumerEvent::TopicsStored } else { ConsumerEvent::TopicsForgotten };
            (&key.group_id, event)
        }
        (Key::ConsumerGroupMemberMetadata(key), value) => {
            let member = MemberId::from(&*key.member_id);
            let event = match value {
                Some(Value::ConsumerGroupMemberMetadata(value)) => {
                    ConsumerEvent::MemberStored { member, metadata: Arc::new(to_metadata(&value)) }
                }
                _ => ConsumerEvent::MemberForgotten(member),
            };
            (&key.group_id, event)
        }
        (Key::ConsumerGroupTargetAssignmentMetadata(key), value) => {
            let event = match value {
                Some(Value::ConsumerGroupTargetAssignmentMetadata(value)) => ConsumerEvent::TargetStored {
                    epoch: Generation(value.assignment_epoch),
                    at: Some(Timestamp(value.assignment_timestamp)).filter(|at| at.0 != 0),
                },
                _ => ConsumerEvent::TargetForgotten,
            };
            (&key.group_id, event)
        }
        (Key::ConsumerGroupTargetAssignmentMember(key), value) => {
            let member = MemberId::from(&*key.member_id);
            let event = match value {
                Some(Value::ConsumerGroupTargetAssignmentMember(value)) => {
                    let target = Arc::new(to_target(&value.topic_partitions));
                    ConsumerEvent::MemberTargetStored { member, target }
                }
                _ => ConsumerEvent::MemberTargetForgotten(member),
            };
            (&key.group_id, event)
        }
        (Key::ConsumerGroupCurrentMemberAssignment(key), value) => {
            let member = MemberId::from(&*key.member_id);
            let event = match value {
                Some(Value::ConsumerGroupCurrentMemberAssignment(value)) => {
                    ConsumerEvent::CurrentStored { member, current: to_current(&value) }
                }
                _ => ConsumerEvent::CurrentForgotten(member),
            };
            (&key.group_id, event)
        }
        (Key::ConsumerGroupRegularExpression(key), value) => {
            let regex = Arc::from(&*key.regular_expression);
            let event = match value {
                Some(Value::ConsumerGroupRegularExpression(value)) => {
                    ConsumerEvent::RegexStored { regex, resolved: to_regex(&value) }
                }
                _ => ConsumerEvent::RegexForgotten(regex),
            };
            (&key.group_id, event)
        }
        _ => return None,
    };
    Some((GroupId::from(&**group), event))
}

/// Whether a key is of a record of consumer groups.
pub(in crate::group) fn is_consumer_record(key: &Key) -> bool {
    matches!(
        key,
        Key::ConsumerGroupMetadata(_)
            | Key::ConsumerGroupPartitionMetadata(_)
            | Key::ConsumerGroupMemberMetadata(_)
            | Key::ConsumerGroupTargetAssignmentMetadata(_)
            | Key::ConsumerGroupTargetAssignmentMember(_)
            | Key::ConsumerGroupCurrentMemberAssignment(_)
            | Key::ConsumerGroupRegularExpression(_)
    )
}

fn from_metadata(metadata: &MemberMetadata) -> ConsumerGroupMemberMetadataValue {
    let classic = metadata.classic.as_ref().map(|classic| ClassicMemberMetadata {
        session_timeout_ms: milliseconds(classic.session_timeout),
        supported_protocols: classic
            .protocols
            .iter()
            .map(|protocol| ClassicProtocol {
                name: WireStr::copy_of(&protocol.name),
                metadata: protocol.metadata.clone(),
            })
            .collect(),
    });
    ConsumerGroupMemberMetadataValue {
        instance_id: metadata.instance.as_deref().map(WireStr::copy_of),
        rack_id: metadata.rack.as_deref().map(WireStr::copy_of),
        client_id: WireStr::copy_of(&metadata.client_id),
        client_host: WireStr::copy_of(&metadata.client_host),
        subscribed_topic_names: metadata.topics.iter().map(|topic| WireStr::copy_of(topic)).collect(),
        subscribed_topic_regex: Some(WireStr::copy_of(&metadata.regex)),
        rebalance_timeout_ms: metadata.rebalance_timeout.map_or(-1, milliseconds),
        server_assignor: metadata.assignor.as_deref().map(WireStr::copy_of),
        classic_member_metadata: classic,
    }
}

fn to_metadata(value: &ConsumerGroupMemberMetadataValue) -> MemberMetadata {
    let shared = |text: &WireStr| -> Arc<str> { Arc::from(text.as_str()) };
    let classic = value.classic_member_metadata.as_ref().map(|classic| ClassicMetadata {
        session_timeout: duration(classic.session_timeout_ms),
        protocols: classic
            .supported_protocols
            .iter()
            .map(|protocol| Protocol {
                name: shared(&protocol.name),
                // A copy, so that a member does not keep a whole batch of the log in memory.
                metadata: Bytes::copy_from_slice(&protocol.metadata),
            })
            .collect(),
    });
    MemberMetadata {
        instance: value.instance_id.as_deref().map(InstanceId::from),
        rack: value.rack_id.as_ref().map(shared),
        client_id: shared(&value.client_id),
        client_host: shared(&value.client_host),
        topics: Arc::new(value.subscribed_topic_names.iter().map(shared).collect()),
        regex: value.subscribed_topic_regex.as_ref().map_or_else(|| Arc::from(""), shared),
        rebalance_timeout: Some(value.rebalance_timeout_ms).filter(|timeout| *timeout != -1).map(duration),
        assignor: value.server_assignor.as_ref().map(shared),
        classic,
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn duration(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

fn from_target(target: &Assignment) -> Vec<TopicPartition> {
    let topic = |(topic, partitions): (&TopicId, &BTreeSet<PartitionIndex>)| TopicPartition {
        topic_id: topic.0,
        partitions: partitions.iter().map(|partition| partition.0).collect(),
    };
    target.iter().map(topic).collect()
}

fn to_target(topics: &[TopicPartition]) -> Assignment {
    let mut target = Assignment::new();
    for topic in topics.iter().filter(|topic| !topic.partitions.is_empty()) {
        let partitions = topic.partitions.iter().copied().map(PartitionIndex);
        target.entry(TopicId(topic.topic_id)).or_default().extend(partitions);
    }
    target
}

fn from_current(current: &Current) -> ConsumerGroupCurrentMemberAssignmentValue {
    ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch.0,
        previous_member_epoch: current.previous_epoch.0,
        state: current.state.id(),
        assigned_partitions: from_owned(&current.assigned),
        partitions_pending_revocation: from_owned(&current.revoking),
    }
}

fn from_owned(owned: &Owned) -> Vec<TopicPartitions> {
    let topics = owned.iter().map(|(topic, partitions)| TopicPartitions {
        topic_id: topic.0,
        partitions: partitions.keys().map(|partition| partition.0).collect(),
        assignment_epochs: Some(partitions.values().map(|epoch| epoch.0).collect()),
    });
    topics.collect()
}

fn to_current(value: &ConsumerGroupCurrentMemberAssignmentValue) -> Current {
    let epoch = Generation(value.member_epoch);
    Current {
        epoch,
        previous_epoch: Generation(value.previous_member_epoch),
        state: MemberState::from_id(value.state),
        assigned: Arc::new(to_owned(&value.assigned_partitions, epoch)),
        revoking: Arc::new(to_owned(&value.partitions_pending_revocation, epoch)),
    }
}

/// Records of old have no epochs for partitions; then the member's stands for them.
fn to_owned(topics: &[TopicPartitions], epoch: Generation) -> Owned {
    let mut owned = Owned::new();
    for topic in topics.iter().filter(|topic| !topic.partitions.is_empty()) {
        let epochs = topic.assignment_epochs.as_deref().unwrap_or_default();
        let known = epochs.len() == topic.partitions.len();
        let into = owned.entry(TopicId(topic.topic_id)).or_default();
        for (at, partition) in topic.partitions.iter().enumerate() {
            let since = epochs.get(at).filter(|_| known).copied().unwrap_or(epoch.0.max(0));
            into.insert(PartitionIndex(*partition), Generation(since));
        }
    }
    owned
}

fn from_regex(resolved: &ResolvedRegex) -> ConsumerGroupRegularExpressionValue {
    ConsumerGroupRegularExpressionValue {
        topics: resolved.topics.iter().map(|topic| WireStr::copy_of(topic)).collect(),
        version: resolved.version,
        timestamp: resolved.timestamp,
    }
}

fn to_regex(value: &ConsumerGroupRegularExpressionValue) -> ResolvedRegex {
    ResolvedRegex {
        topics: Arc::new(value.topics.iter().map(|topic| Arc::from(topic.as_str())).collect()),
        version: value.version,
        timestamp: value.timestamp,
    }
}
