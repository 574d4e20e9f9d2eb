//! What a node or a worker logs, as a process.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

use super::error::CliError;
use crate::log_levels::LogLevels;

/// The levels without `RUST_LOG`.
const LEVELS: &str = "info,krafka=error,openraft=warn";

/// Logs to standard error from now on, at the levels of `RUST_LOG`.
pub fn start() -> Result<LogLevels, CliError> {
    let set = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let text = set.unwrap_or_else(|| LEVELS.to_owned());
    let targets: Targets = text
        .parse()
        .map_err(|error| CliError::Usage(format!("RUST_LOG={text} names no log levels: {error}")))?;
    let (filter, handle) = reload::Layer::new(targets.clone());
    let lines = fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter).with(lines).init();
    Ok(LogLevels::new(&targets, move |targets| {
        if let Err(error) = handle.reload(targets) {
            tracing::error!(%error, "the log levels stay as they were");
        }
    }))
}
