//! Where the settings of a node come from: a file, the command line, and what holds without either.
//!
//! Flags win over the file; dynamic settings, which live in the cluster's metadata, win over both. An existing
//! `server.properties` must load, so unknown keys there are warnings; a TOML file and flags are written for Vltava, so there
//! they are errors. Everything else about keys and values is `vltava_core::config`.

mod flat_toml;
mod load;
mod properties;

pub use load::{ConfigFile, LoadError, LoadedConfig, load, standalone};
pub use properties::{Entry, SyntaxError};

#[cfg(test)]
mod tests;
