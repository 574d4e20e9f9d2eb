//! Levels of logs that are set for all workers of a group (KIP-976).
//!
//! How a process logs belongs to whoever runs the worker, so the worker only hands on what it hears. Levels end with a
//! process: what was asked for before a worker started concerns those that were there.

use std::fmt;
use std::sync::Arc;

use tracing::{info, warn};

use super::tables::ConfigState;

/// The levels at which the worker's process logs.
pub trait Loggers: fmt::Debug + Send + Sync {
    /// Sets the level of a logger and its parts. The level may be in any case.
    ///
    /// # Errors
    /// Why not, when there is no such logger or level.
    fn set(&self, logger: &str, level: &str) -> Result<(), String>;
}

/// Hands levels on, each once.
#[derive(Debug)]
pub struct Heard {
    loggers: Arc<dyn Loggers>,
    /// How many changes were asked for that are done, or were asked for too early.
    asked: u64,
}

impl Heard {
    /// Hears what is asked for from now on.
    pub fn new(loggers: Arc<dyn Loggers>, configs: &ConfigState) -> Self {
        Self { loggers, asked: configs.levels_asked() }
    }

    /// What was asked for and not done, in the order of asking.
    pub fn news(&mut self, configs: &ConfigState) -> Vec<(String, String)> {
        let mut news: Vec<_> = configs.levels().filter(|(_, asked)| asked.number > self.asked).collect();
        news.sort_unstable_by_key(|(_, asked)| asked.number);
        self.asked = configs.levels_asked();
        news.into_iter().map(|(logger, asked)| (logger.to_owned(), asked.level.clone())).collect()
    }

    /// Sets levels. What cannot be set is left out: other workers may know loggers that this one does not.
    pub fn set(&self, news: &[(String, String)]) {
        for (logger, level) in news {
            match self.loggers.set(logger, level) {
                Ok(()) => info!(logger, level, "the level of a logger is set for all workers"),
                Err(why) => warn!(logger, level, why, "a level that is set for all workers is left out"),
            }
        }
    }
}
