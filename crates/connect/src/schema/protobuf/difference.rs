//! What changed between two files, and which changes make data unreadable.
//!
//! Messages are matched by name, fields by number, and all differences are found, in the order of the texts. Messages of
//! imported files are compared where fields lead to them, each pair once, without recursion: a chain of messages may be
//! as long as the texts allow.
//!
//! The kinds and places are those of existing registries. In two points the verdict is stricter, because data would
//! otherwise not be readable: a number that is written once and then repeatedly (or the reverse) is a change of its label also
//! in `proto3`, where no label is written; and a field that becomes required is a required field that was added.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::types::{Enum, Field, FieldLabel, Kind, Message, Types};
use crate::schema::{Direction, Incompatibility};

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[rustfmt::skip]
pub(super) enum Change {
    PackageChanged, MessageAdded, MessageRemoved, MessageMoved,
    EnumAdded, EnumRemoved, EnumConstAdded, EnumConstChanged, EnumConstRemoved,
    FieldAdded, FieldRemoved, FieldNameChanged, FieldKindChanged, FieldScalarKindChanged, FieldNamedTypeChanged,
    FieldNumericLabelChanged, FieldStringOrBytesLabelChanged, RequiredFieldAdded, RequiredFieldRemoved,
    OneofAdded, OneofRemoved, OneofFieldAdded, OneofFieldRemoved, OneofFieldMovedToTopLevel,
    MultipleFieldsMovedToOneof, FieldMovedToExistingOneof,
}

impl Change {
    /// Its name in the API.
    pub(super) fn name(self) -> &'static str {
        match self {
            Change::PackageChanged => "PACKAGE_CHANGED",
            Change::MessageAdded => "MESSAGE_ADDED",
            Change::MessageRemoved => "MESSAGE_REMOVED",
            Change::MessageMoved => "MESSAGE_MOVED",
            Change::EnumAdded => "ENUM_ADDED",
            Change::EnumRemoved => "ENUM_REMOVED",
            Change::EnumConstAdded => "ENUM_CONST_ADDED",
            Change::EnumConstChanged => "ENUM_CONST_CHANGED",
            Change::EnumConstRemoved => "ENUM_CONST_REMOVED",
            Change::FieldAdded => "FIELD_ADDED",
            Change::FieldRemoved => "FIELD_REMOVED",
            Change::FieldNameChanged => "FIELD_NAME_CHANGED",
            Change::FieldKindChanged => "FIELD_KIND_CHANGED",
            Change::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            Change::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            Change::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            Change::FieldStringOrBytesLabelChanged => "FIELD_STRING_OR_BYTES_LABEL_CHANGED",
            Change::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            Change::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            Change::OneofAdded => "ONEOF_ADDED",
            Change::OneofRemoved => "ONEOF_REMOVED",
            Change::OneofFieldAdded => "ONEOF_FIELD_ADDED",
            Change::OneofFieldRemoved => "ONEOF_FIELD_REMOVED",
            Change::OneofFieldMovedToTopLevel => "ONEOF_FIELD_MOVED_TO_TOP_LEVEL",
            Change::MultipleFieldsMovedToOneof => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            Change::FieldMovedToExistingOneof => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }

    /// What it means, with the names of the schema that reads and of the one that wrote; `None` when it does no harm.
    fn harm(self, path: &str, reader: &str, writer: &str) -> Option<String> {
        let text = match self {
            Change::PackageChanged => {
                format!("the package at {path} of the {reader} schema is not that of the {writer} schema")
            }
            Change::MessageRemoved => {
                format!("the {reader} schema lacks message {path} of the {writer} schema")
            }
            Change::FieldKindChanged => format!(
                "field {path} is of another kind (scalar, message or map) in the {reader} schema than in the {writer} \
                 schema"
            ),
            Change::FieldScalarKindChanged => {
                format!(
                    "field {path} is written in another way in the {reader} schema than in the {writer} schema"
                )
            }
            Change::FieldNamedTypeChanged => format!(
                "field {path} is of another message type in the {reader} schema, or of one that is not compatible, than \
                 in the {writer} schema"
            ),
            Change::FieldNumericLabelChanged => {
                format!(
                    "numeric field {path} has another label in the {reader} schema than in the {writer} schema"
                )
            }
            Change::RequiredFieldAdded => {
                format!("field {path} is required in the {reader} schema, but not in the {writer} schema")
            }
            Change::RequiredFieldRemoved => {
                format!("the {reader} schema lacks the required field {path} of the {writer} schema")
            }
            Change::OneofFieldRemoved => {
                format!("the {reader} schema lacks field {path} of a oneof of the {writer} schema")
            }
            Change::MultipleFieldsMovedToOneof => {
                format!(
                    "several fields of oneof {path} in the {reader} schema are in no oneof in the {writer} schema"
                )
            }
            Change::FieldMovedToExistingOneof => format!(
                "a field of oneof {path} in the {reader} schema is outside of it in the {writer} schema, so that both \
                 may be set"
            ),
            _ => return None,
        };
        Some(text)
    }
}

/// A change, where it is, and what it is from and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) change: Change,
    pub(super) path: String,
    pub(super) detail: String,
}

/// Why data of `writer` cannot be read with `reader`.
pub(super) fn incompatibilities(
    writer: &Types,
    reader: &Types,
    direction: Direction,
) -> Vec<Incompatibility> {
    let (reads, wrote) = names(direction);
    differences(writer, reader)
        .into_iter()
        .filter_map(|Difference { change, path, detail }| {
            let message = change.harm(&path, reads, wrote)?;
            Some(Incompatibility { kind: change.name(), path, message, detail })
        })
        .collect()
}

/// The schema of another format cannot be read at all.
pub(super) fn other_format(direction: Direction) -> Incompatibility {
    let (reads, wrote) = names(direction);
    Incompatibility {
        kind: "SCHEMA_TYPE_CHANGED",
        path: "#/".into(),
        message: format!("the {reads} schema is of the format PROTOBUF, but the {wrote} schema is not"),
        detail: String::new(),
    }
}

fn names(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::NewReadsOld => ("new", "old"),
        Direction::OldReadsNew => ("old", "new"),
    }
}

/// All that changed from `original` to `update`, harmful or not.
pub(super) fn differences(original: &Types, update: &Types) -> Vec<Difference> {
    let mut comparison =
        Comparison { original, update, found: Vec::new(), pairs: HashSet::new(), queue: Vec::new() };
    comparison.files();
    while let Some((before, after)) = comparison.queue.pop() {
        comparison.imported(before, after);
    }
    comparison.finish()
}

/// A message of the original and the one of the update that it is compared with.
type Pair = (usize, usize);

struct Comparison<'a> {
    original: &'a Types,
    update: &'a Types,
    found: Vec<Found>,
    /// Pairs of which one is imported.
    pairs: HashSet<Pair>,
    queue: Vec<Pair>,
}

/// A difference, or a field whose type is to be judged when all pairs are.
struct Found {
    difference: Difference,
    /// The imported pair in whose comparison it was found.
    within: Option<Pair>,
    /// Only a difference if this pair turns out to be incompatible.
    unless_compatible: Option<Pair>,
}

/// Where a comparison stands.
#[derive(Clone)]
struct Place {
    path: Vec<String>,
    within: Option<Pair>,
}

impl Place {
    fn enter(&self, name: &str) -> Place {
        let mut place = self.clone();
        place.path.push(name.to_owned());
        place
    }

    fn path(&self) -> String {
        format!("#/{}", self.path.join("/"))
    }
}

impl<'a> Comparison<'a> {
    fn files(&mut self) {
        let place = Place { path: Vec::new(), within: None };
        if self.original.package != self.update.package {
            let detail = format!("{:?} and {:?}", self.original.package, self.update.package);
            self.add(&place, Change::PackageChanged, detail);
        }
        self.messages(&place, &self.original.roots, &self.update.roots);
        self.enums(&place, &self.original.root_enums, &self.update.root_enums);
    }

    /// Compares two messages that fields lead to, of which one at least is imported.
    fn imported(&mut self, before: usize, after: usize) {
        let Some(message) = self.original.messages.get(before) else { return };
        let path = message.local_name.split('.').map(str::to_owned).collect();
        self.message(&Place { path, within: Some((before, after)) }, before, after);
    }

    fn add(&mut self, place: &Place, change: Change, detail: String) {
        let difference = Difference { change, path: place.path(), detail };
        self.found.push(Found { difference, within: place.within, unless_compatible: None });
    }

    fn messages(&mut self, place: &Place, before: &[usize], after: &[usize]) {
        let before =
            named(before.iter().filter_map(|index| Some((*index, self.original.messages.get(*index)?))));
        let after = named(after.iter().filter_map(|index| Some((*index, self.update.messages.get(*index)?))));
        let places: HashMap<&str, (usize, usize)> =
            after.iter().enumerate().map(|(at, (name, index))| (*name, (at, *index))).collect();
        for (at, (name, index)) in before.iter().enumerate() {
            let place = place.enter(name);
            match places.get(name) {
                None => self.add(&place, Change::MessageRemoved, String::new()),
                Some((now, updated)) => {
                    self.message(&place, *index, *updated);
                    if *now != at {
                        self.add(&place, Change::MessageMoved, format!("from place {at} to place {now}"));
                    }
                }
            }
        }
        let known: HashSet<&str> = before.iter().map(|(name, _)| *name).collect();
        for (name, _) in after.iter().filter(|(name, _)| !known.contains(name)) {
            self.add(&place.enter(name), Change::MessageAdded, String::new());
        }
    }

    fn enums(&mut self, place: &Place, before: &[usize], after: &[usize]) {
        let find = |types: &'a Types, index: &usize| types.enums.get(*index);
        let after: Vec<&Enum> = after.iter().filter_map(|index| find(self.update, index)).collect();
        let before: Vec<&Enum> = before.iter().filter_map(|index| find(self.original, index)).collect();
        let updated: HashMap<&str, &Enum> = after.iter().map(|found| (simple(&found.name), *found)).collect();
        let known: HashSet<&str> = before.iter().map(|found| simple(&found.name)).collect();
        for found in before {
            let place = place.enter(simple(&found.name));
            match updated.get(simple(&found.name)) {
                None => self.add(&place, Change::EnumRemoved, String::new()),
                Some(updated) => self.constants(&place, found, updated),
            }
        }
        for found in after.iter().filter(|found| !known.contains(simple(&found.name))) {
            self.add(&place.enter(simple(&found.name)), Change::EnumAdded, String::new());
        }
    }

    fn constants(&mut self, place: &Place, before: &Enum, after: &Enum) {
        let numbers: BTreeSet<i32> = before.names.keys().chain(after.names.keys()).copied().collect();
        for number in numbers {
            let place = place.enter(&number.to_string());
            match (before.names.get(&number), after.names.get(&number)) {
                (Some(_), None) => self.add(&place, Change::EnumConstRemoved, String::new()),
                (None, Some(_)) => self.add(&place, Change::EnumConstAdded, String::new()),
                (Some(old), Some(new)) if old != new => {
                    self.add(&place, Change::EnumConstChanged, format!("{old} and {new}"));
                }
                _ => {}
            }
        }
    }

    fn message(&mut self, place: &Place, before: usize, after: usize) {
        let (Some(old), Some(new)) = (self.original.messages.get(before), self.update.messages.get(after))
        else {
            return;
        };
        self.exclusivity(place, old, new);
        self.oneofs(place, old, new);
        let numbers: BTreeSet<u32> = old.by_number.keys().chain(new.by_number.keys()).copied().collect();
        for number in numbers {
            match (old.field(number), new.field(number)) {
                (Some(field), None) => self.removed(place, old, new, field),
                (None, Some(field)) => self.added(place, new, field),
                (Some(before), Some(after)) => self.field(place, new, before, after),
                (None, None) => {}
            }
        }
        self.messages(place, &old.messages, &new.messages);
        self.enums(place, &old.enums, &new.enums);
    }

    /// Fields that could be set together and now exclude each other.
    fn exclusivity(&mut self, place: &Place, old: &Message, new: &Message) {
        for (oneof, members) in new.members() {
            let mut groups = HashSet::new();
            let mut moved = 0;
            for field in members.iter().filter_map(|field| old.field(field.number)) {
                match field.oneof {
                    Some(oneof) => groups.insert((true, u64::try_from(oneof).unwrap_or(u64::MAX))),
                    None => {
                        moved += 1;
                        groups.insert((false, u64::from(field.number)))
                    }
                };
            }
            if groups.len() > 1 {
                let change = if moved > 1 {
                    Change::MultipleFieldsMovedToOneof
                } else {
                    Change::FieldMovedToExistingOneof
                };
                self.add(&place.enter(oneof), change, String::new());
            }
        }
    }

    fn oneofs(&mut self, place: &Place, old: &Message, new: &Message) {
        let before: BTreeSet<&String> = old.oneofs.iter().collect();
        let after: BTreeSet<&String> = new.oneofs.iter().collect();
        for oneof in before.union(&after) {
            if !after.contains(oneof) {
                self.add(&place.enter(oneof), Change::OneofRemoved, String::new());
            } else if !before.contains(oneof) {
                self.add(&place.enter(oneof), Change::OneofAdded, String::new());
            }
        }
    }

    fn removed(&mut self, place: &Place, old: &Message, new: &Message, field: &Field) {
        let at = old.place_of(place, field);
        match field.oneof.and_then(|oneof| old.oneofs.get(oneof)) {
            // A oneof that went as a whole, with all its fields, does no harm.
            Some(oneof) if !new.oneofs.contains(oneof) && !old.survives(field.oneof, new) => {}
            Some(_) => self.add(&at, Change::OneofFieldRemoved, field.name.to_string()),
            None if field.label == FieldLabel::Required => {
                self.add(&at, Change::RequiredFieldRemoved, field.name.to_string());
            }
            None => self.add(&at, Change::FieldRemoved, field.name.to_string()),
        }
    }

    fn added(&mut self, place: &Place, new: &Message, field: &Field) {
        let change = match field {
            field if field.oneof.is_some() => Change::OneofFieldAdded,
            field if field.label == FieldLabel::Required => Change::RequiredFieldAdded,
            _ => Change::FieldAdded,
        };
        self.add(&new.place_of(place, field), change, field.name.to_string());
    }

    fn field(&mut self, place: &Place, new: &Message, before: &Field, after: &Field) {
        let at = new.place_of(place, after);
        if before.oneof.is_some() && after.oneof.is_none() {
            self.add(&at, Change::OneofFieldMovedToTopLevel, after.name.to_string());
        }
        if before.name != after.name {
            self.add(&at, Change::FieldNameChanged, format!("{} and {}", before.name, after.name));
        }
        let becomes_required = after.label == FieldLabel::Required && before.label != FieldLabel::Required;
        if becomes_required {
            self.add(&at, Change::RequiredFieldAdded, after.name.to_string());
        }
        let same_kind = self.kinds(&at, before.kind, after.kind);
        if same_kind && before.label != after.label && !becomes_required {
            self.labels(&at, before, after);
        }
    }

    fn labels(&mut self, place: &Place, before: &Field, after: &Field) {
        let change = match self.shape(self.original, before.kind) {
            Shape::Scalar(Wire::StringOrBytes) => Change::FieldStringOrBytesLabelChanged,
            Shape::Scalar(_) => Change::FieldNumericLabelChanged,
            _ => return,
        };
        self.add(place, change, format!("{} and {}", before.label.word(), after.label.word()));
    }

    /// Compares what two fields hold; whether it is of one kind.
    fn kinds(&mut self, place: &Place, before: Kind, after: Kind) -> bool {
        match (self.shape(self.original, before), self.shape(self.update, after)) {
            (Shape::Scalar(old), Shape::Scalar(new)) => {
                if old != new {
                    let detail = format!("{} and {}", before.word(self.original), after.word(self.update));
                    self.add(place, Change::FieldScalarKindChanged, detail);
                }
                old == new
            }
            (Shape::Map(old), Shape::Map(new)) => {
                for number in [1, 2] {
                    let entry = |types: &'a Types, index: usize| types.messages.get(index)?.field(number);
                    if let (Some(old), Some(new)) = (entry(self.original, old), entry(self.update, new)) {
                        self.kinds(place, old.kind, new.kind);
                    }
                }
                true
            }
            (Shape::Message(old), Shape::Message(new)) | (Shape::Group(old), Shape::Group(new)) => {
                self.named_types(place, old, new);
                true
            }
            _ => {
                let detail = format!("{} and {}", before.word(self.original), after.word(self.update));
                self.add(place, Change::FieldKindChanged, detail);
                false
            }
        }
    }

    fn named_types(&mut self, place: &Place, before: usize, after: usize) {
        let (Some(old), Some(new)) = (self.original.messages.get(before), self.update.messages.get(after))
        else {
            return;
        };
        let detail = format!("{} and {}", old.full_name, new.full_name);
        if old.local_name != new.local_name {
            self.add(place, Change::FieldNamedTypeChanged, detail);
            return;
        }
        if old.is_local && new.is_local {
            return;
        }
        let pair = (before, after);
        if self.pairs.insert(pair) {
            self.queue.push(pair);
        }
        let difference = Difference { change: Change::FieldNamedTypeChanged, path: place.path(), detail };
        self.found.push(Found { difference, within: place.within, unless_compatible: Some(pair) });
    }

    fn shape(&self, types: &Types, kind: Kind) -> Shape {
        match kind {
            Kind::Message(index) if types.messages.get(index).is_some_and(|message| message.is_map_entry) => {
                Shape::Map(index)
            }
            Kind::Message(index) => Shape::Message(index),
            Kind::Group(index) => Shape::Group(index),
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => {
                Shape::Scalar(Wire::Varint)
            }
            Kind::Sint32 | Kind::Sint64 => Shape::Scalar(Wire::Zigzag),
            Kind::Fixed32 | Kind::Sfixed32 => Shape::Scalar(Wire::Fixed32),
            Kind::Fixed64 | Kind::Sfixed64 => Shape::Scalar(Wire::Fixed64),
            Kind::Float => Shape::Scalar(Wire::Float),
            Kind::Double => Shape::Scalar(Wire::Double),
            Kind::String | Kind::Bytes => Shape::Scalar(Wire::StringOrBytes),
        }
    }

    /// Keeps what is a difference, now that every pair has been compared.
    fn finish(self) -> Vec<Difference> {
        let mut users: HashMap<Pair, Vec<Pair>> = HashMap::new();
        let mut bad: Vec<Pair> = Vec::new();
        for found in &self.found {
            match (found.within, found.unless_compatible) {
                (Some(within), Some(used)) => users.entry(used).or_default().push(within),
                (Some(within), None) if found.difference.change.harm("", "", "").is_some() => {
                    bad.push(within);
                }
                _ => {}
            }
        }
        // A pair is incompatible when it has a harmful difference, or a field of such a pair.
        let mut incompatible: HashSet<Pair> = HashSet::new();
        while let Some(pair) = bad.pop() {
            if incompatible.insert(pair) {
                bad.extend(users.get(&pair).into_iter().flatten().copied());
            }
        }
        let is_difference =
            |found: &Found| found.unless_compatible.is_none_or(|pair| incompatible.contains(&pair));
        self.found.into_iter().filter(is_difference).map(|found| found.difference).collect()
    }
}

/// What two fields must have in common.
enum Shape {
    Scalar(Wire),
    Map(usize),
    Message(usize),
    Group(usize),
}

/// Scalars that are written in the same way, so that one can be read as another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    Zigzag,
    Fixed32,
    Fixed64,
    Float,
    Double,
    StringOrBytes,
}

/// The messages that have a name of their own.
fn named<'m>(messages: impl Iterator<Item = (usize, &'m Message)>) -> Vec<(&'m str, usize)> {
    messages
        .filter(|(_, message)| !message.is_map_entry)
        .map(|(index, message)| (message.name.as_str(), index))
        .collect()
}

fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

impl Message {
    fn field(&self, number: u32) -> Option<&Field> {
        self.by_number.get(&number).and_then(|index| self.fields.get(*index))
    }

    /// The oneofs and their fields.
    fn members(&self) -> Vec<(&str, Vec<&Field>)> {
        let mut members: Vec<(&str, Vec<&Field>)> =
            self.oneofs.iter().map(|name| (name.as_str(), Vec::new())).collect();
        for field in &self.fields {
            if let Some((_, fields)) = field.oneof.and_then(|oneof| members.get_mut(oneof)) {
                fields.push(field);
            }
        }
        members
    }

    /// Whether a field of the oneof is anywhere in `new`.
    fn survives(&self, oneof: Option<usize>, new: &Message) -> bool {
        self.fields.iter().any(|field| field.oneof == oneof && new.by_number.contains_key(&field.number))
    }

    /// The place of a field: below its oneof, if it has one.
    fn place_of(&self, place: &Place, field: &Field) -> Place {
        let place = match field.oneof.and_then(|oneof| self.oneofs.get(oneof)) {
            Some(oneof) => place.enter(oneof),
            None => place.clone(),
        };
        place.enter(&field.number.to_string())
    }
}

impl FieldLabel {
    fn word(self) -> &'static str {
        match self {
            FieldLabel::Singular => "optional",
            FieldLabel::Required => "required",
            FieldLabel::Repeated => "repeated",
        }
    }
}

impl Kind {
    /// As it is written in a text.
    fn word(self, types: &Types) -> String {
        let message =
            |index: usize| types.messages.get(index).map_or("message", |message| &*message.full_name);
        let word = match self {
            Kind::Double => "double",
            Kind::Float => "float",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Sint32 => "sint32",
            Kind::Sint64 => "sint64",
            Kind::Fixed32 => "fixed32",
            Kind::Fixed64 => "fixed64",
            Kind::Sfixed32 => "sfixed32",
            Kind::Sfixed64 => "sfixed64",
            Kind::Bool => "bool",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Enum(index) => types.enums.get(index).map_or("enum", |found| found.name.as_str()),
            Kind::Message(index) | Kind::Group(index) => message(index),
        };
        word.to_owned()
    }
}
