//! What a script tells: answers and records in a few words.

use bytes::Bytes;
use vltava_core::id::{PartitionIndex, TopicId, Uuid};

use super::super::answer::{JoinAnswer, TopicOutcomes};
use super::super::consumer::member::Owned;
use super::super::consumer::{ConsumerEvent, MemberState};
use super::super::event::StoredGroup;
use super::super::{GroupAnswer, GroupError, GroupEvent};

pub(super) fn short(id: &str) -> String {
    let Some((at, number)) =
        id.len().checked_sub(36).and_then(|at| Some((at, Uuid::parse_str(id.get(at..)?).ok()?)))
    else {
        return if id.is_empty() { "-".to_owned() } else { id.to_owned() };
    };
    // The bits that every UUID of this version has are no part of the number.
    let number = number.as_u128() & !(0xf << 76) & !(0x3 << 62);
    format!("{}#{number}", &id[..at - 1])
}

pub(super) fn record(event: &GroupEvent) -> Option<String> {
    Some(match event {
        GroupEvent::GroupStored { group, stored } => format!("log {group} {}", stored_group(stored)),
        GroupEvent::GroupForgotten { group } => format!("log {group} gone"),
        GroupEvent::OffsetCommitted { key, offset } => {
            format!("log {}/{}={}", key.topic, key.partition, offset.offset)
        }
        GroupEvent::OffsetForgotten { key } => format!("log {}/{} gone", key.topic, key.partition),
        GroupEvent::Consumer { event, .. } => format!("log {}", consumer(event)?),
        GroupEvent::TransactionEnded(_) | GroupEvent::OffsetsExpired(_) | GroupEvent::Volatile { .. } => {
            return None;
        }
    })
}

fn stored_group(stored: &StoredGroup) -> String {
    let members: Vec<String> = stored
        .members
        .iter()
        .map(|one| {
            format!(
                "{}{}={}",
                if stored.leader.as_ref() == Some(&one.id) { "*" } else { "" },
                short(&one.id),
                text(&one.assignment)
            )
        })
        .collect();
    format!("{} {} [{}]", stored.generation, stored.protocol.as_deref().unwrap_or("-"), members.join(" "))
}

fn text(bytes: &Bytes) -> String {
    let shown =
        |char: char| if char.is_control() || char == char::REPLACEMENT_CHARACTER { '.' } else { char };
    String::from_utf8_lossy(bytes).chars().map(shown).collect()
}

pub(super) fn answer(answer: &GroupAnswer) -> String {
    match answer {
        GroupAnswer::Join(joined) => join_answer(joined),
        GroupAnswer::Sync(Ok(synced)) => {
            format!("{}:'{}'", synced.protocol.as_deref().unwrap_or("-"), text(&synced.assignment))
        }
        GroupAnswer::Heartbeat(outcome) | GroupAnswer::DeleteGroup(outcome) => result(*outcome),
        GroupAnswer::Leave(Ok(left)) => {
            let left: Vec<String> = left.iter().map(|left| result(left.outcome)).collect();
            left.join(" ")
        }
        GroupAnswer::CommitOffsets(topics) | GroupAnswer::DeleteOffsets(Ok(topics)) => outcomes(topics),
        GroupAnswer::FetchOffsets(Ok(fetched)) => {
            let topics = fetched.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(move |(partition, offset)| (topic, partition, offset))
            });
            let told: Vec<String> = topics
                .map(|(topic, partition, offset)| {
                    let told = match offset {
                        Ok(Some(offset)) => format!(
                            "{}{}",
                            offset.offset,
                            if offset.metadata.is_empty() {
                                String::new()
                            } else {
                                format!("({})", offset.metadata)
                            }
                        ),
                        Ok(None) => "none".to_owned(),
                        Err(error) => error.code().name().to_owned(),
                    };
                    format!("{}/{partition}={told}", topic.name)
                })
                .collect();
            told.join(" ")
        }
        GroupAnswer::DescribeGroup(Ok(group)) => {
            let members: Vec<String> = group
                .members
                .iter()
                .map(|member| format!("{}={}", short(&member.member), text(&member.assignment)))
                .collect();
            format!("{} {}/{} [{}]", group.state, group.protocol_type, group.protocol, members.join(" "))
        }
        GroupAnswer::ListGroups(groups) => {
            let mut listed: Vec<String> = groups
                .iter()
                .map(|group| format!("{}:{}:{}", group.group, group.state, group.protocol_type))
                .collect();
            listed.sort();
            listed.join(" ")
        }
        GroupAnswer::TransactionEnded => "ended".to_owned(),
        GroupAnswer::TopicsDeleted => "ok".to_owned(),
        GroupAnswer::ConsumerHeartbeat(Ok(answer)) => {
            let assignment = answer.assignment.as_ref().map(|topics| {
                let each = topics.iter().map(|(topic, partitions)| named(*topic, partitions.iter().copied()));
                format!(" [{}]", each.collect::<Vec<_>>().join(" "))
            });
            format!("{} {}{}", short(&answer.member), answer.epoch, assignment.unwrap_or_default())
        }
        GroupAnswer::DescribeConsumerGroup(Ok(group)) => {
            let members = group.members.iter().map(|member| {
                let kind = if member.is_classic { "classic " } else { "" };
                format!("{kind}{}@{}", short(&member.member), member.epoch)
            });
            let members = members.collect::<Vec<_>>().join(" ");
            format!("{} {}/{} {} [{members}]", group.state, group.epoch, group.target_epoch, group.assignor)
        }
        GroupAnswer::ConsumerHeartbeat(Err(error))
        | GroupAnswer::DescribeConsumerGroup(Err(error))
        | GroupAnswer::FetchOffsets(Err(error))
        | GroupAnswer::Sync(Err(error))
        | GroupAnswer::Leave(Err(error))
        | GroupAnswer::DeleteOffsets(Err(error))
        | GroupAnswer::DescribeGroup(Err(error)) => error.code().name().to_owned(),
    }
}

/// `1:0,2` are partitions 0 and 2 of the topic with the identity 1.
fn named(topic: TopicId, partitions: impl Iterator<Item = PartitionIndex>) -> String {
    let partitions: Vec<String> = partitions.map(|partition| partition.to_string()).collect();
    format!("{}:{}", topic.0.as_u128(), partitions.join(","))
}

fn owned(owned: &Owned) -> String {
    let each = owned.iter().map(|(topic, partitions)| named(*topic, partitions.keys().copied()));
    each.collect::<Vec<_>>().join(" ")
}

fn consumer(event: &ConsumerEvent) -> Option<String> {
    Some(match event {
        ConsumerEvent::EpochStored { epoch, .. } => format!("epoch {epoch}"),
        ConsumerEvent::EpochForgotten => "epoch gone".to_owned(),
        ConsumerEvent::TopicsStored => "topics".to_owned(),
        ConsumerEvent::TopicsForgotten => "topics gone".to_owned(),
        ConsumerEvent::MemberStored { member, .. } => format!("member {}", short(member)),
        ConsumerEvent::MemberForgotten(member) => format!("member {} gone", short(member)),
        ConsumerEvent::TargetStored { epoch, .. } => format!("target {epoch}"),
        ConsumerEvent::TargetForgotten => "target gone".to_owned(),
        ConsumerEvent::MemberTargetStored { member, target } => {
            let each = target.iter().map(|(topic, partitions)| named(*topic, partitions.iter().copied()));
            format!("target {} [{}]", short(member), each.collect::<Vec<_>>().join(" "))
        }
        ConsumerEvent::MemberTargetForgotten(member) => format!("target {} gone", short(member)),
        ConsumerEvent::CurrentStored { member, current } => {
            let revoking = owned(&current.revoking);
            let revoking = if revoking.is_empty() { revoking } else { format!(" -[{revoking}]") };
            let state = match current.state {
                MemberState::Stable => "",
                MemberState::UnrevokedPartitions => " unrevoked",
                MemberState::UnreleasedPartitions => " unreleased",
                MemberState::Unknown => " unknown",
            };
            format!("{}@{}{state} [{}]{revoking}", short(member), current.epoch, owned(&current.assigned))
        }
        ConsumerEvent::CurrentForgotten(member) => format!("{} gone", short(member)),
        ConsumerEvent::RegexStored { regex, resolved } => {
            format!(
                "/{regex}/ [{}]",
                resolved.topics.iter().map(|topic| &**topic).collect::<Vec<_>>().join(" ")
            )
        }
        ConsumerEvent::RegexForgotten(regex) => format!("/{regex}/ gone"),
        _ => return None,
    })
}

fn join_answer(answer: &JoinAnswer) -> String {
    match &answer.outcome {
        Ok(joined) => {
            let members: Vec<String> = joined.members.iter().map(|member| short(&member.member)).collect();
            let skip = if joined.skip_assignment { " skip" } else { "" };
            let protocol = joined.protocol.as_deref().unwrap_or("-");
            let leader = if joined.leader == answer.member {
                format!("leads [{}]{skip}", members.join(" "))
            } else {
                format!("follows {}", short(&joined.leader))
            };
            format!("{} {} {protocol} {leader}", short(&answer.member), joined.generation)
        }
        Err(error) => format!("{} {}", short(&answer.member), error.code().name()),
    }
}

fn result(outcome: Result<(), GroupError>) -> String {
    outcome.map_or_else(|error| error.code().name().to_owned(), |()| "ok".to_owned())
}

fn outcomes(topics: &[TopicOutcomes]) -> String {
    let all = topics.iter().flat_map(|topic| topic.partitions.iter().map(|(_, outcome)| result(*outcome)));
    all.collect::<Vec<String>>().join(" ")
}
