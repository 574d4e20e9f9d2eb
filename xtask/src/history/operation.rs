//! What can be in a history.

/// A partition, as `topic-0`.
pub type Key = String;
/// What a record carries; unique in a history.
pub type Value = String;

/// Something that a process asked for, or saw.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who; operations of one process do not overlap.
    pub process: String,
    /// When it was asked for, in nanoseconds of the machine's clock that never goes back.
    pub begun: u64,
    /// When its outcome was known; [`u64::MAX`] if it never was.
    pub ended: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// What was asked for.
    pub act: Act,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not happen, and never will.
    Fail,
    /// Nobody knows.
    Info,
}

/// What was asked for, or seen.
#[derive(Clone, Debug)]
pub enum Act {
    /// A record outside of transactions.
    Send(Send),
    /// Records that a consumer was given.
    Poll(Poll),
    /// Reads, writes and commits that happen together or not at all.
    Transaction(Transaction),
    /// The process was given partitions anew: its positions start again.
    Assign,
    /// The offset that a group had committed, as somebody saw it.
    Committed {
        /// The group.
        group: String,
        /// The partition.
        at: Place,
    },
    /// The ends of a partition, as somebody saw them.
    Ends(Ends),
    /// What a group had committed and where the partition ended, after everything had come to rest.
    Rest {
        /// The group.
        group: String,
        /// The partition.
        key: Key,
        /// What it had committed.
        committed: i64,
        /// The end of the partition.
        end: i64,
    },
    /// A whole partition, batch by batch, after everything had come to rest.
    Scan(Scan),
}

/// An offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub key: Key,
    /// The offset.
    pub offset: i64,
}

/// A record that was sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// Where to.
    pub key: Key,
    /// What.
    pub value: Value,
    /// The offset that was acknowledged, if one was.
    pub offset: Option<i64>,
}

/// Which records a consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// All.
    Uncommitted,
    /// Those outside of transactions and those of committed ones.
    Committed,
}

/// Records that a consumer was given.
#[derive(Clone, Debug)]
pub struct Poll {
    /// What it wanted.
    pub isolation: Isolation,
    /// Whether it is part of the reading of everything that ends a history.
    pub drain: bool,
    /// In the order in which they came.
    pub reads: Vec<(Place, Value)>,
}

/// Reads, writes and commits that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// What it read, in this order.
    pub reads: Vec<(Place, Value)>,
    /// What it wrote, in this order.
    pub sends: Vec<Send>,
    /// The offsets that it committed for its group.
    pub offsets: Vec<Place>,
    /// When its commit was asked for; nothing if it never was.
    pub committing: Option<u64>,
}

/// The ends of a partition at a moment.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The partition.
    pub key: Key,
    /// The epoch of the leader that said so.
    pub epoch: i32,
    /// Up to where everything is replicated.
    pub high_watermark: i64,
    /// Up to where everything is decided.
    pub last_stable: i64,
}

/// A whole partition.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The partition.
    pub key: Key,
    /// Its first offset.
    pub start: i64,
    /// The offset after its last.
    pub end: i64,
    /// The offsets of control records.
    pub control: Vec<i64>,
    /// The epochs of its batches with the offset after the last batch of each, in the order of the log.
    pub epochs: Vec<(i32, i64)>,
    /// What the leader says where its epochs end.
    pub epoch_ends: Vec<(i32, i64)>,
}
