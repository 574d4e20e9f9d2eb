//! Which operations a client may do, as responses carry it: a bit for each operation (KIP-430).

use super::Call;
use crate::authorizer::{Operation, Resource};

const TOPIC: &[Operation] = &[
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Delete,
    Operation::Alter,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

const GROUP: &[Operation] = &[
    Operation::Read,
    Operation::Delete,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

const CLUSTER: &[Operation] = &[
    Operation::Create,
    Operation::Alter,
    Operation::Describe,
    Operation::ClusterAction,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
    Operation::IdempotentWrite,
];

/// What the peer may do to a topic.
pub(crate) fn topic_operations<R>(call: &Call<R>, name: &str) -> i32 {
    allowed(call, TOPIC, Resource::Topic(name))
}

/// What the peer may do to a group.
pub(crate) fn group_operations<R>(call: &Call<R>, name: &str) -> i32 {
    allowed(call, GROUP, Resource::Group(name))
}

/// What the peer may do to the cluster.
pub(crate) fn cluster_operations<R>(call: &Call<R>) -> i32 {
    allowed(call, CLUSTER, Resource::Cluster)
}

fn allowed<R>(call: &Call<R>, operations: &[Operation], resource: Resource<'_>) -> i32 {
    operations
        .iter()
        .filter(|operation| call.allows(**operation, resource))
        .fold(0, |bits, operation| bits | 1 << (*operation as i8))
}
