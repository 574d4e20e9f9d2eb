//! The group coordinator: offsets, classic and consumer groups.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, between, list_of, names, one_of_ignoring_case};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Enabled group types; deprecated by KIP-1237; share is gated by share.version.
    "group.coordinator.rebalance.protocols": List = "classic,consumer,streams", list_of(&["consumer", "classic", "share", "streams"]), Medium, ReadOnly;
    /// Coordinator event threads.
    "group.coordinator.threads": Int = "4", at_least(1), High, ReadOnly, inert "coordinators share one pool of threads";
    /// Threads for offloaded work (assignors, regex).
    "group.coordinator.background.threads": Int = "2", at_least(1), High, ReadOnly, inert "coordinators share one pool of threads";
    /// Write batching; -1 = adaptive. In milliseconds.
    "group.coordinator.append.linger.ms": Int = "-1", at_least(-1), Medium, ReadOnly;
    /// Largest append buffer kept for reuse (KIP-1196). In bytes.
    "group.coordinator.cached.buffer.max.bytes": Int = "1048588", at_least(524288), Medium, ClusterWide;
    /// Deadline of an offset commit append. In milliseconds.
    "offsets.commit.timeout.ms": Int = "5000", at_least(1), High, ReadOnly;
    /// Read size while loading __consumer_offsets. In bytes.
    "offsets.load.buffer.size": Int = "5242880", at_least(1), High, ReadOnly;
    /// Replication factor of __consumer_offsets.
    "offsets.topic.replication.factor": Short = "3", at_least(1), High, ReadOnly;
    /// Partitions of __consumer_offsets; never change after creation.
    "offsets.topic.num.partitions": Int = "50", at_least(1), High, ReadOnly;
    /// Segment size of __consumer_offsets. In bytes.
    "offsets.topic.segment.bytes": Int = "104857600", at_least(1), High, ReadOnly;
    /// Codec id used when writing it.
    "offsets.topic.compression.codec": Int = "0", between(0, 4), High, ReadOnly;
    /// Largest metadata string in a commit. In bytes.
    "offset.metadata.max.bytes": Int = "4096", Validator::Any, High, ReadOnly;
    /// Committed offsets of an empty group or unsubscribed topic are dropped after this. In minutes.
    "offsets.retention.minutes": Int = "10080", at_least(1), High, ReadOnly;
    /// How often expiry runs. In milliseconds.
    "offsets.retention.check.interval.ms": Long = "600000", at_least(1), High, ReadOnly;
    /// Least session timeout a classic member may ask for. In milliseconds.
    "group.min.session.timeout.ms": Int = "6000", Validator::Any, Medium, ReadOnly;
    /// Greatest session timeout a classic member may ask for. In milliseconds.
    "group.max.session.timeout.ms": Int = "1800000", Validator::Any, Medium, ReadOnly;
    /// Wait for more members before the first rebalance of an empty group. In milliseconds.
    "group.initial.rebalance.delay.ms": Int = "3000", Validator::Any, Medium, ReadOnly;
    /// Members of a classic group.
    "group.max.size": Int = "2147483647", at_least(1), Medium, ReadOnly;
    /// Default member expiry. In milliseconds.
    "group.consumer.session.timeout.ms": Int = "45000", at_least(1), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.consumer.min.session.timeout.ms": Int = "45000", at_least(1), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.consumer.max.session.timeout.ms": Int = "60000", at_least(1), Medium, ReadOnly;
    /// Default heartbeat interval. In milliseconds.
    "group.consumer.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.consumer.min.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.consumer.max.heartbeat.interval.ms": Int = "15000", at_least(1), Medium, ReadOnly;
    /// Members of a consumer group.
    "group.consumer.max.size": Int = "2147483647", at_least(1), Medium, ReadOnly;
    /// Server-side assignors; first is the default.
    "group.consumer.assignors": List = "uniform,range", names(), Medium, ReadOnly;
    /// Classic and consumer protocol conversion allowed.
    "group.consumer.migration.policy": String = "bidirectional", one_of_ignoring_case(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly;
    /// Default least time between assignments (KIP-1263). In milliseconds.
    "group.consumer.assignment.interval.ms": Int = "1000", at_least(0), Medium, ClusterWide;
    /// Lower bound for the group key. In milliseconds.
    "group.consumer.min.assignment.interval.ms": Int = "0", at_least(0), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.consumer.max.assignment.interval.ms": Int = "15000", at_least(0), Medium, ReadOnly;
    /// Run the assignor off the coordinator thread.
    "group.consumer.assignor.offload.enable": Boolean = "true", Validator::Any, Hidden, ClusterWide;
};
