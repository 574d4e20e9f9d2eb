//! Follows a file and makes a record of each line, with the positions of Kafka's FileStreamSource:
//! `{"filename": …}` and `{"position": …}`, in bytes.
//!
//! Lines end with `\n`, `\r\n` or `\r`; a line without an end is not finished yet. When the file is replaced by another one of
//! its name, the old one is read to its end and then the new one from its beginning; so is one that was made shorter.
//!
//! Reads are short and mostly from the page cache, so they are made where the task runs.

use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use memchr::memchr2;
use serde_json::Value as Json;
use tokio::time::sleep;

use crate::connector::{
    Altered, Connector, ExactlyOnce, OffsetReader, Source, SourceConnector, SourceContext,
};
use crate::connectors::Allowed;
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Datum, Position, Record, SourceMap, SourceOffset, Type};
use crate::settings::{Config, FieldError, Importance, Kind, Setting, Settings, Values};
use crate::value::Value;
use crate::worker::ticks::until_next;

/// How much is read at once, in bytes: twice as much with each read that finds something, and little again after a rest.
const READ_BYTES: (usize, usize) = (4 * 1024, 256 * 1024);
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long to wait for more of a file, or for a file, at first and at most: a file that rests costs next to nothing.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

const FILENAME: &str = "filename";
const POSITION: &str = "position";

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct FileSource {
    allowed: Arc<Allowed>,
}

impl FileSource {
    pub(in crate::connectors) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed }
    }
}

#[async_trait]
impl Connector for FileSource {
    fn settings(&self) -> Settings {
        let batch =
            "The maximum number of records the source task can read from the file each time it is polled";
        Settings::from([
            Setting::optional("file", Kind::String, "Source filename.").importance(Importance::High),
            Setting::required("topic", Kind::String, "The topic to publish data to").not_empty(),
            Setting::new("batch.size", Kind::Int, "2000", batch)
                .importance(Importance::Low)
                .between(1, 100_000),
        ])
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        super::sink::check_file(&self.allowed, values, "standard input is not read")
    }

    async fn task_configs(&self, values: &Values, _tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![values.raw().clone()])
    }
}

#[async_trait]
impl SourceConnector for FileSource {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let name = values.string("file")?.to_owned();
        self.allowed.check(Path::new(&name)).map_err(ConnectError::config)?;
        Ok(Box::new(FileSourceTask {
            path: PathBuf::from(&name),
            partition: Arc::new(SourceMap::from_iter([(FILENAME.to_owned(), Json::from(name))])),
            topic: values.string("topic")?.into(),
            batch: usize::try_from(values.number("batch.size")?).unwrap_or(1),
            schema: ConnectSchema::of(Type::String),
            offsets: context.offsets,
            position: 0,
            open: None,
            pause: PAUSE.0,
        }))
    }

    fn exactly_once(&self, _values: &Values) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn alter_offsets(
        &self,
        _values: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        for (partition, offset) in offsets {
            let Some(offset) = offset else { continue };
            let position = offset.get(POSITION).ok_or_else(|| {
                ConnectError::failed(format!(
                    "Offset objects should either be null or contain the key '{POSITION}'"
                ))
            })?;
            let number = position.as_i64().ok_or_else(|| {
                ConnectError::failed(format!(
                    "The value for the '{POSITION}' key in the offset is expected to be a Long value"
                ))
            })?;
            if number < 0 {
                return Err(ConnectError::failed(format!(
                    "The value for the '{POSITION}' key in the offset should be a non-negative value"
                )));
            }
            if !partition.contains_key(FILENAME) {
                return Err(ConnectError::failed(format!(
                    "Partition objects should contain the key '{FILENAME}'"
                )));
            }
        }
        Ok(Altered::Supported)
    }
}

/// The task.
#[derive(Debug)]
struct FileSourceTask {
    path: PathBuf,
    partition: Arc<SourceMap>,
    topic: ByteString,
    batch: usize,
    schema: Arc<ConnectSchema>,
    offsets: Arc<dyn OffsetReader>,
    /// Behind the last line that was returned.
    position: u64,
    open: Option<OpenFile>,
    /// How long the next rest is.
    pause: Duration,
}

/// A file, and what was read of it and not returned.
#[derive(Debug)]
struct OpenFile {
    file: File,
    /// Which file it is: device and number.
    identity: (u64, u64),
    buffer: BytesMut,
    /// How much of the buffer has no end of a line.
    searched: usize,
    /// How much the next read takes.
    room: usize,
}

impl OpenFile {
    fn new(path: &Path, position: &mut u64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.len() < *position {
            *position = 0;
        }
        file.seek(SeekFrom::Start(*position))?;
        Ok(Self {
            file,
            identity: identity(&metadata),
            buffer: BytesMut::new(),
            searched: 0,
            room: READ_BYTES.0,
        })
    }

    /// Reads more; how much it was.
    fn read(&mut self) -> std::io::Result<usize> {
        let before = self.buffer.len();
        self.buffer.resize(before + self.room, 0);
        let read = self.file.read(self.buffer.get_mut(before..).unwrap_or_default());
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        self.room = (self.room * 2).min(READ_BYTES.1);
        read
    }

    /// The next line, and how many bytes it takes with its end. It is a part of what was read, and no copy.
    fn line(&mut self) -> Option<(Bytes, usize)> {
        let rest = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = memchr2(b'\n', b'\r', rest).map(|end| self.searched + end) else {
            self.searched = self.buffer.len();
            return None;
        };
        let length = match (self.buffer.get(end), self.buffer.get(end + 1)) {
            // What comes next may belong to it.
            (Some(b'\r'), None) => {
                self.searched = end;
                return None;
            }
            (Some(b'\r'), Some(b'\n')) => end + 2,
            _ => end + 1,
        };
        self.searched = 0;
        let mut line = self.buffer.split_to(length);
        line.truncate(end);
        Some((line.freeze(), length))
    }

    /// A file that rests keeps no more than the line that is not finished.
    fn rest(&mut self) {
        self.buffer = BytesMut::from(&*self.buffer);
        self.room = READ_BYTES.0;
    }
}

impl FileSourceTask {
    /// The lines that are there, after one read.
    fn read(&mut self) -> Result<Vec<Record>, ConnectError> {
        let mut records = Vec::new();
        let Some(open) = &mut self.open else { return Ok(records) };
        loop {
            while records.len() < self.batch
                && let Some((line, length)) = open.line()
            {
                self.position += length as u64;
                let value =
                    Datum { schema: Some(Arc::clone(&self.schema)), value: Value::String(text(line)) };
                let offset = SourceOffset::Number(POSITION, self.position.into());
                let position = Position { partition: Arc::clone(&self.partition), offset };
                records.push(Record::new(self.topic.clone(), value, position));
            }
            if !records.is_empty() {
                return Ok(records);
            }
            if open.buffer.len() > LINE_BYTES_MAX {
                let message = format!(
                    "the file {} has a line of more than {LINE_BYTES_MAX} bytes",
                    self.path.display()
                );
                return Err(ConnectError::failed(message));
            }
            let read = open.read().map_err(|error| unreadable(&self.path, error))?;
            if read == 0 {
                open.rest();
                return Ok(records);
            }
        }
    }

    /// What is there under the name now, if anything is.
    fn found(&self) -> Result<Option<Metadata>, ConnectError> {
        match std::fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some(metadata)),
            // It will come.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&self.path, error)),
        }
    }

    /// Whether the open file still has the name, and ends where reading has ended.
    fn rests(&self) -> Result<bool, ConnectError> {
        let Some(open) = &self.open else { return Ok(false) };
        let read = self.position + open.buffer.len() as u64;
        let same = |found: Metadata| open.identity == identity(&found) && found.len() == read;
        Ok(self.found()?.is_some_and(same))
    }

    /// Goes to the file that has the name now, unless it is the open one. Returns whether there is one to go to.
    fn follow(&mut self) -> Result<bool, ConnectError> {
        let Some(found) = self.found()? else { return Ok(false) };
        if let Some(open) = &self.open {
            if open.identity == identity(&found) && found.len() >= self.position {
                return Ok(false);
            }
            self.position = 0;
        }
        let open =
            OpenFile::new(&self.path, &mut self.position).map_err(|error| unreadable(&self.path, error))?;
        self.open = Some(open);
        Ok(true)
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// What is no UTF-8 becomes the replacement character.
fn text(line: Bytes) -> ByteString {
    ByteString::try_from(line.clone()).unwrap_or_else(|_| String::from_utf8_lossy(&line).into_owned().into())
}

fn unreadable(path: &Path, error: std::io::Error) -> ConnectError {
    ConnectError::retriable(format!("the file {} cannot be read", path.display())).because(error)
}

#[async_trait]
impl Source for FileSourceTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let stored = self.offsets.offsets(&[(*self.partition).clone()]).await?;
        if let Some(Some(offset)) = stored.first() {
            let position = offset.get(POSITION).map(|position| position.as_u64().ok_or("no position"));
            let position = position
                .transpose()
                .map_err(|_| ConnectError::failed("Offset position is the incorrect type"))?;
            self.position = position.unwrap_or(0);
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        loop {
            let records = self.read()?;
            if !records.is_empty() {
                self.pause = PAUSE.0;
                return Ok(records);
            }
            if self.follow()? {
                continue;
            }
            loop {
                sleep(until_next(self.pause)).await;
                self.pause = (self.pause * 2).min(PAUSE.1);
                if !self.rests()? {
                    break;
                }
            }
        }
    }

    async fn close(&mut self) {
        self.open = None;
    }
}
