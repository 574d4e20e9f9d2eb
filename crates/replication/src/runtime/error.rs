//! Why a machine did not answer.

use vltava_core::error::ErrorCode;
use vltava_core::replicated::PlaceError;

/// Why a command got no answer. Whether it took effect is unknown after [`AskError::NotLeader`], [`AskError::Timeout`]
/// and [`AskError::Closed`], and it did not after the others.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AskError {
    /// This node does not lead the log of the machine, or has lost it before the answer was committed.
    #[error("this broker is not the coordinator; find it and retry")]
    NotLeader,
    /// The machine is being replayed from its log.
    #[error("the coordinator is loading its state; retry")]
    Loading,
    /// The machine could not be replayed.
    #[error("the coordinator could not load its state: {0}")]
    LoadFailed(String),
    /// More commands wait than the machine takes.
    #[error("the coordinator is overloaded; retry later")]
    Overloaded,
    /// The log does not take what the command would write.
    #[error(transparent)]
    Refused(PlaceError),
    /// The write was not committed in time.
    #[error("the write was not committed in time; retry")]
    Timeout,
    /// Somebody else began to wait under the same key.
    #[error("another request took the place of this one")]
    Replaced,
    /// The machine was shut down.
    #[error("the coordinator was shut down")]
    Closed,
}

impl AskError {
    /// Kafka's code, as the coordinators of groups and transactions give it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            AskError::NotLeader | AskError::Closed => ErrorCode::NOT_COORDINATOR,
            AskError::Loading => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            AskError::LoadFailed(_) | AskError::Overloaded | AskError::Timeout | AskError::Replaced => {
                ErrorCode::COORDINATOR_NOT_AVAILABLE
            }
            AskError::Refused(error) => match error.code() {
                ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
                    ErrorCode::COORDINATOR_NOT_AVAILABLE
                }
                ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
                    ErrorCode::NOT_COORDINATOR
                }
                code => code,
            },
        }
    }

    /// Kafka's code, as the controller gives it.
    #[must_use]
    pub fn controller_code(&self) -> ErrorCode {
        match self {
            AskError::Timeout | AskError::Overloaded | AskError::Replaced => ErrorCode::REQUEST_TIMED_OUT,
            AskError::Refused(PlaceError::Refused { code, .. }) => *code,
            _ => ErrorCode::NOT_CONTROLLER,
        }
    }
}
