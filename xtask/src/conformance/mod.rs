//! Proof with what nobody here wrote: other people's clients, driven against a running broker.
//!
//! A *suite* is a program in `xtask/conformance` (shell, Python, Java, Go or Node) that gets the address of a freshly
//! started server and reports *checks* on its standard output. This module owns what the programs share: starting
//! and killing the server under test, fetching client libraries into the user's cache folder, time limits, and the
//! report. It knows nothing about Kafka's protocol, so no bug of ours can hide in it.
//!
//! The same suites run against Apache Kafka (`--against kafka`), which must pass all of them. That makes a check an
//! oracle: what fails against Vltava and passes there is Vltava's fault.

pub mod avro;
pub mod cache;
pub mod catalogue;
mod clients;
mod connect;
mod eos;
mod messages;
pub mod program;
mod report;
pub mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use self::cache::Cache;
use self::catalogue::{Program, SUITES, Suite};
use self::report::Report;
use self::server::jars::{self, jars};
use self::server::{Kind, Server};
use crate::ci::Tally;

/// What `cargo xtask conformance` is asked to do.
#[derive(clap::Args)]
pub struct Options {
    /// Suites to run, in the order of `--list`; all when none is named.
    suites: Vec<String>,

    /// The server under test.
    #[arg(long, value_enum, default_value = "vltava")]
    against: Kind,

    /// Test the server that already listens on HOST:PORT. Suites that must restart or kill it are left out.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "against")]
    bootstrap: Option<String>,

    /// The `vltava` binary to test. Default: the newest one beside the folder xtask was built into.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,

    /// Run only checks whose name contains TEXT.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// List the suites and end.
    #[arg(long)]
    list: bool,

    /// Time budget of suites that run for as long as they are let (hostile input).
    #[arg(long, default_value_t = BUDGETS.0)]
    seconds: u64,

    /// Rounds of the suites `kill` and `kill-groups`; `kill-connect`, whose rounds take longer, does a quarter as many.
    #[arg(long, default_value_t = BUDGETS.1)]
    rounds: u64,

    /// Events of the main job.
    #[arg(long, default_value_t = BUDGETS.2)]
    events: u64,

    /// Runs of the exactly-once workload.
    #[arg(long, default_value_t = RUNS.0)]
    runs: u64,

    /// Transactions of each of them by the Java client; workers on librdkafka, which take longer, do a fifth as many.
    #[arg(long, default_value_t = RUNS.1)]
    transactions: usize,

    /// The seed of the first of them, another one every time if not set; and of kills and hostile input, 1 if not set.
    #[arg(long)]
    seed: Option<u64>,

    /// Keep the folders of servers and programs, and print where they are.
    #[arg(long)]
    keep: bool,
}

/// Seconds of hostile input, rounds of kills, events of the main job, unless told otherwise.
pub const BUDGETS: (u64, u64, u64) = (60, 20, 100_000);

/// Runs of the exactly-once workload, and transactions of each, unless told otherwise.
const RUNS: (u64, usize) = (1, 10_000);

impl Options {
    /// What `cargo xtask conformance` does without options, with a binary that is named.
    pub fn of_binary(binary: PathBuf) -> Options {
        Options {
            suites: Vec::new(),
            against: Kind::Vltava,
            bootstrap: None,
            binary: Some(binary),
            only: None,
            list: false,
            seconds: BUDGETS.0,
            rounds: BUDGETS.1,
            events: BUDGETS.2,
            runs: RUNS.0,
            transactions: RUNS.1,
            seed: None,
            keep: false,
        }
    }

    /// The same, on a seed that is named.
    pub fn of_seed(self, seed: u64) -> Options {
        Options { seed: Some(seed), ..self }
    }
}

/// The suites of the exactly-once workload.
pub fn workloads() -> impl Iterator<Item = &'static Suite> {
    SUITES.iter().filter(|suite| matches!(suite.program, Program::ExactlyOnce(_)))
}

/// Runs the suites that `options` name and prints one line per check. Fails if a check did.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if options.list {
        for suite in SUITES {
            println!("{:<18} {}", suite.name, suite.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut report = Report::default();
    for suite in choose(&options.suites)? {
        watch(suite, options, &mut report)?;
    }
    Ok(if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one suite, and counts its checks.
pub fn one(suite: &'static Suite, options: &Options) -> anyhow::Result<Tally> {
    let mut report = Report::default();
    watch(suite, options, &mut report)?;
    Ok(report.tally())
}

fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Suite>> {
    if let Some(unknown) = names.iter().find(|name| SUITES.iter().all(|suite| suite.name != **name)) {
        bail!("there is no suite {unknown:?}; `cargo xtask conformance --list` shows all");
    }
    let wanted = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(SUITES.iter().filter(wanted).collect())
}

/// A suite that cannot be started has failed.
fn watch(suite: &'static Suite, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    server::raise_descriptor_limit();
    let cache = Cache::of_user()?;
    report.suite(suite.name);
    let outcome = match suite.program {
        Program::Messages => messages::run(&cache, report, options.keep),
        Program::Avro => avro::run(&cache, report, options.keep),
        Program::Connect => connect::run(&cache, report, options.keep),
        Program::ExactlyOnce(_) if options.bootstrap.is_some() => {
            report.skip("it must restart the server, which --bootstrap does not allow");
            Ok(())
        }
        Program::ExactlyOnce(workers) => eos::run(workers, options, &cache, report),
        _ => run_suite(suite, options, &cache, report),
    };
    if let Err(error) = outcome {
        report.fail("start", &format!("{error:#}"), &[]);
    }
    Ok(())
}

/// One suite on one fresh server, so that no suite sees what another one left behind.
fn run_suite(suite: &Suite, options: &Options, cache: &Cache, report: &mut Report) -> anyhow::Result<()> {
    if options.bootstrap.is_some() && suite.controls_server {
        report.skip("it must restart the server, which --bootstrap does not allow");
        return Ok(());
    }
    let mut command = clients::prepare(suite, cache).context("the client cannot be installed")?;
    let folder = cache::temporary_folder(suite.name)?;
    let mut server = match &options.bootstrap {
        Some(address) => Server::elsewhere(address),
        None => {
            let start = if suite.begins_with_kafka { Server::start_for } else { Server::start };
            start(options.against, options.binary.as_deref(), cache, &folder.join("server"))?
        }
    };
    let work = folder.join("work");
    std::fs::create_dir_all(&work)?;
    command
        .current_dir(&work)
        .env("BOOTSTRAP", server.address())
        .env("REGISTRY", server.registry())
        .env("WORK", &work)
        .env("DATA", server.data())
        .env("TARGET", server.kind_name())
        .env("ONLY", options.only.as_deref().unwrap_or_default())
        .env("SECONDS_BUDGET", options.seconds.to_string())
        .env("ROUNDS", options.rounds.to_string())
        .env("EVENTS", options.events.to_string());
    if let Some(seed) = options.seed {
        command.env("SEED", seed.to_string());
    }
    if suite.starts_connect {
        let libraries = jars(cache, &cache::programs().join("kafka"), jars::TOOLS)?;
        command.env("CONNECT_LIBRARIES", libraries);
    }
    if suite.needs_binary() {
        command.env("BINARY", server::binary(options.binary.as_deref())?);
    }
    if suite.needs_oracle {
        let oracle = Server::start(Kind::Kafka, None, cache, &folder.join("oracle"))?;
        command.env("ORACLE", oracle.address());
        program::run(&mut command, &suite.limits(options), &mut server, report)?;
    } else {
        program::run(&mut command, &suite.limits(options), &mut server, report)?;
    }
    after(&mut server, report);
    drop(server);
    cache::discard(&folder, options.keep || report.suite_failed());
    Ok(())
}

/// What must hold after every suite: the process lives, did not panic, and ends cleanly when asked to.
fn after(server: &mut Server, report: &mut Report) {
    if !server.is_ours() {
        return;
    }
    match server.health() {
        Ok(()) => report.ok("the server is alive and has not panicked", Duration::ZERO),
        Err(error) => {
            report.fail(
                "the server is alive and has not panicked",
                &format!("{error:#}"),
                &server.log_tail(),
            );
        }
    }
    match server.stop() {
        Ok(took) => report.ok("the server stops when asked", took),
        Err(error) => report.fail("the server stops when asked", &format!("{error:#}"), &server.log_tail()),
    }
}
