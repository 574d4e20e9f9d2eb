//! Transactions, idempotent producers and the windows of quotas.

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, built_in};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Min ISR of __transaction_state.
    "transaction.state.log.min.isr": Int = "2", at_least(1), High, ReadOnly;
    /// Read size while loading. In bytes.
    "transaction.state.log.load.buffer.size": Int = "5242880", at_least(1), High, ReadOnly;
    /// Replication factor of __transaction_state.
    "transaction.state.log.replication.factor": Short = "3", at_least(1), High, ReadOnly;
    /// Partitions of __transaction_state; never change after creation.
    "transaction.state.log.num.partitions": Int = "50", at_least(1), High, ReadOnly;
    /// Segment size of __transaction_state. In bytes.
    "transaction.state.log.segment.bytes": Int = "104857600", at_least(1), High, ReadOnly;
    /// Ask the coordinator before the first transactional append to a partition.
    "transaction.partition.verification.enable": Boolean = "true", Validator::Any, Low, ClusterWide;
    /// Idle producer state on a partition is forgotten. In milliseconds.
    "producer.id.expiration.ms": Int = "86400000", at_least(1), Low, ClusterWide;
    /// Idle transactional id is forgotten. In milliseconds.
    "transactional.id.expiration.ms": Int = "604800000", at_least(1), High, ReadOnly;
    /// Largest transaction timeout a producer may ask for. In milliseconds.
    "transaction.max.timeout.ms": Int = "900000", at_least(1), High, ReadOnly;
    /// How often timed-out transactions are looked for. In milliseconds.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000", at_least(1), Low, ReadOnly;
    /// How often expired transactional ids are looked for. In milliseconds.
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000", at_least(1), Low, ReadOnly;
    /// KIP-939 two-phase commit.
    "transaction.two.phase.commit.enable": Boolean = "false", Validator::Any, Low, ReadOnly;
    /// How long the node itself retries adding a partition (not verifying one); no effect above request.timeout.ms. In
    /// milliseconds.
    "add.partitions.to.txn.retry.backoff.max.ms": Int = "100", at_least(0), High, ReadOnly;
    /// Pause between those tries. In milliseconds.
    "add.partitions.to.txn.retry.backoff.ms": Int = "20", at_least(1), High, ReadOnly;
    /// Samples for client quotas.
    "quota.window.num": Int = "11", at_least(1), Low, ReadOnly;
    /// Samples for replication quotas.
    "replication.quota.window.num": Int = "11", at_least(1), Low, ReadOnly;
    /// Samples for log-dir moves.
    "alter.log.dirs.replication.quota.window.num": Int = "11", at_least(1), Low, ReadOnly;
    /// Samples for controller mutations.
    "controller.quota.window.num": Int = "11", at_least(1), Low, ReadOnly;
    /// Sample length, client quotas.
    "quota.window.size.seconds": Int = "1", at_least(1), Low, ReadOnly;
    /// Sample length, replication.
    "replication.quota.window.size.seconds": Int = "1", at_least(1), Low, ReadOnly;
    /// Sample length, log-dir moves.
    "alter.log.dirs.replication.quota.window.size.seconds": Int = "1", at_least(1), Low, ReadOnly;
    /// Sample length, controller mutations.
    "controller.quota.window.size.seconds": Int = "1", at_least(1), Low, ReadOnly;
    /// Plugin that computes quotas.
    "client.quota.callback.class": Class = null, built_in(&[]), Low, ReadOnly;
};
