//! Streams groups (KIP-1071).

use crate::config::key::{ConfigKey, config_keys};
use crate::config::validator::{Validator, at_least, built_in, names, names_or_empty};

/// The keys of this area, as a node reads them.
pub(super) const KEYS: &[ConfigKey] = config_keys! {
    /// Default member expiry. In milliseconds.
    "group.streams.session.timeout.ms": Int = "45000", at_least(1), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.streams.min.session.timeout.ms": Int = "45000", at_least(1), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.streams.max.session.timeout.ms": Int = "60000", at_least(1), Medium, ReadOnly;
    /// Default heartbeat interval. In milliseconds.
    "group.streams.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.streams.min.heartbeat.interval.ms": Int = "5000", at_least(1), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.streams.max.heartbeat.interval.ms": Int = "15000", at_least(1), Medium, ReadOnly;
    /// Members of a streams group.
    "group.streams.max.size": Int = "2147483647", at_least(1), Medium, ReadOnly;
    /// Default standby tasks.
    "group.streams.num.standby.replicas": Int = "0", at_least(0), Medium, ReadOnly;
    /// Upper bound for the group key.
    "group.streams.max.standby.replicas": Int = "2", at_least(0), Medium, ReadOnly;
    /// Default wait before the first assignment. In milliseconds.
    "group.streams.initial.rebalance.delay.ms": Int = "3000", at_least(0), Medium, ReadOnly;
    /// Default least time between assignments. In milliseconds.
    "group.streams.assignment.interval.ms": Int = "1000", at_least(0), Medium, ClusterWide;
    /// Lower bound for the group key. In milliseconds.
    "group.streams.min.assignment.interval.ms": Int = "0", at_least(0), Medium, ReadOnly;
    /// Upper bound for the group key. In milliseconds.
    "group.streams.max.assignment.interval.ms": Int = "15000", at_least(0), Medium, ReadOnly;
    /// Task assignors; first is the default (KIP-1357).
    "group.streams.assignors": List = "sticky", names(), Medium, ReadOnly;
    /// Run the assignor off the coordinator thread.
    "group.streams.assignor.offload.enable": Boolean = "true", Validator::Any, Hidden, ClusterWide;
    /// Default task-offset report interval. In milliseconds.
    "group.streams.task.offset.interval.ms": Int = "60000", at_least(1), Hidden, ReadOnly;
    /// Lower bound for the group key. In milliseconds.
    "group.streams.min.task.offset.interval.ms": Int = "15000", at_least(1), Hidden, ReadOnly;
    /// Default warm-up tasks.
    "group.streams.num.warmup.replicas": Int = "2", at_least(0), Hidden, ReadOnly;
    /// Upper bound for the group key.
    "group.streams.max.warmup.replicas": Int = "20", at_least(0), Hidden, ReadOnly;
    /// Default client tags for standby spreading.
    "group.streams.rack.aware.assignment.tags": List = "", names_or_empty(), Medium, ReadOnly;
    /// Plugin that stores topology descriptions (KIP-1331).
    "group.streams.topology.description.plugin.class": Class = null, built_in(&[]), Medium, ReadOnly;
    /// Default lag under which a standby counts as caught up.
    "group.streams.acceptable.recovery.lag": Long = "10000", at_least(0), Hidden, ReadOnly;
};
