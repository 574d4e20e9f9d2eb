//! Why one schema cannot read what another wrote, told to a person.
//!
//! Kinds and paths are those that Avro's own checker gives and the registry's users know.

use std::collections::HashSet;

use super::relation::{LogicalType, Pair, Relation, Sides, Source, TooLarge};
use super::types::{Field, Kind, Type, TypeId, Types};
use crate::schema::{CompatibilityPolicy, Direction, Incompatibility};

/// How many reasons are told.
const REASONS_MAX: usize = 1000;
/// How many parts of a path are told, the last ones.
const PATH_PARTS_MAX: usize = 128;
/// How many missing symbols are told.
const SYMBOLS_TOLD_MAX: usize = 50;
/// How much is told of each, in characters.
const SYMBOL_CHARS_MAX: usize = 100;

const MISSING_DEFAULT: &str = "READER_FIELD_MISSING_DEFAULT_VALUE";
const TYPE: &str = "TYPE_MISMATCH";
const NAME: &str = "NAME_MISMATCH";
const SIZE: &str = "FIXED_SIZE_MISMATCH";
const SYMBOLS: &str = "MISSING_ENUM_SYMBOLS";
const BRANCH: &str = "MISSING_UNION_BRANCH";

/// All the reasons, in the order of the reader's text; each pair of named types is looked into once.
pub(super) fn all(
    reader: &Types,
    writer: &Types,
    direction: Direction,
    policy: CompatibilityPolicy,
) -> Vec<Incompatibility> {
    let sides = Sides { reader, writer, policy };
    let words = match direction {
        Direction::NewReadsOld => Words { reader: "new", writer: "old" },
        Direction::OldReadsNew => Words { reader: "old", writer: "new" },
    };
    match Relation::new(sides) {
        Ok(relation) => Walk::new(sides, &relation, words).run(),
        Err(TooLarge) => vec![Incompatibility {
            kind: TYPE,
            path: "/".to_owned(),
            message: "The new and the old schema are too large to be compared".to_owned(),
            detail: "split them, or narrow their unions".to_owned(),
        }],
    }
}

/// What the two schemas are called.
#[derive(Clone, Copy)]
struct Words {
    reader: &'static str,
    writer: &'static str,
}

/// A path, as the place of its last part in [`Walk::parts`]; zero is the empty one.
type Path = usize;

/// What is to be looked at or told next.
enum Step {
    Look(Pair, Path),
    Tell(Incompatibility),
    /// All that was wrong within a pair is told.
    Leave(Pair),
}

struct Walk<'t> {
    sides: Sides<'t>,
    relation: &'t Relation<'t>,
    words: Words,
    /// Each part of a path, and the path before it.
    parts: Vec<(String, Path)>,
    steps: Vec<Step>,
    seen: HashSet<Pair>,
    /// Those that are being told.
    open: HashSet<Pair>,
}

impl<'t> Walk<'t> {
    fn new(sides: Sides<'t>, relation: &'t Relation<'t>, words: Words) -> Self {
        let steps = vec![Step::Look((sides.reader.root.id, sides.writer.root.id), 0)];
        Self { sides, relation, words, parts: Vec::new(), steps, seen: HashSet::new(), open: HashSet::new() }
    }

    fn run(mut self) -> Vec<Incompatibility> {
        let mut told = Vec::new();
        while let Some(step) = self.steps.pop() {
            if told.len() == REASONS_MAX {
                break;
            }
            match step {
                Step::Tell(reason) => told.push(reason),
                Step::Look(pair, path) => {
                    if !self.relation.holds(pair) && self.seen.insert(pair) {
                        self.open.insert(pair);
                        self.steps.push(Step::Leave(pair));
                        let mut steps = self.look(pair, path);
                        steps.reverse();
                        self.steps.append(&mut steps);
                    }
                }
                Step::Leave(pair) => {
                    self.open.remove(&pair);
                }
            }
        }
        told
    }

    /// What there is to say about a pair that is not related, in order.
    fn look(&mut self, pair: Pair, path: Path) -> Vec<Step> {
        let (reader, writer) = self.sides.types(pair);
        match (&reader.kind, &writer.kind) {
            (Kind::Union(read), Kind::Union(written)) => {
                let mut steps = Vec::new();
                for (place, branch) in written.iter().enumerate() {
                    // That a type holds itself is no reason of its own.
                    let open = read.iter().any(|read| self.open.contains(&(read.id, branch.id)));
                    if !open && !self.relation.holds((pair.0, branch.id)) {
                        steps.push(self.lacking_branch(branch.id, path, Some(place)));
                    }
                }
                steps
            }
            (_, Kind::Union(branches)) => {
                let branches = branches.iter().enumerate();
                branches
                    .map(|(place, branch)| Step::Look((pair.0, branch.id), self.push(path, place)))
                    .collect()
            }
            (Kind::Union(_), _) => vec![self.lacking_branch(pair.1, path, None)],
            _ if !self.sides.same_logical_type(pair) => vec![self.other_logical_type(reader, writer, path)],
            (Kind::Array(read), Kind::Array(written)) => {
                vec![Step::Look((read.id, written.id), self.push(path, "items"))]
            }
            (Kind::Map(read), Kind::Map(written)) => {
                vec![Step::Look((read.id, written.id), self.push(path, "values"))]
            }
            (Kind::Record { fields, .. }, Kind::Record { .. }) => {
                let mut steps = self.name(pair, path);
                steps.append(&mut self.fields(fields, (reader, writer), path));
                steps
            }
            (Kind::Enum(_), Kind::Enum(_)) => {
                let mut steps = self.name(pair, path);
                steps.append(&mut self.symbols(pair, path));
                steps
            }
            (Kind::Fixed { size: read }, Kind::Fixed { size: written }) => {
                let mut steps = self.name(pair, path);
                if read != written {
                    steps.push(self.size(*read, *written, path));
                }
                steps
            }
            _ => vec![self.other_type(reader, writer, path)],
        }
    }

    fn fields(&mut self, fields: &[Field], (reader, writer): (&Type, &Type), path: Path) -> Vec<Step> {
        let path = self.push(path, "fields");
        let mut steps = Vec::new();
        for (place, field) in fields.iter().enumerate() {
            let path = self.push(path, place);
            match Source::of(field, reader, writer) {
                Source::Field(_, written) => {
                    let path = self.push(path, "type");
                    steps.push(Step::Look((field.ty.id, written.ty.id), path));
                }
                Source::Default => {}
                Source::Several => steps.push(self.ambiguous(field, path)),
                Source::Nothing => steps.push(self.missing_default(field, path)),
            }
        }
        steps
    }

    fn ambiguous(&self, field: &Field, path: Path) -> Step {
        let Words { reader, writer } = self.words;
        let name = &field.name;
        let message = |path: &str| {
            format!(
                "The field '{name}' (path '{path}') of the {reader} schema is, by its name and its aliases, more than \
                 one field of the {writer} schema"
            )
        };
        self.tell(NAME, path, message, name.to_string())
    }

    fn missing_default(&self, field: &Field, path: Path) -> Step {
        let Words { reader, writer } = self.words;
        let name = &field.name;
        let message = |path: &str| {
            format!(
                "The {reader} schema has a field '{name}' (path '{path}') without a default value, \
                 and the {writer} schema does not have it"
            )
        };
        self.tell(MISSING_DEFAULT, path, message, name.to_string())
    }

    fn name(&mut self, pair: Pair, path: Path) -> Vec<Step> {
        if self.sides.same_name(pair) {
            return Vec::new();
        }
        let path = self.push(path, "name");
        let Words { reader, writer } = self.words;
        let (read, written) = (self.sides.reader.branch_name(pair.0), self.sides.writer.branch_name(pair.1));
        let message = |path: &str| {
            format!(
                "The name of a type has changed (path '{path}'): it is {read} in the {reader} schema and {written} in \
                 the {writer} one, and no alias says that they are the same"
            )
        };
        vec![self.tell(NAME, path, message, format!("expected: {written}"))]
    }

    fn symbols(&mut self, pair: Pair, path: Path) -> Vec<Step> {
        let mut symbols: Vec<&str> = self.sides.missing_symbols(pair).collect();
        if symbols.is_empty() {
            return Vec::new();
        }
        symbols.sort_unstable();
        let more = if symbols.len() > SYMBOLS_TOLD_MAX { ", …" } else { "" };
        symbols.truncate(SYMBOLS_TOLD_MAX);
        for symbol in &mut symbols {
            if let Some((end, _)) = symbol.char_indices().nth(SYMBOL_CHARS_MAX) {
                *symbol = &symbol[..end];
            }
        }
        let list = format!("[{}{more}]", symbols.join(", "));
        let path = self.push(path, "symbols");
        let Words { reader, writer } = self.words;
        let message = |path: &str| {
            format!(
                "The enum of the {reader} schema lacks the symbols {list} (path '{path}') that the {writer} schema has, \
                 and has no default for them"
            )
        };
        vec![self.tell(SYMBOLS, path, message, list.clone())]
    }

    fn size(&mut self, read: usize, written: usize, path: Path) -> Step {
        let path = self.push(path, "size");
        let Words { reader, writer } = self.words;
        let message = |path: &str| {
            format!(
                "The fixed (path '{path}') has {read} bytes in the {reader} schema and {written} in the {writer} one"
            )
        };
        self.tell(SIZE, path, message, format!("expected: {written}, found: {read}"))
    }

    fn other_type(&self, reader: &Type, writer: &Type, path: Path) -> Step {
        let words = self.words;
        let (read, written) = (word(reader), word(writer));
        let message = |path: &str| {
            format!(
                "The type (path '{path}') is {read} in the {} schema and {written} in the {} one, which it cannot be \
                 read as",
                words.reader, words.writer
            )
        };
        let detail = format!("reader type: {read} not compatible with writer type: {written}");
        self.tell(TYPE, path, message, detail)
    }

    fn other_logical_type(&self, reader: &Type, writer: &Type, path: Path) -> Step {
        let words = self.words;
        let logical = |ty| LogicalType::of(ty).name.unwrap_or("none").to_owned();
        let (read, written) = (logical(reader), logical(writer));
        let message = |path: &str| {
            format!(
                "The logical type (path '{path}') is {read} in the {} schema and {written} in the {} one, or of \
                 another precision or scale",
                words.reader, words.writer
            )
        };
        let detail =
            format!("reader logical type: {read} not compatible with writer logical type: {written}");
        self.tell(TYPE, path, message, detail)
    }

    fn lacking_branch(&mut self, written: TypeId, path: Path, place: Option<usize>) -> Step {
        let path = place.map_or(path, |place| self.push(path, place));
        let ty = self.sides.writer.get(written);
        let name =
            self.sides.writer.name(written).map(|name| format!(" {}", name.full())).unwrap_or_default();
        let Words { reader, writer } = self.words;
        let kind = word(ty);
        let message = |path: &str| {
            format!(
                "The union of the {reader} schema has no type that reads {kind}{name} (path '{path}') of the {writer} \
                 schema"
            )
        };
        self.tell(BRANCH, path, message, format!("reader union lacking writer type: {kind}"))
    }

    fn tell(
        &self,
        kind: &'static str,
        path: Path,
        message: impl FnOnce(&str) -> String,
        detail: String,
    ) -> Step {
        let path = self.pointer(path);
        let message = message(&path);
        Step::Tell(Incompatibility { kind, path, message, detail })
    }

    fn push(&mut self, path: Path, part: impl ToString) -> Path {
        self.parts.push((part.to_string(), path));
        self.parts.len()
    }

    /// The path as a JSON pointer; the whole is `/`, as registries write it.
    fn pointer(&self, path: Path) -> String {
        let mut parts = Vec::new();
        let mut path = path;
        while let Some((part, before)) = path.checked_sub(1).and_then(|place| self.parts.get(place)) {
            if parts.len() == PATH_PARTS_MAX {
                parts.push("…");
                break;
            }
            parts.push(part);
            path = *before;
        }
        parts.reverse();
        format!("/{}", parts.join("/"))
    }
}

/// The kind of a type as messages have it.
fn word(ty: &Type) -> String {
    match ty.kind {
        Kind::Record { .. } => "RECORD".to_owned(),
        ref kind => kind.word().to_uppercase(),
    }
}
