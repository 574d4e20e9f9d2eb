//! What is set for a subject, a context or everything: compatibility, mode, and what new schemas are given.

use serde::{Deserialize, Deserializer, Serialize};

use super::contract::{Metadata, RuleSet};
use crate::schema::CompatibilityPolicy;

/// Which versions a new one has to get along with, and in which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityLevel {
    /// None.
    None,
    /// The new schema reads what the latest one wrote.
    #[default]
    Backward,
    /// The new schema reads what any version wrote.
    BackwardTransitive,
    /// The latest schema reads what the new one writes.
    Forward,
    /// Every version reads what the new schema writes.
    ForwardTransitive,
    /// Both, with the latest one.
    Full,
    /// Both, with every version.
    FullTransitive,
}

impl CompatibilityLevel {
    /// All, by name.
    pub const ALL: [(&'static str, CompatibilityLevel); 7] = [
        ("NONE", CompatibilityLevel::None),
        ("BACKWARD", CompatibilityLevel::Backward),
        ("BACKWARD_TRANSITIVE", CompatibilityLevel::BackwardTransitive),
        ("FORWARD", CompatibilityLevel::Forward),
        ("FORWARD_TRANSITIVE", CompatibilityLevel::ForwardTransitive),
        ("FULL", CompatibilityLevel::Full),
        ("FULL_TRANSITIVE", CompatibilityLevel::FullTransitive),
    ];

    /// The level of this name, in any case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<CompatibilityLevel> {
        Self::ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| level)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, level)| *level == self).map_or("NONE", |(name, _)| name)
    }

    /// All versions count, not only the latest one.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        use CompatibilityLevel::{BackwardTransitive, ForwardTransitive, FullTransitive};
        matches!(self, BackwardTransitive | ForwardTransitive | FullTransitive)
    }

    /// The new schema has to read what old ones wrote.
    #[must_use]
    pub fn is_backward(self) -> bool {
        use CompatibilityLevel::{Backward, BackwardTransitive, Full, FullTransitive};
        matches!(self, Backward | BackwardTransitive | Full | FullTransitive)
    }

    /// Old schemas have to read what the new one writes.
    #[must_use]
    pub fn is_forward(self) -> bool {
        use CompatibilityLevel::{Forward, ForwardTransitive, Full, FullTransitive};
        matches!(self, Forward | ForwardTransitive | Full | FullTransitive)
    }
}

/// What may be done with a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Everything.
    #[default]
    #[serde(rename = "READWRITE")]
    ReadWrite,
    /// Nothing changes.
    #[serde(rename = "READONLY")]
    ReadOnly,
    /// The older name of that, for everything.
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadOnlyOverride,
    /// Schemas come with the ids and versions that they have elsewhere.
    Import,
    /// Registrations are meant for another registry.
    Forward,
}

impl Mode {
    /// All, by name.
    pub const ALL: [(&'static str, Mode); 5] = [
        ("READWRITE", Mode::ReadWrite),
        ("READONLY", Mode::ReadOnly),
        ("READONLY_OVERRIDE", Mode::ReadOnlyOverride),
        ("IMPORT", Mode::Import),
        ("FORWARD", Mode::Forward),
    ];

    /// The mode of this name, in any case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Mode> {
        Self::ALL.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, mode)| mode)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, mode)| *mode == self).map_or("READWRITE", |(name, _)| name)
    }

    /// Nothing may be written.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Mode::ReadOnly | Mode::ReadOnlyOverride)
    }

    /// Schemas bring their ids.
    #[must_use]
    pub fn brings_ids(self) -> bool {
        matches!(self, Mode::Import | Mode::Forward)
    }
}

/// What is set in one place. What is not set there is looked up in the next wider one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Another subject, which answers in the place of this one.
    #[serde(skip_serializing_if = "nothing_said")]
    pub alias: Option<String>,
    /// The same for encryption keys.
    #[serde(skip_serializing_if = "nothing_said")]
    pub alias_for_deks: Option<String>,
    /// Schemas are normalised without being asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Reserved fields are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<bool>,
    /// New schemas are checked strictly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<bool>,
    /// Rules are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<bool>,
    /// Which versions are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<CompatibilityLevel>,
    /// How strictly: `STRICT`, `LENIENT` or `LOGICAL`.
    #[serde(skip_serializing_if = "nothing_said")]
    pub compatibility_policy: Option<String>,
    /// A property of metadata: only versions with the same value are compared.
    #[serde(skip_serializing_if = "nothing_said")]
    pub compatibility_group: Option<String>,
    /// What new schemas are given when they do not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Metadata>,
    /// What new schemas are given in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Metadata>,
    /// What new schemas are given when they do not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<RuleSet>,
    /// What new schemas are given in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<RuleSet>,
}

fn nothing_said(text: &Option<String>) -> bool {
    text.as_ref().is_none_or(String::is_empty)
}

impl Config {
    /// Only a level.
    #[must_use]
    pub fn of_level(level: CompatibilityLevel) -> Config {
        Config { compatibility_level: Some(level), ..Config::default() }
    }

    /// The level that counts.
    #[must_use]
    pub fn level(&self) -> CompatibilityLevel {
        self.compatibility_level.unwrap_or_default()
    }

    /// How strictly schemas are compared.
    #[must_use]
    pub fn policy(&self) -> CompatibilityPolicy {
        match self.compatibility_policy.as_deref() {
            Some("LOGICAL") => CompatibilityPolicy::Logical,
            Some("LENIENT") => CompatibilityPolicy::Lenient,
            _ => CompatibilityPolicy::Strict,
        }
    }

    /// New schemas are given metadata or rules.
    #[must_use]
    pub fn gives_contract(&self) -> bool {
        self.default_metadata.is_some()
            || self.override_metadata.is_some()
            || self.default_rule_set.is_some()
            || self.override_rule_set.is_some()
    }

    /// What counts for a subject with settings of its own, which is more than those for some of them.
    #[must_use]
    pub fn over(&self, wider: &Config) -> Config {
        Config {
            normalize: self.normalize.or(wider.normalize),
            validate_fields: self.validate_fields.or(wider.validate_fields),
            validate_new_schemas: self.validate_new_schemas.or(wider.validate_new_schemas),
            validate_rules: self.validate_rules.or(wider.validate_rules),
            compatibility_policy: self
                .compatibility_policy
                .clone()
                .or_else(|| wider.compatibility_policy.clone()),
            compatibility_group: self
                .compatibility_group
                .clone()
                .or_else(|| wider.compatibility_group.clone()),
            ..self.clone()
        }
    }
}

/// A change of a [`Config`]: what is absent stays, what is null is unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(clippy::option_option, reason = "absent and null mean different things")]
#[allow(missing_docs, reason = "the fields are those of Config")]
pub struct ConfigUpdate {
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub alias: Option<Option<String>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub alias_for_deks: Option<Option<String>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub normalize: Option<Option<bool>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<Option<bool>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<Option<bool>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<Option<bool>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<Option<String>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub compatibility_policy: Option<Option<String>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<Option<String>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Option<Metadata>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Option<Metadata>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<Option<RuleSet>>,
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<Option<RuleSet>>,
}

/// What is there is said, even null.
#[allow(clippy::option_option, reason = "absent and null mean different things")]
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

impl ConfigUpdate {
    /// The change that sets only a level.
    #[must_use]
    pub fn of_level(name: &str) -> ConfigUpdate {
        ConfigUpdate { compatibility: Some(Some(name.to_owned())), ..ConfigUpdate::default() }
    }

    /// The config after the change. A level that is not known counts as none said; see [`ConfigUpdate::level_is_known`].
    #[must_use]
    pub fn apply(self, before: Option<&Config>) -> Config {
        let before = before.cloned().unwrap_or_default();
        let level = |name: Option<String>| name.and_then(|name| CompatibilityLevel::of_name(&name));
        Config {
            alias: self.alias.unwrap_or(before.alias),
            alias_for_deks: self.alias_for_deks.unwrap_or(before.alias_for_deks),
            normalize: self.normalize.unwrap_or(before.normalize),
            validate_fields: self.validate_fields.unwrap_or(before.validate_fields),
            validate_new_schemas: self.validate_new_schemas.unwrap_or(before.validate_new_schemas),
            validate_rules: self.validate_rules.unwrap_or(before.validate_rules),
            compatibility_level: self.compatibility.map_or(before.compatibility_level, level),
            compatibility_policy: self.compatibility_policy.unwrap_or(before.compatibility_policy),
            compatibility_group: self.compatibility_group.unwrap_or(before.compatibility_group),
            default_metadata: self.default_metadata.unwrap_or(before.default_metadata),
            override_metadata: self.override_metadata.unwrap_or(before.override_metadata),
            default_rule_set: self.default_rule_set.unwrap_or(before.default_rule_set),
            override_rule_set: self.override_rule_set.unwrap_or(before.override_rule_set),
        }
    }

    /// Whether the level that is asked for, if one is, exists.
    #[must_use]
    pub fn level_is_known(&self) -> bool {
        match &self.compatibility {
            Some(Some(name)) => CompatibilityLevel::of_name(name).is_some(),
            Some(None) | None => true,
        }
    }

    /// All of a config as a change: what `PUT` answers.
    #[must_use]
    pub fn echo(config: &Config) -> ConfigUpdate {
        fn some<T: Clone>(value: &Option<T>) -> Option<Option<T>> {
            value.clone().map(Some)
        }
        ConfigUpdate {
            alias: some(&config.alias),
            alias_for_deks: some(&config.alias_for_deks),
            normalize: some(&config.normalize),
            validate_fields: some(&config.validate_fields),
            validate_new_schemas: some(&config.validate_new_schemas),
            validate_rules: some(&config.validate_rules),
            compatibility: config.compatibility_level.map(|level| Some(level.name().to_owned())),
            compatibility_policy: some(&config.compatibility_policy),
            compatibility_group: some(&config.compatibility_group),
            default_metadata: some(&config.default_metadata),
            override_metadata: some(&config.override_metadata),
            default_rule_set: some(&config.default_rule_set),
            override_rule_set: some(&config.override_rule_set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_stays_and_what_is_null_is_unset() {
        let before = Config {
            alias: Some("a".into()),
            normalize: Some(true),
            ..Config::of_level(CompatibilityLevel::Full)
        };
        for (change, expected) in [
            ("{}", r#"{"alias":"a","normalize":true,"compatibilityLevel":"FULL"}"#),
            (r#"{"alias":null}"#, r#"{"normalize":true,"compatibilityLevel":"FULL"}"#),
            (
                r#"{"compatibility":"none","other":1}"#,
                r#"{"alias":"a","normalize":true,"compatibilityLevel":"NONE"}"#,
            ),
            (r#"{"compatibility":null,"normalize":false}"#, r#"{"alias":"a","normalize":false}"#),
        ] {
            let update: ConfigUpdate = serde_json::from_str(change).unwrap();
            assert!(update.level_is_known());
            let after = update.apply(Some(&before));
            assert_eq!(serde_json::to_string(&after).unwrap(), expected, "{change}");
        }
        assert!(!ConfigUpdate::of_level("SIDEWAYS").level_is_known());
    }

    #[test]
    fn names_of_levels_and_modes_read_back() {
        for (name, level) in CompatibilityLevel::ALL {
            assert_eq!(
                (level.name(), CompatibilityLevel::of_name(&name.to_lowercase())),
                (name, Some(level))
            );
            assert_eq!(serde_json::to_string(&level).unwrap(), format!("{name:?}"));
        }
        for (name, mode) in Mode::ALL {
            assert_eq!((mode.name(), Mode::of_name(name)), (name, Some(mode)));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("{name:?}"));
        }
    }
}
