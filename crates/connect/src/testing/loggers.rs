//! Levels of loggers in memory.

use parking_lot::Mutex;

use crate::worker::Loggers;

/// Remembers the levels that were set. There are no levels but `INFO` and `DEBUG`.
#[derive(Debug, Default)]
pub struct MemoryLoggers(Mutex<Vec<(String, String)>>);

impl MemoryLoggers {
    /// The loggers that were set, and their levels, in the order of setting.
    pub fn levels(&self) -> Vec<(String, String)> {
        self.0.lock().clone()
    }
}

impl Loggers for MemoryLoggers {
    fn set(&self, logger: &str, level: &str) -> Result<(), String> {
        if !["INFO", "DEBUG"].contains(&level) {
            return Err(format!("{level} is no level"));
        }
        self.0.lock().push((logger.to_owned(), level.to_owned()));
        Ok(())
    }
}
