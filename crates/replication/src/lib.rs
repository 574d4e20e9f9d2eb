#![doc = include_str!("../README.md")]

pub mod generated;

pub mod partition;

pub mod runtime;

pub mod quorum;
