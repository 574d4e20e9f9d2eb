//! A set of keys that are looked up together.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::key::ConfigKey;
use super::nearest::nearest;

/// Properties as they were set: text by key.
pub type Properties = BTreeMap<String, String>;

/// A set of keys that are looked up together: those of a node, of a topic, of a group.
#[derive(Debug)]
pub struct ConfigTable {
    scope: &'static str,
    keys: BTreeMap<&'static str, &'static ConfigKey>,
}

impl ConfigTable {
    /// Collects the keys; a name declared twice keeps its first declaration.
    pub(super) fn new(scope: &'static str, areas: impl IntoIterator<Item = &'static [ConfigKey]>) -> Self {
        let mut keys = BTreeMap::new();
        for key in areas.into_iter().flatten() {
            keys.entry(key.name).or_insert(key);
        }
        Self { scope, keys }
    }

    /// The declaration of a key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'static ConfigKey> {
        self.keys.get(name).copied()
    }

    /// The declaration of a key.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], naming the nearest known key.
    pub fn require(&self, name: &str) -> Result<&'static ConfigKey, ConfigError> {
        self.get(name).ok_or_else(|| ConfigError::Unknown {
            scope: self.scope,
            key: name.to_owned(),
            nearest: self.nearest(name).map(str::to_owned),
        })
    }

    /// The known name that looks most like this one.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest(name, self.keys.keys().copied())
    }

    /// All keys by name.
    pub fn iter(&self) -> impl Iterator<Item = &'static ConfigKey> + '_ {
        self.keys.values().copied()
    }

    /// Checks that every property is known and its value valid.
    ///
    /// # Errors
    /// The first unknown key, or the first value that does not fit.
    pub fn check(&self, properties: &Properties) -> Result<(), ConfigError> {
        properties.iter().try_for_each(|(name, text)| self.require(name)?.parse(text).map(drop))
    }
}
