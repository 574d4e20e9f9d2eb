//! What can be wrong with a key or its value, in the words Kafka's operators know.

use std::fmt;

use super::nearest::hint;
use crate::error::ErrorCode;

/// A key or value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value does not fit the key's type or limits.
    #[error("Invalid value {value} for configuration {key}: {problem}")]
    Invalid {
        /// The key.
        key: String,
        /// The value as it was given; `[hidden]` for a password, `null` when absent.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A list breaks a rule that holds for the list as a whole (KIP-1161).
    #[error("Configuration '{key}' {problem}")]
    List {
        /// The key.
        key: String,
        /// What is wrong with the list.
        problem: String,
    },
    /// A key without default is not set.
    #[error("Missing required configuration \"{key}\" which has no default value.")]
    Missing {
        /// The key.
        key: String,
    },
    /// No such key.
    #[error("Unknown {scope} config name: {key}{}", hint(.nearest.as_deref()))]
    Unknown {
        /// Whose keys were looked at: `topic`, `broker`, `group`, …
        scope: &'static str,
        /// The key.
        key: String,
        /// The known key that looks most like it, when one is close.
        nearest: Option<String>,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(String),
    /// The key cannot be changed this way.
    #[error("{0}")]
    NotUpdatable(String),
}

impl ConfigError {
    /// The key the error is about, when it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Invalid { key, .. }
            | Self::List { key, .. }
            | Self::Missing { key }
            | Self::Unknown { key, .. } => Some(key),
            Self::Conflict(_) | Self::NotUpdatable(_) => None,
        }
    }

    /// The same about a key of another name, such as one with the prefix of a listener.
    #[must_use]
    pub fn renamed(mut self, name: &str) -> Self {
        if let Self::Invalid { key, .. } | Self::List { key, .. } = &mut self {
            name.clone_into(key);
        }
        self
    }

    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotUpdatable(_) => ErrorCode::INVALID_REQUEST,
            _ => ErrorCode::INVALID_CONFIG,
        }
    }

    /// An [`ConfigError::Invalid`] of its three parts.
    pub fn invalid(key: &str, value: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self::Invalid { key: key.to_owned(), value: format!("{value}"), problem: problem.into() }
    }
}
