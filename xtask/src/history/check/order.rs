//! Offsets rise: those that a consumer is given, and those that a producer's records get.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::anomaly::{Anomaly, Check};
use crate::history::index::Index;
use crate::history::operation::{Act, Isolation, Outcome, Place, Send, Value};

/// The last offset of each partition that a process was given since its assignment.
type Positions<'a> = BTreeMap<(&'a str, &'a str), i64>;

/// Consumers go forward and leave nothing out, between polls as within a transaction.
pub fn polls(index: &Index<'_>) -> Vec<Anomaly> {
    let mut uncommitted: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for seen in &index.seen {
        uncommitted.entry(&seen.place.key).or_default().insert(seen.place.offset);
    }
    let mut positions = Positions::new();
    let mut anomalies = Vec::new();
    for operation in &index.operations {
        let process = operation.process.as_str();
        match &operation.act {
            Act::Assign => positions.retain(|(who, _), _| *who != process),
            Act::Poll(poll) => {
                let known = match poll.isolation {
                    Isolation::Uncommitted => &uncommitted,
                    Isolation::Committed => &index.visible_offsets,
                };
                walk(&mut positions, process, &poll.reads, known, Check::PollOrder, &mut anomalies);
            }
            Act::Transaction(transaction) => {
                // First within the transaction alone, then as what follows the one before.
                let mut alone = Positions::new();
                let (known, reads) = (&index.visible_offsets, &transaction.reads);
                let within = anomalies.len();
                walk(&mut alone, process, reads, known, Check::TransactionPollOrder, &mut anomalies);
                if anomalies.len() == within {
                    walk(&mut positions, process, reads, known, Check::PollOrder, &mut anomalies);
                }
            }
            _ => {}
        }
    }
    anomalies
}

fn walk<'a>(
    positions: &mut Positions<'a>,
    process: &'a str,
    reads: &'a [(Place, Value)],
    known: &BTreeMap<&str, BTreeSet<i64>>,
    check: Check,
    anomalies: &mut Vec<Anomaly>,
) {
    for (Place { key, offset }, value) in reads {
        let Some(before) = positions.insert((process, key), *offset) else { continue };
        if *offset <= before {
            let evidence = format!("{process} was given {key} {offset} ({value}) after {before}");
            anomalies.push(Anomaly::new(check, evidence));
        } else if let Some(left_out) =
            known.get(key.as_str()).and_then(|known| known.range(before + 1..*offset).next())
        {
            let evidence = format!("{process} was given {key} {before}, then {offset}, but not {left_out}");
            anomalies.push(Anomaly::new(check, evidence));
        }
    }
}

/// The offsets that a producer's records were acknowledged with, in the order of sending.
pub fn sends(index: &Index<'_>) -> Vec<Anomaly> {
    let mut last: Positions<'_> = Positions::new();
    let mut anomalies = Vec::new();
    for operation in &index.operations {
        let sends: &[Send] = match &operation.act {
            Act::Send(send) => std::slice::from_ref(send),
            Act::Transaction(transaction) => &transaction.sends,
            _ => continue,
        };
        if operation.outcome == Outcome::Fail {
            continue;
        }
        for send in sends {
            let Some(offset) = send.offset else { continue };
            let before = last.insert((&operation.process, &send.key), offset);
            if let Some(before) = before.filter(|before| offset <= *before) {
                let evidence = format!(
                    "{} sent {} to {} and got {offset} after {before}",
                    operation.process, send.value, send.key
                );
                anomalies.push(Anomaly::new(Check::SendOrder, evidence));
            }
        }
    }
    anomalies
}
