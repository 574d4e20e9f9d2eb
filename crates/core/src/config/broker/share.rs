//! Share groups and their state (KIP-932).

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, between, names};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Default member expiry. In milliseconds.
    "group.share.session.timeout.ms": Int = "45000", at_least(1), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.share.min.session.timeout.ms": Int = "45000", at_least(1), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.share.max.session.timeout.ms": Int = "60000", at_least(1), Medium, ReadOnly;
    /// Default heartbeat interval. In milliseconds.
    "group.share.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.share.min.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.share.max.heartbeat.interval.ms": Int = "15000", at_least(1), Medium, ReadOnly;
    /// Members of a share group.
    "group.share.max.size": Int = "200", between(1, 1000), Medium, ReadOnly;
    /// Server-side assignor (exactly one).
    "group.share.assignors": List = "simple", names(), Medium, ReadOnly;
    /// Default least time between assignments. In milliseconds.
    "group.share.assignment.interval.ms": Int = "1000", at_least(0), Medium, ClusterWide;
    /// Lower bound for the group key. In milliseconds.
    "group.share.min.assignment.interval.ms": Int = "0", at_least(0), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.share.max.assignment.interval.ms": Int = "15000", at_least(0), Medium, ReadOnly;
    /// Run the assignor off the coordinator thread.
    "group.share.assignor.offload.enable": Boolean = "true", Validator::Any, Hidden, ClusterWide;
    /// Default delivery attempts.
    "group.share.delivery.count.limit": Int = "5", between(2, 10), Medium, ReadOnly;
    /// Upper bound for the group key (KIP-1240).
    "group.share.max.delivery.count.limit": Int = "10", between(5, 25), Medium, ReadOnly;
    /// Lower bound for the group key.
    "group.share.min.delivery.count.limit": Int = "2", between(2, 5), Medium, ReadOnly;
    /// Default acquisition lock. In milliseconds.
    "group.share.record.lock.duration.ms": Int = "30000", between(1000, 3600000), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.share.min.record.lock.duration.ms": Int = "15000", between(1000, 30000), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.share.max.record.lock.duration.ms": Int = "60000", between(30000, 3600000), Medium, ReadOnly;
    /// Default in-flight records per share-partition.
    "group.share.partition.max.record.locks": Int = "2000", between(100, 10000), Medium, ReadOnly;
    /// Upper bound for the group key.
    "group.share.max.partition.max.record.locks": Int = "4000", between(2000, 10000), Medium, ReadOnly;
    /// Lower bound for the group key.
    "group.share.min.partition.max.record.locks": Int = "100", between(100, 2000), Medium, ReadOnly;
    /// Share sessions per broker.
    "group.share.max.share.sessions": Int = "2000", at_least(1), Medium, ReadOnly;
    /// Purge the share-fetch purgatory after this many operations.
    "share.fetch.purgatory.purge.interval.requests": Int = "1000", Validator::Any, Medium, ReadOnly, inert "waiting requests leave no garbage that would need purging";
    /// Broker may create dead-letter topics.
    "errors.deadletterqueue.auto.create.topics.enable": Boolean = "false", Validator::Any, Medium, ClusterWide;
    /// Prefix that dead-letter topic names must have; empty = any name.
    "errors.deadletterqueue.topic.name.prefix": String = "dlq.", Validator::Any, Medium, ClusterWide;
    /// Partitions of __share_group_state; never change after creation.
    "share.coordinator.state.topic.num.partitions": Int = "50", at_least(1), High, ReadOnly;
    /// Replication factor of __share_group_state.
    "share.coordinator.state.topic.replication.factor": Short = "3", at_least(1), High, ReadOnly;
    /// Min ISR of __share_group_state.
    "share.coordinator.state.topic.min.isr": Short = "2", at_least(1), High, ReadOnly;
    /// Segment size of __share_group_state. In bytes.
    "share.coordinator.state.topic.segment.bytes": Int = "104857600", at_least(1), High, ReadOnly;
    /// Coordinator event threads.
    "share.coordinator.threads": Int = "1", at_least(1), Medium, ReadOnly, inert "coordinators share one pool of threads";
    /// Update records between two snapshot records of a share-partition.
    "share.coordinator.snapshot.update.records.per.snapshot": Int = "500", between(0, 500), Medium, ReadOnly;
    /// Read size while loading. In bytes.
    "share.coordinator.load.buffer.size": Int = "5242880", at_least(1), High, ReadOnly;
    /// Codec id used when writing.
    "share.coordinator.state.topic.compression.codec": Int = "0", between(0, 4), High, ReadOnly;
    /// Write batching; -1 = adaptive. In milliseconds.
    "share.coordinator.append.linger.ms": Int = "-1", at_least(-1), Medium, ReadOnly;
    /// Deadline of an append. In milliseconds.
    "share.coordinator.write.timeout.ms": Int = "5000", at_least(1), High, ReadOnly;
    /// Largest append buffer kept for reuse. In bytes.
    "share.coordinator.cached.buffer.max.bytes": Int = "1048588", at_least(524288), Medium, ClusterWide;
};
