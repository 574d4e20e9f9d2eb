//! A schema as it is kept: its text with all that belongs to it.

use std::borrow::Cow;
use std::sync::Arc;

use super::contract::{Metadata, Reference, RuleSet};
use crate::schema::wire::Guid;

/// The format of schemas that name none.
pub const AVRO: &str = "AVRO";

/// What makes a schema what it is: the same content is the same schema, under every subject of a context.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    /// The name of its format.
    pub format: Cow<'static, str>,
    /// Its text, as it was accepted.
    pub text: Box<str>,
    /// What it refers to, with versions.
    pub references: Box<[Reference]>,
    /// What its owners say about it.
    pub metadata: Option<Box<Metadata>>,
    /// What serializers have to do.
    pub rules: Option<Box<RuleSet>>,
    /// What stands for all of this.
    pub guid: Guid,
}

impl Content {
    /// Content, with its GUID.
    #[must_use]
    pub fn new(
        format: &str,
        text: String,
        references: Vec<Reference>,
        metadata: Option<Metadata>,
        rules: Option<RuleSet>,
    ) -> Content {
        let guid = Guid::of(&text, &references, metadata.as_ref(), rules.as_ref());
        Content {
            format: format_name(format),
            text: text.into_boxed_str(),
            references: references.into_boxed_slice(),
            metadata: metadata.map(Box::new),
            rules: rules.map(Box::new),
            guid,
        }
    }
}

/// The names that nearly all schemas have are not kept for each of them.
fn format_name(name: &str) -> Cow<'static, str> {
    let known = [AVRO, "PROTOBUF", "JSON"].into_iter().find(|known| *known == name);
    known.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

/// One version of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Which one, from 1.
    pub number: i32,
    /// The id of its schema in the subject's context.
    pub id: i32,
    /// The schema.
    pub content: Arc<Content>,
    /// It is deleted softly: only who asks for it sees it.
    pub deleted: bool,
    /// When it was written, in milliseconds.
    pub timestamp: i64,
}
