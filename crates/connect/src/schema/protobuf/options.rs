//! Options that were interpreted, turned back into what one would write for them.
//!
//! A resolved file has its options as fields of messages, those of custom options as extensions. Printing wants names and
//! values, whether they come from a text, which keeps them as written, or from a descriptor.

use prost_reflect::prost::Message;
use prost_reflect::prost_types::uninterpreted_option::NamePart;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueOptions, ExtensionRangeOptions,
    FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileOptions, MessageOptions, MethodOptions,
    OneofOptions, ServiceDescriptorProto, ServiceOptions, UninterpretedOption,
};
use prost_reflect::{DynamicMessage, FileDescriptor, Kind, MapKey, ReflectMessage, Value};

use super::literal::{Literal, quoted};

/// Replaces every option of `written` by what `resolved` says of it, in the order of names.
pub(super) fn spell_out(resolved: &FileDescriptor, written: &mut FileDescriptorProto) {
    let schema = resolved
        .parent_pool()
        .get_message_by_name("google.protobuf.FileDescriptorProto")
        .unwrap_or_else(|| FileDescriptorProto::default().descriptor());
    if let Ok(file) = DynamicMessage::decode(schema, resolved.encode_to_vec().as_slice()) {
        spell_file(&Element(&file), written);
    }
}

/// The bytes of `resolved` with the imports of `written`, which the pool has seen in another way.
pub(super) fn serialized(resolved: &FileDescriptor, written: &FileDescriptorProto) -> Vec<u8> {
    let bytes = resolved.encode_to_vec();
    match DynamicMessage::decode(FileDescriptorProto::default().descriptor(), bytes.as_slice()) {
        Ok(mut message) => {
            set_imports(&mut message, written);
            message.encode_to_vec()
        }
        Err(_) => bytes,
    }
}

/// Gives the descriptor `message` the imports of `file`.
pub(super) fn set_imports(message: &mut DynamicMessage, file: &FileDescriptorProto) {
    let list = |indexes: &[i32]| Value::List(indexes.iter().copied().map(Value::I32).collect());
    let paths = file.dependency.iter().cloned().map(Value::String).collect();
    message.set_field_by_name("dependency", Value::List(paths));
    message.set_field_by_name("public_dependency", list(&file.public_dependency));
    message.set_field_by_name("weak_dependency", list(&file.weak_dependency));
}

/// Removes custom options, so that a file can be used whose extensions are not there.
pub(super) fn remove_custom(file: &mut FileDescriptorProto) {
    each(file, &mut |options| options.retain(|option| !is_custom(option)));
}

/// Puts the custom options of `written` behind those that `file`, the same file, has.
pub(super) fn put_back_custom(written: &FileDescriptorProto, file: &mut FileDescriptorProto) {
    let mut lists = Vec::new();
    each(&mut written.clone(), &mut |options| {
        lists.push(options.iter().filter(|option| is_custom(option)).cloned().collect::<Vec<_>>());
    });
    let mut lists = lists.into_iter();
    each(file, &mut |options| options.extend(lists.next().unwrap_or_default()));
}

fn is_custom(option: &UninterpretedOption) -> bool {
    option.name.first().is_some_and(|part| part.is_extension)
}

/// Shows every list of options, empty ones too, in an order that depends on the parts of the file alone.
fn each(file: &mut FileDescriptorProto, act: &mut dyn FnMut(&mut Vec<UninterpretedOption>)) {
    act(&mut file.options.get_or_insert_default().uninterpreted_option);
    file.message_type.iter_mut().for_each(|message| each_of_message(message, act));
    file.enum_type.iter_mut().for_each(|found| each_of_enum(found, act));
    file.extension.iter_mut().for_each(|field| each_of_field(field, act));
    for service in &mut file.service {
        act(&mut service.options.get_or_insert_default().uninterpreted_option);
        for method in &mut service.method {
            act(&mut method.options.get_or_insert_default().uninterpreted_option);
        }
    }
}

fn each_of_message(message: &mut DescriptorProto, act: &mut dyn FnMut(&mut Vec<UninterpretedOption>)) {
    act(&mut message.options.get_or_insert_default().uninterpreted_option);
    message.field.iter_mut().for_each(|field| each_of_field(field, act));
    message.extension.iter_mut().for_each(|field| each_of_field(field, act));
    message.nested_type.iter_mut().for_each(|nested| each_of_message(nested, act));
    message.enum_type.iter_mut().for_each(|found| each_of_enum(found, act));
    for oneof in &mut message.oneof_decl {
        act(&mut oneof.options.get_or_insert_default().uninterpreted_option);
    }
    for range in &mut message.extension_range {
        act(&mut range.options.get_or_insert_default().uninterpreted_option);
    }
}

fn each_of_field(field: &mut FieldDescriptorProto, act: &mut dyn FnMut(&mut Vec<UninterpretedOption>)) {
    act(&mut field.options.get_or_insert_default().uninterpreted_option);
}

fn each_of_enum(found: &mut EnumDescriptorProto, act: &mut dyn FnMut(&mut Vec<UninterpretedOption>)) {
    act(&mut found.options.get_or_insert_default().uninterpreted_option);
    for value in &mut found.value {
        act(&mut value.options.get_or_insert_default().uninterpreted_option);
    }
}

/// A descriptor, whatever it describes.
struct Element<'a>(&'a DynamicMessage);

impl<'a> Element<'a> {
    /// Calls `each` with the parts called `name`, and those of `written` beside them.
    fn zip<T>(&self, name: &str, written: &mut [T], each: impl Fn(&Element<'_>, &mut T)) {
        let Some(parts) = self.0.get_field_by_name(name) else { return };
        for (part, written) in parts.as_list().unwrap_or_default().iter().zip(written) {
            if let Some(part) = part.as_message() {
                each(&Element(part), written);
            }
        }
    }

    /// Its options, but for those that are not written as such.
    fn options(&self) -> Vec<UninterpretedOption> {
        if !self.0.has_field_by_name("options") {
            return Vec::new();
        }
        let Some(options) = self.0.get_field_by_name("options") else { return Vec::new() };
        let mut out = Vec::new();
        if let Some(options) = options.as_message() {
            for (field, value) in options.fields().filter(|(field, _)| !is_implied(field.name())) {
                spell_option(field.name(), false, &field.kind(), value, &mut out);
            }
            for (extension, value) in options.extensions() {
                spell_option(extension.full_name(), true, &extension.kind(), value, &mut out);
            }
        }
        out.sort_by(|a, b| written_name(a).cmp(written_name(b)));
        out
    }
}

/// Fields of options that no text sets.
fn is_implied(name: &str) -> bool {
    matches!(name, "map_entry" | "uninterpreted_option")
}

fn written_name(option: &UninterpretedOption) -> &str {
    option.name.first().map_or("", |part| part.name_part.as_str())
}

fn spell_option(
    name: &str,
    is_extension: bool,
    kind: &Kind,
    value: &Value,
    out: &mut Vec<UninterpretedOption>,
) {
    match value {
        Value::List(values) => {
            for value in values {
                spell_option(name, is_extension, kind, value, out);
            }
        }
        value => {
            let mut option = spell_value(kind, value);
            option.name = vec![NamePart { name_part: name.to_owned(), is_extension }];
            out.push(option);
        }
    }
}

fn spell_value(kind: &Kind, value: &Value) -> UninterpretedOption {
    let mut option = UninterpretedOption::default();
    match value {
        Value::Message(message) => {
            let mut text = String::new();
            Literal::compact_fields(&fields(message), &mut text);
            option.aggregate_value = Some(text);
        }
        Value::String(text) => option.string_value = Some(text.clone().into_bytes()),
        Value::Bytes(bytes) => option.string_value = Some(bytes.to_vec()),
        Value::I32(number) => integer(&mut option, i128::from(*number)),
        Value::I64(number) => integer(&mut option, i128::from(*number)),
        Value::U32(number) => integer(&mut option, i128::from(*number)),
        Value::U64(number) => integer(&mut option, i128::from(*number)),
        Value::F32(number) => real(&mut option, short(*number)),
        Value::F64(number) => real(&mut option, *number),
        Value::Bool(truth) => option.identifier_value = Some(truth.to_string()),
        other => option.identifier_value = Some(scalar(kind, other)),
    }
    option
}

fn integer(option: &mut UninterpretedOption, number: i128) {
    match u64::try_from(number) {
        Ok(number) => option.positive_int_value = Some(number),
        Err(_) => option.negative_int_value = i64::try_from(number).ok(),
    }
}

fn real(option: &mut UninterpretedOption, number: f64) {
    match number {
        number if number.is_nan() => option.identifier_value = Some("nan".into()),
        number if number == f64::INFINITY => option.identifier_value = Some("inf".into()),
        number => option.double_value = Some(number),
    }
}

/// The number of 64 bits that is written as shortly as the one of 32.
fn short(number: f32) -> f64 {
    format!("{number:?}").parse().unwrap_or(f64::from(number))
}

/// The fields of a message in the order of numbers, then its extensions.
fn fields(message: &DynamicMessage) -> Vec<(String, Literal)> {
    let fields =
        message.fields().map(|(field, value)| (field.name().to_owned(), literal(&field.kind(), value)));
    let extensions = message.extensions().map(|(extension, value)| {
        (format!("[{}]", extension.full_name()), literal(&extension.kind(), value))
    });
    fields.chain(extensions).collect()
}

fn literal(kind: &Kind, value: &Value) -> Literal {
    match value {
        Value::Message(message) => Literal::Message(fields(message)),
        Value::List(values) => many(values.iter().map(|value| literal(kind, value)).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<(&MapKey, &Value)> = entries.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            many(entries.into_iter().map(|(key, value)| entry(kind, key, value)).collect())
        }
        value => Literal::Scalar(scalar(kind, value)),
    }
}

/// One value stands for itself, as one would write it.
fn many(mut values: Vec<Literal>) -> Literal {
    match values.len() {
        1 => values.remove(0),
        _ => Literal::List(values),
    }
}

fn entry(kind: &Kind, key: &MapKey, value: &Value) -> Literal {
    let key = match key {
        MapKey::String(key) => quoted(key.as_bytes()),
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
    };
    let value_kind =
        kind.as_message().and_then(|entry| entry.get_field(2)).map_or(Kind::String, |field| field.kind());
    Literal::Message(vec![
        ("key".into(), Literal::Scalar(key)),
        ("value".into(), literal(&value_kind, value)),
    ])
}

fn scalar(kind: &Kind, value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => real_text(short(*number)),
        Value::F64(number) => real_text(*number),
        Value::String(text) => quoted(text.as_bytes()),
        Value::Bytes(bytes) => quoted(bytes),
        Value::EnumNumber(number) => kind
            .as_enum()
            .and_then(|found| found.get_value(*number))
            .map_or_else(|| number.to_string(), |value| value.name().to_owned()),
        Value::Message(_) | Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// A number in a form that both the language and the text format read.
pub(super) fn real_text(number: f64) -> String {
    match number {
        number if number.is_nan() => "nan".into(),
        number if number == f64::INFINITY => "inf".into(),
        number if number == f64::NEG_INFINITY => "-inf".into(),
        number => format!("{number:?}"),
    }
}

fn spell_file(element: &Element<'_>, file: &mut FileDescriptorProto) {
    file.options =
        some(element.options()).map(|list| FileOptions { uninterpreted_option: list, ..Default::default() });
    element.zip("message_type", &mut file.message_type, spell_message);
    element.zip("enum_type", &mut file.enum_type, spell_enum);
    element.zip("extension", &mut file.extension, spell_field);
    element.zip("service", &mut file.service, spell_service);
}

fn spell_message(element: &Element<'_>, message: &mut DescriptorProto) {
    let map_entry = message.options.as_ref().and_then(|options| options.map_entry);
    let list = element.options();
    message.options = (map_entry.is_some() || !list.is_empty()).then(|| MessageOptions {
        uninterpreted_option: list,
        map_entry,
        ..Default::default()
    });
    element.zip("field", &mut message.field, spell_field);
    element.zip("nested_type", &mut message.nested_type, spell_message);
    element.zip("enum_type", &mut message.enum_type, spell_enum);
    element.zip("extension", &mut message.extension, spell_field);
    element.zip("oneof_decl", &mut message.oneof_decl, |element, oneof| {
        oneof.options = some(element.options()).map(|list| OneofOptions { uninterpreted_option: list });
    });
    element.zip("extension_range", &mut message.extension_range, |element, range| {
        range.options =
            some(element.options()).map(|list| ExtensionRangeOptions { uninterpreted_option: list });
    });
}

fn spell_field(element: &Element<'_>, field: &mut FieldDescriptorProto) {
    let list = element.options();
    field.options = some(list).map(|list| FieldOptions { uninterpreted_option: list, ..Default::default() });
}

fn spell_enum(element: &Element<'_>, found: &mut EnumDescriptorProto) {
    found.options =
        some(element.options()).map(|list| EnumOptions { uninterpreted_option: list, ..Default::default() });
    element.zip("value", &mut found.value, |element, value| {
        value.options = some(element.options())
            .map(|list| EnumValueOptions { uninterpreted_option: list, ..Default::default() });
    });
}

fn spell_service(element: &Element<'_>, service: &mut ServiceDescriptorProto) {
    service.options = some(element.options())
        .map(|list| ServiceOptions { uninterpreted_option: list, ..Default::default() });
    element.zip("method", &mut service.method, |element, method| {
        method.options = some(element.options())
            .map(|list| MethodOptions { uninterpreted_option: list, ..Default::default() });
    });
}

fn some(list: Vec<UninterpretedOption>) -> Option<Vec<UninterpretedOption>> {
    (!list.is_empty()).then_some(list)
}
