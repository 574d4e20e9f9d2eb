//! IncrementalAlterConfigs: changes single settings of resources (KIP-339).

use vltava_coordinator::cluster::command::{AlterOperation, ChangeConfigs, ConfigChange};
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::image::{ConfigKind, ConfigResource};
use vltava_protocol::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use vltava_protocol::incremental_alter_configs_response::AlterConfigsResourceResponse;
use vltava_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::Call;
use super::configs::{Refusal, log_levels, outcome, resource, told};
use crate::authorizer::Operation;
use crate::log_levels::LevelChange;

pub(crate) async fn handle(call: Call<IncrementalAlterConfigsRequest>) -> IncrementalAlterConfigsResponse {
    let known: Vec<Result<ConfigResource, Refusal>> = call
        .request
        .resources
        .iter()
        .map(|asked| {
            check_operations(&asked.configs)?;
            let resource =
                resource(&call, Operation::AlterConfigs, asked.resource_type, &asked.resource_name)?;
            if resource.kind == ConfigKind::BrokerLogger {
                change_log_levels(&call, asked)?;
            }
            Ok(resource)
        })
        .collect();
    let resources = call.request.resources.iter().zip(&known).filter_map(|(asked, known)| {
        let values = asked.configs.iter().filter_map(change);
        let resource = known.as_ref().ok().filter(|resource| resource.kind != ConfigKind::BrokerLogger)?;
        Some((resource.clone(), values.collect()))
    });
    let command = Command::ChangeConfigs(ChangeConfigs {
        resources: resources.collect(),
        validate_only: call.request.validate_only,
    });
    let outcomes = match call.node.ask_controller(command).await {
        Ok(Answer::ChangeConfigs(outcomes)) => {
            call.node.caught_up().await;
            Ok(outcomes)
        }
        answer => Err(answer.err().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)),
    };
    let responses = call.request.resources.iter().zip(known).map(|(asked, known)| {
        let outcome = match known {
            Ok(resource) if resource.kind == ConfigKind::BrokerLogger => Ok(()),
            known => outcome(known, &outcomes),
        };
        response(asked, outcome)
    });
    IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() }
}

/// Changes what no other broker needs to know.
fn change_log_levels(
    call: &Call<IncrementalAlterConfigsRequest>,
    asked: &AlterConfigsResource,
) -> Result<(), Refusal> {
    let levels = log_levels(call, &asked.resource_name)?;
    let changes = asked.configs.iter().filter_map(|config| {
        let operation = operation(config.config_operation)?;
        Some(LevelChange { logger: &config.name, operation, level: config.value.as_deref() })
    });
    let changes: Vec<LevelChange<'_>> = changes.collect();
    levels.change(&changes, call.request.validate_only).map_err(|error| (error.code(), error.to_string()))
}

fn operation(id: i8) -> Option<AlterOperation> {
    match id {
        0 => Some(AlterOperation::Set),
        1 => Some(AlterOperation::Delete),
        2 => Some(AlterOperation::Append),
        3 => Some(AlterOperation::Subtract),
        _ => None,
    }
}

fn check_operations(configs: &[AlterableConfig]) -> Result<(), Refusal> {
    match configs.iter().find(|config| operation(config.config_operation).is_none()) {
        None => Ok(()),
        Some(config) => Err((
            ErrorCode::INVALID_REQUEST,
            format!(
                "Unknown operation {} for key {}; 0 to 3 are known",
                config.config_operation, config.name
            ),
        )),
    }
}

fn change(config: &AlterableConfig) -> Option<ConfigChange> {
    Some(ConfigChange {
        key: config.name.to_string(),
        operation: operation(config.config_operation)?,
        value: config.value.as_deref().map(str::to_owned),
    })
}

fn response(asked: &AlterConfigsResource, outcome: Result<(), Refusal>) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = told(outcome);
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: asked.resource_type,
        resource_name: asked.resource_name.clone(),
    }
}
