//! The contract, point by point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{all_batches, bytes_of, log_id, open, plain_batch, read, small_spans, works};
use crate::id::{Offset, Timestamp};
use crate::log::{Log, LogError, LogSettings, LogStore, ReadLimit, Sidecar, SidecarKind, Span};
use crate::record::Batch;

pub(super) fn run(fresh: &mut dyn FnMut() -> Arc<dyn LogStore>) {
    a_new_log_is_empty(&*fresh());
    what_is_appended_can_be_read_at_once(&*fresh());
    offsets_only_grow(&*fresh());
    reads_start_at_the_batch_that_contains_the_offset(&*fresh());
    reads_stop_at_their_limits(&*fresh());
    reads_outside_the_bounds_are_refused(&*fresh());
    gaps_are_passed_over(&*fresh());
    spans_roll_by_size(&*fresh());
    spans_roll_by_the_age_of_their_records(&*fresh());
    spans_roll_when_asked(&*fresh());
    spans_roll_before_an_index_overflows(&*fresh());
    batches_are_found_by_time(&*fresh());
    truncation_removes_whole_batches(fresh);
    truncation_leaves_earlier_reads_alone(&*fresh());
    trimming_removes_whole_spans(&*fresh());
    trimming_beyond_the_end_starts_anew_there(&*fresh());
    sidecars_are_replaced_read_and_removed(&*fresh());
    sidecars_die_with_their_span(&*fresh());
    flushing_confirms_the_end(&*fresh());
    settings_change_from_the_next_append_on(&*fresh());
    readers_beside_a_writer_see_a_prefix(&*fresh());
    a_store_keeps_its_logs_apart(&*fresh());
    a_removed_log_is_gone(&*fresh());
    directories_are_told(&*fresh());
}

/// Batches of three records of 100 bytes: `count` of them from the end on.
fn fill(log: &dyn Log, count: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    for _ in 0..count {
        let end = log.bounds().end.0;
        let batch = plain_batch(end, 3, 1_000_000 + end, 100);
        works("append", log.append(std::slice::from_ref(&batch)));
        batches.push(batch);
    }
    batches
}

fn encoded(batches: &[Batch]) -> Vec<u8> {
    batches.iter().flat_map(|batch| batch.to_bytes().to_vec()).collect()
}

fn a_new_log_is_empty(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    let bounds = log.bounds();
    assert_eq!(
        (bounds.start, bounds.end, bounds.flushed),
        (Offset::ZERO, Offset::ZERO, Offset::ZERO),
        "a new log"
    );
    let empty = Span {
        base: Offset::ZERO,
        end: Offset::ZERO,
        bytes: 0,
        largest_timestamp: Timestamp::NONE,
        sealed: false,
    };
    assert_eq!(log.spans(), [empty], "a new log has one empty span");
    assert!(read(&*log, Offset::ZERO, Offset(i64::MAX), 100).is_empty(), "a read at the end is empty");
    assert_eq!(works("find", log.find(Timestamp(0))), None, "nothing is found in an empty log");
}

fn what_is_appended_can_be_read_at_once(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    let batches: Vec<Batch> = (0..5).map(|number| plain_batch(number * 2, 2, 1000, 50)).collect();
    let appended = works("append", log.append(&batches));
    assert_eq!((appended.end, appended.rolled), (Offset(10), None), "one append of five batches");
    assert_eq!(
        bytes_of(read(&*log, Offset::ZERO, Offset(10), 1 << 20)),
        encoded(&batches),
        "all in one read"
    );
    assert_eq!(works("append", log.append(&[])).end, Offset(10), "an append of nothing changes nothing");
    assert_eq!(log.spans()[0].bytes, encoded(&batches).len() as u64, "a span tells its bytes");
    let many: Vec<Batch> = (0..700).map(|number| plain_batch(10 + number, 1, 1000, 3)).collect();
    works("append", log.append(&many));
    assert_eq!(all_batches(&*log).len(), 705, "an append may bring hundreds of batches");
}

fn offsets_only_grow(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    works("append", log.append(&[plain_batch(0, 3, 1000, 50)]));
    for batches in
        [vec![plain_batch(2, 1, 1000, 5)], vec![plain_batch(3, 2, 1000, 5), plain_batch(4, 1, 1000, 5)]]
    {
        match log.append(&batches) {
            Err(LogError::OutOfOrder { .. }) => {}
            other => {
                panic!("a batch that begins before the end must be refused as out of order, not {other:?}")
            }
        }
        assert_eq!(log.bounds().end, Offset(3), "what was refused left nothing behind");
    }
    works("append", log.append(&[plain_batch(3, 1, 1000, 5)]));
}

fn reads_start_at_the_batch_that_contains_the_offset(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 100);
    for batch in &batches {
        for offset in batch.header.base_offset.0..=batch.header.last_offset().0 {
            let bytes = bytes_of(read(&*log, Offset(offset), Offset(300), 1));
            assert_eq!(bytes, batch.to_bytes(), "a read at {offset} starts with the batch that holds it");
        }
    }
    assert_eq!(all_batches(&*log), batches, "reads over many spans");
}

fn reads_stop_at_their_limits(store: &dyn LogStore) {
    let log = open(store, LogSettings { index_interval_bytes: 512, ..LogSettings::default() });
    let batches = fill(&*log, 300);
    let size = batches[0].size();
    for (from, below, bytes, whole_first_batch, expected) in [
        (0, 900, 10, true, size),
        (0, 900, 10, false, 10),
        (0, 900, 0, false, 0),
        (0, 900, size + 10, false, size + 10),
        (0, 900, size * 2, true, size * 2),
        (0, 2, 1 << 20, true, 0),
        (0, 3, 1 << 20, true, size),
        (0, 4, 1 << 20, true, size),
        (0, 8, 1 << 20, true, size * 2),
        (1, 9, 1 << 20, false, size * 3),
        (0, 450, 1 << 20, false, size * 150),
        (300, 452, 1 << 20, false, size * 50),
        (300, 453, 1 << 20, true, size * 51),
        (894, 899, 1 << 20, true, size),
        (897, 899, 1 << 20, true, 0),
        (5, 5, 1 << 20, true, 0),
        (9, 2, 1 << 20, true, 0),
    ] {
        let limit = ReadLimit { below: Offset(below), bytes, whole_first_batch };
        let read = bytes_of(works("read", log.read(Offset(from), limit)));
        let first = usize::try_from(from / 3).unwrap_or(0);
        let all = encoded(&batches[first..]);
        assert_eq!(read.len(), expected, "bytes of a read at {from} with {limit:?}");
        assert!(all.starts_with(&read), "the content of a read at {from} with {limit:?}");
    }
}

fn reads_outside_the_bounds_are_refused(store: &dyn LogStore) {
    let log = open(store, small_spans());
    fill(&*log, 50);
    works("trim", log.trim(Offset(75)));
    let limit = ReadLimit { below: Offset(i64::MAX), bytes: 100, whole_first_batch: true };
    for outside in [-1, 0, 74, 151, i64::MAX] {
        match log.read(Offset(outside), limit) {
            Err(LogError::OutOfRange { from, start, end }) => {
                assert_eq!(
                    (from, start, end),
                    (Offset(outside), Offset(75), Offset(150)),
                    "what the refusal says"
                );
            }
            other => {
                panic!("a read at {outside} of a log from 75 to 150 must be out of range, not {other:?}")
            }
        }
    }
    assert!(!works("read", log.read(Offset(75), limit)).is_empty(), "a read at the start");
    assert!(works("read", log.read(Offset(150), limit)).is_empty(), "a read at the end");
}

fn gaps_are_passed_over(store: &dyn LogStore) {
    let log = open(store, small_spans());
    works("append", log.append(&[plain_batch(0, 1, 1000, 10), plain_batch(10, 1, 1000, 10)]));
    works("roll", log.roll());
    works("append", log.append(&[plain_batch(100, 1, 1000, 10)]));
    for (from, base) in [(0, 0), (1, 10), (10, 10), (11, 100), (50, 100), (100, 100)] {
        let bytes = bytes_of(read(&*log, Offset(from), Offset(101), 1));
        let found = i64::from_be_bytes(*bytes.first_chunk().unwrap_or(&[0xff; 8]));
        assert_eq!(found, base, "a read at {from} finds the next batch");
    }
}

fn check_spans(log: &dyn Log) -> Vec<Span> {
    let (spans, bounds) = (log.spans(), log.bounds());
    assert!(spans.windows(2).all(|two| two[0].end == two[1].base), "spans follow each other: {spans:?}");
    assert_eq!(
        spans.last().map(|span| (span.end, span.sealed)),
        Some((bounds.end, false)),
        "the last span: {spans:?}"
    );
    assert!(spans.iter().rev().skip(1).all(|span| span.sealed), "all but the last are sealed: {spans:?}");
    spans
}

fn spans_roll_by_size(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let mut rolls = Vec::new();
    for number in 0..30 {
        let batch = plain_batch(number, 1, 1000, 900);
        rolls.extend(works("append", log.append(&[batch])).rolled);
    }
    let spans = check_spans(&*log);
    assert!(spans.iter().all(|span| span.bytes <= 4096), "spans keep to their size: {spans:?}");
    assert_eq!(spans.len(), 8, "four batches of 1 KB in a span of 4 KB: {spans:?}");
    assert_eq!(
        rolls,
        spans[1..].iter().map(|span| span.base).collect::<Vec<_>>(),
        "appends tell when they roll"
    );
    works("append", log.append(&[plain_batch(30, 1, 1000, 9000)]));
    works("append", log.append(&[plain_batch(31, 1, 1000, 10)]));
    assert_eq!(check_spans(&*log).len(), 10, "a batch larger than a span has one of its own");
}

fn spans_roll_by_the_age_of_their_records(store: &dyn LogStore) {
    let log = open(store, LogSettings { span_age_ms_max: 1000, ..LogSettings::default() });
    let rolls: Vec<bool> = [5000, 5500, 6000, 6001, 100, 7001, 7002]
        .into_iter()
        .enumerate()
        .map(|(number, timestamp)| {
            let batch = plain_batch(i64::try_from(number).unwrap_or(0), 1, timestamp, 10);
            works("append", log.append(&[batch])).rolled.is_some()
        })
        .collect();
    assert_eq!(
        rolls,
        [false, false, false, true, false, false, true],
        "a span rolls when a record is 1 s younger than its first"
    );
    check_spans(&*log);
}

fn spans_roll_when_asked(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    works("roll", log.roll());
    assert_eq!(check_spans(&*log).len(), 1, "an empty span is not sealed");
    fill(&*log, 2);
    works("roll", log.roll());
    works("roll", log.roll());
    let spans = check_spans(&*log);
    assert_eq!(spans.iter().map(|span| span.base).collect::<Vec<_>>(), [Offset(0), Offset(6)], "rolled once");
    fill(&*log, 1);
    assert_eq!(all_batches(&*log).len(), 3, "reads go on over a roll");
}

fn spans_roll_before_an_index_overflows(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    let far = i64::from(i32::MAX) + 10;
    works("append", log.append(&[plain_batch(5, 1, 1000, 10)]));
    works("append", log.append(&[plain_batch(far, 1, 1000, 10), plain_batch(3 * far, 1, 1000, 10)]));
    for span in check_spans(&*log) {
        let first = all_batches(&*log).into_iter().find(|batch| batch.header.base_offset >= span.base);
        assert!(
            span.sealed || first.is_some_and(|batch| batch.header.last_offset().since(span.base) <= far),
            "offsets within a span fit into 31 bits: {span:?}"
        );
    }
    assert_eq!(all_batches(&*log).len(), 3, "all three are there");
}

fn batches_are_found_by_time(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let times = [100, 300, 200, 400, 400, 350, 900];
    let mut batches = Vec::new();
    for (number, time) in (0..).zip(times.into_iter().cycle().take(70)) {
        let batch = plain_batch(number * 2, 2, time + number / 7 * 1000, 150);
        works("append", log.append(std::slice::from_ref(&batch)));
        batches.push(batch);
    }
    for time in (0..10_000).step_by(50) {
        let expected = batches.iter().find(|batch| batch.header.max_timestamp >= Timestamp(time));
        let expected = expected.map(|batch| batch.header.base_offset);
        assert_eq!(works("find", log.find(Timestamp(time))), expected, "the first batch at or after {time}");
    }
    let spans = log.spans();
    for span in &spans {
        let largest = batches
            .iter()
            .filter(|batch| batch.header.base_offset >= span.base && batch.header.base_offset < span.end)
            .map(|batch| batch.header.max_timestamp)
            .max();
        assert_eq!(Some(span.largest_timestamp), largest, "the largest timestamp of {span:?}");
    }
    works("trim", log.trim(Offset(100)));
    let found = works("find", log.find(Timestamp(0)));
    assert_eq!(found, Some(Offset(100)), "what was trimmed is not found");
}

fn truncation_removes_whole_batches(fresh: &mut dyn FnMut() -> Arc<dyn LogStore>) {
    for (to, end) in
        [(300, 300), (299, 297), (297, 297), (151, 150), (150, 150), (148, 147), (1, 0), (0, 0), (400, 300)]
    {
        let store = fresh();
        let log = open(&*store, small_spans());
        let batches = fill(&*log, 100);
        works("truncate", log.truncate(Offset(to)));
        assert_eq!(log.bounds().end, Offset(end), "the end after truncating 300 to {to}");
        assert!(log.bounds().flushed <= Offset(end), "nothing beyond the end is durable");
        let kept = usize::try_from(end / 3).unwrap_or(0);
        assert_eq!(all_batches(&*log), batches[..kept], "what is left after truncating to {to}");
        check_spans(&*log);
        let more = fill(&*log, 40);
        let all: Vec<Batch> = batches[..kept].iter().cloned().chain(more).collect();
        assert_eq!(all_batches(&*log), all, "appends go on after truncating to {to}");
    }
    for base in 1..8 {
        let store = fresh();
        let log = open(&*store, small_spans());
        fill(&*log, 100);
        let Some(span) = log.spans().get(base).copied() else { continue };
        works("truncate", log.truncate(span.base));
        assert_eq!(
            check_spans(&*log).len(),
            base,
            "truncating to the base of a span goes on in the one before it"
        );
        fill(&*log, 3);
        assert_eq!(
            all_batches(&*log).len(),
            usize::try_from(span.base.0 / 3).unwrap_or(0) + 3,
            "and appends there"
        );
    }
}

fn truncation_leaves_earlier_reads_alone(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    let batches = fill(&*log, 50);
    let held = read(&*log, Offset(30), Offset(150), 1 << 20);
    works("truncate", log.truncate(Offset(60)));
    for number in 0..30 {
        works("append", log.append(&[plain_batch(60 + number * 3, 3, 5_000_000, 100)]));
    }
    assert_eq!(bytes_of(held), encoded(&batches[10..]), "what was read before a truncation stays as it was");
    works("truncate", log.truncate(Offset(70)));
    assert_eq!(all_batches(&*log).len(), 23, "and a second truncation works as well");
}

fn trimming_removes_whole_spans(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 100);
    let before = check_spans(&*log);
    works("trim", log.trim(Offset(100)));
    assert_eq!(log.bounds().start, Offset(100), "the start after a trim");
    let expected: Vec<Span> = before.into_iter().filter(|span| span.end > Offset(100)).collect();
    assert_eq!(check_spans(&*log), expected, "the spans that reach above the start are left");
    works("trim", log.trim(Offset(50)));
    assert_eq!(log.bounds().start, Offset(100), "a trim below the start changes nothing");
    let first = bytes_of(read(&*log, Offset(100), Offset(300), 1));
    assert_eq!(first, batches[33].to_bytes(), "a read at the start begins with the batch that holds it");
    works("trim", log.trim(Offset(300)));
    assert_eq!((log.bounds().start, log.bounds().end), (Offset(300), Offset(300)), "a trim to the end");
    let spans = check_spans(&*log);
    assert_eq!(spans.iter().map(|span| span.bytes).sum::<u64>(), 0, "nothing is left of it");
    fill(&*log, 1);
    assert_eq!(all_batches(&*log).len(), 1, "and appends go on");
}

fn trimming_beyond_the_end_starts_anew_there(store: &dyn LogStore) {
    let log = open(store, small_spans());
    fill(&*log, 30);
    works("trim", log.trim(Offset(1000)));
    let bounds = log.bounds();
    assert_eq!((bounds.start, bounds.end), (Offset(1000), Offset(1000)), "a trim beyond the end moves it");
    assert_eq!(check_spans(&*log).len(), 1, "one empty span");
    let batches = fill(&*log, 30);
    assert_eq!(all_batches(&*log), batches, "appends go on there");
    works("truncate", log.truncate(Offset(500)));
    let bounds = log.bounds();
    assert_eq!(
        (bounds.start, bounds.end),
        (Offset(500), Offset(500)),
        "a truncation below the start moves both"
    );
}

fn sidecars_are_replaced_read_and_removed(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    let sidecars = log.sidecars();
    for kind in [SidecarKind::ProducerSnapshot, SidecarKind::AbortedTransactions, SidecarKind::LeaderEpochs] {
        let sidecar = Sidecar { kind, at: Offset::ZERO };
        assert_eq!(works("read", sidecars.read(sidecar)), None, "no {kind:?} yet");
        works("remove", sidecars.remove(sidecar));
        for content in [&b"first"[..], b"", b"a longer second one"] {
            works("write", sidecars.write(sidecar, content));
            assert_eq!(
                works("read", sidecars.read(sidecar)).as_deref(),
                Some(content),
                "the content of {kind:?}"
            );
        }
        assert_eq!(sidecars.list(kind), [Offset::ZERO], "the list of {kind:?}");
        works("remove", sidecars.remove(sidecar));
        assert_eq!(
            (sidecars.list(kind).len(), works("read", sidecars.read(sidecar))),
            (0, None),
            "{kind:?} is gone"
        );
    }
}

fn sidecars_die_with_their_span(store: &dyn LogStore) {
    let log = open(store, small_spans());
    fill(&*log, 100);
    let bases: Vec<Offset> = log.spans().iter().map(|span| span.base).collect();
    let sidecars = log.sidecars();
    for base in &bases {
        for kind in [SidecarKind::ProducerSnapshot, SidecarKind::AbortedTransactions] {
            works("write", sidecars.write(Sidecar { kind, at: *base }, b"x"));
        }
    }
    works("write", sidecars.write(Sidecar { kind: SidecarKind::ProducerSnapshot, at: Offset(300) }, b"x"));
    works("write", sidecars.write(Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO }, b"x"));
    works("trim", log.trim(bases[3]));
    let listed = |kind| sidecars.list(kind);
    let snapshots: Vec<Offset> = bases[3..].iter().copied().chain([Offset(300)]).collect();
    assert_eq!(
        listed(SidecarKind::ProducerSnapshot),
        snapshots,
        "snapshots below the first span went with a trim"
    );
    assert_eq!(
        listed(SidecarKind::AbortedTransactions),
        bases[3..],
        "aborted transactions went with their spans"
    );
    works("truncate", log.truncate(bases[6].next()));
    assert_eq!(
        listed(SidecarKind::ProducerSnapshot),
        bases[3..=6],
        "snapshots above the end went with a truncation"
    );
    let left = listed(SidecarKind::AbortedTransactions);
    assert!(left.starts_with(&bases[3..6]) && left.len() <= 4, "as did those of removed spans: {left:?}");
    works("trim", log.trim(Offset(10_000)));
    assert_eq!(listed(SidecarKind::ProducerSnapshot), [], "none is left of an emptied log");
    assert_eq!(listed(SidecarKind::AbortedTransactions), [], "none is left of an emptied log");
    assert_eq!(
        listed(SidecarKind::LeaderEpochs),
        [Offset::ZERO],
        "the leader epochs belong to the whole log"
    );
}

fn flushing_confirms_the_end(store: &dyn LogStore) {
    let log = open(store, small_spans());
    fill(&*log, 50);
    assert_eq!(works("flush", log.flush()), Offset(150), "a flush returns the end");
    assert_eq!(log.bounds().flushed, Offset(150), "and the bounds tell it");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(works("flush", log.flush()), Offset(150), "overlapping flushes"));
        }
    });
    assert_eq!(all_batches(&*log).len(), 50, "a flush changes nothing");
}

fn settings_change_from_the_next_append_on(store: &dyn LogStore) {
    let log = open(store, LogSettings::default());
    fill(&*log, 50);
    assert_eq!(log.spans().len(), 1, "large spans");
    log.configure(small_spans());
    fill(&*log, 50);
    assert!(log.spans().len() > 3, "small spans from now on: {:?}", log.spans());
}

fn readers_beside_a_writer_see_a_prefix(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let bounds = log.bounds();
                    let batches = all_batches(&*log);
                    let end = batches.last().map_or(Offset::ZERO, |batch| batch.header.next_offset());
                    assert!(end >= bounds.end, "a reader sees everything up to the end it knew");
                    let whole = batches.iter().all(Batch::crc_matches);
                    assert!(
                        whole
                            && batches
                                .windows(2)
                                .all(|two| two[0].header.next_offset() == two[1].header.base_offset)
                    );
                }
            });
        }
        fill(&*log, 300);
        done.store(true, Ordering::Relaxed);
    });
}

fn a_store_keeps_its_logs_apart(store: &dyn LogStore) {
    let one = works("open", store.open(&log_id("one", 1), LogSettings::default(), None));
    let two = works("open", store.open(&log_id("two", 2), LogSettings::default(), None));
    fill(&*one, 3);
    fill(&*two, 5);
    let again = works("open", store.open(&log_id("one", 1), LogSettings::default(), None));
    assert_eq!(again.bounds().end, Offset(9), "opening a log that is open returns the same one");
    fill(&*again, 1);
    assert_eq!((one.bounds().end, two.bounds().end), (Offset(12), Offset(15)), "logs are apart");
    works("maintain", store.maintain(&[(log_id("one", 1), Offset(7))]));
    let listed = works("list", store.list());
    let listed: Vec<_> = listed.iter().map(|log| (&log.id, log.bytes, log.high_watermark)).collect();
    let bytes = |log: &dyn Log| log.spans().iter().map(|span| span.bytes).sum::<u64>();
    let expected =
        [(&log_id("one", 1), bytes(&*one), Offset(7)), (&log_id("two", 2), bytes(&*two), Offset::ZERO)];
    assert_eq!(listed, expected, "the list of logs");
    works("close", store.close());
}

fn a_removed_log_is_gone(store: &dyn LogStore) {
    let log = works("open", store.open(&log_id("gone", 1), LogSettings::default(), None));
    fill(&*log, 3);
    works("remove", store.remove(&log_id("gone", 2)));
    assert_eq!(works("list", store.list()).len(), 1, "another topic of the same name is another log");
    works("remove", store.remove(&log_id("gone", 1)));
    works("remove", store.remove(&log_id("gone", 1)));
    assert_eq!(works("list", store.list()).len(), 0, "a removed log is not listed");
    assert!(log.append(&[plain_batch(9, 1, 1000, 10)]).is_err(), "nor can it be appended to");
    let again = works("open", store.open(&log_id("gone", 3), LogSettings::default(), None));
    assert_eq!(again.bounds().end, Offset::ZERO, "a new log of the same name is empty");
    works("maintain", store.maintain(&[]));
    fill(&*again, 1);
}

fn directories_are_told(store: &dyn LogStore) {
    let directories = store.directories();
    assert!(!directories.is_empty(), "a store has a directory");
    assert!(
        directories.iter().all(|directory| directory.failure.is_none()),
        "all are healthy: {directories:?}"
    );
    let wanted = directories[directories.len() - 1].id;
    works("open", store.open(&log_id("placed", 1), LogSettings::default(), Some(wanted)));
    assert_eq!(works("list", store.list())[0].directory, wanted, "a log lies where it was asked for");
}
