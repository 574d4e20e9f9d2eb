//! Fakes of the seams, and the suites that every implementation of them runs, ours and a user's alike.
//!
//! Compiled for tests only: other crates switch on the feature `testing` of this one in their dev-dependencies. Every
//! fake is deterministic: what is random in it comes from a seed, and time moves when a test says so.

mod clock;

pub use clock::ManualClock;
