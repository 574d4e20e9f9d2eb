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
//!
//! Why appends write to the page cache on the calling thread: the write costs a few microseconds, a hand-over to another
//! thread costs more. The price is that the kernel may hold up a writer while others dirty memory faster than the disk
//! takes it. Measured on two cores, with 400 appends of 64 KiB a second while another process wrote 3 GB in 7 s: the
//! median stayed at 28 µs (26 alone), 99.9 % went from 0.15 to 4 ms, the worst from 0.2 to 28 ms. A heartbeat every 5 ms
//! on a thread of its own was at most 8 ms late, as it was without the other writer; one on the appending thread 25 ms.
//! So the stall stays with whoever appends, as long as heartbeats, timers and the quorum have threads of their own; and a
//! bound on what is dirty (see [`SegmentStoreOptions::recovery_bytes_max`]) keeps this process from being the other writer.

mod checkpoint;
mod directory;
mod index;
mod log;
mod names;
mod open_files;
mod options;
mod properties;
mod recovery;
mod segment;
mod sidecar;
mod store;
mod swap;

pub use options::{FlushWitness, SegmentStoreOptions, StoreError};
pub use properties::{MetaProperties, PropertiesError};
pub use store::SegmentStore;

#[cfg(test)]
mod tests;
