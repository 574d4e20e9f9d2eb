//! The Vltava broker as a library: compose one from the crates, or run the one that the `vltava` binary runs.
//!
//! [`Broker::builder`] starts a broker within any program, with its own storage and authorizer where you bring them.
//! The binary reads a configuration and does the same.

pub mod authorizer;
mod broker;
mod builder;
pub mod cli;
pub mod clock;
pub mod config;
pub mod reference;

mod api;
mod auto_create;
mod fetch_session;
mod groups;
mod housekeeping;
mod http;
mod metrics;
mod net;
mod node;
mod partitions;
mod producer_ids;
mod quorum;
mod replicas;
mod serve;
mod start;
mod stores;

pub use broker::{Broker, StartError};
pub use builder::Builder;
pub use serve::serve;
