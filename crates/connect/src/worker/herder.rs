//! Makes what runs into what should run.
//!
//! The herder is one loop: the tables change, or something that runs says how it is, and each time what is and what should
//! be are compared by connector. It never waits for a connector or a task: whatever takes time runs apart, and a task that
//! takes another's place waits for its end itself.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::failure::{DeadLetters, Tolerance};
use super::pipeline::Pipeline;
use super::sink_task::SinkTask;
use super::source_task::{Delivery, SourceTask, StoredOffsets};
use super::tables::{self, State, Status, Target};
use super::task::{Notice, Order, TaskShell, TopicCreation};
use super::{Shared, WorkerError};
use crate::connector::{SinkContext, SourceContext, TransactionContext};
use crate::error::ConnectError;
use crate::plugins::{Implementation, Plugin};
use crate::settings::{Config, Kind, Setting, Settings};

/// Events that wait for the herder.
const EVENTS_MAX: usize = 1024;

/// What the herder is asked for.
#[derive(Debug)]
pub enum Command {
    /// Starts again what is named.
    Restart {
        /// The connector.
        name: String,
        /// Whether the connector itself.
        connector: bool,
        /// The tasks.
        tasks: Vec<usize>,
        /// When it is under way.
        done: oneshot::Sender<()>,
    },
    /// Says when a stopped connector's tasks have ended; drops `done` when they do not.
    Rest {
        /// The connector.
        name: String,
        /// When they have.
        done: oneshot::Sender<()>,
    },
    /// Ends everything.
    Shutdown {
        /// When it has ended.
        done: oneshot::Sender<()>,
    },
}

/// What happens to connectors and tasks.
#[derive(Debug)]
enum Event {
    Planned { name: String, life: u64, tasks: Vec<Config> },
    ConnectorFailed { name: String, life: u64, trace: String },
    TaskEnded { name: String, task: usize, life: u64, outcome: Result<(), String> },
}

#[derive(Debug)]
pub struct Herder {
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    notices: (mpsc::Sender<Notice>, mpsc::Receiver<Notice>),
    connectors: BTreeMap<String, RunningConnector>,
    tasks: BTreeMap<(String, usize), RunningTask>,
    /// Tasks that were told to stop, until they have.
    ending: BTreeMap<(String, usize), JoinHandle<()>>,
    lives: u64,
}

#[derive(Debug)]
struct RunningConnector {
    config: Config,
    creation: u64,
    target: Target,
    life: u64,
    job: Option<JoinHandle<()>>,
}

impl RunningConnector {
    fn end(&mut self) {
        if let Some(job) = self.job.take() {
            job.abort();
        }
    }
}

#[derive(Debug)]
struct RunningTask {
    config: Config,
    life: u64,
    orders: watch::Sender<Order>,
    job: JoinHandle<()>,
    failed: bool,
}

impl Herder {
    pub fn new(shared: Arc<Shared>, commands: mpsc::Receiver<Command>) -> Self {
        Self {
            shared,
            commands,
            events: mpsc::channel(EVENTS_MAX),
            notices: mpsc::channel(EVENTS_MAX),
            connectors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            ending: BTreeMap::new(),
            lives: 0,
        }
    }

    pub async fn run(mut self) {
        let mut changes = self.shared.configs.changes();
        self.reconcile().await;
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown { done }) => {
                        self.shutdown().await;
                        // Whoever asked may have gone.
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.obey(command).await,
                    None => return self.shutdown().await,
                },
                Some(event) = self.events.1.recv() => self.hear(event).await,
                Some(notice) = self.notices.1.recv() => self.note(notice).await,
                Ok(()) = changes.changed() => self.reconcile().await,
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Restart { name, connector, tasks, done } => {
                self.restart(&name, connector, &tasks).await;
                let _ = done.send(());
            }
            Command::Rest { name, done } => {
                self.reconcile_one(&name).await;
                let ending = self.ending.extract_if(.., |(of, _), _| *of == name);
                let ending: Vec<_> = ending.map(|(_, job)| job).collect();
                tokio::spawn(async move {
                    for job in ending {
                        // It has ended, or was made to.
                        let _ = job.await;
                    }
                    let _ = done.send(());
                });
            }
            Command::Shutdown { done } => drop(done),
        }
    }

    async fn restart(&mut self, name: &str, connector: bool, tasks: &[usize]) {
        let mut restarted = Vec::new();
        if connector && let Some(mut running) = self.connectors.remove(name) {
            running.end();
            restarted.push((format!("status-connector-{name}"), self.status(State::Restarting, None, None)));
        }
        for task in tasks {
            self.end_task(name, *task);
            restarted
                .push((format!("status-task-{name}-{task}"), self.status(State::Restarting, None, None)));
        }
        self.publish(restarted).await;
        self.reconcile_one(name).await;
    }

    async fn reconcile(&mut self) {
        let mut names: Vec<String> = self.shared.configs.read().names().map(str::to_owned).collect();
        names
            .extend(self.connectors.keys().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
        for name in names {
            self.reconcile_one(&name).await;
        }
    }

    async fn reconcile_one(&mut self, name: &str) {
        let (config, target, tasks) = {
            let configs = self.shared.configs.read();
            (configs.connector(name).cloned(), configs.target(name), configs.tasks(name).to_vec())
        };
        let Some(config) = config else { return self.forget(name).await };
        let tasks = if target == Target::Stopped { Vec::new() } else { tasks };
        self.reconcile_connector(name, &config, target).await;
        self.reconcile_tasks(name, target, &tasks).await;
    }

    async fn forget(&mut self, name: &str) {
        if let Some(mut running) = self.connectors.remove(name) {
            running.end();
            info!(connector = name, "deleted");
        }
        let mut gone = self.end_tasks(name, 0);
        if self.shared.statuses.read().connector(name).is_some() {
            gone.push((format!("status-connector-{name}"), None));
        }
        let topics: Vec<String> = self.shared.statuses.read().topics(name).map(str::to_owned).collect();
        gone.extend(topics.iter().map(|topic| tables::tracked(topic, name, None)));
        self.publish(gone).await;
    }

    async fn reconcile_connector(&mut self, name: &str, config: &Config, target: Target) {
        let creation = self.shared.configs.read().creation(name);
        let same =
            |running: &&mut RunningConnector| running.config == *config && running.creation == creation;
        let revived = |old: Target| old == Target::Stopped && target != Target::Stopped;
        if let Some(running) = self.connectors.get_mut(name).filter(same)
            && !revived(running.target)
        {
            if running.target != target {
                running.target = target;
                let failed = target != Target::Stopped && running.job.is_none();
                if target == Target::Stopped {
                    running.end();
                }
                if !failed {
                    self.publish_connector(name, state_of(target), None).await;
                }
            }
            return;
        }
        if let Some(mut running) = self.connectors.remove(name) {
            running.end();
        }
        self.lives += 1;
        let life = self.lives;
        self.shared.meters.connector_starts.add(u64::from(target != Target::Stopped));
        let mut running = RunningConnector { config: config.clone(), creation, target, life, job: None };
        if target != Target::Stopped {
            running.job = Some(self.start_connector(name, life, config));
        }
        self.connectors.insert(name.to_owned(), running);
        info!(connector = name, ?target, "connector");
        self.publish_connector(name, state_of(target), None).await;
    }

    /// Plans the connector's tasks, and again whenever it says that they have changed.
    fn start_connector(&self, name: &str, life: u64, config: &Config) -> JoinHandle<()> {
        let (shared, config, name) = (self.shared.clone(), config.clone(), name.to_owned());
        let (events, planned, failed) = (self.events.0.clone(), self.events.0.clone(), name.clone());
        let work = async move {
            let plugin = shared.plugin(&config).map_err(refused)?;
            let missing = || ConnectError::config("the plugin is no connector");
            let connector = plugin.implementation.connector().ok_or_else(missing)?;
            let values = connector.settings().values(&shared.settings.providers.resolve(&config)?)?;
            let (most, enforced) = tasks_max(&config)?;
            loop {
                let tasks = connector.task_configs(&values, most).await?;
                if enforced && tasks.len() > most {
                    return Err(ConnectError::failed(format!(
                        "The connector {name} has generated {} tasks, which is greater than {most}, the maximum number \
                         of tasks it is configured to create.",
                        tasks.len()
                    )));
                }
                let tasks = tasks.into_iter().map(|task| {
                    whole_config(plugin, &config, shared.settings.providers.unresolved(&config, task))
                });
                let tasks = tasks.collect();
                // Nobody plans for a worker that is gone.
                let _ = planned.send(Event::Planned { name: name.clone(), life, tasks }).await;
                connector.changed(&values).await?;
            }
        };
        tokio::spawn(async move {
            if let Err(trace) = contained::<()>(work).await {
                let _ = events.send(Event::ConnectorFailed { name: failed, life, trace }).await;
            }
        })
    }

    async fn reconcile_tasks(&mut self, name: &str, target: Target, tasks: &[Config]) {
        let gone = self.end_tasks(name, tasks.len());
        self.publish(gone).await;
        let order = if target == Target::Paused { Order::Pause } else { Order::Run };
        for (task, config) in tasks.iter().enumerate() {
            let key = (name.to_owned(), task);
            match self.tasks.get(&key) {
                Some(running) if running.config == *config => {
                    running.orders.send_if_modified(|known| std::mem::replace(known, order) != order);
                }
                _ => {
                    self.end_task(name, task);
                    let running = self.start_task(name, task, config.clone(), order);
                    self.tasks.insert(key, running);
                }
            }
        }
    }

    /// Tells tasks from a number on to stop; the records that they are gone.
    fn end_tasks(&mut self, name: &str, from: usize) -> Vec<(String, Option<bytes::Bytes>)> {
        let running = self.tasks.keys().filter(|(of, task)| of == name && *task >= from);
        for (_, task) in running.cloned().collect::<Vec<_>>() {
            self.end_task(name, task);
        }
        let statuses = self.shared.statuses.read();
        let shown = statuses.tasks(name).filter(|(task, _)| *task >= from);
        shown.map(|(task, _)| (format!("status-task-{name}-{task}"), None)).collect()
    }

    fn end_task(&mut self, name: &str, task: usize) {
        let key = (name.to_owned(), task);
        let Some(running) = self.tasks.remove(&key) else { return };
        self.shared.meters.end(name, task);
        running.orders.send_replace(Order::Stop);
        let patience = self.shared.settings.task_shutdown_timeout;
        let before = self.ending.remove(&key);
        let ending = tokio::spawn(async move {
            let mut job = running.job;
            if timeout(patience, &mut job).await.is_err() {
                warn!(connector = key.0, task = key.1, "a task does not end in time, and is left behind");
                job.abort();
            }
            if let Some(before) = before {
                // It has its own patience.
                let _ = before.await;
            }
        });
        self.ending.insert((name.to_owned(), task), ending);
    }

    fn start_task(&mut self, name: &str, task: usize, config: Config, order: Order) -> RunningTask {
        self.lives += 1;
        let life = self.lives;
        let (orders, ordered) = watch::channel(order);
        let shared = self.shared.clone();
        let shell = TaskShell::new(
            (name, task, life),
            config.clone(),
            shared.topics.clone(),
            shared.offsets.clone(),
            shared.statuses.clone(),
            shared.settings.clone(),
            (shared.clock.clone(), shared.meters.begin(name, task)),
            (ordered, self.notices.0.clone()),
        );
        let before = self.ending.remove(&(name.to_owned(), task));
        let (events, name) = (self.events.0.clone(), name.to_owned());
        let job = tokio::spawn(async move {
            if let Some(before) = before {
                // It has ended, or was made to.
                let _ = before.await;
            }
            let outcome = contained(live(shared, shell)).await;
            // Nobody listens at a worker that is gone.
            let _ = events.send(Event::TaskEnded { name, task, life, outcome }).await;
        });
        RunningTask { config, life, orders, job, failed: false }
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::Planned { name, life, tasks } => {
                let running = self.connectors.get(&name);
                let current =
                    running.is_some_and(|running| running.life == life && running.target != Target::Stopped);
                if current && self.shared.configs.read().tasks(&name) != tasks {
                    self.plan(name, tasks).await;
                }
            }
            Event::ConnectorFailed { name, life, trace } => {
                let Some(running) = self.connectors.get_mut(&name) else { return };
                if running.life == life {
                    running.job = None;
                    error!(connector = name, trace, "a connector has failed");
                    self.publish_connector(&name, State::Failed, Some(trace)).await;
                }
            }
            Event::TaskEnded { name, task, life, outcome } => {
                let running = self.tasks.get_mut(&(name.clone(), task));
                let Some(running) = running.filter(|running| running.life == life) else { return };
                running.failed = true;
                let trace = outcome.err().unwrap_or_else(|| "The task ended".to_owned());
                error!(connector = name, task, trace, "a task has failed");
                self.publish_task(&name, task, State::Failed, Some(trace)).await;
            }
        }
    }

    /// Writes the settings of tasks. Producers of tasks that are no more are fenced before; those of tasks that are
    /// started again are fenced by their successors.
    async fn plan(&self, name: String, tasks: Vec<Config>) {
        let mut records = tables::plan(&name, &tasks);
        let config = self.connectors.get(&name).map(|running| &running.config);
        let source = config.and_then(|config| self.shared.plugin(config).ok());
        let transacts = self.shared.settings.exactly_once
            && source.is_some_and(|plugin| matches!(plugin.implementation, Implementation::Source(_)));
        let mut fenced = 0..0;
        if transacts {
            fenced = tasks.len()..self.shared.configs.read().fencing(&name).unwrap_or(0);
            records.push(tables::fencing(&name, tasks.len()));
        }
        let shared = self.shared.clone();
        tokio::spawn(async move {
            for task in fenced {
                let id = transactional_id(&shared.settings.group, &name, task);
                match shared.topics.producer(Some(&id), &Config::new()).await {
                    Ok(producer) => producer.close(shared.settings.offset_flush_timeout).await,
                    Err(error) => warn!(connector = name, task, %error, "a producer cannot be fenced"),
                }
            }
            if let Err(error) = shared.configs.write(records).await {
                error!(connector = name, %error, "the settings of tasks cannot be written");
            }
        });
    }

    async fn note(&mut self, notice: Notice) {
        let Notice { connector, task, life, state } = notice;
        let running = self.tasks.get(&(connector.clone(), task));
        if running.is_some_and(|running| running.life == life && !running.failed) {
            self.publish_task(&connector, task, state, None).await;
        }
    }

    async fn publish_connector(&self, name: &str, state: State, trace: Option<String>) {
        let version = self.version(name);
        self.publish(vec![(format!("status-connector-{name}"), self.status(state, trace, version))]).await;
    }

    async fn publish_task(&self, name: &str, task: usize, state: State, trace: Option<String>) {
        let version = self.version(name);
        self.publish(vec![(format!("status-task-{name}-{task}"), self.status(state, trace, version))]).await;
    }

    fn version(&self, name: &str) -> Option<String> {
        let configs = self.shared.configs.read();
        let plugin = self.shared.plugin(configs.connector(name)?).ok()?;
        Some(plugin.version.to_owned())
    }

    fn status(&self, state: State, trace: Option<String>, version: Option<String>) -> Option<bytes::Bytes> {
        let worker_id = self.shared.settings.worker_id.clone();
        Status { state, trace, worker_id, generation: 1, version }.record()
    }

    /// Queues records of states, in order; what is read back is what is shown.
    async fn publish(&self, records: Vec<(String, Option<bytes::Bytes>)>) {
        if !records.is_empty() {
            drop(self.shared.statuses.post(records).await);
        }
    }

    async fn shutdown(&mut self) {
        let mut left = Vec::new();
        for (name, running) in &mut self.connectors {
            running.end();
            left.push(format!("status-connector-{name}"));
        }
        left.extend(self.tasks.keys().map(|(name, task)| format!("status-task-{name}-{task}")));
        for (name, task) in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.end_task(&name, task);
        }
        for (_, job) in std::mem::take(&mut self.ending) {
            // It has ended, or was made to.
            let _ = job.await;
        }
        let unassigned = self.status(State::Unassigned, None, None);
        let records = left.into_iter().map(|key| (key, unassigned.clone())).collect();
        let written = self.shared.statuses.post(records).await;
        // Others see that the worker is gone, one way or the other.
        let _ = timeout(self.shared.settings.task_shutdown_timeout, written).await;
    }
}

/// The id of a source task's transactions: one for each task, so that a task fences whoever had it before.
fn transactional_id(group: &str, connector: &str, task: usize) -> String {
    format!("{group}-{connector}-{task}")
}

fn state_of(target: Target) -> State {
    match target {
        Target::Started => State::Running,
        Target::Paused => State::Paused,
        Target::Stopped => State::Stopped,
    }
}

fn refused(error: WorkerError) -> ConnectError {
    ConnectError::config(error.to_string())
}

fn tasks_max(config: &Config) -> Result<(usize, bool), ConnectError> {
    let declared = Settings::from([
        Setting::new("tasks.max", Kind::Int, "1", ""),
        Setting::new("tasks.max.enforce", Kind::Boolean, "true", ""),
    ]);
    let values = declared.values(config)?;
    let most = usize::try_from(values.number("tasks.max")?).unwrap_or(1);
    Ok((most.max(1), values.boolean("tasks.max.enforce")?))
}

/// The settings of a task: the connector's, its own, and the class that other workers know it by.
fn whole_config(plugin: &Plugin, connector: &Config, own: Config) -> Config {
    let mut config = connector.clone();
    config.extend(own);
    let class = plugin.class.strip_suffix("Connector").unwrap_or(plugin.class);
    config.insert("task.class".to_owned(), format!("{class}Task"));
    config
}

/// Runs work so that a panic is an error like others: the trace that a status shows.
async fn contained<T: Send + 'static>(
    work: impl Future<Output = Result<T, ConnectError>> + Send + 'static,
) -> Result<T, String> {
    let mut job = AbortOnDrop(tokio::spawn(work));
    match (&mut job.0).await {
        Ok(outcome) => outcome.map_err(|error| error.trace()),
        Err(failure) => Err(match failure.try_into_panic() {
            Ok(panic) => {
                let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                format!("The task panicked: {}", text.unwrap_or_default())
            }
            Err(failure) => failure.to_string(),
        }),
    }
}

/// A job that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Makes a task and lives it.
async fn live(shared: Arc<Shared>, mut shell: TaskShell) -> Result<(), ConnectError> {
    shell.config = shared.settings.providers.resolve(&shell.config)?;
    let config = shell.config.clone();
    let tolerance = Tolerance::new(&shell)?;
    let pipeline = Pipeline::new(&shared.plugins, &shared.settings, &config, tolerance)?;
    match &shared.plugin(&config).map_err(refused)?.implementation {
        Implementation::Source(source) => {
            let values = source.settings().values(&config)?;
            let delivery = delivery(&shared, &config)?;
            let transaction = match &delivery {
                Delivery::ByConnector(context) => Some(context.clone()),
                _ => None,
            };
            let (connector, task) = (shell.connector.clone(), shell.task);
            let stored = StoredOffsets { connector: connector.clone(), offsets: shared.offsets.clone() };
            let context = SourceContext { connector, task, offsets: Arc::new(stored), transaction };
            let id = transactional_id(&shared.settings.group, &shell.connector, shell.task);
            let id = (!matches!(delivery, Delivery::AtLeastOnce)).then_some(id.as_str());
            let producer = shared.topics.producer(id, &shell.client("producer")).await?;
            if id.is_some() {
                // The predecessor is fenced now: what it stored last is what counts.
                shared.offsets.catch_up(&*shared.topics).await?;
            }
            let source = source.task(&values, context)?;
            let creation = TopicCreation::new(&config, shared.settings.topic_creation)?;
            SourceTask { shell, source, pipeline, producer, creation, delivery }.run().await
        }
        Implementation::Sink(sink) => {
            let values = sink.settings().values(&config)?;
            let dead = DeadLetters::new(&config);
            let logs = config.get("errors.log.enable").is_some_and(|logs| logs.trim() == "true");
            let reporting = pipeline.tolerance.skips || dead.is_some() || logs;
            let context = SinkContext::new(shell.connector.clone(), shell.task, reporting);
            let sink = sink.task(&values, context.clone())?;
            SinkTask { shell, sink, context, pipeline, dead }.run().await
        }
        _ => Err(ConnectError::config("the plugin is no connector")),
    }
}

fn delivery(shared: &Shared, config: &Config) -> Result<Delivery, ConnectError> {
    if !shared.settings.exactly_once {
        return Ok(Delivery::AtLeastOnce);
    }
    Ok(match config.get("transaction.boundary").map(String::as_str) {
        Some("interval") => {
            let declared =
                Settings::from([Setting::optional("transaction.boundary.interval.ms", Kind::Long, "")]);
            let given = declared.values(config)?.optional_number("transaction.boundary.interval.ms")?;
            let given = given.map(|number| std::time::Duration::from_millis(number.unsigned_abs()));
            Delivery::EachInterval(given.unwrap_or(shared.settings.offset_flush_interval))
        }
        Some("connector") => Delivery::ByConnector(TransactionContext::default()),
        _ => Delivery::EachPoll,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_trace() {
        let work = async {
            if Config::new().is_empty() {
                panic!("out of {}", "cheese");
            }
            Ok(())
        };
        assert_eq!(contained::<()>(work).await.unwrap_err(), "The task panicked: out of cheese");
    }
}
