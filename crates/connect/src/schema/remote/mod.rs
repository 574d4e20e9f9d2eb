//! A registry over HTTP, for serializers: ours in another process, or any other with the same API.
//!
//! What a registry never takes back is remembered: the schema of an id or a GUID, and the id of a schema that was registered or
//! found. What may change, such as the latest version, is asked for each time; serializers remember what they use.

mod http;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use async_trait::async_trait;
use hyper::Method;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

pub use self::http::{Answer, Http, HttpError, HttpSettings, Unreachable, part};
use super::Referenced;
use super::registry::contract::Reference;
use super::registry::library::{REFERENCE_DEPTH_MAX, REFERENCES_MAX, RESOLVED_BYTES_MAX};
use super::registry::plan::SchemaRequest;
use super::registry::subject::{Qualified, within};
use super::serializer::{Registered, RegistryClient, RegistryError, SchemaSource};
use super::wire::Guid;

/// The format of schemas for which none is told.
const AVRO: &str = "AVRO";
/// Schemas that are remembered, of each kind.
const REMEMBERED_MAX: usize = 1000;

/// A registry over HTTP.
#[derive(Debug)]
pub struct RemoteRegistry {
    http: Http,
    by_id: Remembered<(String, i32)>,
    by_guid: Remembered<Guid>,
    by_text: Remembered<(String, SchemaSource, bool)>,
}

/// Schemas under what they were asked for by. When there are too many, it starts anew.
#[derive(Debug)]
struct Remembered<K>(Mutex<HashMap<K, Registered>>);

impl<K: Hash + Eq> Remembered<K> {
    fn new() -> Remembered<K> {
        Remembered(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: &K) -> Option<Registered> {
        self.0.lock().get(key).cloned()
    }

    fn put(&self, key: K, registered: &Registered) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, registered.clone());
    }
}

/// A schema as answers have it; registries of other versions leave some of it out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    id: Option<i32>,
    guid: Option<String>,
    subject: Option<String>,
    schema_type: Option<String>,
    schema: Option<String>,
    references: Option<Vec<Reference>>,
}

impl RemoteRegistry {
    /// A registry that was not asked yet. It has to be asked within a runtime of tokio with time and network.
    ///
    /// # Errors
    /// [`HttpError`] when certificates or keys cannot be read.
    pub fn new(settings: HttpSettings) -> Result<RemoteRegistry, HttpError> {
        Ok(RemoteRegistry {
            http: Http::new(settings)?,
            by_id: Remembered::new(),
            by_guid: Remembered::new(),
            by_text: Remembered::new(),
        })
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<T, RegistryError> {
        let answer = self.http.ask(method, path, body).await;
        let answer = answer.map_err(|error| RegistryError { code: None, message: error.to_string() })?;
        if answer.status >= 300 {
            let code = answer.body.get("error_code").and_then(Value::as_u64);
            let code = code.and_then(|code| u32::try_from(code).ok());
            let message = answer.body.get("message").and_then(Value::as_str);
            let message = message.map_or_else(|| answer.body.to_string(), str::to_owned);
            return Err(RegistryError { code: code.or(Some(u32::from(answer.status))), message });
        }
        serde_json::from_value(answer.body).map_err(|error| strange(&error.to_string()))
    }

    /// The schema with all that it refers to. `subject` is the one that was asked for, in whose context references stand.
    async fn complete(
        &self,
        told: Told,
        id: Option<i32>,
        subject: &str,
    ) -> Result<Registered, RegistryError> {
        let id = id.or(told.id).ok_or_else(|| strange("it tells no id"))?;
        let subject = told.subject.as_deref().unwrap_or(subject);
        let references = told.references.unwrap_or_default();
        let referenced =
            if references.is_empty() { Vec::new() } else { self.referenced(subject, references).await? };
        Ok(Registered {
            id,
            guid: told.guid.as_deref().and_then(Guid::parse),
            format: told.schema_type.unwrap_or_else(|| AVRO.to_owned()),
            text: told.schema.ok_or_else(|| strange("it tells no schema"))?,
            referenced,
        })
    }

    /// The texts behind references, each after those that it refers to itself.
    async fn referenced(
        &self,
        subject: &str,
        references: Vec<Reference>,
    ) -> Result<Vec<Referenced>, RegistryError> {
        let mut found: Vec<Referenced> = Vec::new();
        let mut names = HashSet::new();
        let mut bytes = 0;
        // What is still to be read, the next last: references, and texts whose own references were read.
        let mut open = vec![Open { subject: subject.to_owned(), references, text: None }];
        while let Some(last) = open.last_mut() {
            if last.references.is_empty() {
                found.extend(open.pop().and_then(|done| done.text));
                continue;
            }
            let reference = last.references.remove(0);
            let target = within(&last.subject, &reference.subject);
            if !names.insert(reference.name.clone()) {
                continue;
            }
            let path = format!("/subjects/{}/versions/{}?deleted=true", part(&target), reference.version);
            let told: Told = self.ask(Method::GET, &path, &Value::Null).await?;
            let text = told.schema.unwrap_or_default();
            bytes += text.len();
            if open.len() > REFERENCE_DEPTH_MAX || names.len() > REFERENCES_MAX || bytes > RESOLVED_BYTES_MAX
            {
                return Err(strange("the schema refers to more than can be read"));
            }
            open.push(Open {
                subject: target,
                references: told.references.unwrap_or_default(),
                text: Some(Referenced { name: reference.name, text }),
            });
        }
        Ok(found)
    }

    async fn send(
        &self,
        path: &str,
        subject: &str,
        schema: &SchemaSource,
        normalize: bool,
    ) -> Result<Registered, RegistryError> {
        let key = (format!("{path}{subject}"), schema.clone(), normalize);
        if let Some(known) = self.by_text.get(&key) {
            return Ok(known);
        }
        let body = serde_json::to_value(SchemaRequest::from(schema)).unwrap_or_default();
        let path = format!("/subjects/{}{path}?normalize={normalize}", part(subject));
        let mut told: Told = self.ask(Method::POST, &path, &body).await?;
        // Older registries tell only the id.
        told.schema.get_or_insert_with(|| schema.text.clone());
        told.schema_type.get_or_insert_with(|| schema.format.clone());
        told.references.get_or_insert_with(|| body_references(schema));
        let registered = self.complete(told, None, subject).await?;
        self.by_text.put(key, &registered);
        Ok(registered)
    }
}

/// References on their way, and the text that they belong to.
struct Open {
    subject: String,
    references: Vec<Reference>,
    text: Option<Referenced>,
}

fn body_references(schema: &SchemaSource) -> Vec<Reference> {
    SchemaRequest::from(schema).references.unwrap_or_default()
}

fn strange(why: &str) -> RegistryError {
    RegistryError { code: None, message: format!("its answer makes no sense: {why}") }
}

#[async_trait]
impl RegistryClient for RemoteRegistry {
    async fn register(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalize: bool,
    ) -> Result<Registered, RegistryError> {
        self.send("/versions", subject, schema, normalize).await
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalize: bool,
    ) -> Result<Registered, RegistryError> {
        self.send("", subject, schema, normalize).await
    }

    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<Registered, RegistryError> {
        // An id means the same under all subjects of a context.
        let context = Qualified::of(subject.unwrap_or_default()).prefix();
        let key = (context, id);
        if let Some(known) = self.by_id.get(&key) {
            return Ok(known);
        }
        let asked = subject.map(|subject| format!("?subject={}", part(subject))).unwrap_or_default();
        let told: Told = self.ask(Method::GET, &format!("/schemas/ids/{id}{asked}"), &Value::Null).await?;
        let registered = self.complete(told, Some(id), subject.unwrap_or_default()).await?;
        self.by_id.put(key, &registered);
        Ok(registered)
    }

    async fn by_guid(&self, guid: Guid) -> Result<Registered, RegistryError> {
        if let Some(known) = self.by_guid.get(&guid) {
            return Ok(known);
        }
        #[derive(Deserialize)]
        struct IdIn {
            context: String,
            id: i32,
        }
        let ids: Vec<IdIn> =
            self.ask(Method::GET, &format!("/schemas/guids/{guid}/ids"), &Value::Null).await?;
        let first = ids.first();
        let subject = first.map(|first| Qualified { context: &first.context, name: "" }.prefix());
        let told: Told = self.ask(Method::GET, &format!("/schemas/guids/{guid}"), &Value::Null).await?;
        let id = first.map(|first| first.id);
        let mut registered = self.complete(told, id, subject.as_deref().unwrap_or_default()).await?;
        registered.guid = Some(guid);
        self.by_guid.put(guid, &registered);
        Ok(registered)
    }

    async fn latest(&self, subject: &str) -> Result<Registered, RegistryError> {
        let path = format!("/subjects/{}/versions/latest", part(subject));
        let told: Told = self.ask(Method::GET, &path, &Value::Null).await?;
        self.complete(told, None, subject).await
    }

    async fn latest_with(
        &self,
        subject: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Registered, RegistryError> {
        let pairs =
            properties.iter().map(|(name, value)| format!("key={}&value={}", part(name), part(value)));
        let pairs: Vec<String> = pairs.collect();
        let path = format!("/subjects/{}/metadata?{}", part(subject), pairs.join("&"));
        let told: Told = self.ask(Method::GET, &path, &Value::Null).await?;
        self.complete(told, None, subject).await
    }
}
