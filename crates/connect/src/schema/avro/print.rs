//! From [`Types`] to text: canonical, resolved, normalized.
//!
//! Attributes stand in the order in which Avro's own library writes them, and what it leaves out is left out (a namespace
//! that is inherited, an order that is ascending). Registries store such texts, and the Java clients send them; so the
//! text of a schema written by hand is the one under which it may have been registered elsewhere.
//!
//! Nothing here is recursive over types: what other texts define can be nested without bound.

use std::collections::HashSet;

use super::json::float_text;
use super::types::{Field, Kind, Name, Named, Order, Type, TypeId, Types, Use};
use crate::schema::tree::{Item, write_string};

/// The text that stands for the schema; what other texts define stays a name.
pub(super) fn canonical(types: &Types) -> String {
    Printer::new(types, Style::Canonical).print(types.root)
}

/// The text with everything that other texts define.
pub(super) fn resolved(types: &Types) -> String {
    Printer::new(types, Style::Resolved).print(types.root)
}

/// The canonical text, less what means nothing: the order of properties and aliases, empty docs, how a number is written.
pub(super) fn normalized(types: &Types) -> String {
    Printer::new(types, Style::Normalized).print(types.root)
}

/// One definition, for comparison with another of the same name.
pub(super) fn definition(types: &Types, id: TypeId) -> String {
    Printer::new(types, Style::Normalized).print(Use { id, inline: true })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Canonical,
    Resolved,
    Normalized,
}

/// What is still to be written, the next on top.
enum Step<'t> {
    Type(Use, &'t str),
    Text(String),
}

struct Printer<'t> {
    types: &'t Types,
    style: Style,
    text: String,
    steps: Vec<Step<'t>>,
    /// Full names of the definitions that are written.
    written: HashSet<&'t str>,
}

impl<'t> Printer<'t> {
    fn new(types: &'t Types, style: Style) -> Self {
        Self { types, style, text: String::new(), steps: Vec::new(), written: HashSet::new() }
    }

    fn print(mut self, root: Use) -> String {
        self.steps.push(Step::Type(root, ""));
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Text(text) => self.text.push_str(&text),
                Step::Type(used, namespace) => self.ty(used, namespace),
            }
        }
        self.text
    }

    fn ty(&mut self, used: Use, namespace: &'t str) {
        let ty = self.types.get(used.id);
        if let Some(named) = &ty.named {
            let here = match self.style {
                Style::Resolved => true,
                Style::Canonical | Style::Normalized => used.inline && !named.foreign,
            };
            if !here || !self.written.insert(named.name.full()) {
                return self.reference(&named.name, namespace);
            }
            return self.named(ty, named, namespace);
        }
        match &ty.kind {
            Kind::Union(branches) => self.union(branches, namespace),
            Kind::Array(items) => self.nested("{\"type\":\"array\",\"items\":", *items, ty, namespace),
            Kind::Map(values) => self.nested("{\"type\":\"map\",\"values\":", *values, ty, namespace),
            kind if ty.properties.is_empty() => write_string(&mut self.text, kind.word()),
            kind => {
                self.text.push_str("{\"type\":");
                write_string(&mut self.text, kind.word());
                let properties = self.properties(&ty.properties);
                self.text.push_str(&properties);
                self.text.push('}');
            }
        }
    }

    /// A name. One without a namespace gets a dot in front where another type would be meant without it.
    fn reference(&mut self, name: &Name, namespace: &str) {
        let hidden = name.namespace().is_empty()
            && !namespace.is_empty()
            && self.types.names.contains_key(Name::new(name.simple(), namespace).full());
        let written = name.within(namespace);
        match hidden {
            true => write_string(&mut self.text, &format!(".{written}")),
            false => write_string(&mut self.text, written),
        }
    }

    fn union(&mut self, branches: &'t [Use], namespace: &'t str) {
        self.text.push('[');
        self.steps.push(Step::Text("]".to_owned()));
        for (place, branch) in branches.iter().enumerate().rev() {
            self.steps.push(Step::Type(*branch, namespace));
            if place > 0 {
                self.steps.push(Step::Text(",".to_owned()));
            }
        }
    }

    fn nested(&mut self, head: &str, part: Use, ty: &'t Type, namespace: &'t str) {
        self.text.push_str(head);
        let tail = self.properties(&ty.properties) + "}";
        self.steps.push(Step::Text(tail));
        self.steps.push(Step::Type(part, namespace));
    }

    fn named(&mut self, ty: &'t Type, named: &'t Named, namespace: &str) {
        let error = self.style == Style::Normalized && matches!(ty.kind, Kind::Record { .. });
        self.text.push_str("{\"type\":");
        write_string(&mut self.text, if error { "record" } else { ty.kind.word() });
        self.attribute("name", named.name.simple());
        if named.name.namespace() != namespace {
            self.attribute("namespace", named.name.namespace());
        }
        match &named.doc {
            Some(doc) if self.style == Style::Normalized && doc.is_empty() => {}
            Some(doc) => self.attribute("doc", doc),
            None => {}
        }
        let tail = self.properties(&ty.properties) + &self.aliases(named) + "}";
        match &ty.kind {
            Kind::Record { fields, .. } => return self.fields(fields, &named.name, tail),
            Kind::Enum(symbols) => {
                let symbols_text = list(symbols.list.iter().map(|symbol| &**symbol));
                self.text.push_str(",\"symbols\":");
                self.text.push_str(&symbols_text);
                if let Some(default) = &symbols.default {
                    self.attribute("default", default);
                }
            }
            Kind::Fixed { size } => self.text.push_str(&format!(",\"size\":{size}")),
            _ => {}
        }
        self.text.push_str(&tail);
    }

    fn fields(&mut self, fields: &'t [Field], record: &'t Name, tail: String) {
        self.text.push_str(",\"fields\":[");
        self.steps.push(Step::Text(format!("]{tail}")));
        for (place, field) in fields.iter().enumerate().rev() {
            let tail = self.field_tail(field);
            self.steps.push(Step::Text(tail));
            self.steps.push(Step::Type(field.ty, record.namespace()));
            let mut head = String::from(if place > 0 { ",{\"name\":" } else { "{\"name\":" });
            write_string(&mut head, &field.name);
            head.push_str(",\"type\":");
            self.steps.push(Step::Text(head));
        }
    }

    fn field_tail(&self, field: &Field) -> String {
        let mut text = String::new();
        if let Some(doc) = &field.doc {
            text.push_str(",\"doc\":");
            write_string(&mut text, doc);
        }
        if let Some(default) = &field.default {
            text.push_str(",\"default\":");
            self.default(&mut text, default, field.ty);
        }
        match field.order {
            Order::Ascending => {}
            Order::Descending => text.push_str(",\"order\":\"descending\""),
            Order::Ignore => text.push_str(",\"order\":\"ignore\""),
        }
        if !field.aliases.is_empty() {
            let mut aliases: Vec<&str> = field.aliases.iter().map(String::as_str).collect();
            if self.style == Style::Normalized {
                aliases.sort_unstable();
            }
            text.push_str(",\"aliases\":");
            text.push_str(&list(aliases.into_iter()));
        }
        text + &self.properties(&field.properties) + "}"
    }

    fn default(&self, text: &mut String, default: &Item, ty: Use) {
        if self.style != Style::Normalized {
            return text.push_str(&default.canonical());
        }
        let floating = matches!(self.types.kind(ty.id), Kind::Float | Kind::Double);
        match default.float().filter(|_| floating) {
            Some(number) => text.push_str(&float_text(number)),
            None => text.push_str(&default.sorted(str::to_owned)),
        }
    }

    fn attribute(&mut self, key: &str, value: &str) {
        self.text.push_str(",\"");
        self.text.push_str(key);
        self.text.push_str("\":");
        write_string(&mut self.text, value);
    }

    fn aliases(&self, named: &Named) -> String {
        if named.aliases.is_empty() {
            return String::new();
        }
        let mut aliases: Vec<&Name> = named.aliases.iter().collect();
        if self.style == Style::Normalized {
            aliases.sort_by(|left, right| left.full().cmp(right.full()));
        }
        let namespace = named.name.namespace();
        let written: Vec<String> = aliases.into_iter().map(|alias| alias_within(alias, namespace)).collect();
        format!(",\"aliases\":{}", list(written.iter().map(String::as_str)))
    }

    fn properties(&self, properties: &[(String, Item)]) -> String {
        let sorted = self.style == Style::Normalized;
        let mut properties: Vec<&(String, Item)> = properties.iter().collect();
        if sorted {
            properties.sort_by(|left, right| rank(&left.0).cmp(&rank(&right.0)));
        }
        let mut text = String::new();
        for (key, value) in properties {
            text.push(',');
            write_string(&mut text, key);
            text.push(':');
            text.push_str(&if sorted { value.sorted(str::to_owned) } else { value.canonical() });
        }
        text
    }
}

/// Logical types come first.
fn rank(key: &str) -> (usize, &str) {
    let first = ["logicalType", "precision", "scale"];
    (first.iter().position(|logical| *logical == key).unwrap_or(first.len()), key)
}

/// An alias without a namespace, of a type with one, keeps a dot in front: else it would be read as one within it.
fn alias_within(alias: &Name, namespace: &str) -> String {
    let written = alias.within(namespace);
    let lost = alias.namespace().is_empty() && !namespace.is_empty();
    if lost { format!(".{written}") } else { written.to_owned() }
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("[");
    for (place, item) in items.enumerate() {
        if place > 0 {
            text.push(',');
        }
        write_string(&mut text, item);
    }
    text.push(']');
    text
}
