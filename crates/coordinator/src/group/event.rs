//! What happens to groups.
//!
//! Five events are records of `__consumer_offsets`, and most of what happens to a consumer group, which has events of its
//! own. Everything else is a [`Change`] of one classic group that only its leader
//! needs to know: who has joined the coming generation, who has synced, who was heard of. A failover forgets those, and
//! the members find out and join again, as with Kafka.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vltava_core::clock::Moment;
use vltava_core::id::{
    Generation, LeaderEpoch, Offset, PartitionIndex, ProducerId, Timestamp, TopicId, TopicName,
};
use vltava_core::machine::TransactionEnd;

use super::classic::Member;
use super::command::Protocol;
use super::consumer::ConsumerEvent;
use super::name::{GroupId, InstanceId, MemberId};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupEvent {
    /// A generation of a classic group was stored (`GroupMetadata`).
    GroupStored {
        /// The group.
        group: GroupId,
        /// Its state.
        stored: Arc<StoredGroup>,
    },
    /// A classic group was deleted (the tombstone of `GroupMetadata`). Its offsets have tombstones of their own.
    GroupForgotten {
        /// The group.
        group: GroupId,
    },
    /// An offset was committed (`OffsetCommit`); within a transaction it counts once the transaction does.
    OffsetCommitted {
        /// Whose offset.
        key: OffsetKey,
        /// The offset.
        offset: CommittedOffset,
    },
    /// An offset was deleted, and what open transactions would commit for the same partition (the tombstone of
    /// `OffsetCommit`).
    OffsetForgotten {
        /// Whose offset.
        key: OffsetKey,
    },
    /// A transaction has ended.
    TransactionEnded(TransactionEnd),
    /// Something of a group of the consumer protocol.
    Consumer {
        /// The group.
        group: GroupId,
        /// What.
        event: ConsumerEvent,
    },
    /// So many of the offsets that are forgotten after this had expired. Not logged, and changes nothing: for the figures.
    OffsetsExpired(usize),
    /// Something of a classic group that is not logged.
    Volatile {
        /// The group.
        group: GroupId,
        /// What.
        change: Change,
    },
}

impl GroupEvent {
    /// Whether it is a record of the log.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        match self {
            GroupEvent::Consumer { event, .. } => event.is_logged(),
            GroupEvent::OffsetsExpired(_) | GroupEvent::Volatile { .. } => false,
            _ => true,
        }
    }
}

/// A change of a classic group that only its leader knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A member id was handed out, with which a member is expected to join.
    PendingAdded(MemberId),
    /// A new member has joined, and awaits the generation.
    MemberAdded {
        /// The member.
        member: Arc<Member>,
        /// The kind of protocol, which becomes the group's when this is the only member.
        protocol_type: Arc<str>,
    },
    /// A known member has joined again, and awaits the generation.
    MemberRejoined {
        /// The member.
        member: MemberId,
        /// The protocols it supports now.
        protocols: Arc<[Protocol]>,
        /// Its session timeout now.
        session_timeout: Duration,
        /// Its rebalance timeout now.
        rebalance_timeout: Duration,
    },
    /// All protocols of a member are known, not only the selected one that is stored.
    ProtocolsKnown {
        /// The member.
        member: MemberId,
        /// The protocols it supports.
        protocols: Arc<[Protocol]>,
    },
    /// A static member has come back under a new id.
    StaticReplaced {
        /// Its instance id.
        instance: InstanceId,
        /// Its former id.
        old: MemberId,
        /// Its id now.
        new: MemberId,
        /// When it must have been heard of.
        deadline: Moment,
    },
    /// Members, or ids that were handed out, are gone.
    MembersRemoved(Vec<MemberId>),
    /// Another member leads.
    LeaderElected(MemberId),
    /// A member was told about the current generation without a rebalance.
    JoinAnswered(MemberId),
    /// The group waits for its members to join. Who awaited an assignment was told to join again.
    RebalancePrepared {
        /// Wall-clock time.
        at: Timestamp,
        /// Monotonic time, from which sessions count anew.
        now: Moment,
    },
    /// The wait of a formerly empty group was extended once more.
    InitialDelayExtended,
    /// A new generation has started: every member was told, and is expected to sync.
    GenerationStarted {
        /// The selected protocol.
        protocol: Arc<str>,
        /// Wall-clock time.
        at: Timestamp,
        /// Monotonic time, from which sessions count anew.
        now: Moment,
    },
    /// A member has synced and awaits its assignment.
    SyncAwaited(MemberId),
    /// A member has synced and has its assignment.
    SyncReceived(MemberId),
    /// Everybody who awaited an assignment has it. Their sessions count anew.
    SyncsAnswered(Moment),
    /// A member was heard of.
    Heard {
        /// The member.
        member: MemberId,
        /// When it must have been heard of next.
        deadline: Moment,
    },
}

/// What `GroupMetadata` holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredGroup {
    /// The kind of protocol; none before the first member has joined.
    pub protocol_type: Option<Arc<str>>,
    /// The generation.
    pub generation: Generation,
    /// The selected protocol; none in an empty group.
    pub protocol: Option<Arc<str>>,
    /// The leader; none in an empty group.
    pub leader: Option<MemberId>,
    /// When the group last changed its state, from which the offsets of an empty group expire; none in records of old.
    pub state_timestamp: Option<Timestamp>,
    /// The members.
    pub members: Vec<StoredMember>,
}

/// A member in `GroupMetadata`.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMember {
    /// Its id.
    pub id: MemberId,
    /// Its instance id.
    pub instance: Option<InstanceId>,
    /// The client id of its connection.
    pub client_id: Arc<str>,
    /// The address of its client.
    pub client_host: Arc<str>,
    /// Its rebalance timeout.
    pub rebalance_timeout: Duration,
    /// Its session timeout.
    pub session_timeout: Duration,
    /// What it says about the selected protocol.
    pub subscription: Bytes,
    /// Its assignment.
    pub assignment: Bytes,
}

/// Whose offset of what: the key of an `OffsetCommit` record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetKey {
    /// The group.
    pub group: GroupId,
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
}

/// A committed offset: the value of an `OffsetCommit` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to consume.
    pub offset: Offset,
    /// The leader epoch of the last record consumed; −1 is unknown.
    pub leader_epoch: LeaderEpoch,
    /// A note of the client.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub commit_timestamp: Timestamp,
    /// When it expires, if the client has asked for a time (OffsetCommit 2 to 4). The only record format that holds it
    /// has neither leader epoch nor topic id, so those are then −1 and zero.
    pub expire_timestamp: Option<Timestamp>,
    /// The identity of the topic; zero is unknown.
    pub topic_id: TopicId,
}

/// Names a timer or a parked answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GroupKey {
    /// A member awaits the next generation.
    Join {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A member awaits its assignment.
    Sync {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// The session of a member, or of an id that was handed out.
    Session {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// The time that a member of a consumer group has to give up partitions.
    Revoke {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// The time that a member of the classic protocol has to join a consumer group again.
    ClassicJoin {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// The time that a member of the classic protocol has to sync with a consumer group.
    ClassicSync {
        /// Its group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// The regular expressions of a consumer group are to be resolved.
    Regexes(GroupId),
    /// The time that members have to join again.
    Rebalance(GroupId),
    /// The time that members have to sync.
    PendingSync(GroupId),
    /// The search for expired offsets.
    Expiry,
    /// The rest of the offsets of deleted topics.
    TopicsDeleted(Vec<TopicId>),
}

/// An offset within an open transaction, for those who look at a machine from outside.
pub type PendingOffset = (ProducerId, OffsetKey, CommittedOffset);
