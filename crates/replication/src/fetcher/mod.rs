//! Fetches what this node follows: one task for each node that leads something.
//!
//! A task asks its leader about all partitions at once, hands what comes to a thread that may block, and asks again; the
//! waiting is done by the leader. It sleeps only when there is nothing to ask, or after a failure: the whole task when the
//! leader does not answer, one partition when its leader refuses it, which mostly means that an image is on its way.
//!
//! All decisions are the partition's: what is asked, whether an answer still applies, and where the log is cut.

mod task;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use vltava_core::clock::{Clock, Moment};
use vltava_core::id::{BrokerEpoch, BrokerId, TopicIdPartition};

use crate::partition::{Background, Partition};
use crate::peers::Peers;

/// What the fetchers of a node are made of.
#[derive(Clone)]
pub struct FetcherParts {
    /// This node.
    pub local: BrokerId,
    /// Other nodes.
    pub peers: Arc<dyn Peers>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Where records are written and logs are cut.
    pub background: Background,
    /// The limits.
    pub limits: FetcherLimits,
    /// Which threads the tasks run on.
    pub runtime: tokio::runtime::Handle,
}

/// The limits of fetchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetcherLimits {
    /// `replica.fetch.wait.max.ms`.
    pub wait: Duration,
    /// `replica.fetch.max.bytes`.
    pub partition_bytes: usize,
    /// `replica.fetch.backoff.ms`: how long after a failure the next attempt is made.
    pub backoff: Duration,
    /// The most partitions of one request; the others come in the next one.
    pub partitions_max: usize,
}

impl Default for FetcherLimits {
    /// Kafka's, where it has them.
    fn default() -> Self {
        FetcherLimits {
            wait: Duration::from_millis(500),
            partition_bytes: 1 << 20,
            backoff: Duration::from_secs(1),
            partitions_max: 2000,
        }
    }
}

/// The fetchers of a node. Shared by reference: all methods take `&self`.
pub struct Fetchers {
    parts: FetcherParts,
    broker_epoch: Arc<AtomicI64>,
    leaders: Mutex<BTreeMap<BrokerId, Leader>>,
}

/// The task of one leader.
struct Leader {
    followed: Arc<Followed>,
    task: AbortHandle,
}

/// What a task fetches.
#[derive(Default)]
struct Followed {
    partitions: Mutex<BTreeMap<TopicIdPartition, Entry>>,
    /// Something was added, or may be asked again.
    changed: Notify,
}

struct Entry {
    partition: Arc<Partition>,
    /// It is not asked about before then.
    not_before: Option<Moment>,
}

impl Fetchers {
    /// Nothing is followed yet.
    #[must_use]
    pub fn new(parts: FetcherParts) -> Fetchers {
        Fetchers { parts, broker_epoch: Arc::new(AtomicI64::new(-1)), leaders: Mutex::default() }
    }

    /// This node is registered in `epoch`: fetches carry it from here on.
    pub fn registered(&self, epoch: BrokerEpoch) {
        self.broker_epoch.store(epoch.0, Ordering::Relaxed);
    }

    /// A partition has taken its place in the cluster: it is fetched from its leader, if it has another one, and from
    /// nobody else.
    pub fn follow(&self, id: TopicIdPartition, partition: &Arc<Partition>) {
        let leader = partition.fetch_position().map(|(leader, _)| leader);
        let mut leaders = self.leaders.lock();
        leaders.retain(|broker, known| Some(*broker) == leader || !known.forget(id));
        let Some(leader) = leader else { return };
        let known = leaders.entry(leader).or_insert_with(|| self.start(leader));
        let entry = Entry { partition: partition.clone(), not_before: None };
        known.followed.partitions.lock().insert(id, entry);
        known.followed.changed.notify_one();
    }

    /// A partition is gone.
    pub fn forget(&self, id: TopicIdPartition) {
        self.leaders.lock().retain(|_, known| !known.forget(id));
    }

    /// Ends all tasks.
    pub fn close(&self) {
        std::mem::take(&mut *self.leaders.lock()).values().for_each(|leader| leader.task.abort());
    }

    fn start(&self, leader: BrokerId) -> Leader {
        let followed = Arc::new(Followed::default());
        let task = task::run(leader, self.parts.clone(), self.broker_epoch.clone(), followed.clone());
        Leader { followed, task: self.parts.runtime.spawn(task).abort_handle() }
    }
}

impl Leader {
    /// Forgets a partition; ends the task and returns true when that was the last one.
    fn forget(&self, id: TopicIdPartition) -> bool {
        let mut partitions = self.followed.partitions.lock();
        let empty = partitions.remove(&id).is_some() && partitions.is_empty();
        if empty {
            self.task.abort();
        }
        empty
    }
}

impl Drop for Fetchers {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Fetchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaders = self.leaders.lock();
        let counts = leaders.iter().map(|(leader, known)| (leader, known.followed.partitions.lock().len()));
        f.debug_map().entries(counts).finish()
    }
}

#[cfg(test)]
mod tests;
