//! Writes records as lines of JSON into an object store, each of them in exactly one object.
//!
//! Objects are named by topic, place, partition and first offset: `TOPIC/partition=3/TOPIC+3+0000000042.json`. When an object
//! is complete, all that are begun for its partition of the topic are written, and only then offsets may be committed. What
//! completes an object (records, bytes, timestamps) follows from the records alone. So a task that begins again at the
//! committed offsets writes the same objects again, with the same names and contents, and nothing is there twice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::{Path, PathPart};
use object_store::{ObjectStore, ObjectStoreExt};

use super::Allowed;
use crate::connector::{
    Altered, Connector, Report, Sink, SinkConnector, SinkContext, TopicOffsets, TopicPartition,
};
use crate::converters::json_line;
use crate::error::ConnectError;
use crate::notation::text::display;
use crate::notation::time::Pattern;
use crate::record::{Origin, Record};
use crate::settings::{Config, FieldError, Importance, Kind, Parsed, Setting, Settings, Values};
use crate::value::Value;

/// The bytes that complete an object.
const OBJECT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The objects that are begun for a partition at a time, which complete them all.
const OBJECTS_MAX: usize = 1000;

/// The connector.
#[derive(Debug)]
pub(super) struct ObjectSink {
    allowed: Arc<Allowed>,
    /// The store of `memory:///`.
    memory: Arc<InMemory>,
}

impl ObjectSink {
    pub(super) fn new(allowed: Arc<Allowed>) -> Self {
        Self { allowed, memory: Arc::default() }
    }

    fn store(&self, url: &str) -> Result<Arc<dyn ObjectStore>, String> {
        if url == "memory:///" {
            let memory: Arc<dyn ObjectStore> = Arc::clone(&self.memory) as _;
            return Ok(memory);
        }
        let Some(path) = url.strip_prefix("file://").filter(|path| path.starts_with('/')) else {
            return Err("An address begins with file:/// or is memory:///".to_owned());
        };
        self.allowed.check(&PathBuf::from(path))?;
        match LocalFileSystem::new_with_prefix(path) {
            Ok(store) => Ok(Arc::new(store.with_fsync(true))),
            Err(error) => Err(error.to_string()),
        }
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
        Settings::from([
            Setting::required("store.url", Kind::String, "Where objects are: file:///FOLDER or memory:///.")
                .not_empty(),
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
        ])
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let url = values.string("store.url").unwrap_or_default();
        let mut errors: Vec<FieldError> =
            self.store(url).err().map(|why| FieldError::new("store.url", why)).into_iter().collect();
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
            store: self.store(values.string("store.url")?).map_err(ConnectError::config)?,
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
        Value::Struct(fields) => fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value),
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
    is_complete: bool,
}

#[derive(Debug)]
struct Object {
    first: i64,
    records: usize,
    text: Vec<u8>,
}

impl ObjectSinkTask {
    /// Whether the objects of a partition are complete before this record.
    fn ends_before(&self, partition: &TopicPartition, record: &Record) -> bool {
        let since = self.partitions.get(partition).and_then(|begun| begun.since);
        match (self.rotate_ms, since, record.timestamp) {
            (Some(rotate), Some(since), Some(timestamp)) => timestamp.saturating_sub(since) >= rotate,
            _ => false,
        }
    }

    fn add(&mut self, partition: &TopicPartition, offset: i64, record: &Record) -> Result<(), ConnectError> {
        let line = json_line(&record.value);
        let place = self.places.of(record, partition.partition);
        let begun = self.partitions.entry(partition.clone()).or_default();
        let (line, place) = match line.and_then(|line| Ok((line, place?))) {
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
        let object = begun.objects.entry(place).or_insert_with(|| Object {
            first: offset,
            records: 0,
            text: Vec::new(),
        });
        object.text.extend_from_slice(line.as_bytes());
        object.text.push(b'\n');
        object.records += 1;
        let is_full = object.records >= self.flush_size || object.text.len() >= OBJECT_BYTES_MAX;
        begun.is_complete = is_full || begun.objects.len() >= OBJECTS_MAX;
        Ok(())
    }

    /// Writes all objects of a partition. When it fails or is given up, they are still begun, and are written again.
    async fn write(&mut self, partition: &TopicPartition) -> Result<(), ConnectError> {
        let Some(begun) = self.partitions.get_mut(partition) else { return Ok(()) };
        for (place, object) in &begun.objects {
            let name = format!("{}+{}+{:010}.json", partition.topic, partition.partition, object.first);
            let folders =
                self.folder.split('/').chain([&*partition.topic]).chain(place.iter().map(String::as_str));
            let path: Path =
                folders.filter(|part| !part.is_empty()).chain([name.as_str()]).map(PathPart::from).collect();
            let written = self.store.put(&path, object.text.clone().into()).await;
            let message = || format!("the object {path} cannot be written");
            written.map_err(|error| ConnectError::retriable(message()).because(error))?;
        }
        begun.objects.clear();
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
            if next.is_some_and(|next| coordinates.offset < next) {
                continue;
            }
            if self.partitions.get(&partition).is_some_and(|begun| begun.is_complete)
                || self.ends_before(&partition, record)
            {
                self.write(&partition).await?;
            }
            self.add(&partition, coordinates.offset, record)?;
            if self.partitions.get(&partition).is_some_and(|begun| begun.is_complete) {
                self.write(&partition).await?;
            }
        }
        Ok(())
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        let written =
            |partition: &TopicPartition| self.partitions.get(partition).and_then(|begun| begun.written);
        Ok(taken
            .into_iter()
            .filter_map(|(partition, offset)| {
                let written = written(&partition)?;
                Some((partition, written.min(offset)))
            })
            .collect())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::ObjectSink;
    use crate::connector::testing::{SinkHarness, sink_suite};
    use crate::connector::{Connector, SinkConnector, SinkContext, TopicOffsets, TopicPartition};
    use crate::connectors::Allowed;
    use crate::record::{Coordinates, Datum, Origin, Record, TimestampType};
    use crate::settings::Config;
    use crate::value::Value;

    fn config(entries: &[(&str, &str)]) -> Config {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The objects of a folder, with their lines.
    fn files(folder: &std::path::Path) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).expect("text");
                let name = path.strip_prefix(folder).expect("inside").display().to_string();
                found.push((name, text.lines().map(str::to_owned).collect()));
            }
        }
        found.sort();
        found
    }

    struct Folder(tempfile::TempDir);

    #[async_trait]
    impl SinkHarness for Folder {
        fn connector(&self) -> Arc<dyn SinkConnector> {
            Arc::new(ObjectSink::new(Arc::new(Allowed::everything())))
        }

        fn config(&self) -> Config {
            config(&[("store.url", &format!("file://{}", self.0.path().display())), ("flush.size", "5")])
        }

        async fn written(&mut self) -> Vec<String> {
            let lines = files(self.0.path()).into_iter().flat_map(|(_, lines)| lines);
            lines.map(|line| line.trim_matches('"').to_owned()).collect()
        }

        fn is_exactly_once(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn the_sink_keeps_the_rules() {
        sink_suite(Folder(tempfile::tempdir().expect("a folder"))).await;
    }

    fn record(offset: i64, region: &'static str) -> Record {
        let text = |text: &'static str| Value::String(text.into());
        let entries = vec![(text("region"), text(region)), (text("n"), Value::Int64(offset))];
        Record {
            topic: "t".into(),
            partition: Some(3),
            key: Datum::default(),
            value: Datum::schemaless(Value::Map(entries)),
            timestamp: Some(1_795_187_045_006 + offset * 1000),
            headers: Vec::new(),
            origin: Origin::Topic(Coordinates {
                topic: "t".into(),
                partition: 3,
                offset,
                timestamp_type: TimestampType::CreateTime,
            }),
        }
    }

    #[tokio::test]
    async fn records_are_sorted_and_objects_are_the_same_after_a_restart() {
        let by_field =
            vec![("partition.by", "field"), ("partition.field.name", "region"), ("flush.size", "2")];
        let by_time =
            vec![("partition.by", "time"), ("path.format", "'day='yyyy-MM-dd/HH"), ("flush.size", "3")];
        let by_age = vec![("rotate.interval.ms", "2000"), ("topics.dir", "")];
        let cases = [
            (
                by_field,
                vec![
                    "topics/t/region=a%2F..%2F/t+3+0000000000.json",
                    "topics/t/region=b/t+3+0000000001.json",
                ],
                Some(3),
            ),
            (by_time, vec!["topics/t/day=2026-11-20/15/t+3+0000000000.json"], Some(3)),
            (by_age, vec!["t/partition=3/t+3+0000000000.json", "t/partition=3/t+3+0000000002.json"], Some(4)),
        ];
        for (settings, names, committed) in cases {
            let connector = ObjectSink::new(Arc::new(Allowed::everything()));
            let mut given = config(&settings);
            given.insert("store.url".to_owned(), "memory:///".to_owned());
            let values = connector.settings().parse(&given).expect("settings");
            assert!(connector.validate(&values).await.is_empty());
            let mut contents = Vec::new();
            for _ in ["a task", "one that takes its place"] {
                let mut task = connector.task(&values, SinkContext::new("c", 0, false)).expect("a task");
                task.start().await.expect("a start");
                let partition = TopicPartition { topic: "t".into(), partition: 3 };
                task.open(std::slice::from_ref(&partition)).await.expect("a partition");
                let regions = ["a/../", "b", "a/../", "b", "b"];
                for (offset, region) in (0..5).zip(regions) {
                    task.put(&[record(offset, region), record(offset, region)]).await.expect("records");
                }
                let taken: TopicOffsets = [(partition.clone(), 5)].into();
                let allowed = task.precommit(taken).await.expect("offsets");
                if settings.iter().any(|(_, value)| *value == "field") {
                    assert_eq!(allowed.get(&partition), Some(&5), "b is complete as well");
                } else {
                    assert_eq!(allowed.get(&partition).copied(), committed);
                }
                let mut found = Vec::new();
                for name in &names {
                    let path = Path::parse(name).expect("a path");
                    let bytes = connector.memory.get(&path).await.expect(name).bytes().await.expect("bytes");
                    found.push(bytes);
                }
                contents.push(found);
                task.close().await;
            }
            assert_eq!(contents.first(), contents.last());
        }
    }

    #[tokio::test]
    async fn addresses_are_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        let connector = ObjectSink::new(Arc::new(Allowed::folders([folder.path().to_owned()])));
        let inside = format!("file://{}", folder.path().display());
        let cases = [
            (inside.as_str(), true),
            ("file:///etc", false),
            ("s3://bucket", false),
            ("file://relative", false),
            ("memory:///", true),
        ];
        for (url, expected) in cases {
            let values = connector.settings().parse(&config(&[("store.url", url)])).expect("settings");
            assert_eq!(connector.validate(&values).await.is_empty(), expected, "{url}");
        }
        let values =
            connector.settings().parse(&config(&[("store.url", "memory:///"), ("partition.by", "field")]));
        assert_eq!(connector.validate(&values.expect("settings")).await.len(), 1);
        let _store: &dyn ObjectStore = &*connector.memory;
    }
}
