//! The table of `status.storage.topic`: the states of connectors and tasks, and the topics they use.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::group::Piece;
use super::{TableState, json as bytes};

/// The state of a connector or a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Nobody runs it.
    Unassigned,
    /// It runs.
    Running,
    /// It does nothing, and keeps what it has.
    Paused,
    /// It has no tasks.
    Stopped,
    /// It ended with an error.
    Failed,
    /// It is about to be started again.
    Restarting,
}

impl State {
    /// The word for it, as metrics have it.
    pub const fn word(self) -> &'static str {
        match self {
            State::Unassigned => "unassigned",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopped => "stopped",
            State::Failed => "failed",
            State::Restarting => "restarting",
        }
    }
}

/// A state, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The state.
    pub state: State,
    /// Why it failed.
    pub trace: Option<String>,
    /// The worker that runs it.
    pub worker_id: String,
    /// The generation of the worker group in which it was said.
    #[serde(default)]
    pub generation: i64,
    /// The version of the plugin.
    #[serde(default)]
    pub version: Option<String>,
}

impl Status {
    /// The record's value.
    pub fn record(&self) -> Option<Bytes> {
        serde_json::to_vec(self).ok().map(Bytes::from)
    }
}

/// States, and topics in use.
#[derive(Debug, Default)]
pub struct StatusState {
    connectors: BTreeMap<String, Status>,
    tasks: BTreeMap<String, BTreeMap<usize, Status>>,
    topics: BTreeMap<String, BTreeSet<String>>,
}

impl StatusState {
    /// The connectors that have a status, or tasks with one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let with_tasks = self.tasks.iter().filter(|(_, tasks)| !tasks.is_empty()).map(|(name, _)| name);
        self.connectors.keys().chain(with_tasks).map(String::as_str)
    }

    /// The status of a connector.
    pub fn connector(&self, name: &str) -> Option<&Status> {
        self.connectors.get(name)
    }

    /// The statuses of a connector's tasks, by number.
    pub fn tasks(&self, name: &str) -> impl Iterator<Item = (usize, &Status)> {
        self.tasks.get(name).into_iter().flatten().map(|(task, status)| (*task, status))
    }

    /// The status of a task.
    pub fn task(&self, name: &str, task: usize) -> Option<&Status> {
        self.tasks.get(name)?.get(&task)
    }

    /// The status of either.
    pub fn of(&self, piece: &Piece) -> Option<&Status> {
        match piece {
            Piece::Connector(name) => self.connector(name),
            Piece::Task(name, task) => self.task(name, *task),
        }
    }

    /// Whether another worker has said something of a later round than a record that would be written now.
    pub fn is_outdated(&self, key: &str, value: Option<&[u8]>) -> bool {
        let said: Option<Status> = value.and_then(|value| serde_json::from_slice(value).ok());
        let known = piece(key).and_then(|piece| self.of(&piece));
        said.zip(known).is_some_and(|(said, known)| {
            known.worker_id != said.worker_id && known.generation > said.generation
        })
    }

    /// The topics that a connector uses.
    pub fn topics(&self, name: &str) -> impl Iterator<Item = &str> {
        self.topics.get(name).into_iter().flatten().map(String::as_str)
    }
}

impl TableState for StatusState {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        if let Some(rest) = key.strip_prefix("status-topic-") {
            // A topic's name holds no colon.
            let Some((topic, name)) = rest.split_once(":connector-") else { return };
            let topics = self.topics.entry(name.to_owned()).or_default();
            if value.is_some() {
                topics.insert(topic.to_owned())
            } else {
                topics.remove(topic)
            };
            return;
        }
        let status: Option<Status> = value.and_then(|value| serde_json::from_slice(value).ok());
        match (piece(key), status) {
            (Some(Piece::Connector(name)), Some(status)) => drop(self.connectors.insert(name, status)),
            (Some(Piece::Connector(name)), None) => drop(self.connectors.remove(&name)),
            (Some(Piece::Task(name, task)), Some(status)) => {
                self.tasks.entry(name).or_default().insert(task, status);
            }
            (Some(Piece::Task(name, task)), None) => {
                self.tasks.entry(name).or_default().remove(&task);
            }
            (None, _) => {}
        }
    }
}

/// What the key of a status is about.
fn piece(key: &str) -> Option<Piece> {
    if let Some(name) = key.strip_prefix("status-connector-") {
        return Some(Piece::Connector(name.to_owned()));
    }
    let (name, task) = key.strip_prefix("status-task-")?.rsplit_once('-')?;
    Some(Piece::Task(name.to_owned(), task.parse().ok()?))
}

/// The record that a connector uses a topic, found by a task at a time; without a task it does not any more.
pub fn tracked(topic: &str, connector: &str, found: Option<(usize, i64)>) -> (String, Option<Bytes>) {
    let value = found.and_then(|(task, at)| {
        let name = json!({ "name": topic, "connector": connector, "task": task, "discoverTimestamp": at });
        bytes(&json!({ "topic": name }))
    });
    (format!("status-topic-{topic}:connector-{connector}"), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_worker_said_in_a_later_round_is_newer() {
        let said = |worker: &str, generation| {
            let status = Status {
                state: State::Failed,
                trace: None,
                worker_id: worker.to_owned(),
                generation,
                version: None,
            };
            status.record().unwrap()
        };
        let mut table = StatusState::default();
        table.apply("status-task-a-b-0", Some(&said("theirs", 2)));
        let outdated = |key, record: &[u8]| table.is_outdated(key, Some(record));
        assert!(outdated("status-task-a-b-0", &said("ours", 1)));
        assert!(!outdated("status-task-a-b-0", &said("ours", 2)));
        assert!(!outdated("status-task-a-b-0", &said("theirs", 1)), "who said it knows best");
        assert!(!outdated("status-task-a-b-1", &said("ours", 1)));
        assert!(!outdated("status-connector-a-b", &said("ours", 1)));
        assert!(!table.is_outdated("status-task-a-b-0", None));
    }
}
