//! The two sparse indexes of a segment: offset to position, timestamp to offset.
//!
//! An `.index` entry is 8 bytes: the last offset of a batch, relative to the segment's base, and where that batch starts.
//! A `.timeindex` entry is 12 bytes: a timestamp, and the relative last offset of the batch that brought it; no batch up
//! to that one has a larger timestamp. Both are written together, once for every `index.interval.bytes` of log.

use std::io;

use vltava_core::id::{Offset, Timestamp};
use vltava_core::record::BatchHeader;

use super::segment::Patience;
use crate::files::OpenFile;

/// Bytes of an entry in `.index`.
pub(super) const OFFSET_ENTRY: usize = 8;
/// Bytes of an entry in `.timeindex`.
pub(super) const TIME_ENTRY: usize = 12;

/// That the batch which ends with `offset` starts at `position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    pub offset: Offset,
    pub position: u64,
}

/// That no batch up to `offset` has a larger timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    pub timestamp: Timestamp,
    pub offset: Offset,
}

impl OffsetEntry {
    pub(super) fn encode(self, base: Offset) -> [u8; OFFSET_ENTRY] {
        // A segment is sealed before either number outgrows its field.
        let relative = i32::try_from(self.offset.since(base)).unwrap_or(i32::MAX);
        let position = i32::try_from(self.position).unwrap_or(i32::MAX);
        let mut bytes = [0; OFFSET_ENTRY];
        let (first, second) = bytes.split_at_mut(4);
        first.copy_from_slice(&relative.to_be_bytes());
        second.copy_from_slice(&position.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: [u8; OFFSET_ENTRY], base: Offset) -> OffsetEntry {
        let both = i64::from_be_bytes(bytes);
        OffsetEntry {
            offset: base.plus(both >> 32),
            // A negative position becomes one beyond every file, and is refused as such.
            position: u64::from((both & 0xffff_ffff) as u32),
        }
    }
}

impl TimeEntry {
    pub(super) fn encode(self, base: Offset) -> [u8; TIME_ENTRY] {
        let relative = i32::try_from(self.offset.since(base)).unwrap_or(i32::MAX);
        let mut bytes = [0; TIME_ENTRY];
        let (first, second) = bytes.split_at_mut(8);
        first.copy_from_slice(&self.timestamp.0.to_be_bytes());
        second.copy_from_slice(&relative.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: [u8; TIME_ENTRY], base: Offset) -> TimeEntry {
        let [a, b, c, d, e, f, g, h, relative @ ..] = bytes;
        TimeEntry {
            timestamp: Timestamp(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            offset: base.plus(i64::from(i32::from_be_bytes(relative))),
        }
    }
}

/// Makes the index entries of the segment that is appended to, and holds those that are not yet in its files.
#[derive(Debug)]
pub(super) struct Indexer {
    pub base: Offset,
    /// Entries in the files.
    pub offsets_written: u64,
    pub times_written: u64,
    /// Entries still to be written, in order.
    pub offsets: Vec<OffsetEntry>,
    pub times: Vec<TimeEntry>,
    /// The last time entry, written or not.
    pub last_time: Option<TimeEntry>,
    /// The largest timestamp so far and the last offset of the first batch that had it.
    pub largest: TimeEntry,
    pub bytes_since_entry: u64,
    /// The files have not been looked at, and may hold anything; what is written starts at their beginning.
    pub unread: bool,
}

impl Indexer {
    pub(super) fn new(base: Offset) -> Indexer {
        Indexer {
            base,
            offsets_written: 0,
            times_written: 0,
            offsets: Vec::new(),
            times: Vec::new(),
            last_time: None,
            largest: TimeEntry { timestamp: Timestamp::NONE, offset: base },
            bytes_since_entry: 0,
            unread: false,
        }
    }

    /// Takes note of a batch at `position`.
    pub(super) fn batch(&mut self, header: &BatchHeader, position: u64, interval: u64) {
        let last = header.last_offset();
        if header.max_timestamp > self.largest.timestamp {
            self.largest = TimeEntry { timestamp: header.max_timestamp, offset: last };
        }
        if self.bytes_since_entry > interval {
            self.offsets.push(OffsetEntry { offset: last, position });
            self.note_time();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += header.size() as u64;
    }

    /// Adds an entry for the largest timestamp, unless the last one says as much.
    pub(super) fn note_time(&mut self) {
        let last = self.last_time.map_or(Timestamp::NONE, |entry| entry.timestamp);
        if self.largest.timestamp > last {
            self.times.push(self.largest);
            self.last_time = Some(self.largest);
        }
    }

    /// Whether the next batch must go to another segment, because an index may hold no more entries. The last place of
    /// the time index is kept for the entry that is written when the segment is sealed.
    pub(super) fn is_full(&self, index_bytes_max: u32) -> bool {
        let most = u64::from(index_bytes_max);
        self.offset_entries() >= most / OFFSET_ENTRY as u64
            || self.time_entries() + 1 >= most / TIME_ENTRY as u64
    }

    /// The offset entries that are not yet written, as they stand in the file.
    pub(super) fn offset_bytes(&self) -> Vec<u8> {
        self.offsets.iter().flat_map(|entry| entry.encode(self.base)).collect()
    }

    /// The time entries that are not yet written, as they stand in the file.
    pub(super) fn time_bytes(&self) -> Vec<u8> {
        self.times.iter().flat_map(|entry| entry.encode(self.base)).collect()
    }

    fn offset_entries(&self) -> u64 {
        self.offsets_written + self.offsets.len() as u64
    }

    fn time_entries(&self) -> u64 {
        self.times_written + self.times.len() as u64
    }

    /// The last entry at or below `offset`, among those not yet written.
    pub(super) fn floor(&self, offset: Offset) -> Option<OffsetEntry> {
        let after = self.offsets.partition_point(|entry| entry.offset <= offset);
        self.offsets.get(after.checked_sub(1)?).copied()
    }

    /// The last time entry below `timestamp`, among those not yet written.
    pub(super) fn time_floor(&self, timestamp: Timestamp) -> Option<TimeEntry> {
        let after = self.times.partition_point(|entry| entry.timestamp < timestamp);
        self.times.get(after.checked_sub(1)?).copied()
    }
}

/// The last of the first `count` entries of an index file that is `below` what is looked for; entries are in order.
///
/// Reads a page at a time: some 9 short reads for the largest index there is by default.
pub(super) fn last_where<const ENTRY: usize>(
    file: &dyn OpenFile,
    patience: Patience,
    count: u64,
    below: impl Fn([u8; ENTRY]) -> bool,
) -> io::Result<Option<[u8; ENTRY]>> {
    const PAGE: usize = 4096;
    let page_entries = (PAGE / ENTRY) as u64;
    // Entries before `low` are below; the entry at `high`, if any, is not.
    let (mut low, mut high) = (0, count);
    while high - low > page_entries {
        let middle = low + (high - low) / 2;
        let mut entry = [0; ENTRY];
        if patience.read(file, &mut entry, middle * ENTRY as u64)? < ENTRY {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if below(entry) { low = middle } else { high = middle }
    }
    let mut page = [0; PAGE];
    let wanted = usize::try_from(high - low).unwrap_or(0) * ENTRY;
    let target = page.get_mut(..wanted).ok_or(io::ErrorKind::UnexpectedEof)?;
    if patience.read(file, target, low * ENTRY as u64)? < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (entries, _) = target.as_chunks::<ENTRY>();
    let after = entries.partition_point(|entry| below(*entry));
    Ok(after.checked_sub(1).and_then(|last| entries.get(last)).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_survive_their_bytes() {
        let base = Offset(1 << 40);
        let entry = OffsetEntry { offset: base.plus(70_000), position: 123_456_789 };
        assert_eq!(OffsetEntry::decode(entry.encode(base), base), entry);
        assert_eq!(entry.encode(base), [0, 1, 0x11, 0x70, 0x07, 0x5b, 0xcd, 0x15]);
        let time = TimeEntry { timestamp: Timestamp(1_700_000_000_000), offset: base.plus(3) };
        assert_eq!(TimeEntry::decode(time.encode(base), base), time);
        assert_eq!(&time.encode(base)[8..], [0, 0, 0, 3]);
    }
}
