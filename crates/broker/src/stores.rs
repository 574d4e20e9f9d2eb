//! The storage backends of a broker, by the name that `vltava.storage` gives them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use vltava_core::log::LogStore;

/// The backends. The main one keeps the metadata and every topic that names none, or one that is not there.
#[derive(Debug)]
pub(crate) struct Stores {
    main: Arc<dyn LogStore>,
    by_name: BTreeMap<String, Arc<dyn LogStore>>,
}

impl Stores {
    /// Kafka's files on disk.
    pub(crate) const SEGMENTS: &str = "segments";
    /// Gone with the process.
    pub(crate) const MEMORY: &str = "memory";

    /// One backend, which is the main one.
    pub(crate) fn of(name: &str, main: Arc<dyn LogStore>) -> Stores {
        Stores { by_name: BTreeMap::from([(name.to_owned(), main.clone())]), main }
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
