//! Reads objects, folder by folder and in the order of their names: what the sink wrote, and what others do who name objects
//! in the order in which they come.
//!
//! Each folder has a position: `{"store": …, "folder": …}` and `{"object": …, "delivered": …}`, the name of an object in it
//! and how many of its records are done. Objects do not change; a new one in a folder has a name behind those that were read.
//! How they are found is [`Listing`]'s.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::Value as Stored;
use tokio::time::Instant;

use super::content::Records;
use super::listing::Listing;
use super::{Stores, URL, failure, is_ordered};
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
/// The folders whose positions are kept.
const FOLDERS_MAX: usize = 1_000_000;

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
        let own = [
            Setting::new("topics.dir", Kind::String, "topics", "The folder to read, with all in it."),
            Setting::optional("topic", Kind::String, topic).importance(Importance::High),
            Setting::new(
                "poll.interval.ms",
                Kind::Long,
                "10000",
                "How long to wait before looking for new objects.",
            )
            .at_least(1),
        ];
        super::settings().into_iter().chain(own).collect()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        self.stores.open(values).err().unwrap_or_default()
    }
}

#[async_trait]
impl SourceConnector for ObjectSource {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        Ok(Box::new(ObjectSourceTask {
            store: self.stores.open_valid(values)?,
            is_ordered: is_ordered(values.string(URL)?),
            url: values.string(URL)?.to_owned(),
            root: Path::from(values.string("topics.dir")?),
            topic: values.optional_string("topic")?.map(|topic| topic.to_owned().into()),
            interval: Duration::from_millis(values.number("poll.interval.ms")?.unsigned_abs()),
            offsets: context.offsets,
            folders: BTreeMap::new(),
            listing: None,
            listings: 0,
            found: None,
            reading: None,
            opened: None,
            rest_until: None,
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
            let is_ours = partition.get(STORE).and_then(Stored::as_str) == Some(values.string(URL)?);
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

/// An object that is being read. It goes on where it was when a poll is given up.
struct Reading {
    folder: String,
    name: String,
    /// The records that are done.
    skipped: usize,
    bytes: BoxFuture<'static, object_store::Result<Bytes>>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reading").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// An object whose records are taken.
#[derive(Debug)]
struct Opened {
    folder: String,
    name: String,
    topic: ByteString,
    partition: Arc<SourceMap>,
    /// The records that are done.
    skipped: usize,
    /// The records that were taken, and those that are left.
    taken: usize,
    rest: Records,
}

impl Opened {
    fn path(&self) -> String {
        if self.folder.is_empty() { self.name.clone() } else { format!("{}/{}", self.folder, self.name) }
    }
}

/// The task.
#[derive(Debug)]
struct ObjectSourceTask {
    store: Arc<dyn ObjectStore>,
    is_ordered: bool,
    url: String,
    root: Path,
    topic: Option<ByteString>,
    interval: Duration,
    offsets: Arc<dyn OffsetReader>,
    /// By the folder.
    folders: BTreeMap<String, Read>,
    /// What is worked off, and how many listings were before.
    listing: Option<Listing>,
    listings: u64,
    /// What was found, and is not judged yet.
    found: Option<ObjectMeta>,
    reading: Option<Reading>,
    opened: Option<Opened>,
    /// When the next listing begins.
    rest_until: Option<Instant>,
    /// Records that were not returned yet.
    ready: VecDeque<Record>,
}

impl ObjectSourceTask {
    fn partition(&self, folder: &str) -> SourceMap {
        let entries = [(STORE, self.url.as_str()), (FOLDER, folder)];
        entries.map(|(name, value)| (name.to_owned(), Stored::from(value))).into_iter().collect()
    }

    /// One step on the way to more records. When it is given up, the next one does the same.
    async fn step(&mut self) -> Result<(), ConnectError> {
        if self.opened.is_some() {
            return self.take();
        }
        if let Some(reading) = &mut self.reading {
            let bytes = (&mut reading.bytes).await;
            let Some(reading) = self.reading.take() else { return Ok(()) };
            self.opened = Some(self.open(reading, bytes)?);
            return Ok(());
        }
        let found = match &self.found {
            Some(found) => found.clone(),
            None => match self.next().await? {
                Some(found) => self.found.insert(found).clone(),
                None => {
                    self.listing = None;
                    self.listings += 1;
                    self.rest_until = Some(Instant::now() + self.interval);
                    return Ok(());
                }
            },
        };
        let path = found.location.to_string();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let done = self.done(folder).await?;
        self.found = None;
        let skipped = if name == done.object { done.delivered } else { 0 };
        if name < done.object.as_str() || skipped == usize::MAX {
            if let Some(listing) = self.listing.as_mut().filter(|_| done.delivered == usize::MAX) {
                listing.pass(folder, &done.object);
            }
            return Ok(());
        }
        if found.size > OBJECT_BYTES_MAX {
            return Err(ConnectError::failed(format!(
                "the object {path} has more than {OBJECT_BYTES_MAX} bytes"
            )));
        }
        let (store, (folder, name)) = (Arc::clone(&self.store), (folder.to_owned(), name.to_owned()));
        let bytes = async move { store.get(&found.location).await?.bytes().await }.boxed();
        self.reading = Some(Reading { folder, name, skipped, bytes });
        Ok(())
    }

    /// The next object of the listing; nothing at its end.
    async fn next(&mut self) -> Result<Option<ObjectMeta>, ConnectError> {
        if let Some(until) = self.rest_until {
            tokio::time::sleep_until(until).await;
            self.rest_until = None;
        }
        let listing = match &mut self.listing {
            Some(listing) => listing,
            none => none.insert(Listing::begin(&self.store, self.is_ordered, &self.root, self.listings)),
        };
        listing.next().await
    }

    /// How far a folder is read.
    async fn done(&mut self, folder: &str) -> Result<Read, ConnectError> {
        if let Some(done) = self.folders.get(folder) {
            return Ok(done.clone());
        }
        if self.folders.len() >= FOLDERS_MAX {
            return Err(ConnectError::failed(format!("there are more than {FOLDERS_MAX} folders")));
        }
        let partition = self.partition(folder);
        let offsets = Arc::clone(&self.offsets);
        let stored = offsets.offsets(&[partition]).await?.into_iter().next().flatten();
        let given = |key| stored.as_ref().and_then(|offset| offset.get(key));
        let delivered = given(DELIVERED).and_then(Stored::as_u64).and_then(|done| done.try_into().ok());
        let object = given(OBJECT).and_then(Stored::as_str).unwrap_or_default().to_owned();
        let done = Read { object, delivered: delivered.unwrap_or(0) };
        self.folders.insert(folder.to_owned(), done.clone());
        Ok(done)
    }

    /// Looks into an object that was read.
    fn open(&self, reading: Reading, bytes: object_store::Result<Bytes>) -> Result<Opened, ConnectError> {
        let Reading { folder, name, skipped, .. } = reading;
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            // It was there a moment ago: the next listing shows whether it still is.
            Err(error @ object_store::Error::NotFound { .. }) => {
                return Err(ConnectError::retriable(format!("the object {path} is gone")).because(error));
            }
            Err(error) => return Err(failure(format!("the object {path} cannot be read"), error)),
        };
        let rest = Records::new(&name, bytes).map_err(|error| of_object(&path, error))?;
        let topic = self.topic.clone().or_else(|| Some(name.split_once('+')?.0.to_owned().into()));
        let Some(topic) = topic else {
            return Err(ConnectError::failed(format!("the object {path} names no topic; set topic")));
        };
        let partition = Arc::new(self.partition(&folder));
        Ok(Opened { folder, name, topic, partition, skipped, taken: 0, rest })
    }

    /// Makes records of some that are left in an object.
    fn take(&mut self) -> Result<(), ConnectError> {
        let Some(opened) = &mut self.opened else { return Ok(()) };
        let data = opened.rest.next().map_err(|error| of_object(&opened.path(), error))?;
        if data.is_empty() {
            let done = Read { object: opened.name.clone(), delivered: usize::MAX };
            self.folders.insert(opened.folder.clone(), done);
            self.opened = None;
            return Ok(());
        }
        for datum in data {
            opened.taken += 1;
            if opened.taken <= opened.skipped {
                continue;
            }
            let offset =
                [(OBJECT, Stored::from(opened.name.as_str())), (DELIVERED, Stored::from(opened.taken))];
            let offset = offset.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
            let position = Position { partition: Arc::clone(&opened.partition), offset };
            self.ready.push_back(Record::new(opened.topic.clone(), datum, position));
        }
        Ok(())
    }
}

fn of_object(path: &str, error: ConnectError) -> ConnectError {
    ConnectError { message: format!("{path}: {}", error.message), ..error }
}

#[async_trait]
impl Source for ObjectSourceTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        while self.ready.is_empty() {
            if let Err(error) = self.step().await {
                // What was found may be another way by now.
                (self.listing, self.found, self.reading, self.opened) = (None, None, None, None);
                return Err(error);
            }
        }
        let count = self.ready.len().min(BATCH_MAX);
        Ok(self.ready.drain(..count).collect())
    }
}
