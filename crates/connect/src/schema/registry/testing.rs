//! The smallest format that has everything: a schema is a list of words.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::schema::{
    CompatibilityPolicy, DataError, Direction, EntityTags, Incompatibility, ParseError, Position,
    RenderError, Schema, SchemaFormat, SchemaText, TagChange, TagError,
};
use crate::value::Value;

/// Schemas that are words. A word without a question mark is needed by who reads; `@name` stands for the words of a
/// reference. Data are one text.
#[derive(Clone, Copy, Debug)]
pub struct WordsFormat;

/// A schema of [`WordsFormat`].
#[derive(Debug)]
struct Words {
    canonical: String,
    all: BTreeSet<String>,
}

impl SchemaFormat for WordsFormat {
    fn name(&self) -> &'static str {
        "WORDS"
    }

    fn parse(&self, text: SchemaText<'_>) -> Result<Arc<dyn Schema>, ParseError> {
        let mut all = BTreeSet::new();
        let words: Vec<&str> = text.text.split_whitespace().collect();
        for word in &words {
            match word.strip_prefix('@') {
                None if word.contains('!') => {
                    let position = Some(Position { line: 1, column: 1 });
                    return Err(ParseError { message: format!("{word:.20} is not a word"), position });
                }
                None => drop(all.insert((*word).to_owned())),
                Some(name) => {
                    let known = text.references.iter().find(|reference| reference.name == name);
                    let missing =
                        || ParseError { message: format!("{name:.20} is not known"), position: None };
                    all.extend(known.ok_or_else(missing)?.text.split_whitespace().map(str::to_owned));
                }
            }
        }
        Ok(Arc::new(Words { canonical: words.join(" "), all }))
    }
}

impl Schema for Words {
    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        let words: BTreeSet<&str> = self.canonical.split(' ').collect();
        words.into_iter().collect::<Vec<_>>().join(" ")
    }

    fn render(&self, form: &str) -> Result<String, RenderError> {
        match form {
            "" => Ok(self.canonical.clone()),
            "resolved" => Ok(self.all.iter().cloned().collect::<Vec<_>>().join(" ")),
            _ => Err(RenderError { form: form.chars().take(64).collect(), known: &["resolved"] }),
        }
    }

    fn record_name(&self) -> Option<&str> {
        self.all.first().map(String::as_str)
    }

    fn has_field(&self, name: &str) -> bool {
        self.all.contains(name)
    }

    fn tags(&self) -> Vec<EntityTags> {
        Vec::new()
    }

    fn with_tags(&self, _: &[TagChange]) -> Result<String, TagError> {
        Err(TagError::NoTags("WORDS"))
    }

    fn incompatibilities(
        &self,
        writer: &dyn Schema,
        _direction: Direction,
        _policy: CompatibilityPolicy,
    ) -> Vec<Incompatibility> {
        let writer: &dyn std::any::Any = writer;
        let written = writer.downcast_ref::<Words>().map(|words| words.all.clone()).unwrap_or_default();
        let missing = self.all.iter().filter(|word| !word.ends_with('?') && !written.contains(*word));
        missing
            .map(|word| Incompatibility {
                kind: "WORD_MISSING",
                path: format!("/{word}"),
                message: format!("The word '{word}' is missing"),
                detail: word.clone(),
            })
            .collect()
    }

    fn encode(&self, _: Option<&str>, value: &Value, bytes: &mut Vec<u8>) -> Result<usize, DataError> {
        let Value::String(text) = value else {
            return Err(DataError { message: "not a text".to_owned(), path: String::new() });
        };
        bytes.extend_from_slice(text.as_bytes());
        Ok(0)
    }

    fn decode(&self, _writer: &dyn Schema, bytes: Bytes) -> Result<Value, DataError> {
        let text = ByteString::try_from(bytes);
        text.map(Value::String)
            .map_err(|_| DataError { message: "not a text".to_owned(), path: String::new() })
    }
}
