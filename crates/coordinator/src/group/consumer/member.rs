//! A member of a consumer group: what it says of itself, and which partitions it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::{Generation, PartitionIndex, TopicId};

use crate::group::command::Protocol;
use crate::group::name::InstanceId;

/// The epoch of a member that leaves.
pub const LEAVING: Generation = Generation(-1);

/// The epoch of a static member that has left and may come back.
pub const LEAVING_FOR_NOW: Generation = Generation(-2);

/// Partitions with the epoch in which each was assigned, by topic. No topic is there without a partition.
pub type Owned = BTreeMap<TopicId, BTreeMap<PartitionIndex, Generation>>;

/// What a member says of itself: `ConsumerGroupMemberMetadata`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberMetadata {
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// The client id of its connection.
    pub client_id: Arc<str>,
    /// The address of its client.
    pub client_host: Arc<str>,
    /// The topics it subscribes to by name.
    pub topics: Arc<BTreeSet<Arc<str>>>,
    /// The regular expression it subscribes to; empty is none.
    pub regex: Arc<str>,
    /// How long it takes at most to give up partitions; none is not known.
    pub rebalance_timeout: Option<Duration>,
    /// The assignor it asks for.
    pub assignor: Option<Arc<str>>,
    /// What else a member of the classic protocol says; none for a member of the consumer protocol.
    pub classic: Option<ClassicMetadata>,
}

/// What a member of the classic protocol says in a consumer group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassicMetadata {
    /// How long it may go without a heartbeat.
    pub session_timeout: Duration,
    /// The protocols it supports, the preferred one first.
    pub protocols: Arc<[Protocol]>,
}

impl MemberMetadata {
    /// Whether it speaks the classic protocol.
    #[must_use]
    pub fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// The regular expression it subscribes to.
    #[must_use]
    pub fn regex(&self) -> Option<&Arc<str>> {
        Some(&self.regex).filter(|regex| !regex.is_empty())
    }
}

/// How far a member is on its way to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it is to have in its epoch.
    #[default]
    Stable,
    /// It has yet to give up partitions.
    UnrevokedPartitions,
    /// It is to have partitions that others have yet to give up.
    UnreleasedPartitions,
    /// Another release has written a state that this one does not know.
    Unknown,
}

impl MemberState {
    /// Kafka's number.
    #[must_use]
    pub const fn id(self) -> i8 {
        match self {
            MemberState::Stable => 0,
            MemberState::UnrevokedPartitions => 1,
            MemberState::UnreleasedPartitions => 2,
            MemberState::Unknown => 127,
        }
    }

    /// The state of this number.
    #[must_use]
    pub const fn from_id(id: i8) -> MemberState {
        match id {
            0 => MemberState::Stable,
            1 => MemberState::UnrevokedPartitions,
            2 => MemberState::UnreleasedPartitions,
            _ => MemberState::Unknown,
        }
    }
}

/// Where a member is and what it has: `ConsumerGroupCurrentMemberAssignment`.
#[derive(Clone, Debug, PartialEq)]
pub struct Current {
    /// Its epoch.
    pub epoch: Generation,
    /// The epoch before. A member whose answer got lost still speaks of it.
    pub previous_epoch: Generation,
    /// How far it is.
    pub state: MemberState,
    /// What it has.
    pub assigned: Arc<Owned>,
    /// What it has to give up, and has until it says that it did.
    pub revoking: Arc<Owned>,
}

impl Default for Current {
    /// A member that has just joined.
    fn default() -> Self {
        Current {
            epoch: Generation(0),
            previous_epoch: Generation(-1),
            state: MemberState::Stable,
            assigned: Arc::default(),
            revoking: Arc::default(),
        }
    }
}

impl Current {
    /// Whether it has all of the target of this epoch.
    #[must_use]
    pub fn is_reconciled_to(&self, epoch: Generation) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// The epoch in which a partition was assigned to it, if it has it.
    #[must_use]
    pub fn assigned_in(&self, topic: TopicId, partition: PartitionIndex) -> Option<Generation> {
        let find = |owned: &Owned| owned.get(&topic)?.get(&partition).copied();
        find(&self.assigned).or_else(|| find(&self.revoking))
    }

    /// Every partition it has, those among them that it has to give up.
    pub fn partitions(&self) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        let both = self.assigned.iter().chain(&*self.revoking);
        both.flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
    }
}

/// Topics that a regular expression matches: `ConsumerGroupRegularExpression`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResolvedRegex {
    /// The topics.
    pub topics: Arc<BTreeSet<Arc<str>>>,
    /// The offset of the cluster's image in which they were looked for.
    pub version: i64,
    /// When that was, in milliseconds since 1970.
    pub timestamp: i64,
}
