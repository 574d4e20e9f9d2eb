//! From a text to a resolved file: what is checked before the parser sees the text, imports, and where errors are.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, MessageOptions};
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, ReflectMessage, Value};

use super::position::{error, error_at, name_error, syntax_error};
use super::{IMPORTS_MAX, NESTING_MAX, RANGES_MAX, REFERENCED_BYTES_MAX, TEXT_BYTES_MAX};
use super::{options, print, well_known};
use crate::schema::{ParseError, Referenced, SchemaText, Validation};

/// The name of the file itself, as existing registries give it; no import has it.
const FILE_NAME: &str = "default";
/// The field of a `FileDescriptorProto` that says where in the text things are.
const SOURCE_CODE_INFO: &str = "source_code_info";
/// The path in a `FileDescriptorProto` of its syntax.
const SYNTAX_PATH: &[i32] = &[12];
/// The path in a `FileDescriptorProto` of its imports.
const IMPORT_PATH: i32 = 3;

/// A file, as written and with its names resolved.
pub(super) struct Parsed {
    pub(super) written: FileDescriptorProto,
    pub(super) file: FileDescriptor,
}

/// Parses a text or a base64 descriptor.
pub(super) fn parse(text: SchemaText<'_>) -> Result<Parsed, ParseError> {
    check_sizes(&text)?;
    match descriptor_bytes(text.text) {
        Some(bytes) => {
            let printed = print_descriptor(&bytes, text.references)?;
            let text = SchemaText { text: &printed, ..text };
            check_sizes(&text)?;
            parse_text(text).map_err(|found| error(format!("the descriptor is not of a valid file: {found}")))
        }
        None => parse_text(text),
    }
}

fn check_sizes(text: &SchemaText<'_>) -> Result<(), ParseError> {
    if text.text.len() > TEXT_BYTES_MAX {
        return Err(error(format!(
            "the text has more than {TEXT_BYTES_MAX} bytes: split it into several files"
        )));
    }
    if text.references.len() > IMPORTS_MAX {
        return Err(error(format!("more than {IMPORTS_MAX} references")));
    }
    let referenced: usize = text.references.iter().map(|reference| reference.text.len()).sum();
    if referenced > REFERENCED_BYTES_MAX {
        return Err(error(format!("the references have more than {REFERENCED_BYTES_MAX} bytes together")));
    }
    Ok(())
}

/// The bytes of a text that is a base64 descriptor. No file of the language is base64: it needs a space or a semicolon.
fn descriptor_bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.is_empty() { None } else { STANDARD.decode(text).ok() }
}

fn parse_text(SchemaText { text, references, validation }: SchemaText<'_>) -> Result<Parsed, ParseError> {
    let mut written = file_of(&main_name(references), text)?;
    let mut pool = import_all(&written, text, references)?;
    let places = written.source_code_info.take();
    if places.iter().flat_map(|places| &places.location).any(|place| place.path == SYNTAX_PATH) {
        written.syntax.get_or_insert_with(|| "proto2".into());
    }
    let mut added = pool.add_file_descriptor_proto(written.clone());
    if added.is_err() && validation == Validation::Stored {
        let mut plain = written.clone();
        options::remove_custom(&mut plain);
        added = pool.add_file_descriptor_proto(plain);
    }
    match pool.get_file_by_name(written.name()).filter(|_| added.is_ok()) {
        Some(file) => Ok(Parsed { written, file }),
        // Once more with places, which cost time that grows with the square of the text when all is well.
        None => match pool
            .add_file_descriptor_proto(FileDescriptorProto { source_code_info: places, ..written })
        {
            Err(found) => Err(name_error(text, &found)),
            Ok(()) => Err(error("the file is not valid")),
        },
    }
}

fn main_name(references: &[Referenced]) -> String {
    let mut name = FILE_NAME.to_owned();
    while references.iter().any(|reference| reference.name == name) {
        name.push('_');
    }
    name
}

/// Parses one file, without its imports.
fn file_of(name: &str, text: &str) -> Result<FileDescriptorProto, ParseError> {
    check_text(text)?;
    let mut file = protox_parse::parse(name, text).map_err(|found| syntax_error(text, &found))?;
    accept_map_entries(&mut file.message_type)?;
    Ok(file)
}

/// Refuses what the parsers cannot bear: too many open brackets, and editions.
fn check_text(text: &str) -> Result<(), ParseError> {
    let mut depth = 0_usize;
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    let mut first = true;
    while let Some((offset, byte)) = scan.next_significant() {
        if first && text.get(offset..).is_some_and(|rest| rest.starts_with("edition")) {
            return Err(error_at(
                text,
                offset,
                "editions are not supported: write syntax = \"proto3\" or \"proto2\"",
            ));
        }
        first = false;
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(error_at(text, offset, format!("more than {NESTING_MAX} brackets are open here")));
        }
    }
    Ok(())
}

/// Walks the bytes of a text that are neither in comments, nor in strings, nor space.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn next_significant(&mut self) -> Option<(usize, u8)> {
        loop {
            let offset = self.at;
            let byte = *self.text.get(offset)?;
            self.at += 1;
            match byte {
                b'/' if self.text.get(self.at) == Some(&b'/') => self.skip_past(b"\n"),
                b'/' if self.text.get(self.at) == Some(&b'*') => {
                    self.at += 1;
                    self.skip_past(b"*/");
                }
                b'"' | b'\'' => {
                    self.skip_string(byte);
                    return Some((offset, byte));
                }
                byte if byte.is_ascii_whitespace() => {}
                byte => return Some((offset, byte)),
            }
        }
    }

    fn skip_past(&mut self, end: &[u8]) {
        while self.at < self.text.len() && !self.text[self.at..].starts_with(end) {
            self.at += 1;
        }
        self.at += end.len();
    }

    /// A string ends at its quote, or with the line: no string of the language spans lines.
    fn skip_string(&mut self, quote: u8) {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'\n' => return,
                byte if byte == quote => return,
                _ => {}
            }
        }
    }
}

/// Takes `option map_entry = true`, which the language forbids but texts that registries print from descriptors have, and
/// refuses entries that are none, and more ranges than can be compared in time.
fn accept_map_entries(messages: &mut [DescriptorProto]) -> Result<(), ParseError> {
    for message in messages {
        if message.reserved_range.len() + message.extension_range.len() > RANGES_MAX {
            return Err(error(format!(
                "message {} has more than {RANGES_MAX} reserved and extension ranges: join adjacent ones",
                message.name()
            )));
        }
        if let Some(options) = &mut message.options {
            take_map_entry(options);
            if options.map_entry() && !is_map_entry(message) {
                return Err(error(format!(
                    "message {} has the option map_entry, but is not one: write a map field instead",
                    message.name()
                )));
            }
        }
        accept_map_entries(&mut message.nested_type)?;
    }
    Ok(())
}

fn take_map_entry(options: &mut MessageOptions) {
    options.uninterpreted_option.retain(|option| {
        let found =
            matches!(option.name.as_slice(), [part] if !part.is_extension && part.name_part == "map_entry");
        if found {
            options.map_entry = Some(option.identifier_value.as_deref() == Some("true"));
        }
        !found
    });
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    let [key, value] = message.field.as_slice() else { return false };
    let named = |field: &prost_reflect::prost_types::FieldDescriptorProto, name: &str, number: i32| {
        field.name() == name && field.number() == number && field.label() == Label::Optional
    };
    let key_type = key.r#type.and_then(|key| Type::try_from(key).ok());
    let is_key = !matches!(
        key_type,
        None | Some(Type::Double | Type::Float | Type::Bytes | Type::Message | Type::Enum | Type::Group)
    );
    named(key, "key", 1) && named(value, "value", 2) && is_key && message.nested_type.is_empty()
}

/// A pool of all that `main` imports, each file after those that it imports itself.
fn import_all(
    main: &FileDescriptorProto,
    text: &str,
    references: &[Referenced],
) -> Result<DescriptorPool, ParseError> {
    let texts: HashMap<&str, &str> =
        references.iter().map(|reference| (reference.name.as_str(), reference.text.as_str())).collect();
    let mut pool = DescriptorPool::new();
    // A walk in depth without recursion: files whose imports are being added, and the next of them to look at.
    let mut open = vec![(main.clone(), 0)];
    while let Some((file, next)) = open.last_mut() {
        let Some(name) = file.dependency.get(*next).cloned() else {
            let done = open.pop();
            if let Some((file, _)) = done.filter(|_| !open.is_empty()) {
                add_import(&mut pool, file)?;
            }
            continue;
        };
        *next += 1;
        if pool.get_file_by_name(&name).is_some() {
            continue;
        }
        if open.iter().any(|(file, _)| file.name() == name) {
            return Err(error(format!("the imports go in a circle through {name:?}")));
        }
        match import(&name, &texts) {
            Some(imported) => open.push((imported.map_err(|found| within(&name, &found))?, 0)),
            None => return Err(not_found(main, text, &name)),
        }
    }
    Ok(pool)
}

fn add_import(pool: &mut DescriptorPool, mut file: FileDescriptorProto) -> Result<(), ParseError> {
    file.source_code_info = None;
    let name = file.name().to_owned();
    pool.add_file_descriptor_proto(file).map_err(|found| within(&name, &name_error("", &found)))
}

/// The file that is imported as `name`, if there is one.
fn import(name: &str, texts: &HashMap<&str, &str>) -> Option<Result<FileDescriptorProto, ParseError>> {
    match texts.get(name) {
        Some(text) => Some(match descriptor_bytes(text) {
            Some(bytes) => file_of_descriptor(name, &bytes),
            None => file_of(name, text),
        }),
        None => well_known::file(name),
    }
}

fn file_of_descriptor(name: &str, bytes: &[u8]) -> Result<FileDescriptorProto, ParseError> {
    let mut file = FileDescriptorProto::decode(bytes).map_err(|found| not_a_descriptor(&found))?;
    file.name = Some(name.to_owned());
    accept_map_entries(&mut file.message_type)?;
    Ok(file)
}

fn not_found(main: &FileDescriptorProto, text: &str, name: &str) -> ParseError {
    let message =
        format!("import {name:?} is not among the references: register it, and refer to it by this name");
    let index =
        main.dependency.iter().position(|import| import == name).and_then(|index| i32::try_from(index).ok());
    let place = index.and_then(|index| {
        let places = &main.source_code_info.as_ref()?.location;
        places.iter().find(|place| place.path == [IMPORT_PATH, index])?.span.first().copied()
    });
    let line = place.and_then(|line| usize::try_from(line).ok());
    let offset = line.map(|line| text.split_inclusive('\n').take(line).map(str::len).sum::<usize>());
    match offset {
        Some(offset) => error_at(text, offset, message),
        None => error(message),
    }
}

fn within(name: &str, found: &ParseError) -> ParseError {
    error(format!("in {name:?}: {found}"))
}

fn not_a_descriptor(found: &prost_reflect::prost::DecodeError) -> ParseError {
    error(format!("the text is base64, but not of a FileDescriptorProto: {found}"))
}

/// The text of the file that `bytes` describe, its options interpreted with the help of its imports.
fn print_descriptor(bytes: &[u8], references: &[Referenced]) -> Result<String, ParseError> {
    let name = main_name(references);
    let file = file_of_descriptor(&name, bytes)?;
    if file.syntax() == "editions" {
        return Err(error("editions are not supported: write syntax = \"proto3\" or \"proto2\""));
    }
    let mut pool = import_all(&file, "", references)?;
    let schema = FileDescriptorProto::default().descriptor();
    let mut message = DynamicMessage::decode(schema, bytes).map_err(|found| not_a_descriptor(&found))?;
    message.clear_field_by_name(SOURCE_CODE_INFO);
    message.set_field_by_name("name", Value::String(name.clone()));
    pool.decode_file_descriptor_proto(message.encode_to_vec().as_slice())
        .map_err(|found| error(format!("the descriptor is not of a valid file: {found}")))?;
    let resolved =
        pool.get_file_by_name(&name).ok_or_else(|| error("the descriptor is not of a valid file"))?;
    let mut written = file;
    options::spell_out(&resolved, &mut written);
    Ok(print::print(&written, print::Kept::Everything))
}
