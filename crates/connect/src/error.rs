//! Why connectors, transforms and converters fail.

use std::error::Error;

/// What went wrong while records were carried.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What may be done about it.
    pub kind: ErrorKind,
    /// What is wrong, for people: in the status of the task, in logs, in the headers of dead letters.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

/// What may be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may pass: the same is tried again, within the time that is set for that.
    Retriable,
    /// The record is to blame: it may be skipped, if that is tolerated.
    Data,
    /// A setting is to blame: the task fails.
    Config,
    /// Anything else: the task fails.
    Failed,
}

impl ConnectError {
    /// An error that may pass.
    pub fn retriable(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retriable, message: message.into(), source: None }
    }

    /// An error of a record.
    pub fn data(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Data, message: message.into(), source: None }
    }

    /// An error of a setting.
    pub fn config(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Config, message: message.into(), source: None }
    }

    /// An error that ends the task.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Failed, message: message.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class that Kafka Connect has for such an error, for statuses and the headers of dead letters.
    pub fn class(&self) -> &'static str {
        match self.kind {
            ErrorKind::Retriable => "org.apache.kafka.connect.errors.RetriableException",
            ErrorKind::Data => "org.apache.kafka.connect.errors.DataException",
            ErrorKind::Config => "org.apache.kafka.common.config.ConfigException",
            ErrorKind::Failed => "org.apache.kafka.connect.errors.ConnectException",
        }
    }

    /// The error and its causes, a line each, as a trace in a status.
    pub fn trace(&self) -> String {
        let mut trace = format!("{}: {}", self.class(), self.message);
        self.causes().for_each(|cause| trace.extend(["\nCaused by: ", &cause.to_string()]));
        trace
    }

    /// The error and its causes in one line, as in a log.
    pub fn line(&self) -> String {
        let mut line = self.message.clone();
        self.causes().for_each(|cause| line.extend([": ", &cause.to_string()]));
        line
    }

    fn causes(&self) -> impl Iterator<Item = &dyn Error> {
        let mut next = self.source();
        std::iter::from_fn(move || {
            let cause = next?;
            next = cause.source();
            Some(cause)
        })
    }
}
