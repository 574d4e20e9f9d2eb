//! Which spans of a log have outlived their topic's retention: a pure decision over spans.

use vltava_core::id::{Offset, Timestamp};
use vltava_core::log::Span;

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Whether `cleanup.policy` has `delete`. Without it only what lies below the start of the log goes, and clients
    /// may not delete records.
    pub delete: bool,
    /// `retention.ms`: how old the youngest record of a span may get; `None` is for ever.
    pub time_ms: Option<i64>,
    /// `retention.bytes`: how large the log may get before its oldest spans go; `None` is without bound.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// Kafka's: a week, of any size.
    fn default() -> Self {
        Self { delete: true, time_ms: Some(7 * 24 * 3_600_000), bytes: None }
    }
}

/// What to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// Where the log starts afterwards.
    pub start: Offset,
    /// The span that is written to goes too: it has to be sealed first.
    pub roll: bool,
}

/// What has outlived `retention` at `now`; `None` when nothing has.
///
/// Only whole spans go, oldest first, and none that holds records at or above the high watermark. A span without
/// timestamps never grows old.
#[must_use]
pub fn decide(
    spans: &[Span],
    start: Offset,
    high: Offset,
    retention: &Retention,
    now: Timestamp,
) -> Option<Trim> {
    let mut excess = excess_bytes(spans, retention);
    let mut trim = None;
    for span in spans {
        let below_start = span.sealed && span.end <= start;
        let over_size = excess.is_some_and(|excess| excess >= span.bytes);
        let expired = retention.delete && (over_size || too_old(span, retention, now));
        let empty = span.bytes == 0 && !span.sealed;
        if empty || span.end > high || !(below_start || expired) {
            break;
        }
        excess = excess.map(|excess| excess.saturating_sub(span.bytes));
        trim = Some(Trim { start: span.end.max(start), roll: !span.sealed });
    }
    trim
}

fn excess_bytes(spans: &[Span], retention: &Retention) -> Option<u64> {
    let total: u64 = spans.iter().map(|span| span.bytes).sum();
    total.checked_sub(retention.bytes?)
}

fn too_old(span: &Span, retention: &Retention, now: Timestamp) -> bool {
    let known = span.largest_timestamp.0 >= 0;
    retention.time_ms.is_some_and(|limit| known && now.since(span.largest_timestamp) > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans of 10 offsets and 100 bytes; the last one is written to.
    fn spans(timestamps: &[i64]) -> Vec<Span> {
        let span = |(index, timestamp): (i64, &i64)| Span {
            base: Offset(index * 10),
            end: Offset(index * 10 + 10),
            bytes: 100,
            largest_timestamp: Timestamp(*timestamp),
            sealed: index + 1 < timestamps.len() as i64,
        };
        (0..).zip(timestamps).map(span).collect()
    }

    #[test]
    fn whole_spans_go_oldest_first() {
        let by_time = Retention { time_ms: Some(1000), ..Retention::default() };
        let by_size = |bytes| Retention { time_ms: None, bytes: Some(bytes), delete: true };
        let compacted = Retention { delete: false, time_ms: Some(0), bytes: Some(0) };
        let now = 5000;
        for (what, timestamps, start, high, retention, expected) in [
            ("young", &[4000, 4500][..], 0, 20, by_time, None),
            ("old", &[3999, 4500], 0, 20, by_time, Some((10, false))),
            ("all old", &[1, 2, 3], 0, 30, by_time, Some((30, true))),
            ("a young one shields later ones", &[4500, 1, 2], 0, 30, by_time, None),
            ("uncommitted", &[1, 2, 3], 0, 15, by_time, Some((10, false))),
            ("without timestamps", &[-1, 4500], 0, 20, by_time, None),
            ("small enough", &[1, 2, 3], 0, 30, by_size(201), None),
            ("too large", &[1, 2, 3], 0, 30, by_size(199), Some((10, false))),
            ("nothing may stay", &[1, 2, 3], 0, 30, by_size(0), Some((30, true))),
            ("below the start", &[4500, 4500, 4500], 25, 30, by_time, Some((25, false))),
            ("compacted topics keep all above the start", &[1, 2, 3], 12, 30, compacted, Some((12, false))),
        ] {
            let trim = decide(&spans(timestamps), Offset(start), Offset(high), &retention, Timestamp(now));
            assert_eq!(trim.map(|trim| (trim.start.0, trim.roll)), expected, "{what}");
        }
        let mut empty = spans(&[-1]);
        empty[0].bytes = 0;
        assert_eq!(decide(&empty, Offset(0), Offset(10), &by_size(0), Timestamp(now)), None);
    }
}
