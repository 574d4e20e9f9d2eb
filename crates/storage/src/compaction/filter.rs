//! What stays of a batch.

use std::collections::HashMap;

use vltava_core::id::{Offset, ProducerId, Timestamp};
use vltava_core::record::{Batch, BatchBuilder, BatchHeader, Compression, Record, RecordError, Records};

use super::map::OffsetMap;
use super::transactions::Transactions;
use super::{Compacted, LastOfProducer};

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays as it is.
    Stays,
    /// This one takes its place.
    Becomes(Batch),
    /// It goes.
    Goes,
}

/// What a batch is judged by.
pub(super) struct Filter<'a> {
    pub(super) map: &'a OffsetMap,
    /// Where the map ends: later records stay.
    pub(super) end: Offset,
    /// Where the round ends at most.
    pub(super) to: Offset,
    pub(super) now: Timestamp,
    pub(super) delete_retention_ms: i64,
    pub(super) transactions: Transactions,
    pub(super) last_of_producers: HashMap<ProducerId, LastOfProducer>,
    pub(super) seen: Compacted,
    /// Which records of the batch stay; used again for each.
    stays: Vec<bool>,
}

/// What was found out about the records of a batch.
struct Survey {
    stay: usize,
    /// One of those that stay has no value.
    tombstone: bool,
}

impl<'a> Filter<'a> {
    pub(super) fn new(
        map: &'a OffsetMap,
        (end, to): (Offset, Offset),
        now: Timestamp,
        delete_retention_ms: i64,
        transactions: Transactions,
    ) -> Filter<'a> {
        Filter {
            map,
            end,
            to,
            now,
            delete_retention_ms,
            transactions,
            last_of_producers: HashMap::new(),
            seen: Compacted::default(),
            stays: Vec::new(),
        }
    }

    /// What becomes of a batch; they come in order, each once.
    ///
    /// # Errors
    /// [`RecordError`] when its records cannot be read.
    pub(super) fn judge(&mut self, batch: &Batch) -> Result<Fate, RecordError> {
        let header = &batch.header;
        let needless = self.transactions.pass(batch)?;
        let over = header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let discarded = needless && (!header.is_control() || over);
        let stays_empty = self.is_last_of_producer(header) || header.next_offset() == self.to;
        let count = u64::try_from(header.records_count).unwrap_or(0);
        self.seen.records_read += count;
        if discarded {
            return if stays_empty { emptied(header) } else { Ok(Fate::Goes) };
        }
        let records = batch.records()?;
        let survey = self.survey(&records)?;
        self.seen.records_kept += survey.stay as u64;
        if survey.stay == 0 {
            return if stays_empty { emptied(header) } else { Ok(Fate::Goes) };
        }
        let deletable = survey.tombstone || (needless && header.is_control());
        let horizon = match header.delete_horizon() {
            None if deletable => Some(self.now.plus(self.delete_retention_ms)),
            _ if survey.stay as u64 == count => return Ok(Fate::Stays),
            known => known,
        };
        self.rewrite(&records, horizon).map(Fate::Becomes)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        if !header.has_producer_id() {
            return false;
        }
        match self.last_of_producers.get(&header.producer_id) {
            Some(LastOfProducer { offset: Some(offset), .. }) => header.last_offset() == *offset,
            Some(LastOfProducer { offset: None, epoch }) => {
                header.is_control() && header.producer_epoch == *epoch
            }
            None => false,
        }
    }

    /// Decides about each record.
    fn survey(&mut self, records: &Records) -> Result<Survey, RecordError> {
        self.stays.clear();
        let mut survey = Survey { stay: 0, tombstone: false };
        let header = *records.header();
        for record in records {
            let record = record?;
            let stays = header.is_control() || self.stays(&header, &record);
            self.stays.push(stays);
            if stays {
                survey.stay += 1;
                survey.tombstone |= record.value.is_none();
            }
        }
        Ok(survey)
    }

    fn stays(&mut self, header: &BatchHeader, record: &Record<'_>) -> bool {
        if record.offset >= self.end {
            return true;
        }
        let Some(key) = record.key else {
            self.seen.records_without_key += 1;
            return false;
        };
        let latest = self.map.get(key).is_none_or(|last| record.offset >= last);
        let due = || header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        latest && (record.value.is_some() || !due())
    }

    /// The batch with only the records that stay.
    fn rewrite(&self, records: &Records, horizon: Option<Timestamp>) -> Result<Batch, RecordError> {
        let header = records.header();
        let mut builder = builder(header, header.compression().map_err(RecordError::Codec)?);
        if let Some(horizon) = horizon {
            builder = builder.delete_horizon(horizon);
        }
        for (record, _) in records.iter().zip(&self.stays).filter(|(_, stays)| **stays) {
            let Record { offset, timestamp, key, value, headers } = record?;
            let delta = i32::try_from(offset.since(header.base_offset)).unwrap_or(i32::MAX);
            let headers: Vec<_> = headers.iter().collect();
            builder.append_at(delta, timestamp, key, value, headers.into_iter());
        }
        builder.build_spanning(header.last_offset_delta)
    }
}

/// The batch without records: offsets, producer, sequence and largest timestamp stay.
pub(super) fn emptied(header: &BatchHeader) -> Result<Fate, RecordError> {
    let mut batch = builder(header, Compression::None).build_spanning(header.last_offset_delta)?;
    batch.header.max_timestamp = header.max_timestamp;
    batch.seal();
    Ok(if batch.header == *header { Fate::Stays } else { Fate::Becomes(batch) })
}

fn builder(header: &BatchHeader, compression: Compression) -> BatchBuilder {
    let mut builder = BatchBuilder::new(compression).producer(
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    );
    builder.attributes = header.attributes.without_delete_horizon();
    builder.base_offset = header.base_offset;
    builder.leader_epoch = header.partition_leader_epoch;
    builder
}
