#![doc = include_str!("../README.md")]

pub mod generated;

pub mod partition;

pub mod peers;

pub mod fetcher;

pub mod in_sync;

pub mod runtime;

pub mod quorum;
