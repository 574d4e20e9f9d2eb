//! Which types of one schema can read data of which types of another: schema resolution as the specification has it.
//!
//! The answer is the largest relation that has no reason against it: two types are related unless their kinds, names,
//! sizes, symbols or fields stand against it, or a part that must be related is not. So types that refer to themselves
//! need no special case. It is found without recursion: all pairs that can matter are listed first, then what is wrong
//! spreads from parts to wholes. The cost grows with the number of pairs, and that is limited.

use std::collections::HashMap;

use super::types::{Field, Kind, Named, Type, TypeId, Types};
use crate::schema::CompatibilityPolicy;
use crate::schema::tree::Item;

/// So many steps may one comparison take; each looks at one pair, symbol, field or alias.
const STEPS_MAX: usize = 300_000;

/// A type that reads, and one that wrote.
pub(super) type Pair = (TypeId, TypeId);

/// The two schemas of a comparison, and what counts in it.
#[derive(Clone, Copy)]
pub(super) struct Sides<'t> {
    pub(super) reader: &'t Types,
    pub(super) writer: &'t Types,
    pub(super) policy: CompatibilityPolicy,
}

/// What is known of every pair that can matter.
pub(super) struct Relation<'t> {
    sides: Sides<'t>,
    places: HashMap<Pair, usize>,
    nodes: Vec<Node>,
    steps: usize,
}

/// A pair of types with parts.
#[derive(Default)]
struct Node {
    /// Whether nothing is known against it.
    related: bool,
    /// Of a reader's union, how many branches are not refuted; of all others, zero.
    chances: usize,
    /// The pairs that this one is a part of.
    wholes: Vec<usize>,
}

/// What a pair depends on.
struct Dependence {
    /// Whether nothing but its parts can speak against it.
    sound: bool,
    parts: Vec<Pair>,
    /// Whether one related part is enough.
    any: bool,
}

/// The schemas are too large to be compared.
#[derive(Debug)]
pub(super) struct TooLarge;

impl<'t> Relation<'t> {
    /// Compares the roots of both sides, and all that follows.
    pub(super) fn new(sides: Sides<'t>) -> Result<Self, TooLarge> {
        let mut relation = Self { sides, places: HashMap::new(), nodes: Vec::new(), steps: STEPS_MAX };
        relation.list((sides.reader.root.id, sides.writer.root.id))?;
        Ok(relation)
    }

    /// Whether the first type reads what the second wrote; for pairs that follow from the roots.
    pub(super) fn holds(&self, pair: Pair) -> bool {
        let node = self.places.get(&pair).and_then(|place| self.nodes.get(*place));
        node.map_or_else(|| self.sides.settled(pair) == Some(true), |node| node.related)
    }

    /// Lists a pair with all that follows from it, then lets refutations spread.
    fn list(&mut self, root: Pair) -> Result<(), TooLarge> {
        let mut refuted = Vec::new();
        let mut open = vec![root];
        self.place(root);
        while let Some(pair) = open.pop() {
            self.spend(self.sides.weight(pair))?;
            let dependence = self.sides.dependence(pair);
            self.spend(dependence.parts.len())?;
            let place = self.place(pair);
            let mut chances = 0;
            let mut related = dependence.sound;
            for part in dependence.parts {
                match self.sides.settled_part(part, dependence.any) {
                    Some(verdict) => {
                        chances += usize::from(verdict);
                        related &= verdict || dependence.any;
                    }
                    None => {
                        chances += 1;
                        if !self.places.contains_key(&part) {
                            open.push(part);
                        }
                        let part = self.place(part);
                        self.nodes[part].wholes.push(place);
                    }
                }
            }
            if dependence.any {
                self.nodes[place].chances = chances;
                related &= chances > 0;
            }
            self.nodes[place].related = related;
            if !related {
                refuted.push(place);
            }
        }
        self.spread(refuted);
        Ok(())
    }

    /// Where a pair stands; it is taken for related until something speaks against it.
    fn place(&mut self, pair: Pair) -> usize {
        *self.places.entry(pair).or_insert_with(|| {
            self.nodes.push(Node { related: true, ..Node::default() });
            self.nodes.len() - 1
        })
    }

    fn spread(&mut self, mut refuted: Vec<usize>) {
        while let Some(place) = refuted.pop() {
            for whole in std::mem::take(&mut self.nodes[place].wholes) {
                let node = &mut self.nodes[whole];
                if !node.related {
                    continue;
                }
                node.chances = node.chances.saturating_sub(1);
                if node.chances == 0 {
                    node.related = false;
                    refuted.push(whole);
                }
            }
        }
    }

    fn spend(&mut self, steps: usize) -> Result<(), TooLarge> {
        self.steps = self.steps.checked_sub(steps).ok_or(TooLarge)?;
        Ok(())
    }
}

impl<'t> Sides<'t> {
    pub(super) fn types(&self, pair: Pair) -> (&'t Type, &'t Type) {
        (self.reader.get(pair.0), self.writer.get(pair.1))
    }

    /// What looking at a pair costs beyond its parts.
    fn weight(&self, pair: Pair) -> usize {
        let (reader, writer) = self.types(pair);
        let aliases = reader.named.as_ref().map_or(0, |named| named.aliases.len());
        let inside = match (&reader.kind, &writer.kind) {
            (Kind::Record { fields, .. }, Kind::Record { .. }) => {
                fields.iter().map(|field| 1 + field.aliases.len()).sum()
            }
            (Kind::Enum(_), Kind::Enum(writer)) => writer.list.len(),
            _ => 0,
        };
        1 + aliases + inside
    }

    /// The verdict on a pair whose parts need no look.
    fn settled(&self, pair: Pair) -> Option<bool> {
        let (reader, writer) = self.types(pair);
        match (&reader.kind, &writer.kind) {
            (Kind::Union(_), _) | (_, Kind::Union(_)) => None,
            _ if !self.same_logical_type(pair) => Some(false),
            (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => None,
            (Kind::Record { .. }, Kind::Record { .. }) | (Kind::Enum(_), Kind::Enum(_)) => {
                (!self.same_name(pair)).then_some(false)
            }
            (Kind::Fixed { size }, Kind::Fixed { size: written }) => {
                Some(size == written && self.same_name(pair))
            }
            (reader, writer) => Some(reader.is_like(writer) || promotes(reader, writer)),
        }
    }

    /// The same for a part. Records of different names are looked into for all that is wrong with them, except among the
    /// branches of a union, where they are merely not the one.
    fn settled_part(&self, part: Pair, any: bool) -> Option<bool> {
        let (reader, writer) = self.types(part);
        let records = matches!((&reader.kind, &writer.kind), (Kind::Record { .. }, Kind::Record { .. }));
        if records && !any { None } else { self.settled(part) }
    }

    fn dependence(&self, pair: Pair) -> Dependence {
        let (reader, writer) = self.types(pair);
        let all = |parts| Dependence { sound: true, parts, any: false };
        match (&reader.kind, &writer.kind) {
            (_, Kind::Union(branches)) => all(branches.iter().map(|branch| (pair.0, branch.id)).collect()),
            (Kind::Union(branches), _) => {
                let parts = branches.iter().map(|branch| (branch.id, pair.1)).collect();
                Dependence { sound: true, parts, any: true }
            }
            (Kind::Record { fields, .. }, Kind::Record { .. }) => {
                let sources = || fields.iter().map(|field| (field, Source::of(field, reader, writer)));
                let sound = self.settled(pair).is_none() && sources().all(|(_, source)| source.is_sound());
                let parts = sources().filter_map(|(field, source)| match source {
                    Source::Field(_, written) => Some((field.ty.id, written.ty.id)),
                    _ => None,
                });
                Dependence { sound, parts: parts.collect(), any: false }
            }
            (Kind::Enum(_), Kind::Enum(_)) => Dependence {
                sound: self.settled(pair).is_none() && self.missing_symbols(pair).next().is_none(),
                parts: Vec::new(),
                any: false,
            },
            (Kind::Array(read), Kind::Array(written)) | (Kind::Map(read), Kind::Map(written)) => Dependence {
                sound: self.same_logical_type(pair),
                parts: vec![(read.id, written.id)],
                any: false,
            },
            _ => Dependence { sound: self.settled(pair) == Some(true), parts: Vec::new(), any: false },
        }
    }

    /// Whether the names match: without their namespaces, as registries have always compared them, or by an alias.
    pub(super) fn same_name(&self, pair: Pair) -> bool {
        let (reader, writer) = self.types(pair);
        match (&reader.named, &writer.named) {
            (Some(reader), Some(writer)) => names_match(reader, writer),
            _ => true,
        }
    }

    /// Whether the logical types match, where they count.
    pub(super) fn same_logical_type(&self, pair: Pair) -> bool {
        let (reader, writer) = self.types(pair);
        self.policy != CompatibilityPolicy::Logical || LogicalType::of(reader) == LogicalType::of(writer)
    }

    /// The symbols of the writer's enum that the reader's neither has nor reads as its default.
    pub(super) fn missing_symbols(&self, pair: Pair) -> impl Iterator<Item = &'t str> {
        let (reader, writer) = self.types(pair);
        let enums = match (&reader.kind, &writer.kind) {
            (Kind::Enum(reader), Kind::Enum(writer)) if reader.default.is_none() => Some((reader, writer)),
            _ => None,
        };
        enums.into_iter().flat_map(|(reader, writer)| {
            let missing = writer.list.iter().filter(|symbol| !reader.places.contains_key(*symbol));
            missing.map(|symbol| &**symbol)
        })
    }
}

/// Whether data of one primitive type is read as another, as the specification lists them.
pub(super) fn promotes(reader: &Kind, writer: &Kind) -> bool {
    matches!(
        (reader, writer),
        (Kind::Long, Kind::Int)
            | (Kind::Float, Kind::Int | Kind::Long)
            | (Kind::Double, Kind::Int | Kind::Long | Kind::Float)
            | (Kind::Bytes, Kind::String)
            | (Kind::String, Kind::Bytes)
    )
}

fn names_match(reader: &Named, writer: &Named) -> bool {
    reader.name.simple() == writer.name.simple() || reader.aliases.contains(&writer.name)
}

/// Where a field of the reader's record is filled from.
pub(super) enum Source<'t> {
    /// The field of its name or of one of its aliases, and its place among the writer's.
    Field(usize, &'t Field),
    /// More than one of its names was written; which one is meant, readers disagree.
    Several,
    /// It was not written; its default is used.
    Default,
    /// It was not written, and it has no default.
    Nothing,
}

impl<'t> Source<'t> {
    /// Where `field` of the record `reader` comes from. What the writer calls as both fields of the reader are called is no other
    /// name of the one: so a schema reads itself, also when a field has the name of another as an alias.
    pub(super) fn of(field: &Field, reader: &Type, writer: &'t Type) -> Self {
        let Kind::Record { fields, places, .. } = &writer.kind else { return Source::Nothing };
        let is_written = places.contains_key(&field.name);
        let aliases = field.aliases.iter().map(String::as_str);
        let aliases = aliases.filter(|alias| !is_written || !reader.has_field(alias));
        let names = std::iter::once(&*field.name).chain(aliases);
        let mut found =
            names.filter_map(|name| places.get(name)).filter_map(|place| Some((*place, fields.get(*place)?)));
        match (found.next(), found.next()) {
            (Some((first, _)), Some((second, _))) if first != second => Source::Several,
            (Some((place, written)), _) => Source::Field(place, written),
            (None, _) if field.default.is_some() => Source::Default,
            (None, _) => Source::Nothing,
        }
    }

    /// Whether the field can be filled, as far as it alone is concerned.
    fn is_sound(&self) -> bool {
        matches!(self, Source::Field(..) | Source::Default)
    }
}

/// What a type means beyond its shape.
#[derive(PartialEq)]
pub(super) struct LogicalType<'t> {
    pub(super) name: Option<&'t str>,
    precision: Option<i64>,
    scale: i64,
}

impl<'t> LogicalType<'t> {
    pub(super) fn of(ty: &'t Type) -> Self {
        let name = ty.logical_type();
        let number = |key| name.and_then(|_| ty.property(key)).and_then(Item::whole);
        Self { name, precision: number("precision"), scale: number("scale").unwrap_or(0) }
    }
}
