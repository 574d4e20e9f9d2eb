//! Producer snapshots: Kafka's `.snapshot` files, which spare a restart the reading of the whole log.
//!
//! A version, a checksum of what follows, and an entry for each batch that is remembered of a producer, oldest first.
//!
//! Why more than one entry, where Kafka writes only the last batch: a producer with several requests in flight repeats them
//! all after a restart. Kafka refuses those before the last one as out of order although they are in its log, and the
//! producer sends them again in a new epoch. Kafka takes the last of several entries of a producer, so it reads our files.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::smallvec;
use vltava_core::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::crc32c;
use vltava_core::wire::{WireError, decode_exactly, encode_contiguous};

use super::producers::{BATCHES_REMEMBERED, ProducedBatch, ProducerState, Producers};
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
    let producer_entries = producers.iter().flat_map(|(id, state)| to_entries(id, state)).collect();
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
    let mut states: HashMap<ProducerId, ProducerState> = HashMap::new();
    for entry in snapshot.producer_entries {
        let (id, mut state) = (ProducerId(entry.producer_id), from_entry(&entry));
        if let Some(earlier) = states.remove(&id).filter(|earlier| earlier.epoch == state.epoch) {
            state.batches.insert_many(0, earlier.batches);
            let excess = state.batches.len().saturating_sub(BATCHES_REMEMBERED);
            state.batches.drain(..excess);
        }
        states.insert(id, state);
    }
    let mut producers = Producers::default();
    states.into_iter().for_each(|(id, state)| producers.restore(id, state));
    Ok(producers)
}

fn to_entries(id: ProducerId, state: &ProducerState) -> Vec<ProducerEntry> {
    let last = ProducerEntry {
        producer_id: id.0,
        epoch: state.epoch.0,
        last_sequence: Sequence::NONE.0,
        last_offset: -1,
        offset_delta: 0,
        timestamp: state.last_timestamp.0,
        coordinator_epoch: state.coordinator_epoch.0,
        current_txn_first_offset: state.transaction_start.map_or(-1, |start| start.0),
    };
    let Some((newest, earlier)) = state.batches.split_last() else { return vec![last] };
    let with = |batch: &ProducedBatch, timestamp: Timestamp| ProducerEntry {
        last_sequence: batch.last_sequence.0,
        last_offset: batch.last_offset.0,
        offset_delta: batch.offset_delta,
        timestamp: timestamp.0,
        ..last.clone()
    };
    let earlier = earlier.iter().map(|batch| with(batch, batch.timestamp));
    earlier.chain([with(newest, state.last_timestamp)]).collect()
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
        let batch = |number: i32| ProducedBatch {
            last_sequence: Sequence(number * 5 + 4),
            last_offset: Offset(i64::from(number) * 7 + 100),
            offset_delta: 4,
            timestamp: Timestamp(75 + i64::from(number)),
        };
        let state = ProducerState {
            epoch: ProducerEpoch(3),
            batches: smallvec![batch(0), batch(1), batch(2)],
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
        for (producers, entries) in [(Producers::default(), 0), (sample(), 4)] {
            let file = encode(&producers).unwrap();
            assert_eq!(file.len(), CHECKED_START + 4 + entries * 46);
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
