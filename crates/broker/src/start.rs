//! Bringing a broker up: storage, controller, registration, listeners, in this order.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};
use vltava_connect::schema::SchemaFormat;
use vltava_connect::schema::registry::Settings;
use vltava_connect::schema::registry::settings::CompatibilityLevel;
use vltava_connect::tls::TlsSettings;
use vltava_coordinator::assignor::{Assignor, Assignors};
use vltava_coordinator::cluster::brokers::BrokerError;
use vltava_coordinator::cluster::command::{BrokerState, RegisterBroker};
use vltava_coordinator::cluster::{Answer, Cluster, ClusterOptions, Command, supported_features};
use vltava_coordinator::group::{GroupCoordinator, GroupSettings};
use vltava_coordinator::transaction::{TransactionCoordinator, TransactionEffect, TransactionSettings};
use vltava_core::clock::Clock;
use vltava_core::config::BrokerConfig;
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, PartitionIndex, Uuid, uuid_to_base64};
use vltava_core::image::{Endpoint, Image};
use vltava_core::log::{LogId, LogStore};
use vltava_core::replicated::ReplicatedLog;
use vltava_replication::quorum::Quorum;
use vltava_replication::runtime::{
    Committed, Entropy, Limits, Phase, Replica, Shard, ShardHandle, Shards, Start, Surroundings,
};
use vltava_storage::files::SystemFiles;
use vltava_storage::memory::MemoryStore;
use vltava_storage::segments::{SegmentStore, SegmentStoreOptions};

use crate::broker::{Broker, Listening, StartError};
use crate::builder::Parts;
use crate::clock::SystemClock;
use crate::connect::{self, ConnectService};
use crate::fetch_session::FetchSessions;
use crate::http::{HttpServer, Role};
use crate::metrics::Metrics;
use crate::net::connection::MEMORY_UNIT;
use crate::net::connections::{ConnectionLimits, Connections};
use crate::net::listener::Listener;
use crate::node::{Node, Random, RequestLimits};
use crate::partitions::View;
use crate::producer_ids::ProducerIds;
use crate::quorum::Place;
use crate::registry::RegistryService;
use crate::stores::Stores;
use crate::transactions::markers;
use crate::{compaction, housekeeping, registry, replicas};

/// What large requests in flight may take together when `queued.max.request.bytes` is not set, in bytes.
const REQUEST_MEMORY_DEFAULT: usize = 128 << 20;

/// How long a fetch session must be idle before another takes its slot.
const SESSION_IDLE_MIN: Duration = Duration::from_secs(120);

/// How long a start waits for a controller.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) async fn start(config: BrokerConfig, parts: Parts, control: Handle) -> Result<Broker, StartError> {
    let Parts { store, authorizer, assignors, log_levels, formats, plugins } = parts;
    let clock: Arc<dyn Clock> = SystemClock::new();
    let place = quorum_place(&config, store.is_some());
    let metrics = Arc::new(Metrics::default());
    let storage = open_storage(&config, store, clock.clone(), &metrics).await?;
    let random = Arc::new(Random::new(seed()));
    let (images, image) = watch::channel(Arc::new(Image::default()));
    let surroundings = Surroundings { clock: clock.clone(), image, entropy: entropy(random.clone()) };
    let main = storage.stores.main().clone();
    let quorum = crate::quorum::open(&config, main, place, clock.clone(), &control).await?;
    let controller = start_controller(&config, &storage, &quorum, &surroundings, &metrics, &control);
    let (committed, follower_failure) =
        follow_metadata(&config, &storage, &quorum, &surroundings, &metrics, &control);
    let groups = group_shards(&config, &assignors, &surroundings, &metrics, &control)?;
    let registry = registry_service(&config, formats, &surroundings, &control)?;
    let (effects, markers) = mpsc::channel(markers::EFFECTS_MAX);
    let transactions = transaction_shards(&config, &surroundings, effects, &metrics, &control);
    let node = Arc::new(Node {
        id: config.identity.node,
        cluster_id: storage.cluster_id.as_str().into(),
        limits: request_limits(&config),
        clock,
        stores: storage.stores,
        authorizer,
        log_levels: log_levels.clone(),
        connections: Connections::new(ConnectionLimits::from(&config.network)),
        request_memory: Arc::new(Semaphore::new(request_memory_units(&config))),
        fetch_sessions: FetchSessions::new(
            usize::try_from(config.network.fetch_sessions_max).unwrap_or(0),
            SESSION_IDLE_MIN,
        ),
        view: ArcSwap::from_pointee(View::default()),
        images,
        controller,
        groups,
        transactions,
        registry,
        connect: ConnectService::new(log_levels, plugins),
        producer_ids: ProducerIds::default(),
        metadata: quorum.watch(),
        follower_failure,
        started: AtomicBool::new(false),
        quorum,
        high_watermarks: Mutex::new(storage.high_watermarks),
        metrics,
        random,
        control,
        config,
    });
    bring_up(node, committed, markers).await
}

/// Binds the listeners, registers the broker, and serves once it sees itself in the metadata.
async fn bring_up(
    node: Arc<Node>,
    committed: watch::Receiver<Arc<Image>>,
    markers: mpsc::Receiver<Committed<TransactionEffect>>,
) -> Result<Broker, StartError> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let listeners = bind(&node).await?;
    let tls = || TlsSettings::read(|key| node.config.layers.file.get(key).map(String::as_str));
    let http = HttpServer::bind(Role::Node, &node.config.http.node, tls).await?;
    let registry = HttpServer::bind(Role::Registry, &node.config.http.registry, tls).await?;
    let address = listeners.iter().map(Listener::listening).find(|listener| !listener.controller);
    let embedded = address.and_then(|listener| connect::embedded(&node.config, listener.address));
    let connect_listeners = if embedded.is_some() { &*node.config.http.connect } else { &[] };
    let connect_tls = || embedded.as_ref().map_or_else(|| Ok(TlsSettings::default()), connect::tls);
    let mut connect = HttpServer::bind(Role::Connect, connect_listeners, connect_tls).await?;
    let connect_addresses = connect.addresses();
    if let Some(config) = &embedded {
        connect.admit(&connect::advertised(config, &connect_addresses).0);
    }
    let (http_addresses, registry_addresses) = (http.addresses(), registry.addresses());
    let listening: Vec<Listening> = listeners.iter().map(Listener::listening).collect();
    // Before anything that may take long, so that whoever watches over the node is told that it starts.
    let http_connections = TaskTracker::new();
    tasks.spawn(http.serve(node.clone(), stop.clone(), http_connections.clone()));
    tasks.spawn(connect.serve(node.clone(), stop.clone(), http_connections.clone()));
    tasks.spawn(replicas::follow(node.clone(), committed));
    tasks.spawn(markers::run(node.clone(), markers, stop.clone()));
    elected(&node).await?;
    register(&node, &listening).await?;
    node.caught_up().await;
    for listener in listeners {
        tasks.spawn(listener.serve(node.clone(), stop.clone()));
    }
    node.started.store(true, Ordering::Relaxed);
    tasks.spawn(registry.serve(node.clone(), stop.clone(), http_connections.clone()));
    tasks.spawn(housekeeping::run(node.clone(), stop.clone()));
    if let Some(config) = embedded {
        let (node, listening, stop) = (node.clone(), connect_addresses.clone(), stop.clone());
        let weak = Arc::downgrade(&node);
        tasks.spawn(async move { node.connect.start_embedded(config, listening, weak, stop).await });
    }
    let cleaner = tokio::spawn(compaction::run(node.clone(), stop.clone()));
    Ok(Broker {
        node,
        listeners: listening,
        http: http_addresses,
        registry: registry_addresses,
        connect: connect_addresses,
        http_connections,
        stop,
        tasks,
        cleaner,
        runtimes: None,
    })
}

/// Waits until there is a controller to register with.
async fn elected(node: &Node) -> Result<(), StartError> {
    let mut phase = node.controller.phase();
    let leading = phase.wait_for(|phase| matches!(phase, Phase::Leading(_)));
    let elected = tokio::select! {
        why = node.failed() => return Err(StartError::Stopped(why)),
        elected = tokio::time::timeout(ELECTION_TIMEOUT, leading) => elected,
    };
    match elected {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(StartError::Registration("the controller ended".to_owned())),
        Err(_) => Err(StartError::Registration("no controller was elected in time".to_owned())),
    }
}

fn quorum_place(config: &BrokerConfig, own_store: bool) -> Place {
    match config.logs.storage.as_str() {
        _ if own_store => Place::MemoryAlone,
        Stores::MEMORY => Place::Memory,
        _ => Place::Folder,
    }
}

/// The stores, and what they remember.
struct Storage {
    cluster_id: String,
    stores: Stores,
    high_watermarks: HashMap<LogId, Offset>,
}

async fn open_storage(
    config: &BrokerConfig,
    own: Option<Arc<dyn LogStore>>,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Storage, StartError> {
    let witness = metrics.flushes.clone();
    let logs = config.logs.clone();
    let node_id = config.identity.node;
    let opened = spawn_blocking(move || -> Result<Storage, StartError> {
        if let Some(store) = own {
            return Storage::of(Stores::of("custom", store), None);
        }
        if logs.storage == Stores::MEMORY {
            return Storage::of(Stores::of(Stores::MEMORY, Arc::new(MemoryStore::new())), None);
        }
        let options = SegmentStoreOptions {
            recovery_bytes_max: u64::try_from(logs.recovery_bytes_max).unwrap_or(u64::MAX),
            witness,
            ..SegmentStoreOptions::new(logs.dirs.iter().map(PathBuf::from).collect(), node_id, seed())
        };
        let store = SegmentStore::open(options, Arc::new(SystemFiles), clock)?;
        let cluster_id = store.cluster_id().to_owned();
        let stores = Stores::of_segments(Arc::new(store)).with(Stores::MEMORY, Arc::new(MemoryStore::new()));
        Storage::of(stores, Some(cluster_id))
    });
    opened.await.unwrap_or_else(|panic| Err(StartError::Failed(panic.to_string())))
}

impl Storage {
    fn of(stores: Stores, cluster_id: Option<String>) -> Result<Storage, StartError> {
        let high_watermarks =
            stores.main().list()?.into_iter().map(|log| (log.id, log.high_watermark)).collect();
        let cluster_id = cluster_id.unwrap_or_else(|| uuid_to_base64(Uuid::new_v4()));
        Ok(Storage { cluster_id, stores, high_watermarks })
    }
}

fn start_controller(
    config: &BrokerConfig,
    storage: &Storage,
    quorum: &Arc<Quorum>,
    surroundings: &Surroundings,
    metrics: &Metrics,
    control: &Handle,
) -> ShardHandle<Cluster> {
    let options = cluster_options(config, &storage.cluster_id);
    // The controller decides nothing that the broker has to carry out.
    let (effects, _) = mpsc::channel(1);
    let shard = Shard {
        partition: PartitionIndex(0),
        log: quorum.clone(),
        snapshots: Some(quorum.clone()),
        new: Arc::new(move || Cluster::new(options.clone())),
        surroundings: surroundings.clone(),
        limits: Limits::default(),
        effects,
        witness: metrics.controller.clone(),
    };
    let (controller, task) = shard.start();
    control.spawn(task);
    controller
}

/// Follows the committed metadata: each change makes an image. The second one says why that has ended for good, if it
/// has.
fn follow_metadata(
    config: &BrokerConfig,
    storage: &Storage,
    quorum: &Arc<Quorum>,
    surroundings: &Surroundings,
    metrics: &Arc<Metrics>,
    control: &Handle,
) -> (watch::Receiver<Arc<Image>>, watch::Receiver<Option<String>>) {
    let options = cluster_options(config, &storage.cluster_id);
    let node = config.identity.node;
    let (sender, receiver) = watch::channel(Arc::new(Image::default()));
    let (failed, failure) = watch::channel(None);
    let metrics = metrics.clone();
    let replica = Replica {
        log: quorum.clone(),
        snapshots: Some(quorum.clone()),
        new: Box::new(move || Cluster::new(options.clone())),
        surroundings: surroundings.clone(),
        load_bytes: Limits::default().load_bytes,
    };
    control.spawn(async move {
        let followed = replica.follow(|cluster: &Cluster, applied| {
            metrics.cluster.applied(applied.timestamp);
            if applied.caught_up {
                let mut image = cluster.image().clone();
                image.offset = applied.end.plus(-1);
                image.epoch = applied.epoch;
                image.controller = node;
                sender.send_replace(Arc::new(image));
            }
        });
        if let Err(error) = followed.await {
            error!(%error, "the metadata of the cluster cannot be followed any longer");
            failed.send_replace(Some(error.to_string()));
        }
    });
    (receiver, failure)
}

fn cluster_options(config: &BrokerConfig, cluster: &str) -> ClusterOptions {
    ClusterOptions {
        default_partitions: config.topics.partitions,
        default_replication_factor: i16::try_from(config.topics.replication_factor).unwrap_or(i16::MAX),
        delete_topics: config.topics.delete_enable,
        file: config.layers.file.clone(),
        ..ClusterOptions::new(config.identity.node, cluster)
    }
}

fn group_shards(
    config: &BrokerConfig,
    assignors: &[Arc<dyn Assignor>],
    surroundings: &Surroundings,
    metrics: &Metrics,
    control: &Handle,
) -> Result<Shards<GroupCoordinator>, StartError> {
    let mut settings = GroupSettings::from(&config.groups);
    let named = Assignors::named(&config.groups.consumer.assignors, assignors);
    settings.consumer.assignors = named.map_err(|name| {
        StartError::Failed(format!("group.consumer.assignors: there is no assignor {name:?}"))
    })?;
    // A group decides nothing that the broker has to carry out.
    let (effects, _) = mpsc::channel(1);
    Ok(Shards::new(Start {
        new: Arc::new(move |_| GroupCoordinator::new(settings.clone())),
        surroundings: surroundings.clone(),
        limits: Limits {
            commit_timeout: milliseconds(i64::from(config.groups.offsets_commit_timeout_ms)),
            ..Limits::default()
        },
        effects,
        witness: metrics.groups.clone(),
        runtime: control.clone(),
    }))
}

fn transaction_shards(
    config: &BrokerConfig,
    surroundings: &Surroundings,
    effects: mpsc::Sender<Committed<TransactionEffect>>,
    metrics: &Metrics,
    control: &Handle,
) -> Shards<TransactionCoordinator> {
    let settings = TransactionSettings::from(&config.transactions);
    let load_bytes = usize::try_from(config.transactions.load_buffer_bytes).unwrap_or(0);
    Shards::new(Start {
        new: Arc::new(move |_| TransactionCoordinator::new(settings)),
        surroundings: surroundings.clone(),
        limits: Limits { load_bytes, ..Limits::default() },
        effects,
        witness: metrics.transactions.clone(),
        runtime: control.clone(),
    })
}

fn registry_service(
    config: &BrokerConfig,
    own: Vec<Arc<dyn SchemaFormat>>,
    surroundings: &Surroundings,
    control: &Handle,
) -> Result<RegistryService, StartError> {
    let name = config.values.text("vltava.registry.schema.compatibility.level")?;
    let level = CompatibilityLevel::of_name(name).ok_or_else(|| {
        StartError::Failed(format!("vltava.registry.schema.compatibility.level: there is no level {name:?}"))
    })?;
    let flag = |name: &str| config.values.boolean(&format!("vltava.registry.{name}"));
    let settings = Settings {
        level,
        modes_change: flag("mode.mutability")?,
        subjects_have_names: flag("schema.reject.empty.subject")?,
        one_version_of_each: flag("schema.providers.reference.versions.strict")?,
    };
    let formats = registry::formats().into_iter().chain(own).collect();
    Ok(RegistryService::new(formats, settings, surroundings, control))
}

fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

fn request_limits(config: &BrokerConfig) -> RequestLimits {
    let size = |bytes: Option<i32>| bytes.and_then(|bytes| usize::try_from(bytes).ok());
    RequestLimits {
        request_bytes_max: usize::try_from(config.network.request_bytes_max).unwrap_or(0),
        fetch_bytes_max: config.network.fetch_bytes_max,
        request_memory_bytes: request_memory_units(config) * MEMORY_UNIT,
        // Kafka's default of 100 KiB would turn off the system's own tuning; only what was asked for is set.
        socket_send_bytes: asked(config, "socket.send.buffer.bytes")
            .then(|| size(config.network.send_buffer_bytes))
            .flatten(),
        socket_receive_bytes: asked(config, "socket.receive.buffer.bytes")
            .then(|| size(config.network.receive_buffer_bytes))
            .flatten(),
    }
}

/// The memory for requests: what was set, or a default that leaves a small machine alive; room for the largest request in
/// any case.
fn request_memory_units(config: &BrokerConfig) -> usize {
    let set = config.network.queued_bytes_max.and_then(|bytes| usize::try_from(bytes).ok());
    let largest = usize::try_from(config.network.request_bytes_max).unwrap_or(0);
    let bytes = set.unwrap_or(REQUEST_MEMORY_DEFAULT).max(2 * largest);
    bytes.div_ceil(MEMORY_UNIT).min(Semaphore::MAX_PERMITS)
}

fn asked(config: &BrokerConfig, key: &str) -> bool {
    config.layers.get(key).is_some()
}

async fn bind(node: &Node) -> Result<Vec<Listener>, StartError> {
    let listeners = &node.config.listeners;
    let mut bound = Vec::with_capacity(listeners.bound.len());
    for listener in &listeners.bound {
        let host = listener.host.as_deref().unwrap_or("0.0.0.0");
        let name = listener.name.as_str();
        let refused = |source| StartError::Listen {
            listener: name.to_owned(),
            address: format!("{host}:{}", listener.port),
            source,
        };
        let address = resolve(host, listener.port).map_err(refused)?;
        let backlog = u32::try_from(node.config.network.listen_backlog).unwrap_or(50);
        let controller = listeners.is_controller(&listener.name);
        bound.push(Listener::bind(name, address, controller, backlog).await.map_err(refused)?);
    }
    Ok(bound)
}

fn resolve(host: &str, port: u16) -> std::io::Result<SocketAddr> {
    let unknown = || std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
    (host, port).to_socket_addrs()?.next().ok_or_else(unknown)
}

/// Registers this broker, with the ports that were bound, and makes it active.
async fn register(node: &Node, listening: &[Listening]) -> Result<(), StartError> {
    let registration = RegisterBroker {
        id: node.id,
        cluster: node.cluster_id.to_string(),
        incarnation: Uuid::new_v4(),
        endpoints: endpoints(node, listening),
        rack: node.config.identity.rack.clone(),
        features: supported_features(),
        directories: node.stores.main().directories().iter().map(|directory| directory.id).collect(),
        // The settings say which, dynamic ones included, once the image has them.
        cordoned: Vec::new(),
        previous_epoch: node.stores.previous_broker_epoch(),
    };
    let refused = |error: BrokerError| StartError::Registration(error.to_string());
    let lost = |code: ErrorCode| StartError::Registration(code.to_string());
    let epoch = match node.ask_controller(Command::RegisterBroker(registration)).await.map_err(lost)? {
        Answer::RegisterBroker(epoch) => epoch.map_err(refused)?,
        other => return Err(StartError::Registration(format!("{other:?}"))),
    };
    node.stores.note_broker_epoch(epoch);
    let activate = Command::MoveBroker { broker: node.id, epoch, state: BrokerState::Active };
    match node.ask_controller(activate).await.map_err(lost)? {
        Answer::MoveBroker(moved) => moved.map_err(refused)?,
        other => return Err(StartError::Registration(format!("{other:?}"))),
    }
    info!(node = %node.id, cluster = %node.cluster_id, "registered");
    Ok(())
}

/// What clients are told: the advertised addresses, with the ports that were bound in the place of 0.
fn endpoints(node: &Node, listening: &[Listening]) -> Vec<Endpoint> {
    let advertised = node.config.listeners.advertised.iter();
    advertised
        .map(|listener| {
            let name = listener.name.as_str();
            let bound =
                listening.iter().find(|bound| &*bound.name == name).map_or(0, |bound| bound.address.port());
            Endpoint {
                listener: name.to_owned(),
                host: listener.host.clone().unwrap_or_else(machine_name),
                port: if listener.port == 0 { bound } else { listener.port },
                security_protocol: listener.protocol.id(),
            }
        })
        .collect()
}

fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn entropy(random: Arc<Random>) -> Entropy {
    Arc::new(move || u128::from(random.next()) << 64 | u128::from(random.next()))
}

/// A seed that differs for every process.
fn seed() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}
