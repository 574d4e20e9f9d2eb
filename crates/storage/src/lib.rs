//! vltava-storage
