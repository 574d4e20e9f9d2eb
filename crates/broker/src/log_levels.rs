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
use vltava_core::clock::Clock;
use vltava_core::config::alter::AlterOperation;
use vltava_core::error::ErrorCode;
use vltava_core::id::Timestamp;

use crate::clock::SystemClock;

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

/// Levels as clients of brokers write them. There is nothing above an error here, so a fatal one is an error.
const LEVELS: [(&str, LevelFilter); 6] = [
    ("TRACE", LevelFilter::TRACE),
    ("DEBUG", LevelFilter::DEBUG),
    ("INFO", LevelFilter::INFO),
    ("WARN", LevelFilter::WARN),
    ("ERROR", LevelFilter::ERROR),
    ("FATAL", LevelFilter::ERROR),
];

/// Further levels that clients of Connect write.
const ENDS: [(&str, LevelFilter); 2] = [("ALL", LevelFilter::TRACE), ("OFF", LevelFilter::OFF)];

/// The most loggers that may have a level of their own.
const LEVELS_MAX: usize = 1000;

/// The log levels of this process.
#[derive(Clone)]
pub struct LogLevels(Arc<Inner>);

struct Inner {
    levels: Mutex<Levels>,
    apply: Box<dyn Fn(Targets) + Send + Sync>,
    clock: Arc<SystemClock>,
}

/// What has a level of its own.
type Levels = BTreeMap<String, Level>;

#[derive(Clone, Copy, Debug)]
struct Level {
    filter: LevelFilter,
    set_at: Option<Timestamp>,
}

/// A logger as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logger {
    pub(crate) name: String,
    /// Its own, or that of what it is part of.
    pub(crate) level: &'static str,
    /// When that was changed since the process began.
    pub(crate) set_at: Option<Timestamp>,
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
    fn level(logger: &str, level: &str) -> LevelError {
        LevelError::Level { logger: logger.to_owned(), level: level.to_owned() }
    }

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
        let levels = own.chain([root]).map(|(name, filter)| (name, Level { filter, set_at: None })).collect();
        LogLevels(Arc::new(Inner {
            levels: Mutex::new(levels),
            apply: Box::new(apply),
            clock: SystemClock::new(),
        }))
    }

    /// Every logger.
    pub(crate) fn list(&self) -> Vec<Logger> {
        let levels = self.0.levels.lock();
        let logger = |name: &str| {
            let Level { filter, set_at } = level(&levels, name);
            Logger { name: name.to_owned(), level: label(filter), set_at }
        };
        names(&levels).into_iter().map(logger).collect()
    }

    /// Sets the level of a logger, whatever its name is, and of all that are there and begin with it, as Connect does. The
    /// level may be in any case. Returns their names.
    ///
    /// # Errors
    /// When there is no such level, or too many have one.
    pub(crate) fn set(&self, logger: &str, level: &str) -> Result<Vec<String>, LevelError> {
        let filter = connect_level(level).ok_or_else(|| LevelError::level(logger, level))?;
        let set = Level { filter, set_at: Some(self.0.clock.wall()) };
        let mut levels = self.0.levels.lock();
        let mut changed = levels.clone();
        let part = |name: &&str| logger == ROOT || name.starts_with(logger);
        let part: BTreeSet<&str> = names(&levels).into_iter().filter(part).chain([logger]).collect();
        let part: Vec<String> = part.into_iter().map(str::to_owned).collect();
        changed.extend(part.iter().map(|name| (name.clone(), set)));
        if changed.len() > LEVELS_MAX {
            return Err(LevelError::TooMany);
        }
        (self.0.apply)(targets(&changed));
        *levels = changed;
        Ok(part)
    }

    /// Changes all that is asked for, or nothing; only checks it when `validate_only`.
    ///
    /// # Errors
    /// The first step that cannot be taken.
    pub(crate) fn change(&self, changes: &[LevelChange<'_>], validate_only: bool) -> Result<(), LevelError> {
        let mut levels = self.0.levels.lock();
        let mut changed = levels.clone();
        let now = self.0.clock.wall();
        changes.iter().try_for_each(|change| take(&mut changed, change, now))?;
        if !validate_only {
            (self.0.apply)(targets(&changed));
            *levels = changed;
        }
        Ok(())
    }
}

/// What has a level of its own, and what might.
fn names(levels: &Levels) -> BTreeSet<&str> {
    levels.keys().map(String::as_str).chain(LOGGERS).collect()
}

/// A level as clients of Connect write it, in any case.
pub(crate) fn connect_level(text: &str) -> Option<LevelFilter> {
    let mut known = LEVELS.iter().chain(&ENDS);
    known.find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, filter)| *filter)
}

fn take(levels: &mut Levels, change: &LevelChange<'_>, now: Timestamp) -> Result<(), LevelError> {
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
            let (_, filter) = *known.ok_or_else(|| LevelError::level(logger, named))?;
            levels.insert(logger.to_owned(), Level { filter, set_at: Some(now) });
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
fn level(levels: &Levels, logger: &str) -> Level {
    let own = levels.iter().filter(|(name, _)| logger.starts_with(name.as_str()));
    let nearest = own.max_by_key(|(name, _)| name.len()).or_else(|| levels.get_key_value(ROOT));
    nearest.map_or(Level { filter: LevelFilter::OFF, set_at: None }, |(_, level)| *level)
}

fn label(level: LevelFilter) -> &'static str {
    LEVELS.iter().find(|(_, known)| *known == level).map_or("OFF", |(name, _)| name)
}

fn targets(levels: &Levels) -> Targets {
    let own = levels.iter().filter(|(name, _)| *name != ROOT);
    Targets::new()
        .with_targets(own.map(|(name, level)| (name.clone(), level.filter)))
        .with_default(level(levels, ROOT).filter)
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
        let found = list.iter().find(|one| one.name == "vltava_broker").map(|one| one.level);
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
    fn connect_sets_any_logger_and_all_that_begin_with_it() {
        let applied = Arc::new(Mutex::new(Targets::new()));
        let sink = applied.clone();
        let levels = LogLevels::new(&"info".parse().expect("targets"), move |targets| *sink.lock() = targets);
        let shown = |name: &str| {
            let found = levels.list().into_iter().find(|one| one.name == name);
            found.map(|one| (one.level, one.set_at.is_some()))
        };
        assert_eq!(shown("org.apache"), None);
        assert_eq!(shown("vltava_connect"), Some(("INFO", false)));
        assert_eq!(levels.set("org.apache.kafka", "debug"), Ok(vec!["org.apache.kafka".to_owned()]));
        assert_eq!(levels.set("org.apache", "Off").map(|names| names.len()), Ok(2));
        assert_eq!(shown("org.apache.kafka"), Some(("OFF", true)));
        assert_eq!(levels.set("vltava", "all").map(|names| names.len()), Ok(6));
        assert_eq!(shown("vltava_connect"), Some(("TRACE", true)));
        assert_eq!(shown("krafka"), Some(("INFO", false)));
        assert!(matches!(levels.set("root", "loud"), Err(LevelError::Level { .. })));
        assert_eq!(levels.set("root", "warn").map(|names| names.len()), Ok(levels.list().len()));
        assert!(applied.lock().would_enable("vltava_connect", &tracing::Level::WARN));
        assert!(!applied.lock().would_enable("vltava_connect", &tracing::Level::INFO));
        let refused =
            (0..LEVELS_MAX).find_map(|number| levels.set(&format!("logger-{number}"), "info").err());
        assert_eq!(refused, Some(LevelError::TooMany));
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
