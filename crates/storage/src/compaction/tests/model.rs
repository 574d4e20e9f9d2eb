//! Random logs, rounds in between: what a reader can rely on stays.

use std::collections::BTreeSet;

use vltava_core::testing::{Random, replay, seeds};

use super::*;

/// Which seeds to run: a number or a range.
const SEEDS: &str = "VLTAVA_COMPACTION_SEEDS";
const SEEDS_USUAL: u64 = 60;
/// The records that so many seeds bring at least.
const RECORDS_MIN: usize = 100_000;
const KEYS: usize = 40;
const RETENTION_MS: i64 = 3000;

type Record = (Offset, Timestamp, Option<Vec<u8>>, Option<Vec<u8>>);

/// A log and what was ever appended to it.
struct World {
    log: Arc<dyn Log>,
    known: Known,
    appended: Vec<Batch>,
    sequences: BTreeMap<ProducerId, i32>,
    compacted: Offset,
    now: i64,
    records: usize,
    /// When a round first met the tombstone at this offset.
    met: BTreeMap<Offset, i64>,
}

#[test]
fn random_logs_keep_what_readers_rely_on() {
    let chosen = seeds(SEEDS, 0..SEEDS_USUAL);
    let whole = chosen.clone().count() as u64 >= SEEDS_USUAL;
    let mut records = 0;
    for seed in chosen {
        records += run(seed, &replay(SEEDS, seed));
    }
    assert!(!whole || records >= RECORDS_MIN, "only {records} records");
}

fn run(seed: u64, place: &str) -> usize {
    let mut random = Random::new(seed);
    let settings = LogSettings {
        span_bytes_max: *random.pick(&[1500, 6000, 40_000]),
        index_interval_bytes: 300,
        ..LogSettings::default()
    };
    let log = MemoryStore::new().open(&log_id(), settings, None).unwrap();
    let mut world = World {
        log,
        known: Known::default(),
        appended: Vec::new(),
        sequences: BTreeMap::new(),
        compacted: Offset::ZERO,
        now: 1_000_000,
        records: 0,
        met: BTreeMap::new(),
    };
    for round in 0..10 {
        for _ in 0..60 {
            world.append(&mut random);
        }
        world.now += i64::try_from(random.below(3000)).unwrap();
        world.round(&mut random, settings);
        world.check(&format!("{place}, round {round}"));
    }
    world.records
}

impl World {
    fn append(&mut self, random: &mut Random) {
        let producer = ProducerId(i64::try_from(random.below(5)).unwrap() - 1);
        let open = self.known.open.iter().any(|(_, owner)| *owner == producer);
        if open && random.once_in(3) {
            let result = *random.pick(&[TransactionResult::Abort, TransactionResult::Commit]);
            let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(0) };
            return self.put(marker.batch(producer, ProducerEpoch(0), Timestamp(self.now)).unwrap());
        }
        let mut builder = BatchBuilder::new(*random.pick(&[
            Compression::None,
            Compression::None,
            Compression::Lz4,
            Compression::Gzip,
        ]));
        let count = 1 + random.below(6);
        if producer.0 >= 0 {
            let sequence = self.sequences.entry(producer).or_default();
            builder = builder.producer(producer, ProducerEpoch(0), Sequence(*sequence));
            *sequence += i32::try_from(count).unwrap();
            // Producers with an odd number are transactional, and only these are.
            if producer.0 % 2 == 1 {
                builder = builder.transactional();
            }
        }
        for _ in 0..count {
            self.now += i64::try_from(random.below(5)).unwrap();
            let key = (!random.once_in(30)).then(|| format!("key {}", random.below(KEYS)));
            let value = (!random.once_in(6)).then(|| format!("value {}", random.bits()));
            let (key, value) = (key.as_deref().map(str::as_bytes), value.as_deref().map(str::as_bytes));
            builder.append(Timestamp(self.now), key, value, &[]);
        }
        self.records += count;
        self.put(builder.build().unwrap());
    }

    fn put(&mut self, mut batch: Batch) {
        batch.header.base_offset = self.log.bounds().end;
        self.log.append(std::slice::from_ref(&batch)).unwrap();
        self.known.take(&batch);
        self.appended.push(batch);
    }

    fn round(&mut self, random: &mut Random, settings: LogSettings) {
        let rules = CompactionRules {
            delete_retention_ms: RETENTION_MS,
            min_lag_ms: *random.pick(&[0, 0, 500]),
            span_bytes_max: settings.span_bytes_max,
            index_interval_bytes: settings.index_interval_bytes,
            ..CompactionRules::default()
        };
        let budget = CompactionBudget {
            map_bytes_max: *random.pick(&[24 * 20, 24 * 35, 1 << 20]),
            buffer_bytes: *random.pick(&[4096, 20_000]),
            ..CompactionBudget::default()
        };
        let stable = self.known.stable(self.log.bounds().end);
        let now = Timestamp(self.now);
        let dirt = survey(&*self.log, Some(self.compacted), stable, &rules, now).unwrap();
        let spans = self.log.spans();
        let done = compact(&*self.log, &self.known, &dirt, &rules, budget, now, &mut unlimited).unwrap();
        assert!(done.end <= dirt.to.max(dirt.from) && done.end >= self.compacted, "{dirt:?} {done:?}");
        self.compacted = done.end;
        // Spans are written anew as a whole, also when the map ends within one.
        let touched = spans.iter().rfind(|span| span.base < done.end).map_or(Offset::ZERO, |span| span.end);
        for batch in self.appended.iter().filter(|batch| batch.header.base_offset < touched) {
            for (offset, _, _, value) in records(batch) {
                if value.is_none() {
                    self.met.entry(offset).or_insert(self.now);
                }
            }
        }
    }

    fn check(&self, place: &str) {
        let stored = all_batches(&*self.log);
        assert!(stored.iter().all(Batch::crc_matches), "{place}: checksums");
        assert!(
            stored.windows(2).all(|two| two[0].header.next_offset() <= two[1].header.base_offset),
            "{place}: offsets grow"
        );
        self.check_records(&stored, place);
        self.check_keys(&stored, place);
        assert_eq!(producers(&stored), producers(&self.appended), "{place}: the last batch of each producer");
    }

    /// What is there is what was appended, and nothing aborted can be seen.
    fn check_records(&self, stored: &[Batch], place: &str) {
        let original: BTreeSet<Record> = self.appended.iter().flat_map(records).collect();
        for record in stored.iter().flat_map(records) {
            assert!(original.contains(&record), "{place}: {record:?} was not appended so");
        }
        let aborted = Known::of(&self.appended).aborted.into_inner();
        let truth: BTreeSet<Record> = visible(&self.appended, &aborted).into_iter().collect();
        for record in visible(stored, &self.known.aborted.lock()) {
            assert!(truth.contains(&record), "{place}: {record:?} was aborted");
        }
    }

    /// The last committed record of each key is there, unless it is a tombstone that had its time; and below the end of
    /// the round it is the only one.
    fn check_keys(&self, stored: &[Batch], place: &str) {
        let aborted = Known::of(&self.appended).aborted.into_inner();
        let (expected, found) =
            (visible(&self.appended, &aborted), visible(stored, &self.known.aborted.lock()));
        let last = |records: &[Record], below: Offset| -> BTreeMap<Vec<u8>, (Offset, Option<Vec<u8>>)> {
            let mut last = BTreeMap::new();
            for (offset, _, key, value) in records.iter().filter(|(offset, ..)| *offset < below) {
                if let Some(key) = key {
                    last.insert(key.clone(), (*offset, value.clone()));
                }
            }
            last
        };
        let end = self.log.bounds().end;
        for below in [self.compacted, end] {
            let now = last(&found, below);
            for (key, (offset, value)) in last(&expected, below) {
                match now.get(&key) {
                    Some(is) => assert_eq!(*is, (offset, value), "{place}: the last record of {key:?}"),
                    None => {
                        let waited = self.met.get(&offset).map(|met| self.now - met);
                        let due = waited.is_some_and(|waited| waited >= RETENTION_MS);
                        assert!(value.is_none() && due, "{place}: {offset} {key:?} is gone, {waited:?}");
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        for (offset, _, key, _) in found.iter().filter(|(offset, ..)| *offset < self.compacted) {
            assert!(key.is_some(), "{place}: {offset} has no key");
            assert!(seen.insert(key.clone()), "{place}: {key:?} is there twice");
        }
    }
}

fn records(batch: &Batch) -> Vec<Record> {
    if batch.header.is_control() {
        return Vec::new();
    }
    let records = batch.records().unwrap();
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    records
        .iter()
        .map(|record| {
            let record = record.unwrap();
            (record.offset, record.timestamp, owned(record.key), owned(record.value))
        })
        .collect()
}

/// What a reader of committed records sees below the first open transaction, as clients find it out: from the aborted
/// transactions they are told and the markers they meet.
fn visible(batches: &[Batch], aborted: &[AbortedRange]) -> Vec<Record> {
    let mut seen = Vec::new();
    let mut inside: BTreeSet<ProducerId> = BTreeSet::new();
    let mut ahead: Vec<AbortedRange> = aborted.to_vec();
    ahead.sort_unstable_by_key(|range| std::cmp::Reverse(range.first));
    let open = Known::of(batches).stable(Offset(i64::MAX));
    for batch in batches.iter().filter(|batch| batch.header.base_offset < open) {
        let header = &batch.header;
        while let Some(range) = ahead.pop_if(|range| range.first <= header.last_offset()) {
            inside.insert(range.producer);
        }
        if header.is_control() {
            let marker = EndTransactionMarker::read(batch).unwrap();
            if marker.is_some_and(|marker| marker.result == TransactionResult::Abort) {
                inside.remove(&header.producer_id);
            }
        } else if !(header.is_transactional() && inside.contains(&header.producer_id)) {
            seen.extend(records(batch));
        }
    }
    seen
}

/// The last sequence and offset of each producer, as a restart reads them from the batches.
fn producers(batches: &[Batch]) -> BTreeMap<ProducerId, (Sequence, Offset, bool)> {
    let mut last = BTreeMap::new();
    for batch in batches.iter().filter(|batch| batch.header.has_producer_id() && !batch.header.is_control()) {
        let header = &batch.header;
        last.insert(
            header.producer_id,
            (header.last_sequence(), header.last_offset(), header.is_transactional()),
        );
    }
    last
}
