//! The runtime: runs every state machine over a replicated log, the same way for all.
//!
//! It owns the loop (decide, encode, admit, apply, place, answer), the answers that wait, the timers and the replay. It
//! knows no machine, no wire type and no file. Three shapes:
//!
//! * [`Shard`]: one machine where this node leads its log; commands come through a [`ShardHandle`].
//! * [`Shards`]: a shard for each partition of a coordinator's topic that this node leads.
//! * [`Replica`]: a machine that only applies what is committed, on every node: how the metadata image comes about.
//!
//! The loop was tried first over a fake log of three replicas and over a quorum of one voter; the tests in `tests.rs`
//! are what is left of that. What they showed:
//!
//! Why one append for each wake-up, and no linger: commands that arrive while a batch is being placed queue up, and the
//! next wake-up takes all of them. The batches grow with the load by themselves, and an idle machine answers at once: on the
//! thread that asks it, as [`seat`] tells.
//!
//! Why a timer that is due waits for the commands that were queued by then: one of them may be the heartbeat that a session
//! waits for, and a busy coordinator must not take its own slowness for the death of a member.
//!
//! Why answers are queued by the end of the log and not kept beside their batch: a read depends on the last batch
//! applied before it, which may be the open one or one placed long ago. The end of the log at that time says both.
//!
//! Why leaders run ahead of commit although followers must not: what a leader has applied and its answers have not told
//! can only be seen by commands that wait for the same commit. When leadership is lost, the machine goes with it.
//!
//! Why every `select!` is biased: an unbiased one asks tokio's own randomness which branch comes first, and then the
//! same seed no longer gives the same trace. News of the log come first, so that nothing is decided under a leadership
//! that is known to be lost.
//!
//! Why the log is asked to admit a whole wake-up before the first decision and not each batch: a timer that fires while
//! the log refuses writes stays due, because its command has not been handed over yet.

mod answers;
mod batch;
mod error;
mod leading;
mod replay;
mod replica;
mod seat;
mod settings;
mod shard;
mod shards;
mod snapshot;
mod timers;

pub use error::AskError;
pub use replay::ReplayError;
pub(crate) use replay::gather;
pub use replica::{Applied, Replica};
pub use settings::{Entropy, Limits, Surroundings};
pub use shard::{Committed, Phase, Shard, ShardHandle, Step, Witness};
pub use shards::{Shards, Start};
pub use snapshot::{MachineSnapshot, NewSnapshot, Snapshots};

#[cfg(test)]
pub(crate) mod tests;
