//! The store: one or more log directories and the logs in them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use vltava_core::clock::Clock;
use vltava_core::id::{BrokerEpoch, DirectoryId, Offset, TopicId, TopicPartition};
use vltava_core::log::{Directory, Log, LogError, LogId, LogSettings, LogStore, StoredLog};

use super::checkpoint;
use super::directory::LogDirectory;
use super::log::{SegmentLog, Shared};
use super::names;
use super::open_files::OpenFiles;
use super::options::{SegmentStoreOptions, StoreError};
use super::segment::failed;
use crate::files::{Files, Open};
use crate::random::Random;

mod opening;

use opening::{Candidate, Opening, find_logs, identify};

/// Logs in segment files, in one or more directories.
pub struct SegmentStore {
    cluster_id: String,
    directories: Vec<Place>,
    logs: Mutex<BTreeMap<TopicPartition, Arc<Known>>>,
    shared: Arc<Shared>,
    recovery_bytes_max: u64,
    broker_epoch: Mutex<BrokerEpoch>,
    closed: RwLock<bool>,
    cordoned: Mutex<Vec<DirectoryId>>,
}

/// A configured directory: one that works, or did when it was opened, or one that never did.
#[derive(Debug)]
enum Place {
    Loaded(Arc<LogDirectory>),
    Failed { path: PathBuf, failure: String },
}

/// A log that is there, open or not.
#[derive(Debug)]
struct Known {
    /// `None` for a folder without `partition.metadata`: whoever opens it first gives it one.
    topic: Option<TopicId>,
    directory: Arc<LogDirectory>,
    folder: PathBuf,
    /// Why nobody knows whose log it is: its `partition.metadata` is there and says nothing.
    damage: Option<LogError>,
    log: Mutex<Option<Arc<SegmentLog>>>,
}

impl fmt::Debug for SegmentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentStore").field("directories", &self.directories).finish_non_exhaustive()
    }
}

impl SegmentStore {
    /// Locks the directories and finds out what is in them; formats those that are empty. A directory whose disk fails
    /// is offline from the start; the others are used.
    ///
    /// # Errors
    /// [`StoreError`]: a directory that is in use or belongs to another node or cluster, or no directory that works.
    pub fn open(
        options: SegmentStoreOptions,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
    ) -> Result<SegmentStore, StoreError> {
        let mut random = Random::new(options.seed);
        let mut opening = Opening { cluster_id: options.cluster_id, node_id: options.node_id };
        let mut locked = Vec::new();
        for path in options.directories {
            locked.push(opening.lock(path, &*files)?);
        }
        let cluster_id = opening.cluster_id.unwrap_or_else(|| vltava_core::id::uuid_to_base64(random.uuid()));
        let mut directories = Vec::new();
        for candidate in locked {
            directories.push(match candidate {
                Candidate::Failed { path, failure } => Place::Failed { path, failure },
                Candidate::Locked { path, lock, properties } => {
                    let loaded =
                        identify(&*files, &path, properties, &cluster_id, options.node_id, &mut random)
                            .and_then(|id| LogDirectory::load(id, path.clone(), Arc::clone(&files), lock));
                    match loaded {
                        Ok(directory) => Place::Loaded(Arc::new(directory)),
                        Err(error) => Place::Failed { path, failure: error.to_string() },
                    }
                }
            });
        }
        let store = SegmentStore {
            cluster_id,
            logs: Mutex::new(find_logs(&directories)?),
            directories,
            shared: Arc::new(Shared {
                open_files: Arc::new(OpenFiles::new(files, options.open_files_max)),
                clock,
                witness: options.witness,
                random: Mutex::new(random),
            }),
            recovery_bytes_max: options.recovery_bytes_max,
            broker_epoch: Mutex::new(BrokerEpoch(-1)),
            closed: RwLock::new(false),
            cordoned: Mutex::default(),
        };
        for place in &store.directories {
            if let Place::Failed { path, failure } = place {
                tracing::error!(directory = %path.display(), failure, "the log directory is offline");
            }
        }
        if store.loaded().all(|directory| directory.is_offline()) {
            let failure = store.directories().into_iter().find_map(|directory| directory.failure);
            return Err(StoreError::NoDirectory(failure.unwrap_or_else(|| "log.dirs is empty".into())));
        }
        Ok(store)
    }

    /// The id of the cluster whose logs these are.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The broker epoch that the last clean shutdown left; −1 after an unclean one, or when it left none (KIP-966).
    #[must_use]
    pub fn previous_broker_epoch(&self) -> BrokerEpoch {
        self.loaded()
            .map(|directory| directory.clean.unwrap_or(BrokerEpoch(-1)))
            .min()
            .unwrap_or(BrokerEpoch(-1))
    }

    /// The broker epoch that the mark of a clean shutdown will carry.
    pub fn set_broker_epoch(&self, epoch: BrokerEpoch) {
        *self.broker_epoch.lock() = epoch;
    }

    fn known(&self, id: &LogId) -> Option<Arc<Known>> {
        self.logs.lock().get(&id.partition).filter(|known| known.topic == Some(id.topic)).cloned()
    }

    fn loaded(&self) -> impl Iterator<Item = &Arc<LogDirectory>> {
        self.directories.iter().filter_map(|place| match place {
            Place::Loaded(directory) => Some(directory),
            Place::Failed { .. } => None,
        })
    }

    /// The logs that are open. One that is being opened is waited for, or left out.
    fn open_logs(&self, wait: bool) -> Vec<Arc<SegmentLog>> {
        let logs: Vec<Arc<Known>> = self.logs.lock().values().cloned().collect();
        let open = |known: &Arc<Known>| match wait {
            true => known.log.lock().clone(),
            false => known.log.try_lock()?.clone(),
        };
        logs.iter().filter_map(open).collect()
    }

    /// Keeps the store from being closed; an error when it was.
    fn still_open(&self) -> Result<RwLockReadGuard<'_, bool>, LogError> {
        let closed = self.closed.read();
        if *closed { Err(LogError::Offline("the store was closed".into())) } else { Ok(closed) }
    }

    /// The entry of a log: the one there is, or a new one with a fresh folder.
    fn entry(&self, id: &LogId, wanted: Option<DirectoryId>) -> Result<Arc<Known>, LogError> {
        let _open = self.still_open()?;
        let mut logs = self.logs.lock();
        if let Some(known) = logs.get(&id.partition) {
            if let Some(damage) = &known.damage {
                return Err(damage.clone());
            }
            match known.topic {
                Some(topic) if topic == id.topic => return Ok(Arc::clone(known)),
                Some(topic) => {
                    self.put_aside(known, &id.partition, topic)?;
                    logs.remove(&id.partition);
                }
                None => {
                    let known = Arc::new(self.adopt(known, id)?);
                    logs.insert(id.partition.clone(), Arc::clone(&known));
                    return Ok(known);
                }
            }
        }
        let directory = self.choose(&logs, wanted)?;
        let folder = directory.path.join(names::folder(&id.partition));
        let created =
            directory.forget_offsets(&id.partition).and_then(|()| self.create(directory, folder, id));
        let known = Arc::new(directory.watch(created)?);
        logs.insert(id.partition.clone(), Arc::clone(&known));
        Ok(known)
    }

    fn create(&self, directory: &Arc<LogDirectory>, folder: PathBuf, id: &LogId) -> Result<Known, LogError> {
        let files = &directory.files;
        files.create_folder(&folder).map_err(|error| failed("create", &folder, error))?;
        // Nothing of this is synced yet: the log's first flush does it. A folder that a crash leaves without a topic id
        // holds nothing that was confirmed.
        let path = folder.join(names::PARTITION_METADATA);
        files
            .open(&path, Open::OrCreate)
            .and_then(|file| {
                let content = checkpoint::print_partition_metadata(id.topic);
                file.truncate(0)?;
                file.write_at(&mut [IoSlice::new(&content)], 0)
            })
            .map_err(|error| failed("write", &path, error))?;
        Ok(Known {
            topic: Some(id.topic),
            directory: Arc::clone(directory),
            folder,
            damage: None,
            log: Mutex::default(),
        })
    }

    /// Gives a folder without a topic id the one it is opened for.
    fn adopt(&self, known: &Known, id: &LogId) -> Result<Known, LogError> {
        known.directory.watch(self.create(&known.directory, known.folder.clone(), id))
    }

    /// Another topic of the same name: its folder is kept under another name, for whoever wants to look at it.
    fn put_aside(&self, known: &Known, partition: &TopicPartition, topic: TopicId) -> Result<(), LogError> {
        tracing::warn!(%partition, %topic, "a log of another topic of this name is put aside");
        self.rename_folder(known, partition, "stray").map(|_| ())
    }

    fn rename_folder(
        &self,
        known: &Known,
        partition: &TopicPartition,
        mark: &str,
    ) -> Result<PathBuf, LogError> {
        let directory = &known.directory;
        let log = known.log.lock().take();
        let _turn = log.as_ref().map(|log| log.retire());
        let unique = self.shared.random.lock().uuid();
        let renamed = directory.path.join(names::marked_folder(partition, unique, mark));
        directory.watch(
            directory
                .files
                .rename(&known.folder, &renamed)
                .and_then(|()| directory.files.sync_folder(&directory.path))
                .map_err(|error| failed("rename", &known.folder, error)),
        )?;
        let mut checkpoints = directory.checkpoints.lock();
        checkpoints.recovery_points.remove(partition);
        checkpoints.start_offsets.remove(partition);
        checkpoints.high_watermarks.remove(partition);
        checkpoints.compacted.remove(partition);
        Ok(renamed)
    }

    /// The directory asked for, or the online one with the fewest logs.
    fn choose(
        &self,
        logs: &BTreeMap<TopicPartition, Arc<Known>>,
        wanted: Option<DirectoryId>,
    ) -> Result<&Arc<LogDirectory>, LogError> {
        if let Some(wanted) = wanted {
            let found = self.loaded().find(|directory| directory.id == wanted);
            let directory = found.ok_or_else(|| {
                LogError::Offline(format!("there is no log directory with the id {wanted}, or it is offline"))
            })?;
            return match directory.failure() {
                Some(failure) => Err(LogError::Offline(failure)),
                None => Ok(directory),
            };
        }
        let count = |directory: &Arc<LogDirectory>| {
            logs.values().filter(|known| Arc::ptr_eq(&known.directory, directory)).count()
        };
        let cordoned = self.cordoned.lock();
        let online = self.loaded().filter(|directory| !directory.is_offline());
        let (closed, open): (Vec<_>, Vec<_>) = online.partition(|directory| cordoned.contains(&directory.id));
        // Where all are cordoned, nothing new is placed on this broker, except what its own work needs.
        let online = if open.is_empty() { closed } else { open };
        match online.as_slice() {
            [only] => Ok(only),
            several => several
                .iter()
                .min_by_key(|directory| count(directory))
                .copied()
                .ok_or_else(|| LogError::Offline("every log directory is offline".into())),
        }
    }

    /// Moves the recovery points of those logs of a directory that would have most to read again, until what is left has
    /// less than half the bound.
    fn bound_dirty_bytes(&self, logs: &[Arc<SegmentLog>]) -> Result<bool, LogError> {
        let mut dirty: Vec<(u64, &Arc<SegmentLog>)> =
            logs.iter().map(|log| (log.dirty_bytes(), log)).filter(|(bytes, _)| *bytes > 0).collect();
        let mut total: u64 = dirty.iter().map(|(bytes, _)| bytes).sum();
        if total <= self.recovery_bytes_max {
            return Ok(false);
        }
        dirty.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut chosen = Vec::new();
        for (bytes, log) in dirty {
            if total <= self.recovery_bytes_max / 2 {
                break;
            }
            chosen.push(Arc::clone(log));
            total -= bytes;
        }
        SegmentLog::advance_all(&chosen)?;
        Ok(true)
    }

    fn maintain_directory(
        &self,
        directory: &Arc<LogDirectory>,
        logs: &[Arc<SegmentLog>],
    ) -> Result<(), LogError> {
        let now = self.shared.clock.wall();
        directory.empty_trash(now);
        let urgent = self.bound_dirty_bytes(logs)?;
        if directory.recovery_points_are_late(now) {
            SegmentLog::advance_flushed(logs)?;
        }
        SegmentLog::write_sidecars(logs)?;
        note_offsets(directory, logs);
        if urgent {
            directory.write_recovery_points()?;
        }
        directory.write_due_checkpoints(now)
    }

    fn close_directory(
        &self,
        directory: &Arc<LogDirectory>,
        logs: &[Arc<SegmentLog>],
    ) -> Result<(), LogError> {
        SegmentLog::close(logs)?;
        note_offsets(directory, logs);
        directory.write_checkpoints()?;
        directory.mark_clean(*self.broker_epoch.lock())
    }

    /// Runs `work` for every directory that is online; the first failure is reported, the others are still served.
    fn each_directory(
        &self,
        logs: &[Arc<SegmentLog>],
        work: impl Fn(&Arc<LogDirectory>, &[Arc<SegmentLog>]) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut result = Ok(());
        for directory in self.loaded().filter(|directory| !directory.is_offline()) {
            let here: Vec<Arc<SegmentLog>> =
                logs.iter().filter(|log| Arc::ptr_eq(&log.directory, directory)).cloned().collect();
            let worked = directory.watch(work(directory, &here));
            result = result.and(worked);
        }
        result
    }
}

/// Takes over the offsets of open logs into the checkpoints of their directory.
fn note_offsets(directory: &LogDirectory, logs: &[Arc<SegmentLog>]) {
    let starts: Vec<_> = logs.iter().map(|log| (log, log.start(), log.first_base())).collect();
    let mut checkpoints = directory.checkpoints.lock();
    for (log, start, first_base) in starts {
        let partition = &log.id.partition;
        // Read under the lock: a truncation that has lowered it meanwhile must not be overruled.
        checkpoints.recovery_points.set(partition, log.recovery_point());
        // As Kafka has it: only a start that the segments do not tell by themselves is kept.
        if start > first_base {
            checkpoints.start_offsets.set(partition, start);
        } else {
            checkpoints.start_offsets.remove(partition);
        }
    }
}

impl LogStore for SegmentStore {
    fn open(
        &self,
        id: &LogId,
        settings: LogSettings,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<dyn Log>, LogError> {
        let known = self.entry(id, directory)?;
        let mut slot = known.log.lock();
        if let Some(log) = &*slot {
            return Ok(Arc::clone(log) as Arc<dyn Log>);
        }
        if let Some(failure) = known.directory.failure() {
            return Err(LogError::Offline(failure));
        }
        let log = known.directory.watch(SegmentLog::open(
            id.clone(),
            settings,
            known.folder.clone(),
            Arc::clone(&known.directory),
            Arc::clone(&self.shared),
        ))?;
        *slot = Some(Arc::clone(&log));
        Ok(log)
    }

    fn list(&self) -> Result<Vec<StoredLog>, LogError> {
        let logs: Vec<(TopicPartition, Arc<Known>)> = self
            .logs
            .lock()
            .iter()
            .map(|(partition, known)| (partition.clone(), Arc::clone(known)))
            .collect();
        let mut stored = Vec::with_capacity(logs.len());
        for (partition, known) in logs {
            let bytes = match &*known.log.lock() {
                Some(log) => log.bytes(),
                None if known.directory.is_offline() => 0,
                None => bytes_in(&*known.directory.files, &known.folder)?,
            };
            let high_watermark = known.directory.checkpoints.lock().high_watermarks.get(&partition);
            stored.push(StoredLog {
                id: LogId { topic: known.topic.unwrap_or(TopicId::ZERO), partition },
                directory: known.directory.id,
                bytes,
                high_watermark: high_watermark.unwrap_or(Offset::ZERO),
            });
        }
        Ok(stored)
    }

    fn remove(&self, id: &LogId) -> Result<(), LogError> {
        let _open = self.still_open()?;
        let mut logs = self.logs.lock();
        let Some(known) =
            logs.get(&id.partition).filter(|known| known.topic.is_none_or(|topic| topic == id.topic))
        else {
            return Ok(());
        };
        let delay_ms = known
            .log
            .lock()
            .as_ref()
            .map_or_else(|| LogSettings::default().delete_delay_ms, |log| log.delete_delay_ms());
        let renamed = self.rename_folder(known, &id.partition, "delete")?;
        known.directory.discard(renamed, true, self.shared.clock.wall().plus(delay_ms));
        logs.remove(&id.partition);
        Ok(())
    }

    fn cordon(&self, directories: Vec<DirectoryId>) {
        *self.cordoned.lock() = directories;
    }

    fn directories(&self) -> Vec<Directory> {
        self.directories
            .iter()
            .map(|place| match place {
                Place::Loaded(directory) => {
                    let space = directory.files.space(&directory.path);
                    Directory {
                        id: directory.id,
                        path: directory.path.clone(),
                        failure: directory.failure(),
                        total_bytes: space.map(|space| space.total),
                        usable_bytes: space.map(|space| space.usable),
                        recovering: directory.recovering.load(Ordering::Relaxed),
                    }
                }
                Place::Failed { path, failure } => Directory {
                    id: DirectoryId::LOST,
                    path: path.clone(),
                    failure: Some(failure.clone()),
                    total_bytes: None,
                    usable_bytes: None,
                    recovering: 0,
                },
            })
            .collect()
    }

    fn compacted(&self, id: &LogId) -> Option<Offset> {
        let known = self.known(id)?;
        let end = known.log.lock().as_ref().map(|log| log.bounds().end);
        let compacted = known.directory.checkpoints.lock().compacted.get(&id.partition)?;
        // A log that has lost its end to a crash is compacted from its start.
        (end.is_none_or(|end| compacted <= end)).then_some(compacted)
    }

    fn note_compacted(&self, id: &LogId, end: Offset) -> Result<(), LogError> {
        let _open = self.still_open()?;
        let Some(known) = self.known(id) else { return Ok(()) };
        known.directory.checkpoints.lock().compacted.set(&id.partition, end);
        known.directory.watch(known.directory.write_compacted())
    }

    fn maintain(&self, high_watermarks: &[(LogId, Offset)]) -> Result<(), LogError> {
        let _open = self.still_open()?;
        {
            let logs = self.logs.lock();
            for (id, offset) in high_watermarks {
                if let Some(known) = logs.get(&id.partition).filter(|known| known.topic == Some(id.topic)) {
                    known.directory.checkpoints.lock().high_watermarks.set(&id.partition, *offset);
                }
            }
        }
        self.each_directory(&self.open_logs(false), |directory, logs| {
            self.maintain_directory(directory, logs)
        })
    }

    fn close(&self) -> Result<(), LogError> {
        // Whatever came later would be believed without having been synced.
        *self.closed.write() = true;
        let result = self
            .each_directory(&self.open_logs(true), |directory, logs| self.close_directory(directory, logs));
        self.loaded().for_each(|directory| directory.release());
        result
    }
}

/// The bytes of the batches in a folder.
fn bytes_in(files: &dyn Files, folder: &std::path::Path) -> Result<u64, LogError> {
    let mut bytes = 0;
    for entry in files.list(folder).map_err(|error| failed("list", folder, error))? {
        if matches!(names::parse_file(&entry.name), Some((_, names::LOG))) {
            let path = folder.join(&entry.name);
            bytes += files.size(&path).map_err(|error| failed("find the size of", &path, error))?;
        }
    }
    Ok(bytes)
}
