//! Moves the committed offsets of a group without members.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, Timestamp};
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};

use super::{ResetArguments, Target, committed, coordinator, existing, select};
use crate::cli::error::CliError;
use crate::cli::offsets::{self, EARLIEST, LATEST, TopicPartition};
use crate::cli::output::{self, Table};
use crate::cli::time;
use crate::net::client::{Client, ClientError};

/// Moves offsets, or shows where they would go.
pub async fn reset(arguments: &ResetArguments) -> Result<(), CliError> {
    let target = Target::parse(&arguments.to, time::now())
        .map_err(|problem| CliError::Usage(format!("--to: {problem}")))?;
    let mut client = arguments.cluster.client();
    let current = committed(&mut client, &arguments.group).await?;
    let partitions = if arguments.all_topics {
        existing(&mut client, current.keys()).await?
    } else {
        select(&mut client, &arguments.topic).await?
    };
    if partitions.is_empty() {
        return Err(CliError::Failed(format!(
            "the group {} has no offsets; name topics with --topic",
            arguments.group
        )));
    }
    let at = |when: Timestamp| partitions.iter().map(|key| (key.clone(), when)).collect::<BTreeMap<_, _>>();
    let starts = offsets::list(&mut client, &at(EARLIEST), false).await?;
    let ends = offsets::list(&mut client, &at(LATEST), false).await?;
    let times = match target {
        Target::Time(when) => offsets::list(&mut client, &at(when), false).await?,
        _ => BTreeMap::new(),
    };
    let goal = |key: &TopicPartition| {
        let bound =
            |offsets: &BTreeMap<TopicPartition, Offset>| offsets.get(key).copied().unwrap_or(Offset::ZERO);
        target.resolve(current.get(key).copied(), bound(&starts), bound(&ends), times.get(key).copied())
    };
    let goals: BTreeMap<TopicPartition, Offset> =
        partitions.iter().map(|key| (key.clone(), goal(key))).collect();
    if arguments.execute {
        commit(&mut client, &arguments.group, &goals).await?;
    }
    show_reset(arguments, &current, &goals)
}

fn show_reset(
    arguments: &ResetArguments,
    current: &BTreeMap<TopicPartition, Offset>,
    goals: &BTreeMap<TopicPartition, Offset>,
) -> Result<(), CliError> {
    if arguments.cluster.json {
        let row = |(key, goal): (&TopicPartition, &Offset)| json!({ "topic": key.0, "partition": key.1.0, "from": current.get(key).map(|offset| offset.0), "to": goal.0 });
        let rows: Value = goals.iter().map(row).collect();
        return output::print_json(
            &json!({ "group": arguments.group, "executed": arguments.execute, "partitions": rows }),
        );
    }
    let mut table = Table::new(&["TOPIC", "PARTITION", "FROM", "TO"]);
    for (key, goal) in goals {
        let from = current.get(key).map_or("-".to_owned(), ToString::to_string);
        table.row(vec![key.0.clone(), key.1.to_string(), from, goal.to_string()]);
    }
    table.print("Nothing to move.")?;
    if !arguments.execute {
        eprintln!("Nothing was changed. Add --execute to do it.");
    }
    Ok(())
}

/// Commits offsets from outside the group, which only a group without members accepts.
async fn commit(
    client: &mut Client,
    group: &str,
    goals: &BTreeMap<TopicPartition, Offset>,
) -> Result<(), CliError> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (key, offset) in goals {
        topics.entry(&key.0).or_default().push(OffsetCommitRequestPartition {
            partition_index: key.1.0,
            committed_offset: offset.0,
            committed_leader_epoch: -1,
            committed_metadata: Some(WireStr::new()),
        });
    }
    let topic = |(name, partitions): (&str, Vec<_>)| OffsetCommitRequestTopic {
        name: name.to_owned().into(),
        partitions,
        ..OffsetCommitRequestTopic::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.to_owned().into(),
        generation_id_or_member_epoch: -1,
        topics: topics.into_iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    };
    let first = |answer: &OffsetCommitResponse| {
        let codes =
            answer.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        codes.into_iter().find(|code| *code != 0).unwrap_or(0)
    };
    let answer = client.call_within(&coordinator(group), &(2..=9), |_| request.clone(), first).await?;
    let code = ErrorCode::from_code(first(&answer));
    if code == ErrorCode::UNKNOWN_MEMBER_ID {
        return Err(CliError::Failed(format!("the group {group} has members; stop its consumers first")));
    }
    Ok(ClientError::check(code.code(), None)?)
}
