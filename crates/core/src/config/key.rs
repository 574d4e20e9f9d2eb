//! What one key declares: its name, type, default, limits and meaning.
//!
//! Why a table and not a struct with attributes: the same declaration feeds parsing, validation, `DescribeConfigs`,
//! the nearest-name hint and the manual, and each of them wants to walk all keys.

use super::error::ConfigError;
use super::validator::Validator;
use super::value::ConfigValue;

/// One declared key.
#[derive(Debug)]
pub struct ConfigKey {
    /// The name as it stands in a file.
    pub name: &'static str,
    /// How the text of a value is read.
    pub kind: ConfigType,
    /// The value when nobody set one.
    pub default: DefaultValue,
    /// What a value must fulfil beyond its type.
    pub validator: Validator,
    /// How much an operator should care.
    pub importance: Importance,
    /// Whether and where the key changes without a restart.
    pub update: UpdateMode,
    /// Why the key changes nothing here, for keys that are accepted for the sake of existing files only.
    pub inert: Option<&'static str>,
    /// The broker keys the default comes from, the first with priority; empty when there are none.
    pub from: &'static [BrokerDefault],
    pub(super) doc: &'static str,
}

/// The type of a key, with Kafka's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// A number with a fraction.
    Double,
    /// Texts separated by commas.
    List,
    /// The name of something built in, as Kafka names the Java class that does it.
    Class,
    /// A text that is never shown.
    Password,
}

impl ConfigType {
    /// The id in a `DescribeConfigs` response.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Class => 8,
            Self::Password => 9,
        }
    }

    /// The name in messages and in the manual: `INT`, `LIST`, …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// The value of a key that nobody set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// There is none: the key must be set.
    Required,
    /// The key is absent, and absence means something.
    Null,
    /// This text.
    Text(&'static str),
}

/// How much an operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Decide about it.
    High,
    /// Know it.
    Medium,
    /// Leave it.
    Low,
    /// Not in the manual, and described only when it is set: Kafka's internal keys.
    Hidden,
}

/// Whether and where a key changes without a restart (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    /// Only in the file, with a restart.
    ReadOnly,
    /// On one broker.
    PerBroker,
    /// On one listener of one broker: only behind `listener.name.<name>.`.
    PerListener,
    /// On one broker, or for all of them.
    ClusterWide,
    /// On the topic, group or subscription that carries it.
    Resource,
}

impl UpdateMode {
    /// Whether the key needs a restart.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        self == Self::ReadOnly
    }
}

/// A broker key that another key takes its default from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerDefault {
    /// The broker key.
    pub name: &'static str,
    /// Milliseconds in one unit of the broker key, 1 when both count alike.
    pub scale: i64,
}

/// A broker key in the same unit.
#[must_use]
pub const fn same(name: &'static str) -> BrokerDefault {
    BrokerDefault { name, scale: 1 }
}

/// A broker key in minutes behind a key in milliseconds.
#[must_use]
pub const fn minutes(name: &'static str) -> BrokerDefault {
    BrokerDefault { name, scale: 60_000 }
}

/// A broker key in hours behind a key in milliseconds.
#[must_use]
pub const fn hours(name: &'static str) -> BrokerDefault {
    BrokerDefault { name, scale: 3_600_000 }
}

impl ConfigKey {
    /// Reads and checks the text of a value.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when the text does not fit the type or the limits.
    pub fn parse(&self, text: &str) -> Result<ConfigValue, ConfigError> {
        let value = ConfigValue::parse(self, text)?;
        self.validator.check(self, &value)?;
        Ok(value)
    }

    /// The value when nobody set one.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] when the key has no default.
    pub fn default_value(&self) -> Result<ConfigValue, ConfigError> {
        match self.default {
            DefaultValue::Required => Err(ConfigError::Missing { key: self.name.to_owned() }),
            DefaultValue::Null => Ok(ConfigValue::Null),
            DefaultValue::Text(text) => self.parse(text),
        }
    }

    /// The default as text; `None` when it is null or there is none.
    #[must_use]
    pub const fn default_text(&self) -> Option<&'static str> {
        match self.default {
            DefaultValue::Text(text) => Some(text),
            DefaultValue::Required | DefaultValue::Null => None,
        }
    }

    /// Whether the key is described only when it is set.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.importance == Importance::Hidden
    }

    /// Whether values are never shown.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.kind == ConfigType::Password
    }

    /// What the key means, with its unit.
    #[must_use]
    pub fn documentation(&self) -> &'static str {
        self.doc.trim()
    }
}

/// Declares keys: a doc comment, then `"name": Type = default, limits, importance, update;`, optionally followed by
/// `, inert "why it changes nothing"` or `, from [broker keys of the default]`.
macro_rules! config_keys {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal: $kind:ident = $default:tt, $validator:expr, $importance:ident, $update:ident
        $(, inert $inert:literal)? $(, from [$($from:expr),+])?;
    )+) => {
        &[$($crate::config::key::ConfigKey {
            name: $name,
            kind: $crate::config::key::ConfigType::$kind,
            default: $crate::config::key::config_keys!(@default $default),
            validator: $validator,
            importance: $crate::config::key::Importance::$importance,
            update: $crate::config::key::UpdateMode::$update,
            inert: $crate::config::key::config_keys!(@inert $($inert)?),
            from: &[$($($from),+)?],
            doc: concat!($($doc),+),
        }),+]
    };
    (@default required) => { $crate::config::key::DefaultValue::Required };
    (@default null) => { $crate::config::key::DefaultValue::Null };
    (@default $text:literal) => { $crate::config::key::DefaultValue::Text($text) };
    (@inert) => { None };
    (@inert $reason:literal) => { Some($reason) };
}

pub(crate) use config_keys;
