//! From values to bytes.

use bytestring::ByteString;

use super::decode::{error, within};
use super::default::{self, Budget};
use super::types::{Field, Kind, Symbols, TypeId, Types, Use};
use super::{VALUE_NESTING_MAX, varint};
use crate::schema::DataError;
use crate::value::{Fields, Value};

/// Symbols that are looked at one by one, which is faster than to hash one.
const SYMBOLS_SEARCHED_MAX: usize = 8;
/// Values that may be looked at to find the branches of unions in one message.
const LOOKS_MAX: usize = 1 << 20;

type Outcome<T> = Result<T, Box<DataError>>;

/// Appends `value` as the root of the schema. `type_name` chooses among the branches of a union.
pub(super) fn encode(
    types: &Types,
    type_name: Option<&str>,
    value: &Value,
    bytes: &mut Vec<u8>,
) -> Result<(), DataError> {
    let mut encoder = Encoder { types, bytes, looks: LOOKS_MAX };
    let root = types.root.id;
    let outcome = match type_name {
        Some(name) if types.branch_name(root) != name => encoder.named(root, name, value),
        _ => encoder.value(root, value, VALUE_NESTING_MAX),
    };
    outcome.map_err(|error| *error)
}

#[cold]
fn refuse<T>(message: impl Into<String>) -> Outcome<T> {
    Err(Box::new(error(message)))
}

struct Encoder<'t> {
    types: &'t Types,
    bytes: &'t mut Vec<u8>,
    /// How many more values may be looked at to find branches.
    looks: usize,
}

impl<'t> Encoder<'t> {
    /// Writes the branch of that name.
    fn named(&mut self, root: TypeId, name: &str, value: &Value) -> Outcome<()> {
        let Kind::Union(branches) = self.types.kind(root) else {
            return refuse(format!("the schema is not of the type {name}"));
        };
        let place = branches.iter().position(|branch| self.types.branch_name(branch.id) == name);
        match place {
            Some(place) => self.branch(place, branches[place].id, value, VALUE_NESTING_MAX),
            None => refuse(format!("the union of the schema has no type {name}")),
        }
    }

    fn value(&mut self, id: TypeId, value: &Value, depth: usize) -> Outcome<()> {
        match (self.types.kind(id), value) {
            (Kind::Null, Value::Null) => Ok(()),
            (Kind::Boolean, Value::Boolean(value)) => {
                self.bytes.push(u8::from(*value));
                Ok(())
            }
            (Kind::Int, _) => self.int(value),
            (Kind::Long, _) => match whole(value) {
                Some(number) => self.number(number),
                None => self.mismatch(id, value),
            },
            (Kind::Float, _) => match float(value) {
                Some(number) => self.raw(&number.to_le_bytes()),
                None => self.mismatch(id, value),
            },
            (Kind::Double, _) => match double(value) {
                Some(number) => self.raw(&number.to_le_bytes()),
                None => self.mismatch(id, value),
            },
            (Kind::Bytes, Value::Bytes(bytes)) => self.block(bytes),
            (Kind::String, Value::String(text)) => self.block(text.as_bytes()),
            (Kind::Fixed { size }, Value::Bytes(bytes)) => {
                if bytes.len() != *size {
                    return refuse(format!("{} bytes are no fixed of {size}", bytes.len()));
                }
                self.raw(bytes)
            }
            (Kind::Enum(symbols), Value::String(symbol)) => match place_of(symbols, symbol) {
                Some(place) => self.length(place),
                None => refuse(format!("{} is no symbol of the enum", super::parse::echo(symbol))),
            },
            (Kind::Array(items), Value::Array(list)) => self.items(items.id, list, deeper(depth)?),
            (Kind::Map(values), Value::Map(entries)) => self.entries(values.id, entries, deeper(depth)?),
            (Kind::Record { fields, names, .. }, Value::Struct(entries)) if entries.share(names) => {
                self.whole_record(fields, entries, deeper(depth)?)
            }
            (Kind::Record { fields, .. }, Value::Struct(entries)) => {
                self.record(fields, entries, deeper(depth)?)
            }
            (Kind::Union(branches), _) => match self.choose(branches, value)? {
                Some((place, branch)) => self.branch(place, branch, value, depth),
                None => self.mismatch(id, value),
            },
            _ => self.mismatch(id, value),
        }
    }

    #[inline]
    fn branch(&mut self, place: usize, id: TypeId, value: &Value, depth: usize) -> Outcome<()> {
        self.length(place)?;
        self.value(id, value, depth)
    }

    /// A record that was read with the schema: its fields are those of the schema, in its order.
    fn whole_record(&mut self, fields: &'t [Field], entries: &Fields, depth: usize) -> Outcome<()> {
        for (field, value) in fields.iter().zip(entries.values()) {
            self.value(field.ty.id, value, depth).map_err(|error| within(error, &field.name))?;
        }
        Ok(())
    }

    fn record(&mut self, fields: &'t [Field], entries: &Fields, depth: usize) -> Outcome<()> {
        let mut found = 0;
        for (place, field) in fields.iter().enumerate() {
            if let Some(value) = entry(entries, place, &field.name) {
                found += 1;
                self.value(field.ty.id, value, depth).map_err(|error| within(error, &field.name))?;
            } else if let Some(value) = default::value(self.types, field, &mut Budget::default()) {
                self.value(field.ty.id, &value, depth).map_err(|error| within(error, &field.name))?;
            } else {
                return refuse(format!("the field {} is missing, and it has no default", field.name));
            }
        }
        if found == entries.len() {
            return Ok(());
        }
        let unknown = entries.iter().find(|(name, _)| fields.iter().all(|field| field.name != *name));
        match unknown {
            Some((name, _)) => refuse(format!("the record has no field {}", super::parse::echo(name))),
            None => refuse("a field of the record is given twice"),
        }
    }

    fn items(&mut self, id: TypeId, items: &[Value], depth: usize) -> Outcome<()> {
        if !items.is_empty() {
            self.length(items.len())?;
        }
        for (place, item) in items.iter().enumerate() {
            self.value(id, item, depth).map_err(|error| within(error, place))?;
        }
        self.number(0)
    }

    fn entries(&mut self, id: TypeId, entries: &[(Value, Value)], depth: usize) -> Outcome<()> {
        if !entries.is_empty() {
            self.length(entries.len())?;
        }
        for (key, value) in entries {
            let Value::String(key) = key else {
                return refuse("keys of a map must be text");
            };
            self.block(key.as_bytes())?;
            self.value(id, value, depth).map_err(|error| within(error, key))?;
        }
        self.number(0)
    }

    fn int(&mut self, value: &Value) -> Outcome<()> {
        match whole(value).and_then(|number| i32::try_from(number).ok()) {
            Some(number) => self.number(number.into()),
            None => refuse(format!("{} does not fit into an int", describe(value))),
        }
    }

    #[inline]
    fn number(&mut self, number: i64) -> Outcome<()> {
        varint::write(self.bytes, number);
        Ok(())
    }

    #[inline]
    fn length(&mut self, length: usize) -> Outcome<()> {
        match i64::try_from(length) {
            Ok(length) => self.number(length),
            Err(_) => refuse("a length has more than 63 bits"),
        }
    }

    #[inline]
    fn block(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.length(bytes.len())?;
        self.raw(bytes)
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn mismatch<T>(&self, id: TypeId, value: &Value) -> Outcome<T> {
        refuse(format!("{} does not fit the type {}", describe(value), self.types.branch_name(id)))
    }

    /// The branch of a union that takes a value: the first of exactly its type, else the first that it fits into. Only
    /// when several may take it is the whole value looked at.
    fn choose(&mut self, branches: &[Use], value: &Value) -> Outcome<Option<(usize, TypeId)>> {
        for fit in [Fit::Exact, Fit::Wide] {
            let mut first = None;
            for (place, Use { id, .. }) in branches.iter().enumerate() {
                match first {
                    _ if self.types.seems(*id, value) != Some(fit) => {}
                    None => first = Some((place, *id)),
                    Some(first) => {
                        return self.choose_among(branches, fit, value).map(|found| found.or(Some(first)));
                    }
                }
            }
            if first.is_some() {
                return Ok(first);
            }
        }
        Ok(None)
    }

    /// The first of several alike that all of a value fits into.
    fn choose_among(
        &mut self,
        branches: &[Use],
        fit: Fit,
        value: &Value,
    ) -> Outcome<Option<(usize, TypeId)>> {
        for (place, Use { id, .. }) in branches.iter().enumerate() {
            if self.types.seems(*id, value) == Some(fit) && self.fits(*id, value, VALUE_NESTING_MAX)? {
                return Ok(Some((place, *id)));
            }
        }
        Ok(None)
    }

    /// Whether all of a value fits.
    fn fits(&mut self, id: TypeId, value: &Value, depth: usize) -> Outcome<bool> {
        let Some(looks) = self.looks.checked_sub(1) else {
            return refuse("the unions of the schema have too many branches that could take the value");
        };
        self.looks = looks;
        let depth = deeper(depth)?;
        match (self.types.kind(id), value) {
            (Kind::Union(branches), _) => {
                for branch in branches {
                    if self.fits(branch.id, value, depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Kind::Array(items), Value::Array(list)) => {
                let mut list = list.iter();
                list.try_fold(true, |fits, item| Ok(fits && self.fits(items.id, item, depth)?))
            }
            (Kind::Map(values), Value::Map(entries)) => {
                let mut entries = entries.iter();
                entries.try_fold(true, |fits, (_, value)| Ok(fits && self.fits(values.id, value, depth)?))
            }
            (Kind::Record { fields, .. }, Value::Struct(entries)) => {
                for (place, field) in fields.iter().enumerate() {
                    if let Some(value) = entry(entries, place, &field.name)
                        && !self.fits(field.ty.id, value, depth)?
                    {
                        return Ok(false);
                    }
                }
                Ok(self.types.seems(id, value).is_some())
            }
            _ => Ok(self.types.seems(id, value).is_some()),
        }
    }
}

/// How a value fits a type, as far as a glance tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// It is what reading the type gives.
    Exact,
    /// It can be written as the type.
    Wide,
}

impl Types {
    fn seems(&self, id: TypeId, value: &Value) -> Option<Fit> {
        let fit = |fits: bool, fit| fits.then_some(fit);
        match (self.kind(id), value) {
            (Kind::Null, Value::Null)
            | (Kind::Boolean, Value::Boolean(_))
            | (Kind::Int, Value::Int32(_))
            | (Kind::Long, Value::Int64(_))
            | (Kind::Float, Value::Float32(_))
            | (Kind::Double, Value::Float64(_))
            | (Kind::Bytes, Value::Bytes(_))
            | (Kind::String, Value::String(_))
            | (Kind::Array(_), Value::Array(_))
            | (Kind::Map(_), Value::Map(_)) => Some(Fit::Exact),
            (Kind::Int, _) => {
                fit(whole(value).is_some_and(|number| i32::try_from(number).is_ok()), Fit::Wide)
            }
            (Kind::Long, _) => fit(whole(value).is_some(), Fit::Wide),
            (Kind::Float, _) => fit(float(value).is_some(), Fit::Wide),
            (Kind::Double, _) => fit(double(value).is_some(), Fit::Wide),
            (Kind::Fixed { size }, Value::Bytes(bytes)) => fit(bytes.len() == *size, Fit::Exact),
            (Kind::Enum(symbols), Value::String(symbol)) => {
                fit(symbols.places.contains_key(symbol), Fit::Exact)
            }
            (Kind::Record { fields, places, .. }, Value::Struct(entries)) => {
                let known = entries.iter().all(|(name, _)| places.contains_key(name));
                let missing = entries.len() < fields.len()
                    && fields.iter().enumerate().any(|(place, field)| {
                        field.default.is_none() && entry(entries, place, &field.name).is_none()
                    });
                fit(known && !missing, if entries.len() == fields.len() { Fit::Exact } else { Fit::Wide })
            }
            _ => None,
        }
    }
}

fn place_of(symbols: &Symbols, symbol: &ByteString) -> Option<usize> {
    match symbols.list.len() {
        0..=SYMBOLS_SEARCHED_MAX => symbols.list.iter().position(|known| known == symbol),
        _ => symbols.places.get(symbol).copied(),
    }
}

/// The value of a field: most values have their fields in the order of the schema.
fn entry<'v>(entries: &'v Fields, place: usize, name: &ByteString) -> Option<&'v Value> {
    match entries.names().get(place) {
        Some(known) if known == name => entries.values().get(place),
        _ => entries.get(name),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int8(number) => Some((*number).into()),
        Value::Int16(number) => Some((*number).into()),
        Value::Int32(number) => Some((*number).into()),
        Value::Int64(number) => Some(*number),
        _ => None,
    }
}

/// A number that a double holds without loss.
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Float64(number) => Some(*number),
        Value::Float32(number) => Some((*number).into()),
        _ => {
            let number = whole(value)?;
            #[allow(clippy::cast_precision_loss, reason = "what is lost is looked at")]
            let double = number as f64;
            #[allow(clippy::cast_possible_truncation, reason = "and this is how")]
            let back = double as i128;
            (back == i128::from(number)).then_some(double)
        }
    }
}

/// A number that a float holds without loss.
fn float(value: &Value) -> Option<f32> {
    if let Value::Float32(number) = value {
        return Some(*number);
    }
    let double = double(value)?;
    #[allow(clippy::cast_possible_truncation, reason = "what is lost is looked at")]
    let float = double as f32;
    (f64::from(float) == double || double.is_nan()).then_some(float)
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Int8(number) => number.to_string(),
        Value::Int16(number) => number.to_string(),
        Value::Int32(number) => number.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::Float32(number) => number.to_string(),
        Value::Float64(number) => number.to_string(),
        Value::String(text) => format!("the text {}", super::parse::echo(text)),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Map(entries) => format!("a map of {}", entries.len()),
        Value::Struct(fields) => format!("a record of {} fields", fields.len()),
    }
}

#[inline]
fn deeper(depth: usize) -> Outcome<usize> {
    match depth.checked_sub(1) {
        Some(depth) => Ok(depth),
        None => refuse(format!("values are nested more than {VALUE_NESTING_MAX} deep")),
    }
}
