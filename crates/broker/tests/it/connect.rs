//! Connect in a broker: connectors of the test's own, through the broker's listener, driven over HTTP.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tracing_subscriber::filter::{LevelFilter, Targets};
use vltava_broker::{Broker, Builder, LogLevels};
use vltava_connect::connector::figures::{Figure, FigureKind};
use vltava_connect::connector::{
    Altered, Connector, ExactlyOnce, Sink, SinkConnector, SinkContext, Source, SourceConnector,
    SourceContext, TopicOffsets, TopicPartition,
};
use vltava_connect::error::ConnectError;
use vltava_connect::plugins::{Implementation, Plugin};
use vltava_connect::record::{Datum, Position, Record, SourceMap, SourceOffset};
use vltava_connect::settings::{Kind, Setting, Settings, Values};
use vltava_connect::value::Value as Data;

use crate::http::{get, with_http};
use crate::registry::Client;

/// Counts into a topic, up to a number.
#[derive(Debug)]
struct Counter;

#[async_trait]
impl Connector for Counter {
    fn settings(&self) -> Settings {
        Settings::from([
            Setting::required("topic", Kind::String, "Where to."),
            Setting::new("to", Kind::Long, "10", "How far."),
        ])
    }
}

#[async_trait]
impl SourceConnector for Counter {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let (topic, to) = (values.string("topic")?.to_owned(), values.number("to")?);
        Ok(Box::new(Counting { topic, to, at: 0, context }))
    }

    fn exactly_once(&self, _: &Values) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        _: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Supported)
    }
}

#[derive(Debug)]
struct Counting {
    topic: String,
    to: i64,
    at: i64,
    context: SourceContext,
}

static FIGURES: [Figure<i64>; 1] =
    [Figure { name: "goal", kind: FigureKind::Gauge, help: "How far.", value: |goal, _| Some(*goal as f64) }];

fn place() -> SourceMap {
    SourceMap::from_iter([("counter".to_owned(), json!("all"))])
}

#[async_trait]
impl Source for Counting {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let stored = self.context.offsets.offsets(&[place()]).await?;
        self.at = stored.into_iter().flatten().next().and_then(|offset| offset["at"].as_i64()).unwrap_or(0);
        let labels = [("topic", self.topic.as_str())];
        self.context.figures.register(&labels, &FIGURES, Arc::new(self.to)).unwrap();
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        if self.at >= self.to {
            pending::<()>().await;
        }
        let partition = Arc::new(place());
        let record = |at: i64| {
            let offset = SourceOffset::Number("at", at.into());
            let position = Position { partition: partition.clone(), offset };
            Record::new(self.topic.as_str(), Datum::text(at.to_string()), position)
        };
        let until = self.to.min(self.at + 10);
        let records = (self.at + 1..=until).map(record).collect();
        self.at = until;
        Ok(records)
    }
}

type Seen = Arc<Mutex<Vec<i64>>>;

/// Collects numbers.
#[derive(Debug)]
struct Collector(Seen);

#[async_trait]
impl Connector for Collector {
    fn settings(&self) -> Settings {
        Settings::none()
    }
}

#[async_trait]
impl SinkConnector for Collector {
    fn task(&self, _: &Values, _: SinkContext) -> Result<Box<dyn Sink>, ConnectError> {
        Ok(Box::new(Collecting(self.0.clone())))
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        _: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Supported)
    }
}

#[derive(Debug)]
struct Collecting(Seen);

#[async_trait]
impl Sink for Collecting {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        let number = |record: &Record| match &record.value.value {
            Data::String(text) => text.parse::<i64>().unwrap(),
            other => panic!("{other:?}"),
        };
        self.0.lock().unwrap().extend(records.iter().map(number));
        Ok(())
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        Ok(taken)
    }
}

fn with_connect(seen: &Seen, exactly_once: &str) -> Builder {
    let row = |class, implementation| Plugin { class, version: "1", implementation };
    with_http()
        .set("vltava.connect.listeners", "http://127.0.0.1:0")
        .set("vltava.connect.group.id", "workers")
        .set("vltava.connect.key.converter", "StringConverter")
        .set("vltava.connect.value.converter", "StringConverter")
        .set("vltava.connect.offset.storage.partitions", "2")
        .set("vltava.connect.offset.flush.interval.ms", "100")
        .set("vltava.connect.exactly.once.source.support", exactly_once)
        .plugin(row("test.CounterConnector", Implementation::Source(Arc::new(Counter))))
        .plugin(row("test.CollectorConnector", Implementation::Sink(Arc::new(Collector(seen.clone())))))
}

/// What a worker is asked.
struct Api(Client);

impl Api {
    fn of(broker: &Broker) -> Api {
        Api(Client(broker.connect_address().unwrap()))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, _, body) =
            self.0.exchange(method, path, "Content-Type: application/json\r\n", &text).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// Asks until the answer is as it should be.
    async fn until(&self, path: &str, holds: impl Fn(u16, &Value) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let (status, answer) = self.ask("GET", path, Value::Null).await;
            if holds(status, &answer) {
                return;
            }
            assert!(Instant::now() < end, "{path} stays {status} {answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn runs(&self, name: &str) {
        let state = |answer: &Value, pointer: &str| answer.pointer(pointer) == Some(&json!("RUNNING"));
        self.until(&format!("/connectors/{name}/status"), |_, answer| {
            state(answer, "/connector/state") && state(answer, "/tasks/0/state")
        })
        .await;
    }
}

async fn seen_all(seen: &Seen, to: i64) {
    let end = Instant::now() + Duration::from_secs(60);
    while seen.lock().unwrap().iter().max() < Some(&to) {
        assert!(Instant::now() < end, "only {:?}", seen.lock().unwrap().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(*seen.lock().unwrap(), (1..=to).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_pass_through_the_broker_and_connectors_obey() {
    for exactly_once in ["disabled", "enabled"] {
        let folder = tempfile::tempdir().unwrap();
        let seen = Seen::default();
        let broker = with_connect(&seen, exactly_once).directory(folder.path()).start().await.unwrap();
        let api = Api::of(&broker);
        api.until("/health", |status, _| status == 200).await;
        let source = json!({ "connector.class": "Counter", "topic": "numbers", "to": "25" });
        let (status, info) =
            api.ask("POST", "/connectors", json!({ "name": "from", "config": source })).await;
        assert_eq!((status, &info["type"], &info["tasks"]), (201, &json!("source"), &json!([])));
        let sink = json!({ "connector.class": "Collector", "topics": "numbers" });
        api.runs("from").await;
        assert_eq!(api.ask("PUT", "/connectors/to/config", sink.clone()).await.0, 201);
        seen_all(&seen, 25).await;
        api.runs("to").await;
        let offsets = json!({ "offsets": [{ "partition": { "counter": "all" }, "offset": { "at": 25 } }] });
        api.until("/connectors/from/offsets", |_, answer| *answer == offsets).await;
        let (_, page) = get(broker.http_address().unwrap(), "/metrics").await;
        for line in [
            "connector_metrics_status{connector=\"to\",status=\"running\"} 1",
            "connector_task_metrics_status{connector=\"from\",task=\"0\",status=\"running\"} 1",
            "source_task_metrics_source_record_write_total{connector=\"from\",task=\"0\"} 25",
            "sink_task_metrics_sink_record_send_total{connector=\"to\",task=\"0\"} 25",
            "plugins_goal{connector=\"from\",task=\"0\",topic=\"numbers\"} 25",
        ] {
            assert!(page.lines().any(|seen| seen == format!("kafka_connect_{line}")), "{line} in {page}");
        }
        let read = json!([{ "partition": { "kafka_topic": "numbers", "kafka_partition": 0 }, "offset": { "kafka_offset": 25 } }]);
        if exactly_once == "disabled" {
            api.until("/connectors/to/offsets", |_, answer| answer["offsets"] == read).await;
        }
        broker.shutdown().await;

        // The same folder again: the connectors are there, and go on.
        let broker = with_connect(&seen, exactly_once).directory(folder.path()).start().await.unwrap();
        let api = Api::of(&broker);
        api.until("/connectors", |_, answer| *answer == json!(["from", "to"])).await;
        let more = json!({ "connector.class": "Counter", "topic": "numbers", "to": "40" });
        assert_eq!(api.ask("PUT", "/connectors/from/config", more).await.0, 200);
        seen_all(&seen, 40).await;
        assert_eq!(api.ask("PUT", "/connectors/from/stop", Value::Null).await.0, 204);
        let stopped =
            |_, answer: &Value| answer["connector"]["state"] == "STOPPED" && answer["tasks"] == json!([]);
        api.until("/connectors/from/status", stopped).await;
        assert_eq!(api.ask("DELETE", "/connectors/from", Value::Null).await.0, 204);
        api.until("/connectors/from/status", |status, _| status == 404).await;
        broker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_records_have_schemas_in_the_registry_and_become_lines_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets.properties");
    std::fs::write(&secrets, format!("folder={}\n", folder.path().display())).unwrap();
    let broker = with_connect(&Seen::default(), "disabled")
        .set("vltava.connect.allowed.folders", folder.path().to_str().unwrap())
        .set("vltava.connect.config.providers", "secret")
        .set("vltava.connect.config.providers.secret.class", "FileConfigProvider")
        .set("vltava.connect.connector.client.config.override.policy", "None")
        .set("vltava.connect.allowed.urls", "*")
        .set("vltava.registry.listeners", "http://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let api = Api::of(&broker);
    api.until("/health", |status, _| status == 200).await;
    let registry = Client(broker.registry_address().unwrap());
    let url = format!("http://{}", broker.registry_address().unwrap());
    for converter in ["avro.AvroConverter", "protobuf.ProtobufConverter", "json.JsonSchemaConverter"] {
        let topic = converter.split('.').next().unwrap();
        let class = format!("io.confluent.connect.{converter}");
        // One asks the registry in its process, the other one over HTTP.
        let source = json!({ "connector.class": "Datagen", "kafka.topic": topic, "quickstart": "users",
            "max.interval": "0", "iterations": "20", "value.converter": class });
        let file = format!("${{secret:{}:folder}}/{topic}.txt", secrets.display());
        let sink = json!({ "connector.class": "FileStreamSink", "topics": topic, "file": file,
            "value.converter": class, "value.converter.schema.registry.url": url });
        for (name, config) in [("from", source), ("to", sink)] {
            let name = format!("{name}-{topic}");
            let made = api.ask("PUT", &format!("/connectors/{name}/config"), config).await;
            assert_eq!(made.0, 201, "{}", made.1);
            api.runs(&name).await;
        }
        let end = Instant::now() + Duration::from_secs(60);
        let lines = loop {
            let text =
                std::fs::read_to_string(folder.path().join(format!("{topic}.txt"))).unwrap_or_default();
            if text.lines().count() >= 20 {
                break text;
            }
            assert!(Instant::now() < end, "only {text} of {converter}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let is_user = |line: &str| line.starts_with("Struct{") && line.contains("userid=User_");
        assert!(lines.lines().all(is_user), "{lines}");
        // What stands elsewhere is shown nowhere.
        let (_, tasks) = api.ask("GET", &format!("/connectors/to-{topic}/tasks"), Value::Null).await;
        assert_eq!(tasks[0]["config"]["file"], file);
    }
    let subjects = registry.exchange("GET", "/subjects", "", "").await.2;
    assert_eq!(subjects, r#"["avro-value","json-value","protobuf-value"]"#);
    let refused = json!({ "connector.class": "FileStreamSink", "topics": "t", "file": "${secret:/none:x}" });
    let answer = api.ask("PUT", "/connectors/refused/config", refused).await;
    assert!(
        answer.0 == 400 && answer.1["message"].as_str().unwrap().contains("has no value"),
        "{}",
        answer.1
    );
    let refused = json!({ "connector.class": "FileStreamSink", "topics": "t", "file": folder.path().join("x"),
        "consumer.override.max.poll.records": "1" });
    let answer = api.ask("PUT", "/connectors/refused/config", refused).await;
    assert!(
        answer.0 == 400 && answer.1["message"].as_str().unwrap().contains("'None' policy"),
        "{}",
        answer.1
    );
    broker.shutdown().await;
}

/// The walk of the README.
#[cfg(feature = "parquet")]
#[tokio::test(flavor = "multi_thread")]
async fn made_up_records_become_files_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let broker = with_connect(&Seen::default(), "disabled")
        .set("vltava.connect.allowed.folders", folder.path().to_str().unwrap())
        .start()
        .await
        .unwrap();
    let api = Api::of(&broker);
    api.until("/health", |status, _| status == 200).await;
    let source = json!({ "connector.class": "Datagen", "kafka.topic": "people", "quickstart": "users",
        "max.interval": "0", "iterations": "20", "value.converter": "AvroConverter" });
    let sink = json!({ "connector.class": "ObjectSink", "topics": "people", "format": "parquet", "flush.size": "10",
        "store.url": format!("file://{}", folder.path().display()), "value.converter": "AvroConverter" });
    for (name, config) in [("people", source), ("files", sink)] {
        let made = api.ask("PUT", &format!("/connectors/{name}/config"), config).await;
        assert_eq!(made.0, 201, "{}", made.1);
        api.runs(name).await;
    }
    let end = Instant::now() + Duration::from_secs(60);
    let file = folder.path().join("topics/people/partition=0/people+0+0000000000.parquet");
    while !std::fs::read(&file).is_ok_and(|bytes| bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1")) {
        assert!(Instant::now() < end, "{} is not there", file.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_are_refused_in_known_words() {
    let broker = with_connect(&Seen::default(), "disabled").start().await.unwrap();
    let api = Api::of(&broker);
    api.until("/health", |status, _| status == 200).await;
    let config = json!({ "connector.class": "Counter", "topic": "t", "to": "0" });
    for (method, path, body, status, message) in [
        ("GET", "/connectors/no", Value::Null, 404, "Connector no not found"),
        ("GET", "/connectors/no/status", Value::Null, 404, "No status found for connector no"),
        ("PUT", "/connectors/no/pause", Value::Null, 404, "Unknown connector no"),
        ("POST", "/connectors/no/restart", Value::Null, 404, "Unknown connector: no"),
        ("GET", "/connector-plugins/No/config", Value::Null, 404, "Unknown plugin No."),
        ("GET", "/no", Value::Null, 404, "HTTP 404 Not Found"),
        ("DELETE", "/connectors", Value::Null, 405, "HTTP 405 Method Not Allowed"),
        ("POST", "/connectors", json!([]), 400, "The body must be a JSON object"),
        (
            "POST",
            "/connectors",
            json!({ "name": "a", "config": {} }),
            400,
            "Connector config {name=a} contains no connector type",
        ),
        ("PUT", "/connectors/no/fence", Value::Null, 400, "Internal request missing required signature"),
        (
            "PUT",
            "/connectors/a/config",
            json!({ "connector.class": "Counter", "name": "b" }),
            400,
            "Connector name configuration (b) doesn't match connector name in the URL (a)",
        ),
    ] {
        let answer = api.ask(method, path, body).await;
        assert_eq!(answer, (status, json!({ "error_code": status, "message": message })), "{method} {path}");
    }
    let created = json!({ "name": "a", "config": config, "initial_state": "STOPPED" });
    assert_eq!(api.ask("POST", "/connectors", created.clone()).await.0, 201);
    assert_eq!(api.ask("POST", "/connectors", created).await.0, 409);
    let text = api.0.exchange("POST", "/connectors", "Content-Type: text/plain\r\n", "{}").await;
    assert_eq!(text.0, 415);
    let page = api.0.exchange("GET", "/connectors", "Origin: http://evil.example\r\n", "").await;
    assert_eq!(page.0, 403);
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_for_all_workers_is_set_when_it_is_read() {
    let initial = Targets::new().with_default(LevelFilter::INFO);
    let levels = LogLevels::new(&initial, |_| {});
    let broker = with_connect(&Seen::default(), "disabled").log_levels(levels).start().await.unwrap();
    let api = Api::of(&broker);
    api.until("/health", |status, _| status == 200).await;
    let put = async |logger: &str, level: &str| {
        let path = format!("/admin/loggers/{logger}?scope=cluster");
        api.ask("PUT", &path, json!({ "level": level })).await.0
    };
    assert_eq!(put("vltava_connect", "loud").await, 404);
    for logger in ["no.such", "vltava_connect"] {
        let path = format!("/admin/loggers/{logger}");
        assert_eq!(put(logger, "debug").await, 204);
        api.until(&path, |_, answer| answer["level"] == "DEBUG" && answer["last_modified"].is_i64()).await;
    }
    let changed = api.ask("PUT", "/admin/loggers/no", json!({ "level": "off" })).await;
    assert_eq!(changed, (200, json!(["no", "no.such"])));
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_counted_as_mirrormaker_counts() {
    let builder = with_connect(&Seen::default(), "disabled").set("vltava.connect.allowed.urls", "*");
    let broker = builder.start().await.unwrap();
    let api = Api::of(&broker);
    api.until("/health", |status, _| status == 200).await;
    let source = json!({ "connector.class": "Counter", "topic": "numbers", "to": "25" });
    assert_eq!(api.ask("PUT", "/connectors/from/config", source).await.0, 201);
    api.runs("from").await;
    let here = broker.address().to_string();
    let mirror = json!({
        "connector.class": "MirrorSource",
        "topics": "numbers",
        "source.cluster.alias": "a",
        "target.cluster.alias": "b",
        "source.cluster.bootstrap.servers": here,
        "target.cluster.bootstrap.servers": here,
        "replication.factor": "1",
        "offset-syncs.topic.replication.factor": "1",
    });
    let (status, answer) = api.ask("PUT", "/connectors/mirror/config", mirror).await;
    assert_eq!(status, 201, "{answer}");
    let page = async || get(broker.http_address().unwrap(), "/metrics").await.1;
    let of = "{source=\"a\",target=\"b\",topic=\"a.numbers\",partition=\"0\"}";
    let name = |figure: &str| format!("kafka_connect_mirror_mirrorsourceconnector_{figure}{of}");
    let end = Instant::now() + Duration::from_secs(60);
    let counted = loop {
        let page = page().await;
        if page.contains(&format!("{} 25\n", name("record_count"))) {
            break page;
        }
        assert!(Instant::now() < end, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // The digits of 1 to 25.
    assert!(counted.contains(&format!("{} 41\n", name("byte_count"))), "{counted}");
    for time in ["record_age_ms", "replication_latency_ms"] {
        for end in ["", "_min", "_max", "_avg"] {
            assert!(counted.contains(&name(&format!("{time}{end}"))), "{time}{end}: {counted}");
        }
    }
    let (_, brief) = get(broker.http_address().unwrap(), "/metrics?partitions=false").await;
    assert!(
        brief.contains("kafka_connect_plugins_goal") && !brief.contains("mirrorsourceconnector"),
        "{brief}"
    );
    assert_eq!(api.ask("PUT", "/connectors/mirror/stop", Value::Null).await.0, 204);
    api.until("/connectors/mirror/status", |_, answer| answer["tasks"] == json!([])).await;
    assert!(!page().await.contains("mirrorsourceconnector"), "they end with the task");
    broker.shutdown().await;
}
