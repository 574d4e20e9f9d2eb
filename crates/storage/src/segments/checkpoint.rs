//! Kafka's text files: offset checkpoints, `partition.metadata`, the mark of a clean shutdown.

use std::collections::BTreeMap;
use std::fmt::Write;

use vltava_core::id::{BrokerEpoch, Offset, PartitionIndex, TopicId, TopicName, TopicPartition};

/// An offset for each partition: the content of `recovery-point-offset-checkpoint` and its like. A line with the
/// version, one with the number of entries, one for each entry.
pub(super) type Offsets = BTreeMap<TopicPartition, Offset>;

pub(super) fn print_offsets<'a>(
    offsets: impl ExactSizeIterator<Item = (&'a TopicPartition, &'a Offset)>,
) -> Vec<u8> {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {} {offset}", partition.topic, partition.partition);
    }
    text.into_bytes()
}

/// # Errors
/// The number of the first line, counted from 1, that is not as it should be.
pub(super) fn parse_offsets(content: &[u8]) -> Result<Offsets, usize> {
    let text = str::from_utf8(content).map_err(|_| 1_usize)?;
    let mut lines = text.lines();
    if lines.next().map(str::trim) != Some("0") {
        return Err(1);
    }
    let count: usize = lines.next().and_then(|line| line.trim().parse().ok()).ok_or(2_usize)?;
    let mut offsets = Offsets::new();
    let mut number = 2_usize;
    for line in lines.filter(|line| !line.trim().is_empty()) {
        number += 1;
        let (partition, offset) = parse_line(line).ok_or(number)?;
        offsets.insert(partition, offset);
    }
    if offsets.len() == count { Ok(offsets) } else { Err(2) }
}

fn parse_line(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split_ascii_whitespace();
    let topic = TopicName::new(words.next()?).ok()?;
    let partition = PartitionIndex(words.next()?.parse().ok()?);
    let offset = Offset(words.next()?.parse().ok().filter(|offset| *offset >= 0)?);
    words.next().is_none().then_some((TopicPartition { topic, partition }, offset))
}

pub(super) fn print_partition_metadata(topic: TopicId) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic}").into_bytes()
}

/// The topic id in a `partition.metadata`; `None` when it is not one of version 0.
pub(super) fn parse_partition_metadata(content: &[u8]) -> Option<TopicId> {
    let mut lines = str::from_utf8(content).ok()?.lines();
    let version = lines.next()?.strip_prefix("version:")?;
    let topic = lines.next()?.strip_prefix("topic_id:")?;
    if version.trim() != "0" {
        return None;
    }
    topic.trim().parse().ok().filter(|id| *id != TopicId::ZERO)
}

/// Whether a crash may have left this of a `partition.metadata` that was being written.
pub(super) fn is_torn_partition_metadata(content: &[u8]) -> bool {
    content.len() < print_partition_metadata(TopicId::METADATA).len() || content.contains(&0)
}

pub(super) fn print_clean_shutdown(epoch: BrokerEpoch) -> Vec<u8> {
    format!("{{\"version\":0,\"brokerEpoch\":{epoch}}}").into_bytes()
}

/// The broker epoch in a clean shutdown mark; −1 when it names none, as marks of old brokers do.
pub(super) fn parse_clean_shutdown(content: &[u8]) -> BrokerEpoch {
    let number = str::from_utf8(content).ok().and_then(|text| {
        let after = text.split_once("\"brokerEpoch\"")?.1.trim_start().strip_prefix(':')?.trim_start();
        let end = after.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(after.len());
        after.get(..end)?.parse().ok()
    });
    BrokerEpoch(number.unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(topic: &str, number: i32) -> TopicPartition {
        TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionIndex(number) }
    }

    #[test]
    fn offset_checkpoints_are_kafkas() {
        let offsets = Offsets::from([(partition("a.b", 3), Offset(17)), (partition("c", 0), Offset(0))]);
        let text = print_offsets(offsets.iter());
        assert_eq!(str::from_utf8(&text).unwrap(), "0\n2\na.b 3 17\nc 0 0\n");
        assert_eq!(parse_offsets(&text), Ok(offsets));
        for (text, line) in [
            ("", 1),
            ("1\n0\n", 1),
            ("0\n", 2),
            ("0\nx\n", 2),
            ("0\n2\na 0 0\n", 2),
            ("0\n1\na 0\n", 3),
            ("0\n1\na 0 0 0\n", 3),
            ("0\n2\na 0 0\na x 0\n", 4),
            ("0\n1\na 0 -1\n", 3),
        ] {
            assert_eq!(parse_offsets(text.as_bytes()), Err(line), "{text:?}");
        }
    }

    #[test]
    fn partition_metadata_holds_the_topic_id() {
        let text = print_partition_metadata(TopicId::METADATA);
        assert_eq!(str::from_utf8(&text).unwrap(), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(parse_partition_metadata(&text), Some(TopicId::METADATA));
        for text in
            ["", "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", "version: 0\ntopic_id: x", "version: 0"]
        {
            assert_eq!(parse_partition_metadata(text.as_bytes()), None, "{text:?}");
        }
        for length in 0..text.len() {
            let mut zeros = text.clone();
            zeros[length..].fill(0);
            assert!(
                is_torn_partition_metadata(&text[..length]) && is_torn_partition_metadata(&zeros),
                "{length}"
            );
        }
        assert!(!is_torn_partition_metadata(&text));
    }

    #[test]
    fn the_clean_shutdown_mark_holds_the_broker_epoch() {
        assert_eq!(print_clean_shutdown(BrokerEpoch(7)), b"{\"version\":0,\"brokerEpoch\":7}");
        for (text, epoch) in [
            ("{\"version\":0,\"brokerEpoch\":7}", 7),
            ("{\"brokerEpoch\" : -1 , \"version\":0}", -1),
            ("", -1),
            ("\"brokerEpoch\":x", -1),
        ] {
            assert_eq!(parse_clean_shutdown(text.as_bytes()), BrokerEpoch(epoch), "{text:?}");
        }
    }
}
