//! Tables over compacted topics: the state of a worker group, in Kafka Connect's own records.
//!
//! A table is what has been read back, never what is about to be written: a write is done when it has been read. Any
//! member of the group may write, so a table only ever applies.

mod configs;
mod offsets;
mod statuses;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

pub use self::configs::{
    ConfigState, Level, Restart, Target, connector, fencing, logger, plan, restart, session_key, target,
};
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
    /// After the last record that was applied, as members of a group compare it; -1 before the first.
    end: Arc<AtomicI64>,
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
        let consumer = topics.consumer(Reads::All { topic: topic.name.clone() }, &committed).await?;
        let state = Arc::new(RwLock::new(S::default()));
        let (progress, applied) = watch::channel(HashMap::new());
        let end = Arc::new(AtomicI64::new(-1));
        let mut reading = Reading { consumer, state: state.clone(), progress, end: end.clone() };
        reading.load().await?;
        let producer = topics.producer(None, &Config::new()).await?;
        let reading = tokio::spawn(reading.follow(topic.name.clone()));
        Ok(Self { topic: topic.name, state, applied, end, producer, reading })
    }

    /// What the table holds.
    pub fn read(&self) -> RwLockReadGuard<'_, S> {
        self.state.read()
    }

    /// What the table holds, and the offset after the last record in it; -1 when there is none.
    pub fn snapshot<T>(&self, look: impl FnOnce(&S) -> T) -> (i64, T) {
        let state = self.state.read();
        (self.end.load(Ordering::Acquire), look(&state))
    }

    /// Waits until the record before an offset was read.
    pub async fn reach(&self, offset: i64) {
        let mut applied = self.applied.clone();
        // A table that is gone reaches nothing, and whoever waits has a time.
        if applied.wait_for(|_| self.end.load(Ordering::Acquire) >= offset).await.is_err() {
            std::future::pending::<()>().await;
        }
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

    /// Writes records in a transaction of `producer`, and waits until they were read back.
    ///
    /// # Errors
    /// As [`Table::write`]; [`TopicsErrorKind::Fenced`] when another has the transactional id now.
    pub async fn write_through(
        &self,
        producer: &dyn Producer,
        records: Vec<(String, Option<Bytes>)>,
    ) -> Result<(), TopicsError> {
        producer.begin().await?;
        let sent = producer.send(self.messages(records)).await.await;
        let sent = sent.into_iter().collect::<Result<Vec<_>, _>>();
        let placed = match sent {
            Ok(placed) => placed,
            Err(error) => {
                // What was sent does not count, and the producer is given up by whoever sees the error.
                let _ = producer.abort().await;
                return Err(error);
            }
        };
        producer.commit().await?;
        for placed in placed {
            self.seen(placed).await?;
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
        self.producer.send(self.messages(records)).await
    }

    fn messages(&self, records: Vec<(String, Option<Bytes>)>) -> Vec<Message> {
        let topic = bytestring::ByteString::from(self.topic.as_str());
        let message = |(key, value): (String, Option<Bytes>)| Message {
            topic: topic.clone(),
            key: Some(key.into()),
            value,
            ..Message::default()
        };
        records.into_iter().map(message).collect()
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

/// Reads a topic into its table.
struct Reading<S> {
    consumer: Box<dyn Consumer>,
    state: Arc<RwLock<S>>,
    progress: watch::Sender<HashMap<i32, i64>>,
    end: Arc<AtomicI64>,
}

impl<S: TableState> Reading<S> {
    async fn load(&mut self) -> Result<(), TopicsError> {
        let ends = self.consumer.ends().await?;
        loop {
            let applied = self.progress.borrow().clone();
            if ends.iter().all(|(place, end)| *end == 0 || applied.get(&place.partition) >= Some(end)) {
                return Ok(());
            }
            drop(applied);
            self.step(LOADING_POLL).await?;
        }
    }

    async fn follow(mut self, topic: String) {
        loop {
            if let Err(error) = self.step(POLL).await {
                warn!(topic, %error, "a table cannot be read; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn step(&mut self, wait: Duration) -> Result<(), TopicsError> {
        let Polled::Records(records) = self.consumer.poll(wait).await? else { return Ok(()) };
        if records.is_empty() {
            self.pass().await;
            return Ok(());
        }
        let mut holder = self.state.write();
        for record in &records {
            match record.key.as_deref().map(std::str::from_utf8) {
                Some(Ok(key)) => holder.apply(key, record.value.as_deref()),
                _ => {
                    warn!(topic = %record.topic, offset = record.offset, "a record without a key that is text");
                }
            }
        }
        let last = records.iter().map(|record| record.offset + 1).max().unwrap_or(-1);
        self.end.fetch_max(last, Ordering::AcqRel);
        drop(holder);
        self.progress.send_modify(|applied| {
            applied.extend(records.iter().map(|record| (record.partition, record.offset + 1)));
        });
        Ok(())
    }

    /// Markers of transactions are passed without a record.
    async fn pass(&mut self) {
        let positions = self.consumer.positions().await;
        self.progress.send_if_modified(|applied| {
            let mut moved = false;
            for (place, position) in &positions {
                let known = applied.entry(place.partition).or_insert(0);
                moved |= *known < *position;
                *known = (*known).max(*position);
            }
            moved
        });
    }
}

/// A value of a record, as JSON.
fn json(value: &serde_json::Value) -> Option<Bytes> {
    Some(Bytes::from(value.to_string()))
}
