//! JSON as it is written: every node knows its place in the text, objects keep the order of their keys, and numbers keep
//! their digits.
//!
//! Why not a library's value: identity is computed on the text, so neither numbers nor order may change on the way, and an
//! error names a line and a column.

use indexmap::IndexMap;

use super::number::Decimal;
use crate::schema::{ParseError, Position};

/// The longest text, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// How deep arrays and objects may nest.
pub(super) const NESTING_MAX: usize = 100;

/// How much of a text an error repeats, in characters.
pub(super) const ECHO_MAX: usize = 80;

/// A node and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The offset of its first byte.
    pub(super) at: usize,
    pub(super) node: Node,
}

/// What JSON has.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    /// As written.
    Number(String),
    String(String),
    Array(Vec<Item>),
    /// The last value of a key counts, at the place of the first.
    Object(IndexMap<String, Item>),
}

impl Item {
    pub(super) fn parse(text: &str) -> Result<Item, ParseError> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("the text has {} bytes; at most {TEXT_BYTES_MAX} are taken", text.len());
            return Err(ParseError { message, position: None });
        }
        let mut parser = Parser { text, at: 0 };
        parser.document().map_err(|fault| fault.locate(text))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.object()?.get(key)
    }

    pub(super) fn object(&self) -> Option<&IndexMap<String, Item>> {
        match &self.node {
            Node::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn array(&self) -> Option<&[Item]> {
        match &self.node {
            Node::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn string(&self) -> Option<&str> {
        match &self.node {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.node {
            Node::Boolean(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<Decimal> {
        match &self.node {
            Node::Number(text) => Decimal::read(text),
            _ => None,
        }
    }

    /// Follows the tokens of a JSON pointer, already unescaped.
    pub(super) fn step(&self, token: &str) -> Option<&Item> {
        match &self.node {
            Node::Object(members) => members.get(token),
            Node::Array(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The text without layout: order kept, numbers as written.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, false);
        text
    }

    /// The text without differences that mean nothing: keys in order, numbers in one form.
    pub(super) fn normalized(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, true);
        text
    }

    fn write(&self, text: &mut String, normal: bool) {
        match &self.node {
            Node::Null => text.push_str("null"),
            Node::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
            Node::Number(number) if normal => match Decimal::read(number) {
                Some(decimal) => text.push_str(&decimal.text()),
                None => text.push_str(number),
            },
            Node::Number(number) => text.push_str(number),
            Node::String(string) => write_string(text, string),
            Node::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    item.write(text, normal);
                }
                text.push(']');
            }
            Node::Object(members) => {
                let mut members: Vec<(&String, &Item)> = members.iter().collect();
                if normal {
                    members.sort_by_key(|(key, _)| *key);
                }
                text.push('{');
                for (index, (key, item)) in members.into_iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    write_string(text, key);
                    text.push(':');
                    item.write(text, normal);
                }
                text.push('}');
            }
        }
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

/// Writes a string with the escapes that JSON demands and no others.
pub(super) fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", control as u32)),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// The line and column of an offset.
pub(super) fn position(text: &str, at: usize) -> Position {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Position { line, column }
}

/// The beginning of a text, as long as an error may repeat it.
pub(super) fn echo(text: &str) -> String {
    match text.char_indices().nth(ECHO_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What is wrong at an offset.
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn locate(self, text: &str) -> ParseError {
        ParseError { position: Some(position(text, self.at)), message: self.message }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Item, Fault> {
        let item = self.value(0)?;
        self.space();
        match self.peek() {
            None => Ok(item),
            Some(_) => Err(self.unexpected("the end of the text")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { at: self.at, message: message.into() }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => self.fault(format!("found {found:?} where {wanted} should be")),
            None => self.fault(format!("the text ends where {wanted} should be")),
        }
    }

    fn demand(&mut self, wanted: u8, name: &str) -> Result<(), Fault> {
        if self.peek() != Some(wanted) {
            return Err(self.unexpected(name));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Item, Fault> {
        self.space();
        let at = self.at;
        if depth > NESTING_MAX {
            return Err(self.fault(format!("nested deeper than {NESTING_MAX} levels")));
        }
        let node = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Node::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Node::Boolean(true))?,
            Some(b'f') => self.word("false", Node::Boolean(false))?,
            Some(b'n') => self.word("null", Node::Null)?,
            _ => return Err(self.unexpected("a value of JSON")),
        };
        Ok(Item { at, node })
    }

    fn word(&mut self, word: &str, node: Node) -> Result<Node, Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected("a value of JSON"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn object(&mut self, depth: usize) -> Result<Node, Fault> {
        self.demand(b'{', "'{'")?;
        let mut members = IndexMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in quotes"));
            }
            let key = self.string()?;
            self.space();
            self.demand(b':', "':'")?;
            let item = self.value(depth + 1)?;
            members.insert(key, item);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.demand(b'}', "',' or '}'")?;
            return Ok(Node::Object(members));
        }
    }

    fn array(&mut self, depth: usize) -> Result<Node, Fault> {
        self.demand(b'[', "'['")?;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.demand(b']', "',' or ']'")?;
            return Ok(Node::Array(items));
        }
    }

    fn number(&mut self) -> Result<Node, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if Decimal::read(text).is_none() {
            return Err(Fault { at: start, message: format!("the number {} is out of range", echo(text)) });
        }
        Ok(Node::Number(text.to_owned()))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.demand(b'"', "'\"'")?;
        let mut string = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            string.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return Err(self.fault("a control character in a string must be escaped")),
                None => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let escaped = self.peek();
        self.at += 1;
        Ok(match escaped {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at -= 1;
                return Err(self.unexpected("one of \"\\/bfnrtu after a backslash"));
            }
        })
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let first = self.hexadecimal()?;
        if let Some(character) = char::from_u32(first) {
            return Ok(character);
        }
        let lone = Fault { at: start, message: "half of a surrogate pair is no character".to_owned() };
        if first >= 0xdc00 || !self.text[self.at..].starts_with("\\u") {
            return Err(lone);
        }
        self.at += 2;
        let second = self.hexadecimal()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    fn hexadecimal(&mut self) -> Result<u32, Fault> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let Some(value) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(self.unexpected("four hexadecimal digits"));
        };
        self.at += 4;
        Ok(value)
    }
}
