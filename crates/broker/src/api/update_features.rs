//! UpdateFeatures: finalises feature levels (KIP-584).

use vltava_coordinator::cluster::command::{FeatureUpdate, UpdateFeatures, UpgradeType};
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use vltava_protocol::update_features_request::FeatureUpdateKey;
use vltava_protocol::update_features_response::UpdatableFeatureResult;

use super::{Call, Capability};
use crate::authorizer::{Operation, Resource};

/// The direction of a change is a number; before, it is whether a downgrade is allowed.
const UPGRADE_TYPE: Capability = Capability::since(1);
/// One result stands for all features.
const ONE_RESULT: Capability = Capability::since(2);

pub(crate) async fn handle(call: Call<UpdateFeaturesRequest>) -> UpdateFeaturesResponse {
    match update(&call).await {
        Ok(()) => UpdateFeaturesResponse {
            error_message: None,
            results: results(&call),
            ..UpdateFeaturesResponse::default()
        },
        Err((code, message)) => UpdateFeaturesResponse {
            error_code: code.code(),
            error_message: Some(WireStr::from(message)),
            ..UpdateFeaturesResponse::default()
        },
    }
}

async fn update(call: &Call<UpdateFeaturesRequest>) -> Result<(), (ErrorCode, String)> {
    let plain = |code: ErrorCode| (code, code.message().to_owned());
    call.authorize(Operation::Alter, Resource::Cluster).map_err(plain)?;
    let updates = call.request.feature_updates.iter().map(|update| change(call, update)).collect();
    let command =
        Command::UpdateFeatures(UpdateFeatures { updates, validate_only: call.request.validate_only });
    match call.node.ask_controller(command).await.map_err(plain)? {
        Answer::UpdateFeatures(updated) => {
            updated.map_err(|error| (error.code(), error.to_string()))?;
            call.node.caught_up().await;
            Ok(())
        }
        _ => Err(plain(ErrorCode::UNKNOWN_SERVER_ERROR)),
    }
}

fn change(call: &Call<UpdateFeaturesRequest>, update: &FeatureUpdateKey) -> FeatureUpdate {
    let upgrade = match (call.has(UPGRADE_TYPE), update.allow_downgrade) {
        (true, _) => UpgradeType::from_id(update.upgrade_type),
        (false, true) => UpgradeType::SafeDowngrade,
        (false, false) => UpgradeType::Upgrade,
    };
    FeatureUpdate { name: update.feature.to_string(), level: update.max_version_level, upgrade }
}

fn results(call: &Call<UpdateFeaturesRequest>) -> Vec<UpdatableFeatureResult> {
    if call.has(ONE_RESULT) {
        return Vec::new();
    }
    let result = |update: &FeatureUpdateKey| UpdatableFeatureResult {
        feature: update.feature.clone(),
        error_code: ErrorCode::NONE.code(),
        error_message: Some(WireStr::from(ErrorCode::NONE.name())),
    };
    call.request.feature_updates.iter().map(result).collect()
}
