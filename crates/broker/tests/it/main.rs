//! Embedded brokers, driven over real sockets with the messages of the protocol crate, and parts of brokers put together.
//!
//! One program for all of them: each further one would be linked with every edit.

#![allow(clippy::unwrap_used)]

mod client;
mod command_line;
mod compaction;
mod connect;
mod connections;
mod crash;
mod disks;
mod examples;
mod http;
mod https;
mod lifecycle;
mod partition_on_segments;
mod records;
mod registry;
mod registry_endpoints;
mod transactions;
