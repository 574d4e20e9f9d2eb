//! The names of files and folders. They are Kafka's.

use vltava_core::id::{Offset, PartitionIndex, TopicName, TopicPartition, Uuid};

pub(super) const LOG: &str = "log";
pub(super) const INDEX: &str = "index";
pub(super) const TIME_INDEX: &str = "timeindex";
pub(super) const ABORTED: &str = "txnindex";
pub(super) const SNAPSHOT: &str = "snapshot";
/// Marks a file that is only waiting to be removed.
pub(super) const DELETED: &str = "deleted";
/// Marks a file that compaction has written but not put in place.
pub(super) const CLEANED: &str = "cleaned";
/// Marks a file that is complete and is about to replace others.
pub(super) const SWAP: &str = "swap";
/// Marks a file that is being written.
pub(super) const TEMPORARY: &str = "tmp";

pub(super) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(super) const PARTITION_METADATA: &str = "partition.metadata";
pub(super) const META_PROPERTIES: &str = "meta.properties";
pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(super) const START_OFFSETS: &str = "log-start-offset-checkpoint";
pub(super) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub(super) const COMPACTED: &str = "cleaner-offset-checkpoint";
pub(super) const LOCK: &str = ".lock";
pub(super) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// The longest name of a file on the usual file systems, in bytes.
const NAME_LENGTH_MAX: usize = 255;

/// `00000000000000000042.log`
pub(super) fn file(offset: Offset, suffix: &str) -> String {
    format!("{:020}.{suffix}", offset.0)
}

/// The offset and suffix of a file: `log` of `00000000000000000042.log`, `log.deleted` of its like.
pub(super) fn parse_file(name: &str) -> Option<(Offset, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some((Offset(digits.parse().ok()?), suffix))
}

/// `orders-3`
pub(super) fn folder(partition: &TopicPartition) -> String {
    partition.to_string()
}

/// The partition whose folder this is; `None` for a foreign folder, and for one marked `-delete`, `-future` or `-stray`.
pub(super) fn parse_folder(name: &str) -> Option<TopicPartition> {
    let (topic, number) = name.rsplit_once('-')?;
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(TopicPartition {
        topic: TopicName::new(topic).ok()?,
        partition: PartitionIndex(number.parse().ok()?),
    })
}

/// `orders-3.<32 hexadecimal digits>-delete`, the topic cut so that the whole fits into a file name.
pub(super) fn marked_folder(partition: &TopicPartition, unique: Uuid, mark: &str) -> String {
    let tail = format!("-{}.{}-{mark}", partition.partition, unique.simple());
    let room = NAME_LENGTH_MAX.saturating_sub(tail.len());
    let topic: String = partition.topic.as_str().chars().take(room).collect();
    format!("{topic}{tail}")
}

pub(super) fn is_deleted_folder(name: &str) -> bool {
    name.ends_with("-delete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        assert_eq!(file(Offset(42), LOG), "00000000000000000042.log");
        assert_eq!(parse_file("00000000000000000042.log.deleted"), Some((Offset(42), "log.deleted")));
        for foreign in ["42.log", "0000000000000000004x.log", "partition.metadata", "00000000000000000042"] {
            assert_eq!(parse_file(foreign), None, "{foreign}");
        }
        let partition = parse_folder("a-b-17").unwrap();
        assert_eq!((partition.topic.as_str(), partition.partition), ("a-b", PartitionIndex(17)));
        let delete = marked_folder(&partition, Uuid::from_u128(1), "delete");
        assert_eq!(delete, "a-b-17.00000000000000000000000000000001-delete");
        assert!(is_deleted_folder(&delete));
        for foreign in [delete.as_str(), "a-", "-1", "lost+found", "a-1-stray", "a--1x"] {
            assert_eq!(parse_folder(foreign), None, "{foreign}");
        }
        let long = TopicPartition { topic: TopicName::new(&"t".repeat(249)).unwrap(), ..partition };
        assert_eq!(marked_folder(&long, Uuid::from_u128(1), "delete").len(), 255);
    }
}
