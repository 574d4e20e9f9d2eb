//! The whole as the only field of a struct or map.

use super::side::{Changed, Side, put, struct_of};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Field, Record};
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::Value;

pub(super) fn settings() -> Settings {
    let doc = "Field name for the single field that will be created in the resulting Struct or Map.";
    Settings::from([Setting::required("field", Kind::String, doc).importance(Importance::Medium)])
}

/// The transform.
#[derive(Debug)]
pub(super) struct HoistField {
    side: Side,
    field: String,
    changed: Changed,
}

impl HoistField {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        Ok(Self { side, field: values.string("field")?.to_owned(), changed: Changed::default() })
    }
}

impl Transform for HoistField {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let entry = (Value::String(self.field.as_str().into()), datum.value);
            return Ok(Some(self.side.put(record, None, Value::Map(vec![entry]))));
        };
        let field = Field { name: self.field.as_str().into(), schema: std::sync::Arc::clone(&schema) };
        let changed =
            self.changed.of(&schema, |_| Ok(ConnectSchema::new(struct_of(vec![field.clone()])?)))?;
        let value = Value::record([put(&field, datum.value)?]);
        Ok(Some(self.side.put(record, Some(changed), value)))
    }
}
