//! Uniform assignment where members subscribe to different topics.
//!
//! First everybody keeps what it had and still wants. Then what is nobody's goes, topic by topic, to the subscriber that
//! has least; the topics with most partitions for each subscriber come first, for they decide most. Last, partitions move
//! from the subscriber that has most to the one that has least, as long as that evens them out. Subscriptions that
//! overlap can make the last step repeat itself, so its rounds are bounded.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use vltava_core::id::TopicId;

use super::{Assignment, GroupAssignment, GroupSpec, place, put};

/// How often all topics are looked at in the last step. Each round about halves what is uneven.
const ROUNDS_MAX: usize = 16;

pub(super) fn assign(group: &GroupSpec<'_>) -> GroupAssignment {
    let mut plan = Plan::new(group);
    plan.keep(group);
    plan.fill();
    plan.balance();
    plan.assignments(group)
}

/// Members by their number in the group.
struct Plan {
    /// How many partitions each member has.
    loads: Vec<usize>,
    /// The topics, in the order they are dealt with.
    topics: Vec<TopicPlan>,
}

struct TopicPlan {
    id: TopicId,
    subscribers: Vec<usize>,
    owners: Vec<Option<usize>>,
}

impl Plan {
    fn new(group: &GroupSpec<'_>) -> Plan {
        let mut subscribers: HashMap<TopicId, Vec<usize>> = HashMap::new();
        for (number, member) in group.members.iter().enumerate() {
            for topic in &*member.topics {
                subscribers.entry(*topic).or_default().push(number);
            }
        }
        let mut topics: Vec<TopicPlan> = subscribers
            .into_iter()
            .map(|(id, subscribers)| TopicPlan {
                id,
                subscribers,
                owners: vec![None; group.partition_count(id)],
            })
            .collect();
        // Fractions are compared crosswise.
        topics.sort_by(|one, other| {
            let (ours, theirs) =
                (one.owners.len() * other.subscribers.len(), other.owners.len() * one.subscribers.len());
            let order = theirs.cmp(&ours);
            order.then(one.subscribers.len().cmp(&other.subscribers.len())).then(one.id.cmp(&other.id))
        });
        Plan { loads: vec![0; group.members.len()], topics }
    }

    fn keep(&mut self, group: &GroupSpec<'_>) {
        for topic in &mut self.topics {
            for number in &topic.subscribers {
                let member = group.members.get(*number);
                let Some(had) = member.and_then(|member| member.assigned.get(&topic.id)) else { continue };
                for partition in had {
                    let Some(owner) = topic.owners.get_mut(place(*partition)) else { continue };
                    if owner.is_none() {
                        *owner = Some(*number);
                        add(&mut self.loads, *number);
                    }
                }
            }
        }
    }

    fn fill(&mut self) {
        for topic in &mut self.topics {
            let mut order = ordered(&topic.subscribers, &self.loads);
            for owner in topic.owners.iter_mut().filter(|owner| owner.is_none()) {
                let Some((load, least)) = order.pop_first() else { break };
                *owner = Some(least);
                add(&mut self.loads, least);
                order.insert((load + 1, least));
            }
        }
    }

    fn balance(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let moved: usize = self.topics.iter_mut().map(|topic| topic.balance(&mut self.loads)).sum();
            if moved == 0 {
                return;
            }
        }
    }

    fn assignments(&self, group: &GroupSpec<'_>) -> GroupAssignment {
        let mut assignments = vec![Assignment::new(); group.members.len()];
        for topic in &self.topics {
            for (partition, owner) in topic.owners.iter().enumerate() {
                if let Some(assignment) = owner.and_then(|owner| assignments.get_mut(owner)) {
                    put(assignment, topic.id, partition);
                }
            }
        }
        let shared = |(member, assignment): (&super::MemberSpec, Assignment)| {
            let same = *member.assigned == assignment;
            (member.id.clone(), if same { member.assigned.clone() } else { Arc::new(assignment) })
        };
        group.members.iter().zip(assignments).map(shared).collect()
    }
}

impl TopicPlan {
    /// Moves partitions from who has most to who has least; how many.
    fn balance(&mut self, loads: &mut [usize]) -> usize {
        let mut owned: HashMap<usize, Vec<usize>> = HashMap::new();
        for (partition, owner) in self.owners.iter().enumerate() {
            if let Some(owner) = owner {
                owned.entry(*owner).or_default().push(partition);
            }
        }
        let mut order = ordered(&self.subscribers, loads);
        // Those that have a partition of this topic to give, the one with most first.
        let mut givers: BTreeSet<Reverse<(usize, usize)>> = order
            .iter()
            .filter(|(_, member)| owned.contains_key(member))
            .map(|entry| Reverse(*entry))
            .collect();
        let mut moved = 0;
        while let (Some(Reverse((most, giver))), Some((least, taker))) =
            (givers.pop_first(), order.first().copied())
        {
            if most <= least + 1 {
                break;
            }
            let Some(partition) = owned.get_mut(&giver).and_then(Vec::pop) else { continue };
            if let Some(owner) = self.owners.get_mut(partition) {
                *owner = Some(taker);
            }
            subtract(loads, giver);
            add(loads, taker);
            order.remove(&(least, taker));
            order.remove(&(most, giver));
            order.insert((least + 1, taker));
            order.insert((most - 1, giver));
            givers.insert(Reverse((most - 1, giver)));
            moved += 1;
        }
        moved
    }
}

/// Members with what they have, the one with least first.
fn ordered(members: &[usize], loads: &[usize]) -> BTreeSet<(usize, usize)> {
    members.iter().map(|member| (loads.get(*member).copied().unwrap_or_default(), *member)).collect()
}

fn add(loads: &mut [usize], member: usize) {
    if let Some(load) = loads.get_mut(member) {
        *load += 1;
    }
}

fn subtract(loads: &mut [usize], member: usize) {
    if let Some(load) = loads.get_mut(member) {
        *load = load.saturating_sub(1);
    }
}
