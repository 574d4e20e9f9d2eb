//! What differs between what was written (the *original*) and what reads it (the *update*).
//!
//! Two schemas are compared rule by rule; a difference is either tolerated, since everything that was valid stays valid,
//! or it makes the pair incompatible. Alternatives are matched as a whole: every part of the smaller combination needs a
//! counterpart of its own in the larger one.
//!
//! Recursion: a pair that is compared already is taken as compatible until it turns out otherwise. Since other pairs may
//! have been found compatible meanwhile, all are compared again, with what was found incompatible remembered, until
//! nothing changes any more. Each pair is compared once a round; rounds, pairs and depth have limits, and beyond them the
//! answer is "incompatible".
//!
//! Knowingly laxer than validation, since the registries that exist decide so:
//!
//! * `REQUIRED_…_WITH_DEFAULT_ADDED…`: the reader is expected to fill in the default.
//! * `required` of names that neither schema has as a property is not judged.
//! * `oneOf`: parts may come to overlap (`SUM_TYPE_EXTENDED`, and any widening of a part).
//! * `unevaluatedProperties` and `unevaluatedItems` are judged beside the keywords of their own schema object only
//!   (`…_ADDED_TO_UNOPEN_CONTENT_MODEL`, `ITEM_ADDED_TO_CLOSED_CONTENT_MODEL`).
//! * Two schemas that Connect's converter marks as bytes are one, whatever their types.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::difference::{Difference, Kind as D};
use super::matching::largest_matching;
use super::model::{Criterion, EnumRules, Id, Kind, Model, NumberRules, Part, Schema, StringRules};
use super::number::Decimal;
use super::pattern::Patterns;
use crate::schema::CompatibilityPolicy;

/// How many pairs of schemas one comparison may look at, all rounds together.
pub(super) const PAIRS_MAX: usize = 100_000;

/// How many schemas, and names and values that they list, one comparison may look at, all rounds together.
const STEPS_MAX: usize = 4_000_000;

/// How many rounds recursion may take to settle.
pub(super) const ROUNDS_MAX: usize = 32;

/// How deep pairs may nest.
pub(super) const DEPTH_MAX: usize = 160;

/// How many differences are reported of one pair of schemas.
pub(super) const DIFFERENCES_MAX: usize = 1_000;

/// How many bytes of a place are told; the rest is cut off.
const POINTER_BYTES_MAX: usize = 1_000;

/// How many bytes of differences all pairs may keep together; beyond that each keeps its first one only.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many values a detail lists.
const DETAILS_MAX: usize = 10;

/// Which differences are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Incompatible,
    #[cfg(test)]
    All,
}

/// What differs, in the order of the rules.
pub(super) fn differences(
    original: &Model,
    update: &Model,
    policy: CompatibilityPolicy,
    keep: Keep,
) -> Vec<Difference> {
    let mut comparison = Comparison {
        models: [original, update],
        policy,
        keep,
        patterns: Patterns::new(original.patterns + update.patterns),
        found: HashMap::new(),
        open: HashSet::new(),
        refuted: HashMap::new(),
        assumed: false,
        exhausted: false,
        limited: false,
        pairs: 0,
        steps: 0,
        kept_bytes: 0,
        depth: 0,
    };
    comparison.settle()
}

/// Which of the two models a schema belongs to; `not` turns them round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Side {
    model: usize,
    id: Id,
}

impl Side {
    pub(super) fn id(self) -> Id {
        self.id
    }
}

/// Two schemas: data of the first, read with the second.
type Pair = (Side, Side);

/// What is known of a pair; pointers are relative to it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    differences: Vec<Difference>,
    pub(super) incompatible: bool,
}

pub(super) struct Comparison<'a> {
    models: [&'a Model; 2],
    policy: CompatibilityPolicy,
    keep: Keep,
    pub(super) patterns: Patterns,
    found: HashMap<Pair, Rc<Verdict>>,
    open: HashSet<Pair>,
    /// Pairs that an earlier round found incompatible.
    refuted: HashMap<Pair, Rc<Verdict>>,
    /// Whether an open pair was taken as compatible in this round.
    assumed: bool,
    exhausted: bool,
    /// Whether a limit decided about a pair.
    limited: bool,
    pairs: usize,
    steps: usize,
    kept_bytes: usize,
    depth: usize,
}

impl<'a> Comparison<'a> {
    fn settle(&mut self) -> Vec<Difference> {
        let original = Side { model: 0, id: self.models[0].root };
        let update = Side { model: 1, id: self.models[1].root };
        for _ in 0..ROUNDS_MAX {
            self.assumed = false;
            let verdict = self.pair(original, update);
            self.kept_bytes = 0;
            let refuted: HashMap<Pair, Rc<Verdict>> =
                self.found.drain().filter(|(_, verdict)| verdict.incompatible).collect();
            let settled = !self.assumed
                || (refuted.len() == self.refuted.len()
                    && refuted.keys().all(|pair| self.refuted.contains_key(pair)));
            if settled || self.exhausted {
                let mut differences = verdict.differences.clone();
                let told =
                    differences.iter().any(|difference| difference.kind == D::COMPARISON_LIMIT_EXCEEDED);
                if self.limited && verdict.incompatible && !told {
                    differences.push(limit_exceeded());
                }
                return differences;
            }
            self.refuted = refuted;
        }
        vec![limit_exceeded()]
    }

    fn schema(&self, side: Side) -> &'a Schema {
        self.models[side.model].schema(side.id)
    }

    fn resolve(&self, side: Side) -> Side {
        Side { model: side.model, id: self.models[side.model].resolve(side.id) }
    }

    pub(super) fn pair(&mut self, original: Side, update: Side) -> Rc<Verdict> {
        let pair = (self.resolve(original), self.resolve(update));
        if let Some(found) = self.found.get(&pair) {
            return found.clone();
        }
        if self.open.contains(&pair) {
            if let Some(refuted) = self.refuted.get(&pair) {
                return refuted.clone();
            }
            self.assumed = true;
            return Rc::default();
        }
        self.spend(pair);
        if self.exhausted || self.depth >= DEPTH_MAX {
            return self.refuse();
        }
        self.open.insert(pair);
        self.depth += 1;
        let mut report = Report::new(self);
        self.judge(&mut report, pair.0, pair.1);
        self.depth -= 1;
        self.open.remove(&pair);
        self.keep(pair, report)
    }

    /// Counts a pair. Once a limit is hit, nothing more can be proven: the rest is cut short.
    fn spend(&mut self, pair: Pair) {
        self.pairs += 1;
        self.steps += self.schema(pair.0).kind.listed() + self.schema(pair.1).kind.listed();
        self.exhausted |= self.pairs > PAIRS_MAX || self.steps > STEPS_MAX;
    }

    fn refuse(&mut self) -> Rc<Verdict> {
        self.limited = true;
        let mut report = Report::new(self);
        report.add(D::COMPARISON_LIMIT_EXCEEDED, "");
        Rc::new(report.verdict)
    }

    fn keep(&mut self, pair: Pair, report: Report) -> Rc<Verdict> {
        let mut verdict = report.verdict;
        self.kept_bytes += verdict.differences.iter().map(Difference::bytes).sum::<usize>();
        if self.kept_bytes > KEPT_BYTES_MAX && self.depth > 0 {
            verdict.differences.truncate(1);
            verdict.differences.shrink_to_fit();
        }
        let verdict = Rc::new(verdict);
        self.found.insert(pair, verdict.clone());
        verdict
    }

    fn judge(&mut self, report: &mut Report, original: Side, update: Side) {
        if self.judge_alternatives(report, original, update) {
            return;
        }
        let (before, after) = (self.schema(original), self.schema(update));
        let annotated = report.verdict.differences.len();
        report.annotations(before, after);
        match (&before.kind, &after.kind) {
            (Kind::Any, Kind::Any)
            | (Kind::Never, Kind::Never)
            | (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean) => {}
            (Kind::String(before), Kind::String(after)) => strings(report, before, after),
            (Kind::Number(before), Kind::Number(after)) => numbers(report, before, after),
            (Kind::Enum(before), Kind::Enum(after)) => enums(report, before, after),
            (Kind::Object(before), Kind::Object(after)) => {
                self.objects(report, original, before, update, after);
            }
            (Kind::Array(before), Kind::Array(after)) => self.arrays(report, original, before, update, after),
            (Kind::Not(before), Kind::Not(after)) => {
                let reversed = self.pair(side(update, *after), side(original, *before));
                let kind = if reversed.incompatible { D::NOT_TYPE_EXTENDED } else { D::NOT_TYPE_NARROWED };
                report.add(kind, "/not");
            }
            (Kind::Conditional { .. }, Kind::Conditional { .. }) => {
                self.conditionals(report, original, update);
            }
            (Kind::Combined { .. }, Kind::Combined { .. }) => self.combinations(report, original, update),
            (before_kind, after_kind) => {
                report.verdict.differences.truncate(annotated);
                let bytes = before.connect_bytes && after.connect_bytes;
                let fits = match (before_kind, after_kind) {
                    (Kind::Never, _) | (_, Kind::Any) => true,
                    (Kind::MetaSchema(before), Kind::MetaSchema(after)) => before == after,
                    _ => bytes,
                };
                if !fits {
                    report.add(D::TYPE_CHANGED, "");
                }
            }
        }
    }

    /// Tries a single schema against the alternatives of a combined one; tells whether one of them settled it.
    fn judge_alternatives(&mut self, report: &mut Report, original: Side, update: Side) -> bool {
        let (before, after) = (&self.schema(original).kind, &self.schema(update).kind);
        let (criterion, parts, widened) = match (before, after) {
            (Kind::Combined { .. }, Kind::Combined { .. }) => return false,
            (_, Kind::Combined { criterion, parts }) => (*criterion, parts, true),
            (Kind::Combined { criterion, parts }, _) => (*criterion, parts, false),
            _ => return false,
        };
        let single = parts.len() == 1;
        if !single && (criterion == Criterion::All) == widened {
            return false;
        }
        for part in parts {
            let verdict = if widened {
                self.pair(original, side(update, part.schema))
            } else {
                self.pair(side(original, part.schema), update)
            };
            if !verdict.incompatible {
                report.merge("", &verdict);
                if !single {
                    report.add(if widened { D::SUM_TYPE_EXTENDED } else { D::PRODUCT_TYPE_NARROWED }, "");
                }
                return true;
            }
        }
        false
    }

    /// Compares what may be absent; nothing allows everything.
    pub(super) fn optional(
        &mut self,
        report: &mut Report,
        pointer: &str,
        original: Option<Side>,
        update: Option<Side>,
    ) {
        match (original, update) {
            (None, None) => {}
            (None, Some(update)) => {
                if !self.is_any(update) {
                    report.add(D::SCHEMA_ADDED, pointer);
                }
            }
            (Some(_), None) => report.add(D::SCHEMA_REMOVED, pointer),
            (Some(original), Some(update)) => {
                let verdict = self.pair(original, update);
                report.merge(pointer, &verdict);
            }
        }
    }

    pub(super) fn is_any(&self, side: Side) -> bool {
        self.models[side.model].is_any(side.id)
    }

    /// Whether a property has a default of its own; one behind a reference does not count.
    pub(super) fn has_default(&self, side: Side) -> bool {
        self.schema(side).default.is_some()
    }

    pub(super) fn is_never(&self, side: Side) -> bool {
        self.models[side.model].is_never(side.id)
    }

    fn conditionals(&mut self, report: &mut Report, original: Side, update: Side) {
        let (before, after) = (&self.schema(original).kind, &self.schema(update).kind);
        let (
            Kind::Conditional { condition: Some(before_if), then: before_then, otherwise: before_else },
            Kind::Conditional { condition: Some(after_if), then: after_then, otherwise: after_else },
        ) = (before, after)
        else {
            return;
        };
        // The branches can be compared only when both choose alike.
        let (before_if, after_if) = (side(original, *before_if), side(update, *after_if));
        if self.pair(before_if, after_if).incompatible || self.pair(after_if, before_if).incompatible {
            report.add(D::TYPE_CHANGED, "/if");
        }
        let of = |owner: Side, id: &Option<Id>| id.map(|id| side(owner, id));
        self.optional(report, "/then", of(original, before_then), of(update, after_then));
        self.optional(report, "/else", of(original, before_else), of(update, after_else));
    }

    fn combinations(&mut self, report: &mut Report, original: Side, update: Side) {
        let (before, after) = (&self.schema(original).kind, &self.schema(update).kind);
        let (
            Kind::Combined { criterion: before_criterion, parts: before },
            Kind::Combined { criterion: after_criterion, parts: after },
        ) = (before, after)
        else {
            return;
        };
        if let Some(kind) = criteria(*before_criterion, before.len(), *after_criterion, after.len()) {
            report.add(kind, "");
            if kind == D::COMBINED_TYPE_CHANGED {
                return;
            }
        }
        if before.len() < after.len() {
            let all = *after_criterion == Criterion::All;
            report.add(if all { D::PRODUCT_TYPE_EXTENDED } else { D::SUM_TYPE_EXTENDED }, "");
        }
        if before.len() > after.len() {
            let all = *before_criterion == Criterion::All;
            report.add(if all { D::PRODUCT_TYPE_NARROWED } else { D::SUM_TYPE_NARROWED }, "");
        }
        let edges = self.edges(original, before, update, after);
        let lefts: Vec<Vec<usize>> =
            edges.iter().map(|edges| edges.iter().map(|edge| edge.0).collect()).collect();
        let matching = largest_matching(&lefts, after.len());
        for (left, right) in matching.iter().enumerate() {
            let edge = edges[left].iter().find(|edge| Some(edge.0) == *right);
            if let Some((_, verdict)) = edge {
                report.merge(&format!("/{}/{}", before_criterion.keyword(), before[left].index), verdict);
            }
        }
        if matching.iter().flatten().count() < before.len().min(after.len()) {
            let detail = self.unmatched((original, before), (update, after), &matching);
            report.add_with(D::COMBINED_TYPE_SUBSCHEMAS_CHANGED, "", detail);
        }
    }

    /// For each part of the original without a counterpart, what keeps the nearest free one from being it.
    fn unmatched(
        &mut self,
        before: (Side, &[Part]),
        after: (Side, &[Part]),
        matching: &[Option<usize>],
    ) -> String {
        let taken: HashSet<usize> = matching.iter().flatten().copied().collect();
        let free: Vec<Id> = after
            .1
            .iter()
            .enumerate()
            .filter(|(at, _)| !taken.contains(at))
            .map(|(_, part)| part.schema)
            .collect();
        let mut details = Vec::new();
        for (part, _) in before.1.iter().zip(matching).filter(|(_, right)| right.is_none()).take(DETAILS_MAX)
        {
            let candidates = free.iter().take(DETAILS_MAX);
            let verdicts = candidates.map(|id| self.pair(side(before.0, part.schema), side(after.0, *id)));
            let nearest = verdicts.min_by_key(|verdict| verdict.differences.len());
            for difference in nearest
                .iter()
                .flat_map(|verdict| &verdict.differences)
                .take(DETAILS_MAX - details.len().min(DETAILS_MAX))
            {
                details.push(format!(
                    "part {}: {} at {}",
                    part.index,
                    difference.kind.name(),
                    difference.path()
                ));
            }
        }
        details.join(", ")
    }

    /// For each part of the original, the parts of the update that read it.
    fn edges(
        &mut self,
        original: Side,
        before: &[Part],
        update: Side,
        after: &[Part],
    ) -> Vec<Vec<(usize, Rc<Verdict>)>> {
        let mut edges = Vec::with_capacity(before.len());
        // Mostly parts are appended: when each has a counterpart at its own place, no other need be tried.
        for (right, (left, part)) in before.iter().zip(after).enumerate() {
            let verdict = self.pair(side(original, left.schema), side(update, part.schema));
            if verdict.incompatible {
                break;
            }
            edges.push(vec![(right, verdict)]);
        }
        if edges.len() == before.len().min(after.len()) {
            edges.resize(before.len(), Vec::new());
            return edges;
        }
        edges.clear();
        for left in before {
            let mut row = Vec::new();
            for (right, part) in after.iter().enumerate() {
                if self.exhausted {
                    return vec![Vec::new(); before.len()];
                }
                let verdict = self.pair(side(original, left.schema), side(update, part.schema));
                if !verdict.incompatible {
                    row.push((right, verdict));
                }
            }
            edges.push(row);
        }
        edges
    }
}

fn limit_exceeded() -> Difference {
    Difference { kind: D::COMPARISON_LIMIT_EXCEEDED, pointer: String::new(), detail: String::new() }
}

pub(super) fn side(owner: Side, id: Id) -> Side {
    Side { model: owner.model, id }
}

/// A place within another, as much of it as is told.
fn told(within: &str, pointer: &str) -> String {
    let mut told = String::with_capacity((within.len() + pointer.len()).min(POINTER_BYTES_MAX + 4));
    for part in [within, pointer] {
        let room = POINTER_BYTES_MAX.saturating_sub(told.len());
        let end = part.floor_char_boundary(room);
        told.push_str(&part[..end]);
        if end < part.len() && !told.ends_with('…') {
            told.push('…');
        }
    }
    told
}

/// How the way of combining differs, if it does.
fn criteria(before: Criterion, before_parts: usize, after: Criterion, after_parts: usize) -> Option<D> {
    if before == after {
        return None;
    }
    let (single_before, single_after) = (before_parts == 1, after_parts == 1);
    let extended = after == Criterion::Any
        || (single_before && single_after)
        || (single_before && after == Criterion::One)
        || (single_after && before == Criterion::All);
    Some(if extended { D::COMBINED_TYPE_EXTENDED } else { D::COMBINED_TYPE_CHANGED })
}

/// Collects what differs in one pair.
pub(super) struct Report {
    policy: CompatibilityPolicy,
    keep: Keep,
    verdict: Verdict,
}

impl Report {
    fn new(comparison: &Comparison<'_>) -> Report {
        Report { policy: comparison.policy, keep: comparison.keep, verdict: Verdict::default() }
    }

    pub(super) fn add(&mut self, kind: D, pointer: &str) {
        self.add_with(kind, pointer, String::new());
    }

    fn add_with(&mut self, kind: D, pointer: &str, detail: String) {
        self.push(Difference { kind, pointer: told(pointer, ""), detail });
    }

    fn push(&mut self, difference: Difference) {
        let tolerated = difference.kind.is_tolerated(self.policy);
        self.verdict.incompatible |= !tolerated;
        let kept = !tolerated || self.keep != Keep::Incompatible;
        if kept && self.verdict.differences.len() < DIFFERENCES_MAX {
            self.verdict.differences.push(difference);
        }
    }

    pub(super) fn merge(&mut self, pointer: &str, verdict: &Verdict) {
        self.verdict.incompatible |= verdict.incompatible;
        for difference in &verdict.differences {
            if self.verdict.differences.len() >= DIFFERENCES_MAX {
                break;
            }
            let pointer = told(pointer, &difference.pointer);
            self.verdict.differences.push(Difference { pointer, ..difference.clone() });
        }
    }

    fn annotations(&mut self, before: &Schema, after: &Schema) {
        if before.id != after.id {
            self.add(D::ID_CHANGED, "");
        }
        if before.title != after.title {
            self.add(D::TITLE_CHANGED, "");
        }
        if before.description != after.description {
            self.add(D::DESCRIPTION_CHANGED, "");
        }
        if before.default != after.default {
            self.add(D::DEFAULT_CHANGED, "");
        }
    }

    /// Compares a limit: `kinds` are added, removed, increased, decreased.
    pub(super) fn limit<T: Ord + ToString>(
        &mut self,
        keyword: &str,
        before: Option<&T>,
        after: Option<&T>,
        kinds: [D; 4],
    ) {
        let [added, removed, increased, decreased] = kinds;
        let kind = match (before, after) {
            (None, Some(_)) => added,
            (Some(_), None) => removed,
            (Some(before), Some(after)) if before < after => increased,
            (Some(before), Some(after)) if before > after => decreased,
            _ => return,
        };
        let show = |limit: Option<&T>| {
            limit.map_or_else(|| "none".to_owned(), |limit| super::tree::echo(&limit.to_string()))
        };
        self.add_with(kind, &format!("/{keyword}"), format!("{} was {}", show(after), show(before)));
    }

    /// Compares whether only values of the type are allowed.
    pub(super) fn demanded(&mut self, before: bool, after: bool) {
        if before != after {
            self.add(if before { D::TYPE_EXTENDED } else { D::TYPE_NARROWED }, "");
        }
    }
}

fn strings(report: &mut Report, before: &StringRules, after: &StringRules) {
    report.demanded(before.demanded, after.demanded);
    report.limit(
        "maxLength",
        before.length_max.as_ref(),
        after.length_max.as_ref(),
        [D::MAX_LENGTH_ADDED, D::MAX_LENGTH_REMOVED, D::MAX_LENGTH_INCREASED, D::MAX_LENGTH_DECREASED],
    );
    report.limit(
        "minLength",
        before.length_min.as_ref(),
        after.length_min.as_ref(),
        [D::MIN_LENGTH_ADDED, D::MIN_LENGTH_REMOVED, D::MIN_LENGTH_INCREASED, D::MIN_LENGTH_DECREASED],
    );
    match (&before.pattern, &after.pattern) {
        (None, Some(_)) => report.add(D::PATTERN_ADDED, "/pattern"),
        (Some(_), None) => report.add(D::PATTERN_REMOVED, "/pattern"),
        (Some(before), Some(after)) if before != after => report.add(D::PATTERN_CHANGED, "/pattern"),
        _ => {}
    }
}

fn numbers(report: &mut Report, before: &NumberRules, after: &NumberRules) {
    report.demanded(before.demanded, after.demanded);
    report.limit(
        "maximum",
        before.maximum.as_ref(),
        after.maximum.as_ref(),
        [D::MAXIMUM_ADDED, D::MAXIMUM_REMOVED, D::MAXIMUM_INCREASED, D::MAXIMUM_DECREASED],
    );
    report.limit(
        "minimum",
        before.minimum.as_ref(),
        after.minimum.as_ref(),
        [D::MINIMUM_ADDED, D::MINIMUM_REMOVED, D::MINIMUM_INCREASED, D::MINIMUM_DECREASED],
    );
    report.limit(
        "exclusiveMaximum",
        before.exclusive_maximum.as_ref(),
        after.exclusive_maximum.as_ref(),
        [
            D::EXCLUSIVE_MAXIMUM_ADDED,
            D::EXCLUSIVE_MAXIMUM_REMOVED,
            D::EXCLUSIVE_MAXIMUM_INCREASED,
            D::EXCLUSIVE_MAXIMUM_DECREASED,
        ],
    );
    report.limit(
        "exclusiveMinimum",
        before.exclusive_minimum.as_ref(),
        after.exclusive_minimum.as_ref(),
        [
            D::EXCLUSIVE_MINIMUM_ADDED,
            D::EXCLUSIVE_MINIMUM_REMOVED,
            D::EXCLUSIVE_MINIMUM_INCREASED,
            D::EXCLUSIVE_MINIMUM_DECREASED,
        ],
    );
    if let Some(kind) = multiples(before.multiple_of.as_ref(), after.multiple_of.as_ref()) {
        report.add(kind, "/multipleOf");
    }
    if before.demanded == after.demanded && before.integer != after.integer {
        report.add(if before.integer { D::TYPE_EXTENDED } else { D::TYPE_NARROWED }, "");
    }
}

fn multiples(before: Option<&Decimal>, after: Option<&Decimal>) -> Option<D> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(D::MULTIPLE_OF_ADDED),
        (Some(_), None) => Some(D::MULTIPLE_OF_REMOVED),
        (Some(before), Some(after)) if before == after => None,
        (Some(before), Some(after)) if after.is_multiple_of(before) == Some(true) => {
            Some(D::MULTIPLE_OF_EXPANDED)
        }
        (Some(before), Some(after)) if before.is_multiple_of(after) == Some(true) => {
            Some(D::MULTIPLE_OF_REDUCED)
        }
        (Some(_), Some(_)) => Some(D::MULTIPLE_OF_CHANGED),
    }
}

fn enums(report: &mut Report, before: &EnumRules, after: &EnumRules) {
    let kind = if before.values == after.values {
        return;
    } else if before.values.is_subset(&after.values) {
        D::ENUM_ARRAY_EXTENDED
    } else if after.values.is_subset(&before.values) {
        D::ENUM_ARRAY_NARROWED
    } else {
        D::ENUM_ARRAY_CHANGED
    };
    let missing: Vec<String> = before
        .values
        .difference(&after.values)
        .take(DETAILS_MAX)
        .map(|value| super::tree::echo(value))
        .collect();
    report.add_with(kind, &format!("/{}", after.keyword), missing.join(", "));
}
