//! Replacing spans in memory.

use std::ops::Range;

use vltava_core::id::Offset;
use vltava_core::log::{LogError, Rewrite, Sidecar, SidecarKind, Sidecars};
use vltava_core::record::Batch;

use super::{MemoryLog, MemorySpan, State, Stored, check_order};

/// The new span, as far as it is written.
struct MemoryRewrite<'a> {
    log: &'a MemoryLog,
    from: Offset,
    to: Offset,
    generation: u64,
    span: MemorySpan,
    end: Offset,
}

impl State {
    /// The places of the sealed spans from `from` to `to`.
    fn sealed_within(&self, from: Offset, to: Offset) -> Option<Range<usize>> {
        let place = |base| self.spans.iter().position(|span| span.base == base);
        let (first, after) = (place(from)?, place(to)?);
        (first < after).then_some(first..after)
    }
}

impl MemoryLog {
    pub(super) fn begin_rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        let mut state = self.state.lock();
        state.check()?;
        if state.rewriting || state.sealed_within(from, to).is_none() {
            return Err(LogError::Changed { from, to });
        }
        state.rewriting = true;
        let (generation, span) = (state.generation, MemorySpan::new(from));
        Ok(Box::new(MemoryRewrite { log: self, from, to, generation, span, end: from }))
    }
}

impl Rewrite for MemoryRewrite<'_> {
    fn append(&mut self, batches: &[Batch]) -> Result<(), LogError> {
        check_order(batches, self.end)?;
        check_below(batches, self.to)?;
        for batch in batches {
            self.end = batch.header.next_offset();
            self.span.bytes += batch.size() as u64;
            self.span.batches.push(Stored {
                base: batch.header.base_offset,
                last: batch.header.last_offset(),
                max_timestamp: batch.header.max_timestamp,
                bytes: batch.to_bytes(),
            });
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>, aborted: &[u8]) -> Result<(), LogError> {
        let (from, to) = (self.from, self.to);
        let span = std::mem::replace(&mut self.span, MemorySpan::new(from));
        let mut state = self.log.state.lock();
        state.check()?;
        let places = state.sealed_within(from, to).filter(|_| state.generation == self.generation);
        let places = places.ok_or(LogError::Changed { from, to })?;
        let old = state.spans.get(places.clone()).unwrap_or_default();
        check_reach(
            old.iter().filter(|span| span.bytes > 0).map(|span| span.base).next_back(),
            self.end,
            to,
        )?;
        state.spans.splice(places, [span]);
        self.log.sidecars.retain(|sidecar| match sidecar.kind {
            SidecarKind::ProducerSnapshot => sidecar.at <= from || sidecar.at >= to,
            SidecarKind::AbortedTransactions => sidecar.at < from || sidecar.at >= to,
            SidecarKind::LeaderEpochs => true,
        });
        if aborted.is_empty() {
            return Ok(());
        }
        self.log.sidecars.write(Sidecar { kind: SidecarKind::AbortedTransactions, at: from }, aborted)
    }
}

impl Drop for MemoryRewrite<'_> {
    fn drop(&mut self) {
        self.log.state.lock().rewriting = false;
    }
}

/// Batches of a rewrite stay within its range.
pub(crate) fn check_below(batches: &[Batch], to: Offset) -> Result<(), LogError> {
    match batches.last() {
        Some(batch) if batch.header.next_offset() > to => {
            let (base, last) = (batch.header.base_offset, batch.header.last_offset());
            Err(LogError::OutOfOrder { base, last, end: to })
        }
        _ => Ok(()),
    }
}

/// What ends at `end` reaches into the last old span that holds anything.
pub(crate) fn check_reach(last_base: Option<Offset>, end: Offset, to: Offset) -> Result<(), LogError> {
    match last_base {
        Some(base) if end <= base => Err(LogError::OutOfOrder { base, last: end.plus(-1), end: to }),
        _ => Ok(()),
    }
}
