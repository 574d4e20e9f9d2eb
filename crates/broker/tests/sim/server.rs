//! The least server there can be: the broker's frames, its protocol and one of its partitions, on a seeded disk.
//!
//! What the broker does on threads is done here by tasks that take a seeded time.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};
use vltava_broker::net::frame::FrameBuffer;
use vltava_core::clock::Clock;
use vltava_core::id::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicName, TopicPartition};
use vltava_core::log::{LogId, LogSettings, LogStore};
use vltava_core::record::sole_batch;
use vltava_core::replicated::{
    CommitError, Isolation, Origin, PlaceError, PlaceTerms, Placed, ReadTerms, ReplicatedLog,
};
use vltava_core::testing::Random;
use vltava_core::wire::{Message, Segment};
use vltava_protocol::api::{Api, ApiKey};
use vltava_protocol::fetch_response::{FetchableTopicResponse, PartitionData};
use vltava_protocol::frame::{RequestFrame, encode_response};
use vltava_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse};
use vltava_protocol::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use vltava_replication::partition::{Job, Partition, PartitionParts, PartitionSettings, load};
use vltava_storage::files::SeededDisk;
use vltava_storage::segments::{SegmentStore, SegmentStoreOptions};

use super::clock::SimulatedClock;
use super::trace::Trace;

/// The port that the server listens on.
pub const PORT: u16 = 9092;

/// The one topic there is, with one partition.
pub const TOPIC: &str = "orders";

/// How long a machine starts before it reads a clock: turmoil tells a restarted machine the time only at its first tick.
const BOOT: Duration = Duration::from_millis(5);

/// How often the partition keeps house.
const HOUSEKEEPING: Duration = Duration::from_millis(200);

const NAME: &str = "server";

/// What of a server survives its crashes: the disk, and what a controller would know.
#[derive(Clone)]
pub struct Machine {
    pub disk: SeededDisk,
    pub trace: Trace,
    /// Draws how long the jobs of the partition take.
    pub random: Arc<Mutex<Random>>,
    /// `flush.messages`.
    pub flush_records: i64,
    /// Each life of the server leads in an epoch of its own.
    pub epoch: Arc<AtomicI32>,
}

/// Why the server cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the server fails: {0}")]
struct Failed(String);

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;
type Reply = Pin<Box<dyn Future<Output = Fallible<Vec<Segment>>>>>;

/// Where it is told whether a placed batch was committed.
type Teller = oneshot::Sender<Result<(), CommitError>>;

/// The jobs of a partition that wait for a thread.
#[derive(Default)]
struct Jobs {
    queue: Mutex<VecDeque<Job>>,
    arrived: Notify,
}

struct Server {
    machine: Machine,
    store: SegmentStore,
    log: LogId,
    partition: Arc<Partition>,
    jobs: Arc<Jobs>,
    /// Placed batches that are not committed yet. One task tells them all, since tokio's `watch` wakes those that wait for
    /// it in an order that no seed decides.
    waiting: Mutex<VecDeque<(Placed, Teller)>>,
}

impl Machine {
    /// Serves until the machine crashes.
    pub async fn run(self) -> Fallible<()> {
        sleep(BOOT).await;
        let disk = self.disk.clone();
        let server = match Server::start(self) {
            Ok(server) => Arc::new(server),
            // The power went while the server recovered; nothing runs any more.
            Err(_) if disk.crashed() => return std::future::pending().await,
            Err(error) => return Err(error),
        };
        server.serve().await
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.random.lock().bits() % 4000)
    }
}

impl Server {
    fn start(machine: Machine) -> Fallible<Server> {
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock);
        let options = SegmentStoreOptions::new(vec!["/data".into()], BrokerId(1), 7);
        let store = SegmentStore::open(options, Arc::new(machine.disk.clone()), clock.clone())?;
        let topic = TopicName::new(TOPIC)?;
        let id = TopicPartition { topic, partition: PartitionIndex(0) };
        let log_id = LogId { topic: TopicId::METADATA, partition: id.clone() };
        let known = store.list()?.into_iter().find(|stored| stored.id == log_id);
        let settings = settings(machine.flush_records);
        let log = store.open(&log_id, settings.log, None)?;
        let jobs = Arc::new(Jobs::default());
        let queue = jobs.clone();
        let background = Arc::new(move |job: Job| {
            queue.queue.lock().push_back(job);
            queue.arrived.notify_one();
        });
        let high_watermark = known.map_or(Offset::ZERO, |stored| stored.high_watermark);
        let parts = PartitionParts { id, log, high_watermark, settings, clock, background };
        let partition = Partition::open(parts)?;
        partition.lead(LeaderEpoch(machine.epoch.fetch_add(1, Ordering::Relaxed)))?;
        let marks = partition.watermarks();
        machine.trace.note(NAME, &format!("starts with {}..{}", marks.start.0, marks.end.0));
        Ok(Server { machine, store, log: log_id, partition, jobs, waiting: Mutex::default() })
    }

    async fn serve(self: Arc<Server>) -> Fallible<()> {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        let mut tasks: JoinSet<Fallible<()>> = JoinSet::new();
        tasks.spawn_local(self.clone().keep_house());
        tasks.spawn_local(self.clone().follow_commits());
        loop {
            tokio::select! {
                biased;
                Some(ended) = tasks.join_next() => ended??,
                () = self.jobs.arrived.notified() => self.start_jobs(&mut tasks),
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    tasks.spawn_local(self.clone().connection(stream));
                }
            }
        }
    }

    fn start_jobs(&self, tasks: &mut JoinSet<Fallible<()>>) {
        for job in std::mem::take(&mut *self.jobs.queue.lock()) {
            let delay = self.machine.delay();
            tasks.spawn_local(async move {
                sleep(delay).await;
                job();
                Ok(())
            });
        }
    }

    async fn keep_house(self: Arc<Server>) -> Fallible<()> {
        loop {
            sleep(HOUSEKEEPING).await;
            let high = self.partition.watermarks().high;
            let kept =
                self.partition.maintain().and_then(|()| self.store.maintain(&[(self.log.clone(), high)]));
            if let Err(error) = kept
                && !self.machine.disk.crashed()
            {
                return Err(error.into());
            }
        }
    }

    async fn follow_commits(self: Arc<Server>) -> Fallible<()> {
        let mut watch = self.partition.watch();
        loop {
            self.tell_commits();
            if watch.changed().await.is_err() {
                self.tell_commits();
                return std::future::pending().await;
            }
        }
    }

    /// Tells every placed batch that is decided, the first one first. When the log has failed, nothing will be.
    fn tell_commits(&self) {
        let mut waiting = self.waiting.lock();
        if self.partition.watch().has_changed().is_err() {
            waiting.clear();
        }
        let marks = self.partition.watermarks();
        for (placed, teller) in std::mem::take(&mut *waiting) {
            match marks.verdict(placed) {
                // Whoever asked may be gone.
                Some(verdict) => drop(teller.send(verdict)),
                None => waiting.push_back((placed, teller)),
            }
        }
    }

    /// Resolves when a placed batch is committed.
    fn committed(&self, placed: Placed) -> impl Future<Output = Result<(), CommitError>> + use<> {
        let (teller, told) = oneshot::channel();
        self.waiting.lock().push_back((placed, teller));
        self.tell_commits();
        async move { told.await.unwrap_or(Err(CommitError::Closed)) }
    }

    /// Reads requests, places what they bring as they come, and replies in their order.
    async fn connection(self: Arc<Server>, mut stream: TcpStream) -> Fallible<()> {
        let mut frames = FrameBuffer::new(1 << 20);
        let mut replies: FuturesOrdered<Reply> = FuturesOrdered::new();
        loop {
            while let Some(frame) = frames.next_frame()? {
                replies.push_back(self.answer(RequestFrame::decode(frame)?)?);
            }
            // Without `biased` the branches come in an order that no seed decides.
            tokio::select! {
                biased;
                Some(reply) = replies.next() => {
                    for segment in reply? {
                        let bytes = segment.in_memory().ok_or_else(|| Failed("a file to send".to_owned()))?;
                        if stream.write_all(bytes).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                read = stream.read_buf(frames.room()?) => match read {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(bytes) => frames.filled(bytes),
                },
            }
        }
    }

    fn answer(&self, mut request: RequestFrame) -> Fallible<Reply> {
        let (version, correlation_id) = (request.version(), request.header.correlation_id);
        match request.api.key {
            ApiKey::Produce => Ok(self.produce(version, correlation_id, request.read()?)),
            ApiKey::Fetch => {
                let response = self.fetch(&request.read()?)?;
                Ok(ready(request.api, version, correlation_id, response))
            }
            other => Err(Failed(format!("{other} is not served")).into()),
        }
    }

    fn produce(&self, version: i16, correlation_id: i32, request: ProduceRequest) -> Reply {
        let mut requests = request.topic_data.into_iter().flat_map(|topic| topic.partition_data);
        let records = requests.next().and_then(|data| data.records).unwrap_or_default();
        let terms = PlaceTerms::by(Origin::Client);
        let batch = match records.into_bytes().map(sole_batch) {
            Ok(Ok(batch)) => batch,
            other => return Box::pin(async move { Err(Failed(format!("{other:?}")).into()) }),
        };
        let (producer, sequence) = (batch.header.producer_id.0, batch.header.base_sequence.0);
        let placed = self.partition.place(batch, terms);
        let how = match &placed {
            Ok(placed) => format!("places it at {}", placed.base.0),
            Err(PlaceError::Duplicate(placed)) => format!("has it at {}", placed.base.0),
            Err(error) => format!("refuses it: {error}"),
        };
        self.machine.trace.note(NAME, &format!("producer {producer}, sequence {sequence}: {how}"));
        let placed = match placed {
            Ok(placed) | Err(PlaceError::Duplicate(placed)) => Ok((placed.base, self.committed(placed))),
            Err(error) => Err(error.code()),
        };
        Box::pin(async move {
            let outcome = match placed {
                Ok((base, told)) => told.await.map(|()| base).map_err(|error| error.code()),
                Err(code) => Err(code),
            };
            let partition = match outcome {
                Ok(base) => PartitionProduceResponse { base_offset: base.0, ..Default::default() },
                Err(code) => PartitionProduceResponse {
                    error_code: code.code(),
                    base_offset: -1,
                    ..Default::default()
                },
            };
            let topic = TopicProduceResponse {
                name: TOPIC.into(),
                partition_responses: vec![partition],
                ..Default::default()
            };
            let response = ProduceResponse { responses: vec![topic], ..Default::default() };
            Ok(encode_response(ApiKey::Produce.api(), version, correlation_id, &response)?)
        })
    }

    fn fetch(&self, request: &FetchRequest) -> Fallible<FetchResponse> {
        let wanted = request.topics.iter().flat_map(|topic| &topic.partitions).next();
        let wanted = wanted.ok_or_else(|| Failed("a fetch of nothing".to_owned()))?;
        let terms = ReadTerms {
            isolation: Isolation::Uncommitted,
            bytes: usize::try_from(wanted.partition_max_bytes)?,
            whole_first_batch: true,
            current_epoch: LeaderEpoch::NONE,
        };
        let read = self.partition.read(Offset(wanted.fetch_offset), terms)?;
        let partition = PartitionData {
            high_watermark: read.watermarks.high.0,
            log_start_offset: read.watermarks.start.0,
            records: Some(load(read.data)?.into()),
            ..Default::default()
        };
        let topic =
            FetchableTopicResponse { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
        Ok(FetchResponse { responses: vec![topic], ..Default::default() })
    }
}

fn ready<M: Message + 'static>(api: &'static Api, version: i16, correlation_id: i32, response: M) -> Reply {
    Box::pin(async move { Ok(encode_response(api, version, correlation_id, &response)?) })
}

/// Small segments, so that a run rolls many.
fn settings(flush_records: i64) -> PartitionSettings {
    let log = LogSettings { span_bytes_max: 3000, index_interval_bytes: 300, ..LogSettings::default() };
    PartitionSettings { log, flush_records, ..PartitionSettings::default() }
}
