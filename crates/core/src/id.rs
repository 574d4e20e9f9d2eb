//! Newtypes for everything that has a number or a name.
//!
//! A bare `i64` says nothing: an offset, a producer id and a timestamp must not mix. A type whose field may hold any
//! value has a public field; one with a rule keeps it behind a constructor.

use std::fmt;
use std::sync::Arc;

use crate::error::ErrorCode;

pub use uuid::Uuid;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($repr:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$repr> for $name {
            fn from(value: $repr) -> Self {
                Self(value)
            }
        }
    )*};
}

numbers! {
    /// A position in a partition's log: the number of a record, counted from 0.
    Offset(i64);
    /// Kafka's `node.id` of a broker; −1 is no broker.
    BrokerId(i32);
    /// The number of a partition within its topic, counted from 0.
    PartitionIndex(i32);
    /// How often a partition's leadership has changed; −1 is unknown.
    LeaderEpoch(i32);
    /// The version of a partition's leader-and-ISR state.
    PartitionEpoch(i32);
    /// The offset of a broker's registration record, which orders the broker's incarnations (KIP-841); −1 is unknown.
    BrokerEpoch(i64);
    /// An idempotent or transactional producer; −1 is none.
    ProducerId(i64);
    /// The incarnation of a producer id; −1 is none.
    ProducerEpoch(i16);
    /// The number of a record within a producer's stream to one partition; wraps from 2³¹ − 1 to 0; −1 is none.
    Sequence(i32);
    /// Milliseconds since the Unix epoch; −1 is none.
    Timestamp(i64);
    /// The generation of a classic consumer group; −1 is none.
    Generation(i32);
}

impl Offset {
    /// The first offset of every log.
    pub const ZERO: Offset = Offset(0);
    /// No offset, as Kafka writes it.
    pub const NONE: Offset = Offset(-1);

    /// The offset `count` records further on; saturates at the largest offset.
    #[inline]
    #[must_use]
    pub const fn plus(self, count: i64) -> Offset {
        Offset(self.0.saturating_add(count))
    }

    /// The offset after this one.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Offset {
        self.plus(1)
    }

    /// How many records lie between `earlier` and this offset; negative when `earlier` is later.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Offset) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl BrokerId {
    /// No broker: a partition without a leader, an answer without a controller.
    pub const NONE: BrokerId = BrokerId(-1);
}

impl LeaderEpoch {
    /// An epoch that is not known.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
}

impl ProducerId {
    /// The producer is not idempotent.
    pub const NONE: ProducerId = ProducerId(-1);
}

impl ProducerEpoch {
    /// No epoch, with [`ProducerId::NONE`].
    pub const NONE: ProducerEpoch = ProducerEpoch(-1);
}

impl Sequence {
    /// No sequence: a control batch, or a producer that is not idempotent.
    pub const NONE: Sequence = Sequence(-1);

    /// The sequence `count` records further on, wrapping from 2³¹ − 1 to 0.
    #[inline]
    #[must_use]
    pub const fn plus(self, count: i32) -> Sequence {
        Sequence(((self.0 as i64 + count as i64) & i32::MAX as i64) as i32)
    }
}

impl Timestamp {
    /// No timestamp.
    pub const NONE: Timestamp = Timestamp(-1);

    /// This time moved by `milliseconds`; saturates.
    #[inline]
    #[must_use]
    pub const fn plus(self, milliseconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The identity of a topic, which survives neither deletion nor re-creation under the same name (KIP-516).
///
/// Shown as Kafka shows it: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

/// The identity of a log directory, as `meta.properties` holds it (KIP-858).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub Uuid);

impl TopicId {
    /// No topic id: requests that name topics leave it zero.
    pub const ZERO: TopicId = TopicId(Uuid::nil());
    /// The id of `__cluster_metadata`.
    pub const METADATA: TopicId = TopicId(Uuid::from_u128(1));
}

impl DirectoryId {
    /// The replica's directory is not yet assigned.
    pub const UNASSIGNED: DirectoryId = DirectoryId(Uuid::nil());
    /// The replica is in a directory that went offline.
    pub const LOST: DirectoryId = DirectoryId(Uuid::from_u128(1));
    /// A replica from before directories had ids.
    pub const MIGRATING: DirectoryId = DirectoryId(Uuid::from_u128(2));
}

macro_rules! kafka_uuid {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&uuid_to_base64(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                uuid_from_base64(text).map(Self)
            }
        }
    )*};
}

kafka_uuid!(TopicId DirectoryId);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A UUID as Kafka prints it: URL-safe base64 without padding, 22 characters.
#[must_use]
pub fn uuid_to_base64(id: Uuid) -> String {
    let bits = id.as_u128();
    // 128 bits are 21 full digits and two bits of a 22nd.
    let digit = |index: u32| if index < 21 { bits >> (122 - 6 * index) } else { bits << 4 };
    (0..22).map(|index| char::from(BASE64[(digit(index) & 63) as usize])).collect()
}

/// Reads what [`uuid_to_base64`] writes, with or without padding.
///
/// # Errors
/// [`NameError::Uuid`] for any other text.
pub fn uuid_from_base64(text: &str) -> Result<Uuid, NameError> {
    let invalid = || NameError::Uuid(text.chars().take(64).collect());
    let digits = text.strip_suffix("==").unwrap_or(text).as_bytes();
    if digits.len() != 22 {
        return Err(invalid());
    }
    let mut bits: u128 = 0;
    for (index, digit) in digits.iter().enumerate() {
        let value = BASE64.iter().position(|known| known == digit).ok_or_else(invalid)? as u128;
        bits = if index < 21 { bits << 6 | value } else { bits << 2 | value >> 4 };
    }
    Ok(Uuid::from_u128(bits))
}

/// The name of a topic: 1 to 249 of `a-z A-Z 0-9 . _ -`, but not `.` or `..`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// The longest topic name, in bytes.
    pub const LENGTH_MAX: usize = 249;

    /// Checks a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule is broken, in the words that clients of Kafka know.
    pub fn new(name: &str) -> Result<TopicName, NameError> {
        if name.is_empty() {
            return Err(NameError::EmptyTopic);
        }
        if name == "." || name == ".." {
            return Err(NameError::DotTopic(name.to_owned()));
        }
        if name.len() > Self::LENGTH_MAX {
            return Err(NameError::LongTopic(name.chars().take(Self::LENGTH_MAX).collect()));
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
            return Err(NameError::TopicCharacter(name.to_owned()));
        }
        Ok(TopicName(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as metrics see it: `.` and `_` are the same character there, so two topics that differ only in these
    /// collide, and the second is refused.
    #[must_use]
    pub fn metric_name(&self) -> String {
        self.0.replace('.', "_")
    }

    /// True for topics that only brokers write: clients cannot produce to them.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        [GROUP_OFFSETS_TOPIC, TRANSACTION_STATE_TOPIC, SHARE_STATE_TOPIC].contains(&&*self.0)
    }
}

/// The topic of the group coordinators.
pub const GROUP_OFFSETS_TOPIC: &str = "__consumer_offsets";
/// The topic of the transaction coordinators.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
/// The topic of the share coordinators.
pub const SHARE_STATE_TOPIC: &str = "__share_group_state";
/// The log of the cluster controller; never visible as a topic.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

impl std::ops::Deref for TopicName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A partition by the name of its topic, shown as `topic-3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number.
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A partition by the identity of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIdPartition {
    /// The topic's identity.
    pub topic: TopicId,
    /// The partition's number.
    pub partition: PartitionIndex,
}

/// Why a name was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The topic name is empty.
    #[error("Topic name is invalid: the empty string is not allowed")]
    EmptyTopic,
    /// The topic name is `.` or `..`.
    #[error("Topic name is invalid: '{0}' is not allowed")]
    DotTopic(String),
    /// The topic name is too long.
    #[error("Topic name is invalid: the length of '{0}' is longer than the max allowed length 249")]
    LongTopic(String),
    /// The topic name has a character that is not allowed.
    #[error(
        "Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    )]
    TopicCharacter(String),
    /// Not a UUID in Kafka's base64 form.
    #[error("'{0}' is not a UUID: 22 characters of URL-safe base64 are expected")]
    Uuid(String),
}

impl NameError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            NameError::Uuid(_) => ErrorCode::INVALID_REQUEST,
            _ => ErrorCode::INVALID_TOPIC_EXCEPTION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_kafkas_rules() {
        let long = "a".repeat(250);
        for (name, valid) in [
            ("orders", true),
            ("a.b_c-9", true),
            (&long[..249], true),
            ("", false),
            (".", false),
            ("..", false),
            ("...", true),
            ("a b", false),
            ("ä", false),
            (&long, false),
        ] {
            assert_eq!(TopicName::new(name).is_ok(), valid, "{name:?}");
        }
    }

    #[test]
    fn uuids_look_like_kafkas() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(uuid_to_base64(id), "ASNFZ4mrze8BI0VniavN7w");
        assert_eq!(uuid_from_base64("ASNFZ4mrze8BI0VniavN7w"), Ok(id));
        assert_eq!(uuid_to_base64(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert!(uuid_from_base64("short").is_err());
        assert!(uuid_from_base64("ASNFZ4mrze8BI0VniavN7*").is_err());
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(5).plus(2), Sequence(7));
    }
}
