//! A broker from start to shutdown.
//!
//! Two sets of threads: connections and their requests run on one, the controller and the coordinators on another, so
//! that a stall of the page cache costs no session. Both are the broker's own: it fits into any program, twice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use vltava_connect::schema::serializer::RegistryClient;
use vltava_connect::tls::TlsError;
use vltava_connect::worker::Worker;
use vltava_core::config::{BrokerConfig, ConfigError};
use vltava_core::log::LogError;
use vltava_storage::segments::StoreError;

use crate::builder::Builder;
use crate::builder::Parts;
use crate::config::LoadError;
use crate::node::Node;
use crate::schema_client::InProcess;
use crate::start;

/// How long a shutdown waits for requests in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running broker. Dropping it ends it without the courtesy of [`Broker::shutdown`]: the next start recovers.
#[derive(Debug)]
pub struct Broker {
    pub(crate) node: Arc<Node>,
    pub(crate) listeners: Vec<Listening>,
    /// Where metrics and health are served.
    pub(crate) http: Vec<SocketAddr>,
    /// Where the schema registry is served at the root.
    pub(crate) registry: Vec<SocketAddr>,
    /// Where Connect is served at the root.
    pub(crate) connect: Vec<SocketAddr>,
    /// Everything that is served over HTTP.
    pub(crate) http_connections: TaskTracker,
    /// Ends the accepting of connections and the background work.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<()>,
    /// Ends by itself, and is waited for: its rounds hold the log directories.
    pub(crate) cleaner: JoinHandle<()>,
    /// Taken when the broker ends, because a runtime may not be dropped where others run.
    pub(crate) runtimes: Option<Runtimes>,
}

/// A listener and where it is bound.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    pub(crate) name: Arc<str>,
    pub(crate) address: SocketAddr,
    pub(crate) controller: bool,
}

#[derive(Debug)]
pub(crate) struct Runtimes {
    data: Background,
    control: Background,
}

/// A runtime whose end nobody waits for: waiting is forbidden where other tasks run.
#[derive(Debug)]
struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A log directory cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({listener}): {source}")]
    Listen {
        /// The listener's name.
        listener: String,
        /// The address.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A certificate or a key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The log directories cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something went wrong that should not.
    #[error("the start failed: {0}")]
    Failed(String),
    /// The controller did not accept this broker.
    #[error("the controller did not register this broker: {0}")]
    Registration(String),
    /// The broker ran, and can no longer keep its metadata.
    #[error("the broker stops, because its metadata cannot be kept or followed: {0}")]
    Stopped(String),
    /// The operating system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
}

impl Broker {
    /// Composes a broker.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The address of the first listener for clients: their `bootstrap.servers`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let client = self.listeners.iter().find(|listener| !listener.controller);
        client.map_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)), |listener| listener.address)
    }

    /// The address of a listener, by its name.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|listener| &*listener.name == name).map(|listener| listener.address)
    }

    /// Where metrics and health are served over HTTP; `None` when they are not.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.first().copied()
    }

    /// Where the schema registry is served over HTTP, at the root; `None` when it is not.
    #[must_use]
    pub fn registry_address(&self) -> Option<SocketAddr> {
        self.registry.first().copied()
    }

    /// Where Connect is served over HTTP, at the root; `None` when it is not.
    #[must_use]
    pub fn connect_address(&self) -> Option<SocketAddr> {
        self.connect.first().copied()
    }

    /// The worker of Connect in this process, which creates and changes connectors without HTTP.
    ///
    /// # Errors
    /// Why there is none, or none yet: it starts once the broker can be reached.
    pub fn connect_worker(&self) -> Result<&Worker, String> {
        self.node.connect.worker()
    }

    /// The schema registry, for serializers of this process: they need no HTTP.
    pub fn schema_registry(&self) -> Arc<dyn RegistryClient> {
        Arc::new(InProcess(self.node.clone()))
    }

    /// The identity of the cluster.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.node.cluster_id
    }

    pub(crate) async fn start(config: BrokerConfig, parts: Parts) -> Result<Broker, StartError> {
        let runtimes = Runtimes::new()?;
        let control = runtimes.control.handle.clone();
        let started = runtimes.data.handle.spawn(start::start(config, parts, control)).await;
        let mut broker = started.unwrap_or_else(|panic| Err(StartError::Failed(panic.to_string())))?;
        broker.runtimes = Some(runtimes);
        Ok(broker)
    }

    /// Resolves, with the reason, once the broker can no longer keep its metadata, as after a failure of their disk, or can
    /// no longer follow them.
    /// What is left to do then is [`Broker::shutdown`].
    ///
    /// A log directory that fails does not end the broker, not even its last one: nothing is appended there any more, and
    /// what is there is read until a restart. Kafka halts when its last directory fails, which would take the records from
    /// their readers, too; whoever wants that finds the failure at `/health`.
    pub async fn failed(&self) -> String {
        self.node.failed().await
    }

    /// Ends the broker: answers what has begun, closes the logs, and marks the shutdown as clean.
    pub async fn shutdown(mut self) {
        info!("shutting down");
        // Its tasks are clients, and have something left to write.
        self.node.connect.shutdown().await;
        self.stop.cancel();
        self.node.connections.close_all();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.node.connections.drained()).await.is_err() {
            warn!(left = self.node.connections.len(), "connections did not end in time");
        }
        self.http_connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.http_connections.wait()).await.is_err() {
            warn!("HTTP connections did not end in time");
        }
        if tokio::time::timeout(DRAIN_TIMEOUT, &mut self.cleaner).await.is_err() {
            warn!("a round of compaction did not end in time");
        }
        self.tasks.shutdown().await;
        self.node.groups.close();
        self.node.transactions.close();
        self.node.registry.shards.close();
        self.node.quorum.close().await;
        let node = self.node.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || node.close()).await {
            warn!(%error, "the logs could not be closed");
        }
        drop(self.runtimes.take());
        info!("bye");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
        drop(self.runtimes.take());
    }
}

impl Runtimes {
    fn new() -> Result<Runtimes, StartError> {
        let build = |name: &str, threads: usize| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name(name)
                .enable_all()
                .build()
                .map(|runtime| Background { handle: runtime.handle().clone(), runtime: Some(runtime) })
                .map_err(StartError::Threads)
        };
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Runtimes { data: build("vltava-data", cores)?, control: build("vltava-control", 1)? })
    }
}
