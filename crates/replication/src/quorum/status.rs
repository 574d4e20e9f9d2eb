//! What the quorum says of itself (DescribeQuorum).

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
