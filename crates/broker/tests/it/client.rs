//! A client as small as can be: frames, and the few requests that most tests need.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vltava_core::error::ErrorCode;
use vltava_core::id::Timestamp;
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::wire::{Message, Payload, Segment};
use vltava_protocol::api::Request;
use vltava_protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use vltava_protocol::fetch_request::{FetchPartition, FetchTopic};
use vltava_protocol::fetch_response::PartitionData;
use vltava_protocol::frame::{decode_response_header, encode_request};
use vltava_protocol::messages::{CreateTopicsRequest, FetchRequest, FetchResponse, ProduceRequest};
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};
use vltava_protocol::produce_response::PartitionProduceResponse;

/// The last versions that name topics.
pub(crate) const PRODUCE: i16 = 12;
pub(crate) const FETCH: i16 = 12;
const CREATE_TOPICS: i16 = 7;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next: i32,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Client {
        Client { stream: TcpStream::connect(address).await.unwrap(), next: 0 }
    }

    /// Sends a request; returns its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, request: &R, version: i16) -> i32 {
        self.next += 1;
        let frame = encode_request(request, version, self.next, Some("it")).unwrap();
        for segment in &frame {
            self.stream.write_all(segment.in_memory().unwrap()).await.unwrap();
        }
        self.next
    }

    /// The next frame, without its length.
    pub(crate) async fn frame(&mut self) -> io::Result<Bytes> {
        let length = self.stream.read_u32().await?;
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await?;
        Ok(frame.into())
    }

    /// The next response, which has to be one to `R`, and its correlation id.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.frame().await.unwrap();
        let (id, mut body) = decode_response_header(R::KEY.api(), version, frame).unwrap();
        (id, R::Response::decode(&mut body, version).unwrap())
    }

    pub(crate) async fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        let sent = self.send(request, version).await;
        let (received, response) = self.receive::<R>(version).await;
        assert_eq!(sent, received);
        response
    }

    /// Creates a topic; returns the code.
    pub(crate) async fn create_topic(&mut self, name: &str, partitions: i32) -> ErrorCode {
        self.create(name, partitions, &[]).await
    }

    /// Creates a topic with one partition and settings of its own; returns the code.
    pub(crate) async fn create_topic_with(&mut self, name: &str, settings: &[(&str, &str)]) -> ErrorCode {
        self.create(name, 1, settings).await
    }

    async fn create(&mut self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> ErrorCode {
        let setting = |(key, value): &(&str, &str)| CreatableTopicConfig {
            name: (*key).to_owned().into(),
            value: Some((*value).to_owned().into()),
        };
        let topic = CreatableTopic {
            name: name.to_owned().into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: settings.iter().map(setting).collect(),
            ..CreatableTopic::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..CreateTopicsRequest::default() };
        ErrorCode::from_code(self.ask(&request, CREATE_TOPICS).await.topics[0].error_code)
    }

    /// Produces one batch to partition 0.
    pub(crate) async fn produce(&mut self, topic: &str, values: &[&str]) -> PartitionProduceResponse {
        let response = self.ask(&produce_request(topic, values), PRODUCE).await;
        response.responses[0].partition_responses[0].clone()
    }

    /// Fetches from partition 0, waiting for a first record no longer than this.
    pub(crate) async fn fetch(&mut self, topic: &str, offset: i64, wait_ms: i32) -> Fetched {
        let response = self.ask(&fetch_request(topic, offset, wait_ms), FETCH).await;
        Fetched::of(&response)
    }
}

/// What a fetch of one partition has brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) code: ErrorCode,
    pub(crate) high_watermark: i64,
    pub(crate) values: Vec<String>,
}

impl Fetched {
    pub(crate) fn of(response: &FetchResponse) -> Fetched {
        let partition = &response.responses[0].partitions[0];
        Fetched {
            code: ErrorCode::from_code(partition.error_code),
            high_watermark: partition.high_watermark,
            values: values(partition),
        }
    }
}

/// The values of a partition's records.
pub(crate) fn values(partition: &PartitionData) -> Vec<String> {
    let region: Vec<u8> = partition
        .records
        .iter()
        .flat_map(Payload::parts)
        .flat_map(|part: &Segment| part.in_memory().unwrap().to_vec())
        .collect();
    let mut values = Vec::new();
    for batch in Batch::split(region.into()) {
        for record in &batch.unwrap().records().unwrap() {
            let record = record.unwrap();
            values.push(String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap());
        }
    }
    values
}

pub(crate) fn batch(values: &[&str]) -> Bytes {
    let mut batch = BatchBuilder::new(Compression::None);
    for value in values {
        batch.append(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
    }
    batch.build().unwrap().to_bytes()
}

pub(crate) fn produce_request(topic: &str, values: &[&str]) -> ProduceRequest {
    produce_bytes(topic, batch(values), -1)
}

pub(crate) fn produce_bytes(topic: &str, records: Bytes, acks: i16) -> ProduceRequest {
    let partition = PartitionProduceData { index: 0, records: Some(records.into()) };
    let topic = TopicProduceData {
        name: topic.to_owned().into(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..ProduceRequest::default() }
}

pub(crate) fn fetch_request(topic: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition {
        partition: 0,
        current_leader_epoch: -1,
        fetch_offset: offset,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: topic.to_owned().into(), partitions: vec![partition], ..FetchTopic::default() };
    FetchRequest {
        replica_id: -1,
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}
