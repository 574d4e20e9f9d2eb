//! ListConfigResources: what has a configuration (KIP-1142).

use std::collections::BTreeSet;

use vltava_core::error::ErrorCode;
use vltava_core::image::{ConfigKind, Image};
use vltava_protocol::list_config_resources_response::ConfigResource;
use vltava_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// The request names the kinds; before, only subscriptions of client metrics are listed.
const ALL_KINDS: Capability = Capability::since(1);

/// The kinds, in the order in which they are listed.
const KINDS: [ConfigKind; 5] = [
    ConfigKind::Group,
    ConfigKind::ClientMetrics,
    ConfigKind::BrokerLogger,
    ConfigKind::Broker,
    ConfigKind::Topic,
];

pub(crate) async fn handle(call: Call<ListConfigResourcesRequest>) -> ListConfigResourcesResponse {
    let refused = |code: ErrorCode| ListConfigResourcesResponse {
        error_code: code.code(),
        ..ListConfigResourcesResponse::default()
    };
    if let Err(code) = call.authorize(Operation::DescribeConfigs, Resource::Cluster) {
        return refused(code);
    }
    let asked = &call.request.resource_types;
    let kinds: Option<BTreeSet<ConfigKind>> = match (call.has(ALL_KINDS), asked.is_empty()) {
        (false, _) => Some(BTreeSet::from([ConfigKind::ClientMetrics])),
        (true, true) => Some(KINDS.into_iter().collect()),
        (true, false) => asked.iter().map(|id| ConfigKind::from_id(*id)).collect(),
    };
    let Some(kinds) = kinds else { return refused(ErrorCode::UNSUPPORTED_VERSION) };
    let image = call.node.view.load().image.clone();
    let asked = KINDS.into_iter().filter(|kind| kinds.contains(kind));
    let config_resources = asked.flat_map(|kind| {
        names(&image, kind).into_iter().map(move |name| ConfigResource {
            resource_name: wire(&name),
            // The field is not there before the request can name kinds; its default says the same.
            resource_type: kind.id(),
        })
    });
    ListConfigResourcesResponse { config_resources: config_resources.collect(), ..Default::default() }
}

fn names(image: &Image, kind: ConfigKind) -> BTreeSet<String> {
    match kind {
        ConfigKind::Topic => image.topics.iter().map(|topic| topic.name.to_string()).collect(),
        ConfigKind::Broker | ConfigKind::BrokerLogger => {
            image.brokers.keys().map(ToString::to_string).collect()
        }
        ConfigKind::ClientMetrics | ConfigKind::Group => {
            let configured = image.configs.keys().filter(|resource| resource.kind == kind);
            configured.map(|resource| resource.name.clone()).collect()
        }
    }
}
