//! What DescribeConfigs, AlterConfigs and IncrementalAlterConfigs share: resources on the wire.

use vltava_core::error::ErrorCode;
use vltava_core::image::{ConfigKind, ConfigResource};

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::log_levels::LogLevels;

/// Why a resource's configuration is neither shown nor changed.
pub(crate) type Refusal = (ErrorCode, String);

/// The resource that a request names, when the peer may do this to it.
///
/// # Errors
/// `INVALID_REQUEST` for a kind that is not known, and the code of a refusal.
pub(crate) fn resource<R>(
    call: &Call<R>,
    operation: Operation,
    kind: i8,
    name: &str,
) -> Result<ConfigResource, Refusal> {
    let known = ConfigKind::from_id(kind)
        .ok_or_else(|| (ErrorCode::INVALID_REQUEST, format!("Unknown resource type {kind}")))?;
    let authorized = match known {
        ConfigKind::Topic => Resource::Topic(name),
        ConfigKind::Group => Resource::Group(name),
        ConfigKind::Broker | ConfigKind::BrokerLogger | ConfigKind::ClientMetrics => Resource::Cluster,
    };
    call.authorize(operation, authorized).map_err(|code| (code, code.message().to_owned()))?;
    if known == ConfigKind::Broker && !name.is_empty() && operation == Operation::AlterConfigs {
        this_broker(call, name)?;
    }
    Ok(ConfigResource::new(known, name))
}

/// The log levels of this broker, when it is the one that is named.
///
/// # Errors
/// `INVALID_REQUEST` for another broker, and for one within a program that logs by itself.
pub(crate) fn log_levels<'a, R>(call: &'a Call<R>, name: &str) -> Result<&'a LogLevels, Refusal> {
    this_broker(call, name)?;
    let embedded = "The log levels belong to the program that this broker is part of".to_owned();
    call.node.log_levels.as_ref().ok_or((ErrorCode::INVALID_REQUEST, embedded))
}

/// Refuses what only another broker could show or change.
///
/// # Errors
/// `INVALID_REQUEST` names both brokers.
pub(crate) fn this_broker<R>(call: &Call<R>, name: &str) -> Result<(), Refusal> {
    let invalid = |message: String| (ErrorCode::INVALID_REQUEST, message);
    let id: i32 =
        name.parse().map_err(|_| invalid(format!("Broker id must be an integer, but it is: {name}")))?;
    if id == call.node.id.0 {
        return Ok(());
    }
    Err(invalid(format!(
        "Unexpected broker id, expected {} or empty string, but received {id}",
        call.node.id
    )))
}
