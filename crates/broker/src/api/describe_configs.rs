//! DescribeConfigs: settings with their values, sources and documentation.

use vltava_core::config::describe::{
    Description, describe_broker, describe_client_metrics, describe_cluster_defaults, describe_group,
    describe_topic,
};
use vltava_core::config::{ConfigSource, Properties};
use vltava_core::error::ErrorCode;
use vltava_core::id::TopicName;
use vltava_core::image::{ConfigKind, ConfigResource};
use vltava_core::wire::WireStr;
use vltava_protocol::describe_configs_request::DescribeConfigsResource;
use vltava_protocol::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use vltava_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::configs::{Refusal, log_levels, resource, this_broker};
use super::text::wire;
use super::{Call, Capability};
use crate::authorizer::Operation;
use crate::log_levels::LogLevels;

/// The response tells types and, when asked, documentation (KIP-569).
const TYPES: Capability = Capability::since(3);

pub(crate) async fn handle(call: Call<DescribeConfigsRequest>) -> DescribeConfigsResponse {
    let results = call.request.resources.iter().map(|asked| {
        let base = DescribeConfigsResult {
            resource_type: asked.resource_type,
            resource_name: asked.resource_name.clone(),
            ..DescribeConfigsResult::default()
        };
        match describe(&call, asked) {
            Ok(configs) => DescribeConfigsResult { configs, ..base },
            Err((code, message)) => DescribeConfigsResult {
                error_code: code.code(),
                error_message: Some(WireStr::from(message)),
                ..base
            },
        }
    });
    DescribeConfigsResponse { throttle_time_ms: 0, results: results.collect() }
}

fn describe(
    call: &Call<DescribeConfigsRequest>,
    asked: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let resource = resource(call, Operation::DescribeConfigs, asked.resource_type, &asked.resource_name)?;
    let wanted = |description: &Description| match &asked.configuration_keys {
        // An empty list has always meant all.
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| **key == *description.name),
        _ => true,
    };
    let descriptions = descriptions(call, &resource)?;
    Ok(descriptions.into_iter().filter(wanted).map(|description| result(call, description)).collect())
}

fn descriptions(
    call: &Call<DescribeConfigsRequest>,
    resource: &ConfigResource,
) -> Result<Vec<Description>, Refusal> {
    let image = call.node.view.load().image.clone();
    let layers = call.node.layers(&image);
    let none = Properties::new();
    let own = image.config(resource).map_or(&none, |own| &**own);
    let described = match resource.kind {
        ConfigKind::Topic => {
            let invalid = |error: vltava_core::id::NameError| (error.code(), error.to_string());
            TopicName::new(&resource.name).map_err(invalid)?;
            if image.topics.by_name(&resource.name).is_none() {
                let code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                return Err((code, code.message().to_owned()));
            }
            describe_topic(own, &layers)
        }
        ConfigKind::Broker if resource.name.is_empty() => describe_cluster_defaults(&layers),
        ConfigKind::Broker => {
            this_broker(call, &resource.name)?;
            describe_broker(&layers)
        }
        ConfigKind::BrokerLogger => Ok(describe_loggers(log_levels(call, &resource.name)?)),
        ConfigKind::ClientMetrics => describe_client_metrics(own),
        ConfigKind::Group if resource.name.is_empty() => {
            return Err((ErrorCode::INVALID_REQUEST, "Group name must not be empty".to_owned()));
        }
        ConfigKind::Group => describe_group(own, &layers),
    };
    described.map_err(|error| (error.code(), error.to_string()))
}

fn describe_loggers(levels: &LogLevels) -> Vec<Description> {
    let described = levels.list().into_iter().map(|logger| Description {
        name: logger.name,
        value: Some(logger.level.to_owned()),
        source: ConfigSource::BrokerLogger,
        sensitive: false,
        read_only: false,
        synonyms: Vec::new(),
        kind: None,
        documentation: None,
    });
    described.collect()
}

fn result(call: &Call<DescribeConfigsRequest>, description: Description) -> DescribeConfigsResourceResult {
    let synonyms = if call.request.include_synonyms { description.synonyms } else { Vec::new() };
    let documentation = description.documentation.filter(|_| call.request.include_documentation);
    DescribeConfigsResourceResult {
        name: WireStr::from(description.name),
        value: description.value.map(WireStr::from),
        read_only: description.read_only,
        config_source: description.source.id(),
        is_sensitive: description.sensitive,
        synonyms: synonyms
            .into_iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: WireStr::from(synonym.name),
                value: synonym.value.map(WireStr::from),
                source: synonym.source.id(),
            })
            .collect(),
        config_type: if call.has(TYPES) {
            description.kind.map_or(0, vltava_core::config::ConfigType::id)
        } else {
            0
        },
        documentation: documentation.filter(|_| call.has(TYPES)).map(wire),
    }
}
