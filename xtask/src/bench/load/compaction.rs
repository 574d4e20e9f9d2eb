//! What compaction costs a server: a log of keyed records, of which each key's last is to stay.
//!
//! The topic is filled while it counts as clean; then its settings change, and the server's CPU is watched until its
//! `cleaner-offset-checkpoint` says that the log is compacted. The pause between two looks of the server is 100 ms.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{Figures, OF_BROKER, OF_TOPIC, connect, set};
use crate::bench::machine::{Usage, resident_bytes};
use crate::bench::wire::{self, Writer, ask, check_produced, request, seal};

/// What is compacted.
#[derive(Clone, Copy)]
pub struct Compaction {
    /// Bytes of a value.
    pub record_bytes: usize,
    /// Records in a batch.
    pub batch_records: usize,
    /// Records in the log.
    pub records: u64,
    /// How many keys there are; each record has one of them at random.
    pub keys: u64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
}

impl Compaction {
    /// Everything that a figure depends on.
    pub fn conditions(&self) -> String {
        format!(
            "{} Ki records of {} bytes, uncompressed, in batches of {}, each of one of {} Ki keys at random, segments of \
             {} MiB, 1 partition; the first round of compaction, with the defaults of the cleaner",
            self.records >> 10,
            self.record_bytes,
            self.batch_records,
            self.keys >> 10,
            self.segment_bytes >> 20
        )
    }
}

const TOPIC: &str = "bench-compacted";
const PARTITION: &str = "bench-compacted 0 ";
/// How long a round may take.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked whether the round is over.
const LOOK: Duration = Duration::from_millis(20);

/// Fills a log, lets the server compact it, and reports what that took.
pub fn run(load: &Compaction, address: &str, server: u32, folder: &Path) -> anyhow::Result<Figures> {
    set(address, OF_BROKER, "", "log.cleaner.backoff.ms", "100")?;
    create(load, address)?;
    let record_bytes = fill(load, address)?;
    // What was written meanwhile must not be the server's work in the measurement.
    std::thread::sleep(Duration::from_secs(2));
    let before = resident_bytes(server)?;
    let usage = Usage::begin(server)?;
    set(address, OF_TOPIC, TOPIC, "min.cleanable.dirty.ratio", "0.01")?;
    let begun = Instant::now();
    let mut most = before;
    let compacted = loop {
        most = most.max(resident_bytes(server)?);
        match compacted(folder)? {
            Some(offset) if offset > 0 => break offset,
            _ => ensure!(begun.elapsed() < DONE_WITHIN, "the log was not compacted in time"),
        }
        std::thread::sleep(LOOK);
    };
    let used = usage.end()?;
    let megabytes = compacted as f64 * record_bytes / 1e6;
    Ok(vec![
        ("server CPU-s/GB", used.server / megabytes * 1e3),
        ("MB/s per core", megabytes / used.server),
        ("MB/s", megabytes / used.seconds),
        ("MB compacted", megabytes),
        ("RSS grown MiB", (most - before) / f64::from(1 << 20)),
        ("others cores", used.others),
    ])
}

/// CreateTopics version 4.
fn create(load: &Compaction, address: &str) -> anyhow::Result<()> {
    let segment_bytes = load.segment_bytes.to_string();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", segment_bytes.as_str()),
        ("min.cleanable.dirty.ratio", "1.0"),
        ("file.delete.delay.ms", "0"),
    ];
    let asked = request(19, 4, |body| {
        body.i32(1).text(TOPIC).i32(1).i16(1).i32(0).i32(4);
        for (name, value) in configs {
            body.text(name).text(value);
        }
        body.i32(120_000).i8(0);
    });
    let mut stream = connect(address)?;
    let code = wire::topic_error(&ask(&mut stream, &asked)?)?;
    ensure!(code == 0, "the topic was not created: error {code}");
    let begun = Instant::now();
    while wire::led_partitions(&ask(&mut stream, &wire::list_offsets(TOPIC, 1))?)? < 1 {
        ensure!(begun.elapsed() < DONE_WITHIN, "the topic got no leader");
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Produces the records; returns how many bytes one takes in the log.
fn fill(load: &Compaction, address: &str) -> anyhow::Result<f64> {
    let mut stream = connect(address)?;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut bytes, mut sent) = (0, 0);
    while sent < load.records {
        let batch = batch(load, &mut noise);
        bytes += batch.len();
        sent += load.batch_records as u64;
        let answer = ask(&mut stream, &wire::produce(TOPIC, 0, &batch))?;
        // Length and correlation id are taken off already.
        check_produced(&[&[0; 8][..], &answer].concat())?;
    }
    Ok(bytes as f64 / sent as f64)
}

fn batch(load: &Compaction, noise: &mut u64) -> Vec<u8> {
    let mut next = || {
        *noise ^= *noise << 13;
        *noise ^= *noise >> 7;
        *noise ^= *noise << 17;
        *noise
    };
    let count = i32::try_from(load.batch_records).unwrap_or(i32::MAX);
    let now = 1_700_000_000_000;
    let mut writer = Writer::default();
    writer.i64(0).i32(0).i32(-1).i8(2).i32(0).i16(0).i32(count - 1).i64(now).i64(now);
    writer.i64(-1).i16(-1).i32(-1).i32(count);
    for offset in 0..count {
        let key = format!("key-{:010}", next() % load.keys);
        let mut record = Writer::default();
        record.i8(0).varint(0).varint(i64::from(offset));
        record.varint(key.len() as i64).bytes(key.as_bytes()).varint(load.record_bytes as i64);
        let value = next().to_be_bytes();
        record.0.extend(value.iter().cycle().take(load.record_bytes));
        record.varint(0);
        writer.varint(record.0.len() as i64).bytes(&record.0);
    }
    seal(&mut writer.0);
    writer.0
}

/// Up to where the log is compacted, says the checkpoint, wherever below `folder` it lies.
fn compacted(folder: &Path) -> anyhow::Result<Option<u64>> {
    let Some(file) = find(folder, 3)? else { return Ok(None) };
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(PARTITION));
    line.map(|offset| offset.trim().parse().context("a malformed checkpoint")).transpose()
}

fn find(folder: &Path, depth: usize) -> anyhow::Result<Option<PathBuf>> {
    let file = folder.join("cleaner-offset-checkpoint");
    if file.is_file() {
        return Ok(Some(file));
    }
    for entry in std::fs::read_dir(folder)?.flatten() {
        if depth > 0
            && entry.path().is_dir()
            && let Some(found) = find(&entry.path(), depth - 1)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
