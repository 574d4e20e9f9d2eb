//! What a server takes while nothing happens: at the start, for each open connection, for each partition.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use super::{Figures, connect, create_topic};
use crate::bench::machine::{Usage, resident_bytes};
use crate::bench::wire;

/// How long a server gets to settle before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);
/// How long idling is watched.
const IDLE: Duration = Duration::from_secs(5);
/// Descriptors that are left for everything but the connections.
const DESCRIPTORS_SPARE: u64 = 500;

/// The memory and the CPU of a server that was just started.
pub fn process(server: u32) -> anyhow::Result<Figures> {
    std::thread::sleep(SETTLE);
    let resident = resident_bytes(server)?;
    let usage = Usage::begin(server)?;
    std::thread::sleep(IDLE);
    let used = usage.end()?;
    Ok(vec![
        ("RSS MiB", resident / f64::from(1 << 20)),
        ("idle CPU %", used.server / used.seconds * 100.0),
        ("others cores", used.others),
    ])
}

/// Opens connections, has each answer one request, and leaves them idle.
pub fn connections(address: &str, server: u32, wanted: u64) -> anyhow::Result<Figures> {
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_SPARE);
    let count = wanted.min(allowed);
    std::thread::sleep(SETTLE);
    let before = resident_bytes(server)?;
    let usage = Usage::begin(server)?;
    let request = wire::api_versions();
    let mut open = Vec::new();
    for _ in 0..count {
        let mut stream = connect(address)?;
        wire::ask(&mut stream, &request)?;
        open.push(stream);
    }
    let used = usage.end()?;
    std::thread::sleep(SETTLE);
    let grown = resident_bytes(server)? - before;
    Ok(vec![
        ("RSS KiB/connection", grown / 1024.0 / count as f64),
        ("server µs/connect", used.server / count as f64 * 1e6),
        ("connections", count as f64),
        ("others cores", used.others),
    ])
}

/// Creates a topic of so many partitions, which stay empty.
pub fn partitions(address: &str, server: u32, topic: &str, count: i32) -> anyhow::Result<Figures> {
    std::thread::sleep(SETTLE);
    let before = resident_bytes(server)?;
    let usage = Usage::begin(server)?;
    create_topic(address, topic, count)?;
    let used = usage.end()?;
    std::thread::sleep(SETTLE);
    let grown = resident_bytes(server)? - before;
    Ok(vec![
        ("RSS KiB/partition", grown / 1024.0 / f64::from(count)),
        ("created s", used.seconds),
        ("server µs/partition", used.server / f64::from(count) * 1e6),
        ("partitions", f64::from(count)),
        ("others cores", used.others),
    ])
}
