//! Bodies of requests.

use std::collections::BTreeMap;

use serde_json::error::Category;
use serde_json::value::RawValue;
use vltava_connect::settings::Config;
use vltava_connect::worker::Target;

use super::reply::Reply;

/// A JSON object whose values are as they were written: numbers keep their digits.
type Object = BTreeMap<String, Box<RawValue>>;

/// Settings of a connector as they were given.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Those with a value.
    pub(super) config: Config,
    /// Those that are null.
    pub(super) nulls: Vec<String>,
}

impl Given {
    /// Reads a body: texts, and numbers and such as texts.
    ///
    /// # Errors
    /// The answer, when they are something else.
    pub(super) fn of(body: &[u8]) -> Result<Given, Reply> {
        let mut given = Given::default();
        for (name, text) in patch(body)? {
            match text {
                Some(text) => drop(given.config.insert(name, text)),
                None => given.nulls.push(name),
            }
        }
        Ok(given)
    }

    /// The settings with the name of their connector.
    ///
    /// # Errors
    /// The answer, when they have another name.
    pub(super) fn named(mut self, name: &str) -> Result<Given, Reply> {
        let own = self.config.entry("name".to_owned()).or_insert_with(|| name.to_owned());
        if own != name {
            let message = format!(
                "Connector name configuration ({own}) doesn't match connector name in the URL ({name})"
            );
            return Err(Reply::error(400, &message));
        }
        Ok(self)
    }
}

/// A connector to create.
#[derive(Debug)]
pub(super) struct Create {
    pub(super) name: String,
    pub(super) target: Target,
    /// Its settings, with the name among them.
    pub(super) given: Given,
}

impl Create {
    /// Reads the body of `POST /connectors`.
    ///
    /// # Errors
    /// The answer, when it is no such request.
    pub(super) fn of(body: &[u8]) -> Result<Create, Reply> {
        let object = object(body)?;
        let unknown = object.keys().find(|key| !["name", "config", "initial_state"].contains(&key.as_str()));
        if let Some(key) = unknown {
            let message = format!("Unrecognized field \"{key}\"; there are name, config and initial_state");
            return Err(Reply::error(400, &message));
        }
        let field = |name: &str| object.get(name).map(|value| value.get()).filter(|value| *value != "null");
        let text = |name| field(name).map(|value| serde_json::from_str::<String>(value).unwrap_or_default());
        let target = text("initial_state").map_or(Ok(Target::Started), |state| initial(&state))?;
        let config = field("config").ok_or_else(|| Reply::error(400, "The request has no config"))?;
        let name = text("name").unwrap_or_default().trim().to_owned();
        let given = Given::of(config.as_bytes())?.named(&name)?;
        Ok(Create { name, target, given })
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

fn object(body: &[u8]) -> Result<Object, Reply> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Reply::error(400, "The body must be a JSON object"),
        _ => no_json(&error),
    })
}

/// The answer to a body that is no JSON.
pub(super) fn no_json(error: &serde_json::Error) -> Reply {
    Reply::error(400, &format!("The body is no JSON: {error}"))
}

/// Changes of settings; null removes one.
///
/// # Errors
/// The answer, when they are something else.
pub(super) fn patch(body: &[u8]) -> Result<Vec<(String, Option<String>)>, Reply> {
    let pair = |(name, value): (String, Box<RawValue>)| {
        let text = match value.get() {
            "null" => None,
            text if text.starts_with('"') => {
                Some(serde_json::from_str(text).map_err(|error| no_json(&error))?)
            }
            text if text.starts_with(['{', '[']) => {
                return Err(Reply::error(400, &format!("The setting {name} must be a text")));
            }
            text => Some(text.to_owned()),
        };
        Ok((name, text))
    };
    object(body)?.into_iter().map(pair).collect()
}
