//! A broker over a storage backend of one's own: it keeps logs in another store and counts what is appended to them.
//!
//! A store keeps the contract of `vltava_core::log`; `vltava_core::testing::log_suite` says whether it does, and the
//! tests of this crate run it on this one.
//!
//! `cargo run --example custom_storage`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vltava_broker::{Broker, StartError};
use vltava_core::id::{DirectoryId, Offset, Timestamp};
use vltava_core::log::{
    Appended, Bounds, Directory, Log, LogData, LogError, LogId, LogSettings, LogStore, ReadLimit, Rewrite,
    Sidecars, Span, StoredLog,
};
use vltava_core::record::Batch;
use vltava_storage::memory::MemoryStore;

/// Counts the bytes that are appended to any log of a store.
#[derive(Debug)]
pub struct Counting {
    inner: Arc<dyn LogStore>,
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingLog {
    inner: Arc<dyn Log>,
    bytes: Arc<AtomicU64>,
}

impl Counting {
    /// Counts for `inner`.
    pub fn new(inner: Arc<dyn LogStore>) -> Counting {
        Counting { inner, bytes: Arc::default() }
    }

    /// How many bytes were appended so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl LogStore for Counting {
    fn open(
        &self,
        id: &LogId,
        settings: LogSettings,
        directory: Option<DirectoryId>,
    ) -> Result<Arc<dyn Log>, LogError> {
        let inner = self.inner.open(id, settings, directory)?;
        Ok(Arc::new(CountingLog { inner, bytes: self.bytes.clone() }))
    }

    fn list(&self) -> Result<Vec<StoredLog>, LogError> {
        self.inner.list()
    }

    fn remove(&self, id: &LogId) -> Result<(), LogError> {
        self.inner.remove(id)
    }

    fn directories(&self) -> Vec<Directory> {
        self.inner.directories()
    }

    fn compacted(&self, id: &LogId) -> Option<Offset> {
        self.inner.compacted(id)
    }

    fn note_compacted(&self, id: &LogId, end: Offset) -> Result<(), LogError> {
        self.inner.note_compacted(id, end)
    }

    fn maintain(&self, high_watermarks: &[(LogId, Offset)]) -> Result<(), LogError> {
        self.inner.maintain(high_watermarks)
    }

    fn close(&self) -> Result<(), LogError> {
        self.inner.close()
    }
}

impl Log for CountingLog {
    fn append(&self, batches: &[Batch]) -> Result<Appended, LogError> {
        let appended = self.inner.append(batches)?;
        let bytes: usize = batches.iter().map(Batch::size).sum();
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(appended)
    }

    fn read(&self, from: Offset, limit: ReadLimit) -> Result<LogData, LogError> {
        self.inner.read(from, limit)
    }

    fn find(&self, timestamp: Timestamp) -> Result<Option<Offset>, LogError> {
        self.inner.find(timestamp)
    }

    fn spans(&self) -> Vec<Span> {
        self.inner.spans()
    }

    fn bounds(&self) -> Bounds {
        self.inner.bounds()
    }

    fn flush(&self) -> Result<Offset, LogError> {
        self.inner.flush()
    }

    fn truncate(&self, end: Offset) -> Result<(), LogError> {
        self.inner.truncate(end)
    }

    fn trim(&self, start: Offset) -> Result<(), LogError> {
        self.inner.trim(start)
    }

    fn roll(&self) -> Result<(), LogError> {
        self.inner.roll()
    }

    fn rewrite(&self, from: Offset, to: Offset) -> Result<Box<dyn Rewrite + '_>, LogError> {
        self.inner.rewrite(from, to)
    }

    fn configure(&self, settings: LogSettings) {
        self.inner.configure(settings);
    }

    fn sidecars(&self) -> &dyn Sidecars {
        self.inner.sidecars()
    }
}

/// Starts a broker over it, on a free port.
pub async fn start(store: Arc<Counting>) -> Result<Broker, StartError> {
    Broker::builder().store(store).start().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(Counting::new(Arc::new(MemoryStore::new())));
    let broker = start(store.clone()).await?;
    println!("bootstrap.servers={}", broker.address());
    tokio::signal::ctrl_c().await?;
    broker.shutdown().await;
    println!("{} bytes were appended", store.bytes());
    Ok(())
}
