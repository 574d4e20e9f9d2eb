//! One partition's log in segments: appending, reading, syncing.
//!
//! One mutex covers what is known of the segments; an append holds it for its one write, a read only to find out where
//! to look. A second one serialises what changes files that exist: flushing, truncating, trimming.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use vltava_core::clock::Clock;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{
    Appended, Bounds, Log, LogData, LogError, LogId, LogSettings, ReadLimit, Rewrite, Sidecars, Span,
};
use vltava_core::record::{Batch, BatchHeader};

use super::directory::LogDirectory;
use super::index::Indexer;
use super::open_files::OpenFiles;
use super::options::FlushWitness;
use super::recovery::Loaded;
use super::segment::{HeaderScan, Segment};
use super::sidecar::SidecarFolder;
use crate::random::Random;

mod append;
mod change;
mod open;
mod read;
mod rewrite;
mod sync;

/// What the logs of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub open_files: Arc<OpenFiles>,
    pub clock: Arc<dyn Clock>,
    pub witness: Arc<dyn FlushWitness>,
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
    /// Where readers will go on.
    continuations: Mutex<read::Continuations>,
    /// Below this everything is durable, the indexes too.
    recovery_point: AtomicI64,
    sidecars: SidecarFolder,
    /// For reads that are carried out later.
    myself: Weak<SegmentLog>,
    /// Segments are being rewritten.
    rewriting: AtomicBool,
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
    /// Bytes appended since the recovery point last moved.
    dirty_bytes: u64,
    /// Names in the folder are not synced.
    names_dirty: bool,
    /// The folder itself and its `partition.metadata` are perhaps not synced.
    folder_dirty: bool,
    /// Why nothing can be appended any more.
    offline: Option<String>,
    /// The log was removed.
    retired: bool,
    /// Its store was closed: what is here is complete, and stays so.
    closed: bool,
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

impl SegmentLog {
    /// Whether the batches may change.
    fn check_writable(&self, state: &State) -> Result<(), LogError> {
        if state.closed {
            return Err(LogError::Offline("the store was closed".to_owned()));
        }
        self.check_online(state)
    }

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

    /// Bytes that a restart would have to read again, roughly.
    pub(super) fn dirty_bytes(&self) -> u64 {
        self.state.lock().dirty_bytes
    }

    /// Everything below is durable, indexes included.
    pub(super) fn recovery_point(&self) -> Offset {
        Offset(self.recovery_point.load(Ordering::Relaxed))
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

    /// Lets nobody append any more, because the log is removed.
    pub(super) fn retire(&self) -> MutexGuard<'_, ()> {
        let turn = self.upkeep.lock();
        let mut state = self.state.lock();
        state.offline = Some("the log was removed".to_owned());
        state.retired = true;
        turn
    }

    /// Whether the log was removed.
    pub(super) fn is_retired(&self) -> bool {
        self.state.lock().retired
    }
}

impl Log for SegmentLog {
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        self.append_batches(batches)
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
        self.check_writable(state)?;
        if state.active.size == 0 {
            return Ok(());
        }
        let started = self.start_segment(state, state.active.end);
        self.watch(state, started)
    }

    fn rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        self.begin_rewrite(from, to)
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
