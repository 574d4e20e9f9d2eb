//! A member of a group: join, share out, stay alive, commit, leave. What is here is the classic protocol, and what both have
//! in common; the other one is in [`super::consumer_protocol`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use clap::ValueEnum;
use tokio::time::Instant;
use vltava_coordinator::generated::consumer_protocol::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use vltava_coordinator::generated::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription,
};
use vltava_core::error::ErrorCode;
use vltava_core::id::{Offset, PartitionIndex};
use vltava_core::wire::{Message, Reader, WireStr, Writer};
use vltava_protocol::join_group_request::JoinGroupRequestProtocol;
use vltava_protocol::leave_group_request::MemberIdentity;
use vltava_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
    SyncGroupRequest, SyncGroupResponse,
};
use vltava_protocol::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use vltava_protocol::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use vltava_protocol::sync_group_request::SyncGroupRequestAssignment;

use super::consumer_protocol::Reconciled;
use crate::cli::error::CliError;
use crate::cli::offsets::TopicPartition;
use crate::net::client::{Client, ClientError, Route};

/// How long the others of a group may take to join again.
pub const REBALANCE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often offsets are committed while reading.
pub const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

const SESSION_TIMEOUT: Duration = Duration::from_secs(45);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
const PROTOCOL_TYPE: &str = "consumer";
const ASSIGNOR: &str = "range";

/// The version of the subscription and assignment schemas: topics and user data, which every client reads.
const SCHEMA_VERSION: i16 = 0;

/// How the members of a group come to share partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GroupProtocol {
    /// The members meet, and one of them assigns
    Classic,
    /// The broker assigns (KIP-848)
    Consumer,
}

/// What a heartbeat tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Read,
    /// The group changes: join again.
    Rejoin,
}

/// A member of a group that reads one topic.
#[derive(Debug)]
pub struct Membership {
    pub(super) client: Client,
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) member: WireStr,
    /// The generation, or the epoch of the member.
    pub(super) generation: i32,
    pub(super) beaten: Instant,
    pub(super) unsaved: BTreeMap<TopicPartition, Offset>,
    /// What a member of the consumer protocol knows besides.
    pub(super) reconciled: Option<Reconciled>,
}

impl Membership {
    /// Not a member yet. `client` must be patient enough for a rebalance.
    pub fn new(client: Client, group: &str, topic: &str, protocol: GroupProtocol) -> Self {
        let reconciled = (protocol == GroupProtocol::Consumer).then(Reconciled::default);
        Self {
            client,
            group: group.to_owned(),
            topic: topic.to_owned(),
            member: WireStr::new(),
            generation: -1,
            beaten: Instant::now(),
            unsaved: BTreeMap::new(),
            reconciled,
        }
    }

    /// Joins, and returns what this member is to read.
    pub async fn join(&mut self) -> Result<BTreeSet<TopicPartition>, CliError> {
        if self.reconciled.is_some() {
            return self.reconcile().await;
        }
        loop {
            let joined = self.join_once().await?;
            match ErrorCode::from_code(joined.error_code) {
                ErrorCode::MEMBER_ID_REQUIRED => self.member = WireStr::copy_of(&joined.member_id),
                ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => self.member = WireStr::new(),
                ErrorCode::REBALANCE_IN_PROGRESS => {}
                code => {
                    ClientError::check(code.code(), None)?;
                    self.member = WireStr::copy_of(&joined.member_id);
                    self.generation = joined.generation_id;
                    if let Some(assigned) = self.sync(&joined).await? {
                        self.beaten = Instant::now();
                        self.unsaved.clear();
                        return Ok(assigned);
                    }
                }
            }
        }
    }

    /// Tells the coordinator that this member lives, when it is time to.
    pub async fn heartbeat(&mut self) -> Result<Step, CliError> {
        let interval = self.reconciled.as_ref().map_or(HEARTBEAT_INTERVAL, |known| known.interval);
        if self.beaten.elapsed() < interval {
            return Ok(Step::Read);
        }
        if self.reconciled.is_some() {
            return self.beat().await;
        }
        let request = HeartbeatRequest {
            group_id: (&self.group).into(),
            generation_id: self.generation,
            member_id: self.member.clone(),
            group_instance_id: None,
        };
        let answer = self
            .client
            .call(&self.route(), |_| request.clone(), |answer: &HeartbeatResponse| answer.error_code)
            .await?;
        self.beaten = Instant::now();
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::REBALANCE_IN_PROGRESS => Ok(Step::Rejoin),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => {
                self.member = WireStr::new();
                Ok(Step::Rejoin)
            }
            code => {
                ClientError::check(code.code(), None)?;
                Ok(Step::Read)
            }
        }
    }

    /// Remembers how far was read, to be committed when leaving.
    pub fn remember(&mut self, positions: &BTreeMap<TopicPartition, Offset>) {
        self.unsaved.clone_from(positions);
    }

    /// Commits how far was read.
    pub async fn commit(&mut self, positions: &BTreeMap<TopicPartition, Offset>) -> Result<(), CliError> {
        if positions.is_empty() {
            return Ok(());
        }
        let partition = |(key, offset): (&TopicPartition, &Offset)| OffsetCommitRequestPartition {
            partition_index: key.1.0,
            committed_offset: offset.0,
            committed_leader_epoch: -1,
            committed_metadata: Some(WireStr::new()),
        };
        let request = OffsetCommitRequest {
            group_id: (&self.group).into(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.member.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: (&self.topic).into(),
                partitions: positions.iter().map(partition).collect(),
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let first = |answer: &OffsetCommitResponse| {
            let mut codes = answer
                .topics
                .iter()
                .flat_map(|topic| &topic.partitions)
                .map(|partition| partition.error_code);
            codes.find(|code| *code != 0).unwrap_or(0)
        };
        let answer = self.client.call_within(&self.route(), &(2..=9), |_| request.clone(), first).await?;
        Ok(ClientError::check(first(&answer), None)?)
    }

    /// The offsets the group has committed for these partitions.
    pub async fn committed(
        &mut self,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, CliError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let indexes: Vec<i32> = partitions.iter().map(|key| key.1.0).collect();
        let (group, topic) = (&self.group, &self.topic);
        let build = |version: i16| committed_request(version, group, topic, &indexes);
        let code = |answer: &OffsetFetchResponse| {
            answer.groups.first().map_or(answer.error_code, |group| group.error_code)
        };
        let answer = self.client.call_within(&self.route(), &(2..=9), build, code).await?;
        ClientError::check(code(&answer), None)?;
        let old = answer
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|p| (p.partition_index, p.committed_offset));
        let groups = answer.groups.iter().flat_map(|group| &group.topics);
        let new = groups.flat_map(|topic| &topic.partitions).map(|p| (p.partition_index, p.committed_offset));
        let known = old.chain(new).filter(|(_, offset)| *offset >= 0);
        Ok(known
            .map(|(partition, offset)| ((self.topic.clone(), PartitionIndex(partition)), Offset(offset)))
            .collect())
    }

    /// Commits what was remembered and leaves, so that the others need not wait for the session to end.
    pub async fn leave(mut self) {
        let unsaved = std::mem::take(&mut self.unsaved);
        if let Err(error) = self.commit(&unsaved).await {
            eprintln!("vltava: offsets could not be committed: {error}");
        }
        if self.member.is_empty() {
            return;
        }
        if self.reconciled.is_some() {
            return self.leave_consumer_group().await;
        }
        let build = |version: i16| {
            let mut request =
                LeaveGroupRequest { group_id: (&self.group).into(), ..LeaveGroupRequest::default() };
            if version >= 3 {
                request.members = vec![MemberIdentity {
                    member_id: self.member.clone(),
                    group_instance_id: None,
                    reason: None,
                }];
            } else {
                request.member_id = self.member.clone();
            }
            request
        };
        let route = self.route();
        // Nobody waits for the answer of a member that is going; the session's end would do the same.
        let left = self.client.call(&route, build, |answer: &LeaveGroupResponse| answer.error_code).await;
        if let Err(error) = left {
            eprintln!("vltava: the group {} did not hear that this member leaves: {error}", self.group);
        }
    }

    pub(super) fn route(&self) -> Route {
        Route::Coordinator(self.group.clone())
    }

    async fn join_once(&mut self) -> Result<JoinGroupResponse, CliError> {
        let subscription = ConsumerProtocolSubscription {
            topics: vec![(&self.topic).into()],
            ..ConsumerProtocolSubscription::default()
        };
        let request = JoinGroupRequest {
            group_id: (&self.group).into(),
            session_timeout_ms: milliseconds(SESSION_TIMEOUT),
            rebalance_timeout_ms: milliseconds(REBALANCE_TIMEOUT),
            member_id: self.member.clone(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: ASSIGNOR.into(),
                metadata: versioned(&subscription)?,
            }],
            group_instance_id: None,
            reason: None,
        };
        Ok(self
            .client
            .call(&self.route(), |_| request.clone(), |answer: &JoinGroupResponse| answer.error_code)
            .await?)
    }

    /// Hands out partitions when this member leads, and learns its own; `None` when the group changed again meanwhile.
    async fn sync(
        &mut self,
        joined: &JoinGroupResponse,
    ) -> Result<Option<BTreeSet<TopicPartition>>, CliError> {
        let assignments =
            if joined.leader == joined.member_id { self.assign(joined).await? } else { Vec::new() };
        let build = |version: i16| {
            let mut request = SyncGroupRequest {
                group_id: (&self.group).into(),
                generation_id: self.generation,
                member_id: self.member.clone(),
                assignments: assignments.clone(),
                ..SyncGroupRequest::default()
            };
            if version >= 5 {
                request.protocol_type = Some(PROTOCOL_TYPE.into());
                request.protocol_name = Some(ASSIGNOR.into());
            }
            request
        };
        let route = self.route();
        let answer = self.client.call(&route, build, |answer: &SyncGroupResponse| answer.error_code).await?;
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::REBALANCE_IN_PROGRESS => return Ok(None),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => {
                self.member = WireStr::new();
                return Ok(None);
            }
            code => ClientError::check(code.code(), None)?,
        }
        assigned(answer.assignment).map(Some)
    }

    async fn assign(
        &mut self,
        joined: &JoinGroupResponse,
    ) -> Result<Vec<SyncGroupRequestAssignment>, CliError> {
        let answer = self.client.metadata(Some(std::slice::from_ref(&self.topic))).await?;
        let topic = answer.topics.first();
        let count = topic.map_or(0, |topic| i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX));
        let mut members: Vec<&WireStr> = joined.members.iter().map(|member| &member.member_id).collect();
        members.sort();
        let assignment = |(member, partitions): (&WireStr, Vec<i32>)| {
            let assigned_partitions = if partitions.is_empty() {
                Vec::new()
            } else {
                vec![AssignedTopic { topic: (&self.topic).into(), partitions }]
            };
            let assignment =
                ConsumerProtocolAssignment { assigned_partitions, ..ConsumerProtocolAssignment::default() };
            Ok(SyncGroupRequestAssignment { member_id: member.clone(), assignment: versioned(&assignment)? })
        };
        let shares = ranges(members.len(), count);
        members.into_iter().zip(shares).map(assignment).collect()
    }
}

fn committed_request(version: i16, group: &str, topic: &str, indexes: &[i32]) -> OffsetFetchRequest {
    if version >= 8 {
        let topics = vec![OffsetFetchRequestTopics {
            name: topic.to_owned().into(),
            partition_indexes: indexes.to_vec(),
            ..OffsetFetchRequestTopics::default()
        }];
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned().into(),
            topics: Some(topics),
            member_epoch: -1,
            ..OffsetFetchRequestGroup::default()
        };
        return OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() };
    }
    let topics =
        vec![OffsetFetchRequestTopic { name: topic.to_owned().into(), partition_indexes: indexes.to_vec() }];
    OffsetFetchRequest {
        group_id: group.to_owned().into(),
        topics: Some(topics),
        ..OffsetFetchRequest::default()
    }
}

/// Partitions 0 to `count` in as many neighbouring ranges as there are members, the first ones longer by one.
fn ranges(members: usize, count: i32) -> Vec<Vec<i32>> {
    let members = i32::try_from(members.max(1)).unwrap_or(i32::MAX);
    let (each, longer) = (count / members, count % members);
    let start = |index: i32| index * each + index.min(longer);
    (0..members).map(|index| (start(index)..start(index + 1)).collect()).collect()
}

pub(super) fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// A schema of the consumer protocol behind its version.
fn versioned(message: &impl Message) -> Result<Bytes, CliError> {
    let mut writer = Writer::contiguous();
    writer.i16(SCHEMA_VERSION);
    let written = message.encode(&mut writer, SCHEMA_VERSION).and_then(|()| writer.into_bytes());
    written.map_err(|error| CliError::Failed(format!("the group's protocol cannot be written: {error}")))
}

fn assigned(bytes: Bytes) -> Result<BTreeSet<TopicPartition>, CliError> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut reader = Reader::new(bytes);
    let newest = *ConsumerProtocolAssignment::VERSIONS.end();
    let read =
        reader.i16().and_then(|version| ConsumerProtocolAssignment::decode(&mut reader, version.min(newest)));
    let assignment = read.map_err(|error| {
        CliError::Failed(format!("the group's leader sent an assignment that cannot be read: {error}"))
    })?;
    let each = |topic: &AssignedTopic| {
        let name = topic.topic.to_string();
        topic
            .partitions
            .iter()
            .map(move |partition| (name.clone(), PartitionIndex(*partition)))
            .collect::<Vec<_>>()
    };
    Ok(assignment.assigned_partitions.iter().flat_map(each).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_shared_out_in_ranges() {
        for (members, count, expected) in [
            (1, 3, vec![vec![0, 1, 2]]),
            (2, 3, vec![vec![0, 1], vec![2]]),
            (3, 2, vec![vec![0], vec![1], vec![]]),
            (2, 0, vec![vec![], vec![]]),
        ] {
            assert_eq!(ranges(members, count), expected, "{members} {count}");
        }
    }

    #[test]
    fn an_assignment_survives_its_schema() {
        let topics = vec![AssignedTopic { topic: "t".into(), partitions: vec![0, 2] }];
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: topics,
            ..ConsumerProtocolAssignment::default()
        };
        let read = assigned(versioned(&assignment).unwrap()).unwrap();
        let expected = [0, 2].map(|partition| ("t".to_owned(), PartitionIndex(partition)));
        assert_eq!(read, BTreeSet::from(expected));
        assert!(assigned(Bytes::from_static(b"\0")).is_err());
    }
}
