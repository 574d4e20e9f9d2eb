//! The storage seam: a partition is a [`Log`], and a [`LogStore`] keeps the logs of a broker.
//!
//! A log knows batches at offsets, in spans (a span is what segment files call a segment). It knows nothing of
//! producers, leaders, transactions or retention policy: the partition above decides *what* to keep, the log keeps it.
//!
//! Contract of every implementation, checked by `testing::log_suite`:
//!
//! 1. [`Log::append`] touches only memory or the page cache: it never waits for a disk to sync. What it accepted can be
//!    read at once. A failed append leaves nothing behind, or makes the log offline.
//! 2. Offsets only grow: a batch's base offset is at least the log's end; the end becomes the batch's last offset + 1.
//! 3. Reads start at the batch that contains the offset asked for, and never cross the limit given.
//! 4. What [`Log::flush`] has confirmed survives the loss of everything unsynced. After such a loss the log reopens with
//!    a prefix of whole batches that is at least as long as what was flushed.
//! 5. Sidecars live and die with the span that holds their offset.
//! 6. What was rewritten reads as if it had been appended so, and is durable.
//! 7. After an I/O error on a write or a sync the log refuses further appends ([`LogError::Offline`]) until it is opened
//!    again; reads go on as far as they can.
//!
//! Why reads return [`LogData`] and not bytes: a bulk read is best answered by handing a file range to the socket, a
//! read at the tail by the bytes that were just appended, and a cold read must not block a network thread. The caller
//! knows the socket, the log knows where the bytes are.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::error::ErrorCode;
use crate::id::{DirectoryId, Offset, Timestamp, TopicId, TopicPartition};
use crate::record::Batch;

mod rewrite;

pub use rewrite::Rewrite;

/// One partition's batches.
///
/// Methods marked *blocking* may wait for a disk: call them from a thread that may. The others may be called anywhere.
/// Appends, truncation and trimming are serialised by the caller; reads may come from any thread at any time.
pub trait Log: Send + Sync + fmt::Debug {
    /// Appends batches whose headers already carry their final offsets and leader epoch, in one vectored write.
    ///
    /// # Errors
    /// [`LogError::OutOfOrder`] and [`LogError::WrongLength`] before anything is written; [`LogError::Io`] when the
    /// write failed: nothing of it is visible, and the log is offline.
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError>;

    /// Reads from the batch that contains `from`, or the next one where compaction has left a gap. What is not in memory
    /// is a [`LogData::Later`].
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] when `from` lies outside [`Log::bounds`]; at the end itself the answer is empty.
    fn read(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError>;

    /// The base offset of the first batch whose largest timestamp is at or after `timestamp`. *Blocking.*
    ///
    /// # Errors
    /// [`LogError::Io`] when an index or the log cannot be read.
    fn find(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError>;

    /// The spans in order; the last one is the one appended to, and there is always one.
    fn spans(&self) -> Vec<Span>;

    /// Where the log starts and ends.
    fn bounds(&self) -> Bounds;

    /// Makes everything below the current end durable and returns that end. Calls that overlap share a sync. *Blocking.*
    ///
    /// # Errors
    /// [`LogError::Io`] when the sync failed: the log is offline, and nothing since the last flush may be believed.
    fn flush(&self) -> Result<Offset, LogError>;

    /// Removes every batch that holds an offset at or above `end`. The log then ends there, or at the base of the first
    /// batch that was removed when that is lower; its start moves down with the end. *Blocking.*
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn truncate(&self, end: Offset) -> Result<(), LogError>;

    /// Moves the start of the log to `start` and removes the spans that lie wholly below it; a start at the end removes
    /// all that hold something. A start beyond the end empties the log, which goes on there. A start below the current one changes nothing. *Blocking.*
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn trim(&self, start: Offset) -> Result<(), LogError>;

    /// Seals the last span, when it holds anything, and starts a new one at the end. *Blocking.*
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn roll(&self) -> Result<(), LogError>;

    /// Begins to write anew, as one span, the sealed spans from `from`, where one begins, to `to`, where one ends.
    /// One such work at a time. *Blocking.*
    ///
    /// # Errors
    /// [`LogError::Changed`] when these are not the ends of sealed spans, or another rewrite is under way;
    /// [`LogError::Io`].
    fn rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError>;

    /// Applies changed settings from the next append on.
    fn configure(&self, settings: LogSettings);

    /// The small files beside the batches.
    fn sidecars(&self) -> &dyn Sidecars;
}

/// Small pieces of state that live beside the batches of a log and die with their span. *All blocking.*
pub trait Sidecars: Send + Sync {
    /// Replaces the sidecar of this kind and offset, atomically. It can be read at once, and is durable after the next
    /// [`Log::flush`], [`LogStore::maintain`] or [`LogStore::close`]: what a crash takes of it must be in the log, too.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn write(&self, sidecar: Sidecar, content: &[u8]) -> Result<(), LogError>;

    /// The sidecar's content; `None` when there is none.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn read(&self, sidecar: Sidecar) -> Result<Option<Bytes>, LogError>;

    /// The offsets at which there is a sidecar of this kind, in order. The leader epoch checkpoint stands at 0.
    fn list(&self, kind: SidecarKind) -> Vec<Offset>;

    /// Removes a sidecar; nothing happens when there is none.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn remove(&self, sidecar: Sidecar) -> Result<(), LogError>;
}

/// Which sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sidecar {
    /// What it holds.
    pub kind: SidecarKind,
    /// The offset it belongs to: that of the snapshot, the base of the span, 0 for the leader epochs.
    pub at: Offset,
}

/// What a sidecar holds. Its bytes are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SidecarKind {
    /// `<offset>.snapshot`: what is known of producers below that offset.
    ProducerSnapshot,
    /// `<base>.txnindex`: the aborted transactions of a span.
    AbortedTransactions,
    /// `leader-epoch-checkpoint`: where each leader epoch starts; one for the whole log.
    LeaderEpochs,
}

/// What [`Log::append`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The end of the log: the offset that the next record gets.
    pub end: Offset,
    /// The base of the new span, when this append started one.
    pub rolled: Option<Offset>,
}

/// How much a read may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    /// No batch that holds an offset at or above this one: the high watermark, the last stable offset or the end.
    pub below: Offset,
    /// The most bytes; the last batch may be cut in the middle, as Kafka's is.
    pub bytes: usize,
    /// Return the first batch whole even when it is larger than `bytes`, so that a reader always gets on.
    pub whole_first_batch: bool,
}

/// Records, wherever they are.
pub enum LogData {
    /// In memory; the slices follow each other.
    Bytes(SmallVec<[Bytes; 2]>),
    /// In a file of the operating system.
    File(FileRange),
    /// To be read on a thread that may block.
    Later(LaterRead),
}

/// A read that has to wait for a disk.
pub struct LaterRead {
    /// How many bytes it will bring; where only the disk knows that, how many were asked for.
    pub length: usize,
    /// Waits for the disk; run it on a thread that may block. What it returns is at hand: never a later read again.
    pub read: Box<dyn FnOnce() -> Result<LogData, LogError> + Send>,
}

/// A range of an open file that is never truncated nor overwritten while this exists.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The file.
    pub file: Arc<File>,
    /// Where the range starts, in bytes.
    pub position: u64,
    /// How long it is, in bytes.
    pub length: usize,
}

impl LogData {
    /// No records.
    #[must_use]
    pub fn empty() -> LogData {
        LogData::Bytes(SmallVec::new())
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            LogData::Bytes(slices) => slices.iter().map(Bytes::len).sum(),
            LogData::File(range) => range.length,
            LogData::Later(later) => later.length,
        }
    }

    /// True when there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for LogData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogData::Bytes(slices) => write!(f, "Bytes({})", slices.iter().map(Bytes::len).sum::<usize>()),
            LogData::File(range) => write!(f, "File({}+{})", range.position, range.length),
            LogData::Later(later) => write!(f, "Later({})", later.length),
        }
    }
}

/// Where a log starts and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that may be read.
    pub start: Offset,
    /// The offset that the next record gets.
    pub end: Offset,
    /// Everything below is durable.
    pub flushed: Offset,
}

/// A run of consecutive batches that is kept and deleted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first offset.
    pub base: Offset,
    /// The offset after the last record: the next span's base.
    pub end: Offset,
    /// The size of its batches in bytes.
    pub bytes: u64,
    /// The largest timestamp of its records; [`Timestamp::NONE`] when it has none.
    pub largest_timestamp: Timestamp,
    /// No more appends will come.
    pub sealed: bool,
}

/// The settings of a log that storage itself acts on, from the topic's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `segment.bytes`: start a new span before this one would grow beyond so many bytes.
    pub span_bytes_max: u32,
    /// `segment.ms`: start a new span when the next record is so much younger than the first one of this span.
    pub span_age_ms_max: i64,
    /// `segment.jitter.ms`: a random part of this is taken off the age, so that spans do not roll together.
    pub span_age_jitter_ms_max: i64,
    /// `segment.index.bytes`: start a new span when an index would grow beyond so many bytes.
    pub index_bytes_max: u32,
    /// `index.interval.bytes`: one index entry for about so many bytes of log.
    pub index_interval_bytes: u32,
    /// `file.delete.delay.ms`: how long a removed span's files stay under another name.
    pub delete_delay_ms: i64,
    /// `preallocate`: reserve a span's whole size when it is created.
    pub preallocate: bool,
}

impl Default for LogSettings {
    /// Kafka's defaults.
    fn default() -> Self {
        LogSettings {
            span_bytes_max: 1 << 30,
            span_age_ms_max: 7 * 24 * 3_600_000,
            span_age_jitter_ms_max: 0,
            index_bytes_max: 10 << 20,
            index_interval_bytes: 4096,
            delete_delay_ms: 60_000,
            preallocate: false,
        }
    }
}

/// The identity of a stored log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The topic's identity: a log of the same name and another identity is another log.
    pub topic: TopicId,
    /// The name and number, which name its folder.
    pub partition: TopicPartition,
}

/// Keeps logs. *All methods block.*
pub trait LogStore: Send + Sync + fmt::Debug {
    /// Opens a log; creates it when there is none, in `directory` or, without that, in the online directory with the
    /// fewest logs. Recovers it when it was not closed cleanly. Opening a log that is open returns the same one.
    ///
    /// # Errors
    /// [`LogError::Io`] or [`LogError::Corrupt`] when it cannot be read; [`LogError::Offline`] when its directory is.
    fn open(
        &self,
        id: &LogId,
        settings: LogSettings,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<dyn Log>, LogError>;

    /// Every log that is there, open or not.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn list(&self) -> Result<Vec<StoredLog>, LogError>;

    /// Removes a log. It is gone for readers and for [`LogStore::list`] at once; its files go after the delay of its
    /// settings.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn remove(&self, id: &LogId) -> Result<(), LogError>;

    /// Keeps new logs out of these directories, and of no others, where the directory is not named ([`LogStore::open`]).
    /// Stores of one directory need not care.
    fn cordon(&self, directories: Vec<DirectoryId>) {
        drop(directories);
    }

    /// The directories with their health, in the order of `log.dirs`.
    fn directories(&self) -> Vec<Directory>;

    /// Up to where a log was compacted: what [`LogStore::note_compacted`] was told last, but never above the log's end;
    /// `None` when nothing was told, or it was forgotten.
    fn compacted(&self, id: &LogId) -> Option<Offset>;

    /// Remembers, over a restart where logs outlive it, that a log was compacted up to `end`. A truncation below takes
    /// it down to the log's end.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn note_compacted(&self, id: &LogId, end: Offset) -> Result<(), LogError>;

    /// Keeps house; called about once a second: bounds what a restart has to read again by flushing in the background,
    /// writes the checkpoints of recovery points, start offsets and `high_watermarks`, deletes files whose delay is
    /// over.
    ///
    /// # Errors
    /// [`LogError::Io`] of the first directory that failed; the others are still served.
    fn maintain(&self, high_watermarks: &[(LogId, Offset)]) -> Result<(), LogError>;

    /// Flushes and closes every log and leaves the mark of a clean shutdown.
    ///
    /// # Errors
    /// [`LogError::Io`] of the first directory that failed, which keeps no mark; the others are still closed.
    fn close(&self) -> Result<(), LogError>;
}

/// A log that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLog {
    /// Which.
    pub id: LogId,
    /// Where.
    pub directory: DirectoryId,
    /// The size of its batches in bytes.
    pub bytes: u64,
    /// The high watermark of the last checkpoint, 0 when there is none.
    pub high_watermark: Offset,
}

/// A directory of a store and its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its identity; survives being mounted elsewhere.
    pub id: DirectoryId,
    /// Its path, as configured.
    pub path: PathBuf,
    /// Why it is offline, when it is: no log in it can be appended to until a restart.
    pub failure: Option<String>,
    /// The size of its file system in bytes; `None` where that is not known.
    pub total_bytes: Option<u64>,
    /// What is left of it in bytes; `None` where that is not known.
    pub usable_bytes: Option<u64>,
    /// Segments still to be read again of the log that is being opened, because it was not closed cleanly.
    pub recovering: usize,
}

/// Why a log did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The offset asked for is not in the log.
    #[error("offset {from} is not in the log, which holds {start} to {end}")]
    OutOfRange {
        /// What was asked for.
        from: Offset,
        /// The first offset of the log.
        start: Offset,
        /// The end of the log.
        end: Offset,
    },
    /// The disk failed, or is full.
    #[error("{path}: cannot {act}: {source}")]
    Io {
        /// What was being done: a verb, such as `append`.
        act: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<std::io::Error>,
    },
    /// A file does not hold what it should.
    #[error("{path} at byte {position}: {what}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong and what to do.
        what: String,
    },
    /// A batch does not come after the end, or ends before it begins.
    #[error("a batch from {base} to {last} cannot be appended to a log that ends at {end}")]
    OutOfOrder {
        /// The batch's first offset.
        base: Offset,
        /// The batch's last offset.
        last: Offset,
        /// The end of the log.
        end: Offset,
    },
    /// The spans that were to be rewritten are not there, or not any more.
    #[error("the log has no sealed spans from {from} to {to} to be rewritten, or not any more")]
    Changed {
        /// Where they were to begin.
        from: Offset,
        /// Where they were to end.
        to: Offset,
    },
    /// A batch is not as long as its header says.
    #[error("the batch at {base} claims {claimed} bytes and has {actual}")]
    WrongLength {
        /// The batch's first offset.
        base: Offset,
        /// The bytes its header claims, header included.
        claimed: usize,
        /// The bytes it has.
        actual: usize,
    },
    /// An earlier failure has taken the log offline.
    #[error("the log is offline after an earlier failure: {0}")]
    Offline(String),
}

impl LogError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            LogError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            LogError::Corrupt { .. } | LogError::WrongLength { .. } => ErrorCode::CORRUPT_MESSAGE,
            LogError::OutOfOrder { .. } | LogError::Changed { .. } => ErrorCode::UNKNOWN_SERVER_ERROR,
            LogError::Io { .. } | LogError::Offline(_) => ErrorCode::KAFKA_STORAGE_ERROR,
        }
    }
}
