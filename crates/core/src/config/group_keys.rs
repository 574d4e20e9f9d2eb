//! The keys of a group (KIP-848, KIP-932, KIP-1071). Each takes its default from the broker key named after `from`.

use crate::config::key::{ConfigKey, config_keys, same};
use crate::config::validator::{Validator, at_least, names_or_empty, one_of};

/// Every key a group may carry.
pub const GROUP_KEYS: &[ConfigKey] = config_keys! {
    /// KIP-848 member expiry. In milliseconds.
    "consumer.session.timeout.ms": Int = "45000", at_least(1), Medium, Resource, from [same("group.consumer.session.timeout.ms")];
    /// Heartbeat interval told to members. In milliseconds.
    "consumer.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, Resource, from [same("group.consumer.heartbeat.interval.ms")];
    /// Least time between two assignment computations. In milliseconds.
    "consumer.assignment.interval.ms": Int = "1000", at_least(0), Medium, Resource, from [same("group.consumer.assignment.interval.ms")];
    /// Run the assignor off the coordinator thread.
    "consumer.assignor.offload.enable": Boolean = "true", Validator::Any, Hidden, Resource, from [same("group.consumer.assignor.offload.enable")];
    /// Share member expiry. In milliseconds.
    "share.session.timeout.ms": Int = "45000", at_least(1), Medium, Resource, from [same("group.share.session.timeout.ms")];
    /// Heartbeat interval told to members. In milliseconds.
    "share.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, Resource, from [same("group.share.heartbeat.interval.ms")];
    /// Acquisition lock on a delivered record. In milliseconds.
    "share.record.lock.duration.ms": Int = "30000", at_least(1000), Medium, Resource, from [same("group.share.record.lock.duration.ms")];
    /// Delivery attempts before a record is archived (or dead-lettered).
    "share.delivery.count.limit": Int = "5", at_least(2), Medium, Resource, from [same("group.share.delivery.count.limit")];
    /// In-flight records per share-partition.
    "share.partition.max.record.locks": Int = "2000", at_least(100), Medium, Resource, from [same("group.share.partition.max.record.locks")];
    /// Where a new share-partition starts.
    "share.auto.offset.reset": String = "latest", Validator::OffsetReset, Medium, Resource;
    /// Deliver only committed transactional records, or all.
    "share.isolation.level": String = "read_uncommitted", one_of(&["read_committed", "read_uncommitted"]), Medium, Resource;
    /// Accept the RENEW acknowledgement (KIP-1222).
    "share.renew.acknowledge.enable": Boolean = "true", Validator::Any, Medium, Resource;
    /// Least time between two assignment computations. In milliseconds.
    "share.assignment.interval.ms": Int = "1000", at_least(0), Medium, Resource, from [same("group.share.assignment.interval.ms")];
    /// Run the assignor off the coordinator thread.
    "share.assignor.offload.enable": Boolean = "true", Validator::Any, Hidden, Resource, from [same("group.share.assignor.offload.enable")];
    /// Streams member expiry. In milliseconds.
    "streams.session.timeout.ms": Int = "45000", at_least(1), Medium, Resource, from [same("group.streams.session.timeout.ms")];
    /// Heartbeat interval told to members. In milliseconds.
    "streams.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, Resource, from [same("group.streams.heartbeat.interval.ms")];
    /// Standby tasks per active task.
    "streams.num.standby.replicas": Int = "0", at_least(0), Medium, Resource, from [same("group.streams.num.standby.replicas")];
    /// Wait for more members before the first assignment. In milliseconds.
    "streams.initial.rebalance.delay.ms": Int = "3000", at_least(0), Medium, Resource, from [same("group.streams.initial.rebalance.delay.ms")];
    /// Least time between two assignment computations. In milliseconds.
    "streams.assignment.interval.ms": Int = "1000", at_least(0), Medium, Resource, from [same("group.streams.assignment.interval.ms")];
    /// Run the assignor off the coordinator thread.
    "streams.assignor.offload.enable": Boolean = "true", Validator::Any, Hidden, Resource, from [same("group.streams.assignor.offload.enable")];
    /// How often members report task offsets. In milliseconds.
    "streams.task.offset.interval.ms": Int = "60000", at_least(1), Hidden, Resource, from [same("group.streams.task.offset.interval.ms")];
    /// Warm-up tasks allowed at once.
    "streams.num.warmup.replicas": Int = "2", at_least(0), Hidden, Resource, from [same("group.streams.num.warmup.replicas")];
    /// Client tags used to spread standbys.
    "streams.rack.aware.assignment.tags": List = "", names_or_empty(), Medium, Resource, from [same("group.streams.rack.aware.assignment.tags")];
    /// Lag under which a standby counts as caught up.
    "streams.acceptable.recovery.lag": Long = "10000", at_least(0), Hidden, Resource, from [same("group.streams.acceptable.recovery.lag")];
    /// Assignor for this group; null = first of group.streams.assignors.
    "streams.assignor.name": String = null, Validator::Any, Medium, Resource, from [same("group.streams.assignors")];
    /// Dead-letter topic of a share group; empty = off.
    "errors.deadletterqueue.topic.name": String = "", Validator::DeadLetterTopic, Medium, Resource;
    /// Copy key and value to the dead-letter record, not only context headers.
    "errors.deadletterqueue.copy.record.enable": Boolean = "false", Validator::Any, Medium, Resource;
};
