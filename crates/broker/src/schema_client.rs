//! The registry of a broker for the serializers of the same process: no HTTP, no copy of the state.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use vltava_connect::schema::registry::content::Version;
use vltava_connect::schema::registry::library::resolve;
use vltava_connect::schema::registry::plan::{Options, SchemaRequest};
use vltava_connect::schema::registry::state::{Filter, State};
use vltava_connect::schema::registry::subject::{Qualified, normalize};
use vltava_connect::schema::registry::{RegistryError as Refusal, SCHEMAS_TOPIC};
use vltava_connect::schema::serializer::{Registered, RegistryClient, RegistryError, SchemaSource};
use vltava_connect::schema::wire::Guid;

use crate::node::Node;

/// The registry of a running broker.
pub(crate) struct InProcess(pub(crate) Arc<Node>);

impl fmt::Debug for InProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InProcess({SCHEMAS_TOPIC} of node {})", self.0.id)
    }
}

fn told(error: &Refusal) -> RegistryError {
    RegistryError { code: Some(error.code()), message: error.to_string() }
}

fn registered(state: &State, subject: &str, version: &Version) -> Result<Registered, RegistryError> {
    let content = &version.content;
    let mut references = content.references.to_vec();
    let resolved = resolve(state, subject, &mut references, Filter::All).map_err(|error| told(&error))?;
    Ok(Registered {
        id: version.id,
        guid: Some(content.guid),
        format: content.format.to_string(),
        text: content.text.to_string(),
        referenced: resolved.texts,
    })
}

impl InProcess {
    async fn state(&self) -> Result<Arc<State>, RegistryError> {
        self.0.registry.state(&self.0).await.map_err(|error| told(&error))
    }
}

#[async_trait]
impl RegistryClient for InProcess {
    async fn register(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalized: bool,
    ) -> Result<Registered, RegistryError> {
        let subject = normalize(subject);
        let options = Options { normalize: normalized, ..Options::default() };
        let version = self.0.registry.register(&self.0, &subject, &schema.into(), options).await;
        let version = version.map_err(|error| told(&error))?;
        registered(&*self.state().await?, &subject, &version)
    }

    async fn lookup(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalized: bool,
    ) -> Result<Registered, RegistryError> {
        let (subject, wanted) = (normalize(subject), SchemaRequest::from(schema));
        let options = Options { normalize: normalized, ..Options::default() };
        let name = subject.clone();
        let found =
            self.0.registry.plan(&self.0, move |planner| planner.lookup_everywhere(&name, &wanted, options));
        let found = found.await.map_err(|error| told(&error))?;
        let (subject, version) = found.ok_or_else(|| told(&Refusal::SchemaNotFound))?;
        registered(&*self.state().await?, &subject, &version)
    }

    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<Registered, RegistryError> {
        let state = self.state().await?;
        let found = state.by_id(id, subject).or_else(|| state.by_id(id, None));
        let (owner, version) = found.ok_or_else(|| told(&Refusal::SchemaIdNotFound(id.to_string())))?;
        registered(&state, owner, version)
    }

    async fn by_guid(&self, guid: Guid) -> Result<Registered, RegistryError> {
        let state = self.state().await?;
        let not_found = || told(&Refusal::SchemaIdNotFound(guid.to_string()));
        let ids = state.ids_of(guid);
        let (context, id) = ids.first().copied().ok_or_else(not_found)?;
        let prefix = Qualified { context, name: "" }.prefix();
        let (owner, version) = state.by_id(id, Some(&prefix)).ok_or_else(not_found)?;
        registered(&state, owner, version)
    }

    async fn latest(&self, subject: &str) -> Result<Registered, RegistryError> {
        let subject = normalize(subject);
        let state = self.state().await?;
        let version = state.version(&subject, -1, Filter::Live);
        let version = version.ok_or_else(|| told(&Refusal::SubjectNotFound(subject.clone())))?;
        registered(&state, &subject, version)
    }

    async fn latest_with(
        &self,
        subject: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Registered, RegistryError> {
        let subject = normalize(subject);
        let state = self.state().await?;
        let version = state.latest_with(&subject, properties, Filter::Live);
        let version = version.ok_or_else(|| told(&Refusal::SchemaNotFound))?;
        registered(&state, &subject, version)
    }
}
