//! Disks that fill up or fail under a running broker: nothing is acknowledged that is not kept, what is there is read,
//! the other directories go on, everybody is told, and a restart on a healed disk brings everything back.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use vltava_broker::Broker;
use vltava_broker::clock::SystemClock;
use vltava_core::error::ErrorCode;
use vltava_core::id::BrokerId;
use vltava_protocol::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use vltava_protocol::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use vltava_protocol::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use vltava_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeLogDirsRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest,
};
use vltava_protocol::produce_response::PartitionProduceResponse;
use vltava_storage::files::{DiskFault, SeededDisk};
use vltava_storage::segments::{SegmentStore, SegmentStoreOptions};

use crate::client::Client;
use crate::http::{get, page};

/// The first one keeps the metadata, too.
const FIRST: &str = "/first";
const SECOND: &str = "/second";

async fn start(disk: &SeededDisk, directories: &[&str]) -> (Broker, Client) {
    let paths = directories.iter().map(Into::into).collect();
    let options = SegmentStoreOptions::new(paths, BrokerId(1), 7);
    let store = SegmentStore::open(options, Arc::new(disk.clone()), SystemClock::new()).unwrap();
    let broker = Broker::builder()
        .set("log.dirs", &directories.join(","))
        .set("vltava.http.listeners", "http://127.0.0.1:0")
        .store(Arc::new(store))
        .start()
        .await
        .unwrap();
    let client = Client::connect(broker.address()).await;
    (broker, client)
}

/// The process ends without the courtesy of a shutdown, and the disk is well again.
async fn restart(disk: &SeededDisk, broker: Broker, directories: &[&str]) -> (Broker, Client) {
    broker.shutdown().await;
    disk.heal();
    disk.kill_process();
    start(disk, directories).await
}

/// Each directory with its code and the topics in it.
async fn log_directories(client: &mut Client) -> BTreeMap<String, (ErrorCode, Vec<String>)> {
    let response = client.ask(&DescribeLogDirsRequest { topics: None }, 4).await;
    let of = |result: &vltava_protocol::describe_log_dirs_response::DescribeLogDirsResult| {
        let topics = result.topics.iter().map(|topic| topic.name.to_string()).collect();
        (result.log_dir.to_string(), (ErrorCode::from_code(result.error_code), topics))
    };
    response.results.iter().map(of).collect()
}

/// A topic in each of the two directories.
async fn a_topic_in_each(client: &mut Client) -> (String, String) {
    // The logs of the metadata count, too, when the emptier directory is chosen.
    for name in ["a", "b", "c"] {
        assert_eq!(client.create_topic(name, 1).await, ErrorCode::NONE);
    }
    let found = log_directories(client).await;
    let one = |directory: &str| found[directory].1.first().unwrap().clone();
    (one(FIRST), one(SECOND))
}

fn check_refused(response: &PartitionProduceResponse, message: &str) {
    assert_eq!(ErrorCode::from_code(response.error_code), ErrorCode::KAFKA_STORAGE_ERROR, "{response:?}");
    assert_eq!(response.base_offset, -1);
    let told = response.error_message.as_ref().unwrap();
    assert!(told.contains(message), "{told}");
}

async fn health(broker: &Broker) -> (u16, serde_json::Value) {
    let (code, body) = get(broker.http_address().unwrap(), "/health").await;
    (code, serde_json::from_str(&body).unwrap())
}

async fn delete_records(client: &mut Client, topic: &str, offset: i64) -> ErrorCode {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name: topic.to_owned().into(), partitions }];
    let response = client.ask(&DeleteRecordsRequest { topics, timeout_ms: 10_000 }, 2).await;
    ErrorCode::from_code(response.topics[0].partitions[0].error_code)
}

async fn delete_topic(client: &mut Client, topic: &str) -> ErrorCode {
    let request = DeleteTopicsRequest {
        topic_names: vec![topic.to_owned().into()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    ErrorCode::from_code(client.ask(&request, 5).await.responses[0].error_code)
}

/// The scenario D12: one of two disks is full.
#[tokio::test]
async fn a_full_disk_refuses_records_and_leaves_the_other_one_alone() {
    let disk = SeededDisk::new(1);
    let (broker, mut client) = start(&disk, &[FIRST, SECOND]).await;
    let (well, full) = a_topic_in_each(&mut client).await;
    assert_eq!(client.produce(&full, &["kept"]).await.base_offset, 0);
    disk.fail(DiskFault::Full, Path::new(SECOND));
    check_refused(&client.produce(&full, &["lost"]).await, "No space left on device");
    disk.heal();
    // No append after a failed one (KAFKA-10778), even when there is room again.
    check_refused(&client.produce(&full, &["lost, too"]).await, "offline after an earlier failure");
    assert_eq!(client.fetch(&full, 0, 0).await.values, ["kept"]);
    assert_eq!(delete_records(&mut client, &full, 1).await, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(client.produce(&well, &["kept"]).await.base_offset, 0);
    assert_eq!(client.fetch(&well, 0, 0).await.values, ["kept"]);
    assert_eq!(client.create_topic("new", 2).await, ErrorCode::NONE);
    assert_eq!(client.produce("new", &["kept"]).await.base_offset, 0);

    let found = log_directories(&mut client).await;
    assert_eq!(found[FIRST], (ErrorCode::NONE, [&*well, "new"].map(str::to_owned).to_vec()));
    assert_eq!(found[SECOND], (ErrorCode::KAFKA_STORAGE_ERROR, Vec::new()));
    let page = page(&broker).await;
    for (series, value) in [
        ("kafka_log_logmanager_offlinelogdirectorycount", 1.0),
        ("kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/first\"}", 0.0),
        ("kafka_log_logmanager_logdirectoryoffline{logDirectory=\"/second\"}", 1.0),
        ("kafka_server_replicamanager_offlinereplicacount", 2.0),
    ] {
        assert_eq!(page.value(series), value, "{series}");
    }
    let (code, health) = health(&broker).await;
    assert_eq!((code, &health["status"]), (503, &"failed".into()), "{health}");
    assert_eq!(health["offline_directories"][0]["path"], SECOND, "{health}");
    let reason = health["offline_directories"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("No space left on device"), "{reason}");

    let (broker, mut client) = restart(&disk, broker, &[FIRST, SECOND]).await;
    assert_eq!(client.fetch(&full, 0, 0).await.values, ["kept"]);
    assert_eq!(client.produce(&full, &["after"]).await.base_offset, 1);
    assert_eq!(client.fetch(&well, 0, 0).await.values, ["kept"]);
    assert_eq!(client.fetch("new", 0, 0).await.values, ["kept"]);
    broker.shutdown().await;
}

/// A topic on a full disk can be deleted, which is how room is made.
#[tokio::test]
async fn a_topic_on_a_full_disk_can_be_deleted() {
    let disk = SeededDisk::new(2);
    let (broker, mut client) = start(&disk, &[FIRST, SECOND]).await;
    let (_, full) = a_topic_in_each(&mut client).await;
    client.produce(&full, &["a"]).await;
    disk.fail(DiskFault::Full, Path::new(SECOND));
    check_refused(&client.produce(&full, &["b"]).await, "No space left on device");
    assert_eq!(delete_topic(&mut client, &full).await, ErrorCode::NONE);
    assert_eq!(client.fetch(&full, 0, 0).await.code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(client.create_topic(&full, 1).await, ErrorCode::NONE);
    assert_eq!(client.produce(&full, &["c"]).await.base_offset, 0);
    let (broker, mut client) = restart(&disk, broker, &[FIRST, SECOND]).await;
    assert_eq!(client.fetch(&full, 0, 0).await.values, ["c"]);
    broker.shutdown().await;
}

/// The scenario D5, on the only disk: records that wait for their sync are not acknowledged, by no retry either, and the
/// broker goes on with what needs no disk.
#[tokio::test]
async fn a_failed_sync_acknowledges_nothing_and_stops_no_reader() {
    let disk = SeededDisk::new(3);
    let (broker, mut client) = start(&disk, &[FIRST]).await;
    let config = CreatableTopicConfig { name: "flush.messages".into(), value: Some("1".into()) };
    let topic = CreatableTopic {
        name: "durable".into(),
        num_partitions: 1,
        replication_factor: 1,
        configs: vec![config],
        ..CreatableTopic::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..CreateTopicsRequest::default() };
    assert_eq!(client.ask(&request, 7).await.topics[0].error_code, 0);
    assert_eq!(client.create_topic("plain", 1).await, ErrorCode::NONE);
    assert_eq!(client.produce("durable", &["kept"]).await.base_offset, 0);
    assert_eq!(client.produce("plain", &["kept"]).await.base_offset, 0);
    disk.fail(DiskFault::Sync, Path::new(FIRST));
    let refused = client.produce("durable", &["not durable"]).await;
    assert_eq!(ErrorCode::from_code(refused.error_code), ErrorCode::KAFKA_STORAGE_ERROR, "{refused:?}");
    disk.heal();
    check_refused(&client.produce("durable", &["again"]).await, "offline after an earlier failure");
    check_refused(&client.produce("plain", &["elsewhere"]).await, "offline after an earlier failure");
    assert_eq!(client.fetch("durable", 0, 0).await.values[0], "kept");
    assert_eq!(client.fetch("plain", 0, 0).await.values, ["kept"]);
    // The metadata lie there, too: nothing of them can be changed any more, and nothing is tried.
    assert_eq!(client.create_topic("new", 1).await, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(delete_topic(&mut client, "plain").await, ErrorCode::KAFKA_STORAGE_ERROR);
    let request = InitProducerIdRequest { transaction_timeout_ms: 1000, ..InitProducerIdRequest::default() };
    assert_ne!(client.ask(&request, 5).await.error_code, 0);
    assert!(futures_util::FutureExt::now_or_never(broker.failed()).is_none(), "the broker goes on");
    let (code, health) = health(&broker).await;
    assert_eq!((code, &health["offline_directories"][0]["path"]), (503, &FIRST.into()), "{health}");

    let (broker, mut client) = restart(&disk, broker, &[FIRST]).await;
    assert_eq!(client.fetch("durable", 0, 0).await.values[0], "kept");
    assert_eq!(client.fetch("plain", 0, 0).await.values, ["kept"]);
    assert_eq!(client.produce("plain", &["after"]).await.base_offset, 1);
    assert_eq!(client.create_topic("new", 1).await, ErrorCode::NONE);
    broker.shutdown().await;
}

/// The controller cannot write: there is no point in going on, and the broker says why.
#[tokio::test]
async fn a_broker_that_cannot_keep_its_metadata_ends() {
    let disk = SeededDisk::new(4);
    let (broker, mut client) = start(&disk, &[FIRST, SECOND]).await;
    disk.fail(DiskFault::Sync, Path::new(FIRST));
    // Whether it was created is not known.
    assert_ne!(client.create_topic("t", 1).await, ErrorCode::NONE);
    let why = broker.failed().await;
    assert!(why.contains("Input/output error"), "{why}");
    let (code, health) = health(&broker).await;
    assert_eq!((code, &health["metadata_failure"]), (503, &why.into()), "{health}");
    let (broker, mut client) = restart(&disk, broker, &[FIRST, SECOND]).await;
    assert_eq!(client.create_topic("u", 1).await, ErrorCode::NONE);
    assert_eq!(client.produce("u", &["a"]).await.base_offset, 0);
    broker.shutdown().await;
}

/// Records that are on the disk and not in memory are fetched as well, whole and in order.
#[tokio::test]
async fn what_is_not_in_memory_is_fetched_as_well() {
    let disk = SeededDisk::new(5);
    let (broker, mut client) = start(&disk, &[FIRST]).await;
    assert_eq!(client.create_topic("t", 1).await, ErrorCode::NONE);
    let values: Vec<String> = (0..300).map(|number| format!("value {number}")).collect();
    for value in &values {
        client.produce("t", &[value]).await;
    }
    disk.fail(DiskFault::Cold, Path::new(FIRST));
    assert_eq!(client.fetch("t", 0, 0).await.values, values);
    assert_eq!(client.fetch("t", 7, 0).await.values, values[7..]);
    assert_eq!(client.fetch("t", 299, 0).await.values, values[299..]);
    let (broker, mut client) = restart(&disk, broker, &[FIRST]).await;
    disk.fail(DiskFault::Cold, Path::new(FIRST));
    assert_eq!(client.fetch("t", 299, 0).await.values, values[299..]);
    broker.shutdown().await;
}

/// Sets `cordoned.log.dirs`, and waits until it is seen.
async fn cordon(client: &mut Client, value: &str, directories: &[&str]) {
    let config = AlterableConfig {
        name: "cordoned.log.dirs".into(),
        config_operation: 0,
        value: Some(value.to_owned().into()),
    };
    let broker = AlterConfigsResource { resource_type: 4, resource_name: "1".into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![broker], validate_only: false };
    let answer = client.ask(&request, 1).await;
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
    loop {
        let response = client.ask(&DescribeLogDirsRequest { topics: None }, 5).await;
        let cordoned = response.results.iter().filter(|result| result.is_cordoned);
        if cordoned.map(|result| &*result.log_dir).eq(directories.iter().copied()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_replicas_stay_out_of_cordoned_directories() {
    let disk = SeededDisk::new(5);
    let (broker, mut client) = start(&disk, &[FIRST, SECOND]).await;
    for (open, cordoned) in [(FIRST, SECOND), (SECOND, FIRST)] {
        cordon(&mut client, cordoned, &[cordoned]).await;
        let topics = ["a", "b", "c"].map(|name| format!("{name}{}", open.replace('/', ".")));
        for topic in &topics {
            assert_eq!(client.create_topic(topic, 1).await, ErrorCode::NONE);
        }
        let found = log_directories(&mut client).await;
        assert!(topics.iter().all(|topic| found[open].1.contains(topic)), "{found:?}");
    }
    cordon(&mut client, "*", &[FIRST, SECOND]).await;
    assert_eq!(client.create_topic("nowhere", 1).await, ErrorCode::INVALID_REPLICATION_FACTOR);
    broker.shutdown().await;
}
