//! The names that groups deal in: group, member and instance ids. Each is shared text, cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use vltava_core::id::PartitionIndex;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name("".into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

names! {
    /// The name of a group, chosen by its members.
    GroupId;
    /// The identity of a member, given by the coordinator when the member joins. Empty before that.
    MemberId;
    /// The identity that a static member brings along and keeps over restarts (KIP-345).
    InstanceId;
}

/// The partition of `__consumer_offsets` that holds a group: the absolute value of Java's hash of its name, modulo the
/// number of partitions. Partition 0 when there are none.
#[must_use]
pub fn partition_for(group: &str, partitions: i32) -> PartitionIndex {
    let hash =
        group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // The smallest number has no absolute value; Kafka takes 0 for it.
    let positive = hash.checked_abs().unwrap_or(0);
    PartitionIndex(positive.checked_rem(partitions).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_where_kafka_puts_them() {
        // Java: "polygenelubricants".hashCode() is the smallest int.
        for (group, partitions, expected) in [
            ("", 50, 0),
            ("a", 50, 47),
            ("group", 50, 47),
            ("console-consumer-12345", 50, 6),
            ("polygenelubricants", 50, 0),
            ("žluťoučký", 50, 5),
            ("group", 0, 0),
        ] {
            assert_eq!(partition_for(group, partitions), PartitionIndex(expected), "{group:?}");
        }
    }
}
