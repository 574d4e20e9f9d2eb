//! How far the raft log is projected: which entry ends at which offset.
//!
//! Nothing of this is stored. It is derived when the quorum opens, from the raft log and the end of the projected log;
//! so the two can never disagree about what was applied.

use std::collections::VecDeque;

use openraft::entry::EntryPayload;
use vltava_core::id::Offset;

use super::state::Purged;
use super::types::{LogId, RaftEntry, StoredMembership, membership_of};

/// What is applied. Boundaries and memberships reach back to what was purged.
#[derive(Debug, Default)]
pub(super) struct Progress {
    applied: Option<LogId>,
    boundaries: VecDeque<(Offset, LogId)>,
    memberships: VecDeque<StoredMembership>,
}

impl Progress {
    /// What is applied when the projected log ends at `end`.
    ///
    /// An entry without records leaves no trace there: it counts as applied when a later one is, and else it is applied
    /// again, which changes nothing.
    pub(super) fn derive<'a>(
        purged: Option<&Purged>,
        entries: impl Iterator<Item = &'a RaftEntry>,
        end: Offset,
    ) -> Progress {
        let mut progress = Progress::default();
        if let Some(purged) = purged {
            progress.applied = Some(purged.last);
            progress.boundaries.push_back((purged.end, purged.last));
            progress.memberships.push_back(purged.membership.clone());
        }
        let mut traceless = Vec::new();
        for entry in entries {
            match &entry.payload {
                EntryPayload::Normal(proposal) if proposal.end().is_none_or(|ends| ends <= end) => {
                    traceless.drain(..).for_each(|entry| progress.apply(entry));
                    progress.apply(entry);
                }
                EntryPayload::Normal(_) => break,
                EntryPayload::Blank | EntryPayload::Membership(_) => traceless.push(entry),
            }
        }
        progress
    }

    /// Notes that an entry is applied.
    pub(super) fn apply(&mut self, entry: &RaftEntry) {
        self.applied = Some(entry.log_id);
        if let EntryPayload::Normal(proposal) = &entry.payload
            && let Some(end) = proposal.end()
        {
            self.boundaries.push_back((end, entry.log_id));
        }
        self.memberships.extend(membership_of(entry));
    }

    /// The last entry that is applied.
    pub(super) fn applied(&self) -> Option<LogId> {
        self.applied
    }

    /// The last membership that is applied.
    pub(super) fn membership(&self) -> StoredMembership {
        self.memberships.back().cloned().unwrap_or_default()
    }

    /// The last entry that is wholly below `end`, and where it ends.
    pub(super) fn entry_below(&self, end: Offset) -> Option<(Offset, LogId)> {
        self.boundaries.iter().rev().find(|(boundary, _)| *boundary <= end).copied()
    }

    /// The membership at an entry.
    pub(super) fn membership_at(&self, id: LogId) -> StoredMembership {
        let before = |membership: &&StoredMembership| membership.log_id().is_none_or(|at| at <= id);
        self.memberships.iter().rev().find(before).cloned().unwrap_or_default()
    }

    /// What is to be remembered of everything up to an entry that goes away.
    pub(super) fn purge(&mut self, last: LogId) -> Purged {
        let membership = self.membership_at(last);
        let end =
            self.boundaries.iter().rev().find(|(_, id)| *id <= last).map_or(Offset::ZERO, |(end, _)| *end);
        self.boundaries.retain(|(_, id)| *id >= last);
        if self.boundaries.front().is_none_or(|(_, id)| *id > last) {
            self.boundaries.push_front((end, last));
        }
        while self.memberships.get(1).is_some_and(|next| next.log_id().is_none_or(|at| at <= last)) {
            self.memberships.pop_front();
        }
        Purged { last, end, membership }
    }

    /// Starts over from an installed snapshot.
    pub(super) fn restart(&mut self, end: Offset, last: Option<LogId>, membership: StoredMembership) {
        self.applied = last;
        self.boundaries = last.map(|last| (end, last)).into_iter().collect();
        self.memberships = VecDeque::from([membership]);
    }
}

#[cfg(test)]
mod tests {
    use vltava_core::id::Timestamp;
    use vltava_core::record::{BatchBuilder, Compression};

    use super::super::types::{Proposal, log_id};
    use super::*;

    fn entry(index: u64, offsets: Option<(i64, i64)>) -> RaftEntry {
        let payload = offsets.map_or(EntryPayload::Blank, |(base, end)| {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.base_offset = Offset(base);
            (base..end).for_each(|_| builder.append(Timestamp(0), None, None, &[]));
            EntryPayload::Normal(Proposal { batches: vec![builder.build().unwrap()] })
        });
        RaftEntry { log_id: log_id(1, index), payload }
    }

    #[test]
    fn what_is_applied_follows_from_the_end_of_the_projected_log() {
        let log =
            [entry(0, None), entry(1, None), entry(2, Some((0, 1))), entry(3, None), entry(4, Some((1, 5)))];
        for (end, applied) in [(0, None), (1, Some(2)), (3, Some(2)), (5, Some(4))] {
            let progress = Progress::derive(None, log.iter(), Offset(end));
            assert_eq!(progress.applied().map(|id| id.index), applied, "projected up to {end}");
        }
        let mut progress = Progress::derive(None, log.iter(), Offset(5));
        assert_eq!(progress.entry_below(Offset(4)), Some((Offset(1), log_id(1, 2))));
        let purged = progress.purge(log_id(1, 3));
        assert_eq!((purged.last, purged.end), (log_id(1, 3), Offset(1)));
        let later = Progress::derive(Some(&purged), log[4..].iter(), Offset(1));
        assert_eq!(later.applied(), Some(log_id(1, 3)));
        assert_eq!(progress.entry_below(Offset(5)), Some((Offset(5), log_id(1, 4))));
    }
}
