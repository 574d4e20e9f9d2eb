//! What is counted of coordinators: what their machines go through while they lead.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vltava_coordinator::group::consumer::ConsumerEvent;
use vltava_coordinator::group::event::Change;
use vltava_coordinator::group::{GroupCoordinator, GroupEvent};
use vltava_coordinator::transaction::{TransactionCoordinator, TransactionEvent};
use vltava_core::meter::{Counter, Meter, Tally};
use vltava_replication::runtime::Witness;

use super::histogram::Histogram;

/// What is counted of groups.
#[derive(Debug, Default)]
pub(crate) struct GroupMeters {
    /// How long the replays of partitions took.
    pub(crate) loads: Tally,
    pub(crate) offset_commits: Meter,
    /// How many of the offsets that will be forgotten next had expired.
    expiring: AtomicUsize,
    pub(crate) offsets_deleted: Meter,
    pub(crate) offsets_expired: Meter,
    /// Rebalances of classic groups that have ended with an assignment.
    pub(crate) classic_rebalances: Meter,
    /// New epochs of consumer groups.
    pub(crate) consumer_rebalances: Meter,
}

impl GroupMeters {
    /// Which coordinator's offset it is does not matter: each of them forgets as many as it has said.
    fn offset_forgotten(&self) {
        let less = |count: usize| count.checked_sub(1);
        match self.expiring.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => self.offsets_expired.add(1),
            Err(_) => self.offsets_deleted.add(1),
        }
    }
}

impl Witness<GroupCoordinator> for GroupMeters {
    fn loaded(&self, took: Duration) {
        self.loads.record_time(took);
    }

    fn applied(&self, event: &GroupEvent) {
        match event {
            GroupEvent::OffsetCommitted { .. } => self.offset_commits.add(1),
            GroupEvent::OffsetsExpired(count) => {
                self.expiring.fetch_add(*count, Ordering::Relaxed);
            }
            GroupEvent::OffsetForgotten { .. } => self.offset_forgotten(),
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
    /// How long the replays of partitions took.
    pub(crate) loads: Tally,
    /// How long the coordinator took to vouch for partitions, in microseconds.
    pub(crate) verification_us: Histogram,
    /// Partitions that it did not vouch for.
    pub(crate) verification_failures: Counter,
}

impl Witness<TransactionCoordinator> for TransactionMeters {
    fn loaded(&self, took: Duration) {
        self.loads.record_time(took);
    }

    fn applied(&self, _: &TransactionEvent) {}
}

#[cfg(test)]
mod tests {
    use vltava_coordinator::group::event::OffsetKey;
    use vltava_core::id::{PartitionIndex, TopicName};

    use super::*;

    #[test]
    fn offsets_that_expire_are_told_from_those_that_are_deleted() {
        let meters = GroupMeters::default();
        let forgotten = || GroupEvent::OffsetForgotten {
            key: OffsetKey {
                group: "g".into(),
                topic: TopicName::new("t").expect("a valid name"),
                partition: PartitionIndex(0),
            },
        };
        for event in [forgotten(), GroupEvent::OffsetsExpired(2), forgotten(), forgotten(), forgotten()] {
            meters.applied(&event);
        }
        assert_eq!((meters.offsets_deleted.get(), meters.offsets_expired.get()), (2, 2));
    }
}
