//! From a text to a resolved file: what is checked before the parser sees the text, imports, and where errors are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions,
};
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, ReflectMessage, Value};

use super::position::{error, error_at, name_error, syntax_error};
use super::{
    EDITIONS, IMPORTS_MAX, META_FILE, NAME_BYTES_MAX, NESTING_MAX, RANGED_VALUES_MAX, RANGES_MAX,
    REFERENCED_BYTES_MAX, STORED_BYTES_MAX, TEXT_BYTES_MAX, descriptor, imports, options, print,
};
use crate::schema::{ParseError, Referenced, SchemaText, Validation};

/// The name of the file itself, as existing registries give it; no import has it.
const FILE_NAME: &str = "default";
/// The field of a `FileDescriptorProto` that says where in the text things are.
const SOURCE_CODE_INFO: &str = "source_code_info";
/// The path in a `FileDescriptorProto` of its syntax.
const SYNTAX_PATH: &[i32] = &[12];

/// Whether the custom options of a file are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Options {
    /// The resolved file has them.
    Resolved,
    /// They stand in what was written alone.
    OfNobody,
}

/// A file, as written and with its names resolved, and its canonical text.
pub(super) struct Parsed {
    pub(super) written: FileDescriptorProto,
    pub(super) file: FileDescriptor,
    pub(super) options: Options,
    pub(super) canonical: String,
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
    let bytes_max = bytes_max(text.validation);
    if text.text.len() > bytes_max {
        return Err(error(format!("the text has more than {bytes_max} bytes: split it into several files")));
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

/// Bytes that a text may have: one that was accepted may have been printed since, with names in full.
fn bytes_max(validation: Validation) -> usize {
    match validation {
        Validation::New | Validation::Strict => TEXT_BYTES_MAX,
        Validation::Stored => STORED_BYTES_MAX,
    }
}

/// The bytes of a text that is a base64 descriptor. No file of the language is base64: it needs a space or a semicolon.
pub(super) fn descriptor_bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.is_empty() { None } else { STANDARD.decode(text).ok() }
}

fn parse_text(SchemaText { text, references, validation }: SchemaText<'_>) -> Result<Parsed, ParseError> {
    let mut written = file_of(&main_name(references), text)?;
    let (mut pool, mut resolvable) = imports::add_all(&written, text, references)?;
    let places = written.source_code_info.take().map(|places| places.location).unwrap_or_default();
    // The library would look for the place of each of its errors, which takes a time that grows with the square of the text.
    resolvable.source_code_info = None;
    if places.iter().any(|place| place.path == SYNTAX_PATH) {
        written.syntax.get_or_insert_with(|| "proto2".into());
    }
    let mut options = Options::Resolved;
    if let Err(found) = pool.add_file_descriptor_proto(resolvable) {
        let found = name_error(text, &places, &found);
        let lenient =
            (validation != Validation::Strict).then(|| add_leniently(&written, references)).flatten();
        (pool, options) = lenient.ok_or(found)?;
    }
    let file = pool.get_file_by_name(written.name()).ok_or_else(|| error("the file is not valid"))?;
    let canonical = print::print(&written, print::Kept::Everything);
    check_sizes(&SchemaText { text: &canonical, references, validation })?;
    Ok(Parsed { written, file, options, canonical })
}

/// Resolves a file as existing registries do, which link less than a compiler: it sees everything that it refers to and the
/// options of metadata without an import of them, and then also without custom options, which may be of nobody.
fn add_leniently(
    written: &FileDescriptorProto,
    references: &[Referenced],
) -> Option<(DescriptorPool, Options)> {
    let mut main = written.clone();
    let more = references.iter().map(|reference| reference.name.as_str()).chain([META_FILE]);
    main.dependency.extend(more.map(str::to_owned));
    let (pool, mut resolvable) = imports::add_all(&main, "", references).ok()?;
    let add = |file: FileDescriptorProto| {
        let mut pool = pool.clone();
        pool.add_file_descriptor_proto(file).is_ok().then_some(pool)
    };
    if let Some(pool) = add(resolvable.clone()) {
        return Some((pool, Options::Resolved));
    }
    options::remove_custom(&mut resolvable);
    add(resolvable).map(|pool| (pool, Options::OfNobody))
}

fn main_name(references: &[Referenced]) -> String {
    let mut name = FILE_NAME.to_owned();
    while references.iter().any(|reference| reference.name == name) {
        name.push('_');
    }
    name
}

/// Parses one file, without its imports.
pub(super) fn file_of(name: &str, text: &str) -> Result<FileDescriptorProto, ParseError> {
    check_text(text)?;
    let mut file = protox_parse::parse(name, text).map_err(|found| syntax_error(text, &found))?;
    check_messages(&mut file)?;
    Ok(file)
}

pub(super) fn file_of_descriptor(name: &str, bytes: &[u8]) -> Result<FileDescriptorProto, ParseError> {
    let mut file = descriptor::decode(name, bytes)?;
    check_messages(&mut file)?;
    Ok(file)
}

/// Refuses what the parsers cannot bear: too many open brackets, and editions.
fn check_text(text: &str) -> Result<(), ParseError> {
    let mut depth = 0_usize;
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    let mut first = true;
    while let Some((offset, byte)) = scan.next_significant() {
        if first && text.get(offset..).is_some_and(|rest| rest.starts_with("edition")) {
            return Err(error_at(text, offset, EDITIONS));
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

/// Checks what the parser does not: lengths of names, counts of ranges, and map entries.
fn check_messages(file: &mut FileDescriptorProto) -> Result<(), ParseError> {
    let scope = file.package().len();
    check_name(scope, file.package())?;
    file.enum_type.iter().try_for_each(check_enum)?;
    file.message_type.iter_mut().try_for_each(|message| check_message(scope, message))
}

/// Takes `option map_entry = true`, which the language forbids but texts that registries print from descriptors have, and
/// refuses entries that are none, more ranges than can be compared in time, and names that are too long: a name is repeated
/// in full wherever it is used.
fn check_message(scope: usize, message: &mut DescriptorProto) -> Result<(), ParseError> {
    let name = message.name().to_owned();
    let scope = scope + 1 + name.len();
    check_name(scope, &name)?;
    let members = message.field.iter().chain(&message.extension).map(FieldDescriptorProto::name);
    let names = members.chain(message.enum_type.iter().map(EnumDescriptorProto::name));
    for member in names {
        check_name(scope + 1 + member.len(), member)?;
    }
    if message.reserved_range.len() + message.extension_range.len() > RANGES_MAX {
        return Err(error(format!(
            "message {name} has more than {RANGES_MAX} reserved and extension ranges: join adjacent ones"
        )));
    }
    if let Some(options) = &mut message.options {
        take_map_entry(options);
        if options.map_entry() && !is_map_entry(message) {
            return Err(error(format!(
                "message {name} has the option map_entry, but is not one: write a map field instead"
            )));
        }
    }
    message.enum_type.iter().try_for_each(check_enum)?;
    message.nested_type.iter_mut().try_for_each(|nested| check_message(scope, nested))
}

/// Refuses an enum with more reserved ranges than its values can be compared with in time.
fn check_enum(found: &EnumDescriptorProto) -> Result<(), ParseError> {
    if found.reserved_range.len().saturating_mul(found.value.len()) <= RANGED_VALUES_MAX {
        return Ok(());
    }
    let (name, ranges, values) = (found.name(), found.reserved_range.len(), found.value.len());
    Err(error(format!(
        "enum {name} has {ranges} reserved ranges for {values} values: join ranges until their product is at most \
         {RANGED_VALUES_MAX}"
    )))
}

fn check_name(full_length: usize, name: &str) -> Result<(), ParseError> {
    if full_length <= NAME_BYTES_MAX {
        return Ok(());
    }
    let name: String = name.chars().take(100).collect();
    Err(error(format!("the full name of {name:?} has more than {NAME_BYTES_MAX} bytes")))
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
    let named = |field: &FieldDescriptorProto, name: &str, number: i32| {
        field.name() == name && field.number() == number && field.label() == Label::Optional
    };
    let key_type = key.r#type.and_then(|key| Type::try_from(key).ok());
    let is_key = !matches!(
        key_type,
        None | Some(Type::Double | Type::Float | Type::Bytes | Type::Message | Type::Enum | Type::Group)
    );
    named(key, "key", 1) && named(value, "value", 2) && is_key && message.nested_type.is_empty()
}

/// The text of the file that `bytes` describe, its options interpreted with the help of its imports.
fn print_descriptor(bytes: &[u8], references: &[Referenced]) -> Result<String, ParseError> {
    let name = main_name(references);
    let file = file_of_descriptor(&name, bytes)?;
    let (mut pool, resolvable) = imports::add_all(&file, "", references)?;
    let schema = FileDescriptorProto::default().descriptor();
    let mut message = DynamicMessage::decode(schema, bytes).map_err(|found| error(found.to_string()))?;
    message.clear_field_by_name(SOURCE_CODE_INFO);
    message.set_field_by_name("name", Value::String(name.clone()));
    options::set_imports(&mut message, &resolvable);
    pool.decode_file_descriptor_proto(message.encode_to_vec().as_slice())
        .map_err(|found| error(format!("the descriptor is not of a valid file: {found}")))?;
    let resolved =
        pool.get_file_by_name(&name).ok_or_else(|| error("the descriptor is not of a valid file"))?;
    let mut written = file;
    options::spell_out(&resolved, &mut written);
    Ok(print::print(&written, print::Kept::Everything))
}
