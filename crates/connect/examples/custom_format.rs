//! A schema format of one's own: records of columns with fixed widths, as mainframes and banks exchange them.
//!
//! A schema is one line for each column: its name, its kind (`text` or `number`) and its width in bytes. A column with `?`
//! may be left out by writers of older schemas, and is then empty.
//!
//! ```text
//! account text 10
//! amount number 12
//! currency text 3 ?
//! ```
//!
//! What a registry and serializers need of a format is the trait `SchemaFormat`; `format_suite` says whether all of it
//! holds. Run it: `cargo run -p vltava-connect --features testing --example custom_format`.

use std::any::Any;
use std::fmt::Write;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use vltava_connect::schema::testing::{FormatCases, PairCase, SchemaCase, format_suite};
use vltava_connect::schema::{
    CompatibilityPolicy, DataError, Direction, EntityTags, Incompatibility, ParseError, Position,
    RenderError, Schema, SchemaFormat, SchemaText, TagChange, TagError,
};
use vltava_connect::value::Value;

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Widest column, in bytes.
const WIDTH_MAX: usize = 4096;

#[derive(Debug)]
struct ColumnsFormat;

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    kind: Kind,
    width: usize,
    optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Number,
}

#[derive(Debug)]
struct ColumnsSchema {
    columns: Vec<Column>,
    canonical: String,
}

impl SchemaFormat for ColumnsFormat {
    fn name(&self) -> &'static str {
        "COLUMNS"
    }

    fn parse(&self, text: SchemaText<'_>) -> Result<Arc<dyn Schema>, ParseError> {
        if text.text.len() > TEXT_BYTES_MAX {
            let message = format!("the schema is longer than {TEXT_BYTES_MAX} bytes");
            return Err(ParseError { message, position: None });
        }
        let mut columns: Vec<Column> = Vec::new();
        for (place, line) in text.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let error = |message: &str| ParseError {
                message: message.to_owned(),
                position: Some(Position { line: place + 1, column: 1 }),
            };
            let column = column(line).ok_or_else(|| error("write: NAME text|number WIDTH [?]"))?;
            if columns.iter().any(|known| known.name == column.name) {
                return Err(error("a column of this name is there already"));
            }
            columns.push(column);
        }
        if columns.is_empty() {
            return Err(ParseError { message: "there are no columns".to_owned(), position: None });
        }
        Ok(Arc::new(ColumnsSchema { canonical: print(&columns), columns }))
    }
}

fn column(line: &str) -> Option<Column> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let kind = match words.next()? {
        "text" => Kind::Text,
        "number" => Kind::Number,
        _ => return None,
    };
    let width = words.next()?.parse().ok().filter(|width| (1..=WIDTH_MAX).contains(width))?;
    match (words.next(), words.next()) {
        (None, None) => Some(Column { name, kind, width, optional: false }),
        (Some("?"), None) => Some(Column { name, kind, width, optional: true }),
        _ => None,
    }
}

fn print(columns: &[Column]) -> String {
    let mut text = String::new();
    for Column { name, kind, width, optional } in columns {
        let kind = if *kind == Kind::Text { "text" } else { "number" };
        let _infallible = writeln!(text, "{name} {kind} {width}{}", if *optional { " ?" } else { "" });
    }
    text
}

impl Schema for ColumnsSchema {
    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        self.canonical.clone()
    }

    fn render(&self, form: &str) -> Result<String, RenderError> {
        match form {
            "" => Ok(self.canonical.clone()),
            _ => Err(RenderError { form: form.chars().take(60).collect(), known: &[] }),
        }
    }

    fn record_name(&self) -> Option<&str> {
        None
    }

    fn has_field(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    fn tags(&self) -> Vec<EntityTags> {
        Vec::new()
    }

    fn with_tags(&self, _: &[TagChange]) -> Result<String, TagError> {
        Err(TagError::NoTags("COLUMNS"))
    }

    fn incompatibilities(
        &self,
        writer: &dyn Schema,
        direction: Direction,
        _: CompatibilityPolicy,
    ) -> Vec<Incompatibility> {
        let Some(writer) = (writer as &dyn Any).downcast_ref::<ColumnsSchema>() else {
            return vec![Incompatibility::other_format()];
        };
        let (reads, wrote) = match direction {
            Direction::NewReadsOld => ("new", "old"),
            Direction::OldReadsNew => ("old", "new"),
        };
        let problem = |column: &Column, kind, what: &str| Incompatibility {
            kind,
            path: format!("/{}", column.name),
            message: format!("The column {} of the {reads} schema {what} the {wrote} one", column.name),
            detail: column.name.clone(),
        };
        let judge = |column: &Column| match writer.columns.iter().find(|written| written.name == column.name)
        {
            None if column.optional => None,
            None => Some(problem(column, "COLUMN_MISSING", "is not there in")),
            Some(written) if written.kind != column.kind => {
                Some(problem(column, "KIND_CHANGED", "is not of the kind in"))
            }
            Some(written) if written.width > column.width => {
                Some(problem(column, "COLUMN_NARROWED", "is narrower than in"))
            }
            Some(_) => None,
        };
        self.columns.iter().filter_map(judge).collect()
    }

    fn encode(&self, _: Option<&str>, value: &Value, bytes: &mut Vec<u8>) -> Result<usize, DataError> {
        let Value::Struct(fields) = value else { return refuse("a record is expected", "") };
        for column in &self.columns {
            let field = fields.iter().find(|(name, _)| *name == column.name.as_str()).map(|(_, value)| value);
            let text = match (field, column.kind) {
                (Some(Value::String(text)), Kind::Text) if !text.ends_with(' ') => text.to_string(),
                (Some(Value::Int64(number)), Kind::Number) => number.to_string(),
                (None | Some(Value::Null), _) if column.optional => String::new(),
                _ => return refuse("the value is missing, or of another kind", &column.name),
            };
            if text.len() > column.width
                || (text.is_empty() && !column.optional && column.kind == Kind::Number)
            {
                return refuse("the value is wider than its column", &column.name);
            }
            bytes.put_slice(text.as_bytes());
            bytes.put_bytes(b' ', column.width - text.len());
        }
        if let Some((name, _)) =
            fields.iter().find(|(name, _)| self.columns.iter().all(|column| *name != column.name.as_str()))
        {
            return refuse("there is no such column", name);
        }
        Ok(0)
    }

    fn decode(&self, writer: &dyn Schema, bytes: Bytes) -> Result<Value, DataError> {
        let Some(writer) = (writer as &dyn Any).downcast_ref::<ColumnsSchema>() else {
            return refuse("the data is of another format", "");
        };
        let mut written = Vec::new();
        let mut at = 0;
        for column in &writer.columns {
            let Some(text) = bytes.get(at..at + column.width).and_then(|text| std::str::from_utf8(text).ok())
            else {
                return refuse("the record is too short, or no text", &column.name);
            };
            at += column.width;
            written.push((column, text.trim_end_matches(' ')));
        }
        if at != bytes.len() {
            return refuse("the record is too long", "");
        }
        let read = |column: &Column| {
            let found = written.iter().find(|(written, _)| written.name == column.name);
            let value = match (found, column.kind) {
                (None | Some((_, "")), _) if column.optional => Value::Null,
                (Some((_, text)), Kind::Text) => Value::String((*text).into()),
                (Some((_, text)), Kind::Number) => match text.parse() {
                    Ok(number) => Value::Int64(number),
                    Err(_) => return refuse("the number is none", &column.name),
                },
                (None, _) => return refuse("the column was not written", &column.name),
            };
            Ok((column.name.as_str().into(), value))
        };
        self.columns.iter().map(read).collect::<Result<_, _>>().map(Value::Struct)
    }
}

fn refuse<T>(message: &str, path: &str) -> Result<T, DataError> {
    let path = if path.is_empty() { String::new() } else { format!("/{path}") };
    Err(DataError { message: message.to_owned(), path })
}

fn main() {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let pair = |reader: &str, writer: &str, reasons: &[(&str, &str)]| PairCase {
        reader: reader.to_owned(),
        writer: writer.to_owned(),
        reasons: reasons.iter().map(|(kind, path)| ((*kind).to_owned(), (*path).to_owned())).collect(),
    };
    let row = |account: &'static str, amount, currency| {
        Value::record(vec![
            ("account".into(), Value::String(account.into())),
            ("amount".into(), Value::Int64(amount)),
            ("currency".into(), currency),
        ])
    };
    let transfers = SchemaCase {
        text: "account text 10\namount  number 12\n\ncurrency text 3 ?".to_owned(),
        values: vec![
            (None, row("CZ01", -250, Value::String("CZK".into()))),
            (None, row("", i64::from(i32::MAX), Value::Null)),
        ],
        misfits: vec![
            Value::Null,
            row("a very long account", 1, Value::Null),
            row("CZ01", i64::MIN, Value::Null),
        ],
        ..SchemaCase::default()
    };
    format_suite(
        &ColumnsFormat,
        &FormatCases {
            schemas: vec![transfers],
            invalid: strings(&[
                "",
                "a",
                "a text",
                "a text x",
                "a text 0",
                "a date 3",
                "a text 3 !",
                "a text 1\na text 1",
            ]),
            same_canonical: vec![strings(&["a text 1\nb number 2 ?", "\n a  text 1 \n\n b\tnumber 2  ?\n"])],
            same_normalized: vec![strings(&["a text 1", "a text 01"])],
            pairs: vec![
                pair("a text 2", "a text 1\nb text 1", &[]),
                pair("a text 1\nb text 1 ?", "a text 1", &[]),
                pair(
                    "a text 1\nb text 1",
                    "a text 2",
                    &[("COLUMN_NARROWED", "/a"), ("COLUMN_MISSING", "/b")],
                ),
                pair("a text 1", "a number 1", &[("KIND_CHANGED", "/a")]),
            ],
            openers: strings(&["a text 1\n"]),
        },
    );
    println!("{} passes the suite of formats", ColumnsFormat.name());
}

#[test]
fn the_format_passes_the_suite() {
    main();
}
