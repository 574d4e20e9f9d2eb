//! What source and sink tasks have in common.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tracing::warn;
use vltava_core::clock::Clock;

use super::meters::TaskMeters;
use super::settings::WorkerSettings;
use super::tables::{State, StatusState, Table, tracked};
use super::threads::Lease;
use super::{common, tables};
use crate::error::ConnectError;
use crate::settings::Config;
use crate::topics::{NewTopic, Topics, TopicsError};

/// What a task is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To run.
    Run,
    /// To do nothing, and keep what it has.
    Pause,
    /// To end.
    Stop,
}

/// How a task calls its source or sink.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How long a call may take.
    pub limit: Duration,
    /// Whether somebody still waits for the task.
    pub lease: Lease,
}

impl Calls {
    /// Waits for a call.
    ///
    /// # Errors
    /// When it takes longer: the task fails with it.
    pub async fn wait<T>(&self, name: &str, call: impl Future<Output = T>) -> Result<T, ConnectError> {
        let late = || format!("The task hangs: its {name} has taken more than {} ms", self.limit.as_millis());
        match timeout(self.limit, self.lease.hold(call)).await {
            Ok(outcome) => Ok(outcome),
            Err(_) => Err(ConnectError::failed(late())),
        }
    }
}

/// A task says what state it is in.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The connector.
    pub connector: String,
    /// The number of the task.
    pub task: usize,
    /// Which of the task's lives says so.
    pub life: u64,
    /// The state.
    pub state: State,
}

/// What a task is given by its worker.
#[derive(Clone, Debug)]
pub struct TaskShell {
    /// The connector.
    pub connector: String,
    /// The number of the task.
    pub task: usize,
    /// Which of the task's lives it is.
    pub life: u64,
    /// How often the tasks of the connector were planned before it began.
    pub plan: u64,
    /// The settings of the task.
    pub config: Config,
    /// The cluster.
    pub topics: Arc<dyn Topics>,
    /// The offsets of sources.
    pub offsets: Arc<Table<tables::OffsetState>>,
    /// The states, for the topics in use.
    pub statuses: Arc<Table<StatusState>>,
    /// What the worker is told.
    pub settings: Arc<WorkerSettings>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub meters: Arc<TaskMeters>,
    /// What to do.
    pub orders: watch::Receiver<Order>,
    /// Where to say what is.
    pub notices: mpsc::Sender<Notice>,
    /// How it calls its source or sink.
    pub calls: Calls,
    tracked: HashSet<String>,
}

impl TaskShell {
    /// What a task is given, apart from what depends on it.
    #[allow(clippy::too_many_arguments, reason = "it is the list of what a task is given")]
    pub fn new(
        (connector, task, life, plan): (&str, usize, u64, u64),
        config: Config,
        topics: Arc<dyn Topics>,
        offsets: Arc<Table<tables::OffsetState>>,
        statuses: Arc<Table<StatusState>>,
        settings: Arc<WorkerSettings>,
        (clock, meters): (Arc<dyn Clock>, Arc<TaskMeters>),
        (orders, notices): (watch::Receiver<Order>, mpsc::Sender<Notice>),
        lease: Lease,
    ) -> Self {
        let (connector, tracked) = (connector.to_owned(), HashSet::new());
        let mut shell = Self {
            calls: Calls { limit: settings.task_call_timeout, lease },
            connector,
            task,
            life,
            plan,
            config,
            topics,
            offsets,
            statuses,
            settings,
            clock,
            meters,
            orders,
            notices,
            tracked,
        };
        let polls =
            shell.client("consumer").get("max.poll.interval.ms").and_then(|text| text.trim().parse().ok());
        shell.calls.limit = shell.calls.limit.max(Duration::from_millis(polls.unwrap_or(0)));
        shell
    }

    /// Says what state the task is in.
    pub async fn tell(&self, state: State) {
        let (connector, task, life) = (self.connector.clone(), self.task, self.life);
        // A worker that is gone needs no notice.
        let _ = self.notices.send(Notice { connector, task, life, state }).await;
    }

    /// Records that the connector uses a topic, once.
    pub async fn track(&mut self, topic: &str) {
        if !self.settings.topic_tracking || self.tracked.contains(topic) {
            return;
        }
        self.tracked.insert(topic.to_owned());
        let found = Some((self.task, self.clock.wall().0));
        // It is read back by whoever asks for it; nobody waits for it.
        drop(self.statuses.post(vec![tracked(topic, &self.connector, found)]).await);
    }

    /// Settings of a client: what the worker has for all of that kind, and then the connector's.
    pub fn client(&self, kind: &str) -> Config {
        let mut settings = common::below(&self.settings.config, &format!("{kind}."));
        settings.extend(common::below(&self.config, &format!("{kind}.override.")));
        settings
    }

    /// The order that holds now.
    pub fn order(&self) -> Order {
        *self.orders.borrow()
    }

    /// Resolves when the order changes, also when the worker is gone, which is an order to stop.
    pub async fn ordered(&mut self) -> Order {
        match self.orders.changed().await {
            Ok(()) => *self.orders.borrow_and_update(),
            Err(_) => Order::Stop,
        }
    }

    /// Waits until the task has let go of everything, for as long as tasks may take to end.
    pub async fn closed(&self, close: impl Future<Output = ()>) {
        if timeout(self.settings.task_shutdown_timeout, close).await.is_err() {
            warn!(connector = self.connector, task = self.task, "a task does not close in time");
        }
    }

    /// Waits for `future`, unless the order is to stop.
    pub async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut orders = self.orders.clone();
        tokio::select! {
            // What is to stop before it has begun does not begin.
            biased;
            _ = orders.wait_for(|order| *order == Order::Stop) => None,
            done = future => Some(done),
        }
    }
}

/// Creates topics of a source before they are written to.
#[derive(Debug)]
pub struct TopicCreation {
    groups: Vec<Group>,
    known: HashSet<String>,
}

#[derive(Debug)]
struct Group {
    include: Option<Vec<regex::Regex>>,
    exclude: Vec<regex::Regex>,
    settings: Config,
}

impl TopicCreation {
    /// Reads the settings of a source.
    ///
    /// # Errors
    /// When a pattern is none.
    pub fn new(config: &Config, enabled: bool) -> Result<Self, ConnectError> {
        let mut groups = Vec::new();
        if enabled && common::creates_topics(config) {
            for name in common::aliases(config, "topic.creation.groups") {
                let settings = common::below(config, &format!("topic.creation.{name}."));
                let include = Some(patterns(&settings, "include")?);
                groups.push(Group { include, exclude: patterns(&settings, "exclude")?, settings });
            }
            let settings = common::below(config, "topic.creation.default.");
            groups.push(Group { include: None, exclude: Vec::new(), settings });
        }
        Ok(Self { groups, known: HashSet::new() })
    }

    /// Creates a topic, unless it is there or was seen before. Without settings for it the broker's defaults count.
    ///
    /// # Errors
    /// When the cluster cannot be asked, or refuses.
    pub async fn ensure(&mut self, topic: &str, topics: &dyn Topics) -> Result<(), TopicsError> {
        if self.known.contains(topic) {
            return Ok(());
        }
        if topics.partitions(topic).await?.is_none() {
            topics.create(&self.new_topic(topic)).await?;
        }
        self.known.insert(topic.to_owned());
        Ok(())
    }

    fn new_topic(&self, topic: &str) -> NewTopic {
        let matches = |group: &&Group| {
            let included = group.include.as_ref().is_none_or(|all| all.iter().any(|one| one.is_match(topic)));
            included && !group.exclude.iter().any(|one| one.is_match(topic))
        };
        let default = self.groups.last().map(|group| &group.settings);
        let mut settings =
            self.groups.iter().find(matches).map(|group| group.settings.clone()).unwrap_or_default();
        let mut number = |name: &str| {
            let text = settings.remove(name).or_else(|| default?.get(name).cloned());
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(-1)
        };
        let (partitions, replicas) = (number("partitions"), number("replication.factor"));
        settings.remove("include");
        settings.remove("exclude");
        let replication_factor = i16::try_from(replicas).unwrap_or(-1);
        NewTopic { name: topic.to_owned(), partitions, replication_factor, settings }
    }
}

fn patterns(settings: &Config, name: &str) -> Result<Vec<regex::Regex>, ConnectError> {
    let list = settings.get(name).map(String::as_str).unwrap_or_default();
    let parts = list.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
    parts.map(whole).collect()
}

/// A pattern that must match all of a text.
pub fn whole(pattern: &str) -> Result<regex::Regex, ConnectError> {
    regex::Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| ConnectError::config(format!("{pattern} is no pattern")).because(error))
}
