//! Avro: parsing, canonical text, compatibility, encoding and decoding.
//!
//! Everything is done here, over the crate's own [`Value`]. Why not the crate `apache-avro`: its parser loses the order and
//! the place of attributes, on which identity and messages rest; its checker refuses renames that an alias covers and stops
//! at the first difference; and its values carry an owned name for every field of every record, which alone costs more than
//! reading the record does here. What is left to share is a dozen lines for numbers.
//!
//! A text becomes [`types::Types`] (`parse`), which `print` turns back into text. Two schemas are compared by `relation`,
//! and `difference` says why they do not fit. To read data of one as another, `plan` resolves them once; `decode` and
//! `encode` do the rest.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::RwLock;

use super::{
    CompatibilityPolicy, DataError, Direction, EntityTags, Incompatibility, ParseError, RenderError, Schema,
    SchemaFormat, SchemaText, TagChange, TagError, tags,
};
use crate::value::Value;

use self::plan::Plan;
use self::types::{Name, Types};

mod json;
mod types;

mod default;
mod entities;
mod parse;
mod print;

mod difference;
mod relation;

mod decode;
mod encode;
mod plan;
mod varint;

#[cfg(test)]
pub(super) mod tests;

/// Arrays, maps and records of data may stand within so many others.
const VALUE_NESTING_MAX: usize = 300;
/// For so many schemas of writers a schema remembers how to read what they wrote.
const PLANS_MAX: usize = 64;
/// The form that has everything in one text.
const RESOLVED: &str = "resolved";
/// How much of an unknown form a message repeats, in characters.
const FORM_CHARS_MAX: usize = 60;

/// Avro, by its specification of version 1.12.
///
/// Limits: 8 MiB of text with all that it refers to, 200,000 types, 512 levels of JSON, names of 4,096 bytes and 32 MiB
/// together; data nested 300 deep.
#[derive(Clone, Copy, Debug, Default)]
pub struct AvroFormat;

impl SchemaFormat for AvroFormat {
    fn name(&self) -> &'static str {
        "AVRO"
    }

    fn parse(&self, text: SchemaText<'_>) -> Result<Arc<dyn Schema>, ParseError> {
        let types = Arc::new(parse::parse(text)?);
        let canonical = print::canonical(&types);
        Ok(Arc::new(AvroSchema { types, canonical, own_plan: OnceLock::new(), plans: RwLock::default() }))
    }
}

/// How to read what each of these writers wrote; the latest last.
type Plans = Vec<(Arc<Types>, Arc<Plan>)>;

#[derive(Debug)]
struct AvroSchema {
    types: Arc<Types>,
    canonical: String,
    /// How to read what the schema itself wrote.
    own_plan: OnceLock<Arc<Plan>>,
    plans: RwLock<Plans>,
}

impl Schema for AvroSchema {
    fn canonical(&self) -> &str {
        &self.canonical
    }

    fn normalized(&self) -> String {
        print::normalized(&self.types)
    }

    fn render(&self, form: &str) -> Result<String, RenderError> {
        match form {
            "" => Ok(self.canonical.clone()),
            RESOLVED => Ok(print::resolved(&self.types)),
            _ => Err(RenderError { form: form.chars().take(FORM_CHARS_MAX).collect(), known: &[RESOLVED] }),
        }
    }

    fn record_name(&self) -> Option<&str> {
        self.types.name(self.types.root.id).map(Name::full)
    }

    fn has_field(&self, name: &str) -> bool {
        self.types.get(self.types.root.id).has_field(name)
    }

    fn tags(&self) -> Vec<EntityTags> {
        tags::all(json::parse(&self.canonical).ok(), entities::visit)
    }

    fn with_tags(&self, changes: &[TagChange]) -> Result<String, TagError> {
        tags::changed(json::parse(&self.canonical).ok(), changes, entities::visit)
    }

    fn incompatibilities(
        &self,
        writer: &dyn Schema,
        direction: Direction,
        policy: CompatibilityPolicy,
    ) -> Vec<Incompatibility> {
        match (writer as &dyn Any).downcast_ref::<AvroSchema>() {
            Some(writer) => difference::all(&self.types, &writer.types, direction, policy),
            None => vec![Incompatibility::other_format()],
        }
    }

    fn encode(
        &self,
        type_name: Option<&str>,
        value: &Value,
        bytes: &mut Vec<u8>,
    ) -> Result<usize, DataError> {
        encode::encode(&self.types, type_name, value, bytes)?;
        Ok(0)
    }

    fn decode(&self, writer: &dyn Schema, bytes: Bytes) -> Result<Value, DataError> {
        let Some(writer) = (writer as &dyn Any).downcast_ref::<AvroSchema>() else {
            return Err(decode::error("the data was written with a schema of another format"));
        };
        match self.own_plan.get().filter(|_| Arc::ptr_eq(&self.types, &writer.types)) {
            Some(plan) => decode::decode(plan, bytes),
            None => decode::decode(&*self.plan(&writer.types)?, bytes),
        }
    }
}

impl AvroSchema {
    fn plan(&self, writer: &Arc<Types>) -> Result<Arc<Plan>, DataError> {
        let known = self
            .plans
            .read()
            .iter()
            .find(|(of, _)| Arc::ptr_eq(of, writer))
            .map(|(_, plan)| Arc::clone(plan));
        if let Some(plan) = known {
            return Ok(plan);
        }
        let plan = Plan::new(&self.types, writer)
            .map_err(|_| decode::error("the schemas of writer and reader are too large to be resolved"))?;
        let plan = Arc::new(plan);
        if Arc::ptr_eq(&self.types, writer) {
            return Ok(Arc::clone(self.own_plan.get_or_init(|| plan)));
        }
        let mut plans = self.plans.write();
        if plans.len() == PLANS_MAX {
            plans.remove(0);
        }
        plans.push((Arc::clone(writer), Arc::clone(&plan)));
        Ok(plan)
    }
}
