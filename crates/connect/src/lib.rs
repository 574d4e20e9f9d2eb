#![doc = include_str!("../README.md")]

pub mod value;

pub mod schema;
