//! What can be wrong with a history.

use std::fmt;

/// A way in which a history can contradict itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// One offset showed two values.
    InconsistentOffset,
    /// One value lies at two offsets.
    Duplicate,
    /// An acknowledged value below what was read was never read.
    LostWrite,
    /// An acknowledged value was not there at the end.
    Unseen,
    /// A value of an aborted transaction was read as committed (G1a), or one that nobody wrote.
    AbortedRead,
    /// A value was read as committed before its commit was asked for.
    EarlyRead,
    /// A consumer's offsets went back, or left out what others read, without a new assignment.
    PollOrder,
    /// The same within one transaction.
    TransactionPollOrder,
    /// The offsets of one producer's records to one partition went back.
    SendOrder,
    /// Transactions read each other's writes in a circle (G1c).
    Cycle,
    /// Some writes of a transaction are visible and others are not.
    Torn,
    /// An offset holds neither a visible record nor one that an abort or a marker explains.
    Gap,
    /// A group that read everything has not committed everything.
    Lag,
    /// A committed offset went back, or lies beyond what was processed.
    Commit,
    /// A high watermark or last stable offset went back within an epoch, or epochs are at odds with the batches.
    Ends,
}

/// A contradiction, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anomaly {
    /// Which kind.
    pub check: Check,
    /// What was seen.
    pub evidence: String,
}

impl Anomaly {
    pub(super) fn new(check: Check, evidence: impl Into<String>) -> Anomaly {
        Anomaly { check, evidence: evidence.into() }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.check, self.evidence)
    }
}
