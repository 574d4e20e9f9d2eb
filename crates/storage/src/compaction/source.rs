//! The batches of a range of a log, a buffer at a time. *Blocks.*

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use vltava_core::id::Offset;
use vltava_core::log::{Log, LogData, LogError, ReadLimit};
use vltava_core::record::{Batch, BatchHeader, RecordError};

use super::{CompactionError, Pace, in_batch, keep_pace};

/// Reads a range from its start to its end into one buffer that is used again and again.
pub(super) struct Source<'a> {
    log: &'a dyn Log,
    next: Offset,
    end: Offset,
    buffer: BytesMut,
    buffer_bytes: usize,
    /// Bytes of whole batches read so far.
    pub(super) bytes: u64,
}

impl<'a> Source<'a> {
    /// The batches from the one that contains `from` up to `end`.
    pub(super) fn new(log: &'a dyn Log, from: Offset, end: Offset, buffer_bytes: usize) -> Source<'a> {
        Source {
            log,
            next: from,
            end,
            buffer: BytesMut::new(),
            buffer_bytes: buffer_bytes.max(4096),
            bytes: 0,
        }
    }

    /// The next batches, whose checksums are right; none at the end. Let go of them before asking for more: their memory is
    /// used again.
    pub(super) fn read(&mut self, pace: &mut Pace<'_>) -> Result<Vec<Batch>, CompactionError> {
        if self.next >= self.end {
            return Ok(Vec::new());
        }
        let limit = ReadLimit { below: self.end, bytes: self.buffer_bytes, whole_first_batch: true };
        let data = self.log.read(self.next, limit)?;
        keep_pace(pace, data.len() as u64)?;
        let mut rest = load(data, &mut self.buffer)?;
        if rest.is_empty() {
            self.next = self.end;
            return Ok(Vec::new());
        }
        let mut batches = Vec::new();
        loop {
            match Batch::take(&mut rest) {
                Ok(batch) => batches.push(batch),
                // The last one is cut, or was the last.
                Err(RecordError::Truncated { .. }) if !batches.is_empty() => break,
                Err(source) => return Err(CompactionError::Batch { at: self.next, source }),
            }
        }
        for batch in &batches {
            in_batch(batch.header.base_offset, batch.check_crc())?;
            self.bytes += batch.size() as u64;
            self.next = batch.header.next_offset();
        }
        Ok(batches)
    }
}

/// The header of the first batch of a range; `None` when there is none.
pub(super) fn first_header(
    log: &dyn Log,
    from: Offset,
    end: Offset,
) -> Result<Option<BatchHeader>, LogError> {
    let limit = ReadLimit { below: end, bytes: BatchHeader::SIZE, whole_first_batch: false };
    let bytes = load(log.read(from, limit)?, &mut BytesMut::new())?;
    Ok(BatchHeader::parse(&bytes).ok())
}

/// The bytes of a read, in `buffer` when they have to be read now.
fn load(data: LogData, buffer: &mut BytesMut) -> Result<Bytes, LogError> {
    match data {
        LogData::Bytes(mut slices) if slices.len() == 1 => Ok(slices.remove(0)),
        LogData::Bytes(slices) => {
            slices.iter().for_each(|slice| buffer.extend_from_slice(slice));
            Ok(buffer.split().freeze())
        }
        LogData::File(range) => {
            buffer.resize(range.length, 0);
            range.file.read_exact_at(buffer, range.position).map_err(|source| LogError::Io {
                act: "read",
                path: PathBuf::from("log"),
                source: Arc::new(source),
            })?;
            Ok(buffer.split().freeze())
        }
        LogData::Later(later) => load((later.read)()?, buffer),
    }
}
