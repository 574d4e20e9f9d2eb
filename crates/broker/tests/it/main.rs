//! Embedded brokers, driven over real sockets with the messages of the protocol crate.

#![allow(clippy::unwrap_used)]

mod client;
mod compaction;
mod connections;
mod disks;
mod examples;
mod http;
mod lifecycle;
mod records;
mod transactions;
