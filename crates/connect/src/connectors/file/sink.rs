//! Writes the value of each record as a line, as Kafka's FileStreamSink does; or, exactly once, into a folder
//! ([`super::exactly_once`]).

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::exactly_once::ChunkSink;
use crate::connector::{Altered, Connector, Sink, SinkConnector, SinkContext, TopicOffsets, TopicPartition};
use crate::connectors::Allowed;
use crate::error::ConnectError;
use crate::notation::text::display;
use crate::record::Record;
use crate::settings::{Config, FieldError, Importance, Kind, Setting, Settings, Values};

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct FileSink {
    allowed: Arc<Allowed>,
}

impl FileSink {
    pub(in crate::connectors) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed }
    }
}

/// What is wrong with the setting `file`.
pub(super) fn check_file(allowed: &Allowed, values: &Values, without: &str) -> Vec<FieldError> {
    let problem = match values.optional_string("file") {
        Ok(Some(file)) if !file.is_empty() => allowed.check(Path::new(file)).err(),
        _ => Some(format!("A file must be named: {without}")),
    };
    problem.into_iter().map(|problem| FieldError::new("file", problem)).collect()
}

#[async_trait]
impl Connector for FileSink {
    fn settings(&self) -> Settings {
        let delivery = "at-least-once appends lines to the file. exactly-once takes it as a folder, which must exist: each \
            commit adds a file for each partition, named by topic, partition and offsets, in one step.";
        Settings::from([
            Setting::optional("file", Kind::String, "Destination filename.").importance(Importance::High),
            Setting::new("delivery", Kind::String, "at-least-once", delivery)
                .one_of(["at-least-once", "exactly-once"]),
        ])
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        check_file(&self.allowed, values, "standard output is not written")
    }

    async fn task_configs(&self, values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![values.raw().clone(); tasks_max])
    }
}

#[async_trait]
impl SinkConnector for FileSink {
    fn task(&self, values: &Values, context: SinkContext) -> Result<Box<dyn Sink>, ConnectError> {
        let path = PathBuf::from(values.string("file")?);
        self.allowed.check(&path).map_err(ConnectError::config)?;
        if values.string("delivery")? == "exactly-once" {
            return Ok(Box::new(ChunkSink::new(path, context)));
        }
        Ok(Box::new(FileSinkTask { path, file: None, lines: Vec::new() }))
    }

    async fn alter_offsets(
        &self,
        values: &Values,
        _offsets: &std::collections::BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<Altered, ConnectError> {
        if values.string("delivery")? == "exactly-once" {
            return Err(ConnectError::failed(
                "The names of the files say the offsets; move the files instead",
            ));
        }
        Ok(Altered::Supported)
    }
}

/// Adds the value of a record as a line.
pub(super) fn add_line(lines: &mut Vec<u8>, record: &Record) {
    let value = &record.value;
    match &value.value {
        crate::value::Value::String(text) => lines.extend_from_slice(text.as_bytes()),
        other => lines.extend_from_slice(display(value.schema.as_deref(), other).as_bytes()),
    }
    lines.push(b'\n');
}

/// Writes all of `lines` behind the first `length` bytes of a file, or nothing.
pub(super) fn write_whole(
    file: &mut File,
    path: &Path,
    length: u64,
    lines: &[u8],
) -> Result<(), ConnectError> {
    file.write_all(lines).map_err(|error| {
        let refused = unwritable(path, error);
        // Part of a line may be there. What is no file, as a pipe, keeps it.
        match file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length))) {
            Err(error) if length > 0 => unwritable(path, error),
            _ => refused,
        }
    })
}

/// A full disk is one that has room again some time.
pub(super) fn unwritable(path: &Path, error: Error) -> ConnectError {
    let message = format!("the file {} cannot be written", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ConnectError::retriable(message),
        _ => ConnectError::failed(message),
    }
    .because(error)
}

/// What makes writes last.
pub(super) async fn sync(file: &File, path: &Path) -> Result<(), ConnectError> {
    let failed = |error| {
        ConnectError::failed(format!("the file {} cannot be synchronised", path.display())).because(error)
    };
    let file = file.try_clone().map_err(failed)?;
    let outcome = tokio::task::spawn_blocking(move || file.sync_data()).await;
    outcome.unwrap_or_else(|panic| Err(Error::other(panic))).map_err(failed)
}

/// The task that appends.
#[derive(Debug)]
struct FileSinkTask {
    path: PathBuf,
    file: Option<File>,
    /// Lines of a batch.
    lines: Vec<u8>,
}

#[async_trait]
impl Sink for FileSinkTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let refuse = |error| {
            let message =
                format!("Couldn't find or create file '{}' for FileStreamSinkTask", self.path.display());
            ConnectError::failed(message).because(error)
        };
        self.file = Some(file.map_err(refuse)?);
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        let Some(file) = &mut self.file else { return Err(ConnectError::failed("the file is not open")) };
        self.lines.clear();
        records.iter().for_each(|record| add_line(&mut self.lines, record));
        // Other tasks may append as well. Where there are no locks, they trust that none of them is cut off.
        let locked = file.lock().is_ok();
        let written = match file.metadata() {
            Ok(known) => write_whole(file, &self.path, known.len(), &self.lines),
            Err(error) => Err(unwritable(&self.path, error)),
        };
        if locked {
            file.unlock().map_err(|error| unwritable(&self.path, error))?;
        }
        written
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        match &self.file {
            Some(file) => sync(file, &self.path).await.map(|()| taken),
            None => Err(ConnectError::failed("the file is not open")),
        }
    }

    async fn close(&mut self) {
        self.file = None;
    }
}
