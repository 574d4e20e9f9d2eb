//! What the registry says about itself, and what it does not do.

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
            _ => Reply::json(&json!({ "attributes": ["deployment:opensource"] })),
        }
    }
}

/// A path that is known elsewhere, or nowhere.
pub(super) fn unserved(path: &[&str]) -> Reply {
    match path {
        ["exporters", ..] => Reply::plain(
            501,
            "Schema exporters are not served; mirror the topic _schemas, or register in mode IMPORT elsewhere",
        ),
        ["dek-registry", ..] => Reply::plain(
            501,
            "Encryption keys are not kept here; use a key management service from the client",
        ),
        ["associations" | "associations:batchGet" | "associations:batchMutate", ..] => {
            Reply::plain(501, "Associations are shown, but not changed here")
        }
        _ => Reply::not_found(),
    }
}
