//! Fakes of the seams, and the suites that every implementation of them runs, ours and a user's alike.
//!
//! Compiled for tests only: other crates switch on the feature `testing` of this one in their dev-dependencies. Every
//! fake is deterministic: what is random in it comes from a seed, and time moves when a test says so.

mod allocation;
mod clock;
mod log;
mod machine;
pub mod messages;
mod random;
mod replicated;
mod replicated_suite;
mod seeds;
mod volatile_log;

pub use allocation::PeakAllocator;
pub use clock::ManualClock;
pub use log::{Reopen, all_batches, bytes_of, durable_log_suite, log_suite, plain_batch};
pub use machine::machine_suite;
pub use random::Random;
pub use replicated::{FakeCluster, FakeLog, REPLICAS};
pub use replicated_suite::{Led, leadership_suite, replicated_suite};
pub use seeds::{replay, seeds};
pub use volatile_log::VolatileLog;
