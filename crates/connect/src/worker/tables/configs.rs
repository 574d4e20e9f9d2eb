//! The table of `config.storage.topic`: connectors, their tasks, and what state they should be in.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::group::signature::SessionKey;
use super::super::group::{Piece, Work};
use super::{TableState, json as bytes};
use crate::settings::Config;

/// The key of the record with the key for requests between workers.
const SESSION_KEY: &str = "session-key";
/// The most tasks of a connector; a larger number in a record is not believed.
const TASKS_MAX: u64 = 100_000;

/// What state a connector should be in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// It runs.
    #[default]
    Started,
    /// It keeps its tasks, which do nothing.
    Paused,
    /// It has no tasks.
    Stopped,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Target::Started => "STARTED",
            Target::Paused => "PAUSED",
            Target::Stopped => "STOPPED",
        }
    }

    fn from_record(value: &Value) -> Option<Self> {
        let named = value.get("state.v2").or_else(|| value.get("state"))?.as_str()?;
        [Target::Started, Target::Paused, Target::Stopped].into_iter().find(|target| target.name() == named)
    }
}

/// That all workers are asked to restart what they run of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// How many were asked for before, of any connector.
    pub number: u64,
    /// Whether its tasks too.
    pub include_tasks: bool,
    /// Whether only what has failed.
    pub only_failed: bool,
}

/// That all workers are asked to log a part of them at a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// How many were asked for before, of any logger, and this one.
    pub number: u64,
    /// The level, as it was written.
    pub level: String,
}

/// Connectors and their tasks.
#[derive(Debug, Default)]
pub struct ConfigState {
    connectors: BTreeMap<String, Config>,
    /// How many connectors were created before, for each: one that was deleted and created again is another.
    created: BTreeMap<String, u64>,
    creations: u64,
    targets: BTreeMap<String, Target>,
    tasks: BTreeMap<String, Vec<Config>>,
    pending: BTreeMap<String, BTreeMap<usize, Config>>,
    fencing: BTreeMap<String, usize>,
    /// Connectors whose tasks were planned after producers of tasks were fenced.
    unfenced: BTreeSet<String>,
    /// How often the tasks of each were planned.
    plans: BTreeMap<String, u64>,
    session_key: Option<SessionKey>,
    restarts: BTreeMap<String, Restart>,
    restarts_asked: u64,
    levels: BTreeMap<String, Level>,
    levels_asked: u64,
}

impl ConfigState {
    /// The names of the connectors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.connectors.keys().map(String::as_str)
    }

    /// The settings of a connector.
    pub fn connector(&self, name: &str) -> Option<&Config> {
        self.connectors.get(name)
    }

    /// A number that a connector has from its creation to its deletion.
    pub fn creation(&self, name: &str) -> u64 {
        self.created.get(name).copied().unwrap_or(0)
    }

    /// The state that a connector should be in.
    pub fn target(&self, name: &str) -> Target {
        self.targets.get(name).copied().unwrap_or_default()
    }

    /// The settings of a connector's tasks.
    pub fn tasks(&self, name: &str) -> &[Config] {
        self.tasks.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The settings of the tasks that should be there: none of a connector that is stopped.
    pub fn planned(&self, name: &str) -> &[Config] {
        if self.target(name) == Target::Stopped { &[] } else { self.tasks(name) }
    }

    /// How many tasks of a source may still have producers that are not fenced.
    pub fn fencing(&self, name: &str) -> Option<usize> {
        self.fencing.get(name).copied()
    }

    /// Whether producers of earlier tasks may write that have to be fenced before its tasks start.
    pub fn is_unfenced(&self, name: &str) -> bool {
        self.unfenced.contains(name)
    }

    /// How often the tasks of a connector were planned.
    pub fn plans(&self, name: &str) -> u64 {
        self.plans.get(name).copied().unwrap_or(0)
    }

    /// Everything that should run.
    pub fn work(&self) -> Work {
        let tasks = |name: &String| {
            (0..self.planned(name).len()).map(|task| Piece::Task(name.clone(), task)).collect::<Vec<_>>()
        };
        let connector = |name: &String| std::iter::once(Piece::Connector(name.clone())).chain(tasks(name));
        self.connectors.keys().flat_map(connector).collect()
    }

    /// The key for requests between workers.
    pub fn session_key(&self) -> Option<&SessionKey> {
        self.session_key.as_ref()
    }

    /// The newest requests to restart, and their connectors.
    pub fn restarts(&self) -> impl Iterator<Item = (&str, Restart)> {
        self.restarts.iter().map(|(name, restart)| (name.as_str(), *restart))
    }

    /// How many restarts were asked for.
    pub fn restarts_asked(&self) -> u64 {
        self.restarts_asked
    }

    /// The newest levels that were asked for, and their loggers.
    pub fn levels(&self) -> impl Iterator<Item = (&str, &Level)> {
        self.levels.iter().map(|(logger, level)| (logger.as_str(), level))
    }

    /// How many levels were asked for.
    pub fn levels_asked(&self) -> u64 {
        self.levels_asked
    }

    fn commit(&mut self, name: &str, count: usize) {
        let mut pending = self.pending.remove(name).unwrap_or_default();
        let planned: Option<Vec<Config>> = (0..count).map(|task| pending.remove(&task)).collect();
        // Compaction may have taken the settings of some: they are planned anew then.
        self.tasks.insert(name.to_owned(), planned.unwrap_or_default());
        self.unfenced.insert(name.to_owned());
        *self.plans.entry(name.to_owned()).or_default() += 1;
    }
}

impl TableState for ConfigState {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        let value: Option<Value> = value.and_then(|value| serde_json::from_slice(value).ok());
        let value = value.filter(|value| !value.is_null());
        if let Some(name) = key.strip_prefix("connector-") {
            match value.as_ref().and_then(properties) {
                Some(config) => {
                    if self.connectors.insert(name.to_owned(), config).is_none() {
                        self.creations += 1;
                        self.created.insert(name.to_owned(), self.creations);
                    }
                }
                None => {
                    self.created.remove(name);
                    self.connectors.remove(name);
                    self.tasks.remove(name);
                    self.pending.remove(name);
                    self.restarts.remove(name);
                }
            }
        } else if let Some(rest) = key.strip_prefix("task-") {
            let split = rest.rsplit_once('-').and_then(|(name, task)| Some((name, task.parse().ok()?)));
            if let (Some((name, task)), Some(config)) = (split, value.as_ref().and_then(properties)) {
                self.pending.entry(name.to_owned()).or_default().insert(task, config);
            }
        } else if let Some(name) = key.strip_prefix("commit-") {
            let count = value.as_ref().and_then(|value| value.get("tasks")?.as_u64());
            if let Some(count) = count.filter(|count| *count <= TASKS_MAX) {
                self.commit(name, usize::try_from(count).unwrap_or(0));
            }
        } else if let Some(name) = key.strip_prefix("target-state-") {
            match value.as_ref().and_then(Target::from_record) {
                Some(target) => drop(self.targets.insert(name.to_owned(), target)),
                None => drop(self.targets.remove(name)),
            }
        } else if let Some(name) = key.strip_prefix("tasks-fencing-") {
            self.unfenced.remove(name);
            match value.as_ref().and_then(|value| value.get("task-count")?.as_u64()) {
                Some(count) => {
                    let count = usize::try_from(count.min(TASKS_MAX)).unwrap_or(0);
                    self.fencing.insert(name.to_owned(), count);
                }
                None => drop(self.fencing.remove(name)),
            }
        } else if let Some(name) = key.strip_prefix("restart-connector-") {
            let flag = |of: &str| value.as_ref().and_then(|value| value.get(of)?.as_bool()).unwrap_or(false);
            self.restarts_asked += 1;
            let (number, include_tasks) = (self.restarts_asked, flag("include-tasks"));
            let restart = Restart { number, include_tasks, only_failed: flag("only-failed") };
            self.restarts.insert(name.to_owned(), restart);
        } else if let Some(logger) = key.strip_prefix("logger-cluster-") {
            let level = value.as_ref().and_then(|value| value.get("level")?.as_str()).unwrap_or_default();
            self.levels_asked += 1;
            let level = Level { number: self.levels_asked, level: level.to_owned() };
            self.levels.insert(logger.to_owned(), level);
        } else if key == SESSION_KEY {
            self.session_key = value.as_ref().and_then(SessionKey::from_record);
        }
    }
}

fn properties(value: &Value) -> Option<Config> {
    let object = value.get("properties")?.as_object()?;
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Some(object.iter().filter_map(text).collect())
}

/// The record of a connector's settings; `None` removes it.
pub fn connector(name: &str, config: Option<&Config>) -> (String, Option<Bytes>) {
    (format!("connector-{name}"), config.and_then(|config| bytes(&json!({ "properties": config }))))
}

/// The record of the state that a connector should be in; `None` removes it.
pub fn target(name: &str, target: Option<Target>) -> (String, Option<Bytes>) {
    let value = target.and_then(|target| {
        // Workers before KIP-875 know two states.
        let known = if target == Target::Stopped { Target::Paused } else { target };
        bytes(&json!({ "state": known.name(), "state.v2": target.name() }))
    });
    (format!("target-state-{name}"), value)
}

/// The records of a connector's tasks: their settings, then that they are complete.
pub fn plan(name: &str, tasks: &[Config]) -> Vec<(String, Option<Bytes>)> {
    let task = |(number, config): (usize, &Config)| {
        (format!("task-{name}-{number}"), bytes(&json!({ "properties": config })))
    };
    let mut records: Vec<_> = tasks.iter().enumerate().map(task).collect();
    records.push((format!("commit-{name}"), bytes(&json!({ "tasks": tasks.len() }))));
    records
}

/// The record of how many producers of a source there may be.
pub fn fencing(name: &str, tasks: usize) -> (String, Option<Bytes>) {
    (format!("tasks-fencing-{name}"), bytes(&json!({ "task-count": tasks })))
}

/// The record that asks all workers for a restart.
pub fn restart(name: &str, include_tasks: bool, only_failed: bool) -> (String, Option<Bytes>) {
    let value = json!({ "include-tasks": include_tasks, "only-failed": only_failed });
    (format!("restart-connector-{name}"), bytes(&value))
}

/// The record of the level of a logger, for all workers.
pub fn logger(name: &str, level: &str) -> (String, Option<Bytes>) {
    (format!("logger-cluster-{name}"), bytes(&json!({ "level": level })))
}

/// The record of the key for requests between workers.
pub fn session_key(key: &SessionKey) -> (String, Option<Bytes>) {
    (SESSION_KEY.to_owned(), bytes(&key.record()))
}
