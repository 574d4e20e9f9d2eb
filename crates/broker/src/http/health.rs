//! `/health`: whether the node can do its work, for people and for the programs that watch over it.
//!
//! *Live* is a process that answers; restarting it is right when it does not. *Ready* is a node that takes clients.

use std::sync::atomic::Ordering;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Response, reply};
use crate::node::Node;

/// The whole state.
pub(super) fn health(node: &Node, stopping: bool) -> Response {
    let offline: Vec<Value> = node
        .stores
        .all()
        .flat_map(|store| store.directories())
        .filter_map(|directory| {
            let reason = directory.failure?;
            Some(json!({ "path": directory.path.display().to_string(), "reason": reason }))
        })
        .collect();
    let metadata = node.metadata_failure();
    let failed = metadata.is_some() || !offline.is_empty();
    let started = node.started.load(Ordering::Relaxed);
    let status = match (failed, stopping, started) {
        (true, _, _) => "failed",
        (false, true, _) => "stopping",
        (false, false, false) => "starting",
        (false, false, true) => "ok",
    };
    let body = json!({
        "status": status,
        "node": node.id.0,
        "cluster": &*node.cluster_id,
        "version": env!("CARGO_PKG_VERSION"),
        "controller": controller(node),
        "metadata_failure": metadata,
        "offline_directories": offline,
    });
    page(!failed && started, &body)
}

/// The leader of the controller quorum; null when there is none.
fn controller(node: &Node) -> Option<i32> {
    Some(node.quorum.status().leader.0).filter(|leader| *leader >= 0)
}

/// The process answers.
pub(super) fn live() -> Response {
    page(true, &json!({ "status": "ok" }))
}

/// The node takes clients: it has started, is not shutting down, and there is a controller.
pub(super) fn ready(node: &Node, stopping: bool) -> Response {
    let ready = node.started.load(Ordering::Relaxed) && !stopping && controller(node).is_some();
    page(ready, &json!({ "status": if ready { "ok" } else { "not ready" } }))
}

fn page(fine: bool, body: &Value) -> Response {
    let status = if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply(status, "application/json", body.to_string())
}
