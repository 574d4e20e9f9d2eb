//! What JSON Schema adds to the common tree: its limits, numbers without loss, and the validator's form.

use super::number::Decimal;
use crate::schema::ParseError;
use crate::schema::tree::{Dialect, Item, Node};

/// The longest text, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// How deep arrays and objects may nest.
pub(super) const NESTING_MAX: usize = 100;

/// How much of a text an error repeats, in characters.
pub(super) const ECHO_MAX: usize = 80;

const DIALECT: Dialect = Dialect {
    nesting_max: NESTING_MAX,
    comments: false,
    number: |text| Decimal::read(text).map(|_| text.to_owned()),
};

pub(super) fn parse(text: &str) -> Result<Item, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the text has {} bytes; at most {TEXT_BYTES_MAX} are taken", text.len());
        return Err(ParseError { message, position: None });
    }
    Item::parse(text, &DIALECT).map_err(|fault| fault.locate(text))
}

impl Item {
    pub(super) fn number(&self) -> Option<Decimal> {
        self.digits().and_then(Decimal::read)
    }

    /// The text without differences that mean nothing: keys in order, numbers in one form.
    pub(super) fn normalized(&self) -> String {
        self.sorted(|number| Decimal::read(number).map_or_else(|| number.to_owned(), |number| number.text()))
    }

    /// As the validator takes it; a number that it cannot hold is the nearest one.
    pub(super) fn to_serde(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.node {
            Node::Null => Value::Null,
            Node::Boolean(value) => Value::Bool(*value),
            Node::Number(text) => number_to_serde(text),
            Node::String(text) => Value::String(text.clone()),
            Node::Array(items) => Value::Array(items.iter().map(Item::to_serde).collect()),
            Node::Object(members) => {
                Value::Object(members.iter().map(|(key, item)| (key.clone(), item.to_serde())).collect())
            }
        }
    }
}

/// A number as the validator takes it; beyond its range, the largest one.
pub(super) fn number_to_serde(text: &str) -> serde_json::Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    let number = text.parse::<f64>().unwrap_or(0.0);
    number.clamp(f64::MIN, f64::MAX).into()
}

/// The beginning of a text, as long as an error may repeat it.
pub(super) fn echo(text: &str) -> String {
    match text.char_indices().nth(ECHO_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
