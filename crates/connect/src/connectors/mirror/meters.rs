//! What is counted of mirrors, under the names and labels of MirrorMaker's metrics.
//!
//! Of each partition there is what was copied, how old records were when they were read (`record-age`), and when their
//! copies were acknowledged (`replication-latency`); of each partition of a group, how long a checkpoint took. Rates are of
//! late, means and extremes since the task was started. A time may be below 0, where clocks differ.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use vltava_core::clock::Moment;
use vltava_core::meter::Meter;

use crate::connector::TopicPartition;
use crate::connector::figures::{Declared, Figure, FigureKind, Figures, FiguresError};

/// Before the names of figures of copies.
const OF_SOURCE: &str = "kafka_connect_mirror_mirrorsourceconnector_";
/// Before the names of figures of checkpoints.
const OF_CHECKPOINTS: &str = "kafka_connect_mirror_mirrorcheckpointconnector_";
/// What figures of copies are of; the topic is that of the copies.
const COPY_LABELS: &[&str; 4] = &["source", "target", "topic", "partition"];
/// What figures of checkpoints are of.
const CHECKPOINT_LABELS: &[&str; 5] = &["source", "target", "group", "topic", "partition"];
/// The most records of a partition whose copies are waited for; those before them are only counted.
const AWAITED_MAX: usize = 10_000;

/// Values of which the last, the mean and the extremes are told.
#[derive(Debug, Default)]
pub(super) struct Spread(Mutex<Option<Values>>);

#[derive(Clone, Copy, Debug)]
struct Values {
    last: i64,
    least: i64,
    most: i64,
    sum: i128,
    count: u64,
}

impl Spread {
    /// One more value.
    pub(super) fn record(&self, value: i64) {
        let mut values = self.0.lock();
        let known = values.get_or_insert(Values { last: value, least: value, most: value, sum: 0, count: 0 });
        known.last = value;
        known.least = known.least.min(value);
        known.most = known.most.max(value);
        known.sum += i128::from(value);
        known.count += 1;
    }

    fn of(&self, pick: impl Fn(Values) -> f64) -> Option<f64> {
        let values = *self.0.lock();
        values.map(pick)
    }

    fn last(&self) -> Option<f64> {
        self.of(|values| values.last as f64)
    }

    fn least(&self) -> Option<f64> {
        self.of(|values| values.least as f64)
    }

    fn most(&self) -> Option<f64> {
        self.of(|values| values.most as f64)
    }

    fn mean(&self) -> Option<f64> {
        self.of(|values| values.sum as f64 / values.count as f64)
    }
}

/// What is counted of a partition. Times are in milliseconds.
#[derive(Debug, Default)]
pub(super) struct CopyMeters {
    records: Meter,
    bytes: Meter,
    age: Spread,
    latency: Spread,
}

/// What is counted of a partition of a group: how long its checkpoints took, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct CheckpointMeters(pub(super) Spread);

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T, Moment) -> Option<f64>) -> Figure<T> {
    Figure { name, kind: FigureKind::Gauge, help, value }
}

const fn counter<T>(
    name: &'static str,
    help: &'static str,
    value: fn(&T, Moment) -> Option<f64>,
) -> Figure<T> {
    Figure { name, kind: FigureKind::Counter, help, value }
}

static COPIES: [Figure<CopyMeters>; 12] = [
    counter("record_count", "Records that were copied.", |of, _| Some(of.records.get() as f64)),
    gauge("record_rate", "Records that were copied a second, of late.", |of, now| {
        Some(of.records.per_second(now))
    }),
    gauge("record_age_ms", "How old the last record was when it was read.", |of, _| of.age.last()),
    gauge("record_age_ms_min", "How old records were when they were read, at least.", |of, _| of.age.least()),
    gauge("record_age_ms_max", "How old records were when they were read, at most.", |of, _| of.age.most()),
    gauge("record_age_ms_avg", "How old records were when they were read, on average.", |of, _| {
        of.age.mean()
    }),
    counter(
        "byte_count",
        "Bytes of values that were read to be copied.",
        |of, _| Some(of.bytes.get() as f64),
    ),
    gauge("byte_rate", "Bytes of values that were read a second, of late.", |of, now| {
        Some(of.bytes.per_second(now))
    }),
    gauge(
        "replication_latency_ms",
        "How old the last record was when its copy was acknowledged.",
        |of, _| of.latency.last(),
    ),
    gauge("replication_latency_ms_min", "How old records were when copied, at least.", |of, _| {
        of.latency.least()
    }),
    gauge("replication_latency_ms_max", "How old records were when copied, at most.", |of, _| {
        of.latency.most()
    }),
    gauge("replication_latency_ms_avg", "How old records were when copied, on average.", |of, _| {
        of.latency.mean()
    }),
];

static CHECKPOINTS: [Figure<CheckpointMeters>; 4] = [
    gauge("checkpoint_latency_ms", "How long the last checkpoint took.", |of, _| of.0.last()),
    gauge("checkpoint_latency_ms_min", "How long checkpoints took, at least.", |of, _| of.0.least()),
    gauge("checkpoint_latency_ms_max", "How long checkpoints took, at most.", |of, _| of.0.most()),
    gauge("checkpoint_latency_ms_avg", "How long checkpoints took, on average.", |of, _| of.0.mean()),
];

/// The two clusters of a mirror.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
}

/// Shows what is counted of a partition, by its copy.
pub(super) fn show_copies(
    figures: &Figures,
    Flow { source, target }: Flow<'_>,
    copy: &TopicPartition,
    of: Arc<CopyMeters>,
) -> Result<(), FiguresError> {
    let partition = copy.partition.to_string();
    let values = [source, target, &copy.topic, &partition];
    figures.named(OF_SOURCE).register(&labelled(COPY_LABELS, values), &COPIES, of)
}

/// Shows what is counted of a partition of a group, by its name at the target.
pub(super) fn show_checkpoints(
    figures: &Figures,
    Flow { source, target }: Flow<'_>,
    group: &str,
    place: &TopicPartition,
    of: Arc<CheckpointMeters>,
) -> Result<(), FiguresError> {
    let partition = place.partition.to_string();
    let values = [source, target, group, &place.topic, &partition];
    figures.named(OF_CHECKPOINTS).register(&labelled(CHECKPOINT_LABELS, values), &CHECKPOINTS, of)
}

fn labelled<'a, const N: usize>(
    names: &'static [&'static str; N],
    values: [&'a str; N],
) -> [(&'static str, &'a str); N] {
    std::array::from_fn(|at| (names[at], values[at]))
}

/// All of them.
pub(in crate::connectors) fn figures() -> impl Iterator<Item = Declared> {
    let copies = COPIES.iter().map(|figure| figure.declared(OF_SOURCE, COPY_LABELS));
    copies.chain(CHECKPOINTS.iter().map(|figure| figure.declared(OF_CHECKPOINTS, CHECKPOINT_LABELS)))
}

/// Counts the copies of a partition.
#[derive(Debug, Default)]
pub(super) struct Copied {
    meters: Arc<CopyMeters>,
    /// Offsets of records on their way, and their timestamps.
    awaited: VecDeque<(i64, i64)>,
}

impl Copied {
    /// What is counted.
    pub(super) fn meters(&self) -> Arc<CopyMeters> {
        self.meters.clone()
    }

    /// A record was read, with a value of so many bytes.
    pub(super) fn read(&mut self, offset: i64, timestamp: Option<i64>, bytes: usize, now: i64) {
        self.meters.bytes.add(bytes as u64);
        let Some(timestamp) = timestamp else { return };
        self.meters.age.record(now.saturating_sub(timestamp));
        if self.awaited.len() >= AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back((offset, timestamp));
    }

    /// The copy of a record was acknowledged.
    pub(super) fn written(&mut self, offset: i64, now: i64) {
        self.meters.records.add(1);
        if let Some((_, timestamp)) = self.passed(offset).filter(|(last, _)| *last == offset) {
            self.meters.latency.record(now.saturating_sub(timestamp));
        }
    }

    /// All up to a record has arrived, or was left out; the last of them.
    pub(super) fn passed(&mut self, offset: i64) -> Option<(i64, i64)> {
        let mut last = None;
        while let Some(first) = self.awaited.pop_front_if(|(first, _)| *first <= offset) {
            last = Some(first);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_last_the_mean_and_the_extremes() {
        let spread = Spread::default();
        assert_eq!((spread.last(), spread.least(), spread.most(), spread.mean()), (None, None, None, None));
        for value in [7, -3, 11, 5] {
            spread.record(value);
        }
        let told = [spread.last(), spread.least(), spread.most(), spread.mean()];
        assert_eq!(told, [Some(5.0), Some(-3.0), Some(11.0), Some(5.0)]);
    }

    #[test]
    fn records_that_are_left_out_are_not_waited_for() {
        let mut copied = Copied::default();
        for offset in 0..5 {
            copied.read(offset, (offset != 3).then_some(100), 2, 110);
        }
        // The first is left out by a transform.
        copied.written(1, 120);
        copied.written(2, 140);
        copied.written(3, 190);
        let meters = copied.meters();
        assert_eq!((meters.records.get(), meters.bytes.get()), (3, 10));
        let latency = (meters.latency.last(), meters.latency.least(), meters.latency.mean());
        assert_eq!(latency, (Some(40.0), Some(20.0), Some(30.0)));
        assert_eq!(meters.age.mean(), Some(10.0));
        copied.passed(4);
        assert!(copied.awaited.is_empty());
        for offset in 0..=AWAITED_MAX as i64 {
            copied.read(offset, Some(0), 0, 0);
        }
        assert_eq!(copied.awaited.front(), Some(&(1, 0)));
    }
}
