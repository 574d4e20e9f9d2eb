//! A value of a key: read from text once, shown as Kafka shows it.

use std::fmt;

use super::error::ConfigError;
use super::key::{ConfigKey, ConfigType};

/// A value that fits its key's type.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// The key is absent.
    Null,
    /// [`ConfigType::Boolean`].
    Boolean(bool),
    /// [`ConfigType::String`] and [`ConfigType::Class`].
    Text(String),
    /// [`ConfigType::Short`], [`ConfigType::Int`] and [`ConfigType::Long`], within the bounds of the type.
    Number(i64),
    /// [`ConfigType::Double`].
    Double(f64),
    /// [`ConfigType::List`].
    List(Vec<String>),
    /// [`ConfigType::Password`].
    Password(Password),
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// What is shown in place of a password.
pub const HIDDEN: &str = "[hidden]";

impl Password {
    /// Hides a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl ConfigValue {
    /// Reads a text as the key's type, without checking the key's limits.
    pub(super) fn parse(key: &ConfigKey, text: &str) -> Result<Self, ConfigError> {
        let trimmed = text.trim();
        match key.kind {
            ConfigType::Boolean => boolean(key, text, trimmed),
            ConfigType::String | ConfigType::Class => Ok(Self::Text(trimmed.to_owned())),
            ConfigType::Password => Ok(Self::Password(Password::new(trimmed))),
            ConfigType::Short => number::<i16>(key, text, trimmed),
            ConfigType::Int => number::<i32>(key, text, trimmed),
            ConfigType::Long => number::<i64>(key, text, trimmed),
            ConfigType::Double => double(trimmed).map(Self::Double).ok_or_else(|| not_a_number(key, text)),
            ConfigType::List => Ok(Self::List(list(trimmed))),
        }
    }

    /// The value as text, `None` when it is null. Passwords are shown as `[hidden]`.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
            Self::Number(value) => Some(value.to_string()),
            Self::Double(value) => Some(double_text(*value)),
            Self::List(values) => Some(values.join(",")),
            Self::Password(_) => Some(HIDDEN.to_owned()),
        }
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_deref().unwrap_or("null"))
    }
}

fn boolean(key: &ConfigKey, text: &str, trimmed: &str) -> Result<ConfigValue, ConfigError> {
    if trimmed.eq_ignore_ascii_case("true") {
        Ok(ConfigValue::Boolean(true))
    } else if trimmed.eq_ignore_ascii_case("false") {
        Ok(ConfigValue::Boolean(false))
    } else {
        Err(ConfigError::invalid(key.name, text, "Expected value to be either true or false"))
    }
}

fn number<T: std::str::FromStr + Into<i64>>(
    key: &ConfigKey,
    text: &str,
    trimmed: &str,
) -> Result<ConfigValue, ConfigError> {
    trimmed.parse::<T>().map(|value| ConfigValue::Number(value.into())).map_err(|_| not_a_number(key, text))
}

/// A decimal number as Java reads it: `NaN` and `Infinity` in just these letters, with an `f` or `d` at the end if one likes.
fn double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let named = ["NaN", "Infinity"].contains(&unsigned);
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let is_decimal = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if named { text.parse().ok() } else { digits.parse().ok().filter(|_| is_decimal) }
}

fn not_a_number(key: &ConfigKey, text: &str) -> ConfigError {
    ConfigError::invalid(key.name, text, format!("Not a number of type {}", key.kind.name()))
}

/// Splits at commas and trims each part; an empty text is an empty list.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Vec::new()
    } else {
        trimmed.split(',').map(|part| part.trim().to_owned()).collect()
    }
}

/// A double as Java writes it: `0.5`, `1.0E10`, `1.7976931348623157E308`.
fn double_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) || !value.is_finite() {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => text,
    }
}
