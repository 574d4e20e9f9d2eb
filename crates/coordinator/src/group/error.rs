//! Why the group coordinator refuses, in the words of the domain.

use vltava_core::error::ErrorCode;

/// Why a command to a group was refused. Nothing has changed then, except where a variant says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The group id is empty where membership or deletion needs a name.
    #[error("the group id must not be empty")]
    InvalidGroupId,
    /// The session timeout is outside `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
    #[error(
        "the session timeout is outside the range that the broker allows; see group.min.session.timeout.ms"
    )]
    InvalidSessionTimeout,
    /// No such member, or no such group to be a member of.
    #[error("the group has no such member; join again without a member id")]
    UnknownMember,
    /// The member must join again with the id it is given by the answer (KIP-394).
    #[error("join again with the member id of this answer")]
    MemberIdRequired,
    /// The request speaks of another generation than the current one.
    #[error("the generation is not the current one; join again")]
    IllegalGeneration,
    /// The group is between two generations.
    #[error("the group is rebalancing; join again")]
    RebalanceInProgress,
    /// The member has no protocol in common with the others, or names another than the one selected.
    #[error("the member supports no protocol that all the other members support")]
    InconsistentProtocol,
    /// The group has `group.max.size` members.
    #[error("the group has reached group.max.size")]
    GroupMaxSize,
    /// Another process has joined under the same instance id since.
    #[error("another member has joined with the same group.instance.id")]
    FencedInstance,
    /// The member speaks of another epoch than its own: it must give up everything and join again.
    #[error("the member epoch is not the member's; give up all partitions and join again")]
    FencedMemberEpoch,
    /// A commit or a fetch of offsets speaks of another epoch than the member's.
    #[error("the member epoch is not the member's; retry with the newest one")]
    StaleMemberEpoch,
    /// A member with the same instance id has not left.
    #[error("another member with the same group.instance.id has not left")]
    UnreleasedInstance,
    /// The broker has no such assignor.
    #[error("the broker does not offer this assignor; see group.consumer.assignors")]
    UnsupportedAssignor,
    /// The regular expression cannot be read, or is too large.
    #[error("the regular expression is not valid, or too large")]
    InvalidRegularExpression,
    /// The request contradicts itself.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// A member of the consumer protocol has committed with a request that knows no member epochs.
    #[error("members of the consumer protocol must commit with version 9 or later")]
    UnsupportedVersion,
    /// The assignor has found no assignment.
    #[error("the assignor has found no assignment")]
    AssignmentFailed,
    /// There is no such group.
    #[error("the group does not exist, or is of another type")]
    GroupNotFound,
    /// The group still has members.
    #[error("the group still has members; stop them first")]
    NonEmptyGroup,
    /// The offset's topic is subscribed to by a member.
    #[error("a member of the group is subscribed to the topic")]
    SubscribedToTopic,
    /// The metadata of an offset is longer than `offset.metadata.max.bytes`.
    #[error("the metadata is longer than offset.metadata.max.bytes")]
    OffsetMetadataTooLarge,
    /// A transaction that commits the offset is still open.
    #[error("a transaction that commits this offset is still open; retry")]
    UnstableOffset,
}

impl GroupError {
    /// Kafka's code.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            GroupError::InvalidGroupId => ErrorCode::INVALID_GROUP_ID,
            GroupError::InvalidSessionTimeout => ErrorCode::INVALID_SESSION_TIMEOUT,
            GroupError::UnknownMember => ErrorCode::UNKNOWN_MEMBER_ID,
            GroupError::MemberIdRequired => ErrorCode::MEMBER_ID_REQUIRED,
            GroupError::IllegalGeneration => ErrorCode::ILLEGAL_GENERATION,
            GroupError::RebalanceInProgress => ErrorCode::REBALANCE_IN_PROGRESS,
            GroupError::InconsistentProtocol => ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
            GroupError::GroupMaxSize => ErrorCode::GROUP_MAX_SIZE_REACHED,
            GroupError::FencedInstance => ErrorCode::FENCED_INSTANCE_ID,
            GroupError::FencedMemberEpoch => ErrorCode::FENCED_MEMBER_EPOCH,
            GroupError::StaleMemberEpoch => ErrorCode::STALE_MEMBER_EPOCH,
            GroupError::UnreleasedInstance => ErrorCode::UNRELEASED_INSTANCE_ID,
            GroupError::UnsupportedAssignor => ErrorCode::UNSUPPORTED_ASSIGNOR,
            GroupError::InvalidRegularExpression => ErrorCode::INVALID_REGULAR_EXPRESSION,
            GroupError::InvalidRequest(_) => ErrorCode::INVALID_REQUEST,
            GroupError::UnsupportedVersion => ErrorCode::UNSUPPORTED_VERSION,
            GroupError::AssignmentFailed => ErrorCode::UNKNOWN_SERVER_ERROR,
            GroupError::GroupNotFound => ErrorCode::GROUP_ID_NOT_FOUND,
            GroupError::NonEmptyGroup => ErrorCode::NON_EMPTY_GROUP,
            GroupError::SubscribedToTopic => ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC,
            GroupError::OffsetMetadataTooLarge => ErrorCode::OFFSET_METADATA_TOO_LARGE,
            GroupError::UnstableOffset => ErrorCode::UNSTABLE_OFFSET_COMMIT,
        }
    }
}
