//! JSON as schemas are written in it: every value knows its place in the text, objects keep the order of their keys, and
//! numbers keep their digits.
//!
//! Why not a library's value: identity is computed on the text, so neither numbers nor order may change on the way, and an
//! error names a line and a column, also one that is found only after parsing.

use std::fmt::Write;

use indexmap::IndexMap;

use super::{ParseError, Position};

/// A value and where it starts.
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
    /// As the dialect keeps it.
    Number(String),
    String(String),
    Array(Vec<Item>),
    /// The last value of a key counts, at the place of the first.
    Object(Keywords),
}

/// What an object holds.
pub(super) type Keywords = IndexMap<String, Item>;

/// How a format writes JSON.
pub(super) struct Dialect {
    /// How deep arrays and objects may nest.
    pub(super) nesting_max: usize,
    /// Whether comments may stand between the parts, as in Java and C.
    pub(super) comments: bool,
    /// The text that is kept of a number; `None` for one that is out of range.
    pub(super) number: fn(&str) -> Option<String>,
}

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) message: String,
    /// An offset in bytes.
    pub(super) at: usize,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, at: usize) -> Self {
        Self { message: message.into(), at }
    }

    pub(super) fn locate(self, text: &str) -> ParseError {
        ParseError { position: Some(Position::of(text, self.at)), message: self.message }
    }
}

impl Item {
    pub(super) fn parse(text: &str, dialect: &Dialect) -> Result<Item, Fault> {
        Parser { text, dialect, at: 0 }.document()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Item> {
        self.object()?.get(key)
    }

    pub(super) fn object(&self) -> Option<&Keywords> {
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

    /// The text that was kept of a number.
    pub(super) fn digits(&self) -> Option<&str> {
        match &self.node {
            Node::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.node {
            Node::Boolean(value) => Some(value),
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

    /// The text without layout: order and numbers kept.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, None);
        text
    }

    /// The text with keys in order, and numbers in the form that `number` gives them.
    pub(super) fn sorted(&self, number: fn(&str) -> String) -> String {
        let mut text = String::new();
        self.write(&mut text, Some(number));
        text
    }

    fn write(&self, text: &mut String, sorted: Option<fn(&str) -> String>) {
        match &self.node {
            Node::Null => text.push_str("null"),
            Node::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
            Node::Number(number) => match sorted {
                Some(form) => text.push_str(&form(number)),
                None => text.push_str(number),
            },
            Node::String(string) => write_string(text, string),
            Node::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    item.write(text, sorted);
                }
                text.push(']');
            }
            Node::Object(members) => {
                let mut members: Vec<(&String, &Item)> = members.iter().collect();
                if sorted.is_some() {
                    members.sort_by_key(|(key, _)| *key);
                }
                text.push('{');
                for (index, (key, item)) in members.into_iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    write_string(text, key);
                    text.push(':');
                    item.write(text, sorted);
                }
                text.push('}');
            }
        }
    }
}

/// Writes a string with its quotes, with the escapes that JSON demands and no others.
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
            control if control < ' ' => {
                let _infallible = write!(text, "\\u{:04X}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// What was begun: where, and what it holds so far; an object also has the key of its next value.
enum Open {
    Array(usize, Vec<Item>),
    Object(usize, Keywords, String),
}

struct Parser<'a> {
    text: &'a str,
    dialect: &'a Dialect,
    at: usize,
}

impl Parser<'_> {
    /// Without recursion, which texts could make as deep as they are long.
    fn document(mut self) -> Result<Item, Fault> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.space()?;
            let at = self.at;
            let nesting_max = self.dialect.nesting_max;
            if open.len() > nesting_max {
                return Err(self.fault(format!("nested deeper than {nesting_max} levels")));
            }
            let node = match self.peek() {
                Some(b'{') if !self.opens(b'}')? => {
                    let key = self.key()?;
                    open.push(Open::Object(at, Keywords::new(), key));
                    continue;
                }
                Some(b'{') => Node::Object(Keywords::new()),
                Some(b'[') if !self.opens(b']')? => {
                    open.push(Open::Array(at, Vec::new()));
                    continue;
                }
                Some(b'[') => Node::Array(Vec::new()),
                _ => self.simple()?,
            };
            if let Some(whole) = self.put(Item { at, node }, &mut open)? {
                return Ok(whole);
            }
        }
    }

    /// Puts a value into what is open, and that into what it stands in when it ends; what stands in nothing is the whole.
    fn put(&mut self, mut item: Item, open: &mut Vec<Open>) -> Result<Option<Item>, Fault> {
        while let Some(within) = open.pop() {
            item = match within {
                Open::Array(at, mut items) => {
                    items.push(item);
                    if !self.ends(b']', "',' or ']'")? {
                        open.push(Open::Array(at, items));
                        return Ok(None);
                    }
                    Item { at, node: Node::Array(items) }
                }
                Open::Object(at, mut members, key) => {
                    members.insert(key, item);
                    if !self.ends(b'}', "',' or '}'")? {
                        let key = self.key()?;
                        open.push(Open::Object(at, members, key));
                        return Ok(None);
                    }
                    Item { at, node: Node::Object(members) }
                }
            };
        }
        self.space()?;
        match self.peek() {
            None => Ok(Some(item)),
            Some(_) => Err(self.unexpected("the end of the text")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes over what means nothing.
    fn space(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.dialect.comments => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let end = if rest.starts_with("//") {
            Some(rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else {
            None
        };
        self.at += end.ok_or_else(|| self.fault("`/` starts no comment that ends"))?;
        Ok(())
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::new(message, self.at)
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        match self.rest().chars().next() {
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

    /// A value that holds no others.
    fn simple(&mut self) -> Result<Node, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Node::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Boolean(true)),
            Some(b'f') => self.word("false", Node::Boolean(false)),
            Some(b'n') => self.word("null", Node::Null),
            _ => Err(self.unexpected("a value of JSON")),
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Result<Node, Fault> {
        if !self.rest().starts_with(word) {
            return Err(self.unexpected("a value of JSON"));
        }
        self.at += word.len();
        Ok(node)
    }

    /// A key, and the colon behind it.
    fn key(&mut self) -> Result<String, Fault> {
        self.space()?;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in quotes"));
        }
        let key = self.string()?;
        self.space()?;
        self.demand(b':', "':'")?;
        Ok(key)
    }

    /// Passes over an opening bracket, and over the closing one if that follows at once; whether it does.
    fn opens(&mut self, closing: u8) -> Result<bool, Fault> {
        self.at += 1;
        self.space()?;
        let is_empty = self.peek() == Some(closing);
        self.at += usize::from(is_empty);
        Ok(is_empty)
    }

    /// Passes over a comma or the closing bracket; whether it was the latter.
    fn ends(&mut self, closing: u8, wanted: &str) -> Result<bool, Fault> {
        self.space()?;
        if self.peek() == Some(b',') {
            self.at += 1;
            return Ok(false);
        }
        self.demand(closing, wanted)?;
        Ok(true)
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
        let text = self.text.get(start..self.at).unwrap_or_default();
        match (self.dialect.number)(text) {
            Some(number) => Ok(Node::Number(number)),
            None => Err(Fault::new(format!("the number {text:.80} is out of range"), start)),
        }
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
        self.at += 1;
        let mut string = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            string.push_str(self.text.get(start..self.at).unwrap_or_default());
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
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
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
        let lone = Fault::new("half of a surrogate pair is no character", start);
        if first >= 0xdc00 || !self.rest().starts_with("\\u") {
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
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(value) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(self.unexpected("four hexadecimal digits"));
        };
        self.at += 4;
        Ok(value)
    }
}
