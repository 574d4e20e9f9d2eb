//! The messages and enums of a file and of all that it imports, as comparing and coding want them: by index.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use prost_reflect::FileDescriptor;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
};

/// Everything that a file can refer to.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) package: String,
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
    /// The messages of the file itself, in its order.
    pub(super) roots: Vec<usize>,
    /// The enums of the file itself.
    pub(super) root_enums: Vec<usize>,
    by_name: HashMap<ByteString, usize>,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) full_name: ByteString,
    /// Its name without the package.
    pub(super) local_name: String,
    /// Its name without those around it.
    pub(super) name: String,
    /// Whether the file itself has it.
    pub(super) is_local: bool,
    pub(super) is_map_entry: bool,
    /// In the order of the text.
    pub(super) fields: Vec<Field>,
    /// The names of the fields.
    pub(super) names: Arc<[ByteString]>,
    /// Index of a field by its number.
    pub(super) by_number: HashMap<u32, usize>,
    /// Names of the oneofs, without those that stand for `optional`.
    pub(super) oneofs: Vec<String>,
    /// Messages within, in order, map entries and groups included.
    pub(super) messages: Vec<usize>,
    pub(super) enums: Vec<usize>,
    /// Its place: the index among the messages of the file, then among those of each message around it.
    pub(super) place: Vec<usize>,
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: ByteString,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) label: FieldLabel,
    /// Whether absent and zero are told apart.
    pub(super) has_presence: bool,
    pub(super) is_packed: bool,
    /// The oneof, unless it only stands for `optional`.
    pub(super) oneof: Option<usize>,
}

/// How often a field occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldLabel {
    Singular,
    Required,
    Repeated,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(usize),
    Message(usize),
    Group(usize),
}

/// An enum.
#[derive(Debug)]
pub(super) struct Enum {
    pub(super) name: String,
    /// Names and numbers, in the order of the text.
    pub(super) values: Vec<(ByteString, i32)>,
    /// The first name of each number.
    pub(super) names: HashMap<i32, ByteString>,
    pub(super) numbers: HashMap<ByteString, i32>,
}

impl Types {
    /// The types of `file`, whose names are resolved.
    pub(super) fn new(file: &FileDescriptor) -> Self {
        let mut names = Names::default();
        let files: Vec<FileDescriptor> = file.parent_pool().files().collect();
        for found in &files {
            names.add_file(found.file_descriptor_proto());
        }
        let mut types = Types {
            package: file.package_name().to_owned(),
            messages: Vec::new(),
            enums: Vec::new(),
            roots: Vec::new(),
            root_enums: Vec::new(),
            by_name: HashMap::new(),
        };
        for found in &files {
            types.add_file(found.file_descriptor_proto(), found.name() == file.name(), &names);
        }
        types.by_name = types
            .messages
            .iter()
            .enumerate()
            .map(|(index, message)| (message.full_name.clone(), index))
            .collect();
        types
    }

    /// The message of that full name.
    pub(super) fn message(&self, full_name: &str) -> Option<usize> {
        self.by_name.get(full_name).copied()
    }

    /// The full name of the first message, or of the first enum in a file without messages.
    pub(super) fn first_name(&self) -> Option<&str> {
        let message = self.roots.first().and_then(|index| self.messages.get(*index));
        let found = self.root_enums.first().and_then(|index| self.enums.get(*index));
        message.map(|message| &*message.full_name).or(found.map(|found| found.name.as_str()))
    }

    fn add_file(&mut self, file: &FileDescriptorProto, is_local: bool, names: &Names) {
        let mut adding = Adding { types: self, names, file, is_local };
        let mut roots = Vec::new();
        for (index, message) in file.message_type.iter().enumerate() {
            roots.push(adding.message(file.package(), message, vec![index]));
        }
        let enums = file.enum_type.iter().map(|found| adding.enumeration(file.package(), found)).collect();
        if is_local {
            self.roots = roots;
            self.root_enums = enums;
        }
    }
}

/// The index that each type will have, by its name with a leading dot.
#[derive(Default)]
struct Names {
    messages: HashMap<String, usize>,
    enums: HashMap<String, usize>,
}

impl Names {
    fn add_file(&mut self, file: &FileDescriptorProto) {
        let scope = qualify("", file.package());
        for message in &file.message_type {
            self.add_message(&scope, message);
        }
        for found in &file.enum_type {
            self.add_enum(&scope, found);
        }
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = qualify(scope, message.name());
        self.messages.insert(name.clone(), self.messages.len());
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        for found in &message.enum_type {
            self.add_enum(&name, found);
        }
    }

    fn add_enum(&mut self, scope: &str, found: &EnumDescriptorProto) {
        self.enums.insert(qualify(scope, found.name()), self.enums.len());
    }
}

fn qualify(scope: &str, name: &str) -> String {
    if name.is_empty() { scope.to_owned() } else { format!("{scope}.{name}") }
}

struct Adding<'a> {
    types: &'a mut Types,
    names: &'a Names,
    file: &'a FileDescriptorProto,
    is_local: bool,
}

impl Adding<'_> {
    /// Adds a message and those within it, in the order in which `Names` counts them.
    fn message(&mut self, scope: &str, message: &DescriptorProto, place: Vec<usize>) -> usize {
        let full_name =
            if scope.is_empty() { message.name().to_owned() } else { format!("{scope}.{}", message.name()) };
        let package = self.file.package();
        let local_name =
            full_name.strip_prefix(package).unwrap_or(&full_name).trim_start_matches('.').to_owned();
        let fields: Vec<Field> =
            message.field.iter().filter_map(|field| self.field(message, field)).collect();
        let synthetic = message.field.iter().filter(|field| field.proto3_optional()).count();
        let oneofs = message.oneof_decl.len().saturating_sub(synthetic);
        let index = self.types.messages.len();
        self.types.messages.push(Message {
            full_name: full_name.as_str().into(),
            local_name,
            name: message.name().to_owned(),
            is_local: self.is_local,
            is_map_entry: message.options.as_ref().is_some_and(MessageOptions::map_entry),
            names: fields.iter().map(|field| field.name.clone()).collect(),
            by_number: fields.iter().enumerate().map(|(index, field)| (field.number, index)).collect(),
            fields,
            oneofs: message.oneof_decl.iter().take(oneofs).map(|oneof| oneof.name().to_owned()).collect(),
            messages: Vec::new(),
            enums: Vec::new(),
            place: place.clone(),
        });
        let mut messages = Vec::new();
        for (nested_index, nested) in message.nested_type.iter().enumerate() {
            let mut nested_place = place.clone();
            nested_place.push(nested_index);
            messages.push(self.message(&full_name, nested, nested_place));
        }
        let enums = message.enum_type.iter().map(|found| self.enumeration(&full_name, found)).collect();
        if let Some(added) = self.types.messages.get_mut(index) {
            added.messages = messages;
            added.enums = enums;
        }
        index
    }

    fn enumeration(&mut self, scope: &str, found: &EnumDescriptorProto) -> usize {
        let values: Vec<(ByteString, i32)> =
            found.value.iter().map(|value| (value.name().into(), value.number())).collect();
        let mut names = HashMap::new();
        for (name, number) in &values {
            names.entry(*number).or_insert_with(|| name.clone());
        }
        let name =
            if scope.is_empty() { found.name().to_owned() } else { format!("{scope}.{}", found.name()) };
        let numbers = values.iter().cloned().collect();
        self.types.enums.push(Enum { name, values, names, numbers });
        self.types.enums.len() - 1
    }

    fn field(&self, message: &DescriptorProto, field: &FieldDescriptorProto) -> Option<Field> {
        let kind = self.kind(field)?;
        let label = match field.label() {
            Label::Repeated => FieldLabel::Repeated,
            Label::Required => FieldLabel::Required,
            Label::Optional => FieldLabel::Singular,
        };
        let proto3 = self.file.syntax() == "proto3";
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let is_message = matches!(kind, Kind::Message(_) | Kind::Group(_));
        let explicit = !proto3 || field.oneof_index.is_some() || field.proto3_optional() || is_message;
        let is_entry = message.options.as_ref().is_some_and(MessageOptions::map_entry);
        let packed = field.options.as_ref().and_then(|options| options.packed).unwrap_or(proto3);
        Some(Field {
            name: field.name().into(),
            number: u32::try_from(field.number()).ok()?,
            kind,
            label,
            has_presence: label != FieldLabel::Repeated && explicit && !is_entry,
            is_packed: label == FieldLabel::Repeated && packed && kind.is_packable(),
            oneof: oneof.and_then(|index| usize::try_from(index).ok()),
        })
    }

    fn kind(&self, field: &FieldDescriptorProto) -> Option<Kind> {
        let name = field.type_name();
        Some(match field.r#type() {
            Type::Double => Kind::Double,
            Type::Float => Kind::Float,
            Type::Int64 => Kind::Int64,
            Type::Uint64 => Kind::Uint64,
            Type::Int32 => Kind::Int32,
            Type::Fixed64 => Kind::Fixed64,
            Type::Fixed32 => Kind::Fixed32,
            Type::Bool => Kind::Bool,
            Type::String => Kind::String,
            Type::Bytes => Kind::Bytes,
            Type::Uint32 => Kind::Uint32,
            Type::Sfixed32 => Kind::Sfixed32,
            Type::Sfixed64 => Kind::Sfixed64,
            Type::Sint32 => Kind::Sint32,
            Type::Sint64 => Kind::Sint64,
            Type::Enum => Kind::Enum(*self.names.enums.get(name)?),
            Type::Message => Kind::Message(*self.names.messages.get(name)?),
            Type::Group => Kind::Group(*self.names.messages.get(name)?),
        })
    }
}

impl Kind {
    fn is_packable(self) -> bool {
        !matches!(self, Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_))
    }
}
