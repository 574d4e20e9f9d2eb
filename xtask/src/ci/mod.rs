//! `cargo xtask ci`: everything that a change has to pass, cheap checks first, other people's clients last.
//!
//! A step that fails does not hide what comes after it: only steps that need its product are left out, and the end says
//! what failed. The last line counts tests and conformance checks together, alone on its line, as
//! `N passed, N failed`; whatever fails without having counted a failure (a lint, a build) counts as one.
//!
//! Each step draws on a share of the time that the whole may take. A share that is used up is told and fails nothing:
//! how fast a machine is says nothing about a change.

mod share;
mod steps;
mod tests;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::share::Ledger;
pub use self::share::Share;
use self::steps::Step;
pub use self::tests::FEATURES;

/// Options of `cargo xtask ci`.
#[derive(clap::Args)]
pub struct Options {
    /// Run only the steps whose name contains TEXT, and what they need
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// List the steps and end
    #[arg(long)]
    list: bool,
}

/// What a step has shown, when it could be carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests or checks that held.
    pub passed: usize,
    /// Tests or checks that did not.
    pub failed: usize,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs every step. Fails when one of them did.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let steps = steps::all()?;
    if options.list {
        steps.iter().for_each(|step| println!("{:<22} {}", step.share.name(), step.name));
        return Ok(ExitCode::SUCCESS);
    }
    let begun = Instant::now();
    let mut ci = Ci::default();
    for step in &steps {
        if options.only.as_ref().is_none_or(|text| step.name.contains(text.as_str()) || step.is_product()) {
            ci.take(step, begun);
        }
    }
    Ok(ci.finish(begun.elapsed()))
}

#[derive(Default)]
struct Ci {
    ledger: Ledger,
    tally: Tally,
    failures: Vec<String>,
    /// Products that could not be made.
    missing: Vec<&'static str>,
}

impl Ci {
    fn take(&mut self, step: &Step, begun: Instant) {
        println!("\n=== {}", step.name);
        if let Some(missing) = step.needs.filter(|needed| self.missing.contains(needed)) {
            println!("=== {}: left out, there is no {missing}", step.name);
            return;
        }
        let started = Instant::now();
        let failed = match (step.run)() {
            Ok(tally) => {
                self.tally.add(tally);
                tally.failed > 0
            }
            Err(error) => {
                println!("{error:#}");
                self.tally.failed += 1;
                true
            }
        };
        let took = started.elapsed();
        self.ledger.spend(step.share, took);
        if failed {
            self.failures.push(step.name.clone());
            self.missing.extend(step.product);
        }
        println!(
            "=== {}: {}, {} s ({}; {} s in all)",
            step.name,
            if failed { "FAILED" } else { "ok" },
            took.as_secs(),
            self.ledger.told(step.share),
            begun.elapsed().as_secs(),
        );
    }

    fn finish(self, took: Duration) -> ExitCode {
        println!();
        self.ledger.print();
        println!("{} s in all", took.as_secs());
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", self.tally.passed, self.tally.failed);
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
