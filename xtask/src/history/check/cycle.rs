//! Transactions that read each other's writes in a circle. Orders of writes alone (G0) are not judged: logs allow them.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::anomaly::{Anomaly, Check};
use crate::history::index::Index;

/// The transactions that are left when those that nobody left depends on are taken away, again and again.
pub fn cycles(index: &Index<'_>) -> Vec<Anomaly> {
    let transactions: Vec<_> = index.transactions().collect();
    let mut writer: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (_, transaction)) in transactions.iter().enumerate() {
        writer.extend(transaction.sends.iter().map(|send| (send.value.as_str(), number)));
    }
    // From each transaction to those whose writes it read, and back.
    let mut reads_from: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); transactions.len()];
    let mut read_by: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); transactions.len()];
    for (number, (_, transaction)) in transactions.iter().enumerate() {
        for source in transaction.reads.iter().filter_map(|(_, value)| writer.get(value.as_str())) {
            reads_from[number].insert(*source);
            read_by[*source].insert(number);
        }
    }
    let mut free: Vec<usize> =
        (0..transactions.len()).filter(|number| reads_from[*number].is_empty()).collect();
    let mut left: BTreeSet<usize> = (0..transactions.len()).collect();
    while let Some(number) = free.pop() {
        left.remove(&number);
        for reader in std::mem::take(&mut read_by[number]) {
            reads_from[reader].remove(&number);
            if reads_from[reader].is_empty() {
                free.push(reader);
            }
        }
    }
    if left.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> =
        left.iter().filter_map(|number| Some(transactions.get(*number)?.0.process.as_str())).collect();
    vec![Anomaly::new(Check::Cycle, format!("transactions of {names:?} read from each other"))]
}
