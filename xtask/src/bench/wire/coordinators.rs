//! Requests to the coordinators of groups and transactions.

use std::net::TcpStream;

use anyhow::ensure;

use super::{Reader, ask, request, seal};

/// The bit of transactional batches among a batch's attributes, which begin here in a batch.
const TRANSACTIONAL: i16 = 0x10;
const ATTRIBUTES_AT: usize = 21;
/// Where a batch has producer id, epoch and sequence.
const PRODUCER_AT: usize = 43;

/// Who a producer is to its brokers.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    pub id: i64,
    pub epoch: i16,
}

impl Identity {
    /// That of a producer without guarantees.
    pub const NOBODY: Identity = Identity { id: -1, epoch: -1 };
}

/// InitProducerId version 0, asked until the coordinator is there.
pub fn identity(stream: &mut TcpStream, name: Option<&str>) -> anyhow::Result<Identity> {
    let request = request(22, 0, |body| {
        body.optional(name).i32(60_000);
    });
    if let Some(name) = name {
        ask(stream, &coordinator(name, 1))?;
    }
    // A coordinator's topic may have to be made first.
    for _ in 0..500 {
        let answer = ask(stream, &request)?;
        let mut answer = Reader(&answer);
        answer.i32()?;
        match answer.i16()? {
            0 => return Ok(Identity { id: answer.i64()?, epoch: answer.i16()? }),
            14..=16 | 51 => std::thread::sleep(std::time::Duration::from_millis(20)),
            code => anyhow::bail!("no producer id: error {code}"),
        }
    }
    anyhow::bail!("no coordinator of transactions")
}

/// Writes who sends a batch, and seals it.
pub fn identify(batch: &mut [u8], identity: Identity, sequence: i32, transactional: bool) {
    let attributes = if transactional { TRANSACTIONAL } else { 0 };
    batch[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    let producer =
        [identity.id.to_be_bytes().as_slice(), &identity.epoch.to_be_bytes(), &sequence.to_be_bytes()]
            .concat();
    batch[PRODUCER_AT..PRODUCER_AT + producer.len()].copy_from_slice(&producer);
    seal(batch);
}

/// AddPartitionsToTxn version 0 of one partition.
pub fn add_partition(name: &str, identity: Identity, topic: &str, partition: i32) -> Vec<u8> {
    request(24, 0, |body| {
        body.text(name).i64(identity.id).i16(identity.epoch).i32(1).text(topic).i32(1).i32(partition);
    })
}

/// The error in an answer to [`add_partition`].
pub fn added_error(answer: &[u8]) -> anyhow::Result<i16> {
    let mut answer = Reader(answer);
    answer.take(4 + 4)?;
    answer.skip_text()?;
    answer.take(4 + 4)?;
    answer.i16()
}

/// EndTxn version 0: a commit.
pub fn end_transaction(name: &str, identity: Identity) -> Vec<u8> {
    request(26, 0, |body| {
        body.text(name).i64(identity.id).i16(identity.epoch).i8(1);
    })
}

/// The error in an answer to [`end_transaction`].
pub fn ended_error(answer: &[u8]) -> anyhow::Result<i16> {
    let mut answer = Reader(answer);
    answer.i32()?;
    answer.i16()
}

/// FindCoordinator version 1 of a group.
pub fn find_coordinator(group: &str) -> Vec<u8> {
    coordinator(group, 0)
}

fn coordinator(key: &str, kind: i8) -> Vec<u8> {
    request(10, 1, |body| {
        body.text(key).i8(kind);
    })
}

/// OffsetCommit version 6 of the first partitions of a topic, by nobody's member.
pub fn commit(group: &str, topic: &str, partitions: i32, offset: i64) -> Vec<u8> {
    request(8, 6, |body| {
        body.text(group).i32(-1).text("").i32(1).text(topic).i32(partitions);
        for partition in 0..partitions {
            body.i32(partition).i64(offset).i32(-1).text("");
        }
    })
}

/// Bytes of an answer to a [`commit`] of one partition, length included.
pub fn commit_answer_bytes(topic: &str) -> usize {
    8 + 4 + 4 + 2 + topic.len() + 4 + 4 + 2
}

/// The first error in an answer to [`commit`], without length and correlation id.
pub fn commit_error(answer: &[u8]) -> anyhow::Result<i16> {
    let mut answer = Reader(answer);
    answer.take(4 + 4)?;
    answer.skip_text()?;
    for _ in 0..answer.i32()? {
        answer.i32()?;
        match answer.i16()? {
            0 => {}
            code => return Ok(code),
        }
    }
    Ok(0)
}

/// OffsetFetch version 5 of one partition.
pub fn fetch_offset(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    request(9, 5, |body| {
        body.text(group).i32(1).text(topic).i32(1).i32(partition);
    })
}

/// Offset and error in an answer to [`fetch_offset`].
pub fn fetched_offset(answer: &[u8]) -> anyhow::Result<(i64, i16)> {
    let mut answer = Reader(answer);
    answer.i32()?;
    if answer.i32()? == 0 {
        return Ok((-1, answer.i16()?));
    }
    answer.skip_text()?;
    ensure!(answer.i32()? == 1, "one partition was asked for");
    answer.i32()?;
    let offset = answer.i64()?;
    answer.i32()?;
    answer.skip_text()?;
    let code = answer.i16()?;
    Ok((offset, if code == 0 { answer.i16()? } else { code }))
}
