//! vltava-coordinator

pub mod cluster;
pub mod generated;
pub mod group;
