//! The settings of a topic, resolved and typed: what storage, replication and the append path read.

use super::error::ConfigError;
use super::layers::BrokerLayers;
use super::table::{ConfigTable, Properties};
use super::topic_keys::TOPIC_KEYS;
use super::values::ConfigValues;
use crate::record::{Codec, Compression, TimestampType, TopicCompression, ValidationRules};

/// The keys of a topic.
pub fn topic_keys() -> &'static ConfigTable {
    static TABLE: std::sync::LazyLock<ConfigTable> =
        std::sync::LazyLock::new(|| ConfigTable::new("topic", [TOPIC_KEYS]));
    &TABLE
}

/// The settings of a topic, each taken from the topic, else from the broker's dynamic settings, the cluster's, the file,
/// the default. Sizes are bytes, times milliseconds. Fields carry the names of the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// What happens to old records.
    pub cleanup_policy: CleanupPolicy,
    /// What the broker does with the producer's codec.
    pub compression_type: TopicCompression,
    /// How long a tombstone stays after compaction.
    pub delete_retention_ms: i64,
    /// The wait between renaming a segment to `.deleted` and unlinking it.
    pub file_delete_delay_ms: i64,
    /// fsync after this many records.
    pub flush_messages: i64,
    /// fsync at least this often.
    pub flush_ms: i64,
    /// Replicas throttled on the follower's side.
    pub follower_replication_throttled_replicas: ThrottledReplicas,
    /// Bytes of log between two index entries.
    pub index_interval_bytes: i32,
    /// Replicas throttled on the leader's side.
    pub leader_replication_throttled_replicas: ThrottledReplicas,
    /// Bytes kept on local disk when the topic is tiered; −1 unlimited; resolved, so −2 does not occur.
    pub local_retention_bytes: i64,
    /// Age kept on local disk when the topic is tiered; −1 unlimited; resolved, so −2 does not occur.
    pub local_retention_ms: i64,
    /// A record older than this makes the log eligible for compaction.
    pub max_compaction_lag_ms: i64,
    /// The largest record accepted, after decompression.
    pub max_decompressed_message_bytes: i32,
    /// The largest record batch accepted, after compression.
    pub max_message_bytes: i32,
    /// How far in the future the producer's timestamp may lie.
    pub message_timestamp_after_max_ms: i64,
    /// How far in the past the producer's timestamp may lie.
    pub message_timestamp_before_max_ms: i64,
    /// Whose clock stamps the records.
    pub message_timestamp_type: TimestampType,
    /// The share of dirty bytes that makes the log eligible for compaction.
    pub min_cleanable_dirty_ratio: f64,
    /// A record younger than this is not compacted.
    pub min_compaction_lag_ms: i64,
    /// How many in-sync replicas `acks=all` needs.
    pub min_insync_replicas: i32,
    /// Whether segment files are allocated at full size.
    pub preallocate: bool,
    /// Whether uploading is stopped while tiered data stays readable.
    pub remote_log_copy_disable: bool,
    /// Whether tiered data is deleted when tiering is turned off.
    pub remote_log_delete_on_disable: bool,
    /// Whether the topic is tiered.
    pub remote_storage_enable: bool,
    /// Newer bytes that must lie behind a segment before it is uploaded; −1 follows local retention (KIP-1241).
    pub remote_copy_lag_bytes: i64,
    /// Age of the newest record before a segment is uploaded; −1 follows local retention (KIP-1241).
    pub remote_copy_lag_ms: i64,
    /// Size bound of a partition; −1 unlimited.
    pub retention_bytes: i64,
    /// Age bound of records; −1 unlimited.
    pub retention_ms: i64,
    /// The size at which the active segment rolls. Tests may set it below Kafka's floor with `internal.segment.bytes`.
    pub segment_bytes: i32,
    /// The size an index may grow to before its segment rolls.
    pub segment_index_bytes: i32,
    /// A random part of this is taken off the roll age.
    pub segment_jitter_ms: i64,
    /// The age at which the active segment rolls.
    pub segment_ms: i64,
    /// Whether a replica outside the in-sync set may become leader, with loss.
    pub unclean_leader_election_enable: bool,
    /// Whether share groups may write dead letters here (KIP-1191).
    pub errors_deadletterqueue_group_enable: bool,
    /// What is checked of keys against the schema registry: none, id, subject or payload.
    pub schema_validation_key: String,
    /// The same of values.
    pub schema_validation_value: String,
    /// How the subject of the topic is called that they are checked against.
    pub schema_validation_strategy: String,
    /// The storage backend of the topic's partitions.
    pub storage: String,
}

/// What happens to old records. Neither: they are kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanupPolicy {
    /// Old segments are deleted.
    pub delete: bool,
    /// Only the newest record of each key is kept.
    pub compact: bool,
}

/// Which replicas count against a replication quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThrottledReplicas {
    /// Every replica of the topic.
    All,
    /// These pairs of partition and broker; none when empty.
    Pairs(Vec<(i32, i32)>),
}

impl TopicConfig {
    /// The settings in effect for a topic with these properties on a broker with those.
    ///
    /// # Errors
    /// When a property is unknown or does not fit, or when two do not go together. Stored properties have been checked
    /// when they were set, so this points to settings written by something else.
    pub fn resolve(topic: &Properties, broker: &BrokerLayers) -> Result<Self, ConfigError> {
        topic_keys().check(topic)?;
        let values = ConfigValues::of_resource(topic_keys(), topic, broker)?;
        Self::typed(&values)
    }

    /// The settings of a topic on a broker that sets nothing.
    ///
    /// # Errors
    /// As [`TopicConfig::resolve`].
    pub fn of(topic: &Properties) -> Result<Self, ConfigError> {
        Self::resolve(topic, &BrokerLayers::default())
    }

    /// What decides about a batch that is to be appended.
    #[must_use]
    pub fn validation_rules(&self) -> ValidationRules {
        let bytes = |size: i32| usize::try_from(size).unwrap_or(0);
        ValidationRules {
            compression: self.compression_type,
            compacted: self.cleanup_policy.compact,
            timestamp_type: self.message_timestamp_type,
            timestamp_before_max_ms: self.message_timestamp_before_max_ms,
            timestamp_after_max_ms: self.message_timestamp_after_max_ms,
            batch_size_max: bytes(self.max_message_bytes),
            record_size_max: bytes(self.max_decompressed_message_bytes),
            segment_size_max: bytes(self.segment_bytes),
        }
    }

    fn typed(values: &ConfigValues) -> Result<Self, ConfigError> {
        let retention_bytes = values.long("retention.bytes")?;
        let retention_ms = values.long("retention.ms")?;
        let local = |key: &str, whole: i64| {
            values.long(key).map(|value| if value == FOLLOW_RETENTION { whole } else { value })
        };
        let cleanup = values.list("cleanup.policy")?;
        let config = Self {
            cleanup_policy: CleanupPolicy {
                delete: cleanup.iter().any(|policy| policy == "delete"),
                compact: cleanup.iter().any(|policy| policy == "compact"),
            },
            compression_type: compression(values)?,
            delete_retention_ms: values.long("delete.retention.ms")?,
            file_delete_delay_ms: values.long("file.delete.delay.ms")?,
            flush_messages: values.long("flush.messages")?,
            flush_ms: values.long("flush.ms")?,
            follower_replication_throttled_replicas: throttled(
                values.list("follower.replication.throttled.replicas")?,
            ),
            index_interval_bytes: values.int("index.interval.bytes")?,
            leader_replication_throttled_replicas: throttled(
                values.list("leader.replication.throttled.replicas")?,
            ),
            local_retention_bytes: local("local.retention.bytes", retention_bytes)?,
            local_retention_ms: local("local.retention.ms", retention_ms)?,
            max_compaction_lag_ms: values.long("max.compaction.lag.ms")?,
            max_decompressed_message_bytes: values.int("max.decompressed.message.bytes")?,
            max_message_bytes: values.int("max.message.bytes")?,
            message_timestamp_after_max_ms: values.long("message.timestamp.after.max.ms")?,
            message_timestamp_before_max_ms: values.long("message.timestamp.before.max.ms")?,
            message_timestamp_type: match values.text("message.timestamp.type")? {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ratio: values.double("min.cleanable.dirty.ratio")?,
            min_compaction_lag_ms: values.long("min.compaction.lag.ms")?,
            min_insync_replicas: values.int("min.insync.replicas")?,
            preallocate: values.boolean("preallocate")?,
            remote_log_copy_disable: values.boolean("remote.log.copy.disable")?,
            remote_log_delete_on_disable: values.boolean("remote.log.delete.on.disable")?,
            remote_storage_enable: values.boolean("remote.storage.enable")?,
            remote_copy_lag_bytes: values.long("remote.copy.lag.bytes")?,
            remote_copy_lag_ms: values.long("remote.copy.lag.ms")?,
            retention_bytes,
            retention_ms,
            segment_bytes: match values.optional_int("internal.segment.bytes")? {
                Some(bytes) => bytes,
                None => values.int("segment.bytes")?,
            },
            segment_index_bytes: values.int("segment.index.bytes")?,
            segment_jitter_ms: values.long("segment.jitter.ms")?,
            segment_ms: values.long("segment.ms")?,
            unclean_leader_election_enable: values.boolean("unclean.leader.election.enable")?,
            errors_deadletterqueue_group_enable: values.boolean("errors.deadletterqueue.group.enable")?,
            schema_validation_key: values.text("vltava.schema.validation.key")?.to_owned(),
            schema_validation_value: values.text("vltava.schema.validation.value")?.to_owned(),
            schema_validation_strategy: values
                .text("vltava.schema.validation.subject.name.strategy")?
                .to_owned(),
            storage: values.text("vltava.storage")?.to_owned(),
        };
        config.check_compaction_lag()?;
        Ok(config)
    }

    fn check_compaction_lag(&self) -> Result<(), ConfigError> {
        let (min, max) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if min <= max {
            return Ok(());
        }
        Err(ConfigError::Conflict(format!(
            "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
        )))
    }
}

/// `local.retention.*` follows `retention.*`.
pub(super) const FOLLOW_RETENTION: i64 = -2;

fn compression(values: &ConfigValues) -> Result<TopicCompression, ConfigError> {
    let codec = |compression, level: Option<i32>| TopicCompression::Codec(Codec { compression, level });
    let level = |key: &str, own_choice: Option<i32>| {
        Ok(Some(values.int(key)?).filter(|level| Some(*level) != own_choice))
    };
    Ok(match values.text("compression.type")? {
        "uncompressed" => codec(Compression::None, None),
        "gzip" => codec(Compression::Gzip, level("compression.gzip.level", Some(-1))?),
        "snappy" => codec(Compression::Snappy, None),
        "lz4" => codec(Compression::Lz4, level("compression.lz4.level", None)?),
        "zstd" => codec(Compression::Zstd, level("compression.zstd.level", None)?),
        _ => TopicCompression::Producer,
    })
}

fn throttled(entries: &[String]) -> ThrottledReplicas {
    if entries == ["*"] {
        return ThrottledReplicas::All;
    }
    let pair = |entry: &String| {
        let (partition, broker) = entry.split_once(':')?;
        Some((partition.parse().ok()?, broker.parse().ok()?))
    };
    ThrottledReplicas::Pairs(entries.iter().filter_map(pair).collect())
}
