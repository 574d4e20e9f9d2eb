//! Behaviour of the format, through its seam.

use std::sync::Arc;

use super::ProtobufFormat;
use crate::schema::{ParseError, Position, Referenced, Schema, SchemaFormat, SchemaText, Validation};

pub(in crate::schema) mod compatibility;
mod data;
mod evolution;
mod hostile;
mod suite;
mod tags;
mod text;

/// Parses a text without references.
fn parse(text: &str) -> Result<Arc<dyn Schema>, ParseError> {
    parse_with(text, &[])
}

fn parse_with(text: &str, references: &[(&str, &str)]) -> Result<Arc<dyn Schema>, ParseError> {
    let references: Vec<Referenced> = references
        .iter()
        .map(|(name, text)| Referenced { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    ProtobufFormat.parse(SchemaText { text, references: &references, validation: Validation::New })
}

fn schema(text: &str) -> Arc<dyn Schema> {
    parse(text).unwrap_or_else(|found| panic!("{found}\n{text}"))
}
