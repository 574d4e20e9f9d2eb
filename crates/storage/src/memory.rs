//! Logs in memory: the fake for tests, and the real thing for embedded brokers whose data may die with the process.
//!
//! Why batches are copied: a batch is a slice of the frame it came in, and would keep all of that frame alive for as
//! long as the log keeps the batch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use vltava_core::id::{DirectoryId, Offset, Timestamp, Uuid};
use vltava_core::log::{
    Appended, Bounds, Directory, Log, LogData, LogError, LogId, LogSettings, LogStore, ReadLimit, Rewrite,
    Sidecar, SidecarKind, Sidecars, Span, StoredLog,
};
use vltava_core::record::{Batch, BatchHeader};

mod rewrite;

pub(crate) use rewrite::{check_below, check_reach};

/// Logs that live as long as the store. It has one directory, which has no path and never fails.
#[derive(Debug, Default)]
pub struct MemoryStore {
    logs: Mutex<BTreeMap<LogId, (Arc<MemoryLog>, Offset)>>,
}

/// The identity of the only directory of a [`MemoryStore`].
pub const MEMORY_DIRECTORY: DirectoryId = DirectoryId(Uuid::from_u128(0x4000_0000_8000_0000_0000_0000_0001));

impl MemoryStore {
    /// A store without logs.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }
}

impl LogStore for MemoryStore {
    fn open(
        &self,
        id: &LogId,
        settings: LogSettings,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<dyn Log>, LogError> {
        if directory.is_some_and(|wanted| wanted != MEMORY_DIRECTORY) {
            return Err(LogError::Offline("logs in memory have no directory of that id".into()));
        }
        let mut logs = self.logs.lock();
        let (log, _) =
            logs.entry(id.clone()).or_insert_with(|| (Arc::new(MemoryLog::new(settings)), Offset::ZERO));
        Ok(Arc::clone(log) as Arc<dyn Log>)
    }

    fn list(&self) -> Result<Vec<StoredLog>, LogError> {
        let logs = self.logs.lock();
        Ok(logs
            .iter()
            .map(|(id, (log, high_watermark))| StoredLog {
                id: id.clone(),
                directory: MEMORY_DIRECTORY,
                bytes: log.spans().iter().map(|span| span.bytes).sum(),
                high_watermark: *high_watermark,
            })
            .collect())
    }

    fn remove(&self, id: &LogId) -> Result<(), LogError> {
        if let Some((log, _)) = self.logs.lock().remove(id) {
            log.state.lock().removed = true;
        }
        Ok(())
    }

    fn directories(&self) -> Vec<Directory> {
        vec![Directory {
            id: MEMORY_DIRECTORY,
            path: PathBuf::from("memory"),
            failure: None,
            total_bytes: None,
            usable_bytes: None,
            recovering: 0,
        }]
    }

    fn compacted(&self, id: &LogId) -> Option<Offset> {
        self.logs.lock().get(id).and_then(|(log, _)| log.state.lock().compacted)
    }

    fn note_compacted(&self, id: &LogId, end: Offset) -> Result<(), LogError> {
        if let Some((log, _)) = self.logs.lock().get(id) {
            log.state.lock().compacted = Some(end);
        }
        Ok(())
    }

    fn maintain(&self, high_watermarks: &[(LogId, Offset)]) -> Result<(), LogError> {
        let mut logs = self.logs.lock();
        for (id, offset) in high_watermarks {
            if let Some((_, known)) = logs.get_mut(id) {
                *known = *offset;
            }
        }
        Ok(())
    }

    fn close(&self) -> Result<(), LogError> {
        Ok(())
    }
}

/// A log in memory.
#[derive(Debug)]
pub struct MemoryLog {
    state: Mutex<State>,
    sidecars: MemorySidecars,
}

#[derive(Debug)]
struct State {
    settings: LogSettings,
    start: Offset,
    end: Offset,
    spans: Vec<MemorySpan>,
    removed: bool,
    compacted: Option<Offset>,
    /// Grows when batches go away.
    generation: u64,
    /// A rewrite is under way.
    rewriting: bool,
}

#[derive(Debug)]
struct MemorySpan {
    base: Offset,
    batches: Vec<Stored>,
    bytes: u64,
}

/// A batch as it would lie in a file.
#[derive(Debug)]
struct Stored {
    base: Offset,
    last: Offset,
    max_timestamp: Timestamp,
    bytes: Bytes,
}

impl MemorySpan {
    fn new(base: Offset) -> MemorySpan {
        MemorySpan { base, batches: Vec::new(), bytes: 0 }
    }

    fn largest_timestamp(&self) -> Timestamp {
        self.batches
            .iter()
            .map(|batch| batch.max_timestamp)
            .max()
            .unwrap_or(Timestamp::NONE)
            .max(Timestamp::NONE)
    }
}

impl MemoryLog {
    fn new(settings: LogSettings) -> MemoryLog {
        MemoryLog {
            state: Mutex::new(State {
                settings,
                start: Offset::ZERO,
                end: Offset::ZERO,
                spans: vec![MemorySpan::new(Offset::ZERO)],
                removed: false,
                compacted: None,
                generation: 0,
                rewriting: false,
            }),
            sidecars: MemorySidecars::default(),
        }
    }
}

impl State {
    fn check(&self) -> Result<(), LogError> {
        if self.removed { Err(LogError::Offline("the log was removed".into())) } else { Ok(()) }
    }

    /// Whether batches of so many bytes, up to this offset and timestamp, need a new span.
    fn must_roll(&self, bytes: u64, last: Offset, timestamp: Timestamp) -> bool {
        let Some(active) = self.spans.last() else { return true };
        if last.since(active.base) > i64::from(i32::MAX) {
            return true;
        }
        let Some(first) = active.batches.first() else { return false };
        active.bytes + bytes > u64::from(self.settings.span_bytes_max)
            || (first.max_timestamp.0 >= 0
                && timestamp.since(first.max_timestamp) > self.settings.span_age_ms_max)
    }

    fn roll(&mut self, base: Offset) -> bool {
        if self.spans.last().is_some_and(|active| active.base == base) {
            return false;
        }
        self.spans.push(MemorySpan::new(base));
        true
    }

    fn batches(&self) -> impl Iterator<Item = &Stored> {
        self.spans.iter().flat_map(|span| &span.batches)
    }
}

impl Log for MemoryLog {
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        let mut state = self.state.lock();
        state.check()?;
        check_order(batches, state.end)?;
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(Appended { end: state.end, rolled: None });
        };
        let bytes: u64 = batches.iter().map(|batch| batch.size() as u64).sum();
        let timestamp = batches.iter().map(|batch| batch.header.max_timestamp).max().unwrap_or_default();
        let base = first.header.base_offset;
        let rolled = state.must_roll(bytes, last.header.last_offset(), timestamp) && state.roll(base);
        if let Some(active) = state.spans.last_mut() {
            active.bytes += bytes;
            active.batches.extend(batches.iter().map(|batch| Stored {
                base: batch.header.base_offset,
                last: batch.header.last_offset(),
                max_timestamp: batch.header.max_timestamp,
                bytes: batch.to_bytes(),
            }));
        }
        state.end = last.header.next_offset();
        Ok(Appended { end: state.end, rolled: rolled.then_some(base) })
    }

    fn read(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError> {
        let state = self.state.lock();
        state.check()?;
        if from < state.start || from > state.end {
            return Err(LogError::OutOfRange { from, start: state.start, end: state.end });
        }
        let mut slices = SmallVec::new();
        let mut left = limit.bytes;
        for batch in state.batches().skip_while(|batch| batch.last < from) {
            if batch.last >= limit.below {
                break;
            }
            let whole = slices.is_empty() && limit.whole_first_batch;
            let taken = if whole { batch.bytes.len() } else { batch.bytes.len().min(left) };
            if taken == 0 {
                break;
            }
            slices.push(batch.bytes.slice(..taken));
            left = left.saturating_sub(taken);
        }
        Ok(LogData::Bytes(slices))
    }

    fn find(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        let state = self.state.lock();
        let found =
            state.batches().find(|batch| batch.max_timestamp >= timestamp && batch.last >= state.start);
        Ok(found.map(|batch| batch.base))
    }

    fn spans(&self) -> Vec<Span> {
        let state = self.state.lock();
        let ends = state.spans.iter().skip(1).map(|next| next.base).chain([state.end]);
        let last = state.spans.len().saturating_sub(1);
        let spans = state.spans.iter().zip(ends).enumerate();
        spans
            .map(|(number, (span, end))| Span {
                base: span.base,
                end,
                bytes: span.bytes,
                largest_timestamp: span.largest_timestamp(),
                sealed: number < last,
            })
            .collect()
    }

    fn bounds(&self) -> Bounds {
        let state = self.state.lock();
        Bounds { start: state.start, end: state.end, flushed: state.end }
    }

    fn flush(&self) -> Result<Offset, LogError> {
        let state = self.state.lock();
        state.check()?;
        Ok(state.end)
    }

    fn truncate(&self, end: Offset) -> Result<(), LogError> {
        let mut state = self.state.lock();
        state.check()?;
        if end >= state.end {
            return Ok(());
        }
        let cut = state.batches().find(|batch| batch.last >= end).map_or(end, |batch| batch.base.min(end));
        let first = state.spans.first().map_or(Offset::ZERO, |span| span.base);
        if cut <= first {
            state.spans = vec![MemorySpan::new(cut)];
        }
        // A span that begins at the cut goes, too: the one before it is appended to again.
        state.spans.retain(|span| span.base < cut || span.base <= first);
        if let Some(span) = state.spans.last_mut() {
            span.batches.retain(|batch| batch.last < end);
            span.bytes = span.batches.iter().map(|batch| batch.bytes.len() as u64).sum();
        }
        state.end = cut;
        state.start = state.start.min(cut);
        state.compacted = state.compacted.map(|compacted| compacted.min(cut));
        state.generation += 1;
        let kept: Vec<Offset> = state.spans.iter().map(|span| span.base).collect();
        self.sidecars.retain(|sidecar| match sidecar.kind {
            SidecarKind::ProducerSnapshot => sidecar.at <= cut,
            SidecarKind::AbortedTransactions => kept.contains(&sidecar.at),
            SidecarKind::LeaderEpochs => true,
        });
        Ok(())
    }

    fn trim(&self, start: Offset) -> Result<(), LogError> {
        let mut state = self.state.lock();
        state.check()?;
        if start <= state.start {
            return Ok(());
        }
        if start > state.end {
            state.spans = vec![MemorySpan::new(start)];
            state.end = start;
        } else {
            let end = state.end;
            if start == end {
                state.roll(end);
            }
            let kept = state.spans.partition_point(|span| span.base <= start).saturating_sub(1);
            state.spans.drain(..kept);
        }
        state.start = start;
        state.generation += 1;
        let bases: Vec<Offset> = state.spans.iter().map(|span| span.base).collect();
        let first = bases.first().copied().unwrap_or(start);
        self.sidecars.retain(|sidecar| match sidecar.kind {
            SidecarKind::ProducerSnapshot => sidecar.at >= first,
            SidecarKind::AbortedTransactions => bases.contains(&sidecar.at),
            SidecarKind::LeaderEpochs => true,
        });
        Ok(())
    }

    fn roll(&self) -> Result<(), LogError> {
        let mut state = self.state.lock();
        state.check()?;
        let end = state.end;
        state.roll(end);
        Ok(())
    }

    fn rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        self.begin_rewrite(from, to)
    }

    fn configure(&self, settings: LogSettings) {
        self.state.lock().settings = settings;
    }

    fn sidecars(&self) -> &dyn Sidecars {
        &self.sidecars
    }
}

/// What every log refuses before it writes anything.
pub(crate) fn check_order(batches: &[Batch], mut end: Offset) -> Result<(), LogError> {
    for Batch { header, body } in batches {
        if header.base_offset < end || header.last_offset_delta < 0 {
            return Err(LogError::OutOfOrder { base: header.base_offset, last: header.last_offset(), end });
        }
        let actual = BatchHeader::SIZE + body.len();
        if header.size() != actual {
            return Err(LogError::WrongLength { base: header.base_offset, claimed: header.size(), actual });
        }
        end = header.next_offset();
    }
    Ok(())
}

#[derive(Debug, Default)]
struct MemorySidecars(Mutex<BTreeMap<Sidecar, Bytes>>);

impl MemorySidecars {
    fn retain(&self, keep: impl Fn(&Sidecar) -> bool) {
        self.0.lock().retain(|sidecar, _| keep(sidecar));
    }
}

impl Sidecars for MemorySidecars {
    fn write(&self, sidecar: Sidecar, content: &[u8]) -> Result<(), LogError> {
        self.0.lock().insert(sidecar, Bytes::copy_from_slice(content));
        Ok(())
    }

    fn read(&self, sidecar: Sidecar) -> Result<Option<Bytes>, LogError> {
        Ok(self.0.lock().get(&sidecar).cloned())
    }

    fn list(&self, kind: SidecarKind) -> Vec<Offset> {
        self.0.lock().keys().filter(|sidecar| sidecar.kind == kind).map(|sidecar| sidecar.at).collect()
    }

    fn remove(&self, sidecar: Sidecar) -> Result<(), LogError> {
        self.0.lock().remove(&sidecar);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_in_memory_keep_the_contract() {
        vltava_core::testing::log_suite(&mut || Arc::new(MemoryStore::new()));
    }
}
