//! Offsets of groups: committed at a fixed rate, and loaded when their coordinator starts.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Figures, LEADERS_WITHIN, connect, microseconds, quantile};
use crate::bench::contestant::Running;
use crate::bench::machine::{Usage, process_cpu};
use crate::bench::wire;

/// Connections that commit in turn.
const CONNECTIONS: usize = 10;
/// Partitions of each group whose offsets are loaded.
pub const PARTITIONS: i32 = 1_000;
/// The coordinator is there and still loads; or it is not there yet.
const NOT_YET: [i16; 3] = [14, 15, 16];

/// Commits one offset a request, each when it is due.
pub fn at_rate(rate: u32, seconds: u32, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    let mut streams = (0..CONNECTIONS).map(|_| connect(address)).collect::<anyhow::Result<Vec<_>>>()?;
    for (number, stream) in streams.iter_mut().enumerate() {
        commit_until_ready(stream, &group(number), topic, 1)?;
    }
    let answers = streams.iter().map(std::net::TcpStream::try_clone).collect::<std::io::Result<Vec<_>>>()?;
    let count = rate * seconds;
    let usage = Usage::begin(server)?;
    let begun = Instant::now();
    let due = |number: u32| begun + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
    let mut latencies = std::thread::scope(|threads| {
        let receiving = threads.spawn(move || receive(answers, topic, count, due));
        for number in 0..count {
            std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
            let place = number as usize % CONNECTIONS;
            let request = wire::commit(&group(place), topic, 1, i64::from(number));
            if let Some(stream) = streams.get_mut(place) {
                stream.write_all(&request)?;
            }
        }
        receiving.join().map_err(|_| anyhow::anyhow!("a thread of the load generator panicked"))?
    })?;
    let used = usage.end()?;
    Ok(vec![
        ("server % of a core", used.server / used.seconds * 100.0),
        ("server µs/commit", used.server / f64::from(count) * 1e6),
        ("ack p50 µs", quantile(&mut latencies, 0.5)),
        ("ack p99 µs", quantile(&mut latencies, 0.99)),
        ("client µs/commit", used.client / f64::from(count) * 1e6),
        ("others cores", used.others),
    ])
}

fn receive(
    mut streams: Vec<std::net::TcpStream>,
    topic: &str,
    count: u32,
    due: impl Fn(u32) -> Instant,
) -> anyhow::Result<Vec<u32>> {
    let mut answer = vec![0; wire::commit_answer_bytes(topic)];
    let mut latencies = Vec::new();
    for number in 0..count {
        let Some(stream) = streams.get_mut(number as usize % CONNECTIONS) else { continue };
        stream.read_exact(&mut answer)?;
        let code = wire::commit_error(answer.get(8..).unwrap_or_default())?;
        ensure!(code == 0, "a commit was refused with error {code}");
        latencies.push(microseconds(due(number).elapsed()));
    }
    Ok(latencies)
}

fn group(number: usize) -> String {
    format!("bench-{number}")
}

fn commit_until_ready(
    stream: &mut std::net::TcpStream,
    group: &str,
    topic: &str,
    partitions: i32,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let code = wire::commit_error(&wire::ask(stream, &wire::commit(group, topic, partitions, 7))?)?;
        match code {
            0 => return Ok(()),
            code if NOT_YET.contains(&code) && begun.elapsed() < LEADERS_WITHIN => {
                // FindCoordinator makes the topic of offsets.
                wire::ask(stream, &wire::find_coordinator(group))?;
                std::thread::sleep(Duration::from_millis(20));
            }
            code => anyhow::bail!("the offsets of {group} were not committed: error {code}"),
        }
    }
}

/// Commits offsets of so many groups, restarts the server, and waits until each group's are there.
pub fn load(running: &mut Running, topic: &str, groups: usize) -> anyhow::Result<Figures> {
    let mut stream = connect(running.address())?;
    for number in 0..groups {
        commit_until_ready(&mut stream, &group(number), topic, PARTITIONS)?;
    }
    drop(stream);
    let ready = running.restart()?;
    let answered = Instant::now();
    let mut stream = connect(running.address())?;
    for number in 0..groups {
        while !loaded(&wire::ask(&mut stream, &wire::fetch_offset(&group(number), topic, PARTITIONS - 1))?)? {
            ensure!(answered.elapsed() < LEADERS_WITHIN, "the offsets are not loaded");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let loaded = ready + answered.elapsed();
    Ok(vec![
        ("loaded ms", loaded.as_secs_f64() * 1e3),
        ("ready ms", ready.as_secs_f64() * 1e3),
        ("server CPU ms", process_cpu(running.process()?)? * 1e3),
        ("offsets", groups as f64 * f64::from(PARTITIONS)),
    ])
}

fn loaded(answer: &[u8]) -> anyhow::Result<bool> {
    let (offset, code) = wire::fetched_offset(answer)?;
    ensure!(code == 0 || NOT_YET.contains(&code), "an offset cannot be fetched: error {code}");
    ensure!(code != 0 || offset == 7, "a committed offset is {offset} after a restart");
    Ok(code == 0)
}
