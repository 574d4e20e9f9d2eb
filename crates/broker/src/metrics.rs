//! What the broker counts.
//!
//! Handles are resolved when a partition opens, and recording is an atomic add: nothing is looked up on the hot path.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use vltava_core::id::TopicName;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of a broker.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    topics: Mutex<HashMap<TopicName, Arc<TopicMeters>>>,
}

impl Metrics {
    /// The counters of a topic.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<TopicMeters> {
        self.topics.lock().entry(name.clone()).or_default().clone()
    }

    /// Forgets a deleted topic.
    pub(crate) fn forget_topic(&self, name: &TopicName) {
        self.topics.lock().remove(name);
    }

    /// The counters of every topic.
    pub(crate) fn topics(&self) -> Vec<(TopicName, Arc<TopicMeters>)> {
        self.topics.lock().iter().map(|(name, meters)| (name.clone(), meters.clone())).collect()
    }
}

/// The counters of a topic: Kafka's `BrokerTopicMetrics`.
#[derive(Debug, Default)]
pub(crate) struct TopicMeters {
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) produce_requests: Counter,
    pub(crate) fetch_requests: Counter,
    pub(crate) failed_produce_requests: Counter,
    pub(crate) failed_fetch_requests: Counter,
}

impl TopicMeters {
    pub(crate) fn produced(&self, records: i32, bytes: usize) {
        self.produce_requests.add(1);
        self.messages_in.add(u64::try_from(records).unwrap_or(0));
        self.bytes_in.add(bytes as u64);
    }

    pub(crate) fn produce_failed(&self) {
        self.produce_requests.add(1);
        self.failed_produce_requests.add(1);
    }

    pub(crate) fn fetched(&self, bytes: usize) {
        self.fetch_requests.add(1);
        self.bytes_out.add(bytes as u64);
    }

    pub(crate) fn fetch_failed(&self) {
        self.fetch_requests.add(1);
        self.failed_fetch_requests.add(1);
    }
}
