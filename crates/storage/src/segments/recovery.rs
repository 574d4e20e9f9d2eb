//! Bringing a segment back: where it ends, and indexes that agree with it.
//!
//! What lies below the recovery point was synced, log and indexes, and is believed. From the last index entry below it
//! the batches are walked, with their checksums after an unclean stop; the first that is not whole ends the log.
//! Index entries past that point are made again, and so is an index that does not agree with the log.

use std::io::{self, IoSlice};

use vltava_core::id::Offset;
use vltava_core::log::LogError;
use vltava_core::record::{Batch, BatchHeader};

use super::index::{Indexer, OFFSET_ENTRY, OffsetEntry, TIME_ENTRY, TimeEntry};
use super::names;
use super::segment::{HeaderScan, ScanError, Segment, failed};
use crate::files::{Open, OpenFile};

/// How much of a segment is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// All of it: it was closed cleanly, or written by this process. Headers are walked, not checksums.
    Everything,
    /// What is below this offset. Checksums are verified above.
    Below(Offset),
}

/// What was found.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The bytes of whole batches.
    pub size: u64,
    /// The offset after the last record.
    pub end: Offset,
    /// Ready to go on.
    pub indexer: Indexer,
    /// Bytes beyond the whole batches were cut off.
    pub cut: bool,
}

/// Loads a segment whose batches lie below `ceiling` (the next segment's base, if there is one), and cuts off what
/// follows its last whole batch. Nobody may be reading it.
pub(super) fn recover(
    segment: &Segment,
    trust: Trust,
    index_interval: u64,
    ceiling: Option<Offset>,
) -> Result<Loaded, LogError> {
    let mut loaded = load(segment, trust, index_interval, ceiling)?;
    let log = segment.log_file()?;
    let path = segment.path(names::LOG);
    let length = log.size().map_err(|error| failed("find the size of", &path, error))?;
    if loaded.size < length {
        tracing::warn!(path = %path.display(), from = length, to = loaded.size, "cut off bytes that are no whole batch");
        log.truncate(loaded.size).map_err(|error| failed("truncate", &path, error))?;
        log.sync().map_err(|error| failed("sync", &path, error))?;
        loaded.cut = true;
    }
    Ok(loaded)
}

/// Loads a segment without changing its log.
pub(super) fn load(
    segment: &Segment,
    trust: Trust,
    index_interval: u64,
    ceiling: Option<Offset>,
) -> Result<Loaded, LogError> {
    let log = segment.log_file()?;
    let path = segment.path(names::LOG);
    let length = log.size().map_err(|error| failed("find the size of", &path, error))?;
    // A short segment is walked faster than its indexes are opened.
    let kept = if length <= SHORT {
        KeptIndexes::unread(segment.base)
    } else {
        KeptIndexes::read(segment, &*log, length, trust)
            .map_err(|error| failed("read the indexes of", &path, error))?
    };
    let mut loaded = Loaded {
        size: kept.resume,
        end: kept.resume_base.unwrap_or(segment.base),
        indexer: kept.indexer,
        cut: false,
    };
    let walked = match trust {
        Trust::Everything => walk_headers(&*log, length, index_interval, ceiling, &mut loaded),
        Trust::Below(_) => walk_batches(&*log, length, index_interval, ceiling, &mut loaded),
    };
    walked.map_err(|error| failed("read", &path, error))?;
    reconcile(segment, &mut loaded.indexer, &kept.offsets_rest, &kept.times_rest)?;
    Ok(loaded)
}

/// A segment of so many bytes is walked without a look at its indexes.
const SHORT: u64 = 8192;

/// Compares the entries that the walk made with those that the files have beyond what was kept. Those that agree need
/// not be written again; what disagrees is cut off.
fn reconcile(segment: &Segment, indexer: &mut Indexer, offsets: &[u8], times: &[u8]) -> Result<(), LogError> {
    let base = segment.base;
    let made: Vec<[u8; OFFSET_ENTRY]> = indexer.offsets.iter().map(|entry| entry.encode(base)).collect();
    let agreed = agreeing(&made, offsets);
    indexer.offsets.drain(..agreed);
    indexer.offsets_written += agreed as u64;
    if offsets.len() > agreed * OFFSET_ENTRY {
        segment
            .index_file(Open::OrCreate)
            .and_then(|file| file.truncate(indexer.offsets_written * OFFSET_ENTRY as u64))
            .map_err(|error| failed("truncate", &segment.path(names::INDEX), error))?;
    }
    if times.len() > indexer.times.len() * TIME_ENTRY {
        // Perhaps the entry that a segment gets when it is sealed or closed.
        indexer.note_time();
    }
    let made: Vec<[u8; TIME_ENTRY]> = indexer.times.iter().map(|entry| entry.encode(base)).collect();
    let agreed = agreeing(&made, times);
    indexer.times.drain(..agreed);
    indexer.times_written += agreed as u64;
    if times.len() > agreed * TIME_ENTRY {
        segment
            .time_file(Open::OrCreate)
            .and_then(|file| file.truncate(indexer.times_written * TIME_ENTRY as u64))
            .map_err(|error| failed("truncate", &segment.path(names::TIME_INDEX), error))?;
    }
    Ok(())
}

/// How many entries at the beginning are the same.
fn agreeing<const ENTRY: usize>(made: &[[u8; ENTRY]], stored: &[u8]) -> usize {
    made.iter().zip(stored.as_chunks::<ENTRY>().0).take_while(|(made, stored)| made == stored).count()
}

fn walk_headers(
    log: &dyn OpenFile,
    length: u64,
    interval: u64,
    ceiling: Option<Offset>,
    loaded: &mut Loaded,
) -> io::Result<()> {
    let mut scan = HeaderScan::new(log, loaded.size, length);
    loop {
        match scan.next() {
            Ok(Some((at, header))) if follows(loaded, &header, ceiling) => {
                take(loaded, &header, at, interval);
            }
            Ok(_) | Err(ScanError::Broken(..)) => return Ok(()),
            Err(ScanError::Io(error)) => return Err(error),
        }
    }
}

/// Bytes read at once when checksums are verified; a larger batch is read whole.
const CHUNK: usize = 1 << 20;

fn walk_batches(
    log: &dyn OpenFile,
    length: u64,
    interval: u64,
    ceiling: Option<Offset>,
    loaded: &mut Loaded,
) -> io::Result<()> {
    let mut wanted = CHUNK;
    while loaded.size < length {
        let left = usize::try_from(length - loaded.size).unwrap_or(usize::MAX);
        let mut chunk = vec![0; wanted.min(left)];
        let read = log.read_at(&mut chunk, loaded.size)?;
        chunk.truncate(read);
        let before = loaded.size;
        let mut batches = Batch::split(chunk.into());
        for batch in batches.by_ref() {
            let Ok(batch) = batch else { break };
            if !batch.crc_matches() || !follows(loaded, &batch.header, ceiling) {
                return Ok(());
            }
            let at = loaded.size;
            take(loaded, &batch.header, at, interval);
        }
        wanted = CHUNK;
        if loaded.size == before {
            // Not one whole batch in the chunk: it is larger, or the end of what is whole.
            let size = BatchHeader::parse(batches.rest()).map_or(0, |header| header.size());
            if size <= read || size > left {
                return Ok(());
            }
            wanted = size;
        }
    }
    Ok(())
}

/// Whether this batch can come next: offsets only grow, and stay below the next segment.
fn follows(loaded: &Loaded, header: &BatchHeader, ceiling: Option<Offset>) -> bool {
    header.base_offset >= loaded.end
        && header.last_offset_delta >= 0
        && header.last_offset().since(loaded.indexer.base) <= i64::from(i32::MAX)
        && ceiling.is_none_or(|ceiling| header.last_offset() < ceiling)
}

fn take(loaded: &mut Loaded, header: &BatchHeader, at: u64, interval: u64) {
    loaded.indexer.batch(header, at, interval);
    loaded.size = at + header.size() as u64;
    loaded.end = header.next_offset();
}

/// The index entries that are believed, and where the walk resumes.
struct KeptIndexes {
    indexer: Indexer,
    resume: u64,
    /// The base offset of the batch at `resume`, which no earlier batch reaches; `None` at the start of the segment.
    resume_base: Option<Offset>,
    /// What the files hold beyond what is kept.
    offsets_rest: Vec<u8>,
    times_rest: Vec<u8>,
}

impl KeptIndexes {
    /// Nothing is kept, and nothing known of what the files hold.
    fn unread(base: Offset) -> KeptIndexes {
        KeptIndexes {
            indexer: Indexer { unread: true, ..Indexer::new(base) },
            resume: 0,
            resume_base: None,
            offsets_rest: Vec::new(),
            times_rest: Vec::new(),
        }
    }

    fn read(segment: &Segment, log: &dyn OpenFile, length: u64, trust: Trust) -> io::Result<KeptIndexes> {
        let base = segment.base;
        let (Some(offsets), Some(times)) = (
            index_bytes(segment.index_file(Open::Existing))?,
            index_bytes(segment.time_file(Open::Existing))?,
        ) else {
            // Whatever there is of the other one is written over.
            return Ok(KeptIndexes::unread(base));
        };
        let (entries, last) = believed_offsets(&offsets, base, length, trust);
        let mut kept = KeptIndexes { indexer: Indexer::new(base), ..KeptIndexes::unread(base) };
        if entries > 0 {
            // An index that does not name the start of a batch is not the index of this log.
            match HeaderScan::new(log, last.position, length).next() {
                Ok(Some((_, header))) if header.base_offset >= base && header.base_offset <= last.offset => {
                    kept.resume = last.position;
                    kept.resume_base = Some(header.base_offset);
                    kept.indexer.offsets_written = entries as u64;
                }
                Ok(_) | Err(ScanError::Broken(..)) => {
                    tracing::warn!(path = %segment.path(names::INDEX).display(), "the index does not fit the log");
                    return Ok(KeptIndexes::unread(base));
                }
                Err(ScanError::Io(error)) => return Err(error),
            }
        }
        for entry in times.as_chunks::<TIME_ENTRY>().0 {
            let entry = TimeEntry::decode(*entry, base);
            let largest = kept.indexer.largest;
            let grows = entry.timestamp > largest.timestamp && entry.offset >= largest.offset;
            // What is not believed is walked again, and makes its entries again.
            if !grows || (trust != Trust::Everything && entry.offset > last.offset) {
                break;
            }
            kept.indexer.largest = entry;
            kept.indexer.last_time = Some(entry);
            kept.indexer.times_written += 1;
        }
        let times_kept = usize::try_from(kept.indexer.times_written).unwrap_or(0);
        kept.offsets_rest = offsets.get(entries * OFFSET_ENTRY..).unwrap_or_default().to_vec();
        kept.times_rest = times.get(times_kept * TIME_ENTRY..).unwrap_or_default().to_vec();
        Ok(kept)
    }
}

/// How many entries at the beginning of an offset index are in order and believed, and the last of them.
fn believed_offsets(bytes: &[u8], base: Offset, length: u64, trust: Trust) -> (usize, OffsetEntry) {
    let mut last = OffsetEntry { offset: base.plus(-1), position: 0 };
    let mut count = 0;
    for entry in bytes.as_chunks::<OFFSET_ENTRY>().0 {
        let entry = OffsetEntry::decode(*entry, base);
        let believed = match trust {
            Trust::Everything => true,
            Trust::Below(point) => entry.offset < point,
        };
        let grows = entry.offset > last.offset && entry.position > last.position;
        if !believed || !grows || entry.position >= length {
            break;
        }
        (last, count) = (entry, count + 1);
    }
    (count, last)
}

/// The largest index that is believed; Kafka's largest setting for an index is 2 GiB, the default 10 MiB.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// The whole of an index file; `None` when there is none, or one that cannot be right.
fn index_bytes(file: io::Result<std::sync::Arc<dyn OpenFile>>) -> io::Result<Option<Vec<u8>>> {
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.size()?;
    if size > INDEX_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Replaces the log of a segment by its first `length` bytes, so that whoever reads the old file can go on.
pub(super) fn replace_by_prefix(
    segment: &Segment,
    files: &dyn crate::files::Files,
    length: u64,
) -> Result<(), LogError> {
    let path = segment.path(names::LOG);
    let beside = path.with_extension(format!("{}.{}", names::LOG, names::TEMPORARY));
    let copy = || -> io::Result<()> {
        let from = files.open(&path, Open::Existing)?;
        let to = files.open(&beside, Open::OrCreate)?;
        to.truncate(0)?;
        let mut buffer = vec![0; CHUNK];
        let mut done = 0;
        while done < length {
            let wanted = usize::try_from(length - done).unwrap_or(usize::MAX).min(CHUNK);
            let target = buffer.get_mut(..wanted).unwrap_or_default();
            let read = from.read_at(target, done)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            to.write_at(&mut [IoSlice::new(target.get(..read).unwrap_or_default())], done)?;
            done += read as u64;
        }
        to.sync()?;
        files.rename(&beside, &path)
    };
    copy().map_err(|error| failed("truncate", &path, error))?;
    segment.forget_log();
    Ok(())
}
