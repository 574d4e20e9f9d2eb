//! Says how connectors and tasks are until it is written: what is shown of one that failed while the cluster took nothing is
//! that it failed, as soon as the cluster takes something again.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tracing::warn;

use super::tables::{StatusState, Table};

/// How many records wait before older ones of the same key are left out.
const WAITING_MAX: usize = 1024;
/// How long to wait after records that were not written.
const PAUSE: Duration = Duration::from_secs(1);

/// A key, and what is said; `None` that it is no more.
type Record = (String, Option<Bytes>);

/// What is said, and how much of it is written.
#[derive(Clone, Debug)]
pub struct States {
    waiting: Arc<Mutex<Waiting>>,
    news: Arc<Notify>,
    /// Up to which number all is written, or outdated.
    written: watch::Sender<u64>,
}

/// Records that are not written, with their numbers, which rise.
#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<(u64, Record)>,
    said: u64,
}

impl States {
    pub fn new() -> Self {
        Self { waiting: Arc::default(), news: Arc::default(), written: watch::channel(0).0 }
    }

    /// Says something, after all that was said before; the number of the last. What is read back is what is shown.
    pub fn say(&self, records: Vec<Record>) -> u64 {
        let mut waiting = self.waiting.lock();
        for record in records {
            waiting.said += 1;
            let numbered = (waiting.said, record);
            waiting.records.push_back(numbered);
        }
        if waiting.records.len() > WAITING_MAX {
            keep_newest(&mut waiting.records);
        }
        self.news.notify_one();
        waiting.said
    }

    /// Waits until all up to this number is written, or outdated.
    pub async fn written(&self, said: u64) {
        // The sender lives as long as this.
        let _ = self.written.subscribe().wait_for(|written| *written >= said).await;
    }

    /// Writes what is said, for ever.
    pub async fn write(self, statuses: Arc<Table<StatusState>>) {
        loop {
            let records: Vec<(u64, Record)> = self.waiting.lock().records.drain(..).collect();
            if records.is_empty() {
                self.news.notified().await;
                continue;
            }
            let outcomes =
                statuses.post(records.iter().map(|(_, record)| record.clone()).collect()).await.await;
            let mut refused = VecDeque::new();
            for (record, outcome) in records.into_iter().zip(outcomes) {
                if let Err(error) = outcome {
                    warn!(key = record.1.0, %error, "a state cannot be written; trying again");
                    refused.push_back(record);
                }
            }
            if !refused.is_empty() {
                sleep(PAUSE).await;
                refused.retain(|(_, (key, value))| !statuses.read().is_outdated(key, value.as_deref()));
            }
            let mut waiting = self.waiting.lock();
            if !refused.is_empty() {
                refused.append(&mut waiting.records);
                keep_newest(&mut refused);
                waiting.records = refused;
            }
            let oldest = waiting.records.front().map_or(waiting.said, |(number, _)| number - 1);
            self.written.send_replace(oldest);
        }
    }
}

/// Leaves out what something newer was said of.
fn keep_newest(records: &mut VecDeque<(u64, Record)>) {
    let mut newer = BTreeSet::new();
    let mut kept = VecDeque::with_capacity(records.len());
    while let Some(record) = records.pop_back() {
        if newer.insert(record.1.0.clone()) {
            kept.push_front(record);
        }
    }
    *records = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_key_the_newest_is_kept() {
        let record = |number, key: &str| (number, (key.to_owned(), None));
        let mut records = VecDeque::from([record(1, "a"), record(2, "b"), record(3, "a"), record(4, "c")]);
        keep_newest(&mut records);
        assert_eq!(records, [record(2, "b"), record(3, "a"), record(4, "c")]);
    }
}
