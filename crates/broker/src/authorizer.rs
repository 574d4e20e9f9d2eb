//! The authorizer seam: who may do what to which resource.
//!
//! The words are Kafka's: a *principal* on a *host* wants an *operation* on a *resource*. A broker without an authorizer
//! allows everything, as Kafka does; [`crate::Builder::authorizer`] takes one of your own.
//!
//! A refusal never shows whether the resource exists.

use std::fmt;
use std::net::IpAddr;

use vltava_core::error::ErrorCode;

/// Decides whether a request may do what it asks.
///
/// Called on the threads that serve connections, for every topic and group of every request: it must not wait, and
/// should not allocate.
pub trait Authorizer: Send + Sync + fmt::Debug {
    /// Whether `principal`, connected from `host`, may do this.
    fn allows(&self, principal: &Principal, host: IpAddr, action: Action<'_>) -> bool;
}

/// Who is connected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The kind: `User`.
    pub kind: String,
    /// The name; `ANONYMOUS` on a listener that does not authenticate.
    pub name: String,
}

impl Principal {
    /// The principal of a listener that does not authenticate.
    #[must_use]
    pub fn anonymous() -> Principal {
        Principal { kind: "User".to_owned(), name: "ANONYMOUS".to_owned() }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

/// An operation on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// What is to be done.
    pub operation: Operation,
    /// To what.
    pub resource: Resource<'a>,
}

/// Kafka's operations; the numbers are those of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum Operation {
    /// Read records, join a group, commit offsets.
    Read = 3,
    /// Produce.
    Write = 4,
    /// Create topics.
    Create = 5,
    /// Delete topics, records and groups.
    Delete = 6,
    /// Add partitions; change the cluster.
    Alter = 7,
    /// See that it exists and what it is.
    Describe = 8,
    /// What only brokers do.
    ClusterAction = 9,
    /// Read configuration.
    DescribeConfigs = 10,
    /// Change configuration.
    AlterConfigs = 11,
    /// Produce idempotently without the right to write to any topic.
    IdempotentWrite = 12,
}

/// What an operation is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource<'a> {
    /// A topic, by name.
    Topic(&'a str),
    /// A group, by name.
    Group(&'a str),
    /// The whole cluster.
    Cluster,
    /// A transactional id.
    TransactionalId(&'a str),
}

impl Resource<'_> {
    /// The code of a refusal.
    #[must_use]
    pub fn refusal(self) -> ErrorCode {
        match self {
            Resource::Topic(_) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            Resource::Group(_) => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            Resource::Cluster => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            Resource::TransactionalId(_) => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        }
    }
}
