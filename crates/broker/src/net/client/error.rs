//! Why a request was not answered.

use std::io;
use std::time::Duration;

use vltava_core::error::ErrorCode;
use vltava_core::wire::WireError;
use vltava_protocol::api::ApiKey;

use super::Address;

/// Why a request was not answered, or not with what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No connection came about.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to {address} broke: {source}")]
    Broken {
        /// Where to.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// What arrived is not Kafka's protocol.
    #[error("{address} sent what is not Kafka's protocol ({problem}); is it a plaintext Kafka listener?")]
    Protocol {
        /// From where.
        address: Address,
        /// What is wrong with it.
        problem: String,
    },
    /// A request cannot be written in the version that was agreed on.
    #[error("{api} cannot be sent: {source}")]
    Unsendable {
        /// The API.
        api: ApiKey,
        /// What is wrong with it.
        source: WireError,
    },
    /// The broker does not have the API, or no version of it that both sides know.
    #[error("{address} does not support {api} in a version known here (it has {})", theirs.map_or("none".to_owned(), |(low, high)| format!("{low} to {high}")))]
    Unsupported {
        /// Which broker.
        address: Address,
        /// The API.
        api: ApiKey,
        /// The versions the broker has.
        theirs: Option<(i16, i16)>,
    },
    /// No answer in time.
    #[error("no answer within {} s; the last problem was: {last}", after.as_secs_f64())]
    Deadline {
        /// How long was waited.
        after: Duration,
        /// What went wrong last.
        last: String,
    },
    /// The broker refused.
    #[error("{}: {}", code.name(), message.as_deref().unwrap_or(code.message()))]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// What the broker says about it.
        message: Option<String>,
    },
    /// The cluster has no such broker, or no leader for the partition.
    #[error("{0}")]
    Route(String),
}

impl ClientError {
    /// A refusal, or nothing when the code is none.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the code is an error.
    pub fn check(code: i16, message: Option<&str>) -> Result<(), Self> {
        let code = ErrorCode::from_code(code);
        if code.is_none() { Ok(()) } else { Err(Self::Refused { code, message: message.map(str::to_owned) }) }
    }

    /// Whether another try, perhaps at another broker, may go better.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Route(_) => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Protocol { .. }
            | Self::Unsendable { .. }
            | Self::Unsupported { .. }
            | Self::Deadline { .. } => false,
        }
    }
}
