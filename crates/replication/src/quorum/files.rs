//! The small files beside the metadata log.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;
use vltava_core::log::LogError;

/// The folder of the metadata log, for the files that are the quorum's own: `quorum-state`, `raft-state` and the
/// snapshots. *All blocking.*
///
/// Implemented by the broker over the file seam of its storage, and by [`MemoryFiles`].
pub trait QuorumFiles: Send + Sync + std::fmt::Debug {
    /// The content of a file; `None` when there is none.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn read(&self, name: &str) -> Result<Option<Bytes>, LogError>;

    /// Replaces a file, atomically, and durably once it returns.
    ///
    /// # Errors
    /// [`LogError::Io`]; the old content still stands.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), LogError>;

    /// The names of the files in the folder, those of others included.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn list(&self) -> Result<Vec<String>, LogError>;

    /// Removes a file; nothing happens when there is none.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn remove(&self, name: &str) -> Result<(), LogError>;
}

/// Files in memory, for a broker that keeps nothing.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    files: Mutex<BTreeMap<String, Bytes>>,
}

impl QuorumFiles for MemoryFiles {
    fn read(&self, name: &str) -> Result<Option<Bytes>, LogError> {
        Ok(self.files.lock().get(name).cloned())
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), LogError> {
        self.files.lock().insert(name.to_owned(), Bytes::copy_from_slice(content));
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>, LogError> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> Result<(), LogError> {
        self.files.lock().remove(name);
        Ok(())
    }
}
