//! JSON Schema (`JSON`): drafts 4, 6, 7, 2019-09 and 2020-12.
//!
//! * `tree` reads the text with places and without loss; canonical and normalized texts are written from it. `entities` are the
//!   parts of it that have tags.
//! * `document` settles what a `$ref` means, among the texts that were handed in.
//! * `validation` checks the schema against its draft, and data against the schema.
//! * `model` is the schema as the rules see it; `compare` and `content` are the rules, `difference` their words.
//! * `effort` knows beforehand what validating costs.
//! * `data` writes and reads values.
//!
//! What this format leaves out, and why: `format` is an annotation, as in the current draft, so changing it is compatible;
//! `$dynamicRef` and `$recursiveRef` lead where `$ref` would, since data schemas have no meta-schemas to extend.

mod compare;
mod content;
mod data;
mod difference;
mod document;
mod effort;
mod entities;
mod matching;
mod model;
mod number;
mod pattern;
mod tree;
mod validation;

#[cfg(test)]
pub(super) mod tests;

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jsonschema::Validator;

use self::compare::Keep;
use self::document::Documents;
use self::model::{Loader, Model};
use self::tree::{echo, parse};
use super::tree::Item;
use super::{
    CompatibilityPolicy, DataError, Direction, EntityTags, Incompatibility, ParseError, Referenced,
    RenderError, Schema, SchemaFormat, SchemaText, TagChange, TagError, Validation, tags,
};
use crate::value::Value;

/// How many texts a schema may refer to, also by way of others.
pub const REFERENCES_MAX: usize = 500;

/// How many bytes all the texts of a schema may have together.
pub const TEXTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// JSON Schema.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonFormat;

impl SchemaFormat for JsonFormat {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn parse(&self, text: SchemaText<'_>) -> Result<Arc<dyn Schema>, ParseError> {
        let item = parse(text.text)?;
        let references = parse_references(text.references, text.text.len())?;
        let documents = Documents::new(&item, &references)?;
        let mut texts = vec![text.text];
        texts.extend(text.references.iter().map(|reference| reference.text.as_str()));
        let (model, resolved) = Loader::load(&documents, &texts)?;
        let validator = OnceLock::new();
        if text.validation != Validation::Stored {
            let built = validation::validator(&documents, &resolved, model.patterns, text.text)?;
            let _ = validator.set(Ok(built));
        }
        Ok(Arc::new(JsonSchema {
            canonical: item.canonical(),
            title: item.get("title").and_then(Item::string).map(str::to_owned),
            references: text.references.to_vec(),
            model,
            validator,
        }))
    }
}

fn parse_references(references: &[Referenced], bytes: usize) -> Result<Vec<(String, Item)>, ParseError> {
    let whole = |message: String| ParseError { message, position: None };
    if references.len() > REFERENCES_MAX {
        let count = references.len();
        return Err(whole(format!(
            "the schema refers to {count} others; at most {REFERENCES_MAX} are taken"
        )));
    }
    let bytes = references.iter().fold(bytes, |bytes, reference| bytes.saturating_add(reference.text.len()));
    if bytes > TEXTS_BYTES_MAX {
        let message =
            format!("the schema and its references have {bytes} bytes; at most {TEXTS_BYTES_MAX} are taken");
        return Err(whole(message));
    }
    let item = |reference: &Referenced| match parse(&reference.text) {
        Ok(item) => Ok((reference.name.clone(), item)),
        Err(error) => Err(whole(format!("the reference {:?}: {error}", echo(&reference.name)))),
    };
    references.iter().map(item).collect()
}

/// A parsed schema.
#[derive(Debug)]
struct JsonSchema {
    canonical: String,
    title: Option<String>,
    references: Vec<Referenced>,
    model: Model,
    /// Built when it is first needed, or when the schema is new.
    validator: OnceLock<Result<Validator, ParseError>>,
}

impl JsonSchema {
    fn differences(
        &self,
        writer: &JsonSchema,
        policy: CompatibilityPolicy,
        keep: Keep,
    ) -> Vec<difference::Difference> {
        if self.canonical == writer.canonical && self.references == writer.references {
            return Vec::new();
        }
        compare::differences(&writer.model, &self.model, policy, keep)
    }

    fn validator(&self) -> Result<&Validator, DataError> {
        let built = self.validator.get_or_init(|| self.build());
        built.as_ref().map_err(|error| DataError {
            message: format!("the schema cannot be used to check data: {error}"),
            path: String::new(),
        })
    }

    fn build(&self) -> Result<Validator, ParseError> {
        let item = parse(&self.canonical)?;
        let references = parse_references(&self.references, self.canonical.len())?;
        let documents = Documents::new(&item, &references)?;
        let mut texts = vec![self.canonical.as_str()];
        texts.extend(self.references.iter().map(|reference| reference.text.as_str()));
        let (model, resolved) = Loader::load(&documents, &texts)?;
        validation::validator(&documents, &resolved, model.patterns, &self.canonical)
    }
}

/// The canonical text of a JSON Schema, and what it refers to.
pub(crate) fn texts(schema: &dyn Schema) -> Option<(&str, &[Referenced])> {
    let schema: &dyn Any = schema;
    let schema = schema.downcast_ref::<JsonSchema>()?;
    Some((&schema.canonical, &schema.references))
}

/// A value as JSON.
pub(crate) fn written(value: &Value) -> Result<Bytes, DataError> {
    Ok(data::write(value)?.0.into())
}

impl Schema for JsonSchema {
    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        parse(&self.canonical).map_or_else(|_| self.canonical.clone(), |item| item.normalized())
    }

    fn render(&self, form: &str) -> Result<String, RenderError> {
        if form.is_empty() {
            return Ok(self.canonical.clone());
        }
        Err(RenderError { form: echo(form), known: &[] })
    }

    fn record_name(&self) -> Option<&str> {
        self.title.as_deref()
    }

    fn has_field(&self, name: &str) -> bool {
        let item = parse(&self.canonical).ok();
        item.is_some_and(|item| {
            item.get("properties").is_some_and(|properties| properties.get(name).is_some())
        })
    }

    fn tags(&self) -> Vec<EntityTags> {
        tags::all(parse(&self.canonical).ok(), entities::visit)
    }

    fn with_tags(&self, changes: &[TagChange]) -> Result<String, TagError> {
        tags::changed(parse(&self.canonical).ok(), changes, entities::visit)
    }

    fn incompatibilities(
        &self,
        writer: &dyn Schema,
        direction: Direction,
        policy: CompatibilityPolicy,
    ) -> Vec<Incompatibility> {
        let writer: &dyn Any = writer;
        let Some(writer) = writer.downcast_ref::<JsonSchema>() else {
            let message = "The new or the old schema is no JSON Schema".to_owned();
            return vec![Incompatibility {
                kind: "TYPE_CHANGED",
                path: "#/".to_owned(),
                message,
                detail: String::new(),
            }];
        };
        let differences = self.differences(writer, policy, Keep::Incompatible);
        differences.iter().map(|difference| difference.explain(direction)).collect()
    }

    fn encode(&self, _: Option<&str>, value: &Value, bytes: &mut Vec<u8>) -> Result<usize, DataError> {
        let (text, json) = data::write(value)?;
        validation::check(self.validator()?, &self.model, &json)?;
        bytes.extend_from_slice(text.as_bytes());
        Ok(0)
    }

    /// JSON says itself what it is, so only the reader judges it; a writer of another format wrote something else.
    fn decode(&self, writer: &dyn Schema, bytes: Bytes) -> Result<Value, DataError> {
        let writer: &dyn Any = writer;
        if !writer.is::<JsonSchema>() {
            let message = "the data was written with a schema that is no JSON Schema".to_owned();
            return Err(DataError { message, path: String::new() });
        }
        let (value, json) = data::read(&bytes)?;
        validation::check(self.validator()?, &self.model, &json)?;
        Ok(value)
    }
}
