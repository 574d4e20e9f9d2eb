//! Making appends durable, and moving the recovery point.
//!
//! Why flushes of one log share their work and those of different logs do not: a second caller on the same log only has to
//! wait for its turn to find its bytes durable, while the file system groups the commits of different files by itself.
//! Eight threads that flush one log got six times as many flushes done as one, and eight logs forty times as many.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;
use vltava_core::id::Offset;
use vltava_core::log::LogError;

use super::{SegmentLog, State};
use crate::files::Open;
use crate::segments::names;
use crate::segments::segment::{Segment, failed};
use crate::segments::sidecar::Pending;

/// What is to be made durable.
#[derive(Debug)]
struct SyncWork {
    end: Offset,
    logs: Vec<Arc<Segment>>,
    indexes: Vec<Arc<Segment>>,
    sidecars: Vec<Pending>,
    names: bool,
    folder: bool,
    scope: Scope,
}

/// How much of a log is to be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The sidecars that wait.
    Sidecars,
    /// The batches, too.
    Batches,
    /// The indexes, too, so that the recovery point may follow.
    Everything,
}

/// From so many logs on, syncing the whole file system is cheaper than syncing five files and folders of each.
const TOGETHER_FROM: usize = 32;

impl SegmentLog {
    /// Syncs what was appended up to now; shares the work of whoever came first.
    pub(super) fn flush_to_end(&self) -> Result<Offset, LogError> {
        let wanted = {
            let state = self.state.lock();
            self.check_online(&state)?;
            if state.flushed == state.end && !state.names_dirty && !self.sidecars.is_pending() {
                return Ok(state.end);
            }
            state.end
        };
        let _turn = self.upkeep.lock();
        self.flush_in_turn(wanted)
    }

    /// With the upkeep lock held: syncs what was appended, unless `wanted` is durable already.
    fn flush_in_turn(&self, wanted: Offset) -> Result<Offset, LogError> {
        {
            let state = self.state.lock();
            if state.flushed >= wanted && !state.names_dirty && !self.sidecars.is_pending() {
                return Ok(state.flushed);
            }
        }
        let work = self.begin_sync(Scope::Batches)?;
        let synced = self.sync_timed(&work);
        self.end_sync(&work, synced)?;
        Ok(work.end)
    }

    /// Makes everything durable with its indexes, so that the recovery point is at the end. With the upkeep lock held.
    pub(super) fn advance_in_turn(&self) -> Result<(), LogError> {
        let work = self.begin_sync(Scope::Everything)?;
        let synced = self.sync_timed(&work);
        self.end_sync(&work, synced)
    }

    /// Takes over what has to be synced. With the upkeep lock held.
    fn begin_sync(&self, scope: Scope) -> Result<SyncWork, LogError> {
        let mut state = self.state.lock();
        self.check_online(&state)?;
        let mut work = SyncWork {
            end: state.flushed,
            logs: Vec::new(),
            indexes: Vec::new(),
            sidecars: self.sidecars.pending(),
            names: std::mem::take(&mut state.names_dirty),
            folder: std::mem::take(&mut state.folder_dirty),
            scope,
        };
        if scope != Scope::Sidecars {
            work.end = state.end;
            work.logs = std::mem::take(&mut state.unsynced);
            if state.active.size > 0 {
                work.logs.push(Arc::clone(&state.active.segment));
            }
        }
        if scope == Scope::Everything {
            let State { active, .. } = &mut *state;
            let written = active.segment.write_indexes(&mut active.indexer);
            self.watch(&mut state, written)?;
            work.indexes = std::mem::take(&mut state.unsynced_indexes);
            work.indexes.push(Arc::clone(&state.active.segment));
            // The index files may be new names.
            work.names = true;
            state.dirty_bytes = 0;
        }
        drop(state);
        let prepared = self.sidecars.prepare(&work.sidecars);
        self.watch(&mut self.state.lock(), prepared)?;
        Ok(work)
    }

    fn sync_timed(&self, work: &SyncWork) -> Result<(), LogError> {
        self.timed(work.scope, || self.sync(work))
    }

    /// Flushes, and tells the witness how long that took when it went well and there were batches.
    fn timed(&self, scope: Scope, flush: impl FnOnce() -> Result<(), LogError>) -> Result<(), LogError> {
        let begun = self.shared.clock.now();
        flush()?;
        if scope != Scope::Sidecars {
            self.shared.witness.flushed(self.shared.clock.now().since(begun));
        }
        Ok(())
    }

    fn sync(&self, work: &SyncWork) -> Result<(), LogError> {
        for segment in &work.logs {
            segment.log_file()?.sync().map_err(|error| failed("sync", &segment.path(names::LOG), error))?;
        }
        work.indexes.iter().try_for_each(|segment| segment.sync_indexes())?;
        let files = &self.directory.files;
        if work.folder {
            let path = self.folder.join(names::PARTITION_METADATA);
            files
                .open(&path, Open::Existing)
                .and_then(|file| file.sync())
                .map_err(|error| failed("sync", &path, error))?;
            let path = &self.directory.path;
            files.sync_folder(path).map_err(|error| failed("sync", path, error))?;
        }
        self.sidecars.sync(&work.sidecars)?;
        self.sidecars.name(&work.sidecars)?;
        if work.names || work.folder || !work.sidecars.is_empty() {
            files.sync_folder(&self.folder).map_err(|error| failed("sync", &self.folder, error))?;
        }
        Ok(())
    }

    /// Takes note that work was done, or failed.
    fn end_sync(&self, work: &SyncWork, synced: Result<(), LogError>) -> Result<(), LogError> {
        let mut state = self.state.lock();
        self.watch(&mut state, synced)?;
        state.flushed = state.flushed.max(work.end);
        if work.scope == Scope::Everything {
            self.recovery_point.fetch_max(work.end.0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether something is flushed above the recovery point.
    fn can_advance(&self) -> bool {
        self.state.lock().flushed > self.recovery_point()
    }

    fn has_pending_sidecars(&self) -> bool {
        self.sidecars.is_pending()
    }

    /// Whether a clean stop has something left to do: to flush, or to give the time index its last entry.
    fn is_incomplete(&self) -> bool {
        let mut state = self.state.lock();
        let state = &mut *state;
        let indexer = &mut state.active.indexer;
        if !indexer.unread {
            indexer.note_time();
        }
        let last_entry = !indexer.unread && !indexer.times.is_empty();
        last_entry
            || self.sidecars.is_pending()
            || state.names_dirty
            || state.flushed < state.end
            || state.flushed > self.recovery_point()
    }

    /// Makes these logs durable with their indexes, so that their recovery points are at their ends.
    pub(in crate::segments) fn advance_all(logs: &[Arc<SegmentLog>]) -> Result<(), LogError> {
        SegmentLog::sync_together(logs, |_| true, Scope::Everything)
    }

    /// The same for those that are flushed beyond their recovery points.
    pub(in crate::segments) fn advance_flushed(logs: &[Arc<SegmentLog>]) -> Result<(), LogError> {
        SegmentLog::sync_together(logs, SegmentLog::can_advance, Scope::Everything)
    }

    /// Writes the sidecars that wait.
    pub(in crate::segments) fn write_sidecars(logs: &[Arc<SegmentLog>]) -> Result<(), LogError> {
        SegmentLog::sync_together(logs, SegmentLog::has_pending_sidecars, Scope::Sidecars)
    }

    /// Makes everything durable and complete, so that the next start can believe all of it.
    /// From here on they do not change.
    pub(in crate::segments) fn close(logs: &[Arc<SegmentLog>]) -> Result<(), LogError> {
        logs.iter().for_each(|log| log.state.lock().closed = true);
        SegmentLog::sync_together(logs, SegmentLog::is_incomplete, Scope::Everything)
    }

    /// Syncs logs of one directory: each file for itself, or, when there are many, the whole file
    /// system in one go.
    fn sync_together(
        logs: &[Arc<SegmentLog>],
        wanted: fn(&SegmentLog) -> bool,
        scope: Scope,
    ) -> Result<(), LogError> {
        let logs: Vec<&Arc<SegmentLog>> = logs.iter().filter(|log| wanted(log)).collect();
        let turns: Vec<MutexGuard<'_, ()>> = logs.iter().map(|log| log.upkeep.lock()).collect();
        // One that was removed meanwhile must not keep what the others have handed over from being synced.
        let logs: Vec<&Arc<SegmentLog>> = logs.into_iter().filter(|log| !log.is_retired()).collect();
        let mut works = Vec::with_capacity(logs.len());
        for log in &logs {
            works.push((log, log.begin_sync(scope)?));
        }
        if let Some(log) = logs.first().filter(|_| logs.len() >= TOGETHER_FROM) {
            let path = &log.directory.path;
            let sync =
                || log.directory.files.sync_everything(path).map_err(|error| failed("sync", path, error));
            let mut synced = log.timed(scope, sync);
            // Sidecars are renamed once they are durable; then their names have to be.
            if synced.is_ok() && works.iter().any(|(_, work)| !work.sidecars.is_empty()) {
                synced = works
                    .iter()
                    .try_for_each(|(log, work)| log.sidecars.name(&work.sidecars))
                    .and_then(|()| sync());
            }
            works.iter().try_for_each(|(log, work)| log.end_sync(work, synced.clone()))?;
        } else {
            works.iter().try_for_each(|(log, work)| log.end_sync(work, log.sync_timed(work)))?;
        }
        drop(turns);
        Ok(())
    }
}
