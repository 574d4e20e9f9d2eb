//! Whether a schema is one of its draft, and whether data is valid under it: by the `jsonschema` library, which is given
//! rewritten texts in which every reference is settled, so that it has nothing to look for.

use jsonschema::{Registry, ValidationError, Validator};
use serde_json::Value;

use super::document::{Documents, Draft};
use super::effort;
use super::model::{Model, References, document_uri};
use super::pattern;
use super::tree::{echo, number_to_serde};
use crate::schema::tree::{Item, Node};
use crate::schema::{DataError, ParseError, Position};

/// How much of a message of the library is passed on, in characters.
const MESSAGE_MAX: usize = 300;

/// Builds what validates data, which also checks the first of `documents` against its draft.
pub(super) fn validator(
    documents: &Documents<'_>,
    references: &References,
    patterns: usize,
    text: &str,
) -> Result<Validator, ParseError> {
    let values: Vec<Value> =
        (0..documents.len()).map(|document| rewrite(documents.root(document), references)).collect();
    let fault =
        |error: &dyn std::fmt::Display| ParseError { message: shorten(&error.to_string()), position: None };
    let mut registry = Registry::new();
    for (document, value) in values.iter().enumerate().skip(1) {
        let resource = library_draft(documents.draft(document)).create_resource_ref(value);
        registry = registry.add(document_uri(document), resource).map_err(|error| fault(&error))?;
    }
    let registry = registry.retriever(Nothing).prepare().map_err(|error| fault(&error))?;
    let schema = &values[0];
    jsonschema::options()
        .with_draft(library_draft(documents.draft(0)))
        .with_base_uri(document_uri(0))
        .with_registry(&registry)
        .with_pattern_options(pattern::options(patterns))
        .should_validate_formats(false)
        .offline()
        .build(schema)
        .map_err(|error| refused(&error, documents.root(0), text))
}

/// Finds the place in the text that the library complains of.
fn refused(error: &ValidationError<'_>, root: &Item, text: &str) -> ParseError {
    let path = error.instance_path().to_string();
    let mut item = root;
    for token in path.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let Some(next) = item.step(&token) else { break };
        item = next;
    }
    let place = if path.is_empty() { "the schema".to_owned() } else { format!("'#{}'", echo(&path)) };
    let mut message = shorten(&error.masked_with("the value").to_string());
    if message.ends_with("is not a \"regex\"") {
        message = "the value is no regular expression, or one that is too large when compiled".to_owned();
    }
    ParseError {
        message: format!("{place} is not valid: {message}"),
        position: Some(Position::of(text, item.at)),
    }
}

/// Checks a value of the data.
pub(super) fn check(validator: &Validator, model: &Model, value: &Value) -> Result<(), DataError> {
    effort::check(model, value)?;
    validator.validate(value).map_err(|error| {
        let message = shorten(&error.masked_with("the value").to_string());
        DataError { message, path: error.instance_path().to_string() }
    })
}

fn shorten(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

fn library_draft(draft: Draft) -> jsonschema::Draft {
    match draft {
        Draft::Four => jsonschema::Draft::Draft4,
        Draft::Six => jsonschema::Draft::Draft6,
        Draft::Seven => jsonschema::Draft::Draft7,
        Draft::Of201909 => jsonschema::Draft::Draft201909,
        Draft::Of202012 => jsonschema::Draft::Draft202012,
    }
}

/// Refuses to fetch.
struct Nothing;

impl jsonschema::Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("{} is not among the references", echo(uri.as_str())).into())
    }
}

/// The text for the library: references by the addresses that they were resolved to, and no names that could lead elsewhere.
fn rewrite(item: &Item, references: &References) -> Value {
    match &item.node {
        Node::Array(items) => Value::Array(items.iter().map(|item| rewrite(item, references)).collect()),
        Node::Object(members) => {
            let mut object = serde_json::Map::new();
            for (key, member) in members {
                if let Some(address) = references.get(&std::ptr::from_ref(member)) {
                    let keyword = if key == "$recursiveRef" { "$ref" } else { key };
                    object.insert(keyword.to_owned(), Value::String(address.clone()));
                } else if ["enum", "const", "default", "examples"].contains(&key.as_str()) {
                    object.insert(key.clone(), member.to_serde());
                } else if !is_name(key, member) {
                    object.insert(key.clone(), rewrite(member, references));
                }
            }
            Value::Object(object)
        }
        Node::Number(text) => number_to_serde(text),
        _ => item.to_serde(),
    }
}

/// Whether a member gives its schema a name, or was a reference that nothing needs.
fn is_name(key: &str, member: &Item) -> bool {
    let names = [
        "$schema",
        "$id",
        "id",
        "$anchor",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "$vocabulary",
    ];
    let schema = member.object().is_some() || member.array().is_some();
    !schema && names.contains(&key)
}
