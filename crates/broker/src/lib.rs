//! The Vltava broker as a library.

pub mod config;
