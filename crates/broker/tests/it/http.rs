//! Metrics and health over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Condvar, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vltava_broker::{Broker, Builder};
use vltava_core::error::ErrorCode;
use vltava_core::id::{DirectoryId, Offset};
use vltava_core::log::{Directory, Log, LogError, LogId, LogSettings, LogStore, StoredLog};
use vltava_core::record::Batch;
use vltava_protocol::join_group_request::JoinGroupRequestProtocol;
use vltava_protocol::messages::{
    ConsumerGroupHeartbeatRequest, DeleteTopicsRequest, FetchRequest, FindCoordinatorRequest,
    JoinGroupRequest, OffsetCommitRequest, SyncGroupRequest,
};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use vltava_storage::memory::MemoryStore;

use crate::client::{Client, FETCH, PRODUCE, batch, fetch_request, produce_bytes};

/// The names that the usual rules of the JMX exporter give to Kafka's beans.
const KAFKA_NAMES: &str = include_str!("kafka_metrics.txt");

pub(crate) fn with_http() -> Builder {
    Broker::builder().set("vltava.http.listeners", "http://127.0.0.1:0")
}

/// Sends these bytes and returns everything that comes back.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    String::from_utf8(response).unwrap()
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let response =
        exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
            .await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn requests_are_answered_by_path_method_and_host() {
    let broker = with_http().start().await.unwrap();
    let address = broker.http_address().unwrap();
    let own = address.to_string();
    for (method, path, host, code) in [
        ("GET", "/", "localhost", 200),
        ("GET", "/metrics", own.as_str(), 200),
        ("GET", "/metrics?partitions=false", "127.0.0.1", 200),
        ("GET", "/metrics?partitions=perhaps", "127.0.0.1", 400),
        ("HEAD", "/metrics", "[::1]:80", 200),
        ("POST", "/metrics", "localhost", 405),
        ("GET", "/health", "localhost:1", 200),
        ("GET", "/health/live", "localhost", 200),
        ("GET", "/health/ready", "localhost", 200),
        ("GET", "/elsewhere", "localhost", 404),
        ("GET", "/metrics", "evil.example", 421),
        ("GET", "/health", "127.0.0.1.evil.example", 421),
        ("GET", "/elsewhere", "evil.example", 421),
        ("GET", "/metrics", "", 421),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let response = exchange(address, &request).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {code} ")), "{method} {path} {host}: {response}");
    }
    for (request, code) in [
        ("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
    ] {
        let response = exchange(address, request).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {code} ")), "{request}: {response}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn health_names_the_controller_and_the_cluster() {
    let broker = with_http().start().await.unwrap();
    let (code, body) = get(broker.http_address().unwrap(), "/health").await;
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200);
    assert_eq!(health["status"], "ok", "{body}");
    assert_eq!(health["controller"], health["node"], "{body}");
    assert_eq!(health["cluster"], broker.cluster_id(), "{body}");
    assert_eq!(health["offline_directories"], serde_json::json!([]), "{body}");
    broker.shutdown().await;
}

/// A store that opens the logs of topics once it may.
#[derive(Debug, Default)]
struct Gate {
    store: MemoryStore,
    shut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn shut(&self, shut: bool) {
        *self.shut.lock() = shut;
        self.changed.notify_all();
    }
}

impl LogStore for Gate {
    fn open(
        &self,
        id: &LogId,
        settings: LogSettings,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<dyn Log>, LogError> {
        if !id.partition.topic.starts_with("__cluster_") {
            self.changed.wait_while(&mut self.shut.lock(), |shut| *shut);
        }
        self.store.open(id, settings, directory)
    }

    fn list(&self) -> Result<Vec<StoredLog>, LogError> {
        self.store.list()
    }

    fn remove(&self, id: &LogId) -> Result<(), LogError> {
        self.store.remove(id)
    }

    fn directories(&self) -> Vec<Directory> {
        self.store.directories()
    }

    fn compacted(&self, id: &LogId) -> Option<Offset> {
        self.store.compacted(id)
    }

    fn note_compacted(&self, id: &LogId, end: Offset) -> Result<(), LogError> {
        self.store.note_compacted(id, end)
    }

    fn maintain(&self, high_watermarks: &[(LogId, Offset)]) -> Result<(), LogError> {
        self.store.maintain(high_watermarks)
    }

    fn close(&self) -> Result<(), LogError> {
        self.store.close()
    }
}

/// The address of a port that nobody has taken.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_broker_that_starts_says_so_before_it_serves_clients() {
    let store = Arc::new(Gate::default());
    let broker = Broker::builder().store(store.clone()).start().await.unwrap();
    Client::connect(broker.address()).await.create_topic("t", 1).await;
    broker.shutdown().await;
    store.shut(true);
    let address = free_address();
    let http = format!("http://{address}");
    let starting = Broker::builder().store(store.clone()).set("vltava.http.listeners", &http).start();
    let starting = tokio::spawn(starting);
    while TcpStream::connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
    let (code, body) = get(address, "/health").await;
    assert_eq!((code, body.contains("\"status\":\"starting\"")), (503, true), "{body}");
    assert_eq!(get(address, "/health/ready").await.0, 503);
    assert_eq!(get(address, "/health/live").await.0, 200);
    let (_, metrics) = get(address, "/metrics").await;
    assert!(metrics.contains("kafka_server_kafkaserver_brokerstate 1\n"), "{metrics}");
    store.shut(false);
    let broker = starting.await.unwrap().unwrap();
    assert_eq!(get(address, "/health").await.0, 200);
    assert_eq!(get(address, "/health/ready").await.0, 200);
    broker.shutdown().await;
}

/// A page, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The type of each family.
    types: BTreeMap<String, String>,
    /// The value of each series.
    series: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a page, and checks what holds for every page: HELP and TYPE before the samples of a family, no family and
    /// no series twice, a number in each sample.
    fn parse(text: &str) -> Page {
        let mut page = Page::default();
        let (mut helped, mut family) = (String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split(' ').next().unwrap().to_owned();
            } else if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                assert_eq!(name, helped, "TYPE comes after the HELP of its family");
                assert!(
                    page.types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{name} is there twice"
                );
                name.clone_into(&mut family);
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let suffix = name.strip_prefix(family.as_str());
                assert!(
                    suffix.is_some_and(|suffix| ["", "_sum", "_count", "_bucket"].contains(&suffix)),
                    "{series} stands below {family}"
                );
                assert!(
                    page.series.insert(series.to_owned(), value.parse().unwrap()).is_none(),
                    "{series} twice"
                );
            }
        }
        page
    }

    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.series.get(series).unwrap_or_else(|| panic!("{series} is missing in {:#?}", self.series.keys()))
    }
}

pub(crate) async fn page(broker: &Broker) -> Page {
    let (code, text) = get(broker.http_address().unwrap(), "/metrics").await;
    assert_eq!(code, 200);
    Page::parse(&text)
}

#[tokio::test]
async fn names_are_kafkas_or_begin_with_our_own_prefix() {
    let broker = with_http().start().await.unwrap();
    let kafka: BTreeSet<&str> = KAFKA_NAMES.lines().collect();
    let page = page(&broker).await;
    let own = |name: &str| name.starts_with("vltava_") || name.starts_with("process_");
    // A histogram beside a summary of Kafka's has its name in base units.
    let native =
        |name: &str| name.strip_suffix("_seconds").is_some_and(|name| kafka.contains(&*format!("{name}ms")));
    let strange: Vec<&String> = page
        .types
        .keys()
        .filter(|name| !kafka.contains(name.as_str()) && !own(name) && !native(name))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert!(page.types.len() > 70, "{}", page.types.len());
    broker.shutdown().await;
}

#[tokio::test]
async fn what_clients_do_is_counted() {
    let broker = with_http().start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 2).await;
    client.produce("t", &["a", "b", "c"]).await;
    client.produce("missing", &["a"]).await;
    let fetched = client.fetch("t", 0, 0).await;
    assert_eq!((fetched.code, fetched.high_watermark), (ErrorCode::NONE, 3));
    assert_eq!(fetched.values, ["a", "b", "c"]);
    let before = page(&broker).await;
    let produce = format!("request=\"Produce\",version=\"{PRODUCE}\"");
    let fetch = format!("request=\"FetchConsumer\",version=\"{FETCH}\"");
    for (series, value) in [
        ("kafka_server_brokertopicmetrics_messagesin_total", 3.0),
        ("kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"}", 3.0),
        ("kafka_server_brokertopicmetrics_totalproducerequests_total{topic=\"t\"}", 1.0),
        ("kafka_server_brokertopicmetrics_totalfetchrequests_total{topic=\"t\"}", 1.0),
        (&format!("kafka_network_requestmetrics_requests_total{{{produce}}}"), 2.0),
        (&format!("kafka_network_requestmetrics_requests_total{{{fetch}}}"), 1.0),
        ("kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"NONE\"}", 1.0),
        (
            "kafka_network_requestmetrics_errors_total{request=\"Produce\",error=\"UNKNOWN_TOPIC_OR_PARTITION\"}",
            1.0,
        ),
        ("kafka_network_requestmetrics_totaltimems_count{request=\"Produce\"}", 2.0),
        ("kafka_network_requestmetrics_localtimems_count{request=\"Produce\"}", 2.0),
        ("kafka_network_requestmetrics_remotetimems_count{request=\"Produce\"}", 2.0),
        ("kafka_network_requestmetrics_requestqueuetimems_count{request=\"FetchConsumer\"}", 1.0),
        ("kafka_network_requestmetrics_responsequeuetimems_sum{request=\"FetchConsumer\"}", 0.0),
        ("kafka_network_requestmetrics_totaltime_seconds_count{request=\"Fetch\"}", 1.0),
        (
            "kafka_server_socket_server_metrics_connection_count{listener=\"PLAINTEXT\",networkProcessor=\"0\"}",
            1.0,
        ),
        (
            "kafka_server_socket_server_metrics_request_total{listener=\"PLAINTEXT\",networkProcessor=\"0\"}",
            4.0,
        ),
        (
            "kafka_server_socket_server_metrics_response_total{listener=\"PLAINTEXT\",networkProcessor=\"0\"}",
            4.0,
        ),
        ("kafka_server_brokertopicmetrics_producemessageconversions_total", 0.0),
        ("kafka_server_delayedoperationpurgatory_numdelayedoperations{delayedOperation=\"Fetch\"}", 0.0),
        ("kafka_network_requestchannel_requestqueuesize", 0.0),
        ("kafka_network_socketserver_memorypoolused", 0.0),
        ("kafka_log_logmanager_cordonedlogdirectorycount", 0.0),
        ("kafka_server_raftmetrics_current_vote", 1.0),
        ("kafka_server_replicamanager_partitioncount", 2.0),
        ("kafka_server_replicamanager_leadercount", 2.0),
        ("kafka_server_replicamanager_underreplicatedpartitions", 0.0),
        ("kafka_server_replicamanager_atminisrpartitioncount", 2.0),
        ("kafka_server_replicamanager_isrshrinks_total", 0.0),
        ("kafka_server_replicamanager_isrexpands_total", 0.0),
        ("kafka_controller_controllerstats_uncleanleaderelections_total", 0.0),
        ("kafka_cluster_partition_atminisr{topic=\"t\",partition=\"0\"}", 1.0),
        ("kafka_log_log_retentionsizeinpercent{topic=\"t\",partition=\"0\"}", 0.0),
        ("kafka_network_requestmetrics_responsesendtimems_count{request=\"Produce\"}", 2.0),
        ("kafka_server_brokermetadatametrics_last_applied_record_lag_ms", 0.0),
        ("kafka_server_brokermetadatametrics_metadata_load_error_count", 0.0),
        ("kafka_controller_kafkacontroller_activecontrollercount", 1.0),
        ("kafka_controller_kafkacontroller_globaltopiccount", 1.0),
        ("kafka_controller_kafkacontroller_offlinepartitionscount", 0.0),
        ("kafka_log_log_logendoffset{topic=\"t\",partition=\"0\"}", 3.0),
        ("kafka_log_log_numlogsegments{topic=\"t\",partition=\"1\"}", 1.0),
        ("kafka_server_raftmetrics_current_state{current_state=\"leader\"}", 1.0),
        ("kafka_server_raftmetrics_number_of_voters", 1.0),
        ("kafka_server_kafkaserver_brokerstate", 3.0),
    ] {
        assert_eq!(before.value(series), value, "{series}");
    }
    assert!(before.value("kafka_controller_kafkacontroller_newactivecontrollerscount") >= 1.0);
    assert!(before.value("process_resident_memory_bytes") > 0.0);
    assert!(before.value("kafka_server_raftmetrics_commit_latency_max") > 0.0);
    assert!(before.value("kafka_server_raftmetrics_election_latency_avg") > 0.0);
    assert_eq!(
        before.value("kafka_server_raftmetrics_log_end_epoch"),
        before.value("kafka_server_raftmetrics_current_epoch")
    );
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as f64;
    let applied = before.value("kafka_server_brokermetadatametrics_last_applied_record_timestamp");
    assert!((now - 60_000.0..=now).contains(&applied), "{applied}");
    assert!(before.value("kafka_log_log_size{topic=\"t\",partition=\"0\"}") > 60.0);

    let request = DeleteTopicsRequest {
        topic_names: vec!["t".to_owned().into()],
        timeout_ms: 10_000,
        ..DeleteTopicsRequest::default()
    };
    client.ask(&request, 5).await;
    // The answer does not wait for the files to be removed, and the series go with them.
    let after = loop {
        let after = page(&broker).await;
        if !after.series.keys().any(|series| series.contains("topic=\"t\"")) {
            break after;
        }
    };
    assert_eq!(after.value("kafka_server_brokertopicmetrics_messagesin_total"), 3.0);
    broker.shutdown().await;
}

/// Looks at the page until it shows this.
pub(crate) async fn until(broker: &Broker, series: &str, value: f64) {
    while page(broker).await.series.get(series).copied() != Some(value) {}
}

#[tokio::test]
async fn what_waits_is_counted_while_it_does() {
    let broker = with_http().start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 1).await;
    let waiting =
        |of: &str| format!("kafka_server_delayedoperationpurgatory_{of}{{delayedOperation=\"Fetch\"}}");
    let expired = "kafka_server_delayedfetchmetrics_expires_total{fetcherType=\"consumer\"}";
    client.send(&fetch_request("t", 0, 60_000), FETCH).await;
    client.send(&fetch_request("t", 1, 1), FETCH).await;
    until(&broker, &waiting("numdelayedoperations"), 1.0).await;
    until(&broker, &waiting("purgatorysize"), 1.0).await;
    until(&broker, "kafka_network_requestchannel_requestqueuesize", 1.0).await;
    assert_eq!(page(&broker).await.value(expired), 0.0);
    Client::connect(broker.address()).await.produce("t", &["a"]).await;
    for _ in 0..2 {
        client.receive::<FetchRequest>(FETCH).await;
    }
    let after = page(&broker).await;
    for series in [
        "kafka_network_requestchannel_requestqueuesize",
        &waiting("numdelayedoperations"),
        &waiting("purgatorysize"),
    ] {
        assert_eq!(after.value(series), 0.0, "{series}");
    }
    assert_eq!(after.value(expired), 1.0);
    broker.shutdown().await;
}

#[tokio::test]
async fn refused_and_converted_records_and_flushes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let broker = with_http()
        .directory(folder.path())
        .set("log.flush.interval.messages", "1")
        .set("compression.type", "gzip")
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 1).await;
    assert_eq!(client.produce("t", &["a", "b"]).await.error_code, 0);
    // The second time the number of records is a lie.
    let mut misnumbered = Batch::take(&mut batch(&["a"])).unwrap();
    misnumbered.header.records_count = 2;
    misnumbered.seal();
    let refused = client.ask(&produce_bytes("t", misnumbered.to_bytes(), -1), PRODUCE).await;
    let code = refused.responses[0].partition_responses[0].error_code;
    assert_eq!(ErrorCode::from_code(code), ErrorCode::INVALID_RECORD);
    client.create_topic_with("u", &[("cleanup.policy", "compact")]).await;
    assert_eq!(client.produce("u", &["a", "b"]).await.error_code, ErrorCode::INVALID_RECORD.code());
    let page = page(&broker).await;
    let prefix = "kafka_server_brokertopicmetrics";
    for (series, value) in [
        ("producemessageconversions_total", 2.0),
        ("producemessageconversions_total{topic=\"t\"}", 2.0),
        ("invalidoffsetorsequencerecords_total", 1.0),
        ("nokeycompactedtopicrecords_total", 2.0),
        ("failedproducerequests_total", 2.0),
    ] {
        assert_eq!(page.value(&format!("{prefix}_{series}")), value, "{series}");
    }
    assert!(page.value("kafka_log_logflushstats_logflushrateandtimems_count") >= 1.0);
    let converted = "kafka_network_requestmetrics_messageconversionstimems_count{request=\"Produce\"}";
    assert_eq!(page.value(converted), 1.0);
    let remaining = |what| page.value(&format!("kafka_log_logmanager_remaining{what}torecover"));
    assert_eq!((remaining("logs"), remaining("segments")), (0.0, 0.0));
    broker.shutdown().await;
}

/// One member of a classic group joins, syncs and commits two offsets.
async fn live_in_a_classic_group(client: &mut Client) {
    let find =
        FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..FindCoordinatorRequest::default() };
    assert_eq!(client.ask(&find, 4).await.coordinators[0].error_code, 0);
    let join = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            ..JoinGroupRequestProtocol::default()
        }],
        ..JoinGroupRequest::default()
    };
    let joined = loop {
        let joined = client.ask(&join, 3).await;
        match ErrorCode::from_code(joined.error_code) {
            ErrorCode::NONE => break joined,
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => {}
            code => panic!("{code}"),
        }
    };
    let sync = SyncGroupRequest {
        group_id: "g".into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..SyncGroupRequest::default()
    };
    assert_eq!(client.ask(&sync, 3).await.error_code, 0);
    let partitions = [0, 1].map(|partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 7,
        ..OffsetCommitRequestPartition::default()
    });
    let topic = OffsetCommitRequestTopic {
        name: "t".into(),
        partitions: partitions.into(),
        ..OffsetCommitRequestTopic::default()
    };
    let commit = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id,
        topics: vec![topic],
        ..OffsetCommitRequest::default()
    };
    assert_eq!(client.ask(&commit, 8).await.topics[0].partitions[1].error_code, 0);
}

#[tokio::test]
async fn what_groups_do_is_counted() {
    let broker = with_http()
        .set("offsets.topic.num.partitions", "1")
        .set("group.initial.rebalance.delay.ms", "0")
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 2).await;
    live_in_a_classic_group(&mut client).await;
    let beat = ConsumerGroupHeartbeatRequest {
        group_id: "next".into(),
        member_id: "AAAAAAAAAAAAAAAAAAAAAQ".into(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    assert_eq!(client.ask(&beat, 1).await.error_code, 0);
    let page = page(&broker).await;
    let prefix = "kafka_server_group_coordinator_metrics";
    for (series, value) in [
        ("offset_commit_count", 2.0),
        ("offset_commit_rate", 2.0 / 30.0),
        ("offset_deletion_count", 0.0),
        ("offset_expiration_count", 0.0),
        ("event_queue_size", 0.0),
        ("offset_count", 2.0),
        ("group_completed_rebalance_count", 1.0),
        ("consumer_group_rebalance_count", 1.0),
        ("group_count{protocol=\"classic\"}", 1.0),
        ("group_count{protocol=\"consumer\"}", 1.0),
        ("classic_group_count{state=\"Stable\"}", 1.0),
        ("classic_group_count{state=\"Empty\"}", 0.0),
        ("num_partitions{state=\"active\"}", 1.0),
    ] {
        assert_eq!(page.value(&format!("{prefix}_{series}")), value, "{series}");
    }
    let states =
        page.series.iter().filter(|(name, _)| name.starts_with(&format!("{prefix}_consumer_group_count")));
    assert_eq!(states.map(|(_, count)| count).sum::<f64>(), 1.0);
    let (mean, max) = ("partition_load_time_avg", "partition_load_time_max");
    assert!(page.value(&format!("{prefix}_{mean}")) <= page.value(&format!("{prefix}_{max}")));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_reply_that_its_client_does_not_take_shows_as_time_to_send() {
    let broker = with_http().start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 1).await;
    let megabyte = "x".repeat(1_000_000);
    for _ in 0..16 {
        assert_eq!(client.produce("t", &[&megabyte]).await.error_code, 0);
    }
    // More than the buffers of both sides hold.
    let mut fetch = fetch_request("t", 0, 0);
    fetch.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    client.send(&fetch, FETCH).await;
    let series = "kafka_network_requestmetrics_requests_total{request=\"FetchConsumer\",version=\"12\"}";
    until(&broker, series, 1.0).await;
    client.receive::<FetchRequest>(FETCH).await;
    client.create_topic("u", 1).await;
    let page = page(&broker).await;
    let sent = "kafka_network_requestmetrics_responsesendtimems_sum";
    assert!(page.value(&format!("{sent}{{request=\"Fetch\"}}")) > 0.0);
    assert_eq!(page.value(&format!("{sent}{{request=\"Produce\"}}")), 0.0);
    broker.shutdown().await;
}

#[tokio::test]
async fn series_of_partitions_can_be_left_out() {
    let broker = with_http().start().await.unwrap();
    Client::connect(broker.address()).await.create_topic("t", 1).await;
    let (_, text) = get(broker.http_address().unwrap(), "/metrics?partitions=false").await;
    assert!(!text.contains("partition=\""), "{text}");
    broker.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_stops_the_start_only_when_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", taken.local_addr().unwrap());
    let error =
        Broker::builder().set("vltava.http.listeners", &address).start().await.unwrap_err().to_string();
    assert!(error.contains("vltava.http.listeners"), "{error}");
    let silent = Broker::builder().start().await.unwrap();
    assert_eq!(silent.http_address(), None);
    silent.shutdown().await;
}
