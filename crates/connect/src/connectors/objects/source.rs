//! Reads objects, folder by folder and in the order of their names: what the sink wrote, and what others do who name objects
//! in the order in which they come.
//!
//! Each folder has a position: `{"store": …, "folder": …}` and `{"object": …, "delivered": …}`, the name of an object in it
//! and how many of its records are done. Objects do not change; a new one in a folder has a name behind those that were read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value as Stored;

use super::Stores;
use super::content::read;
use crate::connector::{
    Altered, Connector, ExactlyOnce, OffsetReader, Source, SourceConnector, SourceContext,
};
use crate::error::ConnectError;
use crate::record::{Position, Record, SourceMap};
use crate::settings::{FieldError, Importance, Kind, Setting, Settings, Values};

/// Records that are returned at once.
const BATCH_MAX: usize = 2000;
/// The largest object that is read, in bytes.
const OBJECT_BYTES_MAX: u64 = 256 << 20;
/// The objects that are looked at.
const OBJECTS_MAX: usize = 1_000_000;

const STORE: &str = "store";
const FOLDER: &str = "folder";
const OBJECT: &str = "object";
const DELIVERED: &str = "delivered";

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct ObjectSource {
    stores: Arc<Stores>,
}

impl ObjectSource {
    pub(in crate::connectors) fn new(stores: Arc<Stores>) -> Self {
        Self { stores }
    }
}

#[async_trait]
impl Connector for ObjectSource {
    fn settings(&self) -> Settings {
        let topic =
            "The topic to write to. Unless it is given, the one that names of objects begin with: TOPIC+…";
        Settings::from([
            super::url(),
            Setting::new("topics.dir", Kind::String, "topics", "The folder to read, with all in it."),
            Setting::optional("topic", Kind::String, topic).importance(Importance::High),
            Setting::new(
                "poll.interval.ms",
                Kind::Long,
                "10000",
                "How long to wait before looking for new objects.",
            )
            .at_least(1),
        ])
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let url = values.string("store.url").unwrap_or_default();
        self.stores.open(url).err().map(|why| FieldError::new("store.url", why)).into_iter().collect()
    }
}

#[async_trait]
impl SourceConnector for ObjectSource {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let url = values.string("store.url")?;
        Ok(Box::new(ObjectSourceTask {
            store: self.stores.open(url).map_err(ConnectError::config)?,
            url: url.to_owned(),
            root: Path::from(values.string("topics.dir")?),
            topic: values.optional_string("topic")?.map(|topic| topic.to_owned().into()),
            interval: Duration::from_millis(values.number("poll.interval.ms")?.unsigned_abs()),
            offsets: context.offsets,
            folders: BTreeMap::new(),
            ready: VecDeque::new(),
        }))
    }

    fn exactly_once(&self, _values: &Values) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn alter_offsets(
        &self,
        values: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        for (partition, offset) in offsets {
            let is_ours = partition.get(STORE).and_then(Stored::as_str) == Some(values.string("store.url")?);
            if !is_ours || !partition.get(FOLDER).is_some_and(Stored::is_string) {
                return Err(ConnectError::failed(format!(
                    "Partition objects should have the keys '{STORE}' with store.url, and '{FOLDER}'"
                )));
            }
            let Some(offset) = offset else { continue };
            let is_number = offset.get(DELIVERED).is_some_and(Stored::is_u64);
            if !offset.get(OBJECT).is_some_and(Stored::is_string) || !is_number {
                return Err(ConnectError::failed(format!(
                    "Offset objects should have the key '{OBJECT}' with a text, and '{DELIVERED}' with a number"
                )));
            }
        }
        Ok(Altered::Supported)
    }
}

/// How far a folder is read.
#[derive(Clone, Debug, Default)]
struct Read {
    object: String,
    delivered: usize,
}

/// The task.
#[derive(Debug)]
struct ObjectSourceTask {
    store: Arc<dyn ObjectStore>,
    url: String,
    root: Path,
    topic: Option<ByteString>,
    interval: Duration,
    offsets: Arc<dyn OffsetReader>,
    /// By the folder.
    folders: BTreeMap<String, Read>,
    /// Records that were not returned yet.
    ready: VecDeque<Record>,
}

impl ObjectSourceTask {
    fn partition(&self, folder: &str) -> SourceMap {
        let entries = [(STORE, self.url.as_str()), (FOLDER, folder)];
        entries.map(|(name, value)| (name.to_owned(), Stored::from(value))).into_iter().collect()
    }

    /// Reads the next object that has something new; whether there was one.
    async fn next(&mut self) -> Result<bool, ConnectError> {
        let unreadable = |error| ConnectError::retriable("the store cannot be read").because(error);
        let mut objects: Vec<(String, String, u64)> = Vec::new();
        let mut listed = self.store.list(Some(&self.root));
        while let Some(found) = listed.try_next().await.map_err(unreadable)? {
            let path = found.location.to_string();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if objects.len() >= OBJECTS_MAX {
                return Err(ConnectError::failed(format!("there are more than {OBJECTS_MAX} objects")));
            }
            objects.push((folder.to_owned(), name.to_owned(), found.size));
        }
        drop(listed);
        objects.sort();
        for (folder, name, size) in objects {
            let done = match self.folders.get(&folder) {
                Some(done) => done.clone(),
                None => {
                    let stored =
                        self.offsets.offsets(&[self.partition(&folder)]).await?.into_iter().next().flatten();
                    let text = |key| stored.as_ref().and_then(|offset| offset.get(key));
                    let done = Read {
                        object: text(OBJECT).and_then(Stored::as_str).unwrap_or_default().to_owned(),
                        delivered: text(DELIVERED)
                            .and_then(Stored::as_u64)
                            .and_then(|done| done.try_into().ok())
                            .unwrap_or(0),
                    };
                    self.folders.insert(folder.clone(), done.clone());
                    done
                }
            };
            let skipped = if name == done.object { done.delivered } else { 0 };
            if name < done.object || skipped == usize::MAX {
                continue;
            }
            if self.read(&folder, &name, size, skipped).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads an object from a record on; whether something is there.
    async fn read(
        &mut self,
        folder: &str,
        name: &str,
        size: u64,
        skipped: usize,
    ) -> Result<bool, ConnectError> {
        let path = Path::from_iter(folder.split('/').filter(|part| !part.is_empty()).chain([name]));
        let path = Path::parse(if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
            .unwrap_or(path);
        if size > OBJECT_BYTES_MAX {
            return Err(ConnectError::failed(format!(
                "the object {path} has more than {OBJECT_BYTES_MAX} bytes"
            )));
        }
        let unreadable =
            |error| ConnectError::retriable(format!("the object {path} cannot be read")).because(error);
        let bytes = self.store.get(&path).await.map_err(unreadable)?.bytes().await.map_err(unreadable)?;
        let data = match read(name, &bytes) {
            Some(data) => {
                data.map_err(|error| ConnectError { message: format!("{path}: {}", error.message), ..error })?
            }
            None => Vec::new(),
        };
        let topic = self.topic.clone().or_else(|| Some(name.split_once('+')?.0.to_owned().into()));
        let Some(topic) = topic else {
            return Err(ConnectError::failed(format!("the object {path} names no topic; set topic")));
        };
        let partition = Arc::new(self.partition(folder));
        for (place, datum) in data.into_iter().enumerate().skip(skipped) {
            let offset = [(OBJECT, Stored::from(name)), (DELIVERED, Stored::from(place + 1))];
            let offset = offset.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
            let position = Position { partition: Arc::clone(&partition), offset };
            self.ready.push_back(Record::new(topic.clone(), datum, position));
        }
        let done = Read { object: name.to_owned(), delivered: usize::MAX };
        self.folders.insert(folder.to_owned(), done);
        Ok(!self.ready.is_empty())
    }
}

#[async_trait]
impl Source for ObjectSourceTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        while self.ready.is_empty() {
            if !self.next().await? {
                tokio::time::sleep(self.interval).await;
            }
        }
        let count = self.ready.len().min(BATCH_MAX);
        Ok(self.ready.drain(..count).collect())
    }
}
