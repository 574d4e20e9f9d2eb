//! Values of options that are messages: the text format, read into a tree and laid out in one way.

use std::fmt::Write;

use prost_reflect::prost_types::UninterpretedOption;

use super::print;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// A number, a word or a quoted text, as it is written.
    Scalar(String),
    /// Fields; those of extensions have brackets around the name.
    Message(Vec<(String, Literal)>),
    /// Values.
    List(Vec<Literal>),
}

impl Literal {
    /// Reads the fields of a message from what the parser keeps of it: its tokens, with a space between any two.
    ///
    /// `None` when the tokens are not those of a message.
    pub(super) fn message(tokens: &str) -> Option<Literal> {
        let mut tokens = Tokens { rest: tokens };
        let message = tokens.fields()?;
        tokens.peek().is_none().then_some(message)
    }

    /// The value of an option.
    pub(super) fn of(option: &UninterpretedOption) -> Literal {
        let message = option.aggregate_value.as_deref().and_then(Literal::message);
        message.unwrap_or_else(|| Literal::Scalar(print::value(option)))
    }

    /// Writes it with two spaces for each level.
    pub(super) fn lay_out(&self, out: &mut String, level: usize) {
        match self {
            Literal::Scalar(text) => out.push_str(text),
            Literal::Message(fields) => block(out, level, ('{', '}'), fields, |out, (name, value)| {
                out.push_str(name);
                out.push_str(": ");
                value.lay_out(out, level + 1);
            }),
            Literal::List(values) => {
                block(out, level, ('[', ']'), values, |out, value| value.lay_out(out, level + 1));
            }
        }
    }

    /// Writes it on one line.
    pub(super) fn compact(&self, out: &mut String) {
        match self {
            Literal::Scalar(text) => out.push_str(text),
            Literal::Message(fields) => {
                out.push_str("{ ");
                Self::compact_fields(fields, out);
                out.push('}');
            }
            Literal::List(values) => {
                out.push_str("[ ");
                for (index, value) in values.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    value.compact(out);
                }
                out.push(']');
            }
        }
    }

    /// Writes fields on one line, as the parser keeps those of an option.
    pub(super) fn compact_fields(fields: &[(String, Literal)], out: &mut String) {
        for (name, value) in fields {
            out.push_str(name);
            out.push_str(": ");
            value.compact(out);
            out.push(' ');
        }
    }
}

/// What a quoted text says.
pub(super) fn text_of(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Scalar(text) if text.starts_with('"') => {
            Some(String::from_utf8_lossy(&unquoted(inside(text))).into_owned())
        }
        _ => None,
    }
}

fn block<T>(
    out: &mut String,
    level: usize,
    brackets: (char, char),
    items: &[T],
    each: impl Fn(&mut String, &T),
) {
    out.push(brackets.0);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        indent(out, level + 1);
        each(out, item);
    }
    if !items.is_empty() {
        out.push('\n');
        indent(out, level);
    }
    out.push(brackets.1);
}

/// Two spaces for each level.
pub(super) fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// `bytes` between quotes: as text where they are one, with escapes where they must be.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_escaped(&mut out, character);
        }
        for byte in chunk.invalid() {
            push_octal(&mut out, *byte);
        }
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, character: char) {
    match character {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\\' | '\'' | '"' => {
            out.push('\\');
            out.push(character);
        }
        control @ ('\0'..='\x1f' | '\x7f') => push_octal(out, control as u8),
        other => out.push(other),
    }
}

fn push_octal(out: &mut String, byte: u8) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\{byte:03o}");
}

/// The bytes that the inside of a quoted text stands for.
fn unquoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else { break };
        rest = after;
        match escape {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'v' => out.push(11),
            b'f' => out.push(12),
            b'x' | b'X' => out.push(number(&mut rest, 16, 2, 0)),
            b'0'..=b'7' => out.push(number(&mut rest, 8, 2, escape - b'0')),
            other => out.push(other),
        }
    }
    out
}

fn number(rest: &mut &[u8], radix: u32, digits_max: usize, start: u8) -> u8 {
    let mut value = u32::from(start);
    for _ in 0..digits_max {
        let Some(digit) = rest.first().and_then(|byte| char::from(*byte).to_digit(radix)) else { break };
        value = value * radix + digit;
        *rest = &rest[1..];
    }
    value.to_le_bytes()[0]
}

/// Reads tokens that have spaces between them. Its recursion is bounded by the limit on open brackets.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let first = rest.chars().next()?;
        let length = match first {
            '"' => string_length(rest),
            '{' | '}' | '[' | ']' | '<' | '>' | ',' | ';' | ':' | '-' | '/' => 1,
            _ => rest.find(|c: char| c.is_whitespace() || "{}[]<>,;:\"/".contains(c)).unwrap_or(rest.len()),
        };
        rest.get(..length.max(1))
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek()?;
        self.rest = self.rest.trim_start().get(token.len()..)?;
        Some(token)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.next();
        }
        found
    }

    fn fields(&mut self) -> Option<Literal> {
        let mut fields = Vec::new();
        while let Some(token) = self.peek() {
            if matches!(token, "}" | ">") {
                break;
            }
            let name = self.name()?;
            let colon = self.take(":");
            let value = self.value()?;
            if !colon && matches!(value, Literal::Scalar(_)) {
                return None;
            }
            fields.push((name, value));
            if !self.take(",") {
                self.take(";");
            }
        }
        Some(Literal::Message(fields))
    }

    /// A name, or one of an extension or a type between brackets.
    fn name(&mut self) -> Option<String> {
        let mut name = self.next()?.to_owned();
        if name == "[" {
            while !name.ends_with(']') {
                name.push_str(self.next()?);
            }
        }
        Some(name)
    }

    fn value(&mut self) -> Option<Literal> {
        match self.peek()? {
            "{" | "<" => {
                self.next();
                let message = self.fields()?;
                matches!(self.next()?, "}" | ">").then_some(message)
            }
            "[" => {
                self.next();
                self.list()
            }
            token if token.starts_with('"') => Some(Literal::Scalar(self.string())),
            "-" => {
                self.next();
                Some(Literal::Scalar(format!("-{}", self.next()?)))
            }
            "}" | ">" | "]" | "," | ";" | ":" | "/" => None,
            _ => self.next().map(|token| Literal::Scalar(token.to_owned())),
        }
    }

    fn list(&mut self) -> Option<Literal> {
        let mut values = Vec::new();
        if self.take("]") {
            return Some(Literal::List(values));
        }
        loop {
            values.push(self.value()?);
            match self.next()? {
                "," => {}
                "]" => return Some(Literal::List(values)),
                _ => return None,
            }
        }
    }

    /// Quoted texts that follow each other are one.
    fn string(&mut self) -> String {
        let mut bytes = Vec::new();
        while let Some(token) = self.peek().filter(|token| token.starts_with('"')) {
            bytes.extend(unquoted(inside(token)));
            self.next();
        }
        quoted(&bytes)
    }
}

/// The length in bytes of the quoted text at the start of `text`.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// What stands between the quotes.
fn inside(token: &str) -> &str {
    let inside = token.strip_prefix('"').unwrap_or(token);
    inside.strip_suffix('"').unwrap_or(inside)
}
