//! A schema as the comparison sees it: each schema object becomes one node of a kind, its keywords grouped by the type
//! that they speak about, references resolved.
//!
//! Why not the text: keywords of several kinds in one object are a conjunction, a list of types is a choice, and older
//! drafts write the same things differently. Here they are one thing each, so that the rules need no drafts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use indexmap::IndexMap;

use super::document::{ADDRESSES_BYTES_MAX, Documents, Draft, Place, Scope, Target, too_long_addresses};
use super::number::Decimal;
use super::pattern::backtracks;
use super::tree::echo;
use crate::schema::tree::{Item, Node};
use crate::schema::{ParseError, Position};

/// How many schemas may be on the way from the root to one, following references.
pub(super) const DEPTH_MAX: usize = 160;

/// How many schemas may judge the same piece of data on behalf of each other: `$ref` to `$ref`, `allOf` within `anyOf`.
pub(super) const IN_PLACE_MAX: usize = 40;

/// How often schemas may judge the same piece of data on behalf of one.
pub(super) const EVALUATIONS_MAX: usize = 50_000;

/// From how many judgements of the same data on the effort is worth estimating.
const EVALUATIONS_LIGHT: usize = 200;

/// How many regular expressions there may be in one schema.
pub(super) const PATTERNS_MAX: usize = 2_000;

/// As how many values that are looked through a pattern counts that goes back, which it may do
/// [`super::pattern::BACKTRACKS_MAX`] times.
const BACKTRACKING_WEIGHT: usize = 4_000;

/// How many schemas there may be in one.
pub(super) const SCHEMAS_MAX: usize = 100_000;

/// A schema within a [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u32);

/// A schema with all that it consists of.
#[derive(Debug)]
pub(super) struct Model {
    schemas: Vec<Schema>,
    pub(super) root: Id,
    /// How many regular expressions there are.
    pub(super) patterns: usize,
    multiplies: bool,
}

/// A schema: what it says of itself, and what it demands.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    /// As normalized text.
    pub(super) default: Option<String>,
    /// Whether Connect's converter says that it stands for bytes.
    pub(super) connect_bytes: bool,
    pub(super) kind: Kind,
}

impl Kind {
    /// How many names and values it lists, each of which a comparison looks at.
    pub(super) fn listed(&self) -> usize {
        match self {
            Kind::Enum(rules) => rules.values.len(),
            Kind::Object(rules) => {
                let dependent: usize = rules.dependent_required.values().map(BTreeSet::len).sum();
                let schemas = rules.properties.len() + rules.patterns.len() + rules.dependent_schemas.len();
                schemas + rules.required.len() + rules.dependent_required.len() + dependent
            }
            Kind::Array(rules) => rules.prefix.len(),
            Kind::Combined { parts, .. } => parts.len(),
            _ => 0,
        }
    }

    /// How many names or values the validator looks through, one by one, for each value that it judges, which has so many
    /// members. It finds strings and whole numbers among their like at once. A pattern that goes back counts as many.
    pub(super) fn scanned(&self, members: usize) -> usize {
        match self {
            Kind::Enum(rules) if !rules.uniform => rules.values.len(),
            Kind::String(rules) if rules.backtracks => BACKTRACKING_WEIGHT,
            Kind::Object(rules) => {
                let dependent = rules.dependent_required.len() + rules.dependent_schemas.len();
                dependent.saturating_add(members.saturating_mul(rules.backtracking * BACKTRACKING_WEIGHT))
            }
            _ => 0,
        }
    }
}

impl EnumRules {
    fn new(keyword: &'static str, values: BTreeSet<String>) -> Self {
        let all = |fits: fn(&str) -> bool| values.iter().all(|value| fits(value));
        let uniform = all(|value| value.starts_with('"')) || all(|value| value.parse::<i64>().is_ok());
        Self { keyword, values, uniform }
    }
}

/// What a schema demands.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Any,
    Never,
    Null,
    Boolean,
    String(StringRules),
    Number(Box<NumberRules>),
    Object(Box<ObjectRules>),
    Array(Box<ArrayRules>),
    Enum(EnumRules),
    Not(Id),
    Conditional {
        condition: Option<Id>,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    Combined {
        criterion: Criterion,
        parts: Vec<Part>,
    },
    Reference(Id),
    /// The meta-schema of a draft, by its URL.
    MetaSchema(String),
}

/// How many of its parts a combined schema wants to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    All,
    Any,
    One,
}

impl Criterion {
    pub(super) fn keyword(self) -> &'static str {
        match self {
            Criterion::All => "allOf",
            Criterion::Any => "anyOf",
            Criterion::One => "oneOf",
        }
    }
}

/// A part of a combined schema, with its place in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) index: usize,
    pub(super) schema: Id,
}

#[derive(Clone, Debug, Default)]
pub(super) struct StringRules {
    /// Whether anything else than a string is refused; so in the other rules.
    pub(super) demanded: bool,
    pub(super) length_min: Option<u64>,
    pub(super) length_max: Option<u64>,
    pub(super) pattern: Option<String>,
    /// Whether the pattern goes back.
    backtracks: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct NumberRules {
    pub(super) demanded: bool,
    pub(super) integer: bool,
    pub(super) minimum: Option<Decimal>,
    pub(super) maximum: Option<Decimal>,
    pub(super) exclusive_minimum: Option<Decimal>,
    pub(super) exclusive_maximum: Option<Decimal>,
    pub(super) multiple_of: Option<Decimal>,
}

/// What is demanded of what no keyword names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rest {
    #[default]
    Open,
    Closed,
    Partial(Id),
}

#[derive(Clone, Debug, Default)]
pub(super) struct ObjectRules {
    pub(super) demanded: bool,
    pub(super) properties: IndexMap<String, Id>,
    pub(super) required: BTreeSet<String>,
    pub(super) count_min: Option<u64>,
    pub(super) count_max: Option<u64>,
    pub(super) patterns: IndexMap<String, Id>,
    /// How many of them go back.
    backtracking: usize,
    pub(super) additional: Rest,
    pub(super) unevaluated: Option<Id>,
    /// What holds for properties that neither `properties` nor `patternProperties` name.
    pub(super) rest: Rest,
    pub(super) names: Option<Id>,
    pub(super) dependent_required: BTreeMap<String, BTreeSet<String>>,
    pub(super) dependent_schemas: BTreeMap<String, Id>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ArrayRules {
    pub(super) demanded: bool,
    pub(super) prefix: Vec<Id>,
    /// Of every item, when there is no prefix.
    pub(super) items: Option<Id>,
    /// What `additionalItems`, or `items` beside `prefixItems`, says.
    pub(super) additional: Rest,
    pub(super) unevaluated: Option<Id>,
    /// What holds for items after the prefix.
    pub(super) rest: Rest,
    pub(super) count_min: Option<u64>,
    pub(super) count_max: Option<u64>,
    pub(super) unique: bool,
    pub(super) contains: Option<Id>,
    /// Drafts 2019-09 and later: of those that `contains` accepts.
    pub(super) contains_min: Option<u64>,
    pub(super) contains_max: Option<u64>,
}

/// A choice among values, as normalized texts.
#[derive(Clone, Debug)]
pub(super) struct EnumRules {
    pub(super) keyword: &'static str,
    pub(super) values: BTreeSet<String>,
    /// Whether all are strings, or all whole numbers.
    uniform: bool,
}

impl Model {
    pub(super) fn schema(&self, id: Id) -> &Schema {
        &self.schemas[id.0 as usize]
    }

    pub(super) fn kind(&self, id: Id) -> &Kind {
        &self.schema(id).kind
    }

    /// What a chain of references leads to. There is no cycle: `Loader` refuses them.
    pub(super) fn resolve(&self, id: Id) -> Id {
        let mut id = id;
        while let Kind::Reference(target) = self.kind(id) {
            id = *target;
        }
        id
    }

    pub(super) fn is_any(&self, id: Id) -> bool {
        matches!(self.kind(self.resolve(id)), Kind::Any)
    }

    pub(super) fn is_never(&self, id: Id) -> bool {
        matches!(self.kind(self.resolve(id)), Kind::Never)
    }

    /// Whether a value may be judged much more often than once.
    pub(super) fn multiplies(&self) -> bool {
        self.multiplies
    }

    /// By how many schemas at most a member or item is judged because of this one alone.
    fn fan_out(&self, id: Id) -> usize {
        match self.kind(id) {
            Kind::Object(rules) => {
                let named = !rules.properties.is_empty()
                    || rules.additional != Rest::Open
                    || rules.unevaluated.is_some();
                usize::from(named) + rules.patterns.len()
            }
            Kind::Array(rules) => {
                let items =
                    !rules.prefix.is_empty() || rules.items.is_some() || rules.additional != Rest::Open;
                usize::from(items || rules.unevaluated.is_some()) + usize::from(rules.contains.is_some())
            }
            _ => 0,
        }
    }

    /// The schemas that judge the same piece of data on behalf of this one.
    pub(super) fn in_place(&self, id: Id) -> Vec<Id> {
        match self.kind(id) {
            Kind::Reference(target) => vec![*target],
            Kind::Not(schema) => vec![*schema],
            Kind::Combined { parts, .. } => parts.iter().map(|part| part.schema).collect(),
            Kind::Conditional { condition, then, otherwise } => {
                [condition, then, otherwise].into_iter().flatten().copied().collect()
            }
            Kind::Object(rules) => rules.dependent_schemas.values().copied().collect(),
            _ => Vec::new(),
        }
    }
}

/// A reference of the texts and what it leads to, for the validator: by the address of its text.
pub(super) type References = HashMap<*const Item, String>;

/// Builds a [`Model`] from texts.
pub(super) struct Loader<'a> {
    documents: &'a Documents<'a>,
    texts: &'a [&'a str],
    schemas: Vec<Schema>,
    /// Where a schema stands in the texts, for errors.
    origins: Vec<(usize, usize)>,
    known: HashMap<*const Item, Id>,
    references: References,
    depth: usize,
    patterns: usize,
    /// The bytes of the bases and targets of all references.
    addresses_bytes: usize,
}

impl<'a> Loader<'a> {
    /// The schema that the first of `documents` is; `texts` are theirs, in order.
    pub(super) fn load(
        documents: &'a Documents<'a>,
        texts: &'a [&'a str],
    ) -> Result<(Model, References), ParseError> {
        let mut loader = Loader {
            documents,
            texts,
            schemas: Vec::new(),
            origins: Vec::new(),
            known: HashMap::new(),
            references: HashMap::new(),
            depth: 0,
            patterns: 0,
            addresses_bytes: 0,
        };
        let root = loader.schema(documents.root(0), &documents.scope())?;
        let Loader { schemas, origins, references, patterns, .. } = loader;
        if patterns > PATTERNS_MAX {
            let message =
                format!("the schema has {patterns} regular expressions; at most {PATTERNS_MAX} are taken");
            return Err(ParseError { message, position: None });
        }
        let mut model = Model { schemas, root, patterns, multiplies: false };
        model.multiplies = weigh(&model, &origins, texts)?;
        Ok((model, references))
    }

    fn fault(&self, document: usize, at: usize, message: String) -> ParseError {
        fault(self.texts, document, at, message)
    }

    fn schema(&mut self, item: &'a Item, outer: &Scope) -> Result<Id, ParseError> {
        if let Some(known) = self.known.get(&std::ptr::from_ref(item)) {
            return Ok(*known);
        }
        let scope = self.documents.scope_at(item, outer);
        if self.depth >= DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} schemas lead to this one");
            return Err(self.fault(scope.document, item.at, message));
        }
        let id = self.add(Kind::Any, scope.document, item.at)?;
        self.known.insert(std::ptr::from_ref(item), id);
        self.depth += 1;
        let kind = self.kind(item, &scope)?;
        self.depth -= 1;
        let text = |key: &str| item.get(key).and_then(Item::string).map(str::to_owned);
        self.schemas[id.0 as usize] = Schema {
            id: text("$id").or_else(|| text("id")),
            title: text("title"),
            description: text("description"),
            default: item.get("default").map(Item::normalized),
            connect_bytes: item.get("connect.type").and_then(Item::string) == Some("bytes"),
            kind,
        };
        Ok(id)
    }

    /// Adds a schema that has no object of its own in the text, or whose object is still being read.
    fn add(&mut self, kind: Kind, document: usize, at: usize) -> Result<Id, ParseError> {
        if self.schemas.len() >= SCHEMAS_MAX {
            let message = format!("the schema consists of more than {SCHEMAS_MAX} schemas");
            return Err(self.fault(document, at, message));
        }
        let id = Id(u32::try_from(self.schemas.len()).unwrap_or(u32::MAX));
        self.schemas.push(Schema {
            id: None,
            title: None,
            description: None,
            default: None,
            connect_bytes: false,
            kind,
        });
        self.origins.push((document, at));
        Ok(id)
    }

    fn kind(&mut self, item: &'a Item, scope: &Scope) -> Result<Kind, ParseError> {
        match &item.node {
            Node::Boolean(true) => Ok(Kind::Any),
            Node::Boolean(false) => Ok(Kind::Never),
            Node::Object(_) => self.demands(item, scope),
            _ => {
                Err(self.fault(scope.document, item.at, "a schema must be an object or a boolean".to_owned()))
            }
        }
    }

    /// What the keywords of an object demand together.
    fn demands(&mut self, item: &'a Item, scope: &Scope) -> Result<Kind, ParseError> {
        let draft = self.documents.draft(scope.document);
        let mut kinds = self.referred(item, scope, draft)?;
        if kinds.is_empty() || draft.keeps_siblings() {
            self.values(item, draft, &mut kinds);
            self.combinations(item, scope, draft, &mut kinds)?;
            self.types(item, scope, draft, &mut kinds)?;
        }
        if kinds.len() <= 1 {
            return Ok(kinds.pop().unwrap_or(Kind::Any));
        }
        let mut parts = Vec::with_capacity(kinds.len());
        for (index, kind) in kinds.into_iter().enumerate() {
            parts.push(Part { index, schema: self.add(kind, scope.document, item.at)? });
        }
        Ok(Kind::Combined { criterion: Criterion::All, parts })
    }

    fn referred(&mut self, item: &'a Item, scope: &Scope, draft: Draft) -> Result<Vec<Kind>, ParseError> {
        let keywords: &[&str] = match draft {
            Draft::Of202012 => &["$ref", "$dynamicRef"],
            Draft::Of201909 => &["$ref", "$recursiveRef"],
            _ => &["$ref"],
        };
        let mut kinds = Vec::new();
        for keyword in keywords {
            let Some(reference) = item.get(keyword).filter(|reference| reference.string().is_some()) else {
                continue;
            };
            let text = reference.string().unwrap_or("");
            let Some((target, inner)) = self.documents.resolve(scope, text) else {
                let message = format!(
                    "{keyword} leads to {:?}, which is neither in the text nor among the references; nothing is fetched: \
                     register it and name it in the references",
                    echo(text)
                );
                return Err(self.fault(scope.document, reference.at, message));
            };
            kinds.push(match target {
                Target::MetaSchema(url) => Kind::MetaSchema(url),
                Target::Place(Place { item: target, document, pointer }) => {
                    self.refer(reference, scope, document, &pointer)?;
                    Kind::Reference(self.schema(target, &inner)?)
                }
            });
        }
        Ok(kinds)
    }

    /// Notes where a reference leads to.
    fn refer(
        &mut self,
        reference: &Item,
        scope: &Scope,
        document: usize,
        pointer: &str,
    ) -> Result<(), ParseError> {
        self.addresses_bytes += scope.base_bytes() + pointer.len();
        if self.addresses_bytes > ADDRESSES_BYTES_MAX {
            return Err(self.fault(scope.document, reference.at, too_long_addresses()));
        }
        self.references.insert(std::ptr::from_ref(reference), address(document, pointer));
        Ok(())
    }

    fn values(&mut self, item: &'a Item, draft: Draft, kinds: &mut Vec<Kind>) {
        if let Some(values) = item.get("enum").and_then(Item::array) {
            let values = values.iter().map(Item::normalized).collect();
            kinds.push(Kind::Enum(EnumRules::new("enum", values)));
        }
        if let Some(value) = item.get("const").filter(|_| draft > Draft::Four) {
            let values = BTreeSet::from([value.normalized()]);
            kinds.push(Kind::Enum(EnumRules::new("const", values)));
        }
    }

    fn combinations(
        &mut self,
        item: &'a Item,
        scope: &Scope,
        draft: Draft,
        kinds: &mut Vec<Kind>,
    ) -> Result<(), ParseError> {
        for criterion in [Criterion::All, Criterion::Any, Criterion::One] {
            let Some(parts) = item.get(criterion.keyword()).and_then(Item::array) else { continue };
            let parts = self.parts(parts, scope)?;
            kinds.push(Kind::Combined { criterion, parts });
        }
        if let Some(schema) = item.get("not") {
            kinds.push(Kind::Not(self.schema(schema, scope)?));
        }
        if draft >= Draft::Seven && ["if", "then", "else"].iter().any(|keyword| item.get(keyword).is_some()) {
            let condition = self.optional(item, "if", scope)?;
            let then = self.optional(item, "then", scope)?;
            let otherwise = self.optional(item, "else", scope)?;
            // Without a condition the branches mean nothing.
            if condition.is_some() && (then.is_some() || otherwise.is_some()) {
                kinds.push(Kind::Conditional { condition, then, otherwise });
            }
        }
        Ok(())
    }

    /// The parts of a combination; of equal ones only the first.
    fn parts(&mut self, items: &'a [Item], scope: &Scope) -> Result<Vec<Part>, ParseError> {
        let mut seen = BTreeSet::new();
        let mut parts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            // Equal ones are read all the same: the validator needs to know where their references lead.
            let schema = self.schema(item, scope)?;
            if seen.insert(item.normalized()) {
                parts.push(Part { index, schema });
            }
        }
        Ok(parts)
    }

    fn optional(&mut self, item: &'a Item, keyword: &str, scope: &Scope) -> Result<Option<Id>, ParseError> {
        item.get(keyword).map(|schema| self.schema(schema, scope)).transpose()
    }

    /// What is said of values by their type: by `type`, and by keywords that speak of one type alone.
    fn types(
        &mut self,
        item: &'a Item,
        scope: &Scope,
        draft: Draft,
        kinds: &mut Vec<Kind>,
    ) -> Result<(), ParseError> {
        let mut groups = Group::present(item, draft);
        if let Some(name) = item.get("type").and_then(Item::string) {
            kinds.push(self.typed(name, item, scope, draft)?);
            groups.retain(|group| !group.is_of(name));
        }
        if let Some(names) = item.get("type").and_then(Item::array) {
            let mut parts = Vec::new();
            for (index, name) in distinct(names) {
                let kind = self.typed(name, item, scope, draft)?;
                parts.push(Part { index, schema: self.add(kind, scope.document, item.at)? });
                groups.retain(|group| !group.is_of(name));
            }
            kinds.push(Kind::Combined { criterion: Criterion::Any, parts });
        }
        for group in groups {
            kinds.push(self.group(group, false, item, scope, draft)?);
        }
        Ok(())
    }

    fn typed(&mut self, name: &str, item: &'a Item, scope: &Scope, draft: Draft) -> Result<Kind, ParseError> {
        let group = match name {
            "null" => return Ok(Kind::Null),
            "boolean" => return Ok(Kind::Boolean),
            "string" => Group::String,
            "number" | "integer" => Group::Number,
            "object" => Group::Object,
            "array" => Group::Array,
            other => {
                let message = format!("{:?} is no type of JSON", echo(other));
                return Err(self.fault(scope.document, item.at, message));
            }
        };
        let mut kind = self.group(group, true, item, scope, draft)?;
        if let Kind::Number(rules) = &mut kind {
            rules.integer = name == "integer";
        }
        Ok(kind)
    }

    fn group(
        &mut self,
        group: Group,
        demanded: bool,
        item: &'a Item,
        scope: &Scope,
        draft: Draft,
    ) -> Result<Kind, ParseError> {
        Ok(match group {
            Group::String => {
                let pattern = item.get("pattern").and_then(Item::string).map(str::to_owned);
                self.patterns += usize::from(pattern.is_some());
                let (length_min, length_max) = (count(item, "minLength"), count(item, "maxLength"));
                let backtracks = pattern.as_deref().is_some_and(backtracks);
                Kind::String(StringRules { demanded, length_min, length_max, pattern, backtracks })
            }
            Group::Number => Kind::Number(Box::new(number_rules(item, demanded))),
            Group::Object => Kind::Object(Box::new(self.object_rules(item, demanded, scope, draft)?)),
            Group::Array => Kind::Array(Box::new(self.array_rules(item, demanded, scope, draft)?)),
        })
    }

    fn object_rules(
        &mut self,
        item: &'a Item,
        demanded: bool,
        scope: &Scope,
        draft: Draft,
    ) -> Result<ObjectRules, ParseError> {
        let mut rules = ObjectRules {
            demanded,
            properties: self.named(item, "properties", scope)?.into_iter().collect(),
            required: item.get("required").map(strings).unwrap_or_default(),
            count_min: count(item, "minProperties"),
            count_max: count(item, "maxProperties"),
            patterns: self.named(item, "patternProperties", scope)?.into_iter().collect(),
            additional: self.rest(item, "additionalProperties", scope)?,
            ..ObjectRules::default()
        };
        self.patterns += rules.patterns.len();
        rules.backtracking = rules.patterns.keys().filter(|pattern| backtracks(pattern)).count();
        if draft >= Draft::Six {
            rules.names = self.optional(item, "propertyNames", scope)?;
        }
        if draft >= Draft::Of201909 {
            rules.unevaluated = self.optional(item, "unevaluatedProperties", scope)?;
            rules.dependent_schemas = self.named(item, "dependentSchemas", scope)?.into_iter().collect();
            let required = item.get("dependentRequired").and_then(Item::object);
            rules.dependent_required =
                required.into_iter().flatten().map(|(name, names)| (name.clone(), strings(names))).collect();
        }
        for (name, dependency) in item.get("dependencies").and_then(Item::object).into_iter().flatten() {
            if dependency.array().is_some() {
                rules.dependent_required.insert(name.clone(), strings(dependency));
            } else {
                let schema = self.schema(dependency, scope)?;
                rules.dependent_schemas.insert(name.clone(), schema);
            }
        }
        // Whatever is additional is evaluated.
        let evaluated = item.get("additionalProperties").is_some();
        rules.rest = if evaluated { rules.additional } else { self.content(rules.unevaluated) };
        Ok(rules)
    }

    fn array_rules(
        &mut self,
        item: &'a Item,
        demanded: bool,
        scope: &Scope,
        draft: Draft,
    ) -> Result<ArrayRules, ParseError> {
        let mut rules = ArrayRules {
            demanded,
            count_min: count(item, "minItems"),
            count_max: count(item, "maxItems"),
            unique: item.get("uniqueItems").and_then(Item::boolean) == Some(true),
            ..ArrayRules::default()
        };
        let (prefix, rest) =
            if draft == Draft::Of202012 { ("prefixItems", "items") } else { ("items", "additionalItems") };
        for schema in item.get(prefix).and_then(Item::array).unwrap_or_default() {
            rules.prefix.push(self.schema(schema, scope)?);
        }
        if draft == Draft::Of202012 && rules.prefix.is_empty() {
            match self.rest(item, "items", scope)? {
                Rest::Partial(schema) => rules.items = Some(schema),
                rest => rules.additional = rest,
            }
        } else {
            rules.additional = self.rest(item, rest, scope)?;
            if let Some(schema) =
                item.get("items").filter(|items| draft != Draft::Of202012 && items.array().is_none())
            {
                rules.items = Some(self.schema(schema, scope)?);
            }
        }
        if draft >= Draft::Six {
            rules.contains = self.optional(item, "contains", scope)?;
        }
        if draft >= Draft::Of201909 {
            rules.unevaluated = self.optional(item, "unevaluatedItems", scope)?;
            if rules.contains.is_some() {
                rules.contains_min = Some(count(item, "minContains").unwrap_or(1));
                rules.contains_max = count(item, "maxContains");
            }
        }
        rules.rest = self.items_after_prefix(item, &rules, draft);
        Ok(rules)
    }

    fn items_after_prefix(&self, item: &Item, rules: &ArrayRules, draft: Draft) -> Rest {
        if let Some(items) = rules.items {
            return self.content(Some(items));
        }
        let (judged, evaluated) = match draft {
            Draft::Of202012 => (item.get("items").is_some(), rules.contains.is_some()),
            _ => (!rules.prefix.is_empty() && item.get("additionalItems").is_some(), false),
        };
        match (judged, evaluated) {
            (true, _) => rules.additional,
            (false, true) => Rest::Open,
            (false, false) => self.content(rules.unevaluated),
        }
    }

    /// What a schema for everything else comes to.
    fn content(&self, schema: Option<Id>) -> Rest {
        match schema.map(|id| (id, &self.schemas[id.0 as usize].kind)) {
            None => Rest::Open,
            Some((_, Kind::Never)) => Rest::Closed,
            Some((id, _)) => Rest::Partial(id),
        }
    }

    fn named(
        &mut self,
        item: &'a Item,
        keyword: &str,
        scope: &Scope,
    ) -> Result<Vec<(String, Id)>, ParseError> {
        let members = item.get(keyword).and_then(Item::object).into_iter().flatten();
        members.map(|(name, schema)| Ok((name.clone(), self.schema(schema, scope)?))).collect()
    }

    fn rest(&mut self, item: &'a Item, keyword: &str, scope: &Scope) -> Result<Rest, ParseError> {
        Ok(match item.get(keyword) {
            None | Some(Item { node: Node::Boolean(true), .. }) => Rest::Open,
            Some(Item { node: Node::Boolean(false), .. }) => Rest::Closed,
            Some(schema) => Rest::Partial(self.schema(schema, scope)?),
        })
    }
}

/// Keywords that speak of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Array,
    Object,
    Number,
    String,
}

impl Group {
    fn is_of(self, name: &str) -> bool {
        match self {
            Group::Array => name == "array",
            Group::Object => name == "object",
            Group::Number => name == "number" || name == "integer",
            Group::String => name == "string",
        }
    }

    fn present(item: &Item, draft: Draft) -> Vec<Group> {
        let any = |keywords: &[&str]| keywords.iter().any(|keyword| item.get(keyword).is_some());
        let six = draft >= Draft::Six;
        let later = draft >= Draft::Of201909;
        let array = any(&["items", "minItems", "maxItems", "uniqueItems"])
            || (draft < Draft::Of202012 && any(&["additionalItems"]))
            || (draft == Draft::Of202012 && any(&["prefixItems"]))
            || (six && any(&["contains"]))
            || (later && any(&["unevaluatedItems"]));
        let object = any(&["properties", "required", "minProperties", "maxProperties", "patternProperties"])
            || any(&["additionalProperties", "dependencies"])
            || (six && any(&["propertyNames"]))
            || (later && any(&["dependentRequired", "dependentSchemas", "unevaluatedProperties"]));
        let number = any(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]);
        let string = any(&["minLength", "maxLength", "pattern"]);
        [(array, Group::Array), (object, Group::Object), (number, Group::Number), (string, Group::String)]
            .into_iter()
            .filter_map(|(present, group)| present.then_some(group))
            .collect()
    }
}

/// What a reference is rewritten to for the validator.
pub(super) fn address(document: usize, pointer: &str) -> String {
    let mut text = document_uri(document) + "#";
    for byte in pointer.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~$".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The URI of a text for the validator.
pub(super) fn document_uri(document: usize) -> String {
    format!("vltava://schema/{document}")
}

/// Names of types with their places, each once: one that comes again says nothing, but would be built with all its keywords again.
fn distinct(names: &[Item]) -> Vec<(usize, &str)> {
    let mut seen = BTreeSet::new();
    names.iter().filter_map(Item::string).enumerate().filter(|(_, name)| seen.insert(*name)).collect()
}

fn count(item: &Item, keyword: &str) -> Option<u64> {
    item.get(keyword)?.number()?.count()
}

fn strings(item: &Item) -> BTreeSet<String> {
    item.array().unwrap_or_default().iter().filter_map(Item::string).map(str::to_owned).collect()
}

fn number_rules(item: &Item, demanded: bool) -> NumberRules {
    let number = |keyword: &str| item.get(keyword).and_then(Item::number);
    let mut rules = NumberRules {
        demanded,
        integer: false,
        minimum: number("minimum"),
        maximum: number("maximum"),
        exclusive_minimum: number("exclusiveMinimum"),
        exclusive_maximum: number("exclusiveMaximum"),
        multiple_of: number("multipleOf"),
    };
    // Draft 4 has flags that sharpen the limits.
    let flag = |keyword: &str| item.get(keyword).and_then(Item::boolean) == Some(true);
    if flag("exclusiveMinimum") {
        rules.exclusive_minimum.clone_from(&rules.minimum);
    }
    if flag("exclusiveMaximum") {
        rules.exclusive_maximum.clone_from(&rules.maximum);
    }
    rules
}

fn fault(texts: &[&str], document: usize, at: usize, message: String) -> ParseError {
    // A place in another text would mislead.
    let position = (document == 0).then(|| Position::of(texts.first().copied().unwrap_or(""), at));
    ParseError { message, position }
}

/// What a schema comes to together with those that judge the same data on its behalf.
#[derive(Clone, Copy)]
struct Weight {
    depth: usize,
    evaluations: usize,
    fan_out: usize,
}

/// Refuses schemas that judge data by way of themselves, and those where too many judge the same data; tells whether values
/// may be judged much more often than once.
fn weigh(model: &Model, origins: &[(usize, usize)], texts: &[&str]) -> Result<bool, ParseError> {
    let mut weights: Vec<Option<Weight>> = vec![None; model.schemas.len()];
    let mut open = vec![false; model.schemas.len()];
    let refuse = |schema: usize, message: String| {
        let (document, at) = origins[schema];
        Err(fault(texts, document, at, message))
    };
    for start in 0..model.schemas.len() {
        // Each entry: a schema, those that it leads to, and how many of them are done.
        let mut stack = vec![(start, model.in_place(Id(start as u32)), 0)];
        open[start] = true;
        while let Some((schema, targets, done)) = stack.last_mut() {
            let schema = *schema;
            if let Some(target) = targets.get(*done).map(|target| target.0 as usize) {
                *done += 1;
                if weights[target].is_some() {
                    continue;
                }
                if open[target] {
                    let message = "the schema refers to itself without going into the data; put the reference under \
                                   properties or items";
                    return refuse(schema, message.to_owned());
                }
                open[target] = true;
                stack.push((target, model.in_place(Id(target as u32)), 0));
                continue;
            }
            let own = Weight { depth: 1, evaluations: 1, fan_out: model.fan_out(Id(schema as u32)) };
            let weight =
                targets.iter().filter_map(|target| weights[target.0 as usize]).fold(own, |sum, target| {
                    Weight {
                        depth: sum.depth.max(target.depth + 1),
                        evaluations: sum.evaluations.saturating_add(target.evaluations),
                        fan_out: sum.fan_out.saturating_add(target.fan_out),
                    }
                });
            if weight.depth > IN_PLACE_MAX {
                let message =
                    format!("more than {IN_PLACE_MAX} schemas judge the same data, one by way of another");
                return refuse(schema, message);
            }
            if weight.evaluations > EVALUATIONS_MAX {
                let message = format!(
                    "schemas judge the same data more than {EVALUATIONS_MAX} times because of this one"
                );
                return refuse(schema, message);
            }
            weights[schema] = Some(weight);
            open[schema] = false;
            stack.pop();
        }
    }
    let heavy = |weight: &Weight| weight.fan_out > 1 || weight.evaluations > EVALUATIONS_LIGHT;
    let scans = model.schemas.iter().any(|schema| schema.kind.scanned(1) > EVALUATIONS_LIGHT);
    Ok(scans || weights.iter().flatten().any(heavy))
}
