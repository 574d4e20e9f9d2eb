//! Connect: a worker beside the broker, or alone against any cluster.
//!
//! The worker is an ordinary client: beside the broker it goes through the broker's own listener. It starts when the cluster
//! can be reached, and tries until then; its API says meanwhile that it is starting.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};
use vltava_connect::connectors::Allowed;
use vltava_connect::converters::{Registries, registries};
use vltava_connect::error::ConnectError;
use vltava_connect::plugins::{Plugin, Plugins};
use vltava_connect::schema::serializer::RegistryClient;
use vltava_connect::settings::Config;
use vltava_connect::tls::{TlsError, TlsSettings};
use vltava_connect::topics::kafka::{self, KafkaTopics};
use vltava_connect::worker::group::PeerRequest;
use vltava_connect::worker::{Loggers, Providers, Surroundings, Worker, WorkerError, WorkerSettings, part};
use vltava_core::config::{BrokerConfig, HttpListener};

use crate::broker::StartError;
use crate::builtins;
use crate::clock::SystemClock;
use crate::http::connect::HttpPeers;
use crate::http::{HttpServer, Role};
use crate::log_levels::LogLevels;
use crate::node::Node;
use crate::schema_client::InProcess;

/// Before the worker's own keys among those of a node.
const PREFIX: &str = "vltava.connect.";
/// How long a worker rests before it tries again to start.
const START_PAUSE: Duration = Duration::from_secs(1);
/// The setting that says which folders connectors of files may touch.
const FOLDERS: &str = "allowed.folders";
/// The setting that says which addresses connectors may ask and write to.
const URLS: &str = "allowed.urls";
/// Before the settings that are for its API alone.
const HTTPS: &str = "listeners.https.";
/// Where Connect listens unless told otherwise.
const LISTENERS: &str = "http://127.0.0.1:8083";

/// What a worker is where nothing is said.
pub(crate) const DEFAULTS: [(&str, &str); 9] = [
    ("group.id", "connect-cluster"),
    ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("offset.storage.topic", "connect-offsets"),
    ("offset.storage.replication.factor", "-1"),
    ("config.storage.topic", "connect-configs"),
    ("config.storage.replication.factor", "-1"),
    ("status.storage.topic", "connect-status"),
    ("status.storage.replication.factor", "-1"),
];

/// A worker that runs, or is about to, or is not wanted.
#[derive(Debug)]
pub(crate) struct ConnectService {
    worker: OnceLock<Worker>,
    state: Mutex<String>,
    levels: Option<LogLevels>,
    own: Vec<Plugin>,
}

impl ConnectService {
    /// A service without a worker, which will know the built-in plugins and these.
    pub(crate) fn new(levels: Option<LogLevels>, own: Vec<Plugin>) -> Arc<ConnectService> {
        let state =
            "Connect is off; set vltava.connect.group.id, or another vltava.connect.* key, to turn it on";
        let state = Mutex::new(state.to_owned());
        Arc::new(ConnectService { worker: OnceLock::new(), state, levels, own })
    }

    /// The worker, or why there is none.
    pub(crate) fn worker(&self) -> Result<&Worker, String> {
        self.worker.get().ok_or_else(|| self.state.lock().clone())
    }

    pub(crate) fn levels(&self) -> Option<&LogLevels> {
        self.levels.as_ref()
    }

    fn loggers(&self) -> Arc<dyn Loggers> {
        Arc::new(OwnLoggers(self.levels.clone()))
    }

    /// Starts the worker of a node.
    pub(crate) async fn start_embedded(
        &self,
        config: Config,
        listening: Vec<SocketAddr>,
        node: Weak<Node>,
        stop: CancellationToken,
    ) {
        let resolved = Providers::new(&config).and_then(|providers| providers.resolve(&config));
        let config = match resolved {
            Ok(config) => config,
            Err(error) => {
                error!(%error, "Connect cannot start");
                *self.state.lock() = format!("Worker cannot start: {error}");
                return;
            }
        };
        let id = worker_id(&config, &listening);
        let in_process = move || Some(Arc::new(InProcess(node.upgrade()?)) as Arc<dyn RegistryClient>);
        self.start(config, id, &registries(in_process), stop).await;
    }

    /// Starts the worker, and tries again until it has or `stop`.
    async fn start(
        &self,
        config: Config,
        worker_id: String,
        registries: &Registries,
        stop: CancellationToken,
    ) {
        *self.state.lock() = "Worker is starting up.".to_owned();
        let mut plugins = builtins::plugins(allowed(&config), registries);
        self.own.iter().for_each(|row| plugins.add(row.clone()));
        let plugins = Arc::new(plugins);
        loop {
            let started = tokio::select! {
                () = stop.cancelled() => return,
                started = start(&config, &worker_id, plugins.clone(), self.loggers()) => started,
            };
            match started {
                Ok(worker) => {
                    info!(worker = worker_id, "Connect runs");
                    // Nobody else starts one.
                    let _ = self.worker.set(worker);
                    return;
                }
                Err(error) => {
                    warn!(%error, "Connect cannot start; trying again");
                    *self.state.lock() = format!("Worker is starting up: {error}");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(START_PAUSE) => {}
            }
        }
    }

    /// Ends the worker in peace.
    pub(crate) async fn shutdown(&self) {
        if let Some(worker) = self.worker.get() {
            worker.shutdown().await;
        }
    }
}

/// The loggers of this process, if it has handed them over.
#[derive(Debug)]
struct OwnLoggers(Option<LogLevels>);

impl Loggers for OwnLoggers {
    fn set(&self, logger: &str, level: &str) -> Result<(), String> {
        let Some(levels) = &self.0 else { return Ok(()) };
        levels.set(logger, level).map(drop).map_err(|error| error.to_string())
    }
}

async fn start(
    config: &Config,
    worker_id: &str,
    plugins: Arc<Plugins>,
    loggers: Arc<dyn Loggers>,
) -> Result<Worker, ConnectError> {
    let settings = WorkerSettings::new(config, worker_id)?;
    let topics = KafkaTopics::connect(config).await?;
    let membership = Arc::new(topics.membership(settings.member.times.clone()).await?);
    let peers = tls(config).and_then(|tls| HttpPeers::new(&tls));
    let peers = Arc::new(peers.map_err(|error| ConnectError::config(error.to_string()))?);
    let (topics, clock) = (Arc::new(topics), SystemClock::new());
    Worker::start(settings, Surroundings { plugins, topics, membership, peers, loggers, clock }).await
}

/// What connectors may touch: what [`FOLDERS`] and [`URLS`] list; `*` is everything, and without one there is nothing.
fn allowed(config: &Config) -> Allowed {
    let listed = |key: &str| {
        let list = config.get(key).map_or("", |list| list.trim());
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        (list != "*").then(|| entries.map(str::to_owned).collect::<Vec<_>>())
    };
    let folders = listed(FOLDERS).map(|folders| folders.into_iter().map(PathBuf::from).collect());
    Allowed::new(folders, listed(URLS))
}

/// What the API of a worker and its questions to others are encrypted with: settings of the kind `listeners.https.ssl.*`, all of
/// them when there is one, else those of the kind `ssl.*`.
pub(crate) fn tls(config: &Config) -> Result<TlsSettings, TlsError> {
    let own = config.keys().any(|key| key.starts_with(HTTPS));
    let prefix = if own { HTTPS } else { "" };
    TlsSettings::read(|key| config.get(&format!("{prefix}{key}")).map(String::as_str))
}

fn with_defaults(mut config: Config) -> Config {
    for (key, value) in DEFAULTS {
        config.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    config
}

/// What a node is told of Connect; `None` when nothing is, and Connect is off.
pub(crate) fn embedded(node: &BrokerConfig, broker: SocketAddr) -> Option<Config> {
    let given = node.layers.file.iter();
    let own = given.filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?.to_owned(), value.clone())));
    let mut own: Config = own.collect();
    own.retain(|key, value| key != "listeners" || !value.trim().is_empty());
    if own.is_empty() {
        return None;
    }
    let mut config = with_defaults(own);
    for (key, value) in node.layers.file.iter().filter(|(key, _)| key.starts_with("ssl.")) {
        config.entry(key.clone()).or_insert_with(|| value.clone());
    }
    config.entry("bootstrap.servers".to_owned()).or_insert_with(|| broker.to_string());
    advertise(&mut config, &node.http.connect);
    Some(config)
}

/// Other workers are told of the first listener, unless told otherwise.
fn advertise(config: &mut Config, listeners: &[HttpListener]) {
    let scheme = if listeners.first().is_some_and(|first| first.encrypted) { "https" } else { "http" };
    config.entry("rest.advertised.listener".to_owned()).or_insert_with(|| scheme.to_owned());
}

/// How others name a worker: where its API is.
fn worker_id(config: &Config, listening: &[SocketAddr]) -> String {
    let (host, port) = advertised(config, listening);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host and the port where others reach the API of a worker: as it is told, or where it listens.
pub(crate) fn advertised(config: &Config, listening: &[SocketAddr]) -> (String, String) {
    let bound = listening.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8083)));
    let listens = || match bound.ip() {
        every if every.is_unspecified() => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        one => one.to_string(),
    };
    let host = config.get("rest.advertised.host.name").cloned().unwrap_or_else(listens);
    let port = config.get("rest.advertised.port").cloned().unwrap_or_else(|| bound.port().to_string());
    (host, port)
}

/// Runs a worker against any cluster until SIGTERM or SIGINT. `connectors` are created, or changed to what they say.
///
/// # Errors
/// When the settings are wrong, or the API's address is taken.
pub async fn run(config: Config, connectors: Vec<Config>, levels: LogLevels) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Threads)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Threads)?;
    let mut config = with_defaults(config);
    // Whoever runs a worker alone has it do what Kafka Connect does.
    for key in [FOLDERS, URLS] {
        config.entry(key.to_owned()).or_insert_with(|| "*".to_owned());
    }
    let resolved = Providers::new(&config).and_then(|providers| providers.resolve(&config));
    let mut config = resolved.map_err(|error| StartError::Failed(error.message))?;
    let listeners = config.get("listeners").map_or(LISTENERS, String::as_str);
    let listeners = listeners.split(',').map(|entry| HttpListener::parse("listeners", entry.trim(), true));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    advertise(&mut config, &listeners);
    // Before anything is tried: what is wrong with the settings does not pass.
    let checked = WorkerSettings::new(&config, "").and_then(|_| kafka::check(&config));
    checked.map_err(|error| StartError::Failed(error.message))?;
    let mut http = HttpServer::bind(Role::Connect, &listeners, || tls(&config)).await?;
    let id = worker_id(&config, &http.addresses());
    http.admit(&advertised(&config, &http.addresses()).0);
    let (service, stop) = (ConnectService::new(Some(levels), Vec::new()), CancellationToken::new());
    let served = tokio::spawn(http.serve_connect(service.clone(), stop.clone(), TaskTracker::new()));
    let starting = async {
        service.start(config, id, &registries(|| None), stop.clone()).await;
        create(&service, connectors).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = starting => {}
        _ = terminate.recv() => info!("SIGTERM"),
        _ = interrupt.recv() => info!("SIGINT"),
    }
    service.shutdown().await;
    stop.cancel();
    // What was begun is answered.
    let _ = served.await;
    Ok(())
}

async fn create(service: &ConnectService, connectors: Vec<Config>) {
    let Ok(worker) = service.worker() else { return };
    for config in connectors {
        let name = config.get("name").cloned().unwrap_or_default();
        let put = match worker.put_config(&name, config.clone()).await {
            Err(WorkerError::Elsewhere(Some(leader))) => ask_leader(worker, &leader, &name, &config).await,
            put => put.map(drop),
        };
        if let Err(refused) = put {
            error!(connector = name, %refused, "a connector cannot be created");
        }
    }
}

async fn ask_leader(worker: &Worker, leader: &str, name: &str, config: &Config) -> Result<(), WorkerError> {
    let body = serde_json::to_vec(config).map_err(|error| WorkerError::Failed(error.to_string()))?;
    let path = format!("/connectors/{}/config", part(name));
    let request = PeerRequest { method: "PUT".to_owned(), path, headers: Vec::new(), body: body.into() };
    let reply = worker.ask(leader, request).await?;
    match reply.status {
        200..300 => Ok(()),
        _ => Err(WorkerError::Failed(String::from_utf8_lossy(&reply.body).into_owned())),
    }
}

/// The settings of a properties file, as Kafka Connect's commands take them.
///
/// # Errors
/// When the file cannot be read.
pub fn properties(path: &Path) -> Result<Config, crate::config::LoadError> {
    let entries = crate::config::ConfigFile::read(path)?.entries()?;
    Ok(entries.into_iter().map(|entry| (entry.key, entry.value)).collect())
}
