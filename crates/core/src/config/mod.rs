//! Configuration: every key is declared once, with its type, default, limits and meaning.
//!
//! The names, types, defaults and limits are Kafka's, so that an existing `server.properties` and existing tools work. The
//! tables ([`broker_keys`], [`topic_keys`], [`group_keys`], [`client_metrics_keys`], [`client_quota_keys`]) feed parsing,
//! validation, `DescribeConfigs` and the manual alike. [`BrokerLayers`] holds what was set and where, [`BrokerConfig`],
//! [`TopicConfig`] and [`GroupConfig`] what is in effect, read and checked once.
//!
//! This module reads no files: it is given properties. It refuses a value that does not fit, rather than falling back to a
//! default; a value that was accepted is therefore always valid.

pub mod alter;
mod broker;
mod check;
mod client_metrics;
pub mod describe;
pub mod duration;
mod error;
mod group;
mod group_keys;
mod key;
mod layers;
pub mod listener;
mod manual;
mod nearest;
mod node;
pub mod quota;
mod table;
mod topic;
mod topic_keys;
mod validator;
mod value;
mod values;

pub use broker::{AREAS, broker_keys, is_foreign, listener_key, retired, synonyms};
pub use client_metrics::client_metrics_keys;
pub use error::ConfigError;
pub use group::{GroupConfig, check_group, group_keys};
pub use key::{BrokerDefault, ConfigKey, ConfigType, DefaultValue, Importance, UpdateMode};
pub use layers::{BrokerLayers, ConfigSource, Synonym};
pub use manual::manual;
pub use nearest::nearest;
pub use node::{
    BrokerConfig, CleanerSettings, ConsumerGroupSettings, GroupSettings, HttpListener, HttpListeners,
    Identity, LimitedTime, ListenerLimits, Listeners, LogSettings, MetadataLogSettings, NetworkLimits,
    TopicDefaults, TransactionSettings,
};
pub use quota::{client_quota_keys, ip_quota_keys};
pub use table::{ConfigTable, Properties};
pub use topic::{CleanupPolicy, ThrottledReplicas, TopicConfig, topic_keys};
pub use validator::Validator;
pub use value::{ConfigValue, HIDDEN, Password, list};
pub use values::ConfigValues;

#[cfg(test)]
mod tests;
