//! A consumer that reads a topic from the page cache, from its first offset to its last and over again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::ensure;

use super::produce::{self, Produce};
use super::{Figures, connect};
use crate::bench::machine::Usage;
use crate::bench::wire;

/// What the consumer does.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// `fetch.max.bytes` and `max.partition.fetch.bytes`.
    pub bytes_max: i32,
    /// Bytes of the topic.
    pub topic_bytes: u64,
    /// A repetition ends after so much data or so much time.
    pub read_bytes_max: u64,
    pub seconds_max: f64,
}

impl Fetch {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        format!(
            "Fetch v11 of at most {} bytes from the page cache, batches of 64 KiB, 1 partition, 1 connection, 1 in flight, \
             no TLS; at most {} MiB or {} s",
            self.bytes_max,
            self.read_bytes_max >> 20,
            self.seconds_max
        )
    }
}

/// The batches of the topic: 64 KiB in 64 records.
const FILL: Produce = Produce {
    record_bytes: 1024,
    batch_records: &[64],
    partitions: 1,
    connections: 1,
    in_flight: 5,
    rate: None,
    bytes_max: 0,
    seconds_max: 60.0,
};

/// Fills a topic that exists.
pub fn fill(load: &Fetch, address: &str, server: u32, topic: &str) -> anyhow::Result<()> {
    produce::run(&Produce { bytes_max: load.topic_bytes, ..FILL }, address, server, topic).map(drop)
}

/// Reads a topic that was filled.
pub fn run(load: &Fetch, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    let mut consumer = Consumer::new(load, connect(address)?, topic)?;
    let usage = Usage::begin(server)?;
    let begun = Instant::now();
    while consumer.read_bytes < load.read_bytes_max && begun.elapsed().as_secs_f64() < load.seconds_max {
        consumer.fetch()?;
    }
    let used = usage.end()?;
    let (requests, gigabytes) = (consumer.requests as f64, consumer.read_bytes as f64 / 1e9);
    Ok(vec![
        ("server CPU-s/GB", used.server / gigabytes),
        ("server µs/request", used.server / requests * 1e6),
        ("client µs/request", used.client / requests * 1e6),
        ("MB/s", gigabytes * 1e3 / used.seconds),
        ("requests/s", requests / used.seconds),
        ("others cores", used.others),
    ])
}

struct Consumer {
    stream: TcpStream,
    request: Vec<u8>,
    offset_at: usize,
    head: Vec<u8>,
    buffer: Vec<u8>,
    batch_bytes: usize,
    /// Batches of the topic.
    batches: u64,
    /// The next one to read.
    batch: u64,
    requests: u64,
    read_bytes: u64,
}

impl Consumer {
    fn new(load: &Fetch, stream: TcpStream, topic: &str) -> anyhow::Result<Consumer> {
        let batch_bytes = wire::batch(64, 1024, 1).len();
        Ok(Consumer {
            stream,
            request: wire::fetch(topic, 0, load.bytes_max),
            offset_at: wire::fetch_offset_at(topic),
            head: vec![0; wire::fetched_head_bytes(topic)],
            buffer: vec![0; usize::try_from(load.bytes_max)?.max(batch_bytes)],
            batch_bytes,
            batches: load.topic_bytes.div_ceil(batch_bytes as u64),
            batch: 0,
            requests: 0,
            read_bytes: 0,
        })
    }

    fn fetch(&mut self) -> anyhow::Result<()> {
        let offset = i64::try_from(self.batch)? * 64;
        self.request[self.offset_at..self.offset_at + 8].copy_from_slice(&offset.to_be_bytes());
        self.stream.write_all(&self.request)?;
        self.stream.read_exact(&mut self.head)?;
        let bytes = wire::fetched_records(&self.head)?;
        ensure!(bytes <= self.buffer.len(), "{bytes} bytes are more than was asked for");
        self.stream.read_exact(&mut self.buffer[..bytes])?;
        // A batch that the limit has cut off is read again.
        let whole = bytes / self.batch_bytes;
        ensure!(whole > 0, "no whole batch at offset {offset}");
        self.batch = (self.batch + whole as u64) % self.batches;
        self.requests += 1;
        self.read_bytes += (whole * self.batch_bytes) as u64;
        Ok(())
    }
}
