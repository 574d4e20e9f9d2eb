//! AlterConfigs: replaces the whole configuration of resources.

use vltava_coordinator::cluster::command::ReplaceConfigs;
use vltava_coordinator::cluster::{Answer, Command};
use vltava_core::error::ErrorCode;
use vltava_core::image::ConfigResource;
use vltava_protocol::alter_configs_request::AlterConfigsResource;
use vltava_protocol::alter_configs_response::AlterConfigsResourceResponse;
use vltava_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::Call;
use super::configs::{Refusal, outcome, resource, told};
use crate::authorizer::Operation;

pub(crate) async fn handle(call: Call<AlterConfigsRequest>) -> AlterConfigsResponse {
    let known: Vec<Result<ConfigResource, Refusal>> = call
        .request
        .resources
        .iter()
        .map(|asked| resource(&call, Operation::AlterConfigs, asked.resource_type, &asked.resource_name))
        .collect();
    let resources = call.request.resources.iter().zip(&known).filter_map(|(asked, known)| {
        let values = asked
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_deref().map(str::to_owned)));
        Some((known.as_ref().ok()?.clone(), values.collect()))
    });
    let command = Command::ReplaceConfigs(ReplaceConfigs {
        resources: resources.collect(),
        validate_only: call.request.validate_only,
    });
    let outcomes = match call.node.ask_controller(command).await {
        Ok(Answer::ReplaceConfigs(outcomes)) => {
            call.node.caught_up().await;
            Ok(outcomes)
        }
        answer => Err(answer.err().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)),
    };
    let responses = call.request.resources.iter().zip(known).map(|(asked, known)| {
        let outcome = outcome(known, &outcomes);
        response(asked, outcome)
    });
    AlterConfigsResponse { throttle_time_ms: 0, responses: responses.collect() }
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
