//! The levels at which a process logs: one for everything (`root`), others for parts of it, changed while it runs.
//!
//! They end with the process, as the levels of Kafka's loggers do, and belong to it rather than to the cluster: no
//! record holds them. A program that embeds a broker owns its logging and need not hand its levels over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use vltava_core::config::alter::AlterOperation;
use vltava_core::error::ErrorCode;

/// The name of what has no level of its own.
pub const ROOT: &str = "root";

/// The parts that log. A module of one, such as `vltava_broker::net`, can have a level too.
const LOGGERS: [&str; 7] = [
    "krafka",
    "openraft",
    "vltava_broker",
    "vltava_connect",
    "vltava_coordinator",
    "vltava_replication",
    "vltava_storage",
];

/// Levels as clients write them. There is nothing above an error here, so a fatal one is an error.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("TRACE", LevelFilter::TRACE),
    ("DEBUG", LevelFilter::DEBUG),
    ("INFO", LevelFilter::INFO),
    ("WARN", LevelFilter::WARN),
    ("ERROR", LevelFilter::ERROR),
    ("FATAL", LevelFilter::ERROR),
];

/// The most modules that may have a level of their own.
const LEVELS_MAX: usize = 1000;

/// The log levels of this process.
#[derive(Clone)]
pub struct LogLevels(Arc<Inner>);

struct Inner {
    levels: Mutex<BTreeMap<String, LevelFilter>>,
    apply: Box<dyn Fn(Targets) + Send + Sync>,
}

impl fmt::Debug for LogLevels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.levels.lock().fmt(formatter)
    }
}

/// One step of a change.
pub(crate) struct LevelChange<'a> {
    /// The logger.
    pub(crate) logger: &'a str,
    pub(crate) operation: AlterOperation,
    /// The level to set.
    pub(crate) level: Option<&'a str>,
}

impl<'a> LevelChange<'a> {
    fn set(logger: &'a str, level: &'a str) -> Self {
        Self { logger, operation: AlterOperation::Set, level: Some(level) }
    }
}

/// Why no level was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LevelError {
    #[error("Logger {0} does not exist! There are root, {list} and their modules", list = LOGGERS.join(", "))]
    Logger(String),
    #[error("Cannot set the log level of {logger} to {level}: use TRACE, DEBUG, INFO, WARN, ERROR or FATAL")]
    Level { logger: String, level: String },
    #[error("Removing the log level of the root logger is not allowed: set another")]
    Root,
    #[error("A log level can be set and deleted, nothing else")]
    Operation,
    #[error("More than {LEVELS_MAX} loggers have a level of their own: delete some")]
    TooMany,
}

impl LevelError {
    /// Kafka's code.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Logger(_) | Self::Level { .. } => ErrorCode::INVALID_CONFIG,
            Self::Root | Self::Operation | Self::TooMany => ErrorCode::INVALID_REQUEST,
        }
    }
}

impl LogLevels {
    /// The levels in force, and how others are put in their place.
    pub fn new(initial: &Targets, apply: impl Fn(Targets) + Send + Sync + 'static) -> LogLevels {
        let own = initial.iter().map(|(target, level)| (target.to_owned(), level));
        let root = (ROOT.to_owned(), initial.default_level().unwrap_or(LevelFilter::ERROR));
        let levels = own.chain([root]).collect();
        LogLevels(Arc::new(Inner { levels: Mutex::new(levels), apply: Box::new(apply) }))
    }

    /// Every logger with the level it has, of its own or from what it is part of.
    pub(crate) fn list(&self) -> Vec<(String, &'static str)> {
        let levels = self.0.levels.lock();
        let own = levels.keys().map(String::as_str);
        let names: BTreeSet<&str> = own.chain(LOGGERS).collect();
        names.into_iter().map(|name| (name.to_owned(), label(level(&levels, name)))).collect()
    }

    /// Sets the level of a logger.
    ///
    /// # Errors
    /// When there is no such logger or level.
    pub(crate) fn set(&self, logger: &str, level: &str) -> Result<(), LevelError> {
        self.change(&[LevelChange::set(logger, level)], false)
    }

    /// Whether the level of a logger can be set.
    ///
    /// # Errors
    /// See [`LogLevels::set`].
    pub(crate) fn check(&self, logger: &str, level: &str) -> Result<(), LevelError> {
        self.change(&[LevelChange::set(logger, level)], true)
    }

    /// Changes all that is asked for, or nothing; only checks it when `validate_only`.
    ///
    /// # Errors
    /// The first step that cannot be taken.
    pub(crate) fn change(&self, changes: &[LevelChange<'_>], validate_only: bool) -> Result<(), LevelError> {
        let mut levels = self.0.levels.lock();
        let mut changed = levels.clone();
        changes.iter().try_for_each(|change| take(&mut changed, change))?;
        if !validate_only {
            (self.0.apply)(targets(&changed));
            *levels = changed;
        }
        Ok(())
    }
}

fn take(levels: &mut BTreeMap<String, LevelFilter>, change: &LevelChange<'_>) -> Result<(), LevelError> {
    let logger = change.logger;
    let part = |name: &&str| {
        logger.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let known = logger == ROOT || levels.contains_key(logger) || LOGGERS.iter().any(part);
    if !known {
        return Err(LevelError::Logger(logger.to_owned()));
    }
    match change.operation {
        AlterOperation::Set => {
            let named = change.level.unwrap_or_default();
            let known = LEVELS.iter().find(|(name, _)| *name == named);
            let refused = || LevelError::Level { logger: logger.to_owned(), level: named.to_owned() };
            levels.insert(logger.to_owned(), known.ok_or_else(refused)?.1);
            if levels.len() > LEVELS_MAX { Err(LevelError::TooMany) } else { Ok(()) }
        }
        AlterOperation::Delete if logger == ROOT => Err(LevelError::Root),
        AlterOperation::Delete => {
            levels.remove(logger);
            Ok(())
        }
        AlterOperation::Append | AlterOperation::Subtract => Err(LevelError::Operation),
    }
}

/// The level of the longest name that a logger begins with.
fn level(levels: &BTreeMap<String, LevelFilter>, logger: &str) -> LevelFilter {
    let own = levels.iter().filter(|(name, _)| logger.starts_with(name.as_str()));
    let nearest = own.max_by_key(|(name, _)| name.len()).or_else(|| levels.get_key_value(ROOT));
    nearest.map_or(LevelFilter::OFF, |(_, level)| *level)
}

fn label(level: LevelFilter) -> &'static str {
    LEVELS.iter().find(|(_, known)| *known == level).map_or("OFF", |(name, _)| name)
}

fn targets(levels: &BTreeMap<String, LevelFilter>) -> Targets {
    let own = levels.iter().filter(|(name, _)| *name != ROOT);
    Targets::new()
        .with_targets(own.map(|(name, level)| (name.clone(), *level)))
        .with_default(level(levels, ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        levels: &LogLevels,
        (logger, operation, value): (&str, AlterOperation, &str),
        refused: Option<ErrorCode>,
        shown: &str,
    ) {
        let change = LevelChange { logger, operation, level: Some(value) };
        let outcome = levels.change(&[change], false);
        assert_eq!(outcome.err().map(|error| error.code()), refused, "{logger} {value}");
        let list = levels.list();
        let found = list.iter().find(|(name, _)| name == "vltava_broker").map(|(_, level)| *level);
        assert_eq!(found, Some(shown), "{logger} {value}");
    }

    #[test]
    fn levels_change_while_the_process_runs() {
        let applied = Arc::new(Mutex::new(Targets::new()));
        let sink = applied.clone();
        let initial = "info,openraft=warn".parse::<Targets>().expect("targets");
        let levels = LogLevels::new(&initial, move |targets| *sink.lock() = targets);
        let (set, delete, append) = (AlterOperation::Set, AlterOperation::Delete, AlterOperation::Append);
        let (config, request) = (Some(ErrorCode::INVALID_CONFIG), Some(ErrorCode::INVALID_REQUEST));
        check(&levels, ("vltava_broker", set, "DEBUG"), None, "DEBUG");
        check(&levels, ("root", set, "FATAL"), None, "DEBUG");
        check(&levels, ("vltava_broker::net", set, "TRACE"), None, "DEBUG");
        check(&levels, ("vltava_broker", append, "TRACE"), request, "DEBUG");
        check(&levels, ("vltava_broker", set, "LOUD"), config, "DEBUG");
        check(&levels, ("vltava_brokers", set, "INFO"), config, "DEBUG");
        check(&levels, ("root", delete, ""), request, "DEBUG");
        check(&levels, ("vltava_broker", delete, ""), None, "ERROR");
        let expected = "error,openraft=warn,vltava_broker::net=trace".parse::<Targets>().expect("targets");
        assert_eq!(*applied.lock(), expected);
    }

    #[test]
    fn a_change_that_is_only_checked_changes_nothing() {
        let initial = Targets::new().with_default(LevelFilter::INFO);
        let levels = LogLevels::new(&initial, |_| {});
        let before = levels.list();
        let change = LevelChange { logger: ROOT, operation: AlterOperation::Set, level: Some("WARN") };
        assert_eq!(levels.change(&[change], true), Ok(()));
        assert_eq!(levels.list(), before);
    }
}
