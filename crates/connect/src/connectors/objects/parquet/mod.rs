//! Objects of Parquet, nested as Parquet's own documents say: data is cut into columns with two numbers beside each value
//! (as Dremel does it), how many of the places that may be missing on the way are there, and at which list on the way it
//! goes on.
//!
//! What is written is one row group, a column for each plain value within the schema. What is read is any file whose pages are
//! compressed in one of the ways of [`CODECS`] and are plain or have a dictionary, as most programs write them unless they are
//! told otherwise; others are refused. Numbers without a sign are read as the next larger type, times that are finer than
//! milliseconds as plain numbers, and a struct is what every file has at its root.

mod columns;
mod limits;
mod read;
mod shape;
mod write;

use parquet::basic::{Compression, GzipLevel, ZstdLevel};

pub(super) use self::read::Rows;
pub(super) use self::write::{check, object};

/// How pages may be compressed.
pub(super) const CODECS: [&str; 5] = ["none", "snappy", "gzip", "lz4_raw", "zstd"];

/// The way to compress pages that has one of those names.
pub(super) fn codec(name: &str) -> Option<Compression> {
    Some(match name {
        "none" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        "gzip" => Compression::GZIP(GzipLevel::default()),
        "lz4_raw" => Compression::LZ4_RAW,
        "zstd" => Compression::ZSTD(ZstdLevel::default()),
        _ => return None,
    })
}

/// Whether it is one of them.
fn is_read(codec: Compression) -> bool {
    use Compression::{GZIP, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    matches!(codec, UNCOMPRESSED | SNAPPY | GZIP(_) | LZ4_RAW | ZSTD(_))
}
