//! One partition's log in segments: appending, reading, syncing.
//!
//! One mutex covers what is known of the segments; an append holds it for its one write, a read only to find out where
//! to look. A second one serialises what changes files that exist: flushing, truncating, trimming.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;
use vltava_core::clock::Clock;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{
    Appended, Bounds, Log, LogData, LogError, LogId, LogSettings, ReadLimit, Sidecars, Span,
};
use vltava_core::record::{Batch, BatchHeader};

use super::directory::LogDirectory;
use super::index::Indexer;
use super::names;
use super::open_files::OpenFiles;
use super::recovery::Loaded;
use super::segment::{HeaderScan, Segment, failed};
use super::sidecar::{Pending, SidecarFolder};
use crate::files::{Open, OpenFile};
use crate::memory::check_order;
use crate::random::Random;

mod change;
mod open;
mod read;

/// What the logs of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub open_files: Arc<OpenFiles>,
    pub clock: Arc<dyn Clock>,
    pub random: Mutex<Random>,
}

/// A log in a folder of a log directory.
#[derive(Debug)]
pub(super) struct SegmentLog {
    pub id: LogId,
    pub directory: Arc<LogDirectory>,
    shared: Arc<Shared>,
    folder: Arc<Path>,
    state: Mutex<State>,
    /// Held while files that exist are synced, cut or removed.
    upkeep: Mutex<()>,
    /// Grows when bytes that readers may know of go away: a read that saw it change looks again.
    generation: AtomicU64,
    /// Below this everything is durable, the indexes too.
    recovery_point: AtomicI64,
    sidecars: SidecarFolder,
}

#[derive(Debug)]
struct State {
    settings: LogSettings,
    start: Offset,
    end: Offset,
    flushed: Offset,
    sealed: VecDeque<Sealed>,
    active: Active,
    /// Sealed segments whose log is not synced.
    unsynced: Vec<Arc<Segment>>,
    /// Sealed segments whose indexes are not synced.
    unsynced_indexes: Vec<Arc<Segment>>,
    /// Bytes appended since the last flush began.
    dirty_bytes: u64,
    /// Names in the folder are not synced.
    names_dirty: bool,
    /// The folder itself and its `partition.metadata` are perhaps not synced.
    folder_dirty: bool,
    /// Why nothing can be appended any more.
    offline: Option<String>,
}

#[derive(Debug)]
struct Sealed {
    segment: Arc<Segment>,
    size: u64,
    /// Read from the time index when it is first asked for.
    largest: Option<Timestamp>,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Active {
    segment: Arc<Segment>,
    size: u64,
    /// The offset after its last batch: the base of the next segment, even if the log's end is higher. So segments follow
    /// each other without a gap, and a gap that recovery meets tells that something was lost.
    end: Offset,
    indexer: Indexer,
    created: Timestamp,
    /// The largest timestamp of the first batch, once known.
    first_timestamp: Option<Timestamp>,
    /// `segment.ms` less its jitter.
    age_ms_max: i64,
    /// Where the last batches are, so that a reader at the tail need not search.
    tail: VecDeque<TailBatch>,
}

#[derive(Clone, Copy, Debug)]
struct TailBatch {
    base: Offset,
    last: Offset,
    position: u64,
}

/// How many batches at the tail are remembered, with 24 bytes each.
const TAIL_BATCHES_MAX: usize = 64;
/// The largest segment: positions in an index have 31 bits.
const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;
/// Batches of one append whose headers are encoded on the stack; more of them take one allocation.
const STACK_BATCHES: usize = 16;

impl Active {
    fn new(segment: Arc<Segment>, loaded: Option<Loaded>, created: Timestamp, age_ms_max: i64) -> Active {
        let (size, end, indexer) = match loaded {
            Some(loaded) => (loaded.size, loaded.end, loaded.indexer),
            None => (0, segment.base, Indexer::new(segment.base)),
        };
        Active {
            segment,
            size,
            end,
            indexer,
            created,
            first_timestamp: None,
            age_ms_max,
            tail: VecDeque::new(),
        }
    }

    fn note(&mut self, header: &BatchHeader, interval: u64) {
        if self.size == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        self.indexer.batch(header, self.size, interval);
        if self.tail.len() == TAIL_BATCHES_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back(TailBatch {
            base: header.base_offset,
            last: header.last_offset(),
            position: self.size,
        });
        self.size += header.size() as u64;
        self.end = header.next_offset();
    }

    /// The largest timestamp of the first batch; [`Timestamp::NONE`] while there is none.
    fn first_timestamp(&mut self) -> Timestamp {
        if let Some(known) = self.first_timestamp {
            return known;
        }
        if self.size == 0 {
            return Timestamp::NONE;
        }
        let read = self.segment.log_file().ok().and_then(|file| {
            HeaderScan::new(&*file, 0, self.size)
                .next()
                .ok()
                .flatten()
                .map(|(_, header)| header.max_timestamp)
        });
        *self.first_timestamp.insert(read.unwrap_or(Timestamp::NONE))
    }
}

/// What is to be made durable.
#[derive(Debug)]
struct SyncWork {
    end: Offset,
    logs: Vec<Arc<Segment>>,
    indexes: Vec<Arc<Segment>>,
    sidecars: Vec<Pending>,
    names: bool,
    folder: bool,
    /// The indexes are part of it, so the recovery point may follow.
    indexed: bool,
}

/// From so many logs on, syncing the whole file system is cheaper than syncing five files and folders of each.
const TOGETHER_FROM: usize = 32;

/// What a run of batches brings, as far as rolling is concerned.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// What the base of a new segment would be.
    base: Offset,
    last: Offset,
    bytes: u64,
    largest_timestamp: Timestamp,
}

impl SegmentLog {
    fn check_online(&self, state: &State) -> Result<(), LogError> {
        if let Some(reason) = &state.offline {
            return Err(LogError::Offline(reason.clone()));
        }
        if self.directory.is_offline() {
            return Err(LogError::Offline(self.directory.failure().unwrap_or_default()));
        }
        Ok(())
    }

    /// Passes a result on; an I/O error takes the log and its directory offline.
    fn watch<T>(&self, state: &mut State, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error @ LogError::Io { .. }) = &result {
            state.offline.get_or_insert_with(|| error.to_string());
            self.directory.fail(error);
        }
        result
    }

    /// Appends batches that all fit into one segment.
    fn append_run(
        &self,
        state: &mut State,
        run: &[Batch],
        arrival: Arrival,
    ) -> Result<Option<Offset>, LogError> {
        let mut rolled = None;
        if self.must_roll(state, arrival) {
            self.start_segment(state, arrival.base)?;
            rolled = Some(arrival.base);
        }
        let active = &mut state.active;
        let file = active.segment.log_file()?;
        write_batches(&*file, run, active.size)
            .map_err(|error| failed("append", &active.segment.path(names::LOG), error))?;
        let interval = u64::from(state.settings.index_interval_bytes);
        for batch in run {
            active.note(&batch.header, interval);
        }
        state.end = arrival.last.next();
        state.dirty_bytes += arrival.bytes;
        Ok(rolled)
    }

    /// Kafka's rule: size, age by the records' own time (by the clock where they have none), a full index, offsets that
    /// an index cannot hold.
    fn must_roll(&self, state: &mut State, arrival: Arrival) -> bool {
        let active = &mut state.active;
        let size_max = u64::from(state.settings.span_bytes_max).min(SEGMENT_BYTES_MAX);
        if arrival.last.since(active.segment.base) > i64::from(i32::MAX) {
            return true;
        }
        if active.size == 0 {
            return false;
        }
        if active.size + arrival.bytes > size_max || active.indexer.is_full(state.settings.index_bytes_max) {
            return true;
        }
        let first = active.first_timestamp();
        let waited = if first.0 >= 0 {
            arrival.largest_timestamp.since(first)
        } else {
            self.shared.clock.wall().since(active.created)
        };
        waited > active.age_ms_max
    }

    /// Seals the active segment and goes on in a new one. Nothing is synced here: the next flush does it.
    fn start_segment(&self, state: &mut State, base: Offset) -> Result<(), LogError> {
        let segment =
            Arc::new(Segment::new(base, Arc::clone(&self.folder), Arc::clone(&self.shared.open_files)));
        if base == state.active.segment.base {
            return Ok(());
        }
        let file = segment.open_log(Open::OrCreate)?;
        if state.settings.preallocate {
            file.reserve(u64::from(state.settings.span_bytes_max))
                .map_err(|error| failed("preallocate", &segment.path(names::LOG), error))?;
        }
        state.active.indexer.note_time();
        state.active.segment.write_indexes(&mut state.active.indexer)?;
        let next = Active::new(segment, None, self.shared.clock.wall(), self.age_ms_max(&state.settings));
        let before = std::mem::replace(&mut state.active, next);
        state.unsynced.push(Arc::clone(&before.segment));
        state.unsynced_indexes.push(Arc::clone(&before.segment));
        state.names_dirty = true;
        state.sealed.push_back(Sealed {
            segment: before.segment,
            size: before.size,
            largest: Some(before.indexer.largest.timestamp),
        });
        Ok(())
    }

    /// `segment.ms` less a random part of `segment.jitter.ms`.
    fn age_ms_max(&self, settings: &LogSettings) -> i64 {
        age_ms_max(&self.shared, settings)
    }

    /// Syncs what was appended up to now; shares the work of whoever came first.
    fn flush_to_end(&self) -> Result<Offset, LogError> {
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
        let work = self.begin_sync(false)?;
        let synced = self.sync(&work);
        self.end_sync(&work, synced)?;
        Ok(work.end)
    }

    /// Takes over what has to be synced, with the indexes or without. With the upkeep lock held.
    fn begin_sync(&self, indexes: bool) -> Result<SyncWork, LogError> {
        let mut state = self.state.lock();
        self.check_online(&state)?;
        let mut work = SyncWork {
            end: state.end,
            logs: std::mem::take(&mut state.unsynced),
            indexes: Vec::new(),
            sidecars: self.sidecars.pending(),
            names: std::mem::take(&mut state.names_dirty),
            folder: std::mem::take(&mut state.folder_dirty),
            indexed: indexes,
        };
        if state.active.size > 0 {
            work.logs.push(Arc::clone(&state.active.segment));
        }
        state.dirty_bytes = 0;
        if indexes {
            let State { active, .. } = &mut *state;
            let written = active.segment.write_indexes(&mut active.indexer);
            self.watch(&mut state, written)?;
            work.indexes = std::mem::take(&mut state.unsynced_indexes);
            work.indexes.push(Arc::clone(&state.active.segment));
            // The index files may be new names.
            work.names = true;
        }
        let prepared = self.sidecars.prepare(&work.sidecars);
        self.watch(&mut state, prepared)?;
        Ok(work)
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
        if work.indexed {
            self.recovery_point.fetch_max(work.end.0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Bytes that a restart would have to read again, roughly.
    pub(super) fn dirty_bytes(&self) -> u64 {
        self.state.lock().dirty_bytes
    }

    /// Everything below is durable, indexes included.
    pub(super) fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Relaxed))
    }

    /// Whether something is flushed above the recovery point, or a sidecar waits for its file.
    fn can_advance(&self) -> bool {
        self.state.lock().flushed > self.recovery_point() || self.sidecars.is_pending()
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

    /// Moves the recovery points of these logs to their ends where something is flushed above them, and writes the
    /// sidecars that wait.
    pub(super) fn advance(logs: &[Arc<SegmentLog>]) -> Result<(), LogError> {
        SegmentLog::sync_together(logs, SegmentLog::can_advance)
    }

    /// Makes everything durable and complete, so that the next start can believe all of it.
    pub(super) fn close(logs: &[Arc<SegmentLog>]) -> Result<(), LogError> {
        SegmentLog::sync_together(logs, SegmentLog::is_incomplete)
    }

    /// Syncs logs of one directory with their indexes: each file for itself, or, when there are many, the whole file
    /// system in one go.
    fn sync_together(logs: &[Arc<SegmentLog>], wanted: fn(&SegmentLog) -> bool) -> Result<(), LogError> {
        let logs: Vec<&Arc<SegmentLog>> = logs.iter().filter(|log| wanted(log)).collect();
        let turns: Vec<MutexGuard<'_, ()>> = logs.iter().map(|log| log.upkeep.lock()).collect();
        let mut works = Vec::with_capacity(logs.len());
        for log in &logs {
            works.push((log, log.begin_sync(true)?));
        }
        if let Some(log) = logs.first().filter(|_| logs.len() >= TOGETHER_FROM) {
            let path = &log.directory.path;
            let sync =
                || log.directory.files.sync_everything(path).map_err(|error| failed("sync", path, error));
            let mut synced = sync();
            // Sidecars are renamed once they are durable; then their names have to be.
            if synced.is_ok() && works.iter().any(|(_, work)| !work.sidecars.is_empty()) {
                synced = works
                    .iter()
                    .try_for_each(|(log, work)| log.sidecars.name(&work.sidecars))
                    .and_then(|()| sync());
            }
            works.iter().try_for_each(|(log, work)| log.end_sync(work, synced.clone()))?;
        } else {
            works.iter().try_for_each(|(log, work)| log.end_sync(work, log.sync(work)))?;
        }
        drop(turns);
        Ok(())
    }

    pub(super) fn delete_delay_ms(&self) -> i64 {
        self.state.lock().settings.delete_delay_ms
    }

    pub(super) fn start(&self) -> Offset {
        self.state.lock().start
    }

    /// Where the first segment begins: below the start when that lies within a segment.
    pub(super) fn first_base(&self) -> Offset {
        let state = self.state.lock();
        state.sealed.front().map_or(state.active.segment.base, |sealed| sealed.segment.base)
    }

    pub(super) fn bytes(&self) -> u64 {
        let state = self.state.lock();
        state.sealed.iter().map(|sealed| sealed.size).sum::<u64>() + state.active.size
    }

    /// Lets nobody append or read any more.
    pub(super) fn retire(&self, reason: &str) -> MutexGuard<'_, ()> {
        let turn = self.upkeep.lock();
        self.state.lock().offline = Some(reason.to_owned());
        turn
    }
}

fn age_ms_max(shared: &Shared, settings: &LogSettings) -> i64 {
    let jitter_max = settings.span_age_jitter_ms_max.min(settings.span_age_ms_max);
    let jitter = match u64::try_from(jitter_max) {
        Ok(bound) if bound > 0 => i64::try_from(shared.random.lock().below(bound)).unwrap_or(0),
        _ => 0,
    };
    settings.span_age_ms_max - jitter
}

/// Headers from the stack and bodies from where they are, in one vectored write.
fn write_batches(file: &dyn OpenFile, batches: &[Batch], position: u64) -> std::io::Result<()> {
    let headers: SmallVec<[[u8; BatchHeader::SIZE]; STACK_BATCHES]> =
        batches.iter().map(|batch| batch.header.to_bytes()).collect();
    let mut slices: SmallVec<[std::io::IoSlice<'_>; STACK_BATCHES * 2]> = SmallVec::new();
    for (header, batch) in headers.iter().zip(batches) {
        slices.push(std::io::IoSlice::new(header));
        slices.push(std::io::IoSlice::new(&batch.body));
    }
    file.write_at(&mut slices, position)
}

impl Log for SegmentLog {
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_online(state)?;
        check_order(batches, state.end)?;
        let mut rolled = None;
        let mut rest = batches;
        while !rest.is_empty() {
            let (count, arrival) = next_run(rest, state.active.end);
            let (run, after) = rest.split_at(count);
            let appended = self.append_run(state, run, arrival);
            rolled = self.watch(state, appended)?.or(rolled);
            rest = after;
        }
        Ok(Appended { end: state.end, rolled })
    }

    fn read(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError> {
        self.read_data(from, limit)
    }

    fn find(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        self.find_time(timestamp)
    }

    fn spans(&self) -> Vec<Span> {
        self.list_spans()
    }

    fn bounds(&self) -> Bounds {
        let state = self.state.lock();
        Bounds { start: state.start, end: state.end, flushed: state.flushed.max(state.start) }
    }

    fn flush(&self) -> Result<Offset, LogError> {
        self.flush_to_end()
    }

    fn truncate(&self, end: Offset) -> Result<(), LogError> {
        self.truncate_suffix(end)
    }

    fn trim(&self, start: Offset) -> Result<(), LogError> {
        self.trim_prefix(start)
    }

    fn roll(&self) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_online(state)?;
        if state.active.size == 0 {
            return Ok(());
        }
        let started = self.start_segment(state, state.active.end);
        self.watch(state, started)
    }

    fn configure(&self, settings: LogSettings) {
        let mut state = self.state.lock();
        if (settings.span_age_ms_max, settings.span_age_jitter_ms_max)
            != (state.settings.span_age_ms_max, state.settings.span_age_jitter_ms_max)
        {
            state.active.age_ms_max = self.age_ms_max(&settings);
        }
        state.settings = settings;
    }

    fn sidecars(&self) -> &dyn Sidecars {
        &self.sidecars
    }
}

/// The longest run of batches that one segment, begun at `base`, can hold: nearly always all of them.
fn next_run(batches: &[Batch], base: Offset) -> (usize, Arrival) {
    let mut count = 0;
    let mut arrival = Arrival { base, last: base, bytes: 0, largest_timestamp: Timestamp::NONE };
    for Batch { header, .. } in batches {
        let too_far = header.last_offset().since(arrival.base) > i64::from(i32::MAX);
        if count == 0 && too_far {
            arrival.base = header.base_offset;
        } else if too_far || arrival.bytes + header.size() as u64 > SEGMENT_BYTES_MAX {
            break;
        }
        arrival.last = header.last_offset();
        arrival.bytes += header.size() as u64;
        arrival.largest_timestamp = arrival.largest_timestamp.max(header.max_timestamp);
        count += 1;
    }
    (count, arrival)
}
