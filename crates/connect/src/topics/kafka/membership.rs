//! The group protocol through the connections of `krafka`, with its security.
//!
//! The crate has no API for groups of other types than `consumer`, so this uses what it keeps to itself (the feature
//! `internal`), which is why its version is pinned. What waits for other members, joins and syncs, and all else go over two
//! connections: a broker answers the requests of a connection in order, and a heartbeat must not wait behind a round.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use krafka::__private::network::BrokerConnection;
use krafka::__private::protocol::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse,
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse, LeaveGroupMember, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse, VersionedDecode,
    VersionedEncode, versions,
};
use krafka::__private::{kafka_metadata, kafka_pool};
use krafka::error::ErrorCode;
use krafka::{Kafka, KrafkaError};
use parking_lot::Mutex;

use super::KafkaTopics;
use crate::error::ConnectError;
use crate::membership::{GroupTimes, Joined, Membership, MembershipError};

/// The type of groups of workers.
const PROTOCOL_TYPE: &str = "connect";
/// How much longer than a round an answer to a join may take.
const JOIN_MARGIN: Duration = Duration::from_secs(5);

/// A group of workers at a cluster.
pub struct KafkaMembership {
    kafka: Kafka,
    times: GroupTimes,
    coordinator: Mutex<Option<String>>,
}

impl fmt::Debug for KafkaMembership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaMembership").field("times", &self.times).finish_non_exhaustive()
    }
}

impl KafkaTopics {
    /// A group at this cluster, with connections of its own.
    ///
    /// # Errors
    /// When no server answers.
    pub async fn membership(&self, times: GroupTimes) -> Result<KafkaMembership, ConnectError> {
        let kafka = super::dial(&self.values).await?;
        Ok(KafkaMembership { kafka, times, coordinator: Mutex::default() })
    }
}

/// An API in the versions that are spoken here.
type Api = (ApiKey, i16, i16);

const FIND: Api = (ApiKey::FindCoordinator, versions::FIND_COORDINATOR_MIN, versions::FIND_COORDINATOR_MAX);
const JOIN: Api = (ApiKey::JoinGroup, versions::JOIN_GROUP_MIN, versions::JOIN_GROUP_MAX);
const SYNC: Api = (ApiKey::SyncGroup, versions::SYNC_GROUP_MIN, versions::SYNC_GROUP_MAX);
const HEARTBEAT: Api = (ApiKey::Heartbeat, versions::HEARTBEAT_MIN, versions::HEARTBEAT_MAX);
const LEAVE: Api = (ApiKey::LeaveGroup, versions::LEAVE_GROUP_MIN, versions::LEAVE_GROUP_MAX);

impl KafkaMembership {
    /// A group of consumers, to leave it: that needs no times.
    pub(super) fn consumers(kafka: Kafka, group: String) -> Self {
        let times = GroupTimes { group, session_timeout: Duration::ZERO, rebalance_timeout: Duration::ZERO };
        Self { kafka, times, coordinator: Mutex::default() }
    }

    async fn find(&self) -> Result<String, KrafkaError> {
        if let Some(address) = self.coordinator.lock().clone() {
            return Ok(address);
        }
        let (metadata, pool) = (kafka_metadata(&self.kafka), kafka_pool(&self.kafka));
        let known = metadata.brokers().into_iter().map(|broker| broker.address().to_owned());
        let mut last = KrafkaError::broker(ErrorCode::CoordinatorNotAvailable, "no broker is known");
        for address in known.chain(metadata.bootstrap_servers()) {
            let asked = match pool.get_connection(&address).await {
                Ok(connection) => self.find_at(&connection).await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(found) => {
                    *self.coordinator.lock() = Some(found.clone());
                    return Ok(found);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn find_at(&self, connection: &BrokerConnection) -> Result<String, KrafkaError> {
        let request = FindCoordinatorRequest::for_group(&self.times.group);
        let found: FindCoordinatorResponse = exchange(connection, FIND, Duration::ZERO, &request).await?;
        check(found.error_code)?;
        let host = if found.host.contains(':') { format!("[{}]", found.host) } else { found.host };
        Ok(format!("{host}:{}", found.port))
    }

    /// Asks the coordinator, over the connection for rounds or the other one.
    async fn ask<A: VersionedDecode>(
        &self,
        api: Api,
        wait: Duration,
        request: &impl VersionedEncode,
        code: impl Fn(&A) -> ErrorCode,
    ) -> Result<A, MembershipError> {
        let asked = async {
            let (address, pool) = (self.find().await?, kafka_pool(&self.kafka));
            let connection = match api.0 {
                ApiKey::JoinGroup | ApiKey::SyncGroup => pool.get_coordinator_connection(&address).await?,
                _ => pool.get_connection(&address).await?,
            };
            exchange(&connection, api, wait, request).await
        };
        let answered: Result<A, KrafkaError> = asked.await;
        let failed = match answered {
            Ok(answer) => match code(&answer) {
                code if code.is_ok() || code == ErrorCode::MemberIdRequired => return Ok(answer),
                code => KrafkaError::broker(code, "the group"),
            },
            Err(error) => error,
        };
        let error = told(failed);
        if matches!(error, MembershipError::Unreachable(_)) {
            *self.coordinator.lock() = None;
        }
        Err(error)
    }
}

async fn exchange<A: VersionedDecode>(
    connection: &BrokerConnection,
    (key, least, most): Api,
    wait: Duration,
    request: &impl VersionedEncode,
) -> Result<A, KrafkaError> {
    let unsupported = || KrafkaError::broker(ErrorCode::UnsupportedVersion, format!("{key:?}"));
    let version = connection.negotiate_api_version(key, most, least).ok_or_else(unsupported)?;
    let encode = |buffer: &mut BytesMut| request.encode_versioned(version, buffer);
    let mut answer = connection.send_request_with_timeout(key, version, wait, encode).await?;
    A::decode_versioned(version, &mut answer)
}

fn check(code: ErrorCode) -> Result<(), KrafkaError> {
    if code.is_ok() { Ok(()) } else { Err(KrafkaError::broker(code, "the group")) }
}

fn told(error: KrafkaError) -> MembershipError {
    let KrafkaError::Broker { code, .. } = &error else {
        return if error.is_retriable() {
            MembershipError::Unreachable(error.to_string())
        } else {
            MembershipError::Refused(error.to_string())
        };
    };
    match code {
        ErrorCode::RebalanceInProgress => MembershipError::Rebalance,
        ErrorCode::IllegalGeneration => MembershipError::Stale,
        ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => MembershipError::Forgotten,
        _ if error.is_retriable() => MembershipError::Unreachable(error.to_string()),
        _ => MembershipError::Refused(error.to_string()),
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[async_trait]
impl Membership for KafkaMembership {
    async fn join(&self, member: &str, offers: Vec<(String, Bytes)>) -> Result<Joined, MembershipError> {
        let protocol = |(name, metadata)| JoinGroupRequestProtocol { name, metadata };
        let mut request = JoinGroupRequest {
            group_id: self.times.group.clone(),
            session_timeout_ms: milliseconds(self.times.session_timeout),
            rebalance_timeout_ms: milliseconds(self.times.rebalance_timeout),
            member_id: member.to_owned(),
            group_instance_id: None,
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: offers.into_iter().map(protocol).collect(),
            reason: None,
        };
        let wait = self.times.rebalance_timeout + JOIN_MARGIN;
        let code = |answer: &JoinGroupResponse| answer.error_code;
        let mut answer = self.ask(JOIN, wait, &request, code).await?;
        if answer.error_code == ErrorCode::MemberIdRequired {
            request.member_id = answer.member_id;
            answer = self.ask(JOIN, wait, &request, code).await?;
        }
        let members = answer.members.into_iter().map(|member| (member.member_id, member.metadata));
        Ok(Joined {
            generation: answer.generation_id,
            protocol: answer.protocol_name.unwrap_or_default(),
            member: answer.member_id,
            leader: answer.leader,
            members: members.collect(),
        })
    }

    async fn sync(
        &self,
        joined: &Joined,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, MembershipError> {
        let assignment = |(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment };
        let request = SyncGroupRequest {
            group_id: self.times.group.clone(),
            generation_id: joined.generation,
            member_id: joined.member.clone(),
            group_instance_id: None,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(joined.protocol.clone()),
            assignments: assignments.into_iter().map(assignment).collect(),
        };
        let code = |answer: &SyncGroupResponse| answer.error_code;
        Ok(self.ask(SYNC, self.times.rebalance_timeout, &request, code).await?.assignment)
    }

    async fn heartbeat(&self, member: &str, generation: i32) -> Result<(), MembershipError> {
        let request = HeartbeatRequest {
            group_id: self.times.group.clone(),
            generation_id: generation,
            member_id: member.to_owned(),
            group_instance_id: None,
        };
        let code = |answer: &HeartbeatResponse| answer.error_code;
        self.ask(HEARTBEAT, Duration::ZERO, &request, code).await.map(drop)
    }

    async fn leave(&self, member: &str) -> Result<(), MembershipError> {
        let leaving =
            LeaveGroupMember { member_id: member.to_owned(), group_instance_id: None, reason: None };
        let request = LeaveGroupRequest {
            group_id: self.times.group.clone(),
            member_id: member.to_owned(),
            members: vec![leaving],
        };
        let code = |answer: &LeaveGroupResponse| answer.error_code;
        self.ask(LEAVE, Duration::ZERO, &request, code).await.map(drop)
    }
}
