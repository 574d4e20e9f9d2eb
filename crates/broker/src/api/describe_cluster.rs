//! DescribeCluster: the nodes and the controller.

use vltava_core::error::ErrorCode;
use vltava_core::image::Endpoint;
use vltava_core::wire::WireStr;
use vltava_protocol::describe_cluster_response::DescribeClusterBroker;
use vltava_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::Call;
use super::operations::cluster_operations;
use super::text::wire;

/// Brokers, or controllers (KIP-919).
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) async fn handle(call: Call<DescribeClusterRequest>) -> DescribeClusterResponse {
    let request = &call.request;
    let here = if call.peer.controller_listener { CONTROLLERS } else { BROKERS };
    if request.endpoint_type != here {
        return mismatch(request.endpoint_type);
    }
    let image = call.node.view.load().image.clone();
    let operations =
        if request.include_cluster_authorized_operations { cluster_operations(&call) } else { i32::MIN };
    let nodes = if here == CONTROLLERS { controllers(&call) } else { brokers(&call) };
    DescribeClusterResponse {
        endpoint_type: here,
        cluster_id: wire(&call.node.cluster_id),
        controller_id: if here == CONTROLLERS { image.controller.0 } else { call.node.id.0 },
        brokers: nodes,
        cluster_authorized_operations: operations,
        ..DescribeClusterResponse::default()
    }
}

fn mismatch(asked: i8) -> DescribeClusterResponse {
    let (code, message) = match asked {
        BROKERS => (
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER".to_owned(),
        ),
        CONTROLLERS => (
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER".to_owned(),
        ),
        other => (ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, format!("Unsupported endpoint type {other}")),
    };
    DescribeClusterResponse {
        error_code: code.code(),
        error_message: Some(WireStr::from(message)),
        ..DescribeClusterResponse::default()
    }
}

fn brokers(call: &Call<DescribeClusterRequest>) -> Vec<DescribeClusterBroker> {
    let image = call.node.view.load().image.clone();
    let shown =
        image.brokers.values().filter(|broker| broker.is_active() || call.request.include_fenced_brokers);
    shown
        .filter_map(|broker| {
            let endpoint = broker.endpoint(&call.peer.listener)?;
            let rack = broker.rack.as_deref().map(wire);
            Some(DescribeClusterBroker { rack, is_fenced: broker.fenced, ..node(broker.id.0, endpoint) })
        })
        .collect()
}

fn controllers(call: &Call<DescribeClusterRequest>) -> Vec<DescribeClusterBroker> {
    let status = call.node.quorum.status();
    let voters = status.voters.iter().filter_map(|voter| {
        let endpoint = voter.endpoints.iter().find(|endpoint| *endpoint.listener == *call.peer.listener)?;
        Some(node(voter.id.0, endpoint))
    });
    voters.collect()
}

fn node(id: i32, endpoint: &Endpoint) -> DescribeClusterBroker {
    DescribeClusterBroker {
        broker_id: id,
        host: wire(&endpoint.host),
        port: i32::from(endpoint.port),
        ..DescribeClusterBroker::default()
    }
}
