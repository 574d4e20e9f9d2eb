//! vltava-replication

pub mod generated;

pub mod partition;

pub mod runtime;

pub mod quorum;
