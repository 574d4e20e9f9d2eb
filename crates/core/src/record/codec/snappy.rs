//! Snappy: written in the framing of snappy-java, which the Java clients read; read in that framing or as one raw block,
//! as other clients have sent it.
//!
//! The framing: 8 magic bytes, two version numbers, then blocks, each a length of four bytes and a raw snappy block.
//! Streams that were concatenated repeat the first 16 bytes.

use super::{Chunk, Input};
use crate::record::{Compression, RecordError};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const VERSIONS_SIZE: usize = 8;
/// Uncompressed bytes of a block, as snappy-java writes them for Kafka.
const BLOCK_SIZE: usize = 32 << 10;
/// A raw block decompresses to less than this many times its size: a copy of 64 bytes takes 3.
const EXPANSION_MAX: usize = 22;

pub(super) fn compress(records: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::with_capacity(16 + snap::raw::max_compress_len(records.len().min(BLOCK_SIZE)));
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1_i32.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(BLOCK_SIZE) {
        let compressed = encoder.compress_vec(block).map_err(|error| broken(error.to_string()))?;
        let length = u32::try_from(compressed.len()).map_err(|error| broken(error.to_string()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

pub(super) struct Decoder<'a> {
    input: Input<'a>,
    framed: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { input: Input(body), framed: body.starts_with(&MAGIC) }
    }

    pub(super) fn fill(
        &mut self,
        chunk: &mut Chunk,
        left: usize,
        size_max: usize,
    ) -> Result<(), RecordError> {
        while let Some(block) = self.block()? {
            let size = claimed_size(block)?;
            if size > left {
                return Err(RecordError::TooLarge { size_max });
            }
            decompress_block(block, size, chunk)?;
            if chunk.filled > 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next raw block; `None` at the end.
    fn block(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        if !self.framed {
            let block = std::mem::take(&mut self.input.0);
            return Ok((!block.is_empty()).then_some(block));
        }
        if self.input.0.starts_with(&MAGIC) {
            self.take(MAGIC.len() + VERSIONS_SIZE)?;
        }
        if self.input.0.is_empty() {
            return Ok(None);
        }
        let length = self.input.array().map(u32::from_be_bytes).ok_or_else(ended)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX)).map(Some)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], RecordError> {
        self.input.take(count).ok_or_else(ended)
    }
}

/// The size a block claims to decompress to, if it can.
fn claimed_size(block: &[u8]) -> Result<usize, RecordError> {
    let size = snap::raw::decompress_len(block).map_err(|error| broken(error.to_string()))?;
    if size > block.len().saturating_mul(EXPANSION_MAX) {
        return Err(broken(format!("a block of {} bytes cannot hold the {size} it claims", block.len())));
    }
    Ok(size)
}

fn decompress_block(block: &[u8], size: usize, chunk: &mut Chunk) -> Result<(), RecordError> {
    let mut decoder = snap::raw::Decoder::new();
    chunk.filled = decoder.decompress(block, chunk.room(size)).map_err(|error| broken(error.to_string()))?;
    Ok(())
}

fn ended() -> RecordError {
    broken("the stream ends inside a block".to_owned())
}

fn broken(reason: String) -> RecordError {
    RecordError::Compressed { codec: Compression::Snappy, reason }
}
