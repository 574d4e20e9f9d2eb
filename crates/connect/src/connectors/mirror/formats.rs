//! The records of a mirror's own topics, in MirrorMaker's bytes: fields in order, texts behind a length of two bytes,
//! numbers big end first; values of checkpoints and heartbeats begin with a version, which is 0.

use bytes::Bytes;
use vltava_core::wire::{Reader, WireError, Writer};

use crate::connector::TopicPartition;

/// The version that values begin with.
const VERSION: i16 = 0;

/// A key and a value.
pub(super) type Pair = (Bytes, Bytes);

/// A record that was copied, and where its copy lies: a record of the offset syncs topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OffsetSync {
    /// The partition at the source.
    pub(super) place: TopicPartition,
    /// The record's offset there.
    pub(super) upstream: i64,
    /// The offset of its copy.
    pub(super) downstream: i64,
}

/// How far a group has read, in offsets of both clusters: a record of the checkpoints topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// The group.
    pub(super) group: String,
    /// The partition at the target.
    pub(super) place: TopicPartition,
    /// The committed offset at the source.
    pub(super) upstream: i64,
    /// What it is at the target.
    pub(super) downstream: i64,
    /// What was committed beside the offset.
    pub(super) metadata: String,
}

/// That a flow lives: a record of the heartbeats topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heartbeat {
    /// The alias of the source.
    pub(super) source: String,
    /// The alias of the target.
    pub(super) target: String,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub(super) timestamp: i64,
}

impl OffsetSync {
    pub(super) fn encode(&self) -> Result<Pair, WireError> {
        let (mut key, mut value) = (Writer::contiguous(), Writer::contiguous());
        write_place(&mut key, &self.place)?;
        value.i64(self.upstream);
        value.i64(self.downstream);
        Ok((key.into_bytes()?, value.into_bytes()?))
    }

    pub(super) fn decode((key, value): Pair) -> Result<Self, WireError> {
        let (mut key, mut value) = (Reader::new(key), Reader::new(value));
        Ok(Self { place: read_place(&mut key)?, upstream: value.i64()?, downstream: value.i64()? })
    }
}

impl Checkpoint {
    pub(super) fn encode(&self) -> Result<Pair, WireError> {
        let (mut key, mut value) = (Writer::contiguous(), Writer::contiguous());
        key.string(&self.group, false)?;
        write_place(&mut key, &self.place)?;
        value.i16(VERSION);
        value.i64(self.upstream);
        value.i64(self.downstream);
        value.string(&self.metadata, false)?;
        Ok((key.into_bytes()?, value.into_bytes()?))
    }

    /// `None` is a version that is not known.
    pub(super) fn decode((key, value): Pair) -> Result<Option<Self>, WireError> {
        let (mut key, mut value) = (Reader::new(key), Reader::new(value));
        if value.i16()? != VERSION {
            return Ok(None);
        }
        Ok(Some(Self {
            group: key.string(false)?.to_string(),
            place: read_place(&mut key)?,
            upstream: value.i64()?,
            downstream: value.i64()?,
            metadata: value.string(false)?.to_string(),
        }))
    }
}

impl Heartbeat {
    pub(super) fn encode(&self) -> Result<Pair, WireError> {
        let (mut key, mut value) = (Writer::contiguous(), Writer::contiguous());
        key.string(&self.source, false)?;
        key.string(&self.target, false)?;
        value.i16(VERSION);
        value.i64(self.timestamp);
        Ok((key.into_bytes()?, value.into_bytes()?))
    }
}

fn write_place(key: &mut Writer, place: &TopicPartition) -> Result<(), WireError> {
    key.string(&place.topic, false)?;
    key.i32(place.partition);
    Ok(())
}

fn read_place(key: &mut Reader) -> Result<TopicPartition, WireError> {
    Ok(TopicPartition { topic: (&*key.string(false)?).into(), partition: key.i32()? })
}
