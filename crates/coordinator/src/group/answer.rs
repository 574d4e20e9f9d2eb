//! What the group coordinator answers. The shapes are those of the responses, so that a handler only copies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::id::{Generation, PartitionIndex, TopicId, TopicName};

use super::error::GroupError;
use super::event::CommittedOffset;
use super::name::{GroupId, InstanceId, MemberId};

/// The answer to a [`super::GroupCommand`], of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupAnswer {
    /// To a join.
    Join(JoinAnswer),
    /// To a sync.
    Sync(Result<SyncedGroup, GroupError>),
    /// To a heartbeat.
    Heartbeat(Result<(), GroupError>),
    /// To a leave. Before version 3 the error of the only member is the error of the response.
    Leave(Result<Vec<LeftMember>, GroupError>),
    /// To a heartbeat of the consumer protocol.
    ConsumerHeartbeat(Result<HeartbeatAnswer, GroupError>),
    /// To the description of a consumer group.
    DescribeConsumerGroup(Result<DescribedConsumerGroup, GroupError>),
    /// To a commit of offsets: every partition of the command.
    CommitOffsets(Vec<TopicOutcomes>),
    /// To the end of a transaction: its offsets count now, or never did.
    TransactionEnded,
    /// To a fetch of offsets.
    FetchOffsets(Result<FetchedOffsets, GroupError>),
    /// To a deletion of offsets: every partition of the command, or one error for all.
    DeleteOffsets(Result<Vec<TopicOutcomes>, GroupError>),
    /// To the deletion of a group.
    DeleteGroup(Result<(), GroupError>),
    /// To the description of a group. A group that is not found is `Dead` to clients before version 6.
    DescribeGroup(Result<DescribedGroup, GroupError>),
    /// To a listing.
    ListGroups(Vec<ListedGroup>),
    /// To the news that topics were deleted.
    TopicsDeleted,
}

/// JoinGroup's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The member's id; with [`GroupError::MemberIdRequired`], the id to join with.
    pub member: MemberId,
    /// The generation, or why there is none for this member.
    pub outcome: Result<JoinedGroup, GroupError>,
}

/// The generation that a member has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedGroup {
    /// Its number.
    pub generation: Generation,
    /// The kind of protocol.
    pub protocol_type: Option<Arc<str>>,
    /// The selected protocol.
    pub protocol: Option<Arc<str>>,
    /// The member that leads the generation.
    pub leader: MemberId,
    /// The leader must not assign again, only watch (KIP-814).
    pub skip_assignment: bool,
    /// For the leader, all members; for others empty.
    pub members: Vec<JoinedMember>,
}

/// A member, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member: MemberId,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// What it says about the selected protocol.
    pub metadata: Bytes,
}

/// What a member has to do in this generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedGroup {
    /// The kind of protocol.
    pub protocol_type: Option<Arc<str>>,
    /// The selected protocol.
    pub protocol: Option<Arc<str>>,
    /// The leader's words; empty when the leader had none for this member.
    pub assignment: Bytes,
}

/// How one member's leave went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// The id that the command named.
    pub member: MemberId,
    /// The instance id that the command named.
    pub instance: Option<InstanceId>,
    /// How it went.
    pub outcome: Result<(), GroupError>,
}

/// What a member of a consumer group is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatAnswer {
    /// Its id.
    pub member: MemberId,
    /// Its epoch now.
    pub epoch: Generation,
    /// When it is to send the next heartbeat.
    pub interval: Duration,
    /// What it has, when that is news to it.
    pub assignment: Option<Vec<(TopicId, Vec<PartitionIndex>)>>,
}

/// A consumer group in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// The group.
    pub group: GroupId,
    /// Its state, as Kafka names it: `Reconciling`.
    pub state: &'static str,
    /// The group epoch.
    pub epoch: Generation,
    /// The epoch of the target.
    pub target_epoch: Generation,
    /// The assignor that most members ask for, or the default one.
    pub assignor: Arc<str>,
    /// The members.
    pub members: Vec<DescribedConsumer>,
}

/// A member of a consumer group in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// Its id.
    pub member: MemberId,
    /// Its epoch.
    pub epoch: Generation,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// Where it runs.
    pub rack: Option<Arc<str>>,
    /// The client id of its connection.
    pub client_id: Arc<str>,
    /// The address of its client.
    pub client_host: Arc<str>,
    /// The topics it subscribes to by name.
    pub topics: Vec<Arc<str>>,
    /// The regular expression it subscribes to; empty is none.
    pub regex: Arc<str>,
    /// What it has, with what it has yet to give up.
    pub assigned: Vec<NamedPartitions>,
    /// What it is to have.
    pub target: Vec<NamedPartitions>,
    /// It speaks the classic protocol.
    pub is_classic: bool,
}

/// Partitions of a topic that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPartitions {
    /// The topic.
    pub name: TopicName,
    /// Its identity.
    pub id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// How something went for each partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicOutcomes {
    /// The topic.
    pub name: TopicName,
    /// Its identity, when the command named it so; else zero.
    pub id: TopicId,
    /// The partitions, in the command's order.
    pub partitions: Vec<(PartitionIndex, Result<(), GroupError>)>,
}

/// Offsets of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    /// The group.
    pub group: GroupId,
    /// The topics, in the command's order.
    pub topics: Vec<FetchedTopic>,
}

/// Offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic.
    pub name: TopicName,
    /// Its identity, when the command named it so; when all were asked for, the one that was committed; else zero.
    pub id: TopicId,
    /// The partitions. No offset is −1 with empty metadata on the wire.
    pub partitions: Vec<(PartitionIndex, Result<Option<CommittedOffset>, GroupError>)>,
}

/// A group in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// The group.
    pub group: GroupId,
    /// Its state, as Kafka names it: `Stable`.
    pub state: &'static str,
    /// The kind of protocol; empty when there is none.
    pub protocol_type: Arc<str>,
    /// The selected protocol; empty unless the group is stable.
    pub protocol: Arc<str>,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member: MemberId,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// The client id of its connection.
    pub client_id: Arc<str>,
    /// The address of its client.
    pub client_host: Arc<str>,
    /// What it says about the selected protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// A group in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group: GroupId,
    /// The kind of protocol; empty when there is none.
    pub protocol_type: Arc<str>,
    /// Its state, as Kafka names it.
    pub state: &'static str,
    /// Its type, as Kafka names it: `classic` or `consumer`.
    pub group_type: &'static str,
    /// How many offsets it has committed.
    pub offsets: usize,
}
