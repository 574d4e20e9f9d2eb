//! OffsetCommit.

use vltava_core::id::{Generation, LeaderEpoch, Timestamp, TopicId};
use vltava_core::machine::{Context, Decision, Reply};

use super::GroupCoordinator;
use super::answer::{GroupAnswer, TopicOutcomes};
use super::classic::{ClassicGroup, ClassicState, Member, hear};
use super::command::{CommitOffsets, CommitPartition, CommitTopic};
use super::consumer::CommitCheck;
use super::error::GroupError;
use super::event::{CommittedOffset, GroupEvent, OffsetKey};

impl GroupCoordinator {
    pub(super) fn commit_offsets(&self, context: &Context<'_>, commit: CommitOffsets) -> Decision<Self> {
        let consumer = self.consumers.get(&commit.group).map(|group| group.admit_commit(&commit));
        let admitted = match consumer {
            Some(check) => check.map(|check| (None, check)),
            None => self.admit_commit(&commit).map(|member| (member, CommitCheck::Any)),
        };
        let (member, check) = match admitted {
            Ok(admitted) => admitted,
            Err(error) => return Decision::answer(refuse(commit.topics, error)),
        };
        let (events, outcomes) = self.to_store_all(context, &commit, &check);
        let mut decision = Decision::with(events, Reply::Committed(GroupAnswer::CommitOffsets(outcomes)));
        if let Some(member) = member {
            hear(&mut decision, context, &commit.group, member);
        }
        decision
    }

    /// The offsets that can be stored as they are, and how it went for each partition.
    pub(super) fn to_store_all(
        &self,
        context: &Context<'_>,
        commit: &CommitOffsets,
        check: &CommitCheck,
    ) -> (Vec<GroupEvent>, Vec<TopicOutcomes>) {
        let expire_timestamp = commit
            .retention
            .map(|retention| context.wall.plus(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX)));
        let mut events = Vec::new();
        let mut outcomes = Vec::with_capacity(commit.topics.len());
        for topic in &commit.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let epoch = || check.check(topic_id(context, topic), partition.partition);
                let outcome = self.check_metadata(partition).and_then(|()| epoch());
                partitions.push((partition.partition, outcome));
                if outcome.is_ok() {
                    let key = OffsetKey {
                        group: commit.group.clone(),
                        topic: topic.name.clone(),
                        partition: partition.partition,
                    };
                    let offset = to_store(topic.id, partition, context.wall, expire_timestamp);
                    events.push(GroupEvent::OffsetCommitted { key, offset });
                }
            }
            outcomes.push(TopicOutcomes { name: topic.name.clone(), id: topic.id, partitions });
        }
        (events, outcomes)
    }

    /// Whether the offsets may be committed, and which member's session that keeps alive.
    fn admit_commit(&self, commit: &CommitOffsets) -> Result<Option<&Member>, GroupError> {
        let anonymous = commit.generation < Generation(0);
        let Some(group) = self.classic(&commit.group) else {
            let exists = self.offsets.has_group(&commit.group);
            return match commit {
                _ if anonymous => Ok(None),
                _ if exists => Err(GroupError::UnknownMember),
                _ if commit.knows_group_not_found => Err(GroupError::GroupNotFound),
                _ => Err(GroupError::IllegalGeneration),
            };
        };
        if anonymous && group.state == ClassicState::Empty {
            return Ok(None);
        }
        if anonymous && commit.member.is_empty() && commit.instance.is_none() {
            return Err(GroupError::UnknownMember);
        }
        admit_member(group, commit)
    }

    fn check_metadata(&self, partition: &CommitPartition) -> Result<(), GroupError> {
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        let limit = self.settings.offset_metadata_length_max;
        if metadata.len() > limit && metadata.encode_utf16().count() > limit {
            return Err(GroupError::OffsetMetadataTooLarge);
        }
        Ok(())
    }
}

/// The identity of a topic that the command may name by its name only.
fn topic_id(context: &Context<'_>, topic: &CommitTopic) -> TopicId {
    let named = || context.image.topics.by_name(&topic.name).map_or(TopicId::ZERO, |topic| topic.id);
    if topic.id == TopicId::ZERO { named() } else { topic.id }
}

fn admit_member<'a>(
    group: &'a ClassicGroup,
    commit: &CommitOffsets,
) -> Result<Option<&'a Member>, GroupError> {
    let member = group.validate(&commit.member, commit.instance.as_ref())?;
    if commit.generation != group.generation {
        return Err(GroupError::IllegalGeneration);
    }
    match group.state {
        ClassicState::CompletingRebalance => Err(GroupError::RebalanceInProgress),
        ClassicState::Empty => Ok(None),
        ClassicState::PreparingRebalance | ClassicState::Stable => Ok(Some(member)),
    }
}

fn to_store(
    topic_id: TopicId,
    partition: &CommitPartition,
    now: Timestamp,
    expire_timestamp: Option<Timestamp>,
) -> CommittedOffset {
    // The record format with an expiry has no room for the other two.
    let expires = expire_timestamp.is_some();
    CommittedOffset {
        offset: partition.offset,
        leader_epoch: if expires { LeaderEpoch::NONE } else { partition.leader_epoch },
        metadata: partition.metadata.clone().unwrap_or_default(),
        commit_timestamp: now,
        expire_timestamp,
        topic_id: if expires { TopicId::ZERO } else { topic_id },
    }
}

pub(super) fn refuse(topics: Vec<CommitTopic>, error: GroupError) -> GroupAnswer {
    let refused = topics.into_iter().map(|topic| TopicOutcomes {
        name: topic.name,
        id: topic.id,
        partitions: topic.partitions.iter().map(|partition| (partition.partition, Err(error))).collect(),
    });
    GroupAnswer::CommitOffsets(refused.collect())
}
