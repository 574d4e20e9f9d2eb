//! What the group coordinator is asked: the requests of clients in the words of the domain, and the timers it has set.
//!
//! A handler of the broker translates one wire request into one command, or into one for each group that the request
//! names. What differs between API versions arrives here as a named capability.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{
    Generation, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId, TopicName,
};
use vltava_core::machine::TransactionEnd;
use vltava_core::replicated::{MarkerEpoch, Verification};

use super::consumer::MemberWait;
use super::name::{GroupId, InstanceId, MemberId};

/// A command to the coordinator of the groups of one partition of `__consumer_offsets`.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupCommand {
    /// JoinGroup. Parked until the next generation starts.
    Join(Join),
    /// SyncGroup. Parked until the leader has handed out the assignments.
    Sync(Sync),
    /// Heartbeat. Answered at once.
    Heartbeat(Heartbeat),
    /// LeaveGroup.
    Leave(Leave),
    /// ConsumerGroupHeartbeat: a member of a consumer group joins, lives, moves on or leaves.
    ConsumerHeartbeat(Box<ConsumerHeartbeat>),
    /// ConsumerGroupDescribe, for one group.
    DescribeConsumerGroup(GroupId),
    /// OffsetCommit.
    CommitOffsets(CommitOffsets),
    /// TxnOffsetCommit.
    CommitInTransaction(CommitInTransaction),
    /// WriteTxnMarkers, for one transaction.
    EndTransaction(EndTransaction),
    /// OffsetFetch, for one group.
    FetchOffsets(FetchOffsets),
    /// OffsetDelete.
    DeleteOffsets(DeleteOffsets),
    /// DeleteGroups, for one group.
    DeleteGroup(GroupId),
    /// DescribeGroups, for one group.
    DescribeGroup(GroupId),
    /// ListGroups, for the groups of this partition.
    ListGroups(ListGroups),
    /// Topics were deleted: their offsets are forgotten.
    TopicsDeleted(Arc<[DeletedTopic]>),
    /// A timer that the coordinator has set has fired.
    TimerFired(GroupTimer),
}

/// What a timer of the coordinator means.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupTimer {
    /// A member was not heard of in time.
    Session {
        /// The member's group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A group that was empty has waited for more members.
    InitialDelay {
        /// The group.
        group: GroupId,
        /// How long this wait was.
        delay: Duration,
        /// How much longer it may wait.
        remaining: Duration,
    },
    /// The members of a rebalancing group had time to join again.
    Rebalance(GroupId),
    /// The members of a generation had time to sync.
    PendingSync {
        /// The group.
        group: GroupId,
        /// The generation that the wait was for.
        generation: Generation,
    },
    /// A member of a consumer group had time for something.
    Member {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// For what.
        wait: MemberWait,
    },
    /// The regular expressions of a consumer group are to be resolved.
    ResolveRegexes {
        /// The group.
        group: GroupId,
        /// Which topics whoever caused it may see.
        visible: TopicFilter,
    },
    /// It is time to look for expired offsets.
    Expiry,
}

/// JoinGroup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Join {
    /// The group to join.
    pub group: GroupId,
    /// The member's id; empty when it has none.
    pub member: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// The client id of the connection, which begins a new member id.
    pub client_id: Arc<str>,
    /// The address of the client, as Kafka shows it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// How long the member may go without a heartbeat.
    pub session_timeout: Duration,
    /// How long the member takes at most to join again in a rebalance; none (version 0) is the session timeout.
    pub rebalance_timeout: Option<Duration>,
    /// The kind of protocol, such as `consumer`.
    pub protocol_type: Arc<str>,
    /// The protocols that the member supports, the preferred one first.
    pub protocols: Arc<[Protocol]>,
    /// Capability: the client handles MEMBER_ID_REQUIRED (version 4, KIP-394).
    pub takes_member_id: bool,
    /// Capability: the client knows `SkipAssignment` (version 9, KIP-814).
    pub skips_assignment: bool,
}

/// A protocol that a member supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name: for consumers, the name of an assignor.
    pub name: Arc<str>,
    /// What the member says to the leader; for consumers, its subscription. It outlives the request, so it should be a
    /// copy that keeps no frame in memory.
    pub metadata: Bytes,
}

/// SyncGroup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sync {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// The generation that the member has joined.
    pub generation: Generation,
    /// The protocol type that the member believes in (version 5).
    pub protocol_type: Option<Arc<str>>,
    /// The protocol that the member believes was selected (version 5).
    pub protocol: Option<Arc<str>>,
    /// The leader's assignments; others send none.
    pub assignments: Vec<(MemberId, Bytes)>,
}

/// Heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group: GroupId,
    /// The member.
    pub member: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// The generation that the member has joined.
    pub generation: Generation,
}

/// LeaveGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    /// The group.
    pub group: GroupId,
    /// Who leaves. Before version 3 it is exactly one.
    pub members: Vec<MemberIdentity>,
}

/// Who is meant: a member by its id, by its instance id alone (an administrator removes a static member), or by both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberIdentity {
    /// The member's id, or empty.
    pub member: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
}

/// TxnOffsetCommit.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitInTransaction {
    /// The offsets, and who commits them. The first versions name no member.
    pub offsets: CommitOffsets,
    /// Whose transaction.
    pub producer: ProducerId,
    /// In which epoch.
    pub epoch: ProducerEpoch,
    /// What shows that the transaction may be opened in this partition of `__consumer_offsets`.
    pub verification: Verification,
    /// The client knows STALE_MEMBER_EPOCH.
    pub knows_stale_epoch: bool,
}

/// WriteTxnMarkers, for one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransaction {
    /// Which transaction, and how it ends.
    pub end: TransactionEnd,
    /// Which epoch the marker must have.
    pub marker_epoch: MarkerEpoch,
}

/// ConsumerGroupHeartbeat. What a member leaves out has not changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: GroupId,
    /// The member's id; empty when it is to be made up.
    pub member: MemberId,
    /// The member's epoch: 0 to join, −1 to leave, −2 to leave as a static member that may come back.
    pub epoch: Generation,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// How long it takes at most to give up partitions.
    pub rebalance_timeout: Option<Duration>,
    /// The topics that it subscribes to by name.
    pub topics: Option<Arc<BTreeSet<Arc<str>>>>,
    /// The regular expression that it subscribes to; empty is none.
    pub regex: Option<Arc<str>>,
    /// The assignor that it asks for.
    pub assignor: Option<Arc<str>>,
    /// What it owns.
    pub owned: Option<Vec<(TopicId, Vec<PartitionIndex>)>>,
    /// The client id of the connection.
    pub client_id: Arc<str>,
    /// The address of the client, as Kafka shows it: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// Which topics a regular expression may match.
    pub visible: TopicFilter,
    /// Capability: members make their own ids (version 1, KIP-1082).
    pub makes_member_id: bool,
}

/// Which topics somebody may see. Any, unless somebody decides.
#[derive(Clone, Default)]
pub struct TopicFilter(Option<Arc<Admits>>);

type Admits = dyn Fn(&str) -> bool + Send + std::marker::Sync;

impl TopicFilter {
    /// Those of whose names this is true.
    pub fn new(admits: impl Fn(&str) -> bool + Send + std::marker::Sync + 'static) -> TopicFilter {
        TopicFilter(Some(Arc::new(admits)))
    }

    /// Whether the topic of this name may be seen.
    #[must_use]
    pub fn admits(&self, topic: &str) -> bool {
        self.0.as_ref().is_none_or(|admits| admits(topic))
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "any topic" } else { "some topics" })
    }
}

/// Two filters are equal when both admit all, or are the same one.
impl PartialEq for TopicFilter {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// OffsetCommit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommitOffsets {
    /// The group.
    pub group: GroupId,
    /// The member; empty for a consumer that manages its partitions itself, and for administrators.
    pub member: MemberId,
    /// The instance id of a static member.
    pub instance: Option<InstanceId>,
    /// The member's generation, or its epoch in a consumer group; −1 for a consumer that manages its partitions itself, and
    /// for administrators.
    pub generation: Generation,
    /// How long to keep the offsets, counted from now (versions 2 to 4); none is the broker's retention.
    pub retention: Option<Duration>,
    /// Capability: the client knows GROUP_ID_NOT_FOUND and member epochs (version 9). An older one is told
    /// ILLEGAL_GENERATION, and cannot be a member of the consumer protocol.
    pub knows_group_not_found: bool,
    /// The offsets.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of one topic to commit.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitTopic {
    /// The topic.
    pub name: TopicName,
    /// Its identity, when the client named it so (version 10); else zero.
    pub id: TopicId,
    /// The offsets.
    pub partitions: Vec<CommitPartition>,
}

/// An offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to consume.
    pub offset: Offset,
    /// The leader epoch of the last record consumed; −1 is unknown.
    pub leader_epoch: LeaderEpoch,
    /// A note of the client; none is the empty note.
    pub metadata: Option<Arc<str>>,
}

/// OffsetFetch, for one group. Classic groups ignore the member id and epoch that newer clients send; consumer groups check
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group.
    pub group: GroupId,
    /// The member id (version 9).
    pub member: Option<MemberId>,
    /// The member epoch (version 9); −1 is none.
    pub member_epoch: Generation,
    /// Of which partitions; none is all that have an offset.
    pub topics: Option<Vec<FetchTopic>>,
    /// Refuse offsets that an open transaction may yet change (KIP-447).
    pub require_stable: bool,
}

/// Partitions of one topic whose offsets are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchTopic {
    /// The topic.
    pub name: TopicName,
    /// Its identity, when the client named it so (version 10); else zero.
    pub id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// OffsetDelete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group: GroupId,
    /// The partitions whose offsets to forget.
    pub topics: Vec<(TopicName, Vec<PartitionIndex>)>,
}

/// ListGroups. Filters ignore case; an empty filter lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroups {
    /// Only groups in these states.
    pub states: Vec<String>,
    /// Only groups of these types.
    pub types: Vec<String>,
}

/// A topic that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its identity: the offsets of a later topic of the same name stay.
    pub id: TopicId,
}
