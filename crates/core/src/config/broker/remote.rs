//! Tiered storage (KIP-405).

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Master switch.
    "remote.log.storage.system.enable": Boolean = "false", Validator::Any, Medium, ReadOnly;
    /// Prefix of keys handed to the storage manager.
    "remote.log.storage.manager.impl.prefix": String = "rsm.config.", Validator::NonEmpty, Medium, ReadOnly;
    /// Prefix of keys handed to the metadata manager.
    "remote.log.metadata.manager.impl.prefix": String = "rlmm.config.", Validator::NonEmpty, Medium, ReadOnly;
    /// The store of tiered segments, by the name of the Java class that does it in Kafka.
    "remote.log.storage.manager.class.name": String = null, Validator::NonEmpty, Medium, ReadOnly;
    /// Class path of that plugin; accepted and ignored.
    "remote.log.storage.manager.class.path": String = null, Validator::Any, Medium, ReadOnly, inert "no code is loaded from a class path";
    /// RemoteLogMetadataManager plugin; default is the topic-based one.
    "remote.log.metadata.manager.class.name": String = "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", Validator::NonEmpty, Medium, ReadOnly;
    /// Class path of that plugin; accepted and ignored.
    "remote.log.metadata.manager.class.path": String = null, Validator::Any, Medium, ReadOnly, inert "no code is loaded from a class path";
    /// Listener the metadata manager's clients use.
    "remote.log.metadata.manager.listener.name": String = null, Validator::NonEmpty, Medium, ReadOnly;
    /// Largest custom metadata per segment. In bytes.
    "remote.log.metadata.custom.metadata.max.bytes": Int = "128", at_least(0), Low, ReadOnly;
    /// Local cache of remote indexes. In bytes.
    "remote.log.index.file.cache.total.size.bytes": Long = "1073741824", at_least(1), Low, ClusterWide;
    /// Older pool size; deprecated in favour of the three below.
    "remote.log.manager.thread.pool.size": Int = "2", at_least(1), Medium, ReadOnly;
    /// Upload threads.
    "remote.log.manager.copier.thread.pool.size": Int = "10", at_least(1), Medium, ClusterWide;
    /// Deletion threads.
    "remote.log.manager.expiration.thread.pool.size": Int = "10", at_least(1), Medium, ClusterWide;
    /// Threads for followers' tasks.
    "remote.log.manager.follower.thread.pool.size": Int = "2", at_least(1), Medium, ClusterWide;
    /// How often copy and expiry run per partition. In milliseconds.
    "remote.log.manager.task.interval.ms": Long = "30000", at_least(1), Low, ReadOnly;
    /// Threads reading remote data.
    "remote.log.reader.threads": Int = "10", at_least(1), Medium, ClusterWide;
    /// Queued remote reads before refusal.
    "remote.log.reader.max.pending.tasks": Int = "100", at_least(1), Medium, ReadOnly;
    /// Broker-wide default of the topic key `local.retention.ms`. In milliseconds.
    "log.local.retention.ms": Long = "-2", at_least(-2), Medium, ClusterWide;
    /// Broker-wide default of the topic key `local.retention.bytes`.
    "log.local.retention.bytes": Long = "-2", at_least(-2), Medium, ClusterWide;
    /// Broker-wide default of the topic key `remote.copy.lag.ms`. In milliseconds.
    "log.remote.copy.lag.ms": Long = "0", at_least(-1), Medium, ClusterWide;
    /// Broker-wide default of the topic key `remote.copy.lag.bytes`.
    "log.remote.copy.lag.bytes": Long = "-1", at_least(-1), Medium, ClusterWide;
    /// Upload quota.
    "remote.log.manager.copy.max.bytes.per.second": Long = "9223372036854775807", at_least(1), Medium, ClusterWide;
    /// Samples for it.
    "remote.log.manager.copy.quota.window.num": Int = "11", at_least(1), Medium, ReadOnly;
    /// Sample length.
    "remote.log.manager.copy.quota.window.size.seconds": Int = "1", at_least(1), Medium, ReadOnly;
    /// Remote read quota.
    "remote.log.manager.fetch.max.bytes.per.second": Long = "9223372036854775807", at_least(1), Medium, ClusterWide;
    /// Samples for it.
    "remote.log.manager.fetch.quota.window.num": Int = "11", at_least(1), Medium, ReadOnly;
    /// Sample length.
    "remote.log.manager.fetch.quota.window.size.seconds": Int = "1", at_least(1), Medium, ReadOnly;
    /// Long-poll of a fetch that needs remote data. In milliseconds.
    "remote.fetch.max.wait.ms": Int = "500", at_least(1), Medium, ClusterWide;
    /// Deadline of a remote ListOffsets (KIP-1075). In milliseconds.
    "remote.list.offsets.request.timeout.ms": Long = "30000", at_least(1), Medium, ClusterWide;
    /// Replication factor of __remote_log_metadata.
    "remote.log.metadata.topic.replication.factor": Short = "3", at_least(1), Hidden, ReadOnly;
    /// Partitions of __remote_log_metadata.
    "remote.log.metadata.topic.num.partitions": Int = "50", at_least(1), Hidden, ReadOnly;
    /// Its retention; -1 = for ever; must exceed every tiered topic's. In milliseconds.
    "remote.log.metadata.topic.retention.ms": Long = "-1", Validator::Any, Hidden, ReadOnly;
    /// Its min ISR (KIP-1235).
    "remote.log.metadata.topic.min.isr": Short = "2", at_least(1), Hidden, ReadOnly;
    /// Wait for a written metadata event to be read back. In milliseconds.
    "remote.log.metadata.consume.wait.ms": Long = "120000", at_least(0), Hidden, ReadOnly;
    /// Give up initialisation after. In milliseconds.
    "remote.log.metadata.initialization.retry.max.timeout.ms": Long = "120000", at_least(0), Hidden, ReadOnly;
    /// Pause between initialisation tries. In milliseconds.
    "remote.log.metadata.initialization.retry.interval.ms": Long = "100", at_least(0), Hidden, ReadOnly;
};
