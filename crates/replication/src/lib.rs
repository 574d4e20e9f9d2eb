//! vltava-replication
