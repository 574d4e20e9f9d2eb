//! Parsed schemas: types in one table, which refer to each other by their place in it.
//!
//! Why a table and not a tree: named types refer to themselves and to each other, and everything that walks them
//! (comparing, planning how to read) needs to know where it has been, without recursion as deep as the input wants.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use indexmap::IndexSet;

use crate::schema::tree::Item;

/// The place of a type in its [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TypeId(u32);

/// The use of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) id: TypeId,
    /// Whether the type is defined in this place of the text, and not only named.
    pub(super) inline: bool,
}

/// All types of a schema, those that it refers to in other texts included.
#[derive(Debug)]
pub(super) struct Types {
    list: Vec<Type>,
    /// What the text as a whole stands for.
    pub(super) root: Use,
    /// Definitions by full name; of several (which are equal) the first.
    pub(super) names: HashMap<String, TypeId>,
    /// The bytes of all names in full, of definitions, aliases and uses.
    pub(super) names_bytes: usize,
}

#[derive(Debug)]
pub(super) struct Type {
    pub(super) kind: Kind,
    /// What named types have; `None` in all others.
    pub(super) named: Option<Box<Named>>,
    /// Attributes that Avro knows nothing of, logical types among them, in their order.
    pub(super) properties: Vec<(String, Item)>,
    /// Where it stands in its text, in bytes.
    pub(super) at: usize,
}

/// What named types have.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) doc: Option<String>,
    /// Full names.
    pub(super) aliases: IndexSet<Name>,
    /// Whether it is defined in a text that this schema refers to.
    pub(super) foreign: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Use),
    Map(Use),
    Union(Vec<Use>),
    Fixed {
        size: usize,
    },
    Enum(Symbols),
    Record {
        fields: Vec<Field>,
        /// Their names.
        names: Arc<[ByteString]>,
        /// Where each field stands, by name.
        places: HashMap<ByteString, usize>,
        /// Written as `error`, which means the same.
        error: bool,
    },
    /// A name whose type is looked up when the whole text is known.
    Unresolved {
        name: Name,
        /// Looked up if the other is not known.
        fallback: Option<Name>,
    },
}

#[derive(Debug)]
pub(super) struct Symbols {
    pub(super) list: Vec<ByteString>,
    pub(super) places: HashMap<ByteString, usize>,
    /// What a symbol that is not known is read as.
    pub(super) default: Option<ByteString>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: ByteString,
    pub(super) doc: Option<String>,
    pub(super) ty: Use,
    pub(super) default: Option<Item>,
    pub(super) order: Order,
    pub(super) aliases: Vec<String>,
    pub(super) properties: Vec<(String, Item)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
    Ignore,
}

/// A full name: a namespace, perhaps empty, and what it is called there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    full: String,
    /// The length of the namespace, without its dot.
    namespace_length: usize,
}

/// Names that belong to Avro's own types.
pub(super) const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// The other names that stand for kinds of types.
const COMPLEX: [&str; 6] = ["record", "enum", "array", "map", "union", "fixed"];

impl Name {
    /// The name that `written` stands for within `namespace`.
    pub(super) fn new(written: &str, namespace: &str) -> Self {
        match written.rfind('.') {
            Some(0) => Self { full: written.trim_start_matches('.').to_owned(), namespace_length: 0 },
            Some(dot) => Self { full: written.to_owned(), namespace_length: dot },
            None if namespace.is_empty() => Self { full: written.to_owned(), namespace_length: 0 },
            None => Self { full: format!("{namespace}.{written}"), namespace_length: namespace.len() },
        }
    }

    pub(super) fn full(&self) -> &str {
        &self.full
    }

    pub(super) fn namespace(&self) -> &str {
        self.full.get(..self.namespace_length).unwrap_or_default()
    }

    /// The name without its namespace.
    pub(super) fn simple(&self) -> &str {
        let start = if self.namespace_length == 0 { 0 } else { self.namespace_length + 1 };
        self.full.get(start..).unwrap_or_default()
    }

    /// As it may be written within `namespace`.
    pub(super) fn within(&self, namespace: &str) -> &str {
        let simple = self.simple();
        let taken = PRIMITIVES.contains(&simple) || COMPLEX.contains(&simple);
        if self.namespace() == namespace && !taken { simple } else { &self.full }
    }
}

impl Types {
    pub(super) fn new() -> Self {
        let root = Use { id: TypeId(0), inline: true };
        Self { list: Vec::new(), root, names: HashMap::new(), names_bytes: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    #[inline]
    pub(super) fn get(&self, id: TypeId) -> &Type {
        &self.list[id.0 as usize]
    }

    #[inline]
    pub(super) fn kind(&self, id: TypeId) -> &Kind {
        &self.get(id).kind
    }

    /// The type that was added as the so manieth, counted from zero.
    pub(super) fn id(&self, place: usize) -> TypeId {
        TypeId(u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The types from a place on.
    pub(super) fn since(&self, start: usize) -> &[Type] {
        self.list.get(start..).unwrap_or_default()
    }

    pub(super) fn since_mut(&mut self, start: usize) -> &mut [Type] {
        self.list.get_mut(start..).unwrap_or_default()
    }

    /// Adds a type. There must be fewer than 2^32, which the limit of the parser sees to.
    pub(super) fn add(&mut self, ty: Type) -> TypeId {
        let id = self.id(self.list.len());
        self.list.push(ty);
        id
    }

    /// The type that has a name in the schema, when it has one.
    pub(super) fn name(&self, id: TypeId) -> Option<&Name> {
        self.get(id).named.as_ref().map(|named| &named.name)
    }

    /// The full name, or the word for the kind of a type without one: what must be unique within a union.
    pub(super) fn branch_name(&self, id: TypeId) -> &str {
        self.name(id).map_or_else(|| self.kind(id).word(), Name::full)
    }
}

impl Type {
    pub(super) fn new(kind: Kind, at: usize) -> Self {
        Self { kind, named: None, properties: Vec::new(), at }
    }

    /// An attribute that Avro's types do not define.
    pub(super) fn property(&self, key: &str) -> Option<&Item> {
        self.properties.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The logical type, when it is one by its form.
    pub(super) fn logical_type(&self) -> Option<&str> {
        self.property("logicalType").and_then(Item::string)
    }

    /// Whether it is a record with a field of this name.
    pub(super) fn has_field(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Record { places, .. } if places.contains_key(name))
    }

    /// Every use of a type in this one.
    pub(super) fn uses_mut(&mut self) -> Box<dyn Iterator<Item = &mut Use> + '_> {
        match &mut self.kind {
            Kind::Array(item) | Kind::Map(item) => Box::new(std::iter::once(item)),
            Kind::Union(branches) => Box::new(branches.iter_mut()),
            Kind::Record { fields, .. } => Box::new(fields.iter_mut().map(|field| &mut field.ty)),
            _ => Box::new(std::iter::empty()),
        }
    }
}

impl Kind {
    /// As schemas write it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Fixed { .. } => "fixed",
            Kind::Enum(_) => "enum",
            Kind::Record { error: true, .. } => "error",
            Kind::Record { .. } => "record",
            Kind::Unresolved { .. } => "name",
        }
    }

    /// The type without parts that a word stands for.
    pub(super) fn primitive(word: &str) -> Option<Kind> {
        Some(match word {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::String,
            _ => return None,
        })
    }

    /// Whether two types are of one kind, so that their parts can be compared.
    pub(super) fn is_like(&self, other: &Kind) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Symbols {
    /// `None` when a symbol comes twice.
    pub(super) fn new(list: Vec<ByteString>, default: Option<ByteString>) -> Option<Self> {
        let places: HashMap<ByteString, usize> =
            list.iter().enumerate().map(|(place, symbol)| (symbol.clone(), place)).collect();
        (places.len() == list.len()).then_some(Self { list, places, default })
    }
}
