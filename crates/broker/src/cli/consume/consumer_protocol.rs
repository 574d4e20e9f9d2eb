//! The consumer protocol (KIP-848): heartbeats bring what the broker assigns, and tell what this member has.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vltava_core::error::ErrorCode;
use vltava_core::id::{PartitionIndex, Uuid, uuid_to_base64};
use vltava_protocol::consumer_group_heartbeat_request::TopicPartitions;
use vltava_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use super::membership::{Membership, REBALANCE_TIMEOUT, Step, milliseconds};
use crate::cli::error::CliError;
use crate::cli::offsets::TopicPartition;
use crate::net::client::ClientError;

/// The epoch of who wants to join.
const JOINING: i32 = 0;
/// The epoch of who leaves.
const LEAVING: i32 = -1;

/// So many heartbeats a new member waits until others have given up partitions for it; then it goes on without any.
const PATIENCE: usize = 3;

/// What a member of the consumer protocol knows besides.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// How often the broker wants to hear of the member; at once until it has said so.
    pub interval: Duration,
    /// What it has, by topic id.
    owned: Vec<(Uuid, Vec<i32>)>,
}

impl Membership {
    /// Joins, or tells that what was taken away is given up; returns what this member has then.
    pub(super) async fn reconcile(&mut self) -> Result<BTreeSet<TopicPartition>, CliError> {
        if self.member.is_empty() {
            self.member = uuid_to_base64(Uuid::new_v4()).into();
            self.generation = JOINING;
        }
        let mut beats = 0;
        loop {
            let known = self.exchange(true).await? != Exchanged::Fenced;
            beats += 1;
            let owned = self.owned();
            if known && (!owned.is_empty() || beats >= PATIENCE) {
                self.unsaved.clear();
                return Ok(owned);
            }
            if known {
                sleep(self.interval()).await;
            }
        }
    }

    /// Tells that this member lives, and hears whether its partitions change.
    pub(super) async fn beat(&mut self) -> Result<Step, CliError> {
        match self.exchange(false).await? {
            Exchanged::Same => Ok(Step::Read),
            Exchanged::Assigned | Exchanged::Fenced => Ok(Step::Rejoin),
        }
    }

    pub(super) async fn leave_consumer_group(mut self) {
        self.generation = LEAVING;
        if let Err(error) = self.send_heartbeat(false).await {
            eprintln!("vltava: the group {} did not hear that this member leaves: {error}", self.group);
        }
    }

    /// One heartbeat, and what it brings. With `whole` it tells everything of this member.
    async fn exchange(&mut self, whole: bool) -> Result<Exchanged, CliError> {
        let answer = self.send_heartbeat(whole).await?;
        self.beaten = Instant::now();
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID => {
                self.generation = JOINING;
                self.reconciled = Some(Reconciled::default());
                return Ok(Exchanged::Fenced);
            }
            code => ClientError::check(code.code(), answer.error_message.as_deref())?,
        }
        self.generation = answer.member_epoch;
        let Some(known) = &mut self.reconciled else { return Ok(Exchanged::Same) };
        known.interval = Duration::from_millis(u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0));
        let Some(assignment) = answer.assignment else { return Ok(Exchanged::Same) };
        let owned =
            assignment.topic_partitions.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect();
        let same = known.owned == owned;
        known.owned = owned;
        Ok(if same { Exchanged::Same } else { Exchanged::Assigned })
    }

    async fn send_heartbeat(&mut self, whole: bool) -> Result<ConsumerGroupHeartbeatResponse, ClientError> {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: (&self.group).into(),
            member_id: self.member.clone(),
            member_epoch: self.generation,
            rebalance_timeout_ms: if whole { milliseconds(REBALANCE_TIMEOUT) } else { -1 },
            subscribed_topic_names: whole.then(|| vec![(&self.topic).into()]),
            topic_partitions: whole.then(|| self.told()),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        let code = |answer: &ConsumerGroupHeartbeatResponse| answer.error_code;
        let route = self.route();
        self.client.call(&route, |_| request.clone(), code).await
    }

    fn interval(&self) -> Duration {
        self.reconciled.as_ref().map_or(Duration::ZERO, |known| known.interval)
    }

    fn told(&self) -> Vec<TopicPartitions> {
        let owned = self.reconciled.iter().flat_map(|known| &known.owned);
        owned
            .map(|(id, partitions)| TopicPartitions { topic_id: *id, partitions: partitions.clone() })
            .collect()
    }

    /// What it has. It has asked for one topic only.
    fn owned(&self) -> BTreeSet<TopicPartition> {
        let indexes = self.reconciled.iter().flat_map(|known| &known.owned).flat_map(|(_, indexes)| indexes);
        indexes.map(|index| (self.topic.clone(), PartitionIndex(*index))).collect()
    }
}

/// What a heartbeat has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchanged {
    /// Nothing new.
    Same,
    /// Other partitions.
    Assigned,
    /// The member is none any more, and has to join again.
    Fenced,
}
