//! vltava-replication

pub mod generated;

pub mod runtime;
