//! Rounds over logs that are written down as text.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::Mutex;
use vltava_core::id::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId, TopicName,
    TopicPartition, Uuid,
};
use vltava_core::log::{Log, LogError, LogId, LogSettings, LogStore, Rewrite};
use vltava_core::record::{
    Batch, BatchBuilder, Compression, EndTransactionMarker, RecordHeader, TransactionResult,
};
use vltava_core::testing::all_batches;

use super::*;
use crate::memory::MemoryStore;

mod crash;
mod model;
mod rules;

fn log_id() -> LogId {
    LogId {
        topic: TopicId(Uuid::from_u128(9)),
        partition: TopicPartition { topic: TopicName::new("c").unwrap(), partition: PartitionIndex(0) },
    }
}

/// A log whose spans are what `spans` says; the last one is active.
fn log_of(spans: &[&[&str]]) -> Arc<dyn Log> {
    let log = MemoryStore::new().open(&log_id(), LogSettings::default(), None).unwrap();
    for (number, span) in spans.iter().enumerate() {
        if number > 0 {
            log.roll().unwrap();
        }
        for text in *span {
            log.append(&[batch_of(text)]).unwrap();
        }
    }
    log
}

/// A batch: its first offset; `p7` a producer, `e1` its epoch, `s3` its first sequence, `t` for a transaction; `commit`
/// or `abort` for a marker; `@1000` its time, `gzip` its codec; then records: `key=value`, `key!` a tombstone, `=value`
/// without key, `..` an offset without record.
fn batch_of(text: &str) -> Batch {
    let mut words = text.split_whitespace().peekable();
    let base: i64 = words.next().unwrap().parse().unwrap();
    let mut builder = BatchBuilder::new(Compression::None);
    let (mut time, mut marker) = (Timestamp(1000), None);
    while let Some(word) = words.peek().copied() {
        let number = |from: usize| word.get(from..).and_then(|rest| rest.parse::<i64>().ok());
        match word.split_at(1) {
            ("p", _) if number(1).is_some() => builder.producer_id = ProducerId(number(1).unwrap()),
            ("e", _) if number(1).is_some() => {
                builder.producer_epoch = ProducerEpoch(number(1).unwrap().try_into().unwrap());
            }
            ("s", _) if number(1).is_some() => {
                builder.base_sequence = Sequence(number(1).unwrap().try_into().unwrap());
            }
            ("@", _) => time = Timestamp(number(1).unwrap()),
            ("t", "") => builder = builder.transactional(),
            ("c", "ommit") => marker = Some(TransactionResult::Commit),
            ("a", "bort") => marker = Some(TransactionResult::Abort),
            ("g", "zip") => builder.codec = Compression::Gzip.into(),
            _ => break,
        }
        words.next();
    }
    if let Some(result) = marker {
        let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(0) };
        let mut batch = marker.batch(builder.producer_id, builder.producer_epoch, time).unwrap();
        batch.header.base_offset = Offset(base);
        return batch;
    }
    builder.base_offset = Offset(base);
    builder.leader_epoch = LeaderEpoch(3);
    let mut delta = 0;
    for (number, word) in words.enumerate() {
        delta = i32::try_from(number).unwrap();
        let headers = [RecordHeader { key: b"h", value: Some(b"x") }];
        let mut record = |key: Option<&str>, value: Option<&str>| {
            let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
            builder.append_at(delta, time.plus(i64::from(delta)), key, value, headers.into_iter());
        };
        match (word, word.strip_suffix('!'), word.split_once('=')) {
            ("..", ..) => {}
            (_, Some(key), _) => record(Some(key), None),
            (_, _, Some(("", value))) => record(None, Some(value)),
            (_, _, Some((key, value))) => record(Some(key), Some(value)),
            _ => panic!("{word:?} is no record"),
        }
    }
    builder.build_spanning(delta).unwrap()
}

/// A batch as text: first and last offset, what is special about it, and its records.
fn show(batch: &Batch) -> String {
    let header = &batch.header;
    assert!(batch.crc_matches(), "the checksum of {header:?}");
    let mut text = format!("{}-{}", header.base_offset, header.last_offset());
    if header.has_producer_id() {
        text += &format!(" p{}", header.producer_id);
    }
    if header.base_sequence != Sequence::NONE {
        text += &format!(" s{}", header.base_sequence);
    }
    if header.is_transactional() && !header.is_control() {
        text += " t";
    }
    if header.is_control() {
        text += match EndTransactionMarker::read(batch).unwrap().map(|marker| marker.result) {
            Some(TransactionResult::Commit) => " commit",
            Some(TransactionResult::Abort) => " abort",
            None => " control",
        };
    }
    if let Some(horizon) = header.delete_horizon() {
        text += &format!(" until {horizon}");
    }
    if header.compression() != Ok(Compression::None) {
        text += &format!(" {}", header.compression().unwrap().name());
    }
    if header.is_control() {
        return text;
    }
    let records = batch.records().unwrap();
    for record in &records {
        let record = record.unwrap();
        let text_of = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let delta = record.offset.since(header.base_offset);
        assert_eq!(record.headers.len(), 1, "the headers of {record:?}");
        assert_eq!(record.timestamp.0 % 1000, delta % 1000, "the time of {record:?} in {header:?}");
        text += &match (text_of(record.key), text_of(record.value)) {
            (Some(key), Some(value)) => format!(" {}:{key}={value}", record.offset),
            (Some(key), None) => format!(" {}:{key}!", record.offset),
            (None, value) => format!(" {}:={}", record.offset, value.unwrap_or_default()),
        };
    }
    text
}

fn shown(log: &dyn Log) -> Vec<String> {
    all_batches(log).iter().map(show).collect()
}

/// What a partition knows of its producers, from its batches.
#[derive(Debug, Default)]
struct Known {
    last: HashMap<ProducerId, LastOfProducer>,
    aborted: Mutex<Vec<AbortedRange>>,
    /// The first offset of each transaction that is open.
    open: BTreeMap<Offset, ProducerId>,
}

impl Known {
    fn of(batches: &[Batch]) -> Known {
        let mut known = Known::default();
        batches.iter().for_each(|batch| known.take(batch));
        known
    }

    fn take(&mut self, batch: &Batch) {
        let header = &batch.header;
        if !header.has_producer_id() {
            return;
        }
        let (producer, epoch) = (header.producer_id, header.producer_epoch);
        let last = self.last.entry(producer).or_insert(LastOfProducer { offset: None, epoch });
        last.epoch = epoch;
        let open = self.open.iter().find(|(_, owner)| **owner == producer).map(|(first, _)| *first);
        if let Some(marker) = EndTransactionMarker::read(batch).unwrap() {
            let Some(first) = open else { return };
            self.open.remove(&first);
            if marker.result == TransactionResult::Abort {
                let marker = header.base_offset;
                self.aborted.lock().push(AbortedRange { producer, first, marker });
            }
        } else if !header.is_control() {
            last.offset = Some(header.last_offset());
            if header.is_transactional() && open.is_none() {
                self.open.insert(header.base_offset, producer);
            }
        }
    }

    fn stable(&self, end: Offset) -> Offset {
        self.open.first_key_value().map_or(end, |(first, _)| *first)
    }
}

impl Producers for Known {
    fn last_of_producers(&self) -> HashMap<ProducerId, LastOfProducer> {
        self.last.clone()
    }

    fn aborted(&self, from: Offset, below: Offset) -> Vec<AbortedRange> {
        let inside = |range: &&AbortedRange| range.marker >= from && range.first < below;
        self.aborted.lock().iter().filter(inside).copied().collect()
    }

    fn replace(
        &self,
        rewrite: Box<dyn Rewrite + '_>,
        from: Offset,
        to: Offset,
        markers: &[Offset],
    ) -> Result<(), LogError> {
        rewrite.commit(&[])?;
        self.aborted
            .lock()
            .retain(|range| range.marker < from || range.marker >= to || markers.contains(&range.marker));
        Ok(())
    }
}

fn unlimited(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
