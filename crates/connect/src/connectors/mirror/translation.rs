//! What an offset of the source is at the target, as far as offset syncs tell.
//!
//! Of each partition 64 syncs are kept, dense at the end and thinner the older they are, so that an offset is translated
//! the more exactly the later it is, and never to one beyond its copy. Which syncs stay follows MirrorMaker's rules to the
//! letter, since two mirrors that take turns must not lead a group back and forth. With the syncs in `kept[0]`, the last, to
//! `kept[63]`, for any `i < j`:
//!
//! * the later one is at most `2^j - 2^i` ahead of the earlier one (B), unless they are the same;
//! * it is at least `2^max(i - 2, 0)` ahead of it (C), unless they are the same.

use std::collections::BTreeMap;

use super::formats::OffsetSync;
use crate::connector::TopicPartition;

/// The syncs of a partition, one for each bit of an offset.
const SYNCS: usize = 64;

/// An offset at the source, the one of its copy, and which of all syncs says so: equal ones are not the same.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sync {
    upstream: i64,
    downstream: i64,
    number: u64,
}

/// The syncs of all partitions.
#[derive(Debug)]
pub(super) struct Translation {
    kept: BTreeMap<TopicPartition, [Sync; SYNCS]>,
    /// Whether only the last sync counts that is read; so while they are read for the first time and nobody knows what was
    /// said to groups before, which may have been more.
    only_last: bool,
    /// How many syncs there were.
    applied: u64,
}

impl Translation {
    pub(super) fn new(only_last: bool) -> Self {
        Self { kept: BTreeMap::new(), only_last, applied: 0 }
    }

    /// All that was there has been read.
    pub(super) fn loaded(&mut self) {
        self.only_last = false;
    }

    pub(super) fn apply(&mut self, sync: OffsetSync) {
        self.applied += 1;
        let new = Sync { upstream: sync.upstream, downstream: sync.downstream, number: self.applied };
        let kept = self.kept.entry(sync.place).or_insert([new; SYNCS]);
        // Offsets that go back belong to other records than before.
        if self.only_last || new.upstream < kept[0].upstream {
            *kept = [new; SYNCS];
        } else {
            insert(kept, new);
        }
    }

    /// The offset at the target for one at the source; `None` without a sync of the partition, and for offsets that lie
    /// before all that is known.
    pub(super) fn translate(&self, place: &TopicPartition, upstream: i64) -> Option<i64> {
        let kept = self.kept.get(place)?;
        let sync = kept.iter().find(|sync| sync.upstream <= upstream)?;
        // What comes after the sync's record was copied behind it, or not at all: one further is safe, and no more.
        Some(sync.downstream + i64::from(sync.upstream < upstream))
    }
}

/// Puts a sync in front, and moves those that are too old now.
fn insert(kept: &mut [Sync; SYNCS], new: Sync) {
    let before = *kept;
    let (mut replacement, mut candidate) = (new, 0);
    kept[0] = new;
    for at in 1..SYNCS {
        let previous = kept[at - 1];
        loop {
            let old = before[candidate];
            let apart = is_apart(previous, old, at - 1);
            let next = kept.get(at + 1);
            let promoted = is_recent(previous, old, at - 1, at)
                && apart
                && next.is_none_or(|next| is_apart(old, *next, at));
            if promoted {
                replacement = old;
            }
            let passed = !apart || before.get(candidate + 1) == Some(&old);
            candidate += usize::from(promoted || passed);
            if candidate >= at || !passed {
                break;
            }
        }
        if is_recent(previous, kept[at], at - 1, at) {
            return;
        }
        kept[at] = replacement;
    }
}

/// Rule B.
fn is_recent(later: Sync, earlier: Sync, i: usize, j: usize) -> bool {
    let bound = earlier.upstream.wrapping_add(power(j).wrapping_sub(power(i)));
    later == earlier || bound < 0 || later.upstream <= bound
}

/// Rule C.
fn is_apart(later: Sync, earlier: Sync, i: usize) -> bool {
    let bound = earlier.upstream.wrapping_add(power(i.saturating_sub(2)));
    later == earlier || (bound >= 0 && later.upstream >= bound)
}

/// `2^exponent` in 64 bits, the last of which is the sign.
fn power(exponent: usize) -> i64 {
    1 << exponent
}
