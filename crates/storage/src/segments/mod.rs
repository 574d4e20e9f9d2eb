//! Logs in segment files, which are Kafka's byte for byte: its tools read them, and its log directories can be adopted.
//!
//! A log directory holds a folder for each partition and a few checkpoints; a folder holds segments. A segment is the
//! batches as they came (`.log`), a sparse index of offsets (`.index`) and one of timestamps (`.timeindex`).
//!
//! Why indexes are buffered and not mapped: their entries are needed on disk only when a segment is sealed, when the
//! recovery point moves past them, or at the end. Until then they wait in memory, so an append is one system call. After
//! a crash, entries past the recovery point are made again from the log, which has to be read there anyway.
//!
//! Why reads are file ranges, at the tail too: bytes that were just appended are in the page cache, and a slice of the
//! frame they came in would pin the whole frame. The log remembers where its last batches start, so a read at the tail
//! needs no search.

mod checkpoint;
mod directory;
mod index;
mod log;
mod names;
mod open_files;
mod properties;
mod recovery;
mod segment;
mod sidecar;
mod store;

pub use properties::{MetaProperties, PropertiesError};
pub use store::{SegmentStore, SegmentStoreOptions, StoreError};

#[cfg(test)]
mod tests;
