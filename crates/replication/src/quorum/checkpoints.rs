//! The snapshots of the metadata log: Kafka's `<end>-<epoch>.checkpoint` files.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use vltava_core::id::{LeaderEpoch, Offset, Timestamp};
use vltava_core::log::LogError;
use vltava_core::machine::Encoded;
use vltava_core::record::{Batch, BatchBuilder, Compression, ControlRecordType, RecordError};
use vltava_core::wire::decode_exactly;

use super::control::{Control, VoterAt};
use super::files::QuorumFiles;
use crate::runtime::NewSnapshot;

/// The most bytes of records in a batch of a snapshot.
const BATCH_BYTES_MAX: usize = 1 << 20;
const SUFFIX: &str = ".checkpoint";

/// One snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// It holds everything below.
    pub(super) end: Offset,
    /// The leader epoch of the record before that.
    pub(super) epoch: LeaderEpoch,
    /// The size of its file.
    pub(super) bytes: u64,
    /// The timestamp of the last record that is in it.
    pub(super) timestamp: Timestamp,
}

impl Checkpoint {
    /// The name of its file.
    pub(super) fn name(self) -> String {
        format!("{:020}-{:010}{SUFFIX}", self.end.0, self.epoch.0)
    }
}

/// The snapshots that there are, oldest first.
#[derive(Debug)]
pub(super) struct Checkpoints {
    files: Arc<dyn QuorumFiles>,
    list: Mutex<Vec<Checkpoint>>,
}

impl Checkpoints {
    /// Finds the snapshots. Blocks.
    pub(super) fn open(files: Arc<dyn QuorumFiles>) -> Result<Checkpoints, LogError> {
        let mut list = Vec::new();
        for name in files.list()? {
            let Some((end, epoch)) = parse_name(&name) else { continue };
            let Some(content) = files.read(&name)? else { continue };
            list.push(examine(&name, end, epoch, content)?);
        }
        list.sort_unstable_by_key(|checkpoint| checkpoint.end);
        Ok(Checkpoints { files, list: Mutex::new(list) })
    }

    pub(super) fn newest(&self) -> Option<Checkpoint> {
        self.list.lock().last().copied()
    }

    pub(super) fn all(&self) -> Vec<Checkpoint> {
        self.list.lock().clone()
    }

    /// The bytes of a snapshot. Blocks.
    pub(super) fn read(&self, checkpoint: Checkpoint) -> Result<Bytes, LogError> {
        let name = checkpoint.name();
        self.files.read(&name)?.ok_or_else(|| corrupt(&name, &"the file has gone"))
    }

    /// Writes a snapshot. Blocks.
    pub(super) fn write(
        &self,
        snapshot: &NewSnapshot,
        voters: &[VoterAt<'_>],
        now: Timestamp,
    ) -> Result<Checkpoint, LogError> {
        let (end, epoch, timestamp) = (snapshot.end, snapshot.epoch, snapshot.timestamp);
        let mut checkpoint = Checkpoint { end, epoch, bytes: 0, timestamp };
        let name = checkpoint.name();
        if let Some(why) = snapshot.records.iter().find_map(Encoded::unfit) {
            return Err(corrupt(&name, &format!("no record can hold a part of it: {why}")));
        }
        let content = encode(snapshot, voters, now).map_err(|error| corrupt(&name, &error))?;
        checkpoint.bytes = content.len() as u64;
        self.files.replace(&name, &content)?;
        self.add(checkpoint);
        Ok(checkpoint)
    }

    /// Keeps a snapshot that another voter has sent. Blocks.
    pub(super) fn install(&self, name: &str, content: &Bytes) -> Result<Checkpoint, LogError> {
        let (end, epoch) = parse_name(name).ok_or_else(|| corrupt(name, &"that is no name of a snapshot"))?;
        let checkpoint = examine(name, end, epoch, content.clone())?;
        self.files.replace(name, content)?;
        self.add(checkpoint);
        Ok(checkpoint)
    }

    /// Removes the oldest snapshot. Blocks.
    pub(super) fn remove_oldest(&self) -> Result<(), LogError> {
        let Some(oldest) = self.list.lock().first().copied() else { return Ok(()) };
        self.files.remove(&oldest.name())?;
        self.list.lock().retain(|checkpoint| *checkpoint != oldest);
        Ok(())
    }

    fn add(&self, checkpoint: Checkpoint) {
        let mut list = self.list.lock();
        list.retain(|other| (other.end, other.epoch) != (checkpoint.end, checkpoint.epoch));
        list.push(checkpoint);
        list.sort_unstable_by_key(|checkpoint| checkpoint.end);
    }
}

fn parse_name(name: &str) -> Option<(Offset, LeaderEpoch)> {
    let (end, epoch) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    if end.len() != 20 || epoch.len() != 10 {
        return None;
    }
    Some((Offset(end.parse().ok()?), LeaderEpoch(epoch.parse().ok()?)))
}

/// Checks that a snapshot is whole: it begins with a header, every batch is sound, and it ends with a footer.
fn examine(name: &str, end: Offset, epoch: LeaderEpoch, content: Bytes) -> Result<Checkpoint, LogError> {
    let bytes = content.len() as u64;
    let mut kinds = Vec::new();
    let mut timestamp = Timestamp::NONE;
    for batch in Batch::split(content) {
        let batch = batch.map_err(|error| corrupt(name, &error))?;
        batch.check_crc().map_err(|error| corrupt(name, &error))?;
        if !batch.header.is_control() {
            continue;
        }
        let records = batch.records().map_err(|error| corrupt(name, &error))?;
        for record in &records {
            let record = record.map_err(|error| corrupt(name, &error))?;
            let kind = ControlRecordType::from_key(record.key.unwrap_or_default());
            let kind = kind.map_err(|error| corrupt(name, &error))?;
            if kind == Some(ControlRecordType::SnapshotHeader) {
                let value = records.body().slice_ref(record.value.unwrap_or_default());
                let header: vltava_core::generated::SnapshotHeaderRecord =
                    decode_exactly(value, 0).map_err(|error| corrupt(name, &error))?;
                timestamp = Timestamp(header.last_contained_log_timestamp);
            }
            kinds.extend(kind);
        }
    }
    let whole = kinds.first() == Some(&ControlRecordType::SnapshotHeader)
        && kinds.last() == Some(&ControlRecordType::SnapshotFooter);
    if whole { Ok(Checkpoint { end, epoch, bytes, timestamp }) } else { Err(corrupt(name, &"it is cut off")) }
}

/// A snapshot as Kafka writes it: a header, the version and the voters of the quorum, the records, a footer.
fn encode(snapshot: &NewSnapshot, voters: &[VoterAt<'_>], now: Timestamp) -> Result<Bytes, RecordError> {
    let epoch = snapshot.epoch;
    let mut out = BytesMut::new();
    let mut next = Offset::ZERO;
    let mut put = |batch: Batch| {
        next = batch.header.next_offset();
        batch.encode_into(&mut out);
        next
    };
    let header = Control::new(Offset::ZERO, epoch, now).snapshot_header(snapshot.timestamp).voters(voters);
    let mut base = put(header.build()?);
    let open = |base| {
        let mut builder = BatchBuilder::new(Compression::None);
        (builder.base_offset, builder.leader_epoch) = (base, epoch);
        builder
    };
    let mut builder = open(base);
    for record in &snapshot.records {
        let Encoded::Record { key, value } = record else { continue };
        let (key, value) = (key.as_deref(), value.as_deref());
        if !builder.is_empty() && builder.uncompressed_size_with(key, value) > BATCH_BYTES_MAX {
            base = put(builder.build()?);
            builder = open(base);
        }
        builder.append(now, key, value, &[]);
    }
    if !builder.is_empty() {
        base = put(builder.build()?);
    }
    put(Control::new(base, epoch, now).snapshot_footer().build()?);
    Ok(out.freeze())
}

fn corrupt(name: &str, what: &dyn std::fmt::Display) -> LogError {
    LogError::Corrupt { path: name.into(), position: 0, what: format!("the snapshot cannot be used: {what}") }
}

impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}
