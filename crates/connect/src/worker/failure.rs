//! What happens to records that cannot be handled: tried again, tolerated, logged, put aside.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tracing::error;
use vltava_core::clock::Clock;

use super::task::TaskShell;
use super::{common, meters::TaskMeters};
use crate::convert::RawHeader;
use crate::error::{ConnectError, ErrorKind};
use crate::settings::{Config, Kind, Setting, Settings};
use crate::topics::{Message, Received};

/// The first pause between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// Where a record was when it could not be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In a transform or its predicate.
    Transformation,
    /// In the converter of keys.
    KeyConverter,
    /// In the converter of values.
    ValueConverter,
    /// In the converter of headers.
    HeaderConverter,
    /// On its way into a topic.
    KafkaProduce,
    /// In the sink.
    TaskPut,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Transformation => "TRANSFORMATION",
            Stage::KeyConverter => "KEY_CONVERTER",
            Stage::ValueConverter => "VALUE_CONVERTER",
            Stage::HeaderConverter => "HEADER_CONVERTER",
            Stage::KafkaProduce => "KAFKA_PRODUCE",
            Stage::TaskPut => "TASK_PUT",
        }
    }
}

/// Why a record could not be handled, and where.
#[derive(Debug)]
pub struct Problem {
    /// The stage.
    pub stage: Stage,
    /// The class at work.
    pub class: String,
    /// The error.
    pub error: ConnectError,
}

impl Problem {
    /// The error that fails the task, when the problem is not tolerated.
    pub fn fatal(self) -> ConnectError {
        ConnectError::failed("Tolerance exceeded in error handler").because(self.error)
    }
}

/// What a connector's settings say about errors.
#[derive(Clone, Debug)]
pub struct Tolerance {
    /// The connector.
    pub connector: String,
    /// The number of the task.
    pub task: usize,
    /// Whether records may be skipped.
    pub skips: bool,
    retry_timeout: Option<Duration>,
    pause_max: Duration,
    log: bool,
    log_messages: bool,
    meters: Arc<TaskMeters>,
    clock: Arc<dyn Clock>,
}

impl Tolerance {
    /// Reads the settings of a connector.
    ///
    /// # Errors
    /// When they are wrong.
    pub fn new(shell: &TaskShell) -> Result<Self, ConnectError> {
        let declared = Settings::from([
            Setting::new("errors.retry.timeout", Kind::Long, "0", ""),
            Setting::new("errors.retry.delay.max.ms", Kind::Long, "60000", ""),
            Setting::new("errors.tolerance", Kind::String, "none", ""),
            Setting::new("errors.log.enable", Kind::Boolean, "false", ""),
            Setting::new("errors.log.include.messages", Kind::Boolean, "false", ""),
        ]);
        let values = declared.values(&shell.config)?;
        let retry_timeout = values.number("errors.retry.timeout")?;
        Ok(Self {
            connector: shell.connector.clone(),
            task: shell.task,
            skips: values.string("errors.tolerance")? == "all",
            retry_timeout: u64::try_from(retry_timeout).ok().map(Duration::from_millis),
            pause_max: Duration::from_millis(values.number("errors.retry.delay.max.ms")?.unsigned_abs()),
            log: values.boolean("errors.log.enable")?,
            log_messages: values.boolean("errors.log.include.messages")?,
            meters: shell.meters.clone(),
            clock: shell.clock.clone(),
        })
    }

    /// Whether anything is ever tried again.
    pub fn retries(&self) -> bool {
        self.retry_timeout != Some(Duration::ZERO)
    }

    /// Tries of one step, which count from now.
    pub fn tries(&self) -> Tries<'_> {
        Tries { tolerance: self, start: Instant::now(), pause: FIRST_PAUSE.min(self.pause_max) }
    }

    /// What a problem means for its task: nothing where records may be skipped, otherwise the task's end.
    ///
    /// # Errors
    /// See above.
    pub fn judge(&self, problem: Problem) -> Result<(), ConnectError> {
        if self.skips {
            self.meters.errors.skipped.add(1);
            return Ok(());
        }
        Err(problem.fatal())
    }

    /// Counts a problem, and logs it, if that is wanted; `place` names the record.
    pub fn note(&self, problem: &Problem, place: &str) {
        self.meters.errors.failed(self.clock.wall());
        if !self.log {
            return;
        }
        self.meters.errors.logged.add(1);
        let (connector, task) = (&self.connector, self.task);
        let (stage, class, record) =
            (problem.stage.name(), &problem.class, if self.log_messages { place } else { "" });
        error!(connector, task, stage, class, record, error = %problem.error.trace(), "a record cannot be handled");
    }
}

/// Tries of one step.
#[derive(Debug)]
pub struct Tries<'a> {
    tolerance: &'a Tolerance,
    start: Instant,
    pause: Duration,
}

impl Tries<'_> {
    /// Pauses, and says to try again; not when the error will not pass, or the time is up.
    pub async fn again(&mut self, error: &ConnectError) -> bool {
        let late = |timeout| self.start.elapsed() + self.pause > timeout;
        if error.kind != ErrorKind::Retriable || self.tolerance.retry_timeout.is_some_and(late) {
            return false;
        }
        self.tolerance.meters.errors.again(self.tolerance.clock.wall());
        sleep(self.pause).await;
        self.pause = self.pause.saturating_mul(2).min(self.tolerance.pause_max);
        true
    }
}

/// Where records go that cannot be handled.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    /// The topic.
    pub topic: String,
    /// Its replicas, when it is created.
    pub replication_factor: i16,
    headers: bool,
}

impl DeadLetters {
    /// Reads the settings of a sink; `None` when it has no such topic.
    pub fn new(config: &Config) -> Option<Self> {
        let below = common::below(config, "errors.deadletterqueue.");
        let topic = below.get("topic.name").filter(|topic| !topic.is_empty())?.clone();
        let replicas = below.get("topic.replication.factor").and_then(|text| text.trim().parse().ok());
        let headers = below.get("context.headers.enable").is_some_and(|text| text.trim() == "true");
        Some(Self { topic, replication_factor: replicas.unwrap_or(3), headers })
    }

    /// The message of a record: as it was read and, if that is wanted, with what went wrong.
    pub fn message(&self, received: &Received, problem: &Problem, tolerance: &Tolerance) -> Message {
        let mut headers = received.headers.clone();
        if self.headers {
            headers.extend(context(received, problem, tolerance));
        }
        Message {
            topic: self.topic.as_str().into(),
            partition: None,
            key: received.key.clone(),
            value: received.value.clone(),
            timestamp: Some(received.timestamp),
            headers,
        }
    }
}

fn context(received: &Received, problem: &Problem, tolerance: &Tolerance) -> Vec<RawHeader> {
    let header = |name: &str, value: String| -> RawHeader {
        (format!("__connect.errors.{name}").into(), Some(Bytes::from(value)))
    };
    vec![
        header("topic", received.topic.to_string()),
        header("partition", received.partition.to_string()),
        header("offset", received.offset.to_string()),
        header("connector.name", tolerance.connector.clone()),
        header("task.id", tolerance.task.to_string()),
        header("stage", problem.stage.name().to_owned()),
        header("class.name", problem.class.clone()),
        header("exception.class.name", problem.error.class().to_owned()),
        header("exception.message", problem.error.message.clone()),
        header("exception.stacktrace", problem.error.trace()),
    ]
}
