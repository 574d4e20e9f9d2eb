//! JSON in records: what Kafka's JSON converter reads and writes.
//!
//! Numbers keep their digits, so that decimals lose nothing; strings are slices of the record where they can be. As there,
//! numbers may begin with zeros, and what follows the first value is ignored.

use std::collections::HashMap;

use bytes::Bytes;
use bytestring::ByteString;

use super::Decimal;

/// How deep arrays and objects may nest.
pub const NESTING_MAX: usize = 1000;
/// The longest number, in characters.
const NUMBER_MAX: usize = 1000;
/// Objects of so many members are searched for repeated keys without a table.
const SEARCHED_MAX: usize = 16;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as it is written.
    Number(Number),
    /// Text.
    String(ByteString),
    /// Values in order.
    Array(Vec<Json>),
    /// Members in order. Of a key that is given twice the last value counts, at the place of the first.
    Object(Vec<(ByteString, Json)>),
}

/// A number, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Number(ByteString);

/// What is wrong with a text, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub message: &'static str,
    /// Where.
    pub at: usize,
}

impl Json {
    /// Reads the first value of a text; `None` when there is none.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn parse(bytes: &Bytes) -> Result<Option<Self>, JsonError> {
        let mut reader = Reader::new(bytes)?;
        if reader.peek().is_none() {
            return Ok(None);
        }
        let value = reader.value(0)?;
        reader.end_of_root(&value)?;
        Ok(Some(value))
    }

    /// The member of that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| *known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The part that a JSON pointer leads to (RFC 6901); the empty one is the whole.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        let mut steps = pointer.split('/');
        if !steps.next()?.is_empty() {
            return None;
        }
        steps.try_fold(self, |json, step| match json {
            Self::Array(list) => list.get(step.parse::<usize>().ok()?),
            _ => json.get(&step.replace("~1", "/").replace("~0", "~")),
        })
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&ByteString> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The word for its kind in messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean(_) => "BOOLEAN",
            Self::Number(_) => "NUMBER",
            Self::String(_) => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Object(_) => "OBJECT",
        }
    }
}

impl Number {
    /// As it is written.
    #[must_use]
    pub fn digits(&self) -> &ByteString {
        &self.0
    }

    /// Whether it is written without a fraction and without an exponent.
    #[must_use]
    pub fn is_integral(&self) -> bool {
        !self.0.contains(['.', 'e', 'E'])
    }

    /// The number, if it is integral and has 32 bits.
    #[must_use]
    pub fn int(&self) -> Option<i32> {
        self.0.parse().ok()
    }

    /// Its whole part, the lowest 64 bits.
    #[must_use]
    pub fn to_i64(&self) -> i64 {
        match self.0.parse() {
            Ok(number) => number,
            Err(_) => self.decimal().map_or(0, |decimal| decimal.to_i64_wrapped()),
        }
    }

    /// The nearest number of 64 bits; zero has no sign.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.0.parse::<f64>().unwrap_or(f64::NAN) + 0.0
    }

    /// The nearest number of 32 bits; zero has no sign.
    #[must_use]
    pub fn to_f32(&self) -> f32 {
        self.0.parse::<f32>().unwrap_or(f32::NAN) + 0.0
    }

    /// The number, exactly; `None` when its exponent is beyond 32 bits.
    #[must_use]
    pub fn decimal(&self) -> Option<Decimal> {
        Decimal::read(&self.0)
    }
}

/// Reads values one after another.
#[derive(Debug)]
pub struct Reader {
    text: ByteString,
    at: usize,
}

impl Reader {
    /// At the first character of a text that is not blank.
    ///
    /// # Errors
    /// When the bytes are not UTF-8.
    pub fn new(bytes: &Bytes) -> Result<Self, JsonError> {
        let text = ByteString::try_from(bytes.clone())
            .map_err(|_| JsonError { message: "the text is not UTF-8", at: 0 })?;
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut reader = Self { text, at };
        reader.skip_blank();
        Ok(reader)
    }

    /// The byte that is read next.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Where it is.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are read already.
    #[must_use]
    pub fn since(&self, start: usize) -> Bytes {
        self.text.as_bytes().slice(start..self.at)
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault<T>(&self, message: &'static str) -> Result<T, JsonError> {
        Err(JsonError { message, at: self.at })
    }

    /// Goes over blanks.
    pub fn skip_blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes over a byte and the blanks after it, if it is the next one.
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
            self.skip_blank();
        }
        is_next
    }

    /// Goes over a text that is known, if it is the next one.
    pub fn take_known(&mut self, known: &[u8]) -> bool {
        let is_next = self.rest().as_bytes().starts_with(known);
        if is_next {
            self.at += known.len();
        }
        is_next
    }

    /// After the first value: a number or a word must end there.
    ///
    /// # Errors
    /// When it does not.
    pub fn end_of_root(&self, value: &Json) -> Result<(), JsonError> {
        let blank = matches!(self.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r'));
        if blank || !matches!(value, Json::Number(_)) {
            return Ok(());
        }
        self.fault("a space is missing behind the value")
    }

    /// Reads a value. `depth` is the number of arrays and objects around it.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
            None => self.fault("a value is missing"),
        }
    }

    fn word(&mut self) -> Result<Json, JsonError> {
        let length = self.rest().bytes().take_while(u8::is_ascii_alphanumeric).count();
        let value = match self.rest().get(..length) {
            Some("null") => Json::Null,
            Some("true") => Json::Boolean(true),
            Some("false") => Json::Boolean(false),
            _ => return self.fault("a value is expected"),
        };
        self.at += length;
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let text = self.rest();
        let sign = usize::from(text.starts_with('-'));
        let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
        let whole = digits(sign);
        let mut length = sign + whole;
        if whole == 0 {
            return self.fault("a number has no digits");
        }
        if text.as_bytes().get(length) == Some(&b'.') {
            let fraction = digits(length + 1);
            if fraction == 0 {
                return self.fault("a number has no digits behind its point");
            }
            length += 1 + fraction;
        }
        if matches!(text.as_bytes().get(length), Some(b'e' | b'E')) {
            let signed = matches!(text.as_bytes().get(length + 1), Some(b'+' | b'-'));
            let exponent = digits(length + 1 + usize::from(signed));
            if exponent == 0 {
                return self.fault("a number has no digits in its exponent");
            }
            length += 1 + usize::from(signed) + exponent;
        }
        if length > NUMBER_MAX {
            return self.fault("a number is too long");
        }
        let number = self.text.slice_ref(text.get(..length).unwrap_or_default());
        self.at += length;
        Ok(Json::Number(Number(number)))
    }

    /// Reads a string; the next byte is its quote.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn string(&mut self) -> Result<ByteString, JsonError> {
        if self.peek() != Some(b'"') {
            return self.fault("a string is expected");
        }
        self.at += 1;
        let start = self.at;
        self.at = self.plain();
        let plain = self.text.get(start..self.at).unwrap_or_default();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(self.text.slice_ref(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text.into());
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    let end = self.plain();
                    if end == self.at {
                        return self.fault("a control character must be escaped");
                    }
                    text.push_str(self.text.get(self.at..end).unwrap_or_default());
                    self.at = end;
                }
                None => return self.fault("a string does not end"),
            }
        }
    }

    /// Where the characters that stand for themselves end.
    fn plain(&self) -> usize {
        let special = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
        self.at + self.rest().bytes().take_while(special).count()
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        let character = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fault("an escape is not known"),
        };
        self.at += 2;
        Ok(character)
    }

    /// A character by its number; half of a pair, which is none, becomes a question mark.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let Some(first) = self.unit(self.at) else { return self.fault("an escape has no four digits") };
        self.at += 6;
        let second = self.unit(self.at).filter(|unit| (0xdc00..0xe000).contains(unit));
        if let (0xd800..0xdc00, Some(second)) = (first, second) {
            self.at += 6;
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(first).unwrap_or('?'))
    }

    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.enter(depth, b'[')?;
        let mut items = Vec::new();
        if self.closed(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_blank();
            if self.closed(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return self.fault("a comma is expected");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.enter(depth, b'{')?;
        let mut members = Vec::new();
        if self.closed(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            let key = self.key()?;
            members.push((key, self.value(depth)?));
            self.skip_blank();
            if self.closed(b'}') {
                return Ok(Json::Object(once_each(members)));
            }
            if !self.take(b',') {
                return self.fault("a comma is expected");
            }
        }
    }

    fn enter(&mut self, depth: usize, bracket: u8) -> Result<(), JsonError> {
        if depth > NESTING_MAX {
            return self.fault("the value nests too deep");
        }
        self.take(bracket);
        Ok(())
    }

    /// Goes over a closing bracket, but not over what follows it.
    pub fn closed(&mut self, bracket: u8) -> bool {
        let is_next = self.peek() == Some(bracket);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads the key of a member, its colon and the blanks after that.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn key(&mut self) -> Result<ByteString, JsonError> {
        let key = self.string()?;
        self.skip_blank();
        if !self.take(b':') {
            return self.fault("a colon is expected");
        }
        Ok(key)
    }
}

/// The last value of each key, at the place of its first.
pub(crate) fn once_each<K: Clone + Eq + std::hash::Hash, V>(members: Vec<(K, V)>) -> Vec<(K, V)> {
    let repeats = if members.len() <= SEARCHED_MAX {
        (1..members.len()).any(|end| members[..end].iter().any(|(key, _)| *key == members[end].0))
    } else {
        members.iter().map(|(key, _)| key).collect::<std::collections::HashSet<_>>().len() < members.len()
    };
    if !repeats {
        return members;
    }
    let mut places = HashMap::new();
    let mut kept: Vec<(K, V)> = Vec::new();
    for (key, value) in members {
        match places.get(&key).and_then(|place: &usize| kept.get_mut(*place)) {
            Some(known) => known.1 = value,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

/// Writes a string with its quotes. Characters beyond the first plane are escaped, as pairs.
pub fn write_string(text: &mut String, string: &str) {
    text.push('"');
    let mut rest = string;
    while let Some(special) =
        rest.find(|letter: char| !(' '..='\u{ffff}').contains(&letter) || matches!(letter, '"' | '\\'))
    {
        let (plain, others) = rest.split_at(special);
        text.push_str(plain);
        let Some(letter) = others.chars().next() else { break };
        write_escaped(text, letter);
        rest = others.get(letter.len_utf8()..).unwrap_or_default();
    }
    text.push_str(rest);
    text.push('"');
}

fn write_escaped(text: &mut String, letter: char) {
    let short = match letter {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04X}"));
            }
            return;
        }
    };
    text.push_str(short);
}
