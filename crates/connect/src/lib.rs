//! vltava-connect
