//! A broker within this process that ends without a shutdown, again and again, while a client writes.
//!
//! Each life ends in the middle of what the client does. The next one has every record that was acknowledged, where it was
//! acknowledged and once, and no offset that a group has committed goes back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{interval, timeout};
use vltava_broker::net::client::{Address, Client, ClientOptions, Route};
use vltava_broker::{Broker, StartError};
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::testing::{Random, replay, seeds};
use vltava_protocol::create_topics_request::CreatableTopic;
use vltava_protocol::fetch_request::{FetchPartition, FetchTopic};
use vltava_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, OffsetCommitRequest, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse, ProduceRequest, ProduceResponse,
};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use vltava_protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use vltava_protocol::produce_request::{PartitionProduceData, TopicProduceData};

/// Which seeds to run, each one with as many lives: a number or a range.
const SEEDS: &str = "VLTAVA_LIVES_SEEDS";
const LIVES: usize = 20;

const TOPIC: &str = "orders";
const GROUP: &str = "readers";

/// How long a broker may take to let go of its folder, and a life to get as far as it should.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the client was promised.
#[derive(Clone, Copy, Debug, Default)]
struct Promised {
    /// Records acknowledged; the record at offset `n` has the value `n`.
    records: i64,
    /// The offset that the group has committed, and the one that it perhaps has.
    committed: i64,
    committing: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_dropped_keeps_what_it_acknowledged() {
    for seed in seeds(SEEDS, 0..1) {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random::new(seed);
        let (promises, promised) = watch::channel(Promised::default());
        let promises = Arc::new(promises);
        for life in 0..=LIVES {
            let place = format!("life {life}: {}", replay(SEEDS, seed));
            let broker = start(folder.path()).await;
            let mut client = client(&broker);
            create_topic(&mut client).await;
            check(&mut client, *promised.borrow(), &place).await;
            let goal = promised.borrow().records + 1 + i64::try_from(random.below(40)).unwrap();
            let writer = tokio::spawn(write(client, promises.clone()));
            let reached =
                timeout(PATIENCE, promised.clone().wait_for(|now| now.records >= goal)).await.is_ok();
            assert!(reached, "{place}: {:?} and not {goal} records were acknowledged", *promised.borrow());
            drop(broker);
            writer.abort();
            assert!(
                writer.await.is_err_and(|error| error.is_cancelled()),
                "{place}: the client has given up"
            );
        }
    }
}

/// A broker that was dropped ends in the background; until then it has its folder.
async fn start(folder: &Path) -> Broker {
    let mut ticks = interval(Duration::from_millis(10));
    timeout(PATIENCE, async {
        loop {
            match Broker::builder().directory(folder).start().await {
                Ok(broker) => return broker,
                Err(StartError::Store(error)) if error.to_string().contains("in use") => ticks.tick().await,
                Err(error) => panic!("the broker does not start again: {error}"),
            };
        }
    })
    .await
    .unwrap()
}

fn client(broker: &Broker) -> Client {
    let address = Address { host: broker.address().ip().to_string(), port: broker.address().port() };
    Client::new(vec![address], ClientOptions { deadline: PATIENCE, ..ClientOptions::default() })
}

/// Writes one record after another and commits what it has written, until it is aborted.
async fn write(mut client: Client, promises: Arc<watch::Sender<Promised>>) {
    loop {
        let next = promises.borrow().records;
        assert_eq!(produce(&mut client, next).await, next, "the record has another offset");
        promises.send_modify(|promised| {
            promised.records = next + 1;
            promised.committing = next + 1;
        });
        commit(&mut client, next + 1).await;
        promises.send_modify(|promised| promised.committed = next + 1);
    }
}

/// Compares what the broker has with what was promised.
async fn check(client: &mut Client, promised: Promised, place: &str) {
    let values = read(client).await;
    let expected: Vec<String> = (0..values.len()).map(|value| value.to_string()).collect();
    assert_eq!(values, expected, "{place}: the records are not those that were sent, once and in order");
    let found = i64::try_from(values.len()).unwrap();
    // The last one may be in the log and not acknowledged.
    let allowed = promised.records..=promised.records + 1;
    assert!(allowed.contains(&found), "{place}: {found} records, {promised:?}");
    let committed = committed(client).await;
    let allowed = promised.committed..=promised.committing;
    assert!(allowed.contains(&committed.max(0)), "{place}: offset {committed} is committed, {promised:?}");
}

async fn create_topic(client: &mut Client) {
    let topic = CreatableTopic {
        name: TOPIC.into(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let build = |_| CreateTopicsRequest {
        topics: vec![topic.clone()],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    let answer = client.call_within(&Route::Controller, &(7..=7), build, |_| 0).await.unwrap();
    let code = ErrorCode::from_code(answer.topics[0].error_code);
    assert!([ErrorCode::NONE, ErrorCode::TOPIC_ALREADY_EXISTS].contains(&code), "{code}");
}

/// Appends the record `value` as an idempotent producer does; returns its offset.
async fn produce(client: &mut Client, value: i64) -> i64 {
    let sequence = Sequence(i32::try_from(value).unwrap());
    let mut batch =
        BatchBuilder::new(Compression::None).producer(ProducerId(4000), ProducerEpoch(0), sequence);
    // A producer whose last batch is older than producer.id.expiration.ms would be forgotten by the next life.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    batch.append(Timestamp(i64::try_from(now).unwrap()), None, Some(value.to_string().as_bytes()), &[]);
    let records = batch.build().unwrap().to_bytes();
    let build = |_| {
        let partition = PartitionProduceData { index: 0, records: Some(records.clone().into()) };
        let topic =
            TopicProduceData { name: TOPIC.into(), partition_data: vec![partition], ..Default::default() };
        ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data: vec![topic], ..ProduceRequest::default() }
    };
    let code = |answer: &ProduceResponse| answer.responses[0].partition_responses[0].error_code;
    let answer = client.call_within(&leader(), &(12..=12), build, code).await.unwrap();
    assert_eq!(ErrorCode::from_code(code(&answer)), ErrorCode::NONE);
    answer.responses[0].partition_responses[0].base_offset
}

/// The values of all records.
async fn read(client: &mut Client) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        let from = i64::try_from(values.len()).unwrap();
        let build = |_| {
            let partition = FetchPartition {
                partition: 0,
                current_leader_epoch: -1,
                fetch_offset: from,
                partition_max_bytes: 1 << 20,
                ..FetchPartition::default()
            };
            let topic =
                FetchTopic { topic: TOPIC.into(), partitions: vec![partition], ..FetchTopic::default() };
            FetchRequest {
                replica_id: -1,
                max_bytes: 1 << 20,
                session_epoch: -1,
                topics: vec![topic],
                ..FetchRequest::default()
            }
        };
        let code = |answer: &FetchResponse| answer.responses[0].partitions[0].error_code;
        let answer = client.call_within(&leader(), &(12..=12), build, code).await.unwrap();
        assert_eq!(ErrorCode::from_code(code(&answer)), ErrorCode::NONE);
        let partition = answer.responses[0].partitions[0].clone();
        for batch in Batch::split(partition.records.unwrap_or_default().into_bytes().unwrap()) {
            for record in &batch.unwrap().records().unwrap() {
                let value = record.unwrap().value.unwrap_or_default().to_vec();
                values.push(String::from_utf8(value).unwrap());
            }
        }
        if i64::try_from(values.len()).unwrap() == partition.high_watermark {
            return values;
        }
    }
}

async fn commit(client: &mut Client, offset: i64) {
    let build = |_| {
        let partition = OffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_leader_epoch: -1,
            ..OffsetCommitRequestPartition::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: TOPIC.into(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        OffsetCommitRequest {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        }
    };
    let code = |answer: &OffsetCommitResponse| answer.topics[0].partitions[0].error_code;
    let answer = client.call_within(&coordinator(), &(8..=8), build, code).await.unwrap();
    assert_eq!(ErrorCode::from_code(code(&answer)), ErrorCode::NONE);
}

/// The offset that the group has committed; −1 without one.
async fn committed(client: &mut Client) -> i64 {
    let build = |_| {
        let topic = OffsetFetchRequestTopics {
            name: TOPIC.into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
    };
    let code = |answer: &OffsetFetchResponse| answer.groups[0].error_code;
    let answer = client.call_within(&coordinator(), &(8..=8), build, code).await.unwrap();
    assert_eq!(ErrorCode::from_code(code(&answer)), ErrorCode::NONE);
    answer.groups[0].topics[0].partitions[0].committed_offset
}

fn leader() -> Route {
    Route::Leader(TOPIC.to_owned(), PartitionIndex(0))
}

fn coordinator() -> Route {
    Route::Coordinator(GROUP.to_owned())
}
