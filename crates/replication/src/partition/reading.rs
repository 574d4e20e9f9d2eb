//! Batches out of a log, wherever their bytes are. *Everything here blocks.*

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use vltava_core::id::Offset;
use vltava_core::log::{FileRange, Log, LogData, LogError, ReadLimit};
use vltava_core::record::{Batch, RecordError};

/// Bytes read at once.
const CHUNK_SIZE: usize = 1 << 20;

/// The records of a read, in memory.
///
/// # Errors
/// [`LogError::Io`] when a file cannot be read.
pub fn load(data: LogData) -> Result<Bytes, LogError> {
    match data {
        LogData::Bytes(mut slices) if slices.len() == 1 => Ok(slices.remove(0)),
        LogData::Bytes(slices) => {
            let mut joined = BytesMut::with_capacity(slices.iter().map(Bytes::len).sum());
            slices.iter().for_each(|slice| joined.extend_from_slice(slice));
            Ok(joined.freeze())
        }
        LogData::File(range) => read_range(&range),
        LogData::Later(later) => load((later.read)()?),
    }
}

fn read_range(range: &FileRange) -> Result<Bytes, LogError> {
    let mut bytes = vec![0; range.length];
    let failed = |source| LogError::Io { act: "read", path: PathBuf::from("log"), source: Arc::new(source) };
    range.file.read_exact_at(&mut bytes, range.position).map_err(failed)?;
    Ok(bytes.into())
}

/// Walks the batches of `log` from the one that contains `from` up to `end`, until `visit` returns false.
///
/// # Errors
/// Those of reading, and [`LogError::Corrupt`] for bytes that are not whole batches.
pub(super) fn walk(
    log: &dyn Log,
    from: Offset,
    end: Offset,
    mut visit: impl FnMut(&Batch) -> Result<bool, LogError>,
) -> Result<(), LogError> {
    let mut next = from;
    while next < end {
        let limit = ReadLimit { below: end, bytes: CHUNK_SIZE, whole_first_batch: true };
        let mut rest = load(log.read(next, limit)?)?;
        if rest.is_empty() {
            return Ok(());
        }
        let before = next;
        loop {
            match Batch::take(&mut rest) {
                Ok(batch) => {
                    if batch.header.next_offset() > next {
                        next = batch.header.next_offset();
                        if !visit(&batch)? {
                            return Ok(());
                        }
                    }
                }
                // A cut last batch starts the next chunk.
                Err(RecordError::Truncated { .. }) => break,
                Err(error) => return Err(corrupt(next, &error)),
            }
        }
        if next == before {
            return Err(corrupt(next, &"no whole batch is there"));
        }
    }
    Ok(())
}

/// A batch at `offset` that is not one.
pub(super) fn corrupt(offset: Offset, what: &dyn std::fmt::Display) -> LogError {
    LogError::Corrupt { path: PathBuf::from("log"), position: 0, what: format!("at offset {offset}: {what}") }
}
