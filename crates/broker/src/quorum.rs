//! Where the controller quorum keeps its logs and files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use vltava_core::clock::Clock;
use vltava_core::config::BrokerConfig;
use vltava_core::id::{DirectoryId, NameError};
use vltava_core::image::Endpoint;
use vltava_core::log::{LogError, LogId, LogSettings, LogStore};
use vltava_replication::quorum::{MemoryFiles, Quorum, QuorumFiles, QuorumSettings, QuorumStorage};
use vltava_storage::files::{Files, SystemFiles, read_whole, replace_whole};

use crate::broker::StartError;

/// The raft log is let go behind each snapshot, span by span: small spans keep it small.
const RAFT_SPAN_BYTES: u32 = 16 << 20;

/// Where the quorum's small files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the folder of the metadata log.
    Folder,
    /// In memory, as the logs are.
    Memory,
    /// In memory, while a store of the user's own may keep the logs for longer. Then no snapshot is taken: the raft log
    /// must not be let go where nothing remembers what was in it.
    MemoryAlone,
}

/// Opens the quorum on the threads of the control plane.
pub(crate) async fn open(
    config: &BrokerConfig,
    store: Arc<dyn LogStore>,
    place: Place,
    clock: Arc<dyn Clock>,
    control: &Handle,
) -> Result<Arc<Quorum>, StartError> {
    let (logs, endpoints) = (config.logs.clone(), controller_endpoints(config));
    let node = config.identity.node;
    let opened = spawn_blocking(move || open_storage(&*store, &logs.metadata_dir, logs.metadata, place));
    let (storage, directory) = opened.await.map_err(|panic| StartError::Failed(panic.to_string()))??;
    let metadata = config.logs.metadata;
    let bytes = |value: i64| u64::try_from(value).unwrap_or(0);
    let (snapshot_bytes, snapshot_interval) = match place {
        Place::MemoryAlone => (u64::MAX, Duration::ZERO),
        _ => (bytes(metadata.snapshot_bytes), Duration::from_millis(bytes(metadata.snapshot_interval_ms))),
    };
    let settings = QuorumSettings {
        endpoints,
        batch_bytes_max: usize::try_from(metadata.batch_bytes_max).unwrap_or(0),
        snapshot_bytes,
        snapshot_interval,
        retention_bytes: metadata.retention_bytes,
        retention_ms: metadata.retention_ms,
        ..QuorumSettings::new(node, directory, clock)
    };
    let quorum = control.spawn(Quorum::open(storage, settings)).await;
    let quorum = quorum.map_err(|panic| StartError::Failed(panic.to_string()))?;
    quorum.map_err(|error| StartError::Failed(error.to_string()))
}

fn open_storage(
    store: &dyn LogStore,
    folder: &str,
    metadata: vltava_core::config::MetadataLogSettings,
    place: Place,
) -> Result<(QuorumStorage, DirectoryId), StartError> {
    let invalid = |error: NameError| StartError::Failed(error.to_string());
    let id = Quorum::metadata_log().map_err(invalid)?;
    let wanted = store.directories().into_iter().find(|directory| directory.path == Path::new(folder));
    let wanted = wanted.map(|directory| directory.id);
    let settings = LogSettings {
        span_bytes_max: u32::try_from(metadata.segment_bytes).unwrap_or(u32::MAX),
        span_age_ms_max: metadata.segment_ms,
        ..LogSettings::default()
    };
    let log = store.open(&id, settings, wanted)?;
    let raft_settings =
        LogSettings { span_bytes_max: RAFT_SPAN_BYTES, span_age_ms_max: i64::MAX, ..LogSettings::default() };
    let raft = store.open(&Quorum::raft_log().map_err(invalid)?, raft_settings, wanted)?;
    let (directory, folder) = home(store, &id)?;
    let files: Arc<dyn QuorumFiles> = match (place, folder) {
        (Place::Folder, Some(folder)) => Arc::new(FolderFiles { files: Arc::new(SystemFiles), folder }),
        _ => Arc::new(MemoryFiles::default()),
    };
    Ok((QuorumStorage { metadata: log, raft, files }, directory))
}

/// The directory of a log, and the log's folder in it.
fn home(store: &dyn LogStore, id: &LogId) -> Result<(DirectoryId, Option<PathBuf>), LogError> {
    let stored = store.list()?.into_iter().find(|stored| stored.id == *id);
    let directory = stored.map_or(DirectoryId::UNASSIGNED, |stored| stored.directory);
    let path = store.directories().into_iter().find(|known| known.id == directory).map(|known| known.path);
    Ok((directory, path.map(|path| path.join(id.partition.to_string()))))
}

/// The addresses of the controller's listeners, as far as they are known before they are bound.
fn controller_endpoints(config: &BrokerConfig) -> Vec<Endpoint> {
    let listeners = &config.listeners;
    let controller = listeners.bound.iter().filter(|listener| listeners.is_controller(&listener.name));
    controller
        .map(|listener| Endpoint {
            listener: listener.name.as_str().to_owned(),
            host: listener.host.clone().unwrap_or_else(|| "localhost".to_owned()),
            port: listener.port,
            security_protocol: listener.protocol.id(),
        })
        .collect()
}

/// The files of a folder.
#[derive(Debug)]
struct FolderFiles {
    files: Arc<dyn Files>,
    folder: PathBuf,
}

impl FolderFiles {
    fn failed(&self, act: &'static str, name: &str) -> impl FnOnce(io::Error) -> LogError {
        let path = self.folder.join(name);
        move |error| LogError::Io { act, path, source: Arc::new(error) }
    }
}

impl QuorumFiles for FolderFiles {
    fn read(&self, name: &str) -> Result<Option<Bytes>, LogError> {
        let content = read_whole(&*self.files, &self.folder.join(name));
        Ok(content.map_err(self.failed("read", name))?.map(Bytes::from))
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), LogError> {
        replace_whole(&*self.files, &self.folder.join(name), content).map_err(self.failed("replace", name))
    }

    fn list(&self) -> Result<Vec<String>, LogError> {
        let entries = self.files.list(&self.folder).map_err(self.failed("list", ""))?;
        Ok(entries.into_iter().filter(|entry| !entry.folder).map(|entry| entry.name).collect())
    }

    fn remove(&self, name: &str) -> Result<(), LogError> {
        match self.files.remove(&self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", name)(error)),
            _ => self.files.sync_folder(&self.folder).map_err(self.failed("sync", name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let files = FolderFiles { files: Arc::new(SystemFiles), folder: folder.path().to_owned() };
        assert_eq!(files.read("quorum-state").unwrap(), None);
        for content in ["one", "two"] {
            files.replace("quorum-state", content.as_bytes()).unwrap();
            assert_eq!(files.read("quorum-state").unwrap().unwrap(), content);
        }
        assert_eq!(files.list().unwrap(), ["quorum-state"]);
        files.remove("quorum-state").unwrap();
        files.remove("quorum-state").unwrap();
        assert!(files.list().unwrap().is_empty());
    }
}
