//! Producer snapshots: Kafka's `.snapshot` files, which spare a restart the reading of the whole log.
//!
//! A version, a checksum of what follows, and one entry per producer with only its last batch: after a restart the four
//! before that are no longer known as duplicates, as in Kafka.

use bytes::Bytes;
use smallvec::smallvec;
use vltava_core::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use vltava_core::record::crc32c;
use vltava_core::wire::{Reader, WireError, Writer};

use super::producers::{ProducedBatch, ProducerState, Producers};

const VERSION: i16 = 1;
/// Bytes before the part that the checksum covers.
const CHECKED_START: usize = 6;
/// Bytes of one entry.
const ENTRY_SIZE: usize = 46;

/// The snapshot file of these producers.
///
/// # Errors
/// None in practice: [`WireError`] for more than 2³¹ producers.
pub fn encode(producers: &Producers) -> Result<Bytes, WireError> {
    let mut entries = Writer::contiguous();
    let too_many = |_| WireError::TooLong { what: "producer snapshot", length: producers.len() };
    entries.i32(i32::try_from(producers.len()).map_err(too_many)?);
    for (id, state) in producers.iter() {
        let batch = state.batches.last();
        entries.i64(id.0);
        entries.i16(state.epoch.0);
        entries.i32(state.last_sequence().0);
        entries.i64(batch.map_or(-1, |batch| batch.last_offset.0));
        entries.i32(batch.map_or(0, |batch| batch.offset_delta));
        entries.i64(state.last_timestamp.0);
        entries.i32(state.coordinator_epoch.0);
        entries.i64(state.transaction_start.map_or(-1, |start| start.0));
    }
    let entries = entries.into_bytes()?;
    let mut file = Writer::contiguous();
    file.i16(VERSION);
    file.u32(crc32c(&entries));
    file.raw(&entries);
    file.into_bytes()
}

/// Reads a snapshot file.
///
/// # Errors
/// What is wrong with it. An older snapshot, or the log itself, has to do then.
pub fn decode(content: &Bytes) -> Result<Producers, String> {
    let mut reader = Reader::new(content.clone());
    let version = reader.i16().map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("the snapshot has the unknown version {version}"));
    }
    let stored = reader.u32().map_err(|error| error.to_string())?;
    let computed = crc32c(content.get(CHECKED_START..).unwrap_or_default());
    if stored != computed {
        return Err(format!(
            "the checksum of the snapshot is {stored:#010x}, but its bytes give {computed:#010x}"
        ));
    }
    read_entries(&mut reader).map_err(|error| error.to_string())
}

fn read_entries(reader: &mut Reader) -> Result<Producers, WireError> {
    let mut producers = Producers::default();
    let count = reader.array_count(false, ENTRY_SIZE)?.unwrap_or(0);
    for _ in 0..count {
        let id = ProducerId(reader.i64()?);
        let epoch = ProducerEpoch(reader.i16()?);
        let last_sequence = Sequence(reader.i32()?);
        let last_offset = Offset(reader.i64()?);
        let offset_delta = reader.i32()?;
        let last_timestamp = Timestamp(reader.i64()?);
        let coordinator_epoch = LeaderEpoch(reader.i32()?);
        let transaction_start = Some(Offset(reader.i64()?)).filter(|start| start.0 >= 0);
        let batch = ProducedBatch { last_sequence, last_offset, offset_delta, timestamp: last_timestamp };
        let batches = if last_offset.0 >= 0 { smallvec![batch] } else { smallvec![] };
        producers.restore(
            id,
            ProducerState { epoch, batches, last_timestamp, coordinator_epoch, transaction_start },
        );
    }
    Ok(producers)
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
            assert_eq!(file.len(), CHECKED_START + 4 + producers.len() * ENTRY_SIZE);
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
