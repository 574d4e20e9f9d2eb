//! The sidecars in a partition's folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use vltava_core::id::Offset;
use vltava_core::log::{LogError, Sidecar, SidecarKind, Sidecars};

use super::names;
use super::segment::failed;
use crate::files::{Files, read_whole, replace_whole};

/// The sidecars of one log. Which there are is known in memory.
#[derive(Debug)]
pub(super) struct SidecarFolder {
    folder: Arc<Path>,
    files: Arc<dyn Files>,
    present: Mutex<BTreeSet<Sidecar>>,
}

impl SidecarFolder {
    pub(super) fn new(folder: Arc<Path>, files: Arc<dyn Files>, present: BTreeSet<Sidecar>) -> SidecarFolder {
        SidecarFolder { folder, files, present: Mutex::new(present) }
    }

    /// Which sidecar a file is.
    pub(super) fn parse(name: &str) -> Option<Sidecar> {
        if name == names::LEADER_EPOCHS {
            return Some(Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO });
        }
        match names::parse_file(name)? {
            (at, names::SNAPSHOT) => Some(Sidecar { kind: SidecarKind::ProducerSnapshot, at }),
            (at, names::ABORTED) => Some(Sidecar { kind: SidecarKind::AbortedTransactions, at }),
            _ => None,
        }
    }

    pub(super) fn path(&self, sidecar: Sidecar) -> PathBuf {
        self.folder.join(match sidecar.kind {
            SidecarKind::ProducerSnapshot => names::file(sidecar.at, names::SNAPSHOT),
            SidecarKind::AbortedTransactions => names::file(sidecar.at, names::ABORTED),
            SidecarKind::LeaderEpochs => names::LEADER_EPOCHS.to_owned(),
        })
    }

    /// Takes out those that die: what the predicate says of them. The caller removes their files.
    pub(super) fn take(&self, dies: impl Fn(Sidecar) -> bool) -> Vec<Sidecar> {
        let mut present = self.present.lock();
        let dead: Vec<Sidecar> = present.iter().copied().filter(|sidecar| dies(*sidecar)).collect();
        present.retain(|sidecar| !dies(*sidecar));
        dead
    }
}

impl Sidecars for SidecarFolder {
    fn write(&self, sidecar: Sidecar, content: &[u8]) -> Result<(), LogError> {
        let mut present = self.present.lock();
        let path = self.path(sidecar);
        replace_whole(&*self.files, &path, content).map_err(|error| failed("write", &path, error))?;
        present.insert(sidecar);
        Ok(())
    }

    fn read(&self, sidecar: Sidecar) -> Result<Option<Bytes>, LogError> {
        if !self.present.lock().contains(&sidecar) {
            return Ok(None);
        }
        let path = self.path(sidecar);
        let content = read_whole(&*self.files, &path).map_err(|error| failed("read", &path, error))?;
        Ok(content.map(Bytes::from))
    }

    fn list(&self, kind: SidecarKind) -> Vec<Offset> {
        self.present.lock().iter().filter(|sidecar| sidecar.kind == kind).map(|sidecar| sidecar.at).collect()
    }

    fn remove(&self, sidecar: Sidecar) -> Result<(), LogError> {
        if !self.present.lock().remove(&sidecar) {
            return Ok(());
        }
        let path = self.path(sidecar);
        match self.files.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }
}
