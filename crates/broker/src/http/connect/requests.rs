//! Bodies of requests.

use serde_json::{Map, Value};
use vltava_connect::settings::Config;
use vltava_connect::worker::Target;

use super::reply::Reply;

/// A connector to create.
#[derive(Debug)]
pub(super) struct Create {
    pub(super) name: String,
    pub(super) target: Target,
    settings: Config,
}

impl Create {
    /// Reads the body of `POST /connectors`.
    ///
    /// # Errors
    /// The answer, when it is no such request.
    pub(super) fn of(body: &Value) -> Result<Create, Reply> {
        let object = object(body)?;
        let unknown = object.keys().find(|key| !["name", "config", "initial_state"].contains(&key.as_str()));
        if let Some(key) = unknown {
            let message = format!("Unrecognized field \"{key}\"; there are name, config and initial_state");
            return Err(Reply::error(400, &message));
        }
        let target = match object.get("initial_state") {
            None | Some(Value::Null) => Target::Started,
            Some(state) => initial(state.as_str().unwrap_or_default())?,
        };
        let missing = || Reply::error(400, "The request has no config");
        let settings =
            settings(object.get("config").filter(|config| !config.is_null()).ok_or_else(missing)?)?;
        let name = object.get("name").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        Ok(Create { name, target, settings })
    }

    /// The settings, with the name among them.
    ///
    /// # Errors
    /// The answer, when they have another name.
    pub(super) fn config(self: &Create) -> Result<Config, Reply> {
        named(&self.name, self.settings.clone())
    }
}

fn initial(state: &str) -> Result<Target, Reply> {
    match state.to_ascii_uppercase().as_str() {
        "RUNNING" => Ok(Target::Started),
        "PAUSED" => Ok(Target::Paused),
        "STOPPED" => Ok(Target::Stopped),
        _ => Err(Reply::error(
            400,
            &format!("initial_state cannot be {state}: use RUNNING, PAUSED or STOPPED"),
        )),
    }
}

fn object(body: &Value) -> Result<&Map<String, Value>, Reply> {
    body.as_object().ok_or_else(|| Reply::error(400, "The body must be a JSON object"))
}

/// Settings of a connector: texts, and numbers and such as texts.
///
/// # Errors
/// The answer, when they are something else.
pub(super) fn settings(body: &Value) -> Result<Config, Reply> {
    let pairs = patch(body)?.into_iter();
    Ok(pairs.filter_map(|(name, value)| Some((name, value?))).collect())
}

/// Changes of settings; null removes one.
///
/// # Errors
/// The answer, when they are something else.
pub(super) fn patch(body: &Value) -> Result<Vec<(String, Option<String>)>, Reply> {
    let pair = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                return Err(Reply::error(400, &format!("The setting {name} must be a text")));
            }
        };
        Ok((name.clone(), text))
    };
    object(body)?.iter().map(pair).collect()
}

/// Settings with the name of their connector.
///
/// # Errors
/// The answer, when they have another name.
pub(super) fn named(name: &str, mut settings: Config) -> Result<Config, Reply> {
    match settings.get("name") {
        Some(own) if own != name => {
            let message = format!(
                "Connector name configuration ({own}) doesn't match connector name in the URL ({name})"
            );
            Err(Reply::error(400, &message))
        }
        Some(_) => Ok(settings),
        None => {
            settings.insert("name".to_owned(), name.to_owned());
            Ok(settings)
        }
    }
}
