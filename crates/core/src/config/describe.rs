//! What `DescribeConfigs` answers: value, source, synonyms, type and documentation of every key.

use super::broker::{broker_keys, listener_key};
use super::client_metrics::client_metrics_keys;
use super::error::ConfigError;
use super::group::group_keys;
use super::key::{ConfigKey, ConfigType, DefaultValue};
use super::layers::{BrokerLayers, ConfigSource, Synonym};
use super::table::{ConfigTable, Properties};
use super::topic::topic_keys;
use super::value::ConfigValue;

/// One key of a resource as `DescribeConfigs` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The key.
    pub name: String,
    /// Its value; `None` when null or sensitive.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether the value is never shown: a password, or a key whose type is not known.
    pub sensitive: bool,
    /// Whether a change needs a restart.
    pub read_only: bool,
    /// Every place that sets it, the strongest first.
    pub synonyms: Vec<Synonym>,
    /// The type; `None` for a key that is not declared.
    pub kind: Option<ConfigType>,
    /// What the key means; `None` for a key that is not declared.
    pub documentation: Option<&'static str>,
}

/// The keys of a topic with these properties on a broker with those.
///
/// # Errors
/// When a stored value does not fit.
pub fn describe_topic(topic: &Properties, broker: &BrokerLayers) -> Result<Vec<Description>, ConfigError> {
    describe_resource(topic_keys(), topic, broker, ConfigSource::Topic)
}

/// The keys of a group with these properties on a broker with those.
///
/// # Errors
/// When a stored value does not fit.
pub fn describe_group(group: &Properties, broker: &BrokerLayers) -> Result<Vec<Description>, ConfigError> {
    describe_resource(group_keys(), group, broker, ConfigSource::Group)
}

/// The keys of a client-metrics subscription with these properties.
///
/// # Errors
/// When a stored value does not fit.
pub fn describe_client_metrics(subscription: &Properties) -> Result<Vec<Description>, ConfigError> {
    describe_resource(
        client_metrics_keys(),
        subscription,
        &BrokerLayers::default(),
        ConfigSource::ClientMetrics,
    )
}

/// Every key of a broker, declared or not.
///
/// # Errors
/// When a stored value does not fit.
pub fn describe_broker(broker: &BrokerLayers) -> Result<Vec<Description>, ConfigError> {
    let declared = broker_keys()
        .iter()
        .filter(|key| is_shown(key, broker))
        .map(|key| describe_broker_key(key.name, broker));
    let custom = custom_names(broker).map(|name| describe_broker_key(name, broker));
    declared.chain(custom).collect()
}

/// The dynamic settings for all brokers, and nothing else; as they were given, for Kafka reads them only where they are used.
///
/// # Errors
/// When a stored value does not fit.
pub fn describe_cluster_defaults(broker: &BrokerLayers) -> Result<Vec<Description>, ConfigError> {
    let only_cluster = BrokerLayers { cluster: broker.cluster.clone(), ..BrokerLayers::default() };
    broker
        .cluster
        .keys()
        .map(|name| {
            let mut description = describe_broker_key(name, &only_cluster)?;
            description.synonyms.retain(|synonym| synonym.source == ConfigSource::DynamicDefaultBroker);
            if !description.sensitive {
                description.value = broker.cluster.get(name).cloned();
            }
            Ok(description)
        })
        .collect()
}

fn is_shown(key: &ConfigKey, broker: &BrokerLayers) -> bool {
    let dynamic_only = super::quota::DYNAMIC_BROKER_KEYS.iter().any(|dynamic| dynamic.name == key.name);
    !(dynamic_only || key.is_hidden()) || broker.get(key.name).is_some()
}

fn custom_names(broker: &BrokerLayers) -> impl Iterator<Item = &str> {
    let names: std::collections::BTreeSet<&str> = [&broker.broker, &broker.cluster, &broker.file]
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
        .filter(|name| broker_keys().get(name).is_none())
        .collect();
    names.into_iter()
}

fn describe_broker_key(name: &str, broker: &BrokerLayers) -> Result<Description, ConfigError> {
    let key = broker_keys().get(name).or_else(|| listener_key(name).map(|(_, key)| key));
    let sensitive = key.is_none_or(ConfigKey::is_sensitive);
    let value = match (key, broker.get(name)) {
        (Some(key), Some((text, _))) => key.parse(text)?,
        (Some(key), None) if key.default == DefaultValue::Required => ConfigValue::Null,
        (Some(key), None) => key.default_value()?,
        (None, _) => ConfigValue::Null,
    };
    let synonyms = broker.synonyms(name);
    Ok(Description {
        name: name.to_owned(),
        value: if sensitive { None } else { value.text() },
        source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
        sensitive,
        read_only: key.is_none_or(|key| key.update.is_read_only()),
        synonyms,
        kind: key.map(|key| key.kind),
        documentation: key.map(ConfigKey::documentation),
    })
}

fn describe_resource(
    table: &ConfigTable,
    own: &Properties,
    broker: &BrokerLayers,
    own_source: ConfigSource,
) -> Result<Vec<Description>, ConfigError> {
    let shown = table.iter().filter(|key| !key.is_hidden() || own.contains_key(key.name));
    shown.map(|key| describe_key(key, own, broker, own_source)).collect()
}

fn describe_key(
    key: &'static ConfigKey,
    own: &Properties,
    broker: &BrokerLayers,
    own_source: ConfigSource,
) -> Result<Description, ConfigError> {
    let set = own.get(key.name);
    let value = match set {
        Some(text) => key.parse(text)?,
        None => broker.default_of(key)?,
    };
    let shown = if key.is_sensitive() { None } else { value.text() };
    let mut synonyms = key.from.first().map_or_else(Vec::new, |from| broker.synonyms(from.name));
    let own_synonym = |source| Synonym { name: key.name.to_owned(), value: shown.clone(), source };
    if set.is_some() {
        synonyms.insert(0, own_synonym(own_source));
    } else if key.from.is_empty() && own_source == ConfigSource::Group {
        synonyms.push(own_synonym(ConfigSource::Default));
    }
    Ok(Description {
        name: key.name.to_owned(),
        value: shown,
        source: synonyms.first().map_or(ConfigSource::Default, |synonym| synonym.source),
        sensitive: key.is_sensitive(),
        read_only: false,
        synonyms,
        kind: Some(key.kind),
        documentation: Some(key.documentation()),
    })
}
