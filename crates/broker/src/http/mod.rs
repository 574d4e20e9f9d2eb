//! The node's HTTP server: `/metrics` for Prometheus, `/health` for whoever watches over it.
//!
//! It reads and changes nothing, and asks nobody for a password; by default it listens on this machine only. A web page
//! that the user's browser has open must not reach it through a name of its own, so requests are refused that name
//! another host ([`host`]). Connections are few, bounded, and closed when they stay silent.
//!
//! Why beside the listeners of Kafka's protocol and not on them: a probe has to be answered when no connection of a
//! client is any more.

mod health;
mod host;

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use vltava_core::config::HttpListener;

use crate::broker::StartError;
use crate::metrics::{collect, exposition};
use crate::node::Node;

/// The most connections at a time, over all listeners.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may take for the head of a request, and how long it may be silent between requests.
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

/// The bound sockets of the node's HTTP server.
#[derive(Debug)]
pub(crate) struct HttpServer {
    sockets: Vec<TcpListener>,
    /// The hosts that requests may name, besides addresses and `localhost`.
    hosts: BTreeSet<String>,
}

impl HttpServer {
    /// Binds `vltava.http.listeners`. A default address that is taken is a warning: a second node on a machine should
    /// start without further settings.
    ///
    /// # Errors
    /// [`StartError::Listen`] when an address that was asked for cannot be listened on.
    pub(crate) async fn bind(listeners: &[HttpListener]) -> Result<HttpServer, StartError> {
        let mut server = HttpServer { sockets: Vec::new(), hosts: BTreeSet::new() };
        for listener in listeners {
            match bind(listener).await {
                Ok(socket) => server.sockets.push(socket),
                Err(source) if listener.configured => {
                    return Err(StartError::Listen {
                        listener: "vltava.http.listeners".to_owned(),
                        address: format!("{}:{}", listener.host, listener.port),
                        source,
                    });
                }
                Err(error) => warn!(
                    "no metrics and health over HTTP: port {} is taken ({error}); set vltava.http.listeners to another",
                    listener.port
                ),
            }
            server.hosts.insert(listener.host.to_ascii_lowercase());
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Serves until `stop`; what was begun is answered.
    pub(crate) async fn serve(self, node: Arc<Node>, stop: CancellationToken) {
        let shared = Shared { node, stop: stop.clone() };
        let routes = routes(shared, Arc::new(self.hosts));
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let connections = TaskTracker::new();
        for socket in self.sockets {
            let accepting = accept(socket, routes.clone(), places.clone(), connections.clone(), stop.clone());
            connections.spawn(accepting);
        }
        stop.cancelled().await;
        connections.close();
        connections.wait().await;
    }
}

/// Says that addresses were configured which nothing in this release listens on.
pub(crate) fn warn_of_unserved(registry: &[HttpListener], connect: &[HttpListener]) {
    for (key, listeners) in [("vltava.registry.listeners", registry), ("vltava.connect.listeners", connect)] {
        if listeners.iter().any(|listener| listener.configured) {
            warn!("{key} is set, but this release serves nothing there; remove it");
        }
    }
}

async fn bind(listener: &HttpListener) -> std::io::Result<TcpListener> {
    let host = if listener.host.is_empty() { "0.0.0.0" } else { &listener.host };
    let unknown = || std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
    let address = (host, listener.port).to_socket_addrs()?.next().ok_or_else(unknown)?;
    TcpListener::bind(address).await
}

fn routes(shared: Shared, hosts: Arc<BTreeSet<String>>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(shared)
        .layer(middleware::from_fn(move |request, next| host::check(hosts.clone(), request, next)))
}

async fn accept(
    socket: TcpListener,
    routes: Router,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    if let Ok(address) = socket.local_addr() {
        info!(%address, "serving metrics and health over HTTP");
    }
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                let place = places.clone().acquire_owned().await.ok();
                (socket.accept().await, place)
            } => accepted,
        };
        match accepted {
            (Ok((stream, address)), place) => {
                let served = serve_connection(stream, address, routes.clone(), stop.clone());
                connections.spawn(async move {
                    served.await;
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

async fn serve_connection(stream: TcpStream, address: SocketAddr, routes: Router, stop: CancellationToken) {
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
    Html("<title>Vltava</title><a href=metrics>metrics</a> <a href=health>health</a>\n")
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

async fn metrics(State(shared): State<Shared>, Query(query): Query<MetricsQuery>) -> impl IntoResponse {
    let options = collect::Options { partitions: query.partitions, stopping: shared.stop.is_cancelled() };
    ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], collect::page(&shared.node, options).await)
}
