//! Why a command ended without success.

use std::io;

use crate::broker::StartError;
use crate::config::LoadError;
use crate::net::client::ClientError;

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments do not make sense together.
    #[error("{0}")]
    Usage(String),
    /// A part of the work failed; the parts have been printed.
    #[error("{0}")]
    Failed(String),
    /// The cluster could not be asked.
    #[error("{}{}", .0, advice(.0))]
    Client(#[from] ClientError),
    /// The settings of a node cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A node or a worker did not start, or had to stop.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file or a stream.
    #[error("{0}")]
    Io(io::Error),
    /// Whoever read the output has gone: no error, and nothing left to do.
    #[error("the output was closed")]
    Closed,
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Io(error) }
    }
}

/// What to do about an error of the client.
fn advice(error: &ClientError) -> &'static str {
    match error {
        ClientError::Connect { .. } | ClientError::Deadline { .. } => {
            "\nIs the cluster running? Give its address with --bootstrap-server host:port, and more time with --timeout."
        }
        _ => "",
    }
}
