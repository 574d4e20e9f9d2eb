//! The messages of Kafka's protocol, every API in every version that Kafka 4.4 advertises.
//!
//! The messages are generated from the tables in `messages/` by `cargo xtask codegen`, on the bounds-checked reader and
//! the segment writer of [`vltava_core::wire`]. This crate adds what stands around them: the [`api`] table (keys,
//! versions, listeners, header versions) and the [`frame`] with its headers. It knows no socket, no policy and no
//! meaning: handlers live in the broker, and neither storage nor coordinators see a type of this crate.
//!
//! ```
//! use vltava_core::wire::{Message, Reader, Writer};
//! use vltava_protocol::messages::MetadataRequest;
//!
//! let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
//! let mut writer = Writer::contiguous();
//! request.encode(&mut writer, 13)?;
//! let mut reader = Reader::new(writer.into_bytes()?);
//! assert_eq!(MetadataRequest::decode(&mut reader, 13)?, request);
//! # Ok::<(), vltava_core::wire::WireError>(())
//! ```

pub mod api;
pub mod frame;
mod generated;

pub use generated::*;
