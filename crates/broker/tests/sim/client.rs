//! Clients of the simulated server: producers that send until everything is acknowledged, and a reader.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use turmoil::net::TcpStream;
use vltava_broker::net::frame::FrameBuffer;
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::testing::Random;
use vltava_core::wire::Message;
use vltava_protocol::api::Request;
use vltava_protocol::fetch_request::{FetchPartition, FetchTopic};
use vltava_protocol::frame::{decode_response_header, encode_request};
use vltava_protocol::messages::{FetchRequest, ProduceRequest};
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};

use super::server::{PORT, TOPIC};
use super::trace::Trace;

/// How long a client waits for a connection or an answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// The most batches that a producer has sent and not seen acknowledged: as many as a partition remembers.
const IN_FLIGHT: usize = 5;

/// The newest versions that name topics.
const PRODUCE_VERSION: i16 = 12;
const FETCH_VERSION: i16 = 12;

/// The retriable codes that a crash explains; anything else is a broken promise.
const EXPECTED: [ErrorCode; 2] = [ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::NOT_LEADER_OR_FOLLOWER];

/// A record that was acknowledged: where, and what.
pub type Acknowledged = (Offset, String);

/// Why a try ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// Trying again may help.
    #[error("{0}")]
    Lost(String),
    /// The server broke a promise.
    #[error("{0}")]
    Broken(String),
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Ended {
        Ended::Lost(error.kind().to_string())
    }
}

impl From<tokio::time::error::Elapsed> for Ended {
    fn from(_: tokio::time::error::Elapsed) -> Ended {
        Ended::Lost("no answer in time".to_owned())
    }
}

/// Sends batches of unique values until all are acknowledged.
pub struct Producer {
    name: String,
    batches: Vec<(Batch, Vec<String>)>,
    acknowledged: usize,
    random: Random,
    trace: Trace,
    results: Arc<Mutex<Vec<Acknowledged>>>,
}

impl Producer {
    /// A producer of `count` batches; one without an id is not idempotent. What is acknowledged is added to `results`.
    pub fn new(
        id: ProducerId,
        name: String,
        count: usize,
        mut random: Random,
        trace: Trace,
        results: Arc<Mutex<Vec<Acknowledged>>>,
    ) -> Producer {
        let mut sequence = 0;
        let batches = (0..count)
            .map(|number| {
                let values: Vec<String> =
                    (0..=random.below(3)).map(|record| format!("{name}/{number}/{record}")).collect();
                let batch = batch(id, ProducerEpoch(0), sequence, &values);
                sequence += batch.header.records_count;
                (batch, values)
            })
            .collect();
        Producer { name, batches, acknowledged: 0, random, trace, results }
    }

    /// Everything the producer sends, in order.
    pub fn values(&self) -> Vec<String> {
        self.batches.iter().flat_map(|(_, values)| values.clone()).collect()
    }

    /// Sends everything; tries again for as long as that can help.
    pub async fn run(mut self) -> turmoil::Result {
        while self.acknowledged < self.batches.len() {
            match self.try_once().await {
                Ok(()) => {}
                Err(Ended::Lost(why)) => {
                    self.trace.note(&self.name, &format!("tries again from {}: {why}", self.acknowledged));
                    sleep(Duration::from_millis(10 + self.random.bits() % 50)).await;
                }
                Err(broken) => return Err(broken.into()),
            }
        }
        self.trace.note(&self.name, "is done");
        Ok(())
    }

    /// Sends, over one connection, from the first batch on that is not acknowledged.
    async fn try_once(&mut self) -> Result<(), Ended> {
        let mut connection = Connection::open().await?;
        let mut sent = self.acknowledged;
        while self.acknowledged < self.batches.len() {
            while sent < self.batches.len() && sent - self.acknowledged < IN_FLIGHT {
                sleep(Duration::from_micros(self.random.bits() % 20_000)).await;
                connection.send(&produce(&self.batches[sent].0), PRODUCE_VERSION, sent).await?;
                self.trace.note(&self.name, &format!("sends {sent}"));
                sent += 1;
            }
            let number = self.acknowledged;
            let answer = connection.receive::<ProduceRequest>(PRODUCE_VERSION, number).await?;
            let answer = &answer.responses[0].partition_responses[0];
            match ErrorCode::from_code(answer.error_code) {
                ErrorCode::NONE => self.accept(Offset(answer.base_offset)),
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => self.pass_over(),
                code if EXPECTED.contains(&code) => return Err(Ended::Lost(code.to_string())),
                code => return Err(Ended::Broken(format!("{} {number} is refused: {code}", self.name))),
            }
        }
        Ok(())
    }

    fn accept(&mut self, base: Offset) {
        let number = self.acknowledged;
        self.trace.note(&self.name, &format!("has {number} acknowledged at {}", base.0));
        let values = self.batches[number].1.iter();
        let records =
            values.enumerate().map(|(at, value)| (base.plus(i64::try_from(at).unwrap()), value.clone()));
        self.results.lock().extend(records);
        self.acknowledged += 1;
    }

    /// A batch that comes again may be in the log and yet be out of order: of what a producer wrote before a segment began,
    /// a restart knows only the last batch, because Kafka's producer snapshots hold no more. It has to be there, once and in
    /// order, as in the end every batch has.
    fn pass_over(&mut self) {
        self.trace.note(&self.name, &format!("is told that {} is out of order", self.acknowledged));
        self.acknowledged += 1;
    }
}

/// Reads the whole log, and hands over its records.
pub async fn read_everything(trace: Trace, found: Arc<Mutex<Vec<Acknowledged>>>) -> turmoil::Result {
    loop {
        let read = read_once().await;
        trace.note("reader", &format!("reads {:?}", read.as_ref().map(Vec::len)));
        match read {
            Ok(records) => {
                *found.lock() = records;
                return Ok(());
            }
            Err(Ended::Lost(_)) => sleep(Duration::from_millis(20)).await,
            Err(broken) => return Err(broken.into()),
        }
    }
}

async fn read_once() -> Result<Vec<Acknowledged>, Ended> {
    let mut connection = Connection::open().await?;
    let mut records = Vec::new();
    let mut next = Offset(0);
    for number in 0.. {
        connection.send(&fetch(next), FETCH_VERSION, number).await?;
        let answer = connection.receive::<FetchRequest>(FETCH_VERSION, number).await?;
        let partition = &answer.responses[0].partitions[0];
        let payload = partition.records.clone().unwrap_or_default();
        if payload.is_empty() {
            return match partition.high_watermark == next.0 {
                true => Ok(records),
                false => Err(Ended::Broken(format!("no records at {}", next.0))),
            };
        }
        for batch in Batch::split(payload.into_bytes().map_err(broken)?) {
            let batch = batch.map_err(broken)?;
            if !batch.crc_matches() || batch.header.base_offset != next {
                return Err(Ended::Broken(format!("the batch at {} is damaged", next.0)));
            }
            next = batch.header.next_offset();
            for record in &batch.records().map_err(broken)? {
                let record = record.map_err(broken)?;
                let value = record.value.unwrap_or_default();
                records.push((record.offset, String::from_utf8_lossy(value).into_owned()));
            }
        }
    }
    Ok(records)
}

/// A connection on which requests are numbered by their caller.
struct Connection {
    stream: TcpStream,
    frames: FrameBuffer,
}

impl Connection {
    async fn open() -> Result<Connection, Ended> {
        let stream = timeout(PATIENCE, TcpStream::connect(("server", PORT))).await??;
        Ok(Connection { stream, frames: FrameBuffer::new(1 << 20) })
    }

    async fn send<R: Request>(&mut self, request: &R, version: i16, number: usize) -> Result<(), Ended> {
        let id = i32::try_from(number).map_err(broken)?;
        for segment in encode_request(request, version, id, Some("simulated")).map_err(broken)? {
            let bytes = segment.in_memory().map(Bytes::as_ref).unwrap_or_default();
            timeout(PATIENCE, self.stream.write_all(bytes)).await??;
        }
        Ok(())
    }

    async fn receive<R: Request>(&mut self, version: i16, number: usize) -> Result<R::Response, Ended> {
        let frame = timeout(PATIENCE, self.frame()).await??;
        let (id, mut body) = decode_response_header(R::KEY.api(), version, frame).map_err(broken)?;
        if usize::try_from(id) != Ok(number) {
            return Err(Ended::Broken(format!("answer {id} to request {number}")));
        }
        R::Response::decode(&mut body, version).map_err(broken)
    }

    async fn frame(&mut self) -> Result<Bytes, Ended> {
        loop {
            if let Some(frame) = self.frames.next_frame().map_err(broken)? {
                return Ok(frame);
            }
            match self.stream.read_buf(self.frames.room().map_err(broken)?).await? {
                0 => return Err(Ended::Lost("the connection was closed".to_owned())),
                bytes => self.frames.filled(bytes),
            }
        }
    }
}

fn broken(error: impl std::fmt::Display) -> Ended {
    Ended::Broken(error.to_string())
}

/// A batch of these values, by an idempotent producer or, without an id, by a plain one.
pub fn batch(id: ProducerId, epoch: ProducerEpoch, sequence: i32, values: &[String]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    if id != ProducerId::NONE {
        builder = builder.producer(id, epoch, Sequence(sequence));
    }
    for value in values {
        builder.append(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap()
}

fn produce(batch: &Batch) -> ProduceRequest {
    let records = Some(batch.to_bytes().into());
    let partition = PartitionProduceData { index: 0, records };
    let topic =
        TopicProduceData { name: TOPIC.into(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 1000, topic_data: vec![topic], ..Default::default() }
}

fn fetch(from: Offset) -> FetchRequest {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: -1,
        fetch_offset: from.0,
        partition_max_bytes: 4000,
        ..Default::default()
    };
    let topic = FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..Default::default() };
    FetchRequest { replica_id: -1, max_bytes: 4000, topics: vec![topic], ..Default::default() }
}
