//! The records of `__transaction_state`, as Kafka 4 writes and reads them: version 0 until transaction version 1 is
//! finalised, version 1 from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use vltava_core::id::{PartitionIndex, ProducerEpoch, ProducerId, Timestamp, TopicName, TopicPartition};
use vltava_core::machine::{DecodeError, Encoded, Entry};
use vltava_core::wire::{WireError, WireStr};

use super::event::TransactionEvent;
use super::state::{Status, Transaction, TransactionVersion, TransactionalId};
use crate::generated::transaction::transaction_log_value::PartitionsSchema;
use crate::generated::transaction::{
    TransactionLogKey, TransactionLogValue, TransactionRecordKey, TransactionRecordValue,
};

/// The event as a record.
pub(super) fn encode(event: &TransactionEvent, level: TransactionVersion) -> Encoded {
    try_encode(event, level).unwrap_or_else(|error| Encoded::Unfit { why: error.to_string() })
}

fn try_encode(event: &TransactionEvent, level: TransactionVersion) -> Result<Encoded, WireError> {
    let (id, value) = match event {
        TransactionEvent::Stored { id, stored } => {
            let version = i16::from(level >= TransactionVersion::FLEXIBLE_RECORDS);
            let value = TransactionRecordValue::TransactionLog(from_stored(stored));
            (id, Some(value.encode(version)?))
        }
        TransactionEvent::Forgotten { id } => (id, None),
        TransactionEvent::LastEpoch { .. } => return Ok(Encoded::Volatile),
    };
    let key = TransactionLogKey { transactional_id: WireStr::copy_of(id) };
    Ok(Encoded::Record { key: Some(TransactionRecordKey::TransactionLog(key).encode()?), value })
}

/// The event of an entry; none when it is of a kind that this coordinator does not keep.
pub(super) fn decode(entry: Entry<'_>) -> Result<Option<TransactionEvent>, DecodeError> {
    match entry {
        // The log takes part in no transaction itself.
        Entry::End(_) => Ok(None),
        Entry::Record { key: None, .. } => Err(damaged("key", &"is missing")),
        Entry::Record { key: Some(key), value } => decode_record(key, value),
    }
}

fn decode_record(key: &Bytes, value: Option<&Bytes>) -> Result<Option<TransactionEvent>, DecodeError> {
    let key = match TransactionRecordKey::decode(key.clone()) {
        Ok(key) => key,
        Err(WireError::UnknownRecordType { .. }) => return Ok(None),
        Err(error) => return Err(damaged("key", &error)),
    };
    let kind = key.record_type();
    let TransactionRecordKey::TransactionLog(key) = key;
    let id = TransactionalId::from(&*key.transactional_id);
    let Some(value) = value else { return Ok(Some(TransactionEvent::Forgotten { id })) };
    let decoded = TransactionRecordValue::decode(kind, value.clone());
    let (TransactionRecordValue::TransactionLog(value), _) =
        decoded.map_err(|error| damaged("value", &error))?;
    Ok(Some(TransactionEvent::Stored { id, stored: Arc::new(to_stored(&value)?) }))
}

fn damaged(what: &str, why: &dyn fmt::Display) -> DecodeError {
    DecodeError { what: format!("{what} of a record of a transactional id"), why: why.to_string() }
}

fn from_stored(stored: &Transaction) -> TransactionLogValue {
    let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
    for partition in &stored.partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition.0);
    }
    let schema = |(topic, partition_ids): (&TopicName, _)| PartitionsSchema {
        topic: WireStr::copy_of(topic.as_str()),
        partition_ids,
    };
    let partitions = topics.into_iter().map(schema).collect();
    TransactionLogValue {
        producer_id: stored.producer.0,
        previous_producer_id: stored.previous_producer.0,
        next_producer_id: stored.next_producer.0,
        producer_epoch: stored.epoch.0,
        next_producer_epoch: -1,
        transaction_timeout_ms: stored.timeout_ms,
        transaction_status: stored.status.id(),
        transaction_partitions: Some(partitions).filter(|_| stored.status != Status::Empty),
        transaction_last_update_timestamp_ms: stored.updated.0,
        transaction_start_timestamp_ms: stored.started.0,
        client_transaction_version: stored.version.0,
    }
}

fn to_stored(value: &TransactionLogValue) -> Result<Transaction, DecodeError> {
    let status = Status::ALL.into_iter().find(|status| status.id() == value.transaction_status);
    let status =
        status.ok_or_else(|| damaged("status", &format!("{} is not known", value.transaction_status)))?;
    let mut partitions = BTreeSet::new();
    for topic in value.transaction_partitions.iter().flatten() {
        let name = TopicName::new(&topic.topic).map_err(|error| damaged("topic", &error))?;
        let partition =
            |index: &i32| TopicPartition { topic: name.clone(), partition: PartitionIndex(*index) };
        partitions.extend(topic.partition_ids.iter().map(partition));
    }
    Ok(Transaction {
        producer: ProducerId(value.producer_id),
        previous_producer: ProducerId(value.previous_producer_id),
        next_producer: ProducerId(value.next_producer_id),
        epoch: ProducerEpoch(value.producer_epoch),
        timeout_ms: value.transaction_timeout_ms,
        status,
        partitions,
        updated: Timestamp(value.transaction_last_update_timestamp_ms),
        started: Timestamp(value.transaction_start_timestamp_ms),
        version: TransactionVersion(value.client_transaction_version),
    })
}
