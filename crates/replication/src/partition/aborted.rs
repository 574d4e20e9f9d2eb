//! The aborted transactions of a log: what a reader of committed records must leave out.
//!
//! Kept whole in memory, in the order of their markers, and written to the `.txnindex` sidecar of the span that holds
//! the marker, in Kafka's format: entries of 34 bytes.

use bytes::Bytes;
use vltava_core::generated::AbortedTxn;
use vltava_core::id::{Offset, ProducerId};
use vltava_core::replicated::AbortedTransaction;
use vltava_core::wire::{Message, Reader, WireError, Writer};

const VERSION: i16 = 0;
/// Bytes of an entry.
const ENTRY_SIZE: usize = 34;

/// One aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    /// Whose.
    pub producer: ProducerId,
    /// Its first offset.
    pub first: Offset,
    /// The offset of its marker.
    pub last: Offset,
    /// The last stable offset when the marker was written: transactions that started before it are all in the index
    /// up to here.
    pub stable: Offset,
}

/// The aborted transactions of a log, ascending by marker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AbortedTransactions {
    entries: Vec<Aborted>,
}

impl AbortedTransactions {
    /// Adds a transaction whose marker comes after all known ones; one that is known is passed over.
    pub fn push(&mut self, aborted: Aborted) -> bool {
        let new = self.entries.last().is_none_or(|known| known.last < aborted.last);
        if new {
            self.entries.push(aborted);
        }
        new
    }

    /// The transactions that have records from `from` on and below `below`.
    #[must_use]
    pub fn within(&self, from: Offset, below: Offset) -> Vec<AbortedTransaction> {
        self.overlapping(from, below)
            .map(|entry| AbortedTransaction { producer: entry.producer, first: entry.first })
            .collect()
    }

    /// The entries of these transactions.
    pub fn overlapping(&self, from: Offset, below: Offset) -> impl Iterator<Item = &Aborted> {
        let first = self.entries.partition_point(|entry| entry.last < from);
        self.entries.iter().skip(first).filter(move |entry| entry.first < below)
    }

    /// Forgets transactions whose marker lies from `from` to below `to` and is not among `markers`.
    pub fn keep_markers(&mut self, from: Offset, to: Offset, markers: &[Offset]) {
        self.entries.retain(|entry| entry.last < from || entry.last >= to || markers.contains(&entry.last));
    }

    /// Whether the marker of any transaction stands at or after `from`.
    #[must_use]
    pub fn any_from(&self, from: Offset) -> bool {
        self.entries.last().is_some_and(|entry| entry.last >= from)
    }

    /// Forgets transactions whose marker lies below the start of the log.
    pub fn truncate_start(&mut self, start: Offset) {
        self.entries.retain(|entry| entry.last >= start);
    }

    /// Forgets transactions whose marker lies at or above the end of the log. Returns whether there were any.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let known = self.entries.len();
        self.entries.retain(|entry| entry.last < end);
        self.entries.len() < known
    }

    /// The sidecar of the span from `base` to `end`.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_index(&self, base: Offset, end: Offset) -> Result<Bytes, WireError> {
        let mut out = Writer::contiguous();
        for entry in self.entries.iter().filter(|entry| entry.last >= base && entry.last < end) {
            out.i16(VERSION);
            let row = AbortedTxn {
                producer_id: entry.producer.0,
                first_offset: entry.first.0,
                last_offset: entry.last.0,
                last_stable_offset: entry.stable.0,
            };
            row.encode(&mut out, VERSION)?;
        }
        out.into_bytes()
    }

    /// Takes in the sidecar of a span. A torn last entry is left out: its transaction is found again in the log.
    ///
    /// # Errors
    /// [`WireError::UnsupportedVersion`] for entries of a newer release.
    pub fn read_index(&mut self, content: &Bytes) -> Result<(), WireError> {
        let mut reader = Reader::new(content.clone());
        while reader.left() >= ENTRY_SIZE {
            let version = reader.i16()?;
            let row = AbortedTxn::decode(&mut reader, version)?;
            self.push(Aborted {
                producer: ProducerId(row.producer_id),
                first: Offset(row.first_offset),
                last: Offset(row.last_offset),
                stable: Offset(row.last_stable_offset),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> AbortedTransactions {
        let mut aborted = AbortedTransactions::default();
        for (producer, first, last, stable) in [(1, 5, 10, 8), (2, 8, 20, 21), (1, 30, 40, 41)] {
            let (first, last, stable) = (Offset(first), Offset(last), Offset(stable));
            aborted.push(Aborted { producer: ProducerId(producer), first, last, stable });
        }
        aborted
    }

    #[test]
    fn a_range_overlaps_transactions_from_their_first_record_to_their_marker() {
        for (from, below, expected) in [
            (0, 5, &[][..]),
            (0, 6, &[5][..]),
            (10, 11, &[5, 8]),
            (11, 12, &[8]),
            (21, 30, &[]),
            (0, 100, &[5, 8, 30]),
            (40, 41, &[30]),
        ] {
            let found: Vec<_> =
                sample().within(Offset(from), Offset(below)).iter().map(|a| a.first.0).collect();
            assert_eq!(found, expected, "{from} to {below}");
        }
    }

    #[test]
    fn the_index_of_a_span_survives() {
        let index = sample().to_index(Offset(0), Offset(25)).unwrap();
        assert_eq!(index.len(), 2 * ENTRY_SIZE);
        let mut read = AbortedTransactions::default();
        read.read_index(&index).unwrap();
        read.read_index(&index.slice(..ENTRY_SIZE + 5)).unwrap();
        read.read_index(&sample().to_index(Offset(25), Offset(50)).unwrap()).unwrap();
        assert_eq!(read, sample());
        assert!(read.read_index(&Bytes::from(vec![1; ENTRY_SIZE])).is_err());
    }

    #[test]
    fn compaction_keeps_the_markers_that_it_met_with_batches() {
        for (from, to, markers, expected) in [
            (0, 30, &[20][..], &[20, 40][..]),
            (0, 20, &[], &[20, 40]),
            (10, 41, &[10, 40], &[10, 40]),
            (11, 20, &[], &[10, 20, 40]),
        ] {
            let mut aborted = sample();
            let markers: Vec<Offset> = markers.iter().map(|marker| Offset(*marker)).collect();
            aborted.keep_markers(Offset(from), Offset(to), &markers);
            let left: Vec<i64> = aborted.entries.iter().map(|entry| entry.last.0).collect();
            assert_eq!(left, expected, "{from} to {to}");
        }
    }

    #[test]
    fn truncation_goes_by_the_marker() {
        let mut aborted = sample();
        aborted.truncate_start(Offset(11));
        aborted.truncate_end(Offset(40));
        assert_eq!(aborted.entries.iter().map(|a| a.last.0).collect::<Vec<_>>(), [20]);
    }
}
