//! A loss of power at every step of a round: the last record of each key is there, whichever spans were replaced.

use std::path::Path;

use vltava_core::id::BrokerId;
use vltava_core::testing::{ManualClock, Random};

use super::*;
use crate::files::SeededDisk;
use crate::segments::{SegmentStore, SegmentStoreOptions};

/// The last record of each key: its offset and value.
type Replayed = BTreeMap<Vec<u8>, (Offset, Vec<u8>)>;

fn settings() -> LogSettings {
    LogSettings {
        span_bytes_max: 1200,
        index_interval_bytes: 200,
        delete_delay_ms: 0,
        ..LogSettings::default()
    }
}

fn open(disk: &SeededDisk) -> (SegmentStore, Arc<dyn Log>) {
    let options = SegmentStoreOptions::new(vec![Path::new("/data").into()], BrokerId(1), 7);
    let store =
        SegmentStore::open(options, Arc::new(disk.clone()), Arc::new(ManualClock::default())).unwrap();
    let log = store.open(&log_id(), settings(), None).unwrap();
    (store, log)
}

fn replayed(log: &dyn Log) -> Replayed {
    let mut last = BTreeMap::new();
    for batch in all_batches(log) {
        assert!(batch.crc_matches());
        let records = batch.records().unwrap();
        for record in &records {
            let record = record.unwrap();
            last.insert(record.key.unwrap().to_vec(), (record.offset, record.value.unwrap().to_vec()));
        }
    }
    last
}

/// Fills a log, flushed; returns how many steps a whole round takes when it may.
fn scenario(seed: u64, crash_after: Option<u64>) -> (SeededDisk, Replayed, u64) {
    let mut random = Random::new(seed);
    let disk = SeededDisk::new(seed);
    let (store, log) = open(&disk);
    for number in 0..120 {
        let key = random.below(9);
        log.append(&[batch_of(&format!("{} k{key}={} l=2", number * 2, random.bits()))]).unwrap();
    }
    log.flush().unwrap();
    let expected = replayed(&*log);
    let before = disk.steps();
    if let Some(steps) = crash_after {
        disk.crash_at(before + steps);
    }
    let rules = CompactionRules { span_bytes_max: 4000, ..CompactionRules::default() };
    let dirt = survey(&*log, None, log.bounds().end, &rules, Timestamp(1)).unwrap();
    let budget = CompactionBudget::default();
    let round = compact(&*log, &NoProducers, &dirt, &rules, budget, Timestamp(1), &mut unlimited);
    if crash_after.is_none() {
        let done = round.unwrap();
        store.note_compacted(&log_id(), done.end).unwrap();
        assert!(log.spans().len() < 6, "{:?}", log.spans());
        assert_eq!(replayed(&*log), expected);
        return (disk.clone(), expected, disk.steps() - before);
    }
    assert!(disk.crashed(), "step {crash_after:?} was reached");
    (disk, expected, 0)
}

#[test]
fn no_crash_point_of_a_round_loses_a_key() {
    let (_, _, steps) = scenario(0, None);
    assert!(steps > 80, "{steps} steps");
    let mut thinner = 0;
    for step in 1..=steps - 1 {
        for seed in 0..4 {
            let (disk, expected, _) = scenario(seed * 1000 + step, Some(step % 70 + 1));
            disk.lose_power();
            for again in 0..2 {
                let (store, log) = open(&disk);
                assert_eq!(replayed(&*log), expected, "step {step} seed {seed}, opened {again} times before");
                thinner += u64::from(all_batches(&*log).len() < 120);
                log.append(&[batch_of("500 m=1")]).unwrap();
                log.truncate(Offset(500)).unwrap();
                store.close().unwrap();
                drop((store, log));
                disk.kill_process();
            }
        }
    }
    assert!(thinner > steps, "some crashes come after a replacement: {thinner} of {steps}");
}
