//! Objects of Parquet, nested as Parquet's own documents say: data is cut into columns with two numbers beside each value
//! (as Dremel does it), how many of the places that may be missing on the way are there, and at which list on the way it
//! goes on.
//!
//! What is written is one row group, a column for each plain value within the schema. What is read is any file whose pages are
//! compressed with snappy or not at all and are plain or have a dictionary, as most programs write them unless they are told
//! otherwise; others are refused. Numbers without a sign are read as the next larger type, times that are finer than
//! milliseconds as plain numbers, and a struct is what every file has at its root.

mod columns;
mod limits;
mod read;
mod shape;
mod write;

pub(super) use self::read::Rows;
pub(super) use self::write::{check, object};
