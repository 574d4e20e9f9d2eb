//! Reading: from an offset or a timestamp to a range of a file.
//!
//! A read that would have to wait for the disk becomes a later one, which its caller runs on a thread that may block. The
//! end of the log has just been written and is in memory; everywhere else the index, the headers and samples of the range
//! are read without waiting ([`OpenFile::read_now`]) before the range is handed out.
//!
//! Why a later read brings the range into the page cache and hands it out, instead of its bytes: what slow readers have
//! not taken yet would be memory of the process, as much as they like to ask for.
//!
//! Why the places behind batches that were read are remembered: a reader of one batch at a time goes on exactly there, and
//! the search in the index is half a dozen reads.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use bytes::Bytes;
use smallvec::smallvec;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{FileRange, LaterRead, LogData, LogError, ReadLimit, Span};
use vltava_core::record::BatchHeader;

use super::{Active, Sealed, SegmentLog, State};
use crate::files::OpenFile;
use crate::segments::names;
use crate::segments::recovery::{Trust, load};
use crate::segments::segment::{HeaderScan, Patience, ScanError, Segment, failed};

/// What a read needs to know of one segment, taken under the lock.
struct View {
    segment: Arc<Segment>,
    file: Arc<dyn OpenFile>,
    /// The bytes of whole batches when the view was taken.
    size: u64,
    /// Where to find the batch of the offset asked for.
    from: Place,
    /// Where the batches end that may be read.
    below: Place,
    /// How many entries the index file has; `None` for all.
    entries: Option<u64>,
    sealed: bool,
    /// What is read was appended a moment ago, so that it is in memory.
    recent: bool,
    patience: Patience,
}

/// How well a position is known.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The batch starts exactly there.
    At(u64),
    /// It starts there or later.
    From(u64),
    /// The index file knows.
    Indexed,
}

/// Bytes to return.
#[derive(Clone, Copy, Debug)]
struct Range {
    position: u64,
    length: usize,
    /// The header of the first batch, when it was read on the way: then the beginning is in memory.
    first: Option<BatchHeader>,
}

/// Where readers are expected to go on, which holds only in one generation of the log.
#[derive(Debug, Default)]
pub(super) struct Continuations {
    generation: u64,
    places: VecDeque<Continuation>,
}

/// That the first batch that ends at or after an offset starts there, in the segment with that base.
#[derive(Clone, Copy, Debug)]
struct Continuation {
    base: Offset,
    offset: Offset,
    position: u64,
}

/// How many readers are followed, with 24 bytes each.
const CONTINUATIONS_MAX: usize = 32;

/// Why a look at a segment has to be taken again.
enum Miss {
    Io(io::Error),
    /// What the index says is not in the log.
    Index,
    Broken(u64, String),
}

impl From<io::Error> for Miss {
    fn from(error: io::Error) -> Miss {
        // An index that is missing or too short is made anew.
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                Miss::Index
            }
            _ => Miss::Io(error),
        }
    }
}

/// What a read has found.
enum Found {
    Data(LogData),
    /// The disk would have to be waited for.
    OnDisk {
        length_max: usize,
    },
}

/// Of a range that is handed out, one byte in so many is looked for in memory: what Linux reads ahead by default.
const SAMPLE_BYTES: usize = 128 << 10;

/// A range is brought into memory in pieces of so many bytes.
const WARMING_BYTES: usize = 128 << 10;

/// A read sees a change of the segments beside it at most this often before it gives up.
const ATTEMPTS_MAX: usize = 8;

impl SegmentLog {
    pub(super) fn read_data(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError> {
        let length = match self.read_with(from, limit, Patience::None)? {
            Found::Data(data) => return Ok(data),
            Found::OnDisk { length_max } => length_max,
        };
        let myself = self.myself.clone();
        let read = move || {
            let closed = || LogError::Offline("the log was closed before it was read".to_owned());
            match myself.upgrade().ok_or_else(closed)?.read_with(from, limit, Patience::Waits)? {
                Found::Data(data) => Ok(data),
                Found::OnDisk { .. } => Err(LogError::Offline("a read that waits found nothing".to_owned())),
            }
        };
        Ok(LogData::Later(LaterRead { length, read: Box::new(read) }))
    }

    fn read_with(&self, from: Offset, limit: ReadLimit, patience: Patience) -> Result<Found, LogError> {
        // The number of the next segment to look at, which holds only in the generation it was found in.
        let mut next: Option<(u64, usize)> = None;
        let mut attempts = 0;
        while attempts < ATTEMPTS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            let number = next.filter(|(found_in, _)| *found_in == generation).map(|(_, number)| number);
            let Some((number, mut view)) = self.view(from, limit.below, number, patience)? else {
                return Ok(Found::Data(LogData::empty()));
            };
            if !matches!(view.from, Place::At(_))
                && let Some(known) = self.continuations.lock().find(generation, view.segment.base, from)
            {
                view.from = Place::At(known);
            }
            let range = view.range(from, limit);
            if let Ok(Some(range)) = &range
                && let Some((offset, position)) = range.continuation()
            {
                let place = Continuation { base: view.segment.base, offset, position };
                self.continuations.lock().note(generation, place);
            }
            let found = range.map(|range| range.map(|range| view.data(range)));
            // The data is taken before the second look: a truncation that begins meanwhile finds the file lent, or is
            // seen here.
            fence(Ordering::SeqCst);
            if self.generation.load(Ordering::Acquire) != generation {
                attempts += 1;
                continue;
            }
            match found {
                // A gap that compaction has left may reach to the end of a segment, and over any number of them.
                Ok(None) if view.sealed => next = Some((generation, number + 1)),
                Ok(None) => return Ok(Found::Data(LogData::empty())),
                Ok(Some(data)) => return data,
                Err(Miss::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Found::OnDisk { length_max: view.length_max(limit) });
                }
                Err(Miss::Io(error)) => return Err(failed("read", &view.segment.path(names::LOG), error)),
                Err(Miss::Index) if patience == Patience::None => {
                    return Ok(Found::OnDisk { length_max: view.length_max(limit) });
                }
                Err(Miss::Index) => {
                    attempts += 1;
                    self.reindex(&view)?;
                }
                Err(Miss::Broken(position, what)) => {
                    return Err(LogError::Corrupt { path: view.segment.path(names::LOG), position, what });
                }
            }
        }
        Err(LogError::Offline(format!(
            "the segments at offset {from} changed again and again while it was read"
        )))
    }

    /// The segment that holds `from`, or the one with that number.
    fn view(
        &self,
        from: Offset,
        below: Offset,
        number: Option<usize>,
        patience: Patience,
    ) -> Result<Option<(usize, View)>, LogError> {
        let state = self.state.lock();
        if from < state.start || from > state.end {
            return Err(LogError::OutOfRange { from, start: state.start, end: state.end });
        }
        if from == state.end || below <= from {
            return Ok(None);
        }
        let number = number.unwrap_or_else(|| state.number_of(from));
        let recent = state.active.remembers(from);
        let view = match state.sealed.get(number) {
            Some(sealed) => View {
                segment: Arc::clone(&sealed.segment),
                file: sealed.segment.log_file()?,
                size: sealed.size,
                from: if from <= sealed.segment.base { Place::At(0) } else { Place::Indexed },
                below: if below >= state.base_of(number + 1) {
                    Place::At(sealed.size)
                } else {
                    Place::Indexed
                },
                entries: None,
                sealed: true,
                recent: false,
                patience,
            },
            None => View {
                segment: Arc::clone(&state.active.segment),
                file: state.active.segment.log_file()?,
                size: state.active.size,
                from: state.active.place(from),
                below: if below >= state.end {
                    Place::At(state.active.size)
                } else {
                    state.active.place(below)
                },
                entries: Some(state.active.indexer.offsets_written),
                sealed: false,
                recent,
                patience: if recent { Patience::Waits } else { patience },
            },
        };
        Ok(Some((number, view)))
    }

    pub(super) fn find_time(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        let mut found = None;
        for _ in 0..ATTEMPTS_MAX {
            let generation = self.generation.load(Ordering::Acquire);
            found = self.find_once(timestamp)?;
            // Segments that were replaced meanwhile may have been passed over.
            if self.generation.load(Ordering::Acquire) == generation {
                break;
            }
        }
        Ok(found)
    }

    fn find_once(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        let spans = self.list_spans();
        let start = self.state.lock().start;
        for span in spans.iter().filter(|span| span.largest_timestamp >= timestamp) {
            if let Some(found) = self.find_in(span.base, timestamp, start)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first batch of the segment with this base that reaches `timestamp`.
    fn find_in(&self, base: Offset, timestamp: Timestamp, start: Offset) -> Result<Option<Offset>, LogError> {
        for _ in 0..ATTEMPTS_MAX {
            let (mut view, pending, entries) = {
                let state = self.state.lock();
                let number = state.number_of(base);
                let (segment, size, sealed) = match state.sealed.get(number) {
                    Some(sealed) => (&sealed.segment, sealed.size, true),
                    None => (&state.active.segment, state.active.size, false),
                };
                if segment.base != base {
                    return Ok(None);
                }
                let indexer = (!sealed).then_some(&state.active.indexer);
                let view = View {
                    segment: Arc::clone(segment),
                    file: segment.log_file()?,
                    size,
                    from: Place::Indexed,
                    below: Place::At(size),
                    entries: indexer.map(|indexer| indexer.offsets_written),
                    sealed,
                    recent: false,
                    patience: Patience::Waits,
                };
                let pending = indexer.and_then(|indexer| indexer.time_floor(timestamp));
                (view, pending, indexer.map(|indexer| indexer.times_written))
            };
            let floor = match pending {
                Some(entry) => Ok(entry.offset),
                None => view.segment.time_floor(timestamp, entries).map_err(Miss::from),
            };
            let found = floor.and_then(|offset| {
                if let Some(entry) = self.pending_floor(base, offset) {
                    view.from = Place::From(entry);
                }
                view.scan(view.from, offset, |header| {
                    header.max_timestamp >= timestamp && header.last_offset() >= start
                })
            });
            match found {
                Ok(found) => return Ok(found.map(|(_, header)| header.base_offset)),
                Err(Miss::Io(error)) => return Err(failed("read", &view.segment.path(names::LOG), error)),
                Err(Miss::Index) => self.reindex(&view)?,
                Err(Miss::Broken(position, what)) => {
                    return Err(LogError::Corrupt { path: view.segment.path(names::LOG), position, what });
                }
            }
        }
        Ok(None)
    }

    /// Where to start looking in the active segment, when an index entry that is not yet written knows.
    fn pending_floor(&self, base: Offset, offset: Offset) -> Option<u64> {
        let state = self.state.lock();
        let active = &state.active;
        if active.segment.base == base {
            active.indexer.floor(offset).map(|entry| entry.position)
        } else {
            None
        }
    }

    pub(super) fn list_spans(&self) -> Vec<Span> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let bases: Vec<Offset> = (1..=state.sealed.len()).map(|number| state.base_of(number)).collect();
        let mut spans: Vec<Span> = state
            .sealed
            .iter_mut()
            .zip(bases)
            .map(|(sealed, end)| Span {
                base: sealed.segment.base,
                end,
                bytes: sealed.size,
                largest_timestamp: sealed.largest_timestamp(),
                sealed: true,
            })
            .collect();
        spans.push(Span {
            base: state.active.segment.base,
            end: state.end,
            bytes: state.active.size,
            largest_timestamp: state.active.indexer.largest.timestamp,
            sealed: false,
        });
        spans
    }

    /// Makes the indexes of a segment anew, because they do not fit its log.
    fn reindex(&self, view: &View) -> Result<(), LogError> {
        let _turn = self.upkeep.lock();
        let mut state = self.state.lock();
        if !state.holds(&view.segment) {
            // Trimmed or truncated meanwhile: its files are gone, or are those of another segment.
            return Ok(());
        }
        let path = view.segment.path(names::INDEX);
        tracing::warn!(path = %path.display(), "the index is missing or does not fit the log; it is made anew");
        let interval = u64::from(state.settings.index_interval_bytes);
        // Appends may have begun meanwhile, but only to the segment that was active, and it is locked now.
        let active = Arc::ptr_eq(&state.active.segment, &view.segment);
        let expected = if active { state.active.size } else { view.size };
        view.segment.forget_indexes(&*self.directory.files)?;
        let mut loaded = load(&view.segment, Trust::Everything, interval, None)?;
        if loaded.size < expected {
            return Err(LogError::Corrupt {
                path: view.segment.path(names::LOG),
                position: loaded.size,
                what:
                    "there is no whole batch here, though others follow; restore the segment from a replica"
                        .into(),
            });
        }
        if active {
            state.active.indexer = loaded.indexer;
            return Ok(());
        }
        loaded.indexer.note_time();
        view.segment.write_indexes(&mut loaded.indexer)
    }
}

impl Range {
    /// Where its reader will go on, as far as that is known: behind the first batch, when no second one fits.
    fn continuation(&self) -> Option<(Offset, u64)> {
        let header = self.first.filter(|header| self.length < 2 * header.size())?;
        Some((header.next_offset(), self.position + header.size() as u64))
    }
}

impl Continuations {
    fn find(&self, generation: u64, base: Offset, offset: Offset) -> Option<u64> {
        let mut places = self.places.iter().filter(|_| self.generation == generation);
        places.find(|place| (place.base, place.offset) == (base, offset)).map(|place| place.position)
    }

    fn note(&mut self, generation: u64, place: Continuation) {
        if self.generation != generation {
            self.places.clear();
            self.generation = generation;
        }
        if self.places.iter().any(|known| (known.base, known.offset) == (place.base, place.offset)) {
            return;
        }
        if self.places.len() == CONTINUATIONS_MAX {
            self.places.pop_front();
        }
        self.places.push_back(place);
    }
}

impl State {
    /// The number of the segment that holds an offset: its place in `sealed`, or the length of that for the active one.
    pub(super) fn number_of(&self, offset: Offset) -> usize {
        if offset >= self.active.segment.base {
            return self.sealed.len();
        }
        self.sealed.partition_point(|sealed| sealed.segment.base <= offset).saturating_sub(1)
    }

    /// Whether a segment is still part of the log.
    fn holds(&self, segment: &Arc<Segment>) -> bool {
        let number = self.number_of(segment.base);
        let known = self.sealed.get(number).map_or(&self.active.segment, |sealed| &sealed.segment);
        Arc::ptr_eq(known, segment)
    }

    /// The base of a segment.
    pub(super) fn base_of(&self, number: usize) -> Offset {
        self.sealed.get(number).map_or(self.active.segment.base, |sealed| sealed.segment.base)
    }
}

impl Sealed {
    /// The last entry of the time index; when that cannot be read, the largest timestamp there is, so that neither
    /// retention nor a search by time passes over the segment.
    fn largest_timestamp(&mut self) -> Timestamp {
        if let Some(known) = self.largest {
            return known;
        }
        let largest = match self.segment.last_time() {
            Ok(entry) => entry.map_or(Timestamp::NONE, |entry| entry.timestamp),
            Err(error) => {
                tracing::warn!(path = %self.segment.path(names::TIME_INDEX).display(), %error, "cannot read the time index");
                return Timestamp(i64::MAX);
            }
        };
        *self.largest.insert(largest)
    }
}

impl Active {
    /// Whether the batch of this offset is among the last ones.
    fn remembers(&self, offset: Offset) -> bool {
        self.tail.front().is_some_and(|first| first.base <= offset)
    }

    /// Where the first batch is that ends at or after `offset`.
    fn place(&self, offset: Offset) -> Place {
        if self.remembers(offset) {
            let number = self.tail.partition_point(|batch| batch.last < offset);
            return Place::At(self.tail.get(number).map_or(self.size, |batch| batch.position));
        }
        match self.indexer.floor(offset) {
            Some(entry) => Place::From(entry.position),
            None if self.indexer.offsets_written == 0 => Place::From(0),
            None => Place::Indexed,
        }
    }
}

impl View {
    /// The bytes to return. `None` when no batch of this segment is wanted.
    fn range(&self, from: Offset, limit: ReadLimit) -> Result<Option<Range>, Miss> {
        let (position, mut first) = match self.from {
            Place::At(position) => (position, None),
            place => match self.scan(place, from, |header| header.last_offset() >= from)? {
                Some((position, header)) => (position, Some(header)),
                None => return Ok(None),
            },
        };
        if position >= self.size {
            return Ok(None);
        }
        let available = self.end(limit, position)?.saturating_sub(position);
        let bytes = limit.bytes as u64;
        let mut length = available.min(bytes);
        if limit.whole_first_batch && length < available {
            let header = match first {
                Some(header) => header,
                None => self.header_at(position)?,
            };
            length = length.max(header.size() as u64);
            first = Some(header);
        }
        let length = usize::try_from(length.min(available)).unwrap_or(usize::MAX);
        Ok(Some(Range { position, length, first }))
    }

    /// The end of what may be read. Not looked for further than the byte limit reaches.
    fn end(&self, limit: ReadLimit, position: u64) -> Result<u64, Miss> {
        let floor = match self.below {
            Place::At(end) => return Ok(end),
            Place::From(floor) => floor,
            Place::Indexed => self.segment.floor(limit.below, self.entries, self.patience)?,
        };
        let reach = position.saturating_add(limit.bytes as u64);
        if floor >= reach && floor > position && !limit.whole_first_batch {
            return Ok(floor);
        }
        // Everything before the entry at `floor` lies below the limit, so the walk starts there, or at the read itself.
        let mut scan = HeaderScan::new(&*self.file, floor.max(position), self.size).with(self.patience);
        while let Some((at, header)) = scan.next()? {
            if header.last_offset() >= limit.below {
                return Ok(at);
            }
        }
        Ok(self.size)
    }

    /// The first batch that `wanted` accepts, from a place at or before it.
    fn scan(
        &self,
        place: Place,
        offset: Offset,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<(u64, BatchHeader)>, Miss> {
        let start = match place {
            Place::At(position) | Place::From(position) => position,
            Place::Indexed => self.segment.floor(offset, self.entries, self.patience)?,
        };
        let mut scan = HeaderScan::new(&*self.file, start, self.size).with(self.patience);
        let mut first = true;
        loop {
            match scan.next() {
                // An entry names a batch that starts at or below its offset, so anything else is not our index.
                Ok(Some((_, header))) if first && start > 0 && header.base_offset > offset => {
                    return Err(Miss::Index);
                }
                Ok(Some(found)) if wanted(&found.1) => return Ok(Some(found)),
                Ok(Some(_)) => first = false,
                Ok(None) if first && start > 0 => return Err(Miss::Index),
                Ok(None) => return Ok(None),
                Err(ScanError::Broken(at, _)) if first && at > 0 => return Err(Miss::Index),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn header_at(&self, position: u64) -> Result<BatchHeader, Miss> {
        match HeaderScan::new(&*self.file, position, self.size).with(self.patience).next()? {
            Some((_, header)) => Ok(header),
            None => Err(Miss::Broken(position, "the file ends before its last batch".into())),
        }
    }

    /// The bytes at a range, once they are in memory; [`Found::OnDisk`] where they are not and nobody waits.
    fn data(&self, range: Range) -> Result<Found, LogError> {
        let Range { position, length, .. } = range;
        if length == 0 {
            return Ok(Found::Data(LogData::empty()));
        }
        // Taken before anything is read: a truncation that begins meanwhile must find the file lent.
        let lent = self.file.system_file().map(Arc::clone);
        let data = match lent {
            Some(file) => self.bring(range).map(|()| LogData::File(FileRange { file, position, length })),
            None => self.bytes(position, length),
        };
        match data {
            Ok(data) => Ok(Found::Data(data)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Found::OnDisk { length_max: length })
            }
            Err(error) => Err(failed("read", &self.segment.path(names::LOG), error)),
        }
    }

    /// Brings a range into memory, or looks whether samples of it are there.
    fn bring(&self, Range { position, length, first }: Range) -> io::Result<()> {
        let end = position + length as u64;
        if self.recent {
            return Ok(());
        }
        if self.patience == Patience::Waits {
            let mut buffer = vec![0; length.min(WARMING_BYTES)];
            let mut at = position;
            while at < end {
                match self.file.read_at(&mut buffer, at)? {
                    0 => break,
                    read => at += read as u64,
                }
            }
            return Ok(());
        }
        let mut byte = [0];
        let samples = (position..end - 1).step_by(SAMPLE_BYTES).skip(usize::from(first.is_some()));
        let samples = samples.chain([end - 1]);
        for at in samples {
            self.patience.read(&*self.file, &mut byte, at)?;
        }
        Ok(())
    }

    fn bytes(&self, position: u64, length: usize) -> io::Result<LogData> {
        let mut bytes = vec![0; length];
        let read = self.patience.read(&*self.file, &mut bytes, position)?;
        bytes.truncate(read);
        Ok(LogData::Bytes(smallvec![Bytes::from(bytes)]))
    }

    /// What a read may bring at the most, when only the disk knows where it begins.
    fn length_max(&self, limit: ReadLimit) -> usize {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if limit.whole_first_batch { limit.bytes.max(1).min(size) } else { limit.bytes.min(size) }
    }
}

impl From<ScanError> for Miss {
    fn from(error: ScanError) -> Miss {
        match error {
            ScanError::Io(error) => Miss::Io(error),
            ScanError::Broken(at, what) => Miss::Broken(
                at,
                format!("{what}; restart the broker to recover, or restore the segment from a replica"),
            ),
        }
    }
}
