//! Writes records into an object store, each of them in exactly one object.
//!
//! Objects are named by topic, place, partition and first offset: `TOPIC/partition=3/TOPIC+3+0000000042.json`. When an object
//! is complete, all that are begun for its partition of the topic are written, and only then offsets may be committed. What
//! completes an object (records, bytes, timestamps, another schema where the format has one) follows from the records alone. So a task that begins again at the
//! committed offsets writes the same objects again, with the same names and contents, and nothing is there twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::path::{Path, PathPart};
use object_store::{ObjectStore, ObjectStoreExt};

use super::content::{Content, Encoder, Format};
use super::{Stores, failure};
use crate::connector::{
    Altered, Connector, Report, Sink, SinkConnector, SinkContext, TopicOffsets, TopicPartition,
};
use crate::error::ConnectError;
use crate::notation::text::display;
use crate::notation::time::Pattern;
use crate::record::{ConnectSchema, Origin, Record};
use crate::settings::{Config, FieldError, Importance, Kind, Parsed, Setting, Settings, Values};
use crate::value::Value;

/// The bytes that complete an object.
const OBJECT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The objects that are begun for a partition at a time, which complete them all.
const OBJECTS_MAX: usize = 1000;

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct ObjectSink {
    pub(super) stores: Arc<Stores>,
}

impl ObjectSink {
    pub(in crate::connectors) fn new(stores: Arc<Stores>) -> Self {
        Self { stores }
    }
}

#[async_trait]
impl Connector for ObjectSink {
    fn settings(&self) -> Settings {
        let by = "What objects are sorted by below their topic: topic-partition, field or time.";
        let fields = "The fields of the value that objects are sorted by, with partition.by=field.";
        let time = "The folders of times, with partition.by=time: a pattern of SimpleDateFormat, for the timestamps of \
            records in UTC.";
        let rotate = "Records whose timestamps are so many milliseconds apart are in different objects; -1 is no limit.";
        let own = [
            Setting::new(
                "topics.dir",
                Kind::String,
                "topics",
                "The folder that the folders of topics are in.",
            ),
            Setting::new("partition.by", Kind::String, "topic-partition", by).one_of([
                "topic-partition",
                "field",
                "time",
            ]),
            Setting::optional("partition.field.name", Kind::List, fields),
            Setting::new("path.format", Kind::String, "'year='yyyy/'month='MM/'day='dd/'hour='HH", time)
                .checked(|value| match value {
                    Parsed::String(text) => Pattern::new(text).map(drop).map_err(|error| error.to_string()),
                    _ => Ok(()),
                }),
            Setting::new("flush.size", Kind::Int, "1000", "The records that complete an object.")
                .importance(Importance::High)
                .between(1, 1_000_000),
            Setting::new("rotate.interval.ms", Kind::Long, "-1", rotate).at_least(-1),
        ];
        super::settings().into_iter().chain(Format::settings()).chain(own).collect()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let mut errors = self.stores.open(values).err().unwrap_or_default();
        if let Err(error) = Places::new(values) {
            errors.push(FieldError::new("partition.field.name", error.message));
        }
        errors
    }

    async fn task_configs(&self, values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok(vec![values.raw().clone(); tasks_max])
    }
}

#[async_trait]
impl SinkConnector for ObjectSink {
    fn task(&self, values: &Values, context: SinkContext) -> Result<Box<dyn Sink>, ConnectError> {
        Ok(Box::new(ObjectSinkTask {
            store: self.stores.open_valid(values)?,
            encoder: Encoder::new(Format::of(values)?),
            folder: values.string("topics.dir")?.to_owned(),
            places: Places::new(values)?,
            flush_size: usize::try_from(values.number("flush.size")?).unwrap_or(1),
            rotate_ms: Some(values.number("rotate.interval.ms")?).filter(|rotate| *rotate > 0),
            context,
            partitions: BTreeMap::new(),
        }))
    }

    async fn alter_offsets(
        &self,
        _values: &Values,
        _offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Supported)
    }
}

/// Where records go below the folder of their topic.
#[derive(Debug)]
enum Places {
    Partition,
    Fields(Vec<String>),
    Time(Pattern),
}

impl Places {
    fn new(values: &Values) -> Result<Self, ConnectError> {
        Ok(match values.string("partition.by")? {
            "field" => match values.list("partition.field.name")? {
                [] => return Err(ConnectError::config("partition.by=field needs the names of fields")),
                fields => Self::Fields(fields.to_vec()),
            },
            "time" => {
                let pattern = Pattern::new(values.string("path.format")?);
                Self::Time(pattern.map_err(|error| ConnectError::config(error.to_string()))?)
            }
            _ => Self::Partition,
        })
    }

    /// The folders of a record.
    fn of(&self, record: &Record, partition: i32) -> Result<Vec<String>, ConnectError> {
        match self {
            Self::Partition => Ok(vec![format!("partition={partition}")]),
            Self::Fields(names) => {
                names.iter().map(|name| Ok(format!("{name}={}", field(record, name)?))).collect()
            }
            Self::Time(pattern) => match record.timestamp {
                Some(timestamp) => Ok(pattern.write(timestamp).split('/').map(str::to_owned).collect()),
                None => Err(ConnectError::data("the record has no timestamp to sort it by")),
            },
        }
    }
}

/// The text of a field of the value.
fn field(record: &Record, name: &str) -> Result<String, ConnectError> {
    let schema =
        record.value.schema.as_deref().and_then(|schema| schema.field(name)).map(|field| &*field.schema);
    let value = match &record.value.value {
        Value::Struct(fields) => fields.get(name),
        Value::Map(entries) => {
            let is_meant = |(key, _): &&(Value, Value)| matches!(key, Value::String(key) if *key == name);
            entries.iter().rev().find(is_meant).map(|(_, value)| value)
        }
        _ => None,
    };
    match value {
        Some(value) if *value != Value::Null => Ok(display(schema, value)),
        _ => Err(ConnectError::data(format!("the record has no field {name} to sort it by"))),
    }
}

/// The task.
#[derive(Debug)]
struct ObjectSinkTask {
    store: Arc<dyn ObjectStore>,
    encoder: Encoder,
    folder: String,
    places: Places,
    flush_size: usize,
    rotate_ms: Option<i64>,
    context: SinkContext,
    partitions: BTreeMap<TopicPartition, Begun>,
}

/// What is begun for a partition.
#[derive(Debug, Default)]
struct Begun {
    objects: BTreeMap<Vec<String>, Object>,
    /// Behind the last record that was taken.
    next: Option<i64>,
    /// Behind what is written.
    written: Option<i64>,
    /// The timestamp of the first record of the objects.
    since: Option<i64>,
    /// The schema of the objects, where the format has one.
    schema: Option<Arc<ConnectSchema>>,
    is_complete: bool,
}

#[derive(Debug)]
struct Object {
    first: i64,
    records: usize,
    content: Content,
}

impl ObjectSinkTask {
    fn is_complete(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(|begun| begun.is_complete)
    }

    /// Whether the objects of a partition are complete before this record.
    fn ends_before(&self, partition: &TopicPartition, record: &Record) -> bool {
        let Some(begun) = self.partitions.get(partition) else { return false };
        let schema = record.value.schema.as_ref().filter(|_| self.encoder.format.has_schema());
        let is_same =
            |known: &Arc<ConnectSchema>| schema.is_none_or(|new| Arc::ptr_eq(known, new) || known == new);
        if begun.schema.as_ref().is_some_and(|known| !is_same(known)) {
            return true;
        }
        let since = begun.since;
        match (self.rotate_ms, since, record.timestamp) {
            (Some(rotate), Some(since), Some(timestamp)) => timestamp.saturating_sub(since) >= rotate,
            _ => false,
        }
    }

    fn add(&mut self, partition: &TopicPartition, offset: i64, record: &Record) -> Result<(), ConnectError> {
        let place = self.places.of(record, partition.partition);
        let begun = self.partitions.entry(partition.clone()).or_default();
        let item = self.encoder.item(&record.value);
        let (item, place) = match item.and_then(|item| Ok((item, place?))) {
            Ok(both) => both,
            Err(error) => {
                return match self.context.report(record, error) {
                    Report::Taken => {
                        begun.next = Some(offset + 1);
                        Ok(())
                    }
                    Report::Refused(error) => Err(error),
                };
            }
        };
        begun.next = Some(offset + 1);
        begun.since = begun.since.or(record.timestamp);
        if self.encoder.format.has_schema() {
            begun.schema.clone_from(&record.value.schema);
        }
        let object = begun.objects.entry(place).or_insert_with(|| Object {
            first: offset,
            records: 0,
            content: Content::default(),
        });
        object.content.add(item);
        object.records += 1;
        let is_full = object.records >= self.flush_size || object.content.bytes() >= OBJECT_BYTES_MAX;
        begun.is_complete = is_full || begun.objects.len() >= OBJECTS_MAX;
        Ok(())
    }

    /// Writes all objects of a partition. When it fails or is given up, they are still begun, and are written again.
    async fn write(&mut self, partition: &TopicPartition) -> Result<(), ConnectError> {
        let Some(begun) = self.partitions.get_mut(partition) else { return Ok(()) };
        for (place, object) in &begun.objects {
            let (topic, extension) = (&partition.topic, self.encoder.format.extension());
            let name = format!("{topic}+{}+{:010}.{extension}", partition.partition, object.first);
            let folders =
                self.folder.split('/').chain([&*partition.topic]).chain(place.iter().map(String::as_str));
            let path: Path =
                folders.filter(|part| !part.is_empty()).chain([name.as_str()]).map(PathPart::from).collect();
            let bytes = object.content.object(self.encoder.format, begun.schema.as_ref())?;
            let written = self.store.put(&path, bytes.into()).await;
            written.map_err(|error| failure(format!("the object {path} cannot be written"), error))?;
        }
        begun.objects.clear();
        begun.schema = None;
        (begun.written, begun.since, begun.is_complete) = (begun.next, None, false);
        Ok(())
    }
}

#[async_trait]
impl Sink for ObjectSinkTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        for partition in partitions {
            self.partitions.insert(partition.clone(), Begun::default());
        }
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        for record in records {
            let Origin::Topic(coordinates) = &record.origin else {
                return Err(ConnectError::failed("a record has no offset"));
            };
            let partition =
                TopicPartition { topic: coordinates.topic.clone(), partition: coordinates.partition };
            let next = self.partitions.get(&partition).and_then(|begun| begun.next);
            let is_taken = next.is_some_and(|next| coordinates.offset < next);
            // What could not be written comes again with the records that completed it.
            if self.is_complete(&partition) || (!is_taken && self.ends_before(&partition, record)) {
                self.write(&partition).await?;
            }
            if is_taken {
                continue;
            }
            self.add(&partition, coordinates.offset, record)?;
            if self.is_complete(&partition) {
                self.write(&partition).await?;
            }
        }
        Ok(())
    }

    /// Where objects end, and nowhere else: a task that began within one would write its rest under another name. What is
    /// written of records that still count as waiting is committed with them.
    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        let written =
            |partition: &TopicPartition| self.partitions.get(partition).and_then(|begun| begun.written);
        let end = |(partition, offset)| {
            let written = written(&partition).filter(|written| *written <= offset)?;
            Some((partition, written))
        };
        Ok(taken.into_iter().filter_map(end).collect())
    }

    async fn revoke(&mut self, partitions: &[TopicPartition], _lost: bool) {
        for partition in partitions {
            self.partitions.remove(partition);
        }
    }

    async fn close(&mut self) {
        self.partitions.clear();
    }
}
