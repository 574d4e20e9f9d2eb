//! How a store is opened, and why it cannot be.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::BrokerId;

use super::properties::PropertiesError;
use crate::files::SystemFiles;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct SegmentStoreOptions {
    /// `log.dirs`: at least one; those that are not there are created.
    pub directories: Vec<PathBuf>,
    /// `node.id`: a directory of another node is refused.
    pub node_id: BrokerId,
    /// The cluster's id: a directory of another cluster is refused. `None` takes what the directories say, or makes one
    /// when none of them says anything.
    pub cluster_id: Option<String>,
    /// `vltava.recovery.bytes.max`: flush in the background when so many bytes of a directory are not durable, so that a
    /// restart has no more to read again. 64 MiB by default.
    pub recovery_bytes_max: u64,
    /// The most files kept open: by default half of what the process may open, at most 16,384. Those that were not used for the longest
    /// time are closed, and opened again when they are needed.
    pub open_files_max: usize,
    /// Where ids and jitter come from.
    pub seed: u64,
    /// Who is told of flushes; `()` is nobody.
    pub witness: Arc<dyn FlushWitness>,
}

/// Is told of flushes, for the figures of a broker.
pub trait FlushWitness: fmt::Debug + Send + Sync {
    /// Batches were made durable, of one log or of several together, in so much time.
    fn flushed(&self, took: Duration);
}

impl FlushWitness for () {
    fn flushed(&self, _: Duration) {}
}

impl SegmentStoreOptions {
    /// Options with the defaults of everything that has one.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>, node_id: BrokerId, seed: u64) -> SegmentStoreOptions {
        SegmentStoreOptions {
            directories,
            node_id,
            cluster_id: None,
            recovery_bytes_max: 64 << 20,
            open_files_max: (SystemFiles::open_files_limit() / 2).min(OPEN_FILES_MAX),
            seed,
            witness: Arc::new(()),
        }
    }
}

/// More open files than this save nothing worth their memory in the kernel.
const OPEN_FILES_MAX: usize = 16_384;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory.
    #[error("{0} is in use by another broker; stop it, or set another log.dirs")]
    Locked(PathBuf),
    /// The directory belongs to someone else.
    #[error("{path} belongs to {what} {found}, not {wanted}; set the right log.dirs, or {key} to {found}")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose: a cluster or a node.
        what: &'static str,
        /// The key of the setting that disagrees.
        key: &'static str,
        /// Its id in the directory.
        found: String,
        /// The id of this broker or its cluster.
        wanted: String,
    },
    /// `meta.properties` cannot be understood.
    #[error("{path}: {error}")]
    Properties {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: PropertiesError,
    },
    /// Two directories hold the same partition, or have the same id.
    #[error("{what} is both in {first} and in {second}; move one of them away")]
    Twice {
        /// What there is two of.
        what: String,
        /// One place.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// No directory can be used.
    #[error("no log directory can be used; the first one: {0}")]
    NoDirectory(String),
}
