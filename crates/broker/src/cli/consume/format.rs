//! How a record is printed.

use std::io::{self, Write};

use serde_json::{Value, json};
use vltava_core::id::PartitionIndex;
use vltava_core::record::Record;

/// How a record is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Pieces one after the other.
    Pieces(Vec<Piece>),
}

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// `%t`
    Topic,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%T`
    Timestamp,
    /// `%k`
    Key,
    /// `%v`
    Value,
    /// `%h`
    Headers,
    /// `%K`
    KeyLength,
    /// `%V`
    ValueLength,
}

impl Format {
    /// The value and a line end.
    pub fn value() -> Self {
        Self::Pieces(vec![Piece::Value, Piece::Text("\n".to_owned())])
    }

    /// The key, a tab, the value and a line end.
    pub fn key_and_value() -> Self {
        let text = |text: &str| Piece::Text(text.to_owned());
        Self::Pieces(vec![Piece::Key, text("\t"), Piece::Value, text("\n")])
    }

    /// Reads a format with `%` letters and `\` escapes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            match c {
                '%' => match piece(characters.next())? {
                    Some(piece) => {
                        if !plain.is_empty() {
                            pieces.push(Piece::Text(std::mem::take(&mut plain)));
                        }
                        pieces.push(piece);
                    }
                    None => plain.push('%'),
                },
                '\\' => plain.push(escape(characters.next())?),
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self::Pieces(pieces))
    }

    /// Writes one record.
    pub fn write(
        &self,
        out: &mut impl Write,
        topic: &str,
        partition: PartitionIndex,
        record: &Record<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Json => {
                serde_json::to_writer(&mut *out, &document(topic, partition, record))?;
                out.write_all(b"\n")
            }
            Self::Pieces(pieces) => {
                pieces.iter().try_for_each(|piece| piece.write(out, topic, partition, record))
            }
        }
    }
}

impl Piece {
    fn write(
        &self,
        out: &mut impl Write,
        topic: &str,
        partition: PartitionIndex,
        record: &Record<'_>,
    ) -> io::Result<()> {
        let length = |bytes: Option<&[u8]>| bytes.map_or("-1".to_owned(), |bytes| bytes.len().to_string());
        match self {
            Self::Text(text) => out.write_all(text.as_bytes()),
            Self::Topic => out.write_all(topic.as_bytes()),
            Self::Partition => write!(out, "{partition}"),
            Self::Offset => write!(out, "{}", record.offset),
            Self::Timestamp => write!(out, "{}", record.timestamp),
            Self::Key => out.write_all(record.key.unwrap_or(b"")),
            Self::Value => out.write_all(record.value.unwrap_or(b"")),
            Self::Headers => headers(out, record),
            Self::KeyLength => out.write_all(length(record.key).as_bytes()),
            Self::ValueLength => out.write_all(length(record.value).as_bytes()),
        }
    }
}

fn headers(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    for (index, header) in record.headers.iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        out.write_all(header.key)?;
        out.write_all(b"=")?;
        out.write_all(header.value.unwrap_or(b"NULL"))?;
    }
    Ok(())
}

/// The piece of a letter behind `%`; `None` for `%` itself.
fn piece(letter: Option<char>) -> Result<Option<Piece>, String> {
    Ok(Some(match letter {
        Some('%') => return Ok(None),
        Some('t') => Piece::Topic,
        Some('p') => Piece::Partition,
        Some('o') => Piece::Offset,
        Some('T') => Piece::Timestamp,
        Some('k') => Piece::Key,
        Some('v' | 's') => Piece::Value,
        Some('h') => Piece::Headers,
        Some('K') => Piece::KeyLength,
        Some('V' | 'S') => Piece::ValueLength,
        Some(other) => return Err(format!("%{other} means nothing; use %t %p %o %T %k %v %h %K %V or %%")),
        None => return Err("it ends in a single %; write %% for a percent sign".to_owned()),
    }))
}

fn escape(letter: Option<char>) -> Result<char, String> {
    match letter {
        Some('n') => Ok('\n'),
        Some('t') => Ok('\t'),
        Some('r') => Ok('\r'),
        Some('0') => Ok('\0'),
        Some('\\') => Ok('\\'),
        Some(other) => Err(format!("\\{other} means nothing; use \\n \\t \\r \\0 or \\\\")),
        None => Err("it ends in a single \\; write \\\\ for a backslash".to_owned()),
    }
}

/// A record as JSON. Bytes that are no UTF-8 stand as `{"base64": …}`.
pub fn document(topic: &str, partition: PartitionIndex, record: &Record<'_>) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|header| json!({ "key": String::from_utf8_lossy(header.key), "value": text(header.value) }))
        .collect();
    json!({
        "topic": topic,
        "partition": partition.0,
        "offset": record.offset.0,
        "timestamp": record.timestamp.0,
        "key": text(record.key),
        "value": text(record.value),
        "headers": headers,
    })
}

/// Bytes as a JSON string, or as base64 when they are no UTF-8.
pub fn text(bytes: Option<&[u8]>) -> Value {
    match bytes.map(std::str::from_utf8) {
        None => Value::Null,
        Some(Ok(text)) => Value::String(text.to_owned()),
        Some(Err(_)) => json!({ "base64": base64(bytes.unwrap_or_default()) }),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| ALPHABET.get((bits & 63) as usize).map_or('=', |letter| char::from(*letter));
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits =
            (0..3).fold(0u32, |bits, index| (bits << 8) | u32::from(chunk.get(index).copied().unwrap_or(0)));
        for index in 0..4 {
            text.push(if index <= chunk.len() { letter(bits >> (18 - 6 * index)) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use vltava_core::id::{Offset, Timestamp};
    use vltava_core::record::Headers;

    fn check(format: &str, expected: &str) {
        let record = Record {
            offset: Offset(7),
            timestamp: Timestamp(99),
            key: None,
            value: Some(b"v\xff"),
            headers: Headers::NONE,
        };
        let mut out = Vec::new();
        Format::parse(format).unwrap().write(&mut out, "t", PartitionIndex(3), &record).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), expected, "{format:?}");
    }

    #[test]
    fn formats_are_filled_in() {
        check("%t-%p@%o %T", "t-3@7 99");
        check("%k|%K|%V\\n", "|-1|2\n");
        check("100%% \\\\ \\t", "100% \\ \t");
        check("", "");
        for (format, part) in
            [("%x", "%x means nothing"), ("%", "single %"), ("\\q", "\\q means nothing"), ("\\", "single \\")]
        {
            assert!(Format::parse(format).unwrap_err().contains(part), "{format}");
        }
    }

    #[test]
    fn base64_is_rfc_4648s() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }
}
