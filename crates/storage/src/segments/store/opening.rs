//! Taking possession of log directories: locks, identities, and what is in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vltava_core::id::{BrokerId, DirectoryId, Timestamp, TopicPartition};
use vltava_core::log::LogError;

use super::{Known, Place};
use crate::files::{FileLock, Files, read_whole, replace_whole};
use crate::random::Random;
use crate::segments::checkpoint;
use crate::segments::directory::LogDirectory;
use crate::segments::names;
use crate::segments::options::StoreError;
use crate::segments::properties::MetaProperties;
use crate::segments::segment::failed;

/// What is known while directories are locked.
pub(super) struct Opening {
    pub cluster_id: Option<String>,
    pub node_id: BrokerId,
}

pub(super) enum Candidate {
    Locked { path: PathBuf, lock: Box<dyn FileLock>, properties: Option<MetaProperties> },
    Failed { path: PathBuf, failure: String },
}

impl Opening {
    pub(super) fn lock(&mut self, path: PathBuf, files: &dyn Files) -> Result<Candidate, StoreError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let created =
            files.create_folder(&path).and_then(|()| files.sync_folder(parent.unwrap_or(Path::new("."))));
        let lock = match created.and_then(|()| files.lock(&path.join(names::LOCK))) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(StoreError::Locked(path)),
            Err(error) => {
                return Ok(Candidate::Failed { failure: format!("{}: {error}", path.display()), path });
            }
        };
        let file = path.join(names::META_PROPERTIES);
        let properties = match read_whole(files, &file) {
            Ok(Some(content)) => {
                let parsed = MetaProperties::parse(&content);
                Some(parsed.map_err(|error| StoreError::Properties { path: file, error })?)
            }
            Ok(None) => None,
            Err(error) => {
                return Ok(Candidate::Failed { failure: format!("{}: {error}", file.display()), path });
            }
        };
        if let Some(properties) = &properties {
            self.check(&path, properties)?;
        }
        Ok(Candidate::Locked { path, lock, properties })
    }

    fn check(&mut self, path: &Path, properties: &MetaProperties) -> Result<(), StoreError> {
        let foreign = |what, key, found: String, wanted: String| {
            Err(StoreError::Foreign { path: path.to_path_buf(), what, key, found, wanted })
        };
        if properties.node_id != self.node_id {
            return foreign("node", "node.id", properties.node_id.to_string(), self.node_id.to_string());
        }
        match &self.cluster_id {
            Some(cluster) if *cluster != properties.cluster_id => {
                foreign("cluster", "cluster.id", properties.cluster_id.clone(), cluster.clone())
            }
            Some(_) => Ok(()),
            None => {
                self.cluster_id = Some(properties.cluster_id.clone());
                Ok(())
            }
        }
    }
}

/// The id of a directory; formats one that has none.
pub(super) fn identify(
    files: &dyn Files,
    path: &Path,
    properties: Option<MetaProperties>,
    cluster_id: &str,
    node_id: BrokerId,
    random: &mut Random,
) -> Result<DirectoryId, LogError> {
    if let Some(id) = properties.and_then(|properties| properties.directory_id) {
        return Ok(id);
    }
    let id = DirectoryId(random.uuid());
    let properties = MetaProperties { cluster_id: cluster_id.to_owned(), node_id, directory_id: Some(id) };
    let file = path.join(names::META_PROPERTIES);
    replace_whole(files, &file, &properties.print()).map_err(|error| failed("write", &file, error))?;
    // The directory may be new itself: without its own name durable, nothing in it is.
    if let Some(parent) = path.parent() {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        files.sync_folder(parent).map_err(|error| failed("sync", parent, error))?;
    }
    Ok(id)
}

/// The partitions that have a folder. Folders marked for removal go with the next maintenance.
pub(super) fn find_logs(directories: &[Place]) -> Result<BTreeMap<TopicPartition, Arc<Known>>, StoreError> {
    let mut logs: BTreeMap<TopicPartition, Arc<Known>> = BTreeMap::new();
    let mut ids: BTreeMap<DirectoryId, PathBuf> = BTreeMap::new();
    for place in directories {
        let Place::Loaded(directory) = place else { continue };
        if let Some(first) = ids.insert(directory.id, directory.path.clone()) {
            let what = format!("the directory id {}", directory.id);
            return Err(StoreError::Twice { what, first, second: directory.path.clone() });
        }
        let Ok(found) = directory.watch(find_folders(directory)) else { continue };
        for (partition, known) in found {
            if let Some(first) = logs.get(&partition) {
                return Err(StoreError::Twice {
                    what: format!("the log of {partition}"),
                    first: first.directory.path.clone(),
                    second: directory.path.clone(),
                });
            }
            logs.insert(partition, Arc::new(known));
        }
    }
    Ok(logs)
}

fn find_folders(directory: &Arc<LogDirectory>) -> Result<Vec<(TopicPartition, Known)>, LogError> {
    let files = &directory.files;
    let entries = files.list(&directory.path).map_err(|error| failed("list", &directory.path, error))?;
    if directory.clean.is_none() {
        // A process that was killed may have made folders whose names are not durable.
        files.sync_folder(&directory.path).map_err(|error| failed("sync", &directory.path, error))?;
    }
    let mut found = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.folder) {
        let folder = directory.path.join(&entry.name);
        if names::is_deleted_folder(&entry.name) {
            directory.discard(folder, true, Timestamp(i64::MIN));
            continue;
        }
        let Some(partition) = names::parse_folder(&entry.name) else { continue };
        let path = folder.join(names::PARTITION_METADATA);
        let content = read_whole(&**files, &path).map_err(|error| failed("read", &path, error))?;
        let topic = content.as_ref().and_then(|content| checkpoint::parse_partition_metadata(content));
        // What a crash cut off was never synced, and so nothing in the folder either.
        let torn =
            |content: &[u8]| directory.clean.is_none() && checkpoint::is_torn_partition_metadata(content);
        let damage = content.filter(|content| topic.is_none() && !torn(content)).map(|_| {
            let what = "it does not name a topic; write the topic's id into it, or move the folder away";
            LogError::Corrupt { path, position: 0, what: what.to_owned() }
        });
        if let Some(error) = &damage {
            tracing::error!(%partition, %error, "a log cannot be used");
        }
        let directory = Arc::clone(directory);
        found.push((partition, Known { topic, directory, folder, damage, log: Mutex::default() }));
    }
    Ok(found)
}
