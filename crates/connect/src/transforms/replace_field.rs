//! Fields left out or renamed.

use super::side::{
    Changed, Side, like, or_default, put, refuse, require_map, require_struct, set_entry, struct_of,
};
use super::{list_setting, replace_null_setting};
use crate::error::ConnectError;
use crate::notation::text::display;
use crate::record::{ConnectSchema, Field, Record};
use crate::settings::{DefaultValue, Parsed, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "field replacement";

pub(super) fn settings() -> Settings {
    let none = || DefaultValue::Text(String::new());
    let exclude = "Fields to exclude. This takes precedence over the fields to include.";
    let include = "Fields to include. If specified, only these fields will be used.";
    let renames = list_setting("renames", none(), "Field rename mappings.").checked(|value| match value {
        Parsed::List(list) => Names::renames(list).map(drop),
        _ => Ok(()),
    });
    Settings::from([
        list_setting("exclude", none(), exclude),
        list_setting("include", none(), include),
        renames,
        replace_null_setting(),
    ])
}

/// What stays, and under which names.
#[derive(Debug)]
struct Names {
    exclude: Vec<String>,
    include: Vec<String>,
    renames: Vec<(String, String)>,
}

impl Names {
    fn renames(list: &[String]) -> Result<Vec<(String, String)>, String> {
        let pair = |item: &String| match item.trim_end_matches(':').split(':').collect::<Vec<_>>().as_slice()
        {
            [old, new] => Ok(((*old).to_owned(), (*new).to_owned())),
            _ => Err(format!("Invalid rename mapping: {item}")),
        };
        list.iter().map(pair).collect()
    }

    fn stays(&self, name: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|known| known == name);
        !is_in(&self.exclude) && (self.include.is_empty() || is_in(&self.include))
    }

    fn renamed<'n>(&'n self, name: &'n str) -> &'n str {
        self.renames.iter().rev().find(|(old, _)| old == name).map_or(name, |(_, new)| new)
    }

    /// The name that this one was, if it is a new one.
    fn original<'n>(&'n self, name: &'n str) -> &'n str {
        self.renames.iter().rev().find(|(_, new)| new == name).map_or(name, |(old, _)| old)
    }

    fn change(&self, schema: &ConnectSchema) -> Result<ConnectSchema, ConnectError> {
        let mut fields = Vec::new();
        for field in schema.fields().iter().filter(|field| self.stays(&field.name)) {
            fields.push(Field { name: self.renamed(&field.name).into(), ..field.clone() });
        }
        Ok(like(schema, struct_of(fields)?))
    }
}

/// The transform.
#[derive(Debug)]
pub(super) struct ReplaceField {
    side: Side,
    names: Names,
    replace_null: bool,
    changed: Changed,
}

impl ReplaceField {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let list = |name: &str| values.list(name).map(<[String]>::to_vec);
        let renames = Names::renames(&list("renames")?).map_err(ConnectError::config)?;
        let names = Names { exclude: list("exclude")?, include: list("include")?, renames };
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, names, replace_null, changed: Changed::default() })
    }
}

impl Transform for ReplaceField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        if self.side.of(&record).value == Value::Null {
            return Ok(Some(record));
        }
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let mut kept = Vec::new();
            for (key, value) in require_map(datum.value, PURPOSE)? {
                let name = display(None, &key);
                if self.names.stays(&name) {
                    set_entry(&mut kept, self.names.renamed(&name), value);
                }
            }
            return Ok(Some(self.side.put(record, None, Value::Map(kept))));
        };
        let values = require_struct(&schema, datum.value, PURPOSE)?;
        let changed = self.changed.of(&schema, |schema| self.names.change(schema))?;
        let mut fields = Vec::with_capacity(changed.fields().len());
        for new in changed.fields() {
            let name = self.names.original(&new.name);
            let found = schema.fields().iter().zip(&values).find(|(field, _)| field.name == *name);
            let Some((field, (_, value))) = found else {
                return refuse(format!("{name} is not a valid field name"));
            };
            fields.push(put(new, or_default(field, value.clone(), self.replace_null))?);
        }
        Ok(Some(self.side.put(record, Some(changed), Value::record(fields))))
    }
}
