//! The canonical text of a file.
//!
//! Two spaces for each level, groups of alike things with an empty line between them, no comments: close to what users of
//! existing registries see. Fields come before oneofs, messages before enums.
//!
//! Messages are told apart in data by their place among the messages around them, map entries and groups included, which
//! exist because of a field. So a message is printed before the field whose entry it precedes; in files that have their
//! fields first, as most have, this moves nothing.

use std::collections::HashMap;
use std::iter::Peekable;

use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::uninterpreted_option::NamePart;
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
    MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto, UninterpretedOption,
};

use super::literal::{Literal, indent, quoted};
use super::options::real_text;

/// The largest number of a field, printed as `max` in ranges.
const FIELD_NUMBER_MAX: i32 = 536_870_911;
/// Options of this package carry metadata.
const METADATA_PACKAGE: &str = "confluent.";

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Everything.
    Everything,
    /// No extensions, and no custom options but those of metadata.
    NoExtensions,
    /// No options of metadata.
    NoMetadata,
}

/// Prints a file whose options are not interpreted.
pub(super) fn print(file: &FileDescriptorProto, kept: Kept) -> String {
    let scope = file.package.clone().unwrap_or_default();
    let printer = Printer { kept, proto3: file.syntax() == "proto3" };
    let mut groups = vec![head(file)];
    groups.push(imports(file));
    groups.push(printer.option_lines(file.options.as_ref().map(|options| &options.uninterpreted_option)));
    let scope = Scope::new(&scope, (&[], &[]), &file.extension, &file.message_type, &file.enum_type);
    // Types come first, unless an extension is a group, whose message would move then.
    let types_first = scope.extensions.iter().all(|placed| placed.implied.is_none());
    let mut inside = printer.groups(scope);
    if types_first {
        inside.swap(EXTENDS, TYPES);
    }
    groups.extend(inside);
    groups.push(file.service.iter().map(|service| printer.service(service)).collect());
    join(&groups)
}

fn head(file: &FileDescriptorProto) -> String {
    let mut out = String::new();
    if let Some(syntax) = &file.syntax {
        out.push_str(&format!("syntax = \"{syntax}\";\n"));
    }
    if let Some(package) = file.package.as_ref().filter(|package| !package.is_empty()) {
        out.push_str(&format!("package {package};\n"));
    }
    out
}

fn imports(file: &FileDescriptorProto) -> String {
    let marked = |index: usize, marks: &[i32]| marks.iter().any(|mark| usize::try_from(*mark) == Ok(index));
    let mut out = String::new();
    for (index, path) in file.dependency.iter().enumerate() {
        let word = match index {
            index if marked(index, &file.public_dependency) => "public ",
            index if marked(index, &file.weak_dependency) => "weak ",
            _ => "",
        };
        out.push_str(&format!("import {word}{};\n", quoted(path.as_bytes())));
    }
    out
}

/// The groups that have something in them, with an empty line between any two.
fn join(groups: &[String]) -> String {
    let groups: Vec<&str> = groups.iter().map(String::as_str).filter(|group| !group.is_empty()).collect();
    groups.join("\n")
}

/// `head` and what it holds, each line of it one level deeper.
fn body(head: &str, groups: &[String]) -> String {
    let inside = join(groups);
    let mut out = format!("{head} {{");
    if !inside.is_empty() {
        out.push('\n');
        for line in inside.lines() {
            if !line.is_empty() {
                indent(&mut out, 1);
                out.push_str(line);
            }
            out.push('\n');
        }
    }
    out.push_str("}\n");
    out
}

/// What can stand in a file or a message, with the full name of that.
struct Scope<'a> {
    name: &'a str,
    fields: Vec<Placed<'a>>,
    oneofs: &'a [OneofDescriptorProto],
    extensions: Vec<Placed<'a>>,
    /// The messages that do not exist because of a field, each with the number of those before it that do.
    messages: Vec<(usize, &'a DescriptorProto)>,
    enums: &'a [EnumDescriptorProto],
}

/// A field, and the message that exists because of it: its map entry or its group.
#[derive(Clone, Copy)]
struct Placed<'a> {
    field: &'a FieldDescriptorProto,
    implied: Option<&'a DescriptorProto>,
}

impl<'a> Scope<'a> {
    fn new(
        name: &'a str,
        (fields, oneofs): (&'a [FieldDescriptorProto], &'a [OneofDescriptorProto]),
        extensions: &'a [FieldDescriptorProto],
        messages: &'a [DescriptorProto],
        enums: &'a [EnumDescriptorProto],
    ) -> Self {
        let mut own: Vec<Option<&DescriptorProto>> = messages.iter().map(Some).collect();
        let by_name: HashMap<&str, usize> =
            messages.iter().enumerate().map(|(index, message)| (message.name(), index)).collect();
        let mut place = |field: &'a FieldDescriptorProto| {
            let index =
                field.type_name.as_deref().and_then(|found| by_name.get(found.rsplit('.').next()?)).copied();
            let slot = index.and_then(|index| own.get_mut(index));
            let implied = slot.and_then(|slot| slot.take_if(|message| implies(field, name, message)));
            Placed { field, implied }
        };
        let fields = fields.iter().map(&mut place).collect();
        let extensions = extensions.iter().map(&mut place).collect();
        let mut implied = 0;
        let mut waiting = Vec::new();
        for message in own {
            match message {
                Some(message) => waiting.push((implied, message)),
                None => implied += 1,
            }
        }
        Scope { name, fields, oneofs, extensions, messages: waiting, enums }
    }

    /// The fields of each oneof.
    fn members(&self) -> Vec<Vec<Placed<'a>>> {
        let mut members = vec![Vec::new(); self.oneofs.len()];
        for placed in &self.fields {
            if let Some(members) = real_oneof(placed.field).and_then(|oneof| members.get_mut(oneof)) {
                members.push(*placed);
            }
        }
        members
    }
}

/// Whether `message` of `scope` exists because of `field`.
fn implies(field: &FieldDescriptorProto, scope: &str, message: &DescriptorProto) -> bool {
    let is_entry = is_map_entry(message) && field.label() == Label::Repeated;
    let name = field.type_name.as_deref().unwrap_or_default();
    (is_entry || field.r#type() == Type::Group) && refers_to(name, scope, message.name())
}

pub(super) fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(MessageOptions::map_entry)
}

/// Whether `name`, written in `scope` or a part of it, is the message `message` of `scope`.
fn refers_to(name: &str, scope: &str, message: &str) -> bool {
    if name.rsplit('.').next() != Some(message) {
        return false;
    }
    let full = format!(".{scope}.{message}");
    if name.starts_with('.') { full.replace("..", ".") == name } else { full.ends_with(&format!(".{name}")) }
}

struct Printer {
    kept: Kept,
    proto3: bool,
}

/// A scope while it is written.
struct Placing<'a> {
    /// Messages that wait for their place.
    waiting: Peekable<std::vec::IntoIter<(usize, &'a DescriptorProto)>>,
    /// Implied messages printed by now.
    implied: usize,
    /// The group that is being written.
    lines: String,
}

/// Places of extensions and of types among the groups of a scope.
const EXTENDS: usize = 2;
const TYPES: usize = 3;

impl Printer {
    /// Fields, oneofs, extensions, and then messages and enums.
    fn groups(&self, scope: Scope<'_>) -> [String; 4] {
        let members = scope.members();
        let waiting = scope.messages.into_iter().peekable();
        let mut placing = Placing { waiting, implied: 0, lines: String::new() };
        for placed in scope.fields.iter().filter(|placed| real_oneof(placed.field).is_none()) {
            let line = self.placed(&mut placing, scope.name, *placed);
            placing.lines.push_str(&line);
        }
        let fields = std::mem::take(&mut placing.lines);
        for (oneof, members) in scope.oneofs.iter().zip(members).filter(|(_, members)| !members.is_empty()) {
            let lines = members.iter().map(|member| self.placed(&mut placing, scope.name, *member)).collect();
            let options =
                self.option_lines(oneof.options.as_ref().map(|options| &options.uninterpreted_option));
            placing.lines.push_str(&body(&format!("oneof {}", oneof.name()), &[options, lines]));
        }
        let oneofs = std::mem::take(&mut placing.lines);
        if self.kept != Kept::NoExtensions {
            for run in scope.extensions.chunk_by(|a, b| a.field.extendee() == b.field.extendee()) {
                let lines = run.iter().map(|placed| self.placed(&mut placing, scope.name, *placed)).collect();
                let extendee = run.first().map_or("", |placed| placed.field.extendee());
                placing.lines.push_str(&body(&format!("extend {extendee}"), &[lines]));
            }
        }
        let extends = std::mem::take(&mut placing.lines);
        for (_, message) in placing.waiting {
            placing.lines.push_str(&self.message(scope.name, message));
        }
        placing.lines.extend(scope.enums.iter().map(|found| self.enumeration(found)));
        [fields, oneofs, extends, placing.lines]
    }

    /// The line of a field, after the messages that come before its implied one.
    fn placed(&self, placing: &mut Placing<'_>, scope: &str, placed: Placed<'_>) -> String {
        if placed.implied.is_some() {
            let before = placing.implied;
            while let Some((_, message)) = placing.waiting.next_if(|(place, _)| *place <= before) {
                placing.lines.push_str(&self.message(scope, message));
            }
            placing.implied += 1;
        }
        self.field(scope, placed)
    }

    fn message(&self, scope: &str, message: &DescriptorProto) -> String {
        body(&format!("message {}", message.name()), &self.message_groups(scope, message))
    }

    fn message_groups(&self, scope: &str, message: &DescriptorProto) -> Vec<String> {
        let scope = format!("{scope}.{}", message.name());
        let scope = scope.trim_start_matches('.');
        let scope = Scope::new(
            scope,
            (&message.field, &message.oneof_decl),
            &message.extension,
            &message.nested_type,
            &message.enum_type,
        );
        let options = message.options.as_ref().map(|options| &options.uninterpreted_option);
        let mut option_lines =
            if is_map_entry(message) { "option map_entry = true;\n".into() } else { String::new() };
        option_lines.push_str(&self.option_lines(options));
        let [fields, oneofs, extends, types] = self.groups(scope);
        let ranges =
            if self.kept == Kept::NoExtensions { String::new() } else { self.extension_ranges(message) };
        vec![reserved(message), option_lines, fields, oneofs, ranges, extends, types]
    }

    fn field(&self, scope: &str, Placed { field, implied }: Placed<'_>) -> String {
        let mut head = String::new();
        let is_entry = implied.is_some_and(is_map_entry);
        if !is_entry {
            head.push_str(self.label(field));
        }
        match implied {
            Some(entry) if is_entry => head.push_str(&format!("{} {}", map_type(entry), field.name())),
            Some(group) => head.push_str(&format!("group {}", group.name())),
            None => head.push_str(&format!("{} {}", type_name(field), field.name())),
        }
        head.push_str(&format!(" = {}", field.number()));
        head.push_str(&self.bracketed(&self.field_options(field)));
        match implied {
            Some(group) if !is_entry => body(&head, &self.message_groups(scope, group)),
            _ => head + ";\n",
        }
    }

    fn label(&self, field: &FieldDescriptorProto) -> &'static str {
        match field.label() {
            _ if real_oneof(field).is_some() => "",
            Label::Repeated => "repeated ",
            Label::Required => "required ",
            Label::Optional if !self.proto3 || field.proto3_optional() => "optional ",
            Label::Optional => "",
        }
    }

    /// Options between brackets, the default and the name in JSON last.
    fn field_options(&self, field: &FieldDescriptorProto) -> Vec<String> {
        let options = field.options.as_ref().map(|options| &options.uninterpreted_option);
        let mut out = self.options(options);
        if let Some(default) = &field.default_value {
            out.push(format!("default = {}", default_value(field, default)));
        }
        if let Some(json) = &field.json_name {
            out.push(format!("json_name = {}", quoted(json.as_bytes())));
        }
        out
    }

    fn extension_ranges(&self, message: &DescriptorProto) -> String {
        let mut out = String::new();
        for run in message.extension_range.chunk_by(|a, b| a.options == b.options) {
            let ranges: Vec<String> =
                run.iter().map(|range| span(range.start(), range.end() - 1, FIELD_NUMBER_MAX)).collect();
            let options = run.first().and_then(|range| range.options.as_ref());
            let options = self.options(options.map(|options| &options.uninterpreted_option));
            out.push_str(&format!("extensions {}{};\n", ranges.join(", "), self.bracketed(&options)));
        }
        out
    }

    /// Enums have no empty lines within.
    fn enumeration(&self, found: &EnumDescriptorProto) -> String {
        let mut lines = reserved_lines(
            found.reserved_range.iter().map(|range| span(range.start(), range.end(), i32::MAX)).collect(),
            &found.reserved_name,
        );
        lines.push_str(
            &self.option_lines(found.options.as_ref().map(|options| &options.uninterpreted_option)),
        );
        for value in &found.value {
            let options = value.options.as_ref().map(|options| &options.uninterpreted_option);
            let options = self.bracketed(&self.options(options));
            lines.push_str(&format!("{} = {}{options};\n", value.name(), value.number()));
        }
        body(&format!("enum {}", found.name()), &[lines])
    }

    fn service(&self, service: &ServiceDescriptorProto) -> String {
        let options =
            self.option_lines(service.options.as_ref().map(|options| &options.uninterpreted_option));
        let methods = service.method.iter().map(|method| self.method(method)).collect();
        body(&format!("service {}", service.name()), &[options, methods])
    }

    fn method(&self, method: &MethodDescriptorProto) -> String {
        let stream = |streams: bool| if streams { "stream " } else { "" };
        let head = format!(
            "rpc {} ({}{}) returns ({}{})",
            method.name(),
            stream(method.client_streaming()),
            method.input_type(),
            stream(method.server_streaming()),
            method.output_type()
        );
        let options = self.option_lines(method.options.as_ref().map(|options| &options.uninterpreted_option));
        if options.is_empty() { format!("{head};\n") } else { body(&head, &[options]) }
    }

    fn option_lines(&self, options: Option<&Vec<UninterpretedOption>>) -> String {
        self.options(options).iter().map(|option| format!("option {option};\n")).collect()
    }

    fn options(&self, options: Option<&Vec<UninterpretedOption>>) -> Vec<String> {
        options.into_iter().flatten().filter(|option| self.keeps(option)).map(option).collect()
    }

    fn keeps(&self, option: &UninterpretedOption) -> bool {
        let Some(first) = option.name.first().filter(|part| part.is_extension) else { return true };
        let is_metadata = first.name_part.trim_start_matches('.').starts_with(METADATA_PACKAGE);
        match self.kept {
            Kept::Everything => true,
            Kept::NoExtensions => is_metadata,
            Kept::NoMetadata => !is_metadata,
        }
    }

    /// Options between brackets: one beside the field, several on lines of their own.
    fn bracketed(&self, options: &[String]) -> String {
        match options {
            [] => String::new(),
            [option] => format!(" [{option}]"),
            options => {
                let lines: Vec<String> = options.iter().map(|option| option.replace('\n', "\n  ")).collect();
                format!(" [\n  {}\n]", lines.join(",\n  "))
            }
        }
    }
}

/// The oneof of a field, unless it is the one that only stands for `optional`.
fn real_oneof(field: &FieldDescriptorProto) -> Option<usize> {
    let oneof = field.oneof_index.filter(|_| !field.proto3_optional())?;
    usize::try_from(oneof).ok()
}

fn type_name(field: &FieldDescriptorProto) -> &str {
    match &field.type_name {
        Some(name) => name,
        None => scalar_name(field.r#type()),
    }
}

fn map_type(entry: &DescriptorProto) -> String {
    let of = |number: i32| entry.field.iter().find(|field| field.number() == number).map_or("", type_name);
    format!("map<{}, {}>", of(1), of(2))
}

/// The word for a type that has no name of its own.
pub(super) fn scalar_name(found: Type) -> &'static str {
    match found {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
        Type::Group => "group",
        Type::Message => "message",
        Type::Enum => "enum",
    }
}

fn default_value(field: &FieldDescriptorProto, default: &str) -> String {
    if field.type_name.is_some() {
        return default.to_owned();
    }
    match field.r#type() {
        Type::String => quoted(default.as_bytes()),
        // Bytes are kept with their escapes.
        Type::Bytes => format!("\"{default}\""),
        Type::Double | Type::Float => default.parse().map_or_else(|_| default.to_owned(), real_text),
        _ => default.to_owned(),
    }
}

fn reserved(message: &DescriptorProto) -> String {
    let ranges = message
        .reserved_range
        .iter()
        .map(|range| span(range.start(), range.end() - 1, FIELD_NUMBER_MAX))
        .collect();
    reserved_lines(ranges, &message.reserved_name)
}

fn reserved_lines(ranges: Vec<String>, names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name.as_bytes())).collect();
    let lines = [ranges, names].into_iter().filter(|values| !values.is_empty());
    lines.map(|values| format!("reserved {};\n", values.join(", "))).collect()
}

/// The numbers from `start` to `end`, both included.
fn span(start: i32, end: i32, max: i32) -> String {
    match end {
        end if end == start => start.to_string(),
        end if end >= max => format!("{start} to max"),
        end => format!("{start} to {end}"),
    }
}

/// An option and its value.
fn option(option: &UninterpretedOption) -> String {
    let names: Vec<String> = option.name.iter().map(name_part).collect();
    format!("{} = {}", names.join("."), value(option))
}

fn name_part(part: &NamePart) -> String {
    if part.is_extension { format!("({})", part.name_part) } else { part.name_part.clone() }
}

/// What an option is set to, as it is written.
pub(super) fn value(option: &UninterpretedOption) -> String {
    if let Some(word) = &option.identifier_value {
        return word.clone();
    }
    if let Some(number) = option.positive_int_value {
        return number.to_string();
    }
    if let Some(number) = option.negative_int_value {
        return number.to_string();
    }
    if let Some(number) = option.double_value {
        // Words with a sign are no values of options; a number that is too large is one.
        return if number == f64::NEG_INFINITY { "-1e999".into() } else { real_text(number) };
    }
    if let Some(bytes) = &option.string_value {
        return quoted(bytes);
    }
    aggregate(option.aggregate_value.as_deref().unwrap_or_default())
}

/// A message as a value; tokens that are none stay as they are.
fn aggregate(tokens: &str) -> String {
    let mut out = String::new();
    match Literal::message(tokens) {
        Some(message) => message.lay_out(&mut out, 0),
        None => out.push_str(&format!("{{ {} }}", tokens.replace('\n', " "))),
    }
    out
}
