//! Levels of logs: those of this process, under its own names, and any that somebody has set.

use serde_json::{Map, Value, json};
use vltava_connect::worker::Worker;

use super::Answered;
use super::reply::Reply;
use crate::connect::ConnectService;
use crate::log_levels::{LogLevels, Logger, connect_level};

fn shown(logger: &Logger) -> Value {
    json!({ "level": logger.level, "last_modified": logger.set_at.map(|at| at.0) })
}

fn all(service: &ConnectService) -> Vec<Logger> {
    service.levels().map(LogLevels::list).unwrap_or_default()
}

/// All of them.
pub(super) fn list(service: &ConnectService) -> Answered {
    let all: Map<String, Value> =
        all(service).into_iter().map(|logger| (logger.name.clone(), shown(&logger))).collect();
    Ok(Reply::json(&all))
}

/// One of them.
pub(super) fn get(service: &ConnectService, name: &str) -> Answered {
    let found = all(service).into_iter().find(|logger| logger.name == name);
    let missing = || Reply::error(404, &format!("Logger {name} not found."));
    Ok(Reply::json(&shown(&found.ok_or_else(missing)?)))
}

/// Sets one, and all that begin with it; the names that are changed.
pub(super) fn set(service: &ConnectService, logger: &str, body: &Value) -> Answered {
    let level = wanted(body)?;
    let Some(levels) = service.levels() else { return Ok(Reply::json(&Vec::<String>::new())) };
    let changed = levels.set(logger, &level).map_err(|error| Reply::error(400, &error.to_string()))?;
    Ok(Reply::json(&changed))
}

/// Sets one at all workers of the group. Each does when it reads of it, this one too.
pub(super) async fn set_everywhere(worker: &Worker, logger: &str, body: &Value) -> Answered {
    worker.tell_level(logger, &wanted(body)?).await?;
    Ok(Reply::nothing())
}

/// The level that a body asks for.
fn wanted(body: &Value) -> Result<String, Reply> {
    let level = match body.get("level") {
        None | Some(Value::Null) => {
            return Err(Reply::error(400, "Desired 'level' parameter was not specified in request."));
        }
        Some(Value::String(level)) => level.clone(),
        Some(other) => other.to_string(),
    };
    if connect_level(&level).is_none() {
        return Err(Reply::error(404, &format!("invalid log level '{level}'.")));
    }
    Ok(level.to_ascii_uppercase())
}
