//! What is known of transactions while the batches of a log pass by.

use std::collections::{HashMap, HashSet};

use vltava_core::id::{Offset, ProducerId};
use vltava_core::record::{Batch, ControlRecordType, RecordError};

use super::AbortedRange;

/// The transactions that are open where the walk is.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Aborted ones that the walk has not come to, the next one last.
    ahead: Vec<AbortedRange>,
    aborted: HashMap<ProducerId, Open>,
    /// Producers with batches of a transaction that was, or will be, committed.
    committed: HashSet<ProducerId>,
    /// Markers of aborted transactions that still have batches.
    markers: Vec<Offset>,
}

/// An aborted transaction that the walk is in.
#[derive(Debug)]
struct Open {
    marker: Offset,
    has_batches: bool,
}

impl Transactions {
    pub(super) fn new(mut aborted: Vec<AbortedRange>) -> Transactions {
        aborted.sort_unstable_by_key(|range| std::cmp::Reverse(range.first));
        Transactions { ahead: aborted, ..Transactions::default() }
    }

    /// Takes note of a batch; returns whether nothing needs it: it is part of an aborted transaction, or the marker of
    /// one without batches.
    ///
    /// # Errors
    /// [`RecordError`] for a marker that cannot be read.
    pub(super) fn pass(&mut self, batch: &Batch) -> Result<bool, RecordError> {
        self.advance(batch.header.last_offset());
        if batch.header.is_control() {
            return self.pass_marker(batch);
        }
        if !batch.header.is_transactional() {
            return Ok(false);
        }
        if let Some(open) = self.aborted.get_mut(&batch.header.producer_id) {
            open.has_batches = true;
            return Ok(true);
        }
        self.committed.insert(batch.header.producer_id);
        Ok(false)
    }

    /// The markers of aborted transactions that were passed since the last time, and whose transactions still had
    /// batches.
    pub(super) fn take_markers(&mut self) -> Vec<Offset> {
        std::mem::take(&mut self.markers)
    }

    fn advance(&mut self, to: Offset) {
        while let Some(range) = self.ahead.pop_if(|range| range.first <= to) {
            self.aborted.entry(range.producer).or_insert(Open { marker: range.marker, has_batches: false });
        }
    }

    fn pass_marker(&mut self, batch: &Batch) -> Result<bool, RecordError> {
        let records = batch.records()?;
        // A marker without its record was of no use to the last round already.
        let Some(record) = records.iter().next().transpose()? else { return Ok(true) };
        let producer = batch.header.producer_id;
        match ControlRecordType::from_key(record.key.unwrap_or_default())? {
            Some(ControlRecordType::Abort) => match self.aborted.remove(&producer) {
                Some(open) if open.has_batches => {
                    self.markers.push(open.marker);
                    Ok(false)
                }
                _ => Ok(true),
            },
            Some(ControlRecordType::Commit) => Ok(!self.committed.remove(&producer)),
            _ => Ok(false),
        }
    }
}
