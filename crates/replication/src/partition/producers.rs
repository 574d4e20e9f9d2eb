//! What a partition remembers of idempotent and transactional producers (KIP-98).
//!
//! For each producer: its epoch, its last five batches, and where its open transaction starts. From that follow the
//! answers to a repeated batch (its old offset), a gap in the sequence, a fenced producer, and the last stable offset.
//!
//! Checking and applying are apart: a batch is checked, then written, then applied, so that a failed write changes
//! nothing. Replaying a log applies without checking, because what stands in a log was accepted once.

use std::collections::{BTreeMap, HashMap};

use smallvec::SmallVec;
use thiserror::Error;
use vltava_core::error::ErrorCode;
use vltava_core::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::machine::TransactionEnd;
use vltava_core::record::{BatchHeader, EndTransactionMarker, TransactionResult};
use vltava_core::replicated::{MarkerEpoch, Origin, PlaceTerms, Verification};

use super::verifications::{Opening, UnderWay, Verifications};

/// Batches remembered per producer: as many as an idempotent producer may have in flight.
pub const BATCHES_REMEMBERED: usize = 5;

/// The producers of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Producers {
    entries: HashMap<ProducerId, ProducerState>,
    /// First offset of every open transaction.
    open: BTreeMap<Offset, ProducerId>,
    /// Transactions whose end marker is not yet committed: first offset and the marker's offset.
    undecided: BTreeMap<Offset, Offset>,
}

/// One producer, as DescribeProducers shows it and as a snapshot holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerState {
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// The last batches, oldest first.
    pub batches: SmallVec<[ProducedBatch; 1]>,
    /// The largest timestamp of its last batch.
    pub last_timestamp: Timestamp,
    /// The epoch of the coordinator that wrote its last end marker; -1 without one.
    pub coordinator_epoch: LeaderEpoch,
    /// Where its open transaction starts.
    pub transaction_start: Option<Offset>,
}

/// A batch of a producer that stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedBatch {
    /// Sequence number of its last record.
    pub last_sequence: Sequence,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Its records less one.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: Timestamp,
}

impl ProducedBatch {
    /// Sequence number of its first record.
    #[must_use]
    pub fn first_sequence(&self) -> Sequence {
        if self.last_sequence == Sequence::NONE {
            Sequence::NONE
        } else {
            back(self.last_sequence, self.offset_delta)
        }
    }

    /// Offset of its first record.
    #[must_use]
    pub fn first_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }
}

impl ProducerState {
    fn unknown() -> Self {
        Self {
            epoch: ProducerEpoch::NONE,
            batches: SmallVec::new(),
            last_timestamp: Timestamp::NONE,
            coordinator_epoch: LeaderEpoch(-1),
            transaction_start: None,
        }
    }

    /// Sequence number of the last record, [`Sequence::NONE`] when no batch of this epoch is known.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        self.batches.last().map_or(Sequence::NONE, |batch| batch.last_sequence)
    }

    fn enter(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.batches.clear();
            self.epoch = epoch;
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The batch comes next.
    Append,
    /// The batch stands in the log already.
    Duplicate(ProducedBatch),
}

/// A transaction that its marker has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedTransaction {
    /// Whose.
    pub producer: ProducerId,
    /// Its first offset.
    pub first: Offset,
    /// The offset of the marker.
    pub last: Offset,
    /// How it ended.
    pub result: TransactionResult,
}

/// Why a producer's batch was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProducerError {
    /// A newer incarnation of the producer has written.
    #[error("Epoch of producer {producer} is {given}, which is smaller than the last seen epoch {current}")]
    Epoch {
        /// Who.
        producer: ProducerId,
        /// The epoch of the batch.
        given: ProducerEpoch,
        /// The epoch known.
        current: ProducerEpoch,
    },
    /// The marker was written before, or belongs to a transaction before this one (KIP-1228).
    #[error("Epoch of producer {producer} is {given}, which is not above the last seen epoch {current}")]
    MarkerEpoch {
        /// Whose transaction.
        producer: ProducerId,
        /// The epoch of the marker.
        given: ProducerEpoch,
        /// The epoch known.
        current: ProducerEpoch,
    },
    /// The first batch of a producer whose transactions have epochs of their own does not begin at 0 (KAFKA-18202).
    #[error(
        "Invalid sequence number for producer {producer}: {given} (incoming seq. number). Expected sequence 0 where nothing is known of the producer"
    )]
    NonzeroStart {
        /// Who.
        producer: ProducerId,
        /// The first sequence number of the batch.
        given: Sequence,
    },
    /// A batch before this one still waits for its verification.
    #[error(
        "Out of order sequence number for producer {producer}: {given} (incoming seq. number), {lowest} (earliest seen sequence)"
    )]
    Overtaking {
        /// Who.
        producer: ProducerId,
        /// The first sequence number of the batch.
        given: Sequence,
        /// That of the batch before it.
        lowest: Sequence,
    },
    /// Records are missing before the batch, or it repeats records older than those remembered.
    #[error(
        "Out of order sequence number for producer {producer}: {given} (incoming seq. number), {last} (current end sequence number)"
    )]
    Sequence {
        /// Who.
        producer: ProducerId,
        /// The first sequence number of the batch.
        given: Sequence,
        /// The last one known.
        last: Sequence,
    },
    /// A new epoch has to start with sequence number 0.
    #[error(
        "Invalid sequence number for new epoch of producer {producer}: {epoch} (request epoch), {given} (seq. number), {current} (current producer epoch)"
    )]
    FirstSequence {
        /// Who.
        producer: ProducerId,
        /// The epoch of the batch.
        epoch: ProducerEpoch,
        /// The first sequence number of the batch.
        given: Sequence,
        /// The epoch known.
        current: ProducerEpoch,
    },
    /// The producer has an open transaction here, and the batch is not part of one.
    #[error("Expected transactional write from producer {producer}, whose transaction is open")]
    NotTransactional {
        /// Who.
        producer: ProducerId,
    },
    /// The batch is part of a transaction that no coordinator knows to include this partition (KIP-890).
    #[error("Record was not part of an ongoing transaction of producer {producer}")]
    Unverified {
        /// Who.
        producer: ProducerId,
    },
    /// The marker comes from a coordinator that was replaced.
    #[error("Invalid coordinator epoch for producer {producer}: {given} (zombie), {current} (current)")]
    Coordinator {
        /// Whose transaction.
        producer: ProducerId,
        /// The epoch of the marker.
        given: LeaderEpoch,
        /// The epoch known.
        current: LeaderEpoch,
    },
}

impl ProducerError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Epoch { .. } | Self::MarkerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            Self::Sequence { .. }
            | Self::FirstSequence { .. }
            | Self::NonzeroStart { .. }
            | Self::Overtaking { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::NotTransactional { .. } | Self::Unverified { .. } => ErrorCode::INVALID_TXN_STATE,
            Self::Coordinator { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
        }
    }
}

impl Producers {
    /// Judges a batch that wants to be appended. `marker` is what a control batch says.
    ///
    /// # Errors
    /// [`ProducerError`]; nothing changes in any case.
    pub fn check(
        &self,
        header: &BatchHeader,
        marker: Option<&EndTransactionMarker>,
        terms: &PlaceTerms,
        verifications: &Verifications,
    ) -> Result<Verdict, ProducerError> {
        if !header.has_producer_id() {
            return Ok(Verdict::Append);
        }
        let (producer, epoch) = (header.producer_id, header.producer_epoch);
        if let Some(marker) = marker {
            self.check_end(producer, epoch, marker.coordinator_epoch, terms.marker_epoch)?;
            return Ok(Verdict::Append);
        }
        let known = self.entries.get(&producer);
        if terms.origin == Origin::Coordinator {
            check_epoch(known, producer, epoch)?;
        } else if let Some(batch) = known.and_then(|known| duplicate(known, header)) {
            return Ok(Verdict::Duplicate(batch));
        } else {
            if header.is_transactional() {
                self.check_verified(producer, epoch, terms.verification, verifications)?;
            }
            check_epoch(known, producer, epoch)?;
            check_sequence(known, header, verifications.of(producer))?;
        }
        if !header.is_transactional() && known.is_some_and(|known| known.transaction_start.is_some()) {
            return Err(ProducerError::NotTransactional { producer });
        }
        Ok(Verdict::Append)
    }

    /// Whether a coordinator's records may join the transaction of a producer.
    ///
    /// # Errors
    /// [`ProducerError`].
    pub fn check_within(
        &self,
        producer: ProducerId,
        epoch: ProducerEpoch,
        verification: Verification,
        verifications: &Verifications,
    ) -> Result<(), ProducerError> {
        self.check_verified(producer, epoch, verification, verifications)?;
        check_epoch(self.entries.get(&producer), producer, epoch)
    }

    /// Whether an end marker may be written.
    ///
    /// # Errors
    /// [`ProducerError`].
    pub fn check_marker(&self, end: &TransactionEnd, marker_epoch: MarkerEpoch) -> Result<(), ProducerError> {
        self.check_end(end.producer, end.epoch, LeaderEpoch(end.coordinator_epoch), marker_epoch)
    }

    fn check_end(
        &self,
        producer: ProducerId,
        given: ProducerEpoch,
        coordinator_epoch: LeaderEpoch,
        marker_epoch: MarkerEpoch,
    ) -> Result<(), ProducerError> {
        let Some(known) = self.entries.get(&producer) else { return Ok(()) };
        let current = known.epoch;
        if given < current {
            return Err(ProducerError::Epoch { producer, given, current });
        }
        if given == current && marker_epoch == MarkerEpoch::Above {
            return Err(ProducerError::MarkerEpoch { producer, given, current });
        }
        let (given, current) = (coordinator_epoch, known.coordinator_epoch);
        if given < current { Err(ProducerError::Coordinator { producer, given, current }) } else { Ok(()) }
    }

    /// A transaction is opened in a partition with the knowledge of its coordinator: one that was not could never be
    /// ended, and would hold back the last stable offset for ever.
    fn check_verified(
        &self,
        producer: ProducerId,
        epoch: ProducerEpoch,
        verification: Verification,
        verifications: &Verifications,
    ) -> Result<(), ProducerError> {
        if self.is_open(producer, epoch) {
            return Ok(());
        }
        check_epoch(self.entries.get(&producer), producer, epoch)?;
        if verifications.allow(producer, verification) {
            return Ok(());
        }
        Err(ProducerError::Unverified { producer })
    }

    /// Whether a batch may ask to open a transaction, and whether it has to: not when the transaction is open already.
    ///
    /// # Errors
    /// [`ProducerError::Epoch`] for a producer that was replaced: it need not trouble the coordinator (KAFKA-18042).
    pub fn must_verify(&self, opening: &Opening) -> Result<bool, ProducerError> {
        check_epoch(self.entries.get(&opening.producer), opening.producer, opening.epoch)?;
        Ok(!self.is_open(opening.producer, opening.epoch))
    }

    /// A transaction of an older epoch may be over by now, whatever is known of it here.
    fn is_open(&self, producer: ProducerId, epoch: ProducerEpoch) -> bool {
        let known = self.entries.get(&producer);
        known.is_some_and(|known| known.transaction_start.is_some() && known.epoch == epoch)
    }

    /// Takes in a batch that stands in the log now. `marker` is what a control batch says; a control batch without one
    /// has lost it to compaction and says nothing.
    pub fn apply(
        &mut self,
        header: &BatchHeader,
        marker: Option<&EndTransactionMarker>,
    ) -> Option<CompletedTransaction> {
        if !header.has_producer_id() {
            return None;
        }
        match marker {
            Some(marker) => self.apply_marker(header, marker),
            None if header.is_control() => None,
            None => {
                self.apply_data(header);
                None
            }
        }
    }

    fn apply_data(&mut self, header: &BatchHeader) {
        let state = self.entries.entry(header.producer_id).or_insert_with(ProducerState::unknown);
        state.enter(header.producer_epoch);
        if state.batches.len() == BATCHES_REMEMBERED {
            state.batches.remove(0);
        }
        state.batches.push(ProducedBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        state.last_timestamp = header.max_timestamp;
        if header.is_transactional() && state.transaction_start.is_none() {
            state.transaction_start = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
    }

    fn apply_marker(
        &mut self,
        header: &BatchHeader,
        marker: &EndTransactionMarker,
    ) -> Option<CompletedTransaction> {
        let state = self.entries.entry(header.producer_id).or_insert_with(ProducerState::unknown);
        state.enter(header.producer_epoch);
        state.coordinator_epoch = marker.coordinator_epoch;
        state.last_timestamp = header.max_timestamp;
        let first = state.transaction_start.take()?;
        self.open.remove(&first);
        self.undecided.insert(first, header.base_offset);
        let (producer, last) = (header.producer_id, header.base_offset);
        Some(CompletedTransaction { producer, first, last, result: marker.result })
    }

    /// Says that everything below `high` is committed, the markers there included.
    pub fn committed(&mut self, high: Offset) {
        self.undecided.retain(|_, marker| *marker >= high);
    }

    /// The first offset that belongs to a transaction without a committed end.
    #[must_use]
    pub fn first_unstable(&self) -> Option<Offset> {
        let open = self.open.first_key_value().map(|(first, _)| *first);
        let undecided = self.undecided.first_key_value().map(|(first, _)| *first);
        [open, undecided].into_iter().flatten().min()
    }

    /// Where the last stable offset will stand once the marker of `completed` is committed.
    #[must_use]
    pub fn stable_after(&self, completed: &CompletedTransaction) -> Offset {
        let others = self.open.iter().filter(|(_, producer)| **producer != completed.producer);
        others.map(|(first, _)| *first).next().unwrap_or(completed.last.next())
    }

    /// Forgets producers that have been silent for `expiry_ms` and have no open transaction
    /// (`producer.id.expiration.ms`). They may go on with any sequence number.
    pub fn expire(&mut self, now: Timestamp, expiry_ms: i64) {
        self.entries.retain(|_, state| {
            state.transaction_start.is_some() || now.since(state.last_timestamp) < expiry_ms
        });
    }

    /// Every producer.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerState)> {
        self.entries.iter().map(|(id, state)| (*id, state))
    }

    /// How many producers are remembered.
    #[cfg(test)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts back a producer from a snapshot.
    pub fn restore(&mut self, id: ProducerId, state: ProducerState) {
        if let Some(first) = state.transaction_start {
            self.open.insert(first, id);
        }
        self.entries.insert(id, state);
    }
}

fn duplicate(state: &ProducerState, header: &BatchHeader) -> Option<ProducedBatch> {
    if header.producer_epoch != state.epoch || header.is_control() {
        return None;
    }
    let range = (header.base_sequence, header.last_sequence());
    state.batches.iter().find(|batch| (batch.first_sequence(), batch.last_sequence) == range).copied()
}

fn check_epoch(
    known: Option<&ProducerState>,
    producer: ProducerId,
    given: ProducerEpoch,
) -> Result<(), ProducerError> {
    match known.map(|known| known.epoch).filter(|current| given < *current) {
        Some(current) => Err(ProducerError::Epoch { producer, given, current }),
        None => Ok(()),
    }
}

fn check_sequence(
    known: Option<&ProducerState>,
    header: &BatchHeader,
    under_way: Option<&UnderWay>,
) -> Result<(), ProducerError> {
    let (producer, given) = (header.producer_id, header.base_sequence);
    if let Some(under_way) = under_way {
        let nothing_known = known.is_none_or(|known| known.batches.is_empty());
        if under_way.own_epoch && given != Sequence(0) && nothing_known {
            return Err(ProducerError::NonzeroStart { producer, given });
        }
        let lowest = under_way.lowest_sequence;
        if given > lowest {
            return Err(ProducerError::Overtaking { producer, given, lowest });
        }
    }
    // Any sequence number will do where nothing is known, as after the records were deleted.
    let Some(known) = known.filter(|known| known.epoch != ProducerEpoch::NONE) else { return Ok(()) };
    if header.producer_epoch != known.epoch {
        let (epoch, current) = (header.producer_epoch, known.epoch);
        return match given {
            Sequence(0) => Ok(()),
            given => Err(ProducerError::FirstSequence { producer, epoch, given, current }),
        };
    }
    let last = known.last_sequence();
    let expected = if last == Sequence::NONE { Sequence(0) } else { last.plus(1) };
    if given == expected { Ok(()) } else { Err(ProducerError::Sequence { producer, given, last }) }
}

/// The sequence number `count` records before `sequence`, wrapping from 0 to the largest.
fn back(sequence: Sequence, count: i32) -> Sequence {
    sequence.plus(count.wrapping_neg())
}

#[cfg(test)]
mod tests;
