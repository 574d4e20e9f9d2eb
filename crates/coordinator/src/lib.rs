//! vltava-coordinator

pub mod generated;

pub mod group;
