//! The files beside a segment: indexes, producer snapshots, checkpoints.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use vltava_core::id::Timestamp;
use vltava_core::wire::{Message, Reader, WireError};
use vltava_replication::generated::producer::ProducerSnapshot;
use vltava_replication::generated::producer::producer_snapshot::ProducerEntry;

use super::Dump;
use crate::cli::error::CliError;
use crate::cli::time;

/// The largest file that is read as a whole.
const WHOLE_BYTES_MAX: u64 = 256 << 20;

/// Prints the entries of an `.index`: offset and position.
pub fn offset_index(dump: &mut Dump, path: &Path) -> Result<(), CliError> {
    let base = base_offset(path);
    entries::<8>(dump, path, |dump, reader| {
        let (relative, position) = (read(reader.i32())?, read(reader.i32())?);
        if relative == 0 && position == 0 {
            return Ok(());
        }
        let offset = base.saturating_add(i64::from(relative));
        dump.put(
            || format!("offset {offset}  position {position}"),
            || json!({ "offset": offset, "position": position }),
        )
    })
}

/// Prints the entries of a `.timeindex`: the largest timestamp up to an offset.
pub fn time_index(dump: &mut Dump, path: &Path) -> Result<(), CliError> {
    let base = base_offset(path);
    entries::<12>(dump, path, |dump, reader| {
        let (timestamp, relative) = (read(reader.i64())?, read(reader.i32())?);
        if timestamp == 0 && relative == 0 {
            return Ok(());
        }
        let offset = base.saturating_add(i64::from(relative));
        dump.put(
            || format!("timestamp {timestamp} ({})  offset {offset}", time::show(Timestamp(timestamp))),
            || json!({ "timestamp": timestamp, "offset": offset }),
        )
    })
}

/// Prints the entries of a `.txnindex`: aborted transactions.
pub fn transaction_index(dump: &mut Dump, path: &Path) -> Result<(), CliError> {
    entries::<34>(dump, path, |dump, reader| {
        let version = read(reader.i16())?;
        let (producer, first) = (read(reader.i64())?, read(reader.i64())?);
        let (last, stable) = (read(reader.i64())?, read(reader.i64())?);
        dump.put(
            || format!("aborted transaction of producer {producer}  offsets {first} to {last}  last stable offset {stable}"),
            || {
                json!({
                    "version": version,
                    "producer_id": producer,
                    "first_offset": first,
                    "last_offset": last,
                    "last_stable_offset": stable,
                })
            },
        )
    })
}

/// Prints the entries of a producer `.snapshot`.
pub fn producer_snapshot(dump: &mut Dump, path: &Path) -> Result<(), CliError> {
    let mut reader = Reader::new(whole(path)?);
    let decoded = reader.i16().and_then(|version| ProducerSnapshot::decode(&mut reader, version));
    match decoded {
        Ok(snapshot) => snapshot
            .producer_entries
            .iter()
            .try_for_each(|entry| dump.put(|| producer_line(entry), || producer_json(entry))),
        Err(error) => {
            dump.broken(path, &error);
            Ok(())
        }
    }
}

fn open_transaction(entry: &ProducerEntry) -> Option<i64> {
    (entry.current_txn_first_offset >= 0).then_some(entry.current_txn_first_offset)
}

fn producer_line(entry: &ProducerEntry) -> String {
    let open =
        open_transaction(entry).map_or(String::new(), |first| format!("  transaction since offset {first}"));
    format!(
        "producer {} epoch {}  sequence {}  offset {}  {}  coordinator epoch {}{open}",
        entry.producer_id,
        entry.epoch,
        entry.last_sequence,
        entry.last_offset,
        time::show(Timestamp(entry.timestamp)),
        entry.coordinator_epoch,
    )
}

fn producer_json(entry: &ProducerEntry) -> Value {
    json!({
        "producer_id": entry.producer_id,
        "producer_epoch": entry.epoch,
        "last_sequence": entry.last_sequence,
        "last_offset": entry.last_offset,
        "offset_delta": entry.offset_delta,
        "timestamp": entry.timestamp,
        "coordinator_epoch": entry.coordinator_epoch,
        "transaction_first_offset": open_transaction(entry),
    })
}

/// Prints a checkpoint or properties file line by line.
pub fn text(dump: &mut Dump, path: &Path) -> Result<(), CliError> {
    let bytes = whole(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    text.lines().try_for_each(|line| dump.put(|| line.to_owned(), || json!({ "file": file, "line": line })))
}

/// Hands each entry of `SIZE` bytes to `show`. Indexes that are allocated ahead end in zeros, which `show` skips.
fn entries<const SIZE: usize>(
    dump: &mut Dump,
    path: &Path,
    show: impl Fn(&mut Dump, &mut Reader) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length % SIZE as u64 != 0 {
        dump.broken(path, &format!("{length} bytes are no whole number of entries of {SIZE} bytes"));
    }
    let mut input = BufReader::new(file);
    let mut entry = [0; SIZE];
    for _ in 0..length / SIZE as u64 {
        input.read_exact(&mut entry).map_err(failed)?;
        show(dump, &mut Reader::new(Bytes::copy_from_slice(&entry)))?;
    }
    Ok(())
}

/// A field of an entry, which always has its bytes.
fn read<T>(field: Result<T, WireError>) -> Result<T, CliError> {
    field.map_err(|error| CliError::Failed(error.to_string()))
}

/// The first offset of a segment, which is the name of its files; 0 when the name is none.
fn base_offset(path: &Path) -> i64 {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    name.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn whole(path: &Path) -> Result<Bytes, CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > WHOLE_BYTES_MAX {
        return Err(CliError::Failed(format!(
            "{} has {length} bytes, more than such a file can have",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.take(WHOLE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes.into())
}
