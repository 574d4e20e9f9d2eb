//! From a name to its coordinator: the partition of an internal topic that holds the name, and who leads it.

use vltava_coordinator::group::partition_for;
use vltava_core::error::ErrorCode;
use vltava_core::id::PartitionIndex;

use crate::node::Node;

impl Node {
    /// The partition of an internal topic that holds a name.
    ///
    /// # Errors
    /// `NOT_COORDINATOR` when there is no such topic: clients then look for the coordinator, which creates it.
    pub(crate) fn coordinator_partition(&self, topic: &str, name: &str) -> Result<PartitionIndex, ErrorCode> {
        let lookup = self.lookup_name(topic).map_err(|_| ErrorCode::NOT_COORDINATOR)?;
        let count = i32::try_from(lookup.topic().partitions.len()).unwrap_or(i32::MAX);
        Ok(partition_for(name, count))
    }
}
