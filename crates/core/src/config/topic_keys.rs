//! The keys of a topic. Each takes its default from the broker key named after `from`; the first name has priority.

use crate::config::key::{ConfigKey, config_keys, hours, minutes, same};
use crate::config::validator::{Validator, at_least, between, fraction, list_of_or_empty, one_of};

/// Every key a topic may carry.
pub const TOPIC_KEYS: &[ConfigKey] = config_keys! {
    /// Roll the active segment at this size; floor 1 MiB since 4.0 (KIP-1030). In bytes.
    "segment.bytes": Int = "1073741824", at_least(1048576), Medium, Resource, from [same("log.segment.bytes")];
    /// Roll the active segment at this age even when not full. In milliseconds.
    "segment.ms": Long = "604800000", at_least(1), Medium, Resource, from [same("log.roll.ms"), hours("log.roll.hours")];
    /// Random amount taken off the roll age, so rolls do not coincide. In milliseconds.
    "segment.jitter.ms": Long = "0", at_least(0), Medium, Resource, from [same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")];
    /// Size the offset and time index are allocated at; shrunk on roll. In bytes.
    "segment.index.bytes": Int = "10485760", at_least(4), Medium, Resource, from [same("log.index.size.max.bytes")];
    /// Fsync after this many records; default leaves it to the OS.
    "flush.messages": Long = "9223372036854775807", at_least(1), Medium, Resource, from [same("log.flush.interval.messages")];
    /// Fsync at least this often; default leaves it to the OS. In milliseconds.
    "flush.ms": Long = "9223372036854775807", at_least(0), Medium, Resource, from [same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")];
    /// Per-partition size bound for deletion; -1 unlimited. In bytes.
    "retention.bytes": Long = "-1", Validator::Any, Medium, Resource, from [same("log.retention.bytes")];
    /// Age bound for deletion; -1 unlimited. In milliseconds.
    "retention.ms": Long = "604800000", at_least(-1), Medium, Resource, from [same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")];
    /// Largest record batch accepted, after compression. In bytes.
    "max.message.bytes": Int = "1048588", at_least(0), Medium, Resource, from [same("message.max.bytes")];
    /// Largest record accepted, after decompression. In bytes.
    "max.decompressed.message.bytes": Int = "2147483639", between(1, 2_147_483_639), Medium, Resource, from [same("max.decompressed.message.bytes")];
    /// Bytes of log between two index entries.
    "index.interval.bytes": Int = "4096", at_least(0), Medium, Resource, from [same("log.index.interval.bytes")];
    /// How long a tombstone or control marker stays after compaction. In milliseconds.
    "delete.retention.ms": Long = "86400000", at_least(0), Medium, Resource, from [same("log.cleaner.delete.retention.ms")];
    /// A record younger than this is not compacted. In milliseconds.
    "min.compaction.lag.ms": Long = "0", at_least(0), Medium, Resource, from [same("log.cleaner.min.compaction.lag.ms")];
    /// A record older than this makes the log eligible for compaction. In milliseconds.
    "max.compaction.lag.ms": Long = "9223372036854775807", at_least(1), Medium, Resource, from [same("log.cleaner.max.compaction.lag.ms")];
    /// Wait between renaming a segment to .deleted and unlinking it. In milliseconds.
    "file.delete.delay.ms": Long = "60000", at_least(0), Medium, Resource, from [same("log.segment.delete.delay.ms")];
    /// Dirty share of the log that makes it eligible for compaction.
    "min.cleanable.dirty.ratio": Double = "0.5", fraction(0.0, 1.0), Medium, Resource, from [same("log.cleaner.min.cleanable.ratio")];
    /// What happens to old records: delete, compact, both, or nothing at all when empty.
    "cleanup.policy": List = "delete", list_of_or_empty(&["compact", "delete"]), Medium, Resource, from [same("log.cleanup.policy")];
    /// May a replica outside the ISR become leader, with loss.
    "unclean.leader.election.enable": Boolean = "false", Validator::Any, Medium, Resource, from [same("unclean.leader.election.enable")];
    /// ISR size below which acks=all is refused.
    "min.insync.replicas": Int = "1", at_least(1), Medium, Resource, from [same("min.insync.replicas")];
    /// Recompress on the broker, or keep the producer's codec.
    "compression.type": String = "producer", one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Medium, Resource, from [same("compression.type")];
    /// Level when the broker recompresses with gzip.
    "compression.gzip.level": Int = "-1", Validator::GzipLevel, Medium, Resource, from [same("compression.gzip.level")];
    /// Level when the broker recompresses with lz4.
    "compression.lz4.level": Int = "9", between(1, 17), Medium, Resource, from [same("compression.lz4.level")];
    /// Level when the broker recompresses with zstd.
    "compression.zstd.level": Int = "3", between(-131072, 22), Medium, Resource, from [same("compression.zstd.level")];
    /// Allocate the segment file at full size on creation.
    "preallocate": Boolean = "false", Validator::Any, Medium, Resource, from [same("log.preallocate")];
    /// Keep the producer's timestamp or stamp at append.
    "message.timestamp.type": String = "CreateTime", one_of(&["CreateTime", "LogAppendTime"]), Medium, Resource, from [same("log.message.timestamp.type")];
    /// How far in the past a CreateTime may lie. In milliseconds.
    "message.timestamp.before.max.ms": Long = "9223372036854775807", at_least(0), Medium, Resource, from [same("log.message.timestamp.before.max.ms")];
    /// How far in the future a CreateTime may lie. In milliseconds.
    "message.timestamp.after.max.ms": Long = "3600000", at_least(0), Medium, Resource, from [same("log.message.timestamp.after.max.ms")];
    /// partition:broker pairs throttled on the leader side; * = all.
    "leader.replication.throttled.replicas": List = "", Validator::ThrottledReplicas, Medium, Resource;
    /// partition:broker pairs throttled on the follower side; * = all.
    "follower.replication.throttled.replicas": List = "", Validator::ThrottledReplicas, Medium, Resource;
    /// Tier this topic; refused for compacted topics; turning it off needs remote.log.delete.on.disable.
    "remote.storage.enable": Boolean = "false", Validator::Any, Medium, Resource;
    /// Age kept on local disk when tiered; -2 = same as retention.ms. In milliseconds.
    "local.retention.ms": Long = "-2", at_least(-2), Medium, Resource, from [same("log.local.retention.ms")];
    /// Size kept on local disk when tiered; -2 = same as retention.bytes.
    "local.retention.bytes": Long = "-2", at_least(-2), Medium, Resource, from [same("log.local.retention.bytes")];
    /// Stop uploading; tiered data stays readable.
    "remote.log.copy.disable": Boolean = "false", Validator::Any, Medium, Resource;
    /// A rolled segment may be uploaded once its newest record is this old, or the byte rule holds (KIP-1241); 0 = at once; -1
    /// follows local.retention.ms. In milliseconds.
    "remote.copy.lag.ms": Long = "0", at_least(-1), Medium, Resource, from [same("log.remote.copy.lag.ms")];
    /// A rolled segment may be uploaded once this much newer data lies behind it, or the time rule holds; 0 = at once; -1 follows
    /// local.retention.bytes.
    "remote.copy.lag.bytes": Long = "-1", at_least(-1), Medium, Resource, from [same("log.remote.copy.lag.bytes")];
    /// Delete tiered data when tiering is turned off.
    "remote.log.delete.on.disable": Boolean = "false", Validator::Any, Medium, Resource;
    /// This topic may be a share-group dead-letter topic (KIP-1191).
    "errors.deadletterqueue.group.enable": Boolean = "false", Validator::Any, Medium, Resource;
    /// Segment size below the public floor, for tests of rolling; wins over segment.bytes.
    "internal.segment.bytes": Int = null, Validator::Any, Hidden, Resource;
    /// What is checked of the keys of records: `none`; `id`, the schema that they name is in the registry; `subject`, it is one of
    /// the subject that belongs to the topic; `payload`, the bytes are what it says. Records without a key pass. What does not
    /// pass is refused with INVALID_RECORD.
    "vltava.schema.validation.key": String = "none", one_of(&["none", "id", "subject", "payload"]), Medium, Resource;
    /// The same for values. Records without a value pass.
    "vltava.schema.validation.value": String = "none", one_of(&["none", "id", "subject", "payload"]), Medium, Resource;
    /// How the subject of a topic is called that records are checked against.
    "vltava.schema.validation.subject.name.strategy": String = "TopicNameStrategy", one_of(&["TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy"]), Low, Resource;
    /// The storage backend of the topic's partitions, by the name it is registered under: `segments` keeps Kafka's files on disk,
    /// `memory` keeps nothing over a restart. Fixed when the topic is created.
    "vltava.storage": String = "segments", Validator::NonEmpty, Medium, Resource, from [same("vltava.storage")];
};
