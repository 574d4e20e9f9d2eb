//! Values as JSON and back.
//!
//! Bytes are text in base64, maps and structs are objects. Reading gives the widest types: whole numbers are `Int64`, others
//! `Float64`; a number that neither holds exactly is an error, since a value must not change on its way.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde_json::Value as Json;

use super::number::Decimal;
use super::tree::{NESTING_MAX, echo, number_to_serde, parse};
use crate::schema::DataError;
use crate::schema::tree::{Item, Node, write_string};
use crate::value::Value;

/// Writes a value as JSON without layout, and as the validator takes it.
pub(super) fn write(value: &Value) -> Result<(String, Json), DataError> {
    let mut writer = Writer { text: String::new(), path: Vec::new() };
    let json = writer.value(value)?;
    Ok((writer.text, json))
}

struct Writer<'a> {
    text: String,
    /// The names and places on the way, for errors.
    path: Vec<Cow<'a, str>>,
}

impl<'a> Writer<'a> {
    fn fault(&self, message: String) -> DataError {
        let path = self.path.iter().map(|name| format!("/{}", super::document::escape(name))).collect();
        DataError { message, path }
    }

    fn value(&mut self, value: &'a Value) -> Result<Json, DataError> {
        if self.path.len() > NESTING_MAX {
            return Err(self.fault(format!("the value is nested deeper than {NESTING_MAX} levels")));
        }
        match value {
            Value::Null => Ok(self.plain("null", Json::Null)),
            Value::Boolean(true) => Ok(self.plain("true", Json::Bool(true))),
            Value::Boolean(false) => Ok(self.plain("false", Json::Bool(false))),
            Value::Int8(number) => Ok(self.plain(&number.to_string(), (*number).into())),
            Value::Int16(number) => Ok(self.plain(&number.to_string(), (*number).into())),
            Value::Int32(number) => Ok(self.plain(&number.to_string(), (*number).into())),
            Value::Int64(number) => Ok(self.plain(&number.to_string(), (*number).into())),
            Value::Float32(number) => self.float(f64::from(*number), &format!("{number:?}")),
            Value::Float64(number) => self.float(*number, &format!("{number:?}")),
            Value::String(string) => Ok(self.string(string)),
            Value::Bytes(bytes) => Ok(self.string(&STANDARD.encode(bytes))),
            Value::Array(values) => self.array(values),
            Value::Map(pairs) => self.map(pairs),
            Value::Struct(fields) => self.object(fields.iter().map(|(name, value)| Ok((&**name, value)))),
        }
    }

    fn plain(&mut self, text: &str, json: Json) -> Json {
        self.text.push_str(text);
        json
    }

    fn float(&mut self, number: f64, text: &str) -> Result<Json, DataError> {
        if !number.is_finite() {
            return Err(self.fault(format!("JSON has no number {number}")));
        }
        Ok(self.plain(text, number_to_serde(text)))
    }

    fn string(&mut self, string: &str) -> Json {
        write_string(&mut self.text, string);
        Json::String(string.to_owned())
    }

    fn array(&mut self, values: &'a [Value]) -> Result<Json, DataError> {
        let mut items = Vec::with_capacity(values.len());
        self.text.push('[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.path.push(Cow::Owned(index.to_string()));
            items.push(self.value(value)?);
            self.path.pop();
        }
        self.text.push(']');
        Ok(Json::Array(items))
    }

    fn map(&mut self, pairs: &'a [(Value, Value)]) -> Result<Json, DataError> {
        let fault = self.fault("keys of a JSON object are strings".to_owned());
        self.object(pairs.iter().map(|(key, value)| match key {
            Value::String(name) => Ok((&**name, value)),
            _ => Err(fault.clone()),
        }))
    }

    fn object(
        &mut self,
        fields: impl Iterator<Item = Result<(&'a str, &'a Value), DataError>>,
    ) -> Result<Json, DataError> {
        let mut members = serde_json::Map::new();
        self.text.push('{');
        for (index, field) in fields.enumerate() {
            let (name, value) = field?;
            if index > 0 {
                self.text.push(',');
            }
            write_string(&mut self.text, name);
            self.text.push(':');
            self.path.push(Cow::Borrowed(name));
            let json = self.value(value)?;
            self.path.pop();
            members.insert(name.to_owned(), json);
        }
        self.text.push('}');
        Ok(Json::Object(members))
    }
}

/// Reads JSON; gives the value, and what the validator takes.
pub(super) fn read(bytes: &[u8]) -> Result<(Value, Json), DataError> {
    let whole = |message: String| DataError { message, path: String::new() };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| whole(format!("the data is no text in UTF-8: {error}")))?;
    let item = parse(text).map_err(|error| whole(format!("the data is no JSON: {error}")))?;
    let value = value(&item, &mut String::new())?;
    Ok((value, item.to_serde()))
}

fn value(item: &Item, path: &mut String) -> Result<Value, DataError> {
    Ok(match &item.node {
        Node::Null => Value::Null,
        Node::Boolean(value) => Value::Boolean(*value),
        Node::Number(text) => number(text).ok_or_else(|| DataError {
            message: format!("the number {} fits neither 64 bits nor a double without loss", echo(text)),
            path: path.clone(),
        })?,
        Node::String(text) => Value::String(ByteString::from(text.as_str())),
        Node::Array(items) => {
            let mut values = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                values.push(within(path, &index.to_string(), |path| value(item, path))?);
            }
            Value::Array(values)
        }
        Node::Object(members) => {
            let mut fields = Vec::with_capacity(members.len());
            for (name, item) in members {
                let field = within(path, name, |path| value(item, path))?;
                fields.push((ByteString::from(name.as_str()), field));
            }
            Value::record(fields)
        }
    })
}

fn within<T>(path: &mut String, name: &str, act: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(&super::document::escape(name));
    let result = act(path);
    path.truncate(length);
    result
}

/// A number in the type that holds it exactly. One that is written as a whole number stays one.
fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        // A negative zero is no integer.
        return Some(if text == "-0" { Value::Float64(-0.0) } else { Value::Int64(whole) });
    }
    let double = text.parse::<f64>().ok().filter(|double| double.is_finite())?;
    let shown = Decimal::read(&format!("{double:?}"))?;
    (shown == Decimal::read(text)?).then_some(Value::Float64(double))
}
