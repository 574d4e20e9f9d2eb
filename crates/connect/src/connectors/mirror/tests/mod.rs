mod kafka;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vltava_core::id::Timestamp;
use vltava_core::testing::ManualClock;

use super::checkpoint::{is_news, to_commit};
use super::formats::{Checkpoint, OffsetSync};
use super::lag::Lag;
use super::{Clusters, MirrorCheckpoint, MirrorHeartbeat, MirrorSource, place};
use crate::connector::testing::{SourceHarness, StoredOffsets, source_suite};
use crate::connector::{Connector, Source, SourceConnector, SourceContext, TopicOffsets, TopicPartition};
use crate::connectors::Allowed;
use crate::error::ConnectError;
use crate::record::{Origin, Position, Record};
use crate::settings::{Config, Values};
use crate::testing::MemoryTopics;
use crate::topics::cluster::{Cluster, Commit};
use crate::topics::{Message, NewTopic, Topics};
use crate::value::Value;

/// Two clusters, by their addresses.
#[derive(Clone, Debug, Default)]
struct Pair {
    source: MemoryTopics,
    target: MemoryTopics,
}

impl Pair {
    fn clusters(&self) -> Arc<Clusters> {
        let pair = self.clone();
        Clusters::reached_by(Arc::new(Allowed::everything()), move |config| {
            let cluster: Option<Arc<dyn Cluster>> = match config.get("bootstrap.servers").map(String::as_str)
            {
                Some("source:1") => Some(Arc::new(pair.source.clone())),
                Some("target:1") => Some(Arc::new(pair.target.clone())),
                _ => None,
            };
            Box::pin(async move { cluster.ok_or_else(|| ConnectError::failed("nobody is there")) })
        })
    }

    async fn create(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let (name, settings) = (name.to_owned(), config(settings));
        let topic = NewTopic { name, partitions, replication_factor: 1, settings };
        self.source.create(&topic).await.expect("a topic");
    }

    fn write(&self, topic: &str, partition: i32, value: &str) {
        let message = Message {
            topic: topic.into(),
            partition: Some(partition),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            timestamp: Some(7),
            ..Message::default()
        };
        self.source.write(message).expect("a place");
    }
}

/// Settings: names and values.
type Given<'a> = &'a [(&'a str, &'a str)];

fn config(entries: Given<'_>) -> Config {
    entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The settings of a mirror from `a` to `b`.
fn flow(entries: &[(&str, &str)]) -> Config {
    let flow = [
        ("source.cluster.alias", "a"),
        ("target.cluster.alias", "b"),
        ("source.cluster.bootstrap.servers", "source:1"),
        ("target.cluster.bootstrap.servers", "target:1"),
    ];
    config(&flow).into_iter().chain(config(entries)).collect()
}

fn values(connector: &dyn Connector, entries: &[(&str, &str)]) -> Values {
    connector.settings().parse(&flow(entries)).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

/// A topic at a cluster, and the mirror that reads it.
struct Feeding {
    pair: Pair,
    next: usize,
}

#[async_trait]
impl SourceHarness for Feeding {
    fn connector(&self) -> Arc<dyn SourceConnector> {
        Arc::new(MirrorSource::new(self.pair.clusters()))
    }

    fn config(&self) -> Config {
        flow(&[("topics", "t")])
    }

    async fn feed(&mut self, records: usize) {
        for _ in 0..records {
            self.pair.write("t", 0, &format!("record {}", self.next));
            self.next += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_source_keeps_the_rules() {
    let pair = Pair::default();
    pair.create("t", 1, &[]).await;
    source_suite(Feeding { pair, next: 0 }).await;
}

/// A first task, at the stored offsets.
async fn started(
    connector: &dyn SourceConnector,
    config: &Config,
    offsets: &Arc<StoredOffsets>,
) -> Box<dyn Source> {
    started_in(connector, config, offsets.context()).await
}

async fn started_in(
    connector: &dyn SourceConnector,
    config: &Config,
    context: SourceContext,
) -> Box<dyn Source> {
    let settings = connector.settings();
    let mut config = config.clone();
    let values = settings.parse(&config).expect("settings");
    config.extend(connector.task_configs(&values, 1).await.expect("tasks").remove(0));
    let mut task = connector.task(&settings.parse(&config).expect("settings"), context).expect("a task");
    task.start().await.expect("a start");
    task
}

#[tokio::test(start_paused = true)]
async fn records_keep_all_that_they_have() {
    let pair = Pair::default();
    pair.create("t", 3, &[]).await;
    let bytes = |bytes: &'static [u8]| Some(Bytes::from_static(bytes));
    let headers = vec![("h".into(), bytes(b"\xff\x00")), ("h".into(), None), ("".into(), bytes(b""))];
    let whole = Message {
        topic: "t".into(),
        partition: Some(2),
        key: bytes(b"\x00k"),
        value: bytes(b"\xfe"),
        timestamp: Some(1234),
        headers: headers.clone(),
    };
    let tombstone = Message { value: None, headers: Vec::new(), ..whole.clone() };
    let keyless = Message { key: None, value: bytes(b""), ..tombstone.clone() };
    for message in [&whole, &tombstone, &keyless] {
        pair.source.write(message.clone()).expect("a place");
    }
    let connector = MirrorSource::new(pair.clusters());
    let mut task = started(&connector, &flow(&[]), &Arc::default()).await;
    let raw = |value: &Value| match value {
        Value::Null => None,
        Value::Bytes(bytes) => Some(bytes.clone()),
        other => panic!("{other:?}"),
    };
    let records = task.poll().await.expect("records");
    assert_eq!(records.len(), 3);
    for (record, message) in records.iter().zip([whole, tombstone, keyless]) {
        let headers = record.headers.iter().map(|header| (header.name.clone(), raw(&header.value.value)));
        let copy = Message {
            topic: record.topic.clone(),
            partition: record.partition,
            key: raw(&record.key.value),
            value: raw(&record.value.value),
            timestamp: record.timestamp,
            headers: headers.collect(),
        };
        assert_eq!(copy, Message { topic: "a.t".into(), ..message });
    }
    let Origin::Source(position) = &records[1].origin else { panic!("a position") };
    let stored = serde_json::to_string(&(&*position.partition, position.offset.to_map())).expect("JSON");
    assert_eq!(stored, r#"[{"cluster":"a","partition":2,"topic":"t"},{"offset":1}]"#);
}

#[tokio::test(start_paused = true)]
async fn copies_are_created_grown_and_set_like_their_topics() {
    let pair = Pair::default();
    let set = [("retention.ms", "5"), ("min.insync.replicas", "2"), ("cleanup.policy", "compact")];
    pair.create("t", 2, &set).await;
    for topic in ["b.t", "mm2-offset-syncs.b.internal", "__x", "x.replica"] {
        pair.create(topic, 1, &[]).await;
    }
    pair.create("heartbeats", 1, &[]).await;
    let connector = MirrorSource::new(pair.clusters());
    let quick = [("refresh.topics.interval.seconds", "2"), ("sync.topic.configs.interval.seconds", "3")];
    let values = values(&connector, &quick);
    let configs = connector.task_configs(&values, 2).await.expect("tasks");
    let shares: Vec<_> = configs.iter().map(|config| config["task.assigned.partitions"].as_str()).collect();
    assert_eq!(shares, ["heartbeats-0,t-1", "t-0"]);
    assert_eq!(pair.target.list().await, Ok(vec!["a.heartbeats".to_owned(), "a.t".to_owned()]));
    assert_eq!(pair.target.partitions("a.t").await, Ok(Some(2)));
    assert!(pair.source.partitions("mm2-offset-syncs.b.internal").await.is_ok_and(|count| count == Some(1)));
    let settings = async || {
        let mut all = pair.target.topic_settings(&["a.t".to_owned()]).await.expect("settings");
        let set = all.remove("a.t").into_iter().flatten().filter(|setting| !setting.is_default);
        set.map(|setting| format!("{}={}", setting.name, setting.value)).collect::<Vec<_>>()
    };
    assert_eq!(settings().await, ["cleanup.policy=compact", "retention.ms=5"]);

    // Settings follow, and what is a default there becomes one here.
    let change = BTreeMap::from([
        ("retention.ms".to_owned(), Some("6".to_owned())),
        ("cleanup.policy".to_owned(), None),
    ]);
    pair.source.change_topic("t", &change).await.expect("a change");
    let grows = async {
        tokio::time::sleep(std::time::Duration::from_secs(7)).await;
        assert_eq!(settings().await, ["retention.ms=6"]);
        pair.source.grow("t", 4).await.expect("more partitions");
    };
    let (changed, ()) = tokio::join!(connector.changed(&values, &configs), grows);
    changed.expect("a change");
    assert_eq!(pair.target.partitions("a.t").await, Ok(Some(4)));
    let configs = connector.task_configs(&values, 9).await.expect("tasks");
    assert_eq!(configs.len(), 5);
}

/// The figures of a task as they are shown, of those with `part` in them.
fn told(context: &SourceContext, part: &str) -> Vec<String> {
    let mut seen = Vec::new();
    context.figures.tell(context.clock.now(), |told| {
        let labels: Vec<&str> = told.labels.iter().map(|(_, value)| value.as_str()).collect();
        seen.push(format!("{}{}{labels:?} {}", told.prefix, told.name, told.value));
    });
    seen.retain(|line| line.contains(part));
    seen
}

#[tokio::test(start_paused = true)]
async fn copies_and_checkpoints_are_counted() {
    let pair = Pair::default();
    pair.create("t", 1, &[]).await;
    (0..4).for_each(|number| pair.write("t", 0, &format!("number {number}")));
    pair.source.alter_group_offsets("g", &BTreeMap::from([(at("t", 0), Some(4))])).await.expect("offsets");
    let clock = Arc::new(ManualClock::new(Timestamp(1007)));
    let context = || {
        let context = Arc::<StoredOffsets>::default().context();
        SourceContext { clock: clock.clone(), ..context }
    };
    let mirror = MirrorSource::new(pair.clusters());
    let of_copies = context();
    let mut copying = started_in(&mirror, &flow(&[]), of_copies.clone()).await;
    let name = |name: &str| format!("kafka_connect_mirror_mirrorsourceconnector_{name}");
    let of = r#"["a", "b", "a.t", "0"]"#;
    let counts = [("record_count", 0), ("record_rate", 0), ("byte_count", 0), ("byte_rate", 0)];
    let expected = counts.map(|(figure, value)| name(&format!("{figure}{of} {value}")));
    assert_eq!(told(&of_copies, "_"), expected, "nothing was copied, and no time is known");
    let records = copying.poll().await.expect("records");
    assert_eq!(told(&of_copies, "record_age_ms["), [name(&format!("record_age_ms{of} 1000"))]);
    assert_eq!(told(&of_copies, "byte_count"), [name(&format!("byte_count{of} 32"))]);
    assert_eq!(told(&of_copies, "record_count"), [name(&format!("record_count{of} 0"))]);
    clock.advance(Duration::from_millis(500));
    let written = records.iter().take(3).zip(0..).map(|(record, offset)| (position(record), offset));
    copying.written(written.collect()).await;
    clock.advance(Duration::from_millis(100));
    copying.written(vec![(position(&records[3]), 3)]).await;
    copying.commit(&[]).await.expect("a commit");
    let latency = [("", 1600), ("_min", 1500), ("_max", 1600), ("_avg", 1525)];
    let latency = latency.map(|(end, value)| name(&format!("replication_latency_ms{end}{of} {value}")));
    assert_eq!(told(&of_copies, "replication_latency"), latency);
    assert_eq!(told(&of_copies, "record_count"), [name(&format!("record_count{of} 4"))]);

    let mirror = MirrorCheckpoint::new(pair.clusters());
    let of_checkpoints = context();
    let quick = flow(&[("emit.checkpoints.interval.seconds", "1")]);
    let mut checkpoints = started_in(&mirror, &quick, of_checkpoints.clone()).await;
    let made = checkpoints.poll().await.expect("checkpoints");
    assert!(told(&of_checkpoints, "_").is_empty(), "none has arrived");
    clock.advance(Duration::from_millis(40));
    checkpoints.written(made.iter().map(|record| (position(record), 0)).collect()).await;
    let of = r#"["a", "b", "g", "a.t", "0"] 40"#;
    let name =
        |end: &str| format!("kafka_connect_mirror_mirrorcheckpointconnector_checkpoint_latency_ms{end}{of}");
    assert_eq!(told(&of_checkpoints, "_"), ["", "_min", "_max", "_avg"].map(name));
}

fn position(record: &Record) -> Position {
    let Origin::Source(position) = &record.origin else { panic!("a position") };
    position.clone()
}

/// Copies everything that is there, and tells the task where it lies.
async fn copy_all(pair: &Pair, task: &mut dyn Source) -> Vec<Record> {
    let records = task.poll().await.expect("records");
    let mut written = Vec::new();
    for record in &records {
        let Origin::Source(position) = &record.origin else { panic!("a position") };
        let message =
            Message { topic: record.topic.clone(), partition: record.partition, ..Message::default() };
        let placed = pair.target.write(message).expect("a place");
        written.push((position.clone(), placed.offset.expect("an offset")));
    }
    task.written(written).await;
    task.commit(&[]).await.expect("a commit");
    records
}

#[tokio::test(start_paused = true)]
async fn groups_go_on_at_the_target() {
    let pair = Pair::default();
    pair.create("t", 1, &[]).await;
    (0..10).for_each(|number| pair.write("t", 0, &number.to_string()));
    let offsets = |offset| BTreeMap::from([(at("t", 0), Some(offset))]);
    pair.source.alter_group_offsets("g", &offsets(10)).await.expect("offsets");
    pair.source.alter_group_offsets("connect-x", &offsets(10)).await.expect("offsets");
    let mirror = MirrorSource::new(pair.clusters());
    let mut copying = started(&mirror, &flow(&[]), &Arc::default()).await;
    assert_eq!(copy_all(&pair, &mut *copying).await.len(), 10);
    let quick = [
        ("emit.checkpoints.interval.seconds", "1"),
        ("sync.group.offsets.enabled", "true"),
        ("sync.group.offsets.interval.seconds", "1"),
    ];
    let connector = MirrorCheckpoint::new(pair.clusters());
    let values = values(&connector, &quick);
    let configs = connector.task_configs(&values, 5).await.expect("tasks");
    assert_eq!(configs.len(), 1);
    assert_eq!(configs[0]["task.assigned.groups"], "g");

    let mut task = started(&connector, &flow(&quick), &Arc::default()).await;
    let records = task.poll().await.expect("a checkpoint");
    let checkpoint = |record: &Record| {
        let (Value::Bytes(key), Value::Bytes(value)) = (&record.key.value, &record.value.value) else {
            panic!("bytes")
        };
        Checkpoint::decode((key.clone(), value.clone()))
            .expect("bytes of a checkpoint")
            .expect("a known version")
    };
    let expected = Checkpoint {
        group: "g".to_owned(),
        place: at("a.t", 0),
        upstream: 10,
        downstream: 10,
        metadata: String::new(),
    };
    assert_eq!(records.len(), 1);
    assert_eq!(checkpoint(&records[0]), expected);
    assert_eq!(records[0].topic, "a.checkpoints.internal");
    let (Value::Bytes(key), Value::Bytes(value)) = (&records[0].key.value, &records[0].value.value) else {
        panic!("bytes")
    };
    pair.target
        .write(Message {
            topic: records[0].topic.clone(),
            partition: Some(0),
            key: Some(key.clone()),
            value: Some(value.clone()),
            ..Message::default()
        })
        .expect("a place");
    // The same is said once; meanwhile it is committed.
    let committed = async || pair.target.group_offsets("g").await.expect("offsets");
    let waiting = async {
        while committed().await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    };
    tokio::select! {
        polled = task.poll() => panic!("{polled:?}"),
        () = waiting => {}
    }
    assert_eq!(committed().await, TopicOffsets::from([(at("a.t", 0), 10)]));

    // Another task knows what was said, and an offset that goes back is said.
    task.close().await;
    let mut task = started(&connector, &flow(&quick), &Arc::default()).await;
    pair.source.alter_group_offsets("g", &offsets(4)).await.expect("offsets");
    let records = task.poll().await.expect("a checkpoint");
    assert_eq!(checkpoint(&records[0]), Checkpoint { upstream: 4, downstream: 1, ..expected });
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_every_second() {
    let pair = Pair::default();
    let connector = MirrorHeartbeat::new(pair.clusters());
    let mut task = started(&connector, &flow(&[]), &Arc::default()).await;
    assert_eq!(pair.target.list().await, Ok(vec!["heartbeats".to_owned()]));
    let before = tokio::time::Instant::now();
    for _ in 0..3 {
        let records = task.poll().await.expect("a heartbeat");
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].topic, "heartbeats");
    }
    assert_eq!(before.elapsed().as_secs(), 3);
    let off = values(&connector, &[("emit.heartbeats.enabled", "false")]);
    assert_eq!(connector.task_configs(&off, 1).await.expect("tasks"), Vec::<Config>::new());
}

#[tokio::test]
async fn settings_that_do_not_fit_are_told() {
    let pair = Pair::default();
    let (source, checkpoint) = (MirrorSource::new(pair.clusters()), MirrorCheckpoint::new(pair.clusters()));
    let refused = |connector: &dyn Connector, entries: &[(&str, &str)]| -> Vec<String> {
        match connector.settings().parse(&flow(entries)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|error| error.field).collect(),
        }
    };
    let cases = [
        ("topics", "("),
        ("replication.policy.class", "com.example.Policy"),
        ("topic.filter.class", "com.example.Filter"),
        ("replication.policy.separator", ""),
        ("replication.factor", "0"),
        ("offset-syncs.topic.location", "elsewhere"),
        ("offset.lag.max", "-1"),
        ("source.cluster.bootstrap.servers", ""),
    ];
    for (name, value) in cases {
        assert_eq!(refused(&source, &[(name, value)]), [name], "{value}");
    }
    let allowed = [
        ("replication.policy.class", "IdentityReplicationPolicy"),
        ("replication.policy.class", "org.apache.kafka.connect.mirror.DefaultReplicationPolicy"),
        ("replication.factor", "-1"),
    ];
    for (name, value) in allowed {
        assert!(refused(&source, &[(name, value)]).is_empty(), "{value}");
    }
    let told: [(&dyn Connector, Given<'_>, &str); 4] = [
        (&source, &[("exactly.once.support", "required")], "exactly.once.support"),
        (
            &source,
            &[("emit.offset-syncs.enabled", "false"), ("offset-syncs.topic.location", "target")],
            "emit.offset-syncs.enabled",
        ),
        (&checkpoint, &[("emit.offset-syncs.enabled", "false")], "emit.offset-syncs.enabled"),
        (&checkpoint, &[("emit.checkpoints.enabled", "false")], "emit.checkpoints.enabled"),
    ];
    for (connector, entries, field) in told {
        let errors = connector.validate(&values(connector, entries)).await;
        assert_eq!(errors.iter().map(|error| error.field.as_str()).collect::<Vec<_>>(), [field]);
    }
    let committed =
        [("exactly.once.support", "required"), ("source.consumer.isolation.level", "read_committed")];
    assert_eq!(source.validate(&values(&source, &committed)).await, []);
    // In a node only allowed clusters are reached.
    let allowed = Allowed::new(Some(Vec::new()), Some(vec!["kafka://source:1".to_owned()]));
    let confined = MirrorSource::new(Clusters::new(Arc::new(allowed)));
    let given = values(&confined, &[("source.cluster.ssl.truststore.location", "/etc/hosts")]);
    let errors = confined.validate(&given).await;
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["source.cluster.ssl.truststore.location", "target.cluster.bootstrap.servers"]);
    assert!(confined.task_configs(&given, 1).await.is_err());
    let around = [
        ("admin.bootstrap.servers", "elsewhere:1"),
        ("source.admin.ssl.truststore.location", "/etc/hosts"),
        ("target.admin.bootstrap.servers", "source:1"),
    ];
    let errors = confined.validate(&values(&confined, &around)).await;
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["admin.bootstrap.servers", "source.admin.ssl.truststore.location"]);
}

#[test]
fn operators_set_positions_that_tasks_understand() {
    let parsed = |text: &str| serde_json::from_str(text).expect("an object");
    let cases = [
        (r#"{"cluster":"a","partition":0,"topic":"t"}"#, Some(r#"{"offset":3}"#), true),
        (r#"{"cluster":"a","partition":0,"topic":"t"}"#, Some(r#"{"offset":-1}"#), false),
        (r#"{"cluster":"a","partition":0,"topic":"t"}"#, Some(r#"{"offset":"3"}"#), false),
        (r#"{"cluster":"a","partition":-1,"topic":"t"}"#, Some(r#"{"offset":3}"#), false),
        (r#"{"cluster":"a","partition":3000000000,"topic":"t"}"#, Some(r#"{"offset":3}"#), false),
        (r#"{"partition":0,"topic":"t"}"#, Some(r#"{"offset":3}"#), false),
        (r#"{"anything":0}"#, None, true),
    ];
    for (partition, offset, expected) in cases {
        let checked =
            place::check(&[(parsed(partition), offset.map(parsed))], &["cluster", "topic"], true, false);
        assert_eq!(checked.is_ok(), expected, "{partition} {offset:?}");
    }
    let zero = (parsed(r#"{"partition":0,"topic":"t","group":"g"}"#), Some(parsed(r#"{"offset":1}"#)));
    assert!(place::check(&[zero], &["group", "topic"], true, true).is_err());
}

#[test]
fn offset_syncs_are_due_when_translations_would_lag() {
    let sync = |upstream, downstream| OffsetSync { place: at("t", 0), upstream, downstream };
    let due = |lag: &mut Lag, upstream, downstream| {
        lag.copied(sync(upstream, downstream));
        lag.take().len() == 1
    };
    let mut lag = Lag::new(10);
    let cases = [
        (0, 0, true),
        (1, 1, false),
        (9, 9, true),
        (10, 10, false),
        (11, 19, false),
        (12, 20, true),
        (13, 21, false),
        (14, 5, true),
        (14, 6, true),
    ];
    for (upstream, downstream, expected) in cases {
        assert_eq!(due(&mut lag, upstream, downstream), expected, "{upstream} at {downstream}");
    }
    lag.copied(sync(15, 7));
    assert_eq!(lag.take(), []);
    lag.stored();
    assert_eq!(lag.take(), [sync(15, 7)]);
    lag.stored();
    assert_eq!(lag.take(), []);
}

#[test]
fn groups_do_not_go_back_at_the_target() {
    let checkpoint = |upstream, downstream| Checkpoint {
        group: "g".to_owned(),
        place: at("a.t", 0),
        upstream,
        downstream,
        metadata: String::new(),
    };
    assert!(is_news(None, &checkpoint(5, 5)));
    let cases = [((5, 5), false), ((6, 5), false), ((6, 4), false), ((6, 6), true), ((4, 3), true)];
    for ((upstream, downstream), expected) in cases {
        assert_eq!(is_news(Some(&checkpoint(5, 5)), &checkpoint(upstream, downstream)), expected);
    }
    let last = BTreeMap::from([(at("a.t", 0), checkpoint(9, 5))]);
    for (have, expected) in [(None, true), (Some(4), true), (Some(5), false), (Some(6), false)] {
        let commit = |offset| (at("a.t", 0), Commit { offset, metadata: String::new() });
        let have = have.map(commit).into_iter().collect();
        assert_eq!(!to_commit(&last, &have).is_empty(), expected);
    }
}
