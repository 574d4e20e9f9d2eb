//! Records of the coordinators' logs survive byte by byte, and malformed ones are refused.

use std::path::Path;

use bytes::Bytes;
use vltava_coordinator::generated::group::{GroupRecordKey, GroupRecordValue};
use vltava_coordinator::generated::metadata::MetadataRecord;
use vltava_coordinator::generated::share::{ShareStateRecordKey, ShareStateRecordValue};
use vltava_coordinator::generated::transaction::{TransactionRecordKey, TransactionRecordValue};
use vltava_coordinator::generated::{MESSAGES, consumer_protocol};
use vltava_core::testing::messages::{
    Density, Subject, check_hostile_input, check_round_trips, sample, stream, subjects,
};
use vltava_core::wire::{Message, Reader, WireError, Writer};

const SEED: u64 = 20_260_904;

fn all() -> Vec<Subject> {
    subjects(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/messages"), MESSAGES)
}

#[test]
fn every_record_survives_in_every_version() {
    let all = all();
    assert_eq!(all.len(), 79);
    check_round_trips(&all, 100, SEED);
}

#[test]
fn malformed_records_are_refused_without_harm() {
    let (accepted, refused) = check_hostile_input(&all(), 200, SEED, |subject, version, bytes| {
        (subject.row.transcode)(&mut Reader::new(bytes.clone()), version)
    });
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
}

fn is_share_state(name: &str) -> bool {
    ["ShareSnapshot", "ShareUpdate"].iter().any(|prefix| name.starts_with(prefix))
}

fn is_transaction(name: &str) -> bool {
    name.starts_with("Transaction")
}

/// What a log's enums do with a key, a value of its type, or a whole record.
type Transcode = fn(i16, Bytes) -> Result<Bytes, WireError>;

#[test]
fn records_carry_their_type_and_version() {
    let check =
        |kind: &str, member: fn(&str) -> bool, prefix: fn(i16, i16) -> Vec<u8>, transcode: Transcode| {
            let mut seen = 0;
            for subject in all() {
                let table = &subject.table;
                let Some(record_type) = table.api_key.filter(|_| table.kind == kind && member(&table.name))
                else {
                    continue;
                };
                seen += 1;
                for version in table.versions.clone() {
                    let mut random = stream(SEED, &table.name, version, 0);
                    let mut bytes = prefix(record_type, version);
                    bytes.extend(sample(table, version, &mut random, Density::Sparse));
                    let bytes = Bytes::from(bytes);
                    assert_eq!(transcode(record_type, bytes.clone()), Ok(bytes), "{} {version}", table.name);
                }
            }
            seen
        };
    let key = |record_type: i16, _: i16| record_type.to_be_bytes().to_vec();
    let value = |_: i16, version: i16| version.to_be_bytes().to_vec();
    let groups = check(
        "coordinator-key",
        |name| !is_share_state(name) && !is_transaction(name),
        key,
        |_, bytes| GroupRecordKey::decode(bytes)?.encode(),
    );
    let group_values = check(
        "coordinator-value",
        |name| !is_share_state(name) && !is_transaction(name),
        value,
        |record_type, bytes| {
            let (value, version) = GroupRecordValue::decode(record_type, bytes)?;
            assert_eq!(value.record_type(), record_type);
            value.encode(version)
        },
    );
    assert_eq!((groups, group_values), (22, 22));
    let shares = check("coordinator-key", is_share_state, key, |_, bytes| {
        ShareStateRecordKey::decode(bytes)?.encode()
    });
    let share_values = check("coordinator-value", is_share_state, value, |record_type, bytes| {
        let (value, version) = ShareStateRecordValue::decode(record_type, bytes)?;
        value.encode(version)
    });
    assert_eq!((shares, share_values), (2, 2));
    let transactions = check("coordinator-key", is_transaction, key, |_, bytes| {
        TransactionRecordKey::decode(bytes)?.encode()
    });
    let transaction_values = check("coordinator-value", is_transaction, value, |record_type, bytes| {
        let (value, version) = TransactionRecordValue::decode(record_type, bytes)?;
        value.encode(version)
    });
    assert_eq!((transactions, transaction_values), (1, 1));
    let metadata = check(
        "metadata",
        |_| true,
        |record_type, version| [1, record_type as u8, version as u8].to_vec(),
        |record_type, bytes| {
            let (record, version) = MetadataRecord::decode(bytes)?;
            assert_eq!(record.record_type(), record_type);
            record.encode(version)
        },
    );
    assert_eq!(metadata, 27);
}

#[test]
fn foreign_types_and_frames_are_named() {
    let check = |error: Option<WireError>, expected: &str| {
        assert_eq!(error.map(|error| error.to_string()).as_deref(), Some(expected));
    };
    let bytes = Bytes::from_static;
    check(GroupRecordKey::decode(bytes(&[0, 99])).err(), "GroupRecord has no record type 99");
    check(GroupRecordValue::decode(1, bytes(&[0, 9])).err(), "OffsetCommitValue has no version 9");
    check(MetadataRecord::decode(bytes(&[1, 99, 0])).err(), "MetadataRecord has no record type 99");
    check(MetadataRecord::decode(bytes(&[2, 0, 0])).err(), "MetadataRecord frame has no version 2");
    check(
        MetadataRecord::decode(bytes(&[1, 20, 0, 0, 7])).err(),
        "1 bytes are left after the end of MetadataRecord",
    );
}

#[test]
fn a_value_that_a_version_lacks_is_refused_unless_it_may_be_dropped() {
    use vltava_coordinator::generated::group::OffsetCommitValue;
    use vltava_coordinator::generated::metadata::PartitionRecord;

    let dropped = OffsetCommitValue { leader_epoch: 7, ..OffsetCommitValue::default() };
    assert_eq!(dropped.encode(&mut Writer::contiguous(), 2), Ok(()));
    let kept = PartitionRecord { directories: vec![uuid()], ..PartitionRecord::default() };
    let refused = kept.encode(&mut Writer::contiguous(), 0);
    assert_eq!(
        refused,
        Err(WireError::FieldNotInVersion { field: "PartitionRecord.directories", version: 0 })
    );
    assert_eq!(kept.encode(&mut Writer::contiguous(), 1), Ok(()));
}

fn uuid() -> vltava_core::id::Uuid {
    vltava_core::id::Uuid::from_u128(7)
}

#[test]
fn a_subscription_reads_back_without_a_schema_number() {
    use consumer_protocol::ConsumerProtocolSubscription;
    let subscription =
        ConsumerProtocolSubscription { topics: vec!["a".into()], ..ConsumerProtocolSubscription::default() };
    let mut writer = Writer::contiguous();
    subscription.encode(&mut writer, 1).expect("encodes");
    let bytes = writer.into_bytes().expect("in memory");
    let read = ConsumerProtocolSubscription::decode(&mut Reader::new(bytes), 1);
    assert_eq!(read, Ok(subscription));
}
