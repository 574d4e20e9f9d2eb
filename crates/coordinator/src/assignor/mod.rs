//! Who of a group gets which partitions, decided by the coordinator (KIP-848).
//!
//! An [`Assignor`] is asked with a [`GroupSpec`] — members, their subscriptions and what each had — and answers with a
//! [`GroupAssignment`]. It decides about the *target* only: that members first give up what others are to get is the
//! group's business. Two come with the coordinator, [`UniformAssignor`] and [`RangeAssignor`]; others are passed to the
//! broker's builder and are checked with `testing::assignor_suite`.

mod heterogeneous;
mod homogeneous;
mod range;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use vltava_core::id::{PartitionIndex, TopicId};
use vltava_core::image::Image;

use crate::group::name::{InstanceId, MemberId};

pub use range::RangeAssignor;
pub use uniform::UniformAssignor;

/// Partitions, by topic. No topic is there without a partition.
pub type Assignment = BTreeMap<TopicId, BTreeSet<PartitionIndex>>;

/// What each member is to have. A member that is not in it has nothing.
pub type GroupAssignment = BTreeMap<MemberId, Arc<Assignment>>;

/// Decides which member of a group gets which partitions.
///
/// The contract, which `testing::assignor_suite` checks: every partition of a subscribed topic goes to one member that
/// is subscribed to it and to no other; nobody gets a partition that does not exist; the same question has the same
/// answer. It must not block, for it runs where the group is decided upon.
pub trait Assignor: fmt::Debug + Send + Sync {
    /// The name by which members and `group.consumer.assignors` ask for it.
    fn name(&self) -> &str;

    /// The target of every member.
    ///
    /// # Errors
    /// [`AssignorError`] when there is none; the group then keeps the target it has.
    fn assign(&self, group: &GroupSpec<'_>) -> Result<GroupAssignment, AssignorError>;
}

/// An assignor found no assignment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no assignment was found: {0}")]
pub struct AssignorError(pub String);

/// A group that wants an assignment.
#[derive(Clone, Copy, Debug)]
pub struct GroupSpec<'a> {
    /// Its members, ordered by id.
    pub members: &'a [MemberSpec],
    /// The cluster, in which every subscribed topic exists.
    pub image: &'a Image,
}

/// A member that wants partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberSpec {
    /// Its id.
    pub id: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// The topics it is subscribed to; all of them exist.
    pub topics: Arc<BTreeSet<TopicId>>,
    /// The target it had.
    pub assigned: Arc<Assignment>,
}

impl GroupSpec<'_> {
    /// Whether all members are subscribed to the same topics.
    #[must_use]
    pub fn is_homogeneous(&self) -> bool {
        self.members.windows(2).all(|pair| match pair {
            [one, other] => Arc::ptr_eq(&one.topics, &other.topics) || one.topics == other.topics,
            _ => true,
        })
    }

    /// How many partitions a topic has; none when it does not exist.
    #[must_use]
    pub fn partition_count(&self, topic: TopicId) -> usize {
        self.image.topics.by_id(topic).map_or(0, |topic| topic.partitions.len())
    }

    /// The racks in which a partition has replicas.
    #[must_use]
    pub fn racks(&self, topic: TopicId, partition: PartitionIndex) -> BTreeSet<&str> {
        let replicas = self.image.topics.by_id(topic).and_then(|topic| topic.partition(partition));
        let replicas = replicas.map(|partition| &partition.replicas[..]).unwrap_or_default();
        replicas.iter().filter_map(|broker| self.image.brokers.get(broker)?.rack.as_deref()).collect()
    }
}

/// The assignors that a coordinator offers, the default one first.
#[derive(Clone)]
pub struct Assignors(Arc<[Arc<dyn Assignor>]>);

impl Assignors {
    /// Those of these names, in this order, out of the ones that come with the coordinator and `own`, which win. Kafka's
    /// class names stand for its assignors as well.
    ///
    /// # Errors
    /// The first name that nobody has, or an empty text when there is no name at all.
    pub fn named(names: &[String], own: &[Arc<dyn Assignor>]) -> Result<Assignors, String> {
        let builtin: [Arc<dyn Assignor>; 2] = [Arc::new(UniformAssignor), Arc::new(RangeAssignor)];
        let find = |name: &String| {
            let short = match name.as_str() {
                "org.apache.kafka.coordinator.group.assignor.UniformAssignor" => UniformAssignor::NAME,
                "org.apache.kafka.coordinator.group.assignor.RangeAssignor" => RangeAssignor::NAME,
                name => name,
            };
            own.iter().chain(&builtin).find(|assignor| assignor.name() == short).cloned().ok_or(name.clone())
        };
        let found = names.iter().map(find).collect::<Result<Arc<[_]>, _>>()?;
        if found.is_empty() { Err(String::new()) } else { Ok(Assignors(found)) }
    }

    /// The assignor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Assignor>> {
        self.0.iter().find(|assignor| assignor.name() == name)
    }

    /// The assignor of a group whose members ask for none.
    #[must_use]
    pub fn default_name(&self) -> &str {
        self.0.first().map_or(UniformAssignor::NAME, |assignor| assignor.name())
    }
}

impl Default for Assignors {
    fn default() -> Self {
        Assignors(Arc::new([Arc::new(UniformAssignor), Arc::new(RangeAssignor)]))
    }
}

impl fmt::Debug for Assignors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|assignor| assignor.name())).finish()
    }
}

/// Two are equal when they offer the same names in the same order.
impl PartialEq for Assignors {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|one| one.name()).eq(other.0.iter().map(|other| other.name()))
    }
}

impl Eq for Assignors {}

/// Adds a partition to an assignment.
fn put(assignment: &mut Assignment, topic: TopicId, partition: usize) {
    let partition = PartitionIndex(i32::try_from(partition).unwrap_or(i32::MAX));
    assignment.entry(topic).or_default().insert(partition);
}

/// The place of a partition in a list of all partitions of its topic; beyond any list when it cannot have one.
fn place(partition: PartitionIndex) -> usize {
    usize::try_from(partition.0).unwrap_or(usize::MAX)
}
