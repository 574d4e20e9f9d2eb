//! A log in memory that loses what was not flushed when a test says so.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use crate::id::{Offset, Timestamp};
use crate::log::{
    Appended, Bounds, Log, LogData, LogError, LogSettings, ReadLimit, Rewrite, Sidecar, SidecarKind,
    Sidecars, Span,
};
use crate::record::Batch;

/// One span of batches in memory, with its sidecars. It keeps the contract of [`Log`] as far as one span can.
#[derive(Default)]
pub struct VolatileLog {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    batches: Vec<Batch>,
    sidecars: BTreeMap<Sidecar, Bytes>,
    start: Offset,
    end: Offset,
    flushed: Offset,
    flushes: usize,
    failing: bool,
}

impl VolatileLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Arc<VolatileLog> {
        Arc::new(VolatileLog::default())
    }

    /// What is left after the machine has lost power: a copy without anything that was not flushed.
    #[must_use]
    pub fn after_power_loss(&self) -> Arc<VolatileLog> {
        let state = self.state.lock();
        let kept = state.batches.iter().filter(|batch| batch.header.next_offset() <= state.flushed);
        let batches: Vec<_> = kept.cloned().collect();
        let end = batches.last().map_or(state.start, |batch| batch.header.next_offset());
        let survivor = State {
            batches,
            sidecars: state.sidecars.clone(),
            start: state.start,
            end,
            flushed: end,
            flushes: 0,
            failing: false,
        };
        Arc::new(VolatileLog { state: Mutex::new(survivor) })
    }

    /// The batches in it.
    #[must_use]
    pub fn batches(&self) -> Vec<Batch> {
        self.state.lock().batches.clone()
    }

    /// How often it was flushed.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.state.lock().flushes
    }

    /// Lets every append and flush fail from now on, as a broken disk does.
    pub fn fail(&self) {
        self.state.lock().failing = true;
    }
}

impl State {
    fn check(&self, act: &'static str) -> Result<(), LogError> {
        if !self.failing {
            return Ok(());
        }
        let source = Arc::new(std::io::Error::other("the test lets the disk fail"));
        Err(LogError::Io { act, path: PathBuf::from("memory"), source })
    }
}

impl Log for VolatileLog {
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        let mut state = self.state.lock();
        state.check("append")?;
        for batch in batches {
            assert!(batch.header.base_offset >= state.end, "offsets only grow");
            state.end = batch.header.next_offset();
            state.batches.push(batch.clone());
        }
        Ok(Appended { end: state.end, rolled: None })
    }

    fn read(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError> {
        let state = self.state.lock();
        if from < state.start || from > state.end {
            return Err(LogError::OutOfRange { from, start: state.start, end: state.end });
        }
        let mut out = BytesMut::new();
        let visible =
            |batch: &&Batch| batch.header.last_offset() >= from && batch.header.next_offset() <= limit.below;
        for (index, batch) in state.batches.iter().filter(visible).enumerate() {
            batch.encode_into(&mut out);
            if out.len() > limit.bytes {
                let whole = index == 0 && limit.whole_first_batch;
                out.truncate(if whole { out.len() } else { limit.bytes });
                break;
            }
        }
        Ok(LogData::Bytes([out.freeze()].into_iter().collect()))
    }

    fn find(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        let state = self.state.lock();
        let found = state.batches.iter().find(|batch| batch.header.max_timestamp >= timestamp);
        Ok(found.map(|batch| batch.header.base_offset))
    }

    fn spans(&self) -> Vec<Span> {
        let state = self.state.lock();
        let largest = state.batches.iter().map(|batch| batch.header.max_timestamp).max();
        vec![Span {
            base: state.start,
            end: state.end,
            bytes: state.batches.iter().map(|batch| batch.size() as u64).sum(),
            largest_timestamp: largest.unwrap_or(Timestamp::NONE),
            sealed: false,
        }]
    }

    fn bounds(&self) -> Bounds {
        let state = self.state.lock();
        Bounds { start: state.start, end: state.end, flushed: state.flushed }
    }

    fn flush(&self) -> Result<Offset, LogError> {
        let mut state = self.state.lock();
        state.check("flush")?;
        state.flushed = state.end;
        state.flushes += 1;
        Ok(state.end)
    }

    fn truncate(&self, end: Offset) -> Result<(), LogError> {
        let mut state = self.state.lock();
        state.batches.retain(|batch| batch.header.next_offset() <= end);
        state.end = state.batches.last().map_or(state.start, |batch| batch.header.next_offset());
        state.flushed = state.flushed.min(state.end);
        Ok(())
    }

    fn trim(&self, start: Offset) -> Result<(), LogError> {
        let mut state = self.state.lock();
        if start > state.start {
            state.start = start;
            state.batches.retain(|batch| batch.header.last_offset() >= start);
            state.end = state.end.max(start);
            state.flushed = state.flushed.max(start);
        }
        Ok(())
    }

    fn roll(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        // Its only span is never sealed.
        Err(LogError::Changed { from, to })
    }

    fn configure(&self, _: LogSettings) {}

    fn sidecars(&self) -> &dyn Sidecars {
        self
    }
}

impl Sidecars for VolatileLog {
    fn write(&self, sidecar: Sidecar, content: &[u8]) -> Result<(), LogError> {
        self.state.lock().sidecars.insert(sidecar, Bytes::copy_from_slice(content));
        Ok(())
    }

    fn read(&self, sidecar: Sidecar) -> Result<Option<Bytes>, LogError> {
        Ok(self.state.lock().sidecars.get(&sidecar).cloned())
    }

    fn list(&self, kind: SidecarKind) -> Vec<Offset> {
        let state = self.state.lock();
        state.sidecars.keys().filter(|sidecar| sidecar.kind == kind).map(|sidecar| sidecar.at).collect()
    }

    fn remove(&self, sidecar: Sidecar) -> Result<(), LogError> {
        self.state.lock().sidecars.remove(&sidecar);
        Ok(())
    }
}

impl fmt::Debug for VolatileLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = self.bounds();
        write!(f, "VolatileLog({}..{})", bounds.start, bounds.end)
    }
}
