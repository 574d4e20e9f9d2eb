//! What is known of compaction: the last look at the logs, the last round, what cannot be compacted.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use vltava_core::clock::Moment;
use vltava_storage::compaction::Compacted;

/// The figures of compaction.
#[derive(Debug, Default)]
pub(crate) struct CompactionMeters(Mutex<CompactionFigures>);

/// The figures at one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompactionFigures {
    /// When it was last looked which logs are due.
    pub(crate) looked: Moment,
    /// The dirty share of the dirtiest log then, 0 to 1.
    pub(crate) ratio_max: f64,
    /// For how long a round was overdue then by `max.compaction.lag.ms`.
    pub(crate) overdue_ms_max: i64,
    /// What the last round did.
    pub(crate) last: Compacted,
    /// How long it took.
    pub(crate) took: Duration,
    /// Logs that cannot be compacted and their dirty bytes, by directory.
    pub(crate) uncleanable: BTreeMap<String, (u64, u64)>,
}

impl CompactionMeters {
    /// It was looked which logs are due.
    pub(crate) fn looked(&self, now: Moment, ratio_max: f64, overdue_ms_max: i64) {
        let figures = &mut *self.0.lock();
        (figures.looked, figures.ratio_max, figures.overdue_ms_max) = (now, ratio_max, overdue_ms_max);
    }

    /// A round has ended well.
    pub(crate) fn finished(&self, done: &Compacted, took: Duration) {
        let figures = &mut *self.0.lock();
        (figures.last, figures.took) = (*done, took);
    }

    /// A log was found that cannot be compacted.
    pub(crate) fn uncleanable(&self, directory: String, bytes: u64) {
        let figures = &mut *self.0.lock();
        let (count, total) = figures.uncleanable.entry(directory).or_default();
        (*count, *total) = (*count + 1, *total + bytes);
    }

    /// All figures.
    pub(crate) fn now(&self) -> CompactionFigures {
        self.0.lock().clone()
    }
}
