//! What reads what: a table that Avro's own library is asked about as well (`cargo xtask conformance avro`).

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::parse;
use crate::schema::{CompatibilityPolicy, Direction, Schema};

const CASES: &str = include_str!("compatibility.jsonl");

pub(in crate::schema) fn cases() -> Vec<Json> {
    CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Kinds and paths of all the reasons.
fn reasons(reader: &dyn Schema, writer: &dyn Schema, policy: CompatibilityPolicy) -> BTreeSet<String> {
    let reasons = reader.incompatibilities(writer, Direction::NewReadsOld, policy);
    let list: Vec<String> = reasons.iter().map(|reason| format!("{} {}", reason.kind, reason.path)).collect();
    let set: BTreeSet<String> = list.iter().cloned().collect();
    assert_eq!(set.len(), list.len(), "a reason is told twice: {list:?}");
    set
}

fn expected(case: &Json, direction: &str) -> BTreeSet<String> {
    let reasons = case[direction].as_array().unwrap().iter();
    reasons.map(|reason| reason.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_case_of_the_table_is_judged_in_both_directions() {
    let mut wrong = Vec::new();
    for case in cases() {
        let (a, b) = (parse(&case["a"].to_string()), parse(&case["b"].to_string()));
        for (direction, reader, writer) in [("a_reads_b", &a, &b), ("b_reads_a", &b, &a)] {
            let found = reasons(&**reader, &**writer, CompatibilityPolicy::Strict);
            let expected = expected(&case, direction);
            if found != expected {
                wrong.push(format!("{} ({direction}): {found:?} instead of {expected:?}", case["name"]));
            }
        }
        assert!(reasons(&*a, &*a, CompatibilityPolicy::Logical).is_empty(), "{}", case["name"]);
    }
    assert_eq!(wrong, Vec::<String>::new());
}
