//! Times in another form: text, a number since 1970, a day, a time of day, a moment.
//!
//! Without a schema nothing says that a number is a day or a moment: days, times and moments are carried as the numbers that
//! they would be with one, and only text and numbers are read.

use std::sync::Arc;

use super::replace_null_setting;
use super::side::{
    Changed, Side, entry, like, or_default, put, refuse, require_map, require_struct, set_entry, struct_of,
    with_default,
};
use crate::error::ConnectError;
use crate::notation::text::{Meaning, class, kind, millis};
use crate::notation::time::{DAY, Pattern};
use crate::record::{ConnectSchema, DATE, Field, Record, TIME, TIMESTAMP, Type};
use crate::settings::{Importance, Kind, Setting, Settings, Values};
use crate::transform::Transform;
use crate::value::{Fields, Value};

const PURPOSE: &str = "converting timestamp formats";

pub(super) fn settings() -> Settings {
    let field = "The field containing the timestamp, or empty if the entire value is a timestamp";
    let target = "The desired timestamp representation: string, unix, Date, Time, or Timestamp";
    let format = "A SimpleDateFormat-compatible format for the timestamp. Used to generate the output when type=string or \
        used to parse the input if the input is a string.";
    let precision = "The desired Unix precision for the timestamp: seconds, milliseconds, microseconds, or nanoseconds. Used \
        to generate the output when type=unix or used to parse the input if the input is a Long. Note: This SMT will cause \
        precision loss during conversions from, and to, values with sub-millisecond components.";
    let precisions = ["nanoseconds", "microseconds", "milliseconds", "seconds"];
    Settings::from([
        Setting::new("field", Kind::String, "", field).importance(Importance::High),
        Setting::required("target.type", Kind::String, target).one_of([
            "string",
            "unix",
            "Date",
            "Time",
            "Timestamp",
        ]),
        Setting::new("format", Kind::String, "", format),
        Setting::new("unix.precision", Kind::String, "milliseconds", precision)
            .importance(Importance::Low)
            .one_of(precisions),
        replace_null_setting(),
    ])
}

/// How a time is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Unix,
    Date,
    Time,
    Timestamp,
}

/// The units of numbers since 1970.
#[derive(Clone, Copy, Debug)]
enum Precision {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// The forms that times come in and go out.
#[derive(Debug)]
struct Forms {
    target: Form,
    /// The pattern, and its text for messages.
    format: Option<(Pattern, String)>,
    precision: Precision,
}

/// The transform.
#[derive(Debug)]
pub(super) struct TimestampConverter {
    side: Side,
    field: String,
    forms: Forms,
    replace_null: bool,
    changed: Changed,
}

impl TimestampConverter {
    pub(super) fn new(side: Side, values: &Values) -> Result<Self, ConnectError> {
        let target = match values.string("target.type")? {
            "string" => Form::Text,
            "unix" => Form::Unix,
            "Date" => Form::Date,
            "Time" => Form::Time,
            _ => Form::Timestamp,
        };
        let precision = match values.string("unix.precision")? {
            "seconds" => Precision::Seconds,
            "microseconds" => Precision::Microseconds,
            "nanoseconds" => Precision::Nanoseconds,
            _ => Precision::Milliseconds,
        };
        let text = values.string("format")?;
        let format = if text.trim().is_empty() { None } else { Some((pattern(text)?, text.to_owned())) };
        if target == Form::Text && format.is_none() {
            return Err(ConnectError::config(
                "TimestampConverter requires format option to be specified when using string timestamps",
            ));
        }
        let forms = Forms { target, format, precision };
        let field = values.string("field")?.to_owned();
        let replace_null = values.boolean("replace.null.with.default")?;
        Ok(Self { side, field, forms, replace_null, changed: Changed::default() })
    }

    fn schemaless(&self, value: Value) -> Result<Value, ConnectError> {
        if value == Value::Null || self.field.is_empty() {
            return self.forms.convert(None, value);
        }
        let mut entries = require_map(value, PURPOSE)?;
        let found = entry(&entries, &self.field).cloned().unwrap_or_default();
        set_entry(&mut entries, &self.field, self.forms.convert(None, found)?);
        Ok(Value::Map(entries))
    }
}

fn pattern(text: &str) -> Result<Pattern, ConnectError> {
    Pattern::new(text).map_err(|error| {
        let message =
            "TimestampConverter requires a SimpleDateFormat-compatible pattern for string timestamps: ";
        ConnectError::config(format!("{message}{text}")).because(error)
    })
}

impl Transform for TimestampConverter {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, ConnectError> {
        let datum = self.side.take(&mut record);
        let Some(schema) = datum.schema else {
            let value = self.schemaless(datum.value)?;
            return Ok(Some(self.side.put(record, None, value)));
        };
        if self.field.is_empty() {
            form(&schema)?;
            let value = self.forms.convert(Some(&schema), datum.value)?;
            let schema = Arc::new(self.forms.schema(schema.optional));
            return Ok(Some(self.side.put(record, Some(schema), value)));
        }
        let values = match datum.value {
            Value::Null => None,
            value => Some(require_struct(&schema, value, PURPOSE)?),
        };
        let (forms, name, replace_null) = (&self.forms, self.field.as_str(), self.replace_null);
        let changed = self.changed.of(&schema, |schema| forms.change(schema, name, replace_null))?;
        let value = match values {
            None => Value::Null,
            Some(values) => forms.fields(&schema, changed.fields(), values, name, replace_null)?,
        };
        Ok(Some(self.side.put(record, Some(changed), value)))
    }
}

/// The form that a schema says.
fn form(schema: &ConnectSchema) -> Result<Form, ConnectError> {
    Ok(match (Meaning::of(Some(schema)), &schema.kind) {
        (Meaning::Timestamp, _) => Form::Timestamp,
        (Meaning::Date, _) => Form::Date,
        (Meaning::Time, _) => Form::Time,
        (_, Type::String) => Form::Text,
        (_, Type::Int64) => Form::Unix,
        (_, shape) => {
            let name = schema.name.as_ref().map(|name| format!("{name}:")).unwrap_or_default();
            let shape = kind(shape);
            return refuse(format!(
                "Schema Schema{{{name}{shape}}} does not correspond to a known timestamp type format"
            ));
        }
    })
}

impl Forms {
    /// The schema of the target.
    fn schema(&self, optional: bool) -> ConnectSchema {
        let named = |kind: Type, name: &'static str| {
            let mut schema = ConnectSchema::new(kind).named(name);
            schema.version = Some(1);
            schema
        };
        let mut schema = match self.target {
            Form::Text => ConnectSchema::new(Type::String),
            Form::Unix => ConnectSchema::new(Type::Int64),
            Form::Date => named(Type::Int32, DATE),
            Form::Time => named(Type::Int32, TIME),
            Form::Timestamp => named(Type::Int64, TIMESTAMP),
        };
        schema.optional = optional;
        schema
    }

    fn change(
        &self,
        schema: &ConnectSchema,
        name: &str,
        replace_null: bool,
    ) -> Result<ConnectSchema, ConnectError> {
        let field = |field: &Field| {
            let mut field = field.clone();
            if field.name == *name {
                field.schema = Arc::new(self.schema(field.schema.optional));
            }
            field
        };
        if !matches!(schema.kind, Type::Struct(_)) {
            return refuse("Cannot list fields on non-struct type");
        }
        let mut changed = like(schema, struct_of(schema.fields().iter().map(field).collect())?);
        changed.optional = schema.optional;
        match &schema.default {
            Some(Value::Struct(values)) => {
                let default = self.fields(schema, changed.fields(), values.clone(), name, replace_null)?;
                with_default(changed, default)
            }
            _ => Ok(changed),
        }
    }

    fn fields(
        &self,
        schema: &ConnectSchema,
        changed: &[Field],
        values: Fields,
        name: &str,
        replace_null: bool,
    ) -> Result<Value, ConnectError> {
        let mut fields = Vec::with_capacity(values.len());
        for ((field, new), value) in schema.fields().iter().zip(changed).zip(values.into_values()) {
            let mut value = or_default(field, value, replace_null);
            if field.name == *name {
                form(&field.schema)?;
                value = self.convert(Some(&field.schema), value)?;
            }
            fields.push(put(new, value)?);
        }
        Ok(Value::record(fields))
    }

    fn convert(&self, schema: Option<&ConnectSchema>, value: Value) -> Result<Value, ConnectError> {
        if value == Value::Null {
            return Ok(Value::Null);
        }
        let millis = match millis(schema, &value) {
            Some(millis) => millis,
            None => self.read(schema, &value)?,
        };
        self.write(millis)
    }

    fn read(&self, schema: Option<&ConnectSchema>, value: &Value) -> Result<i64, ConnectError> {
        let class = class(schema, value);
        let expected = schema.map(form).transpose()?;
        match (expected, value) {
            (None | Some(Form::Text), Value::String(text)) => self.parse(text),
            (None | Some(Form::Unix), Value::Int64(number)) => Ok(self.precision.to_millis(*number)),
            (Some(Form::Text), _) => {
                refuse(format!("Expected string timestamp to be a String, but found class {class}"))
            }
            (Some(Form::Unix), _) => {
                refuse(format!("Expected Unix timestamp to be a Long, but found class {class}"))
            }
            (Some(form), _) => {
                refuse(format!("Expected {form:?} to be a java.util.Date, but found class {class}"))
            }
            (None, _) => {
                refuse(format!("TimestampConverter does not support class {class} objects as timestamps"))
            }
        }
    }

    fn parse(&self, text: &str) -> Result<i64, ConnectError> {
        let Some((pattern, shown)) = &self.format else {
            return refuse(
                "TimestampConverter requires format option to be specified when using string timestamps",
            );
        };
        let unreadable =
            || format!("Could not parse timestamp: value ({text}) does not match pattern ({shown})");
        pattern.read(text).ok_or_else(|| ConnectError::data(unreadable()))
    }

    fn write(&self, millis: i64) -> Result<Value, ConnectError> {
        Ok(match self.target {
            Form::Text => {
                let text = self.format.as_ref().map(|(pattern, _)| pattern.write(millis));
                Value::String(text.unwrap_or_default().into())
            }
            Form::Unix => Value::Int64(self.precision.of_millis(millis)),
            Form::Timestamp => Value::Int64(millis),
            Form::Time => Value::Int32(millis.rem_euclid(DAY) as i32),
            Form::Date => match i32::try_from(millis.div_euclid(DAY)) {
                Ok(days) => Value::Int32(days),
                Err(_) => return refuse(format!("the time {millis} is beyond the days that are counted")),
            },
        })
    }
}

impl Precision {
    /// Numbers beyond the range become its end.
    fn to_millis(self, number: i64) -> i64 {
        match self {
            Self::Seconds => number.saturating_mul(1000),
            Self::Milliseconds => number,
            Self::Microseconds => number / 1000,
            Self::Nanoseconds => number / 1_000_000,
        }
    }

    fn of_millis(self, millis: i64) -> i64 {
        match self {
            Self::Seconds => millis / 1000,
            Self::Milliseconds => millis,
            Self::Microseconds => millis.saturating_mul(1000),
            Self::Nanoseconds => millis.saturating_mul(1_000_000),
        }
    }
}
