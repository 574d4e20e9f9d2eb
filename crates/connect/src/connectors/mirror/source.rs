//! Copies topics: every record with its key, value, headers, timestamp and partition, byte for byte.
//!
//! The connector looks after the topics of the copies, and the tasks share the partitions. Where a copy came to lie is
//! recorded in the topic of offset syncs, from which checkpoints are made.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;

use super::clusters::{Clusters, Side, assigned, awaited, create_compacted, entries, pause, within};
use super::copies::{Copies, Counts};
use super::every::Every;
use super::formats::OffsetSync;
use super::lag::Lag;
use super::meters::{Copied, Flow, show_copies};
use super::policy::Policy;
use super::{copied_bytes, divided, place, settings};
use crate::connector::{
    Altered, Connector, ExactlyOnce, Source, SourceConnector, SourceContext, TopicPartition,
};
use crate::error::ConnectError;
use crate::record::{Header, Position, Record, SourceMap};
use crate::settings::{Config, FieldError, Settings, Values};
use crate::topics::{Acknowledgement, Consumer, Message, Polled, Producer, Reads, Received};

/// The partitions of a task, as MirrorMaker names them.
const ASSIGNED: &str = "task.assigned.partitions";
/// How long the last offset syncs have at the end of a task.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct MirrorSource {
    clusters: Arc<Clusters>,
}

impl MirrorSource {
    pub(in crate::connectors) fn new(clusters: Arc<Clusters>) -> Self {
        Self { clusters }
    }
}

#[async_trait]
impl Connector for MirrorSource {
    fn settings(&self) -> Settings {
        settings::of_source()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let mut errors = self.clusters.check(values);
        let given = |name: &str| values.raw().get(name).map(String::as_str);
        if given("exactly.once.support") == Some("required") && !reads_committed(values) {
            let why = "A mirror delivers exactly once only when its consumer reads committed records: set \
                source.consumer.isolation.level to read_committed, or records of aborted transactions are copied too";
            errors.push(FieldError::new("exactly.once.support", why));
        }
        let configured = values.raw().keys().any(|name| name.starts_with("offset-syncs."));
        if matches!(values.boolean("emit.offset-syncs.enabled"), Ok(false)) && configured {
            let why = "There are settings of offset syncs, which are not sent when this is false";
            errors.push(FieldError::new("emit.offset-syncs.enabled", why));
        }
        errors
    }

    async fn task_configs(&self, values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        if !values.boolean("enabled")? {
            return Ok(Vec::new());
        }
        let copies = Copies::new(values)?;
        if values.boolean("emit.offset-syncs.enabled")? {
            let (side, topic) = Side::of_offset_syncs(values)?;
            let cluster = self.clusters.reach(values, side, "offset-syncs-admin").await?;
            let replicas = values.number("offset-syncs.topic.replication.factor")?;
            within(values, create_compacted(&*cluster, topic, replicas)).await?;
        }
        let source = self.clusters.reach(values, Side::Source, "replication-source-admin").await?;
        let target = self.clusters.reach(values, Side::Target, "replication-target-admin").await?;
        let counts = within(values, copies.complete(&*source, &*target)).await?;
        Ok(divided(values, ASSIGNED, &places(&counts).collect::<Vec<_>>(), tasks_max))
    }

    async fn changed(&self, values: &Values, planned: &[Config]) -> Result<(), ConnectError> {
        if !values.boolean("enabled")? {
            return std::future::pending().await;
        }
        let copies = Copies::new(values)?;
        let source = self.clusters.reach(values, Side::Source, "replication-source-admin").await?;
        let target = self.clusters.reach(values, Side::Target, "replication-target-admin").await?;
        let planned = assigned(planned, ASSIGNED);
        let mut refresh = Every::later(settings::interval(values, "refresh.topics")?);
        let mut set = Every::at_once(settings::interval(values, "sync.topic.configs")?);
        loop {
            let outcome = tokio::select! {
                () = refresh.tick() => within(values, copies.complete(&*source, &*target)).await.map(Some),
                () = set.tick() => within(values, copies.set(&*source, &*target)).await.map(|()| None),
            };
            match outcome {
                Ok(Some(now)) if places(&now).collect::<BTreeSet<_>>() != planned => return Ok(()),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "topics cannot be compared; trying again later"),
            }
        }
    }
}

/// The partitions of topics, as tasks are told of them.
fn places(counts: &Counts) -> impl Iterator<Item = String> {
    counts.iter().flat_map(|(topic, count)| (0..*count).map(move |partition| format!("{topic}-{partition}")))
}

/// The partitions of a task.
fn of_task(values: &Values) -> Result<Vec<TopicPartition>, ConnectError> {
    let list = values.raw().get(ASSIGNED).map(String::as_str).unwrap_or_default();
    let place = |text: String| {
        let wrong = || ConnectError::config(format!("{ASSIGNED} names no partition with {text:?}"));
        let (topic, partition) = text.rsplit_once('-').ok_or_else(wrong)?;
        Ok(TopicPartition { topic: topic.into(), partition: partition.parse().map_err(|_| wrong())? })
    };
    entries(list).map(place).collect()
}

fn reads_committed(values: &Values) -> bool {
    let level = Side::Source.client(values, "consumer").remove("isolation.level");
    level.as_deref() == Some("read_committed")
}

#[async_trait]
impl SourceConnector for MirrorSource {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let (policy, alias) = (Policy::new(values)?, values.string("source.cluster.alias")?);
        let way = |place: TopicPartition| {
            let copy = policy.remote(alias, &place.topic).into();
            let partition = Arc::new(place::of_topic(alias, &place));
            (place, Way { copy, partition, copied: Copied::default() })
        };
        let ways: HashMap<_, _> = of_task(values)?.into_iter().map(way).collect();
        let flow = Flow { source: alias, target: values.string("target.cluster.alias")? };
        let shown = ways.iter().try_for_each(|(place, way)| {
            let copy = TopicPartition { topic: way.copy.clone(), partition: place.partition };
            show_copies(&context.figures, flow, &copy, way.copied.meters())
        });
        if let Err(error) = shown {
            tracing::warn!(%error, "copies are counted, and not all counts are shown");
        }
        Ok(Box::new(MirrorSourceTask {
            clusters: Arc::clone(&self.clusters),
            context,
            ways,
            patience: Duration::from_millis(values.number("consumer.poll.timeout.ms")?.unsigned_abs()),
            values: values.clone(),
            consumer: None,
            syncs: None,
        }))
    }

    fn exactly_once(&self, values: &Values) -> ExactlyOnce {
        if reads_committed(values) { ExactlyOnce::Supported } else { ExactlyOnce::Unsupported }
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        place::check(offsets, &[place::CLUSTER, place::TOPIC], true, false)?;
        Ok(Altered::Supported)
    }
}

/// Where the records of a partition go.
#[derive(Debug)]
struct Way {
    copy: ByteString,
    partition: Arc<SourceMap>,
    copied: Copied,
}

/// The task.
#[derive(Debug)]
struct MirrorSourceTask {
    clusters: Arc<Clusters>,
    values: Values,
    context: SourceContext,
    ways: HashMap<TopicPartition, Way>,
    /// How long a poll waits.
    patience: Duration,
    consumer: Option<Box<dyn Consumer>>,
    syncs: Option<Syncs>,
}

impl MirrorSourceTask {
    /// A consumer behind the stored positions.
    async fn consumer(&mut self) -> Result<Box<dyn Consumer>, ConnectError> {
        let partitions: Vec<SourceMap> = self.ways.values().map(|way| (*way.partition).clone()).collect();
        let stored = self.context.offsets.offsets(&partitions).await?;
        let next = |stored: Option<SourceMap>| Some(place::offset(&stored?)? + 1);
        let places = self.ways.keys().cloned().zip(stored.into_iter().map(next)).collect();
        let source = self.clusters.reach(&self.values, Side::Source, "replication-consumer").await?;
        let settings = Side::Source.client(&self.values, "consumer");
        let consumer = async { source.consumer(Reads::Places(places), &settings).await.map_err(awaited) };
        within(&self.values, consumer).await
    }

    async fn syncs(&mut self) -> Result<Option<Syncs>, ConnectError> {
        if !self.values.boolean("emit.offset-syncs.enabled")? {
            return Ok(None);
        }
        let (side, topic) = Side::of_offset_syncs(&self.values)?;
        let cluster = self.clusters.reach(&self.values, side, "offset-syncs-producer").await?;
        let settings = side.client(&self.values, "producer");
        let producer = within(&self.values, cluster.producer(None, &settings)).await?;
        let lag = Lag::new(self.values.number("offset.lag.max")?);
        Ok(Some(Syncs { lag, topic: topic.into(), producer, sent: None }))
    }

    /// The copy of a record that is read `now`.
    fn copy(&mut self, received: Received, now: i64) -> Option<Record> {
        let way = self.ways.get_mut(&received.place())?;
        let timestamp = Some(received.timestamp).filter(|timestamp| *timestamp >= 0);
        way.copied.read(received.offset, timestamp, received.value.as_ref().map_or(0, Bytes::len), now);
        let header = |(name, value)| Header { name, value: copied_bytes(value) };
        Some(Record {
            partition: Some(received.partition),
            key: copied_bytes(received.key),
            timestamp,
            headers: received.headers.into_iter().map(header).collect(),
            ..Record::new(
                way.copy.clone(),
                copied_bytes(received.value),
                place::position(&way.partition, received.offset),
            )
        })
    }
}

#[async_trait]
impl Source for MirrorSourceTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        self.syncs = loop {
            match self.syncs().await {
                Ok(syncs) => break syncs,
                Err(error) => pause(error).await?,
            }
        };
        self.consumer = loop {
            match self.consumer().await {
                Ok(consumer) => break Some(consumer),
                Err(error) => pause(error).await?,
            }
        };
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        let Some(consumer) = &mut self.consumer else {
            return Err(ConnectError::failed("the task was not started"));
        };
        match consumer.poll(self.patience).await {
            Ok(Polled::Records(records)) => {
                let now = self.context.clock.wall().0;
                Ok(records.into_iter().filter_map(|received| self.copy(received, now)).collect())
            }
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(awaited(error)),
        }
    }

    async fn written(&mut self, records: Vec<(Position, i64)>) {
        let now = self.context.clock.wall().0;
        for (position, downstream) in records {
            let Some((place, upstream)) = origin(&position) else { continue };
            if let Some(way) = self.ways.get_mut(&place) {
                way.copied.written(upstream, now);
            }
            if let Some(syncs) = &mut self.syncs {
                syncs.lag.copied(OffsetSync { place, upstream, downstream });
            }
        }
        let Some(syncs) = &mut self.syncs else { return };
        if syncs.arrived().await {
            syncs.send().await;
        }
    }

    async fn commit(&mut self, positions: &[Position]) -> Result<(), ConnectError> {
        for (place, upstream) in positions.iter().filter_map(origin) {
            if let Some(way) = self.ways.get_mut(&place) {
                way.copied.passed(upstream);
            }
        }
        if let Some(syncs) = &mut self.syncs {
            syncs.lag.stored();
            syncs.settle().await;
            syncs.send().await;
        }
        Ok(())
    }

    async fn close(&mut self) {
        if let Some(mut consumer) = self.consumer.take() {
            consumer.close().await;
        }
        if let Some(syncs) = self.syncs.take() {
            syncs.producer.close(CLOSE_TIMEOUT).await;
        }
    }
}

/// The record that a position is of.
fn origin(position: &Position) -> Option<(TopicPartition, i64)> {
    Some((place::topic_partition(&position.partition)?, place::copied(&position.offset)?))
}

/// Offset syncs on their way: one batch at a time, with at most one sync of each partition.
struct Syncs {
    lag: Lag,
    topic: ByteString,
    producer: Box<dyn Producer>,
    sent: Option<Acknowledgement>,
}

impl fmt::Debug for Syncs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Syncs")
            .field("topic", &self.topic)
            .field("lag", &self.lag)
            .finish_non_exhaustive()
    }
}

impl Syncs {
    /// Whether nothing is on its way any more.
    async fn arrived(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.settle() => true,
            () = std::future::ready(()) => false,
        }
    }

    /// Waits until nothing is on its way.
    async fn settle(&mut self) {
        let Some(sent) = &mut self.sent else { return };
        for error in sent.await.into_iter().filter_map(Result::err) {
            tracing::warn!(topic = %self.topic, %error, "an offset sync is lost; a later one replaces it");
        }
        self.sent = None;
    }

    /// Sends what is due.
    async fn send(&mut self) {
        let message = |sync: OffsetSync| match sync.encode() {
            Ok((key, value)) => {
                let (topic, partition) = (self.topic.clone(), Some(0));
                Some(Message { topic, partition, key: Some(key), value: Some(value), ..Message::default() })
            }
            Err(error) => {
                tracing::warn!(?sync, %error, "an offset sync cannot be written");
                None
            }
        };
        let messages: Vec<Message> = self.lag.take().into_iter().filter_map(message).collect();
        if !messages.is_empty() {
            self.sent = Some(self.producer.send(messages).await);
        }
    }
}
