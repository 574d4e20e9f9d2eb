//! Who wins when a key is set in several places, and from where an effective value comes.

use std::fmt;

use super::broker::{broker_keys, synonyms};
use super::error::ConfigError;
use super::key::{BrokerDefault, ConfigKey, ConfigType};
use super::table::Properties;
use super::value::ConfigValue;

/// Where a value comes from, with the ids of `DescribeConfigs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set at run time on this broker.
    DynamicBroker,
    /// Set at run time for all brokers.
    DynamicDefaultBroker,
    /// In the file or on the command line.
    StaticBroker,
    /// Nobody set it.
    Default,
    /// The level of a logger.
    BrokerLogger,
    /// Set on the client-metrics subscription.
    ClientMetrics,
    /// Set on the group.
    Group,
}

impl ConfigSource {
    /// The id in a `DescribeConfigs` response.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::DynamicBroker => 2,
            Self::DynamicDefaultBroker => 3,
            Self::StaticBroker => 4,
            Self::Default => 5,
            Self::BrokerLogger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// A value of a key, or of one of its synonyms, in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key that is set.
    pub name: String,
    /// Its text; `None` when it must not be shown.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// The settings of one broker by place, weakest last: its own dynamic ones, those for all brokers, the file.
///
/// `Debug` shows names without values, for there are secrets among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BrokerLayers {
    /// Set at run time on this broker.
    pub broker: Properties,
    /// Set at run time for all brokers.
    pub cluster: Properties,
    /// In the file or on the command line.
    pub file: Properties,
}

impl fmt::Debug for BrokerLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerLayers")
            .field("broker", &self.broker.keys())
            .field("cluster", &self.cluster.keys())
            .field("file", &self.file.keys())
            .finish()
    }
}

impl BrokerLayers {
    /// A broker without dynamic settings.
    #[must_use]
    pub fn of_file(file: Properties) -> Self {
        Self { file, ..Self::default() }
    }

    /// The text that wins for exactly this key, and where it stands; `None` when nobody set it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&str, ConfigSource)> {
        self.places()
            .into_iter()
            .find_map(|(properties, source)| properties.get(name).map(|text| (text.as_str(), source)))
    }

    /// The value of a node's key: the one that wins, else the default.
    ///
    /// # Errors
    /// When the text does not fit, the key is unknown, or it is required and not set.
    pub fn value(&self, name: &str) -> Result<ConfigValue, ConfigError> {
        let key = broker_keys().require(name)?;
        match self.get(name) {
            Some((text, _)) => key.parse(text),
            None => key.default_value(),
        }
    }

    /// The text a key of a topic or group takes from the broker: the first of its broker keys that has a value, in the
    /// unit of the key.
    ///
    /// # Errors
    /// When a broker value does not fit.
    pub fn default_of(&self, key: &ConfigKey) -> Result<ConfigValue, ConfigError> {
        for from in key.from {
            let value = self.value(from.name)?;
            if value != ConfigValue::Null {
                return scaled(key, from, value);
            }
        }
        key.default_value()
    }

    /// The strongest place that sets one of the broker's keys which a key of a topic or group takes its value from.
    #[must_use]
    pub fn source_of(&self, key: &ConfigKey) -> ConfigSource {
        self.places()
            .into_iter()
            .find(|(properties, _)| key.from.iter().any(|from| properties.contains_key(from.name)))
            .map_or(ConfigSource::Default, |(_, source)| source)
    }

    /// Every place that sets this key or a synonym of it, the strongest first, ending with the defaults. Places of other
    /// names before the first of this name are left out, as Kafka does.
    #[must_use]
    pub fn synonyms(&self, name: &str) -> Vec<Synonym> {
        let listed = synonyms(name);
        let names: Vec<&str> = if listed.is_empty() { vec![name] } else { listed.to_vec() };
        let mut found = Vec::new();
        for (properties, source) in self.places() {
            for name in &names {
                found.extend(properties.get(*name).map(|text| synonym(name, text, source)));
            }
        }
        for name in &names {
            let default = broker_keys().get(name).and_then(ConfigKey::default_text);
            found.extend(default.map(|text| synonym(name, text, ConfigSource::Default)));
        }
        found.into_iter().skip_while(|synonym| synonym.name != name).collect()
    }

    fn places(&self) -> [(&Properties, ConfigSource); 3] {
        [
            (&self.broker, ConfigSource::DynamicBroker),
            (&self.cluster, ConfigSource::DynamicDefaultBroker),
            (&self.file, ConfigSource::StaticBroker),
        ]
    }
}

fn synonym(name: &str, text: &str, source: ConfigSource) -> Synonym {
    let hidden = broker_keys().get(name).is_none_or(ConfigKey::is_sensitive);
    Synonym { name: name.to_owned(), value: (!hidden).then(|| text.to_owned()), source }
}

/// A broker value in the unit of the key that takes it. A negative time is no limit, whatever its unit.
fn scaled(key: &ConfigKey, from: &BrokerDefault, value: ConfigValue) -> Result<ConfigValue, ConfigError> {
    let number = match value {
        ConfigValue::Number(number) => number,
        // The first of the broker's list is the default of a key that names one.
        ConfigValue::List(names) if key.kind == ConfigType::String => {
            return Ok(names.into_iter().next().map_or(ConfigValue::Null, ConfigValue::Text));
        }
        other => return Ok(other),
    };
    if from.scale == 1 && number >= 0 {
        return Ok(value);
    }
    if number < 0 {
        return Ok(ConfigValue::Number(if key.name == "retention.ms" { -1 } else { number }));
    }
    let too_large =
        || ConfigError::invalid(from.name, number, format!("too large for {} in milliseconds", key.name));
    number.checked_mul(from.scale).map(ConfigValue::Number).ok_or_else(too_large)
}
