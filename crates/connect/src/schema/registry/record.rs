//! The records of the topic `_schemas`: JSON, as other registries write and read it.
//!
//! Compaction keeps the last record of each *text* of a key, so the attributes stand in the order in which others write
//! them. Where somebody wrote a key in another way, its removal removes that text as well ([`Event::form`]).
//!
//! Why the highest ids stand under a `NOOP` key: an id must not come back after its schema was deleted for good, and
//! compaction removes every trace of that schema. Readers of this topic skip records of that type whatever else their key
//! holds, and one key for each context survives compaction.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use vltava_core::machine::{DecodeError, Encoded, Entry};

use super::association::{Association, AssociationKey, Lifecycle};
use super::content::{AVRO, Content};
use super::contract::{Metadata, Reference, RuleSet};
use super::event::{Event, Key, Stored, Value};
use super::settings::{Config, Mode};
use super::state::Subject;

/// The only tenant there is.
const TENANT: &str = "default";

/// A key, with all attributes that any type has, in their order.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KeyText {
    keytype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    association_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    magic: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SchemaText<'a> {
    subject: &'a str,
    version: i32,
    id: i32,
    schema_type: &'a str,
    #[serde(skip_serializing_if = "slice_is_empty")]
    references: &'a [Reference],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_set: Option<&'a RuleSet>,
    schema: &'a str,
    deleted: bool,
}

fn slice_is_empty(slice: &[Reference]) -> bool {
    slice.is_empty()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaRead {
    id: i32,
    #[serde(default)]
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default, alias = "ruleset")]
    rule_set: Option<RuleSet>,
    schema: String,
    #[serde(default)]
    deleted: bool,
}

#[derive(Serialize, Deserialize)]
struct ConfigText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(flatten)]
    config: Config,
}

#[derive(Serialize, Deserialize)]
struct ModeText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    mode: Mode,
}

#[derive(Serialize, Deserialize)]
struct DeleteText {
    subject: String,
    version: i32,
}

#[derive(Serialize, Deserialize)]
struct ClearText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct ContextText {
    tenant: String,
    context: String,
}

#[derive(Serialize, Deserialize)]
struct HighestText {
    context: String,
    id: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssociationText {
    subject: String,
    guid: String,
    tenant: String,
    resource_name: String,
    resource_namespace: String,
    resource_id: String,
    resource_type: String,
    association_type: String,
    lifecycle: Lifecycle,
    #[serde(default)]
    frozen: bool,
    #[serde(default)]
    create_ts: i64,
}

/// The bytes of a key, as we write it.
pub(super) fn key_bytes(key: &Key) -> Bytes {
    let subject = |subject: &Option<Subject>| subject.as_deref().map(str::to_owned);
    let of = |keytype: &str, magic: i32| KeyText {
        keytype: keytype.to_owned(),
        magic: Some(magic),
        ..KeyText::default()
    };
    let text = match key {
        Key::Schema(name, version) => {
            KeyText { subject: Some(name.to_string()), version: Some(*version), ..of("SCHEMA", 1) }
        }
        Key::Config(name) => KeyText { subject: subject(name), ..of("CONFIG", 0) },
        Key::Mode(name) => KeyText { subject: subject(name), ..of("MODE", 0) },
        Key::DeleteSubject(name) => KeyText { subject: Some(name.to_string()), ..of("DELETE_SUBJECT", 0) },
        Key::ClearSubject(name) => KeyText { subject: subject(name), ..of("CLEAR_SUBJECT", 0) },
        Key::Context(context) => KeyText {
            tenant: Some(TENANT.to_owned()),
            context: Some(context.to_string()),
            magic: None,
            ..of("CONTEXT", 0)
        },
        Key::Highest(context) => KeyText { context: Some(context.to_string()), ..of("NOOP", 0) },
        Key::Association(key) => KeyText {
            tenant: Some(TENANT.to_owned()),
            resource_name: Some(key.resource_name.clone()),
            resource_namespace: Some(key.resource_namespace.clone()),
            resource_type: Some(key.resource_type.clone()),
            association_type: Some(key.association_type.clone()),
            subject: Some(key.subject.clone()),
            ..of("ASSOC", 0)
        },
    };
    json(&text)
}

/// A structure of texts and numbers always has a text.
fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// The event as a record.
pub(super) fn encode(event: &Event) -> Encoded {
    let key = event.form.clone().unwrap_or_else(|| key_bytes(&event.key));
    let value = event.value.as_ref().map(|value| value_bytes(&event.key, value));
    Encoded::Record { key: Some(key), value }
}

fn value_bytes(key: &Key, value: &Value) -> Bytes {
    let name = |subject: &Option<Subject>| subject.as_deref().map(str::to_owned);
    match (key, value) {
        (Key::Schema(subject, version), Value::Schema(stored)) => json(&SchemaText {
            subject,
            version: *version,
            id: stored.id,
            schema_type: &stored.content.format,
            references: &stored.content.references,
            metadata: stored.content.metadata.as_deref(),
            rule_set: stored.content.rules.as_deref(),
            schema: &stored.content.text,
            deleted: stored.deleted,
        }),
        (Key::Config(subject), Value::Config(config)) => {
            json(&ConfigText { subject: name(subject), config: (**config).clone() })
        }
        (Key::Mode(subject), Value::Mode(mode)) => json(&ModeText { subject: name(subject), mode: *mode }),
        (Key::DeleteSubject(subject), Value::UpTo(version)) => {
            json(&DeleteText { subject: subject.to_string(), version: *version })
        }
        (Key::ClearSubject(subject), _) => json(&ClearText { subject: name(subject) }),
        (Key::Context(context), _) => {
            json(&ContextText { tenant: TENANT.to_owned(), context: context.to_string() })
        }
        (Key::Highest(context), Value::UpTo(id)) => {
            json(&HighestText { context: context.to_string(), id: *id })
        }
        (Key::Association(key), Value::Association(association)) => json(&AssociationText {
            subject: key.subject.clone(),
            guid: association.guid.clone(),
            tenant: TENANT.to_owned(),
            resource_name: key.resource_name.clone(),
            resource_namespace: key.resource_namespace.clone(),
            resource_id: association.resource_id.clone(),
            resource_type: key.resource_type.clone(),
            association_type: key.association_type.clone(),
            lifecycle: association.lifecycle,
            frozen: association.frozen,
            create_ts: association.created,
        }),
        // No event is made so; a record like this is skipped by whoever reads it.
        _ => Bytes::from_static(b"{}"),
    }
}

/// The event that a record tells of. Others may write here, so a record that makes no sense is one to skip, and no reason to
/// believe nothing of the rest.
///
/// # Errors
/// Never.
#[allow(clippy::unnecessary_wraps, reason = "it is what the seam asks for")]
pub(super) fn decode(entry: Entry<'_>) -> Result<Option<Event>, DecodeError> {
    let Entry::Record { key: Some(bytes), value } = entry else { return Ok(None) };
    Ok(decode_record(bytes, value))
}

fn decode_record(bytes: &Bytes, value: Option<&Bytes>) -> Option<Event> {
    let text: KeyText = serde_json::from_slice(bytes).ok()?;
    let key = read_key(text)?;
    let form = (key_bytes(&key) != *bytes).then(|| bytes.clone());
    let value = match value {
        Some(bytes) => Some(read_value(&key, bytes)?),
        None => None,
    };
    Some(Event { key, value, form })
}

fn read_key(text: KeyText) -> Option<Key> {
    if text.tenant.is_some_and(|tenant| tenant != TENANT) {
        return None;
    }
    let subject = text.subject.as_deref().map(Subject::from);
    Some(match text.keytype.as_str() {
        "SCHEMA" => Key::Schema(subject?, text.version.filter(|version| *version > 0)?),
        "CONFIG" => Key::Config(subject),
        "MODE" => Key::Mode(subject),
        "DELETE_SUBJECT" => Key::DeleteSubject(subject?),
        "CLEAR_SUBJECT" => Key::ClearSubject(subject),
        "CONTEXT" => Key::Context(text.context?.into()),
        // Without a context it is the barrier that other registries write.
        "NOOP" => Key::Highest(text.context?.into()),
        "ASSOC" => Key::Association(AssociationKey {
            resource_name: text.resource_name?,
            resource_namespace: text.resource_namespace?,
            resource_type: text.resource_type?,
            association_type: text.association_type?,
            subject: text.subject?,
        }),
        _ => return None,
    })
}

fn read_value(key: &Key, bytes: &Bytes) -> Option<Value> {
    Some(match key {
        Key::Schema(..) => {
            let read: SchemaRead = serde_json::from_slice(bytes).ok()?;
            let format = read.schema_type.as_deref().unwrap_or(AVRO);
            let references = read.references.unwrap_or_default();
            let content = Content::new(format, read.schema, references, read.metadata, read.rule_set);
            let id = Some(read.id).filter(|id| *id >= 0)?;
            Value::Schema(Stored { id, content: Arc::new(content), deleted: read.deleted })
        }
        Key::Config(_) => {
            let read: ConfigText = serde_json::from_slice(bytes).ok()?;
            Value::Config(Arc::new(read.config))
        }
        Key::Mode(_) => Value::Mode(serde_json::from_slice::<ModeText>(bytes).ok()?.mode),
        Key::DeleteSubject(_) => Value::UpTo(serde_json::from_slice::<DeleteText>(bytes).ok()?.version),
        Key::ClearSubject(_) | Key::Context(_) => Value::Noted,
        Key::Highest(_) => Value::UpTo(serde_json::from_slice::<HighestText>(bytes).ok()?.id),
        Key::Association(_) => {
            let read: AssociationText = serde_json::from_slice(bytes).ok()?;
            Value::Association(Arc::new(Association {
                guid: read.guid,
                resource_id: read.resource_id,
                lifecycle: read.lifecycle,
                frozen: read.frozen,
                created: read.create_ts,
                updated: 0,
            }))
        }
    })
}
