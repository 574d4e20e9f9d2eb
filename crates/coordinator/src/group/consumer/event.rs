//! What happens to consumer groups: one event for each kind of record, and what only the leader needs to know.

use std::collections::BTreeSet;
use std::sync::Arc;

use vltava_core::clock::Moment;
use vltava_core::id::{Generation, Offset, Timestamp};

use super::member::{Current, MemberMetadata, ResolvedRegex};
use crate::assignor::Assignment;
use crate::group::name::MemberId;

/// The topics whose hash goes with the group epoch, and the offset of the cluster's image in which they were looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedTopics {
    /// Their names, those among them that do not exist.
    pub names: Arc<BTreeSet<Arc<str>>>,
    /// The offset.
    pub at: Offset,
}

/// Something that has happened to a consumer group.
#[derive(Clone, Debug, PartialEq)]
pub enum ConsumerEvent {
    /// The group has a new epoch (`ConsumerGroupMetadata`).
    EpochStored {
        /// The epoch.
        epoch: Generation,
        /// The hash of the subscribed topics, as Kafka computes it.
        metadata_hash: i64,
    },
    /// The group is deleted (the tombstone of `ConsumerGroupMetadata`).
    EpochForgotten,
    /// Metadata of topics, as brokers before 4.1 wrote it (`ConsumerGroupPartitionMetadata`).
    TopicsStored,
    /// It is not needed any more (its tombstone).
    TopicsForgotten,
    /// A member says something new of itself (`ConsumerGroupMemberMetadata`).
    MemberStored {
        /// The member.
        member: MemberId,
        /// What.
        metadata: Arc<MemberMetadata>,
    },
    /// A member is gone (its tombstone).
    MemberForgotten(MemberId),
    /// The target of this epoch is complete (`ConsumerGroupTargetAssignmentMetadata`).
    TargetStored {
        /// The epoch.
        epoch: Generation,
        /// When it was computed; none in records of old.
        at: Option<Timestamp>,
    },
    /// There is no target (its tombstone).
    TargetForgotten,
    /// What a member is to have (`ConsumerGroupTargetAssignmentMember`).
    MemberTargetStored {
        /// The member.
        member: MemberId,
        /// What.
        target: Arc<Assignment>,
    },
    /// A member is to have nothing any more (its tombstone).
    MemberTargetForgotten(MemberId),
    /// Where a member is and what it has (`ConsumerGroupCurrentMemberAssignment`).
    CurrentStored {
        /// The member.
        member: MemberId,
        /// What.
        current: Current,
    },
    /// A member has nothing any more (its tombstone).
    CurrentForgotten(MemberId),
    /// The topics of a regular expression (`ConsumerGroupRegularExpression`).
    RegexStored {
        /// The regular expression.
        regex: Arc<str>,
        /// Its topics.
        resolved: ResolvedRegex,
    },
    /// Nobody subscribes to a regular expression any more (its tombstone).
    RegexForgotten(Arc<str>),
    /// A member was heard of. Not logged.
    Heard {
        /// The member.
        member: MemberId,
        /// When it must have been heard of next.
        deadline: Moment,
    },
    /// The subscribed topics were compared with the cluster's image. Not logged.
    MetadataChecked(CheckedTopics),
    /// Regular expressions are being resolved, or must be asked for again at this moment. Not logged.
    RegexesAwaited(Moment),
    /// Regular expressions were resolved and found as they were. Not logged.
    RegexesChecked {
        /// When.
        at: Timestamp,
        /// The offset of the cluster's image.
        version: Offset,
    },
    /// A member of the classic protocol was told to join again. Not logged.
    JoinAwaited(MemberId),
    /// It has. Not logged.
    Joined(MemberId),
}

impl ConsumerEvent {
    /// Whether it is a record of the log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        !matches!(
            self,
            ConsumerEvent::Heard { .. }
                | ConsumerEvent::MetadataChecked(_)
                | ConsumerEvent::RegexesAwaited(_)
                | ConsumerEvent::RegexesChecked { .. }
                | ConsumerEvent::JoinAwaited(_)
                | ConsumerEvent::Joined(_)
        )
    }
}
