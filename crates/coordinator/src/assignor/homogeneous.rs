//! Uniform assignment where all members subscribe to the same topics.
//!
//! Every member may have the same number of partitions, and the first so many one more. A member keeps what it had up to
//! that number; what is left over, or was nobody's, goes to those that have room. So a balanced group does not change,
//! and of an unbalanced one only the surplus moves.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use vltava_core::id::{PartitionIndex, TopicId};

use super::{Assignment, GroupAssignment, GroupSpec, MemberSpec, place, put};

pub(super) fn assign(group: &GroupSpec<'_>) -> GroupAssignment {
    let Some(first) = group.members.first() else { return GroupAssignment::new() };
    let mut free: HashMap<TopicId, Vec<bool>> =
        first.topics.iter().map(|topic| (*topic, vec![true; group.partition_count(*topic)])).collect();
    let total: usize = free.values().map(Vec::len).sum();
    let mut quotas = Quotas::new(total, group.members.len());
    let mut unfilled = Vec::new();
    let mut assignments = Vec::with_capacity(group.members.len());
    for (place, member) in group.members.iter().enumerate() {
        let room = quotas.largest();
        let (kept, count) = keep(member, room, &mut free);
        let room = quotas.settle(count);
        if room > 0 {
            unfilled.push((place, room));
        }
        assignments.push((member.id.clone(), kept));
    }
    let mut left = first.topics.iter().flat_map(|topic| {
        let free = free.get(topic).map(Vec::as_slice).unwrap_or_default();
        free.iter().enumerate().filter(|(_, free)| **free).map(|(partition, _)| (*topic, partition))
    });
    for (place, room) in unfilled {
        let Some((_, assignment)) = assignments.get_mut(place) else { continue };
        for (topic, partition) in left.by_ref().take(room) {
            put(Arc::make_mut(assignment), topic, partition);
        }
    }
    assignments.into_iter().collect()
}

/// What the member keeps of what it had, and how much that is. Shared with its old target when that is all of it, as it is
/// for most members whenever one comes or goes.
fn keep(
    member: &MemberSpec,
    room: usize,
    free: &mut HashMap<TopicId, Vec<bool>>,
) -> (Arc<Assignment>, usize) {
    let had: usize = member.assigned.values().map(BTreeSet::len).sum();
    let all_free = |(topic, partitions): (&TopicId, &BTreeSet<PartitionIndex>)| {
        let is_free = |free: &Vec<bool>| partitions.iter().all(|at| free.get(place(*at)) == Some(&true));
        free.get(topic).is_some_and(is_free)
    };
    let keeps_all = had <= room && member.assigned.iter().all(all_free);
    let mut kept = Assignment::new();
    let mut count = 0;
    for (topic, partitions) in &*member.assigned {
        let Some(free) = free.get_mut(topic) else { continue };
        for partition in partitions {
            let Some(free) = free.get_mut(place(*partition)).filter(|free| **free && count < room) else {
                continue;
            };
            *free = false;
            count += 1;
            if !keeps_all {
                kept.entry(*topic).or_default().insert(*partition);
            }
        }
    }
    (if keeps_all { member.assigned.clone() } else { Arc::new(kept) }, count)
}

/// How many partitions each member may have: all the same number, and some one more.
struct Quotas {
    least: usize,
    /// How many members still get one more.
    extra: usize,
    /// How many members have not had their turn.
    members: usize,
}

impl Quotas {
    fn new(partitions: usize, members: usize) -> Quotas {
        Quotas { least: partitions / members, extra: partitions % members, members }
    }

    /// The largest number that the next member may keep.
    fn largest(&self) -> usize {
        self.least + usize::from(self.extra > 0)
    }

    /// The next member has kept so many: how many more it is to get. A member that does not use its extra partition
    /// leaves it to one that may have it already, unless those that follow are just enough.
    fn settle(&mut self, kept: usize) -> usize {
        let takes = self.extra > 0 && (kept > self.least || self.members <= self.extra);
        self.extra -= usize::from(takes);
        self.members -= 1;
        (self.least + usize::from(takes)).saturating_sub(kept)
    }
}
