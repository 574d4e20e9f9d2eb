#![doc = include_str!("../README.md")]

pub mod authorizer;
mod broker;
mod brokers;
mod builder;
pub mod builtins;
pub mod cli;
pub mod clock;
pub mod config;
pub mod net;
pub mod reference;

mod api;
mod auto_create;
mod compaction;
mod connect;
mod coordinators;
mod fetch_session;
mod groups;
mod housekeeping;
mod http;
mod log_levels;
mod metrics;
mod node;
mod partitions;
mod producer_ids;
mod quorum;
mod registry;
mod replicas;
mod schema_client;
mod schema_validation;
mod serve;
mod start;
mod stores;
mod transactions;

pub use broker::{Broker, StartError};
pub use builder::Builder;
pub use connect::{properties as connect_properties, run as connect};
pub use log_levels::LogLevels;
pub use serve::serve;

/// The README of the repository, whose examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
