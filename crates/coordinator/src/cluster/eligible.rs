//! Who may lead without losing what is committed: the in-sync replicas, and those that left them while they were too few.
//!
//! Nothing is committed while fewer than `min.insync.replicas` are in sync. Whoever leaves the in-sync replicas then, or makes
//! them too few, still has everything that is committed: it is an *eligible leader* (KIP-966), as long as it does not come back
//! without what it had, and until enough are in sync again. Where eligible leaders are kept, the in-sync replicas may all be
//! gone; when there is no eligible leader either, the last leader that is known is believed first.

use vltava_core::id::BrokerId;
use vltava_core::image::Partition;

use super::event::PartitionChange;

/// The eligible leaders once these replicas are in sync, of which there should be `minimum`. `unclean` may have lost what it
/// had.
pub(super) fn now(
    partition: &Partition,
    isr: &[BrokerId],
    unclean: Option<BrokerId>,
    minimum: impl Fn() -> usize,
) -> Vec<BrokerId> {
    if isr.len() >= minimum().min(partition.replicas.len()) {
        return Vec::new();
    }
    let left = partition.isr.iter().filter(|id| !partition.eligible.contains(id));
    let candidates = partition.eligible.iter().chain(left).copied();
    candidates.filter(|id| !isr.contains(id) && Some(*id) != unclean).collect()
}

/// Who leads a partition, and who may.
pub(super) struct Place {
    pub(super) leader: BrokerId,
    pub(super) isr: Vec<BrokerId>,
    pub(super) eligible: Vec<BrokerId>,
    /// The leader may lack records, and has to recover.
    pub(super) recovering: bool,
}

impl Place {
    /// Whether a replica has everything that is committed. Eligible leaders are asked only when nobody is in sync.
    pub(super) fn is_safe(&self, id: BrokerId) -> bool {
        self.isr.contains(&id) || (self.isr.is_empty() && self.eligible.contains(&id))
    }

    /// Elects a leader, the first replica that may be: one that is safe, else the last one that is known, else any where that
    /// is allowed.
    pub(super) fn elect(
        &mut self,
        partition: &Partition,
        can_lead: impl Fn(BrokerId) -> bool,
        keeps_eligible: bool,
        unclean_allowed: impl Fn() -> bool,
    ) {
        let mut able = partition.replicas.iter().copied().filter(|id| can_lead(*id));
        let safe = able.clone().find(|id| self.is_safe(*id));
        let last_known = match partition.last_known_eligible.as_slice() {
            [only] if keeps_eligible && self.isr.is_empty() && self.eligible.is_empty() => Some(*only),
            _ => None,
        };
        let believed = || able.clone().find(|id| Some(*id) == last_known);
        let elected = safe.or_else(believed);
        let elected = elected.or_else(|| able.next().filter(|_| unclean_allowed()));
        self.leader = elected.unwrap_or(BrokerId::NONE);
        if let Some(elected) = elected.filter(|elected| !self.isr.contains(elected)) {
            self.recovering = !self.is_safe(elected);
            self.isr = vec![elected];
            self.eligible.retain(|id| safe.is_some() && *id != elected);
        }
    }

    /// What this changes of a partition.
    pub(super) fn changed(
        self,
        mut changed: PartitionChange,
        partition: &Partition,
        keeps_eligible: bool,
    ) -> PartitionChange {
        let last_known = if self.isr.is_empty() && !partition.isr.is_empty() {
            vec![partition.leader]
        } else if self.leader != BrokerId::NONE || !keeps_eligible {
            Vec::new()
        } else {
            partition.last_known_eligible.clone()
        };
        changed.leader = (self.leader != partition.leader).then_some(self.leader);
        changed.recovering = (self.recovering && !partition.recovering).then_some(true);
        changed.isr = (self.isr != partition.isr).then_some(self.isr);
        changed.eligible = (self.eligible != partition.eligible).then_some(self.eligible);
        changed.last_known_eligible = (last_known != partition.last_known_eligible).then_some(last_known);
        changed
    }
}
