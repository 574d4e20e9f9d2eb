//! Nested structs and maps in one level, with names that tell where fields were.

use bytestring::ByteString;

use super::side::{
    Changed, Entries, Side, like, or_default, put, refuse, require_map, require_struct, set_entry, struct_of,
    with_default,
};
use crate::error::ConnectError;
use crate::notation::text::{class, display, kind};
use crate::record::{ConnectSchema, Field, Record, Type};
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "flattening";

pub(super) fn settings() -> Settings {
    let doc = "Delimiter to insert between field names from the input record when generating field names for the output \
        record";
    Settings::from([Setting::new("delimiter", Kind::String, ".", doc).importance(Importance::Medium)])
}

/// The transform.
#[derive(Debug)]
pub(super) struct Flatten {
    side: Side,
    delimiter: String,
    changed: Changed,
}

impl Flatten {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        Ok(Self { side, delimiter: values.string("delimiter")?.to_owned(), changed: Changed::default() })
    }
}

impl Transform for Flatten {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        if self.side.of(&record).value == Value::Null {
            return Ok(Some(record));
        }
        let datum = self.side.take(&mut record);
        let delimiter = self.delimiter.as_str();
        let Some(schema) = datum.schema else {
            let mut flat = Entries::new();
            flatten_map(require_map(datum.value, PURPOSE)?, "", delimiter, &mut flat)?;
            return Ok(Some(self.side.put(record, None, Value::Map(flat))));
        };
        let values = require_struct(&schema, datum.value, PURPOSE)?;
        let changed = self.changed.of(&schema, |schema| {
            let mut fields = Vec::new();
            let default = schema.default.as_ref();
            flatten_schema(schema, "", delimiter, schema.optional, default, &mut fields)?;
            Ok(like(schema, struct_of(fields)?))
        })?;
        let mut flat = changed.fields().iter();
        let mut fields = Vec::new();
        flatten_struct(&schema, Some(values.into_values()), &mut flat, &mut fields)?;
        Ok(Some(self.side.put(record, Some(changed), Value::record(fields))))
    }
}

fn path(prefix: &str, delimiter: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

fn flatten_map(
    entries: Entries,
    prefix: &str,
    delimiter: &str,
    flat: &mut Entries,
) -> Result<(), ConnectError> {
    for (key, value) in entries {
        let name = path(prefix, delimiter, &display(None, &key));
        match value {
            Value::Map(inner) => flatten_map(inner, &name, delimiter, flat)?,
            Value::Struct(_) => {
                let class = class(None, &value);
                return refuse(format!(
                    "Flatten transformation does not support class {class} for record without schemas (for field {name})."
                ));
            }
            other => set_entry(flat, &name, other),
        }
    }
    Ok(())
}

fn flatten_schema(
    schema: &ConnectSchema,
    prefix: &str,
    delimiter: &str,
    optional: bool,
    parent: Option<&Value>,
    flat: &mut Vec<Field>,
) -> Result<(), ConnectError> {
    for field in schema.fields() {
        let name = path(prefix, delimiter, &field.name);
        let optional = optional || field.schema.optional;
        let inherited = match parent {
            Some(Value::Struct(values)) => values.get(&field.name),
            _ => None,
        };
        let inherited = inherited.filter(|value| **value != Value::Null);
        let default = field.schema.default.as_ref().or(inherited);
        match &field.schema.kind {
            Type::Struct(_) => flatten_schema(&field.schema, &name, delimiter, optional, default, flat)?,
            Type::Map(..) => return unsupported(&field.schema, &name),
            shape => {
                let mut schema = like(&field.schema, shape.clone());
                schema.optional = optional;
                if let Some(default) = default {
                    schema = with_default(schema, default.clone())?;
                }
                flat.push(Field { name: name.into(), schema: schema.into() });
            }
        }
    }
    Ok(())
}

fn unsupported<T>(schema: &ConnectSchema, name: &str) -> Result<T, ConnectError> {
    let shape = kind(&schema.kind);
    refuse(format!(
        "Flatten transformation does not support {shape} for record with schemas (for field {name})."
    ))
}

/// The values of a struct, in the order in which [`flatten_schema`] has their fields; of a missing one, none.
fn flatten_struct<'f>(
    schema: &ConnectSchema,
    values: Option<Box<[Value]>>,
    fields: &mut impl Iterator<Item = &'f Field>,
    flat: &mut Vec<(ByteString, Value)>,
) -> Result<(), ConnectError> {
    let is_missing = values.is_none();
    let mut values = values.unwrap_or_default().into_iter();
    for field in schema.fields() {
        let value = values.next().unwrap_or_default();
        if let Type::Struct(_) = field.schema.kind {
            let inner = match value {
                Value::Struct(inner) => Some(inner.into_values()),
                _ => None,
            };
            flatten_struct(&field.schema, inner, fields, flat)?;
            continue;
        }
        let Some(place) = fields.next() else { return refuse("Struct schemas do not match.") };
        flat.push(if is_missing {
            (place.name.clone(), Value::Null)
        } else {
            put(place, or_default(field, value, true))?
        });
    }
    Ok(())
}
