//! A cluster in memory, which fails where it is told to.

mod cluster;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::connector::{TopicOffsets, TopicPartition};
use crate::record::TimestampType;
use crate::settings::Config;
use crate::topics::{
    Acknowledgement, Consumer, Message, NewTopic, Placed, Polled, Producer, Reads, Received, Topics,
    TopicsError, TopicsErrorKind,
};

/// The most messages of a poll.
const POLL_RECORDS_MAX: usize = 500;

/// A cluster in memory. Clones are the same cluster.
#[derive(Clone, Debug, Default)]
pub struct MemoryTopics {
    cluster: Arc<Cluster>,
}

#[derive(Debug, Default)]
struct Cluster {
    state: Mutex<State>,
    grown: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, Vec<Vec<Received>>>,
    settings: BTreeMap<String, Config>,
    groups: BTreeMap<String, TopicOffsets>,
    members: BTreeMap<String, usize>,
    epochs: BTreeMap<String, u64>,
    refusals: VecDeque<(String, TopicsError)>,
    waits: BTreeMap<String, Vec<Duration>>,
}

impl State {
    fn append(&mut self, message: Message) -> Result<Placed, TopicsError> {
        let topic = message.topic.to_string();
        if let Some(at) = self.refusals.iter().position(|(refused, _)| *refused == topic) {
            return Err(self.refusals.remove(at).map_or_else(|| unknown(&topic), |(_, error)| error));
        }
        let logs = self.topics.get_mut(&topic).ok_or_else(|| unknown(&topic))?;
        let chosen = message.key.as_ref().map_or(0, |key| key.iter().map(|byte| usize::from(*byte)).sum());
        let partition = message.partition.unwrap_or_else(|| i32::try_from(chosen % logs.len()).unwrap_or(0));
        let log = usize::try_from(partition).ok().and_then(|at| logs.get_mut(at));
        let log = log.ok_or_else(|| unknown(&topic))?;
        let offset = i64::try_from(log.len()).unwrap_or(i64::MAX);
        log.push(Received {
            topic: message.topic,
            partition,
            offset,
            timestamp: message.timestamp.unwrap_or_default(),
            timestamp_type: TimestampType::CreateTime,
            key: message.key,
            value: message.value,
            headers: message.headers,
        });
        Ok(Placed { partition, offset: Some(offset) })
    }

    fn places(&self, topic: &str) -> Vec<TopicPartition> {
        let count = self.topics.get(topic).map_or(0, Vec::len);
        let place = |at| TopicPartition { topic: topic.into(), partition: i32::try_from(at).unwrap_or(0) };
        (0..count).map(place).collect()
    }
}

fn unknown(topic: &str) -> TopicsError {
    TopicsError::new(TopicsErrorKind::UnknownTopic, format!("There is no topic {topic}"))
}

impl MemoryTopics {
    /// Refuses the next message to a topic.
    pub fn refuse_next(&self, topic: &str, error: TopicsError) {
        self.cluster.state.lock().refusals.push_back((topic.to_owned(), error));
    }

    /// Writes a message; the topic must be there.
    pub fn write(&self, message: Message) -> Result<Placed, TopicsError> {
        let placed = self.cluster.state.lock().append(message);
        self.cluster.grown.send_modify(|count| *count += 1);
        placed
    }

    /// Adds an empty partition to a topic.
    pub fn add_partition(&self, topic: &str) {
        self.cluster.state.lock().topics.entry(topic.to_owned()).or_default().push(Vec::new());
    }

    /// All messages of a topic, by partition and offset.
    pub fn read(&self, topic: &str) -> Vec<Received> {
        self.cluster.state.lock().topics.get(topic).map(|logs| logs.concat()).unwrap_or_default()
    }

    /// How long the polls of a group's members that found nothing at once were to wait, since this was last asked.
    pub fn waits(&self, group: &str) -> Vec<Duration> {
        self.cluster.state.lock().waits.remove(group).unwrap_or_default()
    }

    /// Resolves when something was written since `seen`, with how much there is.
    pub async fn grown(&self, seen: u64) -> u64 {
        let mut grown = self.cluster.grown.subscribe();
        let waited = grown.wait_for(|count| *count > seen).await;
        waited.map_or(seen, |count| *count)
    }
}

#[async_trait]
impl Topics for MemoryTopics {
    async fn cluster_id(&self) -> Result<Option<String>, TopicsError> {
        Ok(Some("memory".to_owned()))
    }

    async fn list(&self) -> Result<Vec<String>, TopicsError> {
        Ok(self.cluster.state.lock().topics.keys().cloned().collect())
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicsError> {
        let state = self.cluster.state.lock();
        Ok(state.topics.get(topic).map(|logs| i32::try_from(logs.len()).unwrap_or(i32::MAX)))
    }

    async fn create(&self, topic: &NewTopic) -> Result<(), TopicsError> {
        let partitions = usize::try_from(topic.partitions).unwrap_or(1).max(1);
        let mut state = self.cluster.state.lock();
        state.topics.entry(topic.name.clone()).or_insert_with(|| vec![Vec::new(); partitions]);
        state.settings.entry(topic.name.clone()).or_insert_with(|| topic.settings.clone());
        Ok(())
    }

    async fn producer(
        &self,
        transactional_id: Option<&str>,
        _: &Config,
    ) -> Result<Box<dyn Producer>, TopicsError> {
        let fence = transactional_id.map(|id| {
            let mut state = self.cluster.state.lock();
            let epoch = state.epochs.entry(id.to_owned()).or_default();
            *epoch += 1;
            (id.to_owned(), *epoch)
        });
        Ok(Box::new(Writer { cluster: self.cluster.clone(), fence, open: Mutex::default() }))
    }

    async fn consumer(&self, reads: Reads, _: &Config) -> Result<Box<dyn Consumer>, TopicsError> {
        let mut state = self.cluster.state.lock();
        let (group, positions) = match reads {
            Reads::Subscribed { group, topics } => {
                let committed = state.groups.get(&group).cloned().unwrap_or_default();
                let owned = topics.iter().flat_map(|topic| state.places(topic));
                let start = |place| committed.get(&place).copied().unwrap_or(0);
                (Some(group), owned.map(|place| (place.clone(), start(place))).collect())
            }
            Reads::All { topic } => {
                (None, state.places(&topic).into_iter().map(|place| (place, 0)).collect())
            }
            Reads::Places(places) => {
                let start = |(place, offset): (_, Option<i64>)| (place, offset.unwrap_or(0));
                (None, places.into_iter().map(start).collect())
            }
        };
        if let Some(group) = &group {
            *state.members.entry(group.clone()).or_default() += 1;
        }
        drop(state);
        let told = group.is_none();
        let cluster = self.cluster.clone();
        Ok(Box::new(Reader { cluster, group, positions, paused: BTreeSet::new(), told }))
    }

    async fn group_offsets(&self, group: &str) -> Result<TopicOffsets, TopicsError> {
        Ok(self.cluster.state.lock().groups.get(group).cloned().unwrap_or_default())
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<(), TopicsError> {
        let mut state = self.cluster.state.lock();
        free(&state, group)?;
        let known = state.groups.entry(group.to_owned()).or_default();
        for (place, offset) in offsets {
            match offset {
                Some(offset) => known.insert(place.clone(), *offset),
                None => known.remove(place),
            };
        }
        Ok(())
    }

    async fn delete_group(&self, group: &str) -> Result<(), TopicsError> {
        let mut state = self.cluster.state.lock();
        free(&state, group)?;
        state.groups.remove(group);
        Ok(())
    }
}

fn free(state: &State, group: &str) -> Result<(), TopicsError> {
    match state.members.get(group) {
        Some(members) if *members > 0 => {
            Err(TopicsError::new(TopicsErrorKind::GroupInUse, "the group has members"))
        }
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct Writer {
    cluster: Arc<Cluster>,
    fence: Option<(String, u64)>,
    open: Mutex<Option<Vec<Message>>>,
}

impl Writer {
    fn check(&self) -> Result<(), TopicsError> {
        let Some((id, epoch)) = &self.fence else { return Ok(()) };
        match self.cluster.state.lock().epochs.get(id) {
            Some(current) if current == epoch => Ok(()),
            _ => Err(TopicsError::new(
                TopicsErrorKind::Fenced,
                format!("{id} belongs to another producer now"),
            )),
        }
    }

    fn accept(&self, message: Message) -> Result<Placed, TopicsError> {
        self.check()?;
        if self.fence.is_none() {
            return self.cluster.state.lock().append(message);
        }
        match &mut *self.open.lock() {
            Some(open) => open.push(message),
            None => return Err(TopicsError::new(TopicsErrorKind::Failed, "no transaction is open")),
        }
        Ok(Placed { partition: 0, offset: None })
    }
}

#[async_trait]
impl Producer for Writer {
    async fn send(&self, messages: Vec<Message>) -> Acknowledgement {
        let outcomes: Vec<_> = messages.into_iter().map(|message| self.accept(message)).collect();
        self.cluster.grown.send_modify(|count| *count += 1);
        Box::pin(async move { outcomes })
    }

    async fn flush(&self) {}

    async fn begin(&self) -> Result<(), TopicsError> {
        self.check()?;
        *self.open.lock() = Some(Vec::new());
        Ok(())
    }

    async fn commit(&self) -> Result<(), TopicsError> {
        self.check()?;
        let messages = self.open.lock().take().unwrap_or_default();
        let mut state = self.cluster.state.lock();
        messages.into_iter().try_for_each(|message| state.append(message).map(drop))?;
        drop(state);
        self.cluster.grown.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn abort(&self) -> Result<(), TopicsError> {
        self.check()?;
        *self.open.lock() = None;
        Ok(())
    }

    async fn close(&self, _: Duration) {}
}

#[derive(Debug)]
struct Reader {
    cluster: Arc<Cluster>,
    group: Option<String>,
    positions: TopicOffsets,
    paused: BTreeSet<TopicPartition>,
    told: bool,
}

impl Reader {
    fn take(&mut self) -> Vec<Received> {
        let state = self.cluster.state.lock();
        let mut taken = Vec::new();
        for (place, position) in &mut self.positions {
            let at = usize::try_from(place.partition).unwrap_or(0);
            let log = state.topics.get(&*place.topic).and_then(|logs| logs.get(at));
            let (Some(log), false) = (log, self.paused.contains(place)) else { continue };
            let from = usize::try_from(*position).unwrap_or(0).min(log.len());
            let to = log.len().min(from + POLL_RECORDS_MAX - taken.len());
            taken.extend(log.get(from..to).unwrap_or_default().iter().cloned());
            *position = i64::try_from(to).unwrap_or(i64::MAX);
        }
        taken
    }
}

#[async_trait]
impl Consumer for Reader {
    async fn poll(&mut self, timeout: Duration) -> Result<Polled, TopicsError> {
        if !self.told {
            self.told = true;
            return Ok(Polled::Assigned(self.positions.keys().cloned().collect()));
        }
        let mut grown = self.cluster.grown.subscribe();
        let taken = self.take();
        if !taken.is_empty() {
            return Ok(Polled::Records(taken));
        }
        if let Some(group) = &self.group {
            self.cluster.state.lock().waits.entry(group.clone()).or_default().push(timeout);
        }
        // Either way there is one more look.
        let _ = tokio::time::timeout(timeout, grown.changed()).await;
        Ok(Polled::Records(self.take()))
    }

    async fn seek(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError> {
        for (place, offset) in offsets {
            if let Some(position) = self.positions.get_mut(place) {
                *position = *offset;
            }
        }
        Ok(())
    }

    async fn pause(&mut self, partitions: &[TopicPartition]) {
        self.paused.extend(partitions.iter().cloned());
    }

    async fn resume(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|place| drop(self.paused.take(place)));
    }

    async fn commit(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError> {
        let Some(group) = &self.group else { return Ok(()) };
        let mut state = self.cluster.state.lock();
        state.groups.entry(group.clone()).or_default().extend(offsets.clone());
        Ok(())
    }

    async fn positions(&mut self) -> TopicOffsets {
        self.positions.clone()
    }

    async fn ends(&mut self) -> Result<TopicOffsets, TopicsError> {
        let state = self.cluster.state.lock();
        let end = |place: &TopicPartition| {
            let at = usize::try_from(place.partition).unwrap_or(0);
            let log = state.topics.get(&*place.topic).and_then(|logs| logs.get(at));
            (place.clone(), i64::try_from(log.map_or(0, Vec::len)).unwrap_or(i64::MAX))
        };
        Ok(self.positions.keys().map(end).collect())
    }

    async fn close(&mut self) {
        if let Some(group) = self.group.take() {
            let mut state = self.cluster.state.lock();
            state.members.entry(group).and_modify(|members| *members = members.saturating_sub(1));
        }
    }
}
