//! Conditions on records: a small language without loops, functions or side effects.
//!
//! ```text
//! value.status == "open" and not (key.id in (1, 2, 3) or headers.trace exists)
//! ```
//!
//! | part | forms |
//! | --- | --- |
//! | operands | `key`, `value`, `headers.NAME` (the last of that name), `topic`, `partition`, `timestamp`; fields behind a dot or as `["name"]`, items as `[0]`; text in quotes, numbers, `true`, `false`, `null` |
//! | comparisons | `==` `!=` `<` `<=` `>` `>=`, `contains` (text or an item), `starts with`, `ends with`, `in (…)`, `exists` (is there and not null) |
//! | logic | `and` (`&&`), `or` (`||`), `not` (`!`), parentheses |
//!
//! What is not there is null. Every condition is true or false for every record: values of different types are not equal, and
//! neither is greater. Numbers of all widths compare by value.

use std::cmp::Ordering;

use crate::notation::literal;
use crate::notation::text::Meaning;
use crate::record::{ConnectSchema, Datum, Record};
use crate::value::Value;

/// The longest condition, in bytes.
const LENGTH_MAX: usize = 10_000;
/// How deep parentheses and `not` may nest.
const NESTING_MAX: usize = 50;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    /// The operand is true.
    True(Operand),
    Exists(Operand),
    Compare(Operand, Comparison, Operand),
    In(Operand, Vec<Operand>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Literal(Value),
    Path(Root, Vec<Step>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Root {
    Key,
    Value,
    Header(String),
    Topic,
    Partition,
    Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Field(String),
    Item(usize),
}

impl Condition {
    /// Reads a condition; the error says what is wrong, and at which byte.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("a condition has at most {LENGTH_MAX} bytes"));
        }
        let mut reader = Reader { text, at: 0 };
        let condition = reader.any(0)?;
        reader.skip_blank();
        if reader.at < text.len() { reader.fail("the condition has ended") } else { Ok(condition) }
    }

    /// Whether it holds for a record.
    pub(super) fn holds(&self, record: &Record) -> bool {
        match self {
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(record)),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(record)),
            Self::Not(condition) => !condition.holds(record),
            Self::True(operand) => operand.of(record) == Value::Boolean(true),
            Self::Exists(operand) => operand.of(record) != Value::Null,
            Self::Compare(left, comparison, right) => comparison.holds(&left.of(record), &right.of(record)),
            Self::In(operand, list) => {
                let value = operand.of(record);
                list.iter().any(|item| Comparison::Equal.holds(&value, &item.of(record)))
            }
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        match (self, left, right) {
            (Self::Equal, _, _) => equal(left, right),
            (Self::NotEqual, _, _) => !equal(left, right),
            (Self::Less, _, _) => order(left, right) == Some(Ordering::Less),
            (Self::AtMost, _, _) => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
            (Self::Greater, _, _) => order(left, right) == Some(Ordering::Greater),
            (Self::AtLeast, _, _) => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
            (Self::Contains, Value::Array(items), item) => items.iter().any(|known| equal(known, item)),
            (Self::Contains, Value::String(text), Value::String(part)) => text.contains(&**part),
            (Self::StartsWith, Value::String(text), Value::String(part)) => text.starts_with(&**part),
            (Self::EndsWith, Value::String(text), Value::String(part)) => text.ends_with(&**part),
            _ => false,
        }
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    left == right || order(left, right) == Some(Ordering::Equal)
}

/// Numbers and texts have an order, and truth values; nothing else does.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (whole(left), whole(right)) {
        return Some(left.cmp(&right));
    }
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        _ => number(left)?.partial_cmp(&number(right)?),
    }
}

fn whole(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Int8(number) => (*number).into(),
        Value::Int16(number) => (*number).into(),
        Value::Int32(number) => (*number).into(),
        Value::Int64(number) => *number,
        _ => return None,
    })
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float32(number) => Some((*number).into()),
        Value::Float64(number) => Some(*number),
        other => whole(other).map(|number| number as f64),
    }
}

impl Operand {
    fn of(&self, record: &Record) -> Value {
        let (root, steps) = match self {
            Self::Literal(value) => return value.clone(),
            Self::Path(root, steps) => (root, steps),
        };
        let datum = match root {
            Root::Key => Some(&record.key),
            Root::Value => Some(&record.value),
            Root::Header(name) => {
                record.headers.iter().rev().find(|header| header.name == *name).map(|header| &header.value)
            }
            Root::Topic => return Value::String(record.topic.clone()),
            Root::Partition => return record.partition.map_or(Value::Null, Value::Int32),
            Root::Timestamp => return record.timestamp.map_or(Value::Null, Value::Int64),
        };
        datum.map(|datum| follow(datum, steps)).unwrap_or_default()
    }
}

fn follow(datum: &Datum, steps: &[Step]) -> Value {
    let (mut schema, mut value) = (datum.schema.as_deref(), Some(&datum.value));
    for step in steps {
        let next = match (step, value) {
            (Step::Field(name), Some(Value::Struct(fields))) => fields.get(name),
            (Step::Field(name), Some(Value::Map(entries))) => {
                let is_meant = |(key, _): &&(Value, Value)| matches!(key, Value::String(key) if key == name);
                entries.iter().rev().find(is_meant).map(|(_, value)| value)
            }
            (Step::Item(index), Some(Value::Array(items))) => items.get(*index),
            _ => None,
        };
        schema = match step {
            Step::Field(name) => schema.and_then(|schema| schema.field(name)).map(|field| &*field.schema),
            Step::Item(_) => None,
        };
        value = next;
    }
    value.map(|value| readable(schema, value)).unwrap_or_default()
}

/// A decimal is compared as a floating-point number.
fn readable(schema: Option<&ConnectSchema>, value: &Value) -> Value {
    if let (Meaning::Decimal, Some(schema)) = (Meaning::of(schema), schema)
        && let Some(decimal) = crate::notation::text::decimal(schema, value)
    {
        return Value::Float64(decimal.to_f64());
    }
    value.clone()
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("{why} at byte {}", self.at))
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blank(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip_blank();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    fn name(&self) -> &str {
        let rest = self.rest();
        let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '-'));
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn word(&mut self, word: &str) -> bool {
        self.skip_blank();
        let is_next = self.name() == word;
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn any(&mut self, depth: usize) -> Result<Condition, String> {
        let mut conditions = vec![self.all(depth)?];
        while self.word("or") || self.take("||") {
            conditions.push(self.all(depth)?);
        }
        Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions) })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, String> {
        let mut conditions = vec![self.one(depth)?];
        while self.word("and") || self.take("&&") {
            conditions.push(self.one(depth)?);
        }
        Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::All(conditions) })
    }

    fn one(&mut self, depth: usize) -> Result<Condition, String> {
        if depth > NESTING_MAX {
            return self.fail("the condition nests too deep");
        }
        if self.word("not") || self.take("!") {
            return Ok(Condition::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take("(") {
            let condition = self.any(depth + 1)?;
            return if self.take(")") {
                Ok(condition)
            } else {
                self.fail("a closing parenthesis is expected")
            };
        }
        let operand = self.operand()?;
        if self.word("exists") {
            return Ok(Condition::Exists(operand));
        }
        if self.word("in") {
            return Ok(Condition::In(operand, self.list()?));
        }
        match self.comparison()? {
            Some(comparison) => Ok(Condition::Compare(operand, comparison, self.operand()?)),
            None => Ok(Condition::True(operand)),
        }
    }

    fn comparison(&mut self) -> Result<Option<Comparison>, String> {
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::AtMost),
            ("<", Comparison::Less),
            (">=", Comparison::AtLeast),
            (">", Comparison::Greater),
        ];
        for (sign, comparison) in signs {
            if self.take(sign) {
                return Ok(Some(comparison));
            }
        }
        if self.word("contains") {
            return Ok(Some(Comparison::Contains));
        }
        for (word, comparison) in [("starts", Comparison::StartsWith), ("ends", Comparison::EndsWith)] {
            if self.word(word) {
                return if self.word("with") {
                    Ok(Some(comparison))
                } else {
                    self.fail("`with` is expected")
                };
            }
        }
        Ok(None)
    }

    fn list(&mut self) -> Result<Vec<Operand>, String> {
        if !self.take("(") {
            return self.fail("an opening parenthesis is expected");
        }
        let mut list = vec![self.operand()?];
        while self.take(",") {
            list.push(self.operand()?);
        }
        if self.take(")") { Ok(list) } else { self.fail("a closing parenthesis is expected") }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.skip_blank();
        if self.rest().starts_with(['"', '\'']) {
            return Ok(Operand::Literal(Value::String(self.quoted()?.into())));
        }
        if self.rest().starts_with(|letter: char| letter.is_ascii_digit() || letter == '-') {
            return self.number();
        }
        let word = self.name().to_owned();
        self.at += word.len();
        let root = match word.as_str() {
            "true" => return Ok(Operand::Literal(Value::Boolean(true))),
            "false" => return Ok(Operand::Literal(Value::Boolean(false))),
            "null" => return Ok(Operand::Literal(Value::Null)),
            "key" => Root::Key,
            "value" => Root::Value,
            "topic" => Root::Topic,
            "partition" => Root::Partition,
            "timestamp" => Root::Timestamp,
            "headers" => match self.step()? {
                Some(Step::Field(name)) => Root::Header(name),
                _ => return self.fail("the name of a header is expected"),
            },
            _ => {
                self.at -= word.len();
                return self
                    .fail("key, value, headers, topic, partition, timestamp or a literal is expected");
            }
        };
        let mut steps = Vec::new();
        while let Some(step) = self.step()? {
            steps.push(step);
        }
        Ok(Operand::Path(root, steps))
    }

    fn step(&mut self) -> Result<Option<Step>, String> {
        if self.rest().starts_with('.') {
            self.at += 1;
            let name = self.name().to_owned();
            self.at += name.len();
            return if name.is_empty() {
                self.fail("a name is expected")
            } else {
                Ok(Some(Step::Field(name)))
            };
        }
        if !self.rest().starts_with('[') {
            return Ok(None);
        }
        self.at += 1;
        self.skip_blank();
        let step = if self.rest().starts_with(['"', '\'']) {
            Step::Field(self.quoted()?)
        } else {
            let digits = self.name().to_owned();
            self.at += digits.len();
            match digits.parse() {
                Ok(index) => Step::Item(index),
                Err(_) => return self.fail("a name in quotes or a number is expected"),
            }
        };
        if self.take("]") { Ok(Some(step)) } else { self.fail("a closing bracket is expected") }
    }

    fn number(&mut self) -> Result<Operand, String> {
        let rest = self.rest();
        let end =
            rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '+')));
        let digits = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        match literal::parse(digits).value {
            Value::Float32(_) | Value::Float64(_) => match digits.parse() {
                Ok(number) => {
                    self.at += digits.len();
                    Ok(Operand::Literal(Value::Float64(number)))
                }
                Err(_) => self.fail("a number is expected"),
            },
            value if whole(&value).is_some() => {
                self.at += digits.len();
                Ok(Operand::Literal(value))
            }
            _ => self.fail("a number is expected"),
        }
    }

    /// Text between quotes of a kind; a backslash takes the meaning of what follows it.
    fn quoted(&mut self) -> Result<String, String> {
        let mut letters = self.rest().char_indices();
        let Some((_, quote)) = letters.next() else { return self.fail("a text is expected") };
        let mut text = String::new();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                end if end == quote => {
                    self.at += at + 1;
                    return Ok(text);
                }
                other => text.push(other),
            }
        }
        self.fail("a text does not end")
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;
    use crate::notation::literal;
    use crate::record::{Datum, Header, Position, Record, SourceOffset};
    use crate::value::Value;

    fn record() -> Record {
        let text = |text: &'static str| Value::String(text.into());
        let value = Value::Map(vec![
            (text("status"), text("open")),
            (text("total"), Value::Float64(9.5)),
            (text("count"), Value::Int64(3)),
            (text("tags"), Value::Array(vec![text("a"), text("b")])),
            (text("odd name"), Value::record(vec![("in".into(), Value::Boolean(true))])),
            (text("gone"), Value::Null),
        ]);
        let position =
            Position { partition: Default::default(), offset: SourceOffset::Map(Default::default()) };
        let mut record = Record::new("orders", Datum::schemaless(value), position);
        record.partition = Some(2);
        record.headers.push(Header { name: "trace".into(), value: literal::parse("7") });
        record
    }

    #[test]
    fn conditions_hold_or_not() {
        let cases = [
            ("value.status == 'open'", true),
            ("value.status == \"closed\"", false),
            ("value.status != 'closed' and value.total > 9", true),
            ("value.total >= 9.5 && value.total < 1e1", true),
            ("value.count == 3", true),
            ("value.count == 3.0", true),
            ("value.count == '3'", false),
            ("value.count != '3'", true),
            ("value.count > 'a'", false),
            ("value.count in (1, 2, 3)", true),
            ("value.status in ('a', 'b')", false),
            ("value.tags contains 'b'", true),
            ("value.tags[0] == 'a' and not value.tags[9] exists", true),
            ("value.status starts with 'op' and value.status ends with 'en'", true),
            ("value.status contains 'pe'", true),
            ("value[\"odd name\"].in", true),
            ("!value['odd name'].in || false", false),
            ("headers.trace == 7 and topic == 'orders' and partition == 2", true),
            ("headers.other exists or timestamp exists", false),
            ("value.gone == null and value.never == null", true),
            ("value.never.deeper < 1", false),
            ("key == null", true),
            ("not (true and false) or false", true),
            ("value.count > -1", true),
        ];
        for (text, holds) in cases {
            let condition = Condition::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(condition.holds(&record()), holds, "{text}");
        }
    }

    #[test]
    fn broken_conditions_are_refused() {
        let cases = [
            ("", "key, value, headers, topic, partition, timestamp or a literal is expected at byte 0"),
            ("value.", "a name is expected at byte 6"),
            (
                "value == ",
                "key, value, headers, topic, partition, timestamp or a literal is expected at byte 9",
            ),
            ("value == 1 1", "the condition has ended at byte 11"),
            ("(value", "a closing parenthesis is expected at byte 6"),
            ("value == 'a", "a text does not end at byte 9"),
            ("headers == 1", "the name of a header is expected at byte 7"),
            ("value[x]", "a name in quotes or a number is expected at byte 7"),
            ("value starts 'a'", "`with` is expected at byte 13"),
            ("value == 1x", "a number is expected at byte 9"),
        ];
        for (text, error) in cases {
            assert_eq!(Condition::read(text).expect_err(text), error);
        }
        for deep in ["(".repeat(5000), "not ".repeat(2000), "!".repeat(9000)] {
            assert!(Condition::read(&deep).expect_err("deep").contains("nests too deep"));
        }
        assert!(Condition::read(&"v".repeat(10_001)).is_err());
    }
}
