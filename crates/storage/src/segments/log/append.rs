//! Appending: into which segment, and the one write.
//!
//! Why a new segment's file is made under the lock, by the append that needs it: its name is the offset of its first record,
//! which nobody knows before. A file that was prepared beside would have to be renamed at that moment, which is a change of
//! the folder, too. Measured on ext4, in microseconds: making takes 25 and renaming 18 as a median. While other programs
//! write, making takes 800, and one in a hundred 17,000 to 28,000; but then one in a thousand writes of 16 KiB waits for
//! 2,000 to 28,000, and there are 65,000 of those to a segment of 1 GiB.

use std::io::IoSlice;
use std::sync::Arc;

use smallvec::SmallVec;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{Appended, LogError, LogSettings};
use vltava_core::record::{Batch, BatchHeader};

use super::{Active, Sealed, SegmentLog, Shared, State};
use crate::files::{Open, OpenFile};
use crate::memory::check_order;
use crate::segments::names;
use crate::segments::segment::{Segment, failed};

/// The largest segment: positions in an index have 31 bits.
pub(super) const SEGMENT_BYTES_MAX: u64 = i32::MAX as u64;
/// Batches of one append whose headers are encoded on the stack; more of them take one allocation.
const STACK_BATCHES: usize = 16;

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
    pub(super) fn append_batches(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_writable(state)?;
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
    pub(super) fn start_segment(&self, state: &mut State, base: Offset) -> Result<(), LogError> {
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
    pub(super) fn age_ms_max(&self, settings: &LogSettings) -> i64 {
        age_ms_max(&self.shared, settings)
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

pub(super) fn age_ms_max(shared: &Shared, settings: &LogSettings) -> i64 {
    let jitter_max = settings.span_age_jitter_ms_max.min(settings.span_age_ms_max);
    let jitter = match u64::try_from(jitter_max) {
        Ok(bound) if bound > 0 => i64::try_from(shared.random.lock().below(bound)).unwrap_or(0),
        _ => 0,
    };
    settings.span_age_ms_max - jitter
}

/// Headers from the stack and bodies from where they are, in one vectored write.
pub(super) fn write_batches(file: &dyn OpenFile, batches: &[Batch], position: u64) -> std::io::Result<()> {
    let headers: SmallVec<[[u8; BatchHeader::SIZE]; STACK_BATCHES]> =
        batches.iter().map(|batch| batch.header.to_bytes()).collect();
    let mut slices: SmallVec<[IoSlice<'_>; STACK_BATCHES * 2]> = SmallVec::new();
    for (header, batch) in headers.iter().zip(batches) {
        slices.push(IoSlice::new(header));
        slices.push(IoSlice::new(&batch.body));
    }
    file.write_at(&mut slices, position)
}
