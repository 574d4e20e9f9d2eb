//! What the broker counts, and how it shows it.
//!
//! Handles are resolved when a partition opens or an API is first used, and recording is an atomic add: nothing is
//! looked up by name on the hot path. What can be read from the image, the partitions and the quorum is not counted
//! at all, but gathered when somebody asks ([`collect`]).
//!
//! The names are those that the usual rules of the JMX exporter give to Kafka's beans, so that a dashboard made for
//! Kafka works unchanged; what Kafka has no name for starts with `vltava_` or `process_`. Every family is declared once,
//! in [`families`]. A figure that this broker cannot tell honestly has no series.

mod cluster;
pub(crate) mod collect;
mod compaction;
pub(crate) mod connect;
mod coordinators;
pub(crate) mod exposition;
pub(crate) mod families;
mod flushes;
mod histogram;
mod process;
pub(crate) mod requests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::TopicName;
use vltava_core::meter::{Counter, Delayed, Population};

use cluster::ClusterMeters;
use compaction::CompactionMeters;
use coordinators::{ControllerMeters, GroupMeters, TransactionMeters};
use flushes::FlushMeters;
use histogram::Histogram;
use requests::RequestMeters;

/// The counters of a broker.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    topics: Mutex<HashMap<TopicName, Arc<TopicMeters>>>,
    /// What topics had counted that are gone, so that the sum over all topics never falls.
    departed: TopicMeters,
    pub(crate) requests: RequestMeters,
    /// Requests that wait behind earlier ones of their connections.
    pub(crate) queued_requests: Population,
    /// Replies that wait behind earlier ones of their connections.
    pub(crate) queued_replies: Population,
    /// Fetch requests that wait for records.
    pub(crate) delayed_fetches: Delayed,
    /// Those that had waited for as long as they may, in vain.
    pub(crate) expired_fetches: Counter,
    /// Produce requests that wait for their commit.
    pub(crate) delayed_produces: Delayed,
    /// How long it took to write batches of a Produce anew, in microseconds.
    pub(crate) conversions_us: Histogram,
    /// Replicas that are still to be opened before the image of the cluster is applied.
    pub(crate) opening: AtomicUsize,
    pub(crate) flushes: Arc<FlushMeters>,
    pub(crate) idleness: Idleness,
    /// The same of the threads of the control plane.
    pub(crate) control_idleness: Idleness,
    pub(crate) compaction: CompactionMeters,
    pub(crate) cluster: ClusterMeters,
    pub(crate) controller: Arc<ControllerMeters>,
    pub(crate) groups: Arc<GroupMeters>,
    pub(crate) transactions: Arc<TransactionMeters>,
}

/// How much of the time threads have nothing to do, between one look and the next.
#[derive(Debug, Default)]
pub(crate) struct Idleness(Mutex<(Moment, Duration)>);

impl Idleness {
    /// The idle part of the time since the last look, of so many threads that have been busy for `busy` since the start.
    /// Looks by several programs share the time among them.
    pub(crate) fn since_last_look(&self, now: Moment, threads: usize, busy: Duration) -> f64 {
        let mut last = self.0.lock();
        let (then, was_busy) = std::mem::replace(&mut *last, (now, busy));
        let time = now.since(then).as_secs_f64() * threads as f64;
        if time > 0.0 {
            (1.0 - busy.saturating_sub(was_busy).as_secs_f64() / time).clamp(0.0, 1.0)
        } else {
            1.0
        }
    }
}

impl Metrics {
    /// The counters of a topic.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<TopicMeters> {
        self.topics.lock().entry(name.clone()).or_default().clone()
    }

    /// Forgets a deleted topic.
    pub(crate) fn forget_topic(&self, name: &TopicName) {
        let mut topics = self.topics.lock();
        if let Some(meters) = topics.remove(name) {
            self.departed.absorb(&meters);
        }
    }

    /// The counters of every topic in the order of their names, and those of all topics that ever were.
    pub(crate) fn topics(&self) -> (Vec<(TopicName, Arc<TopicMeters>)>, TopicMeters) {
        let topics = self.topics.lock();
        let all = TopicMeters::default();
        all.absorb(&self.departed);
        topics.values().for_each(|meters| all.absorb(meters));
        let mut listed: Vec<_> = topics.iter().map(|(name, meters)| (name.clone(), meters.clone())).collect();
        drop(topics);
        listed.sort_by(|one, other| one.0.cmp(&other.0));
        (listed, all)
    }
}

/// The counters of a topic: Kafka's `BrokerTopicMetrics`.
#[derive(Debug, Default)]
pub(crate) struct TopicMeters {
    pub(crate) messages_in: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    /// Bytes of batches that were larger than `max.message.bytes`.
    pub(crate) bytes_rejected: Counter,
    pub(crate) produce_requests: Counter,
    pub(crate) fetch_requests: Counter,
    pub(crate) failed_produce_requests: Counter,
    pub(crate) failed_fetch_requests: Counter,
    /// Batches whose checksum was wrong.
    pub(crate) corrupt: Counter,
    /// Batches whose offsets, count or sequence number cannot be right.
    pub(crate) misnumbered: Counter,
    /// Records without a key, for a compacted topic.
    pub(crate) keyless: Counter,
    /// Records that had to be written anew.
    pub(crate) converted: Counter,
}

impl TopicMeters {
    pub(crate) fn produced(&self, records: i32, bytes: usize) {
        self.produce_requests.add(1);
        self.messages_in.add(u64::try_from(records).unwrap_or(0));
        self.bytes_in.add(bytes as u64);
    }

    /// A batch of so many bytes was refused.
    pub(crate) fn produce_failed(&self, code: ErrorCode, bytes: usize) {
        self.produce_requests.add(1);
        self.failed_produce_requests.add(1);
        match code {
            ErrorCode::MESSAGE_TOO_LARGE => self.bytes_rejected.add(bytes as u64),
            ErrorCode::CORRUPT_MESSAGE => self.corrupt.add(1),
            _ => {}
        }
    }

    /// Records of a batch were to blame for that, or if there are none of them, the batch.
    pub(crate) fn invalid(&self, records: usize) {
        match records {
            0 => self.misnumbered.add(1),
            some => self.keyless.add(some as u64),
        }
    }

    pub(crate) fn fetched(&self, bytes: usize) {
        self.fetch_requests.add(1);
        self.bytes_out.add(bytes as u64);
    }

    pub(crate) fn fetch_failed(&self) {
        self.fetch_requests.add(1);
        self.failed_fetch_requests.add(1);
    }

    fn counters(&self) -> [&Counter; 12] {
        [
            &self.messages_in,
            &self.bytes_in,
            &self.bytes_out,
            &self.bytes_rejected,
            &self.produce_requests,
            &self.fetch_requests,
            &self.failed_produce_requests,
            &self.failed_fetch_requests,
            &self.corrupt,
            &self.misnumbered,
            &self.keyless,
            &self.converted,
        ]
    }

    fn absorb(&self, other: &TopicMeters) {
        for (mine, theirs) in self.counters().into_iter().zip(other.counters()) {
            mine.add(theirs.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idleness_is_that_of_the_time_between_two_looks() {
        let idleness = Idleness::default();
        let (at, busy) = (|seconds| Moment(Duration::from_secs(seconds)), Duration::from_secs);
        for (now, seconds, idle) in [(10, 5, 0.75), (20, 5, 1.0), (20, 6, 1.0), (30, 26, 0.0), (40, 36, 0.5)]
        {
            let seen = idleness.since_last_look(at(now), 2, busy(seconds));
            assert!((seen - idle).abs() < 1e-9, "at {now}: {seen}");
        }
    }

    #[test]
    fn the_sum_over_all_topics_outlives_a_topic() {
        let metrics = Metrics::default();
        let name = |name: &str| TopicName::new(name).expect("a valid name");
        metrics.topic(&name("b")).produced(3, 100);
        metrics.topic(&name("a")).produced(2, 50);
        metrics.forget_topic(&name("b"));
        let (topics, all) = metrics.topics();
        let names: Vec<String> = topics.iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!((names, all.messages_in.get(), all.bytes_in.get()), (vec!["a".to_owned()], 5, 150));
    }
}
