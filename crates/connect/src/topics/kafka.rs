//! A Kafka cluster, through the crate `krafka`; the only module that knows it.
//!
//! Producers and calls of administration share connections; each consumer has its own, since a broker answers the requests of
//! a connection in order, and a long poll would hold up whatever stands behind it.

mod cluster;
mod membership;
mod security;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use krafka::consumer::{
    AutoOffsetReset, ConsumerBuilder, ConsumerRebalanceListener, IsolationLevel, OffsetAndMetadata,
    TopicPartition as Partition,
};
use krafka::error::ErrorCode;
use krafka::producer::{Acks, ProducerBuilder};
use krafka::{Compression, Kafka, KrafkaError, admin};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use vltava_core::clock::BoxFuture;

use self::membership::KafkaMembership;
pub use self::security::FILES;
use super::{
    Acknowledgement, Consumer, Message, NewTopic, Placed, Polled, Producer, Reads, Received, Release, Topics,
    TopicsError, TopicsErrorKind,
};
use crate::connector::{TopicOffsets, TopicPartition};
use crate::error::{ConnectError, ErrorKind};
use crate::membership::Membership;
use crate::record::TimestampType;
use crate::settings::{Config, Kind, Setting, Settings, Values};

/// Rebalances that wait to be told; each is followed by a poll, so that more do not come.
const REBALANCES_MAX: usize = 16;
/// How long leaving a group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of that is waited for: the group is left first, and what else there is to say may stand behind a long poll.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);
/// What a poll waits beyond what it is told. A fetch waits for whole milliseconds, rounded down: without this it would end
/// just before its poll, which would ask again at once, and again.
const POLL_MARGIN: Duration = Duration::from_micros(200);
/// How long a consumer rests that has nothing to fetch: no partitions, paused ones, or some without a leader.
const IDLE_PAUSE: Duration = Duration::from_millis(250);
/// How often members of groups say that they live, unless they are told or a third of their session is less: as often as
/// the next generation of groups does by default.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// The largest batches that producers make unless `batch.size` says otherwise, as the client counts: for small records twice
/// what is sent. A partition has one request on its way, so that a source is as fast as its batches are large.
const BATCH_BYTES: usize = 256 * 1024;
/// Records that a consumer may keep for the next polls. What a broker sent beyond that is read again, so that it is about as
/// many small records as a fetch brings.
const BUFFERED_RECORDS_MAX: i32 = 10_000;

/// A cluster behind a network.
pub struct KafkaTopics {
    values: Values,
    request_timeout: Duration,
    shared: Kafka,
    /// How many partitions topics had when they were last asked about.
    counts: Mutex<HashMap<String, i32>>,
}

impl fmt::Debug for KafkaTopics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaTopics").field("settings", &self.values).finish_non_exhaustive()
    }
}

/// The settings of clients that have an effect, beside those of producers and consumers.
pub fn client_settings() -> Settings {
    let own = [
        Setting::required("bootstrap.servers", Kind::String, "Where the cluster is first asked.").not_empty(),
        Setting::new("client.id", Kind::String, "", "What the clients are called in logs of brokers."),
        Setting::new("request.timeout.ms", Kind::Int, "40000", "How long a request may take.").at_least(1),
        Setting::new("metadata.max.age.ms", Kind::Long, "300000", "How often topics are looked at.")
            .at_least(0),
    ];
    own.into_iter().chain(security::declared()).collect()
}

/// Looks at the settings of a client before anything is tried.
///
/// # Errors
/// When a value is wrong, or says what the client cannot do.
pub fn check(config: &Config) -> Result<(), ConnectError> {
    security::read(&client_settings().values(config)?).map(drop)
}

impl KafkaTopics {
    /// Connects to the cluster that the settings name.
    ///
    /// # Errors
    /// When the settings are wrong, or no server answers.
    pub async fn connect(config: &Config) -> Result<Self, ConnectError> {
        let values = client_settings().values(config)?;
        let request_timeout = time(&values, "request.timeout.ms")?;
        let shared = dial(&values).await?;
        Ok(Self { values, request_timeout, shared, counts: Mutex::default() })
    }

    /// Connections for a client of its own settings, unless they are as these.
    async fn other(&self, settings: &Config) -> Result<Option<Kafka>, ConnectError> {
        let config = security::overridden(&self.values, settings)?;
        if config == *self.values.raw() {
            return Ok(None);
        }
        Ok(Some(dial(&client_settings().values(&config)?).await?))
    }

    fn admin(&self) -> admin::AdminClient {
        self.shared.admin()
    }

    /// A fetch waits for as long as the poll that makes it, and at most for half of what a request may take; unless
    /// `fetch.max.wait.ms` says less.
    fn consume_with(
        &self,
        builder: ConsumerBuilder,
        settings: &Config,
    ) -> Result<ConsumerBuilder, TopicsError> {
        let builder = builder
            .fetch_max_wait(self.request_timeout / 2)
            .idle_poll_backoff(IDLE_PAUSE)
            .max_buffered_records(BUFFERED_RECORDS_MAX);
        consume_with(builder, settings)
    }
}

async fn dial(values: &Values) -> Result<Kafka, ConnectError> {
    let client_id = Some(values.string("client.id")?).filter(|id| !id.is_empty()).unwrap_or("vltava-connect");
    let timeout = time(values, "request.timeout.ms")?;
    let builder = Kafka::builder(values.string("bootstrap.servers")?)
        .client_id(client_id)
        .request_timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .metadata_max_age(time(values, "metadata.max.age.ms")?);
    let builder = match security::read(values)? {
        Some(security) => builder.security(security),
        None => builder,
    };
    Ok(builder.connect().await.map_err(failed)?)
}

fn time(values: &Values, name: &str) -> Result<Duration, ConnectError> {
    Ok(Duration::from_millis(values.number(name)?.unsigned_abs()))
}

#[async_trait]
impl Topics for KafkaTopics {
    async fn cluster_id(&self) -> Result<Option<String>, TopicsError> {
        let described = self.admin().describe_cluster(Default::default()).await.map_err(failed)?;
        Ok(Some(described.cluster_id).filter(|id| !id.is_empty()))
    }

    async fn list(&self) -> Result<Vec<String>, TopicsError> {
        let options = admin::ListTopicsOptions::default();
        self.admin().list_topics(options).await.map_err(failed)
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicsError> {
        let described = self.admin().describe_topics([topic], Default::default()).await.map_err(failed)?;
        match described.into_values().next() {
            Some(Ok(described)) => {
                let count = i32::try_from(described.partitions.len()).unwrap_or(i32::MAX);
                if self.counts.lock().get(topic).is_some_and(|known| *known != count) {
                    // Producers go by what was learnt before, until all topics are looked at.
                    self.list().await?;
                }
                self.counts.lock().insert(topic.to_owned(), count);
                Ok(Some(count))
            }
            Some(Err(error)) if is(&error, ErrorCode::UnknownTopicOrPartition) => Ok(None),
            Some(Err(error)) => Err(failed(error)),
            None => Ok(None),
        }
    }

    async fn create(&self, topic: &NewTopic) -> Result<(), TopicsError> {
        let new = admin::NewTopic::new(&topic.name, topic.partitions, topic.replication_factor);
        let mut new = new.map_err(failed)?;
        for (name, value) in &topic.settings {
            new = new.with_config(name, value);
        }
        let created = self.admin().create_topics([new], Default::default()).await.map_err(failed)?;
        match created.into_values().next() {
            Some(Err(error)) if !is(&error, ErrorCode::TopicAlreadyExists) => Err(failed(error)),
            _ => Ok(()),
        }
    }

    async fn producer(
        &self,
        transactional_id: Option<&str>,
        settings: &Config,
    ) -> Result<Box<dyn Producer>, TopicsError> {
        let other = self.other(settings).await.map_err(unreached)?;
        let builder = produce_with(other.as_ref().unwrap_or(&self.shared).producer(), settings)?;
        match transactional_id {
            None => Ok(Box::new(Plain(builder.build().await.map_err(failed)?))),
            Some(id) => {
                let producer = builder.build_transactional(id).await.map_err(failed)?;
                Ok(Box::new(Transactional(producer)))
            }
        }
    }

    async fn consumer(&self, reads: Reads, settings: &Config) -> Result<Box<dyn Consumer>, TopicsError> {
        let kafka = match self.other(settings).await.map_err(unreached)? {
            Some(other) => other,
            None => dial(&self.values).await.map_err(unreached)?,
        };
        let (sender, events) = mpsc::channel(REBALANCES_MAX);
        let mut joined = None;
        let (consumer, members) = match reads {
            Reads::Subscribed { group, topics } => {
                let builder = self.consume_with(kafka.consumer(group.as_str()), settings)?;
                joined = Some(KafkaMembership::consumers(kafka.clone(), group));
                let listener = Listener { events: sender };
                let consumer = builder.enable_auto_commit(false).rebalance_listener(listener).build().await;
                let consumer = consumer.map_err(failed)?;
                consumer.subscribe(topics).await.map_err(failed)?;
                (consumer, BTreeSet::new())
            }
            Reads::All { topic } => {
                let partitions = self.partitions(&topic).await?.ok_or_else(|| {
                    TopicsError::new(TopicsErrorKind::UnknownTopic, format!("There is no topic {topic}"))
                })?;
                let builder = self.consume_with(kafka.consumer_without_group(), settings)?;
                let consumer = builder.auto_offset_reset(AutoOffsetReset::Earliest).build().await;
                let consumer = consumer.map_err(failed)?;
                consumer.assign(&topic, (0..partitions).collect()).await.map_err(failed)?;
                let place = |partition| TopicPartition { topic: topic.as_str().into(), partition };
                (consumer, (0..partitions).map(place).collect())
            }
            Reads::Places(places) => {
                let builder = self.consume_with(kafka.consumer_without_group(), settings)?;
                let consumer = builder.build().await.map_err(failed)?;
                let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
                for place in places.keys() {
                    topics.entry(&place.topic).or_default().push(place.partition);
                }
                for (topic, partitions) in topics {
                    consumer.assign(topic, partitions).await.map_err(failed)?;
                }
                let begun = places.iter().filter_map(|(place, offset)| Some((theirs(place), (*offset)?)));
                consumer.seek_many(begun.collect::<Vec<_>>()).await.map_err(failed)?;
                (consumer, places.into_keys().collect())
            }
        };
        Ok(Box::new(Reader { consumer: Arc::new(consumer), joined, events, polling: None, members }))
    }

    async fn group_offsets(&self, group: &str) -> Result<TopicOffsets, TopicsError> {
        let options = admin::ListConsumerGroupOffsetsOptions::default();
        let offsets = self.admin().list_consumer_group_offsets(group, options).await.map_err(failed)?;
        let mut all = TopicOffsets::new();
        for (place, offset) in offsets {
            if let Some(offset) = offset.map_err(failed)?.offset {
                all.insert(ours(&place), offset);
            }
        }
        Ok(all)
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<(), TopicsError> {
        let set = offsets.iter().filter_map(|(place, offset)| Some((theirs(place), (*offset)?)));
        let set: Vec<_> = set.collect();
        let removed = offsets.iter().filter(|(_, offset)| offset.is_none());
        let removed: Vec<_> = removed.map(|(place, _)| theirs(place)).collect();
        if !set.is_empty() {
            let results = self.admin().alter_consumer_group_offsets(group, set, Default::default()).await;
            results.map_err(failed)?.into_values().collect::<Result<Vec<_>, _>>().map_err(failed)?;
        }
        if !removed.is_empty() {
            let results =
                self.admin().delete_consumer_group_offsets(group, removed, Default::default()).await;
            let results = results.map_err(failed)?.into_values();
            let gone = |result: &Result<(), KrafkaError>| matches!(result, Err(error) if is(error, ErrorCode::GroupIdNotFound));
            results.filter(|result| !gone(result)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        }
        Ok(())
    }

    async fn delete_group(&self, group: &str) -> Result<(), TopicsError> {
        let deleted =
            self.admin().delete_consumer_groups([group], Default::default()).await.map_err(failed)?;
        match deleted.into_values().next() {
            Some(Err(error)) if !is(&error, ErrorCode::GroupIdNotFound) => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

fn number<T: std::str::FromStr>(settings: &Config, name: &str) -> Result<Option<T>, TopicsError> {
    let wrong = |text: &String| {
        TopicsError::new(TopicsErrorKind::Failed, format!("The client setting {name} cannot be {text}"))
    };
    settings.get(name).map(|text| text.trim().parse().map_err(|_| wrong(text))).transpose()
}

fn milliseconds(settings: &Config, name: &str) -> Result<Option<Duration>, TopicsError> {
    Ok(number(settings, name)?.map(Duration::from_millis))
}

/// Settings of producers that have an effect.
const OF_PRODUCERS: [&str; 9] = [
    "batch.size",
    "linger.ms",
    "delivery.timeout.ms",
    "transaction.timeout.ms",
    "max.request.size",
    "buffer.memory",
    "max.block.ms",
    "compression.type",
    "acks",
];
/// Settings of consumers that have an effect.
const OF_CONSUMERS: [&str; 10] = [
    "max.poll.records",
    "fetch.min.bytes",
    "fetch.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.max.wait.ms",
    "max.poll.interval.ms",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "auto.offset.reset",
    "isolation.level",
];

/// Says which settings of a client have no effect.
fn warn_of_others(client: &str, settings: &Config, known: &[&str]) {
    let counts = |name: &str| known.contains(&name) || security::is_setting(name);
    for name in settings.keys().filter(|name| !counts(name)) {
        tracing::warn!(client, setting = name, "the setting of a client has no effect");
    }
}

fn produce_with(mut builder: ProducerBuilder, settings: &Config) -> Result<ProducerBuilder, TopicsError> {
    warn_of_others("producer", settings, &OF_PRODUCERS);
    let (request, memory) = (number(settings, "max.request.size")?, number(settings, "buffer.memory")?);
    let room = [request, memory].into_iter().flatten().fold(BATCH_BYTES, usize::min);
    builder = builder.batch_size(number(settings, "batch.size")?.unwrap_or(room));
    if let Some(linger) = milliseconds(settings, "linger.ms")? {
        builder = builder.linger(linger);
    }
    if let Some(timeout) = milliseconds(settings, "delivery.timeout.ms")? {
        builder = builder.delivery_timeout(timeout);
    }
    if let Some(timeout) = milliseconds(settings, "transaction.timeout.ms")? {
        builder = builder.transaction_timeout(timeout);
    }
    if let Some(bytes) = request {
        builder = builder.max_request_size(bytes);
    }
    if let Some(bytes) = memory {
        builder = builder.buffer_memory(bytes);
    }
    if let Some(time) = milliseconds(settings, "max.block.ms")? {
        builder = builder.max_block(time);
    }
    let compression = match settings.get("compression.type").map(String::as_str) {
        None | Some("none") => Compression::None,
        Some("gzip") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        Some("lz4") => Compression::Lz4,
        Some("zstd") => Compression::Zstd,
        Some(other) => return Err(refused("compression.type", other)),
    };
    builder = builder.compression(compression);
    match settings.get("acks").map(String::as_str) {
        None | Some("all" | "-1") => Ok(builder.acks(Acks::All)),
        Some("1") => Ok(builder.acks(Acks::Leader).idempotent(false)),
        Some("0") => Ok(builder.acks(Acks::None).idempotent(false)),
        Some(other) => Err(refused("acks", other)),
    }
}

fn consume_with(mut builder: ConsumerBuilder, settings: &Config) -> Result<ConsumerBuilder, TopicsError> {
    warn_of_others("consumer", settings, &OF_CONSUMERS);
    if let Some(records) = number(settings, "max.poll.records")? {
        builder = builder.max_poll_records(records);
    }
    if let Some(bytes) = number(settings, "fetch.min.bytes")? {
        builder = builder.fetch_min_bytes(bytes);
    }
    if let Some(bytes) = number(settings, "fetch.max.bytes")? {
        builder = builder.fetch_max_bytes(bytes);
    }
    if let Some(bytes) = number(settings, "max.partition.fetch.bytes")? {
        builder = builder.max_partition_fetch_bytes(bytes);
    }
    if let Some(wait) = milliseconds(settings, "fetch.max.wait.ms")? {
        builder = builder.fetch_max_wait(wait);
    }
    if let Some(interval) = milliseconds(settings, "max.poll.interval.ms")? {
        builder = builder.max_poll_interval(interval);
    }
    let mut heartbeats = HEARTBEAT_INTERVAL;
    if let Some(timeout) = milliseconds(settings, "session.timeout.ms")? {
        builder = builder.session_timeout(timeout);
        heartbeats = heartbeats.min(timeout / 3);
    }
    builder =
        builder.heartbeat_interval(milliseconds(settings, "heartbeat.interval.ms")?.unwrap_or(heartbeats));
    builder = match settings.get("auto.offset.reset").map(String::as_str) {
        None | Some("earliest") => builder.auto_offset_reset(AutoOffsetReset::Earliest),
        Some("latest") => builder.auto_offset_reset(AutoOffsetReset::Latest),
        Some(other) => return Err(refused("auto.offset.reset", other)),
    };
    match settings.get("isolation.level").map(String::as_str) {
        None | Some("read_uncommitted") => Ok(builder.isolation_level(IsolationLevel::ReadUncommitted)),
        Some("read_committed") => Ok(builder.isolation_level(IsolationLevel::ReadCommitted)),
        Some(other) => Err(refused("isolation.level", other)),
    }
}

fn refused(name: &str, value: &str) -> TopicsError {
    TopicsError::new(TopicsErrorKind::Failed, format!("The client setting {name} cannot be {value}"))
}

/// Why a client has no connections: what is wrong with its settings stays so.
fn unreached(error: ConnectError) -> TopicsError {
    let kind = match error.kind {
        ErrorKind::Config => TopicsErrorKind::Failed,
        _ => TopicsErrorKind::Retriable,
    };
    TopicsError::new(kind, error.message)
}

fn is(error: &KrafkaError, expected: ErrorCode) -> bool {
    matches!(error, KrafkaError::Broker { code, .. } if *code == expected)
}

fn failed(error: KrafkaError) -> TopicsError {
    let kind = match &error {
        KrafkaError::Fenced { .. } => TopicsErrorKind::Fenced,
        KrafkaError::Broker { code, .. } => match code {
            ErrorCode::ProducerFenced | ErrorCode::InvalidProducerEpoch => TopicsErrorKind::Fenced,
            ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId => TopicsErrorKind::GroupInUse,
            ErrorCode::UnknownTopicOrPartition => TopicsErrorKind::UnknownTopic,
            ErrorCode::MessageTooLarge | ErrorCode::InvalidRecord | ErrorCode::InvalidTimestamp => {
                TopicsErrorKind::Message
            }
            _ if error.requires_abort() => TopicsErrorKind::Abort,
            _ if error.is_retriable() => TopicsErrorKind::Retriable,
            _ => TopicsErrorKind::Failed,
        },
        _ if error.is_fatal() => TopicsErrorKind::Failed,
        _ if error.requires_abort() => TopicsErrorKind::Abort,
        _ if error.is_retriable() => TopicsErrorKind::Retriable,
        _ => TopicsErrorKind::Failed,
    };
    TopicsError::new(kind, error.to_string())
}

fn theirs(place: &TopicPartition) -> Partition {
    Partition::new(place.topic.to_string(), place.partition)
}

fn ours(place: &Partition) -> TopicPartition {
    TopicPartition { topic: place.topic.as_str().into(), partition: place.partition }
}

fn record(message: Message) -> krafka::Record {
    let mut record = krafka::Record::new(message.topic.to_string(), bytes::Bytes::new());
    record.partition = message.partition;
    record.key = message.key;
    record.value = message.value;
    record.timestamp = message.timestamp;
    record.headers = message.headers.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    record
}

type Handle = Result<krafka::producer::DeliveryHandle, KrafkaError>;

/// The outcomes of messages that were queued.
fn acknowledged(handles: Vec<Handle>) -> Acknowledgement {
    Box::pin(async move {
        let mut outcomes = Vec::with_capacity(handles.len());
        for handle in handles {
            let outcome = match handle {
                Ok(handle) => handle.await,
                Err(error) => Err(error),
            };
            outcomes.push(outcome.map_err(failed).map(|metadata| Placed {
                partition: metadata.partition,
                offset: metadata.is_success().then_some(metadata.offset),
            }));
        }
        outcomes
    })
}

struct Plain(krafka::producer::Producer);

impl fmt::Debug for Plain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a producer of Kafka")
    }
}

#[async_trait]
impl Producer for Plain {
    async fn send(&self, messages: Vec<Message>) -> Acknowledgement {
        let mut handles = Vec::with_capacity(messages.len());
        for message in messages {
            handles.push(self.0.enqueue(record(message)).await);
        }
        acknowledged(handles)
    }

    async fn flush(&self) {
        // Each message has an outcome of its own.
        let _ = self.0.flush().await;
    }

    async fn begin(&self) -> Result<(), TopicsError> {
        Err(untransactional())
    }

    async fn commit(&self) -> Result<(), TopicsError> {
        Err(untransactional())
    }

    async fn abort(&self) -> Result<(), TopicsError> {
        Err(untransactional())
    }

    async fn close(&self, timeout: Duration) {
        let options = krafka::CloseOptions::new().timeout(timeout);
        let _late = self.0.close_with(options).await;
    }
}

fn untransactional() -> TopicsError {
    TopicsError::new(TopicsErrorKind::Failed, "the producer has no transactional id")
}

struct Transactional(krafka::producer::TransactionalProducer);

impl fmt::Debug for Transactional {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a transactional producer of Kafka")
    }
}

#[async_trait]
impl Producer for Transactional {
    async fn send(&self, messages: Vec<Message>) -> Acknowledgement {
        let mut handles = Vec::with_capacity(messages.len());
        for message in messages {
            handles.push(self.0.enqueue(record(message)).await);
        }
        acknowledged(handles)
    }

    async fn flush(&self) {
        // Each message has an outcome of its own.
        let _ = self.0.flush().await;
    }

    async fn begin(&self) -> Result<(), TopicsError> {
        self.0.begin().map_err(failed)
    }

    async fn commit(&self) -> Result<(), TopicsError> {
        self.0.commit().await.map_err(failed)
    }

    async fn abort(&self) -> Result<(), TopicsError> {
        self.0.abort().await.map_err(failed)
    }

    async fn close(&self, timeout: Duration) {
        let options = krafka::CloseOptions::new().timeout(timeout);
        let _late = self.0.close_with(options).await;
    }
}

/// Tells the reader of rebalances, and waits until it has let go of what goes.
struct Listener {
    events: mpsc::Sender<Polled>,
}

impl Listener {
    async fn revoke(&self, partitions: &[Partition], lost: bool) {
        if partitions.is_empty() {
            return;
        }
        let (release, released) = oneshot::channel();
        let partitions = partitions.iter().map(ours).collect();
        let event = Polled::Revoked { partitions, lost, release: Release(Some(release)) };
        if self.events.send(event).await.is_ok() {
            // An error is the release: the sender is dropped.
            let _ = released.await;
        }
    }
}

impl ConsumerRebalanceListener for Listener {
    async fn on_partitions_assigned(&self, partitions: &[Partition]) {
        if !partitions.is_empty() {
            // The reader is gone only when nobody polls any more.
            let _ = self.events.send(Polled::Assigned(partitions.iter().map(ours).collect())).await;
        }
    }

    async fn on_partitions_revoked(&self, partitions: &[Partition]) {
        self.revoke(partitions, false).await;
    }

    async fn on_partitions_lost(&self, partitions: &[Partition]) {
        self.revoke(partitions, true).await;
    }
}

type Polling = BoxFuture<'static, Result<Vec<krafka::ConsumerRecord>, KrafkaError>>;

/// A consumer, and the poll that is under way: a rebalance interrupts it without dropping it.
struct Reader {
    consumer: Arc<krafka::consumer::Consumer>,
    /// The group that it is a member of, until it is closed.
    joined: Option<KafkaMembership>,
    events: mpsc::Receiver<Polled>,
    polling: Option<Polling>,
    members: BTreeSet<TopicPartition>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reader").field("assigned", &self.members).finish_non_exhaustive()
    }
}

impl Reader {
    fn note(&mut self, event: &Polled) {
        match event {
            Polled::Assigned(partitions) => self.members.extend(partitions.iter().cloned()),
            Polled::Revoked { partitions, .. } => partitions.iter().for_each(|gone| {
                self.members.remove(gone);
            }),
            Polled::Records(_) => {}
        }
    }

    fn by_topic(&self, partitions: &[TopicPartition]) -> BTreeMap<String, Vec<i32>> {
        let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for place in partitions.iter().filter(|place| self.members.contains(place)) {
            topics.entry(place.topic.to_string()).or_default().push(place.partition);
        }
        topics
    }
}

#[async_trait]
impl Consumer for Reader {
    async fn poll(&mut self, timeout: Duration) -> Result<Polled, TopicsError> {
        if let Ok(event) = self.events.try_recv() {
            self.note(&event);
            return Ok(event);
        }
        let (consumer, timeout) = (self.consumer.clone(), timeout + POLL_MARGIN);
        let polling = self.polling.get_or_insert_with(|| {
            Box::pin(async move {
                let rest = sleep(IDLE_PAUSE.min(timeout));
                let polled = consumer.poll(timeout).await;
                // The client does not wait while its buffer is full of records of paused partitions.
                if polled.as_ref().is_ok_and(Vec::is_empty) {
                    rest.await;
                }
                polled
            })
        });
        let event = tokio::select! {
            biased;
            Some(event) = self.events.recv() => event,
            polled = polling => {
                self.polling = None;
                match polled {
                    Err(KrafkaError::Wakeup) => Polled::Records(Vec::new()),
                    polled => Polled::Records(received(polled.map_err(failed)?)),
                }
            }
        };
        self.note(&event);
        Ok(event)
    }

    async fn seek(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError> {
        let known = offsets.iter().filter(|(place, _)| self.members.contains(place));
        let offsets: Vec<_> = known.map(|(place, offset)| (theirs(place), *offset)).collect();
        self.consumer.seek_many(offsets).await.map_err(failed)
    }

    async fn pause(&mut self, partitions: &[TopicPartition]) {
        for (topic, partitions) in self.by_topic(partitions) {
            self.consumer.pause(&topic, &partitions).await;
        }
    }

    async fn resume(&mut self, partitions: &[TopicPartition]) {
        for (topic, partitions) in self.by_topic(partitions) {
            self.consumer.resume(&topic, &partitions).await;
        }
        // A poll that rests with nothing to fetch begins anew.
        self.consumer.wakeup();
    }

    async fn commit(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError> {
        let offsets = offsets.iter().map(|(place, offset)| (theirs(place), OffsetAndMetadata::new(*offset)));
        self.consumer.commit_offsets(offsets.collect::<Vec<_>>()).await.map_err(failed)
    }

    async fn positions(&mut self) -> TopicOffsets {
        let mut positions = TopicOffsets::new();
        for place in &self.members {
            if let Some(offset) = self.consumer.fetch_position(&place.topic, place.partition).await {
                positions.insert(place.clone(), offset);
            }
        }
        positions
    }

    async fn ends(&mut self) -> Result<TopicOffsets, TopicsError> {
        let mut ends = TopicOffsets::new();
        for place in &self.members {
            let (_, end) =
                self.consumer.fetch_watermarks(&place.topic, place.partition).await.map_err(failed)?;
            ends.insert(place.clone(), end);
        }
        Ok(ends)
    }

    async fn close(&mut self) {
        self.polling = None;
        self.events.close();
        let (consumer, joined) = (self.consumer.clone(), self.joined.take());
        let closing = tokio::spawn(async move {
            let member = match &joined {
                Some(_) => tokio::time::timeout(CLOSE_TIMEOUT, member(&consumer)).await.ok(),
                None => None,
            };
            let options = krafka::CloseOptions::new().timeout(CLOSE_TIMEOUT);
            let _late = consumer.close_with(options).await;
            if let (Some(group), Some(member)) = (joined, member) {
                // The client says nothing while it is between two rounds. Who has left already has lost nothing.
                let _gone = group.leave(&member).await;
            }
        });
        let _late = tokio::time::timeout(CLOSE_PATIENCE, closing).await;
    }
}

/// The name of a member, by which it leaves its group; waits for it. A request to join that is under way when the client is
/// closed goes on, and would make a member that nobody knows of: the group would wait for it until its session ends.
async fn member(consumer: &krafka::consumer::Consumer) -> String {
    loop {
        if let Some(named) = consumer.group_metadata().await {
            return named.member_id().to_owned();
        }
        if consumer.poll(IDLE_PAUSE).await.is_err() {
            sleep(IDLE_PAUSE).await;
        }
    }
}

/// Records that follow each other share the name of their topic.
fn received(records: Vec<krafka::ConsumerRecord>) -> Vec<Received> {
    let mut topic = ByteString::new();
    let one = |record: krafka::ConsumerRecord| {
        if *topic != *record.topic {
            topic = (&*record.topic).into();
        }
        let timestamp_type = match record.timestamp_type {
            krafka::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
            _ => TimestampType::CreateTime,
        };
        Received {
            topic: topic.clone(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            timestamp_type,
            key: record.key,
            value: record.value,
            headers: record.headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    };
    records.into_iter().map(one).collect()
}
