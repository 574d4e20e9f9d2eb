//! Zstandard (RFC 8878, KIP-110), with the thread's contexts.

use std::cell::RefCell;

use zstd::zstd_safe::{self, CCtx, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{CHUNK_SIZE, Chunk};
use crate::record::{Compression, RecordError};

/// The largest window, as a power of two: 128 MiB, what level 22 of the Java clients writes.
const WINDOW_LOG_MAX: u32 = 27;
/// The largest decoding context a thread keeps.
const CONTEXT_KEPT_MAX: usize = 16 << 20;
/// `compression.zstd.level` when nothing is configured.
const LEVEL_DEFAULT: i32 = 3;

thread_local! {
    static DECODING: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    static ENCODING: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(level: Option<i32>, records: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut context = ENCODING.take().unwrap_or_default();
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(records.len()));
    context.compress(&mut out, records, level.unwrap_or(LEVEL_DEFAULT)).map_err(broken)?;
    ENCODING.set(Some(context));
    Ok(out)
}

pub(super) struct Decoder<'a> {
    context: Option<DCtx<'static>>,
    input: InBuffer<'a>,
    /// Whether the input ended exactly with a frame.
    between_frames: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Result<Self, RecordError> {
        let mut context = DECODING.take().unwrap_or_default();
        context.reset(ResetDirective::SessionOnly).map_err(broken)?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(broken)?;
        Ok(Self { context: Some(context), input: InBuffer::around(body), between_frames: false })
    }

    pub(super) fn fill(&mut self, chunk: &mut Chunk) -> Result<(), RecordError> {
        let Some(context) = &mut self.context else { return Ok(()) };
        let mut out = OutBuffer::around(chunk.room(CHUNK_SIZE));
        loop {
            let (read, written) = (self.input.pos, out.pos());
            if self.between_frames && read == self.input.src.len() {
                break;
            }
            let hint = context.decompress_stream(&mut out, &mut self.input).map_err(broken)?;
            self.between_frames = hint == 0;
            let stuck = self.input.pos == read && out.pos() == written;
            if out.pos() == out.capacity() {
                break;
            }
            if stuck && !self.between_frames {
                return Err(ended());
            }
        }
        chunk.filled = out.pos();
        Ok(())
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        if let Some(context) = self.context.take()
            && context.sizeof() <= CONTEXT_KEPT_MAX
        {
            DECODING.set(Some(context));
        }
    }
}

fn ended() -> RecordError {
    RecordError::Compressed { codec: Compression::Zstd, reason: "the stream ends inside a frame".to_owned() }
}

fn broken(code: usize) -> RecordError {
    let reason = zstd_safe::get_error_name(code).to_owned();
    RecordError::Compressed { codec: Compression::Zstd, reason }
}
