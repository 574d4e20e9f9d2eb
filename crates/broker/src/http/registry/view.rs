//! What answers are made of: schemas as the API shows them.

use serde::Serialize;
use vltava_connect::schema::EntityTags;
use vltava_connect::schema::registry::content::{Content, Version};
use vltava_connect::schema::registry::contract::{Metadata, Reference, RuleSet};

/// A version of a subject.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaView<'a> {
    pub(super) subject: &'a str,
    pub(super) version: i32,
    pub(super) id: i32,
    pub(super) guid: String,
    pub(super) schema_type: &'a str,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    pub(super) references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_set: Option<&'a RuleSet>,
    pub(super) schema: &'a str,
    pub(super) ts: i64,
    pub(super) deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_tags: Option<Vec<EntityTags>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) associations: Vec<serde_json::Value>,
}

impl<'a> SchemaView<'a> {
    pub(super) fn of(subject: &'a str, version: &'a Version) -> SchemaView<'a> {
        let content: &Content = &version.content;
        SchemaView {
            subject,
            version: version.number,
            id: version.id,
            guid: content.guid.to_string(),
            schema_type: &content.format,
            references: &content.references,
            metadata: content.metadata.as_deref(),
            rule_set: content.rules.as_deref(),
            schema: &content.text,
            ts: version.timestamp,
            deleted: version.deleted,
            schema_tags: None,
            aliases: Vec::new(),
            associations: Vec::new(),
        }
    }
}

/// A schema that was found by its id or GUID.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<i32>,
    pub(super) guid: String,
    pub(super) schema_type: &'a str,
    pub(super) schema: &'a str,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    pub(super) references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_set: Option<&'a RuleSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_tags: Option<Vec<EntityTags>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_id: Option<i32>,
    pub(super) ts: i64,
    pub(super) deleted: bool,
}

impl<'a> IdView<'a> {
    pub(super) fn of(subject: &'a str, version: &'a Version) -> IdView<'a> {
        let SchemaView { guid, schema_type, references, metadata, rule_set, schema, ts, deleted, .. } =
            SchemaView::of(subject, version);
        IdView {
            subject: Some(subject),
            version: Some(version.number),
            guid,
            schema_type,
            schema,
            references,
            metadata,
            rule_set,
            schema_tags: None,
            max_id: None,
            ts,
            deleted,
        }
    }
}

/// What a registration came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegisteredView<'a> {
    pub(super) id: i32,
    pub(super) version: i32,
    pub(super) guid: String,
    pub(super) schema_type: &'a str,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    pub(super) references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_set: Option<&'a RuleSet>,
    pub(super) schema: &'a str,
}

impl<'a> RegisteredView<'a> {
    pub(super) fn of(version: &'a Version) -> RegisteredView<'a> {
        let SchemaView {
            version: number, id, guid, schema_type, references, metadata, rule_set, schema, ..
        } = SchemaView::of("", version);
        RegisteredView { id, version: number, guid, schema_type, references, metadata, rule_set, schema }
    }
}
