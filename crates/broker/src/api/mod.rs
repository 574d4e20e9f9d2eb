//! The APIs: one file each, and the table that lists them.
//!
//! A row feeds dispatch, the answer to ApiVersions and the reference page. An API that is not in the table is not
//! advertised, and a request for it closes the connection.
//!
//! Wire types stop here: a handler reads a request, calls partitions, coordinators and the controller in their own
//! words, and writes a response. It never compares versions: what differs between versions and cannot be told from the
//! fields is a [`Capability`] with a name.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use vltava_core::error::ErrorCode;
use vltava_core::wire::{Reader, WireStr};
use vltava_protocol::api::{Api, ApiKey};

use crate::authorizer::{Action, Operation, Principal, Resource};
use crate::node::Node;

pub(crate) mod dispatch;

mod commits;
mod configs;
pub(crate) mod error_codes;
mod operations;
mod text;

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

use dispatch::{Handled, Unanswerable, direct, ordered};

/// One API and who handles it.
pub(crate) struct Row {
    pub(crate) key: ApiKey,
    pub(crate) handle: fn(Call<Reader>) -> Result<Handled, Unanswerable>,
}

impl Row {
    /// The versions that are served, which are those that Kafka calls stable.
    pub(crate) fn versions(&self) -> RangeInclusive<i16> {
        self.key.api().stable_versions()
    }
}

/// Every API that this broker serves, in the order of their keys.
pub(crate) const TABLE: &[Row] = &[
    Row { key: ApiKey::Produce, handle: |call| direct(call, produce::handle) },
    Row { key: ApiKey::Fetch, handle: |call| direct(call, fetch::handle) },
    Row { key: ApiKey::ListOffsets, handle: |call| ordered(call, list_offsets::handle) },
    Row { key: ApiKey::Metadata, handle: |call| ordered(call, metadata::handle) },
    Row { key: ApiKey::OffsetCommit, handle: |call| ordered(call, offset_commit::handle) },
    Row { key: ApiKey::OffsetFetch, handle: |call| ordered(call, offset_fetch::handle) },
    Row { key: ApiKey::FindCoordinator, handle: |call| ordered(call, find_coordinator::handle) },
    Row { key: ApiKey::JoinGroup, handle: |call| ordered(call, join_group::handle) },
    Row { key: ApiKey::Heartbeat, handle: |call| ordered(call, heartbeat::handle) },
    Row { key: ApiKey::LeaveGroup, handle: |call| ordered(call, leave_group::handle) },
    Row { key: ApiKey::SyncGroup, handle: |call| ordered(call, sync_group::handle) },
    Row { key: ApiKey::DescribeGroups, handle: |call| ordered(call, describe_groups::handle) },
    Row { key: ApiKey::ListGroups, handle: |call| ordered(call, list_groups::handle) },
    Row { key: ApiKey::ApiVersions, handle: |call| ordered(call, api_versions::handle) },
    Row { key: ApiKey::CreateTopics, handle: |call| ordered(call, create_topics::handle) },
    Row { key: ApiKey::DeleteTopics, handle: |call| ordered(call, delete_topics::handle) },
    Row { key: ApiKey::DeleteRecords, handle: |call| ordered(call, delete_records::handle) },
    Row { key: ApiKey::InitProducerId, handle: |call| ordered(call, init_producer_id::handle) },
    Row { key: ApiKey::OffsetForLeaderEpoch, handle: |call| ordered(call, offset_for_leader_epoch::handle) },
    Row { key: ApiKey::AddPartitionsToTxn, handle: |call| ordered(call, add_partitions_to_txn::handle) },
    Row { key: ApiKey::AddOffsetsToTxn, handle: |call| ordered(call, add_offsets_to_txn::handle) },
    Row { key: ApiKey::EndTxn, handle: |call| ordered(call, end_txn::handle) },
    Row { key: ApiKey::WriteTxnMarkers, handle: |call| ordered(call, write_txn_markers::handle) },
    Row { key: ApiKey::TxnOffsetCommit, handle: |call| ordered(call, txn_offset_commit::handle) },
    Row { key: ApiKey::DescribeAcls, handle: |call| ordered(call, acls::describe) },
    Row { key: ApiKey::CreateAcls, handle: |call| ordered(call, acls::create) },
    Row { key: ApiKey::DeleteAcls, handle: |call| ordered(call, acls::delete) },
    Row { key: ApiKey::DescribeConfigs, handle: |call| ordered(call, describe_configs::handle) },
    Row { key: ApiKey::AlterConfigs, handle: |call| ordered(call, alter_configs::handle) },
    Row { key: ApiKey::DescribeLogDirs, handle: |call| ordered(call, describe_log_dirs::handle) },
    Row { key: ApiKey::CreatePartitions, handle: |call| ordered(call, create_partitions::handle) },
    Row { key: ApiKey::DeleteGroups, handle: |call| ordered(call, delete_groups::handle) },
    Row { key: ApiKey::ElectLeaders, handle: |call| ordered(call, elect_leaders::handle) },
    Row {
        key: ApiKey::IncrementalAlterConfigs,
        handle: |call| ordered(call, incremental_alter_configs::handle),
    },
    Row {
        key: ApiKey::ListPartitionReassignments,
        handle: |call| ordered(call, list_partition_reassignments::handle),
    },
    Row { key: ApiKey::OffsetDelete, handle: |call| ordered(call, offset_delete::handle) },
    Row { key: ApiKey::DescribeQuorum, handle: |call| ordered(call, describe_quorum::handle) },
    Row { key: ApiKey::UpdateFeatures, handle: |call| ordered(call, update_features::handle) },
    Row { key: ApiKey::DescribeCluster, handle: |call| ordered(call, describe_cluster::handle) },
    Row { key: ApiKey::DescribeProducers, handle: |call| ordered(call, describe_producers::handle) },
    Row { key: ApiKey::DescribeTransactions, handle: |call| ordered(call, describe_transactions::handle) },
    Row { key: ApiKey::ListTransactions, handle: |call| ordered(call, list_transactions::handle) },
    Row {
        key: ApiKey::ConsumerGroupHeartbeat,
        handle: |call| ordered(call, consumer_group_heartbeat::handle),
    },
    Row { key: ApiKey::ConsumerGroupDescribe, handle: |call| ordered(call, consumer_group_describe::handle) },
    Row { key: ApiKey::ListConfigResources, handle: |call| ordered(call, list_config_resources::handle) },
    Row {
        key: ApiKey::DescribeTopicPartitions,
        handle: |call| ordered(call, describe_topic_partitions::handle),
    },
];

/// Something that an API can do from some version on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capability {
    since: i16,
}

impl Capability {
    pub(crate) const fn since(version: i16) -> Capability {
        Capability { since: version }
    }
}

/// A request with what is known of who sent it.
pub(crate) struct Call<R> {
    pub(crate) node: Arc<Node>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) api: &'static Api,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<WireStr>,
    pub(crate) request: R,
}

impl<R> Call<R> {
    /// Whether this request's version has a capability.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        self.version >= capability.since
    }

    /// Whether the peer may do this.
    pub(crate) fn allows(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.node.authorizer.as_ref().is_none_or(|authorizer| {
            authorizer.allows(&self.peer.principal, self.peer.address.ip(), Action { operation, resource })
        })
    }

    /// Refuses what the peer may not do, with the code of the resource.
    pub(crate) fn authorize(&self, operation: Operation, resource: Resource<'_>) -> Result<(), ErrorCode> {
        if self.allows(operation, resource) { Ok(()) } else { Err(resource.refusal()) }
    }

    /// Whether the peer may write to any topic: then it may write idempotently as well (KIP-679).
    pub(crate) fn may_write_somewhere(&self) -> bool {
        self.node.authorizer.is_none()
            || self
                .node
                .view
                .load()
                .image
                .topics
                .iter()
                .any(|topic| self.allows(Operation::Write, Resource::Topic(&topic.name)))
    }

    /// The same call with another request.
    pub(crate) fn with<T>(self, request: T) -> (Call<T>, R) {
        let Call { node, peer, api, version, correlation_id, client_id, request: old } = self;
        (Call { node, peer, api, version, correlation_id, client_id, request }, old)
    }
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// The name of the listener it came in by.
    pub(crate) listener: Arc<str>,
    /// It came in by a listener of controllers.
    pub(crate) controller_listener: bool,
    pub(crate) principal: Principal,
    /// Name and version of the client's software, as ApiVersions brings them (KIP-511).
    pub(crate) software: Mutex<Option<(WireStr, WireStr)>>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr, listener: Arc<str>, controller_listener: bool) -> Peer {
        Peer {
            address,
            listener,
            controller_listener,
            principal: Principal::anonymous(),
            software: Mutex::new(None),
        }
    }
}
