//! Defaults of fields: whether they fit, and the values that they stand for.

use bytes::Bytes;
use bytestring::ByteString;

use super::types::{Field, Kind, TypeId, Types};
use crate::schema::tree::{Item, Node};
use crate::value::{Fields, Value};

/// Defaults may be nested so deep, those of records within them included.
const DEPTH_MAX: usize = 128;
/// Values that the defaults of one schema may hold together: those of records within records multiply.
const VALUES_MAX: usize = 1 << 20;

/// What is left to be spent on defaults.
#[derive(Debug)]
pub(super) struct Budget {
    values: usize,
    depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { values: VALUES_MAX, depth: DEPTH_MAX }
    }
}

impl Budget {
    /// Runs `inner` one deeper; `None` when nothing is left.
    fn within<T>(&mut self, inner: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.values = self.values.checked_sub(1)?;
        self.depth = self.depth.checked_sub(1)?;
        let outcome = inner(self);
        self.depth += 1;
        outcome
    }
}

/// Whether a default fits by Avro's rules, which are about its shape: a text for whatever is written as a text, and for
/// a union any of its branches.
pub(super) fn is_valid(types: &Types, id: TypeId, json: &Item, budget: &mut Budget) -> bool {
    budget.within(|budget| fits(types, id, json, budget).then_some(())).is_some()
}

fn fits(types: &Types, id: TypeId, json: &Item, budget: &mut Budget) -> bool {
    match (types.kind(id), &json.node) {
        (Kind::Null, Node::Null)
        | (Kind::Boolean, Node::Boolean(_))
        | (Kind::Float | Kind::Double, Node::Number(_))
        | (Kind::String | Kind::Bytes | Kind::Fixed { .. } | Kind::Enum(_), Node::String(_)) => true,
        (Kind::Int, _) => json.whole().is_some_and(|number| i32::try_from(number).is_ok()),
        (Kind::Long, _) => json.whole().is_some(),
        (Kind::Array(items), Node::Array(list)) => {
            list.iter().all(|item| is_valid(types, items.id, item, budget))
        }
        (Kind::Map(values), Node::Object(entries)) => {
            entries.iter().all(|(_, value)| is_valid(types, values.id, value, budget))
        }
        (Kind::Union(branches), _) => branches.iter().any(|branch| is_valid(types, branch.id, json, budget)),
        (Kind::Record { fields, .. }, Node::Object(_)) => fields.iter().all(|field| {
            let value = json.get(&field.name).or(field.default.as_ref());
            value.is_some_and(|value| is_valid(types, field.ty.id, value, budget))
        }),
        _ => false,
    }
}

/// The value of a field's default; `None` when it has none, or one that does not fit.
pub(super) fn value(types: &Types, field: &Field, budget: &mut Budget) -> Option<Value> {
    convert(types, field.ty.id, field.default.as_ref()?, budget)
}

fn convert(types: &Types, id: TypeId, json: &Item, budget: &mut Budget) -> Option<Value> {
    budget.within(|budget| match (types.kind(id), &json.node) {
        (Kind::Null, Node::Null) => Some(Value::Null),
        (Kind::Boolean, Node::Boolean(value)) => Some(Value::Boolean(*value)),
        (Kind::Int, _) => json.whole().and_then(|number| i32::try_from(number).ok()).map(Value::Int32),
        (Kind::Long, _) => json.whole().map(Value::Int64),
        #[allow(clippy::cast_possible_truncation, reason = "a `float` is what the schema asks for")]
        (Kind::Float, _) => json.float().map(|number| Value::Float32(number as f32)),
        (Kind::Double, _) => json.float().map(Value::Float64),
        (Kind::String, Node::String(text)) => Some(Value::String(ByteString::from(text.as_str()))),
        (Kind::Bytes, Node::String(text)) => bytes(text).map(Value::Bytes),
        (Kind::Fixed { size }, Node::String(text)) => {
            bytes(text).filter(|bytes| bytes.len() == *size).map(Value::Bytes)
        }
        (Kind::Enum(symbols), Node::String(text)) => {
            symbols.places.get_key_value(text.as_str()).map(|(symbol, _)| Value::String(symbol.clone()))
        }
        (Kind::Array(items), Node::Array(list)) => {
            let items = list.iter().map(|item| convert(types, items.id, item, budget));
            items.collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        (Kind::Map(values), Node::Object(entries)) => {
            let entries = entries.iter().map(|(key, value)| {
                let key = Value::String(ByteString::from(key.as_str()));
                convert(types, values.id, value, budget).map(|value| (key, value))
            });
            entries.collect::<Option<Vec<_>>>().map(Value::Map)
        }
        (Kind::Union(branches), _) => {
            branches.iter().find_map(|branch| convert(types, branch.id, json, budget))
        }
        (Kind::Record { fields, .. }, Node::Object(_)) => {
            let fields = fields.iter().map(|field| {
                let json = json.get(&field.name).or(field.default.as_ref())?;
                convert(types, field.ty.id, json, budget).map(|value| (field.name.clone(), value))
            });
            fields.collect::<Option<Fields>>().map(Value::Struct)
        }
        _ => None,
    })
}

/// Bytes are written as the characters of the same numbers.
fn bytes(text: &str) -> Option<Bytes> {
    let bytes = text.chars().map(|character| u8::try_from(u32::from(character)).ok());
    bytes.collect::<Option<Vec<u8>>>().map(Bytes::from)
}
