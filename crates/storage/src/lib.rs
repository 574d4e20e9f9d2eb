#![doc = include_str!("../README.md")]

pub mod compaction;
pub mod files;
pub mod memory;
pub mod segments;

mod random;
