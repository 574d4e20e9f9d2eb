//! A good history has no anomaly; one bad history for each anomaly has that one.

use super::anomaly::{Anomaly, Check};
use super::{Act, Ends, History, Operation, Outcome, Place, Reader, Scan, check};

/// Two transactions that move records from `in-0` to `out-0`, a third that is aborted, and everybody who watches.
const GOOD: &[&str] = &[
    r#"["send","p",2,1,"in-0","a",0,"ok"]"#,
    r#"["send","p",4,3,"in-0","b",1,"ok"]"#,
    r#"["send","p",6,5,"in-0","c",2,"ok"]"#,
    r#"["assign","w",7]"#,
    r#"["begin","w",10,"1",[["in-0",0,"a"]],[["out-0","a1"],["out-0","a2"]],[["in-0",1]]]"#,
    r#"["ending","w",20,"1",true]"#,
    r#"["end","w",30,"1","ok",[["a1",0],["a2",1]]]"#,
    r#"["begin","w",40,"2",[["in-0",1,"b"]],[["out-0","b1"]],[["in-0",2]]]"#,
    r#"["ending","w",41,"2",false]"#,
    r#"["end","w",42,"2","fail",[["b1",3]]]"#,
    r#"["assign","w",43]"#,
    r#"["begin","w",50,"3",[["in-0",1,"b"],["in-0",2,"c"]],[["out-0","b2"],["out-0","c1"]],[["in-0",3]]]"#,
    r#"["ending","w",60,"3",true]"#,
    r#"["poll","r",35,25,true,false,[["out-0",0,"a1"],["out-0",1,"a2"]]]"#,
    r#"["poll","r",75,70,true,false,[["out-0",5,"b2"],["out-0",6,"c1"]]]"#,
    r#"["poll","all",82,81,false,true,[["out-0",0,"a1"],["out-0",1,"a2"],["out-0",3,"b1"],["out-0",5,"b2"],["out-0",6,"c1"]]]"#,
    r#"["poll","d",90,80,true,true,[["in-0",0,"a"],["in-0",1,"b"],["in-0",2,"c"]]]"#,
    r#"["poll","d",92,91,true,true,[["out-0",0,"a1"],["out-0",1,"a2"],["out-0",5,"b2"],["out-0",6,"c1"]]]"#,
];

fn seen(process: &str, at: u64, act: Act) -> Operation {
    Operation { process: process.to_owned(), begun: at, ended: at, outcome: Outcome::Ok, act }
}

fn place(key: &str, offset: i64) -> Place {
    Place { key: key.to_owned(), offset }
}

fn committed(at: u64, offset: i64) -> Operation {
    seen("g", at, Act::Committed { group: "g".to_owned(), at: place("in-0", offset) })
}

fn ends(at: u64, high_watermark: i64, last_stable: i64) -> Operation {
    seen("e", at, Act::Ends(Ends { key: "out-0".to_owned(), epoch: 0, high_watermark, last_stable }))
}

fn rest(committed: i64) -> Operation {
    let (group, key) = ("g".to_owned(), "in-0".to_owned());
    seen("e", 95, Act::Rest { group, key, committed, end: 3 })
}

fn scan() -> Scan {
    Scan {
        key: "out-0".to_owned(),
        start: 0,
        end: 8,
        control: vec![2, 4, 7],
        epochs: vec![(0, 8)],
        epoch_ends: vec![(0, 8)],
    }
}

fn scanned(scan: Scan) -> Operation {
    seen("e", 99, Act::Scan(scan))
}

/// The good history with one line of it in other words, and with other observations added.
fn history(replaced: (&str, &str), added: Vec<Operation>) -> History {
    let mut reader = Reader::default();
    let mut found = replaced.0.is_empty();
    for line in GOOD {
        found |= line.contains(replaced.0);
        reader.line(&line.replacen(replaced.0, replaced.1, 1)).unwrap();
    }
    assert!(found, "no line has {:?}", replaced.0);
    let mut history = reader.finish();
    history.operations.extend(added);
    history
}

fn found(history: &History) -> Vec<Check> {
    let mut checks: Vec<Check> = check(history).into_iter().map(|Anomaly { check, .. }| check).collect();
    checks.dedup();
    checks
}

/// The good history, bent in one place, shows that kind of anomaly.
fn bent(expected: Check, from: &str, to: &str) {
    let found = found(&history((from, to), vec![scanned(scan())]));
    assert!(found.contains(&expected), "{from} as {to}: {found:?}");
}

/// The good history with something else that was seen shows that anomaly and no other.
fn beside(expected: Check, added: Vec<Operation>) {
    assert_eq!(found(&history(("", ""), added)), [expected]);
}

#[test]
fn a_good_history_has_no_anomaly() {
    let watched = vec![
        committed(31, 1),
        committed(70, 3),
        ends(32, 3, 3),
        ends(41, 4, 3),
        ends(71, 8, 8),
        rest(3),
        scanned(scan()),
    ];
    assert_eq!(check(&history(("", ""), watched)), []);
}

#[test]
fn one_offset_with_two_values() {
    bent(
        Check::InconsistentOffset,
        r#"["poll","d",92,91,true,true,[["out-0",0,"a1"]"#,
        r#"["poll","d",92,91,true,true,[["out-0",0,"a2"]"#,
    );
}

#[test]
fn one_value_at_two_offsets() {
    bent(Check::Duplicate, r#"["out-0",6,"c1"]]]"#, r#"["out-0",6,"c1"],["out-0",8,"c1"]]]"#);
}

#[test]
fn a_lost_write() {
    let without = history((r#""a1",0"#, r#""a1",0"#), Vec::new());
    let lost = History {
        operations: without
            .operations
            .into_iter()
            .filter(|operation| operation.process != "all")
            .map(|mut operation| {
                if let Act::Poll(poll) = &mut operation.act {
                    poll.reads.retain(|(_, value)| value != "a2");
                }
                operation
            })
            .collect(),
    };
    let found = found(&lost);
    assert!(found.contains(&Check::LostWrite) && found.contains(&Check::Unseen), "{found:?}");
    assert!(found.contains(&Check::Torn), "{found:?}");
}

#[test]
fn an_acknowledged_value_that_is_not_there_at_the_end() {
    bent(Check::Unseen, r#",["in-0",2,"c"]]]"#, "]]");
}

#[test]
fn an_aborted_value_that_was_read() {
    bent(
        Check::AbortedRead,
        r#"[["out-0",5,"b2"],["out-0",6,"c1"]]]"#,
        r#"[["out-0",3,"b1"],["out-0",5,"b2"],["out-0",6,"c1"]]]"#,
    );
}

#[test]
fn a_value_that_nobody_wrote() {
    bent(Check::AbortedRead, r#"["out-0",6,"c1"]]]"#, r#"["out-0",6,"c1"],["out-0",7,"ghost"]]]"#);
}

#[test]
fn a_value_that_was_read_before_its_commit() {
    bent(Check::EarlyRead, r#"["poll","r",35,25,"#, r#"["poll","r",15,11,"#);
}

#[test]
fn a_poll_that_goes_back() {
    let twice = r#"["poll","r",75,70,true,false,[["out-0",1,"a2"],["out-0",5,"b2"],"#;
    bent(Check::PollOrder, r#"["poll","r",75,70,true,false,[["out-0",5,"b2"],"#, twice);
}

#[test]
fn a_poll_that_leaves_something_out() {
    bent(
        Check::PollOrder,
        r#"["poll","r",75,70,true,false,[["out-0",5,"b2"],"#,
        r#"["poll","r",75,70,true,false,["#,
    );
}

#[test]
fn a_transaction_whose_reads_go_back() {
    bent(
        Check::TransactionPollOrder,
        r#"[["in-0",1,"b"],["in-0",2,"c"]],[["out-0","b2"]"#,
        r#"[["in-0",2,"c"],["in-0",1,"b"]],[["out-0","b2"]"#,
    );
}

#[test]
fn records_of_a_producer_that_go_back() {
    bent(Check::SendOrder, r#"[["a1",0],["a2",1]]"#, r#"[["a1",1],["a2",0]]"#);
}

#[test]
fn transactions_that_read_each_other() {
    bent(
        Check::Cycle,
        r#"[["in-0",0,"a"]],[["out-0","a1"]"#,
        r#"[["out-0",6,"c1"]],[["in-0","b"],["out-0","a1"]"#,
    );
}

#[test]
fn a_transaction_of_which_a_part_is_visible() {
    let torn = found(&history(
        (r#",["out-0","c1"]],[["in-0",3]]]"#, r#",["out-0","c1"],["out-1","c2"]],[["in-0",3]]]"#),
        Vec::new(),
    ));
    assert_eq!(torn, [Check::Torn]);
}

#[test]
fn an_offset_that_nothing_explains() {
    beside(Check::Gap, vec![scanned(Scan { control: vec![2, 7], ..scan() })]);
}

#[test]
fn a_group_that_lags_at_rest() {
    beside(Check::Lag, vec![rest(2)]);
}

#[test]
fn a_committed_offset_that_goes_back_or_too_far() {
    beside(Check::Commit, vec![committed(31, 2), committed(32, 1)]);
    beside(Check::Commit, vec![committed(31, 4)]);
}

#[test]
fn ends_that_go_back() {
    beside(Check::Ends, vec![ends(31, 3, 3), ends(32, 2, 2)]);
    beside(Check::Ends, vec![ends(31, 3, 3), ends(32, 4, 2)]);
    beside(Check::Ends, vec![ends(31, 3, 4)]);
}

#[test]
fn epochs_at_odds_with_the_batches() {
    beside(Check::Ends, vec![scanned(Scan { epoch_ends: vec![(0, 7)], ..scan() })]);
}

#[test]
fn lines_that_are_none_are_refused() {
    let mut reader = Reader::default();
    for line in ["", "[]", r#"["assign"]"#, r#"["start","w",1]"#, r#"["end","w",1,"7","ok",[]]"#] {
        assert!(reader.line(line).is_err(), "{line}");
    }
}
