//! Given batches, when rounds at these times, then batches.

use super::*;

/// Settings under which a tombstone met at 5000 may go at 6000.
fn rules() -> CompactionRules {
    CompactionRules { delete_retention_ms: 1000, ..CompactionRules::default() }
}

struct Case<'a> {
    spans: &'a [&'a [&'a str]],
    /// When there are rounds; each begins at the start of the log.
    rounds: &'a [i64],
    expected: &'a [&'a str],
}

fn check(what: &str, case: &Case<'_>, forget: bool) {
    let log = log_of(case.spans);
    let mut known = Known::of(&all_batches(&*log));
    if forget {
        known.last.clear();
    }
    for now in case.rounds {
        let now = Timestamp(*now);
        let stable = known.stable(log.bounds().end);
        let dirt = survey(&*log, None, stable, &rules(), now).unwrap();
        compact(&*log, &known, &dirt, &rules(), CompactionBudget::default(), now, &mut unlimited)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert_eq!(shown(&*log), case.expected, "{what}");
}

#[test]
fn the_last_record_of_each_key_stays() {
    for (what, case) in [
        (
            "later batches",
            Case {
                spans: &[&["0 a=1 b=1 c=1", "3 a=2"], &["4 b=2"], &["5 c=2"]],
                rounds: &[5000],
                expected: &["0-2 2:c=1", "3-3 3:a=2", "4-4 4:b=2", "5-5 5:c=2"],
            },
        ),
        (
            "within a batch",
            Case { spans: &[&["0 a=1 a=2 a=3 b=1"], &[]], rounds: &[5000], expected: &["0-3 2:a=3 3:b=1"] },
        ),
        (
            "the last batch of all stays as an empty one, where a reader goes on",
            Case {
                spans: &[&["0 a=1", "1 a=2", "2 =x"], &["3 b=1"]],
                rounds: &[5000],
                expected: &["1-1 1:a=2", "2-2", "3-3 3:b=1"],
            },
        ),
        (
            "and goes when others follow it",
            Case {
                spans: &[&["0 a=1", "1 =x"], &["2 b=1"], &["3 c=1"]],
                rounds: &[5000, 5000],
                expected: &["0-0 0:a=1", "2-2 2:b=1", "3-3 3:c=1"],
            },
        ),
        (
            "the active span is not touched, nor does it count",
            Case {
                spans: &[&["0 a=1"], &["1 a=2 a=3"]],
                rounds: &[5000],
                expected: &["0-0 0:a=1", "1-2 1:a=2 2:a=3"],
            },
        ),
        (
            "offsets and codecs stay",
            Case {
                spans: &[&["0 gzip a=1 b=1 c=1", "10 gzip b=2"], &[]],
                rounds: &[5000],
                expected: &["0-2 gzip 0:a=1 2:c=1", "10-10 gzip 10:b=2"],
            },
        ),
        (
            "records without key go",
            Case {
                spans: &[&["0 =1 a=1 =2", "3 =3", "4 b=1"], &[]],
                rounds: &[5000],
                expected: &["0-2 1:a=1", "4-4 4:b=1"],
            },
        ),
        ("nothing to do", Case { spans: &[&["0 a=1"]], rounds: &[5000], expected: &["0-0 0:a=1"] }),
        ("an empty log", Case { spans: &[&[]], rounds: &[5000], expected: &[] }),
    ] {
        check(what, &case, false);
    }
}

#[test]
fn tombstones_stay_until_their_horizon() {
    const SPANS: &[&[&str]] = &[&["0 a=1 b=1"], &["2 a! c=1"], &["4 d=1"]];
    for (what, rounds, expected) in [
        (
            "the first round sets it",
            &[5000][..],
            &["0-1 1:b=1", "2-3 until 6000 2:a! 3:c=1", "4-4 4:d=1"][..],
        ),
        (
            "later ones leave it",
            &[5000, 5500, 5999],
            &["0-1 1:b=1", "2-3 until 6000 2:a! 3:c=1", "4-4 4:d=1"],
        ),
        ("then the tombstone goes", &[5000, 6000], &["0-1 1:b=1", "2-3 until 6000 3:c=1", "4-4 4:d=1"]),
    ] {
        check(what, &Case { spans: SPANS, rounds, expected }, false);
    }
    let newer = Case {
        spans: &[&["0 a!", "1 a=2", "2 b!"], &[]],
        rounds: &[5000],
        expected: &["1-1 1:a=2", "2-2 until 6000 2:b!"],
    };
    check("a tombstone goes at once when its key lives again", &newer, false);
}

#[test]
fn aborted_records_go_and_markers_stay_for_a_while() {
    const ABORTED: &[&[&str]] = &[&["0 p7 e0 s0 t a=1 b=1", "2 a=0", "3 p7 e0 abort", "4 c=1"], &["5 d=1"]];
    for (what, rounds, expected) in [
        (
            "the marker stays beside what goes",
            &[5000][..],
            &["2-2 2:a=0", "3-3 p7 abort", "4-4 4:c=1", "5-5 5:d=1"][..],
        ),
        (
            "then it gets its horizon",
            &[5000, 5100],
            &["2-2 2:a=0", "3-3 p7 abort until 6100", "4-4 4:c=1", "5-5 5:d=1"],
        ),
        ("and goes", &[5000, 5100, 6100], &["2-2 2:a=0", "4-4 4:c=1", "5-5 5:d=1"]),
    ] {
        check(what, &Case { spans: ABORTED, rounds, expected }, true);
    }
    const COMMITTED: &[&[&str]] =
        &[&["0 p7 e0 s0 t a=1", "1 p7 e0 commit", "2 a=2", "3 b=1"], &["4 p7 e0 s1 t a=9"]];
    for (what, rounds, expected) in [
        (
            "the marker of a committed transaction stays beside its batches",
            &[5000][..],
            &["1-1 p7 commit", "2-2 2:a=2", "3-3 3:b=1", "4-4 p7 s1 t 4:a=9"][..],
        ),
        ("and goes after them", &[5000, 5100, 6100], &["2-2 2:a=2", "3-3 3:b=1", "4-4 p7 s1 t 4:a=9"]),
    ] {
        check(what, &Case { spans: COMMITTED, rounds, expected }, true);
    }
    let kept = Case {
        spans: &[&["0 p7 e0 s0 t a=1", "1 p7 e0 commit", "2 b=1"], &[]],
        rounds: &[5000, 9000, 19_000],
        expected: &["0-0 p7 s0 t 0:a=1", "1-1 p7 commit", "2-2 2:b=1"],
    };
    check("as long as a transaction has a record, its marker stays", &kept, true);
    let open = Case {
        spans: &[&["0 a=1", "1 a=2"], &["2 p7 e0 s0 t a=3", "3 a=4"], &["4 a=5"], &["5 a=6"]],
        rounds: &[5000],
        expected: &["1-1 1:a=2", "2-2 p7 s0 t 2:a=3", "3-3 3:a=4", "4-4 4:a=5", "5-5 5:a=6"],
    };
    check("nothing is touched from an open transaction on", &open, false);
}

#[test]
fn the_last_batch_of_a_producer_stays() {
    for (what, spans, forget, expected) in [
        (
            "without its records",
            &[&["0 p7 e0 s0 a=1", "1 p7 e0 s1 a=2 b=2", "3 a=3 b=3"], &[][..]][..],
            false,
            &["1-2 p7 s1", "3-4 3:a=3 4:b=3"][..],
        ),
        (
            "with those that stay",
            &[&["0 p7 e0 s0 a=1", "1 p7 e0 s1 a=2 b=2", "3 a=3"], &[]],
            false,
            &["1-2 p7 s1 2:b=2", "3-3 3:a=3"],
        ),
        ("not that of one who is forgotten", &[&["0 p7 e0 s0 a=1", "1 a=3"], &[]], true, &["1-1 1:a=3"]),
        (
            "not when its last is in the active span",
            &[&["0 p7 e0 s0 a=1", "1 a=3"], &["2 p7 e0 s1 c=1"]],
            false,
            &["1-1 1:a=3", "2-2 p7 s1 2:c=1"],
        ),
        (
            "also when it was aborted, and its marker with it",
            &[&["0 p7 e0 s0 t a=1", "1 p7 e0 abort", "2 a=3"], &[]],
            false,
            &["0-0 p7 s0 t", "1-1 p7 abort", "2-2 2:a=3"],
        ),
    ] {
        check(what, &Case { spans, rounds: &[5000, 9000, 19_000], expected }, forget);
    }
}

#[test]
fn a_round_ends_where_the_map_is_full() {
    let log = log_of(&[&["0 a=1 b=1 c=1"], &["3 d=1 a=2 e=1"], &["6 b=2"], &[]]);
    let budget = CompactionBudget {
        // Four keys.
        map_bytes_max: 5 * 24,
        map_load_max: 0.8,
        ..CompactionBudget::default()
    };
    let mut end = Offset(0);
    let mut ends = Vec::new();
    while end < Offset(7) {
        let dirt = survey(&*log, Some(end), Offset(7), &rules(), Timestamp(5000)).unwrap();
        let done =
            compact(&*log, &NoProducers, &dirt, &rules(), budget, Timestamp(5000), &mut unlimited).unwrap();
        assert!(done.end > end, "a round gets on");
        end = done.end;
        ends.push(end.0);
    }
    assert_eq!(ends, [5, 7]);
    assert_eq!(shown(&*log), ["0-2 2:c=1", "3-5 3:d=1 4:a=2 5:e=1", "6-6 6:b=2"]);
}

#[test]
fn a_pace_and_a_change_beside_it_end_a_round() {
    let spans: &[&[&str]] = &[&["0 a=1", "1 a=2"], &["2 a=3"]];
    let log = log_of(spans);
    let dirt = survey(&*log, None, Offset(3), &rules(), Timestamp(5000)).unwrap();
    let round = |pace: &mut Pace<'_>| {
        compact(&*log, &NoProducers, &dirt, &rules(), CompactionBudget::default(), Timestamp(5000), pace)
    };
    let mut calls = 0;
    let stopped = round(&mut |_| {
        calls += 1;
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(CompactionError::Interrupted)), "{stopped:?}");
    assert_eq!(calls, 1);
    let mut calls = 0;
    let trimmed = round(&mut |_| {
        calls += 1;
        // The first pass has ended, the second has read.
        if calls == 2 {
            log.trim(Offset(2)).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(trimmed, Err(CompactionError::Interrupted)), "{trimmed:?}");
    assert_eq!(shown(&*log), ["2-2 2:a=3"]);
}

#[test]
fn a_damaged_batch_is_neither_believed_nor_written_anew() {
    let log = MemoryStore::new().open(&log_id(), LogSettings::default(), None).unwrap();
    log.append(&[batch_of("0 a=1"), batch_of("1 a=2")]).unwrap();
    let mut damaged = batch_of("2 a=3");
    damaged.header.crc ^= 1;
    log.append(&[damaged]).unwrap();
    log.roll().unwrap();
    let before = all_batches(&*log);
    let dirt = survey(&*log, None, Offset(3), &rules(), Timestamp(5000)).unwrap();
    let round = compact(
        &*log,
        &NoProducers,
        &dirt,
        &rules(),
        CompactionBudget::default(),
        Timestamp(1),
        &mut unlimited,
    );
    assert!(matches!(round, Err(CompactionError::Batch { at: Offset(2), .. })), "{round:?}");
    assert_eq!(all_batches(&*log), before);
}

#[test]
fn a_span_that_begins_with_an_old_record_makes_a_round_overdue() {
    let log = log_of(&[&["0 @1000 a=1"], &["1 @3000 a=2"], &["2 @500 a=3"]]);
    let rules = CompactionRules { max_lag_ms: 1500, ..rules() };
    for (compacted, now, overdue) in [(0, 2500, 0), (0, 2501, 1), (1, 2501, 0), (1, 5000, 500), (2, 9000, 0)]
    {
        let dirt = survey(&*log, Some(Offset(compacted)), Offset(3), &rules, Timestamp(now)).unwrap();
        assert_eq!(dirt.overdue_ms, overdue, "compacted to {compacted} at {now}");
    }
}
