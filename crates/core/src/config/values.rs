//! Values that have been read and checked, and typed access to them.

use std::collections::BTreeMap;

use super::broker::broker_keys;
use super::error::ConfigError;
use super::key::{ConfigKey, ConfigType};
use super::layers::BrokerLayers;
use super::table::{ConfigTable, Properties};
use super::value::{ConfigValue, Password};

/// A value for every declared key, read and checked once.
///
/// The accessors name the key, because a value of another type than asked for is a mistake in the declaration, and the
/// message should say which.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigValues(BTreeMap<&'static str, ConfigValue>);

impl ConfigValues {
    /// The values of a node.
    ///
    /// # Errors
    /// The first value that does not fit, or a required key that is not set.
    pub fn of_broker(layers: &BrokerLayers) -> Result<Self, ConfigError> {
        broker_keys()
            .iter()
            .map(|key| Ok((key.name, layers.value(key.name)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The values of a topic, group or subscription that carries these properties, on a broker with those.
    ///
    /// # Errors
    /// The first value that does not fit.
    pub fn of_resource(
        table: &ConfigTable,
        own: &Properties,
        broker: &BrokerLayers,
    ) -> Result<Self, ConfigError> {
        let value = |key: &ConfigKey| match own.get(key.name) {
            Some(text) => key.parse(text),
            None => broker.default_of(key),
        };
        table.iter().map(|key| Ok((key.name, value(key)?))).collect::<Result<_, _>>().map(Self)
    }

    /// The value of a key; [`ConfigValue::Null`] also for a key that is not declared.
    #[must_use]
    pub fn get(&self, key: &str) -> &ConfigValue {
        self.0.get(key).unwrap_or(&ConfigValue::Null)
    }

    /// A [`ConfigType::Boolean`].
    ///
    /// # Errors
    /// When the key is null or of another type.
    pub fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        match self.get(key) {
            ConfigValue::Boolean(value) => Ok(*value),
            other => Err(mismatch(key, other, ConfigType::Boolean)),
        }
    }

    /// A [`ConfigType::Long`], or any narrower number.
    ///
    /// # Errors
    /// When the key is null or of another type.
    pub fn long(&self, key: &str) -> Result<i64, ConfigError> {
        match self.get(key) {
            ConfigValue::Number(value) => Ok(*value),
            other => Err(mismatch(key, other, ConfigType::Long)),
        }
    }

    /// A [`ConfigType::Int`], or any narrower number.
    ///
    /// # Errors
    /// When the key is null or of another type.
    pub fn int(&self, key: &str) -> Result<i32, ConfigError> {
        i32::try_from(self.long(key)?).map_err(|_| mismatch(key, self.get(key), ConfigType::Int))
    }

    /// A [`ConfigType::Short`].
    ///
    /// # Errors
    /// When the key is null or of another type.
    pub fn short(&self, key: &str) -> Result<i16, ConfigError> {
        i16::try_from(self.long(key)?).map_err(|_| mismatch(key, self.get(key), ConfigType::Short))
    }

    /// A [`ConfigType::Int`] that may be null.
    ///
    /// # Errors
    /// When the key is of another type.
    pub fn optional_int(&self, key: &str) -> Result<Option<i32>, ConfigError> {
        if self.get(key) == &ConfigValue::Null { Ok(None) } else { self.int(key).map(Some) }
    }

    /// A [`ConfigType::Double`].
    ///
    /// # Errors
    /// When the key is null or of another type.
    pub fn double(&self, key: &str) -> Result<f64, ConfigError> {
        match self.get(key) {
            ConfigValue::Double(value) => Ok(*value),
            other => Err(mismatch(key, other, ConfigType::Double)),
        }
    }

    /// A [`ConfigType::String`] or [`ConfigType::Class`].
    ///
    /// # Errors
    /// When the key is null or of another type.
    pub fn text(&self, key: &str) -> Result<&str, ConfigError> {
        self.optional_text(key)?.ok_or_else(|| mismatch(key, &ConfigValue::Null, ConfigType::String))
    }

    /// A [`ConfigType::String`] or [`ConfigType::Class`] that may be null.
    ///
    /// # Errors
    /// When the key is of another type.
    pub fn optional_text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        match self.get(key) {
            ConfigValue::Text(value) => Ok(Some(value)),
            ConfigValue::Null => Ok(None),
            other => Err(mismatch(key, other, ConfigType::String)),
        }
    }

    /// A [`ConfigType::List`]; null is the empty list.
    ///
    /// # Errors
    /// When the key is of another type.
    pub fn list(&self, key: &str) -> Result<&[String], ConfigError> {
        match self.get(key) {
            ConfigValue::List(values) => Ok(values),
            ConfigValue::Null => Ok(&[]),
            other => Err(mismatch(key, other, ConfigType::List)),
        }
    }

    /// A [`ConfigType::Password`] that may be null.
    ///
    /// # Errors
    /// When the key is of another type.
    pub fn password(&self, key: &str) -> Result<Option<&Password>, ConfigError> {
        match self.get(key) {
            ConfigValue::Password(value) => Ok(Some(value)),
            ConfigValue::Null => Ok(None),
            other => Err(mismatch(key, other, ConfigType::Password)),
        }
    }
}

fn mismatch(key: &str, value: &ConfigValue, kind: ConfigType) -> ConfigError {
    ConfigError::invalid(key, value, format!("Expected a value of type {}", kind.name()))
}
