//! Which part of a log is dirty, and whether it is worth a round.

use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::{Log, LogError, Span};

use super::source;

/// The settings of a topic that compaction acts on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionRules {
    /// `delete.retention.ms`: how long tombstones and markers stay.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a span with a younger record is left alone.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`: a dirty span that begins with an older record makes a round due.
    pub max_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: the dirty share of the bytes above which a round is due, 0 to 1.
    pub min_dirty_ratio: f64,
    /// `segment.bytes`: small spans are joined up to this.
    pub span_bytes_max: u32,
    /// `segment.index.bytes`: and up to where an index would outgrow this.
    pub index_bytes_max: u32,
    /// `index.interval.bytes`, from which follows how large an index gets.
    pub index_interval_bytes: u32,
}

impl Default for CompactionRules {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            delete_retention_ms: 86_400_000,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            min_dirty_ratio: 0.5,
            span_bytes_max: 1 << 30,
            index_bytes_max: 10 << 20,
            index_interval_bytes: 4096,
        }
    }
}

/// What a round would have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirt {
    /// Where the dirty part begins.
    pub from: Offset,
    /// Where the first span begins that must not be touched.
    pub to: Offset,
    /// Bytes of the spans that hold something clean.
    pub clean_bytes: u64,
    /// Bytes of the spans that hold something dirty, and may be touched.
    pub dirty_bytes: u64,
    /// For how long a round has been overdue by `max.compaction.lag.ms`; 0 when it is not.
    pub overdue_ms: i64,
}

impl Dirt {
    /// The dirty share of the bytes; 0 for an empty log.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 { 0.0 } else { self.dirty_bytes as f64 / total as f64 }
    }

    /// Whether it is time for a round.
    #[must_use]
    pub fn is_due(&self, rules: &CompactionRules) -> bool {
        (self.overdue_ms > 0 && self.dirty_bytes > 0) || self.ratio() > rules.min_dirty_ratio
    }
}

/// Looks at a log that was compacted up to `compacted`, and in which everything below `stable` is decided. *Blocks*, a
/// little, when there is a `max.compaction.lag.ms`.
///
/// # Errors
/// [`LogError`] when the log cannot be read.
pub fn survey(
    log: &dyn Log,
    compacted: Option<Offset>,
    stable: Offset,
    rules: &CompactionRules,
    now: Timestamp,
) -> Result<Dirt, LogError> {
    let (spans, bounds) = (log.spans(), log.bounds());
    // What is noted of another state of the log says nothing of this one.
    let from = compacted.filter(|end| (bounds.start..=bounds.end).contains(end)).unwrap_or(bounds.start);
    let mut dirt = measure(&spans, from, stable, rules, now);
    if rules.max_lag_ms < i64::MAX {
        let limit = now.plus(rules.max_lag_ms.saturating_neg());
        let earliest = earliest(log, &spans, from)?;
        dirt.overdue_ms = earliest.map_or(0, |earliest| limit.since(earliest).max(0));
    }
    Ok(dirt)
}

/// The earliest timestamp with which a sealed span that holds something dirty begins.
fn earliest(log: &dyn Log, spans: &[Span], from: Offset) -> Result<Option<Timestamp>, LogError> {
    let start = log.bounds().start;
    let mut earliest = None;
    for span in spans.iter().filter(|span| span.sealed && span.bytes > 0 && span.end > from) {
        let first = source::first_header(log, span.base.max(start), span.end)?;
        let timestamp = first.map(|header| header.max_timestamp).filter(|timestamp| timestamp.0 > 0);
        earliest = [earliest, timestamp].into_iter().flatten().min();
    }
    Ok(earliest)
}

fn measure(spans: &[Span], from: Offset, stable: Offset, rules: &CompactionRules, now: Timestamp) -> Dirt {
    let active = spans.last().map_or(from, |span| span.base);
    let young = |span: &&Span| {
        rules.min_lag_ms > 0
            && span.sealed
            && span.end > from
            && span.largest_timestamp > now.plus(rules.min_lag_ms.saturating_neg())
    };
    let young = spans.iter().find(young).map_or(active, |span| span.base);
    let limit = stable.min(active).min(young);
    // Only whole spans: the one that holds the limit is left alone, and so is what follows.
    let to = spans.iter().rfind(|span| span.base <= limit).map_or(from, |span| span.base);
    let bytes = |wanted: &dyn Fn(&Span) -> bool| {
        spans.iter().filter(|span| wanted(span)).map(|span| span.bytes).sum::<u64>()
    };
    Dirt {
        from,
        to: to.max(from.min(active)),
        clean_bytes: bytes(&|span| span.base < from && span.base < active),
        dirty_bytes: bytes(&|span| span.end > from && span.end <= to),
        overdue_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans of ten offsets and 100 bytes; the last one is active.
    fn spans(timestamps: &[i64]) -> Vec<Span> {
        let last = timestamps.len().saturating_sub(1);
        (0..)
            .zip(timestamps)
            .map(|(number, timestamp)| Span {
                base: Offset(number * 10),
                end: Offset(number * 10 + 10),
                bytes: 100,
                largest_timestamp: Timestamp(*timestamp),
                sealed: number < last as i64,
            })
            .collect()
    }

    #[test]
    fn the_dirty_part_ends_before_what_must_not_be_touched() {
        let now = Timestamp(1000);
        for (what, times, from, stable, min_lag, (to, clean, dirty)) in [
            ("all but the active span", &[1, 2, 3, 4][..], 0, 40, 0, (30, 0, 300)),
            ("nothing is sealed", &[1], 0, 10, 0, (0, 0, 0)),
            ("half is clean", &[1, 2, 3, 4, 5], 20, 50, 0, (40, 200, 200)),
            ("a round ended within a span", &[1, 2, 3, 4, 5], 25, 50, 0, (40, 300, 200)),
            ("all is clean", &[1, 2, 3], 20, 30, 0, (20, 200, 0)),
            ("a transaction is open", &[1, 2, 3, 4], 0, 17, 0, (10, 0, 100)),
            ("one is open from a span's first record", &[1, 2, 3, 4], 0, 20, 0, (20, 0, 200)),
            ("a young span", &[1, 950, 3, 4], 0, 40, 100, (10, 0, 100)),
            ("old enough", &[1, 900, 3, 4], 0, 40, 100, (30, 0, 300)),
            ("the young one is clean", &[950, 1, 3, 4], 10, 40, 100, (30, 100, 200)),
        ] {
            let rules = CompactionRules { min_lag_ms: min_lag, ..CompactionRules::default() };
            let found = measure(&spans(times), Offset(from), Offset(stable), &rules, now);
            assert_eq!((found.to.0, found.clean_bytes, found.dirty_bytes), (to, clean, dirty), "{what}");
        }
    }

    #[test]
    fn a_round_is_due_by_its_dirty_share_or_its_age() {
        let rules = CompactionRules::default();
        for (clean, dirty, overdue, due) in [
            (0, 0, 0, false),
            (0, 1, 0, true),
            (100, 100, 0, false),
            (100, 101, 0, true),
            (100, 1, 1, true),
            (100, 0, 1, false),
        ] {
            let dirt = Dirt {
                from: Offset(0),
                to: Offset(9),
                clean_bytes: clean,
                dirty_bytes: dirty,
                overdue_ms: overdue,
            };
            assert_eq!(dirt.is_due(&rules), due, "{dirt:?}");
        }
    }
}
