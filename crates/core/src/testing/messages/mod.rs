//! Checks of generated messages against the tables they were generated from.
//!
//! The generated code decides what a version has by comparisons written out per field. Here the same tables are
//! *interpreted*: [`sample`] walks a table and emits the bytes of a random message, which the generated reader and
//! writer have to reproduce exactly. Two ways to the same bytes, which share nothing but the table.
//!
//! Samples are canonical: a tagged field is there only if it differs from its default.

mod exchange;
mod sample;
mod table;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;

pub use exchange::exchange;
pub use sample::{Density, sample};
pub use table::Table;

use super::Random;
use crate::wire::{MessageRow, Reader, WireError};

/// One row of a crate's catalogue with the table it came from.
pub struct Subject {
    /// The generated code.
    pub row: MessageRow,
    /// The table, interpreted.
    pub table: Table,
}

/// Finds the table of every row below `messages`, the folder with the tables' folders.
///
/// # Panics
///
/// If a row has no table, or one with other versions.
#[must_use]
pub fn subjects(messages: &Path, rows: &[MessageRow]) -> Vec<Subject> {
    let tables = table::read_all(messages);
    rows.iter()
        .map(|row| {
            let table = tables
                .iter()
                .find(|table| table.name == row.name)
                .unwrap_or_else(|| panic!("{} has no table", row.name));
            assert_eq!(table.versions, row.versions, "{}", row.name);
            Subject { row: row.clone(), table: table.clone() }
        })
        .collect()
}

/// Checks that every sample of every version comes back byte by byte.
///
/// # Panics
///
/// With the seed, the bytes and what was read, if one does not.
pub fn check_round_trips(subjects: &[Subject], samples: u64, seed: u64) {
    for subject in subjects {
        for version in subject.row.versions.clone() {
            for round in 0..samples {
                let mut random = stream(seed, subject.row.name, version, round);
                let bytes = Bytes::from(sample(&subject.table, version, &mut random, Density::Sparse));
                check_round_trip(subject, version, &bytes, seed);
            }
        }
    }
}

fn check_round_trip(subject: &Subject, version: i16, bytes: &Bytes, seed: u64) {
    let mut reader = Reader::new(bytes.clone());
    let result = (subject.row.transcode)(&mut reader, version);
    if result.as_ref() == Ok(bytes) && reader.left() == 0 {
        return;
    }
    let described = (subject.row.describe)(&mut Reader::new(bytes.clone()), version);
    panic!(
        "{} version {version}, seed {seed}: {} bytes left\nread    {}\nwritten {}\n{}",
        subject.row.name,
        reader.left(),
        hexadecimal(bytes),
        result.map_or_else(|error| error.to_string(), |bytes| hexadecimal(&bytes)),
        described.unwrap_or_else(|error| error.to_string()),
    );
}

/// Feeds malformed messages of every version to the readers and returns how many were accepted and how many refused.
///
/// `decode` is called with every message around the reader under test, so that the caller can watch what it allocates.
/// What is accepted must be readable again once it was written.
///
/// # Panics
///
/// With the bytes, if a reader panics or cannot read what its own writer wrote.
pub fn check_hostile_input(
    subjects: &[Subject],
    rounds: u64,
    seed: u64,
    mut decode: impl FnMut(&Subject, i16, &Bytes) -> Result<Bytes, WireError>,
) -> (u64, u64) {
    let (mut accepted, mut refused) = (0, 0);
    for subject in subjects {
        for version in subject.row.versions.clone() {
            for round in 0..rounds {
                let mut random = stream(seed, subject.row.name, version, round);
                let bytes = Bytes::from(hostile(&subject.table, version, &mut random));
                let Ok(written) = decode(subject, version, &bytes) else {
                    refused += 1;
                    continue;
                };
                accepted += 1;
                let again = (subject.row.transcode)(&mut Reader::new(written.clone()), version);
                assert_eq!(
                    again.as_ref(),
                    Ok(&written),
                    "{} version {version}, seed {seed}: {}",
                    subject.row.name,
                    hexadecimal(&bytes)
                );
            }
        }
    }
    (accepted, refused)
}

/// The randomness of one sample, so that each can be repeated alone.
#[must_use]
pub fn stream(seed: u64, name: &str, version: i16, round: u64) -> Random {
    let parts = name.bytes().map(u64::from).chain([u64::from(version.cast_unsigned()), round]);
    Random::new(parts.fold(seed, |state, part| Random::new(state ^ part).bits()))
}

fn byte(random: &mut Random) -> u8 {
    random.bits() as u8
}

/// Random bytes, or a sample that was damaged.
fn hostile(table: &Table, version: i16, random: &mut Random) -> Vec<u8> {
    if random.once_in(4) {
        let length = random.below(200);
        return (0..length).map(|_| byte(random)).collect();
    }
    let density = if random.once_in(8) { Density::Dense } else { Density::Sparse };
    let mut bytes = sample(table, version, random, density);
    for _ in 0..=random.below(3) {
        damage(&mut bytes, random);
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(5) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, byte(random)),
        2 => bytes.extend([0; 64]),
        // Lengths of any width become large, negative or null.
        3 => bytes.iter_mut().skip(at).take(1 + random.below(5)).for_each(|byte| *byte = 0xff),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|at| *at = byte(random)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
