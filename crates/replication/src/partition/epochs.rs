//! Where each leader epoch starts in the log.
//!
//! A replica that falls behind, or a consumer that resumes, asks where an epoch ended to learn from where its view
//! differs (KIP-101, KIP-320). The checkpoint is Kafka's text file `leader-epoch-checkpoint`.

use bytes::Bytes;
use vltava_core::id::{LeaderEpoch, Offset};

/// The leader epochs of a log, ascending in epoch and in start offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaderEpochs {
    starts: Vec<EpochStart>,
}

/// A leader epoch and the offset of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Where it starts.
    pub start: Offset,
}

/// Where an epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest known epoch not above the one asked for, or that one itself when all of it is gone.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end: Offset,
}

impl LeaderEpochs {
    /// Says that `epoch` starts at `start`; entries that contradict it give way. Returns whether anything changed.
    ///
    /// An epoch that is known keeps its start, unless the new one is earlier. Negative epochs and offsets are ignored:
    /// batches of followers that never had a leader carry them.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        let known = self.latest().is_some_and(|latest| latest.epoch == epoch && latest.start <= start);
        if known || epoch.0 < 0 || start.0 < 0 {
            return false;
        }
        while self.latest().is_some_and(|latest| latest.epoch >= epoch || latest.start >= start) {
            self.starts.pop();
        }
        self.starts.push(EpochStart { epoch, start });
        true
    }

    /// The newest epoch.
    #[must_use]
    pub fn latest(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// The oldest epoch of which records are left.
    #[must_use]
    pub fn earliest(&self) -> Option<EpochStart> {
        self.starts.first().copied()
    }

    /// The epoch that wrote the record at `offset`.
    #[must_use]
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.starts.partition_point(|entry| entry.start <= offset);
        self.starts.get(after.checked_sub(1)?).map(|entry| entry.epoch)
    }

    /// Where `epoch` ended, in a log that ends at `log_end`; `None` for an epoch that is not known and newer than all.
    #[must_use]
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        if epoch == LeaderEpoch::NONE {
            return None;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch) {
            return Some(EpochEnd { epoch, end: log_end });
        }
        let after = self.starts.partition_point(|entry| entry.epoch <= epoch);
        let end = self.starts.get(after)?.start;
        let floor = after.checked_sub(1).and_then(|index| self.starts.get(index));
        Some(EpochEnd { epoch: floor.map_or(epoch, |entry| entry.epoch), end })
    }

    /// Forgets epochs that start at or above `end`. Returns whether anything changed.
    pub fn truncate_end(&mut self, end: Offset) -> bool {
        let kept = self.starts.partition_point(|entry| entry.start < end);
        let changed = kept < self.starts.len();
        self.starts.truncate(kept);
        changed
    }

    /// Forgets what lies below `start`; the epoch at `start` now starts there. Returns whether anything changed.
    pub fn truncate_start(&mut self, start: Offset) -> bool {
        let below = self.starts.partition_point(|entry| entry.start <= start);
        let Some(last) = below.checked_sub(1) else { return false };
        let unchanged = last == 0 && self.earliest().is_some_and(|entry| entry.start == start);
        self.starts.drain(..last);
        if let Some(first) = self.starts.first_mut() {
            first.start = start;
        }
        !unchanged
    }

    /// The checkpoint file: a version, the number of entries, then an epoch and its start on each line.
    #[must_use]
    pub fn to_checkpoint(&self) -> Bytes {
        use std::fmt::Write;
        let mut text = format!("{VERSION}\n{}\n", self.starts.len());
        for entry in &self.starts {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {}", entry.epoch, entry.start);
        }
        text.into()
    }

    /// Reads a checkpoint file.
    ///
    /// # Errors
    /// What is wrong with it. The epochs can then be taken from the batches of the log.
    pub fn from_checkpoint(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map_err(|_| "the checkpoint is not text".to_owned())?;
        let mut lines = text.lines();
        if lines.next().map(str::trim) != Some(VERSION) {
            return Err(format!("the checkpoint does not have version {VERSION}"));
        }
        let count: usize =
            lines.next().and_then(|line| line.trim().parse().ok()).ok_or("no count of entries")?;
        let mut epochs = Self::default();
        let mut read = 0;
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let entry = parse_entry(line).ok_or_else(|| format!("'{line}' is not an epoch and an offset"))?;
            epochs.assign(entry.epoch, entry.start);
            read += 1;
        }
        if read != count {
            return Err(format!("the checkpoint has {read} entries, but says {count}"));
        }
        Ok(epochs)
    }
}

const VERSION: &str = "0";

fn parse_entry(line: &str) -> Option<EpochStart> {
    let (epoch, start) = line.trim().split_once(char::is_whitespace)?;
    Some(EpochStart { epoch: LeaderEpoch(epoch.parse().ok()?), start: Offset(start.trim().parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in entries {
            epochs.assign(LeaderEpoch(*epoch), Offset(*start));
        }
        epochs
    }

    fn entries(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs.starts.iter().map(|entry| (entry.epoch.0, entry.start.0)).collect()
    }

    #[test]
    fn assignments_keep_epochs_and_offsets_ascending() {
        for (given, expected) in [
            (&[(0, 0), (1, 10), (1, 15), (3, 20)][..], &[(0, 0), (1, 10), (3, 20)][..]),
            (&[(0, 0), (1, 10), (2, 10)], &[(0, 0), (2, 10)]),
            (&[(0, 0), (2, 10), (3, 30), (1, 5)], &[(0, 0), (1, 5)]),
            (&[(0, 5), (0, 3)], &[(0, 3)]),
            (&[(-1, 0), (4, -1)], &[]),
        ] {
            assert_eq!(entries(&epochs(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn an_epoch_ends_where_the_next_known_one_starts() {
        let epochs = epochs(&[(2, 10), (4, 20), (5, 30)]);
        for (asked, expected) in [
            (-1, None),
            (0, Some((0, 10))),
            (2, Some((2, 20))),
            (3, Some((2, 20))),
            (4, Some((4, 30))),
            (5, Some((5, 44))),
            (6, None),
        ] {
            let end = epochs.end_of(LeaderEpoch(asked), Offset(44)).map(|end| (end.epoch.0, end.end.0));
            assert_eq!(end, expected, "epoch {asked}");
        }
        assert_eq!(LeaderEpochs::default().end_of(LeaderEpoch(0), Offset(1)), None);
        assert_eq!(epochs.at(Offset(9)), None);
        assert_eq!(epochs.at(Offset(20)), Some(LeaderEpoch(4)));
        assert_eq!(epochs.at(Offset(29)), Some(LeaderEpoch(4)));
    }

    #[test]
    fn truncation_moves_the_edges() {
        for (start, expected, changed) in [
            (5, &[(2, 10), (4, 20)][..], false),
            (10, &[(2, 10), (4, 20)], false),
            (15, &[(2, 15), (4, 20)], true),
            (20, &[(4, 20)], true),
            (99, &[(4, 99)], true),
        ] {
            let mut epochs = epochs(&[(2, 10), (4, 20)]);
            assert_eq!(epochs.truncate_start(Offset(start)), changed, "start {start}");
            assert_eq!(entries(&epochs), expected, "start {start}");
        }
        let mut epochs = epochs(&[(2, 10), (4, 20)]);
        assert!(!epochs.truncate_end(Offset(21)));
        assert!(epochs.truncate_end(Offset(20)));
        assert_eq!(entries(&epochs), [(2, 10)]);
    }

    #[test]
    fn the_checkpoint_is_kafkas_text() {
        let epochs = epochs(&[(0, 0), (7, 42)]);
        assert_eq!(epochs.to_checkpoint(), "0\n2\n0 0\n7 42\n");
        assert_eq!(LeaderEpochs::from_checkpoint(b"0\n2\n0 0\n7 42\n"), Ok(epochs));
        assert_eq!(LeaderEpochs::from_checkpoint(b"0\n0\n"), Ok(LeaderEpochs::default()));
        for broken in [&b""[..], b"1\n0\n", b"0\nx\n", b"0\n2\n0 0\n", b"0\n1\n0\n", b"\xff"] {
            assert!(LeaderEpochs::from_checkpoint(broken).is_err(), "{broken:?}");
        }
    }
}
