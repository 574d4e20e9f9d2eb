//! All tests of the workspace, counted.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::Tally;

/// The optional features, which are linted and tested with the rest.
pub const FEATURES: &str = "vltava-broker/cloud,vltava-broker/parquet";

/// Seeds of which whoever edits and tests runs a part, and a whole run all.
const SEEDS: (&str, &str) = ("VLTAVA_TRIO_SEEDS", "0..200");

/// Runs the tests of the README and prints what they printed when one fails.
pub fn run(mut cargo: Command) -> anyhow::Result<Tally> {
    let output = cargo
        .args(["test", "--workspace", "--features", FEATURES, "--no-fail-fast"])
        .env(SEEDS.0, SEEDS.1)
        .stdin(Stdio::null())
        .output()
        .context("cargo cannot be started")?;
    let results = String::from_utf8_lossy(&output.stdout);
    let tally = count(&results)?;
    if !output.status.success() {
        println!("{results}{}", String::from_utf8_lossy(&output.stderr));
        ensure!(tally.failed > 0, "the tests cannot be run");
    }
    ensure!(tally.passed > 0, "there are no tests");
    println!("tests: {} held, {} did not", tally.passed, tally.failed);
    Ok(tally)
}

/// Builds what the tests are made of, the binary among it.
pub fn build(mut cargo: Command) -> anyhow::Result<()> {
    let status = cargo.args(["test", "--quiet", "--workspace", "--features", FEATURES, "--no-run"]).status();
    ensure!(status.context("cargo cannot be started")?.success(), "the tests cannot be built");
    Ok(())
}

/// The sums of all `test result:` lines, which each test program prints once.
fn count(results: &str) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for line in results.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let before = |what| words.windows(2).find(|pair| pair.get(1) == Some(&what))?.first()?.parse().ok();
        let (passed, failed) =
            before("passed;").zip(before("failed;")).context("cargo prints other results")?;
        tally.add(Tally { passed, failed });
    }
    Ok(tally)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn results_of_all_programs_are_added() {
        let results = "running 2 tests\ntest a ... ok\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; \
                       0 filtered out; finished in 0.01s\n\ntest result: FAILED. 3 passed; 2 failed; 0 ignored\n";
        assert_eq!(count(results).unwrap(), Tally { passed: 15, failed: 2 });
        assert_eq!(count("error: could not compile").unwrap(), Tally::default());
        assert!(count("test result: who knows").is_err());
    }
}
