//! The sidecars in a partition's folder.
//!
//! Why a sidecar waits in memory until the log is flushed, maintained or closed: a file that is replaced atomically has
//! to be synced before it is renamed, and thousands of partitions that get a new leader epoch at once would sync
//! thousands of files one after another. Together they are synced in one go. What a crash takes was not confirmed, and
//! is in the log, too.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use vltava_core::id::Offset;
use vltava_core::log::{LogError, Sidecar, SidecarKind, Sidecars};

use super::names;
use super::segment::failed;
use crate::files::{Files, Open, read_whole};

/// The sidecars of one log. Which there are is known in memory.
#[derive(Debug)]
pub(super) struct SidecarFolder {
    folder: Arc<Path>,
    files: Arc<dyn Files>,
    known: Mutex<Known>,
    /// Held while files get their names or lose them.
    naming: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    present: BTreeSet<Sidecar>,
    /// Those whose file is behind, in the order in which they were first written.
    pending: Vec<Pending>,
}

/// A sidecar that is to get its file.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    sidecar: Sidecar,
    content: Bytes,
}

impl SidecarFolder {
    pub(super) fn new(folder: Arc<Path>, files: Arc<dyn Files>, present: BTreeSet<Sidecar>) -> SidecarFolder {
        let known = Known { present, pending: Vec::new() };
        SidecarFolder { folder, files, known: Mutex::new(known), naming: Mutex::default() }
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

    fn beside(&self, sidecar: Sidecar) -> PathBuf {
        let mut path = self.path(sidecar).into_os_string();
        path.push(format!(".{}", names::TEMPORARY));
        path.into()
    }

    /// Takes out those that die: what the predicate says of them. The caller removes their files.
    pub(super) fn take(&self, dies: impl Fn(Sidecar) -> bool) -> Vec<Sidecar> {
        let mut known = self.known.lock();
        let dead: Vec<Sidecar> = known.present.iter().copied().filter(|sidecar| dies(*sidecar)).collect();
        known.present.retain(|sidecar| !dies(*sidecar));
        known.pending.retain(|pending| !dies(pending.sidecar));
        dead
    }

    /// Takes note of one whose file was put there.
    pub(super) fn found(&self, sidecar: Sidecar) {
        self.known.lock().present.insert(sidecar);
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.known.lock().pending.is_empty()
    }

    /// Those that wait. Producer snapshots come last: whoever finds one believes that the other sidecars hold what lies
    /// below it.
    pub(super) fn pending(&self) -> Vec<Pending> {
        let mut pending = self.known.lock().pending.clone();
        pending.sort_by_key(|pending| pending.sidecar.kind == SidecarKind::ProducerSnapshot);
        pending
    }

    /// Writes them beside their files.
    pub(super) fn prepare(&self, pending: &[Pending]) -> Result<(), LogError> {
        for Pending { sidecar, content } in pending {
            let path = self.beside(*sidecar);
            let write = || -> io::Result<()> {
                let file = self.files.open(&path, Open::OrCreate)?;
                file.truncate(0)?;
                if content.is_empty() { Ok(()) } else { file.write_at(&mut [IoSlice::new(content)], 0) }
            };
            write().map_err(|error| failed("write", &path, error))?;
        }
        Ok(())
    }

    /// Makes what was prepared durable.
    pub(super) fn sync(&self, pending: &[Pending]) -> Result<(), LogError> {
        for Pending { sidecar, .. } in pending {
            let path = self.beside(*sidecar);
            let synced = self.files.open(&path, Open::Existing).and_then(|file| file.sync());
            synced.map_err(|error| failed("sync", &path, error))?;
        }
        Ok(())
    }

    /// Gives them their names, which are not durable before the folder is synced.
    pub(super) fn name(&self, pending: &[Pending]) -> Result<(), LogError> {
        let _naming = self.naming.lock();
        for Pending { sidecar, content } in pending {
            let (beside, path) = (self.beside(*sidecar), self.path(*sidecar));
            let wanted = self.known.lock().present.contains(sidecar);
            // One that died meanwhile must not come back.
            let named = if wanted { self.files.rename(&beside, &path) } else { self.files.remove(&beside) };
            named.map_err(|error| failed("rename", &beside, error))?;
            let same =
                |other: &Pending| other.sidecar == *sidecar && other.content.as_ptr() == content.as_ptr();
            self.known.lock().pending.retain(|other| !same(other));
        }
        Ok(())
    }
}

impl Sidecars for SidecarFolder {
    fn write(&self, sidecar: Sidecar, content: &[u8]) -> Result<(), LogError> {
        let content = Bytes::copy_from_slice(content);
        let known = &mut *self.known.lock();
        known.present.insert(sidecar);
        match known.pending.iter_mut().find(|pending| pending.sidecar == sidecar) {
            Some(pending) => pending.content = content,
            None => known.pending.push(Pending { sidecar, content }),
        }
        Ok(())
    }

    fn read(&self, sidecar: Sidecar) -> Result<Option<Bytes>, LogError> {
        // A file gets its name and stops waiting under this lock, so the sidecar is found here or there.
        let _naming = self.naming.lock();
        {
            let known = self.known.lock();
            if !known.present.contains(&sidecar) {
                return Ok(None);
            }
            if let Some(pending) = known.pending.iter().find(|pending| pending.sidecar == sidecar) {
                return Ok(Some(pending.content.clone()));
            }
        }
        let path = self.path(sidecar);
        let content = read_whole(&*self.files, &path).map_err(|error| failed("read", &path, error))?;
        Ok(content.map(Bytes::from))
    }

    fn list(&self, kind: SidecarKind) -> Vec<Offset> {
        let known = self.known.lock();
        known.present.iter().filter(|sidecar| sidecar.kind == kind).map(|sidecar| sidecar.at).collect()
    }

    fn remove(&self, sidecar: Sidecar) -> Result<(), LogError> {
        let _naming = self.naming.lock();
        {
            let known = &mut *self.known.lock();
            known.pending.retain(|pending| pending.sidecar != sidecar);
            if !known.present.remove(&sidecar) {
                return Ok(());
            }
        }
        let path = self.path(sidecar);
        match self.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }
}
