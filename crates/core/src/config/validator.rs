//! The limits a value must keep, in Kafka's words.

use std::fmt;

use super::error::ConfigError;
use super::key::{ConfigKey, ConfigType};
use super::value::ConfigValue;

/// What a value must fulfil beyond its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Validator {
    /// Nothing.
    Any,
    /// A number not below this.
    AtLeast(i64),
    /// A number within these bounds, both allowed.
    Between(i64, i64),
    /// A double within these bounds, both allowed.
    Fraction(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list without duplicates, null or empty entries (KIP-1161).
    Names {
        /// The allowed entries; empty when any text is.
        of: &'static [&'static str],
        /// Whether the list may be empty.
        empty: bool,
    },
    /// As [`Validator::Names`] with at least one entry, or null.
    NamesOrNull,
    /// Text with at least one character, or null.
    NonEmpty,
    /// The name of something built in, or null.
    BuiltIn(&'static [&'static str]),
    /// 1 to 9, or -1 for the codec's own choice.
    GzipLevel,
    /// `*`, or `partition:broker` pairs.
    ThrottledReplicas,
    /// `earliest`, `latest` or `by_duration:` with an ISO-8601 duration (KIP-1106).
    OffsetReset,
    /// Selectors `name=pattern` of clients (KIP-714).
    ClientMatch,
    /// A topic name that is not internal, or empty.
    DeadLetterTopic,
}

/// A number not below `low`.
#[must_use]
pub const fn at_least(low: i64) -> Validator {
    Validator::AtLeast(low)
}

/// A number from `low` to `high`.
#[must_use]
pub const fn between(low: i64, high: i64) -> Validator {
    Validator::Between(low, high)
}

/// A double from `low` to `high`.
#[must_use]
pub const fn fraction(low: f64, high: f64) -> Validator {
    Validator::Fraction(low, high)
}

/// One of these texts.
#[must_use]
pub const fn one_of(texts: &'static [&'static str]) -> Validator {
    Validator::OneOf(texts)
}

/// One of these texts, in any case.
#[must_use]
pub const fn one_of_ignoring_case(texts: &'static [&'static str]) -> Validator {
    Validator::OneOfIgnoringCase(texts)
}

/// At least one entry, no duplicates.
#[must_use]
pub const fn names() -> Validator {
    Validator::Names { of: &[], empty: false }
}

/// Any number of entries, no duplicates.
#[must_use]
pub const fn names_or_empty() -> Validator {
    Validator::Names { of: &[], empty: true }
}

/// At least one of these, no duplicates.
#[must_use]
pub const fn list_of(of: &'static [&'static str]) -> Validator {
    Validator::Names { of, empty: false }
}

/// Any of these or none, no duplicates.
#[must_use]
pub const fn list_of_or_empty(of: &'static [&'static str]) -> Validator {
    Validator::Names { of, empty: true }
}

/// The name of something built in.
#[must_use]
pub const fn built_in(names: &'static [&'static str]) -> Validator {
    Validator::BuiltIn(names)
}

impl Validator {
    /// Checks a value that already fits the key's type.
    pub(super) fn check(self, key: &ConfigKey, value: &ConfigValue) -> Result<(), ConfigError> {
        match (self, value) {
            (Self::AtLeast(low), ConfigValue::Number(number)) => range(key, *number, low, i64::MAX),
            (Self::Between(low, high), ConfigValue::Number(number)) => range(key, *number, low, high),
            (Self::Fraction(low, high), ConfigValue::Double(number)) => {
                fraction_range(key, value, *number, low, high)
            }
            (Self::OneOf(texts), ConfigValue::Text(text)) => member(key, text, texts),
            (Self::OneOfIgnoringCase(texts), ConfigValue::Text(text)) => {
                member_ignoring_case(key, text, texts)
            }
            (Self::Names { of, empty }, ConfigValue::List(entries)) => names_in(key, entries, of, empty),
            (Self::NamesOrNull, ConfigValue::List(entries)) => names_in(key, entries, &[], false),
            (Self::NonEmpty, ConfigValue::Text(text)) if text.is_empty() => {
                invalid(key, text, "String must be non-empty")
            }
            (Self::BuiltIn(names), ConfigValue::Text(text)) => known_class(key, text, names),
            (Self::GzipLevel, ConfigValue::Number(level)) => gzip_level(key, *level),
            (Self::ThrottledReplicas, ConfigValue::List(entries)) => throttled_replicas(key, entries),
            (Self::OffsetReset, ConfigValue::Text(text)) => offset_reset(key, text),
            (Self::ClientMatch, ConfigValue::List(entries)) => client_match(key, entries),
            (Self::DeadLetterTopic, ConfigValue::Text(text)) if text.starts_with("__") => invalid(
                key,
                text,
                "a dead-letter topic must not be internal: choose a name that does not start with __",
            ),
            _ => Ok(()),
        }
    }

    /// The limits as Kafka's manual writes them; empty when there are none.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Any | Self::ClientMatch => String::new(),
            Self::AtLeast(low) => format!("[{low},...]"),
            Self::Between(low, high) => format!("[{low},...,{high}]"),
            Self::Fraction(low, high) => format!("[{low},...,{high}]"),
            Self::OneOf(texts) => format!("[{}]", texts.join(", ")),
            Self::OneOfIgnoringCase(texts) => format!("(case insensitive) [{}]", texts.join(", ")),
            Self::Names { of: [], empty: true } => "no duplicates".to_owned(),
            Self::Names { of: [], empty: false } | Self::NamesOrNull => "not empty, no duplicates".to_owned(),
            Self::Names { of, .. } => format!("[{}]", of.join(", ")),
            Self::NonEmpty => "non-empty string".to_owned(),
            Self::BuiltIn([]) => "null".to_owned(),
            Self::BuiltIn(names) => format!("[{}]", names.join(", ")),
            Self::GzipLevel => "[1,...,9] or -1".to_owned(),
            Self::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
            Self::OffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
            Self::DeadLetterTopic => "empty, or a topic name that does not start with __".to_owned(),
        }
    }
}

fn invalid(key: &ConfigKey, value: impl fmt::Display, problem: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::invalid(key.name, value, problem))
}

fn range(key: &ConfigKey, number: i64, low: i64, high: i64) -> Result<(), ConfigError> {
    if number < low {
        invalid(key, number, format!("Value must be at least {low}"))
    } else if number > high {
        invalid(key, number, format!("Value must be no more than {high}"))
    } else {
        Ok(())
    }
}

fn fraction_range(
    key: &ConfigKey,
    value: &ConfigValue,
    number: f64,
    low: f64,
    high: f64,
) -> Result<(), ConfigError> {
    // Java's comparisons let NaN through, and so does Kafka.
    if number < low {
        invalid(key, value, format!("Value must be at least {low}"))
    } else if number > high {
        invalid(key, value, format!("Value must be no more than {high}"))
    } else {
        Ok(())
    }
}

fn member(key: &ConfigKey, text: &str, texts: &[&str]) -> Result<(), ConfigError> {
    if texts.contains(&text) {
        Ok(())
    } else {
        invalid(key, text, format!("String must be one of: {}", texts.join(", ")))
    }
}

fn member_ignoring_case(key: &ConfigKey, text: &str, texts: &[&str]) -> Result<(), ConfigError> {
    if texts.iter().any(|known| known.eq_ignore_ascii_case(text)) {
        Ok(())
    } else {
        invalid(key, text, format!("String must be one of (case insensitive): {}", texts.join(", ")))
    }
}

fn names_in(key: &ConfigKey, entries: &[String], of: &[&str], empty: bool) -> Result<(), ConfigError> {
    let problem = |problem: String| Err(ConfigError::List { key: key.name.to_owned(), problem });
    if entries.is_empty() && !empty {
        let valid =
            if of.is_empty() { "any non-empty value".to_owned() } else { format!("[{}]", of.join(", ")) };
        return problem(format!("must not be empty. Valid values include: {valid}"));
    }
    if entries.iter().any(String::is_empty) {
        return problem("values must not be empty.".to_owned());
    }
    if !of.is_empty() {
        entries.iter().try_for_each(|entry| member(key, entry, of))?;
    }
    let distinct: std::collections::BTreeSet<&String> = entries.iter().collect();
    if distinct.len() == entries.len() {
        Ok(())
    } else {
        problem("values must not be duplicated.".to_owned())
    }
}

fn known_class(key: &ConfigKey, name: &str, names: &[&str]) -> Result<(), ConfigError> {
    if names.contains(&name) {
        return Ok(());
    }
    let choice = match (names, key.kind) {
        ([], _) => "no plugin is built in for it; remove the key".to_owned(),
        (_, ConfigType::Class | ConfigType::String) => {
            format!("no code is loaded, only what is built in: {}", names.join(", "))
        }
        _ => names.join(", "),
    };
    invalid(key, name, format!("Class {name} could not be found: {choice}"))
}

fn gzip_level(key: &ConfigKey, level: i64) -> Result<(), ConfigError> {
    if level == -1 || (1..=9).contains(&level) {
        Ok(())
    } else {
        invalid(key, level, "Value must be between 1 and 9 or equal to -1")
    }
}

fn throttled_replicas(key: &ConfigKey, entries: &[String]) -> Result<(), ConfigError> {
    let pair = |entry: &String| {
        entry.split_once(':').is_some_and(|(partition, broker)| {
            partition.parse::<u32>().is_ok() && broker.parse::<u32>().is_ok()
        })
    };
    if entries == ["*"] || entries.iter().all(pair) {
        Ok(())
    } else {
        let problem = format!(
            "{} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            key.name
        );
        invalid(key, format!("[{}]", entries.join(", ")), problem)
    }
}

fn offset_reset(key: &ConfigKey, text: &str) -> Result<(), ConfigError> {
    let valid = match text.split_once(':') {
        None => text == "earliest" || text == "latest",
        Some((how, duration)) => {
            how == "by_duration" && super::duration::parse_iso(duration).is_some_and(|ms| ms >= 0)
        }
    };
    if valid {
        Ok(())
    } else {
        invalid(
            key,
            text,
            "Use earliest, latest, or by_duration: with an ISO-8601 duration that is not negative, such as by_duration:PT1H",
        )
    }
}

/// What a client-metrics subscription may select clients by (KIP-714).
const CLIENT_SELECTORS: &[&str] = &[
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

fn client_match(key: &ConfigKey, entries: &[String]) -> Result<(), ConfigError> {
    for entry in entries {
        match entry.split_once('=') {
            Some((name, pattern))
                if CLIENT_SELECTORS.contains(&name.trim()) && !pattern.trim().is_empty() => {}
            _ => {
                let problem = format!(
                    "Illegal client matching pattern: {entry}. Write selector=pattern with one of: {}",
                    CLIENT_SELECTORS.join(", ")
                );
                return invalid(key, entries.join(","), problem);
            }
        }
    }
    Ok(())
}
