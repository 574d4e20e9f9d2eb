//! Log storage of Vltava: logs in memory, and logs in segment files that are Kafka's byte for byte.
//!
//! Owns the bytes of a log: where they are, what of them is durable, how they come back after a crash. Knows nothing of
//! producers, leaders, transactions or retention policy (the contract is [`vltava_core::log`]), and nothing of the
//! network.
//!
//! * [`files`]: what is asked of a disk, the operating system, and a seeded disk that fails.
//! * [`memory`]: logs that die with the process.
//! * [`segments`]: logs in Kafka's files.

pub mod files;
pub mod memory;
pub mod segments;

mod random;
