//! What groups commit: forward only, no further than they processed, and everything in the end.

use std::collections::BTreeMap;

use crate::history::anomaly::{Anomaly, Check};
use crate::history::index::Index;
use crate::history::operation::{Act, Outcome};

pub fn offsets(index: &Index<'_>) -> Vec<Anomaly> {
    let mut processed: BTreeMap<&str, i64> = BTreeMap::new();
    for (operation, transaction) in index.transactions() {
        for place in transaction.offsets.iter().filter(|_| operation.outcome != Outcome::Fail) {
            let most = processed.entry(&place.key).or_default();
            *most = place.offset.max(*most);
        }
    }
    let mut last: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut anomalies = Vec::new();
    for operation in &index.operations {
        match &operation.act {
            Act::Committed { group, at } => {
                let before = last.insert((group, &at.key), at.offset).unwrap_or(-1);
                let most = processed.get(at.key.as_str()).copied().unwrap_or(0);
                if at.offset < before || at.offset > most {
                    let evidence = format!(
                        "{group} had committed {before}, then {} of {}, and processed up to {most}",
                        at.offset, at.key
                    );
                    anomalies.push(Anomaly::new(Check::Commit, evidence));
                }
            }
            Act::Rest { group, key, committed, end } if committed != end => {
                let evidence = format!("{group} rests at {committed} of {key}, which ends at {end}");
                anomalies.push(Anomaly::new(Check::Lag, evidence));
            }
            _ => {}
        }
    }
    anomalies
}
