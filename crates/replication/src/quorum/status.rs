//! What the quorum says of itself (DescribeQuorum).

use std::time::Duration;

use vltava_core::id::{BrokerId, DirectoryId, LeaderEpoch, Offset, Timestamp};
use vltava_core::image::Endpoint;

/// The state of the controller quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// The leader epoch.
    pub epoch: LeaderEpoch,
    /// Everything below is committed.
    pub high_watermark: Offset,
    /// The nodes that vote.
    pub voters: Vec<QuorumReplica>,
    /// The nodes that follow the metadata log and do not vote.
    pub observers: Vec<QuorumReplica>,
    /// From the proposal of records until they were committed.
    pub commits: Latency,
    /// From the end of one leadership, or the start, until this node led.
    pub elections: Latency,
    /// The newest snapshot: when it was taken, and its size in bytes.
    pub snapshot: Option<(Timestamp, u64)>,
}

/// How long something took, since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How often it happened.
    pub count: u32,
    /// How long it took, all together.
    pub sum: Duration,
    /// How long it took at most.
    pub max: Duration,
}

impl Latency {
    /// It happened once more.
    pub(super) fn record(&mut self, took: Duration) {
        self.count = self.count.saturating_add(1);
        self.sum += took;
        self.max = self.max.max(took);
    }

    /// How long it took on average; nothing before it has happened.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(self.count)
    }
}

/// A node that follows the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    /// The node.
    pub id: BrokerId,
    /// Its metadata directory.
    pub directory: DirectoryId,
    /// Where controllers reach it.
    pub endpoints: Vec<Endpoint>,
    /// The end of its log.
    pub log_end: Offset,
    /// When it has last fetched; for the leader itself, now.
    pub last_fetch: Timestamp,
    /// When it has last had everything; for the leader itself, now.
    pub last_caught_up: Timestamp,
}
