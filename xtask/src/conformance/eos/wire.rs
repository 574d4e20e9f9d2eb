//! What the observer asks a server for, in old, fixed layouts.

use std::net::TcpStream;

use anyhow::{Context, ensure};

use crate::bench::load::connect;
use crate::bench::wire::{self, Reader, request};
use crate::history::{Ends, Place, Scan};

/// The most bytes of one fetch.
const FETCH_BYTES_MAX: i32 = 4 << 20;
/// The bit of control batches among a batch's attributes.
const CONTROL: i16 = 0x20;

/// The offset after the last record of each partition, with the leader's epoch; of the last stable one if `committed`.
pub fn ends(
    stream: &mut TcpStream,
    topic: &str,
    partitions: i32,
    committed: bool,
) -> anyhow::Result<Vec<(i64, i32)>> {
    let request = request(2, 4, |body| {
        body.i32(-1).i8(i8::from(committed)).i32(1).text(topic).i32(partitions);
        for partition in 0..partitions {
            body.i32(partition).i32(-1).i64(-1);
        }
    });
    let answer = wire::ask(stream, &request)?;
    let mut answer = Reader(&answer);
    answer.take(4 + 4)?;
    answer.skip_text()?;
    let mut found = vec![None; usize::try_from(partitions)?];
    for _ in 0..answer.i32()? {
        let partition = usize::try_from(answer.i32()?)?;
        ensure!(answer.i16()? == 0, "partition {partition} of {topic} has no end now");
        answer.i64()?;
        *found.get_mut(partition).context("an unknown partition")? = Some((answer.i64()?, answer.i32()?));
    }
    found.into_iter().collect::<Option<_>>().context("a partition is missing")
}

/// Both ends of every partition. The last stable one is asked for first, so it is never the newer one.
pub fn both_ends(stream: &mut TcpStream, topic: &str, partitions: i32) -> anyhow::Result<Vec<Ends>> {
    let stable = ends(stream, topic, partitions, true)?;
    let high = ends(stream, topic, partitions, false)?;
    let pairs =
        stable.into_iter().zip(high).enumerate().filter(|(_, ((_, before), (_, after)))| before == after);
    Ok(pairs
        .map(|(partition, ((last_stable, _), (high_watermark, epoch)))| Ends {
            key: format!("{topic}-{partition}"),
            epoch,
            high_watermark,
            last_stable,
        })
        .collect())
}

/// What a group has committed, partition by partition; those without are left out.
pub fn committed(
    stream: &mut TcpStream,
    group: &str,
    topic: &str,
    partitions: i32,
) -> anyhow::Result<Vec<Place>> {
    let request = request(9, 5, |body| {
        body.text(group).i32(1).text(topic).i32(partitions);
        for partition in 0..partitions {
            body.i32(partition);
        }
    });
    let answer = wire::ask(stream, &request)?;
    let mut answer = Reader(&answer);
    answer.take(4 + 4)?;
    answer.skip_text()?;
    let mut places = Vec::new();
    for _ in 0..answer.i32()? {
        let (partition, offset) = (answer.i32()?, answer.i64()?);
        answer.i32()?;
        answer.skip_text()?;
        ensure!(answer.i16()? == 0, "the group cannot be asked now");
        if offset >= 0 {
            places.push(Place { key: format!("{topic}-{partition}"), offset });
        }
    }
    ensure!(answer.i16()? == 0, "the group cannot be asked now");
    Ok(places)
}

/// Reads a whole partition, batch by batch.
pub fn scan(stream: &mut TcpStream, topic: &str, partition: i32, end: i64) -> anyhow::Result<Scan> {
    let mut scan = Scan { key: format!("{topic}-{partition}"), end, ..Scan::default() };
    let mut next = 0;
    while next < end {
        let answer = wire::ask(stream, &wire::fetch_of(topic, partition, next, FETCH_BYTES_MAX))?;
        let before = next;
        for batch in batches(wire::fetched_of(&answer)?) {
            let batch = batch?;
            if batch.last < next {
                continue;
            }
            if batch.control {
                scan.control.extend(batch.base..=batch.last);
            }
            next = batch.last + 1;
            match scan.epochs.last_mut() {
                Some((epoch, ends)) if *epoch == batch.epoch => *ends = next,
                _ => scan.epochs.push((batch.epoch, next)),
            }
        }
        ensure!(next > before, "no batch at {topic}-{partition} {before}");
    }
    for (epoch, _) in scan.epochs.clone() {
        scan.epoch_ends.push((epoch, epoch_end(stream, topic, partition, epoch)?));
    }
    Ok(scan)
}

struct Batch {
    base: i64,
    last: i64,
    epoch: i32,
    control: bool,
}

/// The whole batches of what was fetched.
fn batches(mut records: &[u8]) -> impl Iterator<Item = anyhow::Result<Batch>> {
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*records.get(8..)?.first_chunk()?) as usize;
        let (batch, rest) = records.split_at_checked(length + 12)?;
        records = rest;
        Some(read_batch(batch))
    })
}

fn read_batch(batch: &[u8]) -> anyhow::Result<Batch> {
    let mut reader = Reader(batch);
    let base = reader.i64()?;
    reader.i32()?;
    let epoch = reader.i32()?;
    reader.take(1 + 4)?;
    let control = reader.i16()? & CONTROL != 0;
    let last = base + i64::from(reader.i32()?);
    Ok(Batch { base, last, epoch, control })
}

/// OffsetForLeaderEpoch version 3: where an epoch ends.
fn epoch_end(stream: &mut TcpStream, topic: &str, partition: i32, epoch: i32) -> anyhow::Result<i64> {
    let request = request(23, 3, |body| {
        body.i32(-1).i32(1).text(topic).i32(1).i32(partition).i32(-1).i32(epoch);
    });
    let answer = wire::ask(stream, &request)?;
    let mut answer = Reader(&answer);
    answer.take(4 + 4)?;
    answer.skip_text()?;
    answer.i32()?;
    ensure!(answer.i16()? == 0, "epoch {epoch} of {topic}-{partition} is not known");
    answer.take(4 + 4)?;
    answer.i64()
}

/// A connection for all of these.
pub fn open(address: &str) -> anyhow::Result<TcpStream> {
    connect(address)
}
