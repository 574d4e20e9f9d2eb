//! Why the transaction coordinator refuses, in the words of the domain.

use vltava_core::error::ErrorCode;

/// Why a command about a transaction was refused. Nothing has changed then, except where a variant says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The last transaction is still being ended. With an InitProducerId it may be that it was open, and that this request
    /// has aborted it.
    #[error("the last transaction of this producer is still being ended; retry")]
    Concurrent,
    /// Another producer uses the transactional id by now.
    #[error("another producer uses the transactional id by now")]
    Fenced,
    /// The producer id is not the one that belongs to the transactional id.
    #[error("the producer id does not belong to the transactional id")]
    UnknownProducer,
    /// No transaction is open, or it has ended otherwise.
    #[error("no such transaction is open")]
    InvalidState,
    /// The timeout is not positive, or above `transaction.max.timeout.ms`.
    #[error("the timeout must be above 0, and not above transaction.max.timeout.ms")]
    InvalidTimeout,
    /// Two-phase commit is off (`transaction.two.phase.commit.enable`).
    #[error("two-phase commit is off; see transaction.two.phase.commit.enable")]
    TwoPhaseOff,
    /// A prepared transaction cannot be kept in this release, nor in Kafka 4.4.
    #[error("prepared transactions cannot be kept")]
    KeepUnsupported,
    /// There is no such transactional id.
    #[error("the transactional id is not known")]
    NotFound,
}

impl TransactionError {
    /// Kafka's code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            TransactionError::Concurrent => ErrorCode::CONCURRENT_TRANSACTIONS,
            TransactionError::Fenced => ErrorCode::PRODUCER_FENCED,
            TransactionError::UnknownProducer => ErrorCode::INVALID_PRODUCER_ID_MAPPING,
            TransactionError::InvalidState => ErrorCode::INVALID_TXN_STATE,
            TransactionError::InvalidTimeout => ErrorCode::INVALID_TRANSACTION_TIMEOUT,
            TransactionError::TwoPhaseOff => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            TransactionError::KeepUnsupported => ErrorCode::UNSUPPORTED_VERSION,
            TransactionError::NotFound => ErrorCode::TRANSACTIONAL_ID_NOT_FOUND,
        }
    }
}
