//! Positions of mirrors in the offsets topic, as MirrorMaker's tasks store them, so that either goes on where the other was.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::connector::TopicPartition;
use crate::error::ConnectError;
use crate::record::{Position, SourceMap, SourceOffset};

pub(super) const CLUSTER: &str = "cluster";
pub(super) const TOPIC: &str = "topic";
pub(super) const PARTITION: &str = "partition";
pub(super) const GROUP: &str = "group";
pub(super) const SOURCE_ALIAS: &str = "sourceClusterAlias";
pub(super) const TARGET_ALIAS: &str = "targetClusterAlias";
const OFFSET: &str = "offset";

fn map<const N: usize>(entries: [(&str, Json); N]) -> SourceMap {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The partition of a topic at a cluster.
pub(super) fn of_topic(cluster: &str, place: &TopicPartition) -> SourceMap {
    map([(CLUSTER, cluster.into()), (PARTITION, place.partition.into()), (TOPIC, (*place.topic).into())])
}

/// The partition of a checkpoint.
pub(super) fn of_checkpoint(group: &str, place: &TopicPartition) -> SourceMap {
    map([(PARTITION, place.partition.into()), (TOPIC, (*place.topic).into()), (GROUP, group.into())])
}

/// The partition of a heartbeat.
pub(super) fn of_heartbeat(source: &str, target: &str) -> SourceMap {
    map([(SOURCE_ALIAS, source.into()), (TARGET_ALIAS, target.into())])
}

/// A position: at the offset of the record that has it.
pub(super) fn position(partition: &Arc<SourceMap>, offset: i64) -> Position {
    Position { partition: Arc::clone(partition), offset: SourceOffset::Number(OFFSET, offset.into()) }
}

/// The offset of a position.
pub(super) fn offset(stored: &SourceMap) -> Option<i64> {
    stored.get(OFFSET)?.as_i64().filter(|offset| *offset >= 0)
}

/// The offset of a position of this process: every record that is copied has one, and no object is made for it.
pub(super) fn copied(offset: &SourceOffset) -> Option<i64> {
    match offset {
        SourceOffset::Number(OFFSET, number) => number.as_i64().filter(|offset| *offset >= 0),
        SourceOffset::Number(..) => None,
        SourceOffset::Map(map) => self::offset(map),
    }
}

/// The partition of a topic that a position is of.
pub(super) fn topic_partition(partition: &SourceMap) -> Option<TopicPartition> {
    let number = partition.get(PARTITION)?.as_i64()?;
    let topic = partition.get(TOPIC)?.as_str()?.into();
    Some(TopicPartition { topic, partition: i32::try_from(number).ok()? })
}

/// The group and the partition that a position of a checkpoint is of.
pub(super) fn group_partition(partition: &SourceMap) -> Option<(String, TopicPartition)> {
    Some((partition.get(GROUP)?.as_str()?.to_owned(), topic_partition(partition)?))
}

/// Refuses positions that an operator sets, unless their partitions have these texts, and a number under
/// [`PARTITION`] where `numbered`, and their offsets are numbers, or 0 where `only_zero`.
pub(super) fn check(
    offsets: &[(SourceMap, Option<SourceMap>)],
    texts: &[&str],
    numbered: bool,
    only_zero: bool,
) -> Result<(), ConnectError> {
    for (partition, offset) in offsets {
        // What is there may always be removed.
        let Some(offset) = offset else { continue };
        let refuse = |map: &SourceMap, what: &str, key: &str, why: &str| {
            let shown = serde_json::to_string(map).unwrap_or_default();
            Err(ConnectError::failed(format!("{what} {shown}: the key '{key}' {why}")))
        };
        for key in texts {
            if !partition.get(*key).is_some_and(Json::is_string) {
                return refuse(partition, "Source partition", key, "is needed, with a text");
            }
        }
        let whole =
            partition.get(PARTITION).and_then(Json::as_i64).and_then(|number| u32::try_from(number).ok());
        if numbered && whole.and_then(|number| i32::try_from(number).ok()).is_none() {
            return refuse(
                partition,
                "Source partition",
                PARTITION,
                "is needed, with a number of a partition",
            );
        }
        match self::offset(offset) {
            Some(0) => {}
            Some(_) if !only_zero => {}
            Some(_) => return refuse(offset, "Source offset", OFFSET, "can only be 0"),
            None => return refuse(offset, "Source offset", OFFSET, "is needed, with a number from 0 on"),
        }
    }
    Ok(())
}
