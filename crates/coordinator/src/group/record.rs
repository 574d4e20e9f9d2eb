//! The records of `__consumer_offsets`, as Kafka 4 writes and reads them.
//!
//! Written are `GroupMetadata` 3 and `OffsetCommit` 4, or 1 where the client has asked for an expiry, which is the only
//! version that has one. All versions are read, and `LegacyOffsetCommit`. The records of consumer groups are with those;
//! records of other kinds of groups are skipped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{Generation, LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName};
use vltava_core::machine::{DecodeError, Encoded, Entry};
use vltava_core::wire::{WireError, WireStr};

use super::consumer;
use super::event::{CommittedOffset, GroupEvent, OffsetKey, StoredGroup, StoredMember};
use super::name::{GroupId, InstanceId, MemberId};
use crate::generated::group::group_metadata_value::MemberMetadata;
use crate::generated::group::{
    GroupMetadataKey, GroupMetadataValue, GroupRecordKey, GroupRecordValue, OffsetCommitKey,
    OffsetCommitValue,
};

const GROUP_METADATA_VERSION: i16 = 3;
const OFFSET_COMMIT_VERSION: i16 = 4;
const OFFSET_COMMIT_VERSION_WITH_EXPIRY: i16 = 1;

/// The event as a record.
pub(super) fn encode(event: &GroupEvent) -> Encoded {
    try_encode(event).unwrap_or_else(|error| Encoded::Unfit { why: error.to_string() })
}

fn try_encode(event: &GroupEvent) -> Result<Encoded, WireError> {
    let (key, value) = match event {
        GroupEvent::GroupStored { group, stored } => (
            group_key(group),
            Some((GroupRecordValue::GroupMetadata(from_stored(stored)), GROUP_METADATA_VERSION)),
        ),
        GroupEvent::GroupForgotten { group } => (group_key(group), None),
        GroupEvent::OffsetCommitted { key, offset } => {
            let version = match offset.expire_timestamp {
                Some(_) => OFFSET_COMMIT_VERSION_WITH_EXPIRY,
                None => OFFSET_COMMIT_VERSION,
            };
            (offset_key(key), Some((GroupRecordValue::OffsetCommit(from_offset(offset)), version)))
        }
        GroupEvent::OffsetForgotten { key } => (offset_key(key), None),
        GroupEvent::Consumer { group, event } => {
            let record = consumer::encode(group, event)?;
            return Ok(
                record.map_or(Encoded::Volatile, |(key, value)| Encoded::Record { key: Some(key), value })
            );
        }
        GroupEvent::TransactionEnded(end) => return Ok(Encoded::End(*end)),
        GroupEvent::OffsetsExpired(_) | GroupEvent::Volatile { .. } => return Ok(Encoded::Volatile),
    };
    let value = value.map(|(value, version)| value.encode(version)).transpose()?;
    Ok(Encoded::Record { key: Some(key.encode()?), value })
}

/// The event of an entry; none when it is of a kind that this coordinator does not keep.
pub(super) fn decode(entry: Entry<'_>) -> Result<Option<GroupEvent>, DecodeError> {
    match entry {
        Entry::End(end) => Ok(Some(GroupEvent::TransactionEnded(end))),
        Entry::Record { key: None, .. } => Err(damaged("key", &"is missing")),
        Entry::Record { key: Some(key), value } => decode_record(key, value),
    }
}

fn decode_record(key: &Bytes, value: Option<&Bytes>) -> Result<Option<GroupEvent>, DecodeError> {
    let key = match GroupRecordKey::decode(key.clone()) {
        Ok(key) => key,
        Err(WireError::UnknownRecordType { .. }) => return Ok(None),
        Err(error) => return Err(damaged("key", &error)),
    };
    let kind = key.record_type();
    match key {
        GroupRecordKey::GroupMetadata(key) => Ok(Some(group_event(&key, decode_value(kind, value)?))),
        GroupRecordKey::OffsetCommit(key) => {
            let key = to_offset_key(&key.group, &key.topic, key.partition)?;
            Ok(Some(offset_event(key, decode_value(kind, value)?)))
        }
        GroupRecordKey::LegacyOffsetCommit(key) => {
            let key = to_offset_key(&key.group, &key.topic, key.partition)?;
            Ok(Some(offset_event(key, decode_value(kind, value)?)))
        }
        key if consumer::is_consumer_record(&key) => {
            let event = consumer::decode(&key, decode_value(kind, value)?);
            Ok(event.map(|(group, event)| GroupEvent::Consumer { group, event }))
        }
        _ => Ok(None),
    }
}

fn decode_value(kind: i16, value: Option<&Bytes>) -> Result<Option<GroupRecordValue>, DecodeError> {
    let decoded = value.map(|value| GroupRecordValue::decode(kind, value.clone())).transpose();
    Ok(decoded.map_err(|error| damaged("value", &error))?.map(|(value, _)| value))
}

fn damaged(what: &str, why: &dyn fmt::Display) -> DecodeError {
    DecodeError { what: format!("{what} of a record of a group"), why: why.to_string() }
}

fn group_key(group: &GroupId) -> GroupRecordKey {
    GroupRecordKey::GroupMetadata(GroupMetadataKey { group: WireStr::copy_of(group) })
}

fn offset_key(key: &OffsetKey) -> GroupRecordKey {
    GroupRecordKey::OffsetCommit(OffsetCommitKey {
        group: WireStr::copy_of(&key.group),
        topic: WireStr::copy_of(&key.topic),
        partition: key.partition.0,
    })
}

fn to_offset_key(group: &str, topic: &str, partition: i32) -> Result<OffsetKey, DecodeError> {
    let topic = TopicName::new(topic).map_err(|error| damaged("key", &error))?;
    Ok(OffsetKey { group: GroupId::from(group), topic, partition: PartitionIndex(partition) })
}

fn group_event(key: &GroupMetadataKey, value: Option<GroupRecordValue>) -> GroupEvent {
    let group = GroupId::from(&*key.group);
    match value {
        Some(GroupRecordValue::GroupMetadata(value)) => {
            GroupEvent::GroupStored { group, stored: Arc::new(to_stored(&value)) }
        }
        _ => GroupEvent::GroupForgotten { group },
    }
}

fn offset_event(key: OffsetKey, value: Option<GroupRecordValue>) -> GroupEvent {
    let offset = match value {
        Some(GroupRecordValue::OffsetCommit(value)) => to_offset(&value),
        Some(GroupRecordValue::LegacyOffsetCommit(value)) => to_offset(&OffsetCommitValue {
            offset: value.offset,
            metadata: value.metadata,
            commit_timestamp: value.commit_timestamp,
            ..OffsetCommitValue::default()
        }),
        _ => return GroupEvent::OffsetForgotten { key },
    };
    GroupEvent::OffsetCommitted { key, offset }
}

fn from_offset(offset: &CommittedOffset) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: offset.offset.0,
        leader_epoch: offset.leader_epoch.0,
        metadata: WireStr::copy_of(&offset.metadata),
        commit_timestamp: offset.commit_timestamp.0,
        expire_timestamp: offset.expire_timestamp.unwrap_or(Timestamp::NONE).0,
        topic_id: offset.topic_id.0,
    }
}

fn to_offset(value: &OffsetCommitValue) -> CommittedOffset {
    CommittedOffset {
        offset: Offset(value.offset),
        leader_epoch: LeaderEpoch(value.leader_epoch),
        metadata: shared_text(&value.metadata),
        commit_timestamp: Timestamp(value.commit_timestamp),
        expire_timestamp: known(value.expire_timestamp),
        topic_id: TopicId(value.topic_id),
    }
}

/// Most offsets have no metadata, and share one empty text.
fn shared_text(text: &str) -> Arc<str> {
    if text.is_empty() { Arc::default() } else { Arc::from(text) }
}

fn known(timestamp: i64) -> Option<Timestamp> {
    Some(Timestamp(timestamp)).filter(|timestamp| *timestamp != Timestamp::NONE)
}

fn from_stored(stored: &StoredGroup) -> GroupMetadataValue {
    GroupMetadataValue {
        protocol_type: WireStr::copy_of(stored.protocol_type.as_deref().unwrap_or_default()),
        generation: stored.generation.0,
        protocol: stored.protocol.as_deref().map(WireStr::copy_of),
        leader: stored.leader.as_deref().map(WireStr::copy_of),
        current_state_timestamp: stored.state_timestamp.unwrap_or(Timestamp::NONE).0,
        members: stored.members.iter().map(from_member).collect(),
    }
}

fn from_member(member: &StoredMember) -> MemberMetadata {
    MemberMetadata {
        member_id: WireStr::copy_of(&member.id),
        group_instance_id: member.instance.as_deref().map(WireStr::copy_of),
        client_id: WireStr::copy_of(&member.client_id),
        client_host: WireStr::copy_of(&member.client_host),
        rebalance_timeout: milliseconds(member.rebalance_timeout),
        session_timeout: milliseconds(member.session_timeout),
        subscription: member.subscription.clone(),
        assignment: member.assignment.clone(),
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn to_stored(value: &GroupMetadataValue) -> StoredGroup {
    StoredGroup {
        protocol_type: Some(Arc::from(&*value.protocol_type)).filter(|name: &Arc<str>| !name.is_empty()),
        generation: Generation(value.generation),
        protocol: value.protocol.as_deref().map(Arc::from),
        leader: value.leader.as_deref().map(MemberId::from),
        state_timestamp: known(value.current_state_timestamp),
        members: value.members.iter().map(to_member).collect(),
    }
}

fn to_member(member: &MemberMetadata) -> StoredMember {
    // Records before version 1 have no rebalance timeout; the session timeout stands for it.
    let rebalance_timeout = match member.rebalance_timeout {
        -1 => member.session_timeout,
        timeout => timeout,
    };
    StoredMember {
        id: MemberId::from(&*member.member_id),
        instance: member.group_instance_id.as_deref().map(InstanceId::from),
        client_id: Arc::from(&*member.client_id),
        client_host: Arc::from(&*member.client_host),
        rebalance_timeout: duration(rebalance_timeout),
        session_timeout: duration(member.session_timeout),
        // Copies, so that a member does not keep a whole batch of the log in memory.
        subscription: Bytes::copy_from_slice(&member.subscription),
        assignment: Bytes::copy_from_slice(&member.assignment),
    }
}

fn duration(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}
