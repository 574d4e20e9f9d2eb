//! From Protobuf's schemas and data to those of the data model.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor};

use super::super::NESTING_MAX;
use super::{ENTRY, ENUM, PRECISION, Protobuf, TAG, UNION, WRAPPERS, enumeration, union};
use crate::error::ConnectError;
use crate::notation::Decimal;
use crate::notation::text::{Meaning, class, kind};
use crate::notation::time::days_from_civil;
use crate::record::{ConnectSchema, DATE, DECIMAL, Field, TIME, TIMESTAMP, Type};
use crate::value::{Fields, Value};

/// The most schemas that one message may stand for, since what is referred to counts wherever it is used.
const SCHEMAS_MAX: usize = 100_000;

fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

struct Reader<'a> {
    mapping: &'a Protobuf,
    /// The messages that are being read.
    open: Vec<MessageDescriptor>,
    /// How many schemas may still be read.
    left: usize,
}

impl Protobuf {
    /// The schema of a message.
    pub(super) fn schema(&self, message: &MessageDescriptor) -> Result<ConnectSchema, ConnectError> {
        if let Some(plain) = unwrapped(message) {
            return Ok(ConnectSchema::new(plain));
        }
        Reader { mapping: self, open: Vec::new(), left: SCHEMAS_MAX }.message(message)
    }
}

/// The type of what is in a wrapper.
fn unwrapped(message: &MessageDescriptor) -> Option<Type> {
    let name = message.full_name().strip_prefix("google.protobuf.")?;
    WRAPPERS.iter().find(|(wrapper, _, _)| *wrapper == name).map(|(_, _, kind)| kind.clone())
}

impl Reader<'_> {
    fn message(&mut self, message: &MessageDescriptor) -> Result<ConnectSchema, ConnectError> {
        if self.open.contains(message) {
            let name = message.full_name();
            return refuse(format!("The message {name} contains itself, which data of Connect cannot"));
        }
        if self.open.len() >= NESTING_MAX {
            return refuse("The schema nests too deep");
        }
        self.open.push(message.clone());
        let mut fields = Vec::new();
        for (index, oneof) in message.oneofs().filter(|oneof| !oneof.is_synthetic()).enumerate() {
            let members = oneof.fields().map(|field| self.field(&field));
            let kind = Type::Struct(members.collect::<Result<_, _>>()?);
            let schema = ConnectSchema::new(kind).named(format!("{UNION}.{}", oneof.name())).optional();
            let name = match self.mapping.index_for_unions {
                true => format!("{}_{index}", oneof.name()),
                false => oneof.name().to_owned(),
            };
            fields.push(Field { name: name.into(), schema: Arc::new(schema) });
        }
        let is_free =
            |field: &FieldDescriptor| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic());
        for field in ordered(message).into_iter().filter(is_free) {
            fields.push(self.field(&field)?);
        }
        self.open.pop();
        let name = if self.mapping.full_names { message.full_name() } else { message.name() };
        Ok(ConnectSchema::new(Type::Struct(fields)).named(name))
    }

    fn field(&mut self, field: &FieldDescriptor) -> Result<Field, ConnectError> {
        let Some(left) = self.left.checked_sub(1) else {
            return refuse(format!("The schema stands for more than {SCHEMAS_MAX} schemas"));
        };
        self.left = left;
        let kind = field.kind();
        let mut schema = self.kind(field, &kind)?;
        let is_message = matches!(kind, Kind::Message(_) | Kind::Enum(_));
        if field.is_list() && !matches!(schema.kind, Type::Map(..)) {
            schema = ConnectSchema::new(Type::Array(Arc::new(schema.optional())));
        }
        let told_apart = match field.containing_oneof() {
            Some(oneof) => oneof.is_synthetic(),
            None => field.parent_file().syntax() == prost_reflect::Syntax::Proto2,
        };
        let mapping = self.mapping;
        schema.optional = is_message
            || match field.cardinality() {
                Cardinality::Required => false,
                Cardinality::Repeated => true,
                Cardinality::Optional if mapping.optional_for_nullables => told_apart,
                Cardinality::Optional => !mapping.wrapper_for_nullables,
            };
        schema.parameters.push((TAG.into(), field.number().to_string().into()));
        Ok(Field { name: field.name().into(), schema: Arc::new(schema) })
    }

    fn kind(&mut self, field: &FieldDescriptor, kind: &Kind) -> Result<ConnectSchema, ConnectError> {
        Ok(ConnectSchema::new(match kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => match said(field, "connect.type").as_deref() {
                Some("int8") => Type::Int8,
                Some("int16") => Type::Int16,
                _ => Type::Int32,
            },
            Kind::Uint32
            | Kind::Fixed32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Sint64
            | Kind::Fixed64
            | Kind::Sfixed64 => Type::Int64,
            Kind::Float => Type::Float32,
            Kind::Double => Type::Float64,
            Kind::Bool => Type::Boolean,
            Kind::String => Type::String,
            Kind::Bytes => Type::Bytes,
            Kind::Enum(found) => return Ok(self.symbols(found)),
            Kind::Message(message) => match (message.full_name(), entry(message)) {
                ("confluent.type.Decimal", _) => return Ok(decimal_of(field)),
                ("google.type.Date", _) => return Ok(meaning(Type::Int32, DATE)),
                ("google.type.TimeOfDay", _) => return Ok(meaning(Type::Int32, TIME)),
                ("google.protobuf.Timestamp", _) => return Ok(meaning(Type::Int64, TIMESTAMP)),
                (_, Some((key, value))) if field.is_list() || field.is_map() => {
                    let (key, value) = (self.field(&key)?.schema, self.field(&value)?.schema);
                    let name = message.name().strip_suffix(ENTRY).unwrap_or_default().to_owned();
                    return Ok(ConnectSchema::new(Type::Map(key, value)).named(name));
                }
                _ => match unwrapped(message).filter(|_| self.mapping.wrapper_for_nullables) {
                    Some(plain) => plain,
                    None => return self.message(message),
                },
            },
        }))
    }

    fn symbols(&self, found: &EnumDescriptor) -> ConnectSchema {
        let name = if self.mapping.full_names { found.full_name() } else { found.name() };
        let kind = if self.mapping.numbers_for_enums { Type::Int32 } else { Type::String };
        let mut schema = ConnectSchema::new(kind).named(name);
        schema.parameters.push((ENUM.into(), name.into()));
        for value in found.values() {
            schema
                .parameters
                .push((format!("{ENUM}.{}", value.name()).into(), value.number().to_string().into()));
        }
        schema
    }
}

/// Fields in the order of the text.
fn ordered(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let by_name: HashMap<String, FieldDescriptor> =
        message.fields().map(|field| (field.name().to_owned(), field)).collect();
    let written = message.descriptor_proto().field.iter();
    written.filter_map(|field| by_name.get(field.name()).cloned()).collect()
}

/// The key and the value of a message that is an entry of a map.
fn entry(message: &MessageDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let (key, value) = (message.get_field_by_name("key")?, message.get_field_by_name("value")?);
    (message.name().ends_with(ENTRY) && message.fields().len() == 2).then_some((key, value))
}

fn meaning(kind: Type, name: &'static str) -> ConnectSchema {
    let mut schema = ConnectSchema::new(kind).named(name);
    schema.version = Some(1);
    schema
}

fn decimal_of(field: &FieldDescriptor) -> ConnectSchema {
    let number = |name: &str| said(field, name)?.parse::<i32>().ok();
    let mut schema = meaning(Type::Bytes, DECIMAL);
    schema.parameters.push(("scale".into(), number("scale").unwrap_or(0).to_string().into()));
    schema.parameters.extend(number("precision").map(|digits| (PRECISION.into(), digits.to_string().into())));
    schema
}

/// What `confluent.field_meta` of a field says.
fn said(field: &FieldDescriptor, key: &str) -> Option<String> {
    let extension = field.parent_pool().get_extension_by_name("confluent.field_meta")?;
    let options = field.options();
    let meta = options.get_extension(&extension);
    let parameters = meta.as_message()?.get_field_by_name("params")?;
    let found = parameters.as_map()?.get(&MapKey::String(key.to_owned()))?;
    found.as_str().map(str::to_owned)
}

/// Data as a schema has it.
pub(super) fn value(schema: &ConnectSchema, given: Value) -> Result<Value, ConnectError> {
    if given == Value::Null {
        return Ok(Value::Null);
    }
    match (Meaning::of(Some(schema)), given) {
        (Meaning::Plain, given) => plain(schema, given),
        (meaning, Value::Struct(fields)) => logical(schema, meaning, &fields),
        (_, other) => wrong(schema, &other),
    }
}

fn wrong<T>(schema: &ConnectSchema, given: &Value) -> Result<T, ConnectError> {
    refuse(format!("Invalid type for {}: {}", kind(&schema.kind), class(None, given)))
}

fn plain(schema: &ConnectSchema, given: Value) -> Result<Value, ConnectError> {
    Ok(match (&schema.kind, given) {
        (Type::Struct(fields), Value::Struct(mut values)) => structure(fields, &mut values)?,
        (Type::Array(items), Value::Array(list)) => {
            Value::Array(list.into_iter().map(|item| value(items, item)).collect::<Result<_, _>>()?)
        }
        (Type::Map(keys, values), Value::Map(entries)) => {
            let entry = |(key, item)| Ok((value(keys, key)?, value(values, item)?));
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, ConnectError>>()?)
        }
        (Type::Map(keys, values), Value::Array(entries)) => {
            let entry = |entry: Value| {
                let Value::Struct(mut parts) = entry else { return wrong(schema, &entry) };
                Ok((value(keys, parts.take("key"))?, value(values, parts.take("value"))?))
            };
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, ConnectError>>()?)
        }
        // A wrapper around a plain value.
        (_, Value::Struct(mut fields)) if fields.len() == 1 => {
            value(schema, fields.values_mut().first_mut().map(std::mem::take).unwrap_or_default())?
        }
        (Type::Int8, Value::Int32(number)) => Value::Int8(number as i8),
        (Type::Int16, Value::Int32(number)) => Value::Int16(number as i16),
        (Type::Int32, Value::String(symbol)) => {
            let (_, key) = enumeration(schema).unwrap_or_default();
            match schema.parameter(&format!("{key}.{symbol}")).and_then(|number| number.parse().ok()) {
                Some(number) => Value::Int32(number),
                None => return refuse(format!("The symbol {symbol:?} is not known")),
            }
        }
        (Type::String, Value::Int32(number)) => {
            let name = enumeration(schema).map_or("", |(name, _)| name);
            Value::String(format!("UNKNOWN_ENUM_VALUE_{name}_{number}").into())
        }
        (Type::Boolean, given @ Value::Boolean(_))
        | (Type::Int32, given @ Value::Int32(_))
        | (Type::Int64, given @ Value::Int64(_))
        | (Type::Float32, given @ Value::Float32(_))
        | (Type::Float64, given @ Value::Float64(_))
        | (Type::String, given @ Value::String(_))
        | (Type::Bytes, given @ Value::Bytes(_)) => given,
        (_, other) => return wrong(schema, &other),
    })
}

/// The fields of a struct out of those of a message; a union has the members that it names.
fn structure(fields: &[Field], values: &mut Fields) -> Result<Value, ConnectError> {
    let mut read = Vec::with_capacity(fields.len());
    let mut next = 0;
    for field in fields {
        let item = match union(&field.schema) {
            Some(_) => match structure(field.schema.fields(), values)? {
                Value::Struct(members) if members.values().iter().all(|item| *item == Value::Null) => {
                    Value::Null
                }
                members => members,
            },
            None => value(&field.schema, taken(values, &mut next, &field.name))?,
        };
        read.push((field.name.clone(), item));
    }
    Ok(Value::record(read))
}

/// The value of that name, from `next` on, where it mostly is.
fn taken(values: &mut Fields, next: &mut usize, name: &ByteString) -> Value {
    let mut found = (*next..values.len()).chain(0..*next);
    let Some(place) = found.find(|place| values.names().get(*place) == Some(name)) else {
        return Value::Null;
    };
    *next = place + 1;
    values.values_mut().get_mut(place).map(std::mem::take).unwrap_or_default()
}

fn logical(schema: &ConnectSchema, meaning: Meaning, fields: &Fields) -> Result<Value, ConnectError> {
    let given = |name: &str| fields.get(name);
    let number = |name: &str| match given(name) {
        Some(Value::Int32(number)) => i64::from(*number),
        Some(Value::Int64(number)) => *number,
        _ => 0,
    };
    let beyond = || refuse("A time is beyond the range of its type");
    Ok(match meaning {
        Meaning::Decimal => {
            let unscaled =
                if let Some(Value::Bytes(bytes)) = given("value") { bytes.clone() } else { Bytes::new() };
            let unscaled = if unscaled.is_empty() { Bytes::from_static(&[0]) } else { unscaled };
            let scale = schema.parameter("scale").and_then(|scale| scale.parse().ok()).unwrap_or(0);
            let own = i32::try_from(number("scale")).unwrap_or(0);
            let found = Decimal::of_bytes(&unscaled, own).and_then(|found| found.rescaled(scale));
            match found {
                Some(found) => Value::Bytes(found.unscaled_bytes().into()),
                None => return refuse(format!("A decimal of scale {own} cannot have scale {scale}")),
            }
        }
        Meaning::Date => {
            let (year, month, day) = (number("year"), number("month"), number("day"));
            if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                return beyond();
            }
            match i32::try_from(days_from_civil(year, month, day)) {
                Ok(days) => Value::Int32(days),
                Err(_) => return beyond(),
            }
        }
        Meaning::Time => {
            let (hours, minutes, seconds) = (number("hours"), number("minutes"), number("seconds"));
            if !(0..24).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
                return beyond();
            }
            let millis = ((hours * 60 + minutes) * 60 + seconds) * 1000 + number("nanos") / 1_000_000;
            Value::Int32(millis as i32)
        }
        _ => match number("seconds").checked_mul(1000) {
            Some(millis) => Value::Int64(millis.saturating_add(number("nanos").div_euclid(1_000_000))),
            None => return beyond(),
        },
    })
}
