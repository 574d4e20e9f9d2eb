//! Following: the log of a replica becomes the beginning of its leader's.
//!
//! A follower appends what it fetches as it stands, offsets and epochs included, and takes in producers and epochs as the
//! leader did. It cuts its log only where a leader of the present epoch has told that the two part (KIP-320): never to the
//! high watermark, which lags behind what is committed, and never on the word of a former leader, because every answer
//! counts only for the position that was asked about. The high watermark follows the leader's, after truncation.

use bytes::Bytes;
use vltava_core::id::{BrokerId, LeaderEpoch, Offset};
use vltava_core::log::{LogError, SidecarKind};
use vltava_core::record::{Batch, RecordError};

use super::epochs::{EpochEnd, LeaderEpochs};
use super::recovery;
use super::state::State;
use super::{Partition, Shared};

/// Where the log of a follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    /// The leader epoch in which it follows.
    pub epoch: LeaderEpoch,
    /// The end of its log: what it asks for first.
    pub from: Offset,
    /// The epoch of its last record; [`LeaderEpoch::NONE`] when it knows none.
    pub last_epoch: LeaderEpoch,
    /// Where its log starts.
    pub log_start: Offset,
}

/// What a leader has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchedRecords {
    /// Batches from the position on; the last one may be cut.
    pub records: Bytes,
    /// Where the leader's log parts from the follower's.
    pub diverging: Option<EpochEnd>,
    /// The leader's high watermark.
    pub high: Offset,
    /// Where the leader's log starts.
    pub log_start: Offset,
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The log ends here now.
    Appended(Offset),
    /// The log was cut, and ends here now.
    Truncated(Offset),
    /// The answer was to a question that is no longer asked: leadership or the log has changed since.
    Outdated,
}

/// Why a follower cannot go on as it is.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FollowError {
    /// Its log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What the leader has sent is damaged, or does not continue the log: nothing of it was taken.
    #[error("the records fetched at offset {at} cannot be taken: {error}")]
    Records {
        /// Where.
        at: Offset,
        /// What is wrong.
        error: RecordError,
    },
    /// The leader has sent records from before the end of the log.
    #[error("records at offset {given} were fetched into a log that ends at {end}")]
    Overlap {
        /// Their first offset.
        given: Offset,
        /// The end of the log.
        end: Offset,
    },
}

impl Partition {
    /// Whom to ask, and from where on; `None` when this replica does not follow anybody.
    #[must_use]
    pub fn fetch_position(&self) -> Option<(BrokerId, FetchPosition)> {
        let shared = self.shared.lock();
        let state = &shared.state;
        let follows = !state.leading && state.leader != BrokerId::NONE && state.failure.is_none();
        follows.then(|| (state.leader, state.position()))
    }

    /// Takes in what the leader has answered to `asked`. *Blocks.*
    ///
    /// # Errors
    /// [`FollowError`].
    pub fn take_fetched(
        &self,
        asked: &FetchPosition,
        fetched: &FetchedRecords,
    ) -> Result<Followed, FollowError> {
        let _turn = self.cutting.lock();
        let mut shared = self.shared.lock();
        if shared.state.leading || shared.state.position() != *asked {
            return Ok(Followed::Outdated);
        }
        shared.state.check_failure()?;
        let mut trimmed = None;
        let followed = match fetched.diverging {
            Some(theirs) => {
                let end = shared.state.truncation(theirs);
                self.cut(&mut shared, end)?;
                Followed::Truncated(shared.state.end)
            }
            None => {
                self.append_fetched(&mut shared, asked.epoch, &fetched.records)?;
                shared.state.follow_high(fetched.high);
                let behind = shared.state.start < fetched.log_start && fetched.log_start <= shared.state.high;
                trimmed = behind.then_some(fetched.log_start);
                Followed::Appended(shared.state.end)
            }
        };
        shared.publish();
        drop(shared);
        if let Followed::Truncated(_) = followed {
            // Before the log grows again: a crash must not find epochs or producers of what was cut beside what comes.
            self.write_sidecars()?;
            self.flush()?;
        } else {
            self.write_sidecars()?;
        }
        if let Some(start) = trimmed {
            self.trim(start)?;
        }
        Ok(followed)
    }

    /// Goes on after the leader has said that what `asked` wants lies outside its log, which holds `start` to `end`: what
    /// is beyond its end goes, and a log that ends before its start begins again there. *Blocks.*
    ///
    /// # Errors
    /// [`FollowError::Log`].
    pub fn reset(&self, asked: &FetchPosition, start: Offset, end: Offset) -> Result<Followed, FollowError> {
        let _turn = self.cutting.lock();
        let mut shared = self.shared.lock();
        if shared.state.leading || shared.state.position() != *asked {
            return Ok(Followed::Outdated);
        }
        shared.state.check_failure()?;
        if end < shared.state.end {
            self.cut(&mut shared, end)?;
        } else if start > shared.state.end {
            self.log.trim(start)?;
            shared.state.restarted(start);
        }
        let end = shared.state.end;
        shared.publish();
        drop(shared);
        self.write_sidecars()?;
        self.flush()?;
        Ok(Followed::Truncated(end))
    }

    fn append_fetched(
        &self,
        shared: &mut Shared,
        epoch: LeaderEpoch,
        records: &Bytes,
    ) -> Result<(), FollowError> {
        for batch in Batch::split(records.clone()) {
            let at = shared.state.end;
            let batch = match batch {
                Ok(batch) => batch,
                Err(RecordError::Truncated { .. }) => break,
                Err(error) => return Err(FollowError::Records { at, error }),
            };
            if batch.header.partition_leader_epoch > epoch {
                // Written by a later leader, whom this replica does not follow yet.
                break;
            }
            batch.check_crc().map_err(|error| FollowError::Records { at, error })?;
            self.append_one(shared, &batch)?;
        }
        Ok(())
    }

    fn append_one(&self, shared: &mut Shared, batch: &Batch) -> Result<(), FollowError> {
        let state = &mut shared.state;
        let (given, end) = (batch.header.base_offset, state.end);
        let marker = recovery::marker(batch)?;
        if given < end {
            // The leader's log starts in the middle of this batch.
            if state.start < end || batch.header.last_offset() < end {
                return Err(FollowError::Overlap { given, end });
            }
            self.log.truncate(given)?;
            (state.start, state.end) = (given, given);
        }
        let appended = match self.log.append(std::slice::from_ref(batch)) {
            Ok(appended) => appended,
            Err(error) => {
                shared.fail(&error);
                return Err(error.into());
            }
        };
        let state = &mut shared.state;
        if appended.rolled.is_some() {
            state.save_producers();
        }
        state.followed(batch, marker.as_ref(), || self.log.spans());
        Ok(())
    }

    /// Cuts the log and everything that is known of it.
    pub(super) fn cut(&self, shared: &mut Shared, end: Offset) -> Result<(), LogError> {
        let end = end.min(shared.state.end);
        let expiry = self.settings().producer_expiry_ms;
        let result = self.log.truncate(end).and_then(|()| {
            shared.state.cut(&*self.log)?;
            shared.state.producers.expire(self.clock.wall(), expiry);
            Ok(())
        });
        result.inspect_err(|error| shared.fail(error))
    }
}

impl State {
    fn position(&self) -> FetchPosition {
        FetchPosition {
            epoch: self.epoch,
            from: self.end,
            last_epoch: self.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch),
            log_start: self.start,
        }
    }

    /// Where to cut the log when the leader's one ends epoch `theirs.epoch`, the newest that both may have, at
    /// `theirs.end`: there, or where that epoch ends here. Of an epoch that only the leader has, nothing here is common: the
    /// next fetch asks about the one before it.
    fn truncation(&self, theirs: EpochEnd) -> Offset {
        let ours = self.epochs.end_of(theirs.epoch, self.end);
        let common = match ours {
            Some(ours) if ours.epoch == theirs.epoch => theirs.end.min(ours.end),
            Some(ours) => ours.end,
            None => theirs.end,
        };
        common.min(self.end)
    }

    /// Takes in a batch of the leader that was just appended.
    fn followed(
        &mut self,
        batch: &Batch,
        marker: Option<&vltava_core::record::EndTransactionMarker>,
        spans: impl FnOnce() -> Vec<vltava_core::log::Span>,
    ) {
        let header = &batch.header;
        let newer = self.epochs.latest().is_none_or(|latest| latest.epoch < header.partition_leader_epoch);
        if newer && self.epochs.assign(header.partition_leader_epoch, header.base_offset) {
            self.save_epochs();
        }
        if self.replay(header, marker) {
            self.save_aborted(&spans(), header.base_offset);
        }
        self.end = header.next_offset();
    }

    /// The leader's high watermark, as far as this log reaches.
    fn follow_high(&mut self, high: Offset) {
        self.high = self.high.max(high.min(self.end));
        self.producers.committed(self.high);
    }

    /// Takes in that the log was cut: its end tells where.
    fn cut(&mut self, log: &dyn vltava_core::log::Log) -> Result<(), LogError> {
        let bounds = log.bounds();
        (self.start, self.end) = (bounds.start, bounds.end);
        self.flushed = self.flushed.min(bounds.flushed);
        self.high = self.high.clamp(self.start, self.end);
        if self.epochs.truncate_end(self.end) {
            self.save_epochs();
        }
        self.pending.retain(|sidecar, _| sidecar.kind == SidecarKind::LeaderEpochs || sidecar.at <= self.end);
        if self.aborted.truncate_end(self.end) {
            self.save_aborted(&log.spans(), self.end);
        }
        recovery::recover_producers(self, log)
    }

    /// Takes in that the log begins again at `start`, empty.
    fn restarted(&mut self, start: Offset) {
        let epochs = std::mem::take(&mut self.epochs);
        self.trimmed(start);
        self.producers = super::producers::Producers::default();
        (self.pending, self.snapshot_at) = (std::collections::BTreeMap::new(), None);
        if epochs != LeaderEpochs::default() {
            self.save_epochs();
        }
    }
}
