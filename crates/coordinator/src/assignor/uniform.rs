//! The `uniform` assignor: balance first, then stickiness.

use super::{Assignor, AssignorError, GroupAssignment, GroupSpec, heterogeneous, homogeneous};

/// Gives every member as many partitions as the others, give or take one, and moves as few of them as it can.
///
/// Where all subscribe to the same, that is exact; where subscriptions differ it comes as near as a bounded number of
/// rounds allows. Like Kafka's it is shown racks and does not let them decide yet (KAFKA-19387).
#[derive(Clone, Copy, Debug, Default)]
pub struct UniformAssignor;

impl UniformAssignor {
    /// Its name.
    pub const NAME: &'static str = "uniform";
}

impl Assignor for UniformAssignor {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn assign(&self, group: &GroupSpec<'_>) -> Result<GroupAssignment, AssignorError> {
        Ok(if group.is_homogeneous() { homogeneous::assign(group) } else { heterogeneous::assign(group) })
    }
}
