//! What the registry says about itself, and what it does not do.

use hyper::Method;
use serde_json::json;

use super::Asked;
use super::reply::Reply;

/// The group under which registries elect a leader elsewhere (`schema.registry.group.id`): part of what clients call the
/// registry's identity.
const GROUP: &str = "schema-registry";

impl Asked<'_> {
    pub(super) fn about(&self, what: &str) -> Reply {
        match what {
            "id" => {
                let clusters =
                    json!({ "kafka-cluster": &*self.node.cluster_id, "schema-registry-cluster": GROUP });
                Reply::json(&json!({ "id": "", "scope": { "path": [], "clusters": clusters } }))
            }
            "version" => Reply::json(&json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "" })),
            _ => Reply::json(&json!({ "attributes": [] })),
        }
    }
}

/// No exporter has this name.
const EXPORTER_NOT_FOUND: u32 = 40450;
/// No key has this name.
const KEY_NOT_FOUND: u32 = 40470;

/// Exporters, of which there are none: lists are empty, names lead nowhere, and none is made. `None` for a method that the path
/// does not have.
///
/// # Errors
/// The answer, when it is a refusal.
pub(super) fn exporters(method: &Method, path: &[&str]) -> Result<Option<Reply>, Reply> {
    match path {
        [] => none_kept(
            method,
            "Schema exporters are not served; mirror the topic _schemas, or register in mode IMPORT elsewhere",
        ),
        [name, ..] => {
            Err(Reply::error(404, EXPORTER_NOT_FOUND, &format!("Exporter '{name:.200}' not found.")))
        }
    }
}

/// Encryption keys, of which there are none, in the same way.
///
/// # Errors
/// The answer, when it is a refusal.
pub(super) fn keys(method: &Method, path: &[&str]) -> Result<Option<Reply>, Reply> {
    match path {
        [] => none_kept(
            method,
            "Encryption keys are not kept here; use a key management service from the client",
        ),
        [name, ..] => Err(Reply::error(404, KEY_NOT_FOUND, &format!("Key '{name:.200}' not found."))),
    }
}

fn none_kept(method: &Method, why: &str) -> Result<Option<Reply>, Reply> {
    match *method {
        Method::GET => Ok(Some(Reply::json(&json!([])))),
        Method::POST => Err(Reply::plain(501, why)),
        _ => Ok(None),
    }
}
