//! Exactly once, while everything fails: records are moved from one topic to another by transactions.
//!
//! A run is a fresh server behind a [`proxy`] that misbehaves, a feeder, workers that consume, transform and produce, a
//! reader of what is committed, and an observer of ends and committed offsets. Broker and workers are killed, workers are
//! stalled and come back as zombies, all planned by the seed. When everything has been moved and has come to rest, the
//! whole is read again and judged as a [history](crate::history); counters say that every input came out once, in order.
//!
//! A run that nothing happened in proves nothing: it fails when one of its faults did not come about.

mod counters;
mod faults;
mod programs;
mod proxy;
mod random;
mod run;
mod wire;

use std::time::Instant;

use super::cache::{self, Cache};
use super::report::Report;
use super::{Options, clients};
use crate::history;

pub use self::run::Roles;
use self::run::{Done, Run};

/// Who moves the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// The Java client.
    Java,
    /// librdkafka, by its Python package.
    Librdkafka,
}

/// Runs as often as `options` say, each time with another seed.
pub fn run(workers: Workers, options: &Options, cache: &Cache, report: &mut Report) -> anyhow::Result<()> {
    let transactions = match workers {
        Workers::Java => options.transactions,
        Workers::Librdkafka => options.transactions / 5,
    };
    for number in 0..options.runs {
        let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id())) + number;
        let folder = cache::temporary_folder(&format!("eos-{seed}"))?;
        let failed_before = report.tally().failed;
        let name = format!("seed {seed}, {transactions} transactions");
        let begun = Instant::now();
        let done = clients::transform(workers, cache)
            .and_then(|roles| Run::start(roles, (seed, transactions), options, cache, &folder)?.finish());
        match done {
            Ok(done) => judge(&name, begun, &done, report),
            Err(error) => report.fail(&format!("{name}: the job is done"), &format!("{error:#}"), &[]),
        }
        cache::discard(&folder, options.keep || report.tally().failed > failed_before);
    }
    Ok(())
}

fn judge(name: &str, begun: Instant, done: &Done, report: &mut Report) {
    let took = begun.elapsed();
    let mut verdict = |check: &str, wrong: Vec<String>| match wrong.first() {
        None => report.ok(&format!("{name}: {check}"), took),
        Some(first) => report.fail(&format!("{name}: {check}"), first, &wrong),
    };
    verdict(&format!("the faults came about: {}", done.told), done.missing.clone());
    let anomalies = history::check(&done.history).iter().map(ToString::to_string).collect();
    verdict(&format!("{} operations show no anomaly", done.history.operations.len()), anomalies);
    verdict("every input came out once, in order", counters::miscounts(&done.history, run::IN, run::OUT));
}
