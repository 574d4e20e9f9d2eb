//! One field in the place of the whole.

use super::path::{self, Path};
use super::replace_null_setting;
use super::side::{Side, refuse, require_map, require_struct};
use crate::error::ConnectError;
use crate::record::Record;
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

const PURPOSE: &str = "field extraction";

pub(super) fn settings() -> Settings {
    let field =
        Setting::required("field", Kind::String, "Field name to extract.").importance(Importance::Medium);
    Settings::from([field, replace_null_setting(), path::setting()])
}

/// The transform.
#[derive(Debug)]
pub(super) struct ExtractField {
    side: Side,
    path: Path,
    replace_null: bool,
}

impl ExtractField {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let path = Path::new(values.string("field")?, values)?;
        Ok(Self { side, path, replace_null: values.boolean("replace.null.with.default")? })
    }
}

impl Transform for ExtractField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let value = match datum.value {
                Value::Null => Value::Null,
                value => self.path.of_map(require_map(value, PURPOSE)?)?,
            };
            return Ok(Some(self.side.put(record, None, value)));
        };
        let values = match datum.value {
            Value::Null => None,
            value => Some(require_struct(&schema, value, PURPOSE)?),
        };
        let Some(field) = self.path.field(&schema)? else {
            return refuse(format!("Unknown field: {}", self.path.text));
        };
        let value = match values {
            Some(values) => self.path.of_struct(&schema, values, self.replace_null)?,
            None => Value::Null,
        };
        let field = std::sync::Arc::clone(&field.schema);
        Ok(Some(self.side.put(record, Some(field), value)))
    }
}
