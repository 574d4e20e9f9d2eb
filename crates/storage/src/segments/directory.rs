//! A log directory: its lock, its identity, its checkpoints, what waits to be removed, and whether it still works.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vltava_core::id::{BrokerEpoch, DirectoryId, Offset, Timestamp, TopicPartition};
use vltava_core::log::LogError;

use super::checkpoint::{self, Offsets};
use super::names;
use super::segment::failed;
use crate::files::{FileLock, Files, read_whole, replace_whole};

/// A log directory that this process has locked.
#[derive(Debug)]
pub(super) struct LogDirectory {
    pub id: DirectoryId,
    pub path: PathBuf,
    pub files: Arc<dyn Files>,
    /// The last stop was a clean one, and this is the broker epoch it left.
    pub clean: Option<BrokerEpoch>,
    pub checkpoints: Mutex<Checkpoints>,
    /// Segments still to be read again of the log that is being opened.
    pub recovering: AtomicUsize,
    failed: AtomicBool,
    failure: Mutex<Option<String>>,
    trash: Mutex<Vec<Trash>>,
    /// Gone once the directory was closed: whoever still holds a log of it does not keep the next process out.
    lock: Mutex<Option<Box<dyn FileLock>>>,
}

/// The offsets of all logs of a directory, those included that are not open.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    pub recovery_points: Checkpoint,
    pub start_offsets: Checkpoint,
    pub high_watermarks: Checkpoint,
    /// Up to where logs were compacted.
    pub compacted: Checkpoint,
}

/// One checkpoint file.
#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    pub offsets: Offsets,
    /// Partitions that were forgotten and that the file may still name.
    stale: BTreeSet<TopicPartition>,
    changed: bool,
    written: Option<Timestamp>,
}

impl Checkpoint {
    pub(super) fn get(&self, partition: &TopicPartition) -> Option<Offset> {
        self.offsets.get(partition).copied()
    }

    pub(super) fn set(&mut self, partition: &TopicPartition, offset: Offset) {
        match self.offsets.get_mut(partition) {
            Some(known) if *known == offset => {}
            Some(known) => {
                *known = offset;
                self.changed = true;
            }
            None => {
                self.offsets.insert(partition.clone(), offset);
                self.changed = true;
            }
        }
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        if self.offsets.remove(partition).is_some() {
            self.stale.insert(partition.clone());
            self.changed = true;
        }
    }

    /// Whether the file is behind, and was not written within the last `interval_ms`.
    fn due(&self, now: Timestamp, interval_ms: i64) -> bool {
        self.changed && self.is_late(now, interval_ms)
    }

    fn is_late(&self, now: Timestamp, interval_ms: i64) -> bool {
        self.written.is_none_or(|at| now.since(at) >= interval_ms)
    }
}

/// A file or folder that is removed at a time.
#[derive(Debug)]
struct Trash {
    due: Timestamp,
    path: PathBuf,
    folder: bool,
}

/// How often each checkpoint is written, when something changed: Kafka's defaults.
const RECOVERY_POINT_INTERVAL_MS: i64 = 60_000;
const START_OFFSET_INTERVAL_MS: i64 = 60_000;
const HIGH_WATERMARK_INTERVAL_MS: i64 = 5_000;

impl LogDirectory {
    /// Reads the checkpoints, takes the clean shutdown mark away, and collects what an earlier process left to remove.
    pub(super) fn load(
        id: DirectoryId,
        path: PathBuf,
        files: Arc<dyn Files>,
        lock: Box<dyn FileLock>,
    ) -> Result<LogDirectory, LogError> {
        let mark = path.join(names::CLEAN_SHUTDOWN);
        let clean = read_whole(&*files, &mark)
            .map_err(|error| failed("read", &mark, error))?
            .map(|content| checkpoint::parse_clean_shutdown(&content));
        let directory = LogDirectory {
            checkpoints: Mutex::new(Checkpoints {
                recovery_points: read_checkpoint(&*files, &path.join(names::RECOVERY_POINTS))?,
                start_offsets: read_checkpoint(&*files, &path.join(names::START_OFFSETS))?,
                high_watermarks: read_checkpoint(&*files, &path.join(names::HIGH_WATERMARKS))?,
                compacted: read_checkpoint(&*files, &path.join(names::COMPACTED))?,
            }),
            id,
            path,
            files,
            clean,
            recovering: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            failure: Mutex::default(),
            trash: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        };
        if clean.is_some() {
            directory
                .files
                .remove(&mark)
                .and_then(|()| directory.files.sync_folder(&directory.path))
                .map_err(|error| failed("remove", &mark, error))?;
        }
        Ok(directory)
    }

    pub(super) fn is_offline(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Takes the directory offline: what its disk holds from now on cannot be known.
    pub(super) fn fail(&self, error: &LogError) {
        let mut failure = self.failure.lock();
        if failure.is_none() {
            tracing::error!(directory = %self.path.display(), %error, "the log directory goes offline");
            *failure = Some(error.to_string());
        }
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Passes a result on; an I/O error takes the directory offline.
    pub(super) fn watch<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error @ LogError::Io { .. }) = &result {
            self.fail(error);
        }
        result
    }

    /// Removes a file, which has its last name already, `delay_ms` after now.
    pub(super) fn discard(&self, path: PathBuf, folder: bool, due: Timestamp) {
        self.trash.lock().push(Trash { due, path, folder });
    }

    /// Removes what is due.
    pub(super) fn empty_trash(&self, now: Timestamp) {
        let due: Vec<Trash> = self.trash.lock().extract_if(.., |trash| trash.due <= now).collect();
        for Trash { path, folder, .. } in due {
            let removed = if folder { self.files.remove_folder(&path) } else { self.files.remove(&path) };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove what is no longer needed");
            }
        }
    }

    /// Whether the recovery points were not written for so long that they should be moved and written.
    pub(super) fn recovery_points_are_late(&self, now: Timestamp) -> bool {
        self.checkpoints.lock().recovery_points.is_late(now, RECOVERY_POINT_INTERVAL_MS)
    }

    /// Writes the checkpoints that are due.
    pub(super) fn write_due_checkpoints(&self, now: Timestamp) -> Result<(), LogError> {
        let checkpoints = &mut *self.checkpoints.lock();
        for (checkpoint, name, interval_ms) in [
            (&mut checkpoints.recovery_points, names::RECOVERY_POINTS, RECOVERY_POINT_INTERVAL_MS),
            (&mut checkpoints.start_offsets, names::START_OFFSETS, START_OFFSET_INTERVAL_MS),
            (&mut checkpoints.high_watermarks, names::HIGH_WATERMARKS, HIGH_WATERMARK_INTERVAL_MS),
        ] {
            if checkpoint.due(now, interval_ms) {
                self.write_checkpoint(checkpoint, name)?;
                checkpoint.written = Some(now);
            }
        }
        Ok(())
    }

    /// Writes every checkpoint that changed.
    pub(super) fn write_checkpoints(&self) -> Result<(), LogError> {
        let checkpoints = &mut *self.checkpoints.lock();
        self.write_checkpoint(&mut checkpoints.recovery_points, names::RECOVERY_POINTS)?;
        self.write_checkpoint(&mut checkpoints.start_offsets, names::START_OFFSETS)?;
        self.write_checkpoint(&mut checkpoints.high_watermarks, names::HIGH_WATERMARKS)?;
        self.write_checkpoint(&mut checkpoints.compacted, names::COMPACTED)
    }

    /// Writes the recovery points now.
    pub(super) fn write_recovery_points(&self) -> Result<(), LogError> {
        self.write_checkpoint(&mut self.checkpoints.lock().recovery_points, names::RECOVERY_POINTS)
    }

    /// Writes up to where logs were compacted, now.
    pub(super) fn write_compacted(&self) -> Result<(), LogError> {
        self.write_checkpoint(&mut self.checkpoints.lock().compacted, names::COMPACTED)
    }

    /// Takes the offsets of a partition whose log was truncated down to `end`, in the files too. Its high watermark is
    /// that of its replicas, and not looked at.
    pub(super) fn lower_offsets(&self, partition: &TopicPartition, end: Offset) -> Result<(), LogError> {
        let checkpoints = &mut *self.checkpoints.lock();
        for (checkpoint, name) in [
            (&mut checkpoints.recovery_points, names::RECOVERY_POINTS),
            (&mut checkpoints.start_offsets, names::START_OFFSETS),
            (&mut checkpoints.compacted, names::COMPACTED),
        ] {
            if checkpoint.get(partition).is_some_and(|known| known > end) {
                checkpoint.set(partition, end);
                self.write_checkpoint(checkpoint, name)?;
            }
        }
        Ok(())
    }

    /// Forgets the offsets of a partition, in the files too: a new log must not take over those of an earlier one of its
    /// name. Writes only the files that may still name it.
    pub(super) fn forget_offsets(&self, partition: &TopicPartition) -> Result<(), LogError> {
        let checkpoints = &mut *self.checkpoints.lock();
        for (checkpoint, name) in [
            (&mut checkpoints.recovery_points, names::RECOVERY_POINTS),
            (&mut checkpoints.start_offsets, names::START_OFFSETS),
            (&mut checkpoints.high_watermarks, names::HIGH_WATERMARKS),
            (&mut checkpoints.compacted, names::COMPACTED),
        ] {
            checkpoint.remove(partition);
            if checkpoint.stale.contains(partition) {
                self.write_checkpoint(checkpoint, name)?;
            }
        }
        Ok(())
    }

    fn write_checkpoint(&self, checkpoint: &mut Checkpoint, name: &str) -> Result<(), LogError> {
        if !checkpoint.changed {
            return Ok(());
        }
        self.replace(name, &checkpoint::print_offsets(checkpoint.offsets.iter()))?;
        checkpoint.stale.clear();
        checkpoint.changed = false;
        Ok(())
    }

    /// Leaves the mark that nothing has to be recovered.
    pub(super) fn mark_clean(&self, epoch: BrokerEpoch) -> Result<(), LogError> {
        self.replace(names::CLEAN_SHUTDOWN, &checkpoint::print_clean_shutdown(epoch))
    }

    /// Lets another process have the directory. Nothing may be written to it any more.
    pub(super) fn release(&self) {
        self.lock.lock().take();
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), LogError> {
        let path = self.path.join(name);
        replace_whole(&*self.files, &path, content).map_err(|error| failed("write", &path, error))
    }
}

fn read_checkpoint(files: &dyn Files, path: &Path) -> Result<Checkpoint, LogError> {
    let Some(content) = read_whole(files, path).map_err(|error| failed("read", path, error))? else {
        return Ok(Checkpoint::default());
    };
    match checkpoint::parse_offsets(&content) {
        Ok(offsets) => Ok(Checkpoint { offsets, ..Checkpoint::default() }),
        Err(line) => {
            // The recovery point 0 reads more than needed; a start at the first segment shows more than needed. Neither
            // loses anything, so a broken checkpoint is no reason not to start.
            tracing::warn!(path = %path.display(), line, "the checkpoint is malformed and starts anew");
            Ok(Checkpoint::default())
        }
    }
}
