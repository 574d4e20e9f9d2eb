//! The keys of a client-metrics subscription (KIP-714, KIP-1000).

use super::key::{ConfigKey, config_keys};
use super::table::ConfigTable;
use super::validator::{Validator, between, names_or_empty};

/// Every key a client-metrics subscription may carry.
pub const CLIENT_METRICS_KEYS: &[ConfigKey] = config_keys! {
    /// Prefixes of the metrics clients push; `*` is all, empty is none.
    "metrics": List = "", names_or_empty(), Medium, Resource;
    /// How often clients push. In milliseconds.
    "interval.ms": Int = "300000", between(100, 3600000), Medium, Resource;
    /// Which clients push: `selector=pattern` entries, all of which must match; empty matches every client.
    "match": List = "", Validator::ClientMatch, Medium, Resource;
};

/// The keys of a client-metrics subscription.
pub fn client_metrics_keys() -> &'static ConfigTable {
    static TABLE: std::sync::LazyLock<ConfigTable> =
        std::sync::LazyLock::new(|| ConfigTable::new("client metrics", [CLIENT_METRICS_KEYS]));
    &TABLE
}
