//! LZ4 frames as the Java clients write and read them: version 1, independent blocks, checksums optional.
//!
//! Why an own frame reader around the block codec: it decodes into the thread's buffer, checks what Kafka checks (the
//! header's checksum and block checksums, not the content's) and allocates by the bytes at hand, not by the block size
//! a header claims.

use lz4_flex::block;

use super::xxhash::xxh32;
use super::{Chunk, Input};
use crate::record::{Compression, RecordError};

const MAGIC: u32 = 0x184D_2204;
const UNCOMPRESSED: u32 = 0x8000_0000;
/// Version 1, independent blocks, no checksums, no content size.
const FLAGS_WRITTEN: u8 = 0x60;
/// 64 KiB, the block size Java clients write.
const BLOCK_SIZE: usize = 64 << 10;
const BLOCK_CODE_WRITTEN: u8 = 4 << 4;
/// The most bytes one byte of an lz4 block can stand for.
const EXPANSION_MAX: usize = 255;

pub(super) fn compress(records: &[u8]) -> Result<Vec<u8>, RecordError> {
    let descriptor = [FLAGS_WRITTEN, BLOCK_CODE_WRITTEN];
    let mut out = Vec::with_capacity(records.len() / 2 + 64);
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&descriptor);
    out.push(header_checksum(&descriptor));
    let mut room = vec![0; block::get_maximum_output_size(records.len().min(BLOCK_SIZE))];
    for plain in records.chunks(BLOCK_SIZE) {
        let size = block::compress_into(plain, &mut room).map_err(|error| broken(error.to_string()))?;
        let compressed = room.get(..size).unwrap_or_default();
        let (length, bytes) = if size < plain.len() { (0, compressed) } else { (UNCOMPRESSED, plain) };
        let length = length | u32::try_from(bytes.len()).map_err(|error| broken(error.to_string()))?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&0_u32.to_le_bytes());
    Ok(out)
}

pub(super) struct Decoder<'a> {
    input: Input<'a>,
    block_size_max: usize,
    block_checksums: bool,
    ended: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, RecordError> {
        let mut input = Input(body);
        if input.array().map(u32::from_le_bytes) != Some(MAGIC) {
            return Err(broken("no lz4 frame starts here".to_owned()));
        }
        let [flags, block_code] = *input.0.first_chunk().ok_or_else(ended)?;
        check_flags(flags)?;
        let content_size = if flags & 0x08 == 0 { 0 } else { 8 };
        let descriptor = input.take(2 + content_size).ok_or_else(ended)?;
        let [checksum] = input.array().ok_or_else(ended)?;
        if checksum != header_checksum(descriptor) {
            return Err(broken("the checksum of the frame header is wrong".to_owned()));
        }
        let block_size_max = block_size(block_code)?;
        Ok(Self { input, block_size_max, block_checksums: flags & 0x10 != 0, ended: false })
    }

    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), RecordError> {
        while !self.ended && chunk.filled == 0 {
            self.block(chunk)?;
        }
        Ok(())
    }

    fn block(&mut self, chunk: &mut Chunk) -> Result<(), RecordError> {
        let length = self.input.array().map(u32::from_le_bytes).ok_or_else(ended)?;
        if length == 0 {
            // A content checksum may follow; Kafka does not look at it, nor at anything behind the frame.
            self.ended = true;
            return Ok(());
        }
        let size = usize::try_from(length & !UNCOMPRESSED).unwrap_or(usize::MAX);
        if size > self.block_size_max {
            return Err(broken(format!(
                "a block of {size} bytes is above the frame's {}",
                self.block_size_max
            )));
        }
        let block = self.input.take(size).ok_or_else(ended)?;
        if self.block_checksums {
            let stored = self.input.array().map(u32::from_le_bytes).ok_or_else(ended)?;
            if stored != xxh32(block) {
                return Err(broken("the checksum of a block is wrong".to_owned()));
            }
        }
        if length & UNCOMPRESSED != 0 {
            chunk.put(block);
            return Ok(());
        }
        chunk.room(self.block_size_max.min(size.saturating_mul(EXPANSION_MAX)));
        let limit = self.block_size_max.min(chunk.buffer.len());
        let target = chunk.buffer.get_mut(..limit).unwrap_or_default();
        chunk.filled = block::decompress_into(block, target).map_err(|error| broken(error.to_string()))?;
        Ok(())
    }
}

fn check_flags(flags: u8) -> Result<(), RecordError> {
    let refused = if flags >> 6 != 1 {
        "the version of the frame is not 1"
    } else if flags & 0x20 == 0 {
        "the blocks of the frame depend on each other, which no Java client reads; send independent blocks"
    } else if flags & 0x03 != 0 {
        "the frame uses a dictionary or a reserved bit"
    } else {
        return Ok(());
    };
    Err(broken(refused.to_owned()))
}

fn block_size(code: u8) -> Result<usize, RecordError> {
    match code {
        0x40 => Ok(64 << 10),
        0x50 => Ok(256 << 10),
        0x60 => Ok(1 << 20),
        0x70 => Ok(4 << 20),
        _ => Err(broken(format!("the block size code {code:#04x} is unknown"))),
    }
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    let [_, _, byte, _] = xxh32(descriptor).to_be_bytes();
    byte
}

fn ended() -> RecordError {
    broken("the stream ends inside the frame".to_owned())
}

fn broken(reason: String) -> RecordError {
    RecordError::Compressed { codec: Compression::Lz4, reason }
}
