//! The raft log: openraft's storage over a log of the broker's store.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use openraft::storage::{LogFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{AnyError, OptionalSend, StorageIOError};
use parking_lot::Mutex;
use vltava_core::id::Offset;
use vltava_core::log::{Log, LogError, ReadLimit};
use vltava_core::record::{Batch, RecordError};

use super::files::QuorumFiles;
use super::projection::Projected;
use super::state::{Purged, write_purged, write_vote};
use super::types::{LogId, RaftEntry, StorageError, Types, Vote, decode, encode};
use crate::runtime::gather;

/// The most bytes of recent entries that are kept in memory: what is appended is read back once, to be applied.
const RECENT_BYTES_MAX: usize = 4 << 20;
/// How much is read from the log at a time, in bytes.
const READ_BYTES: usize = 1 << 20;

/// Cheap to clone; clones are the same log.
#[derive(Clone)]
pub(super) struct RaftLog {
    log: Arc<dyn Log>,
    files: Arc<dyn QuorumFiles>,
    projected: Arc<Projected>,
    state: Arc<Mutex<State>>,
}

struct State {
    vote: Option<Vote>,
    purged: Option<LogId>,
    last: Option<LogId>,
    recent: VecDeque<(RaftEntry, usize)>,
    recent_bytes: usize,
}

impl RaftLog {
    pub(super) fn new(
        log: Arc<dyn Log>,
        files: Arc<dyn QuorumFiles>,
        projected: Arc<Projected>,
        vote: Option<Vote>,
        purged: Option<&Purged>,
        last: Option<LogId>,
    ) -> RaftLog {
        let purged = purged.map(|purged| purged.last);
        let state = State { vote, purged, last: last.max(purged), recent: VecDeque::new(), recent_bytes: 0 };
        RaftLog { log, files, projected, state: Arc::new(Mutex::new(state)) }
    }

    /// The entries from `start` to below `end`, from memory when all of them are there.
    fn recent(&self, start: u64, end: u64) -> Option<Vec<RaftEntry>> {
        let state = self.state.lock();
        let first = state.recent.front()?.0.log_id.index;
        let skipped = usize::try_from(start.checked_sub(first)?).ok()?;
        let wanted = usize::try_from(end.saturating_sub(start)).ok()?;
        let available = state.recent.len().saturating_sub(skipped);
        let complete = available >= wanted || state.last.is_none_or(|last| end > last.index);
        complete
            .then(|| state.recent.iter().skip(skipped).take(wanted).map(|(entry, _)| entry.clone()).collect())
    }

    fn remember(&self, entry: RaftEntry, bytes: usize) {
        let mut state = self.state.lock();
        state.last = Some(entry.log_id);
        state.recent.push_back((entry, bytes));
        state.recent_bytes += bytes;
        while state.recent_bytes > RECENT_BYTES_MAX && state.recent.len() > 1 {
            let dropped = state.recent.pop_front().map_or(0, |(_, bytes)| bytes);
            state.recent_bytes -= dropped;
        }
    }

    /// Forgets recent entries at or after `end`, or below `start`.
    fn forget(&self, start: u64, end: u64) {
        let mut state = self.state.lock();
        state.recent.retain(|(entry, _)| (start..end).contains(&entry.log_id.index));
        state.recent_bytes = state.recent.iter().map(|(_, bytes)| bytes).sum();
    }
}

/// Reads every entry of a raft log from `start` on.
pub(super) async fn read_entries(
    log: &dyn Log,
    start: Offset,
    end: Offset,
) -> Result<Vec<RaftEntry>, StorageError> {
    let failed = |error: AnyError| StorageError::from(StorageIOError::read_logs(error));
    let mut entries = Vec::new();
    let mut next = start.max(log.bounds().start);
    while next < end {
        let limit = ReadLimit { below: end, bytes: READ_BYTES, whole_first_batch: true };
        let data = log.read(next, limit).map_err(|error| failed(AnyError::new(&error)))?;
        let region = gather(data).await.map_err(|error| failed(AnyError::new(&error)))?;
        let before = next;
        for batch in Batch::split(region) {
            match batch {
                Ok(batch) if batch.header.base_offset < next => {}
                Ok(batch) => {
                    next = batch.header.next_offset();
                    entries.push(decode(&batch).map_err(|error| failed(AnyError::new(&error)))?);
                }
                Err(RecordError::Truncated { .. }) => break,
                Err(error) => return Err(failed(AnyError::new(&error))),
            }
        }
        if next == before {
            return Err(failed(AnyError::error(format!("entry {next} is missing"))));
        }
    }
    Ok(entries)
}

/// Runs what waits for a disk on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, AnyError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| AnyError::new(&error))?;
    done.map_err(|error| AnyError::new(&error))
}

impl RaftLogReader<Types> for RaftLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        if let Some(entries) = self.recent(start, end) {
            return Ok(entries);
        }
        let log_end = self.log.bounds().end;
        read_entries(&*self.log, offset_of(start), offset_of(end).min(log_end)).await
    }
}

impl RaftLogStorage<Types> for RaftLog {
    type LogReader = RaftLog;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let state = self.state.lock();
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: state.last })
    }

    async fn get_log_reader(&mut self) -> RaftLog {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let known = self.state.lock().vote;
        self.state.lock().vote = Some(*vote);
        if known.is_some_and(|known| known.leader_id == vote.leader_id) {
            // Only that it was granted is new, and a restart does not ask for that.
            return Ok(());
        }
        let (files, vote) = (self.files.clone(), *vote);
        let written = blocking(move || write_vote(&*files, &vote)).await;
        written.map_err(|error| StorageIOError::write_vote(error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.state.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let failed = |error: AnyError| StorageError::from(StorageIOError::write_logs(error));
        let entries: Vec<_> = entries.into_iter().collect();
        let batches: Result<Vec<_>, _> = entries.iter().map(encode).collect();
        let batches = batches.map_err(|error| failed(AnyError::new(&error)))?;
        self.log.append(&batches).map_err(|error| failed(AnyError::new(&error)))?;
        for (entry, batch) in entries.into_iter().zip(&batches) {
            self.remember(entry, batch.size());
        }
        let log = self.log.clone();
        let flushed = blocking(move || log.flush()).await;
        let flushed = flushed.map(drop).map_err(|error| std::io::Error::other(error.to_string()));
        callback.log_io_completed(flushed);
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.forget(0, log_id.index);
        let (log, end) = (self.log.clone(), offset_of(log_id.index));
        let truncated = blocking(move || log.truncate(end)).await;
        truncated.map_err(StorageIOError::write_logs)?;
        let last = match log_id.index.checked_sub(1) {
            Some(last) => self.try_get_log_entries(last..=last).await?.pop().map(|entry| entry.log_id),
            None => None,
        };
        let mut state = self.state.lock();
        state.last = last.max(state.purged);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.forget(log_id.index.saturating_add(1), u64::MAX);
        let (log, files, projected) = (self.log.clone(), self.files.clone(), self.projected.clone());
        let purged = blocking(move || {
            // What the raft log no longer holds must be durable where it was projected to.
            projected.flush()?;
            let purged = projected.progress.lock().purge(log_id);
            write_purged(&*files, &purged)?;
            log.trim(offset_of(log_id.index.saturating_add(1)))
        });
        purged.await.map_err(StorageIOError::write_logs)?;
        let mut state = self.state.lock();
        state.purged = Some(log_id);
        state.last = state.last.max(Some(log_id));
        Ok(())
    }
}

fn offset_of(index: u64) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
}
