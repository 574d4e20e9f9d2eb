//! The records of `__consumer_offsets`, byte by byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{
    Generation, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicId,
    TopicName, Uuid,
};
use vltava_core::image::Image;
use vltava_core::machine::{Encoded, Entry, StateMachine, TransactionEnd};

use super::super::event::{CommittedOffset, OffsetKey, StoredGroup, StoredMember};
use super::super::{GroupCoordinator, GroupEvent};

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn key() -> OffsetKey {
    OffsetKey { group: "g".into(), topic: TopicName::new("t").unwrap(), partition: PartitionIndex(3) }
}

fn offset() -> CommittedOffset {
    CommittedOffset {
        offset: Offset(5),
        leader_epoch: LeaderEpoch(2),
        metadata: "hi".into(),
        commit_timestamp: Timestamp(0x0100),
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
    }
}

fn committed(change: impl FnOnce(&mut CommittedOffset)) -> GroupEvent {
    let mut offset = offset();
    change(&mut offset);
    GroupEvent::OffsetCommitted { key: key(), offset }
}

fn stored(change: impl FnOnce(&mut StoredGroup)) -> GroupEvent {
    let mut stored = StoredGroup {
        protocol_type: Some("consumer".into()),
        generation: Generation(1),
        protocol: Some("range".into()),
        leader: Some("m".into()),
        state_timestamp: Some(Timestamp(7)),
        members: vec![StoredMember {
            id: "m".into(),
            instance: None,
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout: Duration::from_millis(256),
            session_timeout: Duration::from_millis(16),
            subscription: Bytes::from_static(b"s"),
            assignment: Bytes::from_static(b"a"),
        }],
    };
    change(&mut stored);
    GroupEvent::GroupStored { group: "g".into(), stored: Arc::new(stored) }
}

const OFFSET_KEY: &str = "0001 000167 000174 00000003";
const GROUP_KEY: &str = "0002 000167";

/// Each event is written as this record, and read back from it.
#[test]
fn events_are_written_as_kafka_writes_them() {
    for (event, key, value) in [
        (committed(|_| {}), OFFSET_KEY, Some("0004 0000000000000005 00000002 036869 0000000000000100 00")),
        (
            committed(|offset| offset.topic_id = TopicId(Uuid::from_u128(9))),
            OFFSET_KEY,
            Some(
                "0004 0000000000000005 00000002 036869 0000000000000100 \
                 01 00 10 00000000000000000000000000000009",
            ),
        ),
        (
            committed(|offset| {
                offset.expire_timestamp = Some(Timestamp(0x0200));
                offset.leader_epoch = LeaderEpoch::NONE;
            }),
            OFFSET_KEY,
            Some("0001 0000000000000005 00026869 0000000000000100 0000000000000200"),
        ),
        (GroupEvent::OffsetForgotten { key: self::key() }, OFFSET_KEY, None),
        (
            stored(|_| {}),
            GROUP_KEY,
            Some(
                "0003 0008636f6e73756d6572 00000001 000572616e6765 00016d 0000000000000007 00000001 \
                 00016d ffff 000163 00022f68 00000100 00000010 00000001 73 00000001 61",
            ),
        ),
        (
            stored(|group| {
                *group = StoredGroup { state_timestamp: Some(Timestamp(7)), ..StoredGroup::default() }
            }),
            GROUP_KEY,
            Some("0003 0000 00000000 ffff ffff 0000000000000007 00000000"),
        ),
        (GroupEvent::GroupForgotten { group: "g".into() }, GROUP_KEY, None),
    ] {
        let machine = GroupCoordinator::default();
        let encoded = machine.encode(&event, &Image::default());
        let (key, value) = (bytes(key), value.map(bytes));
        assert_eq!(encoded, Encoded::Record { key: Some(key.clone()), value: value.clone() }, "{event:?}");
        let read = machine.decode(Entry::Record { key: Some(&key), value: value.as_ref() });
        assert_eq!(read, Ok(Some(event)));
    }
}

#[test]
fn records_of_other_versions_are_read() {
    for (key, value, expected) in [
        (
            "0000 000167 000174 00000003",
            "0000 0000000000000005 00026869 0000000000000100",
            Some(committed(|offset| offset.leader_epoch = LeaderEpoch::NONE)),
        ),
        (
            OFFSET_KEY,
            "0002 0000000000000005 00026869 0000000000000100",
            Some(committed(|offset| offset.leader_epoch = LeaderEpoch::NONE)),
        ),
        (OFFSET_KEY, "0003 0000000000000005 00000002 00026869 0000000000000100", Some(committed(|_| {}))),
        // The expiry that version 1 writes when there is none.
        (
            OFFSET_KEY,
            "0001 0000000000000005 00026869 0000000000000100 ffffffffffffffff",
            Some(committed(|offset| offset.leader_epoch = LeaderEpoch::NONE)),
        ),
        (
            GROUP_KEY,
            "0000 0008636f6e73756d6572 00000001 000572616e6765 00016d 00000001 \
             00016d 000163 00022f68 00000010 00000001 73 00000001 61",
            Some(stored(|group| {
                group.state_timestamp = None;
                group.members[0].rebalance_timeout = Duration::from_millis(16);
            })),
        ),
        // Groups of other protocols, and types of later releases.
        ("000b 000167", "0000 00000001 00", None),
        ("7000 000167", "0000", None),
    ] {
        let (key, value) = (bytes(key), bytes(value));
        let read = GroupCoordinator::default().decode(Entry::Record { key: Some(&key), value: Some(&value) });
        assert_eq!(read, Ok(expected));
    }
}

#[test]
fn damaged_records_are_errors() {
    for (key, value) in [
        (None, ""),
        (Some("0001 000167"), "0004"),
        (Some("0001 000167 00022e2e 00000003"), "0004 0000000000000005 00000002 036869 0000000000000100 00"),
        (Some(OFFSET_KEY), "0004 00000000"),
        (Some(OFFSET_KEY), "0009 0000000000000005"),
        (Some(GROUP_KEY), "0003 0000 00000000 ffff ffff 0000000000000007 7fffffff"),
    ] {
        let (key, value) = (key.map(bytes), bytes(value));
        let read =
            GroupCoordinator::default().decode(Entry::Record { key: key.as_ref(), value: Some(&value) });
        assert!(read.is_err(), "{key:?} {read:?}");
    }
}

#[test]
fn ends_of_transactions_are_markers() {
    let end = TransactionEnd {
        producer: ProducerId(1),
        epoch: ProducerEpoch(2),
        commit: true,
        coordinator_epoch: 3,
    };
    let machine = GroupCoordinator::default();
    let event = GroupEvent::TransactionEnded(end);
    assert_eq!(machine.encode(&event, &Image::default()), Encoded::End(end));
    assert_eq!(machine.decode(Entry::End(end)), Ok(Some(event)));
}
