//! What tests of connectors and workers need: a cluster in memory, a group of workers, and levels of loggers.

mod loggers;
mod membership;
mod topics;

pub use self::loggers::MemoryLoggers;
pub use self::membership::MemoryMembership;
pub use self::topics::MemoryTopics;
