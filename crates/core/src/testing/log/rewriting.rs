//! Replacing spans by a rewritten one.

use std::sync::Arc;

use super::{Reopen, all_batches, bytes_of, log_id, open, plain_batch, read, small_spans, works};
use crate::id::{Offset, Timestamp};
use crate::log::{Log, LogData, LogError, LogStore, ReadLimit, Sidecar, SidecarKind};
use crate::record::Batch;

pub(super) fn run(fresh: &mut dyn FnMut() -> Arc<dyn LogStore>) {
    a_rewritten_range_is_one_span(&*fresh());
    a_rewrite_without_a_commit_changes_nothing(&*fresh());
    only_sealed_spans_can_be_rewritten(&*fresh());
    batches_outside_the_range_are_refused(&*fresh());
    a_rewrite_reaches_into_the_last_span(&*fresh());
    what_changed_meanwhile_is_not_replaced(fresh);
    appends_go_on_beside_a_rewrite(&*fresh());
    sidecars_of_replaced_spans_go(&*fresh());
    reads_pass_over_spans_without_batches(&*fresh());
    earlier_reads_stay_as_they_were(&*fresh());
    truncation_and_trimming_work_on_rewritten_spans(fresh);
    readers_beside_rewrites_see_one_or_the_other(&*fresh());
    compacted_ends_are_remembered(&*fresh());
}

pub(super) fn run_reopening(fresh: &mut dyn FnMut() -> Reopen) {
    for clean in [true, false] {
        rewritten_spans_come_back(&mut fresh(), clean);
    }
}

/// Batches of three records: 12 in a span.
fn fill(log: &dyn Log, count: usize) -> Vec<Batch> {
    let first = log.bounds().end.0;
    let batches: Vec<Batch> = (0..i64::try_from(count).unwrap_or(0))
        .map(|number| plain_batch(first + number * 3, 3, 1_000_000 + first + number * 3, 70))
        .collect();
    for batch in &batches {
        works("append", log.append(std::slice::from_ref(batch)));
    }
    batches
}

/// Every third batch of those in the range, and the last.
fn thinned(batches: &[Batch], from: Offset, to: Offset) -> Vec<Batch> {
    let inside: Vec<&Batch> = batches
        .iter()
        .filter(|batch| batch.header.base_offset >= from && batch.header.base_offset < to)
        .collect();
    let last = inside.len().saturating_sub(1);
    let kept = inside.into_iter().enumerate().filter(|(number, _)| number % 3 == 1 || *number == last);
    kept.map(|(_, batch)| batch.clone()).collect()
}

/// All batches, with those of the range thinned.
fn expected(batches: &[Batch], from: Offset, to: Offset) -> Vec<Batch> {
    let outside = |batch: &&Batch| batch.header.base_offset < from || batch.header.base_offset >= to;
    let mut all: Vec<Batch> = batches.iter().filter(outside).cloned().collect();
    all.extend(thinned(batches, from, to));
    all.sort_by_key(|batch| batch.header.base_offset);
    all
}

fn rewrite(log: &dyn Log, from: Offset, to: Offset, batches: &[Batch], aborted: &[u8]) {
    let mut rewrite = works("rewrite", log.rewrite(from, to));
    for some in batches.chunks(2) {
        works("append to a rewrite", rewrite.append(some));
    }
    works("commit", rewrite.commit(aborted));
}

fn a_rewritten_range_is_one_span(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 150);
    let before = log.spans();
    let (from, to) = (before[2].base, before[5].end);
    let kept = thinned(&batches, from, to);
    rewrite(&*log, from, to, &kept, &[]);
    let after = log.spans();
    assert_eq!(after.len(), before.len() - 3, "four spans became one");
    assert_eq!((after[2].base, after[2].end, after[2].sealed), (from, to, true), "with their ends");
    let bytes: usize = kept.iter().map(Batch::size).sum();
    assert_eq!(after[2].bytes, bytes as u64, "and the bytes that were kept");
    let largest = kept.iter().map(|batch| batch.header.max_timestamp).max();
    assert_eq!(Some(after[2].largest_timestamp), largest, "and their largest timestamp");
    assert_eq!((&after[..2], &after[3..]), (&before[..2], &before[6..]), "the others stay as they were");
    let all = expected(&batches, from, to);
    assert_eq!(all_batches(&*log), all, "reads return what was kept");
    for offset in (0..log.bounds().end.0).step_by(7) {
        let first = all.iter().find(|batch| batch.header.last_offset().0 >= offset);
        let bytes = bytes_of(read(&*log, Offset(offset), log.bounds().end, 1));
        assert_eq!(Some(bytes), first.map(|batch| batch.to_bytes().to_vec()), "a read at {offset}");
        let time = Timestamp(1_000_000 + offset);
        let first = all.iter().find(|batch| batch.header.max_timestamp >= time);
        let found = works("find", log.find(time));
        assert_eq!(found, first.map(|batch| batch.header.base_offset), "the first batch at {time}");
    }
    let (from, to) = (after[0].base, after[3].end);
    rewrite(&*log, from, to, &thinned(&all, from, to), &[]);
    assert_eq!(all_batches(&*log), expected(&all, from, to), "a rewritten span can be rewritten again");
}

fn a_rewrite_without_a_commit_changes_nothing(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 60);
    let spans = log.spans();
    for _ in 0..2 {
        let mut rewrite = works("rewrite", log.rewrite(spans[0].base, spans[1].end));
        works("append", rewrite.append(&batches[..1]));
        assert!(
            matches!(log.rewrite(spans[2].base, spans[2].end), Err(LogError::Changed { .. })),
            "there is one rewrite at a time"
        );
    }
    assert_eq!((log.spans(), all_batches(&*log)), (spans, batches), "nothing was committed");
}

fn only_sealed_spans_can_be_rewritten(store: &dyn LogStore) {
    let log = open(store, small_spans());
    fill(&*log, 60);
    let spans = log.spans();
    let end = log.bounds().end;
    let active = spans[spans.len() - 1].base;
    for (from, to) in [
        (active, end),
        (spans[0].base, end),
        (spans[0].base, spans[1].end.next()),
        (spans[0].base.next(), spans[1].end),
        (spans[1].base, spans[0].end),
        (spans[2].base, spans[1].end),
        (end, end),
    ] {
        assert!(matches!(log.rewrite(from, to), Err(LogError::Changed { .. })), "from {from} to {to}");
    }
    works("rewrite", log.rewrite(spans[0].base, active).map(drop));
}

fn batches_outside_the_range_are_refused(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 60);
    let spans = log.spans();
    let inside: Vec<Batch> = batches
        .iter()
        .filter(|batch| batch.header.base_offset >= spans[1].base && batch.header.base_offset < spans[1].end)
        .cloned()
        .collect();
    let mut rewrite = works("rewrite", log.rewrite(spans[1].base, spans[1].end));
    let (after, before) = (&batches[batches.len() - 1..], &batches[..1]);
    works("append", rewrite.append(&inside[1..2]));
    for refused in [before, after, &inside[..1], &inside[1..2]] {
        assert!(
            matches!(rewrite.append(refused), Err(LogError::OutOfOrder { .. })),
            "a batch at {} does not come next",
            refused[0].header.base_offset
        );
    }
    works("append", rewrite.append(&inside[inside.len() - 1..]));
    works("commit", rewrite.commit(&[]));
}

fn a_rewrite_reaches_into_the_last_span(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 60);
    let spans = log.spans();
    let mut rewrite = works("rewrite", log.rewrite(spans[0].base, spans[2].end));
    works("append", rewrite.append(&batches[..3]));
    let short = rewrite.commit(&[]);
    assert!(matches!(short, Err(LogError::OutOfOrder { .. })), "it would be {short:?}");
    let nothing = works("rewrite", log.rewrite(spans[0].base, spans[0].end)).commit(&[]);
    assert!(matches!(nothing, Err(LogError::OutOfOrder { .. })), "nor may nothing be left: {nothing:?}");
    assert_eq!((log.spans(), all_batches(&*log)), (spans, batches), "nothing has changed");
}

fn what_changed_meanwhile_is_not_replaced(fresh: &mut dyn FnMut() -> Arc<dyn LogStore>) {
    type Act = fn(&dyn Log);
    let acts: [(&str, Act); 3] = [
        ("trimmed", |log| works("trim", log.trim(log.spans()[2].base))),
        ("truncated", |log| works("truncate", log.truncate(log.spans()[2].base.next()))),
        ("emptied", |log| works("trim", log.trim(Offset(10_000)))),
    ];
    for (what, act) in acts {
        let store = fresh();
        let log = open(&*store, small_spans());
        let batches = fill(&*log, 60);
        let spans = log.spans();
        let (from, to) = (spans[1].base, spans[3].end);
        let mut rewrite = works("rewrite", log.rewrite(from, to));
        works("append", rewrite.append(&thinned(&batches, from, to)));
        act(&*log);
        let (spans, left) = (log.spans(), all_batches(&*log));
        let committed = rewrite.commit(&[]);
        assert!(matches!(committed, Err(LogError::Changed { .. })), "{what}: {committed:?}");
        assert_eq!((log.spans(), all_batches(&*log)), (spans, left), "{what}: it stays so");
        fill(&*log, 20);
    }
}

fn appends_go_on_beside_a_rewrite(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let mut batches = fill(&*log, 60);
    let spans = log.spans();
    let (from, to) = (spans[0].base, spans[2].end);
    let mut rewrite = works("rewrite", log.rewrite(from, to));
    works("append", rewrite.append(&thinned(&batches, from, to)));
    batches.extend(fill(&*log, 30));
    assert_eq!(all_batches(&*log), batches, "before the commit everything is as it was");
    works("commit", rewrite.commit(&[]));
    assert_eq!(all_batches(&*log), expected(&batches, from, to), "what was appended beside it is there");
    assert!(log.bounds().flushed >= to, "what was rewritten is durable: {:?}", log.bounds());
    let more = fill(&*log, 30);
    assert!(all_batches(&*log).ends_with(&more), "and appends go on");
}

fn sidecars_of_replaced_spans_go(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 100);
    let spans = log.spans();
    let sidecars = log.sidecars();
    for span in &spans {
        for kind in [SidecarKind::ProducerSnapshot, SidecarKind::AbortedTransactions] {
            works("write", sidecars.write(Sidecar { kind, at: span.base }, b"old"));
        }
    }
    works("flush", log.flush());
    let left = |kind, dead: &[usize]| {
        let kept = spans.iter().enumerate().filter(|(number, _)| !dead.contains(number));
        assert_eq!(sidecars.list(kind), kept.map(|(_, span)| span.base).collect::<Vec<_>>(), "{kind:?}");
    };
    let (from, to) = (spans[1].base, spans[3].end);
    let aborted = Sidecar { kind: SidecarKind::AbortedTransactions, at: from };
    rewrite(&*log, from, to, &thinned(&batches, from, to), b"new");
    left(SidecarKind::ProducerSnapshot, &[2, 3]);
    left(SidecarKind::AbortedTransactions, &[2, 3]);
    assert_eq!(works("read", sidecars.read(aborted)).as_deref(), Some(&b"new"[..]), "the new one");
    let kept = thinned(&thinned(&batches, from, to), from, to);
    rewrite(&*log, from, to, &kept, &[]);
    left(SidecarKind::AbortedTransactions, &[1, 2, 3]);
    assert_eq!(works("read", sidecars.read(aborted)), None, "none, when nothing was aborted");
}

fn reads_pass_over_spans_without_batches(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 300);
    let spans = log.spans();
    // A batch at the end of each span is all that is left, and no read can start there.
    for span in spans.iter().filter(|span| span.sealed) {
        let last = batches.iter().rfind(|batch| batch.header.base_offset < span.end);
        let last: Vec<Batch> = last.into_iter().cloned().collect();
        rewrite(&*log, span.base, span.end, &last, &[]);
    }
    let left = all_batches(&*log);
    assert!(left.len() < 60 && left.len() >= spans.len(), "{} batches are left", left.len());
    for (span, next) in spans.iter().zip(spans.iter().skip(1)) {
        let limit = ReadLimit { below: log.bounds().end, bytes: 1, whole_first_batch: true };
        let bytes = bytes_of(works("read", log.read(span.base, limit)));
        assert!(!bytes.is_empty(), "a read at {} before {}", span.base, next.base);
    }
}

fn earlier_reads_stay_as_they_were(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 60);
    let spans = log.spans();
    // What has to wait for a disk is not read before it has waited.
    let held = match read(&*log, spans[1].base, spans[1].end, 1 << 20) {
        LogData::Later(later) => works("read later", (later.read)()),
        at_hand => at_hand,
    };
    let before: Vec<u8> = batches
        .iter()
        .filter(|batch| batch.header.base_offset >= spans[1].base && batch.header.base_offset < spans[1].end)
        .flat_map(|batch| batch.to_bytes().to_vec())
        .collect();
    rewrite(&*log, spans[0].base, spans[2].end, &thinned(&batches, spans[0].base, spans[2].end), &[]);
    assert_eq!(bytes_of(held), before, "what was read before stays as it was");
}

fn truncation_and_trimming_work_on_rewritten_spans(fresh: &mut dyn FnMut() -> Arc<dyn LogStore>) {
    for at in (0..190).step_by(13) {
        let store = fresh();
        let log = open(&*store, small_spans());
        let batches = fill(&*log, 60);
        let spans = log.spans();
        let (from, to) = (spans[1].base, spans[3].end);
        rewrite(&*log, from, to, &thinned(&batches, from, to), &[]);
        let mut left = expected(&batches, from, to);
        if at % 2 == 0 {
            works("truncate", log.truncate(Offset(at)));
            left.retain(|batch| batch.header.last_offset() < Offset(at));
        } else {
            works("trim", log.trim(Offset(at)));
            left.retain(|batch| batch.header.last_offset() >= Offset(at));
        }
        assert_eq!(all_batches(&*log), left, "cut at {at}");
        left.extend(fill(&*log, 20));
        assert_eq!(all_batches(&*log), left, "appends after a cut at {at}");
    }
}

fn readers_beside_rewrites_see_one_or_the_other(store: &dyn LogStore) {
    let log = open(store, small_spans());
    let batches = fill(&*log, 200);
    let end = log.bounds().end;
    let newest = Timestamp(1_000_000 + end.0 - 3);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let seen = all_batches(&*log);
                    assert!(seen.iter().all(|batch| batches.contains(batch)), "a reader sees whole batches");
                    assert_eq!(seen.last(), batches.last(), "up to the end");
                    assert!(works("find", log.find(newest)).is_some(), "and finds the last by its time");
                }
            });
        }
        for count in [1, 2, 3, 4] {
            let spans = log.spans();
            for some in spans[..spans.len() - 1].chunks(count) {
                let (from, to) = (some[0].base, some[some.len() - 1].end);
                let now = all_batches(&*log);
                rewrite(&*log, from, to, &thinned(&now, from, to), &[]);
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn compacted_ends_are_remembered(store: &dyn LogStore) {
    let id = log_id("suite", 7);
    assert_eq!(store.compacted(&id), None, "of a log that is not there");
    let log = open(store, small_spans());
    assert_eq!(store.compacted(&id), None, "of a log that never was");
    fill(&*log, 60);
    for end in [90, 120, 100] {
        works("note", store.note_compacted(&id, Offset(end)));
        assert_eq!(store.compacted(&id), Some(Offset(end)), "what was noted last");
    }
    works("truncate", log.truncate(Offset(101)));
    assert_eq!(store.compacted(&id), Some(Offset(99)), "a truncation takes it down to the end");
    works("remove", store.remove(&id));
    assert_eq!(store.compacted(&id), None, "and it goes with its log");
    open(store, small_spans());
    assert_eq!(store.compacted(&id), None, "for good");
}

fn rewritten_spans_come_back(reopen: &mut Reopen, clean: bool) {
    let mut left: Vec<Batch> = Vec::new();
    for round in 0..4 {
        let store = reopen();
        let log = open(&*store, small_spans());
        assert_eq!(all_batches(&*log), left, "after {round} rounds, stopped cleanly: {clean}");
        let id = log_id("suite", 7);
        assert_eq!(store.compacted(&id), (round > 0).then_some(Offset(7)), "and up to where, clean: {clean}");
        left.extend(fill(&*log, 50));
        works("note", store.note_compacted(&id, Offset(7)));
        let spans = log.spans();
        let to = spans[spans.len() - 2].end;
        rewrite(&*log, Offset::ZERO, to, &thinned(&left, Offset::ZERO, to), b"aborted");
        left = expected(&left, Offset::ZERO, to);
        let sidecar = Sidecar { kind: SidecarKind::AbortedTransactions, at: Offset::ZERO };
        let content = works("read", log.sidecars().read(sidecar));
        assert_eq!(content.as_deref(), Some(&b"aborted"[..]), "the sidecar");
        if clean {
            works("close", store.close());
        } else {
            works("flush", log.flush());
        }
    }
}
