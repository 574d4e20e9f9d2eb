//! Offsets of many partitions, asked of their leaders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, Offset, PartitionIndex, Timestamp};
use vltava_protocol::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use vltava_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::error::CliError;
use crate::net::client::{Client, ClientError, Route};

/// A partition of a topic.
pub type TopicPartition = (String, PartitionIndex);

/// The time that means the first offset of a partition.
pub const EARLIEST: Timestamp = Timestamp(-2);
/// The time that means the end of a partition.
pub const LATEST: Timestamp = Timestamp(-1);

/// The pause before partitions without a leader are asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// The first offset at or after a time, for each partition. A time after the last record gives no entry.
///
/// # Errors
/// When a partition cannot be asked before the client's deadline.
pub async fn list(
    client: &mut Client,
    wanted: &BTreeMap<TopicPartition, Timestamp>,
    read_committed: bool,
) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
    let started = Instant::now();
    let mut pending: BTreeSet<&TopicPartition> = wanted.keys().collect();
    let mut found = BTreeMap::new();
    while !pending.is_empty() {
        let mut last = None;
        for (leader, partitions) in by_leader(client, &pending, &mut last).await? {
            let answer = ask(client, leader, &partitions, wanted, read_committed).await?;
            for (partition, outcome) in outcomes(&answer) {
                let Some(known) = pending.get(&partition).copied() else { continue };
                match outcome {
                    Ok(offset) => {
                        found.extend((offset.0 >= 0).then(|| (partition.clone(), offset)));
                        pending.remove(known);
                    }
                    Err(code) if code.is_retriable() => {
                        client.forget(&Route::Leader(partition.0.clone(), partition.1));
                        last = Some(ClientError::Refused { code, message: None });
                    }
                    Err(code) => return Err(ClientError::Refused { code, message: None }.into()),
                }
            }
        }
        if let (Some(last), false) = (last, pending.is_empty()) {
            if started.elapsed() + PAUSE > client.deadline() {
                return Err(ClientError::Deadline { after: client.deadline(), last: last.to_string() }.into());
            }
            sleep(PAUSE).await;
        }
    }
    Ok(found)
}

/// The partitions by the broker that leads them; those without a leader just now are left out and leave an error.
pub async fn by_leader<'a>(
    client: &mut Client,
    partitions: &BTreeSet<&'a TopicPartition>,
    last: &mut Option<ClientError>,
) -> Result<BTreeMap<BrokerId, Vec<&'a TopicPartition>>, CliError> {
    let mut led: BTreeMap<BrokerId, Vec<&TopicPartition>> = BTreeMap::new();
    for partition in partitions {
        match client.leader(&partition.0, partition.1).await {
            Ok(leader) => led.entry(leader).or_default().push(partition),
            Err(error) if error.is_retriable() => *last = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(led)
}

async fn ask(
    client: &mut Client,
    leader: BrokerId,
    partitions: &[&TopicPartition],
    wanted: &BTreeMap<TopicPartition, Timestamp>,
    read_committed: bool,
) -> Result<ListOffsetsResponse, ClientError> {
    let build = |version: i16| {
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for partition in partitions {
            let timestamp = wanted.get(*partition).copied().unwrap_or(LATEST);
            topics.entry(&partition.0).or_default().push(ListOffsetsPartition {
                partition_index: partition.1.0,
                current_leader_epoch: -1,
                timestamp: timestamp.0,
            });
        }
        let topic = |(name, partitions): (&str, Vec<_>)| ListOffsetsTopic {
            name: name.to_owned().into(),
            partitions,
        };
        ListOffsetsRequest {
            replica_id: -1,
            isolation_level: i8::from(read_committed && version >= 2),
            topics: topics.into_iter().map(topic).collect(),
            ..ListOffsetsRequest::default()
        }
    };
    client.call(&Route::Broker(leader), build, |_| 0).await
}

fn outcomes(
    answer: &ListOffsetsResponse,
) -> impl Iterator<Item = (TopicPartition, Result<Offset, ErrorCode>)> + '_ {
    answer.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let code = ErrorCode::from_code(partition.error_code);
            let outcome = if code.is_none() { Ok(Offset(partition.offset)) } else { Err(code) };
            ((topic.name.to_string(), PartitionIndex(partition.partition_index)), outcome)
        })
    })
}
