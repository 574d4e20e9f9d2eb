//! The rules for objects and arrays: what may come and go depends on the content model, which is open (anything else is
//! allowed), closed (nothing else), or partially open (something else, if it fits a schema).

use std::collections::BTreeSet;

use super::compare::{Comparison, Report, Side, side};
use super::difference::Kind as D;
use super::document::escape;
use super::model::{ArrayRules, Id, ObjectRules, Rest};

/// An object or array schema with the side that it is of.
struct Of<'a, T> {
    side: Side,
    rules: &'a T,
}

impl<T> Clone for Of<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Of<'_, T> {}

impl<T> Of<'_, T> {
    fn at(&self, id: Id) -> Side {
        side(self.side, id)
    }

    fn optional(&self, id: Option<Id>) -> Option<Side> {
        id.map(|id| self.at(id))
    }
}

/// How what is not named any more is judged.
struct Content<'a> {
    closed: D,
    closed_never: D,
    open: D,
    covered: D,
    uncovered: D,
    pointer: &'a str,
}

impl Comparison<'_> {
    pub(super) fn objects(
        &mut self,
        report: &mut Report,
        original: Side,
        before: &ObjectRules,
        update: Side,
        after: &ObjectRules,
    ) {
        let (before, after) = (Of { side: original, rules: before }, Of { side: update, rules: after });
        report.demanded(before.rules.demanded, after.rules.demanded);
        required(report, self, before, after);
        self.properties(report, before, after);
        self.patterns(report, before, after);
        self.dependencies(report, before, after);
        let kinds = [
            D::ADDITIONAL_PROPERTIES_ADDED,
            D::ADDITIONAL_PROPERTIES_REMOVED,
            D::ADDITIONAL_PROPERTIES_NARROWED,
            D::ADDITIONAL_PROPERTIES_EXTENDED,
        ];
        let rests = [(before.side, before.rules.additional), (after.side, after.rules.additional)];
        self.rest(report, "/additionalProperties", rests, kinds);
        let kinds = [
            D::UNEVALUATED_PROPERTIES_ADDED,
            D::UNEVALUATED_PROPERTIES_REMOVED,
            D::UNEVALUATED_PROPERTIES_NARROWED,
            D::UNEVALUATED_PROPERTIES_EXTENDED,
        ];
        let unevaluated =
            [before.optional(before.rules.unevaluated), after.optional(after.rules.unevaluated)];
        self.unevaluated(report, "/unevaluatedProperties", unevaluated, kinds);
        let (before_names, after_names) =
            (before.optional(before.rules.names), after.optional(after.rules.names));
        self.optional(report, "/propertyNames", before_names, after_names);
        report.limit(
            "maxProperties",
            before.rules.count_max.as_ref(),
            after.rules.count_max.as_ref(),
            [
                D::MAX_PROPERTIES_ADDED,
                D::MAX_PROPERTIES_REMOVED,
                D::MAX_PROPERTIES_INCREASED,
                D::MAX_PROPERTIES_DECREASED,
            ],
        );
        report.limit(
            "minProperties",
            before.rules.count_min.as_ref(),
            after.rules.count_min.as_ref(),
            [
                D::MIN_PROPERTIES_ADDED,
                D::MIN_PROPERTIES_REMOVED,
                D::MIN_PROPERTIES_INCREASED,
                D::MIN_PROPERTIES_DECREASED,
            ],
        );
    }

    fn properties(&mut self, report: &mut Report, before: Of<'_, ObjectRules>, after: Of<'_, ObjectRules>) {
        for (name, schema) in &before.rules.properties {
            let pointer = format!("/properties/{}", escape(name));
            match after.rules.properties.get(name) {
                Some(update) => {
                    let verdict = self.pair(before.at(*schema), after.at(*update));
                    report.merge(&pointer, &verdict);
                }
                None => self.property_removed(report, &pointer, name, before.at(*schema), after),
            }
        }
        for (name, schema) in &after.rules.properties {
            if !before.rules.properties.contains_key(name) {
                let pointer = format!("/properties/{}", escape(name));
                self.property_added(report, &pointer, name, before, after, *schema);
            }
        }
    }

    fn property_removed(
        &mut self,
        report: &mut Report,
        pointer: &str,
        name: &str,
        property: Side,
        after: Of<'_, ObjectRules>,
    ) {
        let mut content = Content {
            closed: D::PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL,
            closed_never: D::PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL,
            open: D::PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL,
            covered: D::PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL,
            uncovered: D::PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL,
            pointer,
        };
        let Some(matching) = self.matching(after.rules, name) else {
            report.add(D::COMPARISON_LIMIT_EXCEEDED, pointer);
            return;
        };
        if matching.is_empty() {
            self.removed(report, &content, property, after.side, after.rules.rest);
        }
        for schema in matching {
            // Every pattern that matches judges the property.
            content.pointer = pointer;
            self.removed(report, &content, property, after.side, Rest::Partial(schema));
        }
    }

    /// Judges a property or item that `rest` takes over.
    fn removed(&mut self, report: &mut Report, content: &Content<'_>, schema: Side, after: Side, rest: Rest) {
        match rest {
            Rest::Open => report.add(content.open, content.pointer),
            Rest::Closed if self.is_never(schema) => report.add(content.closed_never, content.pointer),
            Rest::Closed => report.add(content.closed, content.pointer),
            Rest::Partial(partial) => {
                let verdict = self.pair(schema, side(after, partial));
                report.merge(content.pointer, &verdict);
                report.add(
                    if verdict.incompatible { content.uncovered } else { content.covered },
                    content.pointer,
                );
            }
        }
    }

    fn property_added(
        &mut self,
        report: &mut Report,
        pointer: &str,
        name: &str,
        before: Of<'_, ObjectRules>,
        after: Of<'_, ObjectRules>,
        schema: Id,
    ) {
        let property = after.at(schema);
        let required = after.rules.required.contains(name) && !before.rules.required.contains(name);
        let Some(mut candidates) = self.matching(before.rules, name) else {
            report.add(D::COMPARISON_LIMIT_EXCEEDED, pointer);
            return;
        };
        if candidates.is_empty() {
            match before.rules.rest {
                Rest::Open => {
                    report.add(self.added_to_open(property, required), pointer);
                    return;
                }
                Rest::Closed => {}
                Rest::Partial(partial) => candidates.push(partial),
            }
        }
        self.covered(report, pointer, before.side, &candidates, property);
        report.add(
            match (required, self.has_default(property)) {
                (true, true) => D::REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL,
                (true, false) => D::REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL,
                (false, _) => D::OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL,
            },
            pointer,
        );
    }

    fn added_to_open(&self, property: Side, required: bool) -> D {
        match (required, self.has_default(property)) {
            (true, true) => D::REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL,
            (true, false) => D::REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL,
            (false, _) if self.is_any(property) => D::PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL,
            (false, _) => D::OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL,
        }
    }

    /// Judges a property that was restricted by all of `candidates` before; one that suffices is enough.
    fn covered(
        &mut self,
        report: &mut Report,
        pointer: &str,
        before: Side,
        candidates: &[Id],
        property: Side,
    ) {
        let mut first = None;
        for candidate in candidates {
            let verdict = self.pair(side(before, *candidate), property);
            if !verdict.incompatible {
                report.merge(pointer, &verdict);
                report.add(D::PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL, pointer);
                return;
            }
            first.get_or_insert(verdict);
        }
        if let Some(verdict) = first {
            report.merge(pointer, &verdict);
            report.add(D::PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL, pointer);
        }
    }

    /// The schemas of the patterns that match a name; `None` when it cannot be told.
    fn matching(&mut self, rules: &ObjectRules, name: &str) -> Option<Vec<Id>> {
        let mut matching = Vec::new();
        for (pattern, schema) in &rules.patterns {
            if self.patterns.matches(pattern, name)? {
                matching.push(*schema);
            }
        }
        Some(matching)
    }

    /// Compares what patterns demand: of names that match one, and of those that matched one before.
    fn patterns(&mut self, report: &mut Report, before: Of<'_, ObjectRules>, after: Of<'_, ObjectRules>) {
        for (pattern, schema) in &after.rules.patterns {
            let pointer = format!("/patternProperties/{}", escape(pattern));
            if let Some(original) = before.rules.patterns.get(pattern) {
                let verdict = self.pair(before.at(*original), after.at(*schema));
                report.merge(&pointer, &verdict);
            } else if !self.pattern_covered(pattern, before, after.at(*schema)) {
                report.add(D::SCHEMA_ADDED, &pointer);
            }
        }
        for (pattern, schema) in &before.rules.patterns {
            if after.rules.patterns.contains_key(pattern) {
                continue;
            }
            let pointer = format!("/patternProperties/{}", escape(pattern));
            let content = Content {
                closed: D::PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL,
                closed_never: D::PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL,
                open: D::SCHEMA_REMOVED,
                covered: D::PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL,
                uncovered: D::PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL,
                pointer: &pointer,
            };
            self.removed(report, &content, before.at(*schema), after.side, after.rules.rest);
        }
    }

    /// Whether all that could stand under a name that matches `pattern` fits `schema`.
    fn pattern_covered(&mut self, pattern: &str, before: Of<'_, ObjectRules>, schema: Side) -> bool {
        if self.is_any(schema) {
            return true;
        }
        let mut candidates: Vec<Id> = before.rules.patterns.values().copied().collect();
        match before.rules.rest {
            Rest::Open => return false,
            Rest::Closed => {}
            Rest::Partial(partial) => candidates.push(partial),
        }
        for (name, property) in &before.rules.properties {
            match self.patterns.matches(pattern, name) {
                Some(true) => candidates.push(*property),
                Some(false) => {}
                None => return false,
            }
        }
        candidates.iter().all(|candidate| !self.pair(before.at(*candidate), schema).incompatible)
    }

    fn dependencies(&mut self, report: &mut Report, before: Of<'_, ObjectRules>, after: Of<'_, ObjectRules>) {
        let (arrays_before, arrays_after) =
            (&before.rules.dependent_required, &after.rules.dependent_required);
        for name in arrays_before.keys().chain(arrays_after.keys()).collect::<BTreeSet<_>>() {
            let kind = match (arrays_before.get(name), arrays_after.get(name)) {
                (_, None) => D::DEPENDENCY_ARRAY_REMOVED,
                (None, Some(_)) => D::DEPENDENCY_ARRAY_ADDED,
                (Some(before), Some(after)) if before == after => continue,
                (Some(before), Some(after)) if before.is_subset(after) => D::DEPENDENCY_ARRAY_EXTENDED,
                (Some(before), Some(after)) if after.is_subset(before) => D::DEPENDENCY_ARRAY_NARROWED,
                (Some(_), Some(_)) => D::DEPENDENCY_ARRAY_CHANGED,
            };
            report.add(kind, &format!("/dependencies/{}", escape(name)));
        }
        let (schemas_before, schemas_after) =
            (&before.rules.dependent_schemas, &after.rules.dependent_schemas);
        for name in schemas_before.keys().chain(schemas_after.keys()).collect::<BTreeSet<_>>() {
            let pointer = format!("/dependencies/{}", escape(name));
            match (schemas_before.get(name), schemas_after.get(name)) {
                (_, None) => report.add(D::DEPENDENCY_SCHEMA_REMOVED, &pointer),
                (None, Some(_)) => report.add(D::DEPENDENCY_SCHEMA_ADDED, &pointer),
                (Some(original), Some(update)) => {
                    let verdict = self.pair(before.at(*original), after.at(*update));
                    report.merge(&pointer, &verdict);
                }
            }
        }
    }

    /// Compares what is said of everything else; `kinds` are added, removed, narrowed, extended.
    fn rest(&mut self, report: &mut Report, pointer: &str, rests: [(Side, Rest); 2], kinds: [D; 4]) {
        let [added, removed, narrowed, extended] = kinds;
        let [(before, original), (after, update)] = rests;
        match (original, update) {
            (Rest::Open, Rest::Open) | (Rest::Closed, Rest::Closed) => {}
            (Rest::Closed, _) => report.add(added, pointer),
            (_, Rest::Closed) => report.add(removed, pointer),
            (Rest::Open, Rest::Partial(schema)) => {
                if !self.is_any(side(after, schema)) {
                    report.add(narrowed, pointer);
                }
            }
            (Rest::Partial(_), Rest::Open) => report.add(extended, pointer),
            (Rest::Partial(original), Rest::Partial(update)) => {
                let verdict = self.pair(side(before, original), side(after, update));
                report.merge(pointer, &verdict);
            }
        }
    }

    fn unevaluated(&mut self, report: &mut Report, pointer: &str, schemas: [Option<Side>; 2], kinds: [D; 4]) {
        let [original, update] = schemas.map(|schema| match schema {
            None => Rest::Open,
            Some(schema) if self.is_never(schema) => Rest::Closed,
            Some(schema) => Rest::Partial(schema.id()),
        });
        let [Some(before), Some(after)] = [schemas[0].or(schemas[1]), schemas[1].or(schemas[0])] else {
            return;
        };
        self.rest(report, pointer, [(before, original), (after, update)], kinds);
    }

    pub(super) fn arrays(
        &mut self,
        report: &mut Report,
        original: Side,
        before: &ArrayRules,
        update: Side,
        after: &ArrayRules,
    ) {
        let (before, after) = (Of { side: original, rules: before }, Of { side: update, rules: after });
        report.demanded(before.rules.demanded, after.rules.demanded);
        let (before_items, after_items) =
            (before.optional(before.rules.items), after.optional(after.rules.items));
        self.optional(report, "/items", before_items, after_items);
        self.prefixes(report, before, after);
        let kinds = [
            D::ADDITIONAL_ITEMS_ADDED,
            D::ADDITIONAL_ITEMS_REMOVED,
            D::ADDITIONAL_ITEMS_NARROWED,
            D::ADDITIONAL_ITEMS_EXTENDED,
        ];
        let rests = [(before.side, before.rules.additional), (after.side, after.rules.additional)];
        self.rest(report, "/additionalItems", rests, kinds);
        let kinds = [
            D::UNEVALUATED_ITEMS_ADDED,
            D::UNEVALUATED_ITEMS_REMOVED,
            D::UNEVALUATED_ITEMS_NARROWED,
            D::UNEVALUATED_ITEMS_EXTENDED,
        ];
        let unevaluated =
            [before.optional(before.rules.unevaluated), after.optional(after.rules.unevaluated)];
        self.unevaluated(report, "/unevaluatedItems", unevaluated, kinds);
        report.limit(
            "maxItems",
            before.rules.count_max.as_ref(),
            after.rules.count_max.as_ref(),
            [D::MAX_ITEMS_ADDED, D::MAX_ITEMS_REMOVED, D::MAX_ITEMS_INCREASED, D::MAX_ITEMS_DECREASED],
        );
        report.limit(
            "minItems",
            before.rules.count_min.as_ref(),
            after.rules.count_min.as_ref(),
            [D::MIN_ITEMS_ADDED, D::MIN_ITEMS_REMOVED, D::MIN_ITEMS_INCREASED, D::MIN_ITEMS_DECREASED],
        );
        if before.rules.unique != after.rules.unique {
            let kind = if before.rules.unique { D::UNIQUE_ITEMS_REMOVED } else { D::UNIQUE_ITEMS_ADDED };
            report.add(kind, "/uniqueItems");
        }
        self.contains(report, before, after);
    }

    fn prefixes(&mut self, report: &mut Report, before: Of<'_, ArrayRules>, after: Of<'_, ArrayRules>) {
        let common = before.rules.prefix.len().min(after.rules.prefix.len());
        for (index, (original, update)) in before.rules.prefix.iter().zip(&after.rules.prefix).enumerate() {
            let verdict = self.pair(before.at(*original), after.at(*update));
            report.merge(&format!("/items/{index}"), &verdict);
        }
        for (index, schema) in before.rules.prefix.iter().enumerate().skip(common) {
            let content = Content {
                closed: D::ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL,
                closed_never: D::ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL,
                open: D::ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL,
                covered: D::ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL,
                uncovered: D::ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL,
                pointer: &format!("/items/{index}"),
            };
            self.removed(report, &content, before.at(*schema), after.side, after.rules.rest);
        }
        for (index, schema) in after.rules.prefix.iter().enumerate().skip(common) {
            self.item_added(report, &format!("/items/{index}"), before, after.at(*schema));
        }
    }

    fn item_added(&mut self, report: &mut Report, pointer: &str, before: Of<'_, ArrayRules>, item: Side) {
        match before.rules.rest {
            Rest::Open if self.is_any(item) => {
                report.add(D::ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL, pointer);
            }
            Rest::Open => report.add(D::ITEM_ADDED_TO_OPEN_CONTENT_MODEL, pointer),
            Rest::Closed => report.add(D::ITEM_ADDED_TO_CLOSED_CONTENT_MODEL, pointer),
            Rest::Partial(partial) => {
                let verdict = self.pair(before.at(partial), item);
                report.merge(pointer, &verdict);
                let kind = if verdict.incompatible {
                    D::ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                } else {
                    D::ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL
                };
                report.add(kind, pointer);
            }
        }
    }

    fn contains(&mut self, report: &mut Report, before: Of<'_, ArrayRules>, after: Of<'_, ArrayRules>) {
        let (mut min_before, mut min_after) = (before.rules.contains_min, after.rules.contains_min);
        match (before.optional(before.rules.contains), after.optional(after.rules.contains)) {
            (Some(original), Some(update)) => {
                // Drafts without the keyword want one.
                min_before = min_before.or(Some(1));
                min_after = min_after.or(Some(1));
                let verdict = self.pair(original, update);
                report.merge("/contains", &verdict);
                // With an upper limit, accepting more items than before is a restriction.
                if after.rules.contains_max.is_some() && self.pair(update, original).incompatible {
                    report.add(D::TYPE_CHANGED, "/contains");
                }
            }
            // Even a schema that accepts everything wants one item now.
            (None, Some(_)) if min_after.is_none() => report.add(D::SCHEMA_ADDED, "/contains"),
            (Some(_), None) if min_before.is_none() => report.add(D::SCHEMA_REMOVED, "/contains"),
            _ => {}
        }
        report.limit(
            "maxContains",
            before.rules.contains_max.as_ref(),
            after.rules.contains_max.as_ref(),
            [
                D::MAX_CONTAINS_ADDED,
                D::MAX_CONTAINS_REMOVED,
                D::MAX_CONTAINS_INCREASED,
                D::MAX_CONTAINS_DECREASED,
            ],
        );
        report.limit(
            "minContains",
            min_before.as_ref(),
            min_after.as_ref(),
            [
                D::MIN_CONTAINS_ADDED,
                D::MIN_CONTAINS_REMOVED,
                D::MIN_CONTAINS_INCREASED,
                D::MIN_CONTAINS_DECREASED,
            ],
        );
    }
}

fn required(
    report: &mut Report,
    comparison: &Comparison<'_>,
    before: Of<'_, ObjectRules>,
    after: Of<'_, ObjectRules>,
) {
    for name in before.rules.required.union(&after.rules.required) {
        let (was, is) = (before.rules.required.contains(name), after.rules.required.contains(name));
        let pointer = format!("/required/{}", escape(name));
        let properties = (before.rules.properties.get(name), after.rules.properties.get(name));
        match properties {
            (Some(_), Some(_)) if was && !is => report.add(D::REQUIRED_ATTRIBUTE_REMOVED, &pointer),
            (Some(_), Some(schema)) if !was && comparison.has_default(after.at(*schema)) => {
                report.add(D::REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED, &pointer);
            }
            (Some(_), _) if !was => report.add(D::REQUIRED_ATTRIBUTE_ADDED, &pointer),
            // A property that was added is judged as such.
            _ => {}
        }
    }
}
