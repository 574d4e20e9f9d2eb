//! Client quotas (KIP-13, KIP-599, KIP-612) and the replication quotas of a broker (KIP-73).

use super::key::{ConfigKey, config_keys};
use super::table::ConfigTable;
use super::validator::{Validator, at_least};

/// What a user or client id may be limited in. The values travel as doubles; limits are per broker.
pub const CLIENT_QUOTA_KEYS: &[ConfigKey] = config_keys! {
    /// Bytes a second produced to one broker.
    "producer_byte_rate": Long = "9223372036854775807", Validator::Any, Medium, Resource;
    /// Bytes a second fetched from one broker.
    "consumer_byte_rate": Long = "9223372036854775807", Validator::Any, Medium, Resource;
    /// Share of the time of request threads, where 100 is one thread.
    "request_percentage": Double = "2.147483647E9", Validator::Any, Medium, Resource;
    /// Partitions created or deleted a second (KIP-599).
    "controller_mutation_rate": Double = "2.147483647E9", Validator::Any, Medium, Resource;
};

/// What an address may be limited in (KIP-612).
pub const IP_QUOTA_KEYS: &[ConfigKey] = config_keys! {
    /// New connections a second from one address.
    "connection_creation_rate": Int = "2147483647", at_least(0), Medium, Resource;
};

/// Keys of a broker that exist only as dynamic settings, never in a file.
pub const DYNAMIC_BROKER_KEYS: &[ConfigKey] = config_keys! {
    /// Bytes a second sent to throttled followers.
    "leader.replication.throttled.rate": Long = "9223372036854775807", at_least(0), Medium, ClusterWide;
    /// Bytes a second fetched for throttled replicas.
    "follower.replication.throttled.rate": Long = "9223372036854775807", at_least(0), Medium, ClusterWide;
    /// Bytes a second moved between log directories.
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = "9223372036854775807", at_least(0), Medium, ClusterWide;
};

/// The quotas of users and client ids.
pub fn client_quota_keys() -> &'static ConfigTable {
    static TABLE: std::sync::LazyLock<ConfigTable> =
        std::sync::LazyLock::new(|| ConfigTable::new("quota", [CLIENT_QUOTA_KEYS]));
    &TABLE
}

/// The quotas of addresses.
pub fn ip_quota_keys() -> &'static ConfigTable {
    static TABLE: std::sync::LazyLock<ConfigTable> =
        std::sync::LazyLock::new(|| ConfigTable::new("ip quota", [IP_QUOTA_KEYS]));
    &TABLE
}
