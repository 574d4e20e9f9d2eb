//! Compacted topics of a running broker: what clients read, what coordinators load, what is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use vltava_broker::{Broker, Builder};
use vltava_core::error::ErrorCode;
use vltava_core::id::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::{Batch, BatchBuilder, Compression};
use vltava_core::wire::{Payload, Segment};
use vltava_protocol::api::Request;
use vltava_protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use vltava_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FindCoordinatorRequest, InitProducerIdRequest, OffsetCommitRequest,
    OffsetFetchRequest,
};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use vltava_protocol::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};

use crate::client::{Client, FETCH, PRODUCE, fetch_request, produce_bytes};
use crate::http::get;
use crate::lifecycle::alter;

/// Long enough for the slowest machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn builder() -> Builder {
    Broker::builder()
        .set("log.cleaner.backoff.ms", "20")
        .set("vltava.http.listeners", "http://127.0.0.1:0")
        .set("offsets.topic.num.partitions", "1")
        .set("offsets.topic.segment.bytes", "1048576")
}

/// Starts in a folder, once an earlier broker's threads have let go of it.
async fn start(folder: &Path) -> Broker {
    loop {
        match builder().directory(folder).start().await {
            Ok(broker) => return broker,
            Err(error) => assert!(error.to_string().contains("is in use"), "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn create(client: &mut Client, name: &str, configs: &[(&str, &str)]) {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned().into(),
        value: Some((*value).to_owned().into()),
    };
    let topic = CreatableTopic {
        name: name.to_owned().into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..CreateTopicsRequest::default() };
    let response = client.ask(&request, 7).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

fn keyed(records: &[(&str, Option<&str>)]) -> BatchBuilder {
    let mut batch = BatchBuilder::new(Compression::None);
    for (key, value) in records {
        let timestamp = Timestamp(1_700_000_000_000);
        batch.append(timestamp, Some(key.as_bytes()), value.map(str::as_bytes), &[]);
    }
    batch
}

async fn produce(client: &mut Client, topic: &str, batch: BatchBuilder) -> (ErrorCode, i64) {
    let bytes = batch.build().unwrap().to_bytes();
    let response = client.ask(&produce_bytes(topic, bytes, -1), PRODUCE).await;
    let partition = &response.responses[0].partition_responses[0];
    (ErrorCode::from_code(partition.error_code), partition.base_offset)
}

/// The batches of a topic from its start, and its end.
async fn batches(client: &mut Client, topic: &str) -> (Vec<Batch>, i64) {
    let mut batches: Vec<Batch> = Vec::new();
    let mut next = 0;
    loop {
        let response = client.ask(&fetch_request(topic, next, 0), FETCH).await;
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0, "a fetch of {topic} at {next}");
        let parts = partition.records.iter().flat_map(Payload::parts);
        let region: Vec<u8> = parts.flat_map(|part: &Segment| part.in_memory().unwrap().to_vec()).collect();
        let before = next;
        for batch in Batch::split(Bytes::from(region)).map_while(Result::ok) {
            next = batch.header.next_offset().0;
            batches.push(batch);
        }
        if next == before {
            return (batches, partition.high_watermark);
        }
    }
}

/// How many records there are, and the last value of each key.
fn replayed(batches: &[Batch]) -> (usize, BTreeMap<String, Option<String>>) {
    let mut count = 0;
    let mut last = BTreeMap::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for batch in batches {
        for record in &batch.records().unwrap() {
            let record = record.unwrap();
            count += 1;
            last.insert(text(record.key.unwrap_or_default()), record.value.map(text));
        }
    }
    (count, last)
}

/// Reads until no more than so many records are left.
async fn until_compacted(client: &mut Client, topic: &str, most: usize) -> BTreeMap<String, Option<String>> {
    let wait = async {
        loop {
            let (batches, end) = batches(client, topic).await;
            let (count, last) = replayed(&batches);
            if count <= most {
                return last;
            }
            // Waits a little, at the end of the log.
            client.ask::<FetchRequest>(&fetch_request(topic, end, 20), FETCH).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the log is compacted in time")
}

const COMPACTED: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("internal.segment.bytes", "2000"),
    ("min.cleanable.dirty.ratio", "0.01"),
];

#[tokio::test]
async fn a_compacted_topic_keeps_the_last_value_of_each_key_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path()).await;
    let mut client = Client::connect(broker.address()).await;
    create(&mut client, "t", COMPACTED).await;
    let mut expected = BTreeMap::new();
    for number in 0..400 {
        let (key, value) = (format!("key {}", number % 20), format!("value {number}"));
        let produced = produce(&mut client, "t", keyed(&[(&key, Some(&value))])).await;
        assert_eq!(produced, (ErrorCode::NONE, number));
        expected.insert(key, Some(value));
    }
    let found = until_compacted(&mut client, "t", 60).await;
    assert_eq!(found, expected);
    let (code, text) = get(broker.http_address().unwrap(), "/metrics").await;
    let uncleanable = "kafka_log_logcleanermanager_uncleanable_partitions_count{";
    let healthy = |line: &str| !line.starts_with(uncleanable) || line.ends_with(" 0");
    assert!(code == 200 && text.lines().any(|line| line.starts_with(uncleanable)), "{text}");
    assert!(text.lines().all(healthy), "{text}");
    broker.shutdown().await;
    let checkpoint = std::fs::read_to_string(folder.path().join("cleaner-offset-checkpoint")).unwrap();
    let noted = checkpoint.lines().find_map(|line| line.strip_prefix("t 0 "));
    assert!(noted.is_some_and(|offset| offset.parse::<i64>().unwrap() > 300), "{checkpoint}");
    let broker = start(folder.path()).await;
    let mut client = Client::connect(broker.address()).await;
    let (left, end) = batches(&mut client, "t").await;
    assert_eq!((replayed(&left).1, end), (expected, 400));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_shorter_pause_ends_the_longer_one_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let an_hour = builder().set("log.cleaner.backoff.ms", "3600000");
    let broker = an_hour.directory(folder.path()).start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    create(&mut client, "t", COMPACTED).await;
    for _ in 0..200 {
        produce(&mut client, "t", keyed(&[("key", Some("value"))])).await;
    }
    alter(&mut client, "", "log.cleaner.backoff.ms", "20").await;
    let found = until_compacted(&mut client, "t", 60).await;
    assert_eq!(found, BTreeMap::from([("key".to_owned(), Some("value".to_owned()))]));
    broker.shutdown().await;
}

#[tokio::test]
async fn records_without_key_are_refused_by_a_compacted_topic() {
    let broker = builder().start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    create(&mut client, "t", COMPACTED).await;
    let mut batch = keyed(&[("a", Some("1"))]);
    batch.append(Timestamp(1_700_000_000_000), None, Some(b"2"), &[]);
    let response = client.ask(&produce_bytes("t", batch.build().unwrap().to_bytes(), -1), PRODUCE).await;
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(ErrorCode::from_code(partition.error_code), ErrorCode::INVALID_RECORD);
    assert_eq!(partition.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1]);
    broker.shutdown().await;
}

#[tokio::test]
async fn an_idempotent_producer_goes_on_after_its_records_were_compacted_away() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path()).await;
    let mut client = Client::connect(broker.address()).await;
    // Producers whose records are old are forgotten.
    let now = [COMPACTED, &[("message.timestamp.type", "LogAppendTime")]].concat();
    create(&mut client, "t", &now).await;
    let request = InitProducerIdRequest { transactional_id: None, ..InitProducerIdRequest::default() };
    let id = client.ask(&request, 4).await.producer_id;
    assert!(id >= 0);
    let own = |sequence: i32, value: &str| {
        keyed(&[("own", Some(value))]).producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence))
    };
    for sequence in 0..3 {
        assert_eq!(produce(&mut client, "t", own(sequence, "old")).await.0, ErrorCode::NONE);
    }
    for number in 0..100 {
        let value = format!("value {number}");
        produce(&mut client, "t", keyed(&[("own", Some(&value)), ("other", Some(&value))])).await;
    }
    until_compacted(&mut client, "t", 60).await;
    broker.shutdown().await;
    // Without its snapshots, what is known of the producer comes from the batches that are left.
    for entry in std::fs::read_dir(folder.path().join("t-0")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let broker = start(folder.path()).await;
    let mut client = Client::connect(broker.address()).await;
    let (code, base) = produce(&mut client, "t", own(2, "old")).await;
    assert_eq!((code, base), (ErrorCode::NONE, 2), "a repeated batch is known, where it was");
    assert_eq!(produce(&mut client, "t", own(7, "gap")).await.0, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(produce(&mut client, "t", own(3, "new")).await.0, ErrorCode::NONE);
    broker.shutdown().await;
}

/// Waits until the groups have a coordinator.
async fn until_coordinated(client: &mut Client) {
    let request = FindCoordinatorRequest {
        key_type: 0,
        coordinator_keys: vec!["group 0".into()],
        ..FindCoordinatorRequest::default()
    };
    let ready = async { while client.ask(&request, 4).await.coordinators[0].error_code != 0 {} };
    tokio::time::timeout(PATIENCE, ready).await.expect("there is a coordinator in time");
}

/// Asks again while the coordinator loads.
async fn until_loaded<R: Request>(
    client: &mut Client,
    request: &R,
    code: impl Fn(&R::Response) -> i16,
) -> (R::Response, ErrorCode) {
    let loading = [ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::NOT_COORDINATOR];
    let answer = async {
        loop {
            let response = client.ask(request, 8).await;
            let code = ErrorCode::from_code(code(&response));
            if !loading.contains(&code) {
                return (response, code);
            }
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.expect("the groups are loaded in time")
}

#[tokio::test]
async fn committed_offsets_are_loaded_from_a_compacted_log() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path()).await;
    let mut client = Client::connect(broker.address()).await;
    create(&mut client, "t", &[]).await;
    let commit = |group: &str, offset: i64| OffsetCommitRequest {
        group_id: group.to_owned().into(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned().into(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_leader_epoch: -1,
                committed_metadata: Some("x".repeat(4000).into()),
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    };
    until_coordinated(&mut client).await;
    // Four segments, so that three quarters may be compacted.
    for offset in 0..1000 {
        let request = commit(&format!("group {}", offset % 7), offset);
        let code =
            until_loaded(&mut client, &request, |response| response.topics[0].partitions[0].error_code);
        assert_eq!(code.await.1, ErrorCode::NONE, "{offset}");
    }
    until_compacted(&mut client, "__consumer_offsets", 400).await;
    broker.shutdown().await;
    let broker = start(folder.path()).await;
    let mut client = Client::connect(broker.address()).await;
    for group in 0..7 {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: format!("group {group}").into(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: "t".to_owned().into(),
                    partition_indexes: vec![0],
                    ..OffsetFetchRequestTopics::default()
                }]),
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        let (response, code) =
            until_loaded(&mut client, &request, |response| response.groups[0].error_code).await;
        assert_eq!(code, ErrorCode::NONE, "group {group}");
        let expected = (0..1000).rfind(|offset| offset % 7 == group);
        let found = response.groups[0].topics[0].partitions[0].committed_offset;
        assert_eq!(Some(found), expected, "group {group}");
    }
    broker.shutdown().await;
}
