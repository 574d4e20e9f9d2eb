//! One segment: its three files, opened when they are needed, and the walk over its batches.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::LogError;
use vltava_core::record::{BatchHeader, RecordError};

use super::index::{Indexer, OFFSET_ENTRY, OffsetEntry, TIME_ENTRY, TimeEntry, last_where};
use super::names;
use super::open_files::{OpenFiles, Slot};
use crate::files::{Files, Open, OpenFile};

/// The files of a segment. What they hold is known to the log, and to recovery.
#[derive(Debug)]
pub(super) struct Segment {
    pub base: Offset,
    folder: Arc<Path>,
    open_files: Arc<OpenFiles>,
    log: Slot,
    index: Slot,
    times: Slot,
}

/// The suffixes of a segment's own files.
pub(super) const SUFFIXES: [&str; 4] = [names::LOG, names::INDEX, names::TIME_INDEX, names::ABORTED];

impl Segment {
    pub(super) fn new(base: Offset, folder: Arc<Path>, open_files: Arc<OpenFiles>) -> Segment {
        Segment {
            base,
            folder,
            open_files,
            log: Slot::default(),
            index: Slot::default(),
            times: Slot::default(),
        }
    }

    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(names::file(self.base, suffix))
    }

    pub(super) fn log_file(&self) -> Result<Arc<dyn OpenFile>, LogError> {
        self.open_log(Open::Existing)
    }

    pub(super) fn open_log(&self, how: Open) -> Result<Arc<dyn OpenFile>, LogError> {
        self.log
            .get(&self.open_files, how, || self.path(names::LOG))
            .map_err(|error| failed("open", &self.path(names::LOG), error))
    }

    pub(super) fn index_file(&self, how: Open) -> io::Result<Arc<dyn OpenFile>> {
        self.index.get(&self.open_files, how, || self.path(names::INDEX))
    }

    pub(super) fn time_file(&self, how: Open) -> io::Result<Arc<dyn OpenFile>> {
        self.times.get(&self.open_files, how, || self.path(names::TIME_INDEX))
    }

    /// Whether a reader may still have a range of the log.
    pub(super) fn lent(&self) -> bool {
        self.log.lent()
    }

    /// Lets the next use open the log anew, after another file has taken its name.
    pub(super) fn forget_log(&self) {
        self.log.forget();
    }

    /// The size of the log, without opening it.
    pub(super) fn stored_size(&self) -> io::Result<u64> {
        self.open_files.files.size(&self.path(names::LOG))
    }

    /// Removes all files of the segment, which nobody uses any more: the log last, so that none is left without it.
    pub(super) fn remove_files(&self) -> Result<(), LogError> {
        for suffix in SUFFIXES.into_iter().rev() {
            let path = self.path(suffix);
            match self.open_files.files.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes the index files, to have them made anew.
    pub(super) fn forget_indexes(&self, files: &dyn Files) -> Result<(), LogError> {
        self.index.forget();
        self.times.forget();
        for suffix in [names::INDEX, names::TIME_INDEX] {
            let path = self.path(suffix);
            match files.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the entries that wait in memory to the index files. Creates those that are not there.
    pub(super) fn write_indexes(&self, indexer: &mut Indexer) -> Result<(), LogError> {
        let entries = indexer.offset_bytes();
        let at = indexer.offsets_written * OFFSET_ENTRY as u64;
        self.index_file(Open::OrCreate)
            .and_then(|file| write_entries(&*file, &entries, at, indexer.unread))
            .map_err(|error| failed("write the index", &self.path(names::INDEX), error))?;
        let times = indexer.time_bytes();
        let at = indexer.times_written * TIME_ENTRY as u64;
        self.time_file(Open::OrCreate)
            .and_then(|file| write_entries(&*file, &times, at, indexer.unread))
            .map_err(|error| failed("write the time index", &self.path(names::TIME_INDEX), error))?;
        indexer.offsets_written += indexer.offsets.len() as u64;
        indexer.offsets = Vec::new();
        indexer.times_written += indexer.times.len() as u64;
        indexer.times = Vec::new();
        indexer.unread = false;
        Ok(())
    }

    /// Makes the index files durable.
    pub(super) fn sync_indexes(&self) -> Result<(), LogError> {
        self.index_file(Open::OrCreate)
            .and_then(|file| file.sync())
            .map_err(|error| failed("sync the index", &self.path(names::INDEX), error))?;
        self.time_file(Open::OrCreate)
            .and_then(|file| file.sync())
            .map_err(|error| failed("sync the time index", &self.path(names::TIME_INDEX), error))
    }

    /// Where to start looking for `offset`: the start of a batch at or below it. `entries` is how many the index holds,
    /// `None` for all that its file has.
    pub(super) fn floor(&self, offset: Offset, entries: Option<u64>, patience: Patience) -> io::Result<u64> {
        if entries == Some(0) {
            return Ok(0);
        }
        let file = self.index_file(Open::Existing)?;
        let count = match entries {
            Some(count) => count,
            None => file.size()? / OFFSET_ENTRY as u64,
        };
        let decode = |bytes| OffsetEntry::decode(bytes, self.base);
        let found = last_where(&*file, patience, count, |bytes| decode(bytes).offset <= offset)?;
        Ok(found.map_or(0, |bytes| decode(bytes).position))
    }

    /// The last offset that is known to come before the first batch at or after `timestamp`.
    pub(super) fn time_floor(&self, timestamp: Timestamp, entries: Option<u64>) -> io::Result<Offset> {
        if entries == Some(0) {
            return Ok(self.base);
        }
        let file = self.time_file(Open::Existing)?;
        let count = match entries {
            Some(count) => count,
            None => file.size()? / TIME_ENTRY as u64,
        };
        let decode = |bytes| TimeEntry::decode(bytes, self.base);
        let found = last_where(&*file, Patience::Waits, count, |bytes| decode(bytes).timestamp < timestamp)?;
        Ok(found.map_or(self.base, |bytes| decode(bytes).offset))
    }

    /// The last entry of the time index file, which holds the largest timestamp of a sealed segment.
    pub(super) fn last_time(&self) -> io::Result<Option<TimeEntry>> {
        let file = self.time_file(Open::Existing)?;
        let size = file.size()?;
        let mut bytes = [0; TIME_ENTRY];
        let Some(at) = size.checked_sub(TIME_ENTRY as u64) else { return Ok(None) };
        if size % TIME_ENTRY as u64 != 0 || file.read_at(&mut bytes, at)? < TIME_ENTRY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(TimeEntry::decode(bytes, self.base)))
    }
}

/// Writes entries; where it is not known what the file holds, removes what follows them.
fn write_entries(file: &dyn OpenFile, entries: &[u8], at: u64, unread: bool) -> io::Result<()> {
    if !entries.is_empty() {
        file.write_at(&mut [IoSlice::new(entries)], at)?;
    }
    let end = at + entries.len() as u64;
    if unread && file.size()? > end { file.truncate(end) } else { Ok(()) }
}

/// A [`LogError::Io`].
pub(super) fn failed(act: &'static str, path: &Path, error: io::Error) -> LogError {
    LogError::Io { act, path: path.to_path_buf(), source: Arc::new(error) }
}

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is on a thread that may block.
    Waits,
    /// It fails with `WouldBlock`.
    None,
}

impl Patience {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    pub(super) fn read(self, file: &dyn OpenFile, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        match self {
            Patience::Waits => file.read_at(buffer, position),
            Patience::None => file.read_now(buffer, position),
        }
    }
}

/// Walks the headers of a segment's batches from a position, a few kilobytes a read.
#[derive(Debug)]
pub(super) struct HeaderScan<'a> {
    file: &'a dyn OpenFile,
    patience: Patience,
    /// Where the next batch starts.
    pub position: u64,
    end: u64,
    window: [u8; WINDOW],
    window_at: u64,
    window_length: usize,
}

/// Bytes read at once: a dozen small batches, or the header of a large one for little more than its own cost.
const WINDOW: usize = 2048;

/// Why a walk ended before the end.
#[derive(Debug)]
pub(super) enum ScanError {
    Io(io::Error),
    /// The bytes at this position are not a whole batch.
    Broken(u64, RecordError),
}

impl<'a> HeaderScan<'a> {
    /// A walk over the bytes from `position`, where a batch starts, to `end`.
    pub(super) fn new(file: &'a dyn OpenFile, position: u64, end: u64) -> HeaderScan<'a> {
        let patience = Patience::Waits;
        HeaderScan { file, patience, position, end, window: [0; WINDOW], window_at: 0, window_length: 0 }
    }

    /// The same walk with another patience.
    pub(super) fn with(self, patience: Patience) -> HeaderScan<'a> {
        HeaderScan { patience, ..self }
    }

    /// The next header and where its batch starts; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, BatchHeader)>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let at = self.position;
        let left = self.end - at;
        let header = BatchHeader::parse(self.bytes(left).map_err(ScanError::Io)?)
            .map_err(|error| ScanError::Broken(at, error))?;
        let size = header.size() as u64;
        if size > left {
            return Err(ScanError::Broken(at, RecordError::Truncated { needed: size, available: left }));
        }
        self.position += size;
        Ok(Some((at, header)))
    }

    /// The bytes at the position: a header's worth, or less at the end.
    fn bytes(&mut self, left: u64) -> io::Result<&[u8]> {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(BatchHeader::SIZE);
        let inside = self.position.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
        if inside.is_none_or(|skip| skip + wanted > self.window_length) {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(WINDOW);
            let target = self.window.get_mut(..most).unwrap_or_default();
            self.window_length = self.patience.read(self.file, target, self.position)?;
            self.window_at = self.position;
        }
        let skip = usize::try_from(self.position - self.window_at).unwrap_or(0);
        let window = self.window.get(..self.window_length).unwrap_or_default();
        Ok(window.get(skip..window.len().min(skip + wanted)).unwrap_or_default())
    }
}
