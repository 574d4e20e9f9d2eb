//! Several workers as one: they share out connectors and tasks, and one of them, the leader, writes what should be.
//!
//! The parts: [`protocol`] is what members tell each other, [`assignor`] the decision of the leader, [`member`] the life of
//! a member, [`signature`] how workers know each other's requests, [`settings`] what they are told of all this.
//!
//! Invariants:
//!
//! 1. *A piece of work runs under one membership.* A worker runs only what it was assigned, and only while the coordinator
//!    has answered, to a request sent less than `session.timeout.ms` ago, that it knows the worker. When no such answer
//!    comes, everything is told to stop a third of that time (or `task.shutdown.graceful.timeout.ms`, if that is less)
//!    before the time is up, and what has not stopped by then is dropped: before the coordinator can have given up the
//!    worker, and others can have been told to start its work. A worker that was given up starts anew, without work. So it
//!    is with `rebalance.timeout.ms` above the time of a session, as it is unless told otherwise: a worker is given up too
//!    that has not joined a round by then.
//! 2. *What moves has stopped.* A leader gives a piece to a member only when no member said that it runs it; a member says
//!    so until its task has ended.
//! 3. *A producer that outlives its task is fenced.* Threads cannot be dropped, and clocks stop with a machine; exactly
//!    once does not depend on 1. Before tasks with new settings start, the producers of all tasks before them are fenced
//!    (KIP-618), and each task fences whoever had its transactional id.
//! 4. *One leader writes.* Settings of connectors and tasks are written by the leader of the last round that was heard
//!    of; with `exactly.once.source.support` by a transactional producer that fences the one before.

pub mod assignor;
pub(super) mod member;
pub mod protocol;
pub mod settings;
pub mod signature;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::protocol::Protocol;

/// A connector, or a task of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// The connector itself, which plans its tasks.
    Connector(String),
    /// A task, by its number.
    Task(String, usize),
}

impl Piece {
    /// The name of the connector.
    pub fn connector(&self) -> &str {
        match self {
            Piece::Connector(name) | Piece::Task(name, _) => name,
        }
    }

    /// Whether it is the connector itself.
    pub fn is_connector(&self) -> bool {
        matches!(self, Piece::Connector(_))
    }
}

/// Connectors and tasks.
pub type Work = BTreeSet<Piece>;

/// The group, as this worker sees it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The last round in which this worker got work; -1 before.
    pub generation: i32,
    /// Where the leader's API is; `None` while this worker is no member.
    pub leader: Option<String>,
    /// Whether it is this worker.
    pub leads: bool,
    /// Whether requests between workers are signed; before the first round, as this worker would have it.
    pub signed: bool,
    /// What this worker runs.
    pub work: Arc<Work>,
    /// Where the API of the worker is that runs a piece; only the leader knows.
    pub owners: Arc<BTreeMap<Piece, String>>,
}

impl View {
    /// What a worker sees that is no member, and knew of this protocol last.
    pub fn outside(protocol: Protocol) -> View {
        View { generation: -1, signed: protocol == Protocol::Sessioned, ..View::default() }
    }
}

/// A request to another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerRequest {
    /// The method of HTTP.
    pub method: String,
    /// The path, with parameters.
    pub path: String,
    /// Headers, beside those that every request has.
    pub headers: Vec<(String, String)>,
    /// The body, JSON or empty.
    pub body: Bytes,
}

/// What another worker answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReply {
    /// The status of HTTP.
    pub status: u16,
    /// Where something was created.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The other workers, by the addresses of their APIs.
#[async_trait]
pub trait Peers: fmt::Debug + Send + Sync {
    /// Asks one; an error is that it did not answer.
    async fn ask(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String>;
}
