//! The suite of the replication seam: run it on a [`ReplicatedLog`] of your own to know that it keeps the contract of
//! [`crate::replicated`].

use std::sync::Arc;

use super::{Random, bytes_of};
use crate::id::{LeaderEpoch, Offset, Timestamp};
use crate::record::{Batch, BatchBuilder, Compression};
use crate::replicated::{
    CommitError, Isolation, Origin, PlaceError, PlaceTerms, Placed, ReadError, ReadTerms, ReplicatedLog,
    Watermarks,
};

/// A log that leads.
pub struct Led {
    /// The log.
    pub log: Arc<dyn ReplicatedLog>,
    /// Returns once this batch is committed.
    pub settle: Box<dyn Fn(Placed)>,
}

/// How many random histories the suite runs.
const HISTORIES: u64 = 24;

/// Checks a kind of replicated log; `fresh` makes one that leads.
///
/// # Panics
/// When the log breaks the contract.
pub fn replicated_suite(fresh: &mut dyn FnMut() -> Led) {
    placed_offsets_are_consecutive(&fresh());
    stale_expectations_are_refused(&fresh());
    readers_stay_within_what_they_may_see(&fresh());
    for seed in 0..HISTORIES {
        committed_batches_read_back(seed, &fresh());
    }
}

/// Checks what a log does when its leadership is taken away, by `depose`; `fresh` makes one that leads.
///
/// # Panics
/// When the log breaks the contract.
pub fn leadership_suite(fresh: &mut dyn FnMut() -> (Led, Box<dyn Fn()>)) {
    let (led, depose) = fresh();
    let settled = place(&led, &["settled"]);
    (led.settle)(settled);
    let (watch, leadership) = (led.log.watch(), led.log.watch_leadership());
    assert!(leadership.borrow().leading, "the watch of leadership says that it leads");
    depose();
    assert!(!watch.borrow().leading, "the watch says that leadership is lost");
    assert!(!leadership.borrow().leading, "and so does that of leadership");
    assert!(leadership.has_changed().unwrap_or(true), "and tells who waits for it");
    let late = led.log.place(batch(&["late"]), terms());
    assert!(matches!(late, Err(PlaceError::NotLeader(_))), "nothing is placed without leading: {late:?}");
    assert!(matches!(led.log.admit(), Err(PlaceError::NotLeader(_))), "nobody is admitted without leading");
    let verdict = watch.borrow().verdict(settled);
    assert_eq!(
        verdict,
        Some(Err(CommitError::LeadershipLost)),
        "no verdict is given in the name of another epoch"
    );
}

fn placed_offsets_are_consecutive(led: &Led) {
    let admission = led.log.admit().unwrap_or_else(|error| panic!("a leader admits: {error}"));
    let mut next = admission.end;
    for values in [&["a"][..], &["b", "c", "d"], &["e", "f"]] {
        let placed = place(led, values);
        assert_eq!(
            (placed.base, placed.epoch),
            (next, admission.epoch),
            "what is placed follows what was placed"
        );
        assert_eq!(placed.end, placed.base.plus(values.len() as i64), "every record takes an offset");
        next = placed.end;
    }
    assert_eq!(
        led.log.admit().map(|admission| admission.end).ok(),
        Some(next),
        "the next record goes to the end"
    );
}

fn stale_expectations_are_refused(led: &Led) {
    let first = place(led, &["a"]);
    let end = PlaceTerms { expected_end: Some(first.base), ..terms() };
    let moved = led.log.place(batch(&["b"]), end);
    assert!(
        matches!(moved, Err(PlaceError::EndMoved { actual, .. }) if actual == first.end),
        "a writer that has not seen the end is told where it is: {moved:?}"
    );
    let epoch = PlaceTerms { expected_epoch: Some(LeaderEpoch(first.epoch.0 + 1)), ..terms() };
    let fenced = led.log.place(batch(&["b"]), epoch);
    assert!(
        matches!(fenced, Err(PlaceError::NotLeader(_))),
        "a writer of another epoch is refused: {fenced:?}"
    );
    let right = PlaceTerms { expected_end: Some(first.end), expected_epoch: Some(first.epoch), ..terms() };
    let placed = led.log.place(batch(&["b"]), right).map(|placed| placed.base);
    assert_eq!(placed.ok(), Some(first.end), "right expectations are met, and refusals take no offset");
}

fn readers_stay_within_what_they_may_see(led: &Led) {
    let placed = [place(led, &["aaaa"]), place(led, &["bbbb"]), place(led, &["cccc"])];
    (led.settle)(placed[2]);
    let end = placed[2].end;
    for isolation in [Isolation::Uncommitted, Isolation::Committed, Isolation::LogEnd] {
        assert!(read(led, end, isolation, 1 << 20).is_empty(), "there is nothing at the end");
        let one = read(led, placed[0].base, isolation, 1);
        assert_eq!(
            offsets(&one),
            [placed[0].base],
            "the first batch comes whole, however little is asked for"
        );
    }
    let beyond = led.log.read(end.plus(1), read_terms(Isolation::Uncommitted, 1));
    assert!(
        matches!(beyond, Err(ReadError::OutOfRange { .. })),
        "beyond the end is out of range: {beyond:?}"
    );
    let before = led.log.read(Offset(-1), read_terms(Isolation::Uncommitted, 1));
    assert!(
        matches!(before, Err(ReadError::OutOfRange { .. })),
        "before the start is out of range: {before:?}"
    );
}

fn committed_batches_read_back(seed: u64, led: &Led) {
    let mut random = Random::new(seed);
    let mut placed: Vec<(Placed, Vec<String>)> = Vec::new();
    let mut watch = led.log.watch();
    let mut before: Watermarks = *watch.borrow_and_update();
    for round in 0..30 {
        let values: Vec<_> = (0..=random.below(3)).map(|index| format!("{seed}-{round}-{index}")).collect();
        let borrowed: Vec<_> = values.iter().map(String::as_str).collect();
        placed.push((place(led, &borrowed), values));
        if random.below(3) == 0 {
            let (last, _) = placed[random.below(placed.len())];
            (led.settle)(last);
            assert_eq!(
                watch.borrow().verdict(last),
                Some(Ok(())),
                "seed {seed}: what is settled is committed"
            );
        }
        let now = *watch.borrow_and_update();
        assert!(
            now.high >= before.high && now.high <= now.end,
            "seed {seed}: the high watermark went astray"
        );
        assert!(
            now.start <= now.stable && now.stable <= now.high,
            "seed {seed}: the stable offset went astray"
        );
        before = now;
    }
    let Some((last, _)) = placed.last() else { return };
    (led.settle)(*last);
    let mut next = placed[0].0.base;
    let mut found = Vec::new();
    while next < last.end {
        let batches = read(led, next, Isolation::Uncommitted, 1 + random.below(400));
        assert!(!batches.is_empty(), "seed {seed}: reading from {next} makes progress");
        next = batches.last().map_or(next, |batch| batch.header.next_offset());
        found.extend(batches);
    }
    let expected: Vec<_> =
        placed.iter().map(|(placed, values)| (placed.base, placed.epoch, values.clone())).collect();
    let found: Vec<_> =
        found.iter().map(|b| (b.header.base_offset, b.header.partition_leader_epoch, texts(b))).collect();
    assert_eq!(found, expected, "seed {seed}: batches read back as they were placed");
}

fn place(led: &Led, values: &[&str]) -> Placed {
    led.log
        .place(batch(values), terms())
        .unwrap_or_else(|error| panic!("a leader places a plain batch: {error}"))
}

fn batch(values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Compression::None);
    for value in values {
        builder.append(Timestamp(1000), Some(b"key"), Some(value.as_bytes()), &[]);
    }
    builder.build().unwrap_or_else(|error| panic!("a plain batch: {error}"))
}

fn terms() -> PlaceTerms {
    PlaceTerms { require_min_insync: false, ..PlaceTerms::by(Origin::Coordinator) }
}

fn read_terms(isolation: Isolation, bytes: usize) -> ReadTerms {
    ReadTerms { isolation, bytes, whole_first_batch: true, current_epoch: LeaderEpoch::NONE }
}

/// The whole batches of one read.
fn read(led: &Led, from: Offset, isolation: Isolation, bytes: usize) -> Vec<Batch> {
    let read = led.log.read(from, read_terms(isolation, bytes));
    let read = read.unwrap_or_else(|error| panic!("reading from {from}: {error}"));
    Batch::split(bytes_of(read.data).into()).map_while(Result::ok).collect()
}

fn offsets(batches: &[Batch]) -> Vec<Offset> {
    batches.iter().map(|batch| batch.header.base_offset).collect()
}

fn texts(batch: &Batch) -> Vec<String> {
    let records = batch.records().unwrap_or_else(|error| panic!("records of a placed batch: {error}"));
    let values =
        records.iter().map(|record| record.unwrap_or_else(|error| panic!("a record: {error}")).value);
    values.map(|value| String::from_utf8_lossy(value.unwrap_or_default()).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeCluster;

    fn led(cluster: &FakeCluster) -> Led {
        let settling = cluster.clone();
        Led { log: cluster.replica(0), settle: Box::new(move |_| settling.settle()) }
    }

    #[test]
    fn the_fake_cluster_keeps_the_contract() {
        let mut seed = 0;
        replicated_suite(&mut || {
            seed += 1;
            let cluster = FakeCluster::new(seed);
            cluster.elect(0);
            led(&cluster)
        });
        replicated_suite(&mut || led(&FakeCluster::prompt()));
        leadership_suite(&mut || {
            let cluster = FakeCluster::prompt();
            let led = led(&cluster);
            (led, Box::new(move || cluster.resign()))
        });
    }
}
