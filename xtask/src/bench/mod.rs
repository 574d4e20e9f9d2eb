//! Benchmarks whose figures travel: ratios to a floor that was measured in the same minute.
//!
//! CPU seconds of the server per gigabyte or per request come first: they decide what a machine can carry, and they hold
//! still where wall-clock figures move by a third from one minute to the next. Contestants take turns in one rotation,
//! so that what disturbs one disturbs all; a repetition in which other processes were busy is tried again, and the
//! number of clean ones is printed.
//!
//! Everything is bounded: bytes and seconds of a repetition by the table of scenarios, repetitions by the options; data
//! goes to a temporary folder, connections to loopback. It gates on ratios alone, never on time.

pub mod floor;

mod contestant;
pub mod load;
mod machine;
mod scenario;
mod serializer;
mod table;
pub mod wire;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use self::contestant::{Contestant, Running, Stable};
use self::load::{
    Figures, commits, compaction, connect, fetch, group, guarded, latency, memory, produce, registry, start,
};
use self::scenario::{COMMITS_SECONDS, SCENARIOS, Scenario, Work};
use self::table::{Results, Row};
use crate::conformance::cache::{self, Cache};
use crate::conformance::server;

/// Kafka's partitions in the scenario of idle ones: it takes a minute for 5,000.
const KAFKA_PARTITIONS_MAX: i32 = 1_000;
/// Seconds of a warm-up of a JVM, whose first ones cost many times what later ones do.
const JVM_WARM_UP_SECONDS: f64 = 10.0;
/// How long each repetition waits for a quiet machine.
const QUIET_PATIENCE: Duration = Duration::from_secs(5);
/// A gate waits less: it looks at ratios with generous bounds.
const QUIET_PATIENCE_GATE: Duration = Duration::from_millis(400);

/// What `cargo xtask bench` is asked to do.
#[derive(clap::Args)]
pub struct Options {
    /// Scenarios to run; all of them when none is named.
    scenarios: Vec<String>,

    /// Measure an Apache Kafka as well, resolved from Maven's repository.
    #[arg(long, value_enum)]
    against: Option<Rival>,

    /// 3 repetitions instead of 5, and fewer connections and partitions.
    #[arg(long)]
    quick: bool,

    /// Neither wait for a quiet machine nor try a disturbed repetition again, where no quiet is to be had: only ratios of
    /// CPU time within one rotation mean anything then.
    #[arg(long)]
    disturbed: bool,

    /// Print a JSON object for each contestant of a scenario.
    #[arg(long)]
    json: bool,

    /// Run the few scenarios that have a bound, and fail when a ratio to the floor is above it.
    #[arg(long)]
    gate: bool,

    /// The `vltava` binary to measure. Default: the newest one beside the folder xtask was built into.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,

    /// Where data goes. Default: the system's folder of temporary files, which should be a disk.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,

    /// List the scenarios and end.
    #[arg(long)]
    list: bool,
}

/// Who is measured beside Vltava.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Rival {
    Kafka,
}

/// Runs the scenarios that `options` name.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.list {
        for scenario in SCENARIOS {
            println!("{:<17} {}", scenario.name, scenario.work.conditions());
        }
        println!("{:<17} {}", serializer::NAME, serializer::CONDITIONS);
        return Ok(());
    }
    if cfg!(debug_assertions) {
        println!(
            "note: this xtask is a debug build: floors and load cost too much (cargo run --release -p xtask)"
        );
    }
    if options.disturbed {
        println!(
            "note: --disturbed: no repetition waits for a quiet machine, or is tried again when it had none"
        );
    }
    let named = options.scenarios.iter().any(|name| name == serializer::NAME);
    if named || (options.scenarios.is_empty() && !options.gate) {
        serializer::run(if options.quick { 3 } else { 5 })?;
        if named && options.scenarios.len() == 1 {
            return Ok(());
        }
    }
    server::raise_descriptor_limit();
    let folder = match &options.data {
        Some(data) => data.join(format!("vltava-bench-{}", std::process::id())),
        None => cache::temporary_folder("bench")?,
    };
    let stable = Stable::new(folder.clone(), options.binary.clone(), Cache::of_user()?);
    let measured = Bench { options, stable, servers: Vec::new() }.run(&choose(options)?);
    cache::discard(&folder, false);
    judge(options, &measured?)
}

fn choose(options: &Options) -> anyhow::Result<Vec<&'static Scenario>> {
    let names = &options.scenarios;
    let known = |name: &String| name == serializer::NAME || SCENARIOS.iter().any(|known| known.name == *name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        bail!("there is no scenario {unknown:?}; `cargo xtask bench --list` shows all");
    }
    let wanted = |scenario: &&Scenario| match names.is_empty() {
        true => !options.gate || scenario.ratio_max.is_some(),
        false => names.iter().any(|name| name == scenario.name),
    };
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

/// Fails a gate when a ratio is above its bound.
fn judge(options: &Options, measured: &[Results]) -> anyhow::Result<()> {
    if !options.gate {
        return Ok(());
    }
    for results in measured {
        let ratio = results.ratio_to_floor(Contestant::Vltava);
        if let (Some(ratio), Some(most)) = (ratio, results.scenario.ratio_max)
            && ratio.median > most
        {
            let (name, median) = (results.scenario.name, ratio.median);
            bail!("{name}: Vltava takes {median:.2} times what the floor takes, more than {most:.2}");
        }
    }
    println!("\nevery ratio is within its bound");
    Ok(())
}

impl Options {
    /// How often a disturbed repetition is tried, and for how long quiet is waited for before.
    fn care(&self) -> (usize, Duration) {
        match (self.disturbed, self.gate) {
            (true, _) => (1, Duration::ZERO),
            (false, true) => (1, QUIET_PATIENCE_GATE),
            (false, false) => (2, QUIET_PATIENCE),
        }
    }
}

struct Bench<'a> {
    options: &'a Options,
    stable: Stable,
    /// Servers that run through all scenarios of load.
    servers: Vec<(Contestant, Running)>,
}

impl Bench<'_> {
    fn run(&mut self, scenarios: &[&'static Scenario]) -> anyhow::Result<Vec<Results>> {
        let mut all = Vec::new();
        for scenario in scenarios {
            let results = self.scenario(scenario).with_context(|| scenario.name)?;
            if self.options.json {
                results.print_json();
            } else {
                results.print();
            }
            all.push(results);
        }
        Ok(all)
    }

    fn contestants(&self, scenario: &Scenario) -> Vec<Contestant> {
        let mut contestants: Vec<Contestant> =
            scenario.floors.iter().copied().map(Contestant::Floor).collect();
        contestants.push(Contestant::Vltava);
        let comparable = !matches!(scenario.work, Work::Registry(_));
        if comparable && self.options.against == Some(Rival::Kafka) {
            contestants.push(Contestant::Kafka);
        }
        contestants
    }

    /// One rotation after the other, after each contestant has warmed up.
    fn scenario(&mut self, scenario: &'static Scenario) -> anyhow::Result<Results> {
        let work = if self.options.quick { scenario.work.quick() } else { scenario.work };
        let contestants = self.contestants(scenario);
        let repetitions = if self.options.quick || self.options.gate { 3 } else { 5 };
        let row = |contestant: &Contestant| Row {
            contestant: *contestant,
            repetitions: Vec::new(),
            clean: 0,
            tries: 0,
        };
        let mut rows: Vec<Row> = contestants.iter().map(row).collect();
        for contestant in &contestants {
            self.warm_up(scenario, *contestant)?;
        }
        for _ in 0..repetitions {
            for row in &mut rows {
                self.repetition(&work, row)?;
            }
        }
        Ok(Results { scenario, work, rows })
    }

    /// Tries once more when the first try was disturbed, and keeps the one that was disturbed less.
    fn repetition(&mut self, work: &Work, row: &mut Row) -> anyhow::Result<()> {
        let mut best: Option<(f64, Figures)> = None;
        let (tries, patience) = self.options.care();
        for _ in 0..tries {
            machine::wait_until_quiet(patience)?;
            let figures = self.work(work, row.contestant)?;
            let others =
                figures.iter().find(|(name, _)| *name == "others cores").map_or(0.0, |found| found.1);
            row.tries += 1;
            if best.as_ref().is_none_or(|(least, _)| others < *least) {
                best = Some((others, figures));
            }
            if others <= machine::OTHERS_MAX {
                row.clean += 1;
                break;
            }
        }
        row.repetitions.extend(best.map(|(_, figures)| figures));
        Ok(())
    }

    fn warm_up(&mut self, scenario: &Scenario, contestant: Contestant) -> anyhow::Result<()> {
        let work = match (scenario.work, contestant) {
            (Work::Produce(load), Contestant::Kafka) => Work::Produce(produce::Produce {
                seconds_max: JVM_WARM_UP_SECONDS,
                bytes_max: load.bytes_max.saturating_mul(4),
                ..load
            }),
            (Work::Fetch(load), Contestant::Kafka) => Work::Fetch(fetch::Fetch {
                seconds_max: JVM_WARM_UP_SECONDS,
                read_bytes_max: load.read_bytes_max * 10,
                ..load
            }),
            (work, _) if work.partitions().is_some() => work,
            _ => return Ok(()),
        };
        self.work(&work, contestant).map(drop)
    }

    fn work(&mut self, work: &Work, contestant: Contestant) -> anyhow::Result<Figures> {
        const TOPIC: &str = "bench";
        if let Some(partitions) = work.partitions() {
            return self.on_topic(contestant, TOPIC, partitions, |address, server| {
                on_server(work, address, server, TOPIC)
            });
        }
        match work {
            Work::Compaction(load) => {
                let running = self.stable.start(contestant)?;
                compaction::run(load, running.address(), running.process()?, running.folder())
            }
            Work::Start(partitions) => {
                let mut running = self.stable.start(contestant)?;
                let partitions = bearable(contestant, *partitions);
                if partitions == 0 {
                    let ready = running.server().context("no floor starts")?.ready_after();
                    return Ok(vec![("ready ms", ready.as_secs_f64() * 1e3)]);
                }
                running.create_topic(TOPIC, partitions)?;
                start::again(&mut running, TOPIC, partitions)
            }
            Work::Process => memory::process(self.stable.start(contestant)?.process()?),
            Work::Connections(count) => {
                let running = self.stable.start(contestant)?;
                memory::connections(running.address(), running.process()?, *count)
            }
            Work::Partitions(count) => {
                let running = self.stable.start(contestant)?;
                let count = bearable(contestant, *count);
                memory::partitions(running.address(), running.process()?, TOPIC, count)
            }
            Work::LoadOffsets(groups) => {
                let mut running = self.stable.start(contestant)?;
                running.create_topic(TOPIC, commits::PARTITIONS)?;
                commits::load(&mut running, TOPIC, *groups)
            }
            Work::Connect(load) => connect::run(load, contestant, &mut self.stable),
            Work::Registry(load) if load.what == registry::What::Lookup => {
                let mut running = machine::on_one_core(|| self.stable.start(contestant))??;
                registry::run(load, &mut running)
            }
            Work::Registry(load) => registry::run(load, &mut self.stable.start(contestant)?),
            Work::Group(load) => {
                let running = self.stable.start(contestant)?;
                group::run(load, running.address(), running.process()?)
            }
            _ => bail!("it is a load on one topic"),
        }
    }

    /// Runs `load` on a new topic of a server, or on a new floor.
    fn on_topic(
        &mut self,
        contestant: Contestant,
        topic: &str,
        partitions: i32,
        load: impl FnOnce(&str, u32) -> anyhow::Result<Figures>,
    ) -> anyhow::Result<Figures> {
        if let Contestant::Floor(_) = contestant {
            let running = self.stable.start(contestant)?;
            return load(running.address(), running.process()?);
        }
        let place = match self.servers.iter().position(|(found, _)| *found == contestant) {
            Some(place) => place,
            None => {
                self.servers.push((contestant, self.stable.start(contestant)?));
                self.servers.len() - 1
            }
        };
        let (_, running) = self.servers.get(place).context("just started")?;
        running.create_topic(topic, partitions)?;
        let figures = load(running.address(), running.process()?)?;
        running.delete_topic(topic)?;
        Ok(figures)
    }
}

/// One load on a topic that exists.
fn on_server(work: &Work, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    match work {
        Work::Produce(load) => produce::run(load, address, server, topic),
        Work::Fetch(load) => {
            fetch::fill(load, address, server, topic)?;
            fetch::run(load, address, server, topic)
        }
        Work::Latency(load) => latency::run(load, address, server, topic),
        Work::BesidePlain(load) => guarded::beside_plain(load, address, server, topic),
        Work::Transactions(load) => guarded::transactions(load, address, server, topic),
        Work::Commits(rate) => commits::at_rate(*rate, COMMITS_SECONDS, address, server, topic),
        _ => bail!("it is no load on a topic"),
    }
}

/// So many partitions as a contestant makes in a minute.
fn bearable(contestant: Contestant, partitions: i32) -> i32 {
    if contestant == Contestant::Kafka { partitions.min(KAFKA_PARTITIONS_MAX) } else { partitions }
}
