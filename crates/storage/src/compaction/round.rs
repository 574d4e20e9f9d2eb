//! One round: fill the map, then write the spans anew.

use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{Log, Rewrite, Span};
use vltava_core::record::{Batch, BatchHeader};

use super::filter::{Fate, Filter, emptied};
use super::groups::group;
use super::map::OffsetMap;
use super::source::Source;
use super::transactions::Transactions;
use super::{
    Compacted, CompactionBudget, CompactionError, CompactionRules, Dirt, Pace, Producers, Work, in_batch,
    keep_pace,
};

/// Compacts the dirty part of a log, or as much of it as the map takes. *Blocks*, for as long as it takes to read the
/// log twice and to write it once.
///
/// # Errors
/// [`CompactionError`]; spans that were replaced before stay so.
pub fn compact(
    log: &dyn Log,
    producers: &dyn Producers,
    dirt: &Dirt,
    rules: &CompactionRules,
    budget: CompactionBudget,
    now: Timestamp,
    pace: &mut Pace<'_>,
) -> Result<Compacted, CompactionError> {
    let work = Work { log, producers, budget };
    let records = u64::try_from(dirt.to.since(dirt.from)).unwrap_or(0);
    let mut map = OffsetMap::new(records, budget.map_bytes_max, budget.map_load_max);
    let mut done = Compacted { end: dirt.from, ..Compacted::default() };
    work.fill(&mut map, dirt, &mut done, pace)?;
    done.map_filled = map.filled();
    let spans: Vec<Span> = log
        .spans()
        .into_iter()
        .filter(|span| span.sealed && span.base < done.end && span.end <= dirt.to)
        .collect();
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Ok(done) };
    let transactions = Transactions::new(producers.aborted(first.base, last.end));
    let limits = (done.end, dirt.to);
    let mut filter = Filter::new(&map, limits, now, rules.delete_retention_ms, transactions);
    filter.seen = done;
    for group in group(&spans, rules) {
        work.rewrite(group, &mut filter, pace)?;
    }
    Ok(filter.seen)
}

impl Work<'_> {
    /// Reads the keys of the dirty part, until the map is full.
    fn fill(
        &self,
        map: &mut OffsetMap,
        dirt: &Dirt,
        done: &mut Compacted,
        pace: &mut Pace<'_>,
    ) -> Result<(), CompactionError> {
        let mut transactions = Transactions::new(self.producers.aborted(dirt.from, dirt.to));
        let mut source = Source::new(self.log, dirt.from, dirt.to, self.budget.buffer_bytes);
        loop {
            let batches = source.read(pace)?;
            done.bytes_mapped = source.bytes;
            if batches.is_empty() {
                // Beyond a gap, if there is one at the end.
                done.end = dirt.to;
                return Ok(());
            }
            for batch in &batches {
                let at = batch.header.base_offset;
                let needless = in_batch(at, transactions.pass(batch))?;
                if !needless
                    && !batch.header.is_control()
                    && !fill_from(map, batch, dirt.from, &mut done.end)?
                {
                    return Ok(());
                }
                done.end = done.end.max(batch.header.next_offset());
            }
        }
    }

    /// Writes a group of spans anew as one.
    fn rewrite(
        &self,
        group: &[Span],
        filter: &mut Filter<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<(), CompactionError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let (from, to) = (first.base, last.end);
        filter.last_of_producers = self.producers.last_of_producers();
        let mut target = Target::new(self.log.rewrite(from, to)?);
        let start = self.log.bounds().start.max(from);
        let mut source = Source::new(self.log, start, to, self.budget.buffer_bytes);
        loop {
            let batches = source.read(pace)?;
            if batches.is_empty() {
                break;
            }
            let mut kept = Vec::with_capacity(batches.len());
            for batch in batches {
                let fate = in_batch(batch.header.base_offset, filter.judge(&batch))?;
                target.take(batch, fate, &mut kept);
            }
            filter.seen.bytes_written += target.write(&kept, pace)?;
        }
        filter.seen.bytes_read += source.bytes;
        filter.seen.bytes_written += target.end(pace)?;
        let markers = filter.transactions.take_markers();
        if group.len() == 1 && !target.changed {
            return Ok(());
        }
        self.producers.replace(target.rewrite, from, to, &markers)?;
        Ok(())
    }
}

/// Puts the keys of a batch into the map; false when it is full. `end` follows the records.
fn fill_from(
    map: &mut OffsetMap,
    batch: &Batch,
    from: Offset,
    end: &mut Offset,
) -> Result<bool, CompactionError> {
    let at = batch.header.base_offset;
    let records = in_batch(at, batch.records())?;
    for record in &records {
        let record = in_batch(at, record)?;
        if record.offset < from {
            continue;
        }
        if let Some(key) = record.key
            && !map.put(key, record.offset)
        {
            return Ok(false);
        }
        *end = record.offset.next();
    }
    Ok(true)
}

/// The new span.
struct Target<'a> {
    rewrite: Box<dyn Rewrite + 'a>,
    /// Something went, or is another than it was.
    changed: bool,
    /// The last batch, when it went.
    gone_last: Option<BatchHeader>,
}

impl<'a> Target<'a> {
    fn new(rewrite: Box<dyn Rewrite + 'a>) -> Target<'a> {
        Target { rewrite, changed: false, gone_last: None }
    }

    fn take(&mut self, batch: Batch, fate: Fate, kept: &mut Vec<Batch>) {
        self.changed |= fate != Fate::Stays;
        self.gone_last = None;
        match fate {
            Fate::Stays => kept.push(batch),
            Fate::Becomes(other) => kept.push(other),
            Fate::Goes => self.gone_last = Some(batch.header),
        }
    }

    /// Writes batches; returns their bytes.
    fn write(&mut self, batches: &[Batch], pace: &mut Pace<'_>) -> Result<u64, CompactionError> {
        if batches.is_empty() {
            return Ok(0);
        }
        self.rewrite.append(batches)?;
        let bytes = batches.iter().map(|batch| batch.size() as u64).sum();
        keep_pace(pace, bytes)?;
        Ok(bytes)
    }

    /// Leaves the last batch without its records, if it went.
    fn end(&mut self, pace: &mut Pace<'_>) -> Result<u64, CompactionError> {
        let Some(header) = self.gone_last.take() else { return Ok(0) };
        match in_batch(header.base_offset, emptied(&header))? {
            Fate::Becomes(batch) => self.write(&[batch], pace),
            // It had no records and stays.
            _ => self.write(&[Batch { header, body: bytes::Bytes::new() }], pace),
        }
    }
}
