//! The `range` assignor: runs of partitions, the same of every topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use vltava_core::id::TopicId;

use super::{Assignment, Assignor, AssignorError, GroupAssignment, GroupSpec, MemberSpec, put};

/// Gives each subscriber of a topic a run of its partitions, so that topics with as many partitions and the same
/// subscribers go together: a join of them finds both sides of a key at one member.
///
/// Members take their turns by instance id, then by member id; so a static member keeps its place over restarts.
#[derive(Clone, Copy, Debug, Default)]
pub struct RangeAssignor;

impl RangeAssignor {
    /// Its name.
    pub const NAME: &'static str = "range";
}

impl Assignor for RangeAssignor {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn assign(&self, group: &GroupSpec<'_>) -> Result<GroupAssignment, AssignorError> {
        let mut members: Vec<&MemberSpec> = group.members.iter().collect();
        members.sort_by_key(|member| (member.instance.is_none(), member.instance.clone(), member.id.clone()));
        let mut topics: BTreeMap<TopicId, Runs> = BTreeMap::new();
        for topic in members.iter().flat_map(|member| &*member.topics) {
            topics.entry(*topic).or_default().subscribers += 1;
        }
        for (topic, runs) in &mut topics {
            runs.deal(group.partition_count(*topic));
        }
        let assign = |member: &MemberSpec| {
            let mut assignment = Assignment::new();
            for topic in &*member.topics {
                let run = topics.get_mut(topic).map(Runs::next).unwrap_or_default();
                run.for_each(|partition| put(&mut assignment, *topic, partition));
            }
            (member.id.clone(), Arc::new(assignment))
        };
        Ok(members.into_iter().map(assign).collect())
    }
}

/// The runs of one topic.
#[derive(Default)]
struct Runs {
    subscribers: usize,
    length: usize,
    /// How many runs are one longer.
    longer: usize,
    next: usize,
}

impl Runs {
    fn deal(&mut self, partitions: usize) {
        self.length = partitions / self.subscribers;
        self.longer = partitions % self.subscribers;
    }

    fn next(&mut self) -> std::ops::Range<usize> {
        let start = self.next;
        self.next += self.length + usize::from(self.longer > 0);
        self.longer = self.longer.saturating_sub(1);
        start..self.next
    }
}
