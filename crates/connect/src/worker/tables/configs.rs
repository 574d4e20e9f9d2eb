//! The table of `config.storage.topic`: connectors, their tasks, and what state they should be in.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{TableState, json as bytes};
use crate::settings::Config;

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

    /// How many tasks of a source may still have producers that are not fenced.
    pub fn fencing(&self, name: &str) -> Option<usize> {
        self.fencing.get(name).copied()
    }

    fn commit(&mut self, name: &str, count: usize) {
        let mut pending = self.pending.remove(name).unwrap_or_default();
        let planned: Option<Vec<Config>> = (0..count).map(|task| pending.remove(&task)).collect();
        // Compaction may have taken the settings of some: they are planned anew then.
        self.tasks.insert(name.to_owned(), planned.unwrap_or_default());
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
                    self.fencing.remove(name);
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
            match value.as_ref().and_then(|value| value.get("task-count")?.as_u64()) {
                Some(count) => {
                    let count = usize::try_from(count.min(TASKS_MAX)).unwrap_or(0);
                    self.fencing.insert(name.to_owned(), count);
                }
                None => drop(self.fencing.remove(name)),
            }
        }
        // Session keys, requests to restart and levels of loggers concern workers that are there when they are written.
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
