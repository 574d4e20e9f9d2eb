//! Ports for servers that are killed and come back.
//!
//! A server that restarts needs its old port again. Were it one of those that the system gives to outgoing connections, a
//! client that tries to connect meanwhile could be given it for its own end, and even be connected with itself: then the
//! port is taken when the server comes back. So ports are taken from below that range.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;

use anyhow::Context;

/// Below what Linux gives to outgoing connections (32,768 to 60,999), above what services are known by.
const PORTS: Range<u16> = 12_000..32_000;
/// How many ports are tried.
const TRIES: u16 = 1_000;

/// Ports that nobody listens on, others with each call.
pub fn free<const N: usize>() -> anyhow::Result<[u16; N]> {
    let (mut random, count) = (RandomState::new().hash_one(std::process::id()), PORTS.end - PORTS.start);
    // Each is held until all are found.
    let mut held = Vec::with_capacity(N);
    for _ in 0..TRIES {
        if held.len() == N {
            break;
        }
        let port = PORTS.start + (random % u64::from(count)) as u16;
        held.extend(TcpListener::bind(("127.0.0.1", port)).ok().map(|listener| (port, listener)));
        random = random.wrapping_add(7_919);
    }
    let ports: Vec<u16> = held.into_iter().map(|(port, _)| port).collect();
    let found = ports.len();
    ports
        .try_into()
        .ok()
        .with_context(|| format!("{found} of {N} ports between {} and {} are free", PORTS.start, PORTS.end))
}
