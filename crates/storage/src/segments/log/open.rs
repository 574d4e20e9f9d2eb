//! Opening a log: what its folder holds, and what of that has to be read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vltava_core::id::Offset;
use vltava_core::log::{LogError, LogId, LogSettings, Sidecar};

use super::append::age_ms_max;
use super::{Active, Sealed, SegmentLog, Shared, State};
use crate::files::{Files, Open};
use crate::segments::directory::LogDirectory;
use crate::segments::names;
use crate::segments::recovery::{Loaded, Trust, recover};
use crate::segments::segment::{HeaderScan, ScanError, Segment, failed};
use crate::segments::sidecar::SidecarFolder;
use crate::segments::swap;

/// What a partition's folder holds.
#[derive(Debug, Default)]
struct Found {
    bases: BTreeSet<Offset>,
    sidecars: BTreeSet<Sidecar>,
    /// Left over: of deletions, of writes that did not end, of segments that are gone.
    leftovers: Vec<String>,
}

impl SegmentLog {
    /// Opens the log in `folder`, which exists.
    pub(in crate::segments) fn open(
        id: LogId,
        settings: LogSettings,
        folder: PathBuf,
        directory: Arc<LogDirectory>,
        shared: Arc<Shared>,
    ) -> Result<Arc<SegmentLog>, LogError> {
        let files = Arc::clone(&directory.files);
        let folder: Arc<Path> = folder.into();
        let found = look_around(&*files, &folder)?;
        for name in &found.leftovers {
            let path = folder.join(name);
            files.remove(&path).map_err(|error| failed("remove", &path, error))?;
        }
        let (recovery_point, start) = {
            let checkpoints = directory.checkpoints.lock();
            (
                checkpoints.recovery_points.get(&id.partition).unwrap_or(Offset::ZERO),
                checkpoints.start_offsets.get(&id.partition).unwrap_or(Offset::ZERO),
            )
        };
        let segment = |base| Segment::new(base, Arc::clone(&folder), Arc::clone(&shared.open_files));
        let mut bases: Vec<Offset> = found.bases.into_iter().collect();
        // A process that was killed may have made names that are not durable.
        let mut folder_dirty = directory.clean.is_none();
        if bases.is_empty() {
            let first = segment(start);
            first.open_log(Open::New)?;
            bases.push(start);
            folder_dirty = true;
        }
        let mut opening = Opening {
            files: Arc::clone(&files),
            folder: Arc::clone(&folder),
            clean: directory.clean.is_some(),
            recovery_point,
            interval: u64::from(settings.index_interval_bytes),
            sealed: VecDeque::new(),
            reindexed: Vec::new(),
            unsynced: Vec::new(),
            dirty_bytes: 0,
        };
        let opened = opening
            .segments(bases.into_iter().map(|base| Arc::new(segment(base))).collect(), &directory.recovering);
        directory.recovering.store(0, Ordering::Relaxed);
        let (active, loaded) = opened?;
        let Opening { sealed, reindexed, unsynced, dirty_bytes, .. } = opening;
        let end = loaded.end;
        let first = sealed.front().map_or(active.base, |sealed| sealed.segment.base);
        let age = age_ms_max(&shared, &settings);
        let state = State {
            settings,
            start: start.max(first).min(end),
            end,
            flushed: if directory.clean.is_some() { end } else { recovery_point.min(end) },
            unsynced,
            unsynced_indexes: reindexed,
            dirty_bytes,
            names_dirty: folder_dirty,
            folder_dirty,
            offline: None,
            retired: false,
            closed: false,
            active: Active::new(active, Some(loaded), shared.clock.wall(), age),
            sealed,
        };
        Ok(Arc::new_cyclic(|myself| SegmentLog {
            sidecars: SidecarFolder::new(Arc::clone(&folder), files, found.sidecars),
            recovery_point: AtomicI64::new(recovery_point.min(end).0),
            id,
            directory,
            shared,
            folder,
            state: Mutex::new(state),
            upkeep: Mutex::default(),
            generation: AtomicU64::new(0),
            continuations: Mutex::default(),
            rewriting: AtomicBool::new(false),
            myself: myself.clone(),
        }))
    }
}

fn look_around(files: &dyn Files, folder: &Path) -> Result<Found, LogError> {
    let list = || -> Result<Vec<String>, LogError> {
        let entries = files.list(folder).map_err(|error| failed("list", folder, error))?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    };
    let mut listed = list()?;
    if listed.iter().any(|name| name.ends_with(names::SWAP)) && swap::finish(files, folder, &listed)? {
        listed = list()?;
    }
    let mut found = Found::default();
    let mut others: BTreeMap<String, Offset> = BTreeMap::new();
    for name in listed {
        if let Some(sidecar) = SidecarFolder::parse(&name) {
            found.sidecars.insert(sidecar);
            continue;
        }
        let temporary = name.ends_with(&format!(".{}", names::TEMPORARY));
        match names::parse_file(&name) {
            Some((base, names::LOG)) => {
                found.bases.insert(base);
            }
            Some((base, names::INDEX | names::TIME_INDEX)) => {
                others.insert(name, base);
            }
            Some((_, suffix)) if is_leftover(suffix) => found.leftovers.push(name),
            _ if temporary => found.leftovers.push(name),
            _ => {}
        }
    }
    found
        .leftovers
        .extend(others.into_iter().filter(|(_, base)| !found.bases.contains(base)).map(|(name, _)| name));
    Ok(found)
}

fn is_leftover(suffix: &str) -> bool {
    suffix
        .rsplit('.')
        .next()
        .is_some_and(|last| [names::DELETED, names::CLEANED, names::TEMPORARY].contains(&last))
}

/// The segments while they are being opened.
struct Opening {
    files: Arc<dyn Files>,
    folder: Arc<Path>,
    clean: bool,
    recovery_point: Offset,
    interval: u64,
    sealed: VecDeque<Sealed>,
    reindexed: Vec<Arc<Segment>>,
    /// Read again, so perhaps not durable.
    unsynced: Vec<Arc<Segment>>,
    /// Bytes of these and of the last segment, roughly what another crash would have to read again.
    dirty_bytes: u64,
}

impl Opening {
    /// Loads what has to be read, and tells how many segments are still to be read again; returns the last segment.
    fn segments(
        &mut self,
        segments: Vec<Arc<Segment>>,
        recovering: &AtomicUsize,
    ) -> Result<(Arc<Segment>, Loaded), LogError> {
        let mut rest = segments.into_iter().peekable();
        while let Some(segment) = rest.next() {
            let next = rest.peek().map(|next| next.base);
            let believed = self.clean || next.is_some_and(|next| next <= self.recovery_point);
            if believed && next.is_some() {
                let path = segment.path(names::LOG);
                let size = segment.stored_size().map_err(|error| failed("find the size of", &path, error))?;
                self.sealed.push_back(Sealed { segment, size, largest: None });
                continue;
            }
            let trust = if self.clean { Trust::Everything } else { Trust::Below(self.recovery_point) };
            if !self.clean {
                recovering.store(1 + rest.len(), Ordering::Relaxed);
            }
            let mut loaded = recover(&segment, trust, self.interval, next)?;
            if !self.clean && loaded.end > self.recovery_point {
                self.dirty_bytes += loaded.size;
            }
            let complete = match rest.peek() {
                Some(next) => !loaded.cut && (loaded.end >= next.base || is_far(next, loaded.end)?),
                None => false,
            };
            if !complete {
                // What follows a cut is not part of the log any more: offsets would be missing in between.
                let dead: Vec<Arc<Segment>> = rest.collect();
                for dead in &dead {
                    tracing::warn!(path = %dead.path(names::LOG).display(), "removed, because the log ends before it");
                    dead.remove_files()?;
                }
                if !dead.is_empty() {
                    // Else they could come back behind what is appended from now on.
                    let sync = self.files.sync_folder(&self.folder);
                    sync.map_err(|error| failed("sync", &self.folder, error))?;
                }
                return Ok((segment, loaded));
            }
            loaded.indexer.note_time();
            segment.write_indexes(&mut loaded.indexer)?;
            let largest = Some(loaded.indexer.largest.timestamp);
            self.unsynced.push(Arc::clone(&segment));
            self.reindexed.push(Arc::clone(&segment));
            self.sealed.push_back(Sealed { segment, size: loaded.size, largest });
        }
        Err(LogError::Corrupt { path: PathBuf::new(), position: 0, what: "a log without a segment".into() })
    }
}

/// Whether a segment begins so far behind the end of the one before it that a gap had to be left.
fn is_far(segment: &Segment, end: Offset) -> Result<bool, LogError> {
    let path = segment.path(names::LOG);
    let size = segment.stored_size().map_err(|error| failed("find the size of", &path, error))?;
    match HeaderScan::new(&*segment.log_file()?, 0, size).next() {
        Ok(Some((_, header))) => Ok(header.last_offset().since(end) > i64::from(i32::MAX)),
        Ok(None) | Err(ScanError::Broken(..)) => Ok(false),
        Err(ScanError::Io(error)) => Err(failed("read", &path, error)),
    }
}
