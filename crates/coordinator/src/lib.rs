//! vltava-coordinator

pub mod generated;
