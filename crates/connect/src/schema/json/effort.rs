//! How much work it is to validate a piece of data: known before it is done, so that a schema whose alternatives multiply
//! with the depth of the data cannot occupy a thread.
//!
//! The count is that of a validator without memory, which judges a value once for each way that leads to it; since equal
//! ways are counted once and multiplied, counting itself takes no more steps than there are pairs of schemas and values.

use std::collections::HashMap;

use serde_json::Value;

use super::model::{ArrayRules, Id, Kind, Model, ObjectRules, Rest};
use crate::schema::DataError;

/// How often schemas may judge values while one document is validated.
pub(super) const EVALUATIONS_MAX: u64 = 5_000_000;

/// How many names or values, of those that the validator looks through one by one, are as much work as one evaluation.
const SCANNED_AT_ONCE: usize = 8;

/// How many schemas and values may be entered on the way to one.
const STEPS_MAX: usize = 3_000;

/// Refuses data that would take too long.
pub(super) fn check(model: &Model, value: &Value) -> Result<(), DataError> {
    if !model.multiplies() {
        return Ok(());
    }
    let mut effort = Effort { model, known: HashMap::new(), steps: 0, counted: 0 };
    match effort.of(model.root, value) {
        Some(evaluations) if evaluations <= EVALUATIONS_MAX => Ok(()),
        _ => Err(DataError {
            message: format!(
                "checking the data against the schema would take more than {EVALUATIONS_MAX} steps; its alternatives multiply \
                 with the depth of the data"
            ),
            path: String::new(),
        }),
    }
}

struct Effort<'a> {
    model: &'a Model,
    known: HashMap<(Id, *const Value), u64>,
    steps: usize,
    /// How often it was counted: each time is an evaluation at least.
    counted: u64,
}

impl Effort<'_> {
    /// The number of evaluations; `None` when it is too deep to count.
    fn of(&mut self, id: Id, value: &Value) -> Option<u64> {
        self.counted += 1;
        if self.counted > EVALUATIONS_MAX {
            return None;
        }
        let kind = self.model.kind(id);
        let scan = scan(kind, value);
        let in_place = self.model.in_place(id);
        if in_place.is_empty() && !value.is_object() && !value.is_array() {
            return Some(scan.saturating_add(1));
        }
        let key = (id, std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        if self.steps >= STEPS_MAX {
            return None;
        }
        self.steps += 1;
        let mut evaluations = scan.saturating_add(1);
        for schema in in_place {
            evaluations = evaluations.saturating_add(self.of(schema, value)?);
        }
        evaluations = evaluations.saturating_add(match (kind, value) {
            (Kind::Object(rules), Value::Object(members)) => {
                members.iter().try_fold(0u64, |sum, (name, value)| {
                    Some(sum.saturating_add(self.member(rules, name, value)?))
                })?
            }
            (Kind::Array(rules), Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.into_iter().try_fold(0u64, |sum, (index, item)| {
                    Some(sum.saturating_add(self.item(rules, index, item)?))
                })?
            }
            _ => 0,
        });
        self.steps -= 1;
        self.known.insert(key, evaluations);
        Some(evaluations)
    }

    fn all(&mut self, schemas: impl Iterator<Item = Id>, value: &Value) -> Option<u64> {
        let mut sum = 0u64;
        for schema in schemas {
            sum = sum.saturating_add(self.of(schema, value)?);
        }
        Some(sum)
    }

    /// A property is judged by its own schema and at most by every pattern, or by what holds for all others.
    fn member(&mut self, rules: &ObjectRules, name: &str, value: &Value) -> Option<u64> {
        let own = rules.properties.get(name).copied();
        let rest = if own.is_none() { partial(rules.additional).or(rules.unevaluated) } else { None };
        self.all(own.into_iter().chain(rules.patterns.values().copied()).chain(rest), value)
    }

    fn item(&mut self, rules: &ArrayRules, index: usize, item: &Value) -> Option<u64> {
        let own = rules.prefix.get(index).copied().or(rules.items);
        let rest = if own.is_none() { partial(rules.additional).or(rules.unevaluated) } else { None };
        self.all(own.into_iter().chain(rest).chain(rules.contains), item)
    }
}

/// The work of looking through what a schema lists.
fn scan(kind: &Kind, value: &Value) -> u64 {
    let scanned = kind.scanned(value.as_object().map_or(0, serde_json::Map::len));
    u64::try_from(scanned / SCANNED_AT_ONCE).unwrap_or(u64::MAX)
}

fn partial(rest: Rest) -> Option<Id> {
    match rest {
        Rest::Partial(schema) => Some(schema),
        Rest::Open | Rest::Closed => None,
    }
}
