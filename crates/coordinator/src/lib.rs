#![doc = include_str!("../README.md")]

pub mod assignor;
pub mod cluster;
pub mod generated;
pub mod group;
mod name;
pub mod transaction;
