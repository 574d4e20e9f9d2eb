//! What readers of committed records may see of transactions.

use crate::history::anomaly::{Anomaly, Check};
use crate::history::index::{Index, Seen};
use crate::history::operation::{Isolation, Outcome};

fn committed<'a>(index: &'a Index<'_>) -> impl Iterator<Item = &'a Seen<'a>> {
    index.seen.iter().filter(|seen| seen.isolation == Isolation::Committed)
}

/// Values of transactions that were aborted, or that nobody wrote.
pub fn aborted_reads(index: &Index<'_>) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    for seen in committed(index) {
        let Seen { value, place, .. } = seen;
        let told = format!("{} read {value} at {place:?}", seen.operation.process);
        match index.writes.get(value).map(|written| written.operation.outcome) {
            Some(Outcome::Ok | Outcome::Info) => {}
            Some(Outcome::Fail) => {
                anomalies.push(Anomaly::new(Check::AbortedRead, format!("{told}, which was aborted")));
            }
            None => anomalies.push(Anomaly::new(Check::AbortedRead, format!("{told}, which nobody wrote"))),
        }
    }
    anomalies
}

/// Values that were read before anybody had asked for their commit.
pub fn early_reads(index: &Index<'_>) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    for seen in committed(index) {
        let transaction = index.writes.get(seen.value).and_then(|written| written.transaction);
        let committing = transaction.and_then(|transaction| transaction.committing);
        if let Some(committing) = committing.filter(|committing| seen.operation.ended < *committing) {
            let early = committing - seen.operation.ended;
            let evidence = format!(
                "{} read {} {early} ns before its commit was asked for",
                seen.operation.process, seen.value
            );
            anomalies.push(Anomaly::new(Check::EarlyRead, evidence));
        }
    }
    anomalies
}

/// Transactions of which a part is visible. Judged when everything was read at the end.
pub fn torn(index: &Index<'_>) -> Vec<Anomaly> {
    if !index.seen.iter().any(|seen| seen.drain) {
        return Vec::new();
    }
    let mut anomalies = Vec::new();
    for (operation, transaction) in index.transactions() {
        if operation.outcome == Outcome::Fail {
            continue;
        }
        let (visible, missing): (Vec<_>, Vec<_>) = transaction
            .sends
            .iter()
            .map(|send| send.value.as_str())
            .partition(|value| index.visible.contains_key(value));
        if !visible.is_empty() && !missing.is_empty() {
            let evidence = format!("{}: {visible:?} are visible, {missing:?} are not", operation.process);
            anomalies.push(Anomaly::new(Check::Torn, evidence));
        }
    }
    anomalies
}
