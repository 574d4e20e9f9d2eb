//! Keeps the in-sync replicas of the partitions that this node leads: asks the controller when one may join or is late.
//!
//! One task for a node. It looks at all led partitions when a fetch has shown that a replica may join, and every half
//! `replica.lag.time.max.ms`, as Kafka does, so that a late one leaves after at most one and a half times that. The
//! proposals of one look go in one request; a request that brought no answer is made again after a pause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use vltava_core::clock::Clock;
use vltava_core::id::TopicIdPartition;

use crate::partition::{IsrProposal, IsrVerdict, Partition};
use crate::peers::Peers;

/// Watches over who is in sync. Shared by reference: all methods take `&self`.
pub struct InSync {
    peers: Arc<dyn Peers>,
    clock: Arc<dyn Clock>,
    limits: InSyncLimits,
    led: Mutex<BTreeMap<TopicIdPartition, Arc<Partition>>>,
    joining: Notify,
}

/// The limits of [`InSync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSyncLimits {
    /// How often all partitions are looked at: half of `replica.lag.time.max.ms`.
    pub interval: Duration,
    /// How long after a request without an answer the next one is made.
    pub backoff: Duration,
    /// The most proposals of one request; the others come in the next one.
    pub proposals_max: usize,
}

impl Default for InSyncLimits {
    /// Kafka's.
    fn default() -> Self {
        InSyncLimits {
            interval: Duration::from_secs(15),
            backoff: Duration::from_millis(50),
            proposals_max: 1000,
        }
    }
}

impl InSync {
    /// Nothing is led yet.
    #[must_use]
    pub fn new(peers: Arc<dyn Peers>, clock: Arc<dyn Clock>, limits: InSyncLimits) -> InSync {
        InSync { peers, clock, limits, led: Mutex::default(), joining: Notify::new() }
    }

    /// This node leads a partition.
    pub fn lead(&self, id: TopicIdPartition, partition: Arc<Partition>) {
        self.led.lock().insert(id, partition);
    }

    /// This node does not lead a partition any more.
    pub fn resign(&self, id: TopicIdPartition) {
        self.led.lock().remove(&id);
    }

    /// A fetch has shown that a replica may join.
    pub fn look(&self) {
        self.joining.notify_one();
    }

    /// Looks until the task is aborted.
    pub async fn run(&self) {
        let mut due = self.clock.now() + self.limits.interval;
        loop {
            tokio::select! {
                biased;
                () = self.joining.notified() => {}
                () = self.clock.sleep_until(due) => {}
            }
            let now = self.clock.now();
            if !self.propose().await {
                self.clock.sleep_until(self.clock.now() + self.limits.backoff).await;
                self.joining.notify_one();
            } else if now >= due {
                due = now + self.limits.interval;
            }
        }
    }

    /// Asks for everything that is due; false when no answer came.
    async fn propose(&self) -> bool {
        let proposals = self.proposals();
        if proposals.is_empty() {
            return true;
        }
        let full = proposals.len() == self.limits.proposals_max;
        let request = proposals.iter().map(|(id, _, proposal)| (*id, proposal.clone())).collect();
        let verdicts = self.peers.alter_isr(request).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the controller could not be asked to change who is in sync");
            Vec::new()
        });
        let mut answered = true;
        let verdicts = verdicts.into_iter().chain(std::iter::repeat(IsrVerdict::Unknown));
        for ((_, partition, proposal), verdict) in proposals.iter().zip(verdicts) {
            answered &= verdict != IsrVerdict::Unknown;
            partition.isr_answered(proposal, &verdict);
        }
        if full {
            self.joining.notify_one();
        }
        answered
    }

    fn proposals(&self) -> Vec<(TopicIdPartition, Arc<Partition>, IsrProposal)> {
        let led = self.led.lock();
        let due = led.iter().filter_map(|(id, partition)| {
            partition.propose_isr().map(|proposal| (*id, partition.clone(), proposal))
        });
        due.take(self.limits.proposals_max).collect()
    }
}

impl std::fmt::Debug for InSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InSync").field("led", &self.led.lock().len()).finish_non_exhaustive()
    }
}
