//! A registry in memory, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Registered, RegistryClient, RegistryError, SchemaSource};
use crate::schema::wire::Guid;

/// A registry in memory: subjects with their schemas, each known by its place, from 1.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) schemas: Mutex<Vec<(String, SchemaSource)>>,
    /// How often it was asked.
    pub(crate) requests: AtomicUsize,
}

impl Memory {
    /// A registry with these subjects and schemas.
    pub(crate) fn with<'s>(schemas: impl IntoIterator<Item = (&'s str, SchemaSource)>) -> Arc<Self> {
        let list = schemas.into_iter().map(|(subject, source)| (subject.to_owned(), source));
        Arc::new(Self { schemas: Mutex::new(list.collect()), requests: AtomicUsize::default() })
    }

    fn find(
        &self,
        matches: impl Fn(usize, &str, &SchemaSource) -> bool,
    ) -> Result<Registered, RegistryError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let schemas = self.schemas.lock();
        let found = schemas
            .iter()
            .enumerate()
            .rev()
            .find(|(place, (subject, source))| matches(*place, subject, source));
        let (place, (_, source)) =
            found.ok_or(RegistryError { code: Some(40403), message: "Schema not found".to_owned() })?;
        Ok(Registered {
            id: i32::try_from(place).unwrap() + 1,
            guid: Some(Guid([u8::try_from(place).unwrap() + 1; 16])),
            format: source.format.clone(),
            text: source.text.clone(),
            referenced: Vec::new(),
        })
    }
}

#[async_trait]
impl RegistryClient for Memory {
    async fn register(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalize: bool,
    ) -> Result<Registered, RegistryError> {
        if self.lookup(subject, schema, normalize).await.is_err() {
            self.schemas.lock().push((subject.to_owned(), schema.clone()));
        }
        self.lookup(subject, schema, normalize).await
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &SchemaSource,
        _: bool,
    ) -> Result<Registered, RegistryError> {
        self.find(|_, known, source| known == subject && source == schema)
    }

    async fn by_id(&self, id: i32, _: Option<&str>) -> Result<Registered, RegistryError> {
        self.find(|place, _, _| place + 1 == usize::try_from(id).unwrap_or(0))
    }

    async fn by_guid(&self, guid: Guid) -> Result<Registered, RegistryError> {
        self.find(|place, _, _| guid == Guid([u8::try_from(place).unwrap() + 1; 16]))
    }

    async fn latest(&self, subject: &str) -> Result<Registered, RegistryError> {
        self.find(|_, known, _| known == subject)
    }

    /// Its only metadata is the version, which is the schema's place.
    async fn latest_with(
        &self,
        subject: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Registered, RegistryError> {
        let place = properties.get("place").cloned().unwrap_or_default();
        self.find(|at, known, _| known == subject && (at + 1).to_string() == place)
    }
}
