//! The suite `connect`: Kafka Connect's own converters, transforms and predicates do the same with the same records.
//!
//! It needs no server. An example program of the crate `connect` writes random work with what came out of it; a Java program
//! (`xtask/conformance/java/connect`) lets Kafka's classes do it again, and says where results, or the words of errors, differ.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::avro;
use super::cache::{self, Cache};
use super::clients::must_run;
use super::report::Report;
use super::server::jars::{self, jars};

/// How much work is done, from the first seed on.
const CASES: &str = "60000";
/// How many differences are worth reading.
const DIFFERENCES_SHOWN_MAX: usize = 3;

/// What was found about a class: how often it was compared, and where it differed.
type Found = BTreeMap<String, (usize, Vec<Value>)>;

/// Runs all checks: one for each class and what it does.
pub fn run(cache: &Cache, report: &mut Report, keep: bool) -> anyhow::Result<()> {
    let start = Instant::now();
    let folder = cache::temporary_folder("connect")?;
    let file = folder.join("work.jsonl");
    must_run(Command::new(avro::example("exchange_connect")?).args(["1", CASES]).arg(&file))?;
    let found = compared(cache, &file)?;
    ensure!(!found.is_empty(), "nothing was compared");
    for (class, (compared, differing)) in found {
        let check = format!("{class}, {compared} times");
        if differing.is_empty() {
            report.ok(&check, start.elapsed());
        } else {
            let shown: Vec<String> =
                differing.iter().take(DIFFERENCES_SHOWN_MAX).map(Value::to_string).collect();
            report.fail(&check, &format!("{} differ: {}", differing.len(), shown.join(", ")), &[]);
        }
    }
    cache::discard(&folder, keep || report.suite_failed());
    Ok(())
}

/// What Kafka's classes make of the work.
fn compared(cache: &Cache, file: &Path) -> anyhow::Result<Found> {
    let programs = cache::programs();
    let libraries = jars(cache, &programs.join("kafka"), jars::TOOLS)?;
    let source = programs.join("java/connect/Connect.java");
    let program =
        cache.folder(&format!("java-connect-{}", cache::fingerprint(std::slice::from_ref(&source))?))?;
    let class_path = format!("{}/*", libraries.display());
    must_run(Command::new("javac").args(["-nowarn", "-cp", &class_path, "-d"]).arg(&program).arg(&source))?;
    let output = Command::new("java")
        .args([
            "-Xmx768M",
            "-XX:+UseSerialGC",
            "-Duser.timezone=UTC",
            "-Duser.language=en",
            "-Duser.country=US",
        ])
        .args(["-cp", &format!("{}:{class_path}", program.display()), "Connect"])
        .arg(file)
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = Found::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let answer: Value = serde_json::from_str(line)?;
        let class = answer["of"].as_str().context("an answer names its class")?;
        let (compared, differing) = found.entry(class.to_owned()).or_default();
        *compared += 1;
        if answer.get("problem").is_some() {
            differing.push(answer);
        }
    }
    Ok(found)
}
