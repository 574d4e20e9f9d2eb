//! How data of one schema is read as another: schema resolution, done once for each pair of schemas and kept.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;

use super::default::{self, Budget};
use super::relation::{Pair, Relation, Sides, Source, TooLarge, promotes};
use super::types::{Field, Kind, TypeId, Types};
use crate::schema::CompatibilityPolicy;
use crate::value::Value;

/// Fields that the records of a plan may have together, as they were written: of each record once for each that reads it.
const FIELDS_MAX: usize = 1 << 20;

/// The place of a step in its plan.
pub(super) type StepId = usize;

/// What to do with the bytes, type by type.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) root: StepId,
    /// The schema that the bytes were written with, for what is skipped.
    pub(super) writer: Arc<Types>,
}

#[derive(Debug)]
pub(super) enum Step {
    Null,
    Boolean,
    Int(Number),
    Long(Number),
    Float(Number),
    Double,
    Bytes,
    Text,
    /// Bytes that must be text.
    BytesAsText,
    TextAsBytes,
    Fixed(usize),
    /// What each symbol of the writer is read as; `None` cannot be read.
    Symbols(Vec<Option<ByteString>>),
    Array(StepId),
    Map(StepId),
    /// One for each branch that may have been written.
    Branches(Vec<StepId>),
    Record(Box<RecordStep>),
    /// What is written here cannot be read, and why.
    Refuse(String),
}

/// What a number is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Int,
    Long,
    Float,
    Double,
}

#[derive(Debug)]
pub(super) struct RecordStep {
    /// The reader's fields.
    pub(super) names: Arc<[ByteString]>,
    /// One for each field that was written.
    pub(super) written: Vec<WrittenField>,
    /// Fields that were not written, by their place among the reader's.
    pub(super) defaults: Vec<(usize, Value)>,
}

#[derive(Debug)]
pub(super) struct WrittenField {
    pub(super) ty: TypeId,
    /// The reader's fields that it is read as, by their place; none when it is skipped.
    pub(super) targets: Vec<(usize, StepId)>,
}

impl Plan {
    /// How `reader` reads what `writer` wrote.
    pub(super) fn new(reader: &Types, writer: &Arc<Types>) -> Result<Self, TooLarge> {
        let sides = Sides { reader, writer, policy: CompatibilityPolicy::Strict };
        let relation = Relation::new(sides)?;
        let mut builder = Builder {
            sides,
            relation,
            places: HashMap::new(),
            open: Vec::new(),
            steps: Vec::new(),
            budget: Budget::default(),
            fields: FIELDS_MAX,
        };
        let root = builder.place((reader.root.id, writer.root.id));
        while let Some((pair, place)) = builder.open.pop() {
            let step = builder.step(pair)?;
            builder.steps[place] = step;
        }
        Ok(Self { steps: builder.steps, root, writer: Arc::clone(writer) })
    }
}

struct Builder<'t> {
    sides: Sides<'t>,
    relation: Relation<'t>,
    places: HashMap<Pair, StepId>,
    open: Vec<(Pair, StepId)>,
    steps: Vec<Step>,
    budget: Budget,
    /// What is left of [`FIELDS_MAX`].
    fields: usize,
}

impl Builder<'_> {
    /// Where the step for a pair stands, or will stand.
    fn place(&mut self, pair: Pair) -> StepId {
        let pair = self.chosen(pair);
        if let Some(place) = self.places.get(&pair) {
            return *place;
        }
        let place = self.steps.len();
        self.steps.push(Step::Null);
        self.places.insert(pair, place);
        self.open.push((pair, place));
        place
    }

    /// A union that reads something else does so with one of its branches.
    fn chosen(&self, pair: Pair) -> Pair {
        let (reader, writer) = self.sides.types(pair);
        match (&reader.kind, &writer.kind) {
            (Kind::Union(_), Kind::Union(_)) => pair,
            (Kind::Union(branches), _) => {
                let branches: Vec<TypeId> = branches.iter().map(|branch| branch.id).collect();
                self.choose(&branches, pair.1).map_or(pair, |branch| (branch, pair.1))
            }
            _ => pair,
        }
    }

    /// The branch that reads a type: preferably of its full name, then of its kind, then by promotion; if none reads all of
    /// it, one of its name that reads some.
    fn choose(&self, branches: &[TypeId], written: TypeId) -> Option<TypeId> {
        let name = self.sides.writer.branch_name(written);
        let kind = self.sides.writer.kind(written);
        let reads = |branch: &TypeId| self.relation.holds((*branch, written));
        let named = |branch: &TypeId| self.sides.reader.branch_name(*branch) == name;
        let alike = |branch: &TypeId| self.sides.reader.kind(*branch).is_like(kind);
        let find = |fits: &dyn Fn(&TypeId) -> bool| branches.iter().copied().find(|branch| fits(branch));
        find(&|branch| reads(branch) && named(branch))
            .or_else(|| find(&|branch| reads(branch) && alike(branch)))
            .or_else(|| find(&reads))
            .or_else(|| find(&|branch| alike(branch) && self.sides.same_name((*branch, written))))
    }

    fn step(&mut self, pair: Pair) -> Result<Step, TooLarge> {
        let (reader, writer) = self.sides.types(pair);
        Ok(match (&reader.kind, &writer.kind) {
            (_, Kind::Union(branches)) => {
                Step::Branches(branches.iter().map(|branch| self.place((pair.0, branch.id))).collect())
            }
            (Kind::Array(read), Kind::Array(written)) => Step::Array(self.place((read.id, written.id))),
            (Kind::Map(read), Kind::Map(written)) => Step::Map(self.place((read.id, written.id))),
            _ if reader.named.is_some() && writer.named.is_some() && !self.sides.same_name(pair) => {
                self.refuse(pair)
            }
            (Kind::Record { fields, names, .. }, Kind::Record { fields: written, .. }) => {
                self.fields = self.fields.checked_sub(written.len()).ok_or(TooLarge)?;
                self.record(pair, (fields, names), written)
            }
            (Kind::Enum(read), Kind::Enum(written)) => {
                let symbol = |symbol: &ByteString| {
                    let known = read.places.contains_key(symbol).then(|| symbol.clone());
                    known.or_else(|| read.default.clone())
                };
                Step::Symbols(written.list.iter().map(symbol).collect())
            }
            (Kind::Fixed { size }, Kind::Fixed { size: written }) if size == written => Step::Fixed(*size),
            (read, written) => simple(read, written).unwrap_or_else(|| self.refuse(pair)),
        })
    }

    fn record(
        &mut self,
        pair: Pair,
        (fields, names): (&[Field], &Arc<[ByteString]>),
        written: &[Field],
    ) -> Step {
        let (reader, writer) = self.sides.types(pair);
        let unread = |field: &Field| WrittenField { ty: field.ty.id, targets: Vec::new() };
        let mut step = RecordStep {
            names: Arc::clone(names),
            written: written.iter().map(unread).collect(),
            defaults: Vec::new(),
        };
        for (place, field) in fields.iter().enumerate() {
            let problem = match Source::of(field, reader, writer) {
                Source::Field(source, written) => {
                    let target = (place, self.place((field.ty.id, written.ty.id)));
                    step.written[source].targets.push(target);
                    continue;
                }
                Source::Default => match default::value(self.sides.reader, field, &mut self.budget) {
                    Some(value) => {
                        step.defaults.push((place, value));
                        continue;
                    }
                    None => "was not written, and its default does not fit",
                },
                Source::Several => "may be one of several that were written",
                Source::Nothing => "was not written, and it has no default",
            };
            return Step::Refuse(format!("the field {} {problem}", field.name));
        }
        Step::Record(Box::new(step))
    }

    fn refuse(&self, pair: Pair) -> Step {
        let read = self.sides.reader.branch_name(pair.0);
        let written = self.sides.writer.branch_name(pair.1);
        Step::Refuse(format!("a value of type {written} cannot be read as {read}"))
    }
}

/// The step for types without parts.
fn simple(read: &Kind, written: &Kind) -> Option<Step> {
    if !read.is_like(written) && !promotes(read, written) {
        return None;
    }
    let number = match read {
        Kind::Int => Number::Int,
        Kind::Long => Number::Long,
        Kind::Float => Number::Float,
        _ => Number::Double,
    };
    Some(match (read, written) {
        (_, Kind::Null) => Step::Null,
        (_, Kind::Boolean) => Step::Boolean,
        (_, Kind::Int) => Step::Int(number),
        (_, Kind::Long) => Step::Long(number),
        (_, Kind::Float) => Step::Float(number),
        (_, Kind::Double) => Step::Double,
        (Kind::Bytes, Kind::Bytes) => Step::Bytes,
        (_, Kind::Bytes) => Step::BytesAsText,
        (Kind::String, Kind::String) => Step::Text,
        (_, Kind::String) => Step::TextAsBytes,
        _ => return None,
    })
}
