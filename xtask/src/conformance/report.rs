//! The report: one line per check while it runs, one line with the sums at the end.

use std::time::Duration;

use crate::ci::Tally;

/// Collects outcomes and prints each as it comes.
#[derive(Default)]
pub struct Report {
    suite: &'static str,
    passed: usize,
    failed: usize,
    failed_before_suite: usize,
    failures: Vec<String>,
}

impl Report {
    /// Starts the next suite.
    pub fn suite(&mut self, name: &'static str) {
        self.suite = name;
        self.failed_before_suite = self.failed;
    }

    /// Whether a check of the current suite failed.
    pub fn suite_failed(&self) -> bool {
        self.failed > self.failed_before_suite
    }

    /// A check that held.
    pub fn ok(&mut self, check: &str, took: Duration) {
        self.passed += 1;
        println!("ok    {}: {check} ({:.1} s)", self.suite, took.as_secs_f64());
    }

    /// A check that did not hold, with the last lines the program printed.
    pub fn fail(&mut self, check: &str, reason: &str, output: &[String]) {
        self.failed += 1;
        self.failures.push(format!("{}: {check}", self.suite));
        println!("FAIL  {}: {check}: {reason}", self.suite);
        for line in output {
            println!("      | {line}");
        }
    }

    /// A suite that cannot run under these options; neither passed nor failed.
    pub fn skip(&self, reason: &str) {
        println!("skip  {}: {reason}", self.suite);
    }

    /// How many checks held, and how many did not.
    pub fn tally(&self) -> Tally {
        Tally { passed: self.passed, failed: self.failed }
    }

    /// Prints the names of all failures, and the sums alone on the last line. False if anything failed or nothing ran.
    pub fn finish(self) -> bool {
        if !self.failures.is_empty() {
            println!("\nfailed:");
            for failure in &self.failures {
                println!("  {failure}");
            }
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.passed > 0
    }
}
