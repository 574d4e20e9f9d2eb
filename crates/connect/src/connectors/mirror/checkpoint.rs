//! Translates the offsets that groups have committed at the source, and records them at the target; on demand they are
//! committed there, for groups without members.
//!
//! A task follows the topic of offset syncs while it is polled. Groups are looked at one after another, and what was found
//! for one is handed out before the next, so that a poll that is given up loses no more than a question.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;

use super::clusters::{Clusters, Side, assigned, awaited, create_compacted, entries, pause, within};
use super::every::Every;
use super::filter::Filter;
use super::formats::{Checkpoint, OffsetSync, Pair};
use super::meters::{CheckpointMeters, Flow, show_checkpoints};
use super::policy::Policy;
use super::translation::Translation;
use super::{copied_bytes, divided, place, settings};
use crate::connector::{Altered, Connector, Source, SourceConnector, SourceContext, TopicPartition};
use crate::error::ConnectError;
use crate::record::{Position, Record, SourceMap};
use crate::settings::{Config, FieldError, Settings, Values};
use crate::topics::cluster::{Cluster, Commit};
use crate::topics::{Consumer, Polled, Reads, Received, TopicsError, TopicsErrorKind};

/// The groups of a task, as MirrorMaker names them.
const ASSIGNED: &str = "task.assigned.groups";
/// How long a poll waits while a topic is read to its end.
const LOADING_POLL: Duration = Duration::from_millis(100);

/// The connector.
#[derive(Debug)]
pub(in crate::connectors) struct MirrorCheckpoint {
    clusters: Arc<Clusters>,
}

impl MirrorCheckpoint {
    pub(in crate::connectors) fn new(clusters: Arc<Clusters>) -> Self {
        Self { clusters }
    }

    /// The groups to translate: those that have committed offsets of a topic that counts.
    async fn groups(&self, values: &Values, source: &dyn Cluster) -> Result<Vec<String>, ConnectError> {
        let (groups, topics) = (Filter::new(values, "groups")?, Filter::new(values, "topics")?);
        let mut relevant = Vec::new();
        for group in source.groups().await? {
            if !groups.takes(&group)? {
                continue;
            }
            for place in source.commits(&group).await?.into_keys() {
                if topics.takes(&place.topic)? {
                    relevant.push(group);
                    break;
                }
            }
        }
        Ok(relevant)
    }
}

/// Whether there is anything to do.
fn enabled(values: &Values) -> Result<bool, ConnectError> {
    Ok(values.boolean("enabled")? && values.boolean("emit.checkpoints.enabled")?)
}

#[async_trait]
impl Connector for MirrorCheckpoint {
    fn settings(&self) -> Settings {
        settings::of_checkpoints()
    }

    async fn validate(&self, values: &Values) -> Vec<FieldError> {
        let mut errors = self.clusters.check(values);
        errors.extend(settings::check_checkpoints(values));
        errors
    }

    async fn task_configs(&self, values: &Values, tasks_max: usize) -> Result<Vec<Config>, ConnectError> {
        if !enabled(values)? {
            return Ok(Vec::new());
        }
        let target = self.clusters.reach(values, Side::Target, "checkpoint-target-admin").await?;
        let topic = Policy::new(values)?.checkpoints(values.string("source.cluster.alias")?);
        let replicas = values.number("checkpoints.topic.replication.factor")?;
        within(values, create_compacted(&*target, topic, replicas)).await?;
        let source = self.clusters.reach(values, Side::Source, "checkpoint-source-admin").await?;
        let groups = within(values, self.groups(values, &*source)).await?;
        Ok(divided(values, ASSIGNED, &groups, tasks_max))
    }

    async fn changed(&self, values: &Values, planned: &[Config]) -> Result<(), ConnectError> {
        if !enabled(values)? {
            return std::future::pending().await;
        }
        let source = self.clusters.reach(values, Side::Source, "checkpoint-source-admin").await?;
        let planned = assigned(planned, ASSIGNED);
        let mut refresh = Every::later(settings::interval(values, "refresh.groups")?);
        loop {
            refresh.tick().await;
            match within(values, self.groups(values, &*source)).await {
                // A comma in a name ends it in the settings of tasks, as with MirrorMaker.
                Ok(now) if entries(&now.join(",")).collect::<BTreeSet<_>>() != planned => return Ok(()),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "groups cannot be listed; trying again later"),
            }
        }
    }
}

#[async_trait]
impl SourceConnector for MirrorCheckpoint {
    fn task(&self, values: &Values, context: SourceContext) -> Result<Box<dyn Source>, ConnectError> {
        let groups = values.raw().get(ASSIGNED).map(String::as_str).unwrap_or_default();
        let alias = |side: &str| values.string(&format!("{side}.cluster.alias")).map(str::to_owned);
        let policy = Policy::new(values)?;
        let names = Names { source: alias("source")?, target: alias("target")?, policy };
        Ok(Box::new(MirrorCheckpointTask {
            clusters: Arc::clone(&self.clusters),
            topic: names.policy.checkpoints(&names.source).into(),
            groups: entries(groups).collect(),
            topics: Filter::new(values, "topics")?,
            names,
            patience: Duration::from_millis(values.number("consumer.poll.timeout.ms")?.unsigned_abs()),
            emit: Every::later(settings::interval(values, "emit.checkpoints")?),
            commit: Every::later(settings::interval(values, "sync.group.offsets")?),
            values: values.clone(),
            context,
            open: None,
            todo: VecDeque::new(),
            timed: HashMap::new(),
        }))
    }

    async fn alter_offsets(
        &self,
        _: &Values,
        offsets: &[(SourceMap, Option<SourceMap>)],
    ) -> Result<Altered, ConnectError> {
        place::check(offsets, &[place::GROUP, place::TOPIC], true, true)?;
        Ok(Altered::Supported)
    }
}

/// What topics are called at both clusters.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) policy: Policy,
}

impl Names {
    /// A partition at the target: a copy, or what a topic was copied from.
    pub(super) fn at_target(&self, place: &TopicPartition) -> TopicPartition {
        let topic = if self.policy.source(&place.topic) == Some(&self.target) {
            self.policy.original(&place.topic).into()
        } else {
            self.policy.remote(&self.source, &place.topic).into()
        };
        TopicPartition { topic, partition: place.partition }
    }
}

/// The last checkpoint of each partition of a group.
type Last = BTreeMap<TopicPartition, Checkpoint>;

/// Whether a checkpoint says more than the last one of its partition: the group went back, or is further at the target.
pub(super) fn is_news(last: Option<&Checkpoint>, checkpoint: &Checkpoint) -> bool {
    last.is_none_or(|last| checkpoint.upstream < last.upstream || checkpoint.downstream > last.downstream)
}

/// What a group has to commit at the target, where it has committed `have`: it never goes back.
pub(super) fn to_commit(
    last: &Last,
    have: &BTreeMap<TopicPartition, Commit>,
) -> BTreeMap<TopicPartition, Option<i64>> {
    let behind = |checkpoint: &&Checkpoint| {
        have.get(&checkpoint.place).is_none_or(|commit| commit.offset < checkpoint.downstream)
    };
    let offset = |checkpoint: &Checkpoint| (checkpoint.place.clone(), Some(checkpoint.downstream));
    last.values().filter(behind).map(offset).collect()
}

/// What is to be done for a group.
#[derive(Clone, Debug)]
enum Step {
    Checkpoint(String),
    Commit(String),
}

/// The task.
#[derive(Debug)]
struct MirrorCheckpointTask {
    clusters: Arc<Clusters>,
    values: Values,
    context: SourceContext,
    names: Names,
    /// The topic of checkpoints.
    topic: ByteString,
    groups: Vec<String>,
    topics: Filter,
    /// How long a poll waits for offset syncs.
    patience: Duration,
    emit: Every,
    commit: Every,
    open: Option<Open>,
    todo: VecDeque<Step>,
    timed: HashMap<(String, TopicPartition), Timed>,
}

/// How long the checkpoints of a partition of a group take.
#[derive(Debug)]
struct Timed {
    meters: Arc<CheckpointMeters>,
    /// When the one was made that is on its way.
    since: Option<i64>,
}

/// What a task works with once it has started.
#[derive(Debug)]
struct Open {
    source: Arc<dyn Cluster>,
    target: Arc<dyn Cluster>,
    syncs: Box<dyn Consumer>,
    translation: Translation,
    last: BTreeMap<String, Last>,
}

impl Open {
    fn apply(&mut self, received: Vec<Received>) {
        received.into_iter().for_each(|received| apply(&mut self.translation, received));
    }
}

fn apply(translation: &mut Translation, received: Received) {
    let (topic, offset) = (received.topic.clone(), received.offset);
    match pair(received).map(OffsetSync::decode) {
        Some(Ok(sync)) => translation.apply(sync),
        Some(Err(error)) => tracing::warn!(%topic, offset, %error, "a record is no offset sync"),
        None => {}
    }
}

fn pair(received: Received) -> Option<Pair> {
    Some((received.key?, received.value?))
}

/// Reads the first partition of a topic from its beginning to where it ends now.
async fn read(consumer: &mut dyn Consumer, mut apply: impl FnMut(Received)) -> Result<(), TopicsError> {
    let ends = consumer.ends().await?;
    let end = ends.iter().find_map(|(place, end)| (place.partition == 0).then_some(*end)).unwrap_or(0);
    let mut next = 0;
    while next < end {
        let Polled::Records(records) = consumer.poll(LOADING_POLL).await? else { continue };
        if records.is_empty() {
            // Markers of transactions are passed without a record.
            let positions = consumer.positions().await;
            let passed = positions.into_iter().filter(|(place, _)| place.partition == 0);
            next = passed.map(|(_, position)| position).fold(next, i64::max);
        }
        for record in records.into_iter().filter(|record| record.partition == 0) {
            next = record.offset + 1;
            apply(record);
        }
    }
    Ok(())
}

impl MirrorCheckpointTask {
    async fn open(&mut self) -> Result<Open, ConnectError> {
        let source = self.clusters.reach(&self.values, Side::Source, "checkpoint-source-admin").await?;
        let target = self.clusters.reach(&self.values, Side::Target, "checkpoint-target-admin").await?;
        let last = match self.last(&*target).await {
            Ok(last) => Some(last),
            Err(error) => {
                tracing::warn!(%error, "checkpoints cannot be read: only offsets of new copies are translated");
                None
            }
        };
        let (side, topic) = Side::of_offset_syncs(&self.values)?;
        let cluster = if side == Side::Source { &source } else { &target };
        let settings = side.client(&self.values, "consumer");
        let consumer = async { cluster.consumer(Reads::All { topic }, &settings).await.map_err(awaited) };
        let mut syncs = within(&self.values, consumer).await?;
        let mut translation = Translation::new(last.is_none());
        read(&mut *syncs, |received| apply(&mut translation, received)).await?;
        translation.loaded();
        Ok(Open { source, target, syncs, translation, last: last.unwrap_or_default() })
    }

    /// What was said of the task's groups before.
    async fn last(&mut self, target: &dyn Cluster) -> Result<BTreeMap<String, Last>, ConnectError> {
        let settings = Side::Target.client(&self.values, "consumer");
        let reads = Reads::All { topic: self.topic.to_string() };
        let consumer = async {
            match target.consumer(reads, &settings).await {
                // Nothing was said yet.
                Err(error) if error.kind == TopicsErrorKind::UnknownTopic => Ok(None),
                consumer => consumer.map(Some),
            }
        };
        let Some(mut consumer) = within(&self.values, consumer).await? else { return Ok(BTreeMap::new()) };
        let mut all: BTreeMap<String, Last> = BTreeMap::new();
        let outcome = read(&mut *consumer, |received| {
            let offset = received.offset;
            match pair(received).map(Checkpoint::decode) {
                Some(Ok(Some(checkpoint))) if self.groups.contains(&checkpoint.group) => {
                    let last = all.entry(checkpoint.group.clone()).or_default();
                    last.insert(checkpoint.place.clone(), checkpoint);
                }
                Some(Err(error)) => tracing::warn!(offset, %error, "a record is no checkpoint"),
                Some(Ok(_)) | None => {}
            }
        });
        let outcome = outcome.await;
        consumer.close().await;
        outcome?;
        Ok(all)
    }

    /// The checkpoints of a group that are news.
    async fn checkpoints(&mut self, group: &str) -> Result<Vec<Record>, ConnectError> {
        let Some(open) = &mut self.open else { return Ok(Vec::new()) };
        let commits = within(&self.values, open.source.commits(group)).await?;
        let timestamp = self.context.clock.wall().0;
        let last = open.last.entry(group.to_owned()).or_default();
        let (mut news, mut records) = (Vec::new(), Vec::new());
        for (at_source, commit) in commits {
            if !self.topics.takes(&at_source.topic)? {
                continue;
            }
            let upstream = commit.offset;
            let Some(downstream) = open.translation.translate(&at_source, upstream) else { continue };
            let (place, metadata) = (self.names.at_target(&at_source), commit.metadata);
            let checkpoint = Checkpoint { group: group.to_owned(), place, upstream, downstream, metadata };
            if !is_news(last.get(&checkpoint.place), &checkpoint) {
                continue;
            }
            let (key, value) = checkpoint.encode().map_err(super::too_long)?;
            let partition = Arc::new(place::of_checkpoint(group, &checkpoint.place));
            let position = place::position(&partition, 0);
            records.push(Record {
                partition: Some(0),
                key: copied_bytes(Some(key)),
                timestamp: Some(timestamp),
                ..Record::new(self.topic.clone(), copied_bytes(Some(value)), position)
            });
            news.push((checkpoint.place.clone(), checkpoint));
        }
        let places: Vec<TopicPartition> = news.iter().map(|(place, _)| place.clone()).collect();
        last.extend(news);
        places.into_iter().for_each(|place| self.time(group, place, timestamp));
        Ok(records)
    }

    /// A checkpoint is on its way.
    fn time(&mut self, group: &str, place: TopicPartition, now: i64) {
        let timed = self.timed.entry((group.to_owned(), place)).or_insert_with_key(|(group, place)| {
            let meters = Arc::<CheckpointMeters>::default();
            let flow = Flow { source: &self.names.source, target: &self.names.target };
            if let Err(error) = show_checkpoints(&self.context.figures, flow, group, place, meters.clone()) {
                tracing::warn!(group, %error, "checkpoints are counted, and not shown");
            }
            Timed { meters, since: None }
        });
        timed.since = Some(now);
    }

    /// Commits the last checkpoints of a group at the target, unless it has members there.
    async fn commit_at_target(&mut self, group: &str) -> Result<(), ConnectError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some(last) = open.last.get(group) else { return Ok(()) };
        let offsets = to_commit(last, &within(&self.values, open.target.commits(group)).await?);
        if offsets.is_empty() {
            return Ok(());
        }
        let committed = async {
            match open.target.alter_group_offsets(group, &offsets).await {
                Err(error) if error.kind == TopicsErrorKind::GroupInUse => {
                    tracing::debug!(group, "a group has members at the target, and keeps its offsets");
                    Ok(())
                }
                committed => committed,
            }
        };
        within(&self.values, committed).await
    }
}

#[async_trait]
impl Source for MirrorCheckpointTask {
    async fn start(&mut self) -> Result<(), ConnectError> {
        self.open = loop {
            match self.open().await {
                Ok(open) => break Some(open),
                Err(error) => pause(error).await?,
            }
        };
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>, ConnectError> {
        loop {
            if let Some(step) = self.todo.front().cloned() {
                let (group, done) = match &step {
                    Step::Checkpoint(group) => (group, self.checkpoints(group).await),
                    Step::Commit(group) => (group, self.commit_at_target(group).await.map(|()| Vec::new())),
                };
                self.todo.pop_front();
                match done {
                    Ok(records) if records.is_empty() => continue,
                    Ok(records) => return Ok(records),
                    Err(error) => {
                        tracing::warn!(group, %error, "offsets of a group cannot be translated now");
                    }
                }
                continue;
            }
            let Some(open) = &mut self.open else {
                return Err(ConnectError::failed("the task was not started"));
            };
            tokio::select! {
                biased;
                () = self.emit.tick() => self.todo.extend(self.groups.iter().cloned().map(Step::Checkpoint)),
                () = self.commit.tick() => self.todo.extend(self.groups.iter().cloned().map(Step::Commit)),
                polled = open.syncs.poll(self.patience) => {
                    if let Polled::Records(records) = polled? {
                        open.apply(records);
                    }
                }
            }
        }
    }

    async fn written(&mut self, records: Vec<(Position, i64)>) {
        let now = self.context.clock.wall().0;
        for (position, _) in records {
            let Some(key) = place::group_partition(&position.partition) else { continue };
            let Some(timed) = self.timed.get_mut(&key) else { continue };
            if let Some(since) = timed.since.take() {
                timed.meters.0.record(now.saturating_sub(since));
            }
        }
    }

    async fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            open.syncs.close().await;
        }
    }
}
