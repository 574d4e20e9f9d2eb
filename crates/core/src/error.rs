//! Kafka's error codes: the one vocabulary in which an answer on the wire says what went wrong.
//!
//! The table at the end of this file is the only list of codes. A domain error elsewhere in Vltava is a small enum of
//! its own with a `code()` beside it that names one row here; nothing inside compares bare numbers.
//!
//! A code is a newtype over `i16` rather than an enum, because a peer of a newer release may send a number we have no
//! row for, and such a number has to survive a round trip.

use std::fmt;

/// An error code of the Kafka protocol.
///
/// Equality and order are those of the number. Use the associated constants (`ErrorCode::NOT_CONTROLLER`) and
/// [`ErrorCode::from_code`] for numbers from the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i16);

/// What the protocol lets a client do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The same request will fail again.
    No,
    /// The same request may succeed later.
    Yes,
    /// It may succeed after a fresh look at metadata or at the coordinator's whereabouts.
    Refresh,
}

impl ErrorCode {
    /// The code with this number, known or not. Never fails: see [`ErrorCode::is_known`].
    #[must_use]
    pub const fn from_code(code: i16) -> Self {
        Self(code)
    }

    /// The number as it stands on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.0
    }

    /// Whether this is [`ErrorCode::NONE`], that is, success.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether this is anything but [`ErrorCode::NONE`].
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 != 0
    }

    /// Whether the table has a row for this number.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.row().is_some()
    }

    /// Kafka's name, such as `NOT_CONTROLLER`; `UNKNOWN_ERROR_CODE` for a number without a row.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_ERROR_CODE", |row| row.name)
    }

    /// Whether the same request may succeed if it is sent again.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.retry != Retry::No)
    }

    /// Whether a client should refresh its metadata, or look up the coordinator, before it tries again.
    #[must_use]
    pub fn refreshes_metadata(self) -> bool {
        self.row().is_some_and(|row| row.retry == Retry::Refresh)
    }

    /// What to tell a person when the place that fails has nothing more exact to say.
    #[must_use]
    pub fn message(self) -> &'static str {
        self.row().map_or("The peer answered with an error code that this release does not know.", |row| {
            row.message
        })
    }

    /// The code with this name, if there is one; the inverse of [`ErrorCode::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.code)
    }

    /// All codes of the table, in ascending order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.code)
    }

    fn row(self) -> Option<&'static Row> {
        // Row n holds code n - 1; the test below keeps the table dense.
        let index = usize::try_from(i32::from(self.0) + 1).ok()?;
        TABLE.get(index)
    }
}

impl Default for ErrorCode {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Row {
    code: ErrorCode,
    name: &'static str,
    retry: Retry,
    message: &'static str,
}

macro_rules! error_codes {
    ($($code:literal $name:ident $retry:ident $message:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = $message]
                pub const $name: Self = Self($code);
            )*
        }

        static TABLE: &[Row] = &[
            $(Row { code: ErrorCode($code), name: stringify!($name), retry: Retry::$retry, message: $message },)*
        ];
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR No "The server failed in a way that no other code describes; its log tells more.";
    0 NONE No "Success.";
    1 OFFSET_OUT_OF_RANGE No "The offset lies outside the range that the partition holds.";
    2 CORRUPT_MESSAGE Yes "The record batch failed its checksum, exceeds a size limit, lacks a key where one is required, or is malformed.";
    3 UNKNOWN_TOPIC_OR_PARTITION Refresh "This server does not host this topic and partition.";
    4 INVALID_FETCH_SIZE No "The fetch size is invalid.";
    5 LEADER_NOT_AVAILABLE Refresh "The partition has no leader at the moment; an election is under way.";
    6 NOT_LEADER_OR_FOLLOWER Refresh "This node is not the leader, or not a replica, of the partition; refresh the metadata.";
    7 REQUEST_TIMED_OUT Yes "The request was not completed within its time limit.";
    8 BROKER_NOT_AVAILABLE No "The broker is not available.";
    9 REPLICA_NOT_AVAILABLE Refresh "The replica is not available for the partition; refresh the metadata.";
    10 MESSAGE_TOO_LARGE No "The batch is larger than max.message.bytes allows.";
    11 STALE_CONTROLLER_EPOCH No "The request comes from an earlier controller epoch.";
    12 OFFSET_METADATA_TOO_LARGE No "The metadata of the committed offset is larger than offset.metadata.max.bytes allows.";
    13 NETWORK_EXCEPTION Refresh "The connection broke before an answer arrived.";
    14 COORDINATOR_LOAD_IN_PROGRESS Yes "The coordinator is still loading its state; try again.";
    15 COORDINATOR_NOT_AVAILABLE Refresh "The coordinator is not available.";
    16 NOT_COORDINATOR Refresh "This node is not the coordinator; look it up again.";
    17 INVALID_TOPIC_EXCEPTION No "The topic name is not valid, or the topic may not be written by clients.";
    18 RECORD_LIST_TOO_LARGE No "The batch is larger than a segment may be.";
    19 NOT_ENOUGH_REPLICAS Yes "There are fewer in-sync replicas than min.insync.replicas asks for; nothing was written.";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Yes "The records were written, but to fewer in-sync replicas than min.insync.replicas asks for.";
    21 INVALID_REQUIRED_ACKS No "acks must be 0, 1 or -1.";
    22 ILLEGAL_GENERATION No "The generation is not the current one of the group.";
    23 INCONSISTENT_GROUP_PROTOCOL No "The member supports no assignment protocol, or protocol type, that all other members share.";
    24 INVALID_GROUP_ID No "The group id is not valid.";
    25 UNKNOWN_MEMBER_ID No "The coordinator does not know this member.";
    26 INVALID_SESSION_TIMEOUT No "The session timeout lies outside group.min.session.timeout.ms and group.max.session.timeout.ms.";
    27 REBALANCE_IN_PROGRESS No "The group is rebalancing; the member has to join again.";
    28 INVALID_COMMIT_OFFSET_SIZE No "The committed offsets do not fit into one batch.";
    29 TOPIC_AUTHORIZATION_FAILED No "The principal is not allowed to access the topic.";
    30 GROUP_AUTHORIZATION_FAILED No "The principal is not allowed to access the group.";
    31 CLUSTER_AUTHORIZATION_FAILED No "The principal is not allowed to do this on the cluster.";
    32 INVALID_TIMESTAMP No "The timestamp of a record lies outside the bounds the topic allows.";
    33 UNSUPPORTED_SASL_MECHANISM No "The listener does not offer this SASL mechanism.";
    34 ILLEGAL_SASL_STATE No "The request does not fit the state of the SASL exchange.";
    35 UNSUPPORTED_VERSION No "This version of the request, or a feature it asks for, is not supported.";
    36 TOPIC_ALREADY_EXISTS No "A topic with this name exists already.";
    37 INVALID_PARTITIONS No "The number of partitions is not valid.";
    38 INVALID_REPLICATION_FACTOR No "The replication factor is below 1 or above the number of available brokers.";
    39 INVALID_REPLICA_ASSIGNMENT No "The replica assignment is not valid.";
    40 INVALID_CONFIG No "The configuration is not valid.";
    41 NOT_CONTROLLER Yes "This node is not the active controller.";
    42 INVALID_REQUEST No "The request contradicts itself or misses something.";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT No "The record format of the partition does not support this request.";
    44 POLICY_VIOLATION No "A policy of the cluster refuses the request.";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER No "The producer's sequence number does not follow its last one.";
    46 DUPLICATE_SEQUENCE_NUMBER No "The producer has sent this sequence number before.";
    47 INVALID_PRODUCER_EPOCH No "The producer's epoch is older than the one the server knows.";
    48 INVALID_TXN_STATE No "The transaction is in a state that does not allow this.";
    49 INVALID_PRODUCER_ID_MAPPING No "The transactional id belongs to another producer id.";
    50 INVALID_TRANSACTION_TIMEOUT No "The transaction timeout is larger than transaction.max.timeout.ms allows.";
    51 CONCURRENT_TRANSACTIONS Yes "Another operation on the same transaction is still under way; try again.";
    52 TRANSACTION_COORDINATOR_FENCED No "A newer transaction coordinator has taken over.";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED No "The principal is not allowed to use the transactional id.";
    54 SECURITY_DISABLED No "No authorizer is configured.";
    55 OPERATION_NOT_ATTEMPTED No "The operation was not attempted, because another one of the same batch failed.";
    56 KAFKA_STORAGE_ERROR Refresh "The log directory failed; see the server's log.";
    57 LOG_DIR_NOT_FOUND No "The broker has no such log directory.";
    58 SASL_AUTHENTICATION_FAILED No "Authentication failed.";
    59 UNKNOWN_PRODUCER_ID No "The partition has no state of this producer id.";
    60 REASSIGNMENT_IN_PROGRESS No "A reassignment of the partition is under way.";
    61 DELEGATION_TOKEN_AUTH_DISABLED No "Delegation tokens are not enabled.";
    62 DELEGATION_TOKEN_NOT_FOUND No "The delegation token does not exist.";
    63 DELEGATION_TOKEN_OWNER_MISMATCH No "The principal is neither owner nor renewer of the delegation token.";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED No "Delegation tokens cannot be requested over this kind of connection.";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED No "The principal is not allowed to access the delegation token.";
    66 DELEGATION_TOKEN_EXPIRED No "The delegation token has expired.";
    67 INVALID_PRINCIPAL_TYPE No "The principal's type is not supported.";
    68 NON_EMPTY_GROUP No "The group still has members.";
    69 GROUP_ID_NOT_FOUND No "There is no such group.";
    70 FETCH_SESSION_ID_NOT_FOUND Yes "There is no such fetch session.";
    71 INVALID_FETCH_SESSION_EPOCH Yes "The epoch of the fetch session is not the expected one.";
    72 LISTENER_NOT_FOUND Refresh "The partition's leader has no listener of this name.";
    73 TOPIC_DELETION_DISABLED No "Topic deletion is disabled (delete.topic.enable).";
    74 FENCED_LEADER_EPOCH Refresh "The leader epoch is older than the one this node knows.";
    75 UNKNOWN_LEADER_EPOCH Yes "The leader epoch is newer than the one this node knows.";
    76 UNSUPPORTED_COMPRESSION_TYPE No "The request's version does not support the compression of the records.";
    77 STALE_BROKER_EPOCH No "The broker epoch is not the current one.";
    78 OFFSET_NOT_AVAILABLE Yes "The leader's high watermark has not caught up with its epoch; try again.";
    79 MEMBER_ID_REQUIRED No "The member has to join again with the member id it was given.";
    80 PREFERRED_LEADER_NOT_AVAILABLE Refresh "The preferred leader is not available.";
    81 GROUP_MAX_SIZE_REACHED No "The group has group.max.size members already.";
    82 FENCED_INSTANCE_ID No "Another member with the same group.instance.id has taken over.";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE Refresh "No replica that may lead is available.";
    84 ELECTION_NOT_NEEDED Refresh "The partition's leader needs no election.";
    85 NO_REASSIGNMENT_IN_PROGRESS No "No reassignment of the partition is under way.";
    86 GROUP_SUBSCRIBED_TO_TOPIC No "The group is still subscribed to the topic.";
    87 INVALID_RECORD No "A record failed validation on the broker.";
    88 UNSTABLE_OFFSET_COMMIT Yes "Transactional offset commits are still pending; try again.";
    89 THROTTLING_QUOTA_EXCEEDED Yes "The quota is exhausted; try again after the throttle time.";
    90 PRODUCER_FENCED No "A newer producer with the same transactional id has taken over.";
    91 RESOURCE_NOT_FOUND No "The resource does not exist.";
    92 DUPLICATE_RESOURCE No "The request names a resource more than once.";
    93 UNACCEPTABLE_CREDENTIAL No "The credential does not meet the requirements.";
    94 INCONSISTENT_VOTER_SET No "The voter sets of the two sides differ.";
    95 INVALID_UPDATE_VERSION No "The update was made against an outdated version.";
    96 FEATURE_UPDATE_FAILED No "The features could not be updated.";
    97 PRINCIPAL_DESERIALIZATION_FAILURE No "The forwarded principal cannot be read.";
    98 SNAPSHOT_NOT_FOUND No "The snapshot does not exist.";
    99 POSITION_OUT_OF_RANGE No "The position lies outside the snapshot.";
    100 UNKNOWN_TOPIC_ID Refresh "This server does not host a topic with this id.";
    101 DUPLICATE_BROKER_REGISTRATION No "A live broker is registered under the same id.";
    102 BROKER_ID_NOT_REGISTERED No "No broker is registered under this id.";
    103 INCONSISTENT_TOPIC_ID Refresh "The topic id of the request is not the one of the log.";
    104 INCONSISTENT_CLUSTER_ID No "The cluster id of the request is not the one of this cluster.";
    105 TRANSACTIONAL_ID_NOT_FOUND No "There is no such transactional id.";
    106 FETCH_SESSION_TOPIC_ID_ERROR Yes "The fetch session was begun with another use of topic ids.";
    107 INELIGIBLE_REPLICA No "A replica of the new in-sync set may not be in it.";
    108 NEW_LEADER_ELECTED No "The partition's change elected a new leader.";
    109 OFFSET_MOVED_TO_TIERED_STORAGE No "The offset is in tiered storage only.";
    110 FENCED_MEMBER_EPOCH No "The member's epoch was fenced; the member has to join again.";
    111 UNRELEASED_INSTANCE_ID No "Another member still holds this group.instance.id.";
    112 UNSUPPORTED_ASSIGNOR No "The group does not support this assignor.";
    113 STALE_MEMBER_EPOCH No "The member's epoch is stale; try again after the next heartbeat.";
    114 MISMATCHED_ENDPOINT_TYPE No "The request was sent to the wrong kind of listener.";
    115 UNSUPPORTED_ENDPOINT_TYPE No "The kind of endpoint is not supported.";
    116 UNKNOWN_CONTROLLER_ID No "There is no controller with this id.";
    117 UNKNOWN_SUBSCRIPTION_ID No "The telemetry subscription is outdated; ask for it again.";
    118 TELEMETRY_TOO_LARGE No "The telemetry payload is larger than telemetry.max.bytes allows.";
    119 INVALID_REGISTRATION No "The controller considers the broker's registration invalid.";
    120 TRANSACTION_ABORTABLE No "The transaction failed and has to be aborted.";
    121 INVALID_RECORD_STATE No "The record is not in a state that allows this acknowledgement.";
    122 SHARE_SESSION_NOT_FOUND Yes "There is no such share session.";
    123 INVALID_SHARE_SESSION_EPOCH Yes "The epoch of the share session is not the expected one.";
    124 FENCED_STATE_EPOCH No "The state epoch is older than the one the share coordinator knows.";
    125 INVALID_VOTER_KEY No "The voter's id and directory id are not those of the receiver.";
    126 DUPLICATE_VOTER No "The voter is in the voter set already.";
    127 VOTER_NOT_FOUND No "The voter is not in the voter set.";
    128 INVALID_REGULAR_EXPRESSION No "The regular expression is not valid.";
    129 REBOOTSTRAP_REQUIRED No "The client's metadata is outdated; it has to start again from its bootstrap servers.";
    130 STREAMS_INVALID_TOPOLOGY No "The streams topology is not valid.";
    131 STREAMS_INVALID_TOPOLOGY_EPOCH No "The epoch of the streams topology is not valid.";
    132 STREAMS_TOPOLOGY_FENCED No "The streams topology is older than the one of the group.";
    133 SHARE_SESSION_LIMIT_REACHED Yes "The broker holds as many share sessions as it may.";
    134 GROUP_DELETION_FAILED No "The group could not be deleted.";
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED No "The description of the streams topology could not be stored.";
    136 CONTROLLER_ID_NOT_REGISTERED No "No controller is registered under this id.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_dense_from_minus_one() {
        let codes: Vec<i16> = ErrorCode::all().map(ErrorCode::code).collect();
        assert_eq!(codes, (-1..=136).collect::<Vec<i16>>());
    }

    #[test]
    fn every_row_is_found_by_number_and_by_name() {
        for code in ErrorCode::all() {
            assert!(code.is_known(), "{code}");
            assert_eq!(ErrorCode::from_name(code.name()), Some(code));
            assert!(code.message().ends_with('.'), "{code}: {}", code.message());
        }
    }

    #[test]
    fn an_unknown_number_survives_and_is_not_retriable() {
        for number in [i16::MIN, -2, 137, i16::MAX] {
            let code = ErrorCode::from_code(number);
            assert_eq!(code.code(), number);
            assert!(!code.is_known());
            assert!(!code.is_retriable());
            assert_eq!(code.name(), "UNKNOWN_ERROR_CODE");
        }
    }

    #[test]
    fn retries_follow_the_protocol() {
        let check = |code: ErrorCode, retriable: bool, refresh: bool| {
            assert_eq!((code.is_retriable(), code.refreshes_metadata()), (retriable, refresh), "{code}");
        };
        check(ErrorCode::NONE, false, false);
        check(ErrorCode::NOT_LEADER_OR_FOLLOWER, true, true);
        check(ErrorCode::REQUEST_TIMED_OUT, true, false);
        check(ErrorCode::INVALID_TOPIC_EXCEPTION, false, false);
        check(ErrorCode::GROUP_DELETION_FAILED, false, false);
    }
}
