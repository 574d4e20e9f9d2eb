//! From schemas and data of the data model to Protobuf's.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;

use super::super::map_entry;
use super::{ENTRY, Protobuf, TAG, WRAPPERS, enumeration, union};
use crate::error::ConnectError;
use crate::notation::text::{Meaning, decimal, millis};
use crate::notation::time::{DAY, civil_from_days};
use crate::record::{ConnectSchema, Field, Type};
use crate::value::{Fields, Value};

/// The text of Google's wrappers.
pub(super) fn wrappers() -> String {
    let message = |(name, word, _): &(&str, &str, Type)| format!("message {name} {{ {word} value = 1; }}\n");
    let messages: String = WRAPPERS.iter().map(message).collect();
    format!("syntax = \"proto3\";\npackage google.protobuf;\n{messages}")
}

/// A value in a wrapper.
pub(super) fn wrapped(value: Value) -> Value {
    Value::record([(ByteString::from_static("value"), value)])
}

/// What a text is made of.
#[derive(Default)]
struct Writer {
    imports: BTreeSet<&'static str>,
    /// Schemas without a name.
    nameless: usize,
    /// The messages around what is written, the innermost last, with what is declared in each.
    around: Vec<Declared>,
}

/// What is declared in a message: names, and the schemas that they stand for.
#[derive(Default)]
struct Declared {
    schemas: BTreeMap<String, ConnectSchema>,
    text: String,
}

impl Protobuf {
    /// The text of a schema.
    pub(super) fn text(&self, schema: &ConnectSchema) -> Result<String, ConnectError> {
        let Type::Struct(fields) = &schema.kind else {
            let kind = crate::notation::text::kind(&schema.kind);
            return Err(ConnectError::data(format!("Unsupported root schema of type {kind}")));
        };
        let mut writer = Writer::default();
        let full = writer.name(schema);
        let (package, name) =
            full.rsplit_once('.').map_or((None, full.as_str()), |(of, name)| (Some(of), name));
        let message = self.message(&mut writer, &self.scrubbed(name), fields)?;
        let mut text = "syntax = \"proto3\";\n".to_owned();
        if let Some(package) = package {
            text.push_str(&format!("package {package};\n"));
        }
        for import in &writer.imports {
            text.push_str(&format!("import \"{import}\";\n"));
        }
        Ok(text + &message)
    }

    /// A name as the language takes it.
    fn scrubbed(&self, name: &str) -> String {
        if !self.scrub {
            return name.to_owned();
        }
        let mut scrubbed = String::with_capacity(name.len());
        for letter in name.chars() {
            match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => scrubbed.push(letter),
                // As a form of the web writes them, without its marks.
                '-' | '.' | '*' | ' ' => scrubbed.push('_'),
                _ => letter
                    .encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| scrubbed.push_str(&format!("_{byte:02X}"))),
            }
        }
        match scrubbed.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            true => scrubbed,
            false => format!("x{scrubbed}"),
        }
    }

    fn message(&self, writer: &mut Writer, name: &str, fields: &[Field]) -> Result<String, ConnectError> {
        writer.around.push(Declared::default());
        let mut numbers = Numbers::new(fields);
        let mut body = String::new();
        for field in fields {
            let field_name = self.scrubbed(&field.name);
            match (union(&field.schema), &field.schema.kind) {
                (Some(oneof), Type::Struct(members)) => {
                    body.push_str(&format!("oneof {} {{\n", self.scrubbed(oneof)));
                    for member in members {
                        let name = self.scrubbed(&member.name);
                        let number = numbers.next(&member.schema);
                        body.push_str(&self.field(writer, &name, &member.schema, number, false)?);
                    }
                    body.push_str("}\n");
                }
                _ => {
                    let number = numbers.next(&field.schema);
                    body.push_str(&self.field(writer, &field_name, &field.schema, number, true)?);
                }
            }
        }
        let declared = writer.around.pop().unwrap_or_default();
        Ok(format!("message {name} {{\n{body}{}}}\n", declared.text))
    }

    fn field(
        &self,
        writer: &mut Writer,
        name: &str,
        schema: &ConnectSchema,
        number: i64,
        may_have_label: bool,
    ) -> Result<String, ConnectError> {
        let (label, of) = match &schema.kind {
            Type::Array(items) => ("repeated ", &**items),
            Type::Map(..) => ("repeated ", schema),
            Type::Struct(_) => ("", schema),
            _ if self.optional_for_nullables && schema.optional && may_have_label => ("optional ", schema),
            _ => ("", schema),
        };
        let mut parameters = Vec::new();
        let word = self.word(writer, name, of, &mut parameters)?;
        let options = match parameters.is_empty() {
            true => String::new(),
            false => {
                writer.imports.insert("confluent/meta.proto");
                let pairs =
                    parameters.iter().map(|(key, value)| format!("{{key: \"{key}\" value: \"{value}\"}}"));
                let pairs = pairs.collect::<Vec<_>>().join(", ");
                format!(" [(confluent.field_meta) = {{params: [{pairs}]}}]")
            }
        };
        Ok(format!("{label}{word} {name} = {number}{options};\n"))
    }

    /// The type of a field; what it refers to is declared, unless it is.
    fn word(
        &self,
        writer: &mut Writer,
        field: &str,
        schema: &ConnectSchema,
        parameters: &mut Vec<(&'static str, String)>,
    ) -> Result<String, ConnectError> {
        let mut well_known = |file: &'static str, name: &str| {
            writer.imports.insert(file);
            Ok(name.to_owned())
        };
        match Meaning::of(Some(schema)) {
            Meaning::Decimal => {
                let number = |name: &str| Some(schema.parameter(name)?.parse::<i32>().ok()?.to_string());
                parameters.extend(number(super::PRECISION).map(|digits| ("precision", digits)));
                parameters.extend(number("scale").map(|digits| ("scale", digits)));
                return well_known("confluent/type/decimal.proto", "confluent.type.Decimal");
            }
            Meaning::Date => return well_known("google/type/date.proto", "google.type.Date"),
            Meaning::Time => return well_known("google/type/timeofday.proto", "google.type.TimeOfDay"),
            Meaning::Timestamp => {
                return well_known("google/protobuf/timestamp.proto", "google.protobuf.Timestamp");
            }
            Meaning::Plain => {}
        }
        match schema.kind {
            Type::Int8 => parameters.push(("connect.type", "int8".to_owned())),
            Type::Int16 => parameters.push(("connect.type", "int16".to_owned())),
            _ => {}
        }
        if let Some(wrapper) = self.wrapper(schema) {
            return well_known("google/protobuf/wrappers.proto", &format!("google.protobuf.{wrapper}"));
        }
        let word = match &schema.kind {
            Type::String | Type::Int32 if enumeration(schema).is_some() => {
                return self.symbols(writer, schema);
            }
            Type::Boolean => "bool",
            Type::Int8 | Type::Int16 | Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::Float32 => "float",
            Type::Float64 => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Array(_) => return Err(ConnectError::data("Array cannot be nested")),
            Type::Map(keys, values) => {
                let name = writer.name(schema);
                let name = camel(self.scrubbed(name.rsplit('.').next().unwrap_or(&name)));
                let entry =
                    |name: &str, schema| Field { name: name.into(), schema: std::sync::Arc::clone(schema) };
                let fields = [entry("key", keys), entry("value", values)];
                return self.declare(writer, format!("{name}{ENTRY}"), schema, |this, writer, name| {
                    this.message(writer, name, &fields)
                });
            }
            Type::Struct(fields) => {
                let name = writer.name(schema);
                let mut name = self.scrubbed(name.rsplit('.').next().unwrap_or(&name));
                if name == field {
                    // A message and a field of one name would be one thing.
                    name.push_str("Message");
                }
                return self
                    .declare(writer, name, schema, |this, writer, name| this.message(writer, name, fields));
            }
        };
        Ok(word.to_owned())
    }

    fn symbols(&self, writer: &mut Writer, schema: &ConnectSchema) -> Result<String, ConnectError> {
        let Some((name, key)) = enumeration(schema) else { return Ok(String::new()) };
        let name = self.scrubbed(name.rsplit('.').next().unwrap_or(name));
        let prefix = format!("{key}.");
        self.declare(writer, name, schema, |_, _, name| {
            let symbols = schema.parameters.iter();
            let symbols =
                symbols.filter_map(|(key, number)| Some((key.strip_prefix(prefix.as_str())?, number)));
            let lines: String = symbols.map(|(symbol, number)| format!("{symbol} = {number};\n")).collect();
            Ok(format!("enum {name} {{\n{lines}}}\n"))
        })
    }

    /// Declares a name in the innermost message, unless one around it has it with the same meaning.
    fn declare(
        &self,
        writer: &mut Writer,
        name: String,
        schema: &ConnectSchema,
        text: impl FnOnce(&Self, &mut Writer, &str) -> Result<String, ConnectError>,
    ) -> Result<String, ConnectError> {
        // What a field says of itself is not the type's.
        let mut plain = ConnectSchema { optional: false, default: None, doc: None, ..schema.clone() };
        plain.parameters.retain(|(key, _)| key != TAG);
        if let Some(known) = writer.around.iter().rev().find_map(|declared| declared.schemas.get(&name)) {
            if *known == plain {
                return Ok(name);
            }
            if writer.around.last().is_some_and(|declared| declared.schemas.contains_key(&name)) {
                return Err(ConnectError::data(format!(
                    "The name {name} stands for two schemas, which Protobuf does not allow"
                )));
            }
        }
        let written = text(self, writer, &name)?;
        if let Some(declared) = writer.around.last_mut() {
            declared.text.push_str(&written);
            declared.schemas.insert(name.clone(), plain);
        }
        Ok(name)
    }

    /// Data as Protobuf has it.
    pub(super) fn value(&self, schema: &ConnectSchema, given: &Value) -> Result<Value, ConnectError> {
        if *given == Value::Null {
            return Ok(Value::Null);
        }
        if let Some(message) = logical(schema, given)? {
            return Ok(message);
        }
        let plain = match (&schema.kind, given) {
            (Type::Array(items), Value::Array(list)) => {
                Value::Array(list.iter().map(|item| self.value(items, item)).collect::<Result<_, _>>()?)
            }
            (Type::Map(keys, values), Value::Map(entries)) => {
                let written = |(key, item): &(Value, Value)| {
                    Ok(map_entry(self.value(keys, key)?, self.value(values, item)?))
                };
                Value::Array(entries.iter().map(written).collect::<Result<_, ConnectError>>()?)
            }
            (Type::Struct(fields), Value::Struct(values)) => {
                let mut written = Vec::with_capacity(fields.len());
                self.add(&mut written, fields, values)?;
                Value::record(written)
            }
            (Type::Int8 | Type::Int16, Value::Int8(number)) => Value::Int32((*number).into()),
            (Type::Int16, Value::Int16(number)) => Value::Int32((*number).into()),
            (_, other) => other.clone(),
        };
        Ok(if self.wrapper(schema).is_some() { wrapped(plain) } else { plain })
    }

    /// The fields of a message; those of a union stand among them.
    fn add(
        &self,
        written: &mut Vec<(ByteString, Value)>,
        fields: &[Field],
        values: &Fields,
    ) -> Result<(), ConnectError> {
        for (field, (_, item)) in fields.iter().zip(values) {
            match (union(&field.schema), item) {
                (_, Value::Null) => {}
                (Some(_), Value::Struct(members)) => self.add(written, field.schema.fields(), members)?,
                _ => {
                    let name =
                        if self.scrub { self.scrubbed(&field.name).into() } else { field.name.clone() };
                    written.push((name, self.value(&field.schema, item)?));
                }
            }
        }
        Ok(())
    }
}

impl Writer {
    /// The full name of a schema.
    fn name(&mut self, schema: &ConnectSchema) -> String {
        match schema.name.as_deref() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => {
                self.nameless += 1;
                format!("ConnectDefault{}", self.nameless)
            }
        }
    }
}

/// Numbers of fields: those that are given, and the smallest others for the rest.
struct Numbers {
    given: BTreeSet<i64>,
    last: i64,
}

impl Numbers {
    fn new(fields: &[Field]) -> Self {
        let members = |field: &Field| match union(&field.schema) {
            Some(_) => field.schema.fields().iter().filter_map(|member| tag(&member.schema)).collect(),
            None => tag(&field.schema).into_iter().collect::<Vec<i64>>(),
        };
        Self { given: fields.iter().flat_map(members).collect(), last: 0 }
    }

    fn next(&mut self, schema: &ConnectSchema) -> i64 {
        if let Some(tag) = tag(schema) {
            return tag;
        }
        self.last += 1;
        while self.given.contains(&self.last) {
            self.last += 1;
        }
        self.last
    }
}

fn tag(schema: &ConnectSchema) -> Option<i64> {
    schema.parameter(TAG)?.parse().ok()
}

/// A name with underscores as one with capitals.
fn camel(name: String) -> String {
    if !name.contains('_') {
        return name;
    }
    let part = |part: &str| {
        let (first, rest) = part.split_at(part.chars().next().map_or(0, char::len_utf8));
        format!("{}{}", first.to_uppercase(), rest.to_lowercase())
    };
    name.split('_').map(part).collect()
}

/// The message of a decimal, a day, a time or a moment.
fn logical(schema: &ConnectSchema, given: &Value) -> Result<Option<Value>, ConnectError> {
    let fields: Vec<(&'static str, Value)> = match Meaning::of(Some(schema)) {
        Meaning::Plain => return Ok(None),
        Meaning::Decimal => {
            let Some(number) = decimal(schema, given) else {
                return Err(ConnectError::data("Invalid type for Decimal, expected BigDecimal"));
            };
            let unscaled = number.unscaled_bytes();
            let digits = crate::notation::Decimal::of_bytes(&unscaled, 0).unwrap_or_else(|| number.clone());
            let digits = digits.to_string().trim_start_matches('-').len() as i64;
            let scale = Value::Int32(number.scale());
            vec![
                ("value", Value::Bytes(unscaled.into())),
                ("precision", Value::Int64(digits)),
                ("scale", scale),
            ]
        }
        meaning => {
            let Some(millis) = millis(Some(schema), given) else {
                return Err(ConnectError::data("Invalid type for a time, expected Date"));
            };
            let number = |number: i64| Value::Int32(number as i32);
            match meaning {
                Meaning::Date => {
                    let (year, month, day) = civil_from_days(millis.div_euclid(DAY));
                    vec![("year", number(year)), ("month", number(month)), ("day", number(day))]
                }
                Meaning::Time if !(0..=DAY).contains(&millis) => {
                    return Err(ConnectError::data(
                        "Time values must use number of millis greater than 0 and less than 86400000",
                    ));
                }
                Meaning::Time => vec![
                    ("hours", number(millis / 3_600_000 % 24)),
                    ("minutes", number(millis / 60_000 % 60)),
                    ("seconds", number(millis / 1000 % 60)),
                    ("nanos", number(millis % 1000 * 1_000_000)),
                ],
                _ => vec![
                    ("seconds", Value::Int64(millis.div_euclid(1000))),
                    ("nanos", number(millis.rem_euclid(1000) * 1_000_000)),
                ],
            }
        }
    };
    Ok(Some(Value::record(fields.into_iter().map(|(name, value)| (name.into(), value)))))
}
