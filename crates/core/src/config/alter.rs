//! Changes of a topic's, a group's or a broker's settings, decided before they are stored.

use super::broker::{broker_keys, listener_key, synonyms};
use super::check::check_log_defaults;
use super::error::ConfigError;
use super::key::{ConfigKey, ConfigType, UpdateMode};
use super::layers::BrokerLayers;
use super::node::connection_overrides;
use super::table::{ConfigTable, Properties};
use super::topic::{FOLLOW_RETENTION, TopicConfig, topic_keys};
use super::value::{ConfigValue, list};
use super::values::ConfigValues;

/// One step of an incremental alteration (KIP-339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterOperation {
    /// Replace the value.
    Set,
    /// Go back to the default.
    Delete,
    /// Add entries to a list.
    Append,
    /// Remove entries from a list.
    Subtract,
}

/// Applies one step to a resource's own properties. Appending starts from the resource's own value, else from the
/// key's default.
///
/// # Errors
/// When the key is no list and the step needs one, or a value is missing.
pub fn alter(
    table: &ConfigTable,
    properties: &mut Properties,
    key: &str,
    operation: AlterOperation,
    value: Option<&str>,
) -> Result<(), ConfigError> {
    match (operation, value) {
        (AlterOperation::Delete, _) => drop(properties.remove(key)),
        (AlterOperation::Set, None) => {
            return Err(ConfigError::NotUpdatable(format!(
                "Null value not supported for: {key}. Use the delete operation."
            )));
        }
        (AlterOperation::Set, Some(value)) => drop(properties.insert(key.to_owned(), value.to_owned())),
        (AlterOperation::Append | AlterOperation::Subtract, value) => {
            let declared = declared(table, key)
                .filter(|declared| declared.kind == ConfigType::List)
                .ok_or_else(|| {
                    let verb = if operation == AlterOperation::Append { "APPEND" } else { "SUBTRACT" };
                    ConfigError::Conflict(format!("Can't {verb} to key {key} because its type is not LIST."))
                })?;
            let current = properties.get(key).map(String::as_str).or(declared.default_text()).unwrap_or("");
            let changed = change_list(list(current), &list(value.unwrap_or("")), operation);
            properties.insert(key.to_owned(), changed.join(","));
        }
    }
    Ok(())
}

fn change_list(mut entries: Vec<String>, change: &[String], operation: AlterOperation) -> Vec<String> {
    if operation == AlterOperation::Subtract {
        entries.retain(|entry| !change.contains(entry));
        return entries;
    }
    for entry in change {
        if !entries.contains(entry) {
            entries.push(entry.clone());
        }
    }
    entries
}

/// Checks the whole set of properties a topic would carry: names, values, and what must go together on this broker.
/// `existing` are the properties before the change, empty for a new topic.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_topic(
    existing: &Properties,
    new: &Properties,
    broker: &BrokerLayers,
) -> Result<TopicConfig, ConfigError> {
    let config = TopicConfig::resolve(new, broker)?;
    let values = ConfigValues::of_resource(topic_keys(), new, broker)?;
    if config.remote_storage_enable {
        check_tiered(&config, &values, broker)?;
    } else {
        check_tiering_stopped(existing, &config)?;
    }
    check_storage_unchanged(existing, new)?;
    Ok(config)
}

fn check_tiered(
    config: &TopicConfig,
    values: &ConfigValues,
    broker: &BrokerLayers,
) -> Result<(), ConfigError> {
    if broker.value("remote.log.storage.system.enable")? != ConfigValue::Boolean(true) {
        return conflict(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage. Set remote.log.storage.system.enable=true and restart.",
        );
    }
    if config.cleanup_policy.compact {
        return conflict("Remote log storage is unsupported for the compacted topics");
    }
    check_local_retention(values, "retention.bytes", "local.retention.bytes")?;
    check_local_retention(values, "retention.ms", "local.retention.ms")?;
    check_copy_lag("remote.copy.lag.ms", config.remote_copy_lag_ms, config.local_retention_ms)?;
    check_copy_lag("remote.copy.lag.bytes", config.remote_copy_lag_bytes, config.local_retention_bytes)?;
    if config.remote_log_copy_disable {
        check_equal_when_not_copied(values, "retention.bytes", "local.retention.bytes")?;
        check_equal_when_not_copied(values, "retention.ms", "local.retention.ms")?;
    }
    Ok(())
}

fn check_local_retention(values: &ConfigValues, whole_key: &str, local_key: &str) -> Result<(), ConfigError> {
    let (whole, local) = (values.long(whole_key)?, values.long(local_key)?);
    if whole <= -1 || local == FOLLOW_RETENTION {
        Ok(())
    } else if local == -1 {
        Err(ConfigError::invalid(
            local_key,
            local,
            format!("Value must not be -1 as {whole_key} value is set as {whole}."),
        ))
    } else if local > whole {
        Err(ConfigError::invalid(
            local_key,
            local,
            format!("Value must not be more than {whole_key} property value: {whole}"),
        ))
    } else {
        Ok(())
    }
}

fn check_copy_lag(key: &str, lag: i64, local: i64) -> Result<(), ConfigError> {
    if lag > 0 && local >= 0 && lag > local {
        return Err(ConfigError::invalid(
            key,
            lag,
            format!("Value must not be more than the effective local retention: {local}"),
        ));
    }
    Ok(())
}

fn check_equal_when_not_copied(
    values: &ConfigValues,
    whole_key: &str,
    local_key: &str,
) -> Result<(), ConfigError> {
    let (whole, local) = (values.long(whole_key)?, values.long(local_key)?);
    if local == FOLLOW_RETENTION || local == whole {
        return Ok(());
    }
    conflict(&format!(
        "When `remote.log.copy.disable` is set to true, the `{local_key}` and `{whole_key}` must be set to the identical value because there will be no more logs copied to the remote storage."
    ))
}

fn check_tiering_stopped(existing: &Properties, config: &TopicConfig) -> Result<(), ConfigError> {
    let was =
        existing.get("remote.storage.enable").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    if !was || config.remote_log_delete_on_disable {
        return Ok(());
    }
    conflict(
        "It is invalid to disable remote storage without deleting remote data. To keep the remote data and turn to read only, set `remote.storage.enable=true,remote.log.copy.disable=true`. To disable remote storage and delete all remote data, set `remote.storage.enable=false,remote.log.delete.on.disable=true`.",
    )
}

fn check_storage_unchanged(existing: &Properties, new: &Properties) -> Result<(), ConfigError> {
    const KEY: &str = "vltava.storage";
    match (existing.get(KEY), new.get(KEY)) {
        (Some(old), Some(new)) if old == new => Ok(()),
        (None, None) => Ok(()),
        _ if existing.is_empty() => Ok(()),
        (old, new) => {
            let problem = format!(
                "it was {} when the topic was created and cannot change",
                old.map_or("not set", |old| old)
            );
            Err(ConfigError::invalid(KEY, new.map_or("null", |new| new), problem))
        }
    }
}

fn conflict(text: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Conflict(text.to_owned()))
}

/// Whose dynamic settings change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerScope {
    /// One broker's.
    Broker,
    /// Those of all brokers.
    Cluster,
}

/// Checks the dynamic settings a broker, or all of them, would carry: known keys must be changeable in this scope and
/// their values valid, by themselves and for topics without settings of their own. Unknown keys are kept, as Kafka keeps them for plugins.
///
/// # Errors
/// The first key that cannot be changed this way, or the first value that does not fit.
pub fn check_broker(new: &Properties, scope: BrokerScope) -> Result<(), ConfigError> {
    for (name, text) in new {
        let (listener, key) = match listener_key(name) {
            Some((_, key)) => (true, key),
            None => match broker_keys().get(name) {
                Some(key) => (false, key),
                None => continue,
            },
        };
        check_update_mode(name, key, listener, scope)?;
        // Kafka answers INVALID_REQUEST for a broker's value, INVALID_CONFIG for a topic's.
        key.parse(text)
            .and_then(|value| check_running(key, &value))
            .map_err(|error| ConfigError::NotUpdatable(error.to_string()))?;
    }
    let alone = BrokerLayers { cluster: new.clone(), ..BrokerLayers::default() };
    check_log_defaults(&alone).map_err(|error| ConfigError::NotUpdatable(error.to_string()))
}

/// What a running broker cannot take although its file may say so.
fn check_running(key: &ConfigKey, value: &ConfigValue) -> Result<(), ConfigError> {
    match (key.name, value) {
        ("log.cleaner.threads", ConfigValue::Number(0)) => {
            Err(ConfigError::invalid(key.name, 0, "A running broker needs a cleaner thread: set 1 or more"))
        }
        ("max.connections.per.ip.overrides", ConfigValue::Text(text)) => connection_overrides(text).map(drop),
        _ => Ok(()),
    }
}

/// Numbers of threads, which a running broker changes a step at a time: to no less than half and no more than double.
const POOLS: &[&str] = &[
    "background.threads",
    "log.cleaner.threads",
    POOL_OF_LISTENERS,
    "num.io.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];

/// The one of them that each listener may have of its own.
const POOL_OF_LISTENERS: &str = "num.network.threads";

/// The reporter that is part of Kafka. Others would be classes of a plugin.
const BUILT_IN_REPORTER: &str = "org.apache.kafka.common.metrics.JmxReporter";

/// Checks what a running broker cannot go over to at once, although it could start with it.
///
/// # Errors
/// The first number of threads that grows or shrinks by too much, or a metrics reporter that cannot be loaded.
pub fn check_transition(old: &BrokerLayers, new: &BrokerLayers) -> Result<(), ConfigError> {
    let dynamic =
        [&old.broker, &old.cluster, &new.broker, &new.cluster].into_iter().flat_map(Properties::keys);
    let of_listeners = dynamic
        .filter(|name| listener_key(name).is_some_and(|(_, key)| key.name == POOL_OF_LISTENERS))
        .map(String::as_str);
    for name in POOLS.iter().copied().chain(of_listeners) {
        let (Some(before), Some(after)) = (threads(old, name), threads(new, name)) else { continue };
        let problem = match after {
            _ if after < before / 2 => "value should be at least half the current value",
            _ if after > before.saturating_mul(2) => {
                "value should not be greater than double the current value"
            }
            _ => continue,
        };
        return Err(ConfigError::NotUpdatable(format!(
            "Dynamic thread count update validation failed for {name}={after}, {problem} {before}"
        )));
    }
    let reporters = |layers: &BrokerLayers| layers.value("metric.reporters");
    match reporters(new)? {
        ConfigValue::List(entries)
            if entries.iter().any(|entry| entry != BUILT_IN_REPORTER)
                && reporters(old).as_ref() != Ok(&ConfigValue::List(entries.clone())) =>
        {
            Err(ConfigError::NotUpdatable(format!(
                "Validation of dynamic config update of metric.reporters failed: only {BUILT_IN_REPORTER} is known, \
                 reporters are not loaded as plugins"
            )))
        }
        _ => Ok(()),
    }
}

/// The number of threads that is in effect under a name, that of a listener included.
fn threads(layers: &BrokerLayers, name: &str) -> Option<i64> {
    let named =
        if layers.get(name).is_some() { name } else { listener_key(name).map_or(name, |(_, key)| key.name) };
    let key = declared(broker_keys(), named)?;
    let value = match layers.get(named) {
        Some((text, _)) => key.parse(text),
        None => key.default_value(),
    };
    match value {
        Ok(ConfigValue::Number(count)) => Some(count),
        _ => None,
    }
}

/// Keys that may be set for one listener of all brokers.
const LISTENER_KEYS_OF_CLUSTER: &[&str] =
    &["max.connections", "max.connection.creation.rate", "num.network.threads"];

fn check_update_mode(
    name: &str,
    key: &ConfigKey,
    listener: bool,
    scope: BrokerScope,
) -> Result<(), ConfigError> {
    let refuse = |problem: String| Err(ConfigError::NotUpdatable(problem));
    match (key.update, scope) {
        (UpdateMode::ReadOnly | UpdateMode::Resource, _) => refuse(format!(
            "Cannot update these configs dynamically: [{name}]. Set it in the file and restart."
        )),
        (UpdateMode::PerListener, _) if !listener => refuse(format!(
            "These security configs can be dynamically updated only per-listener using the listener prefix: [{name}]"
        )),
        (UpdateMode::PerBroker | UpdateMode::PerListener, BrokerScope::Cluster)
            if !LISTENER_KEYS_OF_CLUSTER.contains(&key.name) =>
        {
            refuse(format!(
                "Cannot update these configs at default cluster level, they must be defined at broker level: [{name}]"
            ))
        }
        _ => Ok(()),
    }
}

/// The declaration behind a name, also behind a listener prefix.
fn declared(table: &ConfigTable, name: &str) -> Option<&'static ConfigKey> {
    table.get(name).or_else(|| listener_key(name).map(|(_, key)| key))
}

/// Whether changing `changed` changes what `key` is in effect: itself or one of its synonyms.
#[must_use]
pub fn affects(changed: &str, key: &str) -> bool {
    changed == key || synonyms(key).contains(&changed)
}
