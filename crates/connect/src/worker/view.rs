//! What the API shows, in its names.

use serde::Serialize;

use super::tables::{State, Status};
use crate::settings::Config;

/// A connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: Config,
    /// Its tasks.
    pub tasks: Vec<TaskId>,
    /// `source`, `sink` or `unknown`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// Names a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskId {
    /// Its connector.
    pub connector: String,
    /// Its number.
    pub task: usize,
}

/// A task and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskInfo {
    /// Its name.
    pub id: TaskId,
    /// Its settings.
    pub config: Config,
}

/// The states of a connector and its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub connector: StateView,
    /// The states of its tasks.
    pub tasks: Vec<TaskStatus>,
    /// `source`, `sink` or `unknown`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskStatus {
    /// Its number.
    pub id: usize,
    /// Its state.
    #[serde(flatten)]
    pub state: StateView,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateView {
    /// The state.
    pub state: State,
    /// The worker that says so.
    pub worker_id: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The version of the plugin.
    pub version: Option<String>,
}

impl From<&Status> for StateView {
    fn from(status: &Status) -> Self {
        let Status { state, trace, worker_id, version, .. } = status.clone();
        Self { state, worker_id, trace, version }
    }
}

/// A plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginView {
    /// Its class.
    pub class: &'static str,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its version.
    pub version: &'static str,
}
