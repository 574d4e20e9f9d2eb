//! Batches and records of a segment.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use vltava_core::id::PartitionIndex;
use vltava_core::record::{Batch, BatchHeader, ControlRecordType, Record, TimestampType};

use super::Dump;
use super::decode::Schema;
use crate::cli::consume::record_document;
use crate::cli::error::CliError;
use crate::cli::time;

/// Prints every batch of a segment, and its records when asked for.
pub fn dump(dump: &mut Dump, path: &Path, schema: Option<Schema>) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let mut left = file.metadata().map_err(failed)?.len();
    let mut input = BufReader::with_capacity(1 << 20, file);
    let mut position = 0;
    while left > 0 {
        let batch = match next(&mut input, left) {
            Ok(batch) => batch,
            Err(problem) => {
                dump.broken(
                    path,
                    &format!("{left} bytes from position {position} are no whole batch: {problem}"),
                );
                break;
            }
        };
        let size = batch.size() as u64;
        show(dump, path, &batch, position)?;
        if dump.deep {
            records(dump, path, &batch, schema)?;
        }
        position += size;
        left = left.saturating_sub(size);
    }
    Ok(())
}

fn next(input: &mut impl Read, left: u64) -> Result<Batch, String> {
    let torn = || "a torn write, or space allocated ahead".to_owned();
    let mut header = [0; BatchHeader::SIZE];
    if left < header.len() as u64 {
        return Err(torn());
    }
    input.read_exact(&mut header).map_err(|error| error.to_string())?;
    let size = BatchHeader::parse(&header).map_err(|error| error.to_string())?.size() as u64;
    if size > left {
        return Err(torn());
    }
    let mut whole = header.to_vec();
    input
        .take(size.saturating_sub(header.len() as u64))
        .read_to_end(&mut whole)
        .map_err(|error| error.to_string())?;
    Batch::take(&mut Bytes::from(whole)).map_err(|error| error.to_string())
}

fn show(dump: &mut Dump, path: &Path, batch: &Batch, position: u64) -> Result<(), CliError> {
    let valid = batch.crc_matches();
    if !valid {
        let offset = batch.header.base_offset;
        dump.broken(
            path,
            &format!("the batch at position {position}, offset {offset}, has a wrong checksum"),
        );
    }
    dump.put(|| line(batch, position, valid), || document(batch, position, valid))
}

fn codec(header: &BatchHeader) -> String {
    header.compression().map_or_else(|id| format!("codec {id}"), |codec| codec.name().to_owned())
}

fn stamped(header: &BatchHeader) -> &'static str {
    if header.timestamp_type() == TimestampType::LogAppendTime { "LogAppendTime" } else { "CreateTime" }
}

fn line(batch: &Batch, position: u64, valid: bool) -> String {
    let header = &batch.header;
    let mut line = format!(
        "batch {} to {}  {} records  {} bytes at {position}  epoch {}  {}  {} {}",
        header.base_offset,
        header.last_offset(),
        header.records_count,
        batch.size(),
        header.partition_leader_epoch,
        codec(header),
        stamped(header),
        time::show(header.max_timestamp),
    );
    if header.has_producer_id() {
        let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
        line.push_str(&format!("  producer {id} epoch {epoch} sequence {sequence}"));
    }
    let marks = [
        (header.is_transactional(), "transactional"),
        (header.is_control(), "control"),
        (!valid, "WRONG CHECKSUM"),
    ];
    for (_, mark) in marks.iter().filter(|(is, _)| *is) {
        line.push_str(&format!("  {mark}"));
    }
    line
}

fn document(batch: &Batch, position: u64, valid: bool) -> Value {
    let header = &batch.header;
    json!({
        "batch": {
            "position": position,
            "bytes": batch.size(),
            "base_offset": header.base_offset.0,
            "last_offset": header.last_offset().0,
            "records": header.records_count,
            "leader_epoch": header.partition_leader_epoch.0,
            "magic": BatchHeader::MAGIC,
            "crc": header.crc,
            "valid": valid,
            "compression": codec(header),
            "timestamp_type": stamped(header),
            "base_timestamp": header.base_timestamp.0,
            "max_timestamp": header.max_timestamp.0,
            "producer_id": header.producer_id.0,
            "producer_epoch": header.producer_epoch.0,
            "base_sequence": header.base_sequence.0,
            "transactional": header.is_transactional(),
            "control": header.is_control(),
            "delete_horizon": header.delete_horizon().map(|horizon| horizon.0),
        }
    })
}

fn records(dump: &mut Dump, path: &Path, batch: &Batch, schema: Option<Schema>) -> Result<(), CliError> {
    let offset = batch.header.base_offset;
    let records = match batch.records() {
        Ok(records) => records,
        Err(error) => {
            dump.broken(path, &format!("the records at offset {offset}: {error}"));
            return Ok(());
        }
    };
    for record in &records {
        match record {
            Ok(record) => show_record(dump, batch, &record, schema)?,
            Err(error) => {
                dump.broken(path, &format!("a record of the batch at offset {offset}: {error}"));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn show_record(
    dump: &mut Dump,
    batch: &Batch,
    record: &Record<'_>,
    schema: Option<Schema>,
) -> Result<(), CliError> {
    let spelled = if batch.header.is_control() {
        control(record)
    } else {
        schema.and_then(|schema| schema.spell(record))
    };
    dump.put(|| record_line(record, spelled.as_ref()), || record_json(record, spelled.as_ref()))
}

fn record_line(record: &Record<'_>, spelled: Option<&(String, String)>) -> String {
    let mut line = format!("  {}  {}", record.offset, time::show(record.timestamp));
    match spelled {
        Some((key, value)) if key.is_empty() => line.push_str(&format!("  {value}")),
        Some((key, value)) => line.push_str(&format!("  {key}  {value}")),
        None => line.push_str(&format!("  key {}  value {}", shown(record.key), shown(record.value))),
    }
    for header in record.headers.iter() {
        line.push_str(&format!("  {}={}", String::from_utf8_lossy(header.key), shown(header.value)));
    }
    line
}

fn record_json(record: &Record<'_>, spelled: Option<&(String, String)>) -> Value {
    let mut document = record_document("", PartitionIndex(0), record);
    if let Value::Object(fields) = &mut document {
        fields.remove("topic");
        fields.remove("partition");
        if let Some((key, value)) = spelled {
            fields.insert("decoded".to_owned(), json!({ "key": key, "value": value }));
        }
    }
    json!({ "record": document })
}

/// The kind of a control record, and how long its value is.
fn control(record: &Record<'_>) -> Option<(String, String)> {
    let kind = ControlRecordType::from_key(record.key?).ok()?;
    let name = kind.map_or("unknown control record".to_owned(), |kind| format!("{kind:?}"));
    Some((name, format!("{} bytes", record.value.unwrap_or_default().len())))
}

/// Bytes for people: text as it is, anything else as hexadecimal.
fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c.is_control() && c != '\t') => format!("{text:?}"),
        _ => format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}
