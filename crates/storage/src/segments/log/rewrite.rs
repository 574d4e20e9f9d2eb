//! Replacing sealed segments by a rewritten one, as Kafka does it.
//!
//! The new segment is written and synced under `.cleaned`; a crash before the next step leaves the old ones. Renamed to
//! `.swap`, and the folder synced, it is decided: a crash from there on is finished when the log is opened (see
//! [`swap`](crate::segments::swap)). Then the old segments become `.deleted`, and the new one gets its name.
//!
//! Why the recovery point is moved above the range first, on disk too: batches are missing in a rewritten segment, at its
//! end as well, and what lies above the recovery point is taken for damaged where batches are missing.

use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use vltava_core::id::Offset;
use vltava_core::log::{LogError, Rewrite, Sidecar, SidecarKind};
use vltava_core::record::Batch;

use super::append::{SEGMENT_BYTES_MAX, write_batches};
use super::{Sealed, SegmentLog, State};
use crate::files::{Open, OpenFile};
use crate::memory::{check_below, check_order, check_reach};
use crate::segments::index::Indexer;
use crate::segments::names;
use crate::segments::segment::{SUFFIXES, Segment, failed};

/// The new segment, as far as it is written.
struct SegmentRewrite<'a> {
    log: &'a SegmentLog,
    from: Offset,
    to: Offset,
    old: Vec<Arc<Segment>>,
    file: Arc<dyn OpenFile>,
    indexer: Indexer,
    interval: u64,
    size: u64,
    end: Offset,
}

impl State {
    /// The place of the first sealed segment of the range and how many there are; `None` when its ends are not those of
    /// sealed segments.
    fn sealed_within(&self, from: Offset, to: Offset) -> Option<(usize, usize)> {
        let (first, after) = (self.number_of(from), self.number_of(to));
        let fits = self.base_of(first) == from && self.base_of(after) == to && first < after;
        fits.then(|| (first, after - first))
    }

    fn segments(&self, first: usize, count: usize) -> impl DoubleEndedIterator<Item = &Sealed> {
        self.sealed.iter().skip(first).take(count)
    }
}

impl SegmentLog {
    pub(super) fn begin_rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        let (old, interval) = {
            let state = self.state.lock();
            self.check_writable(&state)?;
            let (first, count) = state.sealed_within(from, to).ok_or(LogError::Changed { from, to })?;
            let old: Vec<_> =
                state.segments(first, count).map(|sealed| Arc::clone(&sealed.segment)).collect();
            (old, u64::from(state.settings.index_interval_bytes))
        };
        if self.rewriting.swap(true, Ordering::AcqRel) {
            return Err(LogError::Changed { from, to });
        }
        let opened = self.create(from, names::LOG);
        let file = opened.inspect_err(|_| self.rewriting.store(false, Ordering::Release))?;
        let indexer = Indexer::new(from);
        Ok(Box::new(SegmentRewrite { log: self, from, to, old, file, indexer, interval, size: 0, end: from }))
    }

    /// An empty `.cleaned` file.
    fn create(&self, base: Offset, suffix: &str) -> Result<Arc<dyn OpenFile>, LogError> {
        let path = self.beside(base, suffix, names::CLEANED);
        let open = || {
            let file = self.directory.files.open(&path, Open::OrCreate)?;
            file.truncate(0)?;
            Ok(file)
        };
        open().map_err(|error| failed("create", &path, error))
    }

    fn beside(&self, base: Offset, suffix: &str, mark: &str) -> PathBuf {
        self.folder.join(names::file(base, &format!("{suffix}.{mark}")))
    }

    /// Moves the recovery point to `to` at least, and writes it down. With the upkeep lock held.
    fn vouch(&self, to: Offset) -> Result<(), LogError> {
        if self.recovery_point() < to {
            self.advance_in_turn()?;
        }
        let point = self.recovery_point();
        self.directory.checkpoints.lock().recovery_points.set(&self.id.partition, point);
        self.directory.write_recovery_points()
    }
}

impl SegmentRewrite<'_> {
    /// Writes the other files of the segment and makes all of them durable.
    fn finish(&mut self, aborted: &[u8]) -> Result<(), LogError> {
        self.indexer.note_time();
        let (offsets, times) = (self.indexer.offset_bytes(), self.indexer.time_bytes());
        let files = [(names::INDEX, &*offsets), (names::TIME_INDEX, &*times), (names::ABORTED, aborted)];
        for (suffix, content) in files {
            if suffix == names::ABORTED && content.is_empty() {
                continue;
            }
            let file = self.log.create(self.from, suffix)?;
            let write =
                if content.is_empty() { Ok(()) } else { file.write_at(&mut [IoSlice::new(content)], 0) };
            write.and_then(|()| file.sync()).map_err(|error| {
                failed("write", &self.log.beside(self.from, suffix, names::CLEANED), error)
            })?;
        }
        let path = self.log.beside(self.from, names::LOG, names::CLEANED);
        self.file.sync().map_err(|error| failed("sync", &path, error))
    }

    /// Whether the old segments are still there. With the upkeep lock held, it stays so.
    fn check(&self) -> Result<(), LogError> {
        let state = self.log.state.lock();
        self.log.check_writable(&state)?;
        let changed = LogError::Changed { from: self.from, to: self.to };
        let Some((first, count)) = state.sealed_within(self.from, self.to) else { return Err(changed) };
        let mut now = state.segments(first, count);
        let same = count == self.old.len()
            && self.old.iter().all(|old| now.next().is_some_and(|sealed| Arc::ptr_eq(old, &sealed.segment)));
        if !same {
            return Err(changed);
        }
        let holding = state.segments(first, count).rfind(|sealed| sealed.size > 0);
        check_reach(holding.map(|sealed| sealed.segment.base), self.end, self.to)
    }

    /// Decides: from here on the new segment is the one that counts.
    fn decide(&self) -> Result<(), LogError> {
        for suffix in SUFFIXES.into_iter().rev() {
            let cleaned = self.log.beside(self.from, suffix, names::CLEANED);
            self.rename(&cleaned, &self.log.beside(self.from, suffix, names::SWAP))?;
        }
        self.log.sync_names()
    }

    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> Result<(), LogError> {
        match self.log.directory.files.rename(from, to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("rename", from, error)),
            _ => Ok(()),
        }
    }

    /// Takes the old segments away and gives the new one its name.
    fn put_in_place(&self, state: &mut State, aborted: bool) -> Result<(), LogError> {
        let log = self.log;
        for segment in &self.old {
            log.discard(segment, state.settings.delete_delay_ms)?;
        }
        for suffix in SUFFIXES.into_iter().rev() {
            let swap = log.beside(self.from, suffix, names::SWAP);
            self.rename(&swap, &log.folder.join(names::file(self.from, suffix)))?;
        }
        if aborted {
            log.sidecars.found(Sidecar { kind: SidecarKind::AbortedTransactions, at: self.from });
        }
        let dead = |known: &Arc<Segment>| !self.old.iter().any(|old| Arc::ptr_eq(old, known));
        state.unsynced.retain(dead);
        state.unsynced_indexes.retain(dead);
        if let Some((first, count)) = state.sealed_within(self.from, self.to) {
            let segment =
                Segment::new(self.from, Arc::clone(&log.folder), Arc::clone(&log.shared.open_files));
            let largest = Some(self.indexer.largest.timestamp);
            state.sealed.drain(first..first + count);
            state.sealed.insert(first, Sealed { segment: Arc::new(segment), size: self.size, largest });
        }
        Ok(())
    }

    fn swap(&self, aborted: bool) -> Result<(), LogError> {
        let (log, from, to) = (self.log, self.from, self.to);
        {
            let decided = self.decide();
            let mut state = log.state.lock();
            let state = &mut *state;
            log.watch(state, decided)?;
            log.generation.fetch_add(1, Ordering::AcqRel);
            fence(Ordering::SeqCst);
            let placed = self.put_in_place(state, aborted);
            log.generation.fetch_add(1, Ordering::AcqRel);
            log.watch(state, placed)?;
        }
        let inner = |sidecar: Sidecar| {
            sidecar.kind == SidecarKind::ProducerSnapshot && sidecar.at > from && sidecar.at < to
        };
        let tidied = log.discard_sidecars(inner).and_then(|()| log.sync_names());
        log.watch(&mut log.state.lock(), tidied)
    }
}

impl Rewrite for SegmentRewrite<'_> {
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError> {
        check_order(batches, self.end)?;
        check_below(batches, self.to)?;
        let path = || self.log.beside(self.from, names::LOG, names::CLEANED);
        let bytes: u64 = batches.iter().map(|batch| batch.size() as u64).sum();
        if self.size + bytes > SEGMENT_BYTES_MAX {
            return Err(failed("append", &path(), std::io::ErrorKind::FileTooLarge.into()));
        }
        write_batches(&*self.file, batches, self.size).map_err(|error| failed("append", &path(), error))?;
        for batch in batches {
            self.indexer.batch(&batch.header, self.size, self.interval);
            self.size += batch.size() as u64;
            self.end = batch.header.next_offset();
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>, aborted: &[u8]) -> Result<(), LogError> {
        self.finish(aborted)?;
        let _turn = self.log.upkeep.lock();
        self.check()?;
        self.log.vouch(self.to)?;
        self.swap(!aborted.is_empty())
    }
}

impl Drop for SegmentRewrite<'_> {
    fn drop(&mut self) {
        for suffix in SUFFIXES {
            let path = self.log.beside(self.from, suffix, names::CLEANED);
            match self.log.directory.files.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove what is no longer needed");
                }
                _ => {}
            }
        }
        self.log.rewriting.store(false, Ordering::Release);
    }
}
