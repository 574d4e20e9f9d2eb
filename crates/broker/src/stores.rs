//! The storage backends of a broker, by the name that `vltava.storage` gives them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use vltava_core::id::BrokerEpoch;
use vltava_core::log::LogStore;
use vltava_storage::segments::SegmentStore;

/// The backends. The main one keeps the metadata and every topic that names none, or one that is not there.
#[derive(Debug)]
pub(crate) struct Stores {
    main: Arc<dyn LogStore>,
    by_name: BTreeMap<String, Arc<dyn LogStore>>,
    /// The files on disk, when there are any: their directories remember the epoch of the broker.
    segments: Option<Arc<SegmentStore>>,
}

impl Stores {
    /// Kafka's files on disk.
    pub(crate) const SEGMENTS: &str = "segments";
    /// Gone with the process.
    pub(crate) const MEMORY: &str = "memory";

    /// One backend, which is the main one.
    pub(crate) fn of(name: &str, main: Arc<dyn LogStore>) -> Stores {
        Stores { by_name: BTreeMap::from([(name.to_owned(), main.clone())]), main, segments: None }
    }

    /// Kafka's files on disk, which are the main backend.
    pub(crate) fn of_segments(segments: Arc<SegmentStore>) -> Stores {
        Stores { segments: Some(segments.clone()), ..Stores::of(Stores::SEGMENTS, segments) }
    }

    /// The epoch of the registration of the last process, when that has stopped cleanly; else −1 (KIP-966).
    pub(crate) fn previous_broker_epoch(&self) -> BrokerEpoch {
        self.segments.as_ref().map_or(BrokerEpoch(-1), |segments| segments.previous_broker_epoch())
    }

    /// The epoch that the mark of a clean shutdown is to carry (KIP-966).
    pub(crate) fn note_broker_epoch(&self, epoch: BrokerEpoch) {
        if let Some(segments) = &self.segments {
            segments.set_broker_epoch(epoch);
        }
    }

    /// Another backend besides.
    pub(crate) fn with(mut self, name: &str, store: Arc<dyn LogStore>) -> Stores {
        self.by_name.insert(name.to_owned(), store);
        self
    }

    pub(crate) fn main(&self) -> &Arc<dyn LogStore> {
        &self.main
    }

    /// The backend of a topic.
    pub(crate) fn named(&self, name: &str) -> &Arc<dyn LogStore> {
        self.by_name.get(name).unwrap_or(&self.main)
    }

    /// Whether a directory of the main backend has failed.
    pub(crate) fn is_offline(&self, path: &Path) -> bool {
        let directories = self.main.directories();
        directories.iter().any(|directory| directory.path == path && directory.failure.is_some())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<dyn LogStore>> {
        self.by_name.values()
    }
}
