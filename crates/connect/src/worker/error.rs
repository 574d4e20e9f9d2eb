//! What a request to a worker may be answered with instead of what it asked for.

use crate::error::ConnectError;
use crate::topics::TopicsError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// It asks for what cannot be.
    #[error("{0}")]
    BadRequest(String),
    /// It is not allowed here.
    #[error("{0}")]
    Forbidden(String),
    /// It asks for what is not there.
    #[error("{0}")]
    NotFound(String),
    /// It contradicts what is there, or comes while things move.
    #[error("{0}")]
    Conflict(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// It could not be done yet.
    #[error("{0}")]
    Unavailable(String),
    /// Another worker is to be asked, at this address.
    #[error(
        "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway."
    )]
    Elsewhere(Option<String>),
}

impl WorkerError {
    /// The status of HTTP, which is the code of the error too.
    pub fn code(&self) -> u16 {
        match self {
            WorkerError::BadRequest(_) => 400,
            WorkerError::Forbidden(_) => 403,
            WorkerError::NotFound(_) => 404,
            WorkerError::Conflict(_) | WorkerError::Elsewhere(_) => 409,
            WorkerError::Failed(_) => 500,
            WorkerError::Unavailable(_) => 503,
        }
    }
}

impl From<TopicsError> for WorkerError {
    fn from(error: TopicsError) -> Self {
        WorkerError::Failed(error.message)
    }
}

impl From<ConnectError> for WorkerError {
    fn from(error: ConnectError) -> Self {
        WorkerError::Failed(error.message)
    }
}
