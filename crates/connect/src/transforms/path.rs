//! Paths to fields.
//!
//! Version 1 is a plain name. In version 2 dots lead into structs and maps; a step with dots in it stands between backticks,
//! and a backtick before a dot in it is escaped by a backslash.

use super::side::{Entries, entry, refuse, require_map, require_struct};
use crate::error::ConnectError;
use crate::record::{ConnectSchema, Field, Type};
use crate::settings::{Importance, Kind, Setting, Values};
use crate::value::{Fields, Value};

const PURPOSE: &str = "nested field access";

pub(super) fn setting() -> Setting {
    let doc = "Defines the version of the syntax to access fields. If set to <code>V1</code>, then the field paths are \
        limited to access the elements at the root level of the struct or map. If set to <code>V2</code>, the syntax will \
        support accessing nested elements. To access nested elements, dotted notation is used. If dots are already included \
        in the field name, then backtick pairs can be used to wrap field names containing dots.";
    Setting::new("field.syntax.version", Kind::String, "V1", doc).importance(Importance::High).checked(
        |value| match value.text() {
            Some(text) if !["V1", "V2"].iter().any(|known| known.eq_ignore_ascii_case(text)) => {
                Err("String must be one of (case insensitive): V1, V2".to_owned())
            }
            _ => Ok(()),
        },
    )
}

/// A path, as it is written and step by step.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) text: String,
    within: Vec<String>,
    last: String,
}

impl Path {
    pub(super) fn new(text: &str, values: &Values) -> Result<Self, ConnectError> {
        let mut steps = if values.string("field.syntax.version")?.eq_ignore_ascii_case("V2") {
            steps(text)?
        } else {
            vec![text.to_owned()]
        };
        let last = steps.pop().unwrap_or_default();
        Ok(Self { text: text.to_owned(), within: steps, last })
    }

    /// The field that it leads to.
    pub(super) fn field<'s>(&self, schema: &'s ConnectSchema) -> Result<Option<&'s Field>, ConnectError> {
        let mut current = schema;
        for step in &self.within {
            match look_up(current, step)? {
                Some(field) => current = &field.schema,
                None => return Ok(None),
            }
        }
        look_up(current, &self.last)
    }

    pub(super) fn of_struct(
        &self,
        schema: &ConnectSchema,
        fields: Fields,
        replace_null: bool,
    ) -> Result<Value, ConnectError> {
        let (mut schema, mut fields) = (schema, fields);
        for step in &self.within {
            let Some(field) = schema.field(step) else { return Ok(Value::Null) };
            match super::side::or_default(field, fields.take(step), true) {
                Value::Null => return Ok(Value::Null),
                value => fields = require_struct(&field.schema, value, PURPOSE)?,
            }
            schema = &field.schema;
        }
        let value = fields.take(&self.last);
        Ok(schema
            .field(&self.last)
            .map_or(Value::Null, |field| super::side::or_default(field, value, replace_null)))
    }

    pub(super) fn of_map(&self, entries: Entries) -> Result<Value, ConnectError> {
        let mut entries = entries;
        for step in &self.within {
            match entry(&entries, step) {
                None | Some(Value::Null) => return Ok(Value::Null),
                Some(value) => entries = require_map(value.clone(), PURPOSE)?,
            }
        }
        Ok(entry(&entries, &self.last).cloned().unwrap_or_default())
    }
}

fn look_up<'s>(schema: &'s ConnectSchema, name: &str) -> Result<Option<&'s Field>, ConnectError> {
    match &schema.kind {
        Type::Struct(_) => Ok(schema.field(name)),
        _ => refuse("Cannot look up fields on non-struct type"),
    }
}

fn steps(path: &str) -> Result<Vec<String>, ConnectError> {
    let (mut steps, mut at) = (Vec::new(), 0);
    while let Some(rest) = path.get(at..).filter(|rest| !rest.is_empty()) {
        let (step, length) = if let Some(quoted) = rest.strip_prefix('`') {
            let (step, length) = quoted_step(quoted).ok_or_else(|| incomplete(path, at))?;
            (step, length + 1)
        } else {
            let length = rest.find('.').unwrap_or(rest.len());
            (rest.get(..length).unwrap_or_default().to_owned(), length)
        };
        steps.push(step);
        at += length + 1;
    }
    if path.ends_with('.') || path.is_empty() {
        steps.push(String::new());
    }
    Ok(steps)
}

/// A step up to the backtick before a dot or the end, and how long it is with that backtick.
fn quoted_step(text: &str) -> Option<(String, usize)> {
    let mut step = String::new();
    let mut start = 0;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find('`')?;
        let escaped = at > 0 && text.as_bytes().get(at - 1) == Some(&b'\\');
        match text.as_bytes().get(at + 1) {
            None if escaped => return None,
            Some(b'.') if escaped => {
                step.push_str(text.get(start..at - 1)?);
                step.push('`');
                start = at + 1;
            }
            None | Some(b'.') => {
                step.push_str(text.get(start..at)?);
                return Some((step, at + 1));
            }
            Some(_) => {}
        }
        from = at + 1;
    }
}

fn incomplete(path: &str, at: usize) -> ConnectError {
    ConnectError::config(format!(
        "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position {at} to escape it"
    ))
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn paths_have_steps() {
        let cases: [(&str, Option<&[&str]>); 12] = [
            ("", Some(&[""])),
            ("a", Some(&["a"])),
            ("a.b.c", Some(&["a", "b", "c"])),
            ("a..b", Some(&["a", "", "b"])),
            ("a.", Some(&["a", ""])),
            (".a", Some(&["", "a"])),
            ("`a.b`.c", Some(&["a.b", "c"])),
            ("a.`b.c`", Some(&["a", "b.c"])),
            ("`a`b`.c", Some(&["a`b", "c"])),
            ("`a\\`.b`.c", Some(&["a`.b", "c"])),
            ("`a.b", None),
            ("`a\\`", None),
        ];
        for (path, expected) in cases {
            let found = steps(path).ok();
            let found: Option<Vec<&str>> =
                found.as_ref().map(|steps| steps.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
