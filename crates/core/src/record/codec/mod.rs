//! The compression codecs of batches, each bounded in what it may put out.
//!
//! Decoding is a stream of chunks in a buffer of the thread, so that a walk over compressed records needs the memory
//! of one chunk whatever the records add up to, and a small input that grows without end is refused on the way.
//! Contexts and buffers are kept by the thread between batches: they are a cache and carry nothing over.
//!
//! Refused: decompressed sizes above the caller's limit, zstd windows above 128 MiB (what the Java clients can
//! produce), lz4 frames with dependent blocks or dictionaries (no Java client reads them).

mod gzip;
mod lz4;
mod snappy;
mod xxhash;
mod zstandard;

use std::cell::RefCell;

use bytes::Bytes;

use super::varint::{ENDED, Source};
use super::{Compression, RecordError};

/// The most bytes the records of one batch may decompress to: 256 MiB.
pub const DECOMPRESSED_SIZE_MAX: usize = 256 << 20;

/// Bytes of a chunk, unless the format has larger blocks.
const CHUNK_SIZE: usize = 64 << 10;

/// The largest chunk buffer a thread keeps.
const CHUNK_KEPT_MAX: usize = 1 << 20;

/// A codec and how hard it tries. `None` is the codec's own default (`compression.gzip.level` −1, zstd 3).
///
/// Gzip takes 1 to 9 and zstd −131072 to 22. Snappy has no levels; for lz4 the level is accepted and one fast
/// compressor used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Codec {
    /// The codec.
    pub compression: Compression,
    /// Its level.
    pub level: Option<i32>,
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        Self { compression, level: None }
    }
}

/// Decompresses the body of a batch. An uncompressed body is returned as it is.
///
/// # Errors
/// `Compressed` for a broken stream, `TooLarge` as soon as more than `size_max` bytes come out.
pub fn decompress(codec: Compression, body: &Bytes, size_max: usize) -> Result<Bytes, RecordError> {
    if codec == Compression::None {
        return Ok(body.clone());
    }
    let mut out = Vec::new();
    stream(codec, body, size_max, |source| {
        while source.refill()? {
            out.extend_from_slice(source.rest());
            source.consume_all();
        }
        Ok(())
    })?;
    Ok(out.into())
}

/// Compresses records into the body of a batch.
///
/// # Errors
/// `Compressed` when the codec refuses, which none does for a valid level.
pub fn compress(codec: Codec, records: &[u8]) -> Result<Vec<u8>, RecordError> {
    match codec.compression {
        Compression::None => Ok(records.to_vec()),
        Compression::Gzip => gzip::compress(codec.level, records),
        Compression::Snappy => snappy::compress(records),
        Compression::Lz4 => lz4::compress(records),
        Compression::Zstd => zstandard::compress(codec.level, records),
    }
}

/// Runs `read` over the decompressed stream of `body`, in the thread's buffers.
pub(super) fn stream<R>(
    codec: Compression,
    body: &[u8],
    size_max: usize,
    read: impl FnOnce(&mut Stream<'_>) -> Result<R, RecordError>,
) -> Result<R, RecordError> {
    // Taken out and put back, so that a nested use finds an empty cache and not a borrowed one.
    let mut chunk = CHUNK.take();
    let decoder = match codec {
        Compression::None => Decoder::Plain(Some(body)),
        Compression::Gzip => Decoder::Gzip(Box::new(gzip::Decoder::new(body))),
        Compression::Snappy => Decoder::Snappy(snappy::Decoder::new(body)),
        Compression::Lz4 => Decoder::Lz4(lz4::Decoder::new(body)?),
        Compression::Zstd => Decoder::Zstd(zstandard::Decoder::new(body)?),
    };
    chunk.clear();
    let mut source = Stream { decoder, chunk, at: 0, decoded: 0, size_max };
    let result = read(&mut source);
    if source.chunk.buffer.len() <= CHUNK_KEPT_MAX {
        CHUNK.set(source.chunk);
    }
    result
}

thread_local! {
    static CHUNK: RefCell<Chunk> = const { RefCell::new(Chunk { buffer: Vec::new(), filled: 0 }) };
}

/// A buffer that is zeroed once and then overwritten.
#[derive(Default)]
struct Chunk {
    buffer: Vec<u8>,
    filled: usize,
}

impl Chunk {
    /// Room for at least `size` bytes; what was there is gone.
    fn room(&mut self, size: usize) -> &mut [u8] {
        self.filled = 0;
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        &mut self.buffer
    }

    fn put(&mut self, bytes: &[u8]) {
        self.room(bytes.len());
        if let Some(target) = self.buffer.get_mut(..bytes.len()) {
            target.copy_from_slice(bytes);
        }
        self.filled = bytes.len();
    }

    fn clear(&mut self) {
        self.filled = 0;
    }

    fn filled(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

enum Decoder<'a> {
    Plain(Option<&'a [u8]>),
    Gzip(Box<gzip::Decoder<'a>>),
    Snappy(snappy::Decoder<'a>),
    Lz4(lz4::Decoder<'a>),
    Zstd(zstandard::Decoder<'a>),
}

/// The decompressed bytes, a chunk at a time.
pub(super) struct Stream<'a> {
    decoder: Decoder<'a>,
    chunk: Chunk,
    at: usize,
    /// Bytes before the current chunk.
    decoded: usize,
    size_max: usize,
}

impl Stream<'_> {
    /// What is left of the current chunk.
    pub(super) fn rest(&self) -> &[u8] {
        self.chunk.filled().get(self.at..).unwrap_or_default()
    }

    fn consume_all(&mut self) {
        self.at = self.chunk.filled;
    }

    /// Whether there are bytes in the current chunk, or in the next, which then becomes the current.
    pub(super) fn refill(&mut self) -> Result<bool, RecordError> {
        if self.at < self.chunk.filled {
            return Ok(true);
        }
        self.decoded += self.chunk.filled;
        self.at = 0;
        self.chunk.clear();
        let left = self.size_max.saturating_sub(self.decoded);
        match &mut self.decoder {
            Decoder::Plain(body) => {
                if let Some(body) = body.take() {
                    self.chunk.put(body);
                }
            }
            Decoder::Gzip(decoder) => decoder.fill(&mut self.chunk)?,
            Decoder::Snappy(decoder) => decoder.fill(&mut self.chunk, left, self.size_max)?,
            Decoder::Lz4(decoder) => decoder.fill(&mut self.chunk)?,
            Decoder::Zstd(decoder) => decoder.fill(&mut self.chunk)?,
        }
        if self.chunk.filled > left {
            return Err(RecordError::TooLarge { size_max: self.size_max });
        }
        Ok(self.chunk.filled > 0)
    }
}

impl Source for Stream<'_> {
    type Piece = ();

    #[inline]
    fn byte(&mut self) -> Result<u8, RecordError> {
        if self.at >= self.chunk.filled && !self.refill()? {
            return Err(ENDED);
        }
        let byte = *self.chunk.buffer.get(self.at).ok_or(ENDED)?;
        self.at += 1;
        Ok(byte)
    }

    fn piece(&mut self, length: usize) -> Result<(), RecordError> {
        let mut left = length;
        loop {
            let step = left.min(self.chunk.filled.saturating_sub(self.at));
            self.at += step;
            left -= step;
            if left == 0 {
                return Ok(());
            }
            if !self.refill()? {
                return Err(ENDED);
            }
        }
    }

    #[inline]
    fn position(&self) -> usize {
        self.decoded + self.at
    }

    #[inline]
    fn at_hand(&self) -> &[u8] {
        self.rest()
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.chunk.filled);
    }
}

/// Takes bytes off the front of an encoded stream.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

#[cfg(test)]
mod tests;
