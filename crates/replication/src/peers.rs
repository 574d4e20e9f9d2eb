//! What a replica asks of other nodes.
//!
//! [`Peers`] is the seam between replication and whatever carries its questions: connections between brokers, or a
//! simulated network. Its contract:
//!
//! 1. A call ends: with what the other node has answered, or with [`PeerError`] after a time of the implementor's choice.
//!    An error says nothing about whether the question was understood, answered, or will still be.
//! 2. An answer is the answer to this question, and may be late: the asker checks whether it still applies.
//! 3. A fetch that brings nothing waits at the leader for up to [`FetchFromLeader::wait`], so that asking again at once is
//!    no busy loop.
//! 4. Proposals of one node reach the controller in the order in which they were made, or not at all: after an answer to a
//!    later one no earlier one is still on its way.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use vltava_core::log::LogError;

use crate::partition::{
    FetchPosition, FetchedRecords, IsrProposal, IsrVerdict, Partition, ReplicaFetch, load,
};

/// Other nodes, as a replica sees them.
#[async_trait]
pub trait Peers: Send + Sync + fmt::Debug {
    /// Fetches from the leader of some partitions (Fetch). Partitions that the leader has nothing to say about may be left
    /// out of the answer.
    ///
    /// # Errors
    /// [`PeerError`] when no answer came.
    async fn fetch(
        &self,
        leader: BrokerId,
        request: FetchFromLeader,
    ) -> Result<Vec<PartitionAnswer>, PeerError>;

    /// Where the log of a partition's leader starts and ends (ListOffsets, as a replica), or Kafka's code.
    ///
    /// # Errors
    /// [`PeerError`] when no answer came.
    async fn bounds(
        &self,
        leader: BrokerId,
        partition: TopicIdPartition,
        epoch: LeaderEpoch,
    ) -> Result<Result<(Offset, Offset), ErrorCode>, PeerError>;

    /// Asks the controller for other in-sync replicas (AlterPartition, KIP-497). One verdict for each proposal, in order.
    ///
    /// # Errors
    /// [`PeerError`] when no answer came.
    async fn alter_isr(
        &self,
        proposals: Vec<(TopicIdPartition, IsrProposal)>,
    ) -> Result<Vec<IsrVerdict>, PeerError>;
}

/// No answer came.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the other node did not answer: {0}")]
pub struct PeerError(pub String);

/// A follower's fetch of all partitions that one node leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchFromLeader {
    /// Who asks.
    pub replica: BrokerId,
    /// In which epoch of its registration.
    pub broker_epoch: BrokerEpoch,
    /// How long the leader may wait for records (`replica.fetch.wait.max.ms`).
    pub wait: Duration,
    /// The most bytes of one partition (`replica.fetch.max.bytes`); the first batch comes whole.
    pub partition_bytes: usize,
    /// The partitions and where each log stands.
    pub partitions: Vec<(TopicIdPartition, FetchPosition)>,
}

/// What a leader answers for one partition: records, or Kafka's code.
pub type PartitionAnswer = (TopicIdPartition, Result<FetchedRecords, ErrorCode>);

/// What a leader's partition answers to `asker`, and whether its in-sync replicas should be looked at now. *Blocks.*
///
/// # Errors
/// Kafka's code.
pub fn answer(partition: &Partition, asker: &FetchFromLeader, position: FetchPosition) -> Answered {
    let fetch = ReplicaFetch {
        replica: asker.replica,
        broker_epoch: asker.broker_epoch,
        position,
        bytes: asker.partition_bytes,
    };
    let found = partition.fetch_as_replica(&fetch).map_err(|error| error.code())?;
    let records = load(found.data).map_err(|error: LogError| error.code())?;
    let answer = FetchedRecords {
        records,
        diverging: found.diverging,
        high: found.watermarks.high,
        log_start: found.watermarks.start,
    };
    Ok((answer, found.joining))
}

/// See [`answer`].
pub type Answered = Result<(FetchedRecords, bool), ErrorCode>;

/// Whether a follower has to be told at once: there are records, or the logs have parted, or the fetch makes no sense.
#[must_use]
pub fn is_urgent(answered: &Answered) -> bool {
    answered
        .as_ref()
        .map_or(true, |(fetched, _)| fetched.diverging.is_some() || fetched.records != Bytes::new())
}
