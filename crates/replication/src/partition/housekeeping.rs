//! What a partition does beside serving: flushing, sidecars, forgetting. *Everything here blocks, but for what says
//! "later".*

use std::time::Duration;

use vltava_core::id::Offset;
use vltava_core::log::LogError;
use vltava_core::replicated::Watermarks;

use super::retention;
use super::{Partition, Shared};

impl Partition {
    /// Keeps house; called every few seconds: flushes when `flush.ms` is over, forgets silent producers, writes
    /// sidecars. Retention has an interval of its own, so it is [`Self::apply_retention`].
    ///
    /// # Errors
    /// [`LogError`] of the first act that failed.
    pub fn maintain(&self) -> Result<(), LogError> {
        self.flush_when_due()?;
        self.expire_producers();
        self.write_sidecars()
    }

    /// Makes everything durable that is in the log now.
    ///
    /// # Errors
    /// [`LogError`]; the partition then refuses further batches, and whoever waits for a sync is told.
    pub fn flush(&self) -> Result<Offset, LogError> {
        let result = self.log.flush();
        let mut shared = self.shared.lock();
        shared.flushed_at = self.clock.now();
        match result {
            Ok(flushed) => {
                shared.state.flushed = shared.state.flushed.max(flushed);
                shared.publish();
                Ok(flushed)
            }
            Err(error) => {
                shared.fail(&error);
                Err(error)
            }
        }
    }

    /// Writes down what a restart would otherwise have to read from the log. The log itself is closed by its store.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be written.
    pub fn close(&self) -> Result<(), LogError> {
        self.shared.lock().state.save_producers();
        self.write_sidecars()
    }

    /// Removes the spans that have outlived the topic's retention. Returns where the log starts now.
    ///
    /// # Errors
    /// [`LogError`] when they cannot be removed.
    pub fn apply_retention(&self) -> Result<Offset, LogError> {
        let settings = self.settings();
        let now = self.clock.wall();
        let _turn = self.cutting.lock();
        let spans = self.log.spans();
        let Watermarks { start, high, .. } = self.watermarks();
        let Some(trim) = retention::decide(&spans, start, high, &settings.retention, now) else {
            return Ok(start);
        };
        if trim.roll && !self.roll_at(trim.start)? {
            return Ok(start);
        }
        self.trim(trim.start)
    }

    /// Seals the span that is written to. Returns whether it ends at `end`: what was appended meanwhile is young, and stays
    /// with the span. What is known of producers is durable then: nothing else tells of them once the span is removed.
    fn roll_at(&self, end: Offset) -> Result<bool, LogError> {
        self.log.roll()?;
        self.shared.lock().state.save_producers();
        self.write_sidecars()?;
        self.flush()?;
        Ok(self.log.spans().iter().any(|span| span.base == end))
    }

    /// Moves the start of the log. With the lock of cuts held, and not that of what is shared: appends go on beside the
    /// removal of files.
    pub(super) fn trim(&self, start: Offset) -> Result<Offset, LogError> {
        if start == self.watermarks().end {
            self.roll_at(start)?;
        }
        self.log.trim(start)?;
        let mut shared = self.shared.lock();
        shared.state.trimmed(start);
        shared.publish();
        Ok(shared.state.start)
    }

    pub(super) fn write_sidecars(&self) -> Result<(), LogError> {
        let _order = self.sidecars.lock();
        let pending = std::mem::take(&mut self.shared.lock().state.pending);
        let mut failed = None;
        // Producer snapshots last: a restart believes that whatever lies below one is in the other sidecars.
        for (sidecar, content) in pending.into_iter().rev() {
            if failed.is_none() {
                match self.log.sidecars().write(sidecar, &content) {
                    Ok(()) => continue,
                    Err(error) => failed = Some(error),
                }
            }
            // Kept for the next time, unless there is newer content by now.
            self.shared.lock().state.pending.entry(sidecar).or_insert(content);
        }
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn write_sidecars_later(&self) {
        let Some(partition) = self.myself.upgrade() else { return };
        (self.background)(Box::new(move || {
            let result = partition.write_sidecars();
            partition.report("writing sidecars", result);
        }));
    }

    /// Sees to it that everything below `end` becomes durable. One flush is on its way as long as anybody waits.
    pub(super) fn flush_later(&self, shared: &mut Shared, end: Offset) {
        shared.durable_wanted = shared.durable_wanted.max(end);
        if std::mem::replace(&mut shared.flushing, true) {
            return;
        }
        let Some(partition) = self.myself.upgrade() else { return };
        (self.background)(Box::new(move || partition.flush_until_enough()));
    }

    fn flush_until_enough(&self) {
        loop {
            let result = self.flush();
            let mut shared = self.shared.lock();
            if result.is_err() || shared.state.flushed >= shared.durable_wanted {
                shared.flushing = false;
                drop(shared);
                self.report("flushing", result.map(drop));
                return;
            }
        }
    }

    fn flush_when_due(&self) -> Result<(), LogError> {
        let Some(interval) = self.settings().flush_ms else { return Ok(()) };
        let due = {
            let shared = self.shared.lock();
            let dirty = shared.state.end > shared.state.flushed && shared.state.failure.is_none();
            let waited = self.clock.now().since(shared.flushed_at);
            dirty && waited >= Duration::from_millis(u64::try_from(interval).unwrap_or(0))
        };
        if due { self.flush().map(drop) } else { Ok(()) }
    }

    fn expire_producers(&self) {
        let (expiry, now) = (self.settings().producer_expiry_ms, self.clock.wall());
        let state = &mut self.shared.lock().state;
        state.producers.expire(now, expiry);
        state.verifications.expire(now, expiry);
    }

    fn report(&self, what: &'static str, result: Result<(), LogError>) {
        if let Err(error) = result {
            tracing::error!(partition = %self.id, %error, what, "housekeeping has failed");
        }
    }
}
