//! Says how connectors and tasks are until it is written: what is shown of one that failed while the cluster took nothing is
//! that it failed, as soon as the cluster takes something again.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use super::tables::{StatusState, Table};

/// How many records wait before older ones of the same key are left out.
const WAITING_MAX: usize = 1024;
/// How long to wait after records that were not written.
const PAUSE: Duration = Duration::from_secs(1);

/// A key, and what is said; `None` that it is no more.
type Record = (String, Option<Bytes>);

/// The records that wait until they are written.
#[derive(Clone, Debug)]
pub struct States {
    waiting: Arc<Mutex<VecDeque<Record>>>,
    /// How many are not written yet, those that are being written among them.
    unwritten: watch::Sender<usize>,
}

impl States {
    pub fn new() -> Self {
        Self { waiting: Arc::default(), unwritten: watch::channel(0).0 }
    }

    /// Says something, after all that was said before. What is read back is what is shown.
    pub fn say(&self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.extend(records);
        if waiting.len() > WAITING_MAX {
            keep_newest(&mut waiting);
        }
        self.unwritten.send_replace(waiting.len());
    }

    /// Waits until all is written.
    pub async fn written(&self) {
        // It lives as long as this.
        let _ = self.unwritten.subscribe().wait_for(|unwritten| *unwritten == 0).await;
    }

    /// Writes what is said, for ever.
    pub async fn write(self, statuses: Arc<Table<StatusState>>) {
        let mut unwritten = self.unwritten.subscribe();
        loop {
            // It lives as long as this.
            let _ = unwritten.wait_for(|unwritten| *unwritten > 0).await;
            let records: Vec<Record> = std::mem::take(&mut *self.waiting.lock()).into();
            let outcomes = statuses.post(records.clone()).await.await;
            let mut refused = Vec::new();
            for (record, outcome) in records.into_iter().zip(outcomes) {
                if let Err(error) = outcome {
                    warn!(key = record.0, %error, "a state cannot be written; trying again");
                    refused.push(record);
                }
            }
            if !refused.is_empty() {
                sleep(PAUSE).await;
                refused.retain(|(key, value)| !statuses.read().is_outdated(key, value.as_deref()));
            }
            let mut waiting = self.waiting.lock();
            if !refused.is_empty() {
                refused.extend(waiting.drain(..));
                *waiting = refused.into();
                keep_newest(&mut waiting);
            }
            self.unwritten.send_replace(waiting.len());
        }
    }
}

/// Leaves out what something newer was said of.
fn keep_newest(records: &mut VecDeque<Record>) {
    let mut newer = BTreeSet::new();
    let mut kept: VecDeque<Record> = VecDeque::with_capacity(records.len());
    while let Some(record) = records.pop_back() {
        if newer.insert(record.0.clone()) {
            kept.push_front(record);
        }
    }
    *records = kept;
}
