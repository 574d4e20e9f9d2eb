//! Every key of a node, by area, and what is known of keys that are not in the table.

mod groups;
mod identity;
mod internal;
mod log;
mod metrics;
mod network;
mod remote;
mod replication;
mod retired;
mod security;
mod share;
mod streams;
mod transactions;
mod vltava;

pub use retired::{is_foreign, retired};

use super::key::ConfigKey;
use super::table::ConfigTable;

/// The keys of a node in the order of the manual.
pub const AREAS: &[(&str, &[ConfigKey])] = &[
    ("Vltava's own", vltava::KEYS),
    ("Identity, roles, quorum", identity::KEYS),
    ("Listeners, sockets, request limits", network::KEYS),
    ("Logs", log::KEYS),
    ("Replication", replication::KEYS),
    ("Groups and offsets", groups::KEYS),
    ("Share groups", share::KEYS),
    ("Streams groups", streams::KEYS),
    ("Transactions and quota windows", transactions::KEYS),
    ("Tiered storage", remote::KEYS),
    ("Security", security::KEYS),
    ("Metrics", metrics::KEYS),
    ("Internal", internal::KEYS),
    ("Replication quotas", super::quota::DYNAMIC_BROKER_KEYS),
];

/// The keys of a node.
pub fn broker_keys() -> &'static ConfigTable {
    static TABLE: std::sync::LazyLock<ConfigTable> =
        std::sync::LazyLock::new(|| ConfigTable::new("broker", AREAS.iter().map(|(_, keys)| *keys)));
    &TABLE
}

/// The names that stand for one setting of a node, the one with priority first (`log.retention.ms`, `.minutes`, `.hours`).
#[must_use]
pub fn synonyms(name: &str) -> &'static [&'static str] {
    SYNONYMS.iter().find(|names| names.contains(&name)).copied().unwrap_or(&[])
}

const SYNONYMS: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

/// The key behind a listener prefix: `listener.name.internal.ssl.keystore.location` is `ssl.keystore.location` of the
/// listener `internal`; with SASL a mechanism stands between.
#[must_use]
pub fn listener_key(name: &str) -> Option<(&str, &'static ConfigKey)> {
    let (listener, rest) = name.strip_prefix("listener.name.")?.split_once('.')?;
    let behind_mechanism = || rest.split_once('.').and_then(|(_, base)| broker_keys().get(base));
    broker_keys().get(rest).or_else(behind_mechanism).map(|key| (listener, key))
}
