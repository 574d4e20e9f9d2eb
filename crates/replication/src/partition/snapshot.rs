//! Producer snapshots: Kafka's `.snapshot` files, which spare a restart the reading of the whole log.
//!
//! A version, a checksum of what follows, and one entry per producer with only its last batch: after a restart the four
//! before that are no longer known as duplicates, as in Kafka.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::smallvec;
use vltava_core::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::crc32c;
use vltava_core::wire::{WireError, decode_exactly, encode_contiguous};

use super::producers::{ProducedBatch, ProducerState, Producers};
use crate::generated::producer::ProducerSnapshot;
use crate::generated::producer::producer_snapshot::ProducerEntry;

const VERSION: i16 = 1;
/// Bytes before the part that the checksum covers: version and checksum.
const CHECKED_START: usize = 6;

/// The snapshot file of these producers.
///
/// # Errors
/// None in practice: [`WireError`] for more than 2³¹ producers.
pub fn encode(producers: &Producers) -> Result<Bytes, WireError> {
    let producer_entries = producers.iter().map(|(id, state)| to_entry(id, state)).collect();
    let mut snapshot = ProducerSnapshot { crc: 0, producer_entries };
    let unsealed = encode_contiguous(&snapshot, VERSION)?;
    snapshot.crc = crc32c(unsealed.get(CRC_SIZE..).unwrap_or_default());
    let mut file = BytesMut::with_capacity(VERSION_SIZE + unsealed.len());
    file.put_i16(VERSION);
    file.put_u32(snapshot.crc);
    file.put_slice(unsealed.get(CRC_SIZE..).unwrap_or_default());
    Ok(file.freeze())
}

const VERSION_SIZE: usize = 2;
const CRC_SIZE: usize = CHECKED_START - VERSION_SIZE;

/// Reads a snapshot file.
///
/// # Errors
/// What is wrong with it. An older snapshot, or the log itself, has to do then.
pub fn decode(content: &Bytes) -> Result<Producers, String> {
    let version = content.first_chunk().copied().map(i16::from_be_bytes);
    if version != Some(VERSION) {
        return Err(format!("the snapshot does not have version {VERSION}"));
    }
    let snapshot: ProducerSnapshot =
        decode_exactly(content.slice(VERSION_SIZE..), VERSION).map_err(|error| error.to_string())?;
    let computed = crc32c(content.get(CHECKED_START..).unwrap_or_default());
    if snapshot.crc != computed {
        let stored = snapshot.crc;
        return Err(format!(
            "the checksum of the snapshot is {stored:#010x}, but its bytes give {computed:#010x}"
        ));
    }
    let mut producers = Producers::default();
    for entry in snapshot.producer_entries {
        producers.restore(ProducerId(entry.producer_id), from_entry(&entry));
    }
    Ok(producers)
}

fn to_entry(id: ProducerId, state: &ProducerState) -> ProducerEntry {
    let batch = state.batches.last();
    ProducerEntry {
        producer_id: id.0,
        epoch: state.epoch.0,
        last_sequence: state.last_sequence().0,
        last_offset: batch.map_or(-1, |batch| batch.last_offset.0),
        offset_delta: batch.map_or(0, |batch| batch.offset_delta),
        timestamp: state.last_timestamp.0,
        coordinator_epoch: state.coordinator_epoch.0,
        current_txn_first_offset: state.transaction_start.map_or(-1, |start| start.0),
    }
}

fn from_entry(entry: &ProducerEntry) -> ProducerState {
    let batch = ProducedBatch {
        last_sequence: Sequence(entry.last_sequence),
        last_offset: Offset(entry.last_offset),
        offset_delta: entry.offset_delta,
        timestamp: Timestamp(entry.timestamp),
    };
    ProducerState {
        epoch: ProducerEpoch(entry.epoch),
        batches: if entry.last_offset >= 0 { smallvec![batch] } else { smallvec![] },
        last_timestamp: Timestamp(entry.timestamp),
        coordinator_epoch: LeaderEpoch(entry.coordinator_epoch),
        transaction_start: Some(Offset(entry.current_txn_first_offset)).filter(|start| start.0 >= 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Producers {
        let mut producers = Producers::default();
        let batch = ProducedBatch {
            last_sequence: Sequence(9),
            last_offset: Offset(109),
            offset_delta: 4,
            timestamp: Timestamp(77),
        };
        let state = ProducerState {
            epoch: ProducerEpoch(3),
            batches: smallvec![batch],
            last_timestamp: Timestamp(77),
            coordinator_epoch: LeaderEpoch(2),
            transaction_start: Some(Offset(100)),
        };
        producers.restore(ProducerId(1000), state.clone());
        producers.restore(
            ProducerId(1001),
            ProducerState { batches: smallvec![], transaction_start: None, ..state },
        );
        producers
    }

    #[test]
    fn producers_survive_their_snapshot() {
        for producers in [Producers::default(), sample()] {
            let file = encode(&producers).unwrap();
            assert_eq!(file.len(), CHECKED_START + 4 + producers.len() * 46);
            assert_eq!(decode(&file), Ok(producers));
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused() {
        let file = encode(&sample()).unwrap().to_vec();
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x40;
            assert!(decode(&damaged.into()).is_err(), "byte {at}");
        }
        for length in 0..file.len() {
            assert!(decode(&Bytes::copy_from_slice(&file[..length])).is_err(), "cut to {length}");
        }
    }
}
