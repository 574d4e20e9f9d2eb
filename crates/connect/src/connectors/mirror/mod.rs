//! Mirrors of topics from another Kafka cluster, in MirrorMaker 2's topics and records.
//!
//! Three connectors, each a source whose worker writes to the target: one copies topics, one translates the offsets of
//! groups ([`checkpoint`]), one sends heartbeats. Names, bytes and positions are MirrorMaker's, so that its tools read what is
//! written here, and either takes the other's work over. Two mirrors in both directions do not copy in circles: a topic
//! that came from the target does not go back.
//!
//! What is decided lies apart from those who ask clusters: names ([`policy`]), what is copied ([`filter`], [`copies`]), bytes
//! ([`formats`]), positions ([`place`]), which offsets are recorded ([`lag`]), what they translate to ([`translation`]), and what
//! is counted ([`meters`]).

mod checkpoint;
mod clusters;
mod copies;
mod every;
mod filter;
mod formats;
mod heartbeat;
mod lag;
mod meters;
mod place;
mod policy;
mod settings;
mod source;
mod translation;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use vltava_core::wire::WireError;

pub(super) use self::checkpoint::MirrorCheckpoint;
pub(super) use self::clusters::Clusters;
pub(super) use self::heartbeat::MirrorHeartbeat;
pub(super) use self::meters::figures;
pub(super) use self::source::MirrorSource;
use crate::error::ConnectError;
use crate::record::Datum;
use crate::settings::{Config, Values};

/// The converter that leaves bytes as they are.
const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";

/// Bytes as they are, or none.
fn copied_bytes(bytes: Option<Bytes>) -> Datum {
    bytes.map_or_else(Datum::default, Datum::bytes)
}

/// Why a record of a mirror has no bytes.
fn too_long(error: WireError) -> ConnectError {
    ConnectError::failed("a name is too long for a record of a mirror").because(error)
}

/// Settings of a task beside the connector's: bytes go as they are, whatever the worker does with others.
fn task_config<const N: usize>(values: &Values, own: [(&str, String); N]) -> Config {
    let converters = ["key.converter", "value.converter", "header.converter"];
    let unset = converters.into_iter().filter(|name| !values.raw().contains_key(*name));
    let own = own.into_iter().chain(unset.map(|name| (name, BYTES.to_owned())));
    own.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Settings of as many tasks as there may be and is work for: each gets its share of `entries` as the list `name`.
fn divided(values: &Values, name: &str, entries: &[String], tasks_max: usize) -> Vec<Config> {
    let tasks = tasks_max.min(entries.len());
    let share = |task: usize| {
        let own: Vec<&str> = entries.iter().skip(task).step_by(tasks).map(String::as_str).collect();
        task_config(values, [(name, own.join(",")), ("task.index", task.to_string())])
    };
    (0..tasks).map(share).collect()
}
