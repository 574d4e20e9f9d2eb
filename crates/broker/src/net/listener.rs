//! Listeners: bound sockets whose connections become tasks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::connection::Connection;
use crate::api::Peer;
use crate::broker::Listening;
use crate::node::Node;

/// How long accepting pauses when the operating system refuses, such as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub(crate) struct Listener {
    name: Arc<str>,
    /// The address it is bound to; the real port where 0 was asked for.
    address: SocketAddr,
    /// It serves the APIs of controllers.
    controller: bool,
    socket: TcpListener,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// Those of the operating system, such as that the port is taken.
    pub(crate) async fn bind(
        name: &str,
        address: SocketAddr,
        controller: bool,
        backlog: u32,
    ) -> io::Result<Listener> {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(backlog)?;
        Ok(Listener { name: name.into(), address: socket.local_addr()?, controller, socket })
    }

    /// Where it is bound.
    pub(crate) fn listening(&self) -> Listening {
        Listening { name: self.name.clone(), address: self.address, controller: self.controller }
    }

    /// Accepts until `shutdown`.
    pub(crate) async fn serve(self, node: Arc<Node>, shutdown: CancellationToken) {
        info!(listener = %self.name, address = %self.address, "accepting connections");
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = self.accept(&node) => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let delay = node.connections.creation_delay(&self.name, node.clock.now());
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                        node.connections.blocked(&self.name, delay);
                    }
                    self.start(stream, address, &node);
                }
                Err(error) => {
                    warn!(listener = %self.name, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self, node: &Node) -> io::Result<(TcpStream, SocketAddr)> {
        let begun = node.clock.now();
        node.connections.room(&self.name).await;
        node.connections.blocked(&self.name, node.clock.now().since(begun));
        self.socket.accept().await
    }

    fn start(&self, stream: TcpStream, address: SocketAddr, node: &Arc<Node>) {
        let Some(admission) = node.connections.admit(address.ip(), &self.name, node.clock.now()) else {
            warn!(%address, "refused: too many connections from this address (max.connections.per.ip)");
            return;
        };
        if let Err(error) = self.tune(&stream, node) {
            debug!(%address, %error, "the connection ended before it began");
            return;
        }
        let peer = Peer::new(address, self.name.clone(), self.controller);
        // In a box of its own: inside the task its size would count twice, before and after it starts to serve.
        let mut connection = Box::new(Connection::new(stream, node.clone(), peer, admission));
        tokio::spawn(async move {
            let ended = connection.serve().await;
            debug!(%address, %ended, "connection ended");
        });
    }

    fn tune(&self, stream: &TcpStream, node: &Node) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        socket.set_keepalive(true)?;
        if let Some(bytes) = node.limits.socket_send_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = node.limits.socket_receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }
}
