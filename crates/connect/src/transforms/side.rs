//! The key or the value of a record, as a transform works on it.

use std::collections::HashSet;
use std::sync::Arc;

use bytestring::ByteString;

use crate::error::ConnectError;
use crate::notation::text::class;
use crate::record::{ConnectSchema, Datum, Field, Record, Type};
use crate::schema_check::require_valid;
use crate::value::{Fields, Value};

/// How many changed schemas a transform remembers.
const REMEMBERED_MAX: usize = 16;

/// Entries of a map.
pub(super) type Entries = Vec<(Value, Value)>;

/// What of a record is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Key,
    Value,
}

impl Side {
    pub(super) fn of(self, record: &Record) -> &Datum {
        match self {
            Self::Key => &record.key,
            Self::Value => &record.value,
        }
    }

    pub(super) fn take(self, record: &mut Record) -> Datum {
        std::mem::take(self.place(record))
    }

    pub(super) fn put(self, mut record: Record, schema: Option<Arc<ConnectSchema>>, value: Value) -> Record {
        *self.place(&mut record) = Datum { schema, value };
        record
    }

    fn place(self, record: &mut Record) -> &mut Datum {
        match self {
            Self::Key => &mut record.key,
            Self::Value => &mut record.value,
        }
    }
}

pub(super) fn refuse<T>(message: impl Into<String>) -> Result<T, ConnectError> {
    Err(ConnectError::data(message))
}

pub(super) fn require_map(value: Value, purpose: &str) -> Result<Entries, ConnectError> {
    match value {
        Value::Map(entries) => Ok(entries),
        other => {
            let found = class(None, &other);
            refuse(format!("Only Map objects supported in absence of schema for [{purpose}], found: {found}"))
        }
    }
}

pub(super) fn require_struct(
    schema: &ConnectSchema,
    value: Value,
    purpose: &str,
) -> Result<Fields, ConnectError> {
    match value {
        Value::Struct(fields) => Ok(fields),
        other => {
            let found = class(Some(schema), &other);
            refuse(format!("Only Struct objects supported for [{purpose}], found: {found}"))
        }
    }
}

/// The value behind a name; the last one counts.
pub(super) fn entry<'e>(entries: &'e Entries, name: &str) -> Option<&'e Value> {
    let is_meant = |(key, _): &&(Value, Value)| matches!(key, Value::String(key) if *key == name);
    entries.iter().rev().find(is_meant).map(|(_, value)| value)
}

/// Puts a value behind a name.
pub(super) fn set_entry(entries: &mut Entries, name: &str, value: Value) {
    let is_meant = |(key, _): &&mut (Value, Value)| matches!(key, Value::String(key) if *key == name);
    match entries.iter_mut().rev().find(is_meant) {
        Some((_, known)) => *known = value,
        None => entries.push((Value::String(name.into()), value)),
    }
}

/// The value of a field; what is missing is the default, if that is asked for.
pub(super) fn or_default(field: &Field, value: Value, replace_null: bool) -> Value {
    match &field.schema.default {
        Some(default) if replace_null && value == Value::Null => default.clone(),
        _ => value,
    }
}

/// A field with its value, if the schema of the field allows it.
pub(super) fn put(field: &Field, value: Value) -> Result<(ByteString, Value), ConnectError> {
    require_valid(&field.schema, &value, &format!("field: \"{}\"", field.name))?;
    Ok((field.name.clone(), value))
}

/// A schema like another one, of another shape: its name, version, words and parameters, nothing else.
pub(super) fn like(source: &ConnectSchema, kind: Type) -> ConnectSchema {
    let mut copy = ConnectSchema::new(kind);
    copy.name.clone_from(&source.name);
    copy.version = source.version;
    copy.doc.clone_from(&source.doc);
    copy.parameters.clone_from(&source.parameters);
    copy
}

/// The shape of a struct with these fields; their names must differ.
pub(super) fn struct_of(fields: Vec<Field>) -> Result<Type, ConnectError> {
    let mut names = HashSet::new();
    if let Some(field) = fields.iter().find(|field| !names.insert(field.name.clone())) {
        return refuse(format!("Cannot create field because of field name duplication {}", field.name));
    }
    if fields.iter().any(|field| field.name.is_empty()) {
        return refuse("fieldName cannot be null.");
    }
    Ok(Type::Struct(fields))
}

/// With a default, if it is one of the schema.
pub(super) fn with_default(mut schema: ConnectSchema, default: Value) -> Result<ConnectSchema, ConnectError> {
    require_valid(&schema, &default, "value")
        .map_err(|error| ConnectError::data("Invalid default value").because(error))?;
    schema.default = Some(default).filter(|default| *default != Value::Null);
    Ok(schema)
}

/// What schemas became, so that records of a schema keep sharing theirs.
#[derive(Debug, Default)]
pub(super) struct Changed {
    known: Vec<(Arc<ConnectSchema>, Arc<ConnectSchema>)>,
}

impl Changed {
    pub(super) fn of(
        &mut self,
        schema: &Arc<ConnectSchema>,
        change: impl FnOnce(&ConnectSchema) -> Result<ConnectSchema, ConnectError>,
    ) -> Result<Arc<ConnectSchema>, ConnectError> {
        let same = |(known, _): &&(Arc<ConnectSchema>, Arc<ConnectSchema>)| Arc::ptr_eq(known, schema);
        let equal = |(known, _): &&(Arc<ConnectSchema>, Arc<ConnectSchema>)| known == schema;
        if let Some((_, changed)) = self.known.iter().find(same).or_else(|| self.known.iter().find(equal)) {
            return Ok(Arc::clone(changed));
        }
        let changed = Arc::new(change(schema)?);
        if self.known.len() >= REMEMBERED_MAX {
            self.known.remove(0);
        }
        self.known.push((Arc::clone(schema), Arc::clone(&changed)));
        Ok(changed)
    }
}
