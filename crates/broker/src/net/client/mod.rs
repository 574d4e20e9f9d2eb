//! The RPC client: one connection type, and a view of a cluster that finds the broker a request belongs to.
//!
//! [`Connection`] does frames, correlation and version negotiation over one socket. [`Client`] adds what an ordinary Kafka
//! client does around it: bootstrap, a cache of brokers, leaders and coordinators, routing, and retry until a deadline. It
//! works against any Kafka cluster from 2.1 on, and serves the command line as well as byte-exact mirroring.
//!
//! It does not batch, balance or subscribe; producing and consuming with guarantees is built on top. Listeners with TLS or
//! SASL are not spoken to.

mod address;
mod cluster;
mod connection;
mod error;

pub use address::Address;
pub use cluster::{Client, ClientOptions, Route};
pub use connection::Connection;
pub use error::ClientError;

#[cfg(test)]
mod tests;
