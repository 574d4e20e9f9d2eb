//! What tests of connectors and workers need: a cluster in memory.

mod topics;

pub use self::topics::MemoryTopics;
