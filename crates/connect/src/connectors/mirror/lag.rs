//! Which offset syncs are sent, and when.
//!
//! A sync is due at once when translated offsets would lag too far behind (`offset.lag.max`), when records of the source were
//! left out, when the target begins again, and for the first record of a task. Others wait until positions are stored; only
//! the last one of each partition does.

use std::collections::BTreeMap;

use super::formats::OffsetSync;
use crate::connector::TopicPartition;

/// How far each partition is copied, and what is to be sent of it.
#[derive(Debug)]
pub(super) struct Lag {
    max: i64,
    partitions: BTreeMap<TopicPartition, Progress>,
    /// Whether a sync of any partition is due.
    due: bool,
}

/// How far a partition is copied: offsets of the last record and of its copy.
#[derive(Debug)]
struct Progress {
    upstream: i64,
    downstream: i64,
    /// Where the copy of the last sync that was due by itself lies.
    synced: i64,
    /// What is sent next.
    due: Option<(i64, i64)>,
    /// The last record is sent when positions are stored.
    waits: bool,
}

impl Lag {
    /// With `offset.lag.max`.
    pub(super) fn new(max: i64) -> Self {
        Self { max, partitions: BTreeMap::new(), due: false }
    }

    /// A record was copied.
    pub(super) fn copied(&mut self, OffsetSync { place, upstream, downstream }: OffsetSync) {
        let due = Some((upstream, downstream));
        let Some(progress) = self.partitions.get_mut(&place) else {
            let first = Progress { upstream, downstream, synced: downstream, due, waits: false };
            self.partitions.insert(place, first);
            self.due = true;
            return;
        };
        // An offset is translated to one behind its sync.
        let lags = downstream - (progress.synced + 1) >= self.max
            || upstream - progress.upstream != 1
            || downstream < progress.downstream;
        (progress.upstream, progress.downstream, progress.waits) = (upstream, downstream, !lags);
        if lags {
            (progress.synced, progress.due) = (downstream, due);
            self.due = true;
        }
    }

    /// Positions were stored: what waits is due.
    pub(super) fn stored(&mut self) {
        for progress in self.partitions.values_mut().filter(|progress| progress.waits) {
            (progress.due, progress.waits) = (Some((progress.upstream, progress.downstream)), false);
            self.due = true;
        }
    }

    /// What is due, once.
    pub(super) fn take(&mut self) -> Vec<OffsetSync> {
        if !std::mem::take(&mut self.due) {
            return Vec::new();
        }
        let due = self.partitions.iter_mut().filter_map(|(place, progress)| {
            let (upstream, downstream) = progress.due.take()?;
            Some(OffsetSync { place: place.clone(), upstream, downstream })
        });
        due.collect()
    }
}
