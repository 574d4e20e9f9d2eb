//! The checks, each a pure function of a history.

mod cycle;
mod groups;
mod isolation;
mod order;
mod places;

use super::History;
use super::anomaly::Anomaly;
use super::index::Index;

/// The most anomalies of one kind that are told.
const TOLD_MAX: usize = 20;

/// Everything in which a history contradicts itself; nothing if it does not.
pub fn check(history: &History) -> Vec<Anomaly> {
    let index = Index::new(history);
    let checks: [fn(&Index<'_>) -> Vec<Anomaly>; 12] = [
        places::inconsistent_offsets,
        places::duplicates,
        places::lost_writes,
        places::gaps,
        places::ends,
        isolation::aborted_reads,
        isolation::early_reads,
        isolation::torn,
        order::polls,
        order::sends,
        cycle::cycles,
        groups::offsets,
    ];
    checks.iter().flat_map(|check| check(&index).into_iter().take(TOLD_MAX)).collect()
}
