//! Other brokers of the cluster, asked over the listener that brokers use among themselves.
//!
//! A connection for each question: markers and verifications that go to another broker are few beside those that do not,
//! and a connection that is not kept cannot be stale.

use std::time::Duration;

use vltava_core::error::ErrorCode;
use vltava_core::id::BrokerId;
use vltava_protocol::api::Request;

use crate::net::client::{Address, ClientError, Connection};
use crate::node::Node;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long another broker may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl Node {
    /// Asks another broker, in the newest version that both speak.
    ///
    /// # Errors
    /// `COORDINATOR_NOT_AVAILABLE` when the broker is not known, `NETWORK_EXCEPTION` when it does not answer.
    pub(crate) async fn ask_broker<R: Request>(
        &self,
        broker: BrokerId,
        request: &R,
    ) -> Result<R::Response, ErrorCode> {
        let listener = self.config.listeners.inter_broker.as_str();
        let endpoint = self.endpoints(std::iter::once(broker.0), listener).pop();
        let (_, host, port, _) = endpoint.ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        let port = u16::try_from(port).map_err(|_| ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
        let address = Address { host: host.to_string(), port };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, ask(address, self.id, request)).await;
        let answer = answer.map_err(|_| ErrorCode::NETWORK_EXCEPTION)?;
        answer.map_err(|problem| {
            tracing::warn!(%broker, api = ?R::KEY, %problem, "another broker does not answer");
            ErrorCode::NETWORK_EXCEPTION
        })
    }
}

async fn ask<R: Request>(address: Address, from: BrokerId, request: &R) -> Result<R::Response, ClientError> {
    let client_id = format!("broker-{from}").into();
    let mut connection = Connection::open(address, client_id, CONNECT_TIMEOUT).await?;
    let version = connection.version(R::KEY.api(), &R::KEY.api().stable_versions())?;
    connection.call(request, version).await
}
