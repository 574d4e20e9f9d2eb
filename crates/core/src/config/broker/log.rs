//! Where logs lie, how they are kept, flushed and compacted.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{
    Validator, at_least, between, built_in, fraction, list_of_or_empty, names, names_or_empty, one_of,
};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Single data directory, used when log.dirs is null.
    "log.dir": List = "/tmp/kafka-logs", names(), High, ReadOnly;
    /// Data directories.
    "log.dirs": List = null, Validator::NamesOrNull, High, ReadOnly;
    /// Directories of log.dirs that take no new replicas (KIP-1066); * = all.
    "cordoned.log.dirs": List = "", names_or_empty(), Medium, PerBroker;
    /// Partitions of auto-created topics and of CreateTopics with -1.
    "num.partitions": Int = "1", at_least(1), Medium, ReadOnly;
    /// Replication factor of auto-created topics and of CreateTopics with -1.
    "default.replication.factor": Int = "1", Validator::Any, Medium, ReadOnly;
    /// Metadata may create topics.
    "auto.create.topics.enable": Boolean = "true", Validator::Any, High, ReadOnly;
    /// DeleteTopics allowed.
    "delete.topic.enable": Boolean = "true", Validator::Any, High, ReadOnly;
    /// Broker-wide default of the topic key `segment.bytes`.
    "log.segment.bytes": Int = "1073741824", at_least(1048576), High, ClusterWide;
    /// Broker-wide default of the topic key `segment.ms`; wins over hours. In milliseconds.
    "log.roll.ms": Long = null, Validator::Any, High, ClusterWide;
    /// Broker-wide default of the topic key `segment.ms`. In hours.
    "log.roll.hours": Int = "168", at_least(1), High, ReadOnly;
    /// Broker-wide default of the topic key `segment.jitter.ms`; wins over hours. In milliseconds.
    "log.roll.jitter.ms": Long = null, Validator::Any, High, ClusterWide;
    /// Broker-wide default of the topic key `segment.jitter.ms`. In hours.
    "log.roll.jitter.hours": Int = "0", at_least(0), High, ReadOnly;
    /// Broker-wide default of the topic key `retention.ms`; wins over minutes and hours. In milliseconds.
    "log.retention.ms": Long = null, Validator::Any, High, ClusterWide;
    /// Broker-wide default of the topic key `retention.ms`; wins over hours. In minutes.
    "log.retention.minutes": Int = null, Validator::Any, High, ReadOnly;
    /// Broker-wide default of the topic key `retention.ms`. In hours.
    "log.retention.hours": Int = "168", Validator::Any, High, ReadOnly;
    /// Broker-wide default of the topic key `retention.bytes`.
    "log.retention.bytes": Long = "-1", Validator::Any, High, ClusterWide;
    /// How often deletion is considered. In milliseconds.
    "log.retention.check.interval.ms": Long = "300000", at_least(1), Medium, ReadOnly;
    /// Broker-wide default of the topic key `cleanup.policy`.
    "log.cleanup.policy": List = "delete", list_of_or_empty(&["compact", "delete"]), Medium, ClusterWide;
    /// Broker-wide default of the topic key `segment.index.bytes`.
    "log.index.size.max.bytes": Int = "10485760", at_least(4), Medium, ClusterWide;
    /// Broker-wide default of the topic key `index.interval.bytes`.
    "log.index.interval.bytes": Int = "4096", at_least(0), Medium, ClusterWide;
    /// Broker-wide default of the topic key `flush.messages`.
    "log.flush.interval.messages": Long = "9223372036854775807", at_least(1), High, ClusterWide;
    /// Broker-wide default of the topic key `flush.ms`; null = log.flush.scheduler.interval.ms. In milliseconds.
    "log.flush.interval.ms": Long = null, Validator::Any, High, ClusterWide;
    /// How often the flusher looks for logs to fsync. In milliseconds.
    "log.flush.scheduler.interval.ms": Long = "9223372036854775807", Validator::Any, High, ReadOnly;
    /// How often recovery-point-offset-checkpoint is written. In milliseconds.
    "log.flush.offset.checkpoint.interval.ms": Int = "60000", at_least(0), High, ReadOnly;
    /// How often log-start-offset-checkpoint is written. In milliseconds.
    "log.flush.start.offset.checkpoint.interval.ms": Int = "60000", at_least(0), High, ReadOnly;
    /// Broker-wide default of the topic key `file.delete.delay.ms`. In milliseconds.
    "log.segment.delete.delay.ms": Long = "60000", at_least(0), High, ClusterWide;
    /// Broker-wide default of the topic key `preallocate`.
    "log.preallocate": Boolean = "false", Validator::Any, Medium, ClusterWide;
    /// Threads per dir for recovery at start and flush at stop.
    "num.recovery.threads.per.data.dir": Int = "2", at_least(1), High, ClusterWide;
    /// Broker stops itself when it cannot tell the controller about a failed dir in this time. In milliseconds.
    "log.dir.failure.timeout.ms": Long = "30000", at_least(1), Low, ReadOnly;
    /// Broker-wide default of the topic key of the same name.
    "min.insync.replicas": Int = "1", at_least(1), High, ClusterWide;
    /// Broker-wide default of the topic key `message.timestamp.type`.
    "log.message.timestamp.type": String = "CreateTime", one_of(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide;
    /// Broker-wide default of the topic key `message.timestamp.before.max.ms`. In milliseconds.
    "log.message.timestamp.before.max.ms": Long = "9223372036854775807", at_least(0), Medium, ClusterWide;
    /// Broker-wide default of the topic key `message.timestamp.after.max.ms`. In milliseconds.
    "log.message.timestamp.after.max.ms": Long = "3600000", at_least(0), Medium, ClusterWide;
    /// Broker-wide default of the topic key of the same name.
    "compression.type": String = "producer", one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), High, ClusterWide;
    /// Broker-wide default of the topic key of the same name.
    "compression.gzip.level": Int = "-1", Validator::GzipLevel, Medium, ClusterWide;
    /// Broker-wide default of the topic key of the same name.
    "compression.lz4.level": Int = "9", between(1, 17), Medium, ClusterWide;
    /// Broker-wide default of the topic key of the same name.
    "compression.zstd.level": Int = "3", between(-131072, 22), Medium, ClusterWide;
    /// Plugin that may refuse a topic creation.
    "create.topic.policy.class.name": Class = null, built_in(&[]), Low, ReadOnly;
    /// Plugin that may refuse a config change.
    "alter.config.policy.class.name": Class = null, built_in(&[]), Low, ReadOnly;
    /// Whether compacted topics are compacted; deprecated by KIP-1148.
    "log.cleaner.enable": Boolean = "true", Validator::Any, Medium, ReadOnly;
    /// Cleaner threads.
    "log.cleaner.threads": Int = "1", at_least(0), Medium, ClusterWide;
    /// Combined read+write throttle.
    "log.cleaner.io.max.bytes.per.second": Double = "1.7976931348623157E308", Validator::Any, Medium, ClusterWide;
    /// Memory for the offset map, all threads. In bytes.
    "log.cleaner.dedupe.buffer.size": Long = "134217728", Validator::Any, Medium, ClusterWide;
    /// Memory for I/O buffers, all threads. In bytes.
    "log.cleaner.io.buffer.size": Int = "524288", at_least(0), Medium, ClusterWide;
    /// Fill share of the offset map.
    "log.cleaner.io.buffer.load.factor": Double = "0.9", Validator::Any, Medium, ClusterWide;
    /// Pause when nothing is to clean. In milliseconds.
    "log.cleaner.backoff.ms": Long = "15000", at_least(0), Medium, ClusterWide;
    /// Broker-wide default of the topic key `min.cleanable.dirty.ratio`.
    "log.cleaner.min.cleanable.ratio": Double = "0.5", fraction(0.0, 1.0), Medium, ClusterWide;
    /// Broker-wide default of the topic key `delete.retention.ms`. In milliseconds.
    "log.cleaner.delete.retention.ms": Long = "86400000", at_least(0), Medium, ClusterWide;
    /// Broker-wide default of the topic key `min.compaction.lag.ms`. In milliseconds.
    "log.cleaner.min.compaction.lag.ms": Long = "0", at_least(0), Medium, ClusterWide;
    /// Broker-wide default of the topic key `max.compaction.lag.ms`. In milliseconds.
    "log.cleaner.max.compaction.lag.ms": Long = "9223372036854775807", at_least(1), Medium, ClusterWide;
};
