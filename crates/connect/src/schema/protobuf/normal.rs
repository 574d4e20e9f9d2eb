//! The file without differences that mean nothing: names in full, everything with a number in the order of numbers.

use prost_reflect::FileDescriptor;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::options;
use super::parse::Options;

/// What `file` says, with the imports of `written`, in normal order.
///
/// Messages keep their order, since they are told apart by it in data, and so do services and their methods. The first constant of an enum stays the first: it is the default.
pub(super) fn normalized(
    file: &FileDescriptor,
    written: &FileDescriptorProto,
    known: Options,
) -> FileDescriptorProto {
    let mut proto = file.file_descriptor_proto().clone();
    proto.dependency.clone_from(&written.dependency);
    proto.public_dependency.clone_from(&written.public_dependency);
    proto.weak_dependency.clone_from(&written.weak_dependency);
    options::spell_out(file, &mut proto);
    if known == Options::OfNobody {
        options::put_back_custom(written, &mut proto);
    }
    sort_imports(&mut proto);
    proto.message_type.iter_mut().for_each(normalize_message);
    proto.enum_type.iter_mut().for_each(normalize_enum);
    normalize_extensions(&mut proto.extension);
    proto
}

fn sort_imports(file: &mut FileDescriptorProto) {
    let marked = |index: usize, marks: &[i32]| marks.iter().any(|mark| usize::try_from(*mark) == Ok(index));
    let mut imports: Vec<(bool, bool, String)> = file
        .dependency
        .iter()
        .enumerate()
        .map(|(index, path)| {
            (marked(index, &file.public_dependency), marked(index, &file.weak_dependency), path.clone())
        })
        .collect();
    imports.sort();
    imports.dedup();
    let marks = |mark: fn(&(bool, bool, String)) -> bool| {
        let marked = imports.iter().enumerate().filter(|(_, import)| mark(import));
        marked.filter_map(|(index, _)| i32::try_from(index).ok()).collect()
    };
    file.public_dependency = marks(|import| import.0);
    file.weak_dependency = marks(|import| import.1);
    file.dependency = imports.into_iter().map(|(_, _, path)| path).collect();
}

fn normalize_message(message: &mut DescriptorProto) {
    message.field.iter_mut().for_each(normalize_field);
    message.field.sort_by_key(FieldDescriptorProto::number);
    sort_oneofs(message);
    normalize_extensions(&mut message.extension);
    message.reserved_range.sort_by_key(|range| (range.start(), range.end()));
    message.reserved_name.sort();
    message.extension_range.sort_by_key(|range| (range.start(), range.end()));
    message.nested_type.iter_mut().for_each(normalize_message);
    message.enum_type.iter_mut().for_each(normalize_enum);
}

/// Puts oneofs in the order of their first fields, which must be sorted by now.
fn sort_oneofs(message: &mut DescriptorProto) {
    let index =
        |field: &FieldDescriptorProto| field.oneof_index.and_then(|index| usize::try_from(index).ok());
    let mut first = vec![i32::MAX; message.oneof_decl.len()];
    for field in message.field.iter().rev() {
        if let Some(first) = index(field).and_then(|oneof| first.get_mut(oneof)) {
            *first = field.number();
        }
    }
    let mut order: Vec<usize> = (0..first.len()).collect();
    order.sort_by_key(|oneof| first.get(*oneof));
    let mut place = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        if let Some(place) = place.get_mut(*old) {
            *place = new;
        }
    }
    message.oneof_decl = order.iter().filter_map(|oneof| message.oneof_decl.get(*oneof).cloned()).collect();
    for field in &mut message.field {
        let new = index(field).and_then(|old| place.get(old)).copied();
        field.oneof_index = new.and_then(|new| i32::try_from(new).ok());
    }
}

fn normalize_extensions(extensions: &mut [FieldDescriptorProto]) {
    extensions.iter_mut().for_each(normalize_field);
    extensions.sort_by(|a, b| (a.extendee(), a.number()).cmp(&(b.extendee(), b.number())));
}

fn normalize_field(field: &mut FieldDescriptorProto) {
    if field.json_name.as_ref().is_some_and(|json| *json == json_name(field.name())) {
        field.json_name = None;
    }
}

/// The name in JSON of a field that says none itself.
fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        match character {
            '_' => raise = true,
            character if raise => {
                out.push(character.to_ascii_uppercase());
                raise = false;
            }
            character => out.push(character),
        }
    }
    out
}

fn normalize_enum(found: &mut EnumDescriptorProto) {
    if let Some((_, rest)) = found.value.split_first_mut() {
        rest.sort_by(|a, b| (a.number(), a.name()).cmp(&(b.number(), b.name())));
    }
    found.reserved_range.sort_by_key(|range| (range.start(), range.end()));
    found.reserved_name.sort();
}
