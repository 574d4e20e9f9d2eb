//! Running a broker as a process: until it is told to stop.

use std::io::Write;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::broker::{Broker, StartError};
use crate::config::LoadedConfig;
use crate::log_levels::LogLevels;

/// Starts a broker, says where clients find it, and runs it until SIGTERM or SIGINT, or until it can no longer
/// keep its metadata; then shuts it down in order. Clients may change `levels`.
///
/// # Errors
/// [`StartError`].
pub async fn serve(loaded: LoadedConfig, levels: LogLevels) -> Result<(), StartError> {
    raise_open_files_limit();
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Threads)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Threads)?;
    let mut told = async || {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal);
    };
    let broker = tokio::select! {
        started = Broker::builder().config(loaded).log_levels(levels).start() => started?,
        // Nothing was promised to anybody yet.
        () = told() => return Ok(()),
    };
    announce(&broker);
    let end = tokio::select! {
        () = told() => Ok(()),
        why = broker.failed() => Err(StartError::Stopped(why)),
    };
    broker.shutdown().await;
    end
}

/// Allows as many open files as the system lets this process have: every connection and every segment takes one.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        warn!(%error, "the limit of open files stays where it is");
    }
}

/// Says where to point a client, on standard output; a closed one is no reason to stop.
fn announce(broker: &Broker) {
    let mut out = std::io::stdout().lock();
    let _closed = writeln!(
        out,
        "Vltava is ready. Point Kafka clients at bootstrap.servers={} (cluster {}). Ctrl-C stops it.",
        broker.address(),
        broker.cluster_id()
    )
    .and_then(|()| out.flush());
}
