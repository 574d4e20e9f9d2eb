//! What DescribeConfigs, AlterConfigs and IncrementalAlterConfigs share: resources on the wire.

use vltava_coordinator::cluster::command::AlteredConfig;
use vltava_core::error::ErrorCode;
use vltava_core::image::{ConfigKind, ConfigResource};
use vltava_core::wire::WireStr;

use super::Call;
use crate::authorizer::{Operation, Resource};
use crate::log_levels::LogLevels;

/// Why a resource's configuration is neither shown nor changed.
pub(crate) type Refusal = (ErrorCode, String);

/// What became of a resource: its own refusal, else what the controller says of it.
///
/// # Errors
/// The code and the words for the response.
pub(crate) fn outcome(
    known: Result<ConfigResource, Refusal>,
    outcomes: &Result<Vec<AlteredConfig>, ErrorCode>,
) -> Result<(), Refusal> {
    let resource = known?;
    let outcomes = outcomes.as_ref().map_err(|code| (*code, code.message().to_owned()))?;
    match outcomes.iter().find(|(named, _)| *named == resource) {
        Some((_, Err(error))) => Err((error.code(), error.to_string())),
        _ => Ok(()),
    }
}

/// An outcome as the code and the message of a response.
pub(crate) fn told(outcome: Result<(), Refusal>) -> (i16, Option<WireStr>) {
    match outcome {
        Ok(()) => (ErrorCode::NONE.code(), None),
        Err((code, message)) => (code.code(), Some(WireStr::from(message))),
    }
}

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
