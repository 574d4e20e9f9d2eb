//! The little of Kafka's protocol that the load generator speaks, encoded by hand.
//!
//! A measurement must not share code with what it measures, and a client that encodes a request once and sends it a
//! million times costs little more than its system calls. Only old, fixed layouts are used, which every Kafka serves.

mod coordinators;
mod group;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use crc_fast::CrcAlgorithm;

pub use self::coordinators::{
    Identity, add_partition, added_error, commit, commit_answer_bytes, commit_error, end_transaction,
    ended_error, fetch_offset, fetched_offset, find_coordinator, identify, identity,
};
pub use self::group::{
    ConsumerHeartbeat, Share, consumer_heartbeat, consumer_told, heartbeat, join_group, joined, sync_group,
    synced,
};

/// What every request says of who sent it.
const CLIENT: &str = "bench";
/// Bytes of a request before its body: length, API, version, correlation id, client id.
const REQUEST_HEAD: usize = 4 + 2 + 2 + 4 + 2 + CLIENT.len();
/// Bytes of a batch before its records.
pub const BATCH_HEAD: usize = 61;
/// The longest response that is read whole.
const RESPONSE_BYTES_MAX: usize = 64 << 20;

/// Big-endian bytes that grow.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn i8(&mut self, value: i8) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.i16(i16::try_from(value.len()).unwrap_or(i16::MAX)).bytes(value.as_bytes())
    }

    pub fn optional(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.i16(-1),
        }
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }

    pub fn varint(&mut self, value: i64) -> &mut Self {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned())
    }

    pub fn unsigned(&mut self, value: u64) -> &mut Self {
        let mut rest = value;
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push((rest & 0x7f) as u8);
        self
    }
}

/// Big-endian bytes that are read from the front.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("a message ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    pub fn i16(&mut self) -> anyhow::Result<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn text(&mut self) -> anyhow::Result<String> {
        let length = self.i16()?;
        Ok(String::from_utf8_lossy(self.take(usize::try_from(length)?)?).into_owned())
    }

    pub fn unsigned(&mut self) -> anyhow::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a number has too many bytes")
    }

    pub fn skip_compact(&mut self) -> anyhow::Result<()> {
        let length = self.unsigned()?.saturating_sub(1);
        self.take(usize::try_from(length)?).map(drop)
    }

    pub fn skip_text(&mut self) -> anyhow::Result<()> {
        let length = self.i16()?;
        self.take(usize::try_from(length).unwrap_or(0)).map(drop)
    }
}

/// A whole request with its length in front.
pub fn request(api: i16, version: i16, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.i32(0).i16(api).i16(version).i32(1).text(CLIENT);
    body(&mut writer);
    let length = i32::try_from(writer.0.len() - 4).unwrap_or(i32::MAX);
    writer.0.splice(..4, length.to_be_bytes());
    writer.0
}

/// Sends a request and returns its response without length and correlation id.
pub fn ask(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    stream.write_all(request)?;
    let mut head = [0; 8];
    stream.read_exact(&mut head).context("the server closed the connection")?;
    let [a, b, c, d, ..] = head;
    let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).context("negative length")?;
    ensure!((4..=RESPONSE_BYTES_MAX).contains(&length), "a response of {length} bytes");
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// One batch of `count` equal-sized records whose values no codec could shrink.
pub fn batch(count: usize, record_bytes: usize, seed: u64) -> Vec<u8> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_millis()).unwrap_or(0);
    let records = i32::try_from(count).unwrap_or(i32::MAX);
    let mut writer = Writer::default();
    writer.i64(0).i32(0).i32(-1).i8(2).i32(0).i16(0).i32(records - 1).i64(now).i64(now);
    writer.i64(-1).i16(-1).i32(-1).i32(records);
    let mut noise = seed | 1;
    for offset in 0..records {
        let mut record = Writer::default();
        record.i8(0).varint(0).varint(i64::from(offset)).varint(-1).varint(record_bytes as i64);
        record.0.extend((0..record_bytes).map(|_| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            (noise >> 32) as u8
        }));
        record.varint(0);
        writer.varint(record.0.len() as i64).bytes(&record.0);
    }
    seal(&mut writer.0);
    writer.0
}

/// Writes length and checksum into a batch.
pub fn seal(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - 12).unwrap_or(i32::MAX);
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let checksum = crc(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
}

/// CRC-32C.
pub fn crc(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// Produce version 7 with acks 1 and one batch.
pub fn produce(topic: &str, partition: i32, batch: &[u8]) -> Vec<u8> {
    produce_as(None, 1, topic, partition, batch)
}

/// Produce version 7 with one batch, for a transactional id if there is one.
pub fn produce_as(name: Option<&str>, acks: i16, topic: &str, partition: i32, batch: &[u8]) -> Vec<u8> {
    let length = i32::try_from(batch.len()).unwrap_or(i32::MAX);
    request(0, 7, |body| {
        body.optional(name)
            .i16(acks)
            .i32(30_000)
            .i32(1)
            .text(topic)
            .i32(1)
            .i32(partition)
            .i32(length)
            .bytes(batch);
    })
}

/// Where the partition number lies in [`produce`]'s request.
pub fn produce_partition_at(topic: &str) -> usize {
    REQUEST_HEAD + 2 + 2 + 4 + 4 + 2 + topic.len() + 4
}

/// Bytes of an answer to [`produce`], length included.
pub fn produced_bytes(topic: &str) -> usize {
    8 + 4 + 2 + topic.len() + 4 + 4 + 2 + 8 + 8 + 8 + 4
}

/// Checks one answer to [`produce`], length included.
pub fn check_produced(answer: &[u8]) -> anyhow::Result<()> {
    let mut answer = Reader(answer);
    answer.take(8 + 4)?;
    answer.skip_text()?;
    answer.i32()?;
    let partition = answer.i32()?;
    match answer.i16()? {
        0 => Ok(()),
        code => bail!("partition {partition} refused a batch with error {code}"),
    }
}

/// Fetch version 11 of the first partition.
pub fn fetch(topic: &str, offset: i64, bytes_max: i32) -> Vec<u8> {
    fetch_of(topic, 0, offset, bytes_max)
}

/// Fetch version 11 of one partition.
pub fn fetch_of(topic: &str, partition: i32, offset: i64, bytes_max: i32) -> Vec<u8> {
    request(1, 11, |body| {
        body.i32(-1).i32(500).i32(1).i32(bytes_max).i8(0).i32(0).i32(-1);
        body.i32(1).text(topic).i32(1).i32(partition).i32(-1).i64(offset).i64(-1).i32(bytes_max);
        body.i32(0).text("");
    })
}

/// Where the offset lies in [`fetch`]'s request.
pub fn fetch_offset_at(topic: &str) -> usize {
    REQUEST_HEAD + 4 + 4 + 4 + 4 + 1 + 4 + 4 + 4 + 2 + topic.len() + 4 + 4 + 4
}

/// Bytes of an answer to [`fetch`] before the records, length included; nothing was aborted in these topics.
pub fn fetched_head_bytes(topic: &str) -> usize {
    8 + 4 + 2 + 4 + 4 + 2 + topic.len() + 4 + 4 + 2 + 8 + 8 + 8 + 4 + 4 + 4
}

/// The records in a whole answer to [`fetch_of`], without length and correlation id.
pub fn fetched_of(answer: &[u8]) -> anyhow::Result<&[u8]> {
    let mut answer = Reader(answer);
    let bytes = read_fetched(&mut answer)?;
    answer.take(bytes)
}

/// Reads the head of an answer to [`fetch`], length included; returns how many bytes of records follow.
pub fn fetched_records(head: &[u8]) -> anyhow::Result<usize> {
    let mut head = Reader(head);
    head.take(8)?;
    read_fetched(&mut head)
}

fn read_fetched(head: &mut Reader<'_>) -> anyhow::Result<usize> {
    head.take(4)?;
    let code = head.i16()?;
    ensure!(code == 0, "a fetch was refused with error {code}");
    head.take(4 + 4)?;
    head.skip_text()?;
    head.take(4 + 4)?;
    let code = head.i16()?;
    ensure!(code == 0, "a partition could not be fetched: error {code}");
    head.take(8 + 8 + 8)?;
    ensure!(head.i32()? <= 0, "there are no transactions here");
    head.take(4)?;
    Ok(usize::try_from(head.i32()?).unwrap_or(0))
}

/// CreateTopics version 4, with one replica and files that go as soon as the topic is deleted.
pub fn create_topic(topic: &str, partitions: i32) -> Vec<u8> {
    request(19, 4, |body| {
        body.i32(1).text(topic).i32(partitions).i16(1).i32(0);
        body.i32(1).text("file.delete.delay.ms").text("0");
        body.i32(120_000).i8(0);
    })
}

/// CreatePartitions version 0: so many partitions in all.
pub fn create_partitions(topic: &str, partitions: i32) -> Vec<u8> {
    request(37, 0, |body| {
        body.i32(1).text(topic).i32(partitions).i32(-1).i32(120_000).i8(0);
    })
}

/// The error code in an answer to [`create_topic`], [`create_partitions`] or [`delete_topic`].
pub fn topic_error(answer: &[u8]) -> anyhow::Result<i16> {
    let mut answer = Reader(answer);
    answer.i32()?;
    answer.i32()?;
    answer.skip_text()?;
    answer.i16()
}

/// DeleteTopics version 3.
pub fn delete_topic(topic: &str) -> Vec<u8> {
    request(20, 3, |body| {
        body.i32(1).text(topic).i32(30_000);
    })
}

/// ListOffsets version 2 of the ends of all partitions of a topic.
pub fn list_offsets(topic: &str, partitions: i32) -> Vec<u8> {
    request(2, 2, |body| {
        body.i32(-1).i8(0).i32(1).text(topic).i32(partitions);
        for partition in 0..partitions {
            body.i32(partition).i64(-1);
        }
    })
}

/// How many partitions their broker leads, from an answer to [`list_offsets`].
pub fn led_partitions(answer: &[u8]) -> anyhow::Result<usize> {
    let mut answer = Reader(answer);
    answer.take(4 + 4)?;
    answer.skip_text()?;
    let mut led = 0;
    for _ in 0..answer.i32()? {
        answer.i32()?;
        led += usize::from(answer.i16()? == 0);
        answer.take(8 + 8)?;
    }
    Ok(led)
}

/// ApiVersions version 0.
pub fn api_versions() -> Vec<u8> {
    request(18, 0, |_| {})
}
