//! The wire: listeners, connections, frames and replies, and the client that talks to other brokers.
//!
//! A connection is one task. It reads frames into a buffer that exists only while there is something to read, hands
//! each to [`crate::api::dispatch`], and writes the replies in the order of their requests, several in one vectored
//! write. It never copies a record payload.
//!
//! Why one task and no queue between network and handlers: each hand-off between threads costs a wake-up of 25 to 50 µs
//! on an idle machine, more than the whole work of a small produce request.

pub mod client;
pub mod frame;
pub(crate) mod reply;

pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod listener;
