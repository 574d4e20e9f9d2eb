//! The API of the schema registry: at the root of `vltava.registry.listeners`, and below `/registry` of the node's own server.
//!
//! It translates paths and bodies into what [`crate::registry`] is asked, and answers back, in the words and codes that clients
//! know. Paths are taken apart here and not by the router: a context may stand before any of them, and a subject may hold
//! anything, slashes included.

mod associations;
pub(super) mod call;
mod compatibility;
mod others;
mod reply;
mod schemas;
mod settings;
mod subjects;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::Method;
use hyper::body::Body;
use vltava_connect::schema::registry::RegistryError;
use vltava_connect::schema::registry::state::State;
use vltava_connect::schema::registry::subject::{ANY_CONTEXT, normalize};

use self::associations::Of;
use self::call::Call;
use self::reply::Reply;
use super::{Request, Response, host};
use crate::node::Node;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The most schemas of one answer (`schema.search.max.limit`).
const SCHEMAS_PAGE_MAX: usize = 1000;
/// The most of everything else in one answer.
const PAGE_MAX: usize = i32::MAX as usize;

/// What an endpoint says.
type Answered = Result<Reply, Reply>;

/// One request to the registry, with all that it is answered from.
struct Asked<'a> {
    node: &'a Arc<Node>,
    call: Call,
}

/// Answers a request whose path stands below `prefix`.
pub(super) async fn answer(
    node: &Arc<Node>,
    hosts: &BTreeSet<String>,
    prefix: &str,
    request: Request,
) -> Response {
    let media_type = reply::accepted(request.headers());
    let answered = match media_type {
        None => Err(Reply::plain(406, "HTTP 406 Not Acceptable")),
        Some(_) => asked(node, hosts, prefix, request).await,
    };
    let reply = answered.unwrap_or_else(|error| error);
    let hundreds = usize::from(reply.status / 100).saturating_sub(1);
    if let Some(count) = node.registry.meters.requests.get(hundreds) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    reply.into_response(media_type.unwrap_or("application/json"))
}

async fn asked(node: &Arc<Node>, hosts: &BTreeSet<String>, prefix: &str, request: Request) -> Answered {
    host::check_origin(request.headers(), hosts).map_err(|message| Reply::plain(403, message))?;
    if !node.started.load(Ordering::Relaxed) {
        // It would answer that nothing is there.
        return Err(Reply::plain(503, "the node is starting; ask again"));
    }
    // What a read without a body is answered depends on nothing but what it names and the state.
    let reads = request.method() == Method::GET && request.body().is_end_stream();
    let view = if reads { node.registry.view(node) } else { None };
    let named = request.uri().path_and_query().cloned();
    let named = named.as_ref().and_then(|named| named.as_str().strip_prefix(prefix)).unwrap_or_default();
    if let Some(body) = view.as_ref().and_then(|view| view.answers.get(named)) {
        return Ok(Reply::found(body));
    }
    // In a box: what answers every kind of request is large, and would be moved for those as well that are answered above.
    let answering = Box::pin(work_out(node, prefix, request));
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, answering).await;
    let reply = answered
        .unwrap_or_else(|_| Err(RegistryError::TimedOut("The request took too long".to_owned()).into()))?;
    if let Some(view) = view
        && reply.status == 200
    {
        view.answers.keep(named, &reply.body);
    }
    Ok(reply)
}

async fn work_out(node: &Arc<Node>, prefix: &str, request: Request) -> Answered {
    let (head, body) = request.into_parts();
    let writes = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method);
    if writes && !reply::takes(&head.headers) {
        return Err(Reply::plain(415, "HTTP 415 Unsupported Media Type"));
    }
    let bytes_max = node.config.http.registry_body_bytes_max;
    let body = Limited::new(body, bytes_max).collect().await.map_err(|_| {
        Reply::plain(413, &format!("the body is larger than {bytes_max} bytes, or broke off"))
    })?;
    let method = if head.method == Method::HEAD { Method::GET } else { head.method };
    let path = head.uri.path().strip_prefix(prefix).unwrap_or_default();
    let call = Call::new(method, path, head.uri.query().unwrap_or_default(), body.to_bytes())?;
    Asked { node, call }.dispatch().await
}

const GET: &str = "GET,HEAD,OPTIONS";
const POST: &str = "POST,OPTIONS";
const GET_POST: &str = "GET,HEAD,POST,OPTIONS";
const GET_DELETE: &str = "GET,HEAD,DELETE,OPTIONS";
const POST_DELETE: &str = "POST,DELETE,OPTIONS";
const DELETE: &str = "DELETE,OPTIONS";
const SETTINGS: &str = "GET,HEAD,PUT,DELETE,OPTIONS";

impl Asked<'_> {
    #[allow(clippy::match_same_arms, reason = "the rows stand in the order of the paths")]
    async fn dispatch(&self) -> Answered {
        let path: Vec<&str> = self.call.path.iter().map(String::as_str).collect();
        let method = &self.call.method;
        let (get, put) = (*method == Method::GET, *method == Method::PUT);
        let (post, delete) = (*method == Method::POST, *method == Method::DELETE);
        let allowed = match path.as_slice() {
            [] if get || post => return Ok(Reply::json(&serde_json::json!({}))),
            [] => GET_POST,
            ["subjects"] if get => return self.list_subjects().await,
            ["subjects"] => GET,
            ["subjects", subject] if post => return self.lookup(subject).await,
            ["subjects", subject] if delete => return self.delete_subject(subject).await,
            ["subjects", _] => POST_DELETE,
            ["subjects", subject, "metadata"] if get => return self.latest_with_metadata(subject).await,
            ["subjects", subject, "versions"] if get => return self.list_versions(subject).await,
            ["subjects", subject, "versions"] if post => return self.register(subject).await,
            ["subjects", _, "versions"] => GET_POST,
            ["subjects", subject, "versions", version] if get => {
                return self.get_version(subject, version).await;
            }
            ["subjects", subject, "versions", version] if delete => {
                return self.delete_version(subject, version).await;
            }
            ["subjects", _, "versions", _] => GET_DELETE,
            ["subjects", subject, "versions", version, "schema"] if get => {
                return self.get_version_text(subject, version).await;
            }
            ["subjects", subject, "versions", version, "referencedby"] if get => {
                return self.referenced_by(subject, version).await;
            }
            ["subjects", subject, "versions", version, "tags"] if post => {
                return self.modify_tags(subject, version).await;
            }
            ["subjects", _, "versions", _, "tags"] => POST,
            ["subjects", _, "metadata"] | ["subjects", _, "versions", _, "schema" | "referencedby"] => GET,
            ["schemas"] if get => return self.list_schemas().await,
            ["schemas", "types"] if get => return Ok(Reply::json(&self.node.registry.library.names())),
            ["schemas", "ids", id] if get => return self.by_id(id).await,
            ["schemas", "ids", id, "schema"] if get => return self.text_by_id(id).await,
            ["schemas", "ids", id, "subjects"] if get => return self.subjects_by_id(id).await,
            ["schemas", "ids", id, "versions"] if get => return self.versions_by_id(id).await,
            ["schemas", "guids", guid] if get => return self.by_guid(guid).await,
            ["schemas", "guids", guid, "ids"] if get => return self.ids_by_guid(guid).await,
            ["schemas"]
            | ["schemas", "types"]
            | ["schemas", "ids", _]
            | ["schemas", "ids", _, "schema" | "subjects" | "versions"]
            | ["schemas", "guids", _]
            | ["schemas", "guids", _, "ids"] => GET,
            ["compatibility", "subjects", subject, "versions"] if post => {
                return self.check(subject, None).await;
            }
            ["compatibility", "subjects", subject, "versions", version] if post => {
                return self.check(subject, Some(version)).await;
            }
            ["compatibility", "subjects", _, "versions"]
            | ["compatibility", "subjects", _, "versions", _] => POST,
            ["config", rest @ ..] if rest.len() < 2 => {
                let subject = rest.first().copied();
                match () {
                    () if get => return self.get_config(subject).await,
                    () if put => return self.set_config(subject).await,
                    () if delete => return self.delete_config(subject).await,
                    () => SETTINGS,
                }
            }
            ["mode", rest @ ..] if rest.len() < 2 => {
                let subject = rest.first().copied();
                match () {
                    () if get => return self.get_mode(subject).await,
                    () if put => return self.set_mode(subject).await,
                    () if delete => return self.delete_mode(subject).await,
                    () => SETTINGS,
                }
            }
            ["contexts"] if get => return self.list_contexts().await,
            ["contexts"] => GET,
            ["contexts", context] if delete => return self.delete_context(context).await,
            ["contexts", _] => DELETE,
            ["v1", "metadata", what @ ("id" | "version" | "deployment")] if get => {
                return Ok(self.about(what));
            }
            ["v1", "metadata", "id" | "version" | "deployment"] => GET,
            ["associations", "subjects", subject] if get => {
                return self.list_associations(Of::Subject(subject)).await;
            }
            ["associations", "resources", id] if get => {
                return self.list_associations(Of::ResourceId(id)).await;
            }
            ["associations", "resources", id] if put => return self.upsert_associations(id).await,
            ["associations", "resources", id] if delete => return self.delete_associations(id).await,
            ["associations", "resources", _] => SETTINGS,
            ["associations"] if post => return self.create_associations().await,
            ["associations:batchGet"] if post => return self.get_associations().await,
            ["associations:batchMutate"] if post => return self.mutate_associations().await,
            ["associations" | "associations:batchGet" | "associations:batchMutate"] => POST,
            ["associations", "resources", namespace, name] if get => {
                return self.list_associations(Of::ResourceName(namespace, name)).await;
            }
            ["associations", "subjects", _] | ["associations", "resources", _, _] => GET,
            ["exporters", rest @ ..] => match others::exporters(method, rest)? {
                Some(reply) => return Ok(reply),
                None => GET_POST,
            },
            ["dek-registry", "v1", "keks", rest @ ..] => match others::keys(method, rest)? {
                Some(reply) => return Ok(reply),
                None => GET_POST,
            },
            _ => return Err(Reply::not_found()),
        };
        if *method == Method::OPTIONS {
            Ok(Reply::options(allowed))
        } else {
            Err(Reply::not_allowed(allowed))
        }
    }

    async fn state(&self) -> Result<Arc<State>, Reply> {
        Ok(self.node.registry.state(self.node).await?)
    }

    /// A subject of the path, or the one that answers for it.
    fn subject(&self, state: &State, name: &str) -> String {
        state.behind_alias(&self.call.subject(name))
    }

    /// The subject that narrows where an id is looked for.
    fn hint(&self, state: &State) -> Option<String> {
        let named = self.call.parameter("subject");
        if named.is_none() && self.call.context.is_empty() {
            return None;
        }
        Some(self.subject(state, named.unwrap_or_default()))
    }

    /// With what the names of subjects have to begin.
    fn subject_prefix(&self, default: &str) -> String {
        match self.call.parameter("subjectPrefix") {
            Some(prefix) if prefix.starts_with(":.") || prefix.starts_with(ANY_CONTEXT) => {
                // `:.:` is no part of a name.
                prefix.strip_prefix(":.:").map_or_else(|| prefix.to_owned(), str::to_owned)
            }
            Some(prefix) => format!("{}{prefix}", self.call.context),
            None if !self.call.has_context => default.to_owned(),
            None => normalize(&self.call.context),
        }
    }
}
