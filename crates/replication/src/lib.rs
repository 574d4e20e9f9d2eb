//! vltava-replication

pub mod generated;
