//! What a partition knows: leadership, watermarks, producers, epochs. Pure; the shell around it holds the lock.

use std::collections::BTreeMap;

use bytes::Bytes;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, LeaderEpoch, Offset, PartitionEpoch, Timestamp, TopicPartition};
use vltava_core::log::{Bounds, LogError, Sidecar, SidecarKind, Span};
use vltava_core::machine::TransactionWrite;
use vltava_core::record::{Batch, BatchHeader, EndTransactionMarker, TransactionResult};
use vltava_core::replicated::{PlaceError, PlaceTerms, ReadError, Verification, Watermarks};

use super::aborted::{Aborted, AbortedTransactions};
use super::epochs::LeaderEpochs;
use super::producers::{ProducedBatch, ProducerError, Producers, Verdict};
use super::replicas::Replicas;
use super::verifications::{Opening, Verifications};
use super::{Mistake, snapshot};

/// The state of a partition. The order that always holds: start ≤ stable ≤ high ≤ end, and flushed ≤ end.
#[derive(Debug)]
pub(super) struct State {
    pub(super) id: TopicPartition,
    pub(super) epoch: LeaderEpoch,
    pub(super) leading: bool,
    /// Who leads, where that is not always this broker.
    pub(super) leader: BrokerId,
    /// The partition epoch of the last assignment.
    pub(super) partition_epoch: PartitionEpoch,
    /// The other replicas, when this one leads and is not the only one.
    pub(super) replicas: Option<Box<Replicas>>,
    #[cfg(feature = "testing")]
    pub(super) mistake: Option<Mistake>,
    /// Why nothing can be appended any more.
    pub(super) failure: Option<String>,
    pub(super) start: Offset,
    pub(super) high: Offset,
    pub(super) end: Offset,
    pub(super) flushed: Offset,
    pub(super) producers: Producers,
    pub(super) verifications: Verifications,
    pub(super) epochs: LeaderEpochs,
    pub(super) aborted: AbortedTransactions,
    /// Sidecars to be written by a thread that may block; a newer content replaces an older one.
    pub(super) pending: BTreeMap<Sidecar, Bytes>,
    /// The end of the log at the newest producer snapshot.
    pub(super) snapshot_at: Option<Offset>,
}

/// What [`State::judge`] allows.
pub(super) enum Allowed {
    Append,
    Duplicate(ProducedBatch),
}

impl State {
    pub(super) fn new(id: TopicPartition, bounds: Bounds) -> Self {
        Self {
            id,
            epoch: LeaderEpoch::NONE,
            leading: false,
            leader: BrokerId::NONE,
            partition_epoch: PartitionEpoch(0),
            replicas: None,
            #[cfg(feature = "testing")]
            mistake: None,
            failure: None,
            start: bounds.start,
            high: bounds.start,
            end: bounds.end,
            flushed: bounds.flushed,
            producers: Producers::default(),
            verifications: Verifications::default(),
            epochs: LeaderEpochs::default(),
            aborted: AbortedTransactions::default(),
            pending: BTreeMap::new(),
            snapshot_at: None,
        }
    }

    pub(super) fn watermarks(&self) -> Watermarks {
        Watermarks {
            epoch: self.epoch,
            // Who waits for a commit, and every state machine on this log, must not go on after a failure; readers may.
            leading: self.leading && self.failure.is_none(),
            start: self.start,
            stable: self.stable(),
            high: self.high,
            end: self.end,
            flushed: self.flushed,
            insync: self.replicas.as_ref().is_none_or(|replicas| replicas.is_enough_to_acknowledge()),
        }
    }

    /// Whether this rule is broken on purpose.
    #[cfg(feature = "testing")]
    pub(super) fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Whether this rule is broken on purpose: never outside of tests.
    #[cfg(not(feature = "testing"))]
    pub(super) fn makes(&self, _: Mistake) -> bool {
        false
    }

    /// The last stable offset: below it every transaction has ended, and its end is committed.
    pub(super) fn stable(&self) -> Offset {
        let unstable = self.producers.first_unstable().unwrap_or(self.high);
        unstable.clamp(self.start, self.high)
    }

    /// Leads in `epoch` from here on; an older epoch than the current one is refused. A replica that is the only one has
    /// agreed to everything it holds.
    pub(super) fn lead(&mut self, epoch: LeaderEpoch) -> bool {
        if epoch < self.epoch {
            return false;
        }
        if epoch > self.epoch || !self.leading {
            (self.epoch, self.leading) = (epoch, true);
            if self.epochs.assign(epoch, self.end) {
                self.save_epochs();
            }
            self.advance();
        }
        true
    }

    /// Stops leading, in favour of whoever leads in `epoch`.
    pub(super) fn resign(&mut self, epoch: LeaderEpoch) -> bool {
        let newer = epoch >= self.epoch;
        if newer {
            (self.epoch, self.leading, self.replicas) = (epoch, false, None);
        }
        newer
    }

    /// Whether a batch may be appended now.
    pub(super) fn judge(
        &self,
        header: &BatchHeader,
        marker: Option<&EndTransactionMarker>,
        terms: &PlaceTerms,
    ) -> Result<Allowed, PlaceError> {
        self.check_leading(terms.expected_epoch)?;
        self.check_failure()?;
        if terms.require_min_insync {
            self.check_insync()?;
        }
        if let Some(expected) = terms.expected_end
            && expected != self.end
        {
            return Err(PlaceError::EndMoved { expected, actual: self.end });
        }
        match self.producers.check(header, marker, terms, &self.verifications) {
            Ok(Verdict::Append) => Ok(Allowed::Append),
            Ok(Verdict::Duplicate(batch)) => Ok(Allowed::Duplicate(batch)),
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// Whether a coordinator's write that takes part in a transaction may be appended now.
    pub(super) fn admit_transaction(&self, write: &TransactionWrite) -> Result<(), PlaceError> {
        self.check_leading(None)?;
        let checked = match write {
            TransactionWrite::Within { producer, epoch, verification } => {
                self.producers.check_within(*producer, *epoch, *verification, &self.verifications)
            }
            TransactionWrite::End { end, marker_epoch } => self.producers.check_marker(end, *marker_epoch),
        };
        checked.map_err(|error| self.refused(&error))
    }

    /// What a batch that belongs to a transaction has to show: nothing when the transaction is open here, else the
    /// guard that is handed out now, once the coordinator has agreed.
    pub(super) fn verify(&mut self, opening: &Opening, now: Timestamp) -> Result<Verification, PlaceError> {
        self.check_leading(None)?;
        match self.producers.must_verify(opening) {
            Ok(true) => Ok(Verification::Guard(self.verifications.begin(opening, now))),
            Ok(false) => Ok(Verification::None),
            Err(error) => Err(self.refused(&error)),
        }
    }

    fn refused(&self, error: &ProducerError) -> PlaceError {
        PlaceError::Refused {
            code: error.code(),
            message: format!("{error} in partition {}", self.id),
            records: Vec::new(),
        }
    }

    pub(super) fn check_leading(&self, expected: Option<LeaderEpoch>) -> Result<(), PlaceError> {
        if self.leading && expected.is_none_or(|expected| expected == self.epoch) {
            return Ok(());
        }
        Err(PlaceError::NotLeader(self.id.clone()))
    }

    pub(super) fn check_failure(&self) -> Result<(), LogError> {
        self.failure.clone().map_or(Ok(()), |failure| Err(LogError::Offline(failure)))
    }

    /// Whether as many replicas are in sync as the topic asks for. It asks for no more than it has.
    pub(super) fn check_insync(&self) -> Result<(), PlaceError> {
        let Some(replicas) = self.replicas.as_ref().filter(|replicas| !replicas.is_enough_in_sync()) else {
            return Ok(());
        };
        let isr = replicas.isr().len();
        Err(PlaceError::Refused {
            code: ErrorCode::NOT_ENOUGH_REPLICAS,
            message: format!(
                "The size of the current ISR of partition {} is {isr}, below min.insync.replicas {}",
                self.id,
                replicas.min_insync()
            ),
            records: Vec::new(),
        })
    }

    /// Gives a batch its place at the end.
    pub(super) fn stamp(&self, batch: &mut Batch) {
        batch.header.base_offset = self.end;
        batch.header.partition_leader_epoch = self.epoch;
    }

    /// Takes in a batch that was just appended; `spans` are asked for only when an index of one has to be written.
    pub(super) fn appended(
        &mut self,
        header: &BatchHeader,
        marker: Option<&EndTransactionMarker>,
        spans: impl FnOnce() -> Vec<Span>,
    ) {
        if self.replay(header, marker) {
            self.save_aborted(&spans(), header.base_offset);
        }
        self.end = header.next_offset();
        self.advance();
    }

    /// Takes in a batch of the log; returns whether it has aborted a transaction that was not known as such.
    pub(super) fn replay(&mut self, header: &BatchHeader, marker: Option<&EndTransactionMarker>) -> bool {
        if marker.is_some() {
            self.verifications.ended(header.producer_id, header.producer_epoch);
        } else if header.is_transactional() {
            self.verifications.opened(header.producer_id);
        }
        let Some(completed) = self.producers.apply(header, marker) else { return false };
        if completed.result != TransactionResult::Abort {
            return false;
        }
        let stable = self.producers.stable_after(&completed);
        let (producer, first, last) = (completed.producer, completed.first, completed.last);
        self.aborted.push(Aborted { producer, first, last, stable })
    }

    /// Moves the start of the log.
    pub(super) fn trimmed(&mut self, start: Offset) {
        if start <= self.start {
            return;
        }
        self.start = start;
        self.end = self.end.max(start);
        self.high = self.high.max(start);
        self.producers.committed(self.high);
        self.aborted.truncate_start(start);
        if self.epochs.truncate_start(start) {
            self.save_epochs();
        }
    }

    /// Queues a snapshot of the producers as they are at the end of the log.
    pub(super) fn save_producers(&mut self) {
        if self.snapshot_at == Some(self.end) {
            return;
        }
        match snapshot::encode(&self.producers) {
            Ok(content) => {
                self.save(SidecarKind::ProducerSnapshot, self.end, content);
                self.snapshot_at = Some(self.end);
            }
            Err(error) => tracing::warn!(partition = %self.id, %error, "no producer snapshot can be written"),
        }
    }

    pub(super) fn save_epochs(&mut self) {
        let content = self.epochs.to_checkpoint();
        self.save(SidecarKind::LeaderEpochs, Offset::ZERO, content);
    }

    /// Queues the transaction index of the span that holds the marker at `marker`.
    pub(super) fn save_aborted(&mut self, spans: &[Span], marker: Offset) {
        let Some(span) = spans.iter().rfind(|span| span.base <= marker) else { return };
        let end = if span.sealed { span.end } else { Offset(i64::MAX) };
        match self.aborted.to_index(span.base, end) {
            Ok(content) => self.save(SidecarKind::AbortedTransactions, span.base, content),
            Err(error) => tracing::warn!(partition = %self.id, %error, "no transaction index can be written"),
        }
    }

    fn save(&mut self, kind: SidecarKind, at: Offset, content: Bytes) {
        self.pending.insert(Sidecar { kind, at }, content);
    }

    /// Whether a reader with this idea of the leader epoch may read here.
    pub(super) fn check_reader(&self, given: LeaderEpoch) -> Result<(), ReadError> {
        if given != LeaderEpoch::NONE && given < self.epoch {
            return Err(ReadError::FencedEpoch { given, current: self.epoch });
        }
        if given > self.epoch {
            return Err(ReadError::UnknownEpoch { given, current: self.epoch });
        }
        if !self.leading {
            return Err(ReadError::NotLeader(self.id.clone()));
        }
        Ok(())
    }
}
