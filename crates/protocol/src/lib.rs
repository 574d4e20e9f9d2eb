#![doc = include_str!("../README.md")]

pub mod api;
pub mod frame;
mod generated;

pub use generated::*;
