//! Judging what clients saw: a history of operations, and every way in which it can contradict itself.
//!
//! A *history* lists what processes asked a server to do and what it answered: each operation with the moments at which
//! it began and ended, by one clock of the machine, and its outcome, which may be unknown. [`check`] reads it without
//! knowing anything of the server, and returns *anomalies*: what no log with transactions may show, whatever failed
//! meanwhile. It proves nothing about a server that did nothing; who makes a history also counts what happened in it.
//!
//! Every value is written once in a history, so a value tells who wrote it. Keys are partitions, as `topic-0`.

mod anomaly;
mod check;
mod index;
mod operation;
mod read;
#[cfg(test)]
mod tests;

pub use self::check::check;
pub use self::operation::{Act, Ends, Isolation, Operation, Outcome, Place, Scan};
pub use self::read::Reader;

/// Everything that was done, in no order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The operations.
    pub operations: Vec<Operation>,
}
