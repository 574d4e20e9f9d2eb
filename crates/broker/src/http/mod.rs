//! The node's HTTP servers: `/metrics` for Prometheus, `/health` for whoever watches over it, and the schema registry, below
//! `/registry` and at the root of a server of its own.
//!
//! They ask nobody for a password, and for a certificate only where an address says `https` (`ssl.client.auth`); by default
//! they listen on this machine only. A web page that the user's browser has open must not reach it through a name of its
//! own, so requests are refused that name another host ([`host`]). Connections are few, bounded, and closed when they stay
//! silent.
//!
//! Why without a router: the registry and Connect take paths apart themselves, and layers that pass a request on cost more
//! than to look up a schema.
//!
//! Why beside the listeners of Kafka's protocol and not on them: a probe has to be answered when no connection of a
//! client is any more.

pub(crate) mod connect;
mod health;
mod host;
mod registry;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use vltava_connect::tls::{Acceptor, Encrypted, TlsError, TlsSettings};
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

/// A request before its body.
type Request = hyper::Request<Incoming>;
/// An answer.
type Response = hyper::Response<Full<Bytes>>;

/// What the requests of a server are answered from.
struct Site {
    pages: Pages,
    /// The hosts that requests may name, besides addresses and `localhost`.
    hosts: BTreeSet<String>,
}

/// Which pages a server has.
enum Pages {
    /// Metrics and health, with the registry below `/registry` and Connect below `/connect`.
    Node { node: Arc<Node>, stop: CancellationToken },
    /// The registry alone.
    Registry(Arc<Node>),
    /// Connect alone, with the metrics of its worker at `/metrics`.
    Connect(Arc<ConnectService>),
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
    hosts: BTreeSet<String>,
}

/// A socket, and what takes its connections where they are encrypted.
struct Socket {
    listener: TcpListener,
    acceptor: Option<Acceptor>,
}

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

    /// Serves the node, its registry or its worker until `stop`; what was begun is answered. Whoever holds `connections` can
    /// wait for that: until then they hold the node.
    pub(crate) async fn serve(self, node: Arc<Node>, stop: CancellationToken, connections: TaskTracker) {
        let pages = match self.role {
            Role::Node => Pages::Node { node, stop: stop.clone() },
            Role::Registry => Pages::Registry(node),
            Role::Connect => Pages::Connect(node.connect.clone()),
        };
        self.serve_pages(pages, stop, connections).await;
    }

    /// Serves Connect alone, in a process without a node.
    pub(crate) async fn serve_connect(
        self,
        service: Arc<ConnectService>,
        stop: CancellationToken,
        connections: TaskTracker,
    ) {
        self.serve_pages(Pages::Connect(service), stop, connections).await;
    }

    async fn serve_pages(self, pages: Pages, stop: CancellationToken, connections: TaskTracker) {
        let places = Arc::new(Semaphore::new(self.role.connections_max()));
        let site = Arc::new(Site { pages, hosts: self.hosts });
        for socket in self.sockets {
            let accepting =
                accept(self.role, socket, site.clone(), places.clone(), connections.clone(), stop.clone());
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

async fn accept(
    role: Role,
    socket: Socket,
    site: Arc<Site>,
    places: Arc<Semaphore>,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    let Socket { listener, acceptor } = socket;
    let kind = if acceptor.is_some() { "HTTPS" } else { "HTTP" };
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
                let (acceptor, site, stop) = (acceptor.clone(), site.clone(), stop.clone());
                connections.spawn(async move {
                    match stop.run_until_cancelled(open(stream, acceptor)).await {
                        Some(Ok(stream)) => serve_connection(stream, address, site, stop).await,
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
) -> std::io::Result<Either<TcpStream, Encrypted<TcpStream>>> {
    match acceptor {
        None => Ok(Either::Left(stream)),
        Some(acceptor) => {
            tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await?.map(Either::Right)
        }
    }
}

async fn serve_connection(
    stream: Either<TcpStream, Encrypted<TcpStream>>,
    address: SocketAddr,
    site: Arc<Site>,
    stop: CancellationToken,
) {
    let encrypted = matches!(stream, Either::Right(_));
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site.answer(request, encrypted).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
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

impl Site {
    async fn answer(&self, request: Request, encrypted: bool) -> Response {
        if let Err((status, message)) = host::check(request.headers(), &self.hosts) {
            return reply(status, PLAIN, message);
        }
        let path = request.uri().path();
        let first = path.split('/').nth(1).unwrap_or_default();
        match (&self.pages, first) {
            (Pages::Registry(node), _) => registry::answer(node, &self.hosts, "", request).await,
            (Pages::Node { node, .. }, "registry") => {
                registry::answer(node, &self.hosts, "/registry", request).await
            }
            (Pages::Node { node, .. }, "connect") => {
                connect::answer(&node.connect, &self.hosts, "/connect", encrypted, request).await
            }
            (Pages::Connect(service), "metrics") => {
                let page = service.worker().map(metrics::connect::page).unwrap_or_default();
                read_only(&request, reply(StatusCode::OK, exposition::CONTENT_TYPE, page))
            }
            (Pages::Connect(service), _) => {
                connect::answer(service, &self.hosts, "", encrypted, request).await
            }
            (Pages::Node { node, stop }, _) => {
                let stopping = stop.is_cancelled();
                let page = match path {
                    "/" => reply(StatusCode::OK, "text/html; charset=utf-8", INDEX),
                    "/metrics" => metrics(node, stopping, request.uri().query().unwrap_or_default()).await,
                    "/health" => health::health(node, stopping),
                    "/health/live" => health::live(),
                    "/health/ready" => health::ready(node, stopping),
                    _ => reply(StatusCode::NOT_FOUND, PLAIN, "there is no such page\n"),
                };
                read_only(&request, page)
            }
        }
    }
}

/// The media type of short texts.
const PLAIN: &str = "text/plain; charset=utf-8";

/// What a browser is shown.
const INDEX: &str = "<title>Vltava</title><a href=metrics>metrics</a> <a href=health>health</a> \
                     <a href=registry/subjects>subjects</a>\n";

/// An answer with a body.
fn reply(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A page that is there to be read.
fn read_only(request: &Request, page: Response) -> Response {
    if page.status() == StatusCode::NOT_FOUND || [Method::GET, Method::HEAD].contains(request.method()) {
        return page;
    }
    let mut refused = reply(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "this page can only be read\n");
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
    refused
}

/// The page of `/metrics`; with `partitions=false` without series for each partition.
async fn metrics(node: &Node, stopping: bool, query: &str) -> Response {
    let asked =
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "partitions");
    let partitions = match asked {
        None | Some((_, "true")) => true,
        Some((_, "false")) => false,
        Some(_) => return reply(StatusCode::BAD_REQUEST, PLAIN, "partitions is true or false\n"),
    };
    let page = collect::page(node, collect::Options { partitions, stopping }).await;
    reply(StatusCode::OK, exposition::CONTENT_TYPE, page)
}
