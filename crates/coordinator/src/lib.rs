//! vltava-coordinator
