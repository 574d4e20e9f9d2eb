//! Groups of either protocol, with their members, offsets and lag.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use vltava_coordinator::generated::consumer_protocol::ConsumerProtocolAssignment;
use vltava_core::id::{Offset, PartitionIndex, Timestamp};
use vltava_core::wire::{Message, Reader};
use vltava_protocol::api::ApiKey;
use vltava_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeGroupsRequest,
    DescribeGroupsResponse,
};

use super::{DescribeArguments, committed, coordinator, existing};
use crate::cli::error::CliError;
use crate::cli::offsets::{self, LATEST, TopicPartition};
use crate::cli::output::{self, Table};
use crate::net::client::{Client, ClientError};

/// Prints groups.
pub async fn describe(arguments: &DescribeArguments) -> Result<(), CliError> {
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

/// A group as either protocol describes it.
struct Description {
    kind: &'static str,
    state: String,
    assignor: String,
    /// Of a group of the consumer protocol.
    epochs: Option<Epochs>,
    members: Vec<Member>,
}

/// How far a group of the consumer protocol is: members go from one epoch to the next as they take over what they are to have.
struct Epochs {
    group: i32,
    /// The one that the target assignment was made for.
    target: i32,
}

struct Member {
    id: String,
    instance: Option<String>,
    client: String,
    host: String,
    /// Of a member of a group of the consumer protocol.
    epoch: Option<i32>,
    partitions: BTreeSet<TopicPartition>,
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
        epoch: None,
        partitions: classic_assignment(member.member_assignment.clone()).unwrap_or_default(),
    });
    Ok(Description {
        kind: "classic",
        state: found.group_state.to_string(),
        assignor: found.protocol_data.to_string(),
        epochs: None,
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
        epoch: Some(member.member_epoch),
        partitions: partitions(&member.assignment),
    });
    Ok(Some(Description {
        kind: "consumer",
        state: found.group_state.to_string(),
        assignor: found.assignor_name.to_string(),
        epochs: Some(Epochs { group: found.group_epoch, target: found.assignment_epoch }),
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
    let epochs = description.epochs.as_ref();
    let epochs = epochs.map_or_else(String::new, |Epochs { group, target }| {
        format!("  epoch {group}  target epoch {target}")
    });
    let mut text = format!(
        "Group {group}  {}  {}{epochs}  assignor {assignor}  {} members  lag {total}\n",
        description.kind,
        description.state,
        description.members.len()
    );
    let mut table =
        Table::new(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "CLIENT", "HOST", "MEMBER", "EPOCH"]);
    let epoch = |member: &Member| member.epoch.map_or("-".to_owned(), |epoch| epoch.to_string());
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
            member.map_or("-".to_owned(), epoch),
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
            epoch(idle),
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
    let member = |member: &Member| {
        json!({
            "id": member.id,
            "instance": member.instance,
            "client": member.client,
            "host": member.host,
            "epoch": member.epoch,
            "partitions": member.partitions.len(),
        })
    };
    json!({
        "group": group,
        "type": description.kind,
        "state": description.state,
        "assignor": description.assignor,
        "epoch": description.epochs.as_ref().map(|epochs| epochs.group),
        "target_epoch": description.epochs.as_ref().map(|epochs| epochs.target),
        "members": description.members.iter().map(member).collect::<Value>(),
        "partitions": rows(description, committed).into_iter().map(partition).collect::<Value>(),
    })
}
