//! What is counted of coordinators and the controller: what their machines go through while they lead.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use vltava_coordinator::cluster::event::PartitionChange;
use vltava_coordinator::cluster::{Cluster, Event};
use vltava_coordinator::group::consumer::ConsumerEvent;
use vltava_coordinator::group::event::Change;
use vltava_coordinator::group::{GroupCoordinator, GroupEvent};
use vltava_coordinator::transaction::{TransactionCoordinator, TransactionEvent};
use vltava_core::id::BrokerId;
use vltava_core::meter::{Counter, Meter, Rate, Tally};
use vltava_replication::runtime::{Step, Witness};

use super::histogram::Histogram;
use super::requests::microseconds;

/// How long the steps from commands to their answers took, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct StepMeters {
    pub(crate) queued: Histogram,
    pub(crate) processed: Histogram,
    pub(crate) committed: Histogram,
    pub(crate) lingered: Histogram,
    pub(crate) flushed: Histogram,
    pub(crate) flush_rate: Rate,
}

impl StepMeters {
    fn record(&self, step: Step, took: Duration) {
        let histogram = match step {
            Step::Queued => &self.queued,
            Step::Processed => &self.processed,
            Step::Lingered => &self.lingered,
            Step::Flushed => &self.flushed,
            Step::Committed => &self.committed,
        };
        histogram.record(microseconds(took));
    }
}

/// What is counted of the controller.
#[derive(Debug, Default)]
pub(crate) struct ControllerMeters {
    pub(crate) steps: StepMeters,
    /// How long it took to process what has led to elections of leaders, in microseconds.
    pub(crate) elections_us: Histogram,
    /// What is being processed elects leaders.
    elects: AtomicBool,
}

impl Witness<Cluster> for ControllerMeters {
    fn loaded(&self, _: Duration) {}

    fn applied(&self, event: &Event) {
        if let Event::PartitionChanged(PartitionChange { leader: Some(leader), .. }) = event
            && *leader != BrokerId::NONE
        {
            self.elects.store(true, Ordering::Relaxed);
        }
    }

    fn timed(&self, step: Step, took: Duration) {
        self.steps.record(step, took);
        if step == Step::Processed && self.elects.swap(false, Ordering::Relaxed) {
            self.elections_us.record(microseconds(took));
        }
    }
}

/// What is counted of groups.
#[derive(Debug, Default)]
pub(crate) struct GroupMeters {
    /// How long the replays of partitions took.
    pub(crate) loads: Tally,
    pub(crate) steps: StepMeters,
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

    fn timed(&self, step: Step, took: Duration) {
        self.steps.record(step, took);
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

    fn timed(&self, _: Step, _: Duration) {}
}

#[cfg(test)]
mod tests {
    use vltava_coordinator::group::event::OffsetKey;
    use vltava_core::clock::Moment;
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

    #[test]
    fn elections_take_as_long_as_what_has_led_to_them() {
        let meters = ControllerMeters::default();
        let led_by = |leader| {
            Event::PartitionChanged(PartitionChange {
                leader: Some(BrokerId(leader)),
                ..PartitionChange::default()
            })
        };
        let command = |events: &[Event], milliseconds| {
            events.iter().for_each(|event| meters.applied(event));
            for step in [Step::Queued, Step::Processed, Step::Flushed] {
                meters.timed(step, Duration::from_millis(milliseconds));
            }
        };
        command(&[led_by(1), led_by(2)], 3);
        command(&[Event::Nothing, led_by(-1)], 5);
        let seen = |histogram: &Histogram| {
            let seen = histogram.distribution(Moment::default());
            (seen.count(), seen.sum)
        };
        assert_eq!(seen(&meters.elections_us), (1, 3_000));
        assert_eq!(seen(&meters.steps.processed), (2, 8_000));
    }
}
