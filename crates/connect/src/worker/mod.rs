//! A worker: runs connectors and tasks, as the tables of its group say.
//!
//! Requests only write to the tables; the herder reads them back and makes what runs into what should run. So a worker that
//! comes up again, or takes over the topics of another, goes on where they are, and a request answered is a request kept.
//! What of it a worker runs is decided in its [`group`], which may be of one.
//! Connectors and tasks run apart from each other: one that fails, panics or hangs touches no other.

pub mod common;
pub mod group;
pub mod tables;

mod error;
mod failure;
mod herder;
mod leading;
mod loggers;
pub mod meters;
mod offsets;
mod overrides;
mod pipeline;
mod providers;
mod settings;
mod sink_task;
mod source_task;
mod states;
mod task;
mod threads;
pub(crate) mod ticks;
mod validate;
mod view;

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use vltava_core::clock::{BoxFuture, Clock};

pub use self::error::WorkerError;
use self::group::member::Member;
use self::group::{PeerReply, PeerRequest, Peers, Piece, View};
use self::herder::{Command, Herder};
pub use self::leading::part;
pub use self::loggers::Loggers;
use self::meters::WorkerMeters;
pub use self::overrides::Overrides;
pub use self::providers::Providers;
pub use self::settings::{WorkerSettings, declared};
pub use self::tables::Target;
use self::tables::{ConfigState, OffsetState, StatusState, Table};
pub use self::validate::Validation;
pub use self::view::{ConnectorInfo, ConnectorStatus, PluginView, StateView, TaskId, TaskInfo, TaskStatus};
use crate::error::ConnectError;
use crate::membership::Membership;
use crate::plugins::{Implementation, Plugin, Plugins};
use crate::settings::{Config, DefinitionView};
use crate::topics::{Producer, Topics};

/// Commands that wait for the herder.
const COMMANDS_MAX: usize = 64;

/// A worker.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    running: Mutex<Option<Running>>,
}

/// What goes on in a worker, and how it is told to leave its group.
#[derive(Debug)]
struct Running {
    herder: JoinHandle<()>,
    member: JoinHandle<()>,
    leave: oneshot::Sender<()>,
}

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The connectors and all that goes with them.
    pub plugins: Arc<Plugins>,
    /// The cluster.
    pub topics: Arc<dyn Topics>,
    /// The group.
    pub membership: Arc<dyn Membership>,
    /// The other workers.
    pub peers: Arc<dyn Peers>,
    /// How the process logs.
    pub loggers: Arc<dyn Loggers>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What the parts of a worker share.
#[derive(Debug)]
struct Shared {
    plugins: Arc<Plugins>,
    settings: Arc<WorkerSettings>,
    topics: Arc<dyn Topics>,
    configs: Table<ConfigState>,
    statuses: Arc<Table<StatusState>>,
    offsets: Arc<Table<OffsetState>>,
    clock: Arc<dyn Clock>,
    cluster_id: Option<String>,
    meters: WorkerMeters,
    peers: Arc<dyn Peers>,
    view: watch::Receiver<View>,
    /// One change of what should be at a time.
    changes: Mutex<()>,
    /// One round of fencing at a time.
    fencing: Mutex<()>,
    /// What a leader writes settings with, where others are fenced.
    writer: Mutex<Option<Box<dyn Producer>>>,
}

impl Shared {
    fn plugin(&self, config: &Config) -> Result<&Plugin, WorkerError> {
        validate::plugin(&self.plugins, config)
    }
}

impl Worker {
    /// Loads the tables, and begins to run what they say.
    ///
    /// # Errors
    /// When the topics cannot be created or read.
    pub fn start(
        settings: WorkerSettings,
        given: Surroundings,
    ) -> BoxFuture<'static, Result<Self, ConnectError>> {
        // Boxed here, so that the tasks are compiled into this crate and not into every one that starts a worker.
        Box::pin(async move {
            let Surroundings { plugins, topics, membership, peers, loggers, clock } = given;
            let configs = Table::open(&*topics, settings.configs.clone()).await?;
            let statuses = Arc::new(Table::open(&*topics, settings.statuses.clone()).await?);
            let offsets = Arc::new(Table::open(&*topics, settings.offsets.clone()).await?);
            let cluster_id = topics.cluster_id().await?;
            let (viewed, view) = watch::channel(View::outside(settings.member.protocol));
            let shared = Arc::new(Shared {
                plugins,
                settings: Arc::new(settings),
                topics,
                configs,
                statuses,
                offsets,
                clock,
                cluster_id,
                meters: WorkerMeters::default(),
                peers,
                view,
                changes: Mutex::default(),
                fencing: Mutex::default(),
                writer: Mutex::default(),
            });
            let (commands, received) = mpsc::channel(COMMANDS_MAX);
            let herder = tokio::spawn(Herder::new(shared.clone(), loggers, received).run());
            let (leave, left) = oneshot::channel();
            let member = Member::new(shared.clone(), membership, commands.clone(), viewed);
            let member = tokio::spawn(member.run(left));
            Ok(Self { shared, commands, running: Mutex::new(Some(Running { herder, member, leave })) })
        })
    }

    /// Ends all tasks in peace, within `task.shutdown.graceful.timeout.ms`.
    pub async fn shutdown(&self) {
        let Some(Running { herder, member, leave }) = self.running.lock().await.take() else { return };
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Shutdown { done }).await.is_ok() {
            // A herder that is gone has ended too.
            let _ = ended.await;
        }
        herder.abort();
        // A member that is gone has left.
        let _ = leave.send(());
        let _ = member.await;
        let patience = self.shared.settings.offset_flush_timeout;
        self.shared.configs.close(patience).await;
        self.shared.offsets.close(patience).await;
        self.shared.statuses.close(patience).await;
    }

    /// The id of the cluster.
    pub fn cluster_id(&self) -> Option<&str> {
        self.shared.cluster_id.as_deref()
    }

    /// What is counted of this worker's connectors and tasks.
    pub fn meters(&self) -> &WorkerMeters {
        &self.shared.meters
    }

    /// Whether it is this worker of the group that runs a connector.
    pub fn runs(&self, connector: &str) -> bool {
        self.shared.view.borrow().work.contains(&Piece::Connector(connector.to_owned()))
    }

    /// The time, as the worker sees it.
    pub fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    /// The names of the connectors.
    pub fn connectors(&self) -> Vec<String> {
        self.shared.configs.read().names().map(str::to_owned).collect()
    }

    /// A connector.
    ///
    /// # Errors
    /// [`WorkerError::NotFound`]; so for all that follow.
    pub fn info(&self, name: &str) -> Result<ConnectorInfo, WorkerError> {
        let configs = self.shared.configs.read();
        let config = configs.connector(name).ok_or_else(|| not_found(name))?;
        Ok(self.view(name, config, configs.tasks(name).len()))
    }

    fn view(&self, name: &str, config: &Config, tasks: usize) -> ConnectorInfo {
        let tasks = (0..tasks).map(|task| TaskId { connector: name.to_owned(), task }).collect();
        let kind = self.kind(config);
        ConnectorInfo { name: name.to_owned(), config: config.clone(), tasks, kind }
    }

    fn kind(&self, config: &Config) -> &'static str {
        self.shared.plugin(config).map_or("unknown", |plugin| plugin.implementation.kind())
    }

    /// The state of a connector and its tasks.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub fn status(&self, name: &str) -> Result<ConnectorStatus, WorkerError> {
        let kind = self.shared.configs.read().connector(name).map_or("unknown", |config| self.kind(config));
        let statuses = self.shared.statuses.read();
        let missing = || WorkerError::NotFound(format!("No status found for connector {name}"));
        let connector = StateView::from(statuses.connector(name).ok_or_else(missing)?);
        let tasks = statuses.tasks(name);
        let tasks = tasks.map(|(id, status)| TaskStatus { id, state: status.into() }).collect();
        Ok(ConnectorStatus { name: name.to_owned(), connector, tasks, kind })
    }

    /// The state of a task.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub fn task_status(&self, name: &str, task: usize) -> Result<TaskStatus, WorkerError> {
        let statuses = self.shared.statuses.read();
        let missing = || WorkerError::NotFound(format!("No status found for task {name}-{task}"));
        Ok(TaskStatus { id: task, state: statuses.task(name, task).ok_or_else(missing)?.into() })
    }

    /// The tasks of a connector, with settings as they were written: secrets stay unresolved.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub fn tasks(&self, name: &str) -> Result<Vec<TaskInfo>, WorkerError> {
        let configs = self.shared.configs.read();
        configs.connector(name).ok_or_else(|| not_found(name))?;
        let info = |(task, config): (usize, &Config)| {
            let id = TaskId { connector: name.to_owned(), task };
            TaskInfo { id, config: config.clone() }
        };
        Ok(configs.tasks(name).iter().enumerate().map(info).collect())
    }

    /// The topics that a connector uses.
    ///
    /// # Errors
    /// [`WorkerError::Forbidden`] when they are not recorded.
    pub fn topics(&self, name: &str) -> Result<Vec<String>, WorkerError> {
        if !self.shared.settings.topic_tracking {
            return Err(WorkerError::Forbidden("Topic tracking is disabled.".to_owned()));
        }
        Ok(self.shared.statuses.read().topics(name).map(str::to_owned).collect())
    }

    /// Forgets the topics that a connector uses.
    ///
    /// # Errors
    /// [`WorkerError::Forbidden`] when they are not recorded, or may not be forgotten.
    pub async fn reset_topics(&self, name: &str) -> Result<(), WorkerError> {
        let topics = self.topics(name)?;
        if !self.shared.settings.topic_tracking_reset {
            return Err(WorkerError::Forbidden("Topic tracking reset is disabled.".to_owned()));
        }
        let forgotten = topics.iter().map(|topic| tables::tracked(topic, name, None)).collect();
        Ok(self.shared.statuses.write(forgotten).await?)
    }

    /// Validates settings, without using them.
    ///
    /// # Errors
    /// When they name no connector.
    pub async fn validate(&self, config: &Config) -> Result<Validation, WorkerError> {
        validate::validate(&self.shared.plugins, &self.shared.settings, config).await
    }

    /// Creates a connector.
    ///
    /// # Errors
    /// All that is wrong with its settings, or [`WorkerError::Conflict`] when it is there already.
    pub async fn create(
        &self,
        name: &str,
        config: Config,
        target: Target,
    ) -> Result<ConnectorInfo, WorkerError> {
        self.check(&config).await?;
        self.shared.lead().await?;
        let _changing = self.shared.changes.lock().await;
        if self.shared.configs.read().connector(name).is_some() {
            return Err(WorkerError::Conflict(format!("Connector {name} already exists")));
        }
        let mut records = Vec::new();
        if target != Target::Started {
            records.push(tables::target(name, Some(target)));
        }
        records.push(tables::connector(name, Some(&config)));
        self.shared.write(records).await?;
        Ok(self.view(name, &config, 0))
    }

    /// Creates a connector, or changes its settings; tells whether it was created.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    pub async fn put_config(&self, name: &str, config: Config) -> Result<(bool, ConnectorInfo), WorkerError> {
        self.check(&config).await?;
        self.shared.lead().await?;
        let _changing = self.shared.changes.lock().await;
        self.replace(name, config).await
    }

    /// Changes some settings of a connector; `None` removes one.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    pub async fn patch_config(
        &self,
        name: &str,
        patch: Vec<(String, Option<String>)>,
    ) -> Result<ConnectorInfo, WorkerError> {
        self.shared.lead().await?;
        let _changing = self.shared.changes.lock().await;
        let mut config =
            self.shared.configs.read().connector(name).cloned().ok_or_else(|| not_found(name))?;
        for (key, value) in patch {
            match value {
                Some(value) => config.insert(key, value),
                None => config.remove(&key),
            };
        }
        self.check(&config).await?;
        Ok(self.replace(name, config).await?.1)
    }

    async fn check(&self, config: &Config) -> Result<(), WorkerError> {
        self.validate(config).await?.refusal().map_or(Ok(()), Err)
    }

    async fn replace(&self, name: &str, config: Config) -> Result<(bool, ConnectorInfo), WorkerError> {
        let (created, tasks) = {
            let configs = self.shared.configs.read();
            (configs.connector(name).is_none(), configs.tasks(name).len())
        };
        self.shared.write(vec![tables::connector(name, Some(&config))]).await?;
        Ok((created, self.view(name, &config, tasks)))
    }

    /// Deletes a connector.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub async fn delete(&self, name: &str) -> Result<(), WorkerError> {
        self.shared.lead().await?;
        let _changing = self.shared.changes.lock().await;
        self.info(name)?;
        let records = vec![tables::connector(name, None), tables::target(name, None)];
        self.shared.write(records).await
    }

    /// Pauses, resumes or stops a connector.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub async fn set_target(&self, name: &str, target: Target) -> Result<(), WorkerError> {
        if target == Target::Stopped {
            self.shared.lead().await?;
        }
        let _changing = self.shared.changes.lock().await;
        if self.shared.configs.read().connector(name).is_none() {
            return Err(WorkerError::NotFound(format!("Unknown connector {name}")));
        }
        if target != Target::Stopped {
            // Any worker may.
            return Ok(self.shared.configs.write(vec![tables::target(name, Some(target))]).await?);
        }
        let mut records = tables::plan(name, &[]);
        records.push(tables::target(name, Some(target)));
        self.shared.write(records).await
    }

    /// Restarts a connector alone.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub async fn restart(&self, name: &str) -> Result<(), WorkerError> {
        self.known(name)?;
        self.shared.own(&Piece::Connector(name.to_owned())).await?;
        self.order_restart(name, true, Vec::new()).await
    }

    /// Restarts a connector and its tasks, or what has failed of them; tells what is restarted.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub async fn restart_all(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<ConnectorStatus, WorkerError> {
        self.shared.lead().await?;
        self.known(name)?;
        let mut status = self.status(name)?;
        let meant = |state: &StateView| !only_failed || state.state == tables::State::Failed;
        let connector = meant(&status.connector);
        let tasks = status.tasks.iter().filter(|task| include_tasks && meant(&task.state));
        let tasks: Vec<usize> = tasks.map(|task| task.id).collect();
        let record = tables::restart(name, include_tasks, only_failed);
        self.shared.write(vec![record]).await?;
        if connector {
            status.connector.state = tables::State::Restarting;
        }
        for task in status.tasks.iter_mut().filter(|task| tasks.contains(&task.id)) {
            task.state.state = tables::State::Restarting;
        }
        Ok(status)
    }

    /// Restarts a task.
    ///
    /// # Errors
    /// See [`Worker::info`].
    pub async fn restart_task(&self, name: &str, task: usize) -> Result<(), WorkerError> {
        self.known(name)?;
        if task >= self.shared.configs.read().tasks(name).len() {
            return Err(WorkerError::NotFound(format!("Unknown task: {name}-{task}")));
        }
        self.shared.own(&Piece::Task(name.to_owned(), task)).await?;
        self.order_restart(name, false, vec![task]).await
    }

    /// Plans the tasks of a connector, as another worker asks.
    ///
    /// # Errors
    /// When it does not prove that it is one, or this worker does not lead, or the connector has no such tasks.
    pub async fn put_tasks(
        &self,
        name: &str,
        header: impl Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<(), WorkerError> {
        self.shared.verify(header, body)?;
        let wrong = |error| WorkerError::BadRequest(format!("The body is no list of settings: {error}"));
        let tasks: Vec<Config> = serde_json::from_slice(body).map_err(wrong)?;
        self.shared.lead().await?;
        self.shared.plan(name, &tasks).await
    }

    /// Fences the producers of earlier tasks of a connector, as another worker asks.
    ///
    /// # Errors
    /// When it does not prove that it is one, or this worker does not lead, or the connector is no source.
    pub async fn fence(
        &self,
        name: &str,
        header: impl Fn(&str) -> Option<String>,
        body: &[u8],
    ) -> Result<(), WorkerError> {
        self.shared.verify(header, body)?;
        self.shared.lead().await?;
        self.shared.fence(name).await
    }

    /// Asks another worker.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&self, url: &str, request: PeerRequest) -> Result<PeerReply, WorkerError> {
        let failed = |why| WorkerError::Failed(format!("IO Error trying to forward REST request: {why}"));
        self.shared.peers.ask(url, request).await.map_err(failed)
    }

    fn known(&self, name: &str) -> Result<(), WorkerError> {
        let known = self.shared.configs.read().connector(name).is_some();
        let unknown = || WorkerError::NotFound(format!("Unknown connector: {name}"));
        if known { Ok(()) } else { Err(unknown()) }
    }

    async fn order_restart(&self, name: &str, connector: bool, tasks: Vec<usize>) -> Result<(), WorkerError> {
        let (done, restarted) = oneshot::channel();
        let command = Command::Restart { name: name.to_owned(), connector, tasks, done };
        let gone = |_| WorkerError::Failed("The worker is shutting down".to_owned());
        self.commands
            .send(command)
            .await
            .map_err(|_| WorkerError::Failed("The worker is shutting down".to_owned()))?;
        restarted.await.map_err(gone)
    }

    /// Whether two names mean the same connector.
    pub fn same_plugin(&self, one: &str, other: &str) -> bool {
        let class = |name| self.shared.plugins.connector(name).map(|row| row.class);
        match (class(one), class(other)) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        }
    }

    /// Tells all workers of the level of a logger, this one too: it is set once it is read back.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn tell_level(&self, logger: &str, level: &str) -> Result<(), WorkerError> {
        Ok(self.shared.configs.write(vec![tables::logger(logger, level)]).await?)
    }

    /// All plugins, or the connectors among them.
    pub fn plugins(&self, connectors_only: bool) -> Vec<PluginView> {
        let listed = |row: &&Plugin| !connectors_only || row.implementation.connector().is_some();
        let view = |row: &Plugin| PluginView {
            class: row.class,
            kind: row.implementation.kind(),
            version: row.version,
        };
        let mut views: Vec<_> = self.shared.plugins.iter().filter(listed).map(view).collect();
        views.sort_unstable_by_key(|view| (view.kind, view.class));
        views.sort_by_key(|view| (view.kind != "sink", view.kind != "source"));
        views
    }

    /// The declarations of a plugin's settings.
    ///
    /// # Errors
    /// When there is no such plugin, or not in that version.
    pub fn plugin_settings(
        &self,
        class: &str,
        version: Option<&str>,
    ) -> Result<Vec<DefinitionView>, WorkerError> {
        let row = self.shared.plugins.iter().find(|row| row.is_called(class));
        let row = row.ok_or_else(|| WorkerError::NotFound(format!("Unknown plugin {class}.")))?;
        if let Some(version) = version.filter(|version| *version != row.version && *version != "latest") {
            return Err(WorkerError::BadRequest(format!(
                "Plugin {} not found that matches the version range {version}, available versions: [{}]",
                row.class, row.version
            )));
        }
        let mut definitions = row.implementation.settings().definitions();
        if matches!(row.implementation, Implementation::Source(_) | Implementation::Sink(_)) {
            definitions.extend(common::settings(row).definitions());
        }
        Ok(definitions)
    }
}

fn not_found(name: &str) -> WorkerError {
    WorkerError::NotFound(format!("Connector {name} not found"))
}
