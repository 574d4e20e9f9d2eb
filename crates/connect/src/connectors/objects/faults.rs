//! The sink and the source over a store that fails, answers late and forgets to answer, tasks killed meanwhile: each record
//! is there once.
//!
//! Everything follows from a seed: `VLTAVA_OBJECT_SEEDS=17..18` runs one of them again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use vltava_core::testing::{Random, replay, seeds};

use super::tests::{config, record};
use super::{ObjectSink, ObjectSource, Stores};
use crate::connector::testing::StoredOffsets;
use crate::connector::{
    Connector, Sink, SinkConnector, SinkContext, Source, SourceConnector, TopicOffsets, TopicPartition,
};
use crate::connectors::Allowed;
use crate::error::ErrorKind;
use crate::notation::text::display;
use crate::record::{Origin, Record};
use crate::settings::{Config, Values};

/// Where the seeds come from.
const SEEDS: &str = "VLTAVA_OBJECT_SEEDS";
/// The steps of a run.
const STEPS: usize = 120;
/// How late a late answer is.
const LATE: Duration = Duration::from_millis(10);

/// What happens to a request.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It never arrives.
    Before,
    /// It takes effect, and its answer never arrives; a listing ends in the middle.
    After,
    Late,
}

/// A store in memory with faults.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    /// None when it is healed.
    random: Mutex<Option<Random>>,
    /// The objects that were listed.
    listed: Arc<Mutex<usize>>,
}

impl Faulty {
    fn new(random: Option<Random>) -> Arc<Self> {
        Arc::new(Self { inner: InMemory::new(), random: Mutex::new(random), listed: Arc::default() })
    }

    fn heal(&self) {
        *self.random.lock() = None;
    }

    fn fault(&self) -> Fault {
        match self.random.lock().as_mut().map(|random| random.below(8)) {
            Some(0) => Fault::Before,
            Some(1) => Fault::After,
            Some(2) => Fault::Late,
            _ => Fault::None,
        }
    }

    /// All objects.
    async fn objects(&self) -> BTreeMap<String, Bytes> {
        let found: Vec<ObjectMeta> = self.inner.list(None).try_collect().await.expect("a listing");
        let mut objects = BTreeMap::new();
        for one in found {
            let bytes = self.inner.get(&one.location).await.expect("an object").bytes().await;
            objects.insert(one.location.to_string(), bytes.expect("bytes"));
        }
        objects
    }
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a store with faults")
    }
}

fn broken() -> Error {
    Error::Generic { store: "faulty", source: "injected".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.fault();
        match fault {
            Fault::Before => return Err(broken()),
            Fault::Late => tokio::time::sleep(LATE).await,
            Fault::None | Fault::After => {}
        }
        let done = self.inner.put_opts(location, payload, options).await?;
        if fault == Fault::After { Err(broken()) } else { Ok(done) }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.fault() {
            Fault::Before | Fault::After => return Err(broken()),
            Fault::Late => tokio::time::sleep(LATE).await,
            Fault::None => {}
        }
        self.inner.get_opts(location, options).await
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (fault, listed) = (self.fault(), Arc::clone(&self.listed));
        let all = self.inner.list(prefix).inspect(move |_| *listed.lock() += 1);
        match fault {
            Fault::None => all.boxed(),
            Fault::Before => stream::once(async { Err(broken()) }).boxed(),
            Fault::After => all.take(2).chain(stream::once(async { Err(broken()) })).boxed(),
            Fault::Late => all
                .then(|one| async {
                    tokio::time::sleep(LATE).await;
                    one
                })
                .boxed(),
        }
    }

    /// Like a cloud's: what lies before is not looked at.
    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = Arc::clone(&self.listed);
        self.inner.list_with_offset(prefix, offset).inspect(move |_| *listed.lock() += 1).boxed()
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(broken())
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn stores(store: &Arc<Faulty>) -> Arc<Stores> {
    Stores::with_memory(&Arc::new(Allowed::everything()), Arc::clone(store) as _)
}

fn given(connector: &dyn Connector, more: &[(&str, &str)]) -> Values {
    let mut given: Config = config(more);
    given.insert("store.url".to_owned(), "memory:///".to_owned());
    connector.settings().parse(&given).expect("settings")
}

/// What the worker does for a sink: hands over records, again after errors that may pass, commits, and begins at commits.
struct SinkWorker {
    connector: ObjectSink,
    values: Values,
    task: Box<dyn Sink>,
    place: TopicPartition,
    /// The next offset to hand over.
    next: i64,
    taken: i64,
    committed: i64,
    waiting: Vec<Record>,
}

impl SinkWorker {
    async fn new(store: &Arc<Faulty>, settings: &[(&str, &str)]) -> Self {
        let connector = ObjectSink::new(stores(store));
        let values = given(&connector, settings);
        let task = connector.task(&values, SinkContext::new("c", 0, false)).expect("a task");
        let place = TopicPartition { topic: "t".into(), partition: 3 };
        let mut worker =
            Self { connector, values, task, place, next: 0, taken: 0, committed: 0, waiting: Vec::new() };
        worker.begin().await;
        worker
    }

    /// A task that takes the place of another one.
    async fn begin(&mut self) {
        self.task = self.connector.task(&self.values, SinkContext::new("c", 0, false)).expect("a task");
        self.task.start().await.expect("a start");
        self.task.open(std::slice::from_ref(&self.place)).await.expect("a partition");
        (self.next, self.taken) = (self.committed, self.committed);
        self.waiting.clear();
    }

    /// Hands over what waits, or more; whether it was taken.
    async fn put(&mut self, count: i64, end: i64) -> bool {
        if self.waiting.is_empty() {
            let until = (self.next + count).min(end);
            let region = |offset: i64| if offset % 3 == 0 { "a" } else { "b" };
            self.waiting = (self.next..until).map(|offset| record(offset, region(offset))).collect();
            self.next = until;
        }
        match self.task.put(&self.waiting).await {
            Ok(()) => {
                self.waiting.clear();
                self.taken = self.next;
                true
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Retriable, "{error}");
                false
            }
        }
    }

    async fn commit(&mut self) {
        let taken: TopicOffsets = [(self.place.clone(), self.taken)].into();
        let allowed = self.task.precommit(taken).await.expect("offsets");
        self.committed = allowed.get(&self.place).copied().unwrap_or(self.committed);
    }
}

/// The numbers of the records in all objects, by folder, in the order of names.
async fn written(store: &Faulty) -> BTreeMap<String, Vec<i64>> {
    let mut written: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (path, bytes) in store.objects().await {
        let (folder, _) = path.rsplit_once('/').expect("a folder");
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let json = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).expect("a line"));
        let numbers = json.map(|line| line.get("n").and_then(serde_json::Value::as_i64).expect("a number"));
        written.entry(folder.to_owned()).or_default().extend(numbers);
    }
    written
}

#[tokio::test(start_paused = true)]
async fn the_sink_writes_each_record_once_whatever_happens() {
    for seed in seeds(SEEDS, 0..100) {
        let mut random = Random::new(seed);
        let size = 1 + random.below(6) as i64;
        let by_field = random.below(2) == 0;
        let by = if by_field { "field" } else { "topic-partition" };
        let store = Faulty::new(Some(Random::new(seed ^ 0x5eed)));
        let settings = [
            ("flush.size", size.to_string()),
            ("partition.by", by.to_owned()),
            ("partition.field.name", "region".to_owned()),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut worker = SinkWorker::new(&store, &settings).await;
        let end = 60;
        for _ in 0..STEPS {
            match random.below(10) {
                0 => worker.commit().await,
                1 => worker.begin().await,
                2 => {
                    // The worker gives up a task in the middle of a request.
                    let given_up = worker.put(5, end);
                    if tokio::time::timeout(LATE / 2, given_up).await.is_err() {
                        worker.begin().await;
                    }
                }
                _ => drop(worker.put(1 + random.below(7) as i64, end).await),
            }
        }
        store.heal();
        while worker.next < end || !worker.waiting.is_empty() {
            worker.put(7, end).await;
        }
        worker.commit().await;
        let written = written(&store).await;
        let mut all: Vec<i64> = written.values().flatten().copied().collect();
        assert!(written.values().all(|numbers| numbers.is_sorted()), "{}: {written:?}", replay(SEEDS, seed));
        all.sort_unstable();
        assert_eq!(all, (0..worker.committed).collect::<Vec<_>>(), "{}: {written:?}", replay(SEEDS, seed));
        if !by_field {
            assert_eq!(
                worker.committed,
                end - end % size,
                "what is complete is written: {}",
                replay(SEEDS, seed)
            );
        }
    }
}

/// Puts an object of numbers.
async fn put_object(store: &Faulty, path: &str, numbers: Range<u64>) {
    let lines: String = numbers.map(|number| format!("{number}\n")).collect();
    store.inner.put(&Path::from(path), lines.into()).await.expect("an object");
}

/// What the worker does for a source in transactions: records and positions together, or neither.
struct SourceWorker {
    connector: ObjectSource,
    values: Values,
    task: Box<dyn Source>,
    offsets: Arc<StoredOffsets>,
    open: Vec<Record>,
    delivered: Vec<String>,
}

impl SourceWorker {
    async fn new(store: &Arc<Faulty>) -> Self {
        let connector = ObjectSource::new(stores(store));
        let values = given(&connector, &[("topic", "t"), ("poll.interval.ms", "3")]);
        let offsets = Arc::new(StoredOffsets::default());
        let task = connector.task(&values, offsets.context()).expect("a task");
        let (open, delivered) = (Vec::new(), Vec::new());
        let mut worker = Self { connector, values, task, offsets, open, delivered };
        worker.begin().await;
        worker
    }

    async fn begin(&mut self) {
        self.open.clear();
        self.task = self.connector.task(&self.values, self.offsets.context()).expect("a task");
        self.task.start().await.expect("a start");
    }

    /// Polls, and gives the poll up after a while.
    async fn poll(&mut self, patience: Duration) {
        match tokio::time::timeout(patience, self.task.poll()).await {
            Ok(Ok(records)) => self.open.extend(records),
            Ok(Err(error)) => assert_eq!(error.kind, ErrorKind::Retriable, "{error}"),
            Err(_) => {}
        }
    }

    fn commit(&mut self) {
        for record in self.open.drain(..) {
            let Origin::Source(position) = &record.origin else { panic!("a record has a position") };
            self.offsets.store(position);
            self.delivered.push(display(None, &record.value.value));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_source_delivers_each_record_once_whatever_happens() {
    for seed in seeds(SEEDS, 0..100) {
        let mut random = Random::new(seed);
        let store = Faulty::new(Some(Random::new(seed ^ 0x5eed)));
        let mut worker = SourceWorker::new(&store).await;
        let (mut count, mut objects) = (0, 0);
        for _ in 0..STEPS {
            match random.below(8) {
                0 => {
                    let (folder, taken) = (random.below(3), random.below(5) as u64);
                    put_object(&store, &format!("topics/{folder}/{objects:06}.json"), count..count + taken)
                        .await;
                    (count, objects) = (count + taken, objects + 1);
                }
                1 => worker.begin().await,
                2 => worker.commit(),
                _ => worker.poll(LATE * random.below(5) as u32 / 3).await,
            }
        }
        store.heal();
        for _ in 0..200 {
            worker.poll(LATE).await;
        }
        worker.commit();
        let mut delivered: Vec<u64> =
            worker.delivered.iter().map(|text| text.parse().expect("a number")).collect();
        delivered.sort_unstable();
        assert_eq!(delivered, (0..count).collect::<Vec<_>>(), "{}", replay(SEEDS, seed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_looks_at_two_pages_of_a_folder_at_most() {
    let store = Faulty::new(None);
    for folder in 0..2 {
        for number in 0..5000 {
            put_object(&store, &format!("topics/{folder}/{number:06}.json"), 0..1).await;
        }
    }
    let mut worker = SourceWorker::new(&store).await;
    let drain = Duration::from_secs(60);
    worker.poll(drain).await;
    for _ in 0..10_000 - worker.open.len() {
        worker.poll(drain).await;
    }
    assert_eq!(worker.open.len(), 10_000);
    for (round, most) in [(0, 2002), (1, 2002), (2, 2002)] {
        let before = *store.listed.lock();
        put_object(&store, &format!("topics/0/{:06}.json", 5000 + round), 0..1).await;
        worker.poll(Duration::from_millis(4)).await;
        worker.poll(Duration::from_millis(1)).await;
        assert_eq!(worker.open.len(), 10_001 + round);
        let listed = *store.listed.lock() - before;
        assert!(listed <= most, "round {round} looked at {listed} objects");
    }
    // What lies in folders below one with objects is found by the next listing of everything.
    put_object(&store, "topics/0/004000/000000.json", 0..1).await;
    worker.poll(drain).await;
    assert_eq!(worker.open.len(), 10_004);
}
