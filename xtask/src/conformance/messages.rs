//! The suite `messages`: Kafka's own message classes read and write the same bytes as the generated code, both ways.
//!
//! It needs no server. A Java program (`xtask/conformance/java/messages`) finds every generated class in Kafka's jars and
//! writes random messages of every version to a file, which an example program of each crate must reproduce; then it
//! reads what those programs wrote. A class without a table, or a table without a class, fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::cache::{self, Cache};
use super::clients::must_run;
use super::report::Report;
use super::server::jars::{self, jars};
use crate::examples::{self, Profile};

/// The randomness of both sides; a failing message is printed whole.
const SEED: &str = "1";
/// How many messages of every type and version each side writes.
const SAMPLES: &str = "40";

/// The crates with generated messages.
const CRATES: [&str; 4] = ["core", "protocol", "coordinator", "replication"];

/// Messages by name and version, a line each.
type Handled = BTreeSet<String>;

/// Runs all checks.
pub fn run(cache: &Cache, report: &mut Report, keep: bool) -> anyhow::Result<()> {
    let kafka = Kafka::find(cache)?;
    let folder = cache::temporary_folder("messages")?;
    let programs = build()?;
    let written = folder.join("kafka");
    let classes = kafka.run(&["generate", SEED, SAMPLES], &written)?;
    let mut known = Handled::new();
    for (name, program) in CRATES.iter().zip(&programs) {
        let check = format!("{name} reproduces what Kafka wrote");
        known.extend(watch(report, &check, || {
            let handled = lines(Command::new(program).arg("check").arg(&written))?;
            ensure!(!handled.is_empty(), "Kafka has no message of the crate {name}");
            Ok(handled)
        }));
        let check = format!("Kafka reproduces what {name} wrote");
        watch(report, &check, || {
            let ours = folder.join(name);
            let sampled = lines(Command::new(program).args(["sample", SEED, SAMPLES]).arg(&ours))?;
            same("messages that Kafka read", &sampled, &kafka.run(&["verify"], &ours)?)
        });
    }
    let check = format!("no class is left out: {} types and versions", classes.len());
    watch(report, &check, || same("messages", &classes, &known));
    cache::discard(&folder, keep || report.suite_failed());
    Ok(())
}

/// Kafka's jars with the program that uses them.
struct Kafka {
    class_path: String,
    program: PathBuf,
}

impl Kafka {
    fn find(cache: &Cache) -> anyhow::Result<Self> {
        let programs = cache::programs();
        let libraries = match std::env::var_os("KAFKA_LIBS") {
            Some(folder) => PathBuf::from(folder),
            None => jars(cache, &programs.join("kafka"), jars::SERVER)?,
        };
        let source = programs.join("java/messages/Messages.java");
        let name = format!("java-messages-{}", cache::fingerprint(std::slice::from_ref(&source))?);
        let program = cache.folder(&name)?;
        let class_path = format!("{}/*", libraries.display());
        must_run(
            Command::new("javac").args(["-nowarn", "-cp", &class_path, "-d"]).arg(&program).arg(&source),
        )?;
        Ok(Self { class_path, program })
    }

    fn run(&self, arguments: &[&str], file: &Path) -> anyhow::Result<Handled> {
        let mut command = Command::new("java");
        command
            .args(["-Xmx768M", "-XX:+UseSerialGC", "-cp"])
            .arg(format!("{}:{}", self.program.display(), self.class_path))
            .arg("Messages")
            .args(arguments)
            .arg(file);
        lines(&mut command)
    }
}

/// Builds the example programs and returns where they are, in the order of `CRATES`.
fn build() -> anyhow::Result<Vec<PathBuf>> {
    let programs = CRATES.map(|name| (format!("vltava-{name}"), format!("exchange_{name}")));
    let named = programs
        .iter()
        .flat_map(|(package, program)| ["-p", package.as_str(), "--example", program.as_str()]);
    let arguments: Vec<&str> = ["--features", "vltava-core/testing"].into_iter().chain(named).collect();
    let folder = examples::build(Profile::Debug, &arguments)?;
    Ok(programs.iter().map(|(_, program)| folder.join(program)).collect())
}

/// Runs a program to its end and returns the lines it printed; what went wrong is in its other output.
fn lines(command: &mut Command) -> anyhow::Result<Handled> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Fails with the first few lines that only one side has.
fn same(what: &str, expected: &Handled, actual: &Handled) -> anyhow::Result<Handled> {
    let differing: Vec<&str> =
        expected.symmetric_difference(actual).map(String::as_str).take(DIFFERENCES_SHOWN_MAX).collect();
    ensure!(differing.is_empty(), "{what} on one side only: {}", differing.join(", "));
    Ok(actual.clone())
}

/// How many lines that differ are worth reading.
const DIFFERENCES_SHOWN_MAX: usize = 20;

/// Reports whether `body` held.
fn watch(report: &mut Report, check: &str, body: impl FnOnce() -> anyhow::Result<Handled>) -> Handled {
    let start = Instant::now();
    match body() {
        Ok(handled) => {
            report.ok(check, start.elapsed());
            handled
        }
        Err(error) => {
            report.fail(check, &format!("{error:#}"), &[]);
            Handled::new()
        }
    }
}
