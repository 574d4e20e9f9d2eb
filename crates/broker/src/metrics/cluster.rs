//! What is counted of the cluster: how the replicas of partitions change from one image to the next.

use std::sync::atomic::{AtomicI64, Ordering};

use vltava_core::id::{BrokerId, Timestamp};
use vltava_core::image::{ImageDelta, Partition};
use vltava_core::meter::Counter;

/// The counters.
#[derive(Debug)]
pub(crate) struct ClusterMeters {
    /// In-sync replicas lost, in partitions that this broker leads: one each time some were.
    pub(crate) isr_shrinks: Counter,
    /// In-sync replicas won, in partitions that this broker leads: one each time some were.
    pub(crate) isr_expands: Counter,
    /// Partitions that got another leader.
    pub(crate) elections: Counter,
    /// Those whose leader was an eligible one, not an in-sync one (KIP-966).
    pub(crate) eligible_elections: Counter,
    /// Those whose leader was neither.
    pub(crate) unclean_elections: Counter,
    /// The timestamp of the last record that was applied.
    applied: AtomicI64,
}

impl Default for ClusterMeters {
    fn default() -> Self {
        ClusterMeters {
            isr_shrinks: Counter::default(),
            isr_expands: Counter::default(),
            elections: Counter::default(),
            eligible_elections: Counter::default(),
            unclean_elections: Counter::default(),
            applied: AtomicI64::new(Timestamp::NONE.0),
        }
    }
}

impl ClusterMeters {
    /// Metadata was applied up to a record of this time.
    pub(crate) fn applied(&self, timestamp: Timestamp) {
        self.applied.store(timestamp.0, Ordering::Relaxed);
    }

    /// The timestamp of the last record that was applied.
    pub(crate) fn last_applied(&self) -> Timestamp {
        Timestamp(self.applied.load(Ordering::Relaxed))
    }

    /// The image has changed, as seen by this broker.
    pub(crate) fn changed(&self, delta: &ImageDelta, broker: BrokerId) {
        for change in &delta.partitions {
            let Some(before) = &change.before else { continue };
            let after = &change.after;
            if after.leader == broker {
                self.count_isr(before, after);
            }
            if after.leader != before.leader && after.leader != BrokerId::NONE {
                self.count_election(before, after.leader);
            }
        }
    }

    fn count_isr(&self, before: &Partition, after: &Partition) {
        let lost =
            |from: &Partition, to: &Partition| from.isr.iter().any(|replica| !to.isr.contains(replica));
        self.isr_shrinks.add(u64::from(lost(before, after)));
        self.isr_expands.add(u64::from(lost(after, before)));
    }

    fn count_election(&self, before: &Partition, leader: BrokerId) {
        self.elections.add(1);
        if before.isr.contains(&leader) {
            return;
        }
        match before.eligible.contains(&leader) {
            true => self.eligible_elections.add(1),
            false => self.unclean_elections.add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vltava_core::id::{PartitionIndex, TopicId, TopicName, Uuid};
    use vltava_core::image::{PartitionDelta, Topic};

    use super::*;

    /// What is counted when a partition with this leader, these in-sync and these eligible replicas gets those: shrinks,
    /// expands, elections, eligible and unclean ones.
    fn check(before: (i32, &[i32], &[i32]), after: (i32, &[i32], &[i32]), expected: [u64; 5]) {
        let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let partition = |(leader, isr, eligible): (i32, &[i32], &[i32])| Partition {
            leader: BrokerId(leader),
            isr: brokers(isr),
            eligible: brokers(eligible),
            ..Partition::default()
        };
        let topic = Topic {
            name: TopicName::new("t").unwrap(),
            id: TopicId(Uuid::from_u128(1)),
            partitions: Vec::new(),
        };
        let delta = ImageDelta {
            partitions: vec![PartitionDelta {
                topic: Arc::new(topic),
                index: PartitionIndex(0),
                before: Some(partition(before)),
                after: partition(after),
            }],
            ..ImageDelta::default()
        };
        let meters = ClusterMeters::default();
        meters.changed(&delta, BrokerId(1));
        let counted = [
            &meters.isr_shrinks,
            &meters.isr_expands,
            &meters.elections,
            &meters.eligible_elections,
            &meters.unclean_elections,
        ]
        .map(Counter::get);
        assert_eq!(counted, expected, "{before:?} to {after:?}");
    }

    #[test]
    fn changes_of_replicas_are_told_apart() {
        check((1, &[1, 2, 3], &[]), (1, &[1, 2, 3], &[]), [0, 0, 0, 0, 0]);
        check((1, &[1, 2, 3], &[]), (1, &[1], &[]), [1, 0, 0, 0, 0]);
        check((1, &[1], &[]), (1, &[1, 2], &[]), [0, 1, 0, 0, 0]);
        check((1, &[1, 2], &[]), (1, &[1, 3], &[]), [1, 1, 0, 0, 0]);
        check((2, &[1, 2], &[]), (2, &[2], &[]), [0, 0, 0, 0, 0]);
        check((2, &[1, 2], &[]), (1, &[1, 2], &[]), [0, 0, 1, 0, 0]);
        check((1, &[1], &[]), (-1, &[], &[1]), [0, 0, 0, 0, 0]);
        check((-1, &[], &[1]), (1, &[1], &[]), [0, 1, 1, 1, 0]);
        check((-1, &[3], &[]), (1, &[1], &[]), [1, 1, 1, 0, 1]);
    }
}
