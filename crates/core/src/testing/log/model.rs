//! Random histories against a plain list of batches.

use std::sync::Arc;

use super::{Reopen, all_batches, bytes_of, open, plain_batch, works};
use crate::id::{Offset, Timestamp};
use crate::log::{Log, LogSettings, LogStore, ReadLimit, Span};
use crate::record::Batch;
use crate::testing::Random;

/// Steps of one history.
const STEPS: usize = 250;

/// What the log must hold.
#[derive(Debug, Default)]
struct Model {
    batches: Vec<Batch>,
    start: Offset,
    end: Offset,
    flushed: Offset,
    clock: i64,
}

pub(super) fn run(seed: u64, store: &dyn LogStore) {
    let mut random = Random::new(seed);
    let log = open(store, draw_settings(&mut random));
    let mut model = Model { clock: 1_000_000, ..Model::default() };
    for step in 0..STEPS {
        model.step(&mut random, &*log, &format!("seed {seed} step {step}"));
    }
    model.check(&*log, &format!("seed {seed} at the end"));
}

pub(super) fn run_reopening(seed: u64, reopen: &mut Reopen) {
    let mut random = Random::new(seed);
    let settings = draw_settings(&mut random);
    let mut model = Model { clock: 1_000_000, ..Model::default() };
    for round in 0..8 {
        let place = format!("seed {seed} round {round}");
        let store: Arc<dyn LogStore> = reopen();
        let log = open(&*store, settings);
        model.come_back(&*log, &place);
        for step in 0..STEPS / 8 {
            model.step(&mut random, &*log, &format!("{place} step {step}"));
            if random.once_in(10) {
                works("maintain", store.maintain(&[]));
            }
        }
        if random.once_in(2) {
            works("close", store.close());
        } else {
            works("flush", log.flush());
        }
    }
}

fn draw_settings(random: &mut Random) -> LogSettings {
    LogSettings {
        span_bytes_max: *random.pick(&[700, 3000, 20_000]),
        span_age_ms_max: *random.pick(&[50, 5000, i64::MAX]),
        index_interval_bytes: *random.pick(&[0, 300, 4096]),
        index_bytes_max: *random.pick(&[48, 10 << 20]),
        delete_delay_ms: 0,
        ..LogSettings::default()
    }
}

impl Model {
    fn step(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        match random.below(20) {
            0..8 => self.append(random, log, place),
            8..13 => self.read(random, log, place),
            13..15 => self.find(random, log, place),
            15 => self.truncate(random, log, place),
            16 => self.trim(random, log, place),
            17 if random.once_in(2) => works(place, log.roll()),
            17 => self.rewrite(random, log, place),
            18 => self.flushed = works(place, log.flush()),
            _ => self.check(log, place),
        }
        let bounds = log.bounds();
        assert_eq!((bounds.start, bounds.end), (self.start, self.end), "bounds at {place}");
        assert!(bounds.flushed <= bounds.end, "flushed at {place}: {bounds:?}");
    }

    fn append(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        let mut batches = Vec::new();
        let mut end = self.end.0;
        for _ in 0..=random.below(4) {
            if random.once_in(15) {
                end += i64::try_from(random.below(20)).unwrap_or(0);
            }
            self.clock += i64::try_from(random.below(30)).unwrap_or(0) - 8;
            let count = 1 + i32::try_from(random.below(5)).unwrap_or(0);
            let batch = plain_batch(end, count, self.clock, random.below(200));
            end = batch.header.next_offset().0;
            batches.push(batch);
        }
        let appended = works(place, log.append(&batches));
        assert_eq!(appended.end, Offset(end), "the end of an append at {place}");
        self.batches.extend(batches);
        self.end = Offset(end);
    }

    fn read(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        let from = self.draw_offset(random, self.start);
        let below = if random.once_in(2) { self.end } else { self.draw_offset(random, self.start) };
        let bytes = *random.pick(&[0, 1, 100, 500, 3000, 1 << 20]);
        let limit = ReadLimit { below, bytes, whole_first_batch: random.once_in(2) };
        let read = bytes_of(works(place, log.read(from, limit)));
        let allowed: Vec<&Batch> = self
            .batches
            .iter()
            .skip_while(|batch| batch.header.last_offset() < from)
            .take_while(|batch| batch.header.last_offset() < below)
            .collect();
        let region: Vec<u8> = allowed.iter().flat_map(|batch| batch.to_bytes().to_vec()).collect();
        let first = allowed.first().map_or(0, |batch| batch.size());
        let most = region.len().min(if limit.whole_first_batch { bytes.max(first) } else { bytes });
        let what = format!("a read at {from} with {limit:?} at {place}");
        assert!(region.starts_with(&read), "{what}: other bytes than were appended");
        assert!(read.len() <= most, "{what}: {} bytes instead of at most {most}", read.len());
        assert!(
            read.len() >= most.min(first),
            "{what}: {} bytes, though the first batch has {first}",
            read.len()
        );
    }

    fn find(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        let back = i64::try_from(random.below(3000)).unwrap_or(0);
        let timestamp = Timestamp(self.clock + 50 - back);
        let readable = self.batches.iter().filter(|batch| batch.header.last_offset() >= self.start);
        let expected = readable
            .into_iter()
            .find(|batch| batch.header.max_timestamp >= timestamp)
            .map(|batch| batch.header.base_offset);
        assert_eq!(
            works(place, log.find(timestamp)),
            expected,
            "the first batch at or after {timestamp} at {place}"
        );
    }

    fn truncate(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        if random.once_in(2) {
            return;
        }
        let lowest = if random.once_in(10) { Offset::ZERO } else { self.start };
        let end = self.draw_offset(random, lowest.max(self.end.plus(-40)));
        works(place, log.truncate(end));
        if end < self.end {
            let removed = self.batches.iter().find(|batch| batch.header.last_offset() >= end);
            self.end = removed.map_or(end, |batch| batch.header.base_offset.min(end));
            self.batches.retain(|batch| batch.header.last_offset() < end);
            self.start = self.start.min(self.end);
            self.flushed = self.flushed.min(self.end);
        }
    }

    /// Leaves out half of the batches of some sealed spans, but not the last one.
    fn rewrite(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        let sealed: Vec<Span> = log.spans().into_iter().filter(|span| span.sealed).collect();
        let first = random.below(sealed.len());
        let count = 1 + random.below(4.min(sealed.len() - first.min(sealed.len())));
        let Some(chosen) = sealed.get(first..(first + count).min(sealed.len())) else { return };
        let (Some(one), Some(last)) = (chosen.first(), chosen.last()) else { return };
        let inside =
            |batch: &Batch| batch.header.base_offset >= one.base && batch.header.base_offset < last.end;
        let latest = self.batches.iter().rfind(|batch| inside(batch)).map(|batch| batch.header.base_offset);
        let mut kept = self.batches.clone();
        kept.retain(|batch| !inside(batch) || Some(batch.header.base_offset) == latest || random.once_in(2));
        let mut rewrite = works(place, log.rewrite(one.base, last.end));
        for batch in kept.iter().filter(|batch| inside(batch)) {
            works(place, rewrite.append(std::slice::from_ref(batch)));
        }
        if random.once_in(5) {
            return;
        }
        works(place, rewrite.commit(&[]));
        self.batches = kept;
    }

    fn trim(&mut self, random: &mut Random, log: &dyn Log, place: &str) {
        let start = match random.below(12) {
            0 => self.end,
            1 => self.end.plus(i64::try_from(random.below(50)).unwrap_or(0)),
            _ => self.draw_offset(random, self.start),
        };
        works(place, log.trim(start));
        self.start = self.start.max(start);
        self.end = self.end.max(start);
        self.forget_removed(log);
    }

    /// Batches below the first span are gone, those between it and the start only hidden.
    fn forget_removed(&mut self, log: &dyn Log) {
        let first = log.spans().first().map_or(Offset::ZERO, |span| span.base);
        self.batches.retain(|batch| batch.header.base_offset >= first);
    }

    fn check(&self, log: &dyn Log, place: &str) {
        let readable: Vec<Batch> =
            self.batches.iter().filter(|batch| batch.header.last_offset() >= self.start).cloned().collect();
        assert_eq!(all_batches(log), readable, "the whole log at {place}");
        let bytes: u64 = log.spans().iter().map(|span| span.bytes).sum();
        let expected: usize = self.batches.iter().map(Batch::size).sum();
        assert_eq!(bytes, expected as u64, "the bytes of all spans at {place}");
    }

    /// The log was opened again: nothing that was flushed may be missing. A start within a span, and an end within a
    /// gap, may have been forgotten.
    fn come_back(&mut self, log: &dyn Log, place: &str) {
        let bounds = log.bounds();
        assert!(bounds.start <= self.start, "the start at {place}: {bounds:?} after {}", self.start);
        let last = self.batches.last().map_or(Offset::ZERO, |batch| batch.header.next_offset());
        assert!(
            bounds.end <= self.end && bounds.end >= last,
            "the end at {place}: {bounds:?} after {}",
            self.end
        );
        (self.start, self.end) = (bounds.start, bounds.end);
        self.check(log, place);
    }

    fn draw_offset(&self, random: &mut Random, lowest: Offset) -> Offset {
        let width = usize::try_from(self.end.since(lowest)).unwrap_or(0);
        lowest.plus(i64::try_from(random.below(width + 1)).unwrap_or(0))
    }
}
