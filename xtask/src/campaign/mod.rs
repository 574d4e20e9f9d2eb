//! `cargo xtask campaign`: seeded tests, on seeds that nobody has run before.
//!
//! Every change runs these tests with the same few seeds, so that it fails for what it changed and not for its luck. A
//! campaign goes on from a seed of its own, all tests in turn, until its time is over, and says how to replay what failed.

mod table;

use std::process::{Command, ExitCode, Output};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use self::table::{CAMPAIGNS, Campaign};
use crate::ci::FEATURES;
use crate::conformance::catalogue::Suite;
use crate::conformance::{self, server};

/// Where seeds stop, so that a test may multiply them.
const SEED_MAX: u64 = 1 << 32;

/// The lines of a failing test's output that are shown last.
const LINES_SHOWN: usize = 60;

/// Options of `cargo xtask campaign`.
#[derive(clap::Args)]
pub struct Options {
    /// How long to go on, in seconds; what has begun is finished
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The first seed; taken from the time if not set
    #[arg(long)]
    seed: Option<u64>,
    /// Also run the exactly-once workload of `conformance` against the release build; it needs what its clients need
    #[arg(long)]
    exactly_once: bool,
}

/// Builds the tests, then runs them in turn until the time is over. Fails when one of them does.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut seed = options.seed.map_or_else(seed_of_today, Ok)? % SEED_MAX;
    println!("first seed {seed}; the same campaign again: cargo xtask campaign --seed {seed}");
    build()?;
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut failures = 0;
    let workloads = conformance::workloads().filter(|_| options.exactly_once).map(Voyage::Workload);
    let voyages: Vec<Voyage> = CAMPAIGNS.iter().map(Voyage::Test).chain(workloads).collect();
    // Each campaign begins with another test: a short one does not get to all of them.
    let first = usize::try_from(seed)? % voyages.len();
    for voyage in voyages.iter().cycle().skip(first) {
        if Instant::now() >= deadline {
            break;
        }
        let to = seed.saturating_add(voyage.seeds());
        let kept = match voyage {
            Voyage::Test(campaign) => sail(campaign, seed, to)?,
            Voyage::Workload(suite) => work(suite, seed)?,
        };
        failures += usize::from(!kept);
        seed = to % SEED_MAX;
    }
    println!("{failures} failures");
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a campaign does in turn.
enum Voyage {
    /// One test on the next seeds.
    Test(&'static Campaign),
    /// One run of the exactly-once workload.
    Workload(&'static Suite),
}

impl Voyage {
    fn seeds(&self) -> u64 {
        match self {
            Voyage::Test(campaign) => campaign.seeds,
            Voyage::Workload(_) => 1,
        }
    }
}

/// Runs the exactly-once workload on one seed; returns whether nothing was wrong.
fn work(suite: &'static Suite, seed: u64) -> anyhow::Result<bool> {
    let options = conformance::Options::of_binary(server::built("release")?).of_seed(seed);
    let tally = conformance::one(suite, &options)?;
    let kept = tally.failed == 0 && tally.passed > 0;
    if !kept {
        println!("replay: cargo xtask conformance {} --seed {seed}", suite.name);
    }
    Ok(kept)
}

/// Runs one test on the seeds from `from` to before `to`; returns whether it passed.
fn sail(campaign: &Campaign, from: u64, to: u64) -> anyhow::Result<bool> {
    let started = Instant::now();
    let output = cargo(campaign)
        .arg("--")
        .args(["--exact", campaign.test])
        .env(campaign.variable, format!("{from}..{to}"))
        .output()
        .context("cargo cannot be started")?;
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    let verdict = match (output.status.success(), ran) {
        (true, true) => "kept every promise",
        (true, false) => "was not found",
        (false, _) => "FAILED",
    };
    let seconds = started.elapsed().as_secs_f64();
    println!("{}: seeds {from}..{to}: {verdict}, {seconds:.1} s", campaign.name);
    if verdict != "kept every promise" {
        show(&output);
        println!("replay: {}={from}..{to} {}", campaign.variable, command_line(campaign));
    }
    Ok(output.status.success() && ran)
}

/// Builds what the campaigns run, so that compiling costs them no time.
fn build() -> anyhow::Result<()> {
    for campaign in CAMPAIGNS {
        let built = cargo(campaign).arg("--no-run").status().context("cargo cannot be started")?;
        ensure!(built.success(), "{} does not build", campaign.name);
    }
    Ok(())
}

/// Of the whole workspace, as the tests of every change are: then nothing is built again.
fn cargo(campaign: &Campaign) -> Command {
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--workspace", "--features", FEATURES]).args(campaign.target);
    command
}

fn command_line(campaign: &Campaign) -> String {
    let Campaign { target, test, .. } = campaign;
    format!("cargo test --workspace --features {FEATURES} {} -- --exact {test}", target.join(" "))
}

fn show(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN));
        shown.for_each(|line| println!("  {line}"));
    }
}

/// A seed that differs from one campaign to the next.
fn seed_of_today() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_names_everything_that_it_needs() {
        let campaign = Campaign {
            name: "a test",
            target: &["--test", "sim"],
            test: "it_holds",
            variable: "SEEDS",
            seeds: 1,
        };
        let line = command_line(&campaign);
        assert_eq!(
            line,
            format!("cargo test --workspace --features {FEATURES} --test sim -- --exact it_holds")
        );
    }

    #[test]
    fn every_campaign_has_a_variable_of_its_own() {
        let variables: std::collections::BTreeSet<&str> =
            CAMPAIGNS.iter().map(|campaign| campaign.variable).collect();
        assert_eq!(variables.len(), CAMPAIGNS.len());
    }
}
