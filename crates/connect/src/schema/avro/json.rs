//! JSON as schemas of Avro are written in it: every value knows its place, objects keep their order, and comments are
//! allowed, as Avro's own parser allows them.
//!
//! Why not a JSON library: the place of a value is lost in theirs, and with it the line and the column of an error that
//! is found only after parsing, such as an unknown type.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

/// Values may stand within so many others. Each nested record takes three.
const NESTING_MAX: usize = 512;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Json {
    pub(super) value: JsonValue,
    /// The offset of its first byte in the text.
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum JsonValue {
    Null,
    Boolean(bool),
    /// A number without a fraction, as it was written.
    Integer(String),
    Float(f64),
    String(String),
    Array(Vec<Json>),
    /// Of a key that is given twice the last value counts, at the place of the first.
    Object(Vec<(String, Json)>),
}

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) message: Cow<'static, str>,
    /// An offset in bytes.
    pub(super) at: usize,
}

impl Fault {
    pub(super) fn new(message: impl Into<Cow<'static, str>>, at: usize) -> Self {
        Self { message: message.into(), at }
    }
}

impl Json {
    /// What is behind a key of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Json> {
        match &self.value {
            JsonValue::Object(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.value {
            JsonValue::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_array(&self) -> Option<&[Json]> {
        match &self.value {
            JsonValue::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The number, when it is one without a fraction that fits.
    pub(super) fn as_i64(&self) -> Option<i64> {
        match &self.value {
            JsonValue::Integer(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// The shortest text of the value; keys stay in their order.
    pub(super) fn write(&self, text: &mut String) {
        self.write_as(text, false);
    }

    /// The shortest text of the value, with keys in alphabetical order.
    pub(super) fn write_sorted(&self, text: &mut String) {
        self.write_as(text, true);
    }

    fn write_as(&self, text: &mut String, sorted: bool) {
        match &self.value {
            JsonValue::Null => text.push_str("null"),
            JsonValue::Boolean(value) => text.push_str(if *value { "true" } else { "false" }),
            JsonValue::Integer(digits) => text.push_str(digits),
            JsonValue::Float(number) => write_float(text, *number),
            JsonValue::String(value) => write_string(text, value),
            JsonValue::Array(items) => {
                let mut separator = '[';
                for item in items {
                    text.push(separator);
                    item.write_as(text, sorted);
                    separator = ',';
                }
                text.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            JsonValue::Object(entries) => {
                let mut entries: Vec<&(String, Json)> = entries.iter().collect();
                if sorted {
                    entries.sort_by(|left, right| left.0.cmp(&right.0));
                }
                let mut separator = '{';
                for (key, value) in &entries {
                    text.push(separator);
                    write_string(text, key);
                    text.push(':');
                    value.write_as(text, sorted);
                    separator = ',';
                }
                text.push_str(if entries.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

/// Writes a string with its quotes, escaping no more than JSON demands.
pub(super) fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
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

/// Writes a number as Java does, whose schemas registries are full of: `1.0`, `1.0E10`, `1.5E-5`.
fn write_float(text: &mut String, number: f64) {
    if !number.is_finite() {
        let sign = if number < 0.0 { "-" } else { "" };
        let word = if number.is_nan() { "NaN" } else { "Infinity" };
        let _infallible = write!(text, "\"{sign}{word}\"");
        return;
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let _infallible = write!(text, "{number:?}");
        return;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    text.push_str(digits);
    if !digits.contains('.') {
        text.push_str(".0");
    }
    text.push('E');
    text.push_str(exponent);
}

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Json, Fault> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.skip_blank()?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(Fault::new("there is more text behind the end of the schema", parser.at)),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let end = if rest.starts_with("//") {
            Some(rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else {
            None
        };
        let length = end.ok_or_else(|| Fault::new("`/` starts no comment that ends", self.at))?;
        self.at += length;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json, Fault> {
        self.skip_blank()?;
        let at = self.at;
        if depth == NESTING_MAX {
            return Err(Fault::new(format!("values are nested more than {NESTING_MAX} deep"), at));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => JsonValue::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => self.word()?,
            None if at == 0 => return Err(Fault::new("the text is empty", at)),
            None => return Err(Fault::new("the text ends where a value is expected", at)),
        };
        Ok(Json { value, at })
    }

    fn word(&mut self) -> Result<JsonValue, Fault> {
        for (word, value) in [
            ("null", JsonValue::Null),
            ("true", JsonValue::Boolean(true)),
            ("false", JsonValue::Boolean(false)),
        ] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(Fault::new("a JSON value is expected; names of types stand in quotes", self.at))
    }

    fn array(&mut self, depth: usize) -> Result<JsonValue, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        if self.closes(b']')? {
            return Ok(JsonValue::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.ends(b']')? {
                return Ok(JsonValue::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<JsonValue, Fault> {
        let mut entries = Entries::default();
        self.at += 1;
        if self.closes(b'}')? {
            return Ok(JsonValue::Object(entries.list));
        }
        loop {
            self.skip_blank()?;
            if self.peek() != Some(b'"') {
                return Err(Fault::new("a key in quotes is expected", self.at));
            }
            let key = self.string()?;
            self.skip_blank()?;
            if self.peek() != Some(b':') {
                return Err(Fault::new("`:` is expected behind a key", self.at));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            entries.put(key, value);
            if self.ends(b'}')? {
                return Ok(JsonValue::Object(entries.list));
            }
        }
    }

    /// Whether the closing bracket follows at once.
    fn closes(&mut self, bracket: u8) -> Result<bool, Fault> {
        self.skip_blank()?;
        let closes = self.peek() == Some(bracket);
        self.at += usize::from(closes);
        Ok(closes)
    }

    /// Whether the closing bracket follows, and not a comma.
    fn ends(&mut self, bracket: u8) -> Result<bool, Fault> {
        self.skip_blank()?;
        match self.peek() {
            Some(b',') => {}
            Some(byte) if byte == bracket => {
                self.at += 1;
                return Ok(true);
            }
            _ => {
                let message = format!("`,` or `{}` is expected", char::from(bracket));
                return Err(Fault::new(message, self.at));
            }
        }
        self.at += 1;
        Ok(false)
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(|character: char| matches!(character, '"' | '\\') || character < ' ');
            let Some(plain) = plain else {
                return Err(Fault::new("a string is not closed", start));
            };
            value.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                _ => {
                    return Err(Fault::new("a control character in a string must be escaped", self.at));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at;
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => self.unicode(at)?,
            _ => return Err(Fault::new("an unknown escape in a string", at)),
        })
    }

    fn unicode(&mut self, at: usize) -> Result<char, Fault> {
        let fault =
            || Fault::new("`\\u` needs four hexadecimal digits, and halves of a pair come together", at);
        let first = self.hexadecimal().ok_or_else(fault)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(fault);
        }
        if !self.rest().starts_with("\\u") {
            return Err(fault());
        }
        self.at += 2;
        let second = self.hexadecimal().filter(|half| (0xdc00..0xe000).contains(half)).ok_or_else(fault)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or_else(fault)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    fn number(&mut self) -> Result<JsonValue, Fault> {
        let at = self.at;
        let number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest().bytes().take_while(|byte| number(*byte)).count();
        let digits = self.rest().get(..length).unwrap_or_default().to_owned();
        self.at += length;
        if !is_number(&digits) {
            return Err(Fault::new("a malformed number", at));
        }
        if !digits.contains(['.', 'e', 'E']) {
            let digits = if digits == "-0" { "0".to_owned() } else { digits };
            return Ok(JsonValue::Integer(digits));
        }
        match digits.parse::<f64>() {
            Ok(value) => Ok(JsonValue::Float(value)),
            Err(_) => Err(Fault::new("a malformed number", at)),
        }
    }
}

/// Whether JSON allows the number: no leading zero or plus, digits around the point and behind the exponent.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = |text: &str| digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(unsigned)
}

/// The entries of an object while it is read.
#[derive(Default)]
struct Entries {
    list: Vec<(String, Json)>,
    /// Where each key stands, once there are too many to look at all.
    places: HashMap<String, usize>,
}

/// So many keys are looked at one by one.
const SEARCHED_MAX: usize = 16;

impl Entries {
    fn put(&mut self, key: String, value: Json) {
        if let Some(entry) = self.place(&key).and_then(|place| self.list.get_mut(place)) {
            entry.1 = value;
            return;
        }
        if self.list.len() == SEARCHED_MAX {
            let places = self.list.iter().enumerate().map(|(place, (key, _))| (key.clone(), place));
            self.places = places.collect();
        }
        if self.list.len() >= SEARCHED_MAX {
            self.places.insert(key.clone(), self.list.len());
        }
        self.list.push((key, value));
    }

    fn place(&self, key: &str) -> Option<usize> {
        match self.list.len() {
            0..=SEARCHED_MAX => self.list.iter().position(|(known, _)| known == key),
            _ => self.places.get(key).copied(),
        }
    }
}
