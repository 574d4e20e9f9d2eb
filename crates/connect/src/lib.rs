#![doc = include_str!("../README.md")]

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: vltava_core::testing::PeakAllocator = vltava_core::testing::PeakAllocator;

pub mod value;

pub mod error;
pub mod record;
pub mod settings;

pub mod connector;
pub mod convert;
pub mod plugins;
pub mod transform;

pub mod connectors;
pub mod converters;
pub mod notation;
mod schema_check;
pub mod transforms;

pub mod membership;
#[cfg(feature = "http")]
pub mod tls;
pub mod topics;
pub mod worker;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub mod schema;
