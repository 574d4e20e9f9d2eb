//! ApiVersions: what this broker can be asked, and the feature levels of the cluster (KIP-35, KIP-511, KIP-584).

use vltava_coordinator::cluster::{KRAFT_VERSION as KRAFT_VERSION_FEATURE, supported_features};
use vltava_core::error::ErrorCode;
use vltava_core::id::BrokerId;
use vltava_core::wire::WireStr;
use vltava_protocol::api::{ApiKey, PRODUCE_ADVERTISED_VERSION_MIN};
use vltava_protocol::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use vltava_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use vltava_replication::quorum::KRAFT_VERSION;

use super::{Call, Capability, Peer, Row, TABLE, dispatch};

/// The client names its software, in letters, digits, `-` and `.` (KIP-511).
const CLIENT_SOFTWARE: Capability = Capability::since(3);
/// The client says which cluster and node it means to talk to (KIP-1242).
const EXPECTED_NODE: Capability = Capability::since(5);
/// A supported feature may have the minimum level 0.
const ZERO_MINIMUM: Capability = Capability::since(4);

pub(crate) async fn handle(call: Call<ApiVersionsRequest>) -> ApiVersionsResponse {
    let request = &call.request;
    if call.has(CLIENT_SOFTWARE) {
        if !is_software_name(&request.client_software_name)
            || !is_software_name(&request.client_software_version)
        {
            return refusal(ErrorCode::INVALID_REQUEST);
        }
        *call.peer.software.lock() =
            Some((request.client_software_name.clone(), request.client_software_version.clone()));
    }
    if call.has(EXPECTED_NODE) && is_misrouted(&call) {
        return refusal(ErrorCode::REBOOTSTRAP_REQUIRED);
    }
    let image = call.node.view.load().image.clone();
    let levels = supported_features();
    // A cluster taken over may have features that lie dormant here: a client must not believe that they are served.
    let in_image = image.features.iter().filter(|(name, _)| levels.contains_key(*name));
    let in_image = in_image.map(|(name, level)| (WireStr::from(name.clone()), *level));
    let in_use = in_image.chain([(WireStr::from(KRAFT_VERSION_FEATURE), KRAFT_VERSION)]);
    let finalized = in_use.filter(|(_, level)| *level > 0).map(|(name, level)| FinalizedFeatureKey {
        name,
        max_version_level: level,
        min_version_level: level,
    });
    let of_cluster = levels.iter().map(|(name, levels)| SupportedFeatureKey {
        name: WireStr::from(name.clone()),
        min_version: levels.min,
        max_version: levels.max,
    });
    let supported = of_cluster.chain([SupportedFeatureKey {
        name: WireStr::from(KRAFT_VERSION_FEATURE),
        min_version: 0,
        max_version: KRAFT_VERSION,
    }]);
    // A reader of older versions takes a minimum of 0 for an error.
    let readable = |feature: &SupportedFeatureKey| feature.min_version > 0 || call.has(ZERO_MINIMUM);
    ApiVersionsResponse {
        error_code: ErrorCode::NONE.code(),
        api_keys: served(&call.peer),
        throttle_time_ms: 0,
        supported_features: supported.filter(readable).collect(),
        finalized_features_epoch: image.offset.0,
        finalized_features: finalized.collect(),
        zk_migration_ready: false,
    }
}

/// The answer to a version that is not served, in version 0, so that the client can try again.
pub(crate) fn fallback<R>(call: &Call<R>) -> ApiVersionsResponse {
    let own = ApiKey::ApiVersions;
    let api_keys = served(&call.peer).into_iter().filter(|api| api.api_key == own.code()).collect();
    ApiVersionsResponse { api_keys, ..refusal(ErrorCode::UNSUPPORTED_VERSION) }
}

fn refusal(code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse { error_code: code.code(), ..ApiVersionsResponse::default() }
}

fn served(peer: &Peer) -> Vec<ApiVersion> {
    TABLE
        .iter()
        .filter(|row| dispatch::served(row.key.api(), peer).is_some())
        .map(|row: &Row| ApiVersion {
            api_key: row.key.code(),
            min_version: match row.key {
                ApiKey::Produce => PRODUCE_ADVERTISED_VERSION_MIN,
                _ => *row.versions().start(),
            },
            max_version: *row.versions().end(),
        })
        .collect()
}

/// A letter or digit at both ends, and letters, digits, `-` and `.` between.
fn is_software_name(name: &str) -> bool {
    let (first, last) = (name.bytes().next(), name.bytes().last());
    [first, last].iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

fn is_misrouted(call: &Call<ApiVersionsRequest>) -> bool {
    let request = &call.request;
    let other_cluster = request.cluster_id.as_deref().is_some_and(|id| *id != *call.node.cluster_id);
    let other_node = request.node_id >= 0 && BrokerId(request.node_id) != call.node.id;
    other_cluster || other_node
}
