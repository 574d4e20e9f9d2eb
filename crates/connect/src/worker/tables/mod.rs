//! Tables over compacted topics: the state of a worker group, in Kafka Connect's own records.
//!
//! A table is what has been read back, never what is about to be written: a write is done when it has been read. Any
//! member of the group may write, so a table only ever applies.

mod configs;
mod offsets;
mod statuses;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

pub use self::configs::{ConfigState, Target, connector, fencing, logger, plan, restart, target};
pub use self::offsets::{OffsetState, StoredOffset};
pub use self::statuses::{State, Status, StatusState, tracked};
use crate::settings::Config;
use crate::topics::{
    Acknowledgement, Consumer, Message, NewTopic, Placed, Polled, Producer, Reads, Topics, TopicsError,
    TopicsErrorKind,
};

/// How long a poll waits while a table is being loaded.
const LOADING_POLL: Duration = Duration::from_millis(100);
/// How long a poll waits afterwards.
const POLL: Duration = Duration::from_millis(500);
/// How long a table waits after an error before it reads on.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a write may take to be read back.
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(30);

/// What a table holds.
pub trait TableState: Default + Send + Sync + 'static {
    /// Takes a record; foreign and broken ones are left out. `None` removes the key.
    fn apply(&mut self, key: &str, value: Option<&[u8]>);
}

/// A topic of the worker group, and what it holds.
#[derive(Debug)]
pub struct Table<S> {
    topic: String,
    state: Arc<RwLock<S>>,
    applied: watch::Receiver<HashMap<i32, i64>>,
    producer: Box<dyn Producer>,
    reading: JoinHandle<()>,
}

impl<S> Drop for Table<S> {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl<S: TableState> Table<S> {
    /// Creates the topic unless it is there, and loads the table.
    ///
    /// # Errors
    /// When the topic cannot be created or read.
    pub async fn open(topics: &dyn Topics, topic: NewTopic) -> Result<Self, TopicsError> {
        if topics.partitions(&topic.name).await?.is_none() {
            create(topics, topic.clone()).await?;
        }
        let committed = Config::from([("isolation.level".to_owned(), "read_committed".to_owned())]);
        let mut consumer = topics.consumer(Reads::All { topic: topic.name.clone() }, &committed).await?;
        let state = Arc::new(RwLock::new(S::default()));
        let (progress, applied) = watch::channel(HashMap::new());
        load(&mut *consumer, &state, &progress).await?;
        let producer = topics.producer(None, &Config::new()).await?;
        let reading = tokio::spawn(follow(consumer, state.clone(), progress, topic.name.clone()));
        Ok(Self { topic: topic.name, state, applied, producer, reading })
    }

    /// What the table holds.
    pub fn read(&self) -> RwLockReadGuard<'_, S> {
        self.state.read()
    }

    /// The name of the topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// A watch that moves whenever records were applied.
    pub fn changes(&self) -> watch::Receiver<HashMap<i32, i64>> {
        self.applied.clone()
    }

    /// Writes records, and waits until they were read back.
    ///
    /// # Errors
    /// When they are not written, or not seen in time.
    pub async fn write(&self, records: Vec<(String, Option<Bytes>)>) -> Result<(), TopicsError> {
        for outcome in self.post(records).await.await {
            self.seen(outcome?).await?;
        }
        Ok(())
    }

    /// Ends the writing: what is queued goes out within `timeout`.
    pub async fn close(&self, timeout: Duration) {
        self.producer.close(timeout).await;
    }

    /// Waits until all that is committed now was read.
    ///
    /// # Errors
    /// When the end cannot be asked for, or is not reached in time.
    pub async fn catch_up(&self, topics: &dyn Topics) -> Result<(), TopicsError> {
        let mut asking = topics.consumer(Reads::All { topic: self.topic.clone() }, &Config::new()).await?;
        let ends = asking.ends().await;
        asking.close().await;
        let ends = ends?;
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| {
            ends.iter().all(|(place, end)| *end == 0 || applied.get(&place.partition) >= Some(end))
        });
        match tokio::time::timeout(READ_BACK_TIMEOUT, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(TopicsError::new(
                TopicsErrorKind::Retriable,
                format!("{} is not read in time", self.topic),
            )),
        }
    }

    /// Queues records; whoever awaits the result knows whether they were written.
    pub async fn post(&self, records: Vec<(String, Option<Bytes>)>) -> Acknowledgement {
        let topic = bytestring::ByteString::from(self.topic.as_str());
        let message = |(key, value): (String, Option<Bytes>)| Message {
            topic: topic.clone(),
            key: Some(key.into()),
            value,
            ..Message::default()
        };
        self.producer.send(records.into_iter().map(message).collect()).await
    }

    async fn seen(&self, placed: Placed) -> Result<(), TopicsError> {
        let Some(offset) = placed.offset else { return Ok(()) };
        let mut applied = self.applied.clone();
        let reached =
            applied.wait_for(|applied| applied.get(&placed.partition).is_some_and(|next| *next > offset));
        match tokio::time::timeout(READ_BACK_TIMEOUT, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let message = format!("The record was written to {} and not read back in time", self.topic);
                Err(TopicsError::new(TopicsErrorKind::Retriable, message))
            }
        }
    }
}

async fn create(topics: &dyn Topics, mut topic: NewTopic) -> Result<(), TopicsError> {
    topic.settings.insert("cleanup.policy".to_owned(), "compact".to_owned());
    topics.create(&topic).await
}

async fn load<S: TableState>(
    consumer: &mut dyn Consumer,
    state: &RwLock<S>,
    progress: &watch::Sender<HashMap<i32, i64>>,
) -> Result<(), TopicsError> {
    let ends = consumer.ends().await?;
    loop {
        let applied = progress.borrow().clone();
        if ends.iter().all(|(place, end)| *end == 0 || applied.get(&place.partition) >= Some(end)) {
            return Ok(());
        }
        step(consumer, state, progress, LOADING_POLL).await?;
    }
}

async fn follow<S: TableState>(
    mut consumer: Box<dyn Consumer>,
    state: Arc<RwLock<S>>,
    progress: watch::Sender<HashMap<i32, i64>>,
    topic: String,
) {
    loop {
        if let Err(error) = step(&mut *consumer, &state, &progress, POLL).await {
            warn!(topic, %error, "a table cannot be read; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn step<S: TableState>(
    consumer: &mut dyn Consumer,
    state: &RwLock<S>,
    progress: &watch::Sender<HashMap<i32, i64>>,
    wait: Duration,
) -> Result<(), TopicsError> {
    let Polled::Records(records) = consumer.poll(wait).await? else { return Ok(()) };
    if records.is_empty() {
        // Markers of transactions are passed without a record.
        let positions = consumer.positions().await;
        progress.send_if_modified(|applied| {
            let mut moved = false;
            for (place, position) in &positions {
                let known = applied.entry(place.partition).or_insert(0);
                moved |= *known < *position;
                *known = (*known).max(*position);
            }
            moved
        });
        return Ok(());
    }
    let mut holder = state.write();
    for record in &records {
        match record.key.as_deref().map(std::str::from_utf8) {
            Some(Ok(key)) => holder.apply(key, record.value.as_deref()),
            _ => warn!(topic = %record.topic, offset = record.offset, "a record without a key that is text"),
        }
    }
    drop(holder);
    progress.send_modify(|applied| {
        applied.extend(records.iter().map(|record| (record.partition, record.offset + 1)));
    });
    Ok(())
}

/// A value of a record, as JSON.
fn json(value: &serde_json::Value) -> Option<Bytes> {
    Some(Bytes::from(value.to_string()))
}
