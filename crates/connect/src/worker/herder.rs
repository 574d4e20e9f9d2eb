//! Makes what runs into what should run on this worker.
//!
//! The herder is one loop: the tables or the work of this worker change, or something that runs says how it is, and each
//! time what is and what should be are compared by connector. It never waits for a connector or a task: whatever takes
//! time runs apart, and a task that takes another's place waits for its end itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::failure::{DeadLetters, Tolerance};
use super::group::{Piece, Work};
use super::loggers::{Heard, Loggers};
use super::pipeline::Pipeline;
use super::sink_task::SinkTask;
use super::source_task::{Delivery, SourceTask, StoredOffsets};
use super::states::States;
use super::tables::{self, State, Status, Target};
use super::task::{Notice, Order, TaskShell, TopicCreation};
use super::threads::{AbortOnDrop, Lease, apart, contained};
use super::{Shared, WorkerError};
use crate::connector::{SinkContext, SourceContext, TransactionContext};
use crate::error::{ConnectError, ErrorKind};
use crate::plugins::{Implementation, Plugin};
use crate::settings::{Config, Kind, Setting, Settings};

/// Events that wait for the herder.
const EVENTS_MAX: usize = 1024;
/// How long a connector rests before tasks are planned again that could not be, at first and at most.
const PLAN_PAUSE: Duration = Duration::from_millis(250);
const PLAN_PAUSE_MAX: Duration = Duration::from_secs(60);

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
    /// From now on this is the work of the worker; says when what is not has ended.
    Own {
        /// The work.
        own: Own,
        /// When the rest has ended.
        done: oneshot::Sender<()>,
    },
    /// Ends everything.
    Shutdown {
        /// When it has ended.
        done: oneshot::Sender<()>,
    },
}

/// The work of a worker.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// What it is.
    pub work: Work,
    /// The round of the group that says so.
    pub generation: i32,
    /// Whether the worker leads.
    pub leads: bool,
    /// What nobody runs, as far as the leader knows.
    pub waiting: Work,
    /// How long what is to end may take; `None` is the usual time.
    pub patience: Option<Duration>,
}

/// What happens to connectors and tasks.
#[derive(Debug)]
enum Event {
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
    /// Until what was told to end is other workers' work, or nobody's: each ends with the states of what has.
    leaving: Vec<JoinHandle<()>>,
    lives: u64,
    own: Own,
    /// How many requests to restart were heard.
    restarts: u64,
    levels: Heard,
    states: States,
    _writing: AbortOnDrop,
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
    plan: u64,
    orders: watch::Sender<Order>,
    job: JoinHandle<()>,
    failed: bool,
}

impl Herder {
    pub fn new(shared: Arc<Shared>, loggers: Arc<dyn Loggers>, commands: mpsc::Receiver<Command>) -> Self {
        let (restarts, levels) = {
            let configs = shared.configs.read();
            (configs.restarts_asked(), Heard::new(loggers, &configs))
        };
        let states = States::new();
        let writing = AbortOnDrop(tokio::spawn(states.clone().write(shared.statuses.clone())));
        Self {
            shared,
            commands,
            events: mpsc::channel(EVENTS_MAX),
            notices: mpsc::channel(EVENTS_MAX),
            connectors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            ending: BTreeMap::new(),
            leaving: Vec::new(),
            lives: 0,
            own: Own::default(),
            restarts,
            levels,
            states,
            _writing: writing,
        }
    }

    pub async fn run(mut self) {
        let mut changes = self.shared.configs.changes();
        let mut stated = self.shared.statuses.changes();
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
                Ok(()) = changes.changed() => {
                    self.set_levels();
                    self.reconcile().await;
                    self.restart_asked().await;
                }
                Ok(()) = stated.changed(), if self.own.leads => self.forget_ghosts().await,
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Restart { name, connector, tasks, done } => {
                self.restart(&name, connector, &tasks).await;
                let _ = done.send(());
            }
            Command::Own { own, done } => self.take(own, done).await,
            Command::Rest { name, done } => {
                self.reconcile_one(&name).await;
                let ending = self.ending.extract_if(.., |(of, _), _| *of == name);
                let mut ending: Vec<_> = ending.map(|(_, job)| job).collect();
                ending.append(&mut self.leaving);
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

    /// Ends what is not the worker's any more, which is unassigned once it has ended, and starts what is.
    async fn take(&mut self, own: Own, done: oneshot::Sender<()>) {
        let patience = own.patience.unwrap_or(self.shared.settings.task_shutdown_timeout);
        self.own = own;
        let mut left = Vec::new();
        let gone = |name: &String| !self.own.work.contains(&Piece::Connector(name.clone()));
        for (name, mut running) in self.connectors.extract_if(.., |name, _| gone(name)) {
            running.end();
            left.push(Piece::Connector(name));
        }
        let tasks = self.tasks.keys().cloned().map(|(name, task)| Piece::Task(name, task));
        for piece in tasks.filter(|piece| !self.own.work.contains(piece)).collect::<Vec<_>>() {
            if let Piece::Task(name, task) = &piece {
                self.end_task(name, *task, patience);
            }
            left.push(piece);
        }
        // Also what was told to end before, since it is planned no more.
        let owns = |name: &String, task: &usize| self.own.work.contains(&Piece::Task(name.clone(), *task));
        let ending: Vec<_> = self.ending.extract_if(.., |(name, task), _| !owns(name, task)).collect();
        let (unassigned, generation) = (self.status(State::Unassigned, None, None), self.own.generation);
        let (shared, states) = (self.shared.clone(), self.states.clone());
        let leaving = tokio::spawn(async move {
            for (_, job) in ending {
                // It has ended, or was made to.
                let _ = job.await;
            }
            let records = {
                let (configs, statuses) = (shared.configs.read(), shared.statuses.read());
                // What another has said of a later round is newer than this.
                let newer = |status: &Status| {
                    status.worker_id != shared.settings.worker_id && status.generation > i64::from(generation)
                };
                let there = left.iter().filter(|piece| configs.connector(piece.connector()).is_some());
                let there = there.filter(|piece| !statuses.of(piece).is_some_and(newer));
                there.map(|piece| (status_key(piece), unassigned.clone())).collect()
            };
            let said = states.say(records);
            // Others see who has the work next, one way or the other.
            let _ = timeout(shared.settings.task_shutdown_timeout, states.written(said)).await;
            let _ = done.send(());
        });
        self.leaving.retain(|job| !job.is_finished());
        self.leaving.push(leaving);
        self.say_waiting().await;
        self.reconcile().await;
        if self.own.leads {
            self.forget_ghosts().await;
        }
    }

    /// As the leader, shows that nobody runs what a lost worker ran.
    async fn say_waiting(&mut self) {
        let records = {
            let statuses = self.shared.statuses.read();
            let record = |piece: &Piece| {
                let known = statuses.of(piece).filter(|known| known.state != State::Unassigned)?.clone();
                let generation = i64::from(self.own.generation);
                let unassigned = Status { state: State::Unassigned, trace: None, generation, ..known };
                Some((status_key(piece), unassigned.record()))
            };
            std::mem::take(&mut self.own.waiting).iter().filter_map(record).collect()
        };
        self.states.say(records);
    }

    /// Sets the levels of loggers that all were asked to set.
    fn set_levels(&mut self) {
        let news = self.levels.news(&self.shared.configs.read());
        self.levels.set(&news);
    }

    /// Restarts what this worker runs of connectors that all were asked to restart.
    async fn restart_asked(&mut self) {
        let asked: Vec<_> = {
            let configs = self.shared.configs.read();
            let new = configs.restarts().filter(|(_, restart)| restart.number > self.restarts);
            new.map(|(name, restart)| (name.to_owned(), restart)).collect()
        };
        for (name, restart) in asked {
            self.restarts = self.restarts.max(restart.number);
            let (connector, tasks) = {
                let statuses = self.shared.statuses.read();
                let meant = |status: &Status| !restart.only_failed || status.state == State::Failed;
                let running = |task: &usize| self.tasks.contains_key(&(name.clone(), *task));
                let tasks =
                    statuses.tasks(&name).filter(|(_, status)| restart.include_tasks && meant(status));
                let tasks: Vec<usize> = tasks.map(|(task, _)| task).filter(running).collect();
                (statuses.connector(&name).is_some_and(meant), tasks)
            };
            self.restart(&name, connector, &tasks).await;
        }
    }

    async fn restart(&mut self, name: &str, connector: bool, tasks: &[usize]) {
        let mut restarted = Vec::new();
        if connector && let Some(mut running) = self.connectors.remove(name) {
            running.end();
            restarted.push((connector_key(name), self.status(State::Restarting, None, None)));
        }
        let patience = self.shared.settings.task_shutdown_timeout;
        for task in tasks {
            self.end_task(name, *task, patience);
            restarted.push((task_key(name, *task), self.status(State::Restarting, None, None)));
        }
        self.states.say(restarted);
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
        let (config, target) = {
            let configs = self.shared.configs.read();
            (configs.connector(name).cloned(), configs.target(name))
        };
        let Some(config) = config else { return self.forget(name).await };
        if self.own.work.contains(&Piece::Connector(name.to_owned())) {
            self.reconcile_connector(name, &config, target).await;
        }
        self.reconcile_tasks(name).await;
    }

    fn owns(&self, name: &str, task: usize) -> bool {
        self.own.work.contains(&Piece::Task(name.to_owned(), task))
    }

    /// Whether it is for this worker to say that something is no more: it had it, or it leads.
    fn may_forget(&self, status: &Status) -> bool {
        self.own.leads || status.worker_id == self.shared.settings.worker_id
    }

    async fn forget(&mut self, name: &str) {
        if let Some(mut running) = self.connectors.remove(name) {
            running.end();
            info!(connector = name, "deleted");
        }
        let mut gone = self.end_tasks(name);
        if self.shared.statuses.read().connector(name).is_some_and(|status| self.may_forget(status)) {
            gone.push((connector_key(name), None));
        }
        if !self.own.leads {
            self.states.say(gone);
            return;
        }
        let topics: Vec<String> = self.shared.statuses.read().topics(name).map(str::to_owned).collect();
        gone.extend(topics.iter().map(|topic| tables::tracked(topic, name, None)));
        self.states.say(gone);
    }

    /// As the leader, removes states that somebody wrote of connectors that were deleted meanwhile.
    async fn forget_ghosts(&mut self) {
        let ghosts: BTreeSet<String> = {
            let (statuses, configs) = (self.shared.statuses.read(), self.shared.configs.read());
            let gone = |name: &&str| configs.connector(name).is_none();
            statuses.names().filter(gone).map(str::to_owned).collect()
        };
        for name in ghosts {
            self.forget(&name).await;
        }
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
                    self.publish_connector(name, state_of(target), None);
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
        self.publish_connector(name, state_of(target), None);
    }

    /// Plans the connector's tasks, and again whenever it says that they have changed.
    fn start_connector(&self, name: &str, life: u64, config: &Config) -> JoinHandle<()> {
        let (shared, config, name) = (self.shared.clone(), config.clone(), name.to_owned());
        let (events, failed) = (self.events.0.clone(), name.clone());
        let work = async move {
            let plugin = shared.plugin(&config).map_err(refused)?;
            let missing = || ConnectError::config("the plugin is no connector");
            let connector = plugin.implementation.connector().ok_or_else(missing)?;
            let values = connector.settings().values(&shared.settings.providers.resolve(&config)?)?;
            let (most, enforced) = tasks_max(&config)?;
            let mut pause = PLAN_PAUSE;
            loop {
                let planned = async {
                    let tasks = connector.task_configs(&values, most).await?;
                    if enforced && tasks.len() > most {
                        return Err(ConnectError::failed(format!(
                            "The connector {name} has generated {} tasks, which is greater than {most}, the maximum number \
                             of tasks it is configured to create.",
                            tasks.len()
                        )));
                    }
                    let whole = tasks.iter().cloned().map(|task| {
                        whole_config(plugin, &config, shared.settings.providers.unresolved(&config, task))
                    });
                    let whole: Vec<_> = whole.collect();
                    shared.submit(&name, &whole).await;
                    tokio::select! {
                        changed = connector.changed(&values, &tasks) => changed,
                        () = shared.overwritten(&name, &whole) => Ok(()),
                    }
                };
                match planned.await {
                    Ok(()) => pause = PLAN_PAUSE,
                    Err(error) if error.kind == ErrorKind::Retriable => {
                        warn!(
                            connector = name,
                            error = error.line(),
                            "tasks cannot be planned; trying again"
                        );
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(PLAN_PAUSE_MAX);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        tokio::spawn(async move {
            if let Err(trace) = contained(work).await {
                let _ = events.send(Event::ConnectorFailed { name: failed, life, trace }).await;
            }
        })
    }

    async fn reconcile_tasks(&mut self, name: &str) {
        let gone = self.end_tasks(name);
        let (target, tasks) = {
            let configs = self.shared.configs.read();
            let owned = configs.planned(name).iter().enumerate().filter(|(task, _)| self.owns(name, *task));
            let owned: Vec<_> = owned.map(|(task, config)| (task, config.clone())).collect();
            (configs.target(name), owned)
        };
        let order = if target == Target::Paused { Order::Pause } else { Order::Run };
        // Producers of all tasks before a plan are fenced, also of those that are planned as they were.
        let (plan, transacts) = (self.shared.configs.read().plans(name), self.shared.settings.exactly_once);
        for (task, config) in tasks {
            let key = (name.to_owned(), task);
            match self.tasks.get(&key) {
                Some(running) if running.config == config && (running.plan == plan || !transacts) => {
                    running.orders.send_if_modified(|known| std::mem::replace(known, order) != order);
                }
                _ => {
                    self.end_task(name, task, self.shared.settings.task_shutdown_timeout);
                    let running = self.start_task(name, task, config, order);
                    self.tasks.insert(key, running);
                }
            }
        }
        self.states.say(gone);
    }

    /// Tells tasks that are not planned any more to stop; the records that they are gone.
    fn end_tasks(&mut self, name: &str) -> Vec<(String, Option<bytes::Bytes>)> {
        let shown: Vec<usize> = {
            let statuses = self.shared.statuses.read();
            let mine = statuses.tasks(name).filter(|(_, status)| self.may_forget(status));
            mine.map(|(task, _)| task).collect()
        };
        // After the states: what has a state was planned before.
        let count = self.shared.configs.read().planned(name).len();
        let running = self.tasks.keys().filter(|(of, task)| of == name && *task >= count);
        let patience = self.shared.settings.task_shutdown_timeout;
        for (_, task) in running.cloned().collect::<Vec<_>>() {
            self.end_task(name, task, patience);
        }
        let gone = shown.into_iter().filter(|task| *task >= count);
        gone.map(|task| (task_key(name, task), None)).collect()
    }

    fn end_task(&mut self, name: &str, task: usize, patience: Duration) {
        let key = (name.to_owned(), task);
        let Some(running) = self.tasks.remove(&key) else { return };
        self.shared.meters.end(name, task);
        running.orders.send_replace(Order::Stop);
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
        let plan = shared.configs.read().plans(name);
        let owner = Arc::new(());
        let shell = TaskShell::new(
            (name, task, life, plan),
            config.clone(),
            shared.topics.clone(),
            shared.offsets.clone(),
            shared.statuses.clone(),
            shared.settings.clone(),
            (shared.clock.clone(), shared.meters.begin(name, task)),
            (ordered, self.notices.0.clone()),
            Lease::of(&owner),
        );
        let before = self.ending.remove(&(name.to_owned(), task));
        let (events, name) = (self.events.0.clone(), name.to_owned());
        let job = tokio::spawn(async move {
            if let Some(before) = before {
                // It has ended, or was made to.
                let _ = before.await;
            }
            let (thread, limit) = (format!("{name}-{task}"), shell.calls.limit);
            let outcome = apart(thread, limit, Box::pin(live(shared, shell))).await;
            drop(owner);
            // Nobody listens at a worker that is gone.
            let _ = events.send(Event::TaskEnded { name, task, life, outcome }).await;
        });
        RunningTask { config, life, plan, orders, job, failed: false }
    }

    async fn hear(&mut self, event: Event) {
        match event {
            Event::ConnectorFailed { name, life, trace } => {
                let Some(running) = self.connectors.get_mut(&name) else { return };
                if running.life == life {
                    running.job = None;
                    error!(connector = name, trace, "a connector has failed");
                    self.publish_connector(&name, State::Failed, Some(trace));
                }
            }
            Event::TaskEnded { name, task, life, outcome } => {
                let running = self.tasks.get_mut(&(name.clone(), task));
                let Some(running) = running.filter(|running| running.life == life) else { return };
                running.failed = true;
                let trace = outcome.err().unwrap_or_else(|| "The task ended".to_owned());
                error!(connector = name, task, trace, "a task has failed");
                self.publish_task(&name, task, State::Failed, Some(trace));
            }
        }
    }

    async fn note(&mut self, notice: Notice) {
        let Notice { connector, task, life, state } = notice;
        let running = self.tasks.get(&(connector.clone(), task));
        if running.is_some_and(|running| running.life == life && !running.failed) {
            self.publish_task(&connector, task, state, None);
        }
    }

    fn publish_connector(&self, name: &str, state: State, trace: Option<String>) {
        let version = self.version(name);
        self.states.say(vec![(connector_key(name), self.status(state, trace, version))]);
    }

    fn publish_task(&self, name: &str, task: usize, state: State, trace: Option<String>) {
        let version = self.version(name);
        self.states.say(vec![(task_key(name, task), self.status(state, trace, version))]);
    }

    fn version(&self, name: &str) -> Option<String> {
        let configs = self.shared.configs.read();
        let plugin = self.shared.plugin(configs.connector(name)?).ok()?;
        Some(plugin.version.to_owned())
    }

    fn status(&self, state: State, trace: Option<String>, version: Option<String>) -> Option<bytes::Bytes> {
        let worker_id = self.shared.settings.worker_id.clone();
        let generation = i64::from(self.own.generation);
        Status { state, trace, worker_id, generation, version }.record()
    }

    async fn shutdown(&mut self) {
        let mut left = Vec::new();
        for (name, running) in &mut self.connectors {
            running.end();
            left.push(connector_key(name));
        }
        left.extend(self.tasks.keys().map(|(name, task)| task_key(name, *task)));
        let patience = self.shared.settings.task_shutdown_timeout;
        for (name, task) in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.end_task(&name, task, patience);
        }
        let ending = std::mem::take(&mut self.ending).into_values();
        for job in ending.chain(std::mem::take(&mut self.leaving)) {
            // It has ended, or was made to.
            let _ = job.await;
        }
        let unassigned = self.status(State::Unassigned, None, None);
        let records = left.into_iter().map(|key| (key, unassigned.clone())).collect();
        let said = self.states.say(records);
        // Others see that the worker is gone, one way or the other.
        let _ = timeout(self.shared.settings.task_shutdown_timeout, self.states.written(said)).await;
    }
}

fn connector_key(name: &str) -> String {
    format!("status-connector-{name}")
}

fn task_key(name: &str, task: usize) -> String {
    format!("status-task-{name}-{task}")
}

fn status_key(piece: &Piece) -> String {
    match piece {
        Piece::Connector(name) => connector_key(name),
        Piece::Task(name, task) => task_key(name, *task),
    }
}

/// The id of a source task's transactions: one for each task, so that a task fences whoever had it before.
pub fn transactional_id(group: &str, connector: &str, task: usize) -> String {
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

/// Makes a task and lives it.
async fn live(shared: Arc<Shared>, mut shell: TaskShell) -> Result<(), ConnectError> {
    let figures = shell.meters.figures.clone();
    let _told = figures.until_dropped();
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
            let (offsets, clock) = (Arc::new(stored), shell.clock.clone());
            let context = SourceContext { connector, task, offsets, clock, transaction, figures };
            let id = transactional_id(&shared.settings.group, &shell.connector, shell.task);
            let id = (!matches!(delivery, Delivery::AtLeastOnce)).then_some(id.as_str());
            if id.is_some() {
                shared.fence_before(&shell.connector).await.map_err(refused)?;
            }
            let producer = shared.topics.producer(id, &shell.client("producer")).await?;
            if id.is_some() {
                shared.check_plan(&shell.connector, shell.plan).await?;
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
            let mut context = SinkContext::new(shell.connector.clone(), shell.task, reporting);
            context.figures = figures;
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
            let given = given.map(|number| Duration::from_millis(number.unsigned_abs()));
            Delivery::EachInterval(given.unwrap_or(shared.settings.offset_flush_interval))
        }
        Some("connector") => Delivery::ByConnector(TransactionContext::default()),
        _ => Delivery::EachPoll,
    })
}
