//! A log in memory that rolls after so many batches, fails on demand and forgets what was not flushed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{
    Appended, Bounds, Log, LogData, LogError, LogSettings, ReadLimit, Rewrite, Sidecar, SidecarKind,
    Sidecars, Span,
};
use vltava_core::record::Batch;

#[derive(Debug, Default)]
pub(super) struct FakeLog {
    inner: Mutex<Inner>,
    beside_cuts: Mutex<BesideCuts>,
}

/// What happens while the log is trimmed or rolled.
#[derive(Default)]
struct BesideCuts(Option<Box<dyn Fn() + Send>>);

impl std::fmt::Debug for BesideCuts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BesideCuts({})", self.0.is_some())
    }
}

#[derive(Debug)]
struct Inner {
    batches: Vec<Batch>,
    span_bases: Vec<Offset>,
    batches_per_span: usize,
    bounds: Bounds,
    sidecars: BTreeMap<Sidecar, Bytes>,
    /// The next append or flush fails, and with it everything after.
    failing: bool,
    failed: bool,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            batches: Vec::new(),
            span_bases: vec![Offset::ZERO],
            batches_per_span: 4,
            bounds: Bounds { start: Offset::ZERO, end: Offset::ZERO, flushed: Offset::ZERO },
            sidecars: BTreeMap::new(),
            failing: false,
            failed: false,
        }
    }
}

impl FakeLog {
    pub(super) fn fail_next(&self) {
        self.inner.lock().failing = true;
    }

    /// Has this done at the beginning of each trim and roll.
    pub(super) fn beside_cuts(&self, act: impl Fn() + Send + 'static) {
        self.beside_cuts.lock().0 = Some(Box::new(act));
    }

    fn cutting(&self) {
        if let Some(act) = &self.beside_cuts.lock().0 {
            act();
        }
    }

    /// Loses the batches at or above `kept`, but none that was flushed; returns the end.
    pub(super) fn crash(&self, kept: Offset) -> Offset {
        let mut inner = self.inner.lock();
        let end = kept.max(inner.bounds.flushed);
        inner.cut(end);
        inner.bounds.end
    }

    pub(super) fn lose_sidecars(&self) {
        self.inner.lock().sidecars.clear();
    }

    pub(super) fn sidecar(&self, kind: SidecarKind, at: i64) -> Option<Bytes> {
        self.inner.lock().sidecars.get(&Sidecar { kind, at: Offset(at) }).cloned()
    }

    pub(super) fn damage(&self, kind: SidecarKind, at: i64) {
        self.inner
            .lock()
            .sidecars
            .insert(Sidecar { kind, at: Offset(at) }, Bytes::from_static(b"\xff\xff\xff"));
    }
}

impl Inner {
    fn cut(&mut self, end: Offset) {
        self.batches.retain(|batch| batch.header.next_offset() <= end);
        self.bounds.end = self.batches.last().map_or(self.bounds.start, |last| last.header.next_offset());
        self.bounds.flushed = self.bounds.flushed.min(self.bounds.end);
        let end = self.bounds.end;
        self.span_bases.retain(|base| *base <= end);
        if self.span_bases.is_empty() {
            self.span_bases.push(end);
        }
    }

    fn check(&mut self, act: &'static str) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Offline("the disk has failed".to_owned()));
        }
        if std::mem::take(&mut self.failing) {
            self.failed = true;
            let source = Arc::new(io::Error::other("no space left on device"));
            return Err(LogError::Io { act, path: PathBuf::from("fake"), source });
        }
        Ok(())
    }

    fn in_last_span(&self) -> usize {
        let base = *self.span_bases.last().unwrap();
        self.batches.iter().filter(|batch| batch.header.base_offset >= base).count()
    }
}

impl Log for FakeLog {
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        let mut inner = self.inner.lock();
        inner.check("append")?;
        let mut rolled = None;
        for batch in batches {
            assert!(batch.header.base_offset >= inner.bounds.end, "offsets only grow");
            if inner.in_last_span() >= inner.batches_per_span {
                let base = inner.bounds.end;
                inner.span_bases.push(base);
                rolled = Some(base);
            }
            inner.bounds.end = batch.header.next_offset();
            inner.batches.push(batch.clone());
        }
        Ok(Appended { end: inner.bounds.end, rolled })
    }

    fn read(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError> {
        let inner = self.inner.lock();
        let Bounds { start, end, .. } = inner.bounds;
        if from < start || from > end {
            return Err(LogError::OutOfRange { from, start, end });
        }
        let mut out = BytesMut::new();
        for batch in inner.batches.iter().filter(|batch| batch.header.next_offset() > from) {
            if batch.header.next_offset() > limit.below {
                break;
            }
            let first = out.is_empty() && limit.whole_first_batch;
            batch.encode_into(&mut out);
            if out.len() > limit.bytes {
                if !first {
                    out.truncate(limit.bytes);
                }
                break;
            }
        }
        let half = out.len() / 2;
        let tail = out.split_off(half);
        Ok(LogData::Bytes([out.freeze(), tail.freeze()].into_iter().collect()))
    }

    fn find(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        let inner = self.inner.lock();
        let found = inner.batches.iter().find(|batch| batch.header.max_timestamp >= timestamp);
        Ok(found.map(|batch| batch.header.base_offset))
    }

    fn spans(&self) -> Vec<Span> {
        let inner = self.inner.lock();
        let ends = inner.span_bases.iter().skip(1).copied().chain([inner.bounds.end]);
        let span = |(base, end): (&Offset, Offset)| {
            let within =
                |batch: &&Batch| batch.header.base_offset >= *base && batch.header.next_offset() <= end;
            let batches = || inner.batches.iter().filter(within);
            Span {
                base: *base,
                end,
                bytes: batches().map(|batch| batch.size() as u64).sum(),
                largest_timestamp: batches()
                    .map(|batch| batch.header.max_timestamp)
                    .max()
                    .unwrap_or(Timestamp::NONE),
                sealed: base != inner.span_bases.last().unwrap(),
            }
        };
        inner.span_bases.iter().zip(ends).map(span).collect()
    }

    fn bounds(&self) -> Bounds {
        self.inner.lock().bounds
    }

    fn flush(&self) -> Result<Offset, LogError> {
        let mut inner = self.inner.lock();
        inner.check("flush")?;
        inner.bounds.flushed = inner.bounds.end;
        Ok(inner.bounds.end)
    }

    fn truncate(&self, end: Offset) -> Result<(), LogError> {
        let mut inner = self.inner.lock();
        inner.bounds.start = inner.bounds.start.min(end);
        inner.cut(end);
        Ok(())
    }

    fn trim(&self, start: Offset) -> Result<(), LogError> {
        self.cutting();
        let mut inner = self.inner.lock();
        if start <= inner.bounds.start {
            return Ok(());
        }
        inner.bounds.start = start;
        inner.bounds.end = inner.bounds.end.max(start);
        let below = inner.span_bases.partition_point(|base| *base <= start).saturating_sub(1);
        let first = inner.span_bases[below];
        inner.span_bases.drain(..below);
        inner.batches.retain(|batch| batch.header.base_offset >= first);
        inner.sidecars.retain(|sidecar, _| sidecar.kind == SidecarKind::LeaderEpochs || sidecar.at >= first);
        Ok(())
    }

    fn roll(&self) -> Result<(), LogError> {
        self.cutting();
        let mut inner = self.inner.lock();
        if inner.in_last_span() > 0 {
            let base = inner.bounds.end;
            inner.span_bases.push(base);
        }
        Ok(())
    }

    fn rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        Err(LogError::Changed { from, to })
    }

    fn configure(&self, _settings: LogSettings) {}

    fn sidecars(&self) -> &dyn Sidecars {
        self
    }
}

impl Sidecars for FakeLog {
    fn write(&self, sidecar: Sidecar, content: &[u8]) -> Result<(), LogError> {
        self.inner.lock().sidecars.insert(sidecar, Bytes::copy_from_slice(content));
        Ok(())
    }

    fn read(&self, sidecar: Sidecar) -> Result<Option<Bytes>, LogError> {
        Ok(self.inner.lock().sidecars.get(&sidecar).cloned())
    }

    fn list(&self, kind: SidecarKind) -> Vec<Offset> {
        self.inner
            .lock()
            .sidecars
            .keys()
            .filter(|sidecar| sidecar.kind == kind)
            .map(|sidecar| sidecar.at)
            .collect()
    }

    fn remove(&self, sidecar: Sidecar) -> Result<(), LogError> {
        self.inner.lock().sidecars.remove(&sidecar);
        Ok(())
    }
}
