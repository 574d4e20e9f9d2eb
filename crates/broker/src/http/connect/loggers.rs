//! Levels of logs: those of this process, under its own names.

use serde_json::{Map, Value, json};
use vltava_connect::worker::Worker;

use super::Answered;
use super::reply::Reply;
use crate::connect::ConnectService;
use crate::log_levels::{LevelError, LogLevels};

/// The levels that clients write.
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

fn shown(level: &str) -> Value {
    json!({ "level": level, "last_modified": null })
}

/// All of them.
pub(super) fn list(service: &ConnectService) -> Answered {
    let levels = service.levels().map(LogLevels::list).unwrap_or_default();
    let all: Map<String, Value> = levels.into_iter().map(|(name, level)| (name, shown(level))).collect();
    Ok(Reply::json(&all))
}

/// One of them.
pub(super) fn get(service: &ConnectService, logger: &str) -> Answered {
    let levels = service.levels().map(LogLevels::list).unwrap_or_default();
    let level = levels.iter().find(|(name, _)| name == logger).map(|(_, level)| *level);
    let missing = || Reply::error(404, &format!("Logger {logger} not found."));
    Ok(Reply::json(&shown(level.ok_or_else(missing)?)))
}

/// Sets one, and with it those of its modules; the names that are changed.
pub(super) fn set(service: &ConnectService, logger: &str, body: &Value) -> Answered {
    let level = wanted(body)?;
    let Some(levels) = service.levels() else { return Ok(Reply::json(&Vec::<String>::new())) };
    levels.set(logger, &level).map_err(|error| refused(&error))?;
    let part = |name: &String| name == logger || name.starts_with(&format!("{logger}::"));
    let names: Vec<String> = levels.list().into_iter().map(|(name, _)| name).filter(part).collect();
    Ok(Reply::json(&names))
}

/// Sets one at all workers of the group. Each does when it reads of it, this one too.
pub(super) async fn set_everywhere(
    service: &ConnectService,
    worker: &Worker,
    logger: &str,
    body: &Value,
) -> Answered {
    let level = wanted(body)?;
    service
        .levels()
        .map_or(Ok(()), |levels| levels.check(logger, &level))
        .map_err(|error| refused(&error))?;
    worker.tell_level(logger, &level).await?;
    Ok(Reply::nothing())
}

fn refused(error: &LevelError) -> Reply {
    Reply::error(404, &error.to_string())
}

/// The level that a body asks for.
fn wanted(body: &Value) -> Result<String, Reply> {
    let Some(level) = body.get("level").and_then(Value::as_str) else {
        return Err(Reply::error(400, "Desired 'level' parameter was not specified in request."));
    };
    let level = level.to_ascii_uppercase();
    if !LEVELS.contains(&level.as_str()) {
        return Err(Reply::error(404, &format!("invalid log level '{}'.", level.to_ascii_lowercase())));
    }
    Ok(level)
}
