//! The names that groups deal in: group, member and instance ids. Each is shared text, cheap to clone.

use vltava_core::id::PartitionIndex;

use crate::name::names;

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
