//! `vltava group`: list, describe and delete groups, and move their offsets.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vltava_coordinator::generated::consumer_protocol::ConsumerProtocolAssignment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, PartitionIndex, Timestamp};
use vltava_core::wire::{Message, Reader, WireStr};
use vltava_protocol::api::ApiKey;
use vltava_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DeleteGroupsRequest, DeleteGroupsResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse,
};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use vltava_protocol::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use vltava_protocol::offset_fetch_request::OffsetFetchRequestGroup;

use super::arguments::ClusterArguments;
use super::error::CliError;
use super::offsets::{self, EARLIEST, LATEST, TopicPartition};
use super::output::{self, Table};
use super::time;
use crate::net::client::{Client, ClientError, Route};

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
        GroupCommand::Describe(arguments) => describe(&arguments).await,
        GroupCommand::Delete(arguments) => delete(&arguments).await,
        GroupCommand::ResetOffsets(arguments) => reset(&arguments).await,
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

/// A group as either protocol describes it.
struct Description {
    kind: &'static str,
    state: String,
    assignor: String,
    members: Vec<Member>,
}

struct Member {
    id: String,
    instance: Option<String>,
    client: String,
    host: String,
    partitions: BTreeSet<TopicPartition>,
}

async fn describe(arguments: &DescribeArguments) -> Result<(), CliError> {
    let mut client = arguments.cluster.client();
    let mut documents = Vec::new();
    for group in &arguments.groups {
        let description = describe_group(&mut client, group).await?;
        let committed = committed(&mut client, group).await?;
        let ends = ends(&mut client, &committed, &description).await?;
        if arguments.cluster.json {
            documents.push(document(group, &description, &committed, &ends));
        } else {
            output::print(&text(group, &description, &committed, &ends))?;
        }
    }
    if arguments.cluster.json { output::print_json(&Value::Array(documents)) } else { Ok(()) }
}

async fn describe_group(client: &mut Client, group: &str) -> Result<Description, CliError> {
    if client.supports(ApiKey::ConsumerGroupDescribe).await?
        && let Some(description) = describe_consumer(client, group).await?
    {
        return Ok(description);
    }
    let request =
        DescribeGroupsRequest { groups: vec![group.to_owned().into()], ..DescribeGroupsRequest::default() };
    let code = |answer: &DescribeGroupsResponse| answer.groups.first().map_or(0, |group| group.error_code);
    let answer = client.call(&coordinator(group), |_| request.clone(), code).await?;
    let found = answer.groups.into_iter().next();
    let found = found.ok_or_else(|| CliError::Failed("the coordinator described nothing".to_owned()))?;
    ClientError::check(found.error_code, found.error_message.as_deref())?;
    if found.group_state.as_str() == "Dead" {
        return Err(CliError::Failed(format!(
            "there is no group {group}; list them with: vltava group list"
        )));
    }
    let members = found.members.iter().map(|member| Member {
        id: member.member_id.to_string(),
        instance: member.group_instance_id.as_deref().map(str::to_owned),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        partitions: classic_assignment(member.member_assignment.clone()).unwrap_or_default(),
    });
    Ok(Description {
        kind: "classic",
        state: found.group_state.to_string(),
        assignor: found.protocol_data.to_string(),
        members: members.collect(),
    })
}

/// A group of the newer protocol (KIP-848), or nothing when the group is of another kind.
async fn describe_consumer(client: &mut Client, group: &str) -> Result<Option<Description>, CliError> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![group.to_owned().into()],
        ..ConsumerGroupDescribeRequest::default()
    };
    let code =
        |answer: &ConsumerGroupDescribeResponse| answer.groups.first().map_or(0, |group| group.error_code);
    let answer = client.call(&coordinator(group), |_| request.clone(), code).await?;
    let Some(found) = answer.groups.into_iter().next() else { return Ok(None) };
    if found.error_code != 0 {
        return Ok(None);
    }
    let partitions = |assignment: &vltava_protocol::consumer_group_describe_response::Assignment| {
        let each = |topic: &vltava_protocol::consumer_group_describe_response::TopicPartitions| {
            let name = topic.topic_name.to_string();
            topic
                .partitions
                .iter()
                .map(move |partition| (name.clone(), PartitionIndex(*partition)))
                .collect::<Vec<_>>()
        };
        assignment.topic_partitions.iter().flat_map(each).collect()
    };
    let members = found.members.iter().map(|member| Member {
        id: member.member_id.to_string(),
        instance: member.instance_id.as_deref().map(str::to_owned),
        client: member.client_id.to_string(),
        host: member.client_host.to_string(),
        partitions: partitions(&member.assignment),
    });
    Ok(Some(Description {
        kind: "consumer",
        state: found.group_state.to_string(),
        assignor: found.assignor_name.to_string(),
        members: members.collect(),
    }))
}

/// The partitions in a classic member's assignment; nothing when the bytes are another protocol's.
fn classic_assignment(bytes: bytes::Bytes) -> Option<BTreeSet<TopicPartition>> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16().ok()?.min(*ConsumerProtocolAssignment::VERSIONS.end());
    let assignment = ConsumerProtocolAssignment::decode(&mut reader, version).ok()?;
    let each = |topic: &vltava_coordinator::generated::consumer_protocol::consumer_protocol_assignment::TopicPartition| {
        let name = topic.topic.to_string();
        topic.partitions.iter().map(move |partition| (name.clone(), PartitionIndex(*partition))).collect::<Vec<_>>()
    };
    Some(assignment.assigned_partitions.iter().flat_map(each).collect())
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

async fn ends(
    client: &mut Client,
    committed: &BTreeMap<TopicPartition, Offset>,
    description: &Description,
) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
    let assigned = description.members.iter().flat_map(|member| &member.partitions);
    let wanted: BTreeMap<TopicPartition, Timestamp> =
        committed.keys().chain(assigned).map(|key| (key.clone(), LATEST)).collect();
    // Offsets outlive their topics: partitions that are gone have no end.
    let existing = existing(client, wanted.keys()).await?;
    let wanted = wanted.into_iter().filter(|(key, _)| existing.contains(key)).collect();
    offsets::list(client, &wanted, false).await
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

fn lag(committed: Option<&Offset>, end: Option<&Offset>) -> Option<i64> {
    Some(end?.since(*committed?).max(0))
}

fn rows<'a>(
    description: &'a Description,
    committed: &'a BTreeMap<TopicPartition, Offset>,
) -> BTreeMap<&'a TopicPartition, Option<&'a Member>> {
    let mut rows: BTreeMap<&TopicPartition, Option<&Member>> =
        committed.keys().map(|key| (key, None)).collect();
    for member in &description.members {
        rows.extend(member.partitions.iter().map(|key| (key, Some(member))));
    }
    rows
}

fn text(
    group: &str,
    description: &Description,
    committed: &BTreeMap<TopicPartition, Offset>,
    ends: &BTreeMap<TopicPartition, Offset>,
) -> String {
    let rows = rows(description, committed);
    let total: i64 = rows.keys().filter_map(|key| lag(committed.get(*key), ends.get(*key))).sum();
    let assignor = output::or_dash(Some(&description.assignor));
    let mut text = format!(
        "Group {group}  {}  {}  assignor {assignor}  {} members  lag {total}\n",
        description.kind,
        description.state,
        description.members.len()
    );
    let mut table =
        Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "CLIENT", "HOST", "MEMBER"]);
    let number = |offset: Option<i64>| offset.map_or("-".to_owned(), |offset| offset.to_string());
    for (key, member) in rows {
        table.row(vec![
            key.0.clone(),
            key.1.to_string(),
            number(committed.get(key).map(|offset| offset.0)),
            number(ends.get(key).map(|offset| offset.0)),
            number(lag(committed.get(key), ends.get(key))),
            output::or_dash(member.map(|member| member.client.as_str())),
            output::or_dash(member.map(|member| member.host.as_str())),
            output::or_dash(member.map(|member| member.instance.as_deref().unwrap_or(&member.id))),
        ]);
    }
    for idle in description.members.iter().filter(|member| member.partitions.is_empty()) {
        let dash = || "-".to_owned();
        table.row(vec![
            dash(),
            dash(),
            dash(),
            dash(),
            dash(),
            idle.client.clone(),
            idle.host.clone(),
            idle.id.clone(),
        ]);
    }
    text.push_str(&table.render());
    text
}

fn document(
    group: &str,
    description: &Description,
    committed: &BTreeMap<TopicPartition, Offset>,
    ends: &BTreeMap<TopicPartition, Offset>,
) -> Value {
    let partition = |(key, member): (&TopicPartition, Option<&Member>)| {
        json!({
            "topic": key.0,
            "partition": key.1.0,
            "committed": committed.get(key).map(|offset| offset.0),
            "end": ends.get(key).map(|offset| offset.0),
            "lag": lag(committed.get(key), ends.get(key)),
            "member": member.map(|member| member.id.as_str()),
        })
    };
    let member = |member: &Member| json!({ "id": member.id, "instance": member.instance, "client": member.client, "host": member.host, "partitions": member.partitions.len() });
    json!({
        "group": group,
        "type": description.kind,
        "state": description.state,
        "assignor": description.assignor,
        "members": description.members.iter().map(member).collect::<Value>(),
        "partitions": rows(description, committed).into_iter().map(partition).collect::<Value>(),
    })
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

/// Where to move offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The first offset.
    Earliest,
    /// The end.
    Latest,
    /// Where they are, brought within the log.
    Current,
    /// This offset, brought within the log.
    Offset(Offset),
    /// This far from where they are, brought within the log.
    Shift(i64),
    /// The first offset at or after a time, else the end.
    Time(Timestamp),
}

impl Target {
    /// Reads a `--to`.
    pub(super) fn parse(text: &str, now: Timestamp) -> Result<Self, String> {
        match text {
            "earliest" | "beginning" => return Ok(Self::Earliest),
            "latest" | "end" => return Ok(Self::Latest),
            "current" => return Ok(Self::Current),
            _ => {}
        }
        if let Some(milliseconds) = text.strip_prefix('@') {
            return time::parse(milliseconds, now).map(Self::Time);
        }
        if text.starts_with(['+', '-'])
            && let Ok(shift) = text.parse()
        {
            return Ok(Self::Shift(shift));
        }
        match text.parse() {
            Ok(offset) => Ok(Self::Offset(Offset(offset))),
            Err(_) => time::parse(text, now).map(Self::Time),
        }
    }

    /// The offset for one partition.
    pub(super) fn resolve(
        self,
        current: Option<Offset>,
        start: Offset,
        end: Offset,
        at_time: Option<Offset>,
    ) -> Offset {
        let wanted = match self {
            Self::Earliest => start,
            Self::Latest => end,
            Self::Current => current.unwrap_or(end),
            Self::Offset(offset) => offset,
            Self::Shift(by) => current.unwrap_or(end).plus(by),
            Self::Time(_) => at_time.unwrap_or(end),
        };
        wanted.max(start).min(end)
    }
}

async fn reset(arguments: &ResetArguments) -> Result<(), CliError> {
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
