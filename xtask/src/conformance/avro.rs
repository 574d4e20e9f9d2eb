//! The suite `avro-compatibility`: Avro's own library judges the same schemas, and reads the same data.
//!
//! It needs no server. The table is that of the tests in `connect`, which say what our checker answers; a Java program
//! (`xtask/conformance/java/avro`) says what Avro's `SchemaCompatibility` answers. Where that library is at fault, the table
//! has its answer beside ours, with the reason. Random pairs with data, by an example program of `connect`, come on top:
//! verdict, canonical text and bytes must be the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cache::{self, Cache};
use super::clients::must_run;
use super::report::Report;
use super::server::jars::{self, jars};
use crate::examples::{self, Profile};

/// The table, from the workspace's root.
const TABLE: &str = "crates/connect/src/schema/avro/tests/compatibility.jsonl";
/// How many random pairs are judged, from the first seed on.
const PAIRS: &str = "5000";
/// How many differences are worth reading.
const DIFFERENCES_SHOWN_MAX: usize = 10;

/// Runs all checks.
pub fn run(cache: &Cache, report: &mut Report, keep: bool) -> anyhow::Result<()> {
    let library = Library::find(cache)?;
    let folder = cache::temporary_folder("avro-compatibility")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    watch(report, "every pair of the table, in both directions", || table(&library, &root.join(TABLE)));
    watch(report, "random pairs: verdict, canonical text, bytes written and read", || {
        let file = folder.join("pairs.jsonl");
        must_run(Command::new(example("exchange_avro")?).args(["1", PAIRS]).arg(&file))?;
        let problems: Vec<Value> = library
            .run("exchange", &file)?
            .into_iter()
            .filter(|answer| answer.get("problem").is_some())
            .collect();
        none(&problems)
    });
    cache::discard(&folder, keep || report.suite_failed());
    Ok(())
}

/// Avro's jars with the program that uses them.
pub struct Library {
    class_path: String,
    program: PathBuf,
}

impl Library {
    /// Resolves the jars and compiles the program, where that was not done before.
    pub fn find(cache: &Cache) -> anyhow::Result<Self> {
        let programs = cache::programs();
        let libraries = jars(cache, &programs.join("avro"), jars::AVRO)?;
        let folder = programs.join("java/avro");
        let sources = [folder.join("Avro.java"), folder.join("Cost.java")];
        let program = cache.folder(&format!("java-avro-{}", cache::fingerprint(&sources)?))?;
        let class_path = format!("{}/*", libraries.display());
        must_run(
            Command::new("javac").args(["-nowarn", "-cp", &class_path, "-d"]).arg(&program).args(&sources),
        )?;
        Ok(Self { class_path, program })
    }

    /// A command that runs one of the program's classes.
    pub fn command(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        let class_path = format!("{}:{}", self.program.display(), self.class_path);
        command.args(["-Xmx768M", "-XX:+UseSerialGC", "-cp", &class_path, class]);
        command
    }

    /// What the library answers to each line of a file.
    fn run(&self, verb: &str, file: &Path) -> anyhow::Result<Vec<Value>> {
        let output = self.command("Avro").arg(verb).arg(file).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lines(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Compares the library's answers with those in the table.
fn table(library: &Library, file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let answers: BTreeMap<String, Value> = library
        .run("compare", file)?
        .into_iter()
        .map(|answer| (answer["name"].to_string(), answer))
        .collect();
    let mut differing = Vec::new();
    for case in lines(&text)? {
        let answer = answers.get(&case["name"].to_string());
        for direction in ["a_reads_b", "b_reads_a"] {
            let expected = case["avro"].get(direction).unwrap_or(&case[direction]);
            let found = answer.map(|answer| &answer[direction]);
            if found != Some(expected) {
                differing.push(serde_json::json!([case["name"], direction, expected, found]));
            }
        }
    }
    none(&differing)
}

fn lines(text: &str) -> anyhow::Result<Vec<Value>> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Builds an example program of the crate `connect` and returns where it is.
pub fn example(name: &str) -> anyhow::Result<PathBuf> {
    let arguments = ["-p", "vltava-connect", "--features", "testing", "--example", name];
    Ok(examples::build(Profile::Debug, &arguments)?.join(name))
}

/// Fails with the first few differences.
fn none(differing: &[Value]) -> anyhow::Result<()> {
    let shown: Vec<String> = differing.iter().take(DIFFERENCES_SHOWN_MAX).map(Value::to_string).collect();
    ensure!(differing.is_empty(), "{} differ: {}", differing.len(), shown.join(", "));
    Ok(())
}

/// Reports whether `body` held.
fn watch(report: &mut Report, check: &str, body: impl FnOnce() -> anyhow::Result<()>) {
    let start = Instant::now();
    match body() {
        Ok(()) => report.ok(check, start.elapsed()),
        Err(error) => report.fail(check, &format!("{error:#}"), &[]),
    }
}
