//! From text to [`Types`].
//!
//! What the specification leaves open is decided as Avro's own library does, since registries are full of what it
//! accepts: unknown attributes are kept, attributes of another kind of type are dropped, and a name may be used before it
//! is defined.

use std::collections::{HashMap, HashSet};

use bytestring::ByteString;
use indexmap::IndexSet;

use super::default;
use super::json::{self, float_text};
use super::print;
use super::types::{Field, Kind, Name, Named, Order, PRIMITIVES, Symbols, Type, TypeId, Types, Use};
use crate::schema::tree::{Fault, Item, Node};
use crate::schema::{ParseError, Position, SchemaText, Validation};

/// Longest text, those that it refers to included, in bytes.
const TEXT_BYTES_MAX: usize = 8 << 20;
/// Types in a schema, those of texts that it refers to included; each use of a primitive type is one.
const TYPES_MAX: usize = 200_000;
/// Longest name with its namespace, in bytes.
const NAME_BYTES_MAX: usize = 4096;
/// All names with their namespaces, wherever one is defined, used or an alias, in bytes: a few letters of the text may stand for the
/// longest name.
const NAMES_BYTES_MAX: usize = 32 << 20;
/// How much is compared of definitions that come again, in bytes: each is compared with all that it holds, and so is each of those.
const REPEATED_BYTES_MAX: usize = 16 << 20;
/// How much of a text an error message repeats, in characters.
const ECHO_CHARS_MAX: usize = 60;

/// Attributes of types that are no properties.
const RESERVED: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
/// Attributes of fields that are no properties.
const RESERVED_OF_FIELDS: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

/// Parses a schema with all that it refers to.
pub(super) fn parse(schema: SchemaText<'_>) -> Result<Types, ParseError> {
    let bytes = schema.references.iter().map(|reference| reference.text.len()).sum::<usize>();
    if bytes.saturating_add(schema.text.len()) > TEXT_BYTES_MAX {
        let message =
            format!("the schema is longer than {TEXT_BYTES_MAX} bytes, with the schemas that it refers to");
        return Err(ParseError { message, position: None });
    }
    let mut types = Types::new();
    for reference in schema.references {
        Parser::new(&mut types, Validation::Stored, true).parse(&reference.text).map_err(|fault| {
            let Position { line, column } = Position::of(&reference.text, fault.at);
            let name = echo(&reference.name);
            let message =
                format!("in the referenced schema {name} (line {line}, column {column}): {}", fault.message);
            ParseError { message, position: None }
        })?;
    }
    types.root = Parser::new(&mut types, schema.validation, false)
        .parse(schema.text)
        .map_err(|fault| fault.locate(schema.text))?;
    Ok(types)
}

/// A bounded part of what was written, in quotes.
pub(super) fn echo(written: &str) -> String {
    let short: String = written.chars().take(ECHO_CHARS_MAX).collect();
    if short.len() < written.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

/// Parses one text into a table that may hold others already.
struct Parser<'a> {
    types: &'a mut Types,
    validation: Validation,
    foreign: bool,
    /// Where the types of this text start.
    start: usize,
    /// Later definitions of a name, beside the first one.
    repeated: Vec<(TypeId, TypeId)>,
}

impl<'a> Parser<'a> {
    fn new(types: &'a mut Types, validation: Validation, foreign: bool) -> Self {
        let start = types.len();
        Self { types, validation, foreign, start, repeated: Vec::new() }
    }

    fn parse(mut self, text: &str) -> Result<Use, Fault> {
        let json = json::parse(text)?;
        let mut root = self.ty(&json, "")?;
        self.resolve(&mut root)?;
        self.check_repeated()?;
        self.check_unions()?;
        if self.validation != Validation::Stored {
            self.check_defaults()?;
        }
        Ok(root)
    }

    fn ty(&mut self, json: &Item, namespace: &str) -> Result<Use, Fault> {
        match &json.node {
            Node::String(name) => self.by_name(name, namespace, json.at),
            Node::Object(_) => self.by_object(json, namespace),
            Node::Array(branches) => {
                let branches: Result<Vec<Use>, Fault> =
                    branches.iter().map(|branch| self.branch(branch, namespace)).collect();
                self.add(Type::new(Kind::Union(branches?), json.at))
            }
            _ => {
                let message =
                    "a schema is expected: a name in quotes, an object with `type`, or an array (a union)";
                Err(Fault::new(message, json.at))
            }
        }
    }

    fn branch(&mut self, json: &Item, namespace: &str) -> Result<Use, Fault> {
        if json.array().is_some() {
            return Err(Fault::new("a union may not directly hold another union", json.at));
        }
        self.ty(json, namespace)
    }

    fn add(&mut self, ty: Type) -> Result<Use, Fault> {
        if self.types.len() == TYPES_MAX {
            return Err(Fault::new(format!("the schema has more than {TYPES_MAX} types"), ty.at));
        }
        Ok(Use { id: self.types.add(ty), inline: true })
    }

    /// A primitive type, or the use of a named one, which is looked up when the whole text is known.
    fn by_name(&mut self, written: &str, namespace: &str, at: usize) -> Result<Use, Fault> {
        if let Some(kind) = Kind::primitive(written) {
            return self.add(Type::new(kind, at));
        }
        let name = self.name(written, namespace, at)?;
        let fallback = (!written.contains('.') && !namespace.is_empty()).then(|| Name::new(written, ""));
        self.add(Type::new(Kind::Unresolved { name, fallback }, at))
    }

    /// The name that is written within a namespace.
    fn name(&mut self, written: &str, namespace: &str, at: usize) -> Result<Name, Fault> {
        check_length(written, namespace, at)?;
        let name = Name::new(written, namespace);
        self.types.names_bytes += name.full().len();
        if self.types.names_bytes > NAMES_BYTES_MAX {
            let message =
                format!("all names in full have more than {NAMES_BYTES_MAX} bytes: shorten the namespace");
            return Err(Fault::new(message, at));
        }
        Ok(name)
    }

    fn by_object(&mut self, json: &Item, namespace: &str) -> Result<Use, Fault> {
        let Some(word) = json.get("type") else {
            return Err(Fault::new("the attribute `type` is missing", json.at));
        };
        let Some(word) = word.string() else {
            let message = "`type` must be a name in quotes here; only fields take a whole schema there";
            return Err(Fault::new(message, word.at));
        };
        let ty = match word {
            "record" | "error" => return self.record(json, namespace, word == "error"),
            "enum" => return self.enumeration(json, namespace),
            "fixed" => return self.fixed(json, namespace),
            "array" => {
                let items = required(json, "items", "an array needs `items`, the schema of its items")?;
                Type::new(Kind::Array(self.ty(items, namespace)?), json.at)
            }
            "map" => {
                let values = required(json, "values", "a map needs `values`, the schema of its values")?;
                Type::new(Kind::Map(self.ty(values, namespace)?), json.at)
            }
            _ => match Kind::primitive(word) {
                Some(kind) => Type::new(kind, json.at),
                None => return self.by_name(word, namespace, json.at),
            },
        };
        self.add(Type { properties: properties(json, &RESERVED), ..ty })
    }

    fn record(&mut self, json: &Item, namespace: &str, error: bool) -> Result<Use, Fault> {
        let named = self.named(json, namespace)?;
        let fields = required(json, "fields", "a record needs `fields`, an array")?;
        let Some(list) = fields.array() else {
            return Err(Fault::new("`fields` of a record must be an array", fields.at));
        };
        let namespace = named.name.namespace().to_owned();
        let mut fields = Vec::with_capacity(list.len());
        let mut places = HashMap::with_capacity(list.len());
        for json in list {
            let field = self.field(json, &namespace)?;
            if places.insert(field.name.clone(), fields.len()).is_some() {
                let message = format!("the record has two fields called {}", echo(&field.name));
                return Err(Fault::new(message, json.at));
            }
            fields.push(field);
        }
        let names = fields.iter().map(|field| field.name.clone()).collect();
        self.define(Kind::Record { fields, names, places, error }, named, json, &RESERVED)
    }

    fn field(&mut self, json: &Item, namespace: &str) -> Result<Field, Fault> {
        if !matches!(json.node, Node::Object(_)) {
            return Err(Fault::new("a field must be an object with `name` and `type`", json.at));
        }
        let name = required(json, "name", "a field needs a `name`")?;
        let Some(text) = name.string() else {
            return Err(Fault::new("the name of a field must be in quotes", name.at));
        };
        check_length(text, "", name.at)?;
        self.check_word(text, name.at)?;
        let ty = required(json, "type", "a field needs a `type`")?;
        let ty = self.ty(ty, namespace)?;
        Ok(Field {
            name: ByteString::from(text),
            doc: text_of(json, "doc"),
            ty,
            default: json.get("default").map(|default| self.as_number(default, ty)),
            order: order(json)?,
            aliases: texts(json, "aliases")?,
            properties: properties(json, &RESERVED_OF_FIELDS),
        })
    }

    /// A default of a floating-point field may be written as a text.
    fn as_number(&self, default: &Item, ty: Use) -> Item {
        let floating = matches!(self.types.kind(ty.id), Kind::Float | Kind::Double);
        match default.string().and_then(number) {
            Some(number) if floating => Item { node: Node::Number(float_text(number)), at: default.at },
            _ => default.clone(),
        }
    }

    fn enumeration(&mut self, json: &Item, namespace: &str) -> Result<Use, Fault> {
        let named = self.named(json, namespace)?;
        let symbols = required(json, "symbols", "an enum needs `symbols`, an array")?;
        let Some(list) = symbols.array() else {
            return Err(Fault::new("`symbols` of an enum must be an array", symbols.at));
        };
        let mut words = Vec::with_capacity(list.len());
        for symbol in list {
            let text = symbol.string().ok_or_else(|| Fault::new("a symbol must be in quotes", symbol.at))?;
            self.check_word(text, symbol.at)?;
            words.push(ByteString::from(text));
        }
        let default = json.get("default").and_then(Item::string).map(ByteString::from);
        let Some(set) = Symbols::new(words, default) else {
            return Err(Fault::new("a symbol of the enum is there twice", symbols.at));
        };
        if let Some(default) = &set.default
            && !set.places.contains_key(default)
        {
            let message = format!("the default {} is no symbol of the enum", echo(default));
            return Err(Fault::new(message, json.at));
        }
        self.define(Kind::Enum(set), named, json, &with_default())
    }

    fn fixed(&mut self, json: &Item, namespace: &str) -> Result<Use, Fault> {
        let named = self.named(json, namespace)?;
        let size = required(json, "size", "a fixed needs a `size` in bytes")?;
        let bytes = size.whole().and_then(|size| i32::try_from(size).ok());
        let Some(bytes) = bytes.and_then(|size| usize::try_from(size).ok()) else {
            return Err(Fault::new("the size of a fixed must be a whole number from 0 to 2^31-1", size.at));
        };
        self.define(Kind::Fixed { size: bytes }, named, json, &RESERVED)
    }

    fn named(&mut self, json: &Item, namespace: &str) -> Result<Box<Named>, Fault> {
        let written = required(json, "name", "a record, enum or fixed needs a `name`")?;
        let Some(text) = written.string() else {
            return Err(Fault::new("a name must be in quotes", written.at));
        };
        let own = json.get("namespace").and_then(Item::string).unwrap_or(namespace);
        let name = self.name(text, own, written.at)?;
        self.check_word(name.simple(), written.at)?;
        if self.validation != Validation::Stored && !name.namespace().is_empty() {
            name.namespace().split('.').try_for_each(|part| self.check_word(part, written.at))?;
        }
        if PRIMITIVES.contains(&name.full()) {
            let message = format!("{} is a type of Avro and cannot be defined", echo(name.full()));
            return Err(Fault::new(message, written.at));
        }
        let aliases = texts(json, "aliases")?;
        let aliases = aliases
            .iter()
            .map(|alias| self.name(alias, name.namespace(), json.at))
            .collect::<Result<_, _>>()?;
        Ok(Box::new(Named { name, doc: text_of(json, "doc"), aliases, foreign: self.foreign }))
    }

    fn define(
        &mut self,
        kind: Kind,
        named: Box<Named>,
        json: &Item,
        reserved: &[&str],
    ) -> Result<Use, Fault> {
        let name = named.name.full().to_owned();
        let properties = properties(json, reserved);
        let used = self.add(Type { kind, named: Some(named), properties, at: json.at })?;
        match self.types.names.get(&name) {
            Some(first) => self.repeated.push((*first, used.id)),
            None => {
                self.types.names.insert(name, used.id);
            }
        }
        Ok(used)
    }

    /// A word of a name: letters of ASCII in new schemas, of any script in stored ones.
    fn check_word(&self, word: &str, at: usize) -> Result<(), Fault> {
        let letter = |c: char| match self.validation {
            Validation::New | Validation::Strict => c.is_ascii_alphabetic(),
            Validation::Stored => c.is_alphabetic(),
        };
        let digit = |c: char| match self.validation {
            Validation::New | Validation::Strict => c.is_ascii_digit(),
            Validation::Stored => c.is_numeric(),
        };
        let mut characters = word.chars();
        let fine = characters.next().is_some_and(|c| c == '_' || letter(c));
        if fine && characters.all(|c| c == '_' || letter(c) || digit(c)) {
            return Ok(());
        }
        let message =
            format!("the name {} must be a letter or `_`, followed by letters, digits and `_`", echo(word));
        Err(Fault::new(message, at))
    }

    /// Puts definitions in the place of names.
    fn resolve(&mut self, root: &mut Use) -> Result<(), Fault> {
        let mut found = HashMap::new();
        let unresolved = self.types.since(self.start).iter().enumerate();
        for (place, ty) in unresolved {
            let Kind::Unresolved { name, fallback } = &ty.kind else { continue };
            let names = &self.types.names;
            let id = names.get(name.full());
            let id = id.or_else(|| fallback.as_ref().and_then(|name| names.get(name.full())));
            let Some(id) = id else {
                let message = format!(
                    "Undefined schema: {:.60}, which is neither a type of Avro, nor defined here or in a referenced schema",
                    name.full()
                );
                return Err(Fault::new(message, ty.at));
            };
            found.insert(self.types.id(self.start + place), *id);
        }
        let replace = |used: &mut Use| {
            if let Some(id) = found.get(&used.id) {
                *used = Use { id: *id, inline: false };
            }
        };
        replace(root);
        for ty in self.types.since_mut(self.start) {
            ty.uses_mut().for_each(replace);
        }
        Ok(())
    }

    /// A name may be defined again, if it is the same.
    fn check_repeated(&self) -> Result<(), Fault> {
        let mut bytes = 0;
        for (first, second) in &self.repeated {
            let definitions = [first, second].map(|id| print::definition(self.types, *id));
            bytes += definitions.iter().map(String::len).sum::<usize>();
            let name = self.types.name(*second).map(Name::full).unwrap_or_default();
            let problem = if definitions[0] != definitions[1] {
                "is defined twice, and differently"
            } else if bytes > REPEATED_BYTES_MAX {
                "is defined again, like too many others: define it once and use its name"
            } else {
                continue;
            };
            return Err(Fault::new(format!("the type {} {problem}", echo(name)), self.types.get(*second).at));
        }
        Ok(())
    }

    /// Of each kind, a union has one branch, except for named types.
    fn check_unions(&self) -> Result<(), Fault> {
        for ty in self.types.since(self.start) {
            let Kind::Union(branches) = &ty.kind else { continue };
            let mut names = HashSet::with_capacity(branches.len());
            for branch in branches {
                let name = self.types.branch_name(branch.id);
                if !names.insert(name) {
                    return Err(Fault::new(format!("the union holds {} twice", echo(name)), ty.at));
                }
            }
        }
        Ok(())
    }

    fn check_defaults(&self) -> Result<(), Fault> {
        let mut budget = default::Budget::default();
        for ty in self.types.since(self.start) {
            let Kind::Record { fields, .. } = &ty.kind else { continue };
            for field in fields {
                if let Some(json) = &field.default
                    && !default::is_valid(self.types, field.ty.id, json, &mut budget)
                {
                    let message =
                        format!("the default of the field {} does not fit its type", echo(&field.name));
                    return Err(Fault::new(message, json.at));
                }
            }
        }
        Ok(())
    }
}

/// The number that a text stands for, also one that JSON cannot write.
fn number(text: &str) -> Option<f64> {
    match text.trim() {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        digits => digits.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// The attributes of enums that are no properties.
fn with_default() -> Vec<&'static str> {
    RESERVED.iter().copied().chain(["default"]).collect()
}

fn required<'j>(json: &'j Item, key: &str, message: &'static str) -> Result<&'j Item, Fault> {
    json.get(key).ok_or_else(|| Fault::new(message, json.at))
}

/// An attribute that counts only when it is a text.
fn text_of(json: &Item, key: &str) -> Option<String> {
    json.get(key).and_then(Item::string).map(str::to_owned)
}

/// An attribute that must be an array of texts when it is there; each text once.
fn texts(json: &Item, key: &'static str) -> Result<Vec<String>, Fault> {
    let Some(value) = json.get(key) else { return Ok(Vec::new()) };
    let fault = || Fault::new(format!("`{key}` must be an array of texts"), value.at);
    let mut list: IndexSet<&str> = IndexSet::new();
    for item in value.array().ok_or_else(fault)? {
        list.insert(item.string().ok_or_else(fault)?);
    }
    Ok(list.into_iter().map(str::to_owned).collect())
}

fn order(json: &Item) -> Result<Order, Fault> {
    let Some(order) = json.get("order") else { return Ok(Order::Ascending) };
    match order.string().map(str::to_ascii_lowercase).as_deref() {
        Some("ascending") => Ok(Order::Ascending),
        Some("descending") => Ok(Order::Descending),
        Some("ignore") => Ok(Order::Ignore),
        _ => Err(Fault::new("`order` must be ascending, descending or ignore", order.at)),
    }
}

fn properties(json: &Item, reserved: &[&str]) -> Vec<(String, Item)> {
    let entries = json.object().into_iter().flatten();
    let own = entries.filter(|(key, _)| !reserved.contains(&key.as_str()));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn check_length(name: &str, namespace: &str, at: usize) -> Result<(), Fault> {
    if name.len() + namespace.len() < NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Fault::new(format!("a name may have {NAME_BYTES_MAX} bytes, with its namespace"), at))
}
