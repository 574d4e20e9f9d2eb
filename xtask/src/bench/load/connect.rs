//! Connectors of files: how many records a CPU-second carries from a file through a topic into a file, and what idle
//! connectors cost, and sinks that stall.
//!
//! Ours run in the broker's own process, which is measured whole. Kafka's run in a standalone worker of Kafka Connect beside
//! an Apache Kafka: the worker alone is what is compared, so that Kafka's broker counts as nothing; the sum of both is told
//! as well. Both are driven through the same requests, and a repetition is a fresh process that has warmed up.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::Figures;
use super::registry::Connection;
use crate::bench::contestant::{Contestant, Stable};
use crate::bench::machine::{Usage, process_cpu, resident_bytes};
use crate::conformance::cache::{self, Cache};
use crate::conformance::server::jars::{self, jars};
use crate::conformance::server::port;

/// The records of a repetition, and before it of the warm-up, which a JVM needs.
const RECORDS: u64 = 1_000_000;
const WARM_UP_RECORDS: u64 = 500_000;
/// A line with its end: what a record holds, and one byte.
const LINE_BYTES: u64 = 101;
/// What a full pipe holds at least: 16 pages, of which those between two writes may have gaps.
const PIPE_BYTES: u64 = 15 << 12;
/// How long a worker may take to start, connectors to begin, and records to arrive.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked whether they have.
const GLANCE: Duration = Duration::from_millis(20);
/// How long a process settles before its memory is read, and how long it is watched.
const SETTLE: Duration = Duration::from_secs(15);
const WATCH: Duration = Duration::from_secs(20);

/// What is done with connectors of files.
#[derive(Clone, Copy, Debug)]
pub enum Connect {
    /// A file source and a file sink carry records.
    Files,
    /// So many do nothing, half of them sources.
    Idle(usize),
    /// So many sinks stall while records flow beside them.
    Stalled(usize),
}

impl Connect {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        let who = "one process of broker and worker (Kafka: its standalone worker, beside a broker that does not count)";
        match self {
            Connect::Files => format!(
                "{RECORDS} records of 100 B from a file source through a topic of 1 partition, 1 replica, into a file sink, \
                 text, after {WARM_UP_RECORDS} to warm up; {who}"
            ),
            Connect::Idle(count) => format!(
                "{count} connectors, half file sources at the end of their files, half file sinks of a quiet topic: memory \
                 and CPU beyond the same process without connectors, {} s to settle, {} s of watching; {who}",
                SETTLE.as_secs(),
                WATCH.as_secs()
            ),
            Connect::Stalled(count) => format!(
                "{count} file sinks write into pipes that nobody reads, while a file source and another file sink carry \
                 {RECORDS} records of 100 B through their topic, twice: memory beyond the same process before there was a sink \
                 that stalls, and how much of it came with the second half; {who}"
            ),
        }
    }
}

/// Starts a server and a worker, and measures.
pub fn run(load: &Connect, contestant: Contestant, stable: &mut Stable) -> anyhow::Result<Figures> {
    let [port] = port::free()?;
    let rest = format!("127.0.0.1:{port}");
    let further = match contestant {
        Contestant::Kafka => String::new(),
        _ => format!(
            "vltava.connect.listeners=http://{rest}\nvltava.connect.group.id=bench\n\
             vltava.connect.allowed.folders=/\nvltava.connect.value.converter={TEXT}\nvltava.connect.key.converter={TEXT}\n"
        ),
    };
    let running = stable.start_with(contestant, &further)?;
    let folder = running.folder();
    let worker = match contestant {
        Contestant::Kafka => Some(Standalone::start(&stable.cache, folder, running.address(), &rest)?),
        _ => None,
    };
    let broker = running.process()?;
    let process = worker.as_ref().map_or(broker, |worker| worker.0.id());
    wait("the worker answers", || {
        Connection::open(&rest).and_then(|mut to| to.ask("GET", "/connectors", "")).is_ok()
    })?;
    let site = Site { rest, folder: folder.to_owned(), process, broker: worker.is_some().then_some(broker) };
    match load {
        Connect::Files => site.files(),
        Connect::Idle(count) => site.idle(*count),
        Connect::Stalled(count) => site.stalled(*count),
    }
}

/// The converter of lines.
const TEXT: &str = "org.apache.kafka.connect.storage.StringConverter";

/// Where it is measured.
struct Site {
    rest: String,
    folder: PathBuf,
    /// What is measured, and the broker beside it if that is another one.
    process: u32,
    broker: Option<u32>,
}

impl Site {
    fn put(&self, name: &str, class: &str, topic: (&str, &str), file: &Path) -> anyhow::Result<()> {
        let (key, topic) = topic;
        let file = file.display();
        let body = format!(
            r#"{{"connector.class":"org.apache.kafka.connect.file.{class}","file":"{file}","{key}":"{topic}","tasks.max":"1"}}"#
        );
        Connection::open(&self.rest)?.ask("PUT", &format!("/connectors/{name}/config"), &body).map(drop)
    }

    fn source(&self, number: usize, topic: &str) -> anyhow::Result<PathBuf> {
        let file = self.folder.join(format!("{number}.in"));
        append(&file, 1)?;
        self.put(&format!("source-{number}"), "FileStreamSourceConnector", ("topic", topic), &file)?;
        Ok(file)
    }

    fn sink(&self, number: usize, topic: &str) -> anyhow::Result<PathBuf> {
        let file = self.folder.join(format!("{number}.out"));
        self.put(&format!("sink-{number}"), "FileStreamSinkConnector", ("topics", topic), &file)?;
        Ok(file)
    }

    fn files(&self) -> anyhow::Result<Figures> {
        let (from, to) = self.flow("files")?;
        let (usage, broker) = (Usage::begin(self.process)?, self.broker_cpu()?);
        append(&from, RECORDS)?;
        arrived(&to, 1 + WARM_UP_RECORDS + RECORDS)?;
        let (used, broker) = (usage.end()?, self.broker_cpu()? - broker);
        let records = RECORDS as f64;
        Ok(vec![
            ("records/CPU-s", records / used.server),
            ("with the broker", records / (used.server + broker)),
            ("records/s", records / used.seconds),
            ("RSS MiB", resident_bytes(self.process)? / f64::from(1 << 20)),
            ("others cores", used.others - broker / used.seconds),
        ])
    }

    /// A source and a sink that have warmed up.
    fn flow(&self, topic: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
        let (from, to) = (self.source(0, topic)?, self.sink(0, topic)?);
        arrived(&to, 1)?;
        append(&from, WARM_UP_RECORDS)?;
        arrived(&to, 1 + WARM_UP_RECORDS)?;
        Ok((from, to))
    }

    fn stalled(&self, count: usize) -> anyhow::Result<Figures> {
        let (from, to) = self.flow("stalled")?;
        let before = resident_bytes(self.process)?;
        let pipes = (1..=count).map(|number| {
            let pipe = self.folder.join(format!("{number}.out"));
            ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "no pipe {}", pipe.display());
            // Open for both, so that it neither waits for a writer nor ever ends.
            let opened = OpenOptions::new().read(true).write(true).open(pipe)?;
            self.sink(number, "stalled").map(|_| opened)
        });
        let pipes = pipes.collect::<anyhow::Result<Vec<_>>>()?;
        let full = |pipe: &File| rustix::io::ioctl_fionread(pipe).is_ok_and(|bytes| bytes >= PIPE_BYTES);
        wait("all sinks stall", || pipes.iter().all(full))?;
        let mut more = Vec::new();
        for half in 1..=2 {
            append(&from, RECORDS)?;
            arrived(&to, 1 + WARM_UP_RECORDS + half * RECORDS)?;
            more.push((resident_bytes(self.process)? - before) / f64::from(1 << 20));
        }
        let [first, all] = more[..] else { anyhow::bail!("two halves") };
        Ok(vec![("RSS MiB more", all), ("MiB of the second half", all - first)])
    }

    fn idle(&self, count: usize) -> anyhow::Result<Figures> {
        let (empty, before) = self.watch()?;
        for number in 0..count / 2 {
            self.source(number, "quiet")?;
        }
        let sinks = (0..count / 2).map(|number| self.sink(number, "quiet"));
        let files = sinks.collect::<anyhow::Result<Vec<_>>>()?;
        // Each source has one line, and each sink has all.
        let all = (count / 2) as u64 * LINE_BYTES;
        let done = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|file| file.len() >= all);
        wait("all connectors run", || files.iter().all(done))?;
        let (full, after) = self.watch()?;
        Ok(vec![
            ("RSS MiB more", (full - empty) / f64::from(1 << 20)),
            ("% of a core more", after.0 - before.0),
            ("% of a core empty", before.0),
            ("others cores", before.1.max(after.1)),
        ])
    }

    /// Resident bytes; percent of a core and what others used of cores.
    fn watch(&self) -> anyhow::Result<(f64, (f64, f64))> {
        std::thread::sleep(SETTLE);
        let (usage, broker) = (Usage::begin(self.process)?, self.broker_cpu()?);
        std::thread::sleep(WATCH);
        let (used, broker) = (usage.end()?, self.broker_cpu()? - broker);
        let others = used.others - broker / used.seconds;
        Ok((resident_bytes(self.process)?, (used.server / used.seconds * 100.0, others)))
    }

    fn broker_cpu(&self) -> anyhow::Result<f64> {
        self.broker.map_or(Ok(0.0), process_cpu)
    }
}

/// Waits until a sink has written so many lines.
fn arrived(to: &Path, lines: u64) -> anyhow::Result<()> {
    let bytes = || std::fs::metadata(to).map_or(0, |file| file.len());
    wait("records arrive", || bytes() >= lines * LINE_BYTES)
}

/// Adds so many lines to a file.
fn append(file: &Path, lines: u64) -> anyhow::Result<()> {
    let mut to = BufWriter::new(OpenOptions::new().create(true).append(true).open(file)?);
    for line in 0..lines {
        writeln!(to, "{line:0100}")?;
    }
    Ok(to.flush()?)
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !holds() {
        ensure!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(GLANCE);
    }
    Ok(())
}

/// A standalone worker of Kafka Connect. Dropping it ends it.
struct Standalone(Child);

impl Standalone {
    fn start(cache: &Cache, folder: &Path, broker: &str, rest: &str) -> anyhow::Result<Standalone> {
        let definition = cache::programs().join("kafka");
        let libraries = jars(cache, &definition, jars::TOOLS)?;
        let (properties, offsets) = (folder.join("worker.properties"), folder.join("worker.offsets"));
        let settings = format!(
            "bootstrap.servers={broker}\nlisteners=http://{rest}\nkey.converter={TEXT}\nvalue.converter={TEXT}\n\
             offset.storage.file.filename={}\nplugin.discovery=only_scan\n",
            offsets.display()
        );
        std::fs::write(&properties, settings)?;
        let log = File::create(folder.join("worker.log"))?;
        let started = Command::new("java")
            .args(["-Xms256M", "-Xmx2G", "-XX:+UseG1GC", "-cp"])
            .arg(format!("{}/*", libraries.display()))
            .arg("org.apache.kafka.connect.cli.ConnectStandalone")
            .arg(&properties)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        Ok(Standalone(started.context("a worker of Kafka Connect cannot be started")?))
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        // It may have ended before; then there is nothing to kill, and waiting returns at once.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
