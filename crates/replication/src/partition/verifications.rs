//! Transactions that producers want to open in a partition, while their coordinator is being asked (KIP-890).
//!
//! Why a guard and not just the answer: between the coordinator's "yes" and the append an end marker may come, and the
//! transaction that the "yes" spoke of is over. What would be appended then belongs to no transaction that anybody will
//! end. So every marker, and every batch that opens a transaction, makes the guards of its producer void.
//!
//! But for a marker that ends an earlier transaction: where each has an epoch of its own, the marker of the last one may
//! come while the next one is being verified already, and tells itself apart by its epoch (KAFKA-18575).
//!
//! Volatile: a partition that is opened again, or led elsewhere, has handed out no guards.

use std::collections::HashMap;

use vltava_core::id::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::replicated::{Verification, VerificationGuard};

/// The most producers of a partition whose verification is under way. The oldest makes room for the next: it is then
/// refused, and its producer asks again.
pub const VERIFICATIONS_MAX: usize = 10_000;

/// The verifications of a partition.
#[derive(Debug, Default)]
pub struct Verifications {
    under_way: HashMap<ProducerId, UnderWay>,
    guards_given: u64,
}

/// A batch that wants to open a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Whose.
    pub producer: ProducerId,
    /// In which epoch.
    pub epoch: ProducerEpoch,
    /// Its first sequence number.
    pub sequence: Sequence,
    /// Every transaction of the producer has an epoch of its own (transaction version 2), so that its first sequence
    /// number is 0.
    pub own_epoch: bool,
}

/// One verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderWay {
    guard: VerificationGuard,
    since: Timestamp,
    epoch: ProducerEpoch,
    /// The smallest sequence number that wants in: a larger one must not come before it, or the smaller could never follow
    /// (KAFKA-14920).
    pub lowest_sequence: Sequence,
    /// See [`Opening::own_epoch`].
    pub own_epoch: bool,
}

impl Verifications {
    /// Begins a verification, or joins the one of this producer that is under way.
    pub fn begin(&mut self, opening: &Opening, now: Timestamp) -> VerificationGuard {
        if self.under_way.len() >= VERIFICATIONS_MAX && !self.under_way.contains_key(&opening.producer) {
            self.forget_oldest();
        }
        let guard = VerificationGuard(self.guards_given);
        let under_way = self.under_way.entry(opening.producer).or_insert_with(|| {
            self.guards_given += 1;
            UnderWay {
                guard,
                since: now,
                epoch: opening.epoch,
                lowest_sequence: opening.sequence,
                own_epoch: opening.own_epoch,
            }
        });
        under_way.meet(opening);
        under_way.guard
    }

    /// What is under way for a producer.
    pub fn of(&self, producer: ProducerId) -> Option<&UnderWay> {
        self.under_way.get(&producer)
    }

    /// Whether this shows that the producer may open a transaction now.
    pub fn allow(&self, producer: ProducerId, verification: Verification) -> bool {
        match verification {
            Verification::None => false,
            Verification::Waived => true,
            Verification::Guard(guard) => self.of(producer).is_some_and(|known| known.guard == guard),
        }
    }

    /// A transaction of the producer was opened.
    pub fn opened(&mut self, producer: ProducerId) {
        self.under_way.remove(&producer);
    }

    /// A marker of this epoch was written: at least one above that of the transaction which it ends, where each has its own.
    pub fn ended(&mut self, producer: ProducerId, epoch: ProducerEpoch) {
        let of_earlier = self.of(producer).is_some_and(|known| known.own_epoch && epoch <= known.epoch);
        if !of_earlier {
            self.under_way.remove(&producer);
        }
    }

    /// Forgets verifications that were never settled.
    pub fn expire(&mut self, now: Timestamp, expiry_ms: i64) {
        self.under_way.retain(|_, known| now.since(known.since) < expiry_ms);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.under_way.iter().min_by_key(|(producer, known)| (known.since, **producer));
        if let Some(oldest) = oldest.map(|(producer, _)| *producer) {
            self.under_way.remove(&oldest);
        }
    }
}

impl UnderWay {
    fn meet(&mut self, opening: &Opening) {
        if opening.epoch > self.epoch {
            (self.epoch, self.lowest_sequence) = (opening.epoch, opening.sequence);
            self.own_epoch = opening.own_epoch;
        } else if opening.epoch == self.epoch && opening.sequence < self.lowest_sequence {
            self.lowest_sequence = opening.sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(producer: i64, epoch: i16, sequence: i32) -> Opening {
        let (producer, epoch) = (ProducerId(producer), ProducerEpoch(epoch));
        Opening { producer, epoch, sequence: Sequence(sequence), own_epoch: false }
    }

    #[test]
    fn a_guard_holds_until_its_transaction_is_opened_or_ended() {
        let mut known = Verifications::default();
        let guard = known.begin(&opening(1, 0, 5), Timestamp(0));
        assert_eq!(known.begin(&opening(1, 0, 3), Timestamp(1)), guard, "joined");
        let other = known.begin(&opening(2, 0, 0), Timestamp(0));
        for (producer, verification, expected) in [
            (1, Verification::Guard(guard), true),
            (1, Verification::Guard(other), false),
            (1, Verification::None, false),
            (1, Verification::Waived, true),
            (3, Verification::Guard(guard), false),
        ] {
            assert_eq!(
                known.allow(ProducerId(producer), verification),
                expected,
                "{producer} {verification:?}"
            );
        }
        known.opened(ProducerId(1));
        assert!(!known.allow(ProducerId(1), Verification::Guard(guard)));
        assert_ne!(known.begin(&opening(1, 0, 5), Timestamp(2)), guard, "a late answer opens nothing");
    }

    #[test]
    fn a_marker_voids_the_guards_of_the_transaction_that_it_may_end() {
        for (own_epoch, marker, holds) in
            [(false, 3, false), (true, 2, true), (true, 3, true), (true, 4, false)]
        {
            let mut known = Verifications::default();
            let opening = Opening { own_epoch, ..opening(1, 3, 0) };
            let guard = Verification::Guard(known.begin(&opening, Timestamp(0)));
            known.ended(ProducerId(1), ProducerEpoch(marker));
            assert_eq!(known.allow(ProducerId(1), guard), holds, "{own_epoch}, marker of epoch {marker}");
        }
    }

    #[test]
    fn the_lowest_sequence_is_that_of_the_newest_epoch() {
        let mut known = Verifications::default();
        for (wants, expected) in
            [((0, 5), 5), ((0, 7), 5), ((0, 2), 2), ((1, 9), 9), ((0, 1), 9), ((1, 4), 4)]
        {
            known.begin(&opening(1, wants.0, wants.1), Timestamp(0));
            assert_eq!(known.of(ProducerId(1)).unwrap().lowest_sequence, Sequence(expected), "{wants:?}");
        }
    }

    #[test]
    fn there_is_a_limit_and_an_end() {
        let mut known = Verifications::default();
        for producer in 0..=i64::try_from(VERIFICATIONS_MAX).unwrap() {
            known.begin(&opening(producer, 0, 0), Timestamp(producer));
        }
        assert_eq!(known.under_way.len(), VERIFICATIONS_MAX);
        assert!(known.of(ProducerId(0)).is_none(), "the oldest made room");
        known.expire(Timestamp(10_000 + 50), 100);
        assert_eq!(known.under_way.len(), 50);
    }
}
