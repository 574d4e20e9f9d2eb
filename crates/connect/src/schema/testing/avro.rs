//! Random schemas of Avro, what may become of them, and values that fit them.

use bytes::Bytes;
use vltava_core::testing::Random;

use crate::value::Value;

/// How deep shapes are nested.
const DEPTH_MAX: usize = 3;
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// A schema, as the generator thinks of it.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A type without parts.
    Primitive(&'static str),
    /// An array of these.
    Array(Box<Shape>),
    /// A map of these.
    Map(Box<Shape>),
    /// One of these, which are all of different kinds.
    Union(Vec<Shape>),
    /// Symbols, and whether the first of them is the default.
    Enum(String, Vec<String>, bool),
    /// So many bytes.
    Fixed(String, usize),
    /// Fields.
    Record(String, Vec<Field>),
}

/// A field of a record.
#[derive(Clone, Debug)]
pub struct Field {
    name: String,
    shape: Shape,
    /// Whether it has a default, the simplest there is.
    default: bool,
}

/// Makes shapes; every named type has a name of its own.
#[derive(Debug)]
pub struct Shapes {
    random: Random,
    names: usize,
}

impl Shapes {
    /// The shapes of a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), names: 0 }
    }

    /// A shape.
    pub fn shape(&mut self) -> Shape {
        self.nested(DEPTH_MAX)
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn nested(&mut self, depth: usize) -> Shape {
        let kinds = if depth == 0 { 3 } else { 9 };
        match self.random.below(kinds) {
            0 => Shape::Primitive(PRIMITIVES[self.random.below(PRIMITIVES.len())]),
            1 => {
                let symbols = (0..=self.random.below(3)).map(|place| format!("S{place}")).collect();
                Shape::Enum(self.name("E"), symbols, self.random.once_in(3))
            }
            2 => Shape::Fixed(self.name("F"), self.random.below(4)),
            3 => Shape::Array(Box::new(self.nested(depth - 1))),
            4 => Shape::Map(Box::new(self.nested(depth - 1))),
            5 => self.union(depth - 1),
            _ => {
                let fields = (0..=self.random.below(3)).map(|_| self.field(depth - 1)).collect();
                Shape::Record(self.name("n.R"), fields)
            }
        }
    }

    fn union(&mut self, depth: usize) -> Shape {
        let mut branches = vec![Shape::Primitive("null")];
        for word in ["int", "double", "string"] {
            if self.random.once_in(2) {
                branches.push(Shape::Primitive(word));
            }
        }
        let named = self.nested(depth);
        // A value does not say which of them it is: a text is a symbol as well.
        if matches!(named, Shape::Enum(..)) {
            branches.retain(|branch| !matches!(branch, Shape::Primitive("string")));
        }
        if matches!(named, Shape::Record(..) | Shape::Enum(..) | Shape::Fixed(..)) {
            branches.push(named);
        }
        branches.rotate_left(self.random.below(2));
        Shape::Union(branches)
    }

    fn field(&mut self, depth: usize) -> Field {
        Field { name: self.name("f"), shape: self.nested(depth), default: self.random.once_in(3) }
    }

    /// The shape with one change somewhere.
    pub fn changed(&mut self, shape: &Shape) -> Shape {
        let inside = !self.random.once_in(3);
        match shape {
            Shape::Array(items) if inside => Shape::Array(Box::new(self.changed(items))),
            Shape::Map(values) if inside => Shape::Map(Box::new(self.changed(values))),
            Shape::Record(name, fields) if inside && !fields.is_empty() => {
                let mut fields = fields.clone();
                let place = self.random.below(fields.len());
                fields[place].shape = self.changed(&fields[place].shape);
                Shape::Record(name.clone(), fields)
            }
            Shape::Union(branches) if inside => self.changed_union(branches),
            Shape::Record(name, fields) => self.changed_record(name, fields),
            Shape::Enum(name, symbols, default) => self.changed_enum(name, symbols, *default),
            Shape::Fixed(name, size) => Shape::Fixed(name.clone(), size + self.random.below(2)),
            Shape::Union(branches) => self.random.pick(branches).clone(),
            Shape::Primitive("null") => Shape::Primitive("null"),
            Shape::Primitive(word) => self.changed_primitive(word),
            other if self.random.once_in(2) => Shape::Union(vec![Shape::Primitive("null"), other.clone()]),
            _ => self.nested(0),
        }
    }

    fn changed_primitive(&mut self, word: &'static str) -> Shape {
        match self.random.below(4) {
            0 => Shape::Primitive(PRIMITIVES[self.random.below(PRIMITIVES.len())]),
            1 => Shape::Union(vec![Shape::Primitive("null"), Shape::Primitive(word)]),
            _ => Shape::Primitive(match word {
                "int" => "long",
                "long" => "float",
                "float" => "double",
                "string" => "bytes",
                "bytes" => "string",
                other => other,
            }),
        }
    }

    fn changed_union(&mut self, branches: &[Shape]) -> Shape {
        let mut branches = branches.to_vec();
        match self.random.below(3) {
            0 if branches.len() > 1 => {
                branches.remove(self.random.below(branches.len()));
            }
            1 => branches.reverse(),
            _ => {
                // With a field, since a value does not say either which of two records with the same fields it is.
                let name = self.name("n.R");
                let field = self.field(0);
                branches.push(Shape::Record(name, vec![field]));
            }
        }
        Shape::Union(branches)
    }

    fn changed_record(&mut self, name: &str, fields: &[Field]) -> Shape {
        let mut fields = fields.to_vec();
        match self.random.below(4) {
            0 if !fields.is_empty() => {
                fields.remove(self.random.below(fields.len()));
            }
            1 => fields.reverse(),
            2 => return Shape::Record(self.name("n.R"), fields),
            _ => fields.push(self.field(0)),
        }
        Shape::Record(name.to_owned(), fields)
    }

    fn changed_enum(&mut self, name: &str, symbols: &[String], default: bool) -> Shape {
        let mut symbols = symbols.to_vec();
        match self.random.below(4) {
            0 if symbols.len() > 1 => {
                symbols.pop();
            }
            1 => symbols.reverse(),
            2 => return Shape::Enum(self.name("E"), symbols, default),
            _ => symbols.push(self.name("T")),
        }
        Shape::Enum(name.to_owned(), symbols, default)
    }

    /// A value that fits. Arrays and maps have one item or two, so that all that is written is met.
    pub fn value(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Primitive(word) => self.primitive(word),
            Shape::Array(items) => {
                Value::Array((0..=self.random.below(2)).map(|_| self.value(items)).collect())
            }
            Shape::Map(values) => Value::Map(vec![(Value::String("k".into()), self.value(values))]),
            Shape::Union(branches) => {
                let branch = self.random.below(branches.len());
                self.value(&branches[branch])
            }
            Shape::Enum(_, symbols, _) => Value::String(self.random.pick(symbols).as_str().into()),
            Shape::Fixed(_, size) => Value::Bytes(vec![7; *size].into()),
            Shape::Record(_, fields) => {
                let fields =
                    fields.iter().map(|field| (field.name.as_str().into(), self.value(&field.shape)));
                Value::Struct(fields.collect())
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "any number will do")]
    fn primitive(&mut self, word: &str) -> Value {
        let bits = self.random.bits() >> self.random.below(64);
        match word {
            "boolean" => Value::Boolean(bits & 1 == 1),
            "int" => Value::Int32(bits as i32),
            "long" => Value::Int64(bits.cast_signed()),
            "float" => Value::Float32(bits as i16 as f32 / 8.0),
            "double" => Value::Float64(bits as i32 as f64 / 8.0),
            "bytes" => Value::Bytes(Bytes::from(bits.to_string())),
            "string" => Value::String(bits.to_string().into()),
            _ => Value::Null,
        }
    }
}

impl Shape {
    /// The schema.
    pub fn text(&self) -> String {
        match self {
            Shape::Primitive(word) => format!("\"{word}\""),
            Shape::Array(items) => format!(r#"{{"type":"array","items":{}}}"#, items.text()),
            Shape::Map(values) => format!(r#"{{"type":"map","values":{}}}"#, values.text()),
            Shape::Union(branches) => format!("[{}]", list(branches.iter().map(Shape::text))),
            Shape::Enum(name, symbols, default) => {
                let quoted = list(symbols.iter().map(|symbol| format!("\"{symbol}\"")));
                let first = symbols.first().filter(|_| *default);
                let default = first.map(|first| format!(r#","default":"{first}""#)).unwrap_or_default();
                format!(r#"{{"type":"enum","name":"{name}","symbols":[{quoted}]{default}}}"#)
            }
            Shape::Fixed(name, size) => format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#),
            Shape::Record(name, fields) => {
                let fields = list(fields.iter().map(Field::text));
                format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
            }
        }
    }

    /// A default that fits.
    fn default(&self) -> String {
        match self {
            Shape::Primitive("null") => "null".to_owned(),
            Shape::Primitive("boolean") => "true".to_owned(),
            Shape::Primitive("int" | "long") => "-3".to_owned(),
            Shape::Primitive("float" | "double") => "1.5".to_owned(),
            Shape::Primitive(_) => "\"d\"".to_owned(),
            Shape::Array(_) => "[]".to_owned(),
            Shape::Map(_) => "{}".to_owned(),
            Shape::Union(branches) => branches.first().map(Shape::default).unwrap_or_default(),
            Shape::Enum(_, symbols, _) => format!("\"{}\"", symbols.first().map_or("", String::as_str)),
            Shape::Fixed(_, size) => format!("\"{}\"", "x".repeat(*size)),
            Shape::Record(_, fields) => {
                let fields =
                    fields.iter().map(|field| format!("\"{}\":{}", field.name, field.shape.default()));
                format!("{{{}}}", list(fields))
            }
        }
    }
}

impl Field {
    fn text(&self) -> String {
        let default =
            if self.default { format!(r#","default":{}"#, self.shape.default()) } else { String::new() };
        format!(r#"{{"name":"{}","type":{}{default}}}"#, self.name, self.shape.text())
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}
