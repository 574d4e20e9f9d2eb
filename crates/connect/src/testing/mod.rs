//! What tests of connectors and workers need: a cluster in memory, and a group of workers.

mod membership;
mod topics;

pub use self::membership::MemoryMembership;
pub use self::topics::MemoryTopics;
