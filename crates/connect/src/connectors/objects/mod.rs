//! Connectors of object stores: a sink, and a source that reads what it wrote.

mod content;
#[cfg(feature = "parquet")]
mod parquet;
mod sink;
mod source;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;

pub(super) use self::sink::ObjectSink;
pub(super) use self::source::ObjectSource;
use super::Allowed;
use crate::settings::{Kind, Setting};

/// The stores that connectors may open.
#[derive(Debug)]
pub(super) struct Stores {
    allowed: Arc<Allowed>,
    /// The store of `memory:///`.
    memory: Arc<InMemory>,
}

impl Stores {
    pub(super) fn new(allowed: &Arc<Allowed>) -> Arc<Self> {
        Arc::new(Self { allowed: Arc::clone(allowed), memory: Arc::default() })
    }

    fn open(&self, url: &str) -> Result<Arc<dyn ObjectStore>, String> {
        if url == "memory:///" {
            let memory: Arc<dyn ObjectStore> = Arc::clone(&self.memory) as _;
            return Ok(memory);
        }
        let Some(path) = url.strip_prefix("file://").filter(|path| path.starts_with('/')) else {
            return Err("An address begins with file:/// or is memory:///".to_owned());
        };
        self.allowed.check(&PathBuf::from(path))?;
        match LocalFileSystem::new_with_prefix(path) {
            Ok(store) => Ok(Arc::new(store.with_fsync(true))),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The setting that says which store.
fn url() -> Setting {
    Setting::required("store.url", Kind::String, "Where objects are: file:///FOLDER or memory:///.")
        .not_empty()
}
