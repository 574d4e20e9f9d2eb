//! Messages in a file, so that another implementation can read what we wrote and the other way round.
//!
//! A file is a row of entries: the message's name (length in two bytes), its version (two bytes), its length (four
//! bytes) and its bytes. Kafka calls the classes of some messages `…Data`; both names are understood.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;

use super::{Density, check_round_trip, sample, stream, subjects};
use crate::wire::{MessageRow, Reader, Writer};

/// The program of `cargo xtask conformance messages` for the messages of one crate.
///
/// `check FILE` reads the entries whose message is among `rows`; each must come back byte by byte.
/// `sample SEED COUNT FILE` writes COUNT messages of every version. Both print message and version of what they have
/// handled, a line each.
///
/// # Panics
///
/// If a message does not come back, or a file cannot be read or written.
#[must_use]
pub fn exchange(rows: &[MessageRow], messages: &Path) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let handled = match arguments.as_slice() {
        ["check", file] => check(rows, messages, Path::new(file)),
        ["sample", seed, count, file] => {
            let (Ok(seed), Ok(count)) = (seed.parse(), count.parse()) else { return usage() };
            write_samples(rows, messages, seed, count, Path::new(file))
        }
        _ => return usage(),
    };
    for (name, version) in handled {
        println!("{name} {version}");
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: check FILE | sample SEED COUNT FILE");
    ExitCode::FAILURE
}

type Handled = BTreeSet<(String, i16)>;

fn check(rows: &[MessageRow], messages: &Path, file: &Path) -> Handled {
    let subjects = subjects(messages, rows);
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = Reader::new(Bytes::from(bytes));
    let mut handled = Handled::new();
    while reader.left() > 0 {
        let (name, version, bytes) = entry(&mut reader);
        let plain = name.strip_suffix("Data").unwrap_or(&name);
        let subject = subjects.iter().find(|subject| subject.row.name == name || subject.row.name == plain);
        if let Some(subject) = subject {
            check_round_trip(subject, version, &bytes, 0);
            handled.insert((name, version));
        }
    }
    handled
}

fn entry(reader: &mut Reader) -> (String, i16, Bytes) {
    let mut read = || {
        let name = reader.string(false)?.to_string();
        Ok::<_, crate::wire::WireError>((name, reader.i16()?, reader.bytes(false)?))
    };
    read().unwrap_or_else(|error| panic!("malformed file: {error}"))
}

fn write_samples(rows: &[MessageRow], messages: &Path, seed: u64, count: u64, file: &Path) -> Handled {
    let mut writer = Writer::contiguous();
    let mut handled = Handled::new();
    for subject in subjects(messages, rows) {
        for version in subject.row.versions.clone() {
            for round in 0..count {
                let mut random = stream(seed, subject.row.name, version, round);
                let bytes = Bytes::from(sample(&subject.table, version, &mut random, Density::Sparse));
                check_round_trip(&subject, version, &bytes, seed);
                writer.string(subject.row.name, false).expect("a short name");
                writer.i16(version);
                writer.bytes(&bytes, false).expect("a short message");
            }
            handled.insert((subject.row.name.to_owned(), version));
        }
    }
    let bytes = writer.into_bytes().expect("in memory");
    std::fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    handled
}
