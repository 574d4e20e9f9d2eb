//! `vltava group`: list, describe and delete groups, and move their offsets.

mod describe;
mod reset;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, PartitionIndex};
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, ListGroupsRequest, ListGroupsResponse, OffsetDeleteRequest,
    OffsetDeleteResponse, OffsetFetchRequest, OffsetFetchResponse,
};
use vltava_protocol::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use vltava_protocol::offset_fetch_request::OffsetFetchRequestGroup;

use super::arguments::ClusterArguments;
use super::error::CliError;
use super::offsets::TopicPartition;
use super::output::{self, Table};
use crate::net::client::{Client, ClientError, Route};

pub use target::Target;

/// Commands of `vltava group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// List groups with their type and state
    List(ListArguments),
    /// Show members, assignments, offsets and lag
    Describe(DescribeArguments),
    /// Delete empty groups with their offsets
    Delete(DeleteArguments),
    /// Move the offsets of a group without members
    ResetOffsets(ResetArguments),
    /// Forget the offsets of topics a group no longer reads
    DeleteOffsets(DeleteOffsetsArguments),
}

/// Arguments of `vltava group list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only groups in this state, such as Stable or Empty; may be given several times
    #[arg(long)]
    state: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava group describe`.
#[derive(Debug, Args)]
pub struct DescribeArguments {
    /// Names of the groups
    #[arg(required = true)]
    groups: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava group delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// Names of the groups
    #[arg(required = true)]
    groups: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava group reset-offsets`.
#[derive(Debug, Args)]
#[command(after_help = "\
The group must have no members: stop its consumers first. Without --execute it only shows what would change.

Examples:
  vltava group reset-offsets billing --topic orders --to earliest
  vltava group reset-offsets billing --topic orders:0,1 --to 12h --execute
  vltava group reset-offsets billing --all-topics --to 2024-05-01T00:00:00Z --execute
  vltava group reset-offsets billing --topic orders:3 --to 4711 --execute
  vltava group reset-offsets billing --all-topics --to -100 --execute")]
pub struct ResetArguments {
    /// Name of the group
    group: String,
    /// A topic, all partitions or some as TOPIC:0,1; may be given several times
    #[arg(long, short, value_name = "TOPIC[:PARTITION,…]", required_unless_present = "all_topics")]
    topic: Vec<String>,
    /// Every topic the group has offsets of
    #[arg(long, conflicts_with = "topic")]
    all_topics: bool,
    /// earliest, latest, current, an offset, +N or -N from the current one, a time (2024-05-01T00:00:00Z, @milliseconds) or how long ago (12h, 3d)
    #[arg(long, allow_hyphen_values = true, value_name = "WHERE")]
    to: String,
    /// Do it; without this only show it
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Arguments of `vltava group delete-offsets`.
#[derive(Debug, Args)]
pub struct DeleteOffsetsArguments {
    /// Name of the group
    group: String,
    /// A topic, all partitions or some as TOPIC:0,1; may be given several times
    #[arg(long, short, value_name = "TOPIC[:PARTITION,…]", required = true)]
    topic: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Runs a command.
pub async fn run(command: GroupCommand) -> Result<(), CliError> {
    match command {
        GroupCommand::List(arguments) => list(&arguments).await,
        GroupCommand::Describe(arguments) => describe::describe(&arguments).await,
        GroupCommand::Delete(arguments) => delete(&arguments).await,
        GroupCommand::ResetOffsets(arguments) => reset::reset(&arguments).await,
        GroupCommand::DeleteOffsets(arguments) => delete_offsets(&arguments).await,
    }
}

fn coordinator(group: &str) -> Route {
    Route::Coordinator(group.to_owned())
}

async fn list(arguments: &ListArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    client.metadata(Some(&[])).await?;
    let mut groups = BTreeMap::new();
    for broker in client.brokers() {
        // Each broker lists the groups it coordinates.
        let answer = client
            .call(
                &Route::Broker(broker),
                |_| ListGroupsRequest::default(),
                |answer: &ListGroupsResponse| answer.error_code,
            )
            .await?;
        ClientError::check(answer.error_code, None)?;
        groups.extend(answer.groups.into_iter().map(|group| (group.group_id.to_string(), group)));
    }
    let wanted = |state: &str| {
        arguments.state.is_empty() || arguments.state.iter().any(|wanted| wanted.eq_ignore_ascii_case(state))
    };
    groups.retain(|_, group| wanted(&group.group_state));
    if arguments.cluster.json {
        let document = |(id, group): (&String, &vltava_protocol::list_groups_response::ListedGroup)| json!({ "group": id, "type": group.group_type.as_str(), "protocol": group.protocol_type.as_str(), "state": group.group_state.as_str() });
        return output::print_json(&groups.iter().map(document).collect());
    }
    let mut table = Table::new(&["GROUP", "TYPE", "PROTOCOL", "STATE"]);
    for (id, group) in &groups {
        table.row(vec![
            id.clone(),
            output::or_dash(Some(&group.group_type)),
            output::or_dash(Some(&group.protocol_type)),
            output::or_dash(Some(&group.group_state)),
        ]);
    }
    table.print("There are no groups.")
}

/// The offsets a group has committed.
async fn committed(client: &mut Client, group: &str) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
    // Version 10 names topics by id only; up to 9 is enough here.
    let build = |version: i16| {
        let mut request = OffsetFetchRequest { topics: None, ..OffsetFetchRequest::default() };
        if version >= 8 {
            request.topics = Some(Vec::new());
            request.groups = vec![OffsetFetchRequestGroup {
                group_id: group.to_owned().into(),
                topics: None,
                member_epoch: -1,
                ..OffsetFetchRequestGroup::default()
            }];
        } else {
            request.group_id = group.to_owned().into();
        }
        request
    };
    let code = |answer: &OffsetFetchResponse| {
        answer.groups.first().map_or(answer.error_code, |group| group.error_code)
    };
    let answer = client.call_within(&coordinator(group), &(2..=9), build, code).await?;
    ClientError::check(code(&answer), None)?;
    let mut offsets = BTreeMap::new();
    let mut add = |topic: &WireStr, partition: i32, offset: i64| {
        if offset >= 0 {
            offsets.insert((topic.to_string(), PartitionIndex(partition)), Offset(offset));
        }
    };
    for topic in &answer.topics {
        topic
            .partitions
            .iter()
            .for_each(|found| add(&topic.name, found.partition_index, found.committed_offset));
    }
    for topic in answer.groups.iter().flat_map(|group| &group.topics) {
        topic
            .partitions
            .iter()
            .for_each(|found| add(&topic.name, found.partition_index, found.committed_offset));
    }
    Ok(offsets)
}

async fn existing(
    client: &mut Client,
    partitions: impl Iterator<Item = &TopicPartition>,
) -> Result<BTreeSet<TopicPartition>, CliError> {
    let topics: BTreeSet<String> = partitions.map(|(topic, _)| topic.clone()).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let answer = client.metadata(Some(&topics)).await?;
    let each = |topic: &vltava_protocol::metadata_response::MetadataResponseTopic| {
        let name = topic.name.as_deref().unwrap_or("").to_owned();
        let led = topic.partitions.iter().filter(|partition| partition.leader_id >= 0);
        led.map(move |partition| (name.clone(), PartitionIndex(partition.partition_index)))
            .collect::<Vec<_>>()
    };
    Ok(answer.topics.iter().filter(|topic| topic.error_code == 0).flat_map(each).collect())
}

async fn delete(arguments: &DeleteArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let mut failed = Vec::new();
    let mut documents = Vec::new();
    for group in &arguments.groups {
        let request = DeleteGroupsRequest { groups_names: vec![group.into()] };
        let code =
            |answer: &DeleteGroupsResponse| answer.results.first().map_or(0, |result| result.error_code);
        let answer = client.call(&coordinator(group), |_| request.clone(), code).await?;
        let code = ErrorCode::from_code(code(&answer));
        documents.push(json!({ "group": group, "error": code.is_error().then(|| code.name()) }));
        if code.is_error() {
            let advice = if code == ErrorCode::NON_EMPTY_GROUP { " Stop its consumers first." } else { "" };
            failed.push(format!("{group}: {}: {}{advice}", code.name(), code.message()));
        } else if !arguments.cluster.json {
            output::print(&format!("{group}: deleted\n"))?;
        }
    }
    if arguments.cluster.json {
        output::print_json(&Value::Array(documents))?;
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::Failed(failed.join("\nvltava: "))) }
}

/// The partitions that `TOPIC` or `TOPIC:0,1` arguments name.
async fn select(client: &mut Client, given: &[String]) -> Result<BTreeSet<TopicPartition>, CliError> {
    let mut selected = BTreeSet::new();
    for text in given {
        let (topic, partitions) = match text.split_once(':') {
            Some((topic, list)) => (topic, Some(list)),
            None => (text.as_str(), None),
        };
        let all = existing(client, std::iter::once(&(topic.to_owned(), PartitionIndex(0)))).await?;
        if all.is_empty() {
            return Err(CliError::Failed(format!(
                "there is no topic {topic}; list them with: vltava topic list"
            )));
        }
        let Some(partitions) = partitions else {
            selected.extend(all);
            continue;
        };
        for number in partitions.split(',') {
            let number = number
                .trim()
                .parse()
                .map_err(|_| CliError::Usage(format!("--topic {text}: write TOPIC:0,1,2")))?;
            let key = (topic.to_owned(), PartitionIndex(number));
            if !all.contains(&key) {
                return Err(CliError::Failed(format!("{topic} has no partition {number} with a leader")));
            }
            selected.insert(key);
        }
    }
    Ok(selected)
}

async fn delete_offsets(arguments: &DeleteOffsetsArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let partitions = select(&mut client, &arguments.topic).await?;
    let mut topics: BTreeMap<&str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for key in &partitions {
        topics.entry(&key.0).or_default().push(OffsetDeleteRequestPartition { partition_index: key.1.0 });
    }
    let topic = |(name, partitions): (&str, Vec<_>)| OffsetDeleteRequestTopic {
        name: name.to_owned().into(),
        partitions,
    };
    let request = OffsetDeleteRequest {
        group_id: (&arguments.group).into(),
        topics: topics.into_iter().map(topic).collect(),
    };
    let answer = client
        .call(
            &coordinator(&arguments.group),
            |_| request.clone(),
            |answer: &OffsetDeleteResponse| answer.error_code,
        )
        .await?;
    ClientError::check(answer.error_code, None)?;
    let mut table = Table::new(&["TOPIC", "PARTITION", "RESULT"]);
    let mut documents = Vec::new();
    let mut failed = false;
    for topic in &answer.topics {
        for partition in &topic.partitions {
            let code = ErrorCode::from_code(partition.error_code);
            failed |= code.is_error();
            let result = if code.is_none() {
                "deleted".to_owned()
            } else {
                format!("{}: {}", code.name(), code.message())
            };
            documents.push(json!({ "topic": topic.name.as_str(), "partition": partition.partition_index, "error": code.is_error().then(|| code.name()) }));
            table.row(vec![topic.name.to_string(), partition.partition_index.to_string(), result]);
        }
    }
    if arguments.cluster.json {
        output::print_json(&Value::Array(documents))?;
    } else {
        table.print("Nothing to delete.")?;
    }
    if failed { Err(CliError::Failed("not every offset was deleted".to_owned())) } else { Ok(()) }
}
