//! From a group's name to its coordinator.

use vltava_coordinator::cluster::GROUP_VERSION;
use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_core::error::ErrorCode;
use vltava_core::id::{GROUP_OFFSETS_TOPIC, PartitionIndex};

use crate::node::Node;

impl Node {
    /// The partition of `__consumer_offsets` that holds a group.
    ///
    /// # Errors
    /// `NOT_COORDINATOR` when there is no such topic: clients then look for the coordinator, which creates it.
    pub(crate) fn group_partition(&self, group: &str) -> Result<PartitionIndex, ErrorCode> {
        self.coordinator_partition(GROUP_OFFSETS_TOPIC, group)
    }

    /// Whether groups of the consumer protocol are served: the cluster's level of `group.version` and the broker's
    /// `group.coordinator.rebalance.protocols` must say so.
    pub(crate) fn serves_consumer_groups(&self) -> bool {
        self.view.load().image.feature(GROUP_VERSION) >= 1
            && self.config.groups.rebalance_protocols.iter().any(|protocol| protocol.trim() == "consumer")
    }

    /// Asks the coordinator of a group.
    ///
    /// # Errors
    /// Kafka's code when it is not here, is loading, or cannot write.
    pub(crate) fn ask_group(
        &self,
        group: &str,
        command: GroupCommand,
    ) -> impl Future<Output = Result<GroupAnswer, ErrorCode>> + Send + use<> {
        let asked = self.group_partition(group).map(|partition| self.groups.ask(partition, command));
        async move { asked?.await.map_err(|error| error.code()) }
    }
}
