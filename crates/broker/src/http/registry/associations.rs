//! Associations: which subjects belong to a resource, such as a topic.
//!
//! Newer serializers ask for the subject of a topic before they register anything, and fall back on its name when there is
//! none.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vltava_connect::schema::registry::associate::{
    AssociationRequest, Operation, PlannedAssociations, Resource, ResourceRequest, TOPIC,
};
use vltava_connect::schema::registry::association::{Association, AssociationKey, Lifecycle};
use vltava_connect::schema::registry::plan::Planner;
use vltava_connect::schema::registry::state::{Filter, State};
use vltava_connect::schema::registry::{RegistryError, subject};

use super::reply::Reply;
use super::view::SchemaView;
use super::{Answered, Asked, PAGE_MAX};

/// The most resources of one request.
const RESOURCES_MAX: usize = 1000;

/// In the place of a resource's name or namespace: every one.
const ANY: &str = "-";

/// Several things to do, or to look up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Batch<T> {
    requests: Option<Vec<T>>,
}

impl<T> Batch<T> {
    fn requests(self) -> Result<Vec<T>, Reply> {
        let requests = self.requests.unwrap_or_default();
        let detail = match requests.len() {
            0 => "cannot be null or empty".to_owned(),
            count if count > RESOURCES_MAX => format!("are limited to {RESOURCES_MAX}"),
            _ => return Ok(requests),
        };
        Err(RegistryError::InvalidAssociation { property: "requests", detail }.into())
    }
}

/// Which associations are looked up.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Query {
    resource_name: Option<String>,
    resource_namespace: Option<String>,
    resource_id: Option<String>,
    resource_type: Option<String>,
    association_types: Option<Vec<String>>,
    lifecycle: Option<Lifecycle>,
}

/// A resource with its associations.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceView {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_id: Option<String>,
    resource_type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    associations: Vec<Value>,
}

impl ResourceView {
    fn of(resource: &Resource, associations: Vec<Value>) -> ResourceView {
        ResourceView {
            resource_name: Some(resource.name.clone()),
            resource_namespace: Some(resource.namespace.clone()),
            resource_id: resource.id.clone(),
            resource_type: TOPIC.to_owned(),
            associations,
        }
    }
}

/// What became of one of several requests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Error(Value),
    Result(ResourceView),
}

impl Outcome {
    fn of(outcome: Result<ResourceView, RegistryError>) -> Outcome {
        let told = |error: RegistryError| serde_json::json!({ "error_code": error.code(), "message": error.to_string() });
        outcome.map_or_else(|error| Outcome::Error(told(error)), Outcome::Result)
    }
}

fn outcomes(results: Vec<Outcome>) -> Reply {
    let mut reply = Reply::json(&serde_json::json!({ "results": results }));
    reply.status = 207;
    reply
}

/// An association, with the latest schema of its subject when that is to be shown.
fn shown(state: &State, key: &AssociationKey, association: &Association, with_schema: bool) -> Value {
    let mut view = serde_json::json!({
        "subject": key.subject,
        "associationType": key.association_type,
        "lifecycle": association.lifecycle.name(),
    });
    if let Some(frozen) = association.told_frozen() {
        view["frozen"] = frozen.into();
    }
    if let Some(version) = state.version(&key.subject, -1, Filter::Live).filter(|_| with_schema) {
        view["schema"] = serde_json::json!(SchemaView::of(&key.subject, version));
    }
    view
}

/// Whose associations are asked for.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    /// Those of a subject.
    Subject(&'a str),
    /// Those of a resource by its identity.
    ResourceId(&'a str),
    /// Those of a resource by its name in a namespace, or in any.
    ResourceName(&'a str, &'a str),
}

impl Asked<'_> {
    pub(super) async fn list_associations(&self, of: Of<'_>) -> Answered {
        let page = self.call.page(PAGE_MAX)?;
        let state = self.state().await?;
        let subject = match of {
            Of::Subject(name) => self.subject(&state, name),
            _ => String::new(),
        };
        let named = |key: &AssociationKey, association: &Association| match of {
            Of::Subject(_) => key.subject == subject,
            Of::ResourceId(id) => association.resource_id == id,
            Of::ResourceName(namespace, name) => {
                (name == ANY || key.resource_name == name)
                    && (namespace == ANY || key.resource_namespace == namespace)
            }
        };
        let found = state.associations().filter(|(key, association)| named(key, association));
        let found = found.filter(|(key, association)| self.narrowed(key, association));
        let views: Vec<Value> = page.of(found).into_iter().map(|(key, found)| found.view(key)).collect();
        Ok(Reply::json(&views))
    }

    /// Whether an association passes the parameters; one that is not given passes all.
    fn narrowed(&self, key: &AssociationKey, association: &Association) -> bool {
        let allows = |parameter: &str, value: &str| {
            let mut wanted = self.call.all(parameter).filter(|wanted| !wanted.is_empty()).peekable();
            wanted.peek().is_none() || wanted.any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        allows("resourceType", &key.resource_type)
            && allows("associationType", &key.association_type)
            && allows("lifecycle", association.lifecycle.name())
    }

    fn association_context(&self) -> Result<String, Reply> {
        let Some(name) = self.call.parameter("context") else { return Ok(self.call.context.clone()) };
        let invalid = || Reply::plain(400, "a context cannot contain a colon");
        subject::context_prefix(name).ok_or_else(invalid)
    }

    pub(super) async fn create_associations(&self) -> Answered {
        let request: ResourceRequest = self.call.json()?;
        self.write_associations(request, Operation::Create).await
    }

    pub(super) async fn upsert_associations(&self, resource_id: &str) -> Answered {
        let mut request: ResourceRequest = self.call.json()?;
        if *request.resource_id.get_or_insert_with(|| resource_id.to_owned()) != *resource_id {
            let detail = "Resource ID in the path parameter does not match the resource ID in the request";
            let property = "resourceId";
            return Err(RegistryError::InvalidAssociation { property, detail: detail.to_owned() }.into());
        }
        self.write_associations(request, Operation::Upsert).await
    }

    async fn write_associations(&self, mut request: ResourceRequest, operation: Operation) -> Answered {
        for asked in request.associations.iter_mut().flatten() {
            asked.op_type = Some(operation);
        }
        let dry_run = self.call.flag("dryRun");
        let resource = request.resource(dry_run)?;
        let asked = request.checked(&resource, operation)?;
        let planned = self.put_associations(&resource, asked, dry_run).await?;
        if dry_run {
            return Ok(Reply::json(&ResourceView::of(&resource, Vec::new())));
        }
        let state = self.state().await?;
        let views = planned.changed.iter().flat_map(|(kind, subject)| {
            let own = state.associations_of(subject).filter(|(key, known)| {
                key.association_type == *kind && Some(&known.resource_id) == resource.id.as_ref()
            });
            own.map(|(key, known)| shown(&state, key, known, planned.with_schema.contains(kind)))
        });
        Ok(Reply::json(&ResourceView::of(&resource, views.collect())))
    }

    /// Makes or changes associations; a dry run only finds out whether that is allowed.
    async fn put_associations(
        &self,
        resource: &Resource,
        asked: Vec<AssociationRequest>,
        dry_run: bool,
    ) -> Result<PlannedAssociations, Reply> {
        let (context, resource) = (self.association_context()?, resource.clone());
        let plan = move |planner: Planner<'_>| {
            let guid = || uuid::Uuid::new_v4().to_string();
            planner.associate(&context, &resource, asked.clone(), dry_run, guid)
        };
        let registry = &self.node.registry;
        if dry_run {
            return Ok(registry.plan(self.node, plan).await?);
        }
        let plan =
            move |planner: Planner<'_>| plan(planner).map(|planned| (planned.command.clone(), planned));
        Ok(registry.associate(self.node, plan).await?)
    }

    pub(super) async fn delete_associations(&self, resource_id: &str) -> Answered {
        let kinds: Vec<String> = self.call.all("associationType").map(str::to_owned).collect();
        let state = self.state().await?;
        let kind = self.call.parameter("resourceType").filter(|kind| !kind.is_empty()).unwrap_or(TOPIC);
        let known = state.associations().any(|(key, known)| {
            known.resource_id == resource_id
                && key.resource_type == kind
                && (kinds.is_empty() || kinds.contains(&key.association_type))
        });
        if !known {
            return Err(RegistryError::AssociationNotFound(resource_id.to_owned()).into());
        }
        let (cascade, dry_run) = (self.call.flag("cascadeLifecycle"), self.call.flag("dryRun"));
        self.remove_associations(resource_id, kinds, cascade, dry_run).await?;
        Ok(Reply::nothing())
    }

    async fn remove_associations(
        &self,
        resource_id: &str,
        kinds: Vec<String>,
        cascade: bool,
        dry_run: bool,
    ) -> Result<(), RegistryError> {
        let resource_id = resource_id.to_owned();
        let plan = move |planner: Planner<'_>| {
            planner.dissociate(&resource_id, &kinds, cascade).map(|command| (command, ()))
        };
        match dry_run {
            true => self.node.registry.plan(self.node, plan).await.map(|_| ()),
            false => self.node.registry.associate(self.node, plan).await,
        }
    }

    pub(super) async fn get_associations(&self) -> Answered {
        let queries = self.call.json::<Batch<Query>>()?.requests()?;
        let with_schemas = self.call.flag("includeSchemas");
        let state = self.state().await?;
        let results = queries.into_iter().map(|query| Outcome::of(find(&state, query, with_schemas)));
        Ok(outcomes(results.collect()))
    }

    pub(super) async fn mutate_associations(&self) -> Answered {
        let requests = self.call.json::<Batch<ResourceRequest>>()?.requests()?;
        let mut results = Vec::new();
        for request in requests {
            results.push(match self.mutate(&request).await {
                Ok(view) => Outcome::Result(view),
                Err(reply) => Outcome::Error(serde_json::from_slice(&reply.body).unwrap_or_default()),
            });
        }
        Ok(outcomes(results))
    }

    /// Does what is asked for one resource, in its order; what is alike and stands together is done at once.
    async fn mutate(&self, request: &ResourceRequest) -> Result<ResourceView, Reply> {
        let dry_run = self.call.flag("dryRun");
        let resource = request.resource(dry_run)?;
        let asked = request.checked(&resource, Operation::Upsert)?;
        let mut with_schema = Vec::new();
        for run in asked.chunk_by(|one, next| one.op_type == next.op_type) {
            if run.iter().all(|asked| asked.op_type == Some(Operation::Delete)) {
                for asked in run {
                    let id = resource.id.as_deref().unwrap_or_default();
                    let cascade = asked.cascade_lifecycle == Some(true);
                    self.remove_associations(id, vec![asked.kind().to_owned()], cascade, dry_run).await?;
                }
            } else {
                let planned = self.put_associations(&resource, run.to_vec(), dry_run).await?;
                with_schema.extend(planned.with_schema);
            }
        }
        if dry_run {
            return Ok(ResourceView::of(&resource, Vec::new()));
        }
        let state = self.state().await?;
        let own = state.associations().filter(|(key, known)| {
            Some(&known.resource_id) == resource.id.as_ref() && key.resource_type == TOPIC
        });
        let views =
            own.map(|(key, known)| shown(&state, key, known, with_schema.contains(&key.association_type)));
        Ok(ResourceView::of(&resource, views.collect()))
    }
}

/// The associations of one resource, by its identity or by its name.
fn find(state: &State, query: Query, with_schemas: bool) -> Result<ResourceView, RegistryError> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (id, name) = (given(query.resource_id), given(query.resource_name));
    let namespace = given(query.resource_namespace);
    let invalid =
        |property, detail: &str| RegistryError::InvalidAssociation { property, detail: detail.to_owned() };
    if id.is_none() && name.is_none() {
        return Err(invalid("resourceId", "either resourceId or resourceName must be specified"));
    }
    if name.is_some() && namespace.is_none() {
        let detail = "resourceNamespace is required when resourceName is specified";
        return Err(invalid("resourceNamespace", detail));
    }
    let resource_type = given(query.resource_type).unwrap_or_else(|| TOPIC.to_owned());
    let kinds = query.association_types.unwrap_or_default();
    let own = |key: &AssociationKey, known: &Association| match &id {
        Some(id) => known.resource_id == *id,
        None => {
            Some(&key.resource_name) == name.as_ref()
                && namespace.as_ref().is_some_and(|space| space == ANY || *space == key.resource_namespace)
        }
    };
    let found: Vec<(&AssociationKey, &Association)> = state
        .associations()
        .filter(|(key, known)| {
            own(key, known)
                && key.resource_type == resource_type
                && (kinds.is_empty() || kinds.contains(&key.association_type))
                && query.lifecycle.is_none_or(|lifecycle| lifecycle == known.lifecycle)
        })
        .collect();
    let first = found.first();
    Ok(ResourceView {
        resource_name: name.or_else(|| first.map(|(key, _)| key.resource_name.clone())),
        resource_namespace: namespace.or_else(|| first.map(|(key, _)| key.resource_namespace.clone())),
        resource_id: id.or_else(|| first.map(|(_, known)| known.resource_id.clone())),
        resource_type,
        associations: found.iter().map(|(key, known)| shown(state, key, known, with_schemas)).collect(),
    })
}
