//! Data as text whose type is guessed: how headers are written, and what a literal in a setting stands for.
//!
//! `true`, `null`, numbers (in the smallest type that holds them), dates and times of ISO 8601, lists in brackets and maps in
//! braces are recognised; everything else is text. A list without a type that all its items have carries no schema.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;

use super::text::{decimal, inside, millis, of_field, scalar, separated};
use super::time::{DAY, Pattern};
use super::{Decimal, json};
use crate::record::{ConnectSchema, DATE, DECIMAL, Datum, TIME, TIMESTAMP, Type};
use crate::value::Value;

/// How deep lists and maps may nest; what nests deeper is text.
const NESTING_MAX: usize = 100;

const DATE_PATTERN: &str = "yyyy-MM-dd";
const TIME_PATTERN: &str = "HH:mm:ss.SSS'Z'";
const TIMESTAMP_PATTERN: &str = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'";

/// Writes data so that [`parse`] reads it back where that is possible.
#[must_use]
pub fn write(schema: Option<&ConnectSchema>, value: &Value) -> String {
    let mut text = String::new();
    append(&mut text, schema, value, false);
    text
}

fn append(text: &mut String, schema: Option<&ConnectSchema>, value: &Value, embedded: bool) {
    if let Some(millis) = millis(schema, value) {
        return text.push_str(&moment(millis));
    }
    let (keys, values) = inside(schema);
    match value {
        Value::Null => text.push_str("null"),
        Value::String(string) if embedded => quoted(text, string),
        Value::Bytes(bytes) if embedded && schema.and_then(|schema| decimal(schema, value)).is_none() => {
            quoted(text, &STANDARD.encode(bytes));
        }
        Value::Array(items) => {
            text.push('[');
            separated(text, ",", items, |text, item| append(text, values, item, true));
            text.push(']');
        }
        Value::Map(entries) => {
            text.push('{');
            separated(text, ",", entries, |text, (key, value)| {
                append(text, keys, key, true);
                text.push(':');
                append(text, values, value, true);
            });
            text.push('}');
        }
        Value::Struct(fields) => {
            text.push('{');
            separated(text, ",", fields, |text, (name, value)| {
                quoted(text, name);
                text.push(':');
                let schema = of_field(schema, name);
                let default = schema.and_then(|schema| schema.default.as_ref());
                let value = default.filter(|_| *value == Value::Null).unwrap_or(value);
                append(text, schema, value, true);
            });
            text.push('}');
        }
        simple => text.push_str(&scalar(schema, simple)),
    }
}

fn quoted(text: &mut String, string: &str) {
    text.push('"');
    for letter in string.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

/// A moment as text: its time when it is on the first day or before, its date when it is midnight, else both.
#[must_use]
pub fn moment(millis: i64) -> String {
    let pattern = match millis {
        millis if millis < DAY => TIME_PATTERN,
        millis if millis % DAY == 0 => DATE_PATTERN,
        _ => TIMESTAMP_PATTERN,
    };
    Pattern::new(pattern).map(|pattern| pattern.write(millis)).unwrap_or_default()
}

/// What a text stands for.
#[must_use]
pub fn parse(text: &str) -> Datum {
    if text.is_empty() {
        return Datum::text("");
    }
    let mut parser = Parser::new(text);
    match parser.value(false, 0) {
        Ok(found) => found.unwrap_or_default(),
        Err(Broken) => Datum::text(text),
    }
}

/// The text is not what it began as.
struct Broken;

/// What was read; `None` is null.
type Found = Option<Datum>;

/// Reads tokens: a text ends at each of `: , { } [ ] "` that no backslash precedes, and each of these is a token.
struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// A token that was looked at and not taken.
    next: Option<&'t str>,
    /// The last token that was taken.
    previous: &'t str,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, next: None, previous: "" }
    }

    fn mark(&self) -> usize {
        self.at - self.next.map_or(0, str::len)
    }

    fn rewind(&mut self, at: usize) {
        (self.at, self.next, self.previous) = (at, None, "");
    }

    fn has_next(&self) -> bool {
        self.next.is_some() || self.at < self.text.len()
    }

    fn advance(&mut self) -> &'t str {
        self.previous = self.next.take().unwrap_or_else(|| self.token());
        self.previous
    }

    fn token(&mut self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut escaped = false;
        let mut length = rest.len();
        for (at, letter) in rest.char_indices() {
            match letter {
                '\\' => escaped = !escaped,
                ':' | ',' | '{' | '}' | '[' | ']' | '"' if !escaped => {
                    length = at.max(1);
                    break;
                }
                _ => escaped = false,
            }
        }
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes a token if it is the next one, whatever blanks are around it.
    fn take(&mut self, expected: &str) -> bool {
        if !self.has_next() {
            return false;
        }
        let mut token = self.next.take().unwrap_or_else(|| self.token());
        while token.trim().is_empty() && self.at < self.text.len() {
            token = self.token();
        }
        let is_next = token.trim() == expected;
        self.next = (!is_next).then_some(token);
        is_next
    }

    /// Takes a word that is a whole value.
    fn take_word(&mut self, embedded: bool, word: &str) -> bool {
        let start = self.mark();
        if self.take(word) && (embedded || !self.has_next()) {
            return true;
        }
        self.rewind(start);
        false
    }

    fn value(&mut self, embedded: bool, depth: usize) -> Result<Found, Broken> {
        if !self.has_next() {
            return Ok(None);
        }
        if embedded && self.take("\"") {
            return Ok(Some(self.quoted_string()));
        }
        if self.take_word(embedded, "null") {
            return Ok(None);
        }
        for (word, value) in [("true", true), ("false", false)] {
            if self.take_word(embedded, word) {
                return Ok(Some(plain(Type::Boolean, Value::Boolean(value))));
            }
        }
        let start = self.mark();
        let container = if self.take("[") {
            Some(self.list(depth + 1))
        } else if self.take("{") {
            Some(self.map(depth + 1))
        } else {
            None
        };
        match container {
            Some(Ok(found)) => return Ok(Some(found)),
            Some(Err(Broken)) => self.rewind(start),
            None => {}
        }
        let token = self.advance();
        if token.trim().is_empty() {
            Ok(Some(Datum::text(token)))
        } else {
            self.simple(embedded, token.trim())
        }
    }

    fn simple(&mut self, embedded: bool, token: &str) -> Result<Found, Broken> {
        let is_digit = token.starts_with(|letter: char| letter.is_ascii_digit());
        if is_digit && let Some(moment) = self.tokens_of_moment(token) {
            return Ok(Some(moment));
        }
        if (is_digit || token.starts_with(['+', '-']))
            && let Some(number) = number(token)
        {
            return Ok(Some(number));
        }
        if embedded { Err(Broken) } else { Ok(Some(Datum::text(self.text))) }
    }

    fn quoted_string(&mut self) -> Datum {
        let mut content = String::new();
        while self.has_next() {
            if self.take("\"") {
                break;
            }
            content.push_str(self.advance());
        }
        temporal(&content).unwrap_or_else(|| Datum::text(content))
    }

    /// A moment has colons, which are tokens.
    fn tokens_of_moment(&mut self, token: &str) -> Option<Datum> {
        let start = self.mark();
        let mut whole = token.to_owned();
        let mut complete = true;
        for _ in 0..4 {
            complete &= self.has_next();
            if complete {
                whole.push_str(self.advance());
            }
        }
        if complete && let Some(found) = temporal(&whole) {
            return Some(found);
        }
        self.rewind(start);
        temporal(token)
    }

    fn list(&mut self, depth: usize) -> Result<Datum, Broken> {
        if depth > NESTING_MAX {
            return Err(Broken);
        }
        let (mut items, mut common) = (Vec::new(), Common::default());
        while self.has_next() {
            if self.take("]") {
                if common.is_broken() {
                    return Err(Broken);
                }
                let Some(schema) = common.schema else {
                    let items = items.into_iter().map(value_of).collect();
                    return Ok(Datum::schemaless(Value::Array(items)));
                };
                let items: Result<Vec<Value>, Broken> =
                    items.into_iter().map(|item| aligned(&schema, item)).collect();
                return Ok(plain(Type::Array(schema), Value::Array(items?)));
            }
            if self.take(",") {
                return Err(Broken);
            }
            let item = self.value(true, depth)?;
            common.merge(item.as_ref());
            items.push(item);
            let here = self.mark();
            if self.take("]") {
                self.rewind(here);
            } else if !self.take(",") {
                return Err(Broken);
            }
        }
        Err(Broken)
    }

    fn map(&mut self, depth: usize) -> Result<Datum, Broken> {
        if depth > NESTING_MAX {
            return Err(Broken);
        }
        let (mut entries, mut keys, mut values) = (Vec::new(), Common::default(), Common::default());
        while self.has_next() {
            if self.take("}") {
                if values.is_broken() {
                    return Err(Broken);
                }
                return mapped(entries, keys.schema, values.schema);
            }
            if self.take(",") {
                return Err(Broken);
            }
            let key = self.value(true, depth)?.filter(|key| key.value != Value::Null).ok_or(Broken)?;
            if !self.take(":") {
                return Err(Broken);
            }
            let value = self.value(true, depth)?;
            self.take(",");
            keys.merge(Some(&key));
            values.merge(value.as_ref());
            entries.push((key, value));
        }
        Err(Broken)
    }
}

fn mapped(
    entries: Vec<(Datum, Found)>,
    keys: Option<Arc<ConnectSchema>>,
    values: Option<Arc<ConnectSchema>>,
) -> Result<Datum, Broken> {
    let (Some(keys), Some(values)) = (keys, values) else {
        let entries = entries.into_iter().map(|(key, value)| (key.value, value_of(value))).collect();
        return Ok(Datum::schemaless(Value::Map(last_of_each(entries))));
    };
    let entry = |(key, value): (Datum, Found)| Ok((aligned(&keys, Some(key))?, aligned(&values, value)?));
    let entries: Result<Vec<(Value, Value)>, Broken> = entries.into_iter().map(entry).collect();
    let entries = last_of_each(entries?);
    Ok(plain(Type::Map(keys, values), Value::Map(entries)))
}

fn last_of_each(entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let named = |(key, value): (Value, Value)| (format!("{key:?}"), (key, value));
    json::once_each(entries.into_iter().map(named).collect()).into_iter().map(|(_, entry)| entry).collect()
}

fn value_of(found: Found) -> Value {
    found.map(|datum| datum.value).unwrap_or_default()
}

fn plain(kind: Type, value: Value) -> Datum {
    Datum { schema: Some(ConnectSchema::of(kind)), value }
}

fn named(kind: Type, name: &'static str, value: Value) -> Datum {
    let mut schema = ConnectSchema::new(kind).named(ByteString::from_static(name));
    schema.version = Some(1);
    Datum { schema: Some(Arc::new(schema)), value }
}

fn temporal(token: &str) -> Option<Datum> {
    let token = token.replace("\\:", ":");
    let read = |pattern: &str| Pattern::new(pattern).ok()?.read(&token);
    match token.chars().count() {
        10 => {
            let days = i32::try_from(read(DATE_PATTERN)?.div_euclid(DAY)).ok()?;
            Some(named(Type::Int32, DATE, Value::Int32(days)))
        }
        13 => Some(named(Type::Int32, TIME, Value::Int32(i32::try_from(read(TIME_PATTERN)?).ok()?))),
        24 => Some(named(Type::Int64, TIMESTAMP, Value::Int64(read(TIMESTAMP_PATTERN)?))),
        _ => None,
    }
}

fn number(token: &str) -> Option<Datum> {
    let decimal = Decimal::read(token)?;
    if let Some(whole) = decimal.to_i64_exact() {
        return Some(smallest(whole));
    }
    let (single, double) = (decimal.to_f32(), decimal.to_f64());
    if single.is_finite() && decimal.scale() != 0 {
        return Some(plain(Type::Float32, Value::Float32(single)));
    }
    if double.is_finite() && decimal.scale() != 0 {
        return Some(plain(Type::Float64, Value::Float64(double)));
    }
    let mut schema = ConnectSchema::new(Type::Bytes).named(ByteString::from_static(DECIMAL));
    schema.version = Some(1);
    schema.parameters.push((ByteString::from_static("scale"), decimal.scale().to_string().into()));
    Some(Datum { schema: Some(Arc::new(schema)), value: Value::Bytes(decimal.unscaled_bytes().into()) })
}

fn smallest(whole: i64) -> Datum {
    if let Ok(number) = i8::try_from(whole) {
        plain(Type::Int8, Value::Int8(number))
    } else if let Ok(number) = i16::try_from(whole) {
        plain(Type::Int16, Value::Int16(number))
    } else if let Ok(number) = i32::try_from(whole) {
        plain(Type::Int32, Value::Int32(number))
    } else {
        plain(Type::Int64, Value::Int64(whole))
    }
}

/// The schema that all items can have, if there is one.
#[derive(Default)]
struct Common {
    schema: Option<Arc<ConnectSchema>>,
    incompatible: bool,
    has_null: bool,
    /// A list or map whose items have nothing in common was among them.
    untyped: Option<Container>,
}

#[derive(Clone, Copy, PartialEq)]
enum Container {
    List,
    Map,
}

impl Common {
    fn merge(&mut self, item: Option<&Datum>) {
        let Some(item) = item.filter(|item| item.value != Value::Null) else {
            self.has_null = true;
            return;
        };
        if self.incompatible {
            return;
        }
        let container = match &item.value {
            Value::Array(_) => Some(Container::List),
            Value::Map(_) => Some(Container::Map),
            _ => None,
        };
        let known = self.schema.as_ref().map(|schema| match &schema.kind {
            Type::Array(_) => Some(Container::List),
            Type::Map(..) => Some(Container::Map),
            _ => None,
        });
        let known = known.or(self.untyped.map(Some));
        match &item.schema {
            _ if (container.is_some() || self.untyped.is_some())
                && known.is_some_and(|known| known != container) =>
            {
                (self.schema, self.incompatible) = (None, true);
            }
            None => self.untyped = container,
            Some(latest) => {
                self.schema = match self.schema.take() {
                    None => Some(Arc::clone(latest)),
                    Some(known) => wider(&known, latest),
                };
                self.incompatible = self.schema.is_none();
            }
        }
    }

    /// Whether items have a type that some of them are missing for.
    fn is_broken(&self) -> bool {
        self.has_null && !self.incompatible && (self.schema.is_some() || self.untyped.is_some())
    }
}

fn wider(known: &Arc<ConnectSchema>, latest: &Arc<ConnectSchema>) -> Option<Arc<ConnectSchema>> {
    if std::mem::discriminant(&known.kind) == std::mem::discriminant(&latest.kind) {
        return Some(Arc::clone(latest));
    }
    let (one, other) = (rank(&known.kind)?, rank(&latest.kind)?);
    Some(Arc::clone(if one > other { known } else { latest }))
}

/// Numbers by their width.
fn rank(kind: &Type) -> Option<u8> {
    Some(match kind {
        Type::Int8 => 1,
        Type::Int16 => 2,
        Type::Int32 => 3,
        Type::Int64 => 4,
        Type::Float32 => 5,
        Type::Float64 => 6,
        _ => return None,
    })
}

/// An item in the type of all items.
fn aligned(schema: &ConnectSchema, item: Found) -> Result<Value, Broken> {
    let Datum { schema: own, value } = item.filter(|item| item.value != Value::Null).ok_or(Broken)?;
    let moment = millis(own.as_deref(), &value);
    let number = match &value {
        Value::Int8(number) => i64::from(*number),
        Value::Int16(number) => i64::from(*number),
        Value::Int32(number) => i64::from(*number),
        Value::Int64(number) => *number,
        _ => 0,
    };
    Ok(match (&schema.kind, &value) {
        (Type::Int8, Value::Int8(_))
        | (Type::Float32, Value::Float32(_))
        | (Type::Float64, Value::Float64(_)) => value,
        (Type::Int64, _) if schema.name.as_deref() == Some(TIMESTAMP) => {
            Value::Int64(moment.unwrap_or(number))
        }
        (_, Value::Int32(_) | Value::Int64(_)) if moment.is_some() => {
            if own.as_deref().map(|own| &own.name) == Some(&schema.name) {
                value
            } else {
                return Err(Broken);
            }
        }
        (Type::Int32, _) if schema.name.as_deref() == Some(TIME) && !(0..=DAY).contains(&number) => {
            return Err(Broken);
        }
        (Type::Int16, _) => Value::Int16(number as i16),
        (Type::Int32, _) => Value::Int32(number as i32),
        (Type::Int64, _) => Value::Int64(number),
        (Type::Float32, _) => Value::Float32(number as f32),
        (Type::Float64, Value::Float32(number)) => Value::Float64(f64::from(*number)),
        (Type::Float64, _) => Value::Float64(number as f64),
        (Type::Bytes, Value::Bytes(_)) => {
            let scale = schema.parameter("scale").and_then(|scale| scale.parse().ok()).ok_or(Broken)?;
            let own = own.as_deref().and_then(|own| decimal(own, &value)).ok_or(Broken)?;
            Value::Bytes(own.rescaled(scale).ok_or(Broken)?.unscaled_bytes().into())
        }
        _ => value,
    })
}

#[cfg(test)]
mod tests {
    use super::{parse, write};
    use crate::notation::text::kind;

    #[test]
    fn types_are_guessed_and_written_back() {
        let cases = [
            ("", "STRING", ""),
            ("text", "STRING", "text"),
            ("null", "-", "null"),
            ("true", "BOOLEAN", "true"),
            ("true story", "STRING", "true story"),
            ("127", "INT8", "127"),
            ("-32768", "INT16", "-32768"),
            ("+70000", "INT32", "70000"),
            ("9223372036854775807", "INT64", "9223372036854775807"),
            ("9223372036854775808", "BYTES", "9223372036854775808"),
            ("1.5", "FLOAT32", "1.5"),
            ("1e300", "FLOAT64", "1.0E300"),
            ("1e5", "INT32", "100000"),
            ("1-2", "STRING", "1-2"),
            ("2026-11-20", "INT32", "2026-11-20"),
            ("15:04:05.006Z", "INT32", "15:04:05.006Z"),
            ("2026-11-20T15:04:05.006Z", "INT64", "2026-11-20T15:04:05.006Z"),
            ("[1, 300, 70000]", "ARRAY", "[1,300,70000]"),
            ("[1, 2.5]", "ARRAY", "[1.0,2.5]"),
            ("[\"a\", \"b\"]", "ARRAY", "[\"a\",\"b\"]"),
            ("[1, \"a\"]", "-", "[1,\"a\"]"),
            ("[1, null]", "STRING", "[1, null]"),
            ("[1,,2]", "STRING", "[1,,2]"),
            ("[null, []]", "STRING", "[null, []]"),
            ("[1, []]", "-", "[1,[]]"),
            (" \"a\"", "STRING", " \"a\""),
            ("[]", "-", "[]"),
            ("[a]", "STRING", "[a]"),
            ("[1", "STRING", "[1"),
            ("{\"a\": 1, \"b\": 200}", "MAP", "{\"a\":1,\"b\":200}"),
            ("{\"a\": [1, 2]}", "MAP", "{\"a\":[1,2]}"),
            ("{}", "-", "{}"),
            ("{\"a\"}", "STRING", "{\"a\"}"),
            ("{\"a\": 1, \"a\": 2}", "MAP", "{\"a\":2}"),
        ];
        for (text, shape, written) in cases {
            let datum = parse(text);
            let schema = datum.schema.as_deref();
            assert_eq!(schema.map_or("-", |schema| kind(&schema.kind)), shape, "{text}");
            assert_eq!(write(schema, &datum.value), written, "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(write(None, &parse(&deep).value), deep);
    }
}
