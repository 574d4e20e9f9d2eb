//! Distributions of durations and sizes, in a fixed number of buckets.
//!
//! Buckets grow with the value: eight to each power of two, so a quantile is off by no more than an eighth. Recording is
//! two atomic adds. Kafka's quantiles come from a reservoir that forgets within minutes; ours are of the counts since an
//! earlier look, between [`WINDOW`] and twice that ago.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use vltava_core::clock::Moment;

/// Buckets to a power of two.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 3;
/// Values of more bits go into the last bucket: more than an hour in microseconds, more than 4 GiB.
const VALUE_BITS: u32 = 32;
const BUCKETS: usize = STEPS * (VALUE_BITS - STEP_BITS + 1) as usize;
/// How far back quantiles look, at least.
const WINDOW: Duration = Duration::from_secs(300);

/// A distribution.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
    recent: Mutex<Recent>,
}

/// The counts at two earlier looks; nothing stands for the beginning.
#[derive(Debug, Default)]
struct Recent {
    older: Option<Counts>,
    newer: Option<(Moment, Counts)>,
}

type Counts = Box<[u64]>;

/// What a histogram holds at one moment.
#[derive(Debug)]
pub(crate) struct Distribution {
    /// Since the start.
    counts: Counts,
    /// Of late.
    recent: Counts,
    /// The sum of all values since the start.
    pub(crate) sum: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            buckets: from_fn(|_| AtomicU64::new(0)),
            sum: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }
}

impl Histogram {
    pub(crate) fn record(&self, value: u64) {
        if let Some(bucket) = self.buckets.get(bucket_of(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Looks at it. Looking is what moves the window of the quantiles.
    pub(crate) fn distribution(&self, now: Moment) -> Distribution {
        let counts: Counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let mut recent = self.recent.lock();
        if recent.newer.as_ref().is_none_or(|(taken, _)| now.since(*taken) >= WINDOW) {
            recent.older = recent.newer.take().map(|(_, counts)| counts);
            recent.newer = Some((now, counts.clone()));
        }
        let since =
            |place: usize| recent.older.as_ref().and_then(|older| older.get(place)).copied().unwrap_or(0);
        let late =
            counts.iter().enumerate().map(|(place, count)| count.saturating_sub(since(place))).collect();
        Distribution { counts, recent: late, sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl Distribution {
    /// The same with a zero for each value of `all` that has none here: what is nearly always zero need not be recorded.
    pub(crate) fn among(mut self, all: &Distribution) -> Distribution {
        let missing = |of: &Counts, here: &Counts| of.iter().sum::<u64>().saturating_sub(here.iter().sum());
        let (ever, late) = (missing(&all.counts, &self.counts), missing(&all.recent, &self.recent));
        if let (Some(counts), Some(recent)) = (self.counts.first_mut(), self.recent.first_mut()) {
            *counts += ever;
            *recent += late;
        }
        self
    }

    /// How many values there are since the start.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The value below which this part of the recent values lies; `None` without any.
    pub(crate) fn quantile(&self, part: f64) -> Option<u64> {
        let total: u64 = self.recent.iter().sum();
        let rank = ((total as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        for (place, count) in self.recent.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some((lowest_of(place) + lowest_of(place + 1)) / 2);
            }
        }
        None
    }

    /// How many values since the start are at most `bound`, to the accuracy of the buckets.
    pub(crate) fn at_most(&self, bound: u64) -> u64 {
        self.counts.iter().take(bucket_of(bound) + 1).sum()
    }
}

fn bucket_of(value: u64) -> usize {
    let value = value.min((1 << VALUE_BITS) - 1);
    let bits = u64::BITS - value.leading_zeros();
    let shift = bits.saturating_sub(STEP_BITS + 1);
    // Fits: the value has 32 bits and the place is below `BUCKETS`.
    shift as usize * STEPS + (value >> shift) as usize
}

/// The smallest value of a bucket.
fn lowest_of(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    ((bucket - shift * STEPS) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_the_bucket_that_begins_at_or_below_it() {
        for value in (0..5_000).chain((12..32).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1])) {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS, "{value}");
            assert!(lowest_of(bucket) <= value && value < lowest_of(bucket + 1), "{value} in {bucket}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_was_not_recorded_counts_as_zero() {
        let (all, some) = (Histogram::default(), Histogram::default());
        (0..10).for_each(|_| all.record(100));
        some.record(50);
        let now = Moment::default();
        let seen = some.distribution(now).among(&all.distribution(now));
        assert_eq!((seen.count(), seen.sum, seen.at_most(0)), (10, 50, 9));
        assert_eq!(seen.quantile(0.5), Some(0));
    }

    #[test]
    fn quantiles_are_right_to_an_eighth_and_forget() {
        let histogram = Histogram::default();
        let at = |seconds| Moment(Duration::from_secs(seconds));
        assert_eq!(histogram.distribution(at(0)).quantile(0.5), None);
        (1..=1000).for_each(|value| histogram.record(value));
        let seen = histogram.distribution(at(1));
        for (part, exact) in [(0.001, 1), (0.5, 500), (0.99, 990), (1.0, 1000)] {
            let found = seen.quantile(part).expect("values");
            assert!(found.abs_diff(exact) <= exact / 8 + 1, "{part}: {found} for {exact}");
        }
        assert_eq!((seen.count(), seen.sum, seen.at_most(1 << 20)), (1000, 500_500, 1000));
        let _later = histogram.distribution(at(301));
        histogram.record(7);
        let seen = histogram.distribution(at(602));
        assert_eq!((seen.count(), seen.quantile(0.5)), (1001, Some(7)));
    }
}
