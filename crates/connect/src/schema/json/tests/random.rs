//! Random pairs of schemas and random documents: when the new schema is said to read what the old one wrote, every document
//! that is valid under the old one must be valid under the new one.
//!
//! Left out is what is knowingly judged more laxly: `default` of required properties, `required` without a property,
//! `oneOf` with several parts, and `unevaluated…`.

use serde_json::{Map, Value as Json, json};

use super::*;

/// How many pairs are tried.
const PAIRS: u64 = 800;

/// How many documents are tried on a compatible pair.
const DOCUMENTS: usize = 150;

/// Schemas and documents from a seed.
struct Random(vltava_core::testing::Random);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0.below(end)
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.0.once_in(times)
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        self.0.pick(choices).clone()
    }

    fn name(&mut self) -> &'static str {
        self.of(&["a", "b", "c", "ab"])
    }

    fn document(&mut self, depth: usize) -> Json {
        match self.below(if depth == 0 { 7 } else { 12 }) {
            0 => Json::Null,
            1 => json!(self.once_in(2)),
            2 | 3 => json!(self.below(8) as i64 - 2),
            4 => json!(1.5),
            5 | 6 => json!(self.of(&["", "a", "ab", "b", "ba", "aaaa"])),
            7 | 8 => (0..self.below(4)).map(|_| self.document(depth - 1)).collect(),
            _ => {
                let members = (0..self.below(4)).map(|_| (self.name().to_owned(), self.document(depth - 1)));
                Json::Object(members.collect::<Vec<_>>().into_iter().collect())
            }
        }
    }

    fn schema(&mut self, depth: usize, modern: bool) -> Json {
        let mut schema = Map::new();
        let kind = self.below(if depth == 0 { 6 } else { 14 });
        match kind {
            0 => return json!(!self.once_in(4)),
            1 => return json!({ "enum": [self.document(0), self.document(0), self.document(1)] }),
            2 => return json!({ "const": self.document(1) }),
            3 => self.strings(&mut schema),
            4 => self.numbers(&mut schema),
            5 => {
                return json!({ "type": [self.of(&["null", "boolean"]), self.of(&["string", "integer"])], "minLength": self.below(3) });
            }
            6..=8 => self.objects(&mut schema, depth - 1, modern),
            9 | 10 => self.arrays(&mut schema, depth - 1, modern),
            11 => {
                let parts: Vec<Json> =
                    (0..1 + self.below(3)).map(|_| self.schema(depth - 1, modern)).collect();
                schema.insert(self.of(&["anyOf", "allOf"]).to_owned(), Json::Array(parts));
                if self.once_in(3) {
                    self.objects(&mut schema, depth - 1, modern);
                }
            }
            12 => {
                schema.insert("not".to_owned(), self.schema(depth - 1, modern));
            }
            _ if self.once_in(2) => {
                for keyword in ["if", "then", "else"] {
                    if !self.once_in(4) {
                        schema.insert(keyword.to_owned(), self.schema(depth - 1, modern));
                    }
                }
            }
            _ => return json!({ "$ref": self.of(&["#/definitions/x", "#/definitions/y"]) }),
        }
        Json::Object(schema)
    }

    fn strings(&mut self, schema: &mut Map<String, Json>) {
        self.typed(schema, "string");
        self.maybe(schema, "minLength", |random| json!(random.below(3)));
        self.maybe(schema, "maxLength", |random| json!(random.below(5)));
        self.maybe(schema, "pattern", |random| json!(random.of(&["^a", "b$", "a"])));
    }

    fn numbers(&mut self, schema: &mut Map<String, Json>) {
        let name = self.of(&["number", "integer"]);
        self.typed(schema, name);
        for keyword in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
            self.maybe(schema, keyword, |random| json!(random.below(7) as i64 - 2));
        }
        self.maybe(schema, "multipleOf", |random| json!(random.of(&[1.0, 2.0, 3.0, 0.5])));
    }

    fn objects(&mut self, schema: &mut Map<String, Json>, depth: usize, modern: bool) {
        self.typed(schema, "object");
        let names: Vec<&str> = (0..self.below(4)).map(|_| self.name()).collect();
        let properties = names.iter().map(|name| ((*name).to_owned(), self.schema(depth, modern)));
        let properties: Map<String, Json> = properties.collect::<Vec<_>>().into_iter().collect();
        schema.insert("properties".to_owned(), Json::Object(properties));
        self.maybe(schema, "required", |random| {
            json!(names.iter().filter(|_| random.once_in(2)).collect::<std::collections::BTreeSet<_>>())
        });
        self.maybe(schema, "additionalProperties", |random| random.schema(depth, modern));
        self.maybe(schema, "patternProperties", |random| {
            let pattern = random.of(&["^a", "b$", "."]);
            json!({ pattern: random.schema(depth, modern) })
        });
        self.maybe(schema, "minProperties", |random| json!(random.below(3)));
        self.maybe(schema, "maxProperties", |random| json!(random.below(4)));
        self.maybe(schema, "propertyNames", |random| random.schema(0, modern));
        let required = if modern { "dependentRequired" } else { "dependencies" };
        self.maybe(schema, required, |random| json!({ random.name(): [random.name()] }));
        if modern {
            self.maybe(
                schema,
                "dependentSchemas",
                |random| json!({ random.name(): random.schema(depth, true) }),
            );
        }
    }

    fn arrays(&mut self, schema: &mut Map<String, Json>, depth: usize, modern: bool) {
        self.typed(schema, "array");
        let tuple = |random: &mut Random| {
            (0..1 + random.below(2)).map(|_| random.schema(depth, modern)).collect::<Json>()
        };
        match (modern, self.once_in(2)) {
            (true, prefix) => {
                if prefix {
                    schema.insert("prefixItems".to_owned(), tuple(self));
                }
                self.maybe(schema, "items", |random| random.schema(depth, modern));
                self.maybe(schema, "contains", |random| random.schema(depth, modern));
                self.maybe(schema, "minContains", |random| json!(random.below(3)));
                self.maybe(schema, "maxContains", |random| json!(random.below(3)));
            }
            (false, several) => {
                let items = if several { tuple(self) } else { self.schema(depth, modern) };
                self.maybe(schema, "items", |_| items);
                self.maybe(schema, "additionalItems", |random| random.schema(depth, modern));
                self.maybe(schema, "contains", |random| random.schema(depth, modern));
            }
        }
        self.maybe(schema, "minItems", |random| json!(random.below(3)));
        self.maybe(schema, "maxItems", |random| json!(random.below(4)));
        self.maybe(schema, "uniqueItems", |random| json!(random.once_in(2)));
    }

    fn typed(&mut self, schema: &mut Map<String, Json>, name: &str) {
        if !self.once_in(4) {
            schema.insert("type".to_owned(), json!(name));
        }
    }

    fn maybe(
        &mut self,
        schema: &mut Map<String, Json>,
        keyword: &str,
        value: impl FnOnce(&mut Random) -> Json,
    ) {
        if self.once_in(4) {
            schema.insert(keyword.to_owned(), value(self));
        }
    }

    fn whole(&mut self, modern: bool) -> Json {
        let mut schema = json!({ "allOf": [self.schema(3, modern)], "definitions": {} });
        if let Json::Object(inner) = self.schema(3, modern) {
            schema = Json::Object(inner);
        }
        schema["definitions"] = json!({ "x": self.schema(2, modern), "y": self.schema(1, modern) });
        schema["$schema"] = json!(if modern {
            "https://json-schema.org/draft/2020-12/schema"
        } else {
            "http://json-schema.org/draft-07/schema#"
        });
        schema
    }

    /// Changes a few places.
    fn mutate(&mut self, json: &mut Json, modern: bool) {
        match json {
            Json::Number(number) => *json = json!(number.as_f64().unwrap_or(0.0) as i64 + self.of(&[-1, 1])),
            Json::Bool(value) => *value = !*value,
            Json::Array(items) if !items.is_empty() => {
                let index = self.below(items.len());
                match self.below(4) {
                    0 if items.len() > 1 => drop(items.remove(index)),
                    1 => {
                        let copy = items[index].clone();
                        items.push(copy);
                    }
                    _ => self.mutate(&mut items[index], modern),
                }
            }
            Json::Object(members) if !members.is_empty() => {
                let keys: Vec<String> = members.keys().filter(|key| *key != "$schema").cloned().collect();
                let key = self.of(&keys);
                match self.below(8) {
                    0 if key != "definitions" => drop(members.remove(&key)),
                    1 => {
                        if let Json::Object(other) = self.schema(1, modern) {
                            members.extend(other);
                        }
                    }
                    2 if members[&key].is_object() && key != "definitions" => {
                        members[&key] = self.schema(1, modern);
                    }
                    _ => {
                        if let Some(member) = members.get_mut(&key) {
                            self.mutate(member, modern);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// Takes out names from `required` that are no properties.
fn tame(json: &mut Json) {
    if let Json::Array(items) = json {
        items.iter_mut().for_each(tame);
    }
    let Json::Object(members) = json else { return };
    members.values_mut().for_each(tame);
    let properties = members.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    if let Some(Json::Array(names)) = members.get_mut("required") {
        names.retain(|name| name.as_str().is_some_and(|name| properties.contains_key(name)));
        // Draft 4 and its followers differ on whether the list may be empty.
        if names.is_empty() {
            members.remove("required");
        }
    }
}

/// What a round has shown.
#[derive(Debug, Default)]
struct Tally {
    compatible: usize,
    incompatible: usize,
    documents: usize,
}

fn round(seed: u64, tally: &mut Tally) {
    let mut random = Random(vltava_core::testing::Random::new(seed));
    let modern = random.once_in(2);
    let mut old = random.whole(modern);
    let mut new = old.clone();
    for _ in 0..1 + random.below(3) {
        random.mutate(&mut new, modern);
    }
    tame(&mut old);
    tame(&mut new);
    let (old_text, new_text) = (old.to_string(), new.to_string());
    let (Ok(old), Ok(new)) = (parse_with(&old_text, &[]), parse_with(&new_text, &[])) else { return };
    if old.normalized() == new.normalized() {
        return;
    }
    if !new.incompatibilities(&*old, Direction::NewReadsOld, CompatibilityPolicy::Strict).is_empty() {
        tally.incompatible += 1;
        return;
    }
    tally.compatible += 1;
    for _ in 0..DOCUMENTS {
        let document = random.document(3).to_string();
        if old.decode(&*old, Bytes::from(document.clone())).is_err() {
            continue;
        }
        tally.documents += 1;
        let read = new.decode(&*old, Bytes::from(document.clone()));
        assert!(
            read.is_ok(),
            "seed {seed}: {document} is valid under\n{old_text}\nbut not under\n{new_text}\n{read:?}"
        );
    }
}

#[test]
fn what_is_said_to_be_compatible_reads_every_document() {
    let first = std::env::var("JSON_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let pairs = std::env::var("JSON_PAIRS").ok().and_then(|pairs| pairs.parse().ok()).unwrap_or(PAIRS);
    let mut tally = Tally::default();
    for seed in first..first + pairs {
        round(seed, &mut tally);
    }
    println!("{tally:?}");
    assert!(
        pairs < PAIRS || (tally.compatible > 100 && tally.incompatible > 100 && tally.documents > 2_000),
        "{tally:?}"
    );
}
