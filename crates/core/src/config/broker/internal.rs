//! Keys that Kafka hides from its manual and tests set.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, fraction};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Advertise API versions that are still being developed.
    "unstable.api.versions.enable": Boolean = "false", Validator::Any, Hidden, ReadOnly;
    /// Allow feature levels that are still being developed.
    "unstable.feature.versions.enable": Boolean = "false", Validator::Any, Hidden, ReadOnly;
    /// Wait after start before retention, flushing and checkpoints run for the first time. In milliseconds.
    "log.initial.task.delay.ms": Long = "30000", at_least(0), Hidden, ReadOnly;
    /// How often idle producer state is looked for. In milliseconds.
    "producer.id.expiration.check.interval.ms": Int = "600000", at_least(1), Hidden, ReadOnly;
    /// How often the controller looks for partitions that need an unclean election. In milliseconds.
    "unclean.leader.election.interval.ms": Long = "300000", at_least(1), Hidden, ReadOnly;
    /// How often regular-expression subscriptions are matched against the topics again. In milliseconds.
    "group.consumer.regex.refresh.interval.ms": Int = "600000", at_least(10000), Hidden, ReadOnly;
    /// Pause before the initialisation of a share partition is tried again. In milliseconds.
    "group.share.initialize.retry.interval.ms": Int = "30000", at_least(1), Hidden, ReadOnly;
    /// The persister of share-group state.
    "group.share.persister.class.name": String = "org.apache.kafka.server.share.persister.DefaultStatePersister", Validator::Any, Hidden, ReadOnly, inert "the share-state persister is built in";
    /// The component that writes dead letters.
    "group.share.dlq.manager.class.name": String = "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager", Validator::Any, Hidden, ReadOnly, inert "the dead-letter handling is built in";
    /// How often redundant records of __share_group_state are deleted. In milliseconds.
    "share.coordinator.state.topic.prune.interval.ms": Int = "300000", at_least(1), Hidden, ReadOnly;
    /// How often a share partition without updates is snapshotted. In milliseconds.
    "share.coordinator.cold.partition.snapshot.interval.ms": Int = "300000", at_least(1), Hidden, ReadOnly;
    /// How often the controller reports its slowest events. In milliseconds.
    "controller.performance.sample.period.ms": Long = "60000", at_least(100), Hidden, ReadOnly;
    /// A controller event slower than this is always logged. In milliseconds.
    "controller.performance.always.log.threshold.ms": Long = "2000", at_least(0), Hidden, ReadOnly;
    /// Give up when start-up takes longer than this. In milliseconds.
    "server.max.startup.time.ms": Long = "9223372036854775807", at_least(0), Hidden, ReadOnly, inert "start-up ends by itself, with an error or with a running node";
    /// Segment size of the metadata log below its public floor, for tests of rolling. In bytes.
    "internal.metadata.log.segment.bytes": Int = null, Validator::Any, Hidden, ReadOnly;
    /// Largest batch of metadata records. In bytes.
    "internal.metadata.max.batch.size.in.bytes": Int = "8388608", Validator::Any, Hidden, ReadOnly;
    /// Wait before a deleted metadata segment is unlinked, in milliseconds.
    "internal.metadata.delete.delay.millis": Long = "60000", Validator::Any, Hidden, ReadOnly;
    /// How long an unused remote index stays cached; -1 for as long as there is room. In milliseconds.
    "remote.log.index.file.cache.ttl.ms": Long = "900000", at_least(-1), Hidden, ReadOnly;
    /// First pause after a failed task of tiered storage. In milliseconds.
    "remote.log.manager.task.retry.backoff.ms": Long = "500", at_least(1), Hidden, ReadOnly;
    /// Longest pause after failed tasks of tiered storage. In milliseconds.
    "remote.log.manager.task.retry.backoff.max.ms": Long = "30000", at_least(1), Hidden, ReadOnly;
    /// Random share of that pause.
    "remote.log.manager.task.retry.jitter": Double = "0.2", fraction(0.0, 0.5), Hidden, ReadOnly;
};
