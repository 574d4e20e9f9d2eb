//! The seam to a group of workers: join, sync, heartbeat, leave, with metadata that the coordinator does not look into.
//!
//! It is the classic group protocol of Kafka, of the type `connect`. A membership keeps no state: whoever uses it says who
//! it is, so that a heartbeat may go out while a join waits for others.
//!
//! The contract:
//!
//! 1. [`Membership::join`] waits until the round is complete; dropping it takes nothing back.
//! 2. A heartbeat that was answered with anything but [`MembershipError::Forgotten`] and [`MembershipError::Unreachable`]
//!    proves that the coordinator knew the member after the heartbeat was sent.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A group.
#[async_trait]
pub trait Membership: fmt::Debug + Send + Sync {
    /// Joins the next round. `member` is empty for who is none yet; `offers` are protocols with metadata, the best first.
    async fn join(&self, member: &str, offers: Vec<(String, Bytes)>) -> Result<Joined, MembershipError>;

    /// Says what the members are assigned, when this one leads, and learns what is for this one.
    async fn sync(
        &self,
        joined: &Joined,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, MembershipError>;

    /// Says that the member lives.
    async fn heartbeat(&self, member: &str, generation: i32) -> Result<(), MembershipError>;

    /// Leaves at once.
    async fn leave(&self, member: &str) -> Result<(), MembershipError>;
}

/// A group, and for how long it waits for its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTimes {
    /// The group.
    pub group: String,
    /// After how long without a heartbeat a member is given up.
    pub session_timeout: Duration,
    /// How long members may take to join a round.
    pub rebalance_timeout: Duration,
}

/// A round that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its number.
    pub generation: i32,
    /// The protocol that all offered.
    pub protocol: String,
    /// Who this member is.
    pub member: String,
    /// Who leads.
    pub leader: String,
    /// All members with their metadata; only the leader is told.
    pub members: Vec<(String, Bytes)>,
}

/// Why a group does not answer as it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Another round has begun: join it.
    #[error("the group rebalances")]
    Rebalance,
    /// The member is of an older round.
    #[error("the group is of another generation")]
    Stale,
    /// The coordinator does not know the member.
    #[error("the group does not know this member")]
    Forgotten,
    /// Nobody knows: the coordinator cannot be reached, or has moved.
    #[error("{0}")]
    Unreachable(String),
    /// It will not go better: no right to it, or no protocol in common with others.
    #[error("{0}")]
    Refused(String),
}
