//! Which spans become one: neighbours, as long as what they hold fits into one span and its indexes.

use vltava_core::log::Span;
use vltava_core::record::BatchHeader;

use super::CompactionRules;

/// The larger of the two kinds of index entries, in bytes.
const INDEX_ENTRY_BYTES: u64 = 12;

/// Splits consecutive sealed spans into groups of which each becomes one span.
pub(super) fn group<'a>(spans: &'a [Span], rules: &CompactionRules) -> Vec<&'a [Span]> {
    spans_grouped(spans, |group, next| fits(group, next, rules))
}

fn spans_grouped(spans: &[Span], fits: impl Fn(&[Span], &Span) -> bool) -> Vec<&[Span]> {
    let mut groups = Vec::new();
    let mut rest = spans;
    while !rest.is_empty() {
        let mut count = 1;
        while let (Some(group), Some(next)) = (rest.get(..count), rest.get(count)) {
            if !fits(group, next) {
                break;
            }
            count += 1;
        }
        let (group, after) = rest.split_at(count);
        groups.push(group);
        rest = after;
    }
    groups
}

fn fits(group: &[Span], next: &Span, rules: &CompactionRules) -> bool {
    let Some(first) = group.first() else { return true };
    let all = || group.iter().chain([next]);
    let bytes: u64 = all().map(|span| span.bytes).sum();
    let index: u64 = all().map(|span| index_bytes(span, rules)).sum();
    let range = next.end.since(first.base) - 1;
    bytes <= u64::from(rules.span_bytes_max)
        && index <= u64::from(rules.index_bytes_max)
        && (next.bytes == 0 || range <= i64::from(i32::MAX))
}

/// The most that an index of the span can take.
fn index_bytes(span: &Span, rules: &CompactionRules) -> u64 {
    let interval = u64::from(rules.index_interval_bytes).max(BatchHeader::SIZE as u64);
    (span.bytes / interval + 1) * INDEX_ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use vltava_core::id::{Offset, Timestamp};

    #[test]
    fn small_neighbours_are_joined_within_bounds() {
        let far = i64::from(i32::MAX);
        for (what, sizes, step, bytes_max, index_max, expected) in [
            ("all fit", &[10, 10, 10][..], 10, 30, 1000, &[3][..]),
            ("by size", &[10, 10, 10], 10, 29, 1000, &[2, 1]),
            ("a large one is alone", &[10, 50, 10], 10, 29, 1000, &[1, 1, 1]),
            ("by their indexes", &[10, 10, 10], 10, 1000, 24, &[2, 1]),
            ("by their offsets", &[10, 10, 10], far / 2, 1000, 1000, &[2, 1]),
            ("what is empty never is too far", &[10, 0, 0], far, 1000, 1000, &[3]),
            ("nothing", &[], 10, 1000, 1000, &[]),
        ] {
            let span = |(number, bytes): (i64, &u64)| Span {
                base: Offset(number * step),
                end: Offset((number + 1) * step),
                bytes: *bytes,
                largest_timestamp: Timestamp(0),
                sealed: true,
            };
            let spans: Vec<Span> = (0..).zip(sizes).map(span).collect();
            let rules = CompactionRules {
                span_bytes_max: bytes_max,
                index_bytes_max: index_max,
                ..CompactionRules::default()
            };
            let counts: Vec<usize> = group(&spans, &rules).into_iter().map(<[Span]>::len).collect();
            assert_eq!(counts, expected, "{what}");
        }
    }
}
