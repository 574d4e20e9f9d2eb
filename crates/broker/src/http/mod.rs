//! The node's HTTP servers: `/metrics` for Prometheus, `/health` for whoever watches over it, and the schema registry, below
//! `/registry` and at the root of a server of its own.
//!
//! They ask nobody for a password, and for a certificate only where an address says `https` (`ssl.client.auth`); by default
//! they listen on this machine only. A web page
//! that the user's browser has open must not reach it through a name of its own, so requests are refused that name
//! another host ([`host`]). Connections are few, bounded, and closed when they stay silent.
//!
//! Why beside the listeners of Kafka's protocol and not on them: a probe has to be answered when no connection of a
//! client is any more.

pub(crate) mod connect;
mod health;
mod host;
mod registry;

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use vltava_connect::tls::{Acceptor, TlsError, TlsSettings};
use vltava_core::config::HttpListener;

use crate::broker::StartError;
use crate::connect::ConnectService;
use crate::metrics::{self, collect, exposition};
use crate::node::Node;

/// The most connections at a time, over all listeners for metrics and health.
const CONNECTIONS_MAX: usize = 64;
/// The most connections at a time, over all listeners of the registry, and as many over those of Connect.
const API_CONNECTIONS_MAX: usize = 4096;
/// How long a connection may take for its handshake, then for the head of a request, and how long it may be silent between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long accepting pauses when the operating system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What handlers share.
#[derive(Clone)]
struct Shared {
    node: Arc<Node>,
    stop: CancellationToken,
}

/// Which of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Metrics and health, with everything else below.
    Node,
    /// The schema registry.
    Registry,
    /// Connect.
    Connect,
}

impl Role {
    fn key(self) -> &'static str {
        match self {
            Role::Node => "vltava.http.listeners",
            Role::Registry => "vltava.registry.listeners",
            Role::Connect => "vltava.connect.listeners",
        }
    }

    fn serves(self) -> &'static str {
        match self {
            Role::Node => "metrics and health",
            Role::Registry => "the schema registry",
            Role::Connect => "Connect",
        }
    }

    fn connections_max(self) -> usize {
        match self {
            Role::Node => CONNECTIONS_MAX,
            Role::Registry | Role::Connect => API_CONNECTIONS_MAX,
        }
    }
}

/// The bound sockets of an HTTP server.
pub(crate) struct HttpServer {
    role: Role,
    sockets: Vec<Socket>,
    /// The hosts that requests may name, besides addresses and `localhost`.
    hosts: BTreeSet<String>,
}

/// A socket, and what takes its connections where they are encrypted.
struct Socket {
    listener: TcpListener,
    acceptor: Option<Acceptor>,
}

/// What a request has that came encrypted.
#[derive(Clone, Copy, Debug)]
struct Encrypted;

impl HttpServer {
    /// Binds the addresses of a server. A default address that is taken is a warning: a second node on a machine should
    /// start without further settings. `tls` is asked for when an address says `https`.
    ///
    /// # Errors
    /// [`StartError::Listen`] when an address that was asked for cannot be listened on; [`StartError::Tls`] when its
    /// certificate cannot be used.
    pub(crate) async fn bind(
        role: Role,
        listeners: &[HttpListener],
        tls: impl Fn() -> Result<TlsSettings, TlsError>,
    ) -> Result<HttpServer, StartError> {
        let mut server = HttpServer { role, sockets: Vec::new(), hosts: BTreeSet::new() };
        for listener in listeners {
            let acceptor = listener.encrypted.then(|| tls()?.acceptor()).transpose()?;
            match bind(listener).await {
                Ok(listener) => server.sockets.push(Socket { listener, acceptor }),
                Err(source) if listener.configured => {
                    return Err(StartError::Listen {
                        listener: role.key().to_owned(),
                        address: format!("{}:{}", listener.host, listener.port),
                        source,
                    });
                }
                Err(error) => warn!(
                    "{} cannot be served over HTTP: port {} is taken ({error}); set {} to another",
                    role.serves(),
                    listener.port,
                    role.key()
                ),
            }
            server.hosts.insert(listener.host.to_ascii_lowercase());
        }
        Ok(server)
    }

    /// Lets requests name a host too.
    pub(crate) fn admit(&mut self, host: &str) {
        self.hosts.insert(host.to_ascii_lowercase());
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.listener.local_addr().ok()).collect()
    }

    /// Serves the node or its registry until `stop`; what was begun is answered. Whoever holds `connections` can wait for
    /// that: until then they hold the node.
    pub(crate) async fn serve(self, node: Arc<Node>, stop: CancellationToken, connections: TaskTracker) {
        let hosts = Arc::new(self.hosts.clone());
        let routes = match self.role {
            Role::Node => routes(Shared { node, stop: stop.clone() }, hosts),
            Role::Registry => checked(registry::routes(node, hosts.clone()), hosts),
            Role::Connect => checked(connect::routes(node.connect.clone(), hosts.clone(), ""), hosts),
        };
        self.serve_routes(routes, stop, connections).await;
    }

    /// Serves Connect alone, with the metrics of the worker at `/metrics`.
    pub(crate) async fn serve_connect(
        self,
        service: Arc<ConnectService>,
        stop: CancellationToken,
        connections: TaskTracker,
    ) {
        let hosts = Arc::new(self.hosts.clone());
        let figures = service.clone();
        let routes = connect::routes(service, hosts.clone(), "")
            .route("/metrics", get(async move || worker_metrics(&figures)));
        let routes = checked(routes, hosts);
        self.serve_routes(routes, stop, connections).await;
    }

    async fn serve_routes(self, routes: Router, stop: CancellationToken, connections: TaskTracker) {
        let places = Arc::new(Semaphore::new(self.role.connections_max()));
        for socket in self.sockets {
            let accepting =
                accept(self.role, socket, routes.clone(), places.clone(), connections.clone(), stop.clone());
            connections.spawn(accepting);
        }
        stop.cancelled().await;
        connections.close();
        connections.wait().await;
    }
}

async fn bind(listener: &HttpListener) -> std::io::Result<TcpListener> {
    let host = if listener.host.is_empty() { "0.0.0.0" } else { &listener.host };
    let unknown = || std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
    let address = (host, listener.port).to_socket_addrs()?.next().ok_or_else(unknown)?;
    TcpListener::bind(address).await
}

fn routes(shared: Shared, hosts: Arc<BTreeSet<String>>) -> Router {
    let registry = registry::routes(shared.node.clone(), hosts.clone());
    let connect = connect::routes(shared.node.connect.clone(), hosts.clone(), "/connect");
    let own = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(shared)
        .nest("/registry", registry)
        .nest("/connect", connect);
    checked(own, hosts)
}

/// Only for requests that name a host of ours.
fn checked(routes: Router, hosts: Arc<BTreeSet<String>>) -> Router {
    routes.layer(middleware::from_fn(move |request, next| host::check(hosts.clone(), request, next)))
}

async fn accept(
    role: Role,
    socket: Socket,
    routes: Router,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    let Socket { listener, acceptor } = socket;
    let (routes, kind) = match acceptor {
        Some(_) => (routes.layer(Extension(Encrypted)), "HTTPS"),
        None => (routes, "HTTP"),
    };
    if let Ok(address) = listener.local_addr() {
        info!(%address, "serving {} over {kind}", role.serves());
    }
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                let place = places.clone().acquire_owned().await.ok();
                (listener.accept().await, place)
            } => accepted,
        };
        match accepted {
            (Ok((stream, address)), place) => {
                let (acceptor, routes, stop) = (acceptor.clone(), routes.clone(), stop.clone());
                connections.spawn(async move {
                    match stop.run_until_cancelled(open(stream, acceptor)).await {
                        Some(Ok(stream)) => serve_connection(stream, address, routes, stop).await,
                        Some(Err(error)) => debug!(%address, %error, "an HTTPS connection was not opened"),
                        None => {}
                    }
                    drop(place);
                });
            }
            (Err(error), _) => {
                warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection, after its handshake where it has one.
async fn open(
    stream: TcpStream,
    acceptor: Option<Acceptor>,
) -> std::io::Result<Either<TcpStream, vltava_connect::tls::Encrypted<TcpStream>>> {
    match acceptor {
        None => Ok(Either::Left(stream)),
        Some(acceptor) => {
            tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await?.map(Either::Right)
        }
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    routes: Router,
    stop: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%address, %error, "an HTTP connection ended");
    }
}

async fn index() -> Html<&'static str> {
    Html(
        "<title>Vltava</title><a href=metrics>metrics</a> <a href=health>health</a> <a href=registry/subjects>subjects</a>\n",
    )
}

#[derive(Debug, Deserialize)]
struct MetricsQuery {
    /// Series for each partition.
    #[serde(default = "yes")]
    partitions: bool,
}

fn yes() -> bool {
    true
}

fn worker_metrics(service: &ConnectService) -> impl IntoResponse + use<> {
    let page = service.worker().map(metrics::connect::page).unwrap_or_default();
    ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], page)
}

async fn metrics(State(shared): State<Shared>, Query(query): Query<MetricsQuery>) -> impl IntoResponse {
    let options = collect::Options { partitions: query.partitions, stopping: shared.stop.is_cancelled() };
    ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], collect::page(&shared.node, options).await)
}
