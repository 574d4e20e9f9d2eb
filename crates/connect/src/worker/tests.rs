use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use vltava_core::testing::ManualClock;

use super::meters::TaskMeters;
use super::tables::State;
use super::*;
use crate::connector::figures::{Figure, FigureKind};
use crate::connector::{
    Altered, Connector, ExactlyOnce, Sink, SinkConnector, SinkContext, Source, SourceConnector,
    SourceContext, TopicOffsets, TopicPartition,
};
use crate::error::ErrorKind;
use crate::record::{Datum, Position, Record, SourceMap, SourceOffset};
use crate::settings::{FieldError, Kind, Setting, Settings, Values};
use crate::testing::{MemoryLoggers, MemoryMembership, MemoryTopics};
use crate::topics::{TopicsError, TopicsErrorKind};
use crate::value::Value;

/// Counts into a topic, up to a number.
#[derive(Debug)]
struct Counter {
    gate: Gate,
}

/// Holds up the threads that wait at it until its other end is gone.
type Gate = Arc<Mutex<std::sync::mpsc::Receiver<()>>>;

#[async_trait]
impl Connector for Counter {
    fn settings(&self) -> Settings {
        Settings::from([
            Setting::required("topic", Kind::String, "Where to."),
            Setting::new("to", Kind::Long, "10", "How far."),
            Setting::new("panics.at", Kind::Long, "-1", "Where it panics."),
            Setting::new("blocks.at", Kind::Long, "-1", "Where it blocks its thread."),
        ])
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        match values.string("topic") {
            Ok("forbidden") => vec![FieldError::new("topic", "not that one")],
            _ => Vec::new(),
        }
    }

    async fn task_configs(&self, _: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        Ok((0..tasks_max).map(|task| Config::from([("part".to_owned(), task.to_string())])).collect())
    }
}

#[async_trait]
impl SourceConnector for Counter {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let part = values.raw().get("part").cloned().unwrap_or_default();
        let partition = Arc::new(SourceMap::from_iter([("part".to_owned(), json!(part))]));
        let (topic, to) = (values.string("topic")?.to_owned(), values.number("to")?);
        Ok(Box::new(Counting {
            topic,
            to,
            at: 0,
            counted: Arc::default(),
            partition,
            context,
            panics_at: values.number("panics.at")?,
            blocks_at: values.number("blocks.at")?,
            gate: self.gate.clone(),
        }))
    }

    fn exactly_once(&self, _: &Values) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        match offsets.iter().all(|(partition, _)| partition.contains_key("part")) {
            true => Ok(Altered::Supported),
            false => Err(ConnectError::failed("Partition objects should contain the key 'part'")),
        }
    }
}

#[derive(Debug)]
struct Counting {
    topic: String,
    to: i64,
    at: i64,
    panics_at: i64,
    blocks_at: i64,
    gate: Gate,
    counted: Arc<vltava_core::meter::Counter>,
    partition: Arc<SourceMap>,
    context: SourceContext,
}

static COUNTED: [Figure<vltava_core::meter::Counter>; 1] = [Figure {
    name: "counted",
    kind: FigureKind::Counter,
    help: "How far it is.",
    value: |counted, _| Some(counted.get() as f64),
}];

#[async_trait]
impl Source for Counting {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let stored = self.context.offsets.offsets(&[(*self.partition).clone()]).await?;
        let at = stored.into_iter().flatten().next();
        self.at = at.and_then(|offset| offset["at"].as_i64()).unwrap_or(0);
        let part = [("part", self.partition["part"].as_str().unwrap_or_default())];
        self.context.figures.register(&part, &COUNTED, self.counted.clone()).unwrap();
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        if self.at >= self.to {
            pending::<()>().await;
        }
        assert_ne!(self.at, self.panics_at, "told to");
        if self.at == self.blocks_at {
            self.gate.lock().recv().expect_err("nothing is sent");
        }
        self.counted.add(1);
        self.at += 1;
        let offset = SourceOffset::Number("at", self.at.into());
        let position = Position { partition: self.partition.clone(), offset };
        Ok(vec![Record::new(self.topic.as_str(), Datum::text(self.at.to_string()), position)])
    }
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Collects values.
#[derive(Debug, Default)]
struct Collector {
    seen: Seen,
}

#[async_trait]
impl Connector for Collector {
    fn settings(&self) -> Settings {
        Settings::from([
            Setting::optional("refuses", Kind::String, "What it does not take."),
            Setting::optional("waits.on", Kind::String, "What it never has done with."),
        ])
    }
}

#[async_trait]
impl SinkConnector for Collector {
    fn task(&self, values: &Values, context: SinkContext) -> Result<Box<dyn Sink>, ConnectError> {
        let refuses = values.optional_string("refuses")?.map(str::to_owned);
        let waits_on = values.optional_string("waits.on")?.map(str::to_owned);
        Ok(Box::new(Collecting { seen: self.seen.clone(), refuses, waits_on, context, failures: 2 }))
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        _: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<Altered, ConnectError> {
        Ok(Altered::Unknown)
    }
}

#[derive(Debug)]
struct Collecting {
    seen: Seen,
    refuses: Option<String>,
    waits_on: Option<String>,
    context: SinkContext,
    failures: usize,
}

#[async_trait]
impl Sink for Collecting {
    async fn start(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn put(&mut self, records: &[Record]) -> Result<(), ConnectError> {
        if self.failures > 0 {
            self.failures -= 1;
            return Err(ConnectError::retriable("not yet"));
        }
        for record in records {
            let Value::String(text) = &record.value.value else { continue };
            if self.waits_on.as_deref() == Some(&**text) {
                pending::<()>().await;
            }
            if self.refuses.as_deref() == Some(&**text) {
                let error = ConnectError { kind: ErrorKind::Data, ..ConnectError::failed("refused") };
                if let crate::connector::Report::Refused(error) = self.context.report(record, error) {
                    return Err(error);
                }
                continue;
            }
            self.seen.lock().push(text.to_string());
        }
        Ok(())
    }

    async fn precommit(&mut self, taken: TopicOffsets) -> Result<TopicOffsets, ConnectError> {
        Ok(taken)
    }
}

struct Fixture {
    group: MemoryMembership,
    peers: Arc<MemoryPeers>,
    loggers: Arc<MemoryLoggers>,
    topics: MemoryTopics,
    seen: Seen,
    plugins: Arc<Plugins>,
    exactly_once: &'static str,
    offset_flush_interval_ms: &'static str,
    task_call_timeout_ms: &'static str,
    /// Lets those go on that wait at the gate, when it is dropped.
    opener: Option<std::sync::mpsc::Sender<()>>,
}

fn config<const N: usize>(pairs: [(&str, &str); N]) -> Config {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Fixture {
    fn new(exactly_once: &'static str) -> Self {
        let seen = Seen::default();
        let mut plugins = Plugins::default();
        crate::converters::plugins().into_iter().for_each(|row| plugins.add(row));
        #[cfg(feature = "http")]
        {
            let urls = vec!["http://127.0.0.1:1".to_owned()];
            let allowed = Arc::new(crate::connectors::Allowed::new(Some(Vec::new()), Some(urls)));
            let registries = crate::converters::registries(|| None);
            let rows = crate::converters::registry_plugins(&registries, &allowed);
            rows.into_iter().for_each(|row| plugins.add(row));
        }
        let row = |class, implementation| Plugin { class, version: "1", implementation };
        let (opener, gate) = std::sync::mpsc::channel();
        let counter = Counter { gate: Arc::new(Mutex::new(gate)) };
        plugins.add(row("test.CounterConnector", Implementation::Source(Arc::new(counter))));
        let collector = Arc::new(Collector { seen: seen.clone() });
        plugins.add(row("test.CollectorConnector", Implementation::Sink(collector)));
        let (group, peers, loggers) = (MemoryMembership::default(), Arc::default(), Arc::default());
        let (topics, plugins) = (MemoryTopics::default(), Arc::new(plugins));
        Self {
            group,
            peers,
            loggers,
            topics,
            seen,
            plugins,
            exactly_once,
            offset_flush_interval_ms: "100",
            task_call_timeout_ms: "300000",
            opener: Some(opener),
        }
    }

    async fn worker(&self) -> Arc<Worker> {
        self.worker_at("here:8083", Arc::new(self.group.another())).await
    }

    async fn worker_at(&self, id: &str, membership: Arc<MemoryMembership>) -> Arc<Worker> {
        let settings = config([
            ("group.id", "g"),
            ("key.converter", "StringConverter"),
            ("value.converter", "StringConverter"),
            ("offset.storage.topic", "offsets"),
            ("config.storage.topic", "configs"),
            ("status.storage.topic", "statuses"),
            ("offset.flush.interval.ms", self.offset_flush_interval_ms),
            ("scheduled.rebalance.max.delay.ms", "0"),
            ("exactly.once.source.support", self.exactly_once),
            ("task.call.timeout.ms", self.task_call_timeout_ms),
        ]);
        let surroundings = Surroundings {
            plugins: self.plugins.clone(),
            topics: Arc::new(self.topics.clone()),
            membership,
            peers: self.peers.clone(),
            loggers: self.loggers.clone(),
            clock: Arc::new(ManualClock::default()),
        };
        let settings = WorkerSettings::new(&settings, id).unwrap();
        let worker = Arc::new(Worker::start(settings, surroundings).await.unwrap());
        self.peers.0.lock().insert(format!("http://{id}/"), Arc::downgrade(&worker));
        worker
    }
}

/// The workers of a fixture, by their addresses.
#[derive(Debug, Default)]
struct MemoryPeers(Mutex<BTreeMap<String, std::sync::Weak<Worker>>>);

#[async_trait]
impl Peers for MemoryPeers {
    async fn ask(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String> {
        let worker = self.0.lock().get(url).and_then(std::sync::Weak::upgrade).ok_or("nobody is there")?;
        let header = |name: &str| {
            request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let path: Vec<&str> = request.path.split('/').collect();
        let outcome = match (&*request.method, &*path) {
            ("POST", ["", "connectors", name, "tasks"]) => {
                worker.put_tasks(name, header, &request.body).await
            }
            ("PUT", ["", "connectors", name, "fence"]) => worker.fence(name, header, &request.body).await,
            other => panic!("{other:?}"),
        };
        let status = outcome.as_ref().map_or_else(WorkerError::code, |()| 204);
        let body = outcome.err().map(|error| error.to_string()).unwrap_or_default();
        Ok(PeerReply { status, location: None, body: body.into() })
    }
}

fn source(topic: &str, to: &str) -> Config {
    config([("connector.class", "Counter"), ("name", "c"), ("topic", topic), ("to", to)])
}

/// Waits until something holds; time is paused, so that this takes none.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

fn is(worker: &Worker, name: &str, state: State) -> bool {
    let Ok(status) = worker.status(name) else { return false };
    status.connector.state == state && status.tasks.iter().all(|task| task.state.state == state)
}

fn texts(topics: &MemoryTopics, topic: &str) -> Vec<String> {
    let text = |value: Option<bytes::Bytes>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
    topics.read(topic).into_iter().map(|record| text(record.value)).collect()
}

fn up_to(last: i64) -> Vec<String> {
    (1..=last).map(|number| number.to_string()).collect()
}

/// What is counted of the first task of a connector.
fn meters(worker: &Worker, connector: &str) -> Arc<TaskMeters> {
    let tasks = worker.meters().tasks();
    tasks.into_iter().find(|((name, task), _)| name == connector && *task == 0).unwrap().1
}

/// What the first task of a connector tells itself.
fn counted(worker: &Worker, connector: &str) -> Option<f64> {
    let mut counted = None;
    meters(worker, connector).figures.tell(worker.clock().now(), |told| counted = Some(told.value));
    counted
}

#[tokio::test(start_paused = true)]
async fn records_go_from_source_to_sink_and_positions_survive_the_worker() {
    for exactly_once in ["disabled", "enabled"] {
        let fixture = Fixture::new(exactly_once);
        let worker = fixture.worker().await;
        let info = worker.create("c", source("numbers", "5"), Target::Started).await.unwrap();
        assert_eq!((info.kind, info.tasks.len()), ("source", 0));
        let sink = config([("connector.class", "Collector"), ("name", "s"), ("topics", "numbers")]);
        until("five are written", || fixture.topics.read("numbers").len() == 5).await;
        assert!(worker.put_config("s", sink).await.unwrap().0);
        until("five are seen", || *fixture.seen.lock() == up_to(5)).await;
        until("both run", || is(&worker, "c", State::Running) && is(&worker, "s", State::Running)).await;
        until("topics are known", || worker.topics("c").unwrap() == ["numbers"]).await;
        for (name, transactions) in [("c", u64::from(exactly_once == "enabled")), ("s", 0)] {
            let meters = meters(&worker, name);
            until("all are counted", || (meters.taken.get(), meters.given.get()) == (5, 5)).await;
            until("none is on its way", || meters.active.get() == 0).await;
            assert!(meters.calls.count() >= meters.batches.count() && meters.batches.count() > 0);
            assert_eq!(meters.transactions.count().min(1), transactions);
            // The sink takes nothing at first.
            let tries = if name == "s" { 2 } else { 0 };
            assert_eq!((meters.errors.retries.get(), meters.errors.last_ms() > 0), (tries, tries > 0));
        }
        worker.shutdown().await;
        assert!(worker.meters().tasks().is_empty());

        let worker = fixture.worker().await;
        assert_eq!(worker.connectors(), ["c", "s"]);
        worker.put_config("c", source("numbers", "8")).await.unwrap();
        until("eight are seen", || *fixture.seen.lock() == up_to(8)).await;
        worker.shutdown().await;
        let offsets = json!({ "offsets": [{ "partition": { "part": "0" }, "offset": { "at": 8 } }] });
        assert_eq!(worker.offsets("c").await.unwrap(), offsets);
        assert_eq!(fixture.topics.read("numbers").len(), 8, "nothing twice, as the worker ended in peace");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_pauses_stops_resumes_and_goes() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    worker.create("c", source("numbers", "5"), Target::Paused).await.unwrap();
    until("it is paused", || is(&worker, "c", State::Paused) && worker.tasks("c").unwrap().len() == 1).await;
    assert!(fixture.topics.read("numbers").is_empty());
    worker.set_target("c", Target::Started).await.unwrap();
    until("it runs", || is(&worker, "c", State::Running) && fixture.topics.read("numbers").len() == 5).await;
    worker.set_target("c", Target::Stopped).await.unwrap();
    until("it is stopped", || {
        is(&worker, "c", State::Stopped) && worker.status("c").unwrap().tasks.is_empty()
    })
    .await;
    assert!(worker.tasks("c").unwrap().is_empty());
    worker.delete("c").await.unwrap();
    until("it is gone", || worker.status("c").is_err()).await;
    assert_eq!(worker.info("c").unwrap_err().code(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_sink_polls_seldom_and_still_hears_at_once() {
    let fixture = Fixture { offset_flush_interval_ms: "60000", ..Fixture::new("disabled") };
    let worker = fixture.worker().await;
    worker.create("c", source("numbers", "1"), Target::Started).await.unwrap();
    until("one is written", || fixture.topics.read("numbers").len() == 1).await;
    let sink = config([("connector.class", "Collector"), ("name", "s"), ("topics", "numbers")]);
    worker.create("s", sink, Target::Started).await.unwrap();
    until("one is seen", || *fixture.seen.lock() == up_to(1)).await;
    // Timers are late by up to a millisecond, which the next wait makes good.
    let rounded = |wait: &Duration| (wait.as_secs_f64() * 100.0).round() / 100.0;
    let seconds = |waits: Vec<Duration>| waits.iter().map(rounded).collect::<Vec<_>>();
    let waits = async |time| {
        fixture.topics.waits("connect-s");
        tokio::time::sleep(Duration::from_secs(time)).await;
        seconds(fixture.topics.waits("connect-s"))
    };
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(waits(10).await, [5.0; 2], "a quiet task waits for long");
    let prompt = async |what, holds: &dyn Fn() -> bool| {
        let begun = tokio::time::Instant::now();
        until(what, holds).await;
        assert!(begun.elapsed() < Duration::from_millis(200), "{what} after {:?}", begun.elapsed());
    };
    fixture.topics.waits("connect-s");
    worker.put_config("c", source("numbers", "2")).await.unwrap();
    prompt("two are seen", &|| *fixture.seen.lock() == up_to(2)).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = seconds(fixture.topics.waits("connect-s"));
    let anew =
        after.windows(4).rposition(|waits| waits == [0.5, 1.0, 2.0, 4.0]).map(|at| after.split_at(at + 4).1);
    // The first of the longest waits ends with those of others.
    let rest = matches!(anew, Some([first, long @ ..]) if *first <= 5.0 && long.len() >= 2 && long.iter().all(|wait| *wait == 5.0));
    assert!(rest, "it begins anew with each record: {after:?}");
    worker.set_target("s", Target::Paused).await.unwrap();
    prompt("it is paused", &|| is(&worker, "s", State::Paused)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(waits(2).await, [0.5; 4], "what is paused may be read again soon");
    worker.set_target("s", Target::Started).await.unwrap();
    prompt("it runs", &|| is(&worker, "s", State::Running)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    worker.set_target("s", Target::Stopped).await.unwrap();
    prompt("it has stopped", &|| is(&worker, "s", State::Stopped)).await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_reads_a_topic_that_comes_after_it() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    let sink = config([("connector.class", "Collector"), ("name", "s"), ("topics", "numbers,letters")]);
    worker.create("s", sink, Target::Started).await.unwrap();
    until("it runs", || is(&worker, "s", State::Running)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    worker.create("c", source("numbers", "2"), Target::Started).await.unwrap();
    let begun = tokio::time::Instant::now();
    until("two are seen", || *fixture.seen.lock() == up_to(2)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_sink_reads_partitions_that_are_added() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    fixture.topics.add_partition("numbers");
    let sink = config([("connector.class", "Collector"), ("name", "s"), ("topics", "numbers")]);
    worker.create("s", sink, Target::Started).await.unwrap();
    until("it runs", || is(&worker, "s", State::Running)).await;
    fixture.topics.add_partition("numbers");
    for partition in [1, 0] {
        let message = crate::topics::Message {
            topic: "numbers".into(),
            partition: Some(partition),
            value: Some("1".into()),
            ..crate::topics::Message::default()
        };
        fixture.topics.write(message).unwrap();
    }
    until("both are seen", || fixture.seen.lock().len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_one_task_and_nothing_else() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    let mut bad = source("bad", "5");
    bad.insert("panics.at".to_owned(), "3".to_owned());
    bad.insert("name".to_owned(), "bad".to_owned());
    worker.create("bad", bad.clone(), Target::Started).await.unwrap();
    worker.create("c", source("numbers", "5"), Target::Started).await.unwrap();
    let failed = || worker.task_status("bad", 0).is_ok_and(|task| task.state.state == State::Failed);
    until("it has failed", failed).await;
    assert!(worker.task_status("bad", 0).unwrap().state.trace.unwrap().contains("told to"));
    assert_eq!(counted(&worker, "bad"), None, "what it counted is gone with it");
    until("the other runs", || is(&worker, "c", State::Running) && fixture.topics.read("numbers").len() == 5)
        .await;
    assert_eq!(counted(&worker, "c"), Some(5.0));
    let status = worker.restart_all("bad", true, true).await.unwrap();
    assert_eq!(status.tasks[0].state.state, State::Restarting);
    assert_eq!(status.connector.state, State::Running, "only what has failed");
    bad.insert("panics.at".to_owned(), "-1".to_owned());
    worker.put_config("bad", bad).await.unwrap();
    until("it runs again", || is(&worker, "bad", State::Running)).await;
    until("it counts again", || counted(&worker, "bad").is_some()).await;
    until("it goes on", || texts(&fixture.topics, "bad").last().is_some_and(|last| last == "5")).await;
}

#[tokio::test(start_paused = true)]
async fn states_are_said_until_they_are_written() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    let mut bad = source("bad", "5");
    bad.extend(config([("name", "bad"), ("panics.at", "3")]));
    let late = || TopicsError::new(TopicsErrorKind::Retriable, "the time for it is up");
    (0..3).for_each(|_| fixture.topics.refuse_next("statuses", late()));
    worker.create("bad", bad, Target::Started).await.unwrap();
    let failed = || worker.task_status("bad", 0).is_ok_and(|task| task.state.state == State::Failed);
    until("it is shown that it has failed", failed).await;
    until("and that the connector runs", || {
        worker.status("bad").is_ok_and(|status| status.connector.state == State::Running)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tasks_that_block_their_threads_fail_and_hold_nobody_up() {
    let mut fixture = Fixture::new("disabled");
    fixture.task_call_timeout_ms = "200";
    let worker = fixture.worker().await;
    let mut bad = source("bad", "5");
    bad.extend(config([("name", "bad"), ("blocks.at", "3"), ("tasks.max", "3")]));
    worker.create("bad", bad.clone(), Target::Started).await.unwrap();
    worker.create("c", source("numbers", "5"), Target::Started).await.unwrap();
    until("the other runs", || is(&worker, "c", State::Running) && fixture.topics.read("numbers").len() == 5)
        .await;
    let failed = |task| worker.task_status("bad", task).is_ok_and(|task| task.state.state == State::Failed);
    until("they have failed", || (0..3).all(failed)).await;
    let trace = worker.task_status("bad", 2).unwrap().state.trace.unwrap();
    assert!(trace.contains("has blocked its thread for more than 200 ms"), "{trace}");
    bad.insert("blocks.at".to_owned(), "-1".to_owned());
    worker.put_config("bad", bad).await.unwrap();
    let done = || texts(&fixture.topics, "bad").iter().filter(|text| *text == "5").count() == 3;
    until("others go on in their place", || is(&worker, "bad", State::Running) && done()).await;
    let written = texts(&fixture.topics, "bad");
    fixture.opener.take();
    worker.shutdown().await;
    assert_eq!(texts(&fixture.topics, "bad"), written, "what was left behind does nothing more");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_fails_the_task() {
    let mut fixture = Fixture::new("disabled");
    fixture.task_call_timeout_ms = "20000";
    let worker = fixture.worker().await;
    worker.create("c", source("numbers", "5"), Target::Started).await.unwrap();
    let mut sink = config([("connector.class", "Collector"), ("name", "s"), ("topics", "numbers")]);
    sink.insert("waits.on".to_owned(), "4".to_owned());
    sink.insert("consumer.override.max.poll.interval.ms".to_owned(), "30000".to_owned());
    worker.create("s", sink.clone(), Target::Started).await.unwrap();
    let failed = || worker.task_status("s", 0).is_ok_and(|task| task.state.state == State::Failed);
    until("it has failed", failed).await;
    let trace = worker.task_status("s", 0).unwrap().state.trace.unwrap();
    assert!(trace.contains("The task hangs: its put has taken more than 30000 ms"), "{trace}");
    assert!(is(&worker, "c", State::Running), "the others run on");
    sink.remove("waits.on");
    worker.put_config("s", sink).await.unwrap();
    until("all is taken", || fixture.seen.lock().last().is_some_and(|last| last == "5")).await;
}

#[tokio::test(start_paused = true)]
async fn errant_records_go_to_the_topic_of_dead_letters() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    worker.create("c", source("numbers", "4"), Target::Started).await.unwrap();
    until("four are written", || fixture.topics.read("numbers").len() == 4).await;
    let sink = config([
        ("connector.class", "Collector"),
        ("name", "s"),
        ("topics", "numbers"),
        ("refuses", "3"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", "dead"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ]);
    worker.create("s", sink, Target::Started).await.unwrap();
    until("the others are seen", || *fixture.seen.lock() == ["1", "2", "4"]).await;
    until("one is dead", || texts(&fixture.topics, "dead") == ["3"]).await;
    let dead = fixture.topics.read("dead").remove(0);
    let header = |name: &str| {
        let found = dead.headers.iter().find(|(known, _)| *known == format!("__connect.errors.{name}"));
        String::from_utf8(found.unwrap().1.clone().unwrap().to_vec()).unwrap()
    };
    assert_eq!((header("topic"), header("offset")), ("numbers".to_owned(), "2".to_owned()));
    assert_eq!((header("stage"), header("connector.name")), ("TASK_PUT".to_owned(), "s".to_owned()));
    let meters = meters(&worker, "s");
    let counted = [&meters.errors.failures, &meters.errors.skipped, &meters.errors.dead_letters];
    assert_eq!(counted.map(vltava_core::meter::Counter::get), [1, 1, 1]);
    assert!(meters.errors.last_ms() > 0);
    worker.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_fails_the_task_before_its_position_is_stored() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    fixture
        .topics
        .create(&crate::topics::NewTopic {
            name: "numbers".to_owned(),
            partitions: 1,
            replication_factor: 1,
            settings: Config::new(),
        })
        .await
        .unwrap();
    fixture.topics.refuse_next("numbers", TopicsError::new(TopicsErrorKind::Failed, "disk full"));
    worker.create("c", source("numbers", "3"), Target::Started).await.unwrap();
    let failed = || worker.task_status("c", 0).is_ok_and(|task| task.state.state == State::Failed);
    until("it has failed", failed).await;
    assert!(worker.task_status("c", 0).unwrap().state.trace.unwrap().contains("disk full"));
    worker.restart_task("c", 0).await.unwrap();
    until("nothing is lost", || up_to(3).iter().all(|text| texts(&fixture.topics, "numbers").contains(text)))
        .await;
}

#[tokio::test(start_paused = true)]
async fn offsets_change_only_at_rest_and_as_the_connector_allows() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    worker.create("c", source("numbers", "3"), Target::Started).await.unwrap();
    until("three are written", || fixture.topics.read("numbers").len() == 3).await;
    let at = |offset: serde_json::Value| json!({ "offsets": [{ "partition": { "part": "0" }, "offset": offset }] });
    assert_eq!(worker.alter_offsets("c", &at(json!({ "at": 1 }))).await.unwrap_err().code(), 400);
    worker.set_target("c", Target::Stopped).await.unwrap();
    let refused = json!({ "offsets": [{ "partition": { "x": 1 }, "offset": null }] });
    assert_eq!(worker.alter_offsets("c", &refused).await.unwrap_err().code(), 500);
    assert_eq!(worker.alter_offsets("c", &json!({})).await.unwrap_err().code(), 400);
    let told = worker.alter_offsets("c", &at(json!({ "at": 1 }))).await.unwrap();
    assert_eq!(told, "The offsets for this connector have been altered successfully");
    assert_eq!(worker.offsets("c").await.unwrap(), at(json!({ "at": 1 })));
    worker.set_target("c", Target::Started).await.unwrap();
    until("two come again", || texts(&fixture.topics, "numbers") == ["1", "2", "3", "2", "3"]).await;
    worker.set_target("c", Target::Stopped).await.unwrap();
    worker.reset_offsets("c").await.unwrap();
    assert_eq!(worker.offsets("c").await.unwrap(), json!({ "offsets": [] }));
}

#[tokio::test(start_paused = true)]
async fn settings_are_refused_with_every_error() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    let bad = config([
        ("connector.class", "Counter"),
        ("name", ""),
        ("topic", "forbidden"),
        ("tasks.max", "0"),
        ("transforms", "a"),
        ("transforms.a.type", "Nope"),
        ("value.converter", "Nope"),
    ]);
    let validation = worker.validate(&bad).await.unwrap();
    assert_eq!(validation.error_count, 5, "{:?}", validation.refusal());
    let refusal = validation.refusal().unwrap().to_string();
    for part in [
        "not that one",
        "Value must be at least 1",
        "Class Nope could not be found.",
        "String may not be empty",
    ] {
        assert!(refusal.contains(part), "{refusal}");
    }
    assert_eq!(worker.create("x", bad, Target::Started).await.unwrap_err().code(), 400);
    assert_eq!(worker.validate(&config([("connector.class", "Nope")])).await.unwrap_err().code(), 400);
    worker.create("c", source("numbers", "1"), Target::Started).await.unwrap();
    assert_eq!(worker.create("c", source("numbers", "1"), Target::Started).await.unwrap_err().code(), 409);
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn converters_of_connectors_touch_what_is_allowed() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    let url = "schema.registry.url";
    let key_file = "schema.registry.ssl.keystore.location";
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Pairs<'_>, Pairs<'_>); 7] = [
        (&[], &[]),
        (&[(url, "http://127.0.0.1:1/deeper,http://a:b@127.0.0.1:1")], &[]),
        (&[(url, "http://127.0.0.1:1,http://a:secret@127.0.0.1:2")], &[(url, "allowed.urls")]),
        (&[(url, "ftp://127.0.0.1:1")], &[(url, "http://host:port")]),
        (
            &[(url, "https://127.0.0.1:1"), ("ssl.ca.location", "/etc/hosts"), (key_file, "/etc/passwd")],
            &[(url, "allowed.urls"), ("ssl.ca.location", "allowed.folders"), (key_file, "allowed.folders")],
        ),
        (
            &[(url, "http://127.0.0.1:1"), ("ssl.truststore.type", "JKS")],
            &[("ssl.truststore.type", "only PEM")],
        ),
        (&[("use.schema.id", "x")], &[("use.schema.id", "Invalid value x")]),
    ];
    for (settings, expected) in cases {
        let mut given = source("numbers", "1");
        given.insert("value.converter".to_owned(), "AvroConverter".to_owned());
        let below = |(name, value): &(&str, &str)| (format!("value.converter.{name}"), (*value).to_owned());
        given.extend(settings.iter().map(below));
        let validation = worker.validate(&given).await.expect("a validation");
        let wrong = validation.configs.iter().filter(|view| !view.value.errors.is_empty());
        let found: Vec<_> = wrong.map(|view| (&*view.value.name, view.value.errors.join("; "))).collect();
        assert_eq!(found.len(), expected.len(), "{settings:?}: {found:?}");
        for (name, why) in expected {
            let name = format!("value.converter.{name}");
            let error = found.iter().find(|(field, _)| *field == name).map(|(_, error)| error.as_str());
            let error = error.unwrap_or_default();
            assert!(error.contains(why) && !error.contains("secret"), "{name}: {found:?}");
        }
    }
    // Where settings came another way, the task does not begin.
    let registry = fixture.plugins.converter("AvroConverter").expect("a converter");
    assert_eq!(registry.refused(&config([(url, "http://127.0.0.1:2")])).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn topics_of_another_worker_are_taken_over() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    worker.shutdown().await;
    // As Kafka Connect writes them.
    let write = |topic: &str, key: &str, value: &str| {
        let (key, value) = (bytes::Bytes::from(key.to_owned()), bytes::Bytes::from(value.to_owned()));
        let message = crate::topics::Message {
            topic: topic.into(),
            partition: Some(0),
            key: Some(key),
            value: Some(value),
            ..crate::topics::Message::default()
        };
        fixture.topics.write(message).unwrap();
    };
    let properties = r#"{"properties":{"connector.class":"test.CounterConnector","name":"c","topic":"n","to":"4","part":"0"}}"#;
    write("configs", "session-key", r#"{"key":"a","algorithm":"HmacSHA256","creation-timestamp":1}"#);
    write("configs", "connector-c", properties);
    write("configs", "task-c-0", properties);
    write("configs", "commit-c", r#"{"tasks":1}"#);
    write("offsets", r#"["c",{"part":"0"}]"#, r#"{"at":2}"#);
    let worker = fixture.worker().await;
    until("it goes on", || texts(&fixture.topics, "n") == ["3", "4"]).await;
    until("it runs", || is(&worker, "c", State::Running)).await;
}

/// Where each task of a connector runs, as its status says.
fn owners(worker: &Worker, name: &str) -> Vec<Option<String>> {
    let Ok(status) = worker.status(name) else { return Vec::new() };
    let owner =
        |task: &TaskStatus| (task.state.state == State::Running).then(|| task.state.worker_id.clone());
    status.tasks.iter().map(owner).collect()
}

/// Whether four tasks run, on these workers.
fn run_on(worker: &Worker, workers: &[&str]) -> bool {
    let owners = owners(worker, "c");
    let known: std::collections::BTreeSet<_> = owners.iter().flatten().map(String::as_str).collect();
    owners.len() == 4 && owners.iter().all(Option::is_some) && known == workers.iter().copied().collect()
}

#[tokio::test(start_paused = true)]
async fn workers_share_work_and_one_leads() {
    for exactly_once in ["disabled", "enabled"] {
        let fixture = Fixture::new(exactly_once);
        let join = |id| fixture.worker_at(id, Arc::new(fixture.group.another()));
        let first = join("a:1").await;
        let mut four = source("numbers", "5");
        four.insert("tasks.max".to_owned(), "4".to_owned());
        first.create("c", four.clone(), Target::Started).await.unwrap();
        until("it runs", || run_on(&first, &["a:1"])).await;

        let second = join("b:1").await;
        until("half of it moves", || run_on(&second, &["a:1", "b:1"])).await;
        let elsewhere = WorkerError::Elsewhere(Some("http://a:1/".to_owned()));
        assert_eq!(second.create("d", four.clone(), Target::Started).await.unwrap_err(), elsewhere);
        let theirs = owners(&first, "c").iter().position(|owner| owner.as_deref() == Some("b:1")).unwrap();
        let elsewhere = WorkerError::Elsewhere(Some("http://b:1/".to_owned()));
        assert_eq!(first.restart_task("c", theirs).await.unwrap_err(), elsewhere);
        second.restart_task("c", theirs).await.unwrap();
        until("it runs again", || run_on(&first, &["a:1", "b:1"])).await;
        first.restart_all("c", true, false).await.unwrap();
        until("all run again", || run_on(&first, &["a:1", "b:1"])).await;

        first.shutdown().await;
        until("the other has all", || run_on(&second, &["b:1"])).await;
        until("it leads", || second.shared.view.borrow().leads).await;
        four.insert("to".to_owned(), "7".to_owned());
        second.put_config("c", four.clone()).await.unwrap();
        let all = 4 * 7;
        until("each number of each part", || texts(&fixture.topics, "numbers").len() >= all).await;
        if exactly_once == "enabled" {
            assert_eq!(texts(&fixture.topics, "numbers").len(), all, "once");
            until("its producers are known", || second.shared.configs.read().fencing("c") == Some(4)).await;
        }
        second.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_cut_off_stops_before_others_start_its_work() {
    let fixture = Fixture::new("disabled");
    let (way, other) = (Arc::new(fixture.group.another()), Arc::new(fixture.group.another()));
    let first = fixture.worker_at("a:1", way.clone()).await;
    let mut four = source("numbers", "5");
    four.insert("tasks.max".to_owned(), "4".to_owned());
    first.create("c", four, Target::Started).await.unwrap();
    until("it runs", || run_on(&first, &["a:1"])).await;
    let second = fixture.worker_at("b:1", other).await;
    until("half of it moves", || run_on(&second, &["a:1", "b:1"])).await;
    let start = tokio::time::Instant::now();
    way.cut();
    until("it has stopped", || owners(&second, "c").iter().flatten().all(|owner| owner == "b:1")).await;
    assert!(start.elapsed() < Duration::from_secs(10), "within the session");
    assert_eq!(
        first.create("d", source("x", "1"), Target::Started).await.unwrap_err(),
        WorkerError::Elsewhere(None)
    );
    fixture.group.expire(0);
    until("the other has all", || run_on(&second, &["b:1"])).await;
}

#[tokio::test(start_paused = true)]
async fn workers_go_on_beside_a_member_that_nobody_understands() {
    let fixture = Fixture::new("disabled");
    let stranger = fixture.group.another();
    let join = |id| fixture.worker_at(id, Arc::new(fixture.group.another()));
    let (first, second) = (join("a:1").await, join("b:1").await);
    let mut four = source("numbers", "5");
    four.insert("tasks.max".to_owned(), "4".to_owned());
    let created = first.create("c", four.clone(), Target::Started).await;
    let leader = if created.is_ok() { &first } else { &second };
    if created.is_err() {
        second.create("c", four.clone(), Target::Started).await.unwrap();
    }
    until("both run half of it", || run_on(&first, &["a:1", "b:1"])).await;
    let starts = leader.meters().task_starts.get();
    let garbage = ["sessioned", "compatible", "default"].map(|name| (name.to_owned(), "?".into()));
    let joined = stranger.join("", garbage.to_vec()).await.unwrap();
    assert_eq!(stranger.sync(&joined, Vec::new()).await.unwrap(), bytes::Bytes::new());
    until("there is another round", || leader.shared.view.borrow().generation == joined.generation).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(run_on(&first, &["a:1", "b:1"]));
    assert_eq!(leader.meters().task_starts.get(), starts, "nothing was started again");
    four.insert("to".to_owned(), "7".to_owned());
    leader.put_config("c", four).await.unwrap();
    until("they hear of changes", || texts(&fixture.topics, "numbers").contains(&"7".to_owned())).await;
}

#[tokio::test(start_paused = true)]
async fn settings_that_change_all_the_time_hold_no_heartbeat_up() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    worker.create("c", source("numbers", "5"), Target::Started).await.unwrap();
    until("it runs", || fixture.topics.read("numbers").len() == 5).await;
    let generation = worker.shared.view.borrow().generation;
    let session = worker.shared.settings.member.times.session_timeout;
    let start = tokio::time::Instant::now();
    for to in 6.. {
        worker.put_config("c", source("numbers", &to.to_string())).await.unwrap();
        until("it goes on", || fixture.topics.read("numbers").len() >= to).await;
        if start.elapsed() > 3 * session {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(worker.shared.view.borrow().generation, generation);
}

#[tokio::test(start_paused = true)]
async fn only_workers_plan_tasks_for_others() {
    let fixture = Fixture::new("disabled");
    let worker = fixture.worker().await;
    // Before the worker is a member: whoever asks.
    assert_eq!(worker.fence("c", |_| None, b"").await.unwrap_err().code(), 400);
    worker.create("c", source("numbers", "1"), Target::Started).await.unwrap();
    until("there is a key", || worker.shared.configs.read().session_key().is_some()).await;
    let refused = worker.put_tasks("c", |_| None, b"[]").await.unwrap_err();
    assert_eq!((refused.code(), &*refused.to_string()), (400, "Internal request missing required signature"));
    let forged =
        |name: &str| Some(if name.ends_with("Algorithm") { "HmacSHA256" } else { "AAAA" }.to_owned());
    assert_eq!(worker.put_tasks("c", forged, b"[]").await.unwrap_err().code(), 403);
    assert_eq!(worker.fence("c", forged, b"").await.unwrap_err().code(), 403);
    let key = worker.shared.configs.read().session_key().cloned().unwrap();
    let headers = key.sign(group::signature::Algorithm::HmacSha256, b"");
    let signed = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    worker.fence("c", signed, b"").await.unwrap();
    assert_eq!(worker.fence("nope", signed, b"").await.unwrap_err().code(), 404);
}

#[tokio::test(start_paused = true)]
async fn workers_set_levels_that_are_written_while_they_run() {
    let fixture = Fixture::new("disabled");
    let topics = fixture.topics.clone();
    let write = |key: &str, value: Option<&str>| {
        let message = crate::topics::Message {
            topic: "configs".into(),
            partition: Some(0),
            key: Some(key.to_owned().into()),
            value: value.map(|value| value.to_owned().into()),
            ..crate::topics::Message::default()
        };
        topics.write(message).unwrap();
    };
    let first = fixture.worker_at("a:1", Arc::new(fixture.group.another())).await;
    first.tell_level("before", "DEBUG").await.unwrap();
    let levels = fixture.loggers.clone();
    until("the worker that wrote it hears of it", || levels.levels().len() == 1).await;

    let later = Fixture { loggers: Arc::default(), ..fixture };
    let second = later.worker_at("b:1", Arc::new(later.group.another())).await;
    write("logger-cluster-gone", None);
    write("logger-cluster-odd", Some(r#"{"level":7}"#));
    write("logger-cluster-loud", Some(r#"{"level":"LOUD"}"#));
    for (logger, level) in [("one", "INFO"), ("before", "INFO"), ("one", "DEBUG")] {
        second.tell_level(logger, level).await.unwrap();
    }
    let pair = |(name, level): (&str, &str)| (name.to_owned(), level.to_owned());
    let expected = BTreeMap::from([("before", "INFO"), ("one", "DEBUG")].map(pair));
    let newest = |loggers: &MemoryLoggers| loggers.levels().into_iter().collect::<BTreeMap<_, _>>();
    until("both hear of it", || [&levels, &later.loggers].into_iter().all(|all| newest(all) == expected))
        .await;
    let early = pair(("before", "DEBUG"));
    assert_eq!(levels.levels()[0], early);
    assert!(!later.loggers.levels().contains(&early), "it was set before the worker started");
}
