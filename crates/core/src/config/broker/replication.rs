//! Followers, in-sync replicas and leadership.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, built_in};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// A follower not caught up for this long leaves the ISR. In milliseconds.
    "replica.lag.time.max.ms": Long = "30000", Validator::Any, High, ReadOnly;
    /// Socket timeout of replica fetches; at least replica.fetch.wait.max.ms. In milliseconds.
    "replica.socket.timeout.ms": Int = "30000", Validator::Any, High, ReadOnly;
    /// Receive buffer of replica fetches. In bytes.
    "replica.socket.receive.buffer.bytes": Int = "65536", Validator::Any, High, ReadOnly;
    /// Bytes per partition in a replica fetch (first batch may exceed it).
    "replica.fetch.max.bytes": Int = "1048576", at_least(0), Medium, ReadOnly;
    /// Long-poll of a replica fetch; below replica.lag.time.max.ms. In milliseconds.
    "replica.fetch.wait.max.ms": Int = "500", Validator::Any, High, ReadOnly;
    /// Pause after a partition fetch error. In milliseconds.
    "replica.fetch.backoff.ms": Int = "1000", at_least(0), Medium, ReadOnly;
    /// Least bytes a replica fetch waits for.
    "replica.fetch.min.bytes": Int = "1", Validator::Any, High, ReadOnly;
    /// Bytes of a whole replica fetch response.
    "replica.fetch.response.max.bytes": Int = "10485760", at_least(0), Medium, ReadOnly;
    /// Fetcher threads per source broker.
    "num.replica.fetchers": Int = "1", at_least(1), High, ClusterWide;
    /// How often replication-offset-checkpoint is written. In milliseconds.
    "replica.high.watermark.checkpoint.interval.ms": Long = "5000", Validator::Any, High, ReadOnly;
    /// Purge the fetch purgatory after this many operations.
    "fetch.purgatory.purge.interval.requests": Int = "1000", Validator::Any, Medium, ReadOnly, inert "waiting requests leave no garbage that would need purging";
    /// Purge the produce purgatory after this many operations.
    "producer.purgatory.purge.interval.requests": Int = "1000", Validator::Any, Medium, ReadOnly, inert "waiting requests leave no garbage that would need purging";
    /// Purge the DeleteRecords purgatory after this many operations.
    "delete.records.purgatory.purge.interval.requests": Int = "1", Validator::Any, Medium, ReadOnly, inert "waiting requests leave no garbage that would need purging";
    /// Move leadership back to preferred replicas.
    "auto.leader.rebalance.enable": Boolean = "true", Validator::Any, High, ReadOnly;
    /// How often that is considered.
    "leader.imbalance.check.interval.seconds": Long = "300", at_least(1), High, ReadOnly;
    /// Broker-wide default of the topic key of the same name.
    "unclean.leader.election.enable": Boolean = "false", Validator::Any, High, ClusterWide;
    /// Picks the replica a consumer should read from; rack-aware selector for KIP-392.
    "replica.selector.class": String = null, built_in(&["org.apache.kafka.common.replica.RackAwareReplicaSelector", "org.apache.kafka.common.replica.LeaderSelector"]), Medium, ReadOnly;
    /// A new follower starts from the last tiered offset (KIP-1023).
    "follower.fetch.last.tiered.offset.enable": Boolean = "false", Validator::Any, Medium, ClusterWide;
};
