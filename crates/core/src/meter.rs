//! What is counted: numbers that only grow, how fast they grow, how many of something there are, and how large values are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Moment;

/// How far back a rate looks, at least.
const WINDOW: Duration = Duration::from_secs(30);

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// So many more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// How many since the start.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How fast a number grows: by how much a second since an earlier look, as a rule between [`WINDOW`] and twice that ago.
/// Looking is what moves the window.
#[derive(Debug, Default)]
pub struct Rate(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    older: (Moment, f64),
    newer: (Moment, f64),
}

impl Rate {
    /// The growth a second of a number that is `value` now. It was 0 at the start.
    pub fn of(&self, value: f64, now: Moment) -> f64 {
        let mut looks = self.0.lock();
        if now.since(looks.newer.0) >= WINDOW {
            looks.older = std::mem::replace(&mut looks.newer, (now, value));
        }
        let (since, before) = looks.older;
        (value - before) / now.since(since).max(WINDOW).as_secs_f64()
    }
}

/// A counter whose rate is told, too.
#[derive(Debug, Default)]
pub struct Meter {
    count: Counter,
    rate: Rate,
}

impl Meter {
    /// So many more.
    pub fn add(&self, amount: u64) {
        self.count.add(amount);
    }

    /// How many since the start.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.count.get()
    }

    /// How many a second, of late.
    pub fn per_second(&self, now: Moment) -> f64 {
        self.rate.of(self.get() as f64, now)
    }
}

/// Of many values since the start: how many there were, their sum and the largest.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicU64,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Tally {
    /// One more value.
    pub fn record(&self, value: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
        self.max.fetch_max(value, Ordering::Relaxed);
    }

    /// One more duration, in microseconds.
    pub fn record_time(&self, took: Duration) {
        self.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The mean and the largest; nothing before there was a value.
    #[must_use]
    pub fn mean_and_max(&self) -> Option<(f64, f64)> {
        let count = Some(self.count()).filter(|count| *count > 0)?;
        let mean = self.sum.load(Ordering::Relaxed) as f64 / count as f64;
        Some((mean, self.max.load(Ordering::Relaxed) as f64))
    }
}

/// How many of something there are.
#[derive(Debug, Default)]
pub struct Population(Arc<AtomicUsize>);

/// Some of a population, for as long as this lives.
#[derive(Debug)]
pub struct Members {
    population: Arc<AtomicUsize>,
    count: usize,
}

impl Population {
    /// So many more.
    #[must_use = "they are counted for as long as this lives"]
    pub fn join(&self, count: usize) -> Members {
        self.0.fetch_add(count, Ordering::Relaxed);
        Members { population: self.0.clone(), count }
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.population.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// Requests that wait for something else to happen: what Kafka's purgatories hold.
#[derive(Debug, Default)]
pub struct Delayed {
    requests: Population,
    partitions: Population,
}

impl Delayed {
    /// A request waits for so many partitions, for as long as both live.
    #[must_use = "they are counted for as long as these live"]
    pub fn wait(&self, partitions: usize) -> (Members, Members) {
        (self.requests.join(1), self.partitions.join(partitions))
    }

    /// How many requests wait.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.get()
    }

    /// How many partitions they wait for, each as often as it is waited for.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_late() {
        let meter = Meter::default();
        let at = |seconds| Moment(Duration::from_secs(seconds));
        for (second, more, rate) in
            [(3, 30, 1.0), (30, 30, 2.0), (59, 58, 2.0), (60, 2, 2.0), (90, 0, 0.0), (150, 120, 2.0)]
        {
            meter.add(more);
            let seen = meter.per_second(at(second));
            assert!((seen - rate).abs() < 1e-9, "at {second}: {seen}");
        }
        assert_eq!(meter.get(), 240);
    }

    #[test]
    fn a_tally_has_a_mean_and_a_largest_value() {
        let tally = Tally::default();
        assert_eq!(tally.mean_and_max(), None);
        tally.record_time(Duration::from_millis(3));
        tally.record(1000);
        assert_eq!((tally.count(), tally.mean_and_max()), (2, Some((2000.0, 3000.0))));
    }

    #[test]
    fn those_who_wait_are_counted_while_they_do() {
        let delayed = Delayed::default();
        let first = delayed.wait(3);
        let second = delayed.wait(0);
        assert_eq!((delayed.requests(), delayed.partitions()), (2, 3));
        drop(first);
        assert_eq!((delayed.requests(), delayed.partitions()), (1, 0));
        drop(second);
        assert_eq!((delayed.requests(), delayed.partitions()), (0, 0));
    }
}
