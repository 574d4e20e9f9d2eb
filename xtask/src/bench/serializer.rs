//! The row `avro-serializer`: what encoding and decoding a small record costs, beside the same work in Java.
//!
//! It needs no server. Ours goes through `Serializer` and `Deserializer` with everything remembered, prefix included; Java's
//! names the subject, looks up id, schema, writer and reader, and writes and reads the prefix, as the common serializer does.
//! Below it stands what of that is Avro's own library alone, with encoder and decoder used again. All do the same record, one
//! that was read before, on one thread, in turns.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::conformance::avro::Library;
use crate::conformance::cache::{self, Cache};
use crate::examples::{self, Profile};

/// What the row is called.
pub const NAME: &str = "avro-serializer";
/// What its figures depend on.
pub const CONDITIONS: &str = "encode and decode a record of ten fields and 104 bytes, one thread, schemas remembered; \
                              Java: GenericDatumWriter and GenericDatumReader of Avro 1.12.1";
/// What is measured in Java.
const JAVA: [&str; 2] = ["serializer", "core"];
/// Seconds before each measurement, most of all for the JVM, and of each.
const SECONDS: [&str; 2] = ["3", "2"];

/// Measures both in turns and prints medians with their range.
pub fn run(repetitions: usize) -> anyhow::Result<()> {
    let library = Library::find(&Cache::of_user()?)?;
    let program = build()?;
    let folder = cache::temporary_folder(NAME)?;
    ensure!(Command::new(&program).arg("files").arg(&folder).status()?.success(), "no files were written");
    let (mut ours, mut java) = (Vec::new(), JAVA.map(|_| Vec::new()));
    for _ in 0..repetitions {
        ours.push(figure(Command::new(&program).arg("measure").args(SECONDS))?);
        let files = [folder.join("schema.json"), folder.join("record.bin")];
        for (part, figures) in JAVA.iter().zip(&mut java) {
            figures.push(figure(library.command("Cost").arg(part).args(&files).args(SECONDS))?);
        }
    }
    cache::discard(&folder, false);
    println!("\n{NAME}: {CONDITIONS}");
    let ours = Spread::of(ours);
    println!("  vltava            {ours} ns a record");
    for (part, figures) in JAVA.iter().zip(java) {
        let java = Spread::of(figures);
        println!(
            "  java {part:<12} {java} ns a record, of which vltava takes {:.2}",
            ours.median / java.median
        );
    }
    Ok(())
}

/// A median, and between what it lies.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(f64::NAN);
        Self { median: at(figures.len() / 2), least: at(0), most: at(figures.len().saturating_sub(1)) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:6.0} ({:.0} to {:.0})", self.median, self.least, self.most)
    }
}

/// The number that a program prints.
fn figure(command: &mut Command) -> anyhow::Result<f64> {
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().context("the program printed no number")
}

/// Builds the program as it is released, and returns where it is.
fn build() -> anyhow::Result<std::path::PathBuf> {
    let folder = examples::build(Profile::Release, &["-p", "vltava-connect", "--example", "avro_cost"])?;
    Ok(folder.join("avro_cost"))
}
