#![doc = include_str!("../README.md")]

pub mod config;
pub mod id;

pub mod error;
pub mod wire;

pub mod record;

pub mod image;

pub mod clock;

pub mod meter;

pub mod log;

pub mod replicated;

pub mod machine;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub mod generated;
