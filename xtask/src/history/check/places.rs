//! Where values lie: one at each offset, each at one offset, none missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::anomaly::{Anomaly, Check};
use crate::history::index::Index;
use crate::history::operation::{Act, Isolation, Outcome, Place, Scan};

/// Every value at every place where it was acknowledged or read.
fn placed<'a>(index: &'a Index<'_>) -> impl Iterator<Item = (Place, &'a str)> {
    let sent = index.writes.values().filter_map(|written| {
        let offset = written.send.offset?;
        Some((Place { key: written.send.key.clone(), offset }, written.send.value.as_str()))
    });
    sent.chain(index.seen.iter().map(|seen| (seen.place.clone(), seen.value)))
}

pub fn inconsistent_offsets(index: &Index<'_>) -> Vec<Anomaly> {
    let mut values: BTreeMap<Place, BTreeSet<&str>> = BTreeMap::new();
    for (place, value) in placed(index) {
        values.entry(place).or_default().insert(value);
    }
    let torn = values.iter().filter(|(_, values)| values.len() > 1);
    torn.map(|(Place { key, offset }, values)| {
        Anomaly::new(Check::InconsistentOffset, format!("{key} has at {offset} {values:?}"))
    })
    .collect()
}

pub fn duplicates(index: &Index<'_>) -> Vec<Anomaly> {
    let mut places: BTreeMap<&str, BTreeSet<Place>> = BTreeMap::new();
    for (place, value) in placed(index) {
        places.entry(value).or_default().insert(place);
    }
    let repeated = places.iter().filter(|(_, places)| places.len() > 1);
    repeated
        .map(|(value, places)| Anomaly::new(Check::Duplicate, format!("{value} lies at {places:?}")))
        .collect()
}

/// Acknowledged values that nobody read: lost if something behind them was read, and unseen in any case if everything
/// was read at the end.
pub fn lost_writes(index: &Index<'_>) -> Vec<Anomaly> {
    let highest: BTreeMap<&str, i64> =
        index.visible_offsets.iter().filter_map(|(key, offsets)| Some((*key, *offsets.last()?))).collect();
    let drained: BTreeSet<&str> = index
        .seen
        .iter()
        .filter(|seen| seen.drain && seen.isolation == Isolation::Committed)
        .map(|seen| seen.value)
        .collect();
    let mut anomalies = Vec::new();
    for (value, written) in index.writes.iter().filter(|(_, written)| Index::is_certain(written)) {
        let (key, offset) = (&written.send.key, written.send.offset);
        let below = highest.get(key.as_str()).zip(offset).is_some_and(|(highest, offset)| offset <= *highest);
        if below && !index.visible.contains_key(value) {
            let evidence = format!("{value} was acknowledged at {key} {offset:?} and never read");
            anomalies.push(Anomaly::new(Check::LostWrite, evidence));
        }
        if !drained.is_empty() && !drained.contains(value) {
            let evidence = format!("{value} was acknowledged at {key} {offset:?} and not there at the end");
            anomalies.push(Anomaly::new(Check::Unseen, evidence));
        }
    }
    anomalies
}

fn scans<'a>(index: &'a Index<'_>) -> impl Iterator<Item = &'a Scan> {
    index.operations.iter().filter_map(|operation| match &operation.act {
        Act::Scan(scan) => Some(scan),
        _ => None,
    })
}

/// Offsets that hold neither a visible record, nor a marker, nor a record of a transaction that was not committed.
pub fn gaps(index: &Index<'_>) -> Vec<Anomaly> {
    let mut invisible: BTreeSet<&Place> = BTreeSet::new();
    for seen in index.seen.iter().filter(|seen| seen.isolation == Isolation::Uncommitted) {
        let written = index.writes.get(seen.value);
        if written.is_some_and(|written| written.transaction.is_some() && !Index::is_certain(written)) {
            invisible.insert(seen.place);
        }
    }
    let mut anomalies = Vec::new();
    for scan in scans(index) {
        let visible = index.visible_offsets.get(scan.key.as_str());
        let control: BTreeSet<i64> = scan.control.iter().copied().collect();
        for offset in scan.start..scan.end {
            let explained = control.contains(&offset)
                || visible.is_some_and(|visible| visible.contains(&offset))
                || invisible.contains(&Place { key: scan.key.clone(), offset });
            if !explained {
                anomalies.push(Anomaly::new(Check::Gap, format!("{} has nothing at {offset}", scan.key)));
            }
        }
    }
    anomalies
}

/// High watermarks and last stable offsets rise within an epoch; epochs end where their last batch ends.
pub fn ends(index: &Index<'_>) -> Vec<Anomaly> {
    let mut last: BTreeMap<(&str, i32), (i64, i64)> = BTreeMap::new();
    let mut anomalies = Vec::new();
    for operation in index.operations.iter().filter(|operation| operation.outcome == Outcome::Ok) {
        let Act::Ends(ends) = &operation.act else { continue };
        let now = (ends.high_watermark, ends.last_stable);
        let before = last.insert((&ends.key, ends.epoch), now).unwrap_or((0, 0));
        if now.0 < before.0 || now.1 < before.1 || now.1 > now.0 {
            let evidence = format!("{} in epoch {}: {before:?}, then {now:?}", ends.key, ends.epoch);
            anomalies.push(Anomaly::new(Check::Ends, evidence));
        }
    }
    for scan in scans(index) {
        for (epoch, said) in &scan.epoch_ends {
            // An epoch without a batch ends where the one before it does.
            let found = scan.epochs.iter().rev().find(|(found, _)| found <= epoch).map(|(_, end)| *end);
            if found.is_some_and(|found| found != *said) {
                let evidence =
                    format!("{}: epoch {epoch} ends at {said}, its batches at {found:?}", scan.key);
                anomalies.push(Anomaly::new(Check::Ends, evidence));
            }
        }
    }
    anomalies
}
