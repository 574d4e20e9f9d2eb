//! Logs whose end is agreed, and what is built on them.
//!
//! * [`partition`]: a topic's partition: validation, leader epochs, watermarks, producers, retention.
//! * [`quorum`]: the log of the controllers, agreed by `openraft`.
//! * [`runtime`]: runs state machines over either.
//! * [`generated`]: the records that partitions and tiering keep beside a log.
//!
//! Both kinds of log are a [`vltava_core::replicated::ReplicatedLog`] over a [`vltava_core::log::Log`]. Nothing here knows
//! a request of the wire or a file.

pub mod generated;

pub mod partition;

pub mod runtime;

pub mod quorum;
