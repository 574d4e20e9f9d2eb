//! Dynamic configuration: of topics, of brokers one by one or all together, of groups and of metrics subscriptions.
//!
//! Each resource of a request succeeds or fails by itself; what succeeds is one atomic batch. Log levels are not here:
//! they are no part of the cluster, each broker keeps its own.

use std::collections::BTreeSet;

use vltava_core::config::alter::{BrokerScope, alter, check_broker, check_topic, check_transition};
use vltava_core::config::{
    BrokerConfig, BrokerLayers, ConfigError, ConfigTable, Properties, broker_keys, check_group,
    client_metrics_keys, group_keys, topic_keys,
};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, NameError, TopicName};
use vltava_core::image::{ConfigKind, ConfigResource};

use super::command::{AlterOperation, AlteredConfig, ChangeConfigs, ConfigChange, ReplaceConfigs};
use super::event::Event;
use super::{Cluster, EVENTS_PER_REQUEST_MAX};

/// The longest value, in bytes: what a record can hold.
pub const CONFIG_VALUE_BYTES_MAX: usize = vltava_core::wire::STRING_BYTES_MAX;

/// Why a resource keeps its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigChangeError {
    /// The request names it twice.
    #[error("Each resource must appear at most once.")]
    DuplicateResource,
    /// The request names a key twice.
    #[error("Error due to duplicate config keys")]
    DuplicateKeys,
    /// Keys without a value.
    #[error("Null value not supported for : {0}")]
    NullValues(String),
    /// The value is longer than a record can hold.
    #[error(
        "The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes."
    )]
    ValueTooLong,
    /// This kind has no configuration for all of it.
    #[error("Default {0} resources are not allowed.")]
    DefaultResource(&'static str),
    /// The name of a broker is no number.
    #[error("Node id must be an integer, but it is: {0}")]
    BrokerName(String),
    /// The name of a broker is a negative number.
    #[error("Invalid negative broker ID.")]
    NegativeBroker,
    /// The name of a metrics subscription is empty.
    #[error("Subscription name can't be empty")]
    SubscriptionName,
    /// The controller does not keep this kind.
    #[error("Unknown resource type {0:?}")]
    Kind(ConfigKind),
    /// The name of a topic breaks the rules.
    #[error(transparent)]
    TopicName(#[from] NameError),
    /// No such topic.
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    /// No such node.
    #[error("No node with id {0} found.")]
    UnknownNode(BrokerId),
    /// A key or value that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key or value that a broker cannot use.
    #[error(transparent)]
    Broker(ConfigError),
    /// A broker's key that is no list cannot be appended to or subtracted from.
    #[error("Config value {operation} is not allowed for config key: {key}")]
    NotAList {
        /// What was asked for.
        operation: &'static str,
        /// The key.
        key: String,
    },
    /// A metrics subscription has no such key.
    #[error("Unknown client metrics configuration: {0}")]
    UnknownSubscriptionKey(String),
    /// Clients would push too often or too rarely.
    #[error("Invalid value {0} for interval.ms, interval must be between 100 and 3600000 (1 hour)")]
    PushInterval(i32),
    /// The request would take too many records; all of it is refused.
    #[error("Unable to perform excessively large batch operation.")]
    TooLarge,
}

impl ConfigChangeError {
    /// Kafka's code. A bad value of a broker is an invalid request there, a bad value of anything else an invalid
    /// configuration.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::DuplicateResource
            | Self::DuplicateKeys
            | Self::NullValues(_)
            | Self::DefaultResource(_)
            | Self::BrokerName(_)
            | Self::NegativeBroker
            | Self::SubscriptionName
            | Self::Kind(_)
            | Self::Broker(_)
            | Self::UnknownSubscriptionKey(_)
            | Self::PushInterval(_) => ErrorCode::INVALID_REQUEST,
            Self::ValueTooLong | Self::NotAList { .. } => ErrorCode::INVALID_CONFIG,
            Self::TopicName(name) => name.code(),
            Self::UnknownTopic(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::UnknownNode(_) => ErrorCode::BROKER_ID_NOT_REGISTERED,
            Self::Config(config) => config.code(),
            Self::TooLarge => ErrorCode::POLICY_VIOLATION,
        }
    }
}

/// The setting that says how many replicas have to be in sync.
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl Cluster {
    /// Decides changes of single values.
    pub(super) fn change_configs(&self, request: ChangeConfigs) -> (Vec<Event>, Vec<AlteredConfig>) {
        self.alter_configs(
            request.resources,
            request.validate_only,
            |resource, old, changes: &[ConfigChange]| {
                check_keys(changes.iter().map(|change| &change.key))?;
                let without = |change: &&ConfigChange| {
                    change.operation != AlterOperation::Delete && change.value.is_none()
                };
                check_nulls(changes.iter().filter(without).map(|change| &change.key))?;
                let table = keys_of(resource.kind)?;
                let mut new = old.clone();
                for change in changes {
                    alter(table, &mut new, &change.key, change.operation, change.value.as_deref())
                        .map_err(|error| list_error(resource.kind, change, error))?;
                }
                Ok((new, changes.iter().map(|change| change.key.clone()).collect()))
            },
        )
    }

    /// Decides the replacement of whole configurations.
    pub(super) fn replace_configs(&self, request: ReplaceConfigs) -> (Vec<Event>, Vec<AlteredConfig>) {
        self.alter_configs(
            request.resources,
            request.validate_only,
            |_, old, values: &[(String, Option<String>)]| {
                check_keys(values.iter().map(|(key, _)| key))?;
                check_nulls(values.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key))?;
                let new: Properties =
                    values.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
                let named =
                    new.keys().cloned().chain(old.keys().filter(|key| !new.contains_key(*key)).cloned());
                let named = named.collect();
                Ok((new, named))
            },
        )
    }

    /// Alters each resource by itself. `change` says what it would carry, and which keys the request is about.
    fn alter_configs<C>(
        &self,
        resources: Vec<(ConfigResource, Vec<C>)>,
        validate_only: bool,
        change: impl Fn(
            &ConfigResource,
            &Properties,
            &[C],
        ) -> Result<(Properties, Vec<String>), ConfigChangeError>,
    ) -> (Vec<Event>, Vec<AlteredConfig>) {
        let layers = self.broker_layers();
        let duplicates = repeated(resources.iter().map(|(resource, _)| resource));
        let none = Properties::new();
        let mut events = Vec::new();
        let mut results: Vec<AlteredConfig> = Vec::with_capacity(resources.len());
        for (resource, changes) in resources {
            let old = self.image.config(&resource).map_or(&none, AsRef::as_ref);
            let result = if duplicates.contains(&resource) {
                Err(ConfigChangeError::DuplicateResource)
            } else {
                change(&resource, old, &changes)
                    .and_then(|(new, keys)| {
                        self.check_config(&resource, old, &new, &layers).map(|()| (new, keys))
                    })
                    .map(|(new, keys)| events.extend(difference(&resource, old, &new, keys)))
            };
            results.push((resource, result));
        }
        let cleared: Vec<_> = events.iter().filter_map(|event| self.clears_eligible(event)).collect();
        events.extend(cleared);
        if events.len() > EVENTS_PER_REQUEST_MAX {
            results.iter_mut().for_each(|(_, result)| *result = Err(ConfigChangeError::TooLarge));
            events.clear();
        }
        if validate_only {
            events.clear();
        }
        (events, results)
    }

    /// With another `min.insync.replicas` nobody knows who had everything: eligible leaders are forgotten (KIP-966).
    fn clears_eligible(&self, event: &Event) -> Option<Event> {
        let Event::ConfigSet { resource, key, .. } = event else { return None };
        if key != MIN_INSYNC_REPLICAS || !self.keeps_eligible() {
            return None;
        }
        let topic = (resource.kind == ConfigKind::Topic).then(|| TopicName::new(&resource.name).ok());
        Some(Event::EligibleLeadersCleared { topic: topic.flatten() })
    }

    fn check_config(
        &self,
        resource: &ConfigResource,
        old: &Properties,
        new: &Properties,
        layers: &BrokerLayers,
    ) -> Result<(), ConfigChangeError> {
        if new.values().any(|value| value.len() > CONFIG_VALUE_BYTES_MAX) {
            return Err(ConfigChangeError::ValueTooLong);
        }
        let name = resource.name.as_str();
        match resource.kind {
            ConfigKind::Topic if name.is_empty() => Err(ConfigChangeError::DefaultResource("topic")),
            ConfigKind::Topic => {
                TopicName::new(name)?;
                check_topic(old, new, layers)?;
                let known = self.image.topics.by_name(name).is_some();
                if known { Ok(()) } else { Err(ConfigChangeError::UnknownTopic(name.to_owned())) }
            }
            ConfigKind::Broker => self.check_node_config(name, new, layers),
            ConfigKind::Group if name.is_empty() => Err(ConfigChangeError::DefaultResource("group")),
            ConfigKind::Group => Ok(check_group(new, layers).map(drop)?),
            ConfigKind::ClientMetrics if name.is_empty() => Err(ConfigChangeError::SubscriptionName),
            ConfigKind::ClientMetrics => check_subscription(new),
            ConfigKind::BrokerLogger => Err(ConfigChangeError::Kind(resource.kind)),
        }
    }

    fn check_node_config(
        &self,
        name: &str,
        new: &Properties,
        layers: &BrokerLayers,
    ) -> Result<(), ConfigChangeError> {
        if name.is_empty() {
            check_broker(new, BrokerScope::Cluster).map_err(ConfigChangeError::Broker)?;
            return check_together(layers, BrokerLayers { cluster: new.clone(), ..layers.clone() });
        }
        let node = BrokerId(name.parse().map_err(|_| ConfigChangeError::BrokerName(name.to_owned()))?);
        if node.0 < 0 {
            return Err(ConfigChangeError::NegativeBroker);
        }
        check_broker(new, BrokerScope::Broker).map_err(ConfigChangeError::Broker)?;
        if node == self.options.node {
            check_together(layers, BrokerLayers { broker: new.clone(), ..layers.clone() })?;
        }
        let image = &self.image;
        let known = image.brokers.contains_key(&node)
            || image.controllers.contains_key(&node)
            || node == self.options.node;
        if known { Ok(()) } else { Err(ConfigChangeError::UnknownNode(node)) }
    }

    /// What topics and groups take their defaults from: the settings of this node.
    pub(super) fn broker_layers(&self) -> BrokerLayers {
        let of =
            |resource| self.image.config(&resource).map(|values| values.as_ref().clone()).unwrap_or_default();
        BrokerLayers {
            broker: of(ConfigResource::broker(self.options.node)),
            cluster: of(ConfigResource::brokers()),
            file: self.options.file.clone(),
        }
    }
}

/// Refuses settings that this node cannot go over to, and those that do not go together, which it could not start with
/// again. Where that was so before, each change is welcome.
fn check_together(old: &BrokerLayers, new: BrokerLayers) -> Result<(), ConfigChangeError> {
    check_transition(old, &new).map_err(ConfigChangeError::Broker)?;
    match BrokerConfig::resolve(new) {
        Err(error) if BrokerConfig::resolve(old.clone()).is_ok() => Err(ConfigChangeError::Broker(error)),
        _ => Ok(()),
    }
}

/// The events of a change. Brokers are told even what stays the same: it makes them load again what a key names, such as
/// a renewed certificate.
fn difference(
    resource: &ConfigResource,
    old: &Properties,
    new: &Properties,
    keys: Vec<String>,
) -> impl Iterator<Item = Event> {
    let always = resource.kind == ConfigKind::Broker;
    keys.into_iter().filter(move |key| always || old.get(key) != new.get(key)).map(|key| Event::ConfigSet {
        resource: resource.clone(),
        value: new.get(&key).cloned(),
        key,
    })
}

fn keys_of(kind: ConfigKind) -> Result<&'static ConfigTable, ConfigChangeError> {
    match kind {
        ConfigKind::Topic => Ok(topic_keys()),
        ConfigKind::Broker => Ok(broker_keys()),
        ConfigKind::Group => Ok(group_keys()),
        ConfigKind::ClientMetrics => Ok(client_metrics_keys()),
        ConfigKind::BrokerLogger => Err(ConfigChangeError::Kind(kind)),
    }
}

/// Appending to what is no list is an invalid configuration; what Kafka says depends on what carries it.
fn list_error(kind: ConfigKind, change: &ConfigChange, error: ConfigError) -> ConfigChangeError {
    let operation = match change.operation {
        AlterOperation::Append => "append",
        AlterOperation::Subtract => "subtract",
        AlterOperation::Set | AlterOperation::Delete => return ConfigChangeError::Config(error),
    };
    match kind {
        ConfigKind::Broker => ConfigChangeError::NotAList { operation, key: change.key.clone() },
        _ => ConfigChangeError::Config(error),
    }
}

fn check_subscription(new: &Properties) -> Result<(), ConfigChangeError> {
    let table = client_metrics_keys();
    if let Some(unknown) = new.keys().find(|key| table.get(key).is_none()) {
        return Err(ConfigChangeError::UnknownSubscriptionKey(unknown.clone()));
    }
    let interval = new.get("interval.ms").and_then(|text| text.trim().parse::<i32>().ok());
    table.check(new).map_err(|error| match (error, interval) {
        (ConfigError::Invalid { key, .. }, Some(interval)) if key == "interval.ms" => {
            ConfigChangeError::PushInterval(interval)
        }
        (error, _) => ConfigChangeError::Config(error),
    })
}

fn check_keys<'a>(keys: impl Iterator<Item = &'a String>) -> Result<(), ConfigChangeError> {
    if repeated(keys).is_empty() { Ok(()) } else { Err(ConfigChangeError::DuplicateKeys) }
}

fn check_nulls<'a>(keys: impl Iterator<Item = &'a String>) -> Result<(), ConfigChangeError> {
    let keys: Vec<&str> = keys.map(String::as_str).collect();
    if keys.is_empty() { Ok(()) } else { Err(ConfigChangeError::NullValues(keys.join(","))) }
}

fn repeated<'a, T: Ord + Clone + 'a>(items: impl Iterator<Item = &'a T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    items.filter(|item| !seen.insert(*item)).cloned().collect()
}
