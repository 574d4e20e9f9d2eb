//! What is counted of coordinators: what their machines go through while they lead.

use std::time::Duration;

use parking_lot::Mutex;
use vltava_coordinator::group::consumer::ConsumerEvent;
use vltava_coordinator::group::event::Change;
use vltava_coordinator::group::{GroupCoordinator, GroupEvent};
use vltava_coordinator::transaction::{TransactionCoordinator, TransactionEvent};
use vltava_replication::runtime::Witness;

use super::Counter;
use super::histogram::Histogram;

/// How long the replays of a coordinator's partitions took, since the start.
#[derive(Debug, Default)]
pub(crate) struct Loads(Mutex<LoadTimes>);

/// The times of all replays together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadTimes {
    count: u32,
    sum: Duration,
    /// The longest.
    pub(crate) max: Duration,
}

impl Loads {
    fn record(&self, took: Duration) {
        let mut times = self.0.lock();
        times.count = times.count.saturating_add(1);
        times.sum += took;
        times.max = times.max.max(took);
    }

    /// What there is to tell, once there was a replay.
    pub(crate) fn now(&self) -> Option<LoadTimes> {
        Some(*self.0.lock()).filter(|times| times.count > 0)
    }
}

impl LoadTimes {
    /// How long a replay took on average.
    pub(crate) fn mean(&self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }
}

/// What is counted of groups.
#[derive(Debug, Default)]
pub(crate) struct GroupMeters {
    pub(crate) loads: Loads,
    pub(crate) offset_commits: Counter,
    /// Rebalances of classic groups that have ended with an assignment.
    pub(crate) classic_rebalances: Counter,
    /// New epochs of consumer groups.
    pub(crate) consumer_rebalances: Counter,
}

impl Witness<GroupCoordinator> for GroupMeters {
    fn loaded(&self, took: Duration) {
        self.loads.record(took);
    }

    fn applied(&self, event: &GroupEvent) {
        match event {
            GroupEvent::OffsetCommitted { .. } => self.offset_commits.add(1),
            GroupEvent::Volatile { change: Change::SyncsAnswered(_), .. } => self.classic_rebalances.add(1),
            GroupEvent::Consumer { event: ConsumerEvent::EpochStored { .. }, .. } => {
                self.consumer_rebalances.add(1);
            }
            _ => {}
        }
    }
}

/// What is counted of transactions.
#[derive(Debug, Default)]
pub(crate) struct TransactionMeters {
    pub(crate) loads: Loads,
    /// How long the coordinator took to vouch for partitions, in microseconds.
    pub(crate) verification_us: Histogram,
    /// Partitions that it did not vouch for.
    pub(crate) verification_failures: Counter,
}

impl Witness<TransactionCoordinator> for TransactionMeters {
    fn loaded(&self, took: Duration) {
        self.loads.record(took);
    }

    fn applied(&self, _: &TransactionEvent) {}
}
