//! Taking batches away: the suffix that a new leader does not have, the prefix that retention gives up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use vltava_core::id::Offset;
use vltava_core::log::{LogError, Sidecar, SidecarKind};

use super::{Active, Sealed, SegmentLog, State};
use crate::files::Open;
use crate::segments::names;
use crate::segments::recovery::{Trust, load, replace_by_prefix};
use crate::segments::segment::{HeaderScan, Patience, SUFFIXES, ScanError, Segment, failed};

impl SegmentLog {
    pub(super) fn truncate_suffix(&self, end: Offset) -> Result<(), LogError> {
        let _turn = self.upkeep.lock();
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_writable(state)?;
        if end >= state.end {
            return Ok(());
        }
        // A recovery point above the new end would later vouch for bytes that were never synced.
        let lowered = self.lower_checkpoints(end);
        self.watch(state, lowered)?;
        self.generation.fetch_add(1, Ordering::AcqRel);
        // Before it is asked whether a reader has the file: see the reader's side.
        fence(Ordering::SeqCst);
        let cut = if end < state.base_of(0) { self.restart_at(state, end) } else { self.cut_at(state, end) };
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.watch(state, cut)?;
        let lowered = self.lower_checkpoints(state.end);
        self.watch(state, lowered)
    }

    pub(super) fn trim_prefix(&self, start: Offset) -> Result<(), LogError> {
        let _turn = self.upkeep.lock();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        self.check_writable(state)?;
        if start <= state.start {
            return Ok(());
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        if start > state.end {
            let trimmed = self.restart_at(state, start);
            self.generation.fetch_add(1, Ordering::AcqRel);
            return self.watch(state, trimmed);
        }
        let dead = self.drop_below(state, start);
        self.generation.fetch_add(1, Ordering::AcqRel);
        let (dead, first) = (self.watch(state, dead)?, state.base_of(0));
        let delay_ms = state.settings.delete_delay_ms;
        // Nobody finds them any more, so that appends need not wait for their files.
        drop(guard);
        let discarded = self.discard_below(&dead, first, delay_ms);
        self.watch(&mut self.state.lock(), discarded)
    }

    /// Makes sure, on disk, that nothing is said of offsets above `end`: that they are synced, below the start, compacted.
    fn lower_checkpoints(&self, end: Offset) -> Result<(), LogError> {
        self.recovery_point.fetch_min(end.0, Ordering::Relaxed);
        self.directory.lower_offsets(&self.id.partition, end)
    }

    /// Empties the log, which goes on at `base`.
    fn restart_at(&self, state: &mut State, base: Offset) -> Result<(), LogError> {
        let segment =
            Arc::new(Segment::new(base, Arc::clone(&self.folder), Arc::clone(&self.shared.open_files)));
        let beyond = base > state.end;
        // The new segment, whose base no other one has, comes first: a crash never leaves a log without any.
        segment.open_log(Open::OrCreate)?;
        let mut old: Vec<Arc<Segment>> = state.sealed.drain(..).map(|sealed| sealed.segment).collect();
        old.push(Arc::clone(&state.active.segment));
        // The last ones first, so that a crash leaves the beginning of the log; unless it goes on beyond its end.
        if !beyond {
            old.reverse();
        }
        for dead in &old {
            self.discard(dead, state.settings.delete_delay_ms)?;
        }
        self.sync_names()?;
        let age = self.age_ms_max(&state.settings);
        state.active = Active::new(segment, None, self.shared.clock.wall(), age);
        state.unsynced.clear();
        state.unsynced_indexes.clear();
        state.dirty_bytes = 0;
        (state.end, state.flushed) = (base, base);
        state.start = if beyond { base } else { state.start.min(base) };
        if beyond {
            self.discard_sidecars(|sidecar| {
                sidecar.kind == SidecarKind::ProducerSnapshot && sidecar.at < base
            })
        } else {
            self.discard_sidecars(|sidecar| {
                sidecar.kind == SidecarKind::ProducerSnapshot && sidecar.at > base
            })
        }
    }

    /// Cuts within the log, at or above its first base.
    fn cut_at(&self, state: &mut State, end: Offset) -> Result<(), LogError> {
        let mut kept = state.number_of(end);
        // A cut right at a base leaves nothing of that segment, and the one before it, if any, is appended to again.
        if kept > 0 && state.base_of(kept) == end {
            kept -= 1;
        }
        let mut dead: Vec<Arc<Segment>> =
            state.sealed.iter().skip(kept + 1).map(|s| Arc::clone(&s.segment)).collect();
        let (segment, size) = match state.sealed.get(kept) {
            Some(sealed) => {
                dead.push(Arc::clone(&state.active.segment));
                (Arc::clone(&sealed.segment), sealed.size)
            }
            None => {
                let State { active, .. } = &mut *state;
                active.segment.write_indexes(&mut active.indexer)?;
                (Arc::clone(&active.segment), active.size)
            }
        };
        for segment in dead.iter().rev() {
            self.discard(segment, state.settings.delete_delay_ms)?;
        }
        let (position, removed) = first_reaching(&segment, size, end)?;
        if position < size {
            self.cut_log(&segment, position)?;
        }
        self.sync_names()?;
        let interval = u64::from(state.settings.index_interval_bytes);
        let loaded = load(&segment, Trust::Below(end), interval, None)?;
        let end = removed.map_or(end, |base| base.min(end));
        let age = self.age_ms_max(&state.settings);
        state.active = Active::new(Arc::clone(&segment), Some(loaded), self.shared.clock.wall(), age);
        state.sealed.truncate(kept);
        let alive = |known: &Arc<Segment>| known.base < segment.base;
        state.unsynced.retain(alive);
        state.unsynced_indexes.retain(alive);
        state.flushed = state.flushed.min(end);
        state.end = end;
        state.start = state.start.min(end);
        self.discard_sidecars(|sidecar| sidecar.kind == SidecarKind::ProducerSnapshot && sidecar.at > end)
    }

    /// Cuts a log file durably; a reader that has a range of it keeps what it has.
    fn cut_log(&self, segment: &Segment, position: u64) -> Result<(), LogError> {
        if segment.lent() {
            return replace_by_prefix(segment, &*self.directory.files, position);
        }
        let file = segment.log_file()?;
        file.truncate(position)
            .and_then(|()| file.sync())
            .map_err(|error| failed("truncate", &segment.path(names::LOG), error))
    }

    /// Gives up the segments that lie wholly below `start`, and returns them.
    fn drop_below(&self, state: &mut State, start: Offset) -> Result<VecDeque<Sealed>, LogError> {
        if start == state.end && state.active.size > 0 {
            self.start_segment(state, state.active.end)?;
        }
        let kept = state.number_of(start);
        let rest = state.sealed.split_off(kept);
        let dead = std::mem::replace(&mut state.sealed, rest);
        state.start = start;
        let first = state.base_of(0);
        state.unsynced.retain(|segment| segment.base >= first);
        state.unsynced_indexes.retain(|segment| segment.base >= first);
        Ok(dead)
    }

    /// Discards the files of segments that were given up, and what lay beside them. With the upkeep lock held.
    fn discard_below(&self, dead: &VecDeque<Sealed>, first: Offset, delay_ms: i64) -> Result<(), LogError> {
        for sealed in dead {
            self.discard(&sealed.segment, delay_ms)?;
        }
        if dead.is_empty() {
            return Ok(());
        }
        self.discard_sidecars(|sidecar| sidecar.kind == SidecarKind::ProducerSnapshot && sidecar.at < first)
    }

    /// Gives a segment's files their last names; they go after the delay. The log goes first: without it the others
    /// mean nothing.
    pub(super) fn discard(&self, segment: &Segment, delay_ms: i64) -> Result<(), LogError> {
        let due = self.shared.clock.wall().plus(delay_ms);
        let base = segment.base;
        self.sidecars.take(|sidecar| sidecar.kind == SidecarKind::AbortedTransactions && sidecar.at == base);
        for suffix in SUFFIXES {
            let path = segment.path(suffix);
            let deleted = path.with_extension(format!("{suffix}.{}", names::DELETED));
            match self.directory.files.rename(&path, &deleted) {
                Ok(()) => self.directory.discard(deleted, false, due),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("rename", &path, error)),
            }
        }
        Ok(())
    }

    pub(super) fn discard_sidecars(&self, dies: impl Fn(Sidecar) -> bool) -> Result<(), LogError> {
        for sidecar in self.sidecars.take(dies) {
            let path = self.sidecars.path(sidecar);
            match self.directory.files.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn sync_names(&self) -> Result<(), LogError> {
        self.directory.files.sync_folder(&self.folder).map_err(|error| failed("sync", &self.folder, error))
    }
}

/// Where the first batch is that holds an offset at or above `end`, and its base; the size when there is none.
fn first_reaching(segment: &Segment, size: u64, end: Offset) -> Result<(u64, Option<Offset>), LogError> {
    let file = segment.log_file()?;
    // An index that is gone is made again when the segment is loaded; here the walk just starts at the beginning.
    let start = segment.floor(end, None, Patience::Waits).unwrap_or(0);
    for start in [start, 0] {
        let mut scan = HeaderScan::new(&*file, start, size);
        let mut first = true;
        loop {
            match scan.next() {
                // An index entry that does not fit: walk from the beginning.
                Ok(Some((_, header))) if first && start > 0 && header.base_offset > end => break,
                Err(ScanError::Broken(..)) if first && start > 0 => break,
                Ok(Some((at, header))) if header.last_offset() >= end => {
                    return Ok((at, Some(header.base_offset)));
                }
                Ok(Some(_)) => first = false,
                Ok(None) => return Ok((size, None)),
                Err(ScanError::Io(error)) => return Err(failed("read", &segment.path(names::LOG), error)),
                Err(ScanError::Broken(at, _)) => return Ok((at, None)),
            }
        }
    }
    Ok((size, None))
}
